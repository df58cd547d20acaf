"""Writer: turns a response into the bytes on the wire (RFC 9112)."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

from ..cookies import Cookie
from ..errors import PHRASES
from ..response import (
    BODILESS,
    INTERIM,
    LENGTHLESS,
    Preset,
    Response,
    encode_body,
    has_text,
    read_length,
)
from .body import LARGE


class _StatusLines(dict[int, bytes]):
    def __missing__(self, status: int) -> bytes:
        return b"HTTP/1.1 %d \r\n" % status


STATUS_LINES = _StatusLines(
    (status, f"HTTP/1.1 {status} {phrase}\r\n".encode())
    for status, phrase in PHRASES.items()
)
"""The status line of each status, with its CRLF; an unknown one has no phrase."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]++")
"""The name of a field (RFC 9110, section 5.1)."""

_VALUE = re.compile(r"[\t -~\x80-\xff]*+")
"""The value of a field (RFC 9110, section 5.5): no control characters but HTAB."""

_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*+")
"""A value before it is percent-encoded: no control character, no lone surrogate."""

_URIS = frozenset({"location", "content-location", "link"})
"""Fields that hold URI references (RFC 9110, section 4.1; RFC 8288, section 3)."""

_TELLING = _URIS | {"content-length", "transfer-encoding", "connection"}
"""Fields that are not just written."""

_URI_SAFE = "%:/?#[]@!$&'()*+,;=-._~"
"""The characters of a URI (RFC 3986, section 2), besides letters and digits."""

_LINK = re.compile("<([^<>]*+)>")


def fields(status: int, headers: Mapping[str, Any]) -> tuple[bytes, int | None, bool]:
    """Write the fields of a response, except its cookies.

    Args:
        status: A key of `STATUS_LINES`.
        headers: Names and values; a list or tuple value becomes repeated lines.

    Returns:
        The lines, each with its CRLF; the Content-Length in bytes, or None; whether the
        fields close the connection.

    Raises:
        ValueError: A name is not a token, a value has a control character or is not
            latin-1, Content-Length is not one number, or Transfer-Encoding is set,
            which only Roll may do. The message contains no value, which may be secret.
        TypeError: A name is not a string, or a value is bytes, None, or an object
            without a text of its own, such as a dict.
    """
    length: int | None = None
    close = False
    lines = ""
    for name, value in headers.items():
        start, framing = _read_name(name)
        if framing is not None:
            if framing == "content-length":
                length = read_length(value)
                if status in LENGTHLESS:
                    continue
            elif framing == "transfer-encoding":
                raise ValueError("Transfer-Encoding cannot be set: Roll decides it")
            elif framing == "connection":
                close = "close" in str(value).lower()
            else:
                value = _encode_uris(name, framing, value)
        if type(value) is str and value.isascii() and value.isprintable():
            lines += f"{start}{value}\r\n"  # as most are
        elif isinstance(value, (list, tuple)):
            for item in value:
                lines += f"{start}{_read_value(name, item)}\r\n"
        else:
            lines += line(name, value)
    return lines.encode("latin-1"), length, close


def line(name: str, value: object) -> str:
    """Write one field, in latin-1, with its CRLF.

    Raises:
        ValueError: As `fields` does, except about the framing.
        TypeError: As `fields` does.
    """
    return f"{_read_name(name)[0]}{_read_value(name, value)}\r\n"


@lru_cache(maxsize=256)  # an application has few: this takes a tenth of the time
def content_type(value: str) -> bytes:
    """Write the only field that most responses have, as `fields` does."""
    return fields(200, {"Content-Type": value})[0]


_USUAL = frozenset({"Content-Type", "Vary", "Cache-Control"})
"""Fields that have few different values in an application."""


@lru_cache(maxsize=256)
def _usual_line(name: str, value: str) -> bytes:
    return fields(200, {name: value})[0]


def _usual_lines(headers: Mapping[str, Any]) -> bytes | None:
    """Write a type and other usual fields; None if there are others."""
    if not (_USUAL.issuperset(headers) and _has(headers, "Content-Type")):
        return None
    lines = b""
    for name, value in headers.items():
        if type(value) is not str:
            return None
        lines += _usual_line(name, value)
    return lines


def cookies(jar: Mapping[str, object]) -> bytes:
    """Write the Set-Cookie fields; `str()` of a cookie is the value of its field.

    Raises:
        TypeError: A cookie is a plain value, not set by `Cookies.set`.
        ValueError: A cookie has a control character or is not latin-1.
    """
    lines = ""
    for name, cookie in jar.items():
        if type(cookie) is not Cookie and isinstance(cookie, (str, bytes, int)):
            raise TypeError(
                f"the cookie {name!r} is of type {type(cookie).__name__}: "
                f"write response.cookies.set({name!r}, ...)"
            )
        value = str(cookie)
        if not (value.isascii() and value.isprintable()):
            _read_value(f"Set-Cookie: {value.partition('=')[0]}", value)
        lines += f"Set-Cookie: {value}\r\n"
    return lines.encode("latin-1")


def drop_unsendable(response: Response) -> None:
    """Remove the fields and the cookies that cannot be sent from a response."""
    for name, value in [*response.headers.items()]:
        try:
            fields(HTTPStatus.OK, {name: value})
        except Exception:  # also from the `__str__` of a value
            response.headers.pop(name)
    jar = response.cookies if response.has_cookies else {}
    for name, cookie in [*jar.items()]:
        try:
            cookies({name: cookie})
        except Exception:
            jar.pop(name)


@lru_cache(maxsize=1024)  # an application has few names
def _read_name(name: str) -> tuple[str, str | None]:
    """Check a field's name, and give the beginning of its line and what it frames.

    Returns:
        The name with a colon and a space; the name in lower case if it is one of
        `_TELLING`, otherwise None.
    """
    if not isinstance(name, str):
        raise TypeError(f"the header name {name!r} is not a string")
    if not _TOKEN.fullmatch(name):
        raise ValueError(
            f"the header name {name!r} is not a token (RFC 9110, section 5.1): "
            "it may have letters, digits and !#$%&'*+-.^_`|~"
        )
    lower = name.lower()
    return f"{name}: ", lower if lower in _TELLING else None


def _encode_uris(name: str, lower: str, value: object) -> str | list[str]:
    """Percent-encode what a URI may not contain, as UTF-8 (RFC 3986, section 2.1).

    Raises:
        ValueError: *value* has a control character, or a lone surrogate.
    """
    if isinstance(value, (list, tuple)):
        return [cast(str, _encode_uris(name, lower, item)) for item in value]
    text = _read_value(name, value, _PRINTABLE)
    if lower != "link":
        return quote(text, safe=_URI_SAFE)
    return _LINK.sub(lambda found: f"<{quote(found[1], safe=_URI_SAFE)}>", text)


def _read_value(name: str, value: object, pattern: re.Pattern[str] = _VALUE) -> str:
    """Check a field's value, and give it as a string."""
    if (
        value is None
        or isinstance(value, (bytes, bytearray, memoryview))
        or not has_text(value)
    ):
        kind = type(value).__name__
        raise TypeError(f"the header {name!r} is {kind}: give a string")
    text = str(value)
    if not pattern.fullmatch(text):
        raise ValueError(
            f"the header {name!r} has a control character, such as a line feed, "
            "or a character that is not in latin-1"
        )
    return text


def chunk(data: bytes | bytearray | memoryview) -> bytes | tuple[bytes, bytes, bytes]:
    """Frame *data*, which is not empty, as one chunk (RFC 9112, section 7.1).

    Returns:
        The whole chunk, or the pieces of a large one: bytes are not copied then.
        Sending a small one in pieces takes longer than copying it.
    """
    if len(data) < LARGE:
        return b"%x\r\n%b\r\n" % (len(data), bytes(data))
    return b"%x\r\n" % len(data), bytes(data), b"\r\n"


COPIED = 64 * 1024
"""The largest body that is faster to copy into one write with its head, in bytes."""

# Those of Headers take longer: they find a name in upper or lower case.
_get, _has = dict.get, dict.__contains__

_SERVERS = frozenset({"date", "server"})
"""Fields that a server adds unless a view has set them."""

_OK = HTTPStatus.OK

_BARE = frozenset({"HEAD", "CONNECT"})
"""Methods whose responses may have no body."""


class Framed:
    """A response, ready to be sent, for which one write of its bytes is not enough."""

    __slots__ = ("body", "chunked", "close", "head", "length")

    def __init__(
        self,
        head: bytes,
        body: Any = None,
        chunked: bool = False,
        length: int | None = None,
        close: bool = False,
    ) -> None:
        self.head = head
        """The head, followed by the body if that is small."""
        self.body = body
        """Bytes or an async iterable; None if there is none, or it follows in
        `head`."""
        self.chunked = chunked
        """Whether the pieces of an async iterable are sent as chunks."""
        self.length = length
        """The length of an async iterable in bytes, or None if unknown."""
        self.close = close
        """Whether the connection closes after it."""


def frame(
    response: Response,
    method: str = "GET",
    version: str = "1.1",
    close: bool = False,
    extra: bytes = b"",
    switches: bool = False,
) -> bytes | Framed:
    """Determine head and framing of a response (RFC 9112, sections 6 and 9.3).

    Args:
        response: The response of the view.
        method: The method of the request: a response to HEAD has no body.
        version: The version of the request: HTTP/1.0 has no chunks, and closes by
            default.
        close: Whether the connection has to close in any case.
        extra: The lines that the server adds, such as `Date`, each with its CRLF.
        switches: Whether another protocol takes the connection over.

    Returns:
        The bytes of the response, if it is small and the connection stays open.

    Raises:
        ValueError: The response would break HTTP: `fields` rejects a field, the
            Content-Length is not that of the body, or the status only announces a
            response.
        TypeError: A name or a value of a field is not a string.
    """
    status = response._status
    start = STATUS_LINES[status]
    headers = response._headers
    jar = response._cookies
    set_cookies = cookies(jar) if jar else b""
    body = response.body
    if type(body) is str:
        body = body.encode()
    if (
        type(body) is bytes
        and len(body) <= COPIED
        and version == "1.1"
        and not close
        and (method == "GET" or method not in _BARE)
        and (status is _OK or status not in BODILESS)
    ):  # true of most responses: one format replaces all that follows
        usual: bytes | None
        if headers:
            if len(headers) == 1 and type(_get(headers, "Content-Type")) is str:
                usual = content_type(headers["Content-Type"])
            else:
                usual = _usual_lines(headers)
        elif headers is None and (preset := response._preset) is not None:
            usual = preset.lines or _write_preset(preset)
            if preset.length is not None and preset.length != len(body):
                usual = None
        else:
            usual = _type_of_untyped(response, bool(extra)) if body else b""
        if usual is not None:
            parts = (start, set_cookies, usual, len(body), extra, body)
            return b"%b%b%bContent-Length: %d\r\n%b\r\n%b" % parts
    streams = False
    if type(body) is not bytes:
        streams = hasattr(body, "__aiter__")
        if not streams:
            body = encode_body(body)
    if headers is None:
        headers = response.headers
    lines, length, closes = fields(status, headers)
    if (streams or body) and status not in BODILESS and "Content-Type" not in headers:
        served = bool(extra) and "X-Content-Type-Options" not in headers
        lines += _type_of_untyped(response, served)
    close = close or closes
    chunked = False
    framing = b""
    if status in BODILESS or (method == "CONNECT" and status < 300):
        body = None  # a tunnel has no length (RFC 9110, section 9.3.6)
        if status in INTERIM and not (switches and status == 101):
            raise ValueError(f"{status} is not the status of a whole response")
        if status == HTTPStatus.RESET_CONTENT:  # RFC 9110, section 15.3.6
            framing = b"Content-Length: 0\r\n"
    elif streams:
        if length is None and version == "1.0":
            close = True
        elif length is None:
            chunked = True
            framing = b"Transfer-Encoding: chunked\r\n"
    elif length is None:
        if body or method != "HEAD":  # the view of a HEAD route may omit it
            framing = b"Content-Length: %d\r\n" % len(body)
    elif length != len(body) and method != "HEAD":
        raise ValueError(f"Content-Length is {length}, the body has {len(body)} bytes")
    if method == "HEAD":
        body = None
    if close:
        if not closes:
            framing += b"Connection: close\r\n"
    elif version == "1.0":
        framing += b"Connection: keep-alive\r\n"
    if extra and not _SERVERS.isdisjoint(map(str.lower, headers)):
        extra = _leave_out(extra, headers)
    head = b"".join((start, set_cookies, lines, framing, extra, b"\r\n"))
    if not streams and (body is None or len(body) <= COPIED):
        head, body = head if body is None else head + body, None
        if not close:
            return head
    return Framed(head, body, chunked, length, close)


def _write_preset(preset: Preset) -> bytes:
    others = preset.fields.items()
    written = {
        name: value for name, value in others if name.lower() != "content-length"
    }
    preset.lines = fields(HTTPStatus.OK, written)[0]
    return preset.lines


def _type_of_untyped(response: Response, served: bool) -> bytes:
    """Write the line for the type of a body for which none is set.

    Args:
        response: The response, whose app may have a default type.
        served: Whether a browser may read it. It must not guess: a text that begins
            with a tag would run as a page (Fetch, section 3.6).
    """
    default = None if response.app is None else response.app.default_content_type
    if default is not None:
        return content_type(default)
    return b"X-Content-Type-Options: nosniff\r\n" if served else b""


def _leave_out(extra: bytes, headers: Iterable[str]) -> bytes:
    """Drop the lines whose name is in *headers*."""
    names = {name.lower().encode("latin-1", "replace") for name in headers}
    lines = extra.splitlines(keepends=True)
    return b"".join(
        line for line in lines if line.partition(b":")[0].lower() not in names
    )
