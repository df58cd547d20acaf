"""WebSocketSession: the client's side of a WebSocket (RFC 6455).

websockets reads and writes the frames. It is imported with this module: by `client` and
`liveclient` when the first session is opened.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self, cast

from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosedOK
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from .errors import HandshakeError
from .message import Message
from .response import ClientResponse, ResponseReader
from .wire import Wire

QUEUE = 16
"""The most messages that wait for `recv` before reading pauses."""


class WebSocketSession:
    """The client's side of an open WebSocket.

    In the background, it sends pongs and reads what the server sends.
    `async for` gives the messages until the server closes the connection.

    Args:
        wire: The connection, after the handshake.
        protocol: Reads and writes the frames.
        response: The response to the handshake.
        timeout: Seconds to wait for a message, and for the close.
    """

    def __init__(
        self,
        wire: Wire,
        protocol: ClientProtocol,
        response: ClientResponse,
        timeout: float,
    ) -> None:
        self.response = response
        """The response to the handshake, with its headers."""
        self._wire = wire
        self._protocol = protocol
        self._timeout = timeout
        self._messages: deque[str | bytes] = deque()
        self._fragments: list[bytes] = []
        self._is_text = False
        self._leaving = False
        self._ended = False
        self._news = asyncio.Event()
        self._take_events()  # frames received with the response
        self._reading = asyncio.create_task(self._read())

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server has chosen."""
        return self._protocol.subprotocol

    @property
    def close_code(self) -> int | None:
        """The code of the close; None while the connection is open."""
        return self._protocol.close_code

    @property
    def close_reason(self) -> str | None:
        """The reason of the close; None while the connection is open."""
        return self._protocol.close_reason

    async def send(self, message: str | bytes) -> None:
        """Send a message.

        Args:
            message: A string is sent as text, bytes as binary.

        Raises:
            TypeError: It is neither.
            websockets.exceptions.ConnectionClosed: The connection is closed.
        """
        if not isinstance(message, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"a message is a string or bytes, not {type(message)}")
        if self._protocol.state is not State.OPEN:
            await self._wait_for_end()
            raise self._protocol.close_exc
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._flush()
        await self._wire.drain()

    async def recv(self) -> str | bytes:
        """Wait for a message; cancelling this loses no message.

        Raises:
            TimeoutError: No message arrived within the client's `timeout`.
            websockets.exceptions.ConnectionClosed: The connection is closed.
        """
        await self._wait(lambda: bool(self._messages), "no message came for")
        if not self._messages:
            raise self._protocol.close_exc
        self._news.set()  # there is room for another
        return self._messages.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.recv()
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, and wait until the server has closed its side.

        Args:
            code: The `close_code` of the other side.
            reason: A text of up to 123 bytes.

        Raises:
            TimeoutError: The server did not close its side.
        """
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()
        await self._wait_for_end()

    async def _wait_for_end(self) -> None:
        self._leaving = True
        self._news.set()
        await self._wait(lambda: False, "the server did not close its side for")

    async def _wait(self, done: Callable[[], bool], what: str) -> None:
        """Wait for something, or for the end."""
        try:
            async with asyncio.timeout(self._timeout):
                while not done() and not self._ended:
                    await self._wait_for_news()
        except TimeoutError as error:
            raise TimeoutError(f"{what} {self._timeout:g} s") from error

    async def _wait_for_news(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _read(self) -> None:
        """Read what the server sends, while messages are taken."""
        self._flush()
        while data := await self._read_once():
            self._protocol.receive_data(data)
            self._take_events()
            self._flush()
            self._news.set()
            while len(self._messages) >= QUEUE and not self._leaving:
                await self._wait_for_news()
        self._protocol.receive_eof()
        self._ended = True
        self._news.set()

    async def _read_once(self) -> bytes:
        try:
            return await self._wire.read()
        except ConnectionError:
            return b""

    def _take_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return  # websockets has dealt with it
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            return
        message = b"".join(self._fragments)
        self._fragments.clear()
        try:
            self._messages.append(message.decode() if self._is_text else message)
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "text that is not UTF-8")

    def _flush(self) -> None:
        self._wire.write(b"".join(self._protocol.data_to_send()))

    async def _leave(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._wire.close(self._ended, self._timeout)


def offer(subprotocols: Sequence[str]) -> tuple[ClientProtocol, Mapping[str, str]]:
    """Begin a handshake.

    Returns:
        The protocol for the frames, and the header fields of the request.
    """
    protocol = ClientProtocol(
        parse_uri("ws://roll.test/"),  # the client writes the request line and `Host`
        subprotocols=cast("Sequence[Subprotocol]", subprotocols) or None,
        max_size=None,
    )
    request = protocol.connect()
    del request.headers["Host"]
    protocol.send_request(request)
    protocol.data_to_send()  # the client writes its own fields besides these
    return protocol, dict(request.headers.raw_items())


@asynccontextmanager
async def open_session(
    wire: Wire,
    message: Message,
    protocol: ClientProtocol,
    timeout: float,
    learn: Callable[[Message, ClientResponse], None],
) -> AsyncIterator[WebSocketSession]:
    """Send a handshake, give the session, and close it at the end.

    Args:
        wire: A new connection; it is closed at the end.
        message: The handshake.
        protocol: The protocol from `offer`.
        timeout: Seconds to wait for the response, for a message, and for the close.
        learn: Called with the request and the response, also for a refusal.

    Raises:
        HandshakeError: The server refused, or its response is wrong.
    """
    try:
        response, received = await _shake_hands(wire, message, timeout)
        learn(message, response)
        _check(message, response, protocol, received)
    except BaseException:
        await wire.close(False, timeout)
        raise
    session = WebSocketSession(wire, protocol, response, timeout)
    try:
        yield session
        await session.close()
    finally:
        await session._leave()


async def _shake_hands(
    wire: Wire, message: Message, timeout: float
) -> tuple[ClientResponse, bytes]:
    """Send the request, and give the response with the bytes that were received."""
    wire.write(message.head())
    received = b""
    reader = ResponseReader(message.method)
    try:
        async with asyncio.timeout(timeout):
            while not reader.complete:
                data = await wire.read()
                received += data
                if data:
                    reader.feed(data)
                else:
                    reader.feed_eof(received)
    except TimeoutError as error:
        raise TimeoutError(
            f"{message} is not answered after {timeout:g} s; "
            f"received so far: {received!r}"
        ) from error
    except ConnectionError as error:
        raise ConnectionError(f"{message}: {error}") from error
    return reader.response, received


def _check(
    message: Message,
    response: ClientResponse,
    protocol: ClientProtocol,
    received: bytes,
) -> None:
    """Check the response (RFC 6455, section 4.1), and read the frames after it."""
    if response.status != 101:
        raise HandshakeError(
            f"{message} is answered with {response.status:d} {response.reason}, not "
            f"with a WebSocket: {response.body[:200]!r}",
            response,
        )
    protocol.receive_data(received)
    if (error := protocol.handshake_exc) is not None:
        raise HandshakeError(
            f"{message} has a wrong response to its handshake: {error}", response
        ) from error
