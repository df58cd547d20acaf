"""Gauges: what is open at the moment, and how late the event loop is."""

import asyncio
from collections import Counter
from typing import NamedTuple

from roll import HttpProtocol, Roll

PERIOD = 0.5
"""Seconds between two checks of the event loop."""

WINDOW = 60
"""Seconds after which the worst lag is measured again."""


class Open(NamedTuple):
    """What an app has open, by scheme."""

    connections: Counter[str]
    requests: Counter[str]
    web_sockets: Counter[str]


SCHEMES = ("http", "https")


def count_open(app: Roll) -> Open:
    """Count connections, requests and WebSockets.

    They are counted when asked for: no gauge keeps counting a client that has vanished.
    """
    while app.parent is not None:  # the outermost app has the connections
        app = app.parent
    found = Open(Counter(), Counter(), Counter())
    for connection in tuple(app.connections):
        request = getattr(connection, "request", None)
        secure = getattr(connection, "secure", False)
        scheme = (
            "https" if secure or (request and request.scheme == "https") else "http"
        )
        found.connections[scheme] += 1
        if not isinstance(connection, HttpProtocol):
            found.web_sockets[scheme] += 1
        elif (
            request is not None and request.endpoint.extras.get("metrics") is not False
        ):
            found.requests[scheme] += 1
    return found


class LoopLag:
    """How late the event loop runs what is due.

    Reading changes nothing: after the loop was blocked, scrapes that Prometheus has
    given up are served first.
    """

    def __init__(self) -> None:
        self._worst = self._before = 0.0
        """The worst lag of this window, and of the previous one."""
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start checking."""
        self._wait(asyncio.get_running_loop())

    def stop(self) -> None:
        """Stop checking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def read(self) -> float:
        """Give the worst lag of the last one or two windows, in seconds."""
        return max(self._before, self._worst)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + PERIOD
        self._timer = loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        if now - self._began >= WINDOW:
            self._before, self._worst, self._began = self._worst, 0.0, now
        self._worst = max(self._worst, now - due)
        self._wait(loop)
