"""WSProtocol: a connection after its handshake, and the `ws` that its view gets."""

import asyncio
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, ClassVar, Self, cast

from roll import HttpError
from roll.logs import report
from roll.typing import View
from websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ProtocolError,
)
from websockets.frames import Close, CloseCode
from websockets.protocol import State

from . import handshake
from .connection import Connection, Ping
from .frames import BINARY, TEXT, TURN, serialize

FAREWELL = 0.5
"""Seconds for the closing handshake when the view is cancelled."""

REASONS = {
    CloseCode.INTERNAL_ERROR: "Handler died prematurely.",
    CloseCode.GOING_AWAY: "Handler cancelled.",
}
"""The reasons that a client gets if its view does not return."""

Message = str | bytes | bytearray | memoryview
"""The types of messages to send."""

_BYTES = (bytes, bytearray, memoryview)


def encode(message: Message) -> tuple[bool, bytes]:
    """Give whether a message is text, and its payload.

    Raises:
        TypeError: It is not a message.
    """
    if isinstance(message, str):
        return True, message.encode()
    if isinstance(message, _BYTES):
        return False, bytes(message)
    raise TypeError(
        f"{type(message).__name__} is not a message: give str, bytes, or to send() an "
        "async iterable of one of them"
    )


class WSProtocol(Connection):
    """A WebSocket (RFC 6455).

    Its class attributes are its limits: override them in a subclass, and set it as the
    app's `WebsocketProtocol`. All times are in seconds.

    Args:
        request: The handshake.
        response: The response, which gets the fields of the 101.
        extras: Options for WebSockets, in place of the route's extras.

    Raises:
        HttpError: As for `handshake.accept`.
    """

    __slots__ = ()

    TOKEN: ClassVar[str] = "websocket"
    """The value of the field `Upgrade`."""
    ALLOWED_METHODS: ClassVar[tuple[str, ...]] = ("GET",)
    """The methods of a handshake."""
    EXTRAS: ClassVar[tuple[str, ...]] = ("subprotocols", "origins", "compression")
    """The extras that a route may have."""
    PARAMETER: ClassVar[str] = "ws"
    """Its usual name in views: those that take `(ws, request)` get it by name."""

    @classmethod
    def check_extras(cls, extras: Mapping[str, Any]) -> None:
        """Check the extras of a route when it is declared.

        Raises:
            TypeError: As for `handshake.check_extras`.
            ValueError: As for `handshake.check_extras`.
        """
        handshake.check_extras(extras)

    # For views

    @property
    def subprotocol(self) -> str | None:
        """The negotiated subprotocol, if any (RFC 6455, section 1.9)."""
        return self._protocol.subprotocol

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return not self._open

    @property
    def close_code(self) -> int | None:
        """The code of the client's Close, 1006 without one; None before the end."""
        return self._protocol.close_code

    @property
    def close_reason(self) -> str | None:
        """The reason of the client's Close; None before the end."""
        return self._protocol.close_reason

    def recv(self) -> Coroutine[Any, Any, str | bytes]:
        """Wait for the next message.

        Cancelling this, as `asyncio.wait_for` does, loses no message.

        Raises:
            ConnectionClosed: The connection has ended, and all messages were received.
            ConcurrencyError: Another task waits for a message.
        """
        return self._receive(iterates=False)

    def __aiter__(self) -> Self:
        """Give the messages until the connection ends, for whatever reason."""
        return self

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        """Wait for the next message."""
        return self._receive(iterates=True)

    async def _receive(self, iterates: bool) -> str | bytes:
        if self._waiter is not None:
            raise ConcurrencyError("another task waits in recv(): read in one task")
        messages = self._messages
        while not messages:
            if self._protocol.state is State.CLOSED:
                if iterates:
                    raise StopAsyncIteration
                raise self._protocol.close_exc
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = messages.popleft()
        self._size -= len(message)
        if self._paused and not messages:
            self._loop.call_soon(self._read_on)  # after other callbacks
        return message

    async def send(self, message: Message | AsyncIterable[Message]) -> None:
        """Send a message, and wait while the client reads too slowly.

        Several tasks may send at once.

        Args:
            message: Text or bytes; or an async iterable of one of them, which is sent
                as one message, in fragments, piece by piece.

        Raises:
            ConnectionClosed: The connection has ended.
            TypeError: The message has another type.
        """
        if isinstance(message, str):
            text, data = True, message.encode()
        elif isinstance(message, _BYTES):
            text, data = False, bytes(message)
        else:
            return await self._send_fragments(message)
        while self._streaming is not None:
            await asyncio.shield(self._streaming)
        if not self._open:
            raise await self._closed()
        if self._plain:  # without another call for each
            self._put(serialize(TEXT if text else BINARY, data))
        else:
            self._write_extended(text, data)
        if self._writable is not None or self._turn <= 0:
            await self._drain()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait until the connection has ended, at most `TIMEOUT`.

        Messages that came before may still be received. A second call, or a call after
        the client's Close, changes nothing.

        Args:
            code: 1000, or another code that may be sent (RFC 6455, section 7.4).
            reason: At most 123 bytes.

        Raises:
            ValueError: The code cannot be sent, or the reason is too long.
        """
        self.start_close(code, reason)
        await self.wait_closed()

    def start_close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close, as `close` does, without waiting.

        Raises:
            ValueError: As for `close`.
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
            data: Data for the pong to repeat, at most 125 bytes; random by default.

        Returns:
            A future of the seconds until the pong: `await (await ws.ping())`. It raises
            ConnectionClosed if the connection ends before.

        Raises:
            ConnectionClosed: The connection has ended.
            ValueError: The data is too long, or the same as that of a ping without a
                pong yet.
        """
        payload = secrets.token_bytes(4) if data is None else _control(data)
        if not self._open:
            raise await self._closed()
        if self._pings is None:
            self._pings = {}
        if payload in self._pings:
            raise ValueError(f"ping({payload!r}) was sent, and has no pong yet")
        future: asyncio.Future[float] = self._loop.create_future()
        self._pings[payload] = Ping(future, self._loop.time())
        self._protocol.send_ping(payload)
        self._flush()
        return future

    async def pong(self, data: str | bytes = b"") -> None:
        """Send an unsolicited pong (RFC 6455, section 5.5.3).

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

    def _write_extended(self, text: bool, data: bytes) -> None:
        """Write a whole message with the extensions of the connection."""
        send = self._protocol.send_text if text else self._protocol.send_binary
        send(data)
        self._flush()

    def offer(self, text: bool, data: bytes, frame: bytes) -> bool:
        """Write a message if that is possible now; a closed connection drops it.

        Args:
            text: Whether it is text.
            data: The payload.
            frame: The serialised frame, for connections without extensions.

        Returns:
            Whether it was written or dropped.
        """
        if self._writable is not None or self._streaming is not None:
            return not self._open
        if self._plain:
            self._put(frame)
        elif self._open:
            self._write_extended(text, data)
        return True

    async def ready(self) -> None:
        """Wait until `offer` may succeed."""
        while self._open and (waits := self._streaming or self._writable) is not None:
            await asyncio.shield(waits)

    def abort(self) -> None:
        """End now, even if the client has not received everything."""
        self._transport.abort()

    async def _drain(self) -> None:
        """Wait for the client to read, and let other tasks have a turn."""
        if self._turn <= 0:
            self._turn = TURN
            await asyncio.sleep(0)
        while self._writable is not None:
            await asyncio.shield(self._writable)
        if not self._open:
            raise await self._closed()

    async def _send_fragments(self, pieces: Any) -> None:
        """Send a message in fragments (section 5.4); others wait until it is complete.

        If a piece fails, the connection fails, too: the client must not take the
        message for complete.
        """
        if not hasattr(pieces, "__aiter__"):
            encode(pieces)  # raises the right error
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
        if not self._open:
            raise await self._closed()
        if kind is not None:
            protocol.send_continuation(b"", fin=True)
            self._flush()

    async def _closed(self) -> ConnectionClosed:
        """Give the exception to raise, once the client's close code is known."""
        await self.wait_closed()
        return self._protocol.close_exc

    # For the core

    async def run(self, view: View, variables: dict[str, Any]) -> None:
        """Run the listeners and the view, and close.

        The code is 1000 if the view returns, 1011 if it raises, 1008 if it raises an
        HttpError below 500, and 1001 if it is cancelled; all except the first have a
        reason.
        """
        self._task = asyncio.current_task()
        code = CloseCode.NORMAL_CLOSURE
        reason = ""
        try:
            await self._serve(view, variables)
        except asyncio.CancelledError as error:
            if not cast("asyncio.Task[Any]", self._task).cancelling():
                code = self._report(error)
            else:
                code = CloseCode.GOING_AWAY
                raise
        except Exception as error:
            if reason := _refusal(error):
                code = CloseCode.POLICY_VIOLATION
            elif self._open or not _is_of_the_end(error):
                code = self._report(error)
        finally:
            self._task = None
            try:
                await self._finish(code, reason or REASONS.get(code, ""))
            finally:
                await self.request.hook("websocket_disconnect", self)

    async def _serve(self, view: View, variables: dict[str, Any]) -> None:
        async with asyncio.timeout(self.OPEN_TIMEOUT):
            await self.request.hook("websocket_connect", self)
        await view(self.request, self, **variables)

    def _report(self, error: BaseException) -> CloseCode:
        report(error, "WebSocket %s", self.request.url)
        return CloseCode.INTERNAL_ERROR

    async def _finish(self, code: CloseCode, reason: str) -> None:
        """Close, and wait for the end; only for a short time after a cancellation."""
        if self._transport is None and self._timer is not None:
            self._timer.cancel()  # it would now cancel the listeners
        self.start_close(code, reason)
        if code is CloseCode.GOING_AWAY:
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self.wait_closed()
        else:
            await self.wait_closed()

    def stop(self) -> None:
        """Close with 1001: the app shuts down."""
        self.start_close(CloseCode.GOING_AWAY)


def _refusal(error: Exception) -> str:
    """Describe an HttpError that is the client's fault, or give an empty string."""
    if isinstance(error, HttpError):
        with suppress(ValueError):  # a subclass may have set any number
            status = HTTPStatus(error.status)
            if status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return f"{status} {status.phrase}"
    return ""


def _is_of_the_end(error: Exception) -> bool:
    """Whether an error only means that the connection has ended."""
    if isinstance(error, ExceptionGroup):  # from a TaskGroup
        return error.split(ConnectionClosed)[1] is None
    return isinstance(error, ConnectionClosed)


def _control(data: str | bytes) -> bytes:
    """Check the payload of a control frame (section 5.5)."""
    _, payload = encode(data)
    if len(payload) > 125:
        raise ValueError(f"{len(payload)} bytes for a ping or pong; it may have 125")
    return payload
