"""From bytes to requests (RFC 9112): what llhttp checks, and what it leaves open."""

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Any

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from ..errors import HttpError
from ..limits import Limits
from ..logs import logger
from ..request import Request
from .body import Body
from .chunks import END, Chunks
from .framing import check_host, check_target, content_length, keeps_alive

if TYPE_CHECKING:
    from ..app import Roll

Fields = Sequence[tuple[bytes, bytes]]
"""Names in upper case and values, as received."""

_HTTP_11, _HTTP_10 = b"HTTP/1.1\r", b"HTTP/1.0\r"

# What says more than where a head ends. A field begins behind a line's end, and its
# value holds none.
_TELLING = re.compile(
    rb"\n(host|connection|content-length|expect|proxy-connection|transfer-encoding"
    rb"|upgrade):[ \t]*+([^\r]*+)",
    re.IGNORECASE,
)

_USUAL = frozenset((b"HOST", b"CONNECTION", b"CONTENT-LENGTH"))
"""What of it does not keep a header from being compared with the next one."""

_NAMES = {name.encode(): name.value for name in HTTPMethod if name != "CONNECT"}
"""Methods whose heads llhttp reads alike."""

_PLAIN = bytes(range(ord("!"), ord("~") + 1)).replace(b"#", b"")
"""What llhttp takes anywhere in a path and a query."""

REMEMBERED = 1024
"""Bytes of a header up to which the next one is compared with it."""


class MessageReader:
    """The incoming half of a connection: it makes requests, and does no I/O.

    llhttp, by httptools, says whether a head is one. What it holds is then cut from its
    bytes, and most of it when somebody asks: a callback for each field would take
    longer than all else, and says nothing of what stands between them. So each feed
    ends where a head does, and a body of known length is not parsed at all. Nor is a
    head whose header is that of one before, and whose target holds nothing special.

    The other half, HttpProtocol, says what to do with a request and with an error.

    Args:
        app: The app whose requests and limits these are.
    """

    __slots__ = (
        "_Request",
        "_at",
        "_chunks",
        "_deaf",
        "_held",
        "_incoming",
        "_parser",
        "_pending",
        "_progress",
        "_rest",
        "_seen",
        "_usual",
        "_usual_length",
        "app",
        "limits",
    )

    def __init__(self, app: "Roll") -> None:
        self.app = app
        self.limits = app.limits
        """Of the app, when the connection came; to ask the app for it takes longer."""
        self._Request: Callable[[Roll, Any], Request] = app.Request
        self._parser = HttpRequestParser(None)
        self._held = b""  # what came, and is not all read
        self._at = 0  # where the rest of it begins
        self._seen = 0  # bytes of the rest that are a part of a head
        self._usual = b""  # of a head that keeps the connection: from its version on
        self._usual_length = 0  # of the body behind it
        self._incoming: Request | None = None  # not all of it was read
        self._chunks: Chunks | None = None  # of its body
        self._progress = 0  # heads and pieces of bodies that came
        self._pending = 0  # bytes that came since, and made no progress
        self._deaf = False  # what comes is not parsed any more
        self._rest: bytes | None = None  # what comes is for who takes over

    # What the other half does

    def on_headers_complete(self, request: Request) -> None:
        """Note a request to be served next; its body may be still to come."""

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

    # Heads

    def _hold(self, data: bytes) -> None:
        """Take what came behind what is held."""
        self._held = self._held[self._at :] + data
        self._at = 0

    def _read_head(self) -> bool:
        """Read the next head.

        Returns:
            Whether that could be done; False when more of it has to come.
        """
        data, at, seen = self._held, self._at, self._seen
        end = data.find(END, at + seen - 3 if seen > 3 else at) + 4
        complete = end > 3
        head = data[at:end] if complete else data[at:]
        pieces = head.split(b" ", 2) if complete and not seen else [b""]
        # The requests of a client hardly differ in their fields: what llhttp has
        # accepted on this connection it would accept again.
        usual = (
            pieces[-1] == self._usual
            and pieces[0] in _NAMES
            and pieces[1].startswith(b"/")
            and not pieces[1].translate(None, _PLAIN)
        )
        try:
            if not usual:
                self._parser.feed_data(memoryview(head)[seen:] if seen else head)
        except HttpParserUpgrade:  # it says so of CONNECT and of offers
            pass
        except HttpParserError as error:
            self._refuse(_as_http_error(error), method_of(head))
            return True
        # Out of the `except`, which would be the context of what is raised next.
        try:
            if complete:
                self._at, self._seen = end, 0
            if usual:
                self._make_usual_request(head, pieces)
            elif complete:
                self._make_request(head)
            else:
                self._keep_head(head)
        except Exception as error:
            self._refuse(_as_http_error(error), method_of(head))
            return True
        return complete

    def _keep_head(self, head: bytes) -> None:
        """Wait for the rest of a head, unless it is too large already."""
        if head == b"\r\n":
            self._seen = 0
            self._at += 2
            self._count_waste(2)
            return
        self._seen = len(head)
        limits = self.limits
        head = head.lstrip(b"\r\n")
        _check_line_end(head, head.find(b"\n"))
        _, _, line = head[: limits.target + 100].partition(b" ")  # no method is longer
        if len(line.partition(b" ")[0].partition(b"\r")[0]) > limits.target:
            raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG)
        if len(head) > _most(limits) or head.count(b"\n") - 1 > limits.fields:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _make_usual_request(self, head: bytes, pieces: Sequence[bytes]) -> None:
        """Note a request whose header is the usual one."""
        request = self._begin_request(head, _NAMES[pieces[0]], pieces[1])
        if self._usual_length:
            request.content = self._make_body(self._usual_length)
            self._incoming = request
        self.on_headers_complete(request)

    def _make_request(self, head: bytes) -> None:
        """Check what llhttp leaves to us, and note the request to be served."""
        head = self._skip_lines(head)
        if not head:
            return
        _check_line(head)
        name, url, header = head.split(b" ", 2)
        request = self._begin_request(head, name.decode(), url)
        self._read_fields(request, header)
        check_target(request._method, url)
        if request.content is not None:
            self._await_body(request, request.content)
        elif not request.keep_alive:
            self._deaf = True
        self.on_headers_complete(request)

    def _begin_request(self, head: bytes, method: str, url: bytes) -> Request:
        if len(url) > self.limits.target:
            raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG)
        request = self._Request(self.app, self)
        request.head = head
        request.url = url
        request.sent_method = request._method = method
        self._progress += 1
        self._pending = 0
        return request

    def _skip_lines(self, head: bytes) -> bytes:
        """Drop empty lines before a request line (RFC 9112, section 2.2).

        llhttp also takes CR or LF alone for one.
        """
        while head.startswith(b"\r\n"):
            self._count_waste(2)
            head = head[2:]
        if head.startswith((b"\r", b"\n")):
            raise HttpError(HTTPStatus.BAD_REQUEST)
        return head

    def _count_waste(self, size: int) -> None:
        """See that what comes makes a message some time."""
        self._pending += size
        if self._pending > _most(self.limits):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _read_fields(self, request: Request, header: bytes) -> None:
        """Bound the header, and read what it says of the message's framing.

        Args:
            request: The rest of it is known.
            header: From the version on.
        """
        limits = self.limits
        if header.count(b"\n") > limits.fields + 2:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        # Most headers are smaller than one field may be: these are not counted.
        if len(header) > min(limits.field, limits.head) and not (
            len(request.head) <= _most(limits) and _fit(request.fields, (), limits)
        ):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        version = header[: len(_HTTP_11)]
        if version == _HTTP_10:
            request.version = "1.0"
        elif version != _HTTP_11:  # RTSP and ICE are llhttp's, too
            raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        fields = [
            (name.upper(), value.rstrip(b" \t"))
            for name, value in _TELLING.findall(header)
        ]
        known = dict(fields)
        check_host(fields, known, request.version)
        length = self._read_framing(request, fields, known)
        if not request.keep_alive:
            return
        if (
            request.version == "1.1"
            and known.keys() <= _USUAL
            and known.get(b"CONNECTION", b"keep-alive").lower() == b"keep-alive"
        ):
            if len(header) <= REMEMBERED:
                self._usual, self._usual_length = header, length or 0
        else:  # llhttp may see an end of the connection where there is none
            self._parser = HttpRequestParser(None)

    def _read_framing(
        self, request: Request, fields: Fields, known: Mapping[bytes, bytes]
    ) -> int | None:
        """Read what the header says of a body, and of other protocols.

        Returns:
            The size of the body, as `content_length` does.
        """
        modern = request.version == "1.1"
        connection: tuple[str, ...] = ()
        if b"CONNECTION" in known or not modern:
            connection = _tokens(fields, b"CONNECTION")
            request.keep_alive = keeps_alive(connection, request.version)
        length = content_length(fields, known, request.version)
        if request._method == "CONNECT":
            request.keep_alive = False  # and what follows is not for us
        elif length != 0:
            waits = modern and known.get(b"EXPECT", b"").lower() == b"100-continue"
            request.content = self._make_body(length, waits)
        # RFC 9110, section 7.8; llhttp also goes by `Proxy-Connection`.
        if "upgrade" in connection and modern and request.keep_alive:
            request.upgrade = _tokens(fields, b"UPGRADE")
            # Elsewhere the message is served as if there were no offer.
            if request.upgrade and _switches(request):
                self._rest = self._held[self._at :]
                self._deaf = True
        return length

    # Bodies

    def _make_body(self, length: int | None, waits: bool = False) -> Body:
        return Body(self, self.limits.buffer, length, waits)

    def _await_body(self, request: Request, content: Body) -> None:
        """Let what follows be the body."""
        if self._deaf:  # it is not a body, but for another protocol
            content.finish()
            return
        self._incoming = request
        self._parser = HttpRequestParser(None)  # the old one waits for the body
        if content.length is None:
            self._chunks = Chunks(self.limits.fields)

    def _take_piece(self, data: bytes) -> bool:
        """Take *data* if it is all of a body, but not its end.

        So is most of what comes of a large body: nothing else is to be looked for.
        """
        content: Body = self._incoming.content  # type: ignore[union-attr, assignment]
        if content.missing <= len(data):  # or it is chunked
            return False
        self.on_body(data)
        return True

    def _read_body(self, request: Request) -> None:
        """Read the next piece of the body of *request*."""
        content: Body = request.content  # type: ignore[assignment]  # it has one
        try:
            if self._chunks is not None:
                self._read_chunks(self._chunks)
            else:
                piece = self._held[self._at : self._at + content.missing]
                self._at += len(piece)
                self.on_body(piece)
                if not content.missing:
                    self.on_message_complete()
        except Exception as error:
            self._refuse(_as_http_error(error))

    def _read_chunks(self, chunks: Chunks) -> None:
        at = self._at
        try:
            self._at = chunks.feed(self._held, at)
        finally:
            body = chunks.take()
            if body:
                self.on_body(body)
        if self._deaf:  # too much of it was unread
            return
        if body:
            self._pending = 0
        else:
            self._count_waste(self._at - at)
        if chunks.complete:
            self.on_message_complete()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._progress += 1
        content: Body = self._incoming.content  # type: ignore[union-attr, assignment]
        content.feed(data)
        if content.discarded > self.limits.unread:
            self._skip_too_much()

    def on_message_complete(self) -> None:
        """Note the end of a body; after the last message nothing is read."""
        request: Request = self._incoming  # type: ignore[assignment]  # its body's
        if self._chunks is not None:
            trailers = self._chunks.trailers
            if trailers and not _fit(trailers, request.fields, self.limits):
                raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            self._chunks = None
            self._pending = 0
        self._incoming = None
        request.content.finish()  # type: ignore[union-attr]  # it has one
        if not request.keep_alive:
            self._deaf = True


def _check_line(head: bytes) -> None:
    """Refuse a request line that is not of three words.

    llhttp takes more spaces, and HTTP/0.9, which has no version.
    """
    end = head.find(b"\n")
    spaces = head.count(b" ", 0, end)
    if spaces != 2:
        _check_line_end(head, end)
        if spaces == 1:
            raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        raise HttpError(HTTPStatus.BAD_REQUEST)


def _check_line_end(head: bytes, end: int) -> None:
    """Refuse a line feed alone, which llhttp takes behind a request of HTTP/0.9."""
    if end > 0 and not head.endswith(b"\r", 0, end):
        raise HttpError(HTTPStatus.BAD_REQUEST)


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
    stripped = (token.strip(" \t") for token in tokens)
    return tuple(token for token in stripped if token)


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


def _as_http_error(error: BaseException) -> HttpError:
    """Find the answer to what the parser, or a method of ours, raised."""
    # The context of any other may be what somebody handles who reads the body.
    if isinstance(error, HttpParserCallbackError) and error.__context__ is not None:
        error = error.__context__
    if isinstance(error, HttpError):
        return error
    if isinstance(error, HttpParserError):
        return HttpError(_PARSER_STATUSES.get(str(error), HTTPStatus.BAD_REQUEST))
    logger.error("A message could not be read", exc_info=error)
    return HttpError(HTTPStatus.INTERNAL_SERVER_ERROR)
