"""Bodies that are compressed as they are sent."""

from collections.abc import AsyncIterator
from typing import Any

from roll.response import close_body, encode_body

from .codings import Data, Deflater
from .threads import in_thread

LARGE = 64 * 1024
"""From so many bytes on, data is compressed in a thread; less takes a millisecond."""


class Compressed:
    """An async body, compressed and flushed piece by piece.

    It is not a generator: a generator that was never started would not close the body.

    Args:
        body: An async iterable, as views set it.
        deflater: Compresses it.
        length: The declared bytes of the body; None if there is no such length.
    """

    def __init__(self, body: Any, deflater: Deflater, length: int | None) -> None:
        self._body = body
        self._pieces: AsyncIterator[Any] | None = None
        self._deflater: Deflater | None = deflater
        self._length = length
        self._size = 0

    def __aiter__(self) -> "Compressed":
        return self

    async def __anext__(self) -> bytes:
        deflater = self._deflater
        if deflater is None:
            raise StopAsyncIteration
        if self._pieces is None:
            self._pieces = aiter(self._body)
        async for piece in self._pieces:
            data = encode_body(piece, True)
            if data:  # otherwise the client would get useless bytes
                self._size += len(data)
                return await _process(deflater, data)
        if self._length not in (None, self._size):
            raise ValueError(f"the body has {self._size} bytes, not {self._length}")
        self._deflater = None
        return deflater.finish()

    async def aclose(self) -> None:
        """Close the body, and free the deflater."""
        self._deflater = None
        if self._pieces is not None:
            await close_body(self._pieces)
        if self._pieces is not self._body:
            await close_body(self._body)


async def _process(deflater: Deflater, data: Data) -> bytes:
    if len(data) < LARGE:
        return deflater.process(data)
    return await in_thread(deflater.process, data)


async def give(data: Data) -> AsyncIterator[Data]:
    """Make a stream of a whole body."""
    yield data
