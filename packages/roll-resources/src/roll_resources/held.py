"""Resources: each is a generator in a task that opens it, holds it and closes it."""

import asyncio
from typing import Any

from roll import Roll
from roll.logs import logger
from roll.tasks import EAGER

from .declaration import Declaration

CLEANUP = 1.0
"""Seconds to clean up for a resource that was late and is cancelled."""

_left: set["asyncio.Task[None]"] = set()


async def finish(task: "asyncio.Task[None]", seconds: float) -> bool:
    """Wait for the end of a task; one that takes longer is left running.

    Unlike `asyncio.wait_for`, this also ends when the task ignores its cancellation.
    """
    await asyncio.wait([task], timeout=seconds)
    if not task.done():
        _left.add(task)  # the loop does not keep a reference
        task.add_done_callback(_left.discard)
    return task.done()


async def _first(futures: "list[asyncio.Future[None]]", seconds: float) -> None:
    """Wait until one is done, or the time is over."""
    # Enough for one that waits for nothing. With only `asyncio.wait`, opening and
    # closing a resource would take twice as long.
    await asyncio.sleep(0)
    if not any(future.done() for future in futures):
        await asyncio.wait(
            futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )


class Resource:
    """A resource of an app, in each of the app's runs.

    Args:
        app: The app, which has the value while it is open.
        declared: The generator function, and its name.
        open_timeout: Seconds that it may take to open.
        close_timeout: Seconds that it may take to close.
    """

    def __init__(
        self,
        app: Roll,
        declared: Declaration,
        open_timeout: float,
        close_timeout: float,
    ) -> None:
        self.declared = declared
        self.state = "closed"
        self._app = app
        self._open_timeout = open_timeout
        self._close_timeout = close_timeout
        self._task: asyncio.Task[None] | None = None  # None when its end is reported
        self._cut = False  # by `cancel`
        self._ending: asyncio.Event
        self._opened: asyncio.Future[None]

    def __str__(self) -> str:
        return str(self.declared)

    def explain(self, why: str = "is open only while the app runs") -> None:
        """Set the message of the KeyError while there is no value."""
        self._app.absent[self.declared.name] = f"resource {self.declared.name!r} {why}"

    async def open(self) -> None:
        """Open it, and put what it yields into the app.

        Raises:
            BaseException: It raised this itself; a note names the resource.
            RuntimeError: It does not yield, or cancels itself.
            TimeoutError: It is late; it is cancelled, and `close` waits for its end.
        """
        loop = asyncio.get_running_loop()
        self.state = "opening"
        self._cut = False
        self._ending = asyncio.Event()
        self._opened = loop.create_future()
        try:
            arguments = self.declared.arguments(self._app)
            holding = self._hold(arguments, self._opened, self._ending)
            self._task = asyncio.Task(holding, loop=loop, name=str(self), **EAGER)
            self._task.add_done_callback(self._note_end)
            if not self._opened.done():  # an eager task may have opened it
                await _first([self._opened, self._task], self._open_timeout)
            if not self._opened.done():
                self._raise_failure(self._task)
        except BaseException as error:
            self.state = "failed"
            self.cancel()
            error.add_note(f"The {self} did not open")
            raise

    def _raise_failure(self, task: "asyncio.Task[None]") -> None:
        if not task.done():
            raise TimeoutError(
                f"{self.declared.kind} {self.declared.name!r} is not open after "
                f"{self._open_timeout:g} s"
            )
        self._task = None
        if task.cancelled():
            raise RuntimeError("it was cancelled, but not by the app")
        task.result()

    async def _hold(
        self,
        arguments: dict[str, Any],
        opened: "asyncio.Future[None]",
        ending: asyncio.Event,
    ) -> None:
        generator = self.declared.function(**arguments)
        try:
            value = await anext(generator)
        except StopAsyncIteration:
            raise RuntimeError(f"{self} does not yield: write one `yield`") from None
        error = None
        if not ending.is_set():  # otherwise it is late, and closes at once
            self._app[self.declared.name] = value
            self.state = "open"
            opened.set_result(None)
            try:
                await ending.wait()
            except asyncio.CancelledError as cancelled:
                # From a task group or a cancel scope around the `yield`, which needs
                # it; or there is no time left.
                error = cancelled
            self._withdraw(ending)
        try:
            await (anext(generator) if error is None else generator.athrow(error))
        except StopAsyncIteration:
            return
        await generator.aclose()
        raise RuntimeError(f"{self} yields a second time: write one `yield`")

    def _withdraw(self, ending: asyncio.Event) -> None:
        if not ending.is_set():
            self.explain("has ended: the log says why")
        self._app.pop(self.declared.name, None)
        self.state = "closing"

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        """Log the end of a resource that was not asked to close."""
        told = self._ending.is_set() or not self._opened.done()
        if told or task is not self._task:
            return
        self._task = None
        self.state = "failed"
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        logger.error("The %s has ended while the app runs", self, exc_info=error)

    async def close(self) -> BaseException | None:
        """Close it, whatever its state.

        Returns:
            What failed. Only its type is logged: the traceback comes with the exception
            group that it is raised in.
        """
        task = self._task
        self.explain()
        if task is None:
            return None
        self._ending.set()
        error = await self._end(task)
        self.state = "closed" if self._opened.done() else "failed"
        if error is not None:
            self.state = "failed"
            error.add_note(f"The {self} failed to close")
            logger.error("The %s failed to close: %s", self, type(error).__name__)
        return error

    async def _end(self, task: "asyncio.Task[None]") -> BaseException | None:
        await _first([task], self._close_timeout)
        if not task.done():
            late = TimeoutError(f"still closing after {self._close_timeout:g} s")
            task.cancel()
            if await finish(task, CLEANUP) and not task.cancelled():
                late.__cause__ = task.exception()
            return late
        if not task.cancelled():
            return task.exception()
        if self._cut:
            return None
        return RuntimeError("it was cancelled, but not by the app")

    def cancel(self) -> None:
        """Make it close at once: there is no time left, or it is late."""
        self._cut = True
        self._ending.set()
        if self._task is not None:
            self._task.cancel()
