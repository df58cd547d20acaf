"""proxy_headers: the client's address, scheme and host, behind proxies."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from itertools import islice, zip_longest
from typing import NamedTuple

from roll import HttpError, Request, Response, Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

__all__ = ["proxy_headers"]

KEY = "roll_proxy"
"""The key that an app has once it reads the fields of proxies."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK = ("127.0.0.1", "::1")
UNIX = "unix"
"""In `trusted`: the peers of unix sockets, which have no address."""

X_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")
FORWARDED = "Forwarded"

LONGEST = 8190
"""The most characters of one field, with all its lines; the core allows as many in a
line."""

_MAPPED = ip_network("::ffff:0:0/96")

SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

# A registered name without characters that no host on the Internet has, such as quotes;
# an IPv4 address; or an IPv6 address in brackets (RFC 3986, section 3.2.2); then a
# port.
_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")

# A node of RFC 7239, section 6; or an IPv6 address as in X-Forwarded-For, bare. No
# zone: `%` and the rest mean nothing elsewhere, and could be any text.
_NODE = re.compile(
    r"""(?: (?P<hidden> unknown | _[a-z0-9._-]+ )
          | (?P<ipv4> [0-9.]{7,15} )
          | \[ (?P<ipv6> [0-9a-f:.]{2,45} ) \]
        ) (?: : (?: [0-9]{1,5} | _[a-z0-9._-]+ ) )?
      | (?P<bare> [0-9a-f:.]{2,45} )""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]"

# A pair of RFC 7239, section 4, or nothing, and its end. Against the grammar, proxies
# write whitespace around it, and colons and brackets outside of quotes. Repetitions are
# possessive: each is tried only once, whatever follows.
_PAIR = re.compile(
    rf"""[ \t]*+
        (?: (?P<name> {_TOKEN}++ )
            = (?: (?P<value> (?: {_TOKEN} | [:\[\]] )++ )
                | " (?P<quoted> (?: [^"\\] | \\. )*+ ) " )
            [ \t]*+
        )?
        (?P<end> [,;] | \Z )""",
    re.VERBOSE,
)


Fields = tuple[tuple[str, ...], ...]
"""The lines of each field that is read, as received."""

KEPT = 1024
"""The number of clients, and of peers, whose addresses are remembered."""

SHORT = 512
"""Characters of the fields of a client that is remembered."""


class Said(NamedTuple):
    """What all proxies together have sent about a request."""

    remote_addr: str | None
    """The client's address."""
    scheme: str | None
    host: str | None


class Hop(NamedTuple):
    """What one proxy has sent about the request that it received."""

    node: str | None
    """The peer of the proxy."""
    proto: str | None
    """The scheme of the request."""
    host: str | None
    """The host of the request."""


def proxy_headers(
    app: Roll, trusted: Iterable[str] = LOOPBACK, headers: Iterable[str] = X_FORWARDED
) -> None:
    """Set the address, the scheme and the host of requests to those of the client.

    On each request of a trusted peer, a `headers` listener sets `remote_addr`, `scheme`
    and `host` from the fields of the proxies; those without a field stay as they are.
    It runs before all other listeners, except those that ask for the same and were
    added earlier. Call this once.

    `remote_addr` is None if the last trusted proxy does not know or name the client
    (RFC 7239, sections 6.2 and 6.3). The fields of other peers are ignored. A malformed
    field of a trusted peer leads to a 400.

    Args:
        app: The application.
        trusted: IP addresses and networks of proxies, such as `"10.0.0.0/8"`, and
            `"unix"` for the peers of unix sockets. Only their fields are read.
        headers: The fields that the nearest proxy sets, or adds to: `Forwarded`
            (RFC 7239), or some of `X-Forwarded-For`, `X-Forwarded-Proto` and
            `X-Forwarded-Host`. No others are read: they may be the client's own.

    Raises:
        TypeError: *trusted* or *headers* is not a list of strings.
        ValueError: *trusted* is empty, trusts everybody, or has an entry that is
            neither an address nor a network; *headers* is empty, or has other names or
            both kinds; or `proxy_headers` was called before.
    """
    require_app("proxy_headers", app)
    entries = _list("trusted", trusted, "the addresses of your proxies")
    networks = [_parse_network(entry) for entry in entries if entry != UNIX]
    trusts_unix = UNIX in entries
    names, read_hops = _reader(
        _list("headers", headers, "the fields that your proxy sets")
    )
    if KEY in app:
        raise ValueError(
            "this app has proxy_headers: call `proxy_headers` once, with all that is "
            "trusted"
        )
    app[KEY] = True

    def is_trusted(address: Address | None) -> bool:
        return address is not None and any(address in network for network in networks)

    @lru_cache(maxsize=KEPT)
    def is_trusted_peer(peer: str) -> bool:
        return is_trusted(_parse_address(peer))

    def resolve(peer: str | None, fields: Fields) -> Said:
        return _resolve(peer, read_hops(fields), is_trusted)

    resolve_again = lru_cache(maxsize=KEPT)(
        resolve
    )  # clients send more than one request

    @app.listen("headers", before="*")
    def read_proxy_headers(request: Request, response: Response) -> None:
        peer = request.remote_addr
        if peer is None:
            # A TCP peer that has left at once has no address either.
            is_unix = isinstance(request.local_address, (str, bytes))
            if not (trusts_unix and is_unix):
                return
        elif not is_trusted_peer(peer):
            return
        fields = tuple([tuple(request.headers.list(name)) for name in names])
        short = sum([len(line) for lines in fields for line in lines]) < SHORT
        said = (resolve_again if short else resolve)(peer, fields)
        request.remote_addr = said.remote_addr
        if said.scheme:
            request.scheme = said.scheme
        if said.host:
            request.host = said.host


def _resolve(
    peer: str | None, hops: Iterator[Hop], is_trusted: Callable[[Address | None], bool]
) -> Said:
    """Walk from the nearest hop to the first untrusted one.

    Raises:
        HttpError: 400, when a value in use is malformed.
    """
    remote_addr = peer
    proto = host = None
    for hop in hops:
        proto = hop.proto or proto
        host = hop.host or host
        if hop.node is None:
            break
        address = _parse_node(hop.node)
        remote_addr = None if address is None else str(address)
        if not is_trusted(address):
            break
    if proto and proto.lower() not in SCHEMES:
        raise _malformed("scheme")
    if host and not _is_host(host):
        raise _malformed("host")
    return Said(remote_addr, SCHEMES[proto.lower()] if proto else None, host)


def _is_host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and int(found[1] or 0) < 1 << 16


def _malformed(what: str) -> HttpError:
    message = f"Malformed {what} in the proxy headers"
    return HttpError(HTTPStatus.BAD_REQUEST, message)


# The options


def _list(name: str, given: Iterable[str], wanted: str) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"{name}={given!r}: give a list, of {wanted}")
    entries = list(given)
    for entry in entries:
        if not isinstance(entry, str):
            raise TypeError(
                f"{name}: {entry!r} is not a string: write {wanted} as such"
            )
    if not entries:
        raise ValueError(f"{name} is empty: name {wanted}, or leave the extension out")
    return entries


def _parse_network(entry: str) -> Network:
    if "%" in entry:
        raise ValueError(f"trusted: {entry!r} has a zone: leave `%` and the rest out")
    try:
        network = ip_network("0.0.0.0/0" if entry == "*" else entry, strict=False)
    except ValueError as error:
        raise ValueError(
            f"trusted: {entry!r}: give an IP address, a network such as '10.0.0.0/8', "
            f"or {UNIX!r}; names are not looked up"
        ) from error
    if network.prefixlen == 0:
        raise ValueError(
            f"trusted: {entry!r} would let every client pretend to be another: name "
            "the network of your proxies, such as '10.0.0.0/8'"
        )
    if network.overlaps(_MAPPED):  # no peer has such an address, see _parse_address
        raise ValueError(
            f"trusted: {entry!r} stands for IPv4 addresses: write them as such"
        )
    address = entry.partition("/")[0]
    if ip_address(address) != network.network_address:
        raise ValueError(
            f"trusted: {entry!r} may mean two things: write '{network}' for the whole "
            f"network, or {address!r} for one address"
        )
    return network


def _reader(
    names: list[str],
) -> tuple[tuple[str, ...], Callable[[Fields], Iterator[Hop]]]:
    """Choose the fields of these names, and the function that reads them."""
    known = {name.lower(): name for name in (*X_FORWARDED, FORWARDED)}
    for name in names:
        if name.lower() not in known:
            raise ValueError(f"headers: {name!r}: give some of {list(known.values())}")
    found = {known[name.lower()] for name in names}
    if found == {FORWARDED}:
        return (FORWARDED,), _read_forwarded
    if FORWARDED in found:
        raise ValueError(
            f"headers={names!r}: give {FORWARDED!r} or the others, whichever your "
            "proxy sets: where they disagree, one of them was sent by a client"
        )
    asked = tuple(name for name in X_FORWARDED if name in found)

    def read_x_forwarded(fields: Fields) -> Iterator[Hop]:
        read = dict(zip(asked, map(_read_list, asked, fields), strict=True))
        nodes, protos, hosts = (read.get(name, []) for name in X_FORWARDED)
        # Beyond the last address, a client may have written the other fields.
        hops = zip_longest(nodes, protos, hosts)
        return islice((Hop(*hop) for hop in hops), max(1, len(nodes)))

    return asked, read_x_forwarded


# The fields


def _check_length(name: str, lines: Sequence[str]) -> None:
    """Refuse lines that are too long together.

    Raises:
        HttpError: 400.
    """
    if sum(map(len, lines)) > LONGEST:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"{name} is too long")


def _read_list(name: str, lines: Sequence[str]) -> list[str]:
    """Give the elements of a field, nearest first, without the empty ones.

    They may be empty, and on several lines: RFC 9110, sections 5.3 and 5.6.1.
    """
    _check_length(name, lines)
    elements = ",".join(lines).split(",")
    elements.reverse()
    return [found for element in elements if (found := element.strip(" \t"))]


def _read_forwarded(fields: Fields) -> Iterator[Hop]:
    """Give the hops of `Forwarded`, nearest first; a missing address is unknown.

    Raises:
        HttpError: 400, when any of it is malformed, also the client's part: a quote
            opened there would hide what a proxy has added.
    """
    elements: list[dict[str, str]] = []
    _check_length(FORWARDED, fields[0])
    # No element, and so no quote, goes beyond the end of a line.
    for line in fields[0]:
        elements += _parse_forwarded(line)
    for element in reversed(elements):
        node = element.get("for", "unknown")
        yield Hop(node, element.get("proto"), element.get("host"))


def _parse_forwarded(line: str) -> Iterator[dict[str, str]]:
    """Parse a line of `Forwarded` (RFC 7239, section 4), without its empty elements.

    Raises:
        HttpError: 400, when it is malformed, or repeats a parameter.
    """
    element: dict[str, str] = {}
    position, end = 0, ","
    while end:
        pair = _PAIR.match(line, position)
        if pair is None:
            raise HttpError(HTTPStatus.BAD_REQUEST, f"Malformed {FORWARDED}")
        if pair["name"]:
            name = pair["name"].lower()
            if name in element:
                raise HttpError(HTTPStatus.BAD_REQUEST, f"{FORWARDED} repeats {name}")
            element[name] = pair["value"] or re.sub(r"\\(.)", r"\1", pair["quoted"])
        position, end = pair.end(), pair["end"]
        if end != ";" and element:
            yield element
            element = {}


def _parse_node(text: str) -> Address | None:
    """Read the peer of a proxy, with or without a port, which is dropped.

    Returns:
        The address; None when it is `unknown` or obfuscated (RFC 7239, section 6).

    Raises:
        HttpError: 400, when it is neither.
    """
    node = _NODE.fullmatch(text)
    if node is None:
        raise _malformed("address")
    if node["hidden"]:
        return None
    address = _parse_address(node["ipv4"] or node["ipv6"] or node["bare"])
    if address is None:
        raise _malformed("address")
    return address


@lru_cache(maxsize=256)  # the same proxies come again
def _parse_address(text: str) -> Address | None:
    """Read an IP address, an IPv4-mapped one as IPv4 (RFC 4291, section 2.5.5.2).

    Sockets that listen for both give IPv4 peers such addresses.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import proxy_headers`."""
    return {"proxy_headers": proxy_headers}
