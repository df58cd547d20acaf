"""tracing: an OpenTelemetry span for each request."""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Any

from roll import Request, Roll
from roll.plugins import require_app, require_boolean

from .redaction import SECRETS

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

KEY = "roll_observability.tracing"
"""The key that an app has once it is traced, and under which a request keeps its
span."""

UNIX = "unix"
"""In `trust`: the peers of unix sockets, which have no address."""

PRIVATE = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})
"""Fields that are never in a span: they identify or authenticate a client."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.1


def tracing(
    app: Roll,
    *,
    tracer_provider: "TracerProvider | None" = None,
    trust: bool | Iterable[str] = True,
    exclude: Iterable[str] = (),
    request_headers: Iterable[str] = (),
    response_headers: Iterable[str] = (),
    redact: Iterable[str] = (),
    response_header: bool = False,
) -> None:
    """Make a span for each request of *app*, as OpenTelemetry does.

    It is current in listeners and views, and in the tasks that they start, and ends
    when the last byte of the response is written. A WebSocket has its own span after
    that of its handshake. Exporters and samplers are those of the SDK that the
    application sets up, before or after this call; without an SDK, the context of
    callers is passed on, and nothing is recorded.

    Routes with `tracing=False` are left out.

    Args:
        app: The application.
        tracer_provider: Makes the spans; the global one by default.
        trust: Whose trace context a request may continue: everybody's, nobody's, or
            that of the listed peers: IP addresses, networks such as `"10.0.0.0/8"`, and
            `"unix"` for those of unix sockets. The requests of others begin a new
            trace, with a link to theirs.
        exclude: Paths, or patterns as they are declared, whose requests have no span.
        request_headers: Fields of requests that become attributes.
        response_headers: Fields of responses that become attributes.
        redact: Names of query parameters, in any case, whose values are hidden, besides
            those that usually hold secrets.
        response_header: Whether responses have the ids of their spans, in the field
            `traceresponse`.

    Raises:
        ImportError: The OpenTelemetry API is not installed.
        TypeError: An option has another type.
        ValueError: An option has an invalid value, or this is the second call.
    """
    require_app("tracing", app)
    trusts = _check_trust(trust)
    excluded = frozenset(_strings("exclude", exclude, "paths, such as '/livez'"))
    for path in excluded:
        if not path.startswith("/"):
            raise ValueError(f"exclude: {path!r} is not a path: start it with a slash")
    fields = _check_fields("request_headers", request_headers)
    answered = _check_fields("response_headers", response_headers)
    names = _strings("redact", redact, "names of query parameters, such as 'code'")
    if not isinstance(response_header, bool):
        raise TypeError(f"response_header={response_header!r}: give True or False")
    if KEY in app:
        raise ValueError("this app is traced already: call `tracing` once")
    try:
        from .spans import Tracing
    except ImportError as error:
        raise ImportError(
            "tracing needs the API of OpenTelemetry. "
            "Run: pip install 'roll-observability[opentelemetry]'"
        ) from error
    traced = Tracing(
        tracer_provider,
        trusts=trusts,
        excluded=excluded,
        request_fields=fields,
        response_fields=answered,
        secrets=SECRETS | {name.lower() for name in names},
        tells=response_header,
    )
    app[KEY] = True
    app.extras("tracing", check=require_boolean)
    traced.listen(app)


class Peers:
    """The peers whose trace context is continued.

    Args:
        networks: Their networks.
        unix: Whether the peers of unix sockets are among them.
    """

    def __init__(self, networks: list[IPv4Network | IPv6Network], unix: bool) -> None:
        self._networks = networks
        self._unix = unix

    def __call__(self, request: Request) -> bool:
        """Whether the peer that sent a request, such as a proxy, is one of them."""
        peer = None if request.protocol is None else request.protocol.remote_addr
        if peer is None:
            # A TCP peer that has left at once has no address either.
            return self._unix and isinstance(request.local_address, (str, bytes))
        address = _parse_address(peer)
        if address is None:
            return False
        return any(address in network for network in self._networks)


@lru_cache(maxsize=256)  # the same proxies come again
def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an IP address, an IPv4-mapped one as IPv4 (RFC 4291, section 2.5.5.2).

    Sockets that listen for both give IPv4 peers such addresses.
    """
    try:
        address = ip_address(text)
    except ValueError:  # an ASGI server may give anything
        return None
    return getattr(address, "ipv4_mapped", None) or address


# The options


def _check_trust(trust: Any) -> bool | Peers:
    if isinstance(trust, bool):
        return trust
    entries = _strings("trust", trust, "addresses of peers, True or False")
    networks = [_parse_network(entry) for entry in entries if entry != UNIX]
    return Peers(networks, UNIX in entries)


def _parse_network(entry: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(entry)
    except ValueError as error:
        raise ValueError(
            f"trust: {entry!r}: give an IP address, a network such as '10.0.0.0/8', or "
            f"{UNIX!r}; names are not looked up"
        ) from error


def _check_fields(option: str, names: Any) -> tuple[str, ...]:
    """Check names of fields that spans may have, and give them in lower case."""
    names = _strings(option, names, "names of fields, such as 'X-Request-ID'")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{option}: {name!r} is not the name of a field")
        if name.lower() in PRIVATE:
            raise ValueError(
                f"{option}: {name!r} holds secrets, and is never part of a span"
            )
    return tuple(dict.fromkeys(name.lower() for name in names))


def _strings(option: str, given: Any, wanted: str) -> list[str]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{option}={given!r}: give a list of {wanted}")
    entries = list(given)
    for entry in entries:
        if not isinstance(entry, str):
            raise TypeError(f"{option}: {entry!r} is not a string: give {wanted}")
    return entries
