"""Scopes: a request as an ASGI application gets it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from roll import Request

from .typing import VERSIONS, Scope

# Characters kept in a query; others are encoded, as applications expect ASCII.
_SAFE = "".join(map(chr, range(33, 127)))


def make_scope(
    request: Request, prefix: str, state: Mapping[str, Any], websocket: bool
) -> Scope:
    """Make the scope of a request, or of a handshake (HTTP and WebSocket 2.5).

    Args:
        request: The request.
        prefix: The application's prefix, within the app of the request.
        state: The state of the application's lifespan.
        websocket: Whether it is a handshake.
    """
    app: Any = request.app
    peer: Any = getattr(request.protocol, "peer", None)
    address = request.remote_addr
    client = None
    if address is not None:
        # A proxy does not pass on the port.
        known = isinstance(peer, tuple) and peer[0] == address
        client = (address, peer[1] if known else 0)
    server = request.local_address
    if server is not None:
        server = server[:2] if isinstance(server, tuple) else (server, None)
    target = request.url.partition(b"?")[0]
    if not target.startswith(b"/"):  # in absolute form (RFC 9112, section 3.2.2)
        target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
    host = request.host.encode("latin-1", "replace")
    root = app.root_path
    scope = {
        "type": "http",
        "asgi": VERSIONS.copy(),
        "http_version": request.version,
        "scheme": request.scheme,
        "path": root + request.path,
        "raw_path": target,
        "query_string": _encode(request.query_string),
        "root_path": root + prefix,
        "headers": [
            (name.lower(), host if name == b"HOST" else value)
            for name, value in request.fields
        ],
        "client": client,
        "server": server,
        "state": dict(state),
        "extensions": {},
    }
    if websocket:
        scope["type"] = "websocket"
        scope["scheme"] = "wss" if request.scheme == "https" else "ws"
        scope["subprotocols"] = [
            name.strip()
            for value in request.headers.list("SEC-WEBSOCKET-PROTOCOL")
            for name in value.split(",")
        ]
        scope["extensions"] = {"websocket.http.response": {}}
    else:
        scope["method"] = request.method
    return scope


def _encode(query: str) -> bytes:
    """Encode a query as ASCII: a listener may have set any text."""
    return (query if query.isascii() else quote(query, safe=_SAFE)).encode()
