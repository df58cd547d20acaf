"""WSProtocol: a connection after its handshake, and the `ws` that its view gets."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple, Self, cast

from roll import Request, Response, Roll
from roll.typing import View
from websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ProtocolError,
)
from websockets.frames import Close, CloseCode
from websockets.protocol import State

from . import handshake
from .frames import BINARY, TEXT, FrameReader, serialize

logger = logging.getLogger("roll")

KEEP_ALIVE = b"keep-alive"
"""What our own pings carry."""

FAREWELL = 0.5
"""Seconds for the closing handshake when the view is cancelled."""

Message = str | bytes | bytearray | memoryview
"""What can be sent."""

_SIZES = ("MAX_SIZE", "MAX_QUEUE", "READ_LIMIT", "WRITE_LIMIT")
_TIMES = ("OPEN_TIMEOUT", "TIMEOUT", "PING_INTERVAL", "PING_TIMEOUT")


def encode(message: Message) -> tuple[bool, bytes]:
    """Tell whether a message is text, and give its payload.

    Raises:
        TypeError: It is no message.
    """
    if isinstance(message, str):
        return True, message.encode()
    if isinstance(message, Message):
        return False, bytes(message)
    raise TypeError(
        f"{type(message).__name__} is no message: give str, bytes, or to send() an "
        "async iterable of one of them"
    )


class _Ping(NamedTuple):
    future: "asyncio.Future[float]"
    sent: float


class WSProtocol(FrameReader, asyncio.Protocol):
    """A WebSocket (RFC 6455).

    Its class attributes are its limits: override them in a subclass, and name it as
    the app's `WebsocketProtocol`. All times are in seconds.

    Args:
        request: The handshake.
        response: Gets the fields of the 101.

    Raises:
        HttpError: As `handshake.accept` does.
    """

    TOKEN: ClassVar[str] = "websocket"
    """What the field `Upgrade` says."""
    ALLOWED_METHODS: ClassVar[tuple[str, ...]] = ("GET",)
    """The methods of a handshake."""

    MAX_SIZE: ClassVar[int] = 2**20
    """Bytes of a message, inflated; a larger one closes with 1009."""
    MAX_QUEUE: ClassVar[int] = 64
    """Messages kept for the view; reading pauses then."""
    READ_LIMIT: ClassVar[int] = 2**16
    """Bytes, or characters, of messages kept for the view; reading pauses past it."""
    WRITE_LIMIT: ClassVar[int] = 2**16
    """Bytes that wait for the client; `send` waits past it."""
    OPEN_TIMEOUT: ClassVar[float] = 10
    """For the `websocket_connect` listeners."""
    TIMEOUT: ClassVar[float] = 5
    """For the closing handshake; and for a view to end once the client is gone."""
    PING_INTERVAL: ClassVar[float | None] = 20
    """Without a byte from the client before it gets a ping; None sends none."""
    PING_TIMEOUT: ClassVar[float] = 20
    """For a byte after that ping; past it the connection closes with 1011."""
    COMPRESSION: ClassVar[str | None] = None
    """`"deflate"` agrees to permessage-deflate (RFC 7692) when a client offers it."""

    __slots__ = (
        "_app",
        "_ended",
        "_heard",
        "_loop",
        "_mark",
        "_messages",
        "_pinged",
        "_pings",
        "_size",
        "_streaming",
        "_task",
        "_timer",
        "_transport",
        "_unsent",
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

    @classmethod
    def check_extras(cls, extras: Mapping[str, Any]) -> None:
        """Check the extras of a route when it is declared.

        Raises:
            TypeError: As `handshake.check_extras` does.
            ValueError: As `handshake.check_extras` does.
        """
        handshake.check_extras(extras)

    def __init__(self, request: Request, response: Response) -> None:
        super().__init__(
            handshake.accept(request, response, self.MAX_SIZE, self.COMPRESSION)
        )
        self.request = request
        """The handshake, with its headers, cookies and query."""
        self._app = cast(Roll, request.app)
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, None)  # until it is handed over
        self._task: asyncio.Task[Any] | None = None  # while it runs the view
        self._messages: list[str | bytes] = []
        self._size = 0  # of all of them
        self._waiter: asyncio.Future[None] | None = None  # who waits for one
        self._ended: asyncio.Future[None] | None = None  # and who for the end
        self._writable: asyncio.Future[None] | None = None
        self._streaming: asyncio.Future[None] | None = None  # a message in fragments
        self._pings: dict[bytes, _Ping] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = True  # since _mark
        self._pinged = False
        self._mark = self._loop.time()
        self._unsent = 0  # when it was looked at last

    # What a view does with it

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on, if any (RFC 6455, section 1.9)."""
        return self._protocol.subprotocol

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return not self._open

    @property
    def close_code(self) -> int | None:
        """What the client closed with, 1006 without a Close; None before the end."""
        return self._protocol.close_code

    @property
    def close_reason(self) -> str | None:
        """What the client said to it; None before the end."""
        return self._protocol.close_reason

    async def recv(self) -> str | bytes:
        """Wait for the next message.

        Nothing is lost when this is cancelled, as by `asyncio.wait_for`.

        Raises:
            ConnectionClosed: The connection has ended, and all messages are taken.
            ConcurrencyError: Another task waits for a message.
        """
        if self._waiter is not None:
            raise ConcurrencyError("another task waits in recv(): read in one task")
        messages = self._messages
        while not messages:
            if self._protocol.state is State.CLOSED:
                raise self._protocol.close_exc
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = messages.pop(0)
        self._size -= len(message)
        if self._paused and not messages:
            self._loop.call_soon(self._read_on)  # after what others have to do
        return message

    def __aiter__(self) -> Self:
        """Give the messages, until the connection ends, however it does."""
        return self

    async def __anext__(self) -> str | bytes:
        """Wait for the next message."""
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def send(self, message: Message | AsyncIterable[Message]) -> None:
        """Send a message, and wait while the client is behind with reading.

        Several tasks may send at once.

        Args:
            message: Text, or bytes; or an async iterable of one of them, which is sent
                as one message, in fragments, as it comes.

        Raises:
            ConnectionClosed: The connection has ended.
            TypeError: The message is none of these.
        """
        if not isinstance(message, Message):
            return await self._send_fragments(message)
        text, data = encode(message)
        while self._streaming is not None:
            await asyncio.shield(self._streaming)
        if not self._open:
            raise await self._closed()
        self._write(text, data)
        if self._writable is not None:
            await self._drain()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait until the connection has ended, at most `TIMEOUT`.

        Messages that came before may still be received. The second call, and one after
        the client's Close, change nothing.

        Args:
            code: 1000, or another that RFC 6455, section 7.4, allows to send.
            reason: At most 123 bytes.

        Raises:
            ValueError: The code cannot be sent, or the reason is too long.
        """
        self.start_close(code, reason)
        await self.wait_closed()

    def start_close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close, as `close` does, without waiting.

        Raises:
            ValueError: As `close` does.
        """
        try:
            size = len(Close(code, reason).serialize())
        except ProtocolError as error:
            raise ValueError(f"close({code!r}): give 1000, or 3000 to 4999") from error
        if size > 125:
            raise ValueError(f"close(): a reason of {size - 2} bytes; it may have 123")
        if self._open:
            self._protocol.send_close(code, reason)
            self._flush()

    async def wait_closed(self) -> None:
        """Wait until the connection has ended."""
        if self._protocol.state is State.CLOSED:
            return
        if self._ended is None:
            self._ended = self._loop.create_future()
        await asyncio.shield(self._ended)

    async def ping(self, data: str | bytes | None = None) -> "asyncio.Future[float]":
        """Send a ping.

        Args:
            data: What the pong will repeat, at most 125 bytes; random by default.

        Returns:
            A future of the seconds until the pong: `await (await ws.ping())`. It has a
            ConnectionClosed when the connection ends before.

        Raises:
            ConnectionClosed: The connection has ended.
            ValueError: The data is too long, or that of a ping without its pong.
        """
        payload = secrets.token_bytes(4) if data is None else _control(data)
        if not self._open:
            raise await self._closed()
        if self._pings is None:
            self._pings = {}
        if payload in self._pings:
            raise ValueError(f"ping({payload!r}) was sent, and has no pong yet")
        future: asyncio.Future[float] = self._loop.create_future()
        self._pings[payload] = _Ping(future, self._loop.time())
        self._protocol.send_ping(payload)
        self._flush()
        return future

    async def pong(self, data: str | bytes = b"") -> None:
        """Send a pong that no ping has asked for (RFC 6455, section 5.5.3).

        Raises:
            ConnectionClosed: The connection has ended.
            ValueError: The data has more than 125 bytes.
        """
        payload = _control(data)
        if not self._open:
            raise await self._closed()
        self._protocol.send_pong(payload)
        self._flush()

    # Sending

    def _write(self, text: bool, data: bytes) -> None:
        """Write a whole message."""
        if self._plain:
            self._transport.write(serialize(TEXT if text else BINARY, data))
        else:
            send = self._protocol.send_text if text else self._protocol.send_binary
            send(data)
            self._flush()

    def offer(self, text: bool, data: bytes, frame: bytes) -> bool:
        """Write a message if that can be done now; a closed connection drops it.

        Args:
            text: Whether it is text.
            data: The payload.
            frame: The same, serialised, for whoever has no extension.

        Returns:
            Whether it is done.
        """
        if not self._open:
            return True
        if self._writable is not None or self._streaming is not None:
            return False
        if self._plain:
            self._transport.write(frame)
        else:
            self._write(text, data)
        return True

    async def ready(self) -> None:
        """Wait until `offer` may succeed."""
        while self._open and (waits := self._streaming or self._writable) is not None:
            await asyncio.shield(waits)

    def abort(self) -> None:
        """End now; the client may have no answer."""
        self._transport.abort()

    async def _drain(self) -> None:
        """Wait for the client to read."""
        while self._writable is not None:
            await asyncio.shield(self._writable)
        if not self._open:
            raise await self._closed()

    async def _send_fragments(self, pieces: Any) -> None:
        """Send a message as it comes (section 5.4); others wait until it is complete.

        When the pieces fail to come, the connection does, too: the client must not
        take for complete what is not.
        """
        if not hasattr(pieces, "__aiter__"):
            encode(pieces)  # says what is wrong with it
        while self._streaming is not None:
            await asyncio.shield(self._streaming)
        if not self._open:
            raise await self._closed()
        self._streaming = self._loop.create_future()
        iterator = aiter(pieces)
        try:
            await self._send_each(iterator)
        except BaseException:
            if self._protocol.expect_continuation_frame and self._open:
                self._protocol.fail(CloseCode.INTERNAL_ERROR)
                self._flush()
            raise
        finally:
            self._streaming.set_result(None)
            self._streaming = None
            if hasattr(iterator, "aclose"):
                await iterator.aclose()

    async def _send_each(self, pieces: AsyncIterator[Message]) -> None:
        protocol = self._protocol
        kind: bool | None = None
        async for piece in pieces:
            text, data = encode(piece)
            if not self._open:
                raise await self._closed()
            if kind is None:
                kind = text
                (protocol.send_text if text else protocol.send_binary)(data, fin=False)
            elif text is kind:
                protocol.send_continuation(data, fin=False)
            else:
                raise TypeError("the pieces of a message are all str, or all bytes")
            self._flush()
            await self._drain()
        if kind is not None:
            protocol.send_continuation(b"", fin=True)
            self._flush()

    async def _closed(self) -> ConnectionClosed:
        """Give what to raise, once it is known what the client closed with."""
        await self.wait_closed()
        return self._protocol.close_exc

    # What the core does with it

    async def run(self, view: View, variables: dict[str, Any]) -> None:
        """Run the listeners and the view, and close.

        A view that returns closes with 1000, one that raises with 1011, one that is
        cancelled with 1001.
        """
        self._task = asyncio.current_task()
        code = CloseCode.NORMAL_CLOSURE
        try:
            await self._serve(view, variables)
        except asyncio.CancelledError as error:
            if not cast("asyncio.Task[Any]", self._task).cancelling():
                code = self._report(error)
            else:
                code = CloseCode.GOING_AWAY
                raise
        except Exception as error:
            if self._open or not isinstance(error, ConnectionClosed):
                code = self._report(error)
        finally:
            self._task = None
            try:
                await self._finish(code)
            finally:
                await self._app.hook("websocket_disconnect", self.request, self)

    async def _serve(self, view: View, variables: dict[str, Any]) -> None:
        async with asyncio.timeout(self.OPEN_TIMEOUT):
            await self._app.hook("websocket_connect", self.request, self)
        await view(self.request, self, **variables)

    def _report(self, error: BaseException) -> CloseCode:
        logger.error("WebSocket %r failed", self.request.url, exc_info=error)
        return CloseCode.INTERNAL_ERROR

    async def _finish(self, code: CloseCode) -> None:
        """Close, and wait until that is done; not for long when we are cancelled."""
        if self._transport is None and self._timer is not None:
            self._timer.cancel()  # which would cancel the listeners now
        self.start_close(code)
        if code is CloseCode.GOING_AWAY:
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self.wait_closed()
        else:
            await self.wait_closed()

    def stop(self) -> None:
        """Close with 1001: the app shuts down."""
        self.start_close(CloseCode.GOING_AWAY)

    def check(self, now: float) -> None:
        """Look whether the client is still there; *now* is the loop's time."""
        if not self._open:
            return
        if self._writable is not None:
            self._check_writing(now)
        elif self.PING_INTERVAL is not None and not self._paused:
            self._check_reading(now, self.PING_INTERVAL)

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
            if self._pinged:
                self._protocol.fail(CloseCode.INTERNAL_ERROR, "no answer to a ping")
            else:
                self._pinged = True
                self._protocol.send_ping(KEEP_ALIVE)
            self._flush()

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over; the 101 is written."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(self.WRITE_LIMIT)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._heard = True
        self._read(data)

    def eof_received(self) -> None:
        """Take that the client sends no more, and close."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell all who wait for the client."""
        protocol = self._protocol
        protocol.receive_eof()
        protocol.data_to_send()  # nobody will get it
        self._open = self._plain = False
        self._transport = None  # type: ignore[assignment]  # nothing is written now
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._timer = self._loop.call_later(self.TIMEOUT, self._task.cancel)
        for waiter in (self._waiter, self._writable, self._ended):
            _wake(waiter)
        self._writable = None
        for ping in (self._pings or {}).values():
            if not ping.future.done():
                ping.future.set_exception(protocol.close_exc)
                ping.future.exception()  # who does not wait for it gets no warning

    def pause_writing(self) -> None:
        """Let `send` wait: the client is behind with reading."""
        self._writable = self._loop.create_future()
        self._unsent = -1

    def resume_writing(self) -> None:
        """Let `send` go on."""
        _wake(self._writable)
        self._writable = None
        self._heard = True
        self._read_on_soon()

    # What the frames do with it

    def _deliver(self, message: str | bytes) -> None:
        self._messages.append(message)
        self._size += len(message)
        if len(self._messages) >= self.MAX_QUEUE or self._size > self.READ_LIMIT:
            self._pause()
        _wake(self._waiter)

    def _pause(self) -> None:
        self._paused = True
        self._transport.pause_reading()

    def _read_on_soon(self) -> None:
        if self._paused and not self._messages:
            self._loop.call_soon(self._read_on)  # after what others have to do

    def _read_on(self) -> None:
        """Read what is held, then what comes, once all messages are taken."""
        if not self._paused or self._transport is None:
            return
        self._paused = False
        self._heard = True
        self._read(b"")
        if not self._paused:
            self._transport.resume_reading()

    def _has_to_wait(self) -> bool:
        if self._writable is not None:  # a client that reads nothing gets no pongs
            self._pause()
        return self._paused

    def _take_pong(self, data: bytes) -> None:
        """Give the pings up to this one their pong (section 5.5.3)."""
        if self._pings is None or data not in self._pings:
            return
        now = self._loop.time()
        sent = [*self._pings]
        for payload in sent[: sent.index(data) + 1]:
            ping = self._pings.pop(payload)
            if not ping.future.done():
                ping.future.set_result(now - ping.sent)

    def _flush(self) -> None:
        protocol, transport = self._protocol, self._transport
        for data in protocol.data_to_send():
            if data:
                transport.write(data)
            elif self._ends_cleanly() or not transport.can_write_eof():
                transport.close()
            else:  # it still sends: with a reset, it would not see our Close
                transport.write_eof()
        if self._open and protocol.state is not State.OPEN:
            self._open = self._plain = False
            self._timer = self._loop.call_later(self.TIMEOUT, transport.abort)
            if self._paused:  # its Close comes after what is held
                self._loop.call_soon(self._read_on)

    def _ends_cleanly(self) -> bool:
        """Whether nothing comes after this: a Close on both sides, or the end."""
        protocol = self._protocol
        return protocol.reader.eof or (
            protocol.parser_exc is None and protocol.close_rcvd is not None
        )


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def _control(data: str | bytes) -> bytes:
    """Check the payload of a control frame (section 5.5)."""
    _, payload = encode(data)
    if len(payload) > 125:
        raise ValueError(f"{len(payload)} bytes for a ping or pong; it may have 125")
    return payload
