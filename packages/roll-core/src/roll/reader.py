"""From bytes to requests (RFC 9112): httptools' callbacks, and what they leave open."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from .body import Body
from .errors import HttpError
from .framing import check_host, check_target, content_length
from .limits import Limits
from .request import Request

if TYPE_CHECKING:
    from .app import Roll

logger = logging.getLogger("roll")

Fields = Sequence[tuple[bytes, bytes]]
"""Names in upper case and values, as received."""


_FRAMING = frozenset(
    (b"CONNECTION", b"CONTENT-LENGTH", b"EXPECT", b"TRANSFER-ENCODING", b"UPGRADE")
)
"""What says more than where a head ends."""


class MessageReader:
    """The incoming half of a connection: it makes requests, and does no I/O.

    httptools' callbacks are the methods `on_url`, `on_header`, `on_headers_complete`,
    `on_body` and `on_message_complete`. The other half, HttpProtocol, says what to do
    with a request and with an error.

    Args:
        app: The app whose requests and limits these are.
    """

    __slots__ = (
        "_deaf",
        "_fields",
        "_incoming",
        "_pending",
        "_priming",
        "_progress",
        "_rest",
        "_unchecked",
        "_upgrading",
        "app",
        "parser",
    )

    def __init__(self, app: "Roll") -> None:
        self.app = app
        self.parser: HttpRequestParser | None = HttpRequestParser(self)
        self._incoming: Request | None = None
        self._fields: list[tuple[bytes, bytes]] = []  # of its header, or trailers
        self._unchecked = 0  # bytes that these may have, at most
        self._upgrading = False  # it offers to switch protocols
        self._priming = False  # the parser is fed what it has seen already
        self._progress = 0  # heads and pieces of bodies that came
        self._pending = 0  # bytes that came since, and made no progress
        self._deaf = False  # what comes is not parsed any more
        self._rest: bytes | None = None  # what comes is for who takes over

    # What the other half does

    def _take(self, request: Request) -> None:
        """Queue a request whose head is complete."""

    def _refuse(self, error: HttpError) -> None:
        """Answer *error* once all before is answered; nothing after is parsed."""

    def _skip_too_much(self) -> None:
        """End the connection: an unread body is too large to be skipped."""

    def pause_body(self) -> None:
        """Stop reading: the view is slower than the client."""

    def resume_body(self) -> None:
        """Read on."""

    def continue_body(self) -> None:
        """Ask for the body of a message with `Expect: 100-continue`."""

    # Bytes

    def _parse(self, data: bytes | memoryview) -> None:
        """Parse what came, and see that it is not much without making a message."""
        progress = self._progress
        self._unchecked += len(data)
        self._feed(data)
        if self._progress == progress:
            self._pending += len(data)
        else:
            self._pending = 0
            if self._incoming is None:
                self._unchecked = 0
                return
            # A message may have begun behind another, nobody knows where.
            self._unchecked = len(data)
        limits = self.app.limits
        # A target and fields within their limits, and what stands between them.
        most = limits.target + limits.head + 8 * (limits.fields + 8)
        too_much = self._pending > most or len(self._fields) > limits.fields
        if too_much and not self._deaf:
            self._refuse(HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def _feed(self, rest: bytes | memoryview) -> None:
        while rest:
            try:
                self.parser.feed_data(rest)  # type: ignore[union-attr]  # connected
                return
            except HttpParserUpgrade as upgrade:
                end = upgrade.args[0]
            except HttpParserError as error:
                if not self._deaf:  # else it is about what came after the last message
                    self._refuse(_as_http_error(error))
                return
            # Out of the `except`, which would be the context of what is raised next.
            rest = memoryview(rest)[end:]
            self._settle_upgrade(rest)
            if self._deaf:
                return

    # Callbacks

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request target."""
        if self._priming:
            return
        request = self._incoming
        if request is None:
            request = self.app.Request(self.app, self)  # type: ignore[arg-type]  # half
            self._incoming = request
            request.url = url
        else:
            request.url += url
        if len(request.url) > self.app.limits.target:
            raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the header, or of the trailers, which are dropped."""
        # llhttp leaves the whitespace after a value (RFC 9110, section 5.5).
        self._fields.append((name.upper(), value.rstrip(b" \t")))

    def _check_size(self, fields: Fields, before: Fields = ()) -> None:
        """Bound the number and the sizes of fields, once for all of a head.

        Args:
            fields: Of the header, or trailers.
            before: Of the header, when these are trailers: their sizes add up.
        """
        limits = self.app.limits
        if len(fields) > limits.fields or not _fit(fields, before, limits):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Check the framing and queue the message to be served."""
        fields, self._fields = self._fields, []
        if self._priming:
            return
        limits = self.app.limits
        # Most heads are smaller than one field may be: these are not counted.
        size = self._unchecked
        if size > limits.field or size > limits.head or len(fields) > limits.fields:
            self._check_size(fields)
        request: Request = self._incoming  # type: ignore[assignment]  # on_url made it
        parser: HttpRequestParser = self.parser  # type: ignore[assignment]
        request.fields = fields
        request._method = method = parser.get_method().decode()
        request.keep_alive = parser.should_keep_alive()
        known = dict(fields)
        # Without these it is 1.1, which alone keeps a connection by default.
        plain = _FRAMING.isdisjoint(known) and request.keep_alive
        if not plain:
            self._read_version(request, parser)
        check_target(method, request.url)
        check_host(fields, known, request.version)
        if not plain:
            self._read_framing(request, parser, known)
        if method == "CONNECT":
            self._upgrading = True
        self._progress += 1
        self._take(request)

    def _read_version(self, request: Request, parser: HttpRequestParser) -> None:
        request.version = version = parser.get_http_version()
        if version != "1.1":
            if version != "1.0":
                raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
            if request.keep_alive and _says_close(request.fields):
                request.keep_alive = False

    def _read_framing(
        self, request: Request, parser: HttpRequestParser, known: Mapping[bytes, bytes]
    ) -> None:
        """Read what the header says of a body, and of other protocols."""
        version = request.version
        length = content_length(request.fields, known, version)
        if length != 0:
            waits = known.get(b"EXPECT", b"").lower() == b"100-continue"
            request.content = Body(
                self, self.app.limits.buffer, length, waits and version == "1.1"
            )
        if parser.should_upgrade():
            self._upgrading = True
            if version == "1.1" and request.keep_alive:  # RFC 9110, section 7.8
                request.upgrade = _tokens(known.get(b"UPGRADE", b""))

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._progress += 1
        content: Body = self._incoming.content  # type: ignore[union-attr, assignment]
        content.feed(data)
        if content.discarding and content.received > self.app.limits.unread:
            self._skip_too_much()

    def on_message_complete(self) -> None:
        """Note the end of a message; after the last one nothing is parsed."""
        if self._upgrading:  # llhttp takes an offer for an end: a body may follow
            return
        request: Request = self._incoming  # type: ignore[assignment]
        if self._fields:
            self._check_size(self._fields, request.fields)
            self._fields.clear()
        self._incoming = None
        if request.content is not None:
            request.content.finish()
        if not request.keep_alive:
            self._deaf = True

    # Offers to upgrade

    def _settle_upgrade(self, rest: memoryview) -> None:
        """Go on after a message that offers an upgrade, or CONNECT.

        Only a route that switches protocols takes the offer; elsewhere the message is
        served as if there were none (RFC 9110, section 7.8).
        """
        self._upgrading = False
        request = cast(Request, self._incoming)
        if request.method == "CONNECT":
            request.keep_alive = False
            request.content = None
            self.on_message_complete()
        elif request.upgrade and _switches(request):
            self._rest = bytes(rest)
            self._deaf = True
            self.on_message_complete()
        else:
            self._prime_parser(request)

    def _prime_parser(self, request: Request) -> None:
        """Bring a new parser to where *request*'s body begins, or its end is."""
        framing = [
            b"%b: %b\r\n" % field
            for field in request.fields
            if field[0] in (b"CONTENT-LENGTH", b"TRANSFER-ENCODING")
        ]
        if not request.keep_alive:
            framing.append(b"Connection: close\r\n")
        self.parser = HttpRequestParser(self)
        self._priming = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))
        self._priming = False


def _fit(fields: Fields, before: Fields, limits: Limits) -> bool:
    sizes = [len(name) + len(value) for name, value in fields]
    total = sum(sizes) + sum(len(name) + len(value) for name, value in before)
    return total <= limits.head and max(sizes, default=0) <= limits.field


def _tokens(value: bytes) -> tuple[str, ...]:
    """Split a list of tokens, in lower case (RFC 9110, section 5.6.1)."""
    tokens = value.decode("latin-1").lower().split(",")
    return tuple(token.strip() for token in tokens if token.strip())


def _says_close(fields: Fields) -> bool:
    """Whether a `Connection` says close, which llhttp overlooks beside `keep-alive`.

    It decides (RFC 9112, section 9.3).
    """
    return any(
        name == b"CONNECTION" and "close" in _tokens(value) for name, value in fields
    )


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
