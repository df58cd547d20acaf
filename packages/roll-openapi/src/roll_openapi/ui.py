"""The page that shows the document and tries its operations: Swagger UI."""

import asyncio
import hashlib
import html
import posixpath
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from roll import HttpError, Request, Response, Roll
from roll.routing import split_path

from .conditions import not_modified

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{files}/favicon-32x32.png">
<link rel="stylesheet" href="{files}/swagger-ui.css">
<body>
<div id="swagger-ui"></div>
<script src="{files}/swagger-ui-bundle.js"></script>
<script src="{files}/start.js" data-document="{document}"></script>
"""

# With configuration from the query, `?url=` would show, and try, another site's
# document; a validator would get this one.
START = b"""\
const dark = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}
dark.addEventListener("change", paint);
paint();
document.body.style.margin = 0;
SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: document.currentScript.dataset.document,
  deepLinking: true,
  queryConfigEnabled: false,
  validatorUrl: "none",
});
"""

TYPES = {
    "favicon-32x32.png": "image/png",
    "start.js": "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}


def routes(
    app: Roll, *, title: str, path: str, document: str, servers: Iterable[str] = ()
) -> None:
    """Serve Swagger UI at a path, and its files below it.

    Its links are relative, so they work wherever the app is mounted.

    Args:
        app: The application.
        title: The title of the page.
        path: The path of the page.
        document: The path of the document that it shows.
        servers: URLs that the document names: the page may send requests to them.

    Raises:
        ValueError: roll-openapi-ui is not installed, or *path* has a placeholder.
    """
    try:
        from roll_openapi_ui import FOLDER
    except ImportError as error:
        raise ValueError(
            f"ui={path!r} needs roll-openapi-ui: pip install 'roll-openapi[ui]', "
            "or give ui=None"
        ) from error
    if split_path(path)[0].name is not None:
        raise ValueError(f"ui={path!r} has a placeholder: give a path without one")
    # New files get new hashes: clients keep these forever.
    sums = (FOLDER / "SHA256SUMS").read_bytes()
    files = f"{path.rstrip('/')}/{_hash(sums + START)}"
    page = PAGE.format(
        title=html.escape(title),
        files=_link(files, path),
        document=_link(document, path),
    ).encode()
    page_tag = f'"{_hash(page)}"'
    policy = _policy(servers)

    @app.route(path, hidden=True, security=[])
    async def openapi_ui(request: Request, response: Response) -> None:
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = policy
        if not_modified(request, response, page_tag):
            return
        response.headers["Content-Type"] = "text/html; charset=utf-8"
        response.body = page

    @app.route(f"{files}/{{name}}", hidden=True, security=[])
    async def openapi_ui_file(request: Request, response: Response, name: str) -> None:
        if name not in TYPES:
            raise HttpError(HTTPStatus.NOT_FOUND)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        if not_modified(request, response, f'"{name}"'):
            return
        response.headers["Content-Type"] = TYPES[name]
        response.body = (
            START
            if name == "start.js"
            else await asyncio.to_thread((FOLDER / name).read_bytes)
        )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _link(path: str, page: str) -> str:
    """Write the link from one path of the app to another, percent-encoded."""
    return quote(posixpath.relpath(path, posixpath.dirname(page)))


def _policy(servers: Iterable[str]) -> str:
    """Write the Content-Security-Policy of the page.

    Everything is from the app itself. The style has images as `data:`, and images in
    responses are shown from `blob:`; neither can run a script.
    """
    urls = map(urlsplit, servers)
    origins = [f"{url.scheme}://{url.netloc}" for url in urls if url.scheme]
    return "; ".join(
        [
            "default-src 'self'",
            "img-src 'self' data: blob:",
            " ".join(["connect-src 'self'", *origins]),
            "base-uri 'none'",
            "frame-ancestors 'self'",
        ]
    )
