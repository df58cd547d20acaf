"""LiveClient: requests through a real socket, to a server in the test's own loop."""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from .cookies import CookieJar
from .message import Message, Pairs
from .response import ClientResponse, ResponseReader
from .sender import Sender
from .waiting import patience
from .wire import LiveWire, Wire

if TYPE_CHECKING:
    from roll import Roll, Server

HOST = "127.0.0.1"


class QueryOptions(TypedDict, total=False):
    """The options of a query besides headers and body; see `Client.request`."""

    data: Any
    json: Any
    form: Pairs | None
    files: Pairs | None
    params: Pairs | None
    content_type: str | None
    follow_redirects: bool


class LiveClient(Sender):
    """Serves an app on a free port of 127.0.0.1, and sends requests to it.

    The first query starts the server, and so does `async with LiveClient(app)`, which
    stops it at the end. Other clients may use the server, at `url` and `wsl`.

    Args:
        app: The app under test.
    """

    def __init__(self, app: "Roll") -> None:
        super().__init__(app)
        self.chunks: list[bytes] = []
        """The chunks of the last response; empty if it was not chunked."""
        self._server: Server  # once it is open
        self._socket = _bind()

    @property
    def port(self) -> int:
        """The port of the server."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The URL of the server, such as `http://127.0.0.1:54321`."""
        return f"http://{HOST}:{self.port}"

    @property
    def wsl(self) -> str:
        """The URL of the server for WebSockets, such as `ws://127.0.0.1:54321`."""
        return f"ws://{HOST}:{self.port}"

    @property
    def _host(self) -> str:
        return f"{HOST}:{self.port}"

    def _jar(self) -> CookieJar:
        return CookieJar()  # calls do not share cookies

    async def _connect(self) -> Wire:
        return LiveWire(*await asyncio.open_connection(HOST, self.port))

    def close(self) -> None:
        """Free the port of a client that was never started."""
        self._socket.close()

    async def _open(self) -> None:
        # Imported here: otherwise every test run would import Roll once this is
        # installed.
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
        body: Any = None,
        **options: Unpack[QueryOptions],
    ) -> ClientResponse:
        """Send a request on its own connection, and read the response.

        Args:
            method: Such as `"GET"`.
            uri: The target, with its query; what is not ASCII is percent-encoded.
            headers: A list is sent as several lines, None removes a field.
            body: As for `Client.request`: strings and bytes are sent as they are, an
                iterator, an async iterable and an open file in chunks, anything else is
                encoded for the header `Content-Type`, by default as JSON.
            options: The other options of `Client.request`. Cookies that a redirect sets
                are sent with the requests that follow it, and then forgotten.

        Raises:
            ConnectionError: The connection was closed before the end of the response.
            RedirectError: A redirect cannot be followed.
            TimeoutError: The response was not complete in `liveclient.timeout` seconds.
            TypeError: There is no way to write such a body.
            ValueError: The response breaks HTTP.
        """
        message = self._write(method, uri, headers=headers, body=body, **options)
        response = await self._ask(message)
        self.chunks = response.chunks
        return response

    async def _exchange(self, message: Message) -> ClientResponse:
        seconds = patience(self.timeout)
        try:
            async with asyncio.timeout(seconds):
                return await self._talk(message)
        except TimeoutError as error:
            raise TimeoutError(
                f"{message} is not answered after {seconds:g} s"
            ) from error
        except ConnectionError as error:
            raise ConnectionError(f"{message}: {error}") from error

    async def _talk(self, message: Message) -> ClientResponse:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        sending = asyncio.create_task(_send(writer, message))
        try:
            return await _receive(reader, message)
        finally:
            sending.cancel()
            writer.close()
            # An error of sending says more than a missing response; but a server may
            # respond, and close, before it has read everything.
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
    """Read one response, and what the same read has after it."""
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
