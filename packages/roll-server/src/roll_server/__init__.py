"""simple_server: serve an app from a script, and end cleanly."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress

from roll import Roll, Server, hookimpl
from roll.typing import Extension

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


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make a loop of uvloop, or of asyncio: uvloop is not made for every platform."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(server: Server, say: Callable[[str], None]) -> None:
    try:
        stop = asyncio.Event()
        _stop_on_signals(stop)
        await server.start()
        say(f"Rolling on {url(server.sockets[0])}")
        await stop.wait()
    finally:
        await server.stop()


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def handle(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)  # so that a second one ends at once

    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows' loops take no handlers (NotImplementedError): KeyboardInterrupt ends
        # them. Nor do threads beside the main one (the others), which get no signals.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, handle, number)


def bind(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Listen on every address that *host* means, all with the same port.

    Raises:
        OSError: An address cannot be had; the message names it.
    """
    if not (isinstance(port, int) and 0 <= port < 1 << 16):
        raise ValueError(f"port={port!r}: give a number from 0 to 65535")
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            name = (address[0], port or _port(sockets), *address[2:])
            sockets.append(socket.create_server(name, family=family, backlog=backlog))
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise OSError(
            error.errno, f"cannot listen on {host}:{port}: {error.strerror}"
        ) from error
    return sockets


def _port(sockets: list[socket.socket]) -> int:
    port: int = sockets[0].getsockname()[1] if sockets else 0
    return port


def url(sock: socket.socket) -> str:
    """Write the address of *sock* as a browser takes it."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say(line: str) -> None:
    print(line, flush=True)


def _keep_quiet(line: str) -> None:
    pass


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import simple_server`."""
    return {"simple_server": simple_server}
