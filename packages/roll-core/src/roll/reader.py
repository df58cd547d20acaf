"""From bytes to requests (RFC 9112): what llhttp checks, and what it leaves open."""

import logging
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from .body import Body
from .errors import HttpError
from .framing import check_host, check_target, content_length, is_host, keeps_alive
from .limits import Limits
from .request import Request

if TYPE_CHECKING:
    from .app import Roll

logger = logging.getLogger("roll")

Fields = Sequence[tuple[bytes, bytes]]
"""Names in upper case and values, as received."""

END = b"\r\n\r\n"
"""What ends a head, and a chunked body: an empty line."""

SLICE = 4 * 1024
"""Bytes of chunks read before their reader may pause: they may be thousands."""

# What says more than where a head ends. A field begins behind a line's end, and values
# hold none.
_TELLING = re.compile(
    rb"\n(host|connection|content-length|expect|transfer-encoding|upgrade)"
    rb":[ \t]*([^\r]*)",
    re.IGNORECASE,
)


class MessageReader:
    """The incoming half of a connection: it makes requests, and does no I/O.

    llhttp, by httptools, says whether a head is one. What it holds is then cut from its
    bytes, and most of it when somebody asks: a callback for each field would take
    longer than all else, and says nothing of what stands between them. So each feed
    ends where a head does, and a body of known length is not parsed at all.

    The other half, HttpProtocol, says what to do with a request and with an error.

    Args:
        app: The app whose requests and limits these are.
    """

    __slots__ = (
        "_at",
        "_chunks",
        "_deaf",
        "_held",
        "_incoming",
        "_pending",
        "_progress",
        "_rest",
        "_seen",
        "_tail",
        "_trailers",
        "app",
        "parser",
    )

    def __init__(self, app: "Roll") -> None:
        self.app = app
        self.parser = HttpRequestParser(None)
        self._held = b""  # what came, and is not all read
        self._at = 0  # where the rest of it begins
        self._seen = 0  # bytes of the rest that are a part of a head
        self._incoming: Request | None = None  # its body is being read
        self._chunks: HttpRequestParser | None = None  # of that body
        self._tail = b""  # of what this one was fed
        self._trailers: list[tuple[bytes, bytes]] = []
        self._progress = 0  # heads and pieces of bodies that came
        self._pending = 0  # bytes that came since, and made no progress
        self._deaf = False  # what comes is not parsed any more
        self._rest: bytes | None = None  # what comes is for who takes over

    # What the other half does

    def _take(self, request: Request) -> None:
        """Note a request whose head is complete: it is to be served next."""

    def _refuse(self, error: HttpError, method: str = "GET") -> None:
        """Answer *error* to what cannot be served; nothing after it is read."""

    def _skip_too_much(self) -> None:
        """End the connection: an unread body is too large to be skipped."""

    def pause_body(self) -> None:
        """Stop reading: the view is slower than the client."""

    def resume_body(self) -> None:
        """Read on."""

    def continue_body(self) -> None:
        """Ask for the body of a message with `Expect: 100-continue`."""

    # Bytes

    def _hold(self, data: bytes) -> None:
        """Take what came."""
        self._held = self._held[self._at :] + data if self._held else data
        self._at = 0

    # Heads

    def _read_head(self) -> bool:
        """Read the next head.

        Returns:
            Whether that could be done; False when more of it has to come.
        """
        data, at, seen = self._held, self._at, self._seen
        end = data.find(END, at + seen - 3 if seen > 3 else at) + 4
        complete = end > 3
        head = data[at:end] if complete else data[at:]
        upgrading = False
        try:
            self.parser.feed_data(memoryview(head)[seen:] if seen else head)
            if complete:
                self._at, self._seen = end, 0
            else:
                self._keep_head(head)
                return False
        except HttpParserUpgrade:
            self._at, self._seen = end, 0
            upgrading = True
        except HttpParserError as error:
            self._refuse(_as_http_error(error), method_of(head))
            return True
        except HttpError as error:
            self._refuse(error, method_of(head))
            return True
        # Out of the `except`, which would be the context of what is raised next.
        try:
            while head.startswith(b"\r\n"):
                head = self._skip_line(head)
            if head:
                self._make_request(head, upgrading)
        except HttpError as error:
            self._refuse(error, method_of(head))
        return True

    def _keep_head(self, head: bytes) -> None:
        """Wait for the rest of a head, unless it is too large already."""
        if head == b"\r\n":
            self._at += 2
            self._seen = 0
            self._skip_line(head)
            return
        limits = self.app.limits
        start = head.find(b" ") + 1
        line = head.partition(b"\r\n")[0]
        target = line[start:].partition(b" ")[0] if start else b""
        if len(target) > limits.target:
            raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG)
        if len(head) > _most(limits) or head.count(b"\n") - 1 > limits.fields:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._seen = len(head)

    def _skip_line(self, head: bytes) -> bytes:
        """Drop an empty line before a request line (RFC 9112, section 2.2)."""
        self._count_waste(2)
        return head[2:]

    def _count_waste(self, size: int) -> None:
        """See that what comes makes a message some time."""
        self._pending += size
        if self._pending > _most(self.app.limits):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _make_request(self, head: bytes, upgrading: bool) -> None:
        """Check what llhttp leaves to us, and note the request to be served."""
        method, url, version = self._read_line(head[: head.find(b"\r\n")])
        app = self.app
        limits = app.limits
        request = app.Request(app, self)  # type: ignore[arg-type]  # half of it
        request.head = head
        request.url = url
        request._method = name = method.decode()
        size = len(head)
        if len(url) > limits.target:
            raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG)
        # Most heads are smaller than one field may be: these are not counted.
        if head.count(b"\n") > limits.fields + 2 or (
            (size > limits.field or size > limits.head)
            and not _fit(request.fields, (), limits)
        ):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        telling = _TELLING.findall(head)
        if (
            len(telling) == 1
            and len(telling[0][0]) == 4
            and version == b"HTTP/1.1"
            and not upgrading
        ):
            check_target(name, url)
            if not is_host(telling[0][1].rstrip(b" \t")):  # no other name has 4 letters
                raise HttpError(HTTPStatus.BAD_REQUEST, "Malformed Host")
        else:
            self._read_framing(request, version, telling, upgrading)
        self._progress += 1
        self._pending = 0
        if request.content is not None:
            self._await_body(request, request.content)
        elif not request.keep_alive:
            self._deaf = True
        self._take(request)

    def _read_line(self, line: bytes) -> list[bytes]:
        """Split the request line (RFC 9112, section 3).

        llhttp also takes several spaces in it, and CR or LF before it.

        Raises:
            HttpError: 400, or 505 without a version.
        """
        pieces = line.split(b" ")
        if len(pieces) == 2:
            raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        if len(pieces) != 3 or pieces[0] != self.parser.get_method():
            raise HttpError(HTTPStatus.BAD_REQUEST)
        return pieces

    def _read_framing(
        self, request: Request, version: bytes, telling: Fields, upgrading: bool
    ) -> None:
        """Read what the header says of a body, and of other protocols."""
        if version == b"HTTP/1.0":
            request.version = "1.0"
        elif version != b"HTTP/1.1":  # RTSP and ICE are llhttp's, too
            raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        fields = [(name.upper(), value.rstrip(b" \t")) for name, value in telling]
        known = dict(fields)
        connection = _tokens(fields, b"CONNECTION")
        request.keep_alive = keeps_alive(connection, request.version)
        check_target(request._method, request.url)
        check_host(fields, known, request.version)
        length = content_length(fields, known, request.version)
        modern = request.version == "1.1"
        if request._method == "CONNECT":
            request.keep_alive = False  # and what follows is not for us
        elif length != 0:
            waits = modern and known.get(b"EXPECT", b"").lower() == b"100-continue"
            request.content = Body(self, self.app.limits.buffer, length, waits)
        if upgrading and modern and request.keep_alive:  # RFC 9110, section 7.8
            request.upgrade = _tokens(fields, b"UPGRADE")
            # Elsewhere the message is served as if there were no offer.
            if request.upgrade and _switches(request):
                self._rest = self._held[self._at :]
                self._deaf = True

    # Bodies

    def _await_body(self, request: Request, content: Body) -> None:
        """Let what follows be the body; what needs no parsing, llhttp is not shown."""
        if self._deaf:  # it is not a body, but for another protocol
            content.finish()
            return
        self._incoming = request
        self.parser = HttpRequestParser(None)  # the old one waits for the body
        if content.length is None:
            self._chunks = HttpRequestParser(self)
            # After a message that closes, llhttp refuses whatever follows.
            self._chunks.feed_data(
                b"POST / HTTP/1.1\r\nConnection: close\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            self._trailers.clear()  # these were no trailers

    def _read_body(self, request: Request) -> None:
        """Read the next piece of the body of *request*."""
        content: Body = request.content  # type: ignore[assignment]  # it has one
        if content.length is None:
            self._read_chunks()
            return
        piece = self._held[self._at : self._at + content.missing]
        self._at += len(piece)
        self._read_piece(content, piece)
        if not content.missing:
            self._finish(request)

    def _read_chunks(self) -> None:
        """Let llhttp read chunks, up to the next empty line: it may end the body."""
        data, at, tail = self._held, self._at, self._tail
        stop = min(at + SLICE, len(data))
        across = (tail + data[at : at + 3]).find(END)
        if across >= 0:  # it began in what came before
            stop = at + across + 4 - len(tail)
        else:
            end = data.find(END, at, stop)
            if end >= 0:
                stop = end + 4
        piece = data[at:stop]
        self._at = stop
        self._tail = (tail + piece)[-3:]
        progress = self._progress
        chunks: HttpRequestParser = self._chunks  # type: ignore[assignment]
        try:
            chunks.feed_data(piece)
            if self._progress == progress:
                self._count_waste(len(piece))
            else:
                self._pending = 0
        except HttpParserError as error:
            self._refuse(_as_http_error(error))
        except HttpError as error:
            self._refuse(error)

    def _read_piece(self, content: Body, piece: bytes) -> None:
        self._progress += 1
        content.feed(piece)
        if content.discarded > self.app.limits.unread:
            self._skip_too_much()

    def _finish(self, request: Request) -> None:
        """Note the end of a message; after the last one nothing is read."""
        content: Body = request.content  # type: ignore[assignment]  # it has one
        self._incoming = None
        content.finish()
        if not request.keep_alive:
            self._deaf = True

    # What httptools calls for chunks

    def on_body(self, data: bytes) -> None:
        """Take what is in a chunk."""
        request: Request = self._incoming  # type: ignore[assignment]
        self._read_piece(request.content, data)  # type: ignore[arg-type]

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a field of the trailers, dropped later (RFC 9112, section 7.1.2)."""
        self._trailers.append((name, value.rstrip(b" \t")))
        if len(self._trailers) > self.app.limits.fields:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_complete(self) -> None:
        """Note the last chunk."""
        request: Request = self._incoming  # type: ignore[assignment]
        if self._trailers and not _fit(self._trailers, request.fields, self.app.limits):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._chunks, self._tail = None, b""
        self._trailers.clear()
        self._finish(request)


def _most(limits: Limits) -> int:
    """Count a target and fields within their limits, and what stands between them."""
    return limits.target + limits.head + 8 * (limits.fields + 8)


def _fit(fields: Fields, before: Fields, limits: Limits) -> bool:
    """Whether fields are within their limits; all before them count, too."""
    sizes = [len(name) + len(value) for name, value in fields]
    total = sum(sizes) + sum(len(name) + len(value) for name, value in before)
    return total <= limits.head and max(sizes, default=0) <= limits.field


def method_of(head: bytes) -> str:
    """Tell of a head that is refused what its answer depends on."""
    return "HEAD" if head.lstrip(b"\r\n").startswith(b"HEAD ") else "GET"


def _tokens(fields: Fields, name: bytes) -> tuple[str, ...]:
    """Split the list of tokens in a field, in lower case (RFC 9110, section 5.6.1)."""
    values = [value for known, value in fields if known == name]
    tokens = b",".join(values).decode("latin-1").lower().split(",")
    return tuple(token.strip() for token in tokens if token.strip())


def _switches(request: Request) -> bool:
    try:
        return request.endpoint.switches
    except HttpError:  # a path that does not decode, which is answered later
        return False


# What llhttp says, where the answer is another than 400.
_PARSER_STATUSES = {
    "Invalid method encountered": HTTPStatus.NOT_IMPLEMENTED,
    "Expected space after method": HTTPStatus.NOT_IMPLEMENTED,
    "Invalid method for HTTP/x.x request": HTTPStatus.NOT_IMPLEMENTED,
    "Invalid HTTP version": HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    "Pause on PRI/Upgrade": HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    "Expected HTTP/2 Connection Preface": HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
}


def _as_http_error(error: HttpParserError) -> HttpError:
    """Find the answer to what the parser, or a callback of ours, raised."""
    cause = error.__context__
    if isinstance(cause, HttpError):
        return cause
    if cause is not None:
        logger.error("A callback of the parser failed", exc_info=cause)
        return HttpError(HTTPStatus.INTERNAL_SERVER_ERROR)
    return HttpError(_PARSER_STATUSES.get(str(error), HTTPStatus.BAD_REQUEST))
