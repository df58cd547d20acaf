"""Lifespan: how a mounted ASGI application starts and ends (lifespan 2.0)."""

import asyncio
from typing import Any

from .typing import VERSIONS, ASGIApplication, Message

SCOPE = {"type": "lifespan", "asgi": {**VERSIONS, "spec_version": "2.0"}}

RETURN = 1.0
"""Seconds that an application has to return after its shutdown."""


class LifespanError(RuntimeError):
    """The application reports that its startup or shutdown has failed."""


class Lifespan:
    """The lifespan of a mounted application, which runs as one task.

    Args:
        application: The application.
        required: Whether it must have one; otherwise it may refuse by raising an
            exception.
    """

    def __init__(self, application: ASGIApplication, required: bool | None) -> None:
        self.state: dict[str, Any] = {}
        """The state that it shares with its requests."""
        self._application = application
        self._required = required
        self._task: asyncio.Future[None] | None = None
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answer: asyncio.Future[Message] | None = None

    async def start(self) -> None:
        """Start the application.

        Raises:
            LifespanError: It reports that its startup has failed.
            Exception: What it raises, if a lifespan is required.
        """
        self.state.clear()
        self._events = asyncio.Queue()
        scope = {**SCOPE, "state": self.state}
        run = self._application(scope, self._events.get, self._send)
        task = asyncio.ensure_future(run)
        try:
            await self._ask("startup", task)
        except BaseException as error:
            await _drop(task)
            refused = isinstance(error, Exception) and not self._required
            if not refused or isinstance(error, LifespanError):
                raise
        else:
            self._task = task

    async def end(self) -> None:
        """End the application, if it has started.

        Raises:
            LifespanError: It reports that its shutdown has failed.
            Exception: What it raises.
        """
        task, self._task = self._task, None
        if task is None or task.done():
            return
        try:
            await self._ask("shutdown", task)
            await asyncio.wait([task], timeout=RETURN)
        finally:
            await _drop(task)

    async def _ask(self, event: str, task: "asyncio.Future[None]") -> None:
        """Tell the application to start or to end, and wait until it has."""
        self._answer = answer = asyncio.get_running_loop().create_future()
        self._events.put_nowait({"type": f"lifespan.{event}"})
        await asyncio.wait([answer, task], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            message = answer.result()
            if message["type"] == f"lifespan.{event}.failed":
                raise LifespanError(message.get("message") or f"The {event} has failed")
        else:
            task.result()

    async def _send(self, message: Message) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(message)


async def _drop(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # raised or reported before
