"""Background functions: each runs as long as the app, and again after a failure."""

import asyncio
import random
import traceback

from roll import Roll
from roll.logs import logger
from roll.tasks import is_cancelled

from .declaration import Declaration
from .held import finish

JITTER = 0.1
"""The fraction by which a delay varies, so that processes do not all retry at once."""


class Pauses:
    """How long a background function waits before its next run.

    Args:
        delay: Seconds after a return, and after the first failure.
        max_delay: The most seconds: they double with each failure in a row.
    """

    def __init__(self, delay: float, max_delay: float) -> None:
        self._delay = delay
        self._max_delay = max_delay
        self._next = delay

    def start_again(self) -> None:
        """Forget the failures so far."""
        self._next = self._delay

    def is_long(self, ran: float) -> bool:
        """Whether a failure after a run of so many seconds counts as the first one."""
        return ran >= self._max_delay

    def after_failure(self) -> float:
        """Give the seconds to wait after one more failure."""
        pause = self._next
        self._next = min(2 * pause, self._max_delay)
        return pause * random.uniform(1 - JITTER, 1 + JITTER)

    def after_return(self) -> float:
        """Give the seconds to wait after a return, which ends the row of failures."""
        self.start_again()
        return self._delay


class Background:
    """A background function of an app, in each of the app's runs.

    Args:
        declared: The coroutine function, and its name.
        restart: `"on-failure"`, `"always"` or `"never"`.
        pauses: How long it waits before it runs again.
        grace: Seconds to end after it is cancelled.
    """

    def __init__(
        self, declared: Declaration, restart: str, pauses: Pauses, grace: float
    ) -> None:
        self.declared = declared
        self.state = "ended"
        self._restart = restart
        self._pauses = pauses
        self._grace = grace
        self._task: asyncio.Task[None]
        self._failure = ""  # the last one, as it was logged
        self._failures = 0  # of the same, in a row

    def __str__(self) -> str:
        return str(self.declared)

    def start(self, app: Roll) -> None:
        """Begin to run."""
        self.state = "running"
        self._start_again()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(app), name=str(self))

    def _start_again(self) -> None:
        self._failure = ""
        self._pauses.start_again()

    async def end(self) -> None:
        """Cancel it, and wait for its end."""
        self._task.cancel()
        if not await finish(self._task, self._grace):
            logger.warning(
                "The %s still runs %g s after it was cancelled: it is left",
                *(self, self._grace),
            )

    async def _run(self, app: Roll) -> None:
        failed = False
        try:
            while True:
                self.state = "running"
                failed = await self._call(app)
                if not self._goes_on(failed):
                    break
                self.state = "waiting"
                pauses = self._pauses
                await asyncio.sleep(
                    pauses.after_failure() if failed else pauses.after_return()
                )
        except asyncio.CancelledError:
            failed = False
            raise
        finally:
            self.state = "failed" if failed else "ended"
        logger.info("The %s has ended", self)

    async def _call(self, app: Roll) -> bool:
        """Run the function once, and give whether it failed."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await self.declared.function(**self.declared.arguments(app))
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            if self._pauses.is_long(loop.time() - began):
                self._start_again()
            self._log(error)
            return True
        return False

    def _goes_on(self, failed: bool) -> bool:
        if self._restart == "never" or is_cancelled():
            return False
        return failed or self._restart == "always"

    def _log(self, error: BaseException) -> None:
        """Log a failure, with its traceback unless it is the same as the last one."""
        failure = "".join(traceback.format_exception(error))
        if failure != self._failure:
            self._failure, self._failures = failure, 1
            logger.error("The %s failed", self, exc_info=error)
            return
        self._failures += 1
        kind = type(error).__name__
        logger.error("The %s failed %d times: %s", self, self._failures, kind)
