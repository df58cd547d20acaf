"""simple_server: serve an app from a script, and end cleanly."""

import asyncio
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from roll import Roll, Server, hookimpl
from roll.ending import Ending, leave_threads, staying
from roll.loops import new_event_loop
from roll.typing import Extension

from .signals import Signals, Stopped
from .sockets import bind, url
from .starting import IMPORTING, STARTUP, StartFailed, start
from .stopping import StopFailed, stop

__all__ = ["simple_server"]


def simple_server(
    app: Roll, port: int = 3579, host: str = "127.0.0.1", quiet: bool = False
) -> None:
    """Serve *app* until SIGINT or SIGTERM, on uvloop where it is installed.

    The first signal lets running requests end, within `Limits.shutdown` seconds, and
    returns after the app's `shutdown` listeners. A second one ends the process. If a
    `startup` listener raises, its traceback is printed and the process exits with
    status 5. If the shutdown fails, it exits with status 1.

    Args:
        app: The application.
        port: The TCP port; 0 takes a free one.
        host: The name or address to listen on; a name may mean several addresses, and
            an empty one means every address of the machine.
        quiet: Whether to print nothing, not even the address.

    Raises:
        OSError: It cannot listen on the address; the message names it.
        RuntimeError: The command `roll` is importing the application.
        SystemExit: A listener of `startup` or `shutdown` raised. Outside of the main
            thread, that exception is raised instead.
        TypeError: *app* is not an application, for example its class.
        ValueError: The port is not a number from 0 to 65535.
    """
    if not isinstance(app, Roll):
        raise TypeError(f"simple_server({app!r}): give an application, such as Roll()")
    if IMPORTING.get():
        raise RuntimeError(
            "simple_server() would serve while the command `roll` imports this module: "
            'write it under `if __name__ == "__main__":`'
        )
    say: Callable[[str], None] = _keep_quiet if quiet else _say
    sockets = bind(host, port, app.limits.backlog)
    server = Server(app, sockets)
    in_main = threading.current_thread() is threading.main_thread()
    ending = Ending(STARTUP)
    if not in_main:  # then the process must not end
        ending.disarm()
    before = {*staying()}  # the code that started them may wait for them
    failure: StartFailed | StopFailed | None = None
    # KeyboardInterrupt is raised where no signal can be handled.
    with (
        suppress(KeyboardInterrupt, Stopped),
        Signals() as signals,
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        failure = runner.run(_serve(server, say, signals, ending))
    if ending.active and {*staying()} - before:
        leave_threads(ending.status)
    ending.disarm()
    if failure is None:
        say("Bye.")
    elif in_main:
        from .exits import shutdown_error, startup_error  # which import click

        explain = startup_error if isinstance(failure, StartFailed) else shutdown_error
        error = explain(failure.error)
        error.show()
        sys.exit(error.exit_code)
    else:
        raise failure.error


async def _serve(
    server: Server, say: Callable[[str], None], signals: Signals, ending: Ending
) -> StartFailed | StopFailed | None:
    """Serve until a signal, and return why the startup or the shutdown has failed."""
    signal = asyncio.Event()
    try:
        try:
            if await start(server, signal, signals, ending, _describe):
                ending.disarm()
                say(f"Rolling on {url(server.sockets[0])}")
                await signal.wait()
        finally:
            await stop(server)
    except (StartFailed, StopFailed) as failure:
        return failure
    return None


def _describe(error: Exception) -> str:
    from .exits import startup_error  # which imports click

    return f"{startup_error(error)}\n"


def _say(line: str) -> None:
    print(line, flush=True)


def _keep_quiet(line: str) -> None:
    pass


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import simple_server`."""
    return {"simple_server": simple_server}
