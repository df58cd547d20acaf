"""Stopping: a server ends, and shows in a terminal what it waits for."""

import asyncio
import sys

from roll import Server

SILENCE = 0.5
"""Seconds before anything is printed; most shutdowns take less."""


class StopFailed(Exception):
    """A `shutdown` listener, or a callback of `app.exit_stack`, has raised.

    Args:
        error: What it has raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


async def stop(server: Server, replaced: bool = False) -> None:
    """Stop a server.

    Args:
        server: The server to stop.
        replaced: As for `Server.stop`.

    Raises:
        StopFailed: The application's own shutdown has failed.
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
