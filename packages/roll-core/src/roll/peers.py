"""Peers: the other end of a connection, and whether it is still there."""

import asyncio
import re
import select
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .request import Request

# Linux and FreeBSD report that a client has ended its side; others, only both sides.
_ENDS = getattr(select, "POLLRDHUP", 0)

# A host name of this machine only, and a port. An attacker may point any other name to
# 127.0.0.1, so that a browser fetches pages for a script (DNS rebinding).
_LOCAL_HOST = re.compile(
    r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE
)

# Fields that proxies add, besides all that begin with X-FORWARDED.
_PROXY_FIELDS = frozenset(
    {"CF-CONNECTING-IP", "FORWARDED", "TRUE-CLIENT-IP", "VIA", "X-REAL-IP"}
)


def has_left(transport: asyncio.BaseTransport) -> bool:
    """Whether a client has ended its side, or the connection, as far as known.

    While reading is paused, nothing else shows it: the end comes after data that the
    client has sent and nobody has read. False if the system does not know, and once the
    connection is closed.

    Args:
        transport: A transport whose reading is paused.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or transport.is_closing() or sock.fileno() < 0:
        return False  # a closed descriptor may soon belong to another connection
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sock.fileno(), _ENDS)  # a reset is reported in any case
    return bool(poll.poll(0))


def refusal(request: "Request") -> str | None:
    """Explain why a client may not be a browser on this machine; None if it is one.

    Only such clients get what is for developers: nobody else may reach it, neither
    through a proxy nor through a page in the browser.
    """
    protocol = request.protocol
    if protocol is None or not is_loopback(request.local_address):
        return "the request did not come to a loopback address"
    if not is_loopback(protocol.peer):
        return "the client is on another machine"
    if request.remote_addr != protocol.remote_addr:
        return "a listener has set request.remote_addr, as it does behind a proxy"
    for name in request.headers:
        if name.upper() in _PROXY_FIELDS or name.upper().startswith("X-FORWARDED"):
            return f"the request came through a proxy, which has set {name}"
    if request.version != "1.1":  # a proxy that adds nothing: nginx by default
        return "the request is HTTP/1.0, which proxies speak and browsers do not"
    for host in (request.host, request.headers.get("HOST", "")):
        if not _LOCAL_HOST.fullmatch(host):
            return "its Host is not localhost, 127.0.0.1 or [::1]"
    if request.origin and not _is_local_origin(request.origin):
        return "a page of another site has sent it (Origin)"
    return None


def is_loopback(name: Any) -> bool:
    """Whether the address of a socket is a loopback address.

    Args:
        name: The result of `getsockname` or `getpeername`.
    """
    if not isinstance(name, tuple):
        return False
    try:
        address = ip_address(name[0].partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # a socket for IPv4 and IPv6
    return bool((mapped or address).is_loopback)


def _is_local_origin(origin: str) -> bool:
    try:
        return _LOCAL_HOST.fullmatch(urlsplit(origin).netloc) is not None
    except ValueError:
        return False
