"""HTTP/1.1 on an asyncio transport (RFC 9112); the only module that touches one."""

import asyncio
import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from . import wire
from .answer import Answer, frame
from .body import Body
from .errors import HttpError
from .framing import check_host, check_target, content_length
from .request import Request
from .response import Response, close_body, encode_body, set_error
from .tasks import start
from .upgrade import Switch

if TYPE_CHECKING:
    from .app import Roll

logger = logging.getLogger("roll")

LINGER = 2.0
"""Seconds for a client to read the last answer and close (RFC 9112, section 9.6)."""

COPIED = 64 * 1024
"""Bytes of a body up to which one write of head and body beats not copying it."""

class HttpProtocol(asyncio.Protocol):
    """One connection: its messages are answered one after the other, in order.

    httptools' callbacks are the methods `on_url`, `on_header`, `on_headers_complete`,
    `on_body` and `on_message_complete`. What belongs to a message lives in its
    Request; here is only where the connection stands.

    Args:
        app: The app that answers.
    """

    __slots__ = (
        "_advancing",
        "_body_paused",
        "_deaf",
        "_disconnected",
        "_fields",
        "_head_size",
        "_incoming",
        "_lingering",
        "_loop",
        "_pending",
        "_priming",
        "_progress",
        "_reading_paused",
        "_refusal",
        "_rest",
        "_seen",
        "_served",
        "_since",
        "_upgrading",
        "_waiting",
        "_writable",
        "app",
        "parser",
        "request",
        "response",
        "switch",
        "task",
        "transport",
    )

    def __init__(self, app: "Roll") -> None:
        self.app = app
        self.transport: asyncio.Transport | None = None
        self.parser: HttpRequestParser | None = HttpRequestParser(self)
        self.request: Request | None = None
        """The message being served."""
        self.response: Response | None = None
        """The answer to it."""
        self.task: asyncio.Task[None] | None = None
        """The task that serves it."""
        self.switch: Switch | None = None
        """What takes over once a 101 is written."""
        # Parsing
        self._incoming: Request | None = None
        self._fields: list[tuple[bytes, bytes]] = []  # of its header, or trailers
        self._head_size = 0  # bytes of both
        self._upgrading = False  # it offers to switch protocols
        self._priming = False  # the parser is fed what it has seen already
        self._progress = 0  # heads and pieces of bodies that came
        self._pending = 0  # bytes that came since, and made no progress
        self._deaf = False  # what comes is not parsed any more
        self._rest: bytes | None = None  # what comes is for who takes over
        # Serving
        self._waiting: list[Request] = []
        self._refusal: HttpError | None = None  # of what comes after them
        self._served = 0
        self._advancing = False
        self._lingering = False
        # Pace
        self._body_paused = False
        self._reading_paused = False
        self._writable: asyncio.Future[None] | None = None
        self._disconnected: asyncio.Future[None] | None = None
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to serve a client."""
        self.transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self.app.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Cancel what still works for a client that is gone."""
        self.transport = self.parser = None  # the parser holds on to our methods
        self._waiting.clear()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._disconnected is not None and not self._disconnected.done():
            self._disconnected.set_result(None)
        if self.task is not None:
            self.task.cancel()
        self.app.forget(self)

    def pause_writing(self) -> None:
        """Make whoever writes wait: the client does not read."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let whoever writes go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    @property
    def remote_addr(self) -> str | None:
        """The client's address; None on a unix socket."""
        peer = self.transport and self.transport.get_extra_info("peername")
        return peer[0] if isinstance(peer, tuple) else None

    @property
    def secure(self) -> bool:
        """Whether the connection has TLS."""
        transport = self.transport
        return bool(transport and transport.get_extra_info("sslcontext"))

    async def disconnected(self) -> None:
        """Wait until the client is gone."""
        if self.transport is None:
            return
        if self._disconnected is None:
            self._disconnected = self._loop.create_future()
        await asyncio.shield(self._disconnected)

    # From bytes to messages

    def data_received(self, data: bytes) -> None:
        """Parse what came, and serve what is complete enough."""
        if self._deaf:
            return self._ignore(data)
        progress = self._progress
        self._feed(data)
        if self._progress != progress:
            self._pending = 0
        else:
            self._pending += len(data)
            if self._pending > self.app.limits.head and not self._deaf:
                self._refuse(HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        self._advance()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)  # type: ignore[union-attr]  # while connected
        except HttpParserUpgrade as upgrade:
            self._settle_upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            if not self._deaf:  # else it is about what came after the last message
                self._refuse(_as_http_error(error))

    def _ignore(self, data: bytes) -> None:
        """Take what comes after the last message: it is for who took over, or lost."""
        self._pending += len(data)
        if self._rest is not None:
            self._rest += data
        if self._pending > self.app.limits.unread:
            self._abort()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request target."""
        if self._priming:
            return
        request = self._incoming
        if request is None:
            request = self._incoming = self.app.Request(self.app, self)
            request.url = url
            self._head_size = 0
        else:
            request.url += url
        if len(request.url) > self.app.limits.target:
            raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the header, or of the trailers, which are dropped."""
        limits = self.app.limits
        size = len(name) + len(value)
        self._head_size += size
        self._fields.append((name.upper(), value))
        if (
            size > limits.field
            or self._head_size > limits.head
            or len(self._fields) > limits.fields
        ):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Check the framing and queue the message to be served."""
        fields, self._fields = self._fields, []
        if self._priming:
            return
        request = cast(Request, self._incoming)
        parser = cast(HttpRequestParser, self.parser)
        request.fields = fields
        request._method = method = parser.get_method().decode()
        request.version = version = parser.get_http_version()
        request.keep_alive = parser.should_keep_alive()
        if version not in ("1.1", "1.0"):
            raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        known = dict(fields)
        check_target(method, request.url)
        check_host(fields, known, version)
        length = content_length(known, version)
        if length != 0:
            waits = known.get(b"EXPECT", b"").lower() == b"100-continue"
            request.content = Body(
                self, self.app.limits.buffer, length, waits and version == "1.1"
            )
        if parser.should_upgrade():
            self._upgrading = True
            request.upgrade = _tokens(known.get(b"UPGRADE", b""))
        self._progress += 1
        self._waiting.append(request)

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._progress += 1
        content = cast(Body, cast(Request, self._incoming).content)
        content.feed(data)
        if content.discarding and content.received > self.app.limits.unread:
            self._close()

    def on_message_complete(self) -> None:
        """Note the end of a message; after the last one nothing is parsed."""
        if self._upgrading:  # llhttp takes an offer for an end: a body may follow
            return
        request = cast(Request, self._incoming)
        self._incoming = None
        self._fields.clear()
        if request.content is not None:
            request.content.finish()
        if not request.keep_alive:
            self._deaf = True

    def _settle_upgrade(self, rest: bytes) -> None:
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
        elif _switches(request):
            self._rest = rest
            self._deaf = True
            self.on_message_complete()
        else:
            self._prime_parser(request)
            if rest:
                self._feed(rest)

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

    def _refuse(self, error: HttpError) -> None:
        """Answer *error* once all before is answered; nothing after is parsed."""
        self._deaf = True
        request, self._incoming = self._incoming, None
        if request is None or request.content is None:
            self._refusal = error
        elif request is self.request or request in self._waiting:
            request.keep_alive = False
            request.content.fail(error)  # its reader answers, so there is one answer
        else:
            self._close()

    # From messages to answers

    def _advance(self) -> None:
        """Serve the next message, unless one is being served."""
        if self._advancing:
            return  # a task that ended at once; the loop below goes on
        self._advancing = True
        while self.request is None and self._waiting:
            request = self.request = self._waiting.pop(0)
            self.response = self.app.Response(self.app, self)
            task = start(self._serve(request, self.response), self._loop)
            if self.request is request:
                self.task = task
        self._advancing = False
        if self._refusal is not None and self.request is None:
            self._write_refusal(self._refusal)
        if self._waiting or self._reading_paused or self._body_paused:
            self._pace_reading()

    def _pace_reading(self) -> None:
        """Read only while nothing waits: neither a message nor a full body."""
        pause = bool(self._waiting) or self._body_paused
        if pause != self._reading_paused and self.transport is not None:
            self._reading_paused = pause
            if pause:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def pause_body(self) -> None:
        """Stop reading: the view is slower than the client."""
        self._body_paused = True
        self._pace_reading()

    def resume_body(self) -> None:
        """Read on."""
        self._body_paused = False
        self._pace_reading()

    def continue_body(self) -> None:
        """Ask for the body of a message with `Expect: 100-continue`."""
        if self.transport is not None:
            self.transport.write(wire.CONTINUE)

    async def _serve(self, request: Request, response: Response) -> None:
        try:
            await self.app(request, response)
            await self.write()
            if self.switch is not None and request.keep_alive:
                return await self._hand_over(self.switch)
        except asyncio.CancelledError:
            self._abort()
            raise
        except Exception:
            logger.exception("%s %r was cut short", request.method, request.url)
            self._abort()
        finally:
            self.request = self.response = self.task = None
        self._served += 1
        self._end(request)
        self._advance()

    async def write(self) -> None:
        """Send the answer of the message being served.

        One that would break HTTP, by a line feed in a header for one, becomes a 500.
        """
        request = cast(Request, self.request)
        response = cast(Response, self.response)
        try:
            answer = self._frame(request, response)
        except Exception as error:
            await close_body(response.body)
            response = self.response = self.app.replace(request, response, error)
            answer = self._frame(request, response)
        if answer.close:
            request.keep_alive = False
        transport = self.transport
        body = answer.body
        if transport is None or body is None:
            if transport is not None:
                transport.write(answer.head)
            await close_body(response.body)
        elif hasattr(body, "__aiter__"):
            transport.write(answer.head)
            await self._write_stream(transport, answer)
        elif len(body) <= COPIED:
            transport.write(answer.head + body)
        else:
            transport.write(answer.head)
            transport.write(body)
        if self._writable is not None:
            await self._writable

    def _frame(self, request: Request, response: Response) -> Answer:
        switches = self.switch is not None and response.status == HTTPStatus.SWITCHING_PROTOCOLS
        if response.status < HTTPStatus.OK and not switches:
            raise ValueError(f"{response.status} is not the status of a whole answer")
        close = (
            not request.keep_alive
            or (self._rest is not None and not switches)
            or self._refusal is not None
            or self.app.closing.is_set()
            or (request.content is not None and not self._can_skip(request.content))
        )
        return frame(response, request.method, request.version, close, self.app.date)

    def _can_skip(self, content: Body) -> bool:
        """Whether the connection outlives what is unread of a body."""
        if content.complete:
            return True
        if content.expected:  # the client may send the body, or may not
            return False
        missing = 0 if content.length is None else content.length - content.received
        return missing <= self.app.limits.unread

    async def _write_stream(self, transport: asyncio.Transport, answer: Answer) -> None:
        """Send the pieces of an async body as they come, and always close it."""
        sent = 0
        iterator = aiter(answer.body)
        try:
            async for piece in iterator:
                data = encode_body(piece)
                if not data:
                    continue
                sent += len(data)
                if not answer.chunked and answer.length is not None:
                    if sent > answer.length:
                        raise ValueError(f"the body passes its {answer.length} bytes")
                transport.write(wire.chunk(data) if answer.chunked else data)
                if self._writable is not None:
                    await self._writable
        finally:
            await close_body(iterator)
            if iterator is not answer.body:
                await close_body(answer.body)
        if answer.chunked:
            transport.write(wire.LAST_CHUNK)
        elif answer.length is not None and sent < answer.length:
            raise ValueError(f"the body has {sent} of its {answer.length} bytes")

    async def _hand_over(self, switch: Switch) -> None:
        """Give the connection to the protocol that it was upgraded to."""
        transport, protocol = self.transport, switch.protocol
        if transport is None:
            return
        self.transport = self.parser = None
        self.app.keep(cast("asyncio.Task[None]", asyncio.current_task()))
        self.app.connections.add(protocol)
        self.app.connections.discard(self)
        transport.set_protocol(cast(asyncio.Protocol, protocol))
        protocol.connection_made(transport)
        if self._reading_paused:
            transport.resume_reading()
        if self._rest:
            protocol.data_received(self._rest)
        try:
            await protocol.run(switch.view, switch.variables)
        except asyncio.CancelledError:
            transport.abort()
            raise
        finally:
            self.app.forget(protocol)

    def _write_refusal(self, error: HttpError) -> None:
        """Answer what could not be parsed; there are no events for it."""
        self._refusal = None
        if self.transport is not None:
            response = Response(None, None)
            set_error(response, error)
            answer = frame(response, close=True, extra=self.app.date)
            self.transport.write(answer.head + answer.body)
        self._close(linger=True)

    # The end

    def _end(self, request: Request) -> None:
        """Close after an answer, or make way for the next message."""
        content = request.content
        unread = content is not None and not content.complete
        if not request.keep_alive:
            self._close(linger=unread)
        elif unread:
            content.discard()  # type: ignore[union-attr]  # unread is not None

    def _close(self, linger: bool = False) -> None:
        """End once all is sent; what still comes is ignored.

        To *linger* is to end our side alone and wait, for a while, until the client
        ends its own: a close with input unread would make its system drop the answer
        (RFC 9112, section 9.6).
        """
        self._deaf = True
        self._waiting.clear()
        transport = self.transport
        if transport is None:
            return
        if linger and transport.can_write_eof():
            transport.write_eof()
            self._lingering = True
            self.resume_body()
        else:
            transport.close()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def stop(self) -> None:
        """End as soon as the running request is answered, now when there is none."""
        if self.request is None:
            self._close()

    def abort(self) -> None:
        """End now: the time to shut down is over."""
        self._abort()

    def check(self, now: float) -> None:
        """End what takes too long; the app calls it every second or more often.

        Args:
            now: The loop's time, in seconds.
        """
        phase, mark, limit = self._phase()
        if (phase, mark) != self._seen:
            self._seen = (phase, mark)
            self._since = now
        elif now - self._since >= limit:
            self._time_out(phase)

    def _phase(self) -> tuple[str, int, float]:
        """What is waited for, a number that changes as it goes on, seconds allowed.

        No request pays for timers: this looks at what the connection keeps anyway.
        """
        limits = self.app.limits
        request = self._incoming
        if self._writable is not None and self.transport is not None:
            size = self.transport.get_write_buffer_size()
            return "write", size, limits.write_timeout
        if self._lingering:
            return "linger", 0, LINGER
        if request is not None and request.content is not None:
            if self._reading_paused or request.content.expected:
                return "view", self._served, math.inf
            return "body", self._progress, limits.body_timeout
        if self.request is not None:
            return "view", self._served, math.inf
        if request is not None or not self._progress:
            return "head", self._served, limits.head_timeout
        return "idle", self._served, limits.keep_alive

    def _time_out(self, phase: str) -> None:
        if phase in ("write", "linger"):
            self._abort()
        elif phase == "body" or self._incoming is not None:
            self._refuse(HttpError(HTTPStatus.REQUEST_TIMEOUT))
            self._advance()
        else:
            self._close()


def _tokens(value: bytes) -> tuple[str, ...]:
    """Split a list of tokens, in lower case (RFC 9110, section 5.6.1)."""
    tokens = value.decode("latin-1").lower().split(",")
    return tuple(token.strip() for token in tokens if token.strip())


def _switches(request: Request) -> bool:
    try:
        return request.endpoint.switches
    except HttpError:  # a path that does not decode, which is answered later
        return False


# What llhttp says, where the answer is another than 400.
_PARSER_STATUSES = {
    "Invalid method encountered": HTTPStatus.NOT_IMPLEMENTED,
    "Invalid HTTP version": HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    "Pause on PRI/Upgrade": HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
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
