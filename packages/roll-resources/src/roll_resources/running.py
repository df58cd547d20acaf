"""Background functions: each runs as long as the app, and again when it has failed."""

import asyncio
import random
import traceback

from roll import Roll
from roll.logs import logger

from .declaration import Declaration
from .held import finish

JITTER = 0.1
"""The part by which a delay varies, so that not all processes try again at once."""


class Background:
    """A background function of an app, in each of the app's runs.

    Args:
        declared: The coroutine function, and its name.
        restart: `"on-failure"`, `"always"` or `"never"`.
        delay: Seconds before the next run.
        max_delay: What they are doubled up to.
        grace: Seconds to end in.
    """

    def __init__(
        self,
        declared: Declaration,
        restart: str,
        delay: float,
        max_delay: float,
        grace: float,
    ) -> None:
        self.declared = declared
        self.state = "ended"
        self._restart = restart
        self._delay = delay
        self._max_delay = max_delay
        self._grace = grace
        self._task: asyncio.Task[None]
        self._failure = ""  # the last one, as it was logged
        self._failures = 0  # of the same, in a row

    def __str__(self) -> str:
        return str(self.declared)

    def start(self, app: Roll) -> None:
        """Begin to run."""
        self._failure = ""
        self.state = "running"
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(app), name=str(self))

    async def end(self) -> None:
        """Cancel it, and wait for its end."""
        self._task.cancel()
        if not await finish(self._task, self._grace):
            logger.warning(
                "The %s still runs %g s after it was cancelled: it is left",
                *(self, self._grace),
            )

    async def _run(self, app: Roll) -> None:
        loop = asyncio.get_running_loop()
        delay = self._delay
        try:
            while True:
                self.state = "running"
                began = loop.time()
                failed = await self._call(app)
                if not self._goes_on(failed):
                    break
                if not failed or loop.time() - began >= self._max_delay:
                    delay = self._delay
                    self._failure = ""
                self.state = "waiting"
                jitter = random.uniform(-JITTER, JITTER) if failed else 0
                await asyncio.sleep(delay * (1 + jitter))
                if failed:
                    delay = min(2 * delay, self._max_delay)
        except asyncio.CancelledError:
            self.state = "ended"
            raise
        self.state = "failed" if failed else "ended"
        logger.info("The %s has ended", self)

    async def _call(self, app: Roll) -> bool:
        """Run the function once, and tell whether it failed."""
        try:
            await self.declared.function(**self.declared.arguments(app))
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            self._log(error)
            return True
        return False

    def _goes_on(self, failed: bool) -> bool:
        if self._restart == "never" or _is_cancelled():
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


def _is_cancelled() -> bool:
    """Whether this task is to end; not so when another one that it awaits was."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
