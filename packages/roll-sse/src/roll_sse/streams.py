"""Streams: the body of a response that sends events."""

import asyncio
import random
from collections.abc import AsyncIterable
from typing import Any
from weakref import WeakSet

from roll import Roll
from roll.response import close_body

from .events import Event, encode
from .feed import Subscription
from .sockets import reset_patience, set_patience
from .stepping import WAITING, Steps

CHUNK = 64 * 1024
"""The most bytes of events to send together, unless a single one has more."""

KEEP_ALIVE = b":\n\n"
"""A comment: clients ignore it, but it keeps proxies from closing the connection."""

RETRY = 1, 3
"""The range of seconds in which clients reconnect after a shutdown without `retry`."""


class Streams(WeakSet["EventStream"]):
    """The open streams of an app; one that a view has dropped is forgotten.

    Args:
        app: The app.
    """

    def __init__(self, app: Roll) -> None:
        super().__init__()
        self._app = app
        self._closing: asyncio.Event | None = None
        self._wait: Steps | None = None

    def closing(self) -> asyncio.Event:
        """Give the event that is set when the app ends, and wakes all streams."""
        closing = self._app.closing
        if closing is not self._closing:  # the first time, or the app has started again
            self._closing, self._wait = closing, Steps(closing.wait)
            if self._wait.step() is WAITING:
                awaited: asyncio.Future[Any] = self._wait.awaited  # type: ignore[assignment]
                awaited.add_done_callback(self._wake)
        return closing

    def _wake(self, awaited: object) -> None:
        self._wait = None
        for stream in self:
            stream.wake()


class EventStream:
    """The events of a source, as an async body.

    All of it runs in the task of the request. It is not a generator: a generator that
    was never started would not close the source.

    Args:
        source: An async iterable of events. It is entered first if it is an async
            context manager; if it has a `position`, that is the client's first id.
        streams: The streams that it belongs to until it is closed.
        connection: The connection of the client.
        keep_alive: Seconds without a byte after which a comment is sent; 0 for never.
        retry: Seconds after which the client reconnects; None for its own choice.
        lost: Seconds for which the client may leave bytes unacknowledged.
    """

    __slots__ = (
        "__weakref__",
        "_closing",
        "_connection",
        "_entered",
        "_error",
        "_held",
        "_iterator",
        "_keep_alive",
        "_lost",
        "_option",
        "_retry",
        "_since",
        "_source",
        "_steps",
        "_streams",
        "_timer",
        "_waiter",
        "_watched",
    )

    def __init__(
        self,
        source: AsyncIterable[Any],
        streams: Streams,
        connection: Any,
        keep_alive: float,
        retry: float | None,
        lost: float,
    ) -> None:
        self._source: Any = source  # None once it is closed
        self._streams = streams
        self._closing = streams.closing()
        self._connection = connection
        self._keep_alive = keep_alive
        self._retry = retry
        self._lost = lost
        self._entered = False
        self._iterator: Any = None  # once it has begun
        self._steps: Steps | Subscription | None = None  # likewise
        self._held: list[bytes] = []  # an event for the next chunk
        self._error: Exception | None = None  # raised after the last chunk
        self._since = 0.0  # when the last bytes were written
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._watched: object = None  # the future that wakes the stream
        self._option: int | None = None  # the previous value of the socket
        streams.add(self)

    def __aiter__(self) -> "EventStream":
        return self

    async def __anext__(self) -> bytes:
        if self._source is None:
            raise StopAsyncIteration
        if self._steps is None and (first := await self._begin()):
            return first
        loop = asyncio.get_running_loop()
        self._since = loop.time()  # the previous piece is now written
        steps: Steps | Subscription = self._steps  # type: ignore[assignment]
        while not self._closing.is_set():
            waits = steps.awaited is not None and not steps.awaited.done()
            try:
                if not waits and (data := self._take(steps)):
                    return data
            except StopAsyncIteration:
                if self._closing.is_set():  # set by the source
                    break
                raise
            if self._keep_alive and loop.time() >= self._since + self._keep_alive:
                return KEEP_ALIVE
            await self._wait(steps, loop)
        await self._close_source()
        low, high = RETRY if self._retry is None else (self._retry, 2 * self._retry)
        return encode(Event(retry=random.uniform(low, high)))  # not all at once

    async def _begin(self) -> bytes:
        """Open the source, and give an event with its position and `retry`, if any."""
        source = self._source
        self._option = set_patience(self._connection, self._lost)
        if hasattr(source, "__aenter__"):
            await source.__aenter__()
            self._entered = True
        self._iterator = aiter(source)
        if isinstance(source, Subscription):
            self._steps = source
        else:
            self._steps = Steps(self._iterator.__anext__)
        position = getattr(source, "position", None)
        if position is None and self._retry is None:
            return b""
        return encode(Event(id=position, retry=self._retry))

    def _take(self, steps: Steps | Subscription) -> bytes:
        """Give the events that are ready, or nothing.

        Raises:
            StopAsyncIteration: The source has ended.
            Exception: The source has raised it, or an event cannot be sent.
        """
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # its traceback holds on to this frame
        blocks, self._held = self._held, []
        size = sum(map(len, blocks))
        while size < CHUNK:
            try:
                event = steps.step()
                if event is WAITING:
                    break
                block = encode(event)
            except Exception as error:
                if not blocks:
                    raise
                self._error = error
                break
            size += len(block)
            if blocks and size > CHUNK:
                self._held = [block]
                break
            blocks.append(block)
        return b"".join(blocks)

    async def _wait(
        self, steps: Steps | Subscription, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Wait for the source, for the time of a comment, or for the end."""
        awaited = steps.awaited
        try:
            if awaited is None:
                return await asyncio.sleep(0)
            if self._timer is None and self._keep_alive:
                self._timer = loop.call_at(self._since + self._keep_alive, self._tick)
            if isinstance(steps, Subscription):  # nobody else awaits this
                self._waiter = awaited
            else:
                self._waiter = loop.create_future()
                if awaited is not self._watched:
                    self._watched = awaited
                    awaited.add_done_callback(self.wake)
            await self._waiter
        except asyncio.CancelledError as error:
            if isinstance(steps, Subscription):
                raise
            steps.cancel(error)  # maybe by a timeout of the source
        finally:
            self._waiter = None

    def wake(self, awaited: object = None) -> None:
        """Continue, as there is something to do."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _tick(self) -> None:
        """Check whether a comment is due: setting a timer each time takes longer."""
        self._timer = None
        if self._waiter is None:
            return
        loop = self._waiter.get_loop()
        due = self._since + self._keep_alive
        if loop.time() < due:
            self._timer = loop.call_at(due, self._tick)
        else:
            self.wake()

    async def aclose(self) -> None:
        """Close the source, and leave nothing behind."""
        self._streams.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        reset_patience(self._connection, self._option)
        self._option = self._error = self._connection = None
        await self._close_source()

    async def _close_source(self) -> None:
        source, self._source = self._source, None
        if source is None:
            return
        iterator, self._iterator = self._iterator, None
        steps, self._steps, self._watched = self._steps, None, None
        try:
            if steps is not None:
                await steps.end()
                await close_body(iterator)
            if iterator is not source:
                await close_body(source)
        finally:
            if self._entered:
                await source.__aexit__(None, None, None)
