"""asgi: what an ASGI server calls, and how the app starts and ends in it."""

import asyncio
import signal
import threading
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from roll import Limits, Roll
from roll.logs import logger
from roll.plugins import require_app

from .exchange import Exchange
from .typing import ASGIApplication, Message, Receive, Scope, Send
from .websocket import WebSocketExchange

KEY = "roll_asgi"
"""The key under which an app keeps its ASGI application."""

# Limits that apply here; the others are for connections, and the server has its own.
OWN_LIMITS = {
    *("body", "boundary", "buffer", "form", "part_field", "part_fields", "parts"),
    *("query", "shutdown", "spool", "upload"),
}


def asgi(app: Roll, *, signals: bool = False) -> ASGIApplication:
    """Make an ASGI application of an app, for a server such as uvicorn or hypercorn.

    ```python
    application = asgi(app)
    ```

    Args:
        app: It starts and ends with the server; without the lifespan protocol, it
            starts with the first request.
        signals: Whether SIGTERM and SIGINT stop the app at once, before the server's
            own handler runs. Most servers first wait until open streams end.

    Returns:
        The application, the same each time.
    """
    require_app("asgi", app)
    if KEY not in app:
        app[KEY] = Application(app)
    application: Application = app[KEY]
    application.signals = application.signals or signals
    return application


class Application:
    """The ASGI application (ASGI 3.0) of an app.

    Args:
        app: The app.
    """

    def __init__(self, app: Roll) -> None:
        self.app = app
        self.signals = False
        """Whether signals stop the app."""
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the server.

        Raises:
            ValueError: Its type is unknown.
        """
        kind = scope["type"]
        if kind == "lifespan":
            return await self._live(receive, send)
        if kind not in ("http", "websocket"):
            raise ValueError(f"a scope of type {kind!r} is not supported")
        if not self._started:  # the server has no lifespan
            await self._start()
        make = Exchange if kind == "http" else WebSocketExchange
        await make(self.app, scope, receive, send).run()

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start and end with the server (lifespan 2.0)."""
        await receive()
        try:
            await self._start()
        except Exception as error:
            return await send(_failed("startup", error))
        restore = self._watch_signals()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._started = False
        try:
            await self.app.shutdown()
        except Exception as error:
            await send(_failed("shutdown", error))
        else:
            await send({"type": "lifespan.shutdown.complete"})
        finally:
            restore()

    async def _start(self) -> None:
        await self.app.startup()
        if self._started:  # by another request
            return
        self._started = True
        limits = self.app.limits
        unused = [
            f"{field.name}={getattr(limits, field.name)!r}"
            for field in fields(Limits)
            if field.name not in OWN_LIMITS
            and getattr(limits, field.name) != field.default
        ]
        if unused:
            logger.warning(
                "The ASGI server has limits of its own, so these have no effect: %s",
                ", ".join(unused),
            )

    def _watch_signals(self) -> Callable[[], None]:
        """Stop the app on a signal, before the server handles it.

        Returns:
            A function that restores the handlers.
        """
        main = threading.current_thread() is threading.main_thread()
        loop = asyncio.get_running_loop()
        chained: dict[int, tuple[Any, Any]] = {}

        def chain(number: int, before: Callable[..., Any]) -> None:
            def handle(number: int, frame: Any) -> None:
                loop.call_soon_threadsafe(self.app.stop)
                before(number, frame)

            chained[number] = handle, before
            signal.signal(number, handle)

        def restore() -> None:
            for number, (handle, before) in chained.items():
                if signal.getsignal(number) is handle:
                    signal.signal(number, before)

        for number in (signal.SIGTERM, signal.SIGINT) if self.signals and main else ():
            before = signal.getsignal(number)
            if callable(before) and before is not signal.default_int_handler:
                chain(number, before)
        return restore


def _failed(event: str, error: Exception) -> Message:
    logger.error("The %s has failed", event, exc_info=error)
    message = f"{type(error).__name__}: {error}"
    return {"type": f"lifespan.{event}.failed", "message": message}
