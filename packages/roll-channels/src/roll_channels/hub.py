"""Hub: the channels that are followed in this process."""

import asyncio
import secrets

from roll import Roll
from roll.logs import logger
from roll.tasks import EAGER

from .backend import Backend, Page
from .logs import Aging, Log
from .memory import MemoryBackend
from .messages import NOWHERE, Entry, Message, Position
from .options import Options

UNDER_WAY = 1000
"""Messages that may be published at once; others wait."""

QUIET = 60.0
"""Seconds before the same warning is logged again."""


class Hub:
    """Keeps one copy of the log of each channel that is followed here.

    Args:
        app: The application; subscriptions end when it shuts down.
        backend: Where messages come from, and go to.
        options: How much is kept.
    """

    def __init__(self, app: Roll, backend: Backend, options: Options) -> None:
        self.app = app
        self.options = options
        self._backend = backend
        self._logs: dict[str, Log] = {}
        self._aging = Aging(options.ttl)
        self._reads: set[asyncio.Task[Page]] = set()
        self._reported = -QUIET
        self._is_open = False
        self.is_closing = False
        """Whether subscriptions are ending."""

    @property
    def backend(self) -> Backend:
        """The back-end, while the app runs.

        Raises:
            RuntimeError: The app does not run.
        """
        if not self._is_open:
            raise RuntimeError(
                "channels are open between the start of the app and its shutdown: "
                "use them in views, or in listeners of `startup` and `shutdown`"
            )
        return self._backend

    @property
    def connected(self) -> bool:
        """Whether the back-end can be reached, as far as this process knows."""
        return self._is_open and self._backend.connected

    async def open(self) -> None:
        """Connect, and disconnect at the end."""
        self._warn_of_workers()
        self._turns = asyncio.Semaphore(UNDER_WAY)
        watching = asyncio.create_task(self._watch(self.app.closing))
        self.app.exit_stack.push_async_callback(self._close, watching)
        await self._backend.open(self._deliver)
        self._is_open, self.is_closing = True, False

    async def _close(self, watching: asyncio.Task[None]) -> None:
        watching.cancel()
        await asyncio.wait([watching])
        self._end()
        self._is_open = False
        self._aging.close()
        await self._backend.close()

    def _warn_of_workers(self) -> None:
        app = self.app
        while app.parent is not None:
            app = app.parent
        if app.workers > 1 and isinstance(self._backend, MemoryBackend):
            logger.warning(
                "%d workers serve this app, and its channels are in memory: "
                "subscribers get only what their own worker publishes. Share them by "
                "Redis: channels(app, 'redis://localhost')",
                app.workers,
            )

    async def _watch(self, closing: asyncio.Event) -> None:
        await closing.wait()
        self._end()

    def _end(self) -> None:
        self.is_closing = True
        for task in self._reads:
            task.cancel()
        for log in self._logs.values():
            log.wake()

    async def publish(self, name: str, entry: Entry) -> str:
        """Publish a message when its turn comes."""
        backend = self.backend
        async with self._turns:
            return await backend.publish(name, entry, secrets.token_hex(8))

    def enter(self, name: str) -> Log:
        """Give the log of a channel, and follow it until all have left."""
        log = self._logs.get(name)
        if log is None:
            log = self._logs[name] = Log(NOWHERE)
            loop = asyncio.get_running_loop()
            opening = asyncio.Task(self._follow(name, log), loop=loop, **EAGER)
            log.opening = None if opening.done() else opening
        log.users += 1
        return log

    def leave(self, name: str, log: Log) -> None:
        """Stop following a channel, unless others still do."""
        log.users -= 1
        if not log.users:
            del self._logs[name]
            self._aging.drop(log)
            if log.opening is not None:
                log.opening.cancel()
                log.opening = None
                log.wake()
            self._backend.unfollow(name)

    async def opened(self, log: Log) -> Position:
        """Wait until a log has a position, or the app ends.

        Returns:
            The position where the caller begins.
        """
        position = log.position
        while log.opening is not None and not self.is_closing:
            await log.waiter()
            position = log.start  # there may be messages by now
        if log.error is not None:
            raise log.error
        return position

    async def _follow(self, name: str, log: Log) -> None:
        try:
            log.start = await self.backend.follow(name)
            if log.epoch != log.start.epoch:  # otherwise messages have come already
                log.restart(log.start)
        except Exception as error:
            log.error = error
        log.opening = None
        log.wake()

    async def read(self, name: str, after: int, limit: int) -> Page | None:
        """Read a part of the history; None when the app ends meanwhile."""
        task = asyncio.create_task(self.backend.read(name, after, limit))
        self._reads.add(task)
        try:
            await asyncio.wait([task])
        finally:
            self._reads.discard(task)
            task.cancel()
        return None if task.cancelled() else task.result()

    def _deliver(self, name: str, position: Position, messages: list[Message]) -> None:
        log = self._logs.get(name)
        if log is None:
            return
        if log.position != position:
            log.restart(position)
        log.extend(messages, self.options)
        self._aging.renew(log)
        log.wake()

    def report_lag(self, name: str) -> None:
        """Log that a subscriber was too slow, unless that was logged lately."""
        now = asyncio.get_running_loop().time()
        if now - self._reported >= QUIET:
            self._reported = now
            logger.warning(
                "A subscriber of the channel %r fell behind its history, and got a "
                "reset; this is not logged again for %d s",
                name,
                QUIET,
            )
