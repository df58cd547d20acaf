"""Starting: a server serves, or its process ends."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar

from roll import Server
from roll.ending import Ending

from .signals import Signals

STOPPED = 0
STARTUP = 5
"""The same as in `Exit`, which needs click."""

IMPORTING = ContextVar("IMPORTING", default=False)
"""Whether the command is importing an application, which must not serve meanwhile."""


class StartFailed(Exception):
    """A `startup` listener has raised.

    Args:
        error: What it has raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


async def start(
    server: Server,
    stop: asyncio.Event,
    signals: Signals,
    ending: Ending,
    describe: Callable[[Exception], str],
    patience: float | None = None,
) -> bool:
    """Start a server, unless it is stopped before it serves.

    Args:
        server: The server to start.
        stop: Set by a signal, or by others, to stop it.
        signals: The signals that set it from now on.
        ending: Ends the process `Limits.shutdown` seconds after a start has failed or
            was stopped.
        describe: Describes an exception of a `startup` listener.
        patience: Seconds from a signal to the end of the process, once it serves.

    Returns:
        Whether it serves.

    Raises:
        StartFailed: A `startup` listener has raised.
    """
    app = server.app
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(server.start())

    def fail(error: BaseException) -> None:
        if isinstance(error, Exception):
            ending.last_words = describe(error)
        ending.arm(app.limits.shutdown)

    def react() -> None:
        if not starting.done():
            ending.status = STOPPED
            ending.arm(app.limits.shutdown)  # the loop may be blocked
        elif patience is not None:
            ending.arm(patience)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(stop.set)

    signals.watch(react)
    app.lifecycle.failed = fail
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            ending.status = STOPPED
            starting.cancel()
            await asyncio.wait([starting])
    finally:
        stopping.cancel()
        app.lifecycle.failed = None
    if starting.cancelled():
        return False
    try:
        starting.result()
    except Exception as error:
        raise StartFailed(error) from error
    return True
