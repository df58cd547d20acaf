"""Bodies that tell what has cut them."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from roll.response import close_body


class WatchedBody:
    """An async body that tells of the exception that ends it.

    It is not a generator: one that was never started would not close the body.

    Args:
        body: An async iterable, as views set it.
        failed: Is called with the exception; it must not keep it.
    """

    __slots__ = ("_body", "_failed", "_pieces")

    def __init__(self, body: Any, failed: Callable[[Exception], object]) -> None:
        self._body = body
        self._failed = failed
        self._pieces: AsyncIterator[Any] | None = None

    def __aiter__(self) -> "WatchedBody":
        return self

    async def __anext__(self) -> Any:
        try:
            if self._pieces is None:
                self._pieces = aiter(self._body)
            return await anext(self._pieces)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self._failed(error)
            raise

    async def aclose(self) -> None:
        """Close the body."""
        if self._pieces is not None:
            await close_body(self._pieces)
        if self._pieces is not self._body:
            await close_body(self._body)
