"""LiveClient: requests through a real socket, to a server in the test's own loop."""

import asyncio
import socket
from collections.abc import AsyncIterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .lifespan import Lifespan
from .message import Message
from .response import ClientResponse, ResponseReader
from .waiting import patience

if TYPE_CHECKING:
    from roll import Roll, Server

HOST = "127.0.0.1"


class LiveClient(Lifespan):
    """Serves an app on a free port of 127.0.0.1, and sends requests to it.

    The first query starts the server, and so does `async with LiveClient(app)`, which
    stops it in the end. Other clients may use the server: `url` and `wsl` say where.

    Args:
        app: The app under test.
    """

    timeout = 5.0
    """Seconds in which an answer has to be complete; they are scaled by `patience`."""

    def __init__(self, app: "Roll") -> None:
        super().__init__()
        self.app = app
        self.chunks: list[bytes] = []
        """The chunks of the last answer; empty when it was not chunked."""
        self._server: Server  # once it is open
        self._socket = _bind()

    @property
    def port(self) -> int:
        """The port of the server."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where the server is, such as `http://127.0.0.1:54321`."""
        return f"http://{HOST}:{self.port}"

    @property
    def wsl(self) -> str:
        """Where the server is for WebSockets, such as `ws://127.0.0.1:54321`."""
        return f"ws://{HOST}:{self.port}"

    def close(self) -> None:
        """Give the port back; for a client that was never started."""
        self._socket.close()

    async def _open(self) -> None:
        # Here, so that to install this package does not import Roll in every test run.
        from roll import Server

        if self._socket.fileno() < 0:  # it was stopped before
            self._socket = _bind()
        self._server = Server(self.app, [self._socket])
        await self._server.start()

    async def _close(self) -> None:
        await self._server.stop()

    async def query(
        self,
        method: str,
        uri: str,
        headers: Mapping[str, Any] | None = None,
        body: str | bytes | AsyncIterable[str | bytes] | None = None,
    ) -> ClientResponse:
        """Send a request on a connection of its own, and read the answer to it.

        Args:
            method: Such as `"GET"`.
            uri: The target, with its query; what is not ASCII is percent-encoded.
            headers: A list is sent as several lines, None takes a field away.
            body: The body as it is; an async iterable is sent in chunks.

        Raises:
            ConnectionError: The connection was closed before the end of the answer.
            TimeoutError: The answer was not complete in `liveclient.timeout` seconds.
            ValueError: The answer breaks HTTP.
        """
        message = Message(method.upper(), uri)
        message.add_fields({"Host": f"{HOST}:{self.port}"})
        message.add_fields(headers or {})
        message.set_content(body=body)
        await self.start()
        seconds = patience(self.timeout)
        try:
            async with asyncio.timeout(seconds):
                response = await self._exchange(message)
        except TimeoutError as error:
            raise TimeoutError(
                f"{message} is not answered after {seconds:g} s"
            ) from error
        except ConnectionError as error:
            raise ConnectionError(f"{message}: {error}") from error
        self.chunks = response.chunks
        return response

    async def _exchange(self, message: Message) -> ClientResponse:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        sending = asyncio.create_task(_send(writer, message))
        try:
            return await _receive(reader, message)
        finally:
            sending.cancel()
            writer.close()
            # What broke the sending tells more than the answer that is missing; but a
            # server may well answer, and close, before it has read all.
            with suppress(asyncio.CancelledError, ConnectionError):
                await sending
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _send(writer: asyncio.StreamWriter, message: Message) -> None:
    try:
        writer.write(message.head() + message.body)
        async for piece in message.stream():
            writer.write(piece)
            await writer.drain()
    except Exception:
        writer.close()  # so that nobody waits for the rest
        raise


async def _receive(reader: asyncio.StreamReader, message: Message) -> ClientResponse:
    """Read one answer, and what the same read brings after it."""
    received = b""
    answer = ResponseReader(message.method)
    while not answer.complete:
        data = await reader.read(2**16)
        received += data
        if data:
            answer.feed(data)
        else:
            answer.feed_eof(received)
    return answer.response


def _bind() -> socket.socket:
    sock = socket.socket()
    sock.bind((HOST, 0))
    return sock
