"""Feed: a bounded history of events, which clients follow and resume from."""

import asyncio
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, cast

from roll import Request

from .events import Event, Published
from .stepping import WAITING

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


class Feed:
    """Events of one process; the last ones are kept.

    Use it in the thread of the loop.

    Args:
        size: The most events that it keeps.
        bytes: The most bytes of these events, as sent.

    Raises:
        ValueError: One of these is not a number above 0.
    """

    def __init__(self, size: int = 1000, bytes: int = 8 * 2**20) -> None:
        for name, value in (("size", size), ("bytes", bytes)):
            if type(value) is not int or value < 1:
                raise ValueError(f"Feed({name}={value!r}): give a number above 0")
        self._size = size
        self._bytes = bytes
        self._epoch = secrets.token_hex(8)  # a restart has another
        self._events: deque[Published] = deque()
        self._last = 0  # the number of the last event
        self._held = 0  # the bytes of all that are kept
        self._waiting: set[asyncio.Future[None]] = set()

    def publish(self, data: str | bytes, event: str | None = None) -> str:
        """Add an event for all subscriptions.

        Args:
            data: As in `Event`.
            event: As in `Event`.

        Returns:
            The id of the event.

        Raises:
            TypeError: The data is neither text nor bytes.
            ValueError: As for `encode`; or the event is larger than the feed may be.
        """
        if data is None:
            raise TypeError("publish(None): give text or bytes")
        published = Published(data, event, self._id(self._last + 1))
        size = len(published.encoded)
        if size > self._bytes:
            raise ValueError(f"an event has {size} bytes: Feed keeps {self._bytes}")
        self._last += 1
        self._events.append(published)
        self._held += size
        while len(self._events) > self._size or self._held > self._bytes:
            self._held -= len(self._events.popleft().encoded)
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
        return self.position

    @property
    def position(self) -> str:
        """The id of the last event: follow from it after loading the current state."""
        return self._id(self._last)

    def subscribe(self, since: str | Request | None = None) -> AsyncIterator[Event]:
        """Follow the events after *since*: those that are kept, and all later ones.

        The position is fixed by this call, not when the first event is asked for. If
        events in between are missing, or *since* is unknown, the first event has the
        type `"reset"`, and later ones follow.

        Args:
            since: The id of an event, or a request with `Last-Event-ID`; None, or a
                request without it, for only the later ones.

        Returns:
            An iterator of events. Its `position` is the id of the last event, or None
            if that is unknown. `aclose` ends it.
        """
        id: str | None
        id = since.headers.get("LAST-EVENT-ID") if isinstance(since, Request) else since
        return Subscription(self, self._last if id is None else self._number(id))

    def _id(self, number: int) -> str:
        return f"{self._epoch}-{number}"

    def _number(self, id: str) -> int | None:
        """Give the number of an event; None if it is not from this feed."""
        epoch, _, number = id.rpartition("-")
        if epoch != self._epoch or not _NUMBER.fullmatch(number):
            return None
        return int(number) if int(number) <= self._last else None


class Subscription:
    """Follows a feed: it only keeps the number of an event.

    A stream takes its events as from `Steps`, without a coroutine for each: that halves
    the time of an event for each client.

    Args:
        feed: The feed.
        at: The number of the last event that was given; None if it is unknown.
    """

    __slots__ = ("_at", "_closed", "_feed", "awaited")

    def __init__(self, feed: Feed, at: int | None) -> None:
        self._feed = feed
        self._at = at
        self._closed = False
        self.awaited: asyncio.Future[None] | None = None
        """What only this subscription waits for; None if there may be events."""

    @property
    def position(self) -> str | None:
        """The id of the last event that was given; None if it is unknown."""
        return None if self._at is None else self._feed._id(self._at)

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        while (event := self.step()) is WAITING:
            try:
                await self.awaited  # type: ignore[misc]  # it waits
            finally:
                self._forget()
        return cast(Event, event)

    def step(self) -> Any:
        """Give the next event, or `WAITING`.

        Raises:
            StopAsyncIteration: The subscription is closed.
        """
        self._forget()
        if self._closed:
            raise StopAsyncIteration
        feed = self._feed
        behind = feed._last + 1 if self._at is None else feed._last - self._at
        if behind > len(feed._events):
            self._at = feed._last
            return Event("", "reset", self.position)
        if behind:
            self._at += 1  # type: ignore[operator]  # it is known
            return feed._events[-behind]
        self.awaited = asyncio.get_running_loop().create_future()
        feed._waiting.add(self.awaited)
        return WAITING

    async def end(self) -> None:
        """Do nothing: nothing is under way."""

    async def aclose(self) -> None:
        """End, also while a task waits for the next event."""
        self._closed = True
        if self.awaited is not None and not self.awaited.done():
            self.awaited.set_result(None)
        self._forget()

    def _forget(self) -> None:
        if self.awaited is not None:
            self._feed._waiting.discard(self.awaited)
            self.awaited = None
