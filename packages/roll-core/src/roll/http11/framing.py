"""The framing in the head of a request: checks that llhttp does not make."""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus

from ..errors import HttpError

# uri-host of RFC 3986, section 3.2.2, and an optional port: a registered name or an
# IPv4 address, or an IP literal in brackets. Empty when the target has no authority.
_HOST = re.compile(
    rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*(?::[0-9]*)?"
    rb"|\[[0-9A-Fa-f:.v]+\](?::[0-9]*)?"
)

_DIGITS = len(str(2**64))

# An http URI has a host (RFC 9110, section 4.2.1), and no user (section 4.2.4).
_ABSOLUTE = re.compile(
    rb"https?://(?:(?:[a-z0-9\-._~!$&'()*+,;=]|%[0-9a-f]{2})+"
    rb"|\[[0-9a-f:.v]+\])(?::[0-9]*)?(?:[/?]|\Z)",
    re.IGNORECASE,
)


def check_host(
    fields: Sequence[tuple[bytes, bytes]], known: Mapping[bytes, bytes], version: str
) -> None:
    """Require a single well-formed `Host` in HTTP/1.1; in 1.0 it may be missing.

    Args:
        fields: Names in upper case and values, as received.
        known: The same as a mapping.
        version: `"1.0"` or `"1.1"`.

    Raises:
        HttpError: 400 (RFC 9112, section 3.2).
    """
    host = known.get(b"HOST")
    if host is None:
        if version == "1.1":
            raise HttpError(HTTPStatus.BAD_REQUEST, "Host is missing")
    elif not _is_host(host):
        raise HttpError(HTTPStatus.BAD_REQUEST, "Malformed Host")
    elif len(known) != len(fields) and sum(name == b"HOST" for name, _ in fields) > 1:
        raise HttpError(HTTPStatus.BAD_REQUEST, "Host is given twice")


@lru_cache(maxsize=256)  # for a known host, a quarter of the time of the expression
def _is_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None


def keeps_alive(connection: Collection[str], version: str) -> bool:
    """Whether a client lets the connection stay open (RFC 9112, section 9.3).

    Args:
        connection: The options of `Connection`, in lower case.
        version: `"1.0"` or `"1.1"`.
    """
    if "close" in connection:  # it wins over `keep-alive`
        return False
    return version == "1.1" or "keep-alive" in connection


def check_target(method: str, target: bytes) -> None:
    """Check that the form of the target fits the method.

    Raises:
        HttpError: 400 (RFC 9112, section 3.2).
    """
    if method == "CONNECT":  # also a path: routes may be declared for any method
        fits = target.startswith(b"/") or (target != b"" and _is_host(target))
    elif target == b"*":
        fits = method == "OPTIONS"
    else:
        fits = target.startswith(b"/") or _ABSOLUTE.match(target) is not None
    if not fits or target.find(b"#") >= 0:  # `in` takes five times as long
        raise HttpError(HTTPStatus.BAD_REQUEST, "Malformed request target")


def content_length(
    fields: Sequence[tuple[bytes, bytes]], known: Mapping[bytes, bytes], version: str
) -> int | None:
    """Read the size of the body that follows.

    llhttp has refused everything except one Content-Length of ASCII digits, and both
    fields together.

    Args:
        fields: Names in upper case and values, as received.
        known: The same as a mapping.
        version: `"1.0"` or `"1.1"`.

    Returns:
        Bytes; 0 without a body; None for a chunked one.

    Raises:
        HttpError: 400, when Transfer-Encoding is not exactly `chunked`, or comes in
            HTTP/1.0 (RFC 9112, section 6.1); or for a length with too many digits, as
            llhttp accepts leading zeros.
    """
    encoding = known.get(b"TRANSFER-ENCODING")
    if encoding is None:
        length = known.get(b"CONTENT-LENGTH", b"0")
        if len(length) > _DIGITS:
            raise HttpError(HTTPStatus.BAD_REQUEST, "Malformed Content-Length")
        return int(length)
    given = sum(name == b"TRANSFER-ENCODING" for name, _ in fields)
    if encoding.lower() != b"chunked" or given > 1 or version == "1.0":
        raise HttpError(HTTPStatus.BAD_REQUEST, "Unsupported Transfer-Encoding")
    return None


def read_fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Cut the fields out of a head that llhttp has accepted.

    Args:
        head: From the request line to the empty line, which ends it.

    Returns:
        Names in upper case, and values without the whitespace around them.
    """
    fields = []
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        fields.append((name.upper(), value.strip(b" \t")))
    return fields
