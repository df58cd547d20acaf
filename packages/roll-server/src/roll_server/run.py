"""`roll run`: serve an application."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import click
from roll import Limits

from . import sockets, systemd
from .children import Link, take_link
from .exits import Exit, StartError
from .kinds import SWITCH
from .loading import find_application, load_from
from .reload import reload
from .serving import Alone, serve
from .settings import OPTIONS, Option, Settings, resolve
from .tls import Certificate
from .workers import Workers, supervise


def add_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a function all options of the table, and APP as its argument."""
    for option in reversed(OPTIONS):
        command = _make_option(option)(command)
    return command


def _make_option(option: Option) -> Callable[[Any], Any]:
    if option.name == "app":
        return click.argument("app", required=False)
    flag = f"--{option.key}"
    if option.kind is SWITCH:
        flag = f"{flag}/--no-{option.key}"
    metavar = option.kind.metavar or None
    return click.option(
        flag, option.name, default=None, metavar=metavar, help=option.help
    )


@click.command()
@add_options
def run(**flags: Any) -> None:
    """Serve APP, such as shop:app, until SIGINT or SIGTERM.

    Each option is also a variable, such as ROLL_PORT, and a key of [tool.roll] in the
    pyproject.toml of the current folder. An option precedes a variable, and a variable
    a key.
    """
    child = take_link(os.environ)
    if child is None:
        sys.exit(_run(flags))
    link, inherited = child
    with closing(link), _closing(inherited):
        try:
            _serve_child(link, inherited, resolve(flags))
        except StartError as error:
            link.failed(error)
            raise


def _run(flags: Mapping[str, object]) -> int:
    notifier = systemd.Notifier(os.environ)
    with _addresses():
        passed = systemd.take_sockets(os.environ)
    # Without what an env file adds: a child reads that itself, as it is by then.
    environment = dict(os.environ)
    settings = resolve(flags)
    find_application(settings)  # before anything is opened for it
    certificate = _certificate(settings)
    context = None if certificate is None else certificate.context
    if settings.reload:
        with listening(settings, passed) as found:
            asyncio.run(reload(settings, found, context, environment))
        return Exit.STOPPED
    if settings.workers > 1:
        with listening(settings, passed) as found:
            workers = Workers(settings.workers, found, environment)
            tls = certificate is not None
            return asyncio.run(supervise(workers, found, tls, notifier))
    app = load_from(settings)
    with listening(settings, passed) as found:
        serve(settings, app, found, context, Alone(notifier, certificate, found))
    return Exit.STOPPED


def _serve_child(
    link: Link, inherited: list[socket.socket], settings: Settings
) -> None:
    app = load_from(settings)
    certificate = _certificate(settings)
    context = None if certificate is None else certificate.context
    serve(settings, app, inherited, context, link)


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_cert is None:
        return None
    return Certificate(settings.tls_cert, settings.tls_key)


@contextmanager
def listening(
    settings: Settings, passed: list[socket.socket]
) -> Iterator[list[socket.socket]]:
    """Listen on what systemd has passed, else where the settings say, and end it.

    Raises:
        StartError: The address cannot be had.
    """
    with _addresses():
        found = passed or _listen(settings)
    path = None if passed else settings.uds
    bound = path and sockets.identify(path)
    try:
        with _closing(found):
            yield found
    finally:
        # While this one answered the rest, another may have listened there anew.
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
        message = str(error.args[-1])
        if error.errno == errno.EADDRINUSE:
            message += "; end what listens there, or take another address"
        raise StartError(message, Exit.ADDRESS) from error
