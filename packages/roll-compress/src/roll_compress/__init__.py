"""compress and decompress: bodies in gzip, brotli and zstd."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, cast

from roll import HttpError, Request, Response, Roll, hookimpl
from roll.plugins import require_app, require_boolean
from roll.preferences import name_coding
from roll.typing import Extension

from .codings import find_codings
from .inflating import inflate
from .negotiation import TYPES, members, type_matcher
from .responses import Compressor, weaken_like_client

__all__ = ["TYPES", "compress", "decompress"]

UNTOUCHED = frozenset({*range(100, 200), 204, 205, 206, 304})
"""Statuses of responses that have no body, or only a part of it."""


def compress(
    app: Roll,
    codings: Sequence[str] | None = None,
    *,
    minimum: int = 500,
    types: Sequence[str] = TYPES,
    levels: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Compress the responses of *app* as clients prefer (RFC 9110, section 12.5.3).

    Whole bodies and streams are compressed, also those of errors and of mounted apps. A
    route with `compress=False` is left alone: use it for a page that has a secret and
    repeats what a client sends, as the size of the response would reveal the secret.
    With `compress=True`, a response is compressed whatever its type.

    Args:
        app: The application.
        codings: Some of `"zstd"`, `"br"` and `"gzip"`; the first is used if a client
            prefers neither. None for all that are installed.
        minimum: Bytes of the smallest body that is compressed.
        types: Media types, such as `"application/json"`, `"text/*"` or `"*+json"`.
        levels: The level of each coding: 1 to 19 for zstd, 0 to 9 for br, 1 to 9 for
            gzip.

    Raises:
        TypeError: `compress=` of a route is neither True nor False.
        ValueError: A coding is not installed; an option has a wrong value; the app
            compresses already.
    """
    require_app("compress", app)
    compressor = Compressor(
        find_codings(codings, levels), _require_number("minimum", minimum)
    )
    matches = type_matcher(types)
    _claim(app, "compress")

    @app.listen("response", after="*")
    def compress_responses(
        request: Request, response: Response
    ) -> Awaitable[None] | None:
        payload = request.endpoint.payload
        extra = payload and payload.get("compress")
        if extra is False or (response.app is not app and _is_settled(app, response)):
            return None
        status = response.status
        if status not in UNTOUCHED:
            default = response.app and response.app.default_content_type
            kind = str(response.headers.get("Content-Type", default) or "")
            if extra or matches(kind):
                return compressor.compress(request, response, kind)
        elif status == HTTPStatus.NOT_MODIFIED:
            weaken_like_client(request, response)
        return None


def decompress(
    app: Roll, codings: Sequence[str] | None = None, *, limit: int = 32 * 2**20
) -> None:
    """Inflate the bodies of requests that have a `Content-Encoding`.

    They are inflated while they are read, as `request.decoder` does. The coding is in
    `request["content_encoding"]`, and no longer in the header. `Limits.body`, or the
    route's limit, applies to loaded bodies, both as sent and as inflated. A route with
    `decompress=False` gets its bodies as they are sent.

    Args:
        app: The application.
        codings: Some of `"zstd"`, `"br"` and `"gzip"`; None for all that are installed.
        limit: The most bytes of an inflated body in a route that reads it piece by
            piece, or with `load_form`.

    Raises:
        TypeError: `decompress=` of a route is neither True nor False.
        ValueError: A coding is not installed; *limit* is not a number; the app inflates
            already.
    """
    require_app("decompress", app)
    chosen = find_codings(codings, {})
    _require_number("limit", limit)
    _claim(app, "decompress")
    accepted = {"Accept-Encoding": ", ".join(chosen)}

    @app.listen("headers")
    def inflate_bodies(request: Request, response: Response) -> None:
        if request.content is None or request.decoder is not None:
            return
        names = [
            name_coding(each)
            for each in members(request.headers, "Content-Encoding")
            if each != "identity"
        ]
        if not names:
            return
        if (request.endpoint.payload or {}).get("decompress") is False:
            request.decoder = _as_sent
            return
        name = names[0]
        if len(names) > 1 or name not in chosen:
            # RFC 9110, section 15.5.16.
            raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, headers=accepted)
        request["content_encoding"] = name
        request.headers.pop("Content-Encoding")
        # It must not refer to the request, which refers to it.
        request.decoder = partial(inflate, name, chosen[name], _bound(request, limit))


def _as_sent(received: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    return received


def _bound(request: Request, limit: int) -> int:
    """Give the most bytes that a body may have once inflated.

    The core has its own limit for a body loaded before the view, maybe above *limit*.
    """
    endpoint = request.endpoint
    if endpoint.lazy_body:
        return limit
    limits = endpoint.limits or cast(Roll, request.app).limits
    return max(limit, limits.body)


def _claim(app: Roll, name: str) -> None:
    """Reserve the extra *name* of routes, and the key of the app.

    Raises:
        ValueError: They are taken.
    """
    if name in app:
        raise ValueError(f"{name} was called for this app before: call it once")
    app[name] = True
    app.extras(name, check=require_boolean)


def _is_settled(app: Roll, response: Response) -> bool:
    """Whether a mounted app, which compresses itself, has decided."""
    inner: Any = response.app
    while inner is not None and inner is not app:
        if "compress" in inner:
            return True
        inner = inner.parent
    return False


def _require_number(option: str, value: int) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{option}={value!r}: give a number of bytes")
    return value


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import compress, decompress`."""
    return {"compress": compress, "decompress": decompress}
