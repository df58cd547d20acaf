"""Objects that are opened and closed in the loop of a test."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any, Self

left: list[threading.Thread] = []
"""Threads from starts that failed: Python may wait for them forever when it exits."""


class Lifespan:
    """Something with an app: opened on first use, and closed once.

    If nobody closes it, its loop does: an async generator holds it open, and the runner
    of a loop closes generators that are left. So what an async fixture has opened is
    closed even if the test never starts.
    """

    def __init__(self) -> None:
        self._running: AsyncGenerator[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()  # there may be two first requests at once

    async def _open(self) -> None:
        """Open it in the running loop."""

    async def _close(self) -> None:
        """Close it in the same loop."""

    async def start(self) -> None:
        """Open it, unless it is open.

        Raises:
            RuntimeError: It is open in another loop that is not closed.
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
        """Close it, if it is open."""
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
