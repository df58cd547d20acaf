"""What is opened in the loop of a test, and is closed in that loop."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any, Self

left: list[threading.Thread] = []
"""Threads from starts that failed: Python may wait for them for ever when it exits."""


class Lifespan:
    """Something with an app: opened when it is first used, and closed once.

    If nobody closes it, its loop does: an asynchronous generator holds it open, and
    the runner of a loop closes those that are left. That is how what an async fixture
    has opened ends when the test never starts.
    """

    def __init__(self) -> None:
        self._running: AsyncGenerator[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()  # two first requests may come at once

    async def _open(self) -> None:
        """Begin, in the running loop."""

    async def _close(self) -> None:
        """End what began, in the same loop."""

    async def start(self) -> None:
        """Begin, unless it is done.

        Raises:
            RuntimeError: It is done in another loop, which is still open.
        """
        loop = asyncio.get_running_loop()
        if self._running is not None and self._loop is not loop:
            raise RuntimeError(
                f"{type(self).__name__} runs in another event loop already: give the "
                "test, and the async fixtures that use it, the same loop scope"
            )
        if self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        async with self._lock:
            if self._running is None:
                running = self._run()
                before = threading.enumerate()
                try:
                    await anext(running)
                except BaseException:
                    left.extend({*threading.enumerate()} - {*before})
                    raise
                self._running = running

    async def stop(self) -> None:
        """End what `start` began, if it did."""
        if self._running is not None:
            await self._running.aclose()

    async def _run(self) -> AsyncGenerator[None]:
        await self._open()
        try:
            yield
        finally:
            self._running = None
            await self._close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.stop()
