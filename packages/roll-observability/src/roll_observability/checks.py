"""Checks: functions that tell whether what an application needs is there."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from roll.logs import describe, logger

Check = Callable[[], object | Awaitable[object]]
"""Tells whether something works: False or an exception means that it does not.

A plain function runs in a thread.
"""


class NamedCheck:
    """A check, of which at most one run is going on.

    Args:
        name: For those who read of it.
        check: The function.
    """

    def __init__(self, name: str, check: Check) -> None:
        self.name = name
        self._check = check
        self._task: asyncio.Task[str | None] | None = None
        self._in_thread = False
        """Whether a thread runs it, which may have been given up."""
        self._failed = False

    async def run(self, seconds: float) -> str | None:
        """Run it, and log when its result has changed.

        Args:
            seconds: It may take.

        Returns:
            What is wrong, None when nothing is.
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
            return "the run before has not ended"
        task = self._task = asyncio.create_task(self._evaluate())
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            task.cancel()
            return f"it took longer than {seconds:g} s"
        return task.result()

    def _is_running(self) -> bool:
        # A task may not heed that it was cancelled.
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
        """Run a plain function in a thread that keeps no process from its end.

        One of the loop's executor would, when the function never returns.
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
            except BaseException as error:  # SystemExit, too, ends nothing but this
                problem = describe(error)
            self._in_thread = False
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_wake, ended)

        self._in_thread = True
        threading.Thread(target=run, name="roll-health", daemon=True).start()
        await ended
        return result, problem


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():  # it is, when it has waited too long
        waiter.set_result(None)
