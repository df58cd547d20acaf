"""Who may see a page: a browser on this machine, and nobody through it."""

import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from roll import Request

# A host name of this machine alone, and a port. Any other name may be one that somebody
# lets point to 127.0.0.1, to have a browser fetch pages for a script (DNS rebinding).
_LOCAL_HOST = re.compile(
    r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE
)

# What proxies add, beside all that begins with X-FORWARDED.
_PROXY_FIELDS = frozenset(
    {"CF-CONNECTING-IP", "FORWARDED", "TRUE-CLIENT-IP", "VIA", "X-REAL-IP"}
)


def public_address(name: Any) -> str | None:
    """Give the address of a socket when others can reach it, else None.

    Args:
        name: As `getsockname` gives it.
    """
    return str(name[0]) if isinstance(name, tuple) and not _is_loopback(name) else None


def refusal(request: Request) -> str | None:
    """Say why who asks is not a browser on this machine; None when it is."""
    protocol = request.protocol
    if protocol is None or not _is_loopback(local_name(request)):
        return "the request did not come to an address of this machine alone"
    if not _is_loopback(protocol.peer):
        return "the client is on another machine"
    if request.remote_addr != protocol.remote_addr:
        return "a listener has set request.remote_addr, as it does behind a proxy"
    for name in request.headers:
        if name in _PROXY_FIELDS or name.startswith("X-FORWARDED"):
            return f"the request came through a proxy, which has set {name}"
    if request.version != "1.1":  # a proxy that adds nothing: nginx, as it comes
        return "the request is HTTP/1.0, which proxies speak and browsers do not"
    for host in (request.host, request.headers.get("HOST", "")):
        if not _LOCAL_HOST.fullmatch(host):
            return "its Host is not localhost, 127.0.0.1 or [::1]"
    if request.origin and not _is_local_origin(request.origin):
        return "a page of another machine has sent it (Origin)"
    return None


def local_name(request: Request) -> Any:
    """Give the name of our end of the connection: a tuple, or a path; maybe None."""
    transport = request.protocol and request.protocol.transport
    return transport and transport.get_extra_info("sockname")


def _is_loopback(name: Any) -> bool:
    """Whether a socket's name is an address of this machine alone."""
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
