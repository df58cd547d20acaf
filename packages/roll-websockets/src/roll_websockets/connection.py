"""Connection: a WebSocket on an asyncio transport, and its limits."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, cast

from roll import Request, Response, Roll
from roll.peers import has_left
from websockets.frames import CloseCode
from websockets.protocol import State

from . import handshake
from .frames import TURN, FrameReader

KEEP_ALIVE = b"keep-alive"
"""The data of our own pings."""

TOGETHER = 4096
"""A larger frame, in bytes, is written at once, with those before it."""

_SIZES = ("MAX_SIZE", "MAX_QUEUE", "READ_LIMIT", "WRITE_LIMIT")
_TIMES = ("OPEN_TIMEOUT", "TIMEOUT", "PING_INTERVAL", "PING_TIMEOUT")


class Ping(NamedTuple):
    """A ping that waits for its pong."""

    future: "asyncio.Future[float]"
    sent: float


class Connection(FrameReader, asyncio.Protocol):
    """The side of a WebSocket that the transport and the app's sweep use.

    Its class attributes are its limits. All times are in seconds.

    Args:
        request: The handshake.
        response: The response, which gets the fields of the 101.
        extras: Options for WebSockets, in place of the route's extras.

    Raises:
        HttpError: As for `handshake.accept`.
    """

    MAX_SIZE: ClassVar[int] = 2**20
    """Bytes of a message, inflated; a larger one closes the connection with 1009."""
    MAX_QUEUE: ClassVar[int] = 64
    """Messages kept for the view before reading pauses."""
    READ_LIMIT: ClassVar[int] = 2**16
    """Bytes, or characters, of messages kept for the view before reading pauses."""
    WRITE_LIMIT: ClassVar[int] = 2**16
    """Unsent bytes before `send` waits for the client."""
    OPEN_TIMEOUT: ClassVar[float] = 10
    """Time for the `websocket_connect` listeners."""
    TIMEOUT: ClassVar[float] = 5
    """Time for the closing handshake, and for a view to end once the client is gone."""
    PING_INTERVAL: ClassVar[float | None] = 20
    """Time without a byte from the client before it gets a ping; None for no pings."""
    PING_TIMEOUT: ClassVar[float] = 20
    """Time for a byte after that ping before the connection closes with 1011. While
    reading is paused, time before the next ping, which fails if the client is gone."""
    COMPRESSION: ClassVar[str | None] = None
    """`"deflate"` agrees to permessage-deflate (RFC 7692) when a client offers it."""

    __slots__ = (
        "_app",
        "_ended",
        "_heard",
        "_left_at",
        "_loop",
        "_mark",
        "_pinged",
        "_pings",
        "_streaming",
        "_task",
        "_timer",
        "_transport",
        "_turn",
        "_unsent",
        "_unwritten",
        "_waiter",
        "_writable",
        "request",
    )

    def __init_subclass__(cls, **options: Any) -> None:
        """Check the limits of a subclass."""
        super().__init_subclass__(**options)
        handshake.check_compression(cls.COMPRESSION)
        for name in (*_SIZES, *_TIMES):
            value = getattr(cls, name)
            kinds = int if name in _SIZES else (int, float)
            if value is None and name == "PING_INTERVAL":
                continue
            if not isinstance(value, kinds) or isinstance(value, bool) or not value > 0:
                raise ValueError(
                    f"{cls.__name__}.{name} = {value!r}: give a"
                    f"{' whole' if kinds is int else ''} number above 0"
                )

    def __init__(
        self,
        request: Request,
        response: Response,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        if extras is None:
            extras = request.route.payload or {}
        super().__init__(
            handshake.accept(request, response, extras, self.MAX_SIZE, self.COMPRESSION)
        )
        self.request = request
        """The handshake, with its headers, cookies and query."""
        # Not the app of the request, which may be mounted: limits are the connection's.
        self._app: Roll = cast(Any, request.protocol).app
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, None)  # until it is handed over
        self._task: asyncio.Task[Any] | None = None  # while it runs the view
        self._waiter: asyncio.Future[None] | None = None  # a task waits for a message
        self._ended: asyncio.Future[None] | None = None  # and one for the end
        self._writable: asyncio.Future[None] | None = None
        self._streaming: asyncio.Future[None] | None = None  # a message in fragments
        self._pings: dict[bytes, Ping] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = True  # since _mark
        self._pinged = False
        self._left_at: float | None = None  # the end was noticed before it was read
        self._mark = self._loop.time()
        self._unwritten: list[bytes] = []  # frames to write together, in this round
        self._unsent = 0  # at the last check
        self._turn = TURN  # frames to write before others have a turn

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection, after the 101."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(self.WRITE_LIMIT)

    def data_received(self, data: bytes) -> None:
        """Read the bytes received."""
        self._heard = True
        self._read(data)

    def eof_received(self) -> None:
        """Note that the client sends no more, and close."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Wake all tasks that wait for the client."""
        protocol = self._protocol
        protocol.receive_eof()
        protocol.data_to_send()  # nobody will get it
        self._open = self._plain = False
        self._unwritten.clear()
        self._transport = None  # type: ignore[assignment]  # no more writes
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            since = self._loop.time() if self._left_at is None else self._left_at
            self._timer = self._loop.call_at(since + self.TIMEOUT, self._task.cancel)
        for waiter in (self._waiter, self._writable, self._ended):
            _wake(waiter)
        self._writable = None
        for ping in (self._pings or {}).values():
            if not ping.future.done():
                ping.future.set_exception(protocol.close_exc)
                ping.future.exception()  # no warning if nobody waits for it

    def pause_writing(self) -> None:
        """Let `send` wait: the client reads too slowly."""
        self._writable = self._loop.create_future()
        self._unsent = -1

    def resume_writing(self) -> None:
        """Let `send` continue."""
        _wake(self._writable)
        self._writable = None
        self._heard = True
        self._read_on_soon()

    # For the frames

    def _wake_reader(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _pause(self) -> None:
        self._paused = True
        self._transport.pause_reading()

    def _read_on_soon(self) -> None:
        if self._paused and not self._messages:
            self._loop.call_soon(self._read_on)  # after other callbacks

    def _read_on(self) -> None:
        """Read held bytes, then new ones, once all messages are taken."""
        if not self._paused or self._transport is None:
            return
        self._paused = False
        self._heard = True
        self._read(b"")
        if not self._paused:
            self._transport.resume_reading()

    def _give_way(self) -> None:
        if not self._paused:  # otherwise the view resumes reading
            self._pause()
            self._loop.call_soon(self._read_on)

    def _has_to_wait(self) -> bool:
        if self._writable is not None:  # a client that reads nothing gets no pongs
            self._pause()
        return self._paused

    def _take_pong(self, data: bytes) -> None:
        """Note the pong for all pings up to this one (section 5.5.3)."""
        if self._pings is None or data not in self._pings:
            return
        now = self._loop.time()
        sent = [*self._pings]
        for payload in sent[: sent.index(data) + 1]:
            ping = self._pings.pop(payload)
            if not ping.future.done():
                ping.future.set_result(now - ping.sent)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            self._put(data)
        if self._open and self._protocol.state is not State.OPEN:
            self._open = self._plain = False
            self._timer = self._loop.call_later(self.TIMEOUT, self._transport.abort)
            if self._paused:  # its Close comes after held bytes
                self._loop.call_soon(self._read_on)

    def _put(self, data: bytes) -> None:
        """Write, or end our side if *data* is empty.

        While the view has messages to read, it is likely to send more: its frames go in
        one write, in this round of the loop.
        """
        self._turn -= 1
        unwritten = self._unwritten
        if not unwritten:
            if not self._messages:
                self._write_now(data)
                return
            self._loop.call_soon(self._write_all)
        unwritten.append(data)
        if not 0 < len(data) <= TOGETHER:
            self._write_all()

    def _write_all(self) -> None:
        """Write the collected frames together."""
        if self._unwritten:
            pieces, self._unwritten = self._unwritten, []
            ends = not pieces[-1]
            if data := b"".join(pieces):
                self._write_now(data)
            if ends:
                self._write_now(b"")

    def _write_now(self, data: bytes) -> None:
        transport = self._transport
        if transport.is_closing():
            # The client has left, and `connection_lost` comes soon. The transport would
            # log each write and never pause: a view could go on forever.
            self._open = self._plain = False
        elif data:
            transport.write(data)
        elif self._ends_cleanly() or not transport.can_write_eof():
            transport.close()
        else:  # it still sends: with a reset, it would not see our Close
            try:
                transport.write_eof()
            except OSError:  # asyncio's own, when the client has reset the connection
                transport.abort()

    def _ends_cleanly(self) -> bool:
        """Whether nothing follows, after a Close of both sides, or the client's end."""
        protocol = self._protocol
        return protocol.reader.eof or (
            protocol.parser_exc is None and protocol.close_rcvd is not None
        )

    # The app's sweep

    def check(self, now: float) -> None:
        """Check whether the client is still there; *now* is the loop's time."""
        if not self._open:
            return
        if self._paused and has_left(self._transport):
            self._check_leaving(now)
        elif self._writable is not None:
            self._check_writing(now)
        elif self.PING_INTERVAL is not None:
            self._check_reading(now, self.PING_INTERVAL)

    def _check_leaving(self, now: float) -> None:
        """Give a view time for messages that it has not received yet, as usual."""
        if self._left_at is None:
            self._left_at = now
        elif now - self._left_at >= self.TIMEOUT:
            self._transport.abort()

    def _check_writing(self, now: float) -> None:
        unsent = self._transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent = unsent
            self._mark = now
        elif now - self._mark >= self._app.limits.write_timeout:
            self._transport.abort()

    def _check_reading(self, now: float, interval: float) -> None:
        if self._heard:
            self._heard = self._pinged = False
            self._mark = now
        elif now - self._mark >= (self.PING_TIMEOUT if self._pinged else interval):
            self._mark = now
            if self._pinged and not self._paused:  # otherwise its pong may be unread
                self._protocol.fail(CloseCode.INTERNAL_ERROR, "no response to a ping")
            else:
                self._pinged = True
                self._protocol.send_ping(KEEP_ALIVE)
            self._flush()


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
