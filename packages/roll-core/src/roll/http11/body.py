"""The body of a request on its way to its reader: as received, or decoded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Protocol

from ..errors import HttpError

Decoder = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
"""Turns the received pieces of a body into those to read."""

PIECES = 1000
"""The most pieces that wait for the reader: even a small one takes memory."""

CLIENT_LEFT = "The client left"
"""The message of the error if the client does not complete the body."""

LARGE = 16 * 1024
"""A piece of so many bytes is not copied to join it with others."""


class Source(Protocol):
    """Where a body comes from: what its reader needs of the connection."""

    def pause_body(self) -> None:
        """Stop reading: enough is buffered."""

    def resume_body(self) -> None:
        """Resume reading: the buffer has room."""

    def continue_body(self) -> None:
        """Tell the client to send the body (RFC 9110, section 10.1.1)."""


class Body:
    """The content of one request, from the parser to one reader.

    Args:
        source: Pauses and resumes reading.
        buffer: Bytes that may wait for the reader before the source is paused.
        length: The Content-Length in bytes, None when the body is chunked.
        expected: Whether the client waits for a 100 before it sends (`Expect`).
    """

    __slots__ = (
        "_announced",
        "_buffer",
        "_chunks",
        "_error",
        "_limit",
        "_size",
        "_source",
        "_waiter",
        "complete",
        "discarded",
        "discarding",
        "expected",
        "full",
        "length",
        "received",
    )

    def __init__(
        self,
        source: Source,
        buffer: int,
        length: int | None = None,
        expected: bool = False,
    ) -> None:
        self.length = length
        self.full = False
        """Whether reading is paused, as enough waits for the reader."""
        self.expected = expected
        self.received = 0
        """Bytes received so far."""
        self.complete = False
        """Whether the last byte was received."""
        self.discarding = False
        """Whether nobody will read it."""
        self.discarded = 0
        """Bytes received since then."""
        self._source = source
        self._buffer = buffer
        self._chunks: list[bytes] = []
        self._size = 0
        self._announced = 0
        self._limit: int | None = None
        self._error: HttpError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Take a piece from the parser."""
        self.received += len(data)
        if self.discarding:
            self.discarded += len(data)
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)  # it takes everything at once
            return
        full = self._size > self._buffer or len(self._chunks) > PIECES
        if full and not self.full:
            self.full = True
            self._source.pause_body()

    @property
    def missing(self) -> int:
        """Bytes that are known to follow: in a chunked body, the rest of a chunk."""
        return self._announced if self.length is None else self.length - self.received

    def announce(self, size: int) -> None:
        """Note how much of a chunk follows, and refuse more than the limit.

        The reader of the body gets HttpError 413.
        """
        self._announced = size
        if self._limit is not None and self.received + size > self._limit:
            self.fail(HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE))

    def restrict(self, limit: int) -> None:
        """Refuse more than *limit* bytes, as soon as they are announced.

        Raises:
            HttpError: 413, when they are announced already.
        """
        self._limit = limit
        if self.received + self.missing > limit:
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def finish(self) -> None:
        """Note that the last piece was received."""
        self.complete = True
        self._wake()

    def fail(self, error: HttpError) -> None:
        """Let the reader fail with *error* once it has read the bytes before."""
        if not self.complete and self._error is None:
            self._error = error
            self._wake()

    def discard(self) -> None:
        """Drop received and later bytes: nobody will read them."""
        self.discarding = True
        self._chunks.clear()
        self._size = 0
        self._resume()

    async def read(self) -> bytes:
        """Take what is buffered, or wait for more; `b""` after the last byte.

        Small pieces are joined. A large one comes alone: copying it takes as long as
        receiving it.

        Raises:
            RuntimeError: Another task is already waiting for this body.
            HttpError: The one given to `fail()`, if the body ends early.
        """
        while not self._chunks:
            if self._error is not None:
                # A new one for each reader: a traceback would keep this body alive.
                raise HttpError(self._error.status, self._error.message)
            if self.complete:
                return b""
            if self._waiter is not None:
                raise RuntimeError("the body is being read by another task")
            self.ask()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if len(self._chunks[0]) < LARGE:
            return self.take()
        data = self._chunks.pop(0)
        self._size -= len(data)
        if self._size <= self._buffer:
            self._resume()
        return data

    def take(self) -> bytes:
        """Take everything that is buffered."""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._resume()
        return data

    def put_back(self, pieces: list[bytes]) -> None:
        """Put back pieces that were read, in order, to be read again first."""
        self._chunks[:0] = pieces
        self._size += sum(map(len, pieces))

    def ask(self) -> None:
        """Tell a waiting client to send the body, unless it is already sending."""
        if self.expected:
            self.expected = False
            if not self.received:
                self._source.continue_body()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume(self) -> None:
        if self.full:
            self.full = False
            self._source.resume_body()


class Decoded:
    """The output of a decoder, which is read in place of the body.

    Args:
        body: The received body.
        decoder: See `Request.decoder`.

    Raises:
        HttpError: 415, without a decoder; `Accept-Encoding` then allows no coding (RFC
            9110, sections 12.5.3 and 15.5.16).
    """

    __slots__ = ("_body", "_limit", "_pieces", "_size")

    def __init__(self, body: Body, decoder: Decoder | None) -> None:
        if decoder is None:
            raise HttpError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                headers={"Accept-Encoding": "identity"},
            )
        self._body = body
        self._limit: int | None = None
        self._size = 0
        self._pieces: AsyncIterator[bytes] | None = aiter(decoder(_receive(body)))

    def restrict(self, limit: int) -> None:
        """Refuse more than *limit* bytes, both as received and as decoded.

        Raises:
            HttpError: As for `Body.restrict`.
        """
        self._body.restrict(limit)
        self._limit = limit

    async def read(self) -> bytes:
        """Give the next piece; `b""` after the last byte.

        Raises:
            RuntimeError: Another task is reading, or an earlier read was not completed.
            HttpError: 413, when it exceeds the limit; and errors of the decoder.
        """
        pieces, self._pieces = self._pieces, None  # until there is a piece
        if pieces is None:
            raise RuntimeError(
                "the body cannot be decoded: another task is reading it, or an earlier "
                "read has failed or was cancelled"
            )
        data = b""
        while not data:
            try:
                data = await anext(pieces)
            except StopAsyncIteration:
                break
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self._pieces = pieces
        return data

    def put_back(self, pieces: list[bytes]) -> None:
        """Do nothing: a decoder cannot go back, and another read raises."""


async def _receive(body: Body) -> AsyncIterator[bytes]:
    while piece := await body.read():
        yield piece
