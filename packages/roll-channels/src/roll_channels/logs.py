"""Log: the last messages of a channel, and the subscribers that wait for more."""

import asyncio

from .messages import Message, Position, size_of
from .options import Options

SLACK = 128
"""Messages that may be kept beyond `history`, so that few calls have to trim."""


class Log:
    """The last messages of a channel, as many as its history has.

    Args:
        position: Where it begins.
    """

    __slots__ = (
        "base",
        "end",
        "epoch",
        "error",
        "former",
        "messages",
        "opening",
        "size",
        "start",
        "users",
        "waiters",
    )

    def __init__(self, position: Position) -> None:
        self.epoch, self.end = position
        """The epoch, and the offset of the last message."""
        self.base = self.end
        """The offset before the first message that is kept."""
        self.messages: list[Message] = []
        self.size = 0
        self.former = ""
        """The previous epoch, if it has changed."""
        self.users = 0
        """How many subscriptions there are."""
        self.opening: asyncio.Task[None] | None = None
        self.start = position
        """The position where it was opened."""
        self.error: BaseException | None = None
        """Why it could not be opened."""
        self.waiters: set[asyncio.Future[None]] = set()

    @property
    def position(self) -> Position:
        """The position of the last message."""
        return Position(self.epoch, self.end)

    def restart(self, position: Position) -> None:
        """Continue at another position, without the messages kept."""
        if position.epoch != self.epoch:
            self.former = self.epoch
        self.epoch, self.end = position
        self.base = self.end
        self.messages, self.size = [], 0

    def extend(self, messages: list[Message], options: Options) -> None:
        """Add messages, and forget the oldest ones."""
        kept = self.messages
        kept += messages
        self.end += len(messages)
        self.size += sum(map(size_of, messages))
        count = len(kept) - options.history
        count = count if count > SLACK else 0
        size = self.size - sum(map(size_of, kept[:count]))
        while size > options.history_bytes:
            size -= size_of(kept[count])
            count += 1
        self.size = size
        self.base += count
        del kept[:count]

    def forget(self) -> None:
        """Drop all messages; the position stays."""
        self.restart(self.position)

    def wake(self) -> None:
        """Wake all that wait."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()

    def waiter(self) -> "asyncio.Future[None]":
        """Give a future that is done when there are messages, or another position."""
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.add(waiter)
        return waiter


class Aging:
    """Empties logs `ttl` seconds after their last message.

    Args:
        ttl: Seconds; None for never.
    """

    def __init__(self, ttl: float | None) -> None:
        self._ttl = ttl
        self._due: dict[Log, float] = {}  # in the order of time
        self._timer: asyncio.TimerHandle | None = None

    def renew(self, log: Log) -> None:
        """Restart the time of a log."""
        if self._ttl is not None:
            loop = asyncio.get_running_loop()
            self._due.pop(log, None)
            self._due[log] = loop.time() + self._ttl
            if self._timer is None:
                self._timer = loop.call_later(self._ttl, self._forget)

    def drop(self, log: Log) -> None:
        """Stop the time of a log."""
        self._due.pop(log, None)

    def close(self) -> None:
        """Stop the time of all logs."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _forget(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for log, due in list(self._due.items()):
            if due > loop.time():
                self._timer = loop.call_at(due, self._forget)
                break
            del self._due[log]
            log.forget()
