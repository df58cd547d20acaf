"""HTTP/1.1 on an asyncio transport (RFC 9112), one message after another."""

import asyncio
from contextvars import copy_context
from http import HTTPStatus
from typing import Any, cast

from ..errors import HttpError
from ..logs import logger
from ..request import Request
from ..response import Response
from ..typing import App
from . import exchange, sockets, timeouts, tls, writer
from .body import CLIENT_LEFT, Body
from .parser import END, NEED_DATA, Event, Head, Parser, Refusal
from .state import (
    BODY,
    CLOSED,
    HEAD,
    IDLE,
    LINGERING,
    SWITCHED,
    UNSEEN,
    VIEW,
    WRITING,
)
from .upgrade import Switch

QUIET = 0.25
"""Seconds for requests on their way when the app shuts down: more than most round
trips."""

TURN = 100
"""Messages, and pieces of bodies, to read before other connections have a turn: one
read may have thousands, and each takes at least 20 microseconds."""

UNLIMITED = 2**30 - 1
"""Messages on a connection without a limit: CPython counts up to this fastest."""


class HttpProtocol(asyncio.Protocol):
    """One connection: its messages are served one after the other, in order.

    The data of a message is in its Request, and unread data in the Parser. Here is only
    the state of the connection; see `State` and `HttpConnection`.

    Args:
        app: The app that responds.
    """

    __slots__ = (
        "_disconnected",
        "advancing",
        "app",
        "body",
        "context",
        "half_closed",
        "outbox",
        "parser",
        "paused",
        "peer",
        "remaining",
        "request",
        "response",
        "seen",
        "state",
        "switch",
        "task",
        "transport",
        "writable",
    )

    def __init__(self, app: App) -> None:
        self.app = app
        self.parser = Parser(app.limits)
        self.state = IDLE
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.peer: Any = None
        self.request: Request | None = None
        self.response: Response | None = None
        self.task: asyncio.Task[None] | None = None
        self.switch: Switch | None = None
        self.body: Body | None = None
        self.advancing = False
        self.paused = False
        self.half_closed = False
        self.remaining = app.limits.requests or UNLIMITED
        self.writable: asyncio.Future[None] | None = None
        self.seen = UNSEEN
        self._disconnected: asyncio.Future[None] | None = None

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start serving a client."""
        self.transport = cast(asyncio.Transport, transport)
        self.outbox = self.app.lifecycle.outbox(asyncio.get_running_loop())
        self.context = copy_context()
        # A client that has left has no address any more, except the one from `accept`.
        self.peer = transport.get_extra_info("peername") or self.peer
        self.app.connections.add(self)
        tls.on_end(transport, self._end_of_tls)
        if self.app.closing.is_set():  # accepted just before
            self.stop()

    def connection_lost(self, error: Exception | None) -> None:
        """Cancel the task of a client that is gone."""
        tls.on_end(self.transport, None)
        self.parser.stop()
        body, self.body = self.body, None
        if body is not None:
            body.fail(HttpError(HTTPStatus.BAD_REQUEST, CLIENT_LEFT))
        self.lose()
        if self.task is not None:
            if self.request is not None and self.request.endpoint.finishes:
                # Until then it counts towards the limit of connections.
                self.task.add_done_callback(self._forget)
                return
            self.task.cancel()
            self.app.keep(self.task)  # it has something to clean up, and to log
        self.app.lifecycle.forget(self)

    def lose(self) -> None:
        """Note that the client is gone, and wake tasks that wait for it."""
        self.state = CLOSED
        for waiter in (self.writable, self._disconnected):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def _forget(self, task: object) -> None:
        self.app.lifecycle.forget(self)

    def eof_received(self) -> bool:
        """Note that the client sends no more; asyncio closes a TLS connection.

        Returns:
            Whether the transport stays open.
        """
        if self.secure:
            self.outbox.flush()
            return False
        return self.half_close()

    def half_close(self) -> bool:
        """Serve the requests received, then close (RFC 9112, section 9.6).

        A client that is gone looks the same until something is written: `check` limits
        how long its requests are served.

        Returns:
            Whether there may be requests to serve.
        """
        self.outbox.flush()
        if self.state >= LINGERING:
            return False
        self.half_closed = True
        body, self.body = self.body, None
        if body is not None:
            self.parser.stop()
            body.fail(HttpError(HTTPStatus.BAD_REQUEST, CLIENT_LEFT))
        self.advance()
        return True

    def _end_of_tls(self) -> None:
        """Half close, once the bytes before are handed over.

        The end of TCP may have come, too: then the transport drops unread data.
        """
        self.outbox.hurry()
        self.outbox.loop.call_soon(self._half_close_tls)

    def _half_close_tls(self) -> None:
        if not self.transport.is_closing():  # true while lingering
            self.half_close()

    def pause_writing(self) -> None:
        """Make writers wait: the client does not read."""
        self.writable = self.outbox.loop.create_future()

    def resume_writing(self) -> None:
        """Let writers continue."""
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)
        self.writable = None

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
        """The server's address, from its socket; None without a transport."""
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
            self._disconnected = self.outbox.loop.create_future()
        await asyncio.shield(self._disconnected)

    # Receiving

    def data_received(self, data: bytes) -> None:
        """Read the bytes received, and serve messages that are complete enough."""
        self.parser.receive_data(data)
        if self.parser.ignored:
            self._limit_ignored()
        else:
            self.advance()

    def advance(self) -> None:
        """Read, and serve each message, until the next one has to wait.

        A message is served once the received part of its body was read: most bodies
        arrive with their heads.
        """
        if self.advancing:
            return
        self.advancing = True
        parser = self.parser
        turn = TURN
        starved = False  # whether all data was read
        try:
            while True:
                body = self.body
                if body is not None:
                    if body.full:
                        break
                elif self.request is not None:
                    break
                elif not parser.held:
                    if not (self.paused or self.half_closed):
                        return
                    starved = True
                    break
                if not turn:
                    self.outbox.loop.call_soon(self.advance)
                    break
                turn -= 1
                event = self._read()
                if type(event) is Head:
                    while (body := self.body) is not None and not body.full and turn:
                        turn -= 1
                        if self._read() is NEED_DATA:
                            break
                    self.state = VIEW if body is None else BODY
                    exchange.start(self)
                elif event is NEED_DATA:
                    starved = True
                    break
        finally:
            self.advancing = False
        if parser.held or self.body is not None or self.paused or self.half_closed:
            self._settle(starved)

    def _read(self) -> Event | None:
        """Take the next event from the parser."""
        try:
            event = self.parser.next_event()
            if type(event) is Head:
                self._begin(event)
            elif type(event) is bytes:
                self.on_body(event)
            elif event is END:
                self.on_message_complete()
            elif type(event) is Refusal:
                self._refuse(event)
            elif self.body is not None and self.body.length is None:
                self.body.announce(self.parser.left)
        except Exception:  # not the client's fault
            self._fail()
            return None
        return event

    def _settle(self, starved: bool) -> None:
        """Close, wait for more data, or pause reading, as needed."""
        if starved and self.request is None:
            if self.half_closed:
                return self.end()
            if self.parser.held and self.state is IDLE:
                self.state = HEAD
        self._pause(self._is_full(starved))

    def _fail(self) -> None:
        """Respond with 500, and read nothing more: Roll's own code has raised."""
        logger.exception("A message could not be read")
        self.parser.stop()
        self._refuse(Refusal(HttpError(HTTPStatus.INTERNAL_SERVER_ERROR), "GET"))

    def _is_full(self, starved: bool) -> bool:
        """Whether to pause: after a message, or when a body is full.

        Args:
            starved: Whether all data was read.
        """
        if self.body is not None and self.body.full:
            return True
        if starved or not self.parser.held:
            return False
        return not self.parser.paused or self.parser.unread > self.parser.limits.unread

    def _pause(self, pause: bool) -> None:
        if pause is not self.paused and self.state < SWITCHED:
            if self.half_closed:  # a loop would report the end again
                return
            self.paused = pause
            transport = self.transport
            if pause:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def _limit_ignored(self) -> None:
        """Limit the data after the last message."""
        if self.parser.ignored > self.parser.limits.unread:
            # Closing would be a reset, which may cost the client the response.
            self._pause(True)

    def _begin(self, head: Head) -> None:
        """Make a request from its head."""
        app = self.app
        request = app.Request(app, self)
        request.message = head
        self.remaining = self.remaining - 1 if head.keep_alive else -1
        if head.length != 0:
            limits = self.parser.limits
            request.content = Body(self, limits.buffer, head.length, head.expects)
        # After a handshake, the other protocol reads, if it is accepted.
        if head.upgrade:
            if not request.endpoint.switches:
                self.parser.resume()
            elif request.content is not None:
                request.content.finish()
        self.on_headers_complete(request)

    def on_headers_complete(self, request: Request) -> None:
        """Take the next request to serve; its body may follow later."""
        self.request = request
        self.response = self.app.Response(self.app, self)
        if request.content is not None and not request.content.complete:
            self.body = request.content

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        body: Body = self.body  # type: ignore[assignment]  # there is one
        body.feed(data)
        if body.length is None:
            body.announce(self.parser.left)
        if body.discarded > self.parser.limits.unread:
            self.end(linger=True)

    def on_message_complete(self) -> None:
        """Note the end of a body; after the last message nothing is read."""
        body: Body = self.body  # type: ignore[assignment]  # there is one
        self.body = None
        if self.state is BODY:  # otherwise it is not served yet
            self.state = IDLE if self.request is None else VIEW
        body.finish()

    def _refuse(self, refusal: Refusal) -> None:
        """Respond to unreadable data, unless a request is being served."""
        body, self.body = self.body, None
        self.remaining = -1
        if body is None:
            exchange.refuse(self, refusal)
        elif self.request is not None:
            body.fail(refusal.error)  # its reader responds: there is only one response
        else:
            self.end(linger=True)

    def pause_body(self) -> None:
        """Stop reading: the view is slower than the client."""
        self._pause(True)

    def resume_body(self) -> None:
        """Resume reading."""
        self.advance()

    def continue_body(self) -> None:
        """Ask for the body of a message with `Expect: 100-continue`."""
        self.send(writer.CONTINUE)

    write = exchange.write

    # Sending, and the end: only these two write, so that data in the outbox stays in
    # order.

    def send(self, data: bytes | tuple[bytes, ...], at_once: bool = False) -> bool:
        """Write, within this round of the loop, unless the client is gone.

        Returns:
            Whether it was written.
        """
        state = self.state
        if state is CLOSED or state is SWITCHED:
            return False
        if at_once:
            self.outbox.send_at_once(self.transport, data)
        elif type(data) is tuple:
            self.outbox.send_pieces(self.transport, data)
        else:
            self.outbox.send(self.transport, data)
        return True

    def end(self, linger: bool = False, abort: bool = False) -> None:
        """End once all is sent; later input is ignored.

        Args:
            linger: End only our side, and wait for a while until the client ends its
                own: closing with unread input would make its system drop the response
                (RFC 9112, section 9.6).
            abort: End now, without sending the rest.
        """
        self.parser.stop()
        if self.state >= SWITCHED:
            return
        self.state = LINGERING
        transport = self.transport
        self.outbox.flush()
        if abort:
            transport.abort()
        elif linger and transport.can_write_eof() and not self.half_closed:
            try:
                transport.write_eof()
            except OSError:  # asyncio's own, when the client has reset the connection
                return transport.abort()
            self.parser.ignored = 0
            self._pause(False)
        else:
            transport.close()

    def abort(self) -> None:
        """End now, without sending the rest."""
        self.end(abort=True)

    def stop(self) -> None:
        """End after the running request, or soon if there is none.

        The client may have sent a request that is still on its way: without a response,
        it could not know whether that was served (RFC 9112, section 9.3.1).
        """
        self.remaining = -1 if self.busy else min(self.remaining, 0)
        if self.busy:
            return
        if self.parser.limits.shutdown > QUIET:
            self.outbox.loop.call_later(QUIET, self._stop_idle)
        else:
            self.end()

    def _stop_idle(self) -> None:
        """Close, unless a request has arrived, which is served first."""
        if self.state >= LINGERING:
            return
        if self.busy or sockets.unread(self.transport):
            self.stop()
        else:
            self.end()

    def check(self, now: float) -> None:
        """End what takes too long; the app calls this at least every second.

        Args:
            now: The loop's time, in seconds.
        """
        if self.state >= SWITCHED:  # maybe a view continues without its client
            return
        late = timeouts.check(self, now)
        if late is None:
            return
        if late in (WRITING, LINGERING):
            self.abort()
        elif late == BODY or self.parser.unread:
            self._refuse(self.parser.refuse(HTTPStatus.REQUEST_TIMEOUT))
        else:
            self.end()
