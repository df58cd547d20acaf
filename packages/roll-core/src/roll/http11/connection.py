"""HTTP/1.1 on an asyncio transport (RFC 9112), one message after another."""

import asyncio
import math
from collections.abc import AsyncIterable
from contextvars import copy_context
from enum import IntEnum
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from ..errors import HttpError
from ..logs import logger, report
from ..peers import has_left
from ..request import Request
from ..response import (
    INTERIM,
    Response,
    as_http_error,
    close_body,
    encode_body,
    set_error,
)
from ..tasks import EAGER, is_cancelled
from ..typing import App
from . import sockets, writer
from .body import Body
from .parser import END, NEED_DATA, Event, Head, Parser, Refusal
from .upgrade import Switch
from .writer import COPIED, Framed, frame

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

UNLIMITED = 2**30 - 1
"""Messages on a connection without a limit: what CPython counts fastest."""

PIECE = 4096
"""Bytes that a piece counts for beside its own, as it takes time, however small."""


class State(IntEnum):
    """Where a connection stands; timeouts and shutdown go by it."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    VIEW = 3
    WRITING = 4
    # From here on nothing is read.
    LINGERING = 5
    # From here on the transport is not ours.
    SWITCHED = 6
    CLOSED = 7


# The members as plain names: to ask the class for one takes longer than the rest.
IDLE, HEAD, BODY, VIEW, WRITING, LINGERING, SWITCHED, CLOSED = State


_PLAIN = (bytes, str)
"""Types of most bodies: there is nothing to close."""

_UNWATCHED: tuple[State, object, float] = (IDLE, 0, 0.0)
"""What was seen last: a state, something that changes as it goes on, since when."""


class HttpProtocol(asyncio.Protocol):
    """One connection: its messages are answered one after the other, in order.

    What belongs to a message lives in its Request, what was read of it in the Parser;
    here is only where the connection stands:

    ========= ============================================ ========================
    state     what goes on                                 ended after
    ========= ============================================ ========================
    IDLE      nothing, between two messages                `Limits.keep_alive`
    HEAD      a head has begun to come                     `Limits.head_timeout`
    BODY      a body is coming, for a view or to be        `Limits.body_timeout`
              skipped                                      without a byte
    VIEW      all of a message came, and is being served   never
    WRITING   the client is behind with reading            `Limits.write_timeout`
    LINGERING our side has ended                           `LINGER`
    SWITCHED  another protocol has the transport           by that protocol
    CLOSED    the client is gone; its view may go on       never
    ========= ============================================ ========================

    Args:
        app: The app that answers.
    """

    __slots__ = (
        "_advancing",
        "_body",
        "_context",
        "_disconnected",
        "_half_closed",
        "_outbox",
        "_paused",
        "_remaining",
        "_watched",
        "_writable",
        "app",
        "parser",
        "peer",
        "request",
        "response",
        "state",
        "switch",
        "task",
        "transport",
    )

    def __init__(self, app: App) -> None:
        self.app = app
        self.parser = Parser(app.limits)
        """What reads the messages."""
        self.state = IDLE
        """Where the connection stands."""
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        """The connection, also once it is lost."""
        self.peer: Any = None
        """The client's address, as the socket gives it."""
        self.request: Request | None = None
        """The message being served."""
        self.response: Response | None = None
        """The answer to it."""
        self.task: asyncio.Task[None] | None = None
        """The task that serves it."""
        self.switch: Switch | None = None
        """What takes over once a 101 is written."""
        self._body: Body | None = None  # that is still coming
        self._advancing = False
        self._paused = False  # reading
        self._half_closed = False  # by the client
        self._remaining = app.limits.requests or UNLIMITED  # messages to be read
        self._writable: asyncio.Future[None] | None = None
        self._disconnected: asyncio.Future[None] | None = None
        self._watched = _UNWATCHED

    def _enter(self, state: State) -> None:
        self.state = state

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to serve a client."""
        self.transport = cast(asyncio.Transport, transport)
        self._outbox = self.app.lifecycle.outbox(asyncio.get_running_loop())
        self._context = copy_context()
        # A client that left has no address any more, but what a Server accepted it by.
        self.peer = transport.get_extra_info("peername") or self.peer
        self.app.connections.add(self)
        if self.app.closing.is_set():  # accepted just before
            self.stop()

    def connection_lost(self, error: Exception | None) -> None:
        """Cancel what still works for a client that is gone."""
        self._enter(CLOSED)
        self.parser.stop()
        body, self._body = self._body, None
        if body is not None:
            body.fail(HttpError(HTTPStatus.BAD_REQUEST, "The client left"))
        for waiter in (self._writable, self._disconnected):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        if self.task is not None:
            if self.request is not None and self.request.endpoint.finishes:
                # Until then it counts as a connection, which limits how many there are.
                self.task.add_done_callback(self._forget)
                return
            self.task.cancel()
            self.app.keep(self.task)  # it has something to clean up, and to log
        self.app.lifecycle.forget(self)

    def _forget(self, task: object) -> None:
        self.app.lifecycle.forget(self)

    def eof_received(self) -> bool:
        """Answer what came, and close then (RFC 9112, section 9.6).

        A client that is gone looks the same until something is written: `check` sees to
        it that no request is served for long.

        Returns:
            Whether the transport stays open; asyncio closes one of TLS in any case.
        """
        self._outbox.flush()
        if self.secure or self.state >= LINGERING:
            return False
        self._half_closed = True
        body, self._body = self._body, None
        if body is not None:
            self.parser.stop()
            body.fail(HttpError(HTTPStatus.BAD_REQUEST, "The client left"))
        self._advance()
        return True

    def pause_writing(self) -> None:
        """Make whoever writes wait: the client does not read."""
        self._writable = self._outbox.loop.create_future()

    def resume_writing(self) -> None:
        """Let whoever writes go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    @property
    def busy(self) -> bool:
        """Whether a message is being served."""
        return self.request is not None

    @property
    def remote_addr(self) -> str | None:
        """The client's address; None on a unix socket."""
        return self.peer[0] if isinstance(self.peer, tuple) else None

    @property
    def local_address(self) -> Any:
        """The server's end, as its socket names it; None without a transport."""
        return self.transport and self.transport.get_extra_info("sockname")

    @property
    def secure(self) -> bool:
        """Whether the connection has TLS."""
        return bool(self.transport and self.transport.get_extra_info("sslcontext"))

    async def disconnected(self) -> None:
        """Wait until the client is gone."""
        if self._disconnected is None:
            if self.state == CLOSED:
                return
            self._disconnected = self._outbox.loop.create_future()
        await asyncio.shield(self._disconnected)

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Read what came, and serve what is complete enough."""
        self.parser.receive_data(data)
        if self.parser.ignored:
            self._limit_ignored()
        else:
            self._advance()

    def _advance(self) -> None:
        """Read on, and serve each message, until the next one has to wait.

        A message is served once all that came of its body was read: most bodies come
        with their heads.
        """
        if self._advancing:
            return
        self._advancing = True
        parser = self.parser
        turn = TURN
        begun = starved = False
        try:
            while True:
                body = self._body
                if self.request is not None if body is None else body.full:
                    starved = False
                elif not parser.held and body is None:  # the usual end
                    starved = True
                elif not turn:
                    starved = False
                else:
                    turn -= 1
                    try:
                        event = parser.next_event()
                        if type(event) is Head:
                            self._begin(event)
                            begun = self.request is not None
                        else:
                            self._take(event)
                    except Exception:  # not the client's fault
                        self._fail()
                        continue
                    starved = event is NEED_DATA
                    if not starved and (not begun or self._body is not None):
                        continue
                if not begun:
                    break
                begun = False
                self._enter(VIEW if self._body is None else BODY)
                # Not in the context of the request before, in whose task we may be.
                request: Request = self.request  # type: ignore[assignment]
                response: Response = self.response  # type: ignore[assignment]
                context = self._context.copy()
                task = self.task = asyncio.Task(
                    self._serve(request, response),
                    loop=self._outbox.loop,
                    context=context,
                    **EAGER,
                )
                if not EAGER and "finish" in self.app.hooks:
                    # For a task that is cancelled before its first step.
                    finish = partial(self._finish, request, response)
                    task.add_done_callback(finish, context=context)
        finally:
            self._advancing = False
        if starved:
            if self._half_closed and self.request is None:
                return self._end()
            if parser.held and self.state is IDLE:
                self._enter(HEAD)
        elif not turn:
            self._outbox.loop.call_soon(self._advance)  # others have their turn
        if parser.held or self._body is not None or self._paused:
            self._pause(self._is_full(starved))

    def _take(self, event: Event) -> None:
        """Take what is not the head of a message."""
        if type(event) is bytes:
            self.on_body(event)
        elif event is END:
            self.on_message_complete()
        elif type(event) is Refusal:
            self._refuse(event)
        elif self._body is not None and self._body.length is None:
            self._body.announce(self.parser.left)

    def _fail(self) -> None:
        """Answer 500, and read nothing more, where our own code has raised."""
        logger.exception("A message could not be read")
        self.parser.stop()
        self._refuse(Refusal(HttpError(HTTPStatus.INTERNAL_SERVER_ERROR), "GET"))

    def _is_full(self, starved: bool) -> bool:
        """Whether no more is to come in: behind a message, or for a body that is full.

        Args:
            starved: Whether all was read that can be.
        """
        if self._body is not None and self._body.full:
            return True
        if starved or not self.parser.held:
            return False
        return not self.parser.paused or self.parser.unread > self.parser.limits.unread

    def _pause(self, pause: bool) -> None:
        if pause is not self._paused and self.state < SWITCHED:
            if self._half_closed:  # a loop would tell of the end again
                return
            self._paused = pause
            transport = self.transport
            if pause:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def _limit_ignored(self) -> None:
        """Bound what comes after the last message."""
        if self.parser.ignored > self.parser.limits.unread:
            # A close would be a reset, by which the client may lose the answer.
            self._pause(True)

    def _begin(self, head: Head) -> None:
        """Make a request of its head."""
        app = self.app
        request = app.Request(app, self)
        request.message = head
        self._remaining = self._remaining - 1 if head.keep_alive else -1
        if head.length != 0:
            limits = self.parser.limits
            request.content = Body(self, limits.buffer, head.length, head.expects)
        # Behind a handshake is what the other protocol reads, if it is accepted.
        if head.upgrade:
            if not request.endpoint.switches:
                self.parser.resume()
            elif request.content is not None:
                request.content.finish()
        self.on_headers_complete(request)

    def on_headers_complete(self, request: Request) -> None:
        """Take a request to be served next; its body may be still to come."""
        self.request = request
        self.response = self.app.Response(self.app, self)
        if request.content is not None and not request.content.complete:
            self._body = request.content

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        body: Body = self._body  # type: ignore[assignment]  # there is one
        body.feed(data)
        if body.length is None:
            body.announce(self.parser.left)
        if body.discarded > self.parser.limits.unread:
            self._end(linger=True)

    def on_message_complete(self) -> None:
        """Note the end of a body; after the last message nothing is read."""
        body: Body = self._body  # type: ignore[assignment]  # there is one
        self._body = None
        if self.state is BODY:  # else it is still to be served
            self._enter(IDLE if self.request is None else VIEW)
        body.finish()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what cannot be read, unless something is being answered."""
        body, self._body = self._body, None
        self._remaining = -1
        if body is None:
            self._write_refusal(refusal)
        elif self.request is not None:
            body.fail(refusal.error)  # its reader answers, so there is one answer
        else:
            self._end(linger=True)

    def pause_body(self) -> None:
        """Stop reading: the view is slower than the client."""
        self._pause(True)

    def resume_body(self) -> None:
        """Read on."""
        self._advance()

    def continue_body(self) -> None:
        """Ask for the body of a message with `Expect: 100-continue`."""
        self._send(writer.CONTINUE)

    # From messages to answers

    async def _serve(self, request: Request, response: Response) -> None:
        self.task = asyncio.current_task()  # an eager one is not assigned yet
        try:
            await self.app.__call__(request, response)  # half the time of `app(...)`
            await self.write()
            if self.switch is not None:
                switch, self.switch = self.switch, None
                # A listener may have refused it since.
                if self._remaining >= 0 and response._status in INTERIM:
                    if "finish" in self.app.hooks:
                        self._finish(request, response)
                    return await self._hand_over(switch)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            self.abort()
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                self.abort()
                await close_body(response.body)
                raise
            method, url = request.method, request.url
            report(error, "%s %r was cut short", method, url, trace=True)
            if request.version == "1.0":  # the end of the connection may be the body's
                return self.abort()
            self._remaining = -1  # the answers before it are sent
        finally:
            # With what was raised, a task holds on to its frames, and to us.
            self.request = self.response = self.task = self.switch = None
            if "finish" in self.app.hooks:  # before the next request begins
                self._finish(request, response)
        state = self.state
        if state is not VIEW and state >= LINGERING:  # to order them takes longer
            return
        content = request.content
        if self._remaining <= 0:
            self._outbox.flush()
            self._end(linger=self._more_comes(content))
        elif content is None or content.complete:
            self._enter(IDLE)
        else:
            self._enter(BODY)
            content.discard()
        if not self._advancing:  # else this was served at once, from within
            self._advance()

    def _finish(
        self, request: Request, response: Response, task: object = None
    ) -> None:
        """Run the `finish` listeners, once, when a request has ended."""
        if not response.finished:
            response.finished = True
            self.app.hook("finish", request, response)

    def _more_comes(self, content: Body | None) -> bool:
        """Whether input is left that nobody reads, or may come before much is sent."""
        if content is not None and not content.complete:
            return True
        transport = self.transport
        if self.parser.finished and not self.parser.ignored:
            return False  # a client that knew of the end, and kept to it
        return sockets.unsent(transport) > COPIED or sockets.unread(transport) > 0

    async def write(self) -> None:
        """Send the answer of the message being served.

        One that would break HTTP, for example by a line feed in a header, becomes a
        500.
        """
        request: Request = self.request  # type: ignore[assignment]  # it is served
        response: Response = self.response  # type: ignore[assignment]
        content = request.content
        if content is not None and content.expected and _may_read(response):
            content.ask()  # not later, in the middle of the answer
        try:
            framed = self._frame(request, response)
        except Exception as error:
            framed = await self._frame_error(request, response, error)
        if content is not None:
            content.expected = False  # the client has its answer
        if isinstance(framed, bytes):
            if self._send(framed):
                response.written = framed  # to count its body would take longer
            if type(response.body) not in _PLAIN:
                await close_body(response.body)
        else:
            await self._write_framed(framed, response)
        if self._writable is not None:
            await self._wait_for_client()
        response.complete = self.state is not CLOSED

    async def _write_framed(self, framed: Framed, response: Response) -> None:
        """Send what is large, comes in pieces, or is the last."""
        if framed.close:
            self._remaining = -1
        if self._send(framed.head, at_once=framed.body is not None):
            response.written = framed.head  # which has a small body behind it
        if framed.body is not None and self.state != CLOSED:
            if hasattr(framed.body, "__aiter__"):
                return await self._write_stream(framed, response)
            # The transport keeps what it is given, until it is sent.
            self._send(bytes(framed.body), at_once=True)
            response.written = len(framed.body)
        await close_body(response.body)

    async def _wait_for_client(self) -> None:
        """Wait while the client is behind with reading."""
        waiter: asyncio.Future[None] = self._writable  # type: ignore[assignment]
        before = self.state
        if before < LINGERING:
            self._enter(WRITING)
        await waiter
        if self.state is WRITING:
            self._enter(before if before is not BODY or self._body else VIEW)

    def _frame(self, request: Request, response: Response) -> bytes | Framed:
        if self.switch is not None and response._status in INTERIM:
            if self._remaining < 0:  # a limit of requests does not count a handshake
                raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE)
            return frame(response, extra=self.app.date, switches=True)
        content = request.content
        close = (
            self._remaining <= 0
            or (content is not None and not self._can_skip(content, response))
            or self.parser.paused  # its offer failed
        )
        head = request.message
        return frame(response, head.method, head.version, close, self.app.date)

    async def _frame_error(
        self, request: Request, response: Response, error: Exception
    ) -> bytes | Framed:
        """Frame a 500 in place of what cannot be sent.

        What `response` listeners have added stays, and no listener runs twice.
        """
        await close_body(response.body)
        writer.drop_unsendable(response)
        if self.switch is not None:
            for name in self.switch.fields:
                response.headers.pop(name, None)
        if not response.failed:
            await self.app.answer_error(request, response, error)
            try:
                return self._frame(request, response)
            except Exception as second:  # nor can what listeners made of it
                error = second
            await close_body(response.body)
            writer.drop_unsendable(response)
        set_error(response, as_http_error(request, error))
        return self._frame(request, response)

    def _can_skip(self, content: Body, response: Response) -> bool:
        """Whether the connection outlives what is unread of a body."""
        if content.complete:
            return True
        if content.expected:  # the client may send the body, or may not
            return False
        # Of a body that is too large, more chunks come than can be skipped. A client
        # that had sent them all, and was told nothing, would send another request.
        if (
            content.length is None
            and response._status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        ):
            return False
        return content.missing <= self.parser.limits.unread

    async def _write_stream(self, framed: Framed, response: Response) -> None:
        """Send the pieces of an async body as they come, and always close it."""
        transport = self.transport
        body: AsyncIterable[Any] = framed.body
        # A transport keeps all of what it has sent a part of: nothing is added to it.
        transport.set_write_buffer_limits(UNSENT)
        left = math.inf if framed.length is None else framed.length
        turn = STREAM_TURN
        sent = 0
        iterator = aiter(body)
        try:
            async for piece in iterator:
                if transport.is_closing():  # it would log each piece that is written
                    await self.disconnected()
                if self.state == CLOSED:  # the view goes on, its client has left
                    return
                data = encode_body(piece)
                left -= len(data)
                if left < 0:
                    raise ValueError(f"the body passes its {framed.length} bytes")
                if framed.chunked and data:  # an empty chunk would be the last one
                    self._send(writer.chunk(data))
                else:
                    self._send(bytes(data))
                sent += len(data)
                response.written = sent
                turn -= PIECE + len(data)
                if self._writable is not None:
                    del piece, data  # they are kept until they are sent
                    await self._wait_for_client()
                    turn = STREAM_TURN
                elif turn <= 0:
                    await asyncio.sleep(0)
                    turn = STREAM_TURN
        finally:
            await close_body(iterator)
            if iterator is not body:
                await close_body(body)
        if framed.chunked:
            self._send(writer.LAST_CHUNK)
        elif framed.length is not None and left and self.state != CLOSED:
            raise ValueError(f"the body lacks {left} of its {framed.length} bytes")
        if self.state != CLOSED:
            transport.set_write_buffer_limits()  # what they were

    async def _hand_over(self, switch: Switch) -> None:
        """Give the connection to the protocol that it was upgraded to."""
        self._outbox.flush()
        if self._writable is not None:  # the other protocol is not told of it
            await self._wait_for_client()
        if self.state == CLOSED:
            return
        if self._half_closed:  # the other protocol would never hear of it
            return self._end()
        transport, protocol = self.transport, switch.protocol
        rest = self.parser.take_rest()
        self._enter(SWITCHED)
        if self._disconnected is None:
            self._disconnected = self._outbox.loop.create_future()
        self.app.keep(cast("asyncio.Task[None]", asyncio.current_task()))
        self.app.connections.add(protocol)
        self.app.connections.discard(self)
        try:
            transport.set_protocol(cast(asyncio.Protocol, protocol))
            protocol.connection_made(transport)
            if self._paused:
                transport.resume_reading()
            if rest:
                protocol.data_received(rest)
            await protocol.run(switch.view, switch.variables)
        except BaseException:
            transport.abort()
            raise
        finally:
            transport.close()  # nobody is left to do so
            self.app.lifecycle.forget(protocol)
            self._disconnected.set_result(None)

    def _write_refusal(self, refusal: Refusal) -> None:
        """Answer what could not be parsed; `refused` is the only event of it."""
        if "refused" in self.app.hooks:
            # Not in the context of the request before, in whose task we may be.
            arguments = refusal.error.status, self.remote_addr
            self._context.copy().run(self.app.hook, "refused", *arguments)
        response = Response(None, None)
        set_error(response, refusal.error)
        framed = frame(response, refusal.method, close=True, extra=self.app.date)
        self._send(framed if isinstance(framed, bytes) else framed.head)
        self._end(linger=True)

    # What goes out, and the end: these two alone write, so that what the outbox holds
    # stays in order.

    def _send(self, data: bytes | tuple[bytes, ...], at_once: bool = False) -> bool:
        """Write, within this round of the loop, unless the client is gone.

        Returns:
            Whether it was written.
        """
        state = self.state
        if state is CLOSED or state is SWITCHED:
            return False
        if at_once:
            self._outbox.send_at_once(self.transport, data)
        elif type(data) is tuple:
            self._outbox.send_pieces(self.transport, data)
        else:
            self._outbox.send(self.transport, data)
        return True

    def _end(self, linger: bool = False, abort: bool = False) -> None:
        """End once all is sent; what still comes is ignored.

        Args:
            linger: End our side alone and wait, for a while, until the client ends its
                own: a close with input unread would make its system drop the answer
                (RFC 9112, section 9.6).
            abort: End now, whatever is not sent yet.
        """
        self.parser.stop()
        if self.state >= SWITCHED:
            return
        self._enter(LINGERING)
        transport = self.transport
        self._outbox.flush()
        if abort:
            transport.abort()
        elif linger and transport.can_write_eof() and not self._half_closed:
            try:
                transport.write_eof()
            except OSError:  # asyncio's own, when the client has reset the connection
                return transport.abort()
            self.parser.ignored = 0
            self._pause(False)
        else:
            transport.close()

    def abort(self) -> None:
        """End now, whatever is not sent yet."""
        self._end(abort=True)

    def stop(self) -> None:
        """End as soon as the running request is answered, soon when there is none.

        A client that was not told may have sent a request: without an answer it could
        not tell whether that was served (RFC 9112, section 9.3.1).
        """
        self._remaining = -1 if self.busy else min(self._remaining, 0)
        if self.busy:
            return
        if self.parser.limits.shutdown > QUIET:
            self._outbox.loop.call_later(QUIET, self._stop_idle)
        else:
            self._end()

    def _stop_idle(self) -> None:
        """Close, unless a request has come: that is served before."""
        if self.state >= LINGERING:
            return
        if self.busy or sockets.unread(self.transport):
            self.stop()
        else:
            self._end()

    def check(self, now: float) -> None:
        """End what takes too long; the app calls it every second or more often.

        Args:
            now: The loop's time, in seconds.
        """
        if self.state >= SWITCHED:  # maybe a view that goes on without its client
            return
        state, mark, limit = self._phase()
        seen, seen_mark, since = self._watched
        if state != seen or mark != seen_mark:
            self._watched = (state, mark, now)
        elif now - since >= limit:
            self._time_out(state)

    @property
    def _written(self) -> int:
        """Bytes of the stream that is being sent."""
        written = 0 if self.response is None else self.response.written
        return written if isinstance(written, int) else 0

    def _phase(self) -> tuple[State, object, float]:
        """What is waited for, something that changes as it goes on, seconds allowed.

        No request pays for timers: this looks at what the connection keeps anyway.
        """
        limits = self.parser.limits
        progress = self.parser.progress
        transport = self.transport
        if self._writable is not None or transport.is_closing():
            unsent = sockets.unsent(transport)
            if unsent <= ALERT and self.secure and transport.is_closing():
                return LINGERING, unsent, LINGER  # TLS waits for the client's alert
            return WRITING, unsent, limits.write_timeout
        if self.state == LINGERING:
            return LINGERING, sockets.unsent(transport), LINGER
        if self._half_closed or (self._paused and has_left(transport)):
            return LINGERING, (progress, self._written), limits.half_close
        if self._body is not None and not self._paused and not self._body.expected:
            return BODY, progress, limits.body_timeout
        if self.busy or self._body is not None:
            return VIEW, progress, math.inf
        if self.state == HEAD or not progress:
            return HEAD, progress, limits.head_timeout
        return IDLE, progress, limits.keep_alive

    def _time_out(self, state: State) -> None:
        if state in (WRITING, LINGERING):
            self.abort()
        elif state == BODY or self.parser.unread:
            self._refuse(self.parser.refuse(HTTPStatus.REQUEST_TIMEOUT))
        else:
            self._end()


def _may_read(response: Response) -> bool:
    """Whether an answer may go on to read the body of its request."""
    return response.status < HTTPStatus.MULTIPLE_CHOICES and hasattr(
        response.body, "__aiter__"
    )
