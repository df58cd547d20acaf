"""simple_server: serve an app from a script, and end cleanly."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from roll import Roll, Server, hookimpl
from roll.loops import new_event_loop
from roll.typing import Extension

from .signals import stop_on_signals
from .sockets import bind, url

__all__ = ["simple_server"]


def simple_server(
    app: Roll, port: int = 3579, host: str = "127.0.0.1", quiet: bool = False
) -> None:
    """Serve *app* until SIGINT or SIGTERM, on uvloop where it is installed.

    The first signal lets running requests end, within `Limits.shutdown` seconds, and
    returns after the app's `shutdown` listeners. A second one ends the process.

    Args:
        app: The application.
        port: The TCP port; 0 takes a free one.
        host: The name or address to listen on; a name may mean several addresses.
        quiet: Whether not to say where it listens.

    Raises:
        OSError: The address cannot be had; the message names it.
        TypeError: *app* is no application, but its class, for one.
        ValueError: The port is no number from 0 to 65535.
    """
    if not isinstance(app, Roll):
        raise TypeError(f"simple_server({app!r}): give an application, such as Roll()")
    say: Callable[[str], None] = _keep_quiet if quiet else _say
    sockets = bind(host, port, app.limits.backlog)
    # KeyboardInterrupt comes where the loop takes no signal handlers.
    with (
        suppress(KeyboardInterrupt),
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        runner.run(_serve(Server(app, sockets), say))
    say("Bye.")


async def _serve(server: Server, say: Callable[[str], None]) -> None:
    try:
        stop = asyncio.Event()
        stop_on_signals(stop)
        await server.start()
        say(f"Rolling on {url(server.sockets[0])}")
        await stop.wait()
    finally:
        await server.stop()


def _say(line: str) -> None:
    print(line, flush=True)


def _keep_quiet(line: str) -> None:
    pass


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import simple_server`."""
    return {"simple_server": simple_server}
