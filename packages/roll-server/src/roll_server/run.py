"""`roll run`: serve an application."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from roll import Limits
from roll.ending import GRACE, leave_threads

from . import sockets, systemd
from .children import Parent
from .exits import Exit, StartError
from .loading import find_application, load
from .options import OPTIONS
from .reload import reload
from .serving import Alone, serve
from .settings import Settings, command
from .signals import Signals, Stopped
from .tls import Certificate
from .workers import Workers, supervise


@command(*OPTIONS)
@click.pass_obj
def run(parent: Parent | None, /, **values: Any) -> None:
    """Serve APP, such as shop:app, until SIGINT or SIGTERM.

    Each option is also a variable, such as ROLL_PORT, and a key of [tool.roll] in the
    pyproject.toml of the current folder. An option precedes a variable, and a variable
    a key.
    """
    settings = Settings.take(values)
    status: int = Exit.FAILED
    seconds = GRACE
    try:
        status = _run(settings) if parent is None else _run_child(settings, parent)
        seconds = settings.limits.get("shutdown", Limits().shutdown)
    except Stopped:
        status = Exit.STOPPED
    except StartError as error:
        status = error.exit_code
        raise
    finally:
        leave_threads(status, seconds)
    if status == Exit.STOPPED and parent is None and sys.stdout.isatty():
        click.echo("Bye.")
    sys.exit(status)


def _run_child(settings: Settings, parent: Parent) -> int:
    with Signals([signal.SIGTERM], once=True) as signals:
        app = load(settings.app, settings.factory)
        app.workers = settings.workers
        certificate = _certificate(settings)
        context = None if certificate is None else certificate.context
        serve(settings, app, parent.sockets, context, parent.link, signals)
    return Exit.STOPPED


def _run(settings: Settings) -> int:
    notifier = systemd.Notifier(os.environ)
    with _addresses():
        passed = systemd.take_sockets(os.environ)
    find_application(settings.app)  # before anything is opened
    # Without the variables of the env file: a child reads its current version itself.
    added = settings.env_file.added if settings.env_file else ()
    environment = {key: os.environ[key] for key in os.environ if key not in added}
    certificate = _certificate(settings)
    context = None if certificate is None else certificate.context
    if settings.reload:
        with listening(settings, passed) as found:
            asyncio.run(reload(settings, found, context, environment))
        return Exit.STOPPED
    if settings.workers > 1:
        with listening(settings, passed) as found:
            patience = settings.limits.get("shutdown", Limits().shutdown)
            workers = Workers(settings.workers, found, environment, patience)
            tls = certificate is not None
            return asyncio.run(supervise(workers, found, tls, notifier))
    with Signals() as signals:
        app = load(settings.app, settings.factory)
        with listening(settings, passed) as found:
            keeper = Alone(notifier, certificate, found)
            serve(settings, app, found, context, keeper, signals)
    return Exit.STOPPED


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_cert is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key)


@contextmanager
def listening(
    settings: Settings, passed: list[socket.socket]
) -> Iterator[list[socket.socket]]:
    """Listen on systemd's sockets or as the settings say, and close them at the end.

    Raises:
        StartError: It cannot listen on the address.
    """
    with _addresses():
        found = passed or _listen(settings)
    path = None if passed else settings.uds
    bound = path and sockets.identify(path)
    try:
        with _closing(found):
            yield found
    finally:
        # While this process ended, another may have begun to listen there.
        if path and bound == sockets.identify(path):
            path.unlink(missing_ok=True)


@contextmanager
def _closing(found: list[socket.socket]) -> Iterator[None]:
    try:
        yield
    finally:
        for sock in found:
            sock.close()


def _listen(settings: Settings) -> list[socket.socket]:
    backlog = settings.limits.get("backlog", Limits().backlog)
    if settings.fd is not None:
        return [sockets.adopt(settings.fd)]
    if settings.uds is not None:
        return [sockets.bind_path(settings.uds, backlog)]
    return sockets.bind(settings.host, settings.port, backlog)


@contextmanager
def _addresses() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartError(str(error.args[-1]), Exit.ADDRESS) from error
