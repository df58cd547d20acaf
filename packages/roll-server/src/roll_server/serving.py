"""Serving: one process that answers, from its settings to its end."""

import asyncio
import dataclasses
import logging
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import click
from roll import Roll, Server, extensions
from roll.loops import new_event_loop

from .exits import Exit, StartError, describe_error
from .health import add_health
from .settings import Settings
from .signals import stop_on_signals
from .sockets import url
from .systemd import Notifier
from .tls import Certificate

DRAIN = 5.0
"""Seconds in which a health path says 503, before the server ends."""


class Keeper(Protocol):
    """Whoever started a server, wants to know of it, and tells it to stop."""

    def watch(self, stop: asyncio.Event) -> None:
        """Set *stop* when the server is to end; called in its loop."""

    def ready(self, app: Roll, drain: float) -> None:
        """Know that it answers, and how many seconds it drains at its end."""

    def stopping(self) -> bool:
        """Know that it ends, and tell whether nobody else answers on its sockets."""


def serve(
    settings: Settings,
    app: Roll,
    sockets: list[socket.socket],
    context: ssl.SSLContext | None,
    keeper: Keeper,
) -> None:
    """Serve until *keeper* says to stop.

    Raises:
        StartError: A setting does not fit the application, or a `startup` listener
            raised.
    """
    drain = configure(app, settings)
    seconds = DRAIN if settings.health else 0.0
    if settings.drain is not None:
        seconds = settings.drain
    # KeyboardInterrupt comes where the loop takes no signal handlers.
    with (
        suppress(KeyboardInterrupt),
        asyncio.Runner(loop_factory=new_event_loop) as runner,
    ):
        runner.run(_serve(Server(app, sockets, context), keeper, drain, seconds))


async def _serve(
    server: Server, keeper: Keeper, drain: Callable[[], None], seconds: float
) -> None:
    stop = asyncio.Event()
    keeper.watch(stop)
    replaced = False
    try:
        try:
            await server.start()
        except Exception as error:
            message = f"a startup listener raised {describe_error(error)}"
            raise StartError(message, Exit.STARTUP, error) from error
        keeper.ready(server.app, seconds)
        await stop.wait()
        replaced = not keeper.stopping()
        if not replaced:
            drain()
            await asyncio.sleep(seconds)
    finally:
        await server.stop(replaced)


RELOAD_SHUTDOWN = 0.1
"""Seconds for running requests to end when a file has changed."""


def configure(app: Roll, settings: Settings) -> Callable[[], None]:
    """Apply what the settings say of the application.

    Returns:
        What makes the health path say 503.

    Raises:
        StartError: The application has what a setting adds, or a package is missing.
    """
    limits = dict(settings.limits)
    if settings.reload:
        limits.setdefault("shutdown", RELOAD_SHUTDOWN)
    # Its class may be that of other applications: the limits are its own.
    app.configure(limits=dataclasses.replace(app.limits, **limits))
    try:
        if settings.trusted_proxies:
            extensions.proxy_headers(app, trusted=settings.trusted_proxies)
        if settings.log_format is not None:
            # A level that the application has set stays.
            level = logging.getLogger("roll").level or logging.INFO
            extensions.logger(app, level=level, format=settings.log_format)
        if settings.health is not None:
            return add_health(app, settings.health)
    except (ImportError, TypeError, ValueError) as error:
        raise StartError(str(error), Exit.SETTINGS) from error
    return _do_nothing


def _do_nothing() -> None:
    pass


class Alone:
    """The keeper of a server that no other process keeps: signals, and systemd.

    Args:
        notifier: Tells systemd.
        certificate: What SIGHUP reads again.
        sockets: What is listened on.
    """

    def __init__(
        self,
        notifier: Notifier,
        certificate: Certificate | None,
        sockets: list[socket.socket],
    ) -> None:
        self._notifier = notifier
        self._certificate = certificate
        self._sockets = sockets
        self._watchdog: asyncio.Task[None] | None = None

    def watch(self, stop: asyncio.Event) -> None:
        """Stop at SIGINT and SIGTERM, reload at SIGHUP what can be reloaded."""
        stop_on_signals(stop)
        # Else SIGHUP ends the process when its terminal is closed, as ever.
        if self._certificate is not None or self._notifier:
            # Windows has no SIGHUP (AttributeError), and loops that take no handlers
            # (NotImplementedError): certificates are read again by starting anew.
            with suppress(AttributeError, NotImplementedError):
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGHUP, self._reload)

    def ready(self, app: Roll, drain: float) -> None:
        """Say where it listens."""
        announce(self._sockets, tls=self._certificate is not None)
        self._notifier.ready()
        self._watchdog = asyncio.create_task(self._notifier.keep_alive())

    def stopping(self) -> bool:
        """Tell systemd; nobody else answers."""
        self._notifier.stopping()
        return True

    def _reload(self) -> None:
        self._notifier.reloading()
        if self._certificate is not None:
            reload_certificate(self._certificate)
        self._notifier.ready()


def announce(sockets: list[socket.socket], tls: bool, more: str = "") -> None:
    """Print where a server listens."""
    scheme = "https" if tls else "http"
    where = " and ".join(url(sock, scheme) for sock in sockets)
    click.echo(f"Rolling on {where}{more}")


def reload_certificate(certificate: Certificate) -> None:
    """Read a certificate again, and say how it went."""
    try:
        certificate.reload()
    except StartError as error:
        say(f"{error.message}; the former one stays")
    else:
        say("the certificate is read again")


def say(line: str) -> None:
    """Tell whoever runs the command."""
    click.echo(f"roll: {line}", err=True)
