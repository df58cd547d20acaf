"""Client: requests through the real protocol, on a transport in memory."""

import asyncio
from collections.abc import AsyncIterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast
from urllib.parse import urlsplit

from .cookies import CookieJar
from .lifespan import Lifespan
from .message import Message, Pairs, encode_target
from .raw import connect, settle
from .response import ClientResponse, ResponseReader
from .transport import Transport
from .waiting import patience

if TYPE_CHECKING:
    from roll import HttpProtocol, Roll


class Options(TypedDict, total=False):
    """What a request takes beside its path and its data; see `Client.request`."""

    body: str | bytes | AsyncIterable[str | bytes] | None
    files: Pairs | None
    headers: Mapping[str, Any] | None
    content_type: str | None


class Client(Lifespan):
    """Sends requests to an app, each on a connection of its own, in memory.

    The first request starts the app up, and so does `async with Client(app)`, which
    shuts it down in the end. Cookies that answers set are kept and sent.

    Args:
        app: The app under test.
    """

    timeout = 5.0
    """Seconds in which an answer has to be complete; they are scaled by `patience`."""

    def __init__(self, app: "Roll") -> None:
        super().__init__()
        self.app = app
        self.content_type = "application/x-www-form-urlencoded"
        """The type of bodies for which a request gives none."""
        self.default_headers: dict[str, Any] = {}
        """Sent with every request that does not give others of the same name."""
        self.cookies = CookieJar()
        """What answers have set, and what you set: `client.cookies["name"] = "x"`."""
        self._transport: Transport | None = None
        self._protocol: HttpProtocol | None = None
        self._upgraded: list[Transport] = []

    @property
    def protocol(self) -> "HttpProtocol":
        """What served the last request; `protocol.transport.data` is what it wrote.

        Raises:
            RuntimeError: There was no request yet.
        """
        if self._protocol is None:
            raise RuntimeError("The client has sent no request yet")
        return self._protocol

    @property
    def transport(self) -> Transport:
        """The connection of the last request; its `data` are the bytes on the wire.

        Raises:
            RuntimeError: There was no request yet.
        """
        if self._transport is None:
            raise RuntimeError("The client has sent no request yet")
        return self._transport

    async def _open(self) -> None:
        await self.app.startup()

    async def _close(self) -> None:
        for transport in self._upgraded:
            transport.disconnect()
            await transport.wait_closed()
        self._upgraded.clear()
        await self.app.shutdown()

    async def request(
        self,
        path: str,
        method: str = "GET",
        data: Any = None,
        body: str | bytes | AsyncIterable[str | bytes] | None = None,
        files: Pairs | None = None,
        headers: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> ClientResponse:
        """Send a request and read the answer to it.

        Args:
            path: The target, with its query; what is not ASCII is percent-encoded.
            method: Such as `"GET"`.
            data: A dict or pairs to write as the content type says: an urlencoded
                form, `multipart/form-data`, or JSON, where anything goes.
            body: The body as it is; an async iterable is sent in chunks.
            files: Names and files, which make the body multipart: bytes, a string or
                an open file, alone or in a tuple `(content, filename, content_type)`.
                A list is several files of one name.
            headers: Fields over those of the client; a list is sent as several lines,
                None takes a field away.
            content_type: Of the body; `client.content_type` by default.

        Raises:
            ConnectionError: The connection was closed before the end of the answer.
            TimeoutError: The answer was not complete in `client.timeout` seconds.
            TypeError: There is no way to write such a body.
            ValueError: The answer breaks HTTP.
        """
        message = Message(method.upper(), path)
        message.add_fields({"Host": "roll.test"})
        place = urlsplit(encode_target(path)).path or "/"
        if cookies := self.cookies.header(place):
            message.add_fields({"Cookie": cookies})
        message.add_fields(self.default_headers)
        message.add_fields(headers or {})
        message.set_content(data, body, files, content_type, self.content_type)
        await self.start()
        response = await self._exchange(message)
        self.cookies.learn(response.headers.list("Set-Cookie"), place)
        return response

    async def _exchange(self, message: Message) -> ClientResponse:
        transport = self._transport = connect(self.app)
        self._protocol = cast("HttpProtocol", transport.get_protocol())
        reader = ResponseReader(message.method)
        seconds = patience(self.timeout)
        try:
            async with asyncio.timeout(seconds):
                await self._send(transport, message)
                await self._receive(transport, reader)
        except TimeoutError as error:
            raise TimeoutError(
                f"{message} is not answered after {seconds:g} s; "
                f"received so far: {transport.data!r}"
            ) from error
        except ConnectionError as error:
            raise ConnectionError(f"{message}: {error}") from error
        finally:
            await self._leave(transport, reader)
        return reader.response

    async def _send(self, transport: Transport, message: Message) -> None:
        transport.feed(message.head() + message.body)
        async for piece in message.stream():
            while not transport.is_reading() and not _has_ended(transport):
                await transport.activity()
            if _has_ended(transport):
                return
            transport.feed(piece)
            await asyncio.sleep(0)

    async def _receive(self, transport: Transport, reader: ResponseReader) -> None:
        read = 0
        while not reader.complete:
            if data := transport.since(read):
                read += len(data)
                reader.feed(data)
            elif _has_ended(transport):
                reader.feed_eof(transport.data)
            else:
                await transport.activity()
        if reader.response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            with suppress(TimeoutError):  # a view may go on after its answer
                await settle(transport, timeout=self.timeout / 2)
            reader.feed(transport.since(read))

    async def _leave(self, transport: Transport, reader: ResponseReader) -> None:
        if reader.response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            self._upgraded.append(transport)
        else:
            transport.disconnect()
            await transport.wait_closed()

    async def get(
        self, path: str, data: Any = None, **options: Unpack[Options]
    ) -> ClientResponse:
        """Send a GET request; see `request`."""
        return await self.request(path, "GET", data, **options)

    async def head(
        self, path: str, data: Any = None, **options: Unpack[Options]
    ) -> ClientResponse:
        """Send a HEAD request; see `request`."""
        return await self.request(path, "HEAD", data, **options)

    async def post(
        self, path: str, data: Any = None, **options: Unpack[Options]
    ) -> ClientResponse:
        """Send a POST request; see `request`."""
        return await self.request(path, "POST", data, **options)

    async def put(
        self, path: str, data: Any = None, **options: Unpack[Options]
    ) -> ClientResponse:
        """Send a PUT request; see `request`."""
        return await self.request(path, "PUT", data, **options)

    async def patch(
        self, path: str, data: Any = None, **options: Unpack[Options]
    ) -> ClientResponse:
        """Send a PATCH request; see `request`."""
        return await self.request(path, "PATCH", data, **options)

    async def delete(
        self, path: str, data: Any = None, **options: Unpack[Options]
    ) -> ClientResponse:
        """Send a DELETE request; see `request`."""
        return await self.request(path, "DELETE", data, **options)

    async def options(
        self, path: str, data: Any = None, **options: Unpack[Options]
    ) -> ClientResponse:
        """Send an OPTIONS request; see `request`."""
        return await self.request(path, "OPTIONS", data, **options)

    async def connect(
        self, path: str, data: Any = None, **options: Unpack[Options]
    ) -> ClientResponse:
        """Send a CONNECT request, whose path is `host:port`; see `request`."""
        return await self.request(path, "CONNECT", data, **options)


def _has_ended(transport: Transport) -> bool:
    return transport.eof or transport.is_closing()
