"""Serving: one process that answers, from its settings to its end."""

import asyncio
import dataclasses
import logging
import signal
import socket
import ssl
import sys
from contextlib import suppress
from typing import Protocol

import click
from roll import Roll, Server, extensions
from roll.ending import Ending
from roll.logs import logger
from roll.loops import new_event_loop

from .exits import Exit, StartError, shutdown_error, startup_error
from .health import add_health
from .settings import Settings
from .signals import Signals
from .sockets import url
from .starting import StartFailed, start
from .stopping import StopFailed
from .stopping import stop as stop_server
from .systemd import Notifier
from .tls import Certificate

DRAIN = 5.0
"""Seconds in which a health path says 503, before the server ends."""


class Keeper(Protocol):
    """Whoever started a server, wants to know of it, and tells it to stop."""

    def watch(self, stop: asyncio.Event) -> None:
        """Set *stop* when the server is to end; called in its loop."""

    def ready(self, seconds: float) -> None:
        """Know that it answers, and how many seconds its end may take."""

    def stopping(self) -> bool:
        """Know that it ends, and tell whether nobody else answers on its sockets."""


def serve(
    settings: Settings,
    app: Roll,
    sockets: list[socket.socket],
    context: ssl.SSLContext | None,
    keeper: Keeper,
    signals: Signals,
) -> None:
    """Serve until a signal comes, or *keeper* says to stop.

    Raises:
        StartError: A setting does not fit the application, or a listener of `startup`
            or `shutdown` raised.
    """
    configure(app, settings)
    seconds = DRAIN if settings.health else 0.0
    if settings.drain is not None:
        seconds = settings.drain
    ending = Ending(Exit.STARTUP)
    server = Server(app, sockets, context)
    try:
        # KeyboardInterrupt comes where no signal can be handled.
        with (
            suppress(KeyboardInterrupt),
            asyncio.Runner(loop_factory=new_event_loop) as runner,
        ):
            runner.run(_serve(server, keeper, signals, ending, seconds))
    except StopFailed as failure:
        raise shutdown_error(failure.error) from None
    finally:
        ending.disarm()


async def _serve(
    server: Server, keeper: Keeper, signals: Signals, ending: Ending, drain: float
) -> None:
    stop = asyncio.Event()
    keeper.watch(stop)
    replaced = False
    # The drain listeners, what is running, and the shutdown listeners.
    seconds = drain + 3 * server.app.limits.shutdown + 5
    try:
        try:
            if not await start(server, stop, signals, ending, _describe, seconds):
                return
        except StartFailed as failure:
            raise startup_error(failure.error) from failure
        ending.status = Exit.FAILED
        keeper.ready(seconds)
        await stop.wait()
        ending.arm(seconds)
        replaced = not keeper.stopping()
        if not replaced:
            await _drain(server.app, drain)
    finally:
        await stop_server(server, replaced)


async def _drain(app: Roll, seconds: float) -> None:
    """Tell the application that the server ends, and go on for some *seconds*."""
    pause = asyncio.ensure_future(asyncio.sleep(seconds))
    try:
        async with asyncio.timeout(max(seconds, app.limits.shutdown)):
            await app.hook("drain")
    except Exception:
        logger.exception("A listener of 'drain' failed")
    await pause


def _describe(error: Exception) -> str:
    return f"{startup_error(error)}\n"


RELOAD_SHUTDOWN = 0.1
"""Seconds for running requests to end when a file has changed."""


def configure(app: Roll, settings: Settings) -> None:
    """Apply what the settings say of the application.

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
        _log_requests(app, settings)
        if settings.health is not None:
            add_health(app, settings.health)
    except (ImportError, TypeError, ValueError) as error:
        raise StartError(str(error), Exit.SETTINGS) from error


def _log_requests(app: Roll, settings: Settings) -> None:
    """Log requests if the settings say so; by default, if a developer is watching.

    Raises:
        ImportError: The settings say so, and roll-logger is not installed.
        ValueError: The application has a logger already, or the format is unknown.
    """
    asked = settings.access_log or settings.log_format is not None
    by_default = settings.reload or sys.stderr.isatty()
    if settings.access_log is False or not (asked or by_default):
        return
    try:
        extensions.logger(
            app,
            # What the application has set stays, and a line is not printed twice.
            level=logger.level or logging.INFO,
            handler=None if logger.hasHandlers() else logging.StreamHandler,
            format=settings.log_format or "common",
        )
    except (ImportError, ValueError):
        if asked:
            raise


class Alone:
    """The keeper of a server that no other process keeps: SIGHUP, and systemd.

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
        """Reload at SIGHUP what can be reloaded."""
        # Else SIGHUP ends the process when its terminal is closed, as ever.
        if self._certificate is not None or self._notifier:
            # Windows has no SIGHUP (AttributeError), and loops that take no handlers
            # (NotImplementedError): certificates are read again by starting anew.
            with suppress(AttributeError, NotImplementedError):
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGHUP, self._reload)

    def ready(self, seconds: float) -> None:
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
