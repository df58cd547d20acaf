"""StreamedResponse: a response whose content is read as it arrives."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from .message import Message
from .response import ResponseHead, ResponseReader
from .wire import Wire


class StreamedResponse(ResponseHead):
    """A response whose head was received, and whose content is still to be read.

    `async for` gives the content in pieces: a chunked response chunk by chunk.
    """

    def __init__(self, wire: Wire, message: Message, timeout: float) -> None:
        super().__init__()
        self._wire = wire
        self._message = message
        self._timeout = timeout
        self._reader = ResponseReader(message.method)
        self._last = b""  # the bytes of the last read
        self._pieces: deque[bytes] = deque()

    @property
    def complete(self) -> bool:
        """Whether the end of the response was received."""
        return self._reader.complete

    async def read(self) -> bytes:
        """Read the rest of the content.

        Raises:
            ConnectionError: The connection was closed before the end of the response.
            TimeoutError: Nothing arrived within the client's `timeout`.
            ValueError: The response breaks HTTP.
        """
        return b"".join([piece async for piece in self])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self.complete:
                raise StopAsyncIteration
            await self._receive()
        return self._pieces.popleft()

    async def _read_head(self) -> None:
        head = self._reader.response
        while not head.status:
            await self._receive()
        self.status, self.reason = head.status, head.reason
        self.version, self.headers = head.version, head.headers

    async def _receive(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                data = await self._wire.read()
            if data:
                self._reader.feed(data)
            else:
                self._reader.feed_eof(self._last)
        except TimeoutError as error:
            raise TimeoutError(
                f"{self._message}: nothing came for {self._timeout:g} s"
            ) from error
        except ConnectionError as error:
            raise ConnectionError(f"{self._message}: {error}") from error
        self._last = data
        self._pieces.extend(self._reader.take())


@asynccontextmanager
async def open_stream(
    wire: Wire, message: Message, timeout: float
) -> AsyncIterator[StreamedResponse]:
    """Send a request, and give the response once its head was received.

    Args:
        wire: A new connection; it is closed at the end.
        message: The request.
        timeout: Seconds to wait for the head, and for each piece.
    """
    response = StreamedResponse(wire, message, timeout)
    sending = asyncio.create_task(_send(wire, message))
    try:
        await response._read_head()
        yield response
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        await wire.close(response.complete, timeout / 2)
        # An error of the body says more than the missing response.
        if not sending.cancelled() and (error := sending.exception()):
            raise error


async def _send(wire: Wire, message: Message) -> None:
    try:
        wire.write(message.head() + message.body)
        async for piece in message.stream():
            wire.write(piece)
            if not await wire.drain():
                return  # the response says why
    except Exception:
        wire.leave()  # so that nobody waits for the response
        raise
