"""Subscription: a cursor in the log of a channel."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from .logs import Log
from .messages import NOWHERE, RESET, Lagging, Message, Position

if TYPE_CHECKING:
    from .hub import Hub

PAGE = 100
"""Messages that are read at once from the history of the back-end."""


class Subscription(AsyncIterator[Message]):
    """The messages of a channel, from a position on: `channel.subscribe()` gives it.

    Its position is fixed when `async with` is entered, or when the first message is
    asked for. It ends when the app shuts down, and when it is closed.

    Raises:
        Lagging: With `lag="close"`, it is behind the history.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_epoch",
        "_hub",
        "_lag",
        "_log",
        "_name",
        "_offset",
        "_pages",
        "_since",
        "_waiter",
    )

    def __init__(
        self, hub: "Hub", name: str, since: str | None, lag: Literal["reset", "close"]
    ) -> None:
        self._hub = hub
        self._name = name
        self._since = None if since is None else Position.parse(since)
        self._epoch, self._offset = self._since or NOWHERE
        self._lag = lag
        self._log: Log | None = None
        self._pages: list[Message] = []  # of the back-end's history, reversed
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def position(self) -> str:
        """The id of the last message, or of its start: the `since` to continue with."""
        return str(Position(self._epoch, self._offset))

    async def __aenter__(self) -> Self:
        await self._enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it, also for a task that waits for a message."""
        self._close()

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        self._closed = True
        log, self._log = self._log, None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if log is not None:
            self._hub.leave(self._name, log)

    async def _enter(self) -> None:
        self._log = log = self._hub.enter(self._name)
        try:
            position = await self._hub.opened(log)
        except BaseException:
            self._close()
            raise
        if self._since is None:
            self._epoch, self._offset = position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        # Most of the cost of a delivery is here.
        while not (self._closed or self._hub.is_closing):
            log = self._log
            if log is None:
                await self._enter()
            elif (message := self._take(log)) is not None:
                return message
            elif self._epoch == log.epoch and self._offset == log.end:
                await self._wait(log)
            else:
                end = log.position
                if await self._read() or log.position != end:
                    continue
                await self._wait(log)
        self._close()
        raise StopAsyncIteration

    def take(self) -> Message | None:
        """Give the next message if it is here already."""
        return None if self._log is None else self._take(self._log)

    def _take(self, log: Log) -> Message | None:
        if self._pages:
            message = self._pages.pop()
        elif self._epoch == log.epoch:
            if not log.base <= self._offset < log.end:
                return None
            message = log.messages[self._offset - log.base]
            self._offset += 1
            self._since = None
            return message
        elif self._epoch == log.former:
            message = Message(str(log.position), None, RESET)
        else:
            return None
        self._epoch, self._offset = Position.parse(message.id)
        self._since = None
        return message

    async def _wait(self, log: Log) -> None:
        self._since = None
        self._waiter = log.waiter()
        try:
            await self._waiter
        except BaseException:
            log.waiters.discard(self._waiter)
            raise

    async def _read(self) -> bool:
        """Read from the back-end what the log here no longer has, or not yet."""
        page = await self._hub.read(self._name, self._offset, PAGE)
        if page is None or self._closed:
            return True  # it ends
        position, messages = page
        begins = Position.parse(messages[0].id).offset - 1 if messages else position[1]
        if (position.epoch, begins) == (self._epoch, self._offset):
            self._pages = messages[::-1]
            return bool(messages)
        if self._since is None and position.epoch == self._epoch:
            if self._lag == "close":
                self._close()
                raise Lagging(f"a subscription of {self._name!r} is behind its history")
            self._hub.report_lag(self._name)
        current = str(position)
        if begins > position.offset:
            current = messages[-1].id  # the stream of a Redis is ahead of its offset
        self._pages = [Message(current, None, RESET)]
        return True
