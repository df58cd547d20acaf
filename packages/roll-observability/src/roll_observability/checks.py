"""Checks: functions that tell whether what an application needs is available."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from roll.logs import describe, logger

Check = Callable[[], object | Awaitable[object]]
"""Checks whether something works: False or an exception means that it does not.

A plain function runs in a thread.
"""


class NamedCheck:
    """A check that runs at most once at a time.

    Args:
        name: The name to show.
        check: The function.
    """

    def __init__(self, name: str, check: Check) -> None:
        self.name = name
        self._check = check
        self._task: asyncio.Task[str | None] | None = None
        self._in_thread = False
        """Whether a thread runs it, maybe one that was given up."""
        self._failed = False

    async def run(self, seconds: float) -> str | None:
        """Run it, and log when its result has changed.

        Args:
            seconds: How long it may take.

        Returns:
            What is wrong, or None.
        """
        problem = await self._find_problem(seconds)
        failed = problem is not None
        if failed and not self._failed:
            logger.warning("health: %s fails: %s", self.name, problem)
        elif self._failed and not failed:
            logger.info("health: %s works again", self.name)
        self._failed = failed
        return problem

    async def _find_problem(self, seconds: float) -> str | None:
        if self._is_running():
            return "the previous run has not ended"
        task = self._task = asyncio.create_task(self._evaluate())
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            task.cancel()
            return f"it took longer than {seconds:g} s"
        return task.result()

    def _is_running(self) -> bool:
        # A task may ignore its cancellation.
        return self._in_thread or (self._task is not None and not self._task.done())

    async def _evaluate(self) -> str | None:
        try:
            if inspect.iscoroutinefunction(self._check):
                result = await self._check()
            else:
                result, problem = await self._run_in_thread()
                if problem is not None:
                    return problem
                if inspect.isawaitable(result):
                    result = await result
        except (Exception, asyncio.CancelledError) as error:
            return describe(error)
        return "it is False" if result is False else None

    async def _run_in_thread(self) -> tuple[Any, str | None]:
        """Run a plain function in a thread that does not keep the process from ending.

        A thread of the loop's executor would, if the function never returned.
        """
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        result: Any = None
        problem: str | None = None
        context = contextvars.copy_context()

        def run() -> None:
            nonlocal result, problem
            try:
                result = context.run(self._check)
            except BaseException as error:  # even SystemExit ends only this thread
                problem = describe(error)
            self._in_thread = False
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_wake, ended)

        self._in_thread = True
        threading.Thread(target=run, name="roll-health", daemon=True).start()
        await ended
        return result, problem


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():  # it is, after a timeout
        waiter.set_result(None)
