"""Peers: who is at the other end of a connection, and whether it is still there."""

import asyncio
import re
import select
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .request import Request

# Linux and FreeBSD tell when a client has ended its side; others, that all has ended.
_ENDS = getattr(select, "POLLRDHUP", 0)

# A host name of this machine alone, and a port. Any other name may be one that somebody
# lets point to 127.0.0.1, to have a browser fetch pages for a script (DNS rebinding).
_LOCAL_HOST = re.compile(
    r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE
)

# What proxies add, beside all that begins with X-FORWARDED.
_PROXY_FIELDS = frozenset(
    {"CF-CONNECTING-IP", "FORWARDED", "TRUE-CLIENT-IP", "VIA", "X-REAL-IP"}
)


def has_left(transport: asyncio.BaseTransport) -> bool:
    """Whether a client has ended its side, or the connection, as far as it is known.

    While reading is paused, nothing else tells: the end stands behind what the client
    has sent and nobody has read. False where the system does not say, and once the
    connection is closed.

    Args:
        transport: Its reading is paused.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or transport.is_closing() or sock.fileno() < 0:
        return False  # a descriptor that is closed may be another connection's soon
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sock.fileno(), _ENDS)  # a reset is told of in any case
    return bool(poll.poll(0))


def refusal(request: "Request") -> str | None:
    """Say why a client may not be a browser on this machine; None when it is one.

    What only a developer may see is for these: nobody else reaches it through them, by
    a proxy, or by a page that the browser shows.
    """
    protocol = request.protocol
    if protocol is None or not is_loopback(request.local_address):
        return "the request did not come to an address of this machine alone"
    if not is_loopback(protocol.peer):
        return "the client is on another machine"
    if request.remote_addr != protocol.remote_addr:
        return "a listener has set request.remote_addr, as it does behind a proxy"
    for name in request.headers:
        if name.upper() in _PROXY_FIELDS or name.upper().startswith("X-FORWARDED"):
            return f"the request came through a proxy, which has set {name}"
    if request.version != "1.1":  # a proxy that adds nothing: nginx, as it comes
        return "the request is HTTP/1.0, which proxies speak and browsers do not"
    for host in (request.host, request.headers.get("HOST", "")):
        if not _LOCAL_HOST.fullmatch(host):
            return "its Host is not localhost, 127.0.0.1 or [::1]"
    if request.origin and not _is_local_origin(request.origin):
        return "a page of another machine has sent it (Origin)"
    return None


def is_loopback(name: Any) -> bool:
    """Whether a socket's name is an address of this machine alone.

    Args:
        name: As `getsockname` gives it.
    """
    if not isinstance(name, tuple):
        return False
    try:
        address = ip_address(name[0].partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # a socket that listens for both
    return bool((mapped or address).is_loopback)


def _is_local_origin(origin: str) -> bool:
    try:
        return _LOCAL_HOST.fullmatch(urlsplit(origin).netloc) is not None
    except ValueError:
        return False
