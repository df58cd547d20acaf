"""Client: requests through the real protocol, on a transport in memory."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Unpack, cast

from .cookies import CookieJar
from .message import Message, Pairs
from .raw import connect, settle
from .response import ClientResponse, ResponseReader
from .sender import Options, Sender
from .transport import Transport
from .waiting import patience
from .wire import MemoryWire, Wire

if TYPE_CHECKING:
    from roll import HttpProtocol, Roll


class Client(Sender):
    """Sends requests to an app, each on its own connection in memory.

    The first request starts the app up, and so does `async with Client(app)`, which
    shuts it down at the end. Cookies that responses set are kept and sent.

    Args:
        app: The app under test.
    """

    _host = "roll.test"

    def __init__(self, app: "Roll") -> None:
        super().__init__(app)
        self.cookies = CookieJar()
        """Cookies that responses, or you, have set: `client.cookies["name"] = "x"`."""
        self._transport: Transport | None = None
        self._protocol: HttpProtocol | None = None
        self._upgraded: list[Transport] = []

    @property
    def protocol(self) -> "HttpProtocol":
        """The protocol of the last request; `protocol.transport.data` is what it wrote.

        Raises:
            RuntimeError: No request was sent yet.
        """
        if self._protocol is None:
            raise RuntimeError("The client has sent no request yet")
        return self._protocol

    @property
    def transport(self) -> Transport:
        """The connection of the last request; its `data` are the bytes on the wire.

        Raises:
            RuntimeError: No request was sent yet.
        """
        if self._transport is None:
            raise RuntimeError("The client has sent no request yet")
        return self._transport

    def _jar(self) -> CookieJar:
        return self.cookies

    async def _connect(self) -> Wire:
        return MemoryWire(self._dial())

    def _dial(self) -> Transport:
        transport = self._transport = connect(self.app)
        self._protocol = cast("HttpProtocol", transport.get_protocol())
        return transport

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
        body: Any = None,
        files: Pairs | None = None,
        headers: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        *,
        json: Any = None,
        form: Pairs | None = None,
        params: Pairs | None = None,
        follow_redirects: bool = False,
    ) -> ClientResponse:
        """Send a request and read the response.

        Of *data*, *body*, *json* and *form*, a request has only one.

        Args:
            path: The target, with its query; characters beyond ASCII are
                percent-encoded.
            method: Such as `"GET"`.
            data: The body. A string and bytes are sent as they are; an iterator, an
                async iterable and an open file are sent in chunks. Anything else is
                encoded for the content type: JSON, a urlencoded form or
                `multipart/form-data`.
            body: Another name of *data*.
            files: Names and files, which make the body multipart: bytes, a string or
                an open file, alone or in a tuple `(content, filename, content_type)`.
                A list is several files with the same name.
            headers: Fields that override those of the client; a list is sent as several
                lines, None removes a field.
            content_type: The type of the body; `client.content_type` by default.
            json: Anything to send as JSON, also strings and lists of pairs.
            form: A dict or pairs to send as a urlencoded form, or as multipart with
                *files*. A value that is a list is repeated.
            params: A dict or pairs to add to the query. A value that is a list is
                repeated.
            follow_redirects: Whether to follow redirects, and give the last response.
                Only redirects within the app are followed, and no more than
                `client.max_redirects`.

        Raises:
            ConnectionError: The connection was closed before the end of the response.
            RedirectError: A redirect cannot be followed.
            TimeoutError: The response was not complete within `client.timeout` seconds.
            TypeError: Such a body cannot be encoded, or there are several.
            ValueError: The response breaks HTTP.
        """
        message = self._write(
            method,
            path,
            data,
            body=body,
            json=json,
            form=form,
            files=files,
            params=params,
            headers=headers,
            content_type=content_type,
            follow_redirects=follow_redirects,
        )
        return await self._ask(message)

    async def _exchange(self, message: Message) -> ClientResponse:
        transport = self._dial()
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
            while not transport.is_reading() and not transport.has_ended:
                await transport.activity()
            if transport.has_ended:
                return
            transport.feed(piece)
            await asyncio.sleep(0)

    async def _receive(self, transport: Transport, reader: ResponseReader) -> None:
        read = 0
        while not reader.complete:
            if data := transport.since(read):
                read += len(data)
                reader.feed(data)
            elif transport.has_ended:
                reader.feed_eof(transport.data)
            else:
                await transport.activity()
        if reader.response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            with suppress(TimeoutError):  # a view may continue after its response
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
