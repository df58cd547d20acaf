"""Bytes of a status line, a head, a chunk: pure functions and tables (RFC 9112)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from .errors import PHRASES

STATUS_LINES = {
    status: f"HTTP/1.1 {status} {phrase}\r\n".encode()
    for status, phrase in PHRASES.items()
}
"""The status line of each known status, with its end."""

INTERIM = frozenset(status for status in HTTPStatus if status < 200)
"""Statuses that announce an answer (RFC 9110, section 15.2)."""

BODILESS = INTERIM | {204, 304}
"""Statuses whose answers never have a body (RFC 9110, section 6.4.1)."""

_LENGTHLESS = BODILESS - {304}  # RFC 9110, section 8.6

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

_FRAMING_LENGTHS = frozenset(map(len, _FRAMING))
"""Few other names are as long: their length takes half the time of `lower()`."""


def fields(status: int, headers: Mapping[str, Any]) -> tuple[bytes, int | None, bool]:
    """Write the fields of an answer, but for its cookies.

    Args:
        status: A key of `STATUS_LINES`.
        headers: Names and values; a list or tuple value becomes repeated lines.

    Returns:
        The lines, each with its CRLF; the Content-Length in bytes, None when there is
        none; whether the fields close the connection.

    Raises:
        ValueError: A name or value holds CR, LF or NUL or is not latin-1,
            Content-Length is not one number, or Transfer-Encoding is set, which is
            Roll's to decide.
    """
    length: int | None = None
    close = False
    lines = ""
    count = 0
    for name, value in headers.items():
        if len(name) in _FRAMING_LENGTHS and (lower := name.lower()) in _FRAMING:
            if lower == "content-length":
                if length is not None:
                    raise ValueError("Content-Length is set twice")
                length = _content_length(value)
                if status in _LENGTHLESS:
                    continue
            elif lower == "transfer-encoding":
                raise ValueError("Transfer-Encoding is not a view's to set")
            else:
                close = "close" in str(value).lower()
        if type(value) is not str and isinstance(value, (list, tuple)):
            for item in value:
                lines += f"{name}: {item}\r\n"
            count += len(value)
        else:
            lines += f"{name}: {value}\r\n"
            count += 1
    return _checked(lines, count).encode("latin-1"), length, close


@lru_cache(maxsize=256)  # an application has few: a tenth of the time
def content_type(value: str) -> bytes:
    """Write the one field that most answers have; otherwise as `fields` does."""
    return fields(200, {"Content-Type": value})[0]


def cookies(jar: Iterable[object]) -> bytes:
    """Write Set-Cookie fields; `str()` of each cookie is the value of one.

    Raises:
        ValueError: A cookie holds CR, LF or NUL or is not latin-1.
    """
    lines = ""
    for cookie in jar:
        value = str(cookie)
        line = f"Set-Cookie: {value}\r\n"
        lines += line if value.isprintable() else _checked(line, 1)
    return lines.encode("latin-1")


def _checked(lines: str, count: int) -> str:
    """Require that there are *count* lines.

    One look at all of them costs less than one at each: a line end more than was
    written can only come from within a name or a value.
    """
    if lines.count("\n") != count or lines.count("\r") != count or "\0" in lines:
        raise ValueError(f"CR, LF or NUL in a header: {lines!r}")
    return lines


def _content_length(value: object) -> int:
    digits = str(value)
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"Content-Length is no number of bytes: {value!r}")
    return int(digits)


def chunk(data: bytes | bytearray | memoryview) -> tuple[bytes, bytes, bytes]:
    """Frame *data*, which is not empty, as one chunk (RFC 9112, section 7.1).

    Returns:
        Its pieces, so that what is bytes already is not copied.
    """
    return b"%x\r\n" % len(data), bytes(data), b"\r\n"
