"""mount_wsgi: a WSGI application under a prefix, in threads."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from roll import HttpError, Roll
from roll.plugins import require_app

from .mounting import mount_asgi
from .relay import GONE, OVER
from .typing import Message, Receive, Scope, Send, WSGIApplication

LEFT = "roll.left"
"""The scope's key for the event that is set once the client has left."""


def mount_wsgi(
    app: Roll,
    prefix: str = "",
    application: WSGIApplication | None = None,
    *,
    threads: int = 10,
    timeout: float = 30.0,
    **extras: Any,
) -> None:
    """Let a WSGI application, such as Django's, respond below a prefix.

    It runs in threads. The listeners of *app* run around it, and more specific routes
    of *app* take precedence.

    Args:
        app: The app.
        prefix: Static segments without a slash at the end, such as `"/admin"`.
        application: `def application(environ, start_response)` (PEP 3333).
        threads: How many requests may run at once.
        timeout: Seconds that the others may wait; then the response is a 503.
        extras: The extras of its route.

    Raises:
        ImportError: a2wsgi is not installed.
        TypeError: An argument has another type.
        ValueError: The prefix is not such a path, or is taken; or there are no threads.
    """
    require_app("mount_wsgi", app)
    if not callable(application):
        raise TypeError(f"application={application!r}: give a WSGI application")
    if threads < 1:
        raise ValueError(f"threads={threads!r}: give at least 1")
    adapter = Adapter(application, threads, timeout)
    mount_asgi(app, prefix, adapter, lifespan=True, timeout=timeout, **extras)


class Adapter:
    """A WSGI application as an ASGI application.

    Args:
        application: The application.
        threads: How many requests may run at once.
        timeout: Seconds that the others may wait.
    """

    asks_for_over = True
    """Whether it needs `OVER` in its scope."""

    def __init__(
        self, application: WSGIApplication, threads: int, timeout: float
    ) -> None:
        try:
            from a2wsgi import WSGIMiddleware
        except ImportError as error:
            raise ImportError(
                "mount_wsgi needs a2wsgi. Run: pip install 'roll-asgi[wsgi]'"
            ) from error
        self._make: Any = WSGIMiddleware
        self._application = application
        self._threads = threads
        self._timeout = timeout
        self._free = asyncio.Semaphore(threads)
        self._middleware: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, once a thread is free.

        Raises:
            HttpError: 503, when no thread is free in time; 501 for a WebSocket.
        """
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if scope["type"] == "websocket":
            raise HttpError(HTTPStatus.NOT_IMPLEMENTED)
        if self._middleware is None:
            self._middleware = self._make(self._run, workers=self._threads)
            self._free = asyncio.Semaphore(self._threads)  # in this loop
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
        except TimeoutError:
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE) from None
        try:
            if not scope[OVER].is_set():  # otherwise it would take a thread from others
                await self._serve(scope, receive, send)
        finally:
            self._free.release()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = scope[LEFT] = threading.Event()
        # In the environment, names with `_` and with `-` look the same.
        scope["headers"] = [each for each in scope["headers"] if b"_" not in each[0]]

        async def receive_on() -> Message:
            """Receive: a body that breaks off must not pass for a whole one."""
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError(GONE)
            return message

        async def send_on(message: Message) -> None:
            """Send while the client is there: the thread must never hang."""
            try:
                await send(message)
            except OSError:
                left.set()

        await self._middleware(scope, receive_on, send_on)

    async def _live(self, receive: Receive, send: Send) -> None:
        """End the threads with the app; they start with the first request."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._middleware is not None:
            self._middleware.executor.shutdown(wait=False, cancel_futures=True)
            self._middleware = None
        await send({"type": "lifespan.shutdown.complete"})

    def _run(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Run the application in a thread."""
        if "CONTENT_LENGTH" not in environ:
            # The input ends with the body. With a length, Werkzeug reads that many
            # bytes, and turns an OSError into a 400.
            environ["wsgi.input_terminated"] = True
        left = environ["asgi.scope"][LEFT]
        return Pieces(self._application(environ, start_response), left)


class Pieces:
    """The pieces of a WSGI application's response, until the client leaves.

    Args:
        pieces: From the application.
        left: Set once the client has left.
    """

    def __init__(self, pieces: Iterable[bytes], left: threading.Event) -> None:
        self._pieces = pieces
        self._left = left

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self._left.is_set():
                return
            yield piece

    def close(self) -> None:
        """Close the application's response, as PEP 3333 requires."""
        getattr(self._pieces, "close", lambda: None)()
