"""HTTP/1.1 on an asyncio transport (RFC 9112); only outbox touches one beside it."""

import asyncio
import math
import sys
from collections.abc import AsyncIterable
from contextvars import copy_context
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from ..errors import HttpError
from ..logs import logger
from ..peers import has_left
from ..request import Request
from ..response import Response, close_body, encode_body, set_error
from ..tasks import EAGER, is_cancelled
from . import writer
from .answer import COPIED, Answer, frame
from .body import Body
from .parser import MessageReader, method_of
from .upgrade import Switch

try:
    import fcntl
    import termios
except ImportError:  # they are Unix's
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from ..app import Roll

UNSENT = 1
"""Bytes of a stream that may be unsent before its view waits: 0 would stop TLS."""

LINGER = 2.0
"""Seconds for a client to read the last answer and close (RFC 9112, section 9.6); and
for what it has sent to be read, when it has left."""

ALERT = 80
"""Bytes at most of the alert by which TLS ends (RFC 8446, section 6.1)."""

QUIET = 0.25
"""Seconds for a request that is on its way when the app shuts down: longer than most
round trips."""

TURN = 100
"""Messages, and pieces of bodies, that are read before other connections have their
turn: a read may bring thousands, and each takes some 20 microseconds at least."""

STREAM_TURN = 2**20
"""Bytes of a stream that are sent before others have their turn, where neither its view
nor its client lets it wait."""

PIECE = 4096
"""Bytes that a piece counts for beside its own, as it takes time, however small."""


class HttpProtocol(MessageReader, asyncio.Protocol):
    """One connection: its messages are answered one after the other, in order.

    What belongs to a message lives in its Request; here is only where the connection
    stands.

    Args:
        app: The app that answers.
    """

    __slots__ = (
        "_Response",
        "_body_paused",
        "_context",
        "_disconnected",
        "_lingering",
        "_loop",
        "_next",
        "_outbox",
        "_reading",
        "_reading_paused",
        "_seen_mark",
        "_seen_phase",
        "_served",
        "_since",
        "_stopping",
        "_transport",
        "_writable",
        "busy",
        "peer",
        "request",
        "response",
        "switch",
        "task",
        "transport",
    )

    def __init__(self, app: "Roll") -> None:
        super().__init__(app)
        self._Response = app.Response
        self.transport: asyncio.Transport | None = None
        """The connection, also once it is lost."""
        self._transport: asyncio.Transport | None = None  # not once it is lost
        self.peer: Any = None
        """The client's address, as the socket gives it."""
        self.busy = False
        """Whether a message is being served."""
        self.request: Request | None = None
        """The message being served."""
        self.response: Response | None = None
        """The answer to it."""
        self.task: asyncio.Task[None] | None = None
        """The task that serves it."""
        self.switch: Switch | None = None
        """What takes over once a 101 is written."""
        self._next: Request | None = None  # it is about to be served
        self._reading = False
        self._served = 0
        self._lingering = False
        self._body_paused = False
        self._reading_paused = False
        self._writable: asyncio.Future[None] | None = None
        self._disconnected: asyncio.Future[None] | None = None
        self._seen_phase = ""
        self._seen_mark = 0
        self._since = 0.0
        self._stopping = False  # its next answer is the last

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to serve a client."""
        self.transport = self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._outbox = self.app.outbox(self._loop)
        self._context = copy_context()
        # A client that left has no address any more, but what a Server accepted it by.
        self.peer = transport.get_extra_info("peername") or self.peer
        self.app.connections.add(self)
        if self.app.closing.is_set():  # accepted just before
            self.stop()

    def connection_lost(self, error: Exception | None) -> None:
        """Cancel what still works for a client that is gone."""
        self._transport = self._chunks = None  # that one holds on to our methods
        self._drop_input()
        request, self._incoming = self._incoming, None
        if request is not None and request.content is not None:
            gone = HttpError(HTTPStatus.BAD_REQUEST, "The client left")
            request.content.fail(gone)
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._disconnected is not None and not self._disconnected.done():
            self._disconnected.set_result(None)
        if self.task is not None:
            if self.busy and _finishes(self.request):
                # Until then it counts as a connection, which limits how many there are.
                self.task.add_done_callback(lambda task: self.app.forget(self))
                return
            self.task.cancel()
        self.app.forget(self)

    def eof_received(self) -> None:
        """Send what is held: the client sends no more, and the transport closes."""
        self._outbox.flush()

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
        return self.peer[0] if isinstance(self.peer, tuple) else None

    @property
    def secure(self) -> bool:
        """Whether the connection has TLS."""
        transport = self.transport
        return bool(transport and transport.get_extra_info("sslcontext"))

    async def disconnected(self) -> None:
        """Wait until the client is gone."""
        if self._disconnected is None:
            if self._transport is None:
                return
            self._disconnected = self._loop.create_future()
        await asyncio.shield(self._disconnected)

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Read what came, and serve what is complete enough."""
        if self._deaf:
            return self._ignore(data)
        if self._held:
            self._hold(data)
        elif (
            self._incoming is not None
            and not self._body_paused
            and self._take_piece(data)
        ):
            return
        else:
            self._held = data
        self._read_on()

    def _read_on(self) -> None:
        """Read what is held, message by message; each is answered before the next."""
        if self._reading:
            return
        self._reading = True
        turn = TURN
        try:
            while True:
                if (
                    self._at == len(self._held)
                    or self._deaf
                    or self._body_paused
                    or (self.busy and self._incoming is None)
                ):
                    if self._next is None:
                        break
                elif turn <= 0:
                    if self._next is None:
                        self._loop.call_soon(self._read_on)  # others have their turn
                        break
                else:
                    turn -= 1
                    if self._incoming is not None:
                        self._read_body(self._incoming)
                    elif not self._read_head():
                        break
                    if self._next is None or self._incoming is not None:
                        continue
                self._serve_next()  # its body may be still to come
        finally:
            self._reading = False
        if self._deaf or self._at == len(self._held):
            self._held, self._at = b"", 0
        if not self.busy:  # an idle connection holds on to nothing
            self.request = self.response = self.task = None
        if self._held or self._reading_paused or self._body_paused:
            self._pace_reading()

    def _pace_reading(self) -> None:
        """Take in only what can be read: not behind a message, nor for a full body."""
        pause = self._body_paused or (self._held != b"" and not self._seen)
        if pause != self._reading_paused and self._transport is not None:
            self._reading_paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _drop_input(self) -> None:
        self._next = None
        self._held, self._at, self._seen = b"", 0, 0

    def _ignore(self, data: bytes) -> None:
        """Take what comes after the last message: it is for who took over, or lost."""
        self._pending += len(data)
        if self._rest is not None:
            self._rest += data
        if self._pending <= self.limits.unread:
            return
        transport = cast(asyncio.Transport, self._transport)
        if self.busy or _unsent(transport):  # an answer is not to be lost
            self._reading_paused = True
            transport.pause_reading()
        else:
            self.abort()

    def on_headers_complete(self, request: Request) -> None:
        """Note a request to be served next; its body may be still to come."""
        self._next = request

    def _refuse(self, error: HttpError, method: str = "GET") -> None:
        """Answer *error*, unless something is being answered; nothing after is read."""
        self._deaf = True
        request, self._incoming = self._incoming, None
        if request is None or request.content is None:
            self._write_refusal(error, method)
        elif request is self._next or (self.busy and request is self.request):
            request.keep_alive = False
            request.content.fail(error)  # its reader answers, so there is one answer
        else:
            self._close(linger=True)

    def _skip_too_much(self) -> None:
        self._close(linger=True)

    def pause_body(self) -> None:
        """Stop reading: the view is slower than the client."""
        self._body_paused = True
        self._pace_reading()

    def resume_body(self) -> None:
        """Read on."""
        self._body_paused = False
        self._read_on()

    def continue_body(self) -> None:
        """Ask for the body of a message with `Expect: 100-continue`."""
        if self._transport is not None:
            self._outbox.send(self._transport, writer.CONTINUE)

    # From messages to answers

    def _serve_next(self) -> None:
        request: Request = self._next  # type: ignore[assignment]  # there is one
        self._next = None
        self.busy = True
        self.request = request
        response = self.response = self._Response(self.app, self)
        # Not in the context of the request before, in whose task we may be.
        self.task = asyncio.Task(
            self._serve(request, response),
            loop=self._loop,
            context=self._context.copy(),
            **EAGER,
        )

    async def _serve(self, request: Request, response: Response) -> None:
        self.task = asyncio.current_task()  # an eager one is not assigned yet
        try:
            await self.app.__call__(request, response)  # half the time of `app(...)`
            await self.write()
            if self.switch is not None:
                switch, self.switch = self.switch, None
                # A listener may have refused it since.
                if request.keep_alive and response._status in writer.INTERIM:
                    return await self._hand_over(switch)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            self.abort()
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                self.abort()
                await close_body(response.body)
                raise
            logger.exception("%s %r was cut short", request.method, request.url)
            if request.version == "1.0":  # the end of the connection may be the body's
                return self.abort()
            request.keep_alive = False  # the answers before it are sent
        finally:
            self.busy = False
            # With what was raised, a task holds on to its frames, and to us.
            self.request = self.response = self.task = None
        self._served += 1
        content = request.content
        if not request.keep_alive:
            self._outbox.flush()
            self._close(linger=self._more_comes(content))
        elif content is not None:
            content.discard()
        if not self._reading:  # else this was served at once, from within
            self._read_on()

    def _more_comes(self, content: Body | None) -> bool:
        """Whether input is left that nobody reads, or may come before much is sent."""
        if content is not None and not content.complete:
            return True
        if self._transport is None or (self._deaf and not self._pending):
            return False  # a client that knew of the end, and kept to it
        return _unsent(self._transport) > COPIED or _unread(self._transport) > 0

    async def write(self) -> None:
        """Send the answer of the message being served.

        One that would break HTTP, by a line feed in a header for one, becomes a 500.
        """
        request: Request = self.request  # type: ignore[assignment]  # it is served
        response: Response = self.response  # type: ignore[assignment]
        content = request.content
        if content is not None and content.expected and _may_read(response):
            content.ask()  # not later, in the middle of the answer
        try:
            answer = self._frame(request, response)
        except Exception as error:
            answer = await self._frame_error(request, response, error)
        head, body, chunked, length, close = answer
        if close:
            request.keep_alive = False
        if content is not None:
            content.expected = False  # the client has its answer
        transport = self._transport
        if body is None:
            if transport is not None:
                self._outbox.send(transport, head)
            if type(response.body) is not bytes:
                await close_body(response.body)
        elif transport is None:
            await close_body(body)
        else:
            self._outbox.flush()
            transport.write(head)
            if hasattr(body, "__aiter__"):
                await self._write_stream(transport, body, chunked, length)
            else:  # the transport keeps what it is given, until it is sent
                transport.write(bytes(body))
        if self._writable is not None:
            await self._writable

    def _frame(self, request: Request, response: Response) -> Answer:
        if self.switch is not None and response._status in writer.INTERIM:
            return self._frame_switch(request, response)
        content = request.content
        requests = self.limits.requests
        close = (
            not request.keep_alive
            or self._stopping
            or (content is not None and not self._can_skip(content))
            or self._rest is not None  # its offer failed
            or (requests is not None and self._served + 1 >= requests)
        )
        method, version = request.sent_method, request.version
        return frame(response, method, version, close, self.app.date)

    async def _frame_error(
        self, request: Request, response: Response, error: Exception
    ) -> Answer:
        """Frame a 500 in place of what cannot be sent."""
        await close_body(response.body)
        response.reset()
        await self.app.answer_error(request, response, error)
        try:
            return self._frame(request, response)
        except Exception as second:  # nor can what listeners made of it
            await close_body(response.body)
            self.app.replace(request, response, second)
            return self._frame(request, response)

    def _frame_switch(self, request: Request, response: Response) -> Answer:
        if not request.keep_alive or self._stopping:
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE)
        return frame(response, extra=self.app.date, switches=True)

    def _can_skip(self, content: Body) -> bool:
        """Whether the connection outlives what is unread of a body."""
        if content.complete:
            return True
        if content.expected:  # the client may send the body, or may not
            return False
        return content.missing <= self.limits.unread

    async def _write_stream(
        self,
        transport: asyncio.Transport,
        body: AsyncIterable[Any],
        chunked: bool,
        length: int | None,
    ) -> None:
        """Send the pieces of an async body as they come, and always close it."""
        # A transport keeps all of what it has sent a part of: nothing is added to it.
        transport.set_write_buffer_limits(UNSENT)
        left = math.inf if length is None else length
        turn = STREAM_TURN
        iterator = aiter(body)
        try:
            async for piece in iterator:
                if transport.is_closing():  # it would log each piece that is written
                    await self.disconnected()
                if self._transport is None:  # the view goes on, its client has left
                    return
                data = encode_body(piece)
                left -= len(data)
                if left < 0:
                    raise ValueError(f"the body passes its {length} bytes")
                if chunked and data:  # an empty chunk would be the last one
                    self._outbox.send_pieces(transport, writer.chunk(data))
                else:
                    self._outbox.send(transport, bytes(data))
                turn -= PIECE + len(data)
                if self._writable is not None:
                    del piece, data  # they are kept until they are sent
                    await self._writable
                    turn = STREAM_TURN
                elif turn <= 0:
                    await asyncio.sleep(0)
                    turn = STREAM_TURN
        finally:
            await close_body(iterator)
            if iterator is not body:
                await close_body(body)
        if self._transport is None:
            return
        if chunked:
            self._outbox.send(transport, writer.LAST_CHUNK)
        elif length is not None and left:
            raise ValueError(f"the body lacks {left} of its {length} bytes")
        transport.set_write_buffer_limits()  # what they were

    async def _hand_over(self, switch: Switch) -> None:
        """Give the connection to the protocol that it was upgraded to."""
        self._outbox.flush()
        if self._writable is not None:  # the other protocol is not told of it
            await self._writable
        transport, protocol = self._transport, switch.protocol
        if transport is None:
            return
        # What is held is behind an offer that only a listener has made one.
        rest = self._held[self._at :] if self._rest is None else self._rest
        self._drop_input()
        self._transport = None
        if self._disconnected is None:
            self._disconnected = self._loop.create_future()
        self.app.keep(cast("asyncio.Task[None]", asyncio.current_task()))
        self.app.connections.add(protocol)
        self.app.connections.discard(self)
        try:
            transport.set_protocol(cast(asyncio.Protocol, protocol))
            protocol.connection_made(transport)
            if self._reading_paused:
                transport.resume_reading()
            if rest:
                protocol.data_received(rest)
            await protocol.run(switch.view, switch.variables)
        except BaseException:
            transport.abort()
            raise
        finally:
            transport.close()  # nobody is left to do so
            self.app.forget(protocol)
            self._disconnected.set_result(None)

    def _write_refusal(self, error: HttpError, method: str) -> None:
        """Answer what could not be parsed; there are no events for it."""
        response = Response(None, None)
        set_error(response, error)
        answer = frame(response, method, close=True, extra=self.app.date)
        self._outbox.send(cast(asyncio.Transport, self._transport), answer[0])
        self._close(linger=True)

    # The end

    def _close(self, linger: bool = False) -> None:
        """End once all is sent; what still comes is ignored.

        To *linger* is to end our side alone and wait, for a while, until the client
        ends its own: a close with input unread would make its system drop the answer
        (RFC 9112, section 9.6).
        """
        self._deaf = True
        self._drop_input()
        transport = self._transport
        if transport is None:
            return
        self._outbox.flush()
        if linger and transport.can_write_eof():
            try:
                transport.write_eof()
            except OSError:  # asyncio's own, when the client has reset the connection
                return transport.abort()
            self._lingering = True
            self._pending = 0
            self.resume_body()
        else:
            transport.close()

    def abort(self) -> None:
        """End now, whatever is not sent yet."""
        self._deaf = True
        self._drop_input()
        if self._transport is not None:
            self._outbox.flush()
            self._transport.abort()

    def stop(self) -> None:
        """End as soon as the running request is answered, soon when there is none.

        A client that was not told may have sent a request: without an answer it could
        not tell whether that was served (RFC 9112, section 9.3.1).
        """
        self._stopping = True
        if self.busy:
            cast(Request, self.request).keep_alive = False
        elif self.limits.shutdown > QUIET:
            self._loop.call_later(QUIET, self._stop_idle)
        else:
            self._close()

    def _stop_idle(self) -> None:
        """Close, unless a request has come: that is served before."""
        if self._transport is None:
            return
        if self.busy or _unread(self._transport):
            self.stop()
        else:
            self._close()

    def check(self, now: float) -> None:
        """End what takes too long; the app calls it every second or more often.

        Args:
            now: The loop's time, in seconds.
        """
        if self._transport is None:  # a view that goes on when its client has left
            return
        phase, mark, limit = self._phase()
        if phase != self._seen_phase or mark != self._seen_mark:
            self._seen_phase, self._seen_mark = phase, mark  # no tuple to be kept
            self._since = now
        elif now - self._since >= limit:
            self._time_out(phase)

    def _phase(self) -> tuple[str, int, float]:
        """What is waited for, a number that changes as it goes on, seconds allowed.

        No request pays for timers: this looks at what the connection keeps anyway.
        """
        limits = self.limits
        request = self._incoming
        transport = cast(asyncio.Transport, self.transport)
        if self._writable is not None or transport.is_closing():
            unsent = _unsent(transport)
            if unsent <= ALERT and self.secure and transport.is_closing():
                return "linger", unsent, LINGER  # TLS waits for the client's alert
            return "write", unsent, limits.write_timeout
        if self._lingering:
            return "linger", _unsent(transport), LINGER
        if self._reading_paused and has_left(transport):
            return "linger", self._served + self._progress, LINGER
        if request is not None and request.content is not None:
            if self._reading_paused or request.content.expected:
                return "view", self._served, math.inf
            return "body", self._progress, limits.body_timeout
        if self.busy:
            return "view", self._served, math.inf
        if self._seen or self._pending or not self._progress:
            return "head", self._served, limits.head_timeout
        return "idle", self._served, limits.keep_alive

    def _time_out(self, phase: str) -> None:
        if phase in ("write", "linger"):
            self.abort()
        elif phase == "body" or self._seen:
            head = self._held[self._at :]
            self._refuse(HttpError(HTTPStatus.REQUEST_TIMEOUT), method_of(head))
        else:
            self._close()


def _may_read(response: Response) -> bool:
    """Whether an answer may go on to read the body of its request."""
    return response.status < HTTPStatus.MULTIPLE_CHOICES and hasattr(
        response.body, "__aiter__"
    )


def _unsent(transport: asyncio.Transport) -> int:
    """Count the bytes that the client has not acknowledged, as far as it is known.

    The system may hold megabytes of them: while a slow client reads these, what waits
    here does not change.
    """
    return transport.get_write_buffer_size() + _queued(transport, "TIOCOUTQ")


def _unread(transport: asyncio.Transport) -> int:
    """Count the bytes that came and are not read yet, as far as it is known."""
    return _queued(transport, "FIONREAD")


def _queued(transport: asyncio.Transport, queue: str) -> int:
    """Ask the system how many bytes it holds for a connection, by a name of termios.

    0 when it does not tell.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or fcntl is None:
        return 0
    try:
        queued = fcntl.ioctl(sock.fileno(), getattr(termios, queue), bytes(4))
    except ValueError:  # it is closed, and TLS has not told yet
        return 0
    return int.from_bytes(queued, sys.byteorder)


def _finishes(request: Request | None) -> bool:
    """Whether a request is served to its end also when its client leaves."""
    try:
        return request is not None and request.endpoint.finishes
    except HttpError:  # a path that does not decode
        return False
