"""Steps: await a source, in a task that does something else meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

WAITING: Any = object()
"""The result of a step while the source waits."""


class Steps:
    """Awaits one item of a source after another, step by step.

    A timeout would cancel what it awaits, and a task for each item would take longer
    than the rest of a stream. This does what a task does with its coroutine: it runs
    the source until that waits for a future, and continues once the future is done. The
    source runs in the task of the request, so its own timeouts work.

    Args:
        ask: Gives an awaitable of the next item, such as the `__anext__` of a source.
    """

    __slots__ = ("_ask", "_asked", "_error", "awaited")

    def __init__(self, ask: Callable[[], Awaitable[Any]]) -> None:
        self._ask = ask
        self._asked: Any = None  # the item being awaited
        self._error: BaseException | None = None  # for the source to find
        self.awaited: asyncio.Future[Any] | None = None
        """What the source waits for; None for a round of the loop."""

    def step(self) -> Any:
        """Continue as far as possible.

        Returns:
            An item, or `WAITING`.

        Raises:
            StopAsyncIteration: There are no more items.
            BaseException: What the source raises.
        """
        if self.awaited is not None and not self.awaited.done():
            return WAITING
        if self._asked is None:
            self._asked = self._ask().__await__()
        error, self._error, self.awaited = self._error, None, None
        try:
            if error is None:
                self.awaited = self._asked.send(None)
            else:
                self.awaited = self._asked.throw(error)
        except StopIteration as end:
            self._asked = None
            return end.value
        except BaseException:
            self._asked = None
            raise
        finally:
            del error  # its traceback may hold on to this frame
        if self.awaited is not None:
            # As a task does, to tell that it has taken the future.
            self.awaited._asyncio_future_blocking = False
        return WAITING

    def cancel(self, error: asyncio.CancelledError) -> None:
        """Cancel what the source waits for: the task is cancelled with *error*."""
        if self.awaited is None or not self.awaited.cancel():
            self._error = error

    async def end(self) -> None:
        """Cancel the source where it waits, until it no longer waits."""
        if self._asked is None:
            return
        self.cancel(asyncio.CancelledError())
        while self._is_waiting():
            if self.awaited is None:
                await asyncio.sleep(0)
            else:
                await asyncio.wait([self.awaited])

    def _is_waiting(self) -> bool:
        try:
            return self.step() is WAITING
        except (StopAsyncIteration, asyncio.CancelledError):
            return False
