"""Reload: restart whenever a file changes, for development."""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from roll import Limits, Request, Response, Roll, Server
from roll.peers import refusal

from .children import Child, Failed, describe_end
from .serving import announce, say
from .settings import PROJECT, Settings
from .signals import stop_on_signals
from .sockets import is_local

if TYPE_CHECKING:
    from watchfiles.main import FileChange

    Changes = AsyncIterator[set[FileChange]]

ELSEWHERE = "The application cannot start; the terminal says why."
"""The text for all clients other than a browser on this machine."""

PATIENCE = 0.5
"""Seconds for a child to clean up before it is killed."""


async def reload(
    settings: Settings,
    sockets: list[socket.socket],
    context: ssl.SSLContext | None,
    environment: Mapping[str, str],
) -> None:
    """Run a child until a file changes, then another one, until a signal.

    No connection is refused meanwhile: the sockets stay open in this process. If the
    child cannot start, a page says why.
    """
    stop, wake = asyncio.Event(), asyncio.Event()
    stop_on_signals(stop)
    set_terminal_back = _keep_terminal()
    async with asyncio.TaskGroup() as group:  # all ends if files cannot be watched
        group.create_task(_pass_on(stop, wake))
        watching = [
            group.create_task(_follow_changes(changes, wake))
            for changes in _watch(settings)
        ]
        announce(sockets, context is not None, ", reloading when a file changes")
        while not stop.is_set():
            wake.clear()
            await _run(sockets, context, environment, wake)
            set_terminal_back()
        for task in watching:
            task.cancel()


async def _pass_on(stop: asyncio.Event, wake: asyncio.Event) -> None:
    await stop.wait()
    wake.set()


def _watch(settings: Settings) -> list["Changes"]:
    """Watch code and settings for changes."""
    from watchfiles import Change, DefaultFilter, awatch

    env_file = settings.env_file and settings.env_file.path
    files = [path.resolve() for path in (PROJECT, env_file) if path]
    is_source = DefaultFilter()

    def is_code(change: Change, path: str) -> bool:
        return path.endswith(".py") and is_source(change, path)

    def is_setting(change: Change, path: str) -> bool:
        return Path(path) in files

    code = [path.resolve() for path in settings.reload_dir]
    # Not the files themselves: editors save a file by renaming another one, and from
    # then on no change would be seen.
    folders = {path.parent for path in files}
    return [
        awatch(*code, watch_filter=is_code),
        awatch(*folders, watch_filter=is_setting, recursive=False),
    ]


async def _follow_changes(found: "Changes", wake: asyncio.Event) -> None:
    """Set *wake* at each change."""
    async for changes in found:
        names = sorted({Path(path).name for _, path in changes})
        say(f"{', '.join(names)} changed")
        wake.set()


async def _run(
    sockets: list[socket.socket],
    context: ssl.SSLContext | None,
    environment: Mapping[str, str],
    wake: asyncio.Event,
) -> None:
    """Run one child until *wake*; if it ends, explain why."""
    child = await Child.start(sockets, environment)
    life = asyncio.create_task(_follow(child))
    waking = asyncio.create_task(wake.wait())
    await asyncio.wait([life, waking], return_when=asyncio.FIRST_COMPLETED)
    if not waking.done():
        async with _explaining(sockets, context, life.result()):
            await waking
    life.cancel()
    await child.end(PATIENCE, replaced=True)


async def _follow(child: Child) -> str:
    """Wait for a child to end by itself, and give the reason."""
    outcome = await child.outcome()
    if isinstance(outcome, Failed) and outcome.reason:
        return outcome.reason
    how = f"the application {describe_end(await child.ended())}"
    say(f"{how}; it starts again when a file changes")
    return how


class Explanation(Roll):
    """Responds in place of an application that cannot start."""

    limits = Limits(shutdown=0.5)  # enough for requests that are on their way


@asynccontextmanager
async def _explaining(
    sockets: list[socket.socket], context: ssl.SSLContext | None, reason: str
) -> AsyncIterator[None]:
    app = Explanation()
    local = all(is_local(sock) for sock in sockets)

    @app.listen("headers")
    def explain(request: Request, response: Response) -> bool:
        response.status = HTTPStatus.INTERNAL_SERVER_ERROR
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        shown = local and refusal(request) is None
        response.body = f"{reason if shown else ELSEWHERE}\n"
        return True

    server = Server(app, [sock.dup() for sock in sockets], context)
    await server.start()
    try:
        yield
    finally:
        await server.stop(replaced=True)


def _keep_terminal() -> Callable[[], None]:
    """Make a function that resets the terminal: a debugger may be killed meanwhile."""
    import termios  # only in Unix, like all of this

    if sys.stdin is None or not sys.stdin.isatty():
        return lambda: None
    attributes = termios.tcgetattr(sys.stdin)
    return lambda: termios.tcsetattr(sys.stdin, termios.TCSANOW, attributes)
