"""The worker: a loop with one `roll.Server` on all of gunicorn's sockets."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import AppImportError
from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker as BaseWorker
from roll import HttpProtocol, Request, Response, Roll, Server
from roll.ending import Ending, leave_threads
from roll.logs import format_traceback
from roll.loops import new_event_loop

from . import access, settings

BEAT = 1.0
"""The most seconds between two heartbeats."""

QUICK = 0.1
"""Seconds for running requests when gunicorn has to stop at once."""


class Worker(BaseWorker):  # type: ignore[misc]  # gunicorn ships no annotations
    """Serves an app of Roll in a process of gunicorn's, on uvloop where installed.

    gunicorn makes it, and calls the methods here: run it with `--worker-class
    roll_gunicorn.Worker`. Limits that are set in gunicorn apply to the app; the app's
    own apply otherwise.

    On SIGTERM, a reload, `--max-requests` or the loss of the arbiter, running requests
    have nine tenths of `--graceful-timeout` to end; on SIGINT and SIGQUIT they do not.
    The app's `shutdown` listeners run in any case, and the process ends after
    `--graceful-timeout`.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._hurries = False
        self._replaced = False  # by a worker that the arbiter starts for it
        self._logs_access = settings.logs_access(self.cfg)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Warn of settings that have no effect; gunicorn calls this when it starts."""
        for warning in settings.ignored(cfg):
            log.warning("roll_gunicorn: %s", warning)

    def load_wsgi(self) -> None:
        """Load the app, and apply the limits that are set in gunicorn.

        Raises:
            AppImportError: It is not a Roll app, or a setting cannot be a limit;
                gunicorn prints this in one line and ends.
        """
        app = self.wsgi = self.app.wsgi()
        if not isinstance(app, Roll):
            raise AppImportError(
                f"roll_gunicorn.Worker serves apps of Roll, and this is {app!r}: name "
                "an app, as in 'module:app', or call what makes one, as in "
                "'module:create()'"
            )
        try:
            app.configure(limits=settings.limits(self.cfg, app.limits))
        except ValueError as error:
            raise AppImportError(f"a setting of gunicorn's: {error}") from error
        app.workers = self.cfg.workers
        if self._logs_access or self.cfg.max_requests:
            access.watch(app, self._note)
        if self._logs_access:
            app.listen("refused")(self._note_refused)

    def run(self) -> None:
        """Serve until a signal, or the number of requests, stops the worker."""
        # If an app does not start, gunicorn ends instead of trying forever.
        self.booted = False
        ending = Ending(Arbiter.WORKER_BOOT_ERROR)
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                self._loop = runner.get_loop()
                runner.run(self._serve(ending))
        finally:
            ending.disarm()
            if not self.booted:  # Python would wait for threads of the app
                leave_threads(ending.status)

    async def _serve(self, ending: Ending) -> None:
        self._heart = asyncio.create_task(self._beat())
        context = None
        if self.cfg.is_ssl:
            context = ssl_context(self.cfg)
            context.set_alpn_protocols(["http/1.1"])  # the only one served here
        server = Server(self.wsgi, [one.sock for one in self.sockets], context)

        def fail(error: BaseException) -> None:
            ending.last_words = format_traceback(error) + "\n"
            ending.arm(self.wsgi.limits.shutdown)

        self.wsgi.lifecycle.failed = fail
        await server.start()
        self.booted = True
        await self._stop.wait()
        stopping = asyncio.create_task(server.stop(self._replaced))
        await asyncio.wait([stopping], timeout=self.cfg.graceful_timeout)
        if stopping.done():
            await stopping
        else:
            self.log.error("The app's shutdown listeners did not end in time")

    async def _beat(self) -> None:
        """Show the arbiter that the loop is not blocked, and notice when it is gone."""
        pause = min(BEAT, self.timeout or BEAT)
        while True:
            self.notify()
            if self.ppid != os.getppid():
                self.log.info("The arbiter is gone, shutting down: %s", self)
                self.alive = False
            if not self.alive:  # gunicorn's reloader may have cleared it
                self._stop.set()
            await asyncio.sleep(pause)

    def _note(self, request: Request, response: Response, seconds: float) -> None:
        """Count a request that has ended, and log it."""
        self.nr += 1
        if self.nr == self.max_requests:
            self.log.info("Autorestarting worker after %d requests", self.nr)
            self._replaced = True
            self.handle_exit()
        if self._logs_access:
            self.log.access(
                access.answer(response),
                access.question(request),
                access.environ(request, response),
                timedelta(seconds=seconds),
            )

    def _note_refused(self, status: int, remote_addr: str | None) -> None:
        """Log a message, not counted, that was refused before it became a request."""
        self.log.access(*access.refusal(status, remote_addr), timedelta())

    # Signals: gunicorn's methods, so that there is always a handler

    def handle_exit(self, *_: Any) -> None:
        """Stop when running requests have ended (SIGTERM)."""
        self.alive = False
        self._soon(self._stop.set)

    def handle_quit(self, *arguments: Any) -> None:
        """Stop at once (SIGINT, SIGQUIT), also if it comes twice."""
        if self._loop is None:  # nothing is served yet
            super().handle_quit(*arguments)
        else:
            self._soon(self._hurry)

    def handle_usr1(self, *_: Any) -> None:
        """Reopen the log files (SIGUSR1), but not in the middle of a line."""
        self._soon(self.log.reopen_files)

    def _soon(self, callback: Callable[[], None]) -> None:
        """Run *callback* in the loop, which may be waiting or running."""
        if self._loop is None or self._loop.is_closed():
            callback()
        else:
            self._loop.call_soon_threadsafe(callback)

    def _hurry(self) -> None:
        if self._hurries:
            return
        self._hurries = True
        self.cfg.worker_int(self)
        app = self.wsgi
        app.configure(limits=replace(app.limits, shutdown=QUICK))
        http = [one for one in app.connections if isinstance(one, HttpProtocol)]
        for connection in http:
            connection.abort()
        self.handle_exit()
