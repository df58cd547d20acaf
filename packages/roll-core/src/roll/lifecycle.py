"""Lifecycle: what is open while an app runs, from start to shutdown."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any, Protocol, cast

from . import descriptors, events
from .http11.connection import HttpProtocol
from .http11.outbox import Outbox
from .logs import logger
from .typing import App

CLEANUP = 1.0
"""Seconds for cancelled tasks to clean up at shutdown."""

CLOSING = 0.9
"""The part of `Limits.shutdown` that a failed start has to close what it opened."""


class Watched(Protocol):
    """The interface of an open connection."""

    def check(self, now: float) -> None:
        """Enforce the timeouts; *now* is the loop's time, in seconds."""

    def stop(self) -> None:
        """End soon: the app is shutting down."""


class Lifecycle:
    """The connections and tasks of an app, and what it opens for them.

    Args:
        app: The app whose limits apply and whose `startup` and `shutdown` listeners
            run.
    """

    def __init__(self, app: App) -> None:
        self.connections: set[Watched] = set()
        """The open connections."""
        self.exit_stack = AsyncExitStack()
        """Closed last, also when a start fails."""
        self.failed: Callable[[BaseException], object] | None = None
        """Called with the error that ends a start, before anything is closed."""
        self._app = app
        self._parent: Lifecycle | None = None  # whose connections and tasks it uses
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._outbox: Outbox | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._starting: asyncio.Event | None = None  # while `startup` listeners run
        self._ending = False
        self._gone: asyncio.Future[None] | None = None

    @property
    def closing(self) -> asyncio.Event:
        """Set when the app starts to shut down."""
        return self._closing if self._parent is None else self._parent.closing

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop in which the app runs, once it has started."""
        return self._loop if self._parent is None else self._parent.loop

    @loop.setter
    def loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    # From start to end

    async def startup(self) -> None:
        """See `Roll.startup`."""
        if self._starting is not None:  # by another server
            await self._starting.wait()
        if self._sweeper is not None:
            return
        descriptors.prepare()
        self._ending = False
        self._starting = asyncio.Event()
        self._watch()
        try:
            await self.open()
        except BaseException:
            self._unwatch()
            raise
        finally:
            self._starting.set()
            self._starting = None

    async def open(self, parent: "Lifecycle | None" = None) -> None:
        """See `Roll.open`."""
        self._parent = parent
        self._loop = asyncio.get_running_loop()
        if self._closing.is_set():  # a second start, maybe in another loop
            self._closing = asyncio.Event()
        app = self._app
        for oddity in (*events.near_misses(app.hooks), *app.router.find_oddities()):
            logger.warning("%s", oddity)
        for mistake in app.router.find_mistakes():
            raise TypeError(mistake)
        try:
            await self._app.hook("startup")
        except BaseException as error:
            if self.failed is not None:
                self.failed(error)
            if parent is None:
                self.stop()  # kept tasks may wait for it
            seconds = CLOSING * self._app.limits.shutdown
            try:
                async with asyncio.timeout(seconds) as timeout:
                    await self.close()
            except Exception:  # it was logged
                if timeout.expired():
                    logger.warning(
                        "The start has failed; what it opened did not close in %g s",
                        seconds,
                    )
            raise

    def stop(self) -> None:
        """See `Roll.stop`."""
        if self._parent is not None:
            return self._parent.stop()
        if not self.closing.is_set():
            self.closing.set()
            for connection in tuple(self.connections):
                connection.stop()

    async def shutdown(self) -> None:
        """See `Roll.shutdown`."""
        if self._sweeper is None or self._ending:
            return
        self._ending = True
        self.stop()
        try:
            async with asyncio.timeout(self._app.limits.shutdown):
                await self._drain()
        except TimeoutError:
            await self._cut()
        try:
            await self.close()
        finally:
            self._unwatch()

    async def close(self) -> None:
        """See `Roll.close`."""
        try:
            await self._app.hook("shutdown")
        finally:
            try:
                # Tasks of a mounted app that failed to start may wait for its parent's
                # end.
                if self._parent is None or self.closing.is_set():
                    await _wait_for(self._tasks, self._app.limits.shutdown)
            finally:
                await self._close_stack()

    async def _close_stack(self) -> None:
        try:
            await self.exit_stack.aclose()
        except Exception:
            logger.exception("app.exit_stack did not close")
            raise

    async def _drain(self) -> None:
        while self.connections:
            await self.one_gone()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _cut(self) -> None:
        """Cancel what did not end in time."""
        tasks: set[asyncio.Future[Any]] = set(self._tasks)
        for connection in tuple(self.connections):
            # A protocol after a switch runs in a kept task.
            if isinstance(connection, HttpProtocol):
                connection.abort()
                tasks.update(filter(None, [connection.task]))
        logger.warning(
            "Shutdown cuts %d connections and %d tasks that are still running",
            len(self.connections),
            len(tasks),
        )
        for task in tasks:
            task.cancel()
        await _wait_for(tasks, CLEANUP)

    # Connections

    def outbox(self, loop: asyncio.AbstractEventLoop) -> Outbox:
        """Give the sender of the responses of all connections in the running loop."""
        if self._outbox is None or self._outbox.loop is not loop:
            self._outbox = Outbox(loop)
        return self._outbox

    def forget(self, connection: Watched) -> None:
        """Drop a connection that ended."""
        self.connections.discard(connection)
        if self._gone is not None:
            self._gone.set_result(None)
            self._gone = None

    async def one_gone(self, timeout: float | None = None) -> None:
        """Wait until a connection has ended, or *timeout* seconds have passed."""
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._gone], timeout=timeout)  # others may wait, too

    def _watch(self) -> None:
        """Let each connection check its timeouts at regular intervals."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self.connections):
            try:
                connection.check(now)
            except Exception:  # one connection must not end the sweep
                logger.exception("%r could not check its timeouts", connection)
        self._sweeper = loop.call_later(self._app.limits.sweep, self._watch)

    def _unwatch(self) -> None:
        cast(asyncio.TimerHandle, self._sweeper).cancel()
        self._sweeper = None

    # Tasks

    def keep(
        self, task: "asyncio.Future[Any] | Coroutine[Any, Any, Any]"
    ) -> "asyncio.Future[Any]":
        """See `Roll.keep`."""
        if self._parent is not None:
            task = self._parent.keep(task)
        elif asyncio.iscoroutine(task):
            task = asyncio.get_running_loop().create_task(task)
        elif not asyncio.isfuture(task):
            raise TypeError(f"keep({task!r}): give a task, or the coroutine to run")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _wait_for(tasks: Iterable["asyncio.Future[Any]"], timeout: float) -> None:
    if tasks := set(tasks):
        await asyncio.wait(tasks, timeout=timeout)
