"""The opening handshake (RFC 6455, section 4.2), and the options of a route."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from roll import HttpError, Request, Response
from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import enable_server_permessage_deflate
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

VERSION = "13"
"""The only version of the protocol (RFC 6455, section 4.1)."""

ANY = "*"
"""In `origins`, it allows all of them."""

COMPRESSIONS = (None, "deflate")
"""The values of `compression`."""

FIELDS = (
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
)
"""The fields with the client's wishes for the WebSocket."""

_PORTS = {"http": ":80", "https": ":443"}

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

# As browsers serialise an origin (RFC 6454, section 6.2): in lower case, without a
# path.
_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^\s/?#@A-Z]+")


def check_extras(extras: Mapping[str, Any]) -> None:
    """Check the options of a route for its WebSockets.

    Raises:
        TypeError: `origins` or `subprotocols` is not a list of strings.
        ValueError: One of them, or `compression`, has an invalid value.
    """
    check_compression(extras.get("compression"))
    for name in _strings("subprotocols", extras.get("subprotocols", ())):
        if not _TOKEN.fullmatch(name):
            raise ValueError(
                f"subprotocols: {name!r}: give a token, such as 'chat.v1' (RFC 6455)"
            )
    if extras.get("origins") in (None, ANY):
        return
    for origin in _strings("origins", extras["origins"]):
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"origins: {origin!r}: write it as browsers send it, in lower case and "
                "without a path, such as 'https://example.org'; or origins='*' for all"
            )


def check_compression(value: Any) -> None:
    """Check the name of a compression.

    Raises:
        ValueError: No compression has that name.
    """
    if value not in COMPRESSIONS:
        raise ValueError(f"compression={value!r}: give 'deflate', or None for none")


def _strings(name: str, given: Any) -> Sequence[str]:
    if not isinstance(given, (list, tuple)) or any(
        not isinstance(one, str) for one in given
    ):
        raise TypeError(f"{name}={given!r}: give a list of strings")
    return given


def accept(
    request: Request,
    response: Response,
    extras: Mapping[str, Any],
    max_size: int,
    compression: str | None,
) -> ServerProtocol:
    """Accept a handshake, and fill the head of the 101.

    Args:
        request: The handshake, which is known to ask for `websocket`.
        response: The response, which gets the fields.
        extras: The extras of the route.
        max_size: The most bytes of a message.
        compression: The compression to accept, unless the route sets it.

    Returns:
        The state of an open connection.

    Raises:
        HttpError: 403 for an origin that is not allowed (RFC 6455, section 10.2), 400
            for a malformed handshake, with the version that we support.
    """
    if not _allows(extras.get("origins"), request):
        raise HttpError(HTTPStatus.FORBIDDEN, "This origin is not allowed")
    deflates = extras.get("compression", compression) is not None
    protocol = ServerProtocol(
        extensions=enable_server_permessage_deflate(None) if deflates else None,
        subprotocols=extras.get("subprotocols"),
        select_subprotocol=_select,
        # Otherwise it would wait for a handshake, which is already parsed.
        state=State.OPEN,
        max_size=max_size,
    )
    answer = protocol.accept(_restate(request))
    if answer.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers["Sec-WebSocket-Version"] = VERSION  # section 4.4
        raise HttpError(HTTPStatus.BAD_REQUEST, "The WebSocket handshake is malformed")
    del answer.headers["Date"]  # Server adds one
    response.headers.update(answer.headers.raw_items())
    return protocol


def _restate(request: Request) -> Handshake:
    """Copy the parts of a handshake that are not checked yet."""
    headers = Headers([("Connection", "Upgrade"), ("Upgrade", "websocket")])
    for name in FIELDS:
        for value in request.headers.list(name):
            headers[name] = value
    return Handshake("/", headers, request.method)


def _select(protocol: ServerProtocol, offered: Sequence[str]) -> Any:
    """Choose the first one offered that the route has, in the client's order (4.1)."""
    known = protocol.available_subprotocols or ()
    return next((name for name in offered if name in known), None)


def _allows(origins: Any, request: Request) -> bool:
    """Whether a page may open the WebSocket, for which it has the user's cookies."""
    origin = request.origin
    if origins == ANY or not origin:
        return True
    if origins is not None:
        return origin in origins
    scheme, _, host = origin.lower().partition("://")
    port = _PORTS.get(scheme, "")
    own = (request.host or "").lower()
    return host.removesuffix(port) == own.removesuffix(port)
