"""Answer: how a response goes on the wire, and whether the connection outlives it."""

from collections.abc import Iterable
from typing import Any

from ..response import Response, encode_body
from . import writer

COPIED = 64 * 1024
"""Bytes of a body up to which one write of head and body beats not copying it."""

_SERVERS = frozenset({"date", "server"})
"""Fields that a server adds, unless a view has set them: neither is sent twice."""

_BARE = frozenset({"HEAD", "CONNECT"})
"""Methods whose answers may have no body."""

Answer = tuple[bytes, Any, bool, int | None, bool]
"""A response, ready to be sent; a named tuple would take ten times as long to make.

- its head, and behind it the body if that is small;
- its body, None when it goes without or stands behind the head: bytes, or an async
  iterable;
- whether the pieces of an async iterable are sent as chunks;
- the bytes that an async iterable has promised, None when it has not;
- whether the connection closes after it.
"""


def frame(
    response: Response,
    method: str = "GET",
    version: str = "1.1",
    close: bool = False,
    extra: bytes = b"",
    switches: bool = False,
) -> Answer:
    """Settle head and framing of an answer (RFC 9112, sections 6 and 9.3).

    Args:
        response: What the view left.
        method: Of the request: an answer to HEAD has no body.
        version: Of the request: HTTP/1.0 knows no chunks, and closes unless told.
        close: Whether the connection has to close in any case.
        extra: Lines of the server, such as `Date`, each with its CRLF.
        switches: Whether another protocol takes the connection over.

    Raises:
        ValueError: The response would break HTTP: `writer.fields` refuses a field, the
            Content-Length is not the body's, or the status only announces an answer.
        TypeError: A name or a value of a field is not text.
    """
    status = response._status
    start = writer.STATUS_LINES[status]
    headers = response.headers
    cookies = writer.cookies(response._cookies.values()) if response._cookies else b""
    body = response.body
    if (
        type(body) is bytes
        and len(body) <= COPIED
        and len(headers) == 1
        and type(kind := headers.get("Content-Type")) is str
        and version == "1.1"
        and not close
        and method not in _BARE
        and status not in writer.BODILESS
    ):  # what most answers are: one format instead of all that follows
        lines = writer.content_type(kind)
        return (
            b"%b%b%bContent-Length: %d\r\n%b\r\n%b"
            % (start, cookies, lines, len(body), extra, body),
            None,
            False,
            None,
            False,
        )
    streams = hasattr(body, "__aiter__")
    if not streams:
        body = encode_body(body)
    lines, length, closes = writer.fields(status, headers)
    close = close or closes
    chunked = False
    framing = b""
    if status in writer.BODILESS or (method == "CONNECT" and status < 300):
        body = None  # a tunnel has no length (RFC 9110, section 9.3.6)
        if status in writer.INTERIM and not (switches and status == 101):
            raise ValueError(f"{status} is not the status of a whole answer")
    elif streams:
        if length is None and version == "1.0":
            close = True
        elif length is None:
            chunked = True
            framing = b"Transfer-Encoding: chunked\r\n"
    elif length is None:
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
    head = b"".join((start, cookies, lines, framing, extra, b"\r\n"))
    if body is not None and not streams and len(body) <= COPIED:
        head, body = head + body, None
    return head, body, chunked, length, close


def _leave_out(extra: bytes, headers: Iterable[str]) -> bytes:
    """Drop the lines that have the name of one of *headers*."""
    names = {name.lower().encode("latin-1", "replace") for name in headers}
    lines = extra.splitlines(keepends=True)
    return b"".join(
        line for line in lines if line.partition(b":")[0].lower() not in names
    )
