"""Serving: one process that serves, from its settings to its end."""

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
"""Seconds for which a health path responds with 503 before the server ends."""


class Keeper(Protocol):
    """What has started a server: it follows the server, and tells it to stop."""

    def watch(self, stop: asyncio.Event) -> None:
        """Set *stop* when the server has to end; called in its loop."""

    def ready(self, seconds: float) -> None:
        """Note that it serves, and how many seconds its shutdown may take."""

    def stopping(self) -> bool:
        """Note that it ends, and tell whether no other process serves its sockets."""


def serve(
    settings: Settings,
    app: Roll,
    sockets: list[socket.socket],
    context: ssl.SSLContext | None,
    keeper: Keeper,
    signals: Signals,
) -> None:
    """Serve until a signal comes, or *keeper* stops the server.

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
        # KeyboardInterrupt is raised where no signal can be handled.
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
    # The drain listeners, running requests, and the shutdown listeners.
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
    """Tell the application that the server ends, and serve for some more *seconds*."""
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
    """Apply the settings to the application.

    Raises:
        StartError: The application already has what a setting adds, or a package is
            missing.
    """
    limits = dict(settings.limits)
    if settings.reload:
        limits.setdefault("shutdown", RELOAD_SHUTDOWN)
    # Its class may be shared by other applications, but these limits are its own.
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
    """Log requests if the settings ask for it; by default, if a developer is watching.

    Raises:
        ImportError: The settings ask for it, and roll-logger is not installed.
        ValueError: The application has a logger already, or the format is unknown.
    """
    asked = settings.access_log or settings.log_format is not None
    by_default = settings.reload or sys.stderr.isatty()
    if settings.access_log is False or not (asked or by_default):
        return
    try:
        extensions.logger(
            app,
            # The application's own level stays, and no line is printed twice.
            level=logger.level or logging.INFO,
            handler=None if logger.hasHandlers() else logging.StreamHandler,
            format=settings.log_format or "common",
        )
    except (ImportError, ValueError):
        if asked:
            raise


class Alone:
    """The keeper of a server without a parent process, for SIGHUP and systemd.

    Args:
        notifier: Tells systemd.
        certificate: The certificate that SIGHUP reads again.
        sockets: The listening sockets.
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
        """On SIGHUP, reload what can be reloaded."""
        # Otherwise SIGHUP ends the process when its terminal is closed, as usual.
        if self._certificate is not None or self._notifier:
            # Windows has no SIGHUP (AttributeError), and its loops take no handlers
            # (NotImplementedError): there, certificates are read again after a restart.
            with suppress(AttributeError, NotImplementedError):
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGHUP, self._reload)

    def ready(self, seconds: float) -> None:
        """Print where it listens."""
        announce(self._sockets, tls=self._certificate is not None)
        self._notifier.ready()
        self._watchdog = asyncio.create_task(self._notifier.keep_alive())

    def stopping(self) -> bool:
        """Tell systemd; no other process serves."""
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
    """Read a certificate again, and print the result."""
    try:
        certificate.reload()
    except StartError as error:
        say(f"{error.message}; the previous one stays")
    else:
        say("the certificate was read again")


def say(line: str) -> None:
    """Print a line for the user of the command."""
    click.echo(f"roll: {line}", err=True)
