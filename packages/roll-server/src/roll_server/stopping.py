"""Stopping: a server ends, and says in a terminal what it waits for."""

import asyncio
import sys

from roll import Server

SILENCE = 0.5
"""Seconds without a word; most ends take less."""


class StopFailed(Exception):
    """A `shutdown` listener, or what `app.exit_stack` closes, has raised; it is logged.

    Args:
        error: What it has raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


async def stop(server: Server, replaced: bool = False) -> None:
    """Stop a server.

    Args:
        server: What to stop.
        replaced: As for `Server.stop`.

    Raises:
        StopFailed: The application's own end has failed.
    """
    loop = asyncio.get_running_loop()
    telling = loop.call_later(SILENCE, _tell, server)
    if replaced or not sys.stderr.isatty():
        telling.cancel()
    try:
        await server.stop(replaced)
    except Exception as error:
        raise StopFailed(error) from error
    finally:
        telling.cancel()


def _tell(server: Server) -> None:
    if number := len(server.app.connections):
        connections = "1 connection" if number == 1 else f"{number} connections"
        print(
            f"Ending: waits for {connections}, at most "
            f"{server.app.limits.shutdown:g} s; press Ctrl-C again to end at once",
            file=sys.stderr,
            flush=True,
        )
