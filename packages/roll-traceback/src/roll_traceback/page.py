"""The page: a traceback, the request and the listeners, as HTML without any script."""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from inspect import unwrap
from traceback import format_exception, walk_tb
from typing import Any

from roll import HttpError, Request, Response, Roll

from . import find_cause
from .hiding import HIDDEN, make_hider

LONGEST = 100_000
"""The most characters of a traceback to show."""

# All others may be secrets: only their names are shown.
_SHOWN = frozenset(
    {
        "ACCEPT",
        "ACCEPT-ENCODING",
        "ACCEPT-LANGUAGE",
        "CACHE-CONTROL",
        "CONNECTION",
        "CONTENT-LENGTH",
        "CONTENT-TYPE",
        "DNT",
        "HOST",
        "ORIGIN",
        "PRAGMA",
        "SEC-FETCH-DEST",
        "SEC-FETCH-MODE",
        "SEC-FETCH-SITE",
        "SEC-FETCH-USER",
        "TRANSFER-ENCODING",
        "UPGRADE-INSECURE-REQUESTS",
        "USER-AGENT",
    }
)

_STYLE = """
body { font: 16px/1.5 sans-serif; margin: 2em; color: #222; background: #fff }
h1 { font-size: 1.4em; color: #a00; overflow-wrap: anywhere }
h2 { font-size: 1.1em; margin-top: 2em }
pre { background: #f4f4f4; padding: 1em; overflow: auto }
th { text-align: left; padding-right: 1em; vertical-align: top }
td { overflow-wrap: anywhere }
"""

_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def write_page(
    app: Roll, request: Request, response: Response, error: HttpError
) -> None:
    """Respond to a request with the page."""
    fields = [*request.headers.items()]
    hide = make_hider(value for name, value in fields if name not in _SHOWN)
    cause = find_cause(error)
    trace = _shorten(hide("".join(format_exception(cause))))
    target = f"{request.method} {request.url.decode('utf-8', 'backslashreplace')}"
    rows = ((name, value if name in _SHOWN else HIDDEN) for name, value in fields)
    steps = _table(_steps(app, request, cause))
    title = escape(type(cause).__name__)
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>{_STYLE}</style>
<h1>{title}: {escape(hide(target))}</h1>
<h2>Traceback</h2>
<pre>{escape(trace)}</pre>
<h2>Request</h2>
{_table(rows)}
<h2>Listeners and view, up to where it failed</h2>
{steps}
<p>traceback(app, page=True) shows this, only on this machine. Leave page=True out when
you deploy.</p>
</html>
"""
    # Lone surrogates, in a message, are not UTF-8.
    response.body = page.encode("utf-8", "backslashreplace")
    response.headers.update(_HEADERS)


def _table(rows: Iterator[tuple[str, str]]) -> str:
    lines = (
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>\n"
        for name, value in rows
    )
    return f"<table>\n{''.join(lines)}</table>"


def _shorten(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]}\n\n[...]\n\n{text[-LONGEST // 2 :]}"


def _steps(
    app: Roll, request: Request, cause: BaseException
) -> Iterator[tuple[str, str]]:
    """Name what runs for a request, in order, up to the one in the traceback."""
    codes = {frame.f_code for frame, _ in walk_tb(cause.__traceback__)}
    steps = [
        *(("headers", one) for one in app.hooks.get("headers", ())),
        *(("request", one) for one in app.hooks.get("request", ())),
        *(("view", one) for one in _view(request)),
    ]
    later = [("response", one) for one in app.hooks.get("response", ())]
    if any(_code(one) in codes for _, one in later):
        steps += later
    for event, one in steps:
        yield event, _name(one)
        if _code(one) in codes:
            return


def _view(request: Request) -> Iterator[Any]:
    payload = request.route.payload or {}
    methods = (request.method, "GET") if request.method == "HEAD" else (request.method,)
    views = (payload[method] for method in methods if method in payload)
    yield from list(views)[:1]


def _code(function: Any) -> Any:
    """Give the code object of *function* in a traceback."""
    function = unwrap(function)  # decorators share their code
    function = getattr(function, "__func__", function)  # of a method
    if not hasattr(function, "__code__"):
        function = type(function).__call__
    return getattr(function, "__code__", None)


def _name(function: Any) -> str:
    name = getattr(function, "__qualname__", None) or repr(function)
    return f"{getattr(function, '__module__', '')}.{name}"
