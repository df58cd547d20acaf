"""Gauges: what is open at the moment, and how late the event loop is."""

import asyncio
from collections import Counter
from typing import NamedTuple

from roll import HttpProtocol, Roll

PERIOD = 0.5
"""Seconds between two looks at the event loop."""


class Open(NamedTuple):
    """What an app has open, by scheme."""

    connections: Counter[str]
    requests: Counter[str]
    web_sockets: Counter[str]


SCHEMES = ("http", "https")

PROMETHEUS = "prometheus"
OPENTELEMETRY = "opentelemetry"
"""The readers of the lag of the event loop."""


def count_open(app: Roll) -> Open:
    """Count connections, and what is served on them.

    They are counted, not kept: no gauge stays up after a client that vanished.
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
    """How late the event loop comes to what is due.

    Each reader gets the worst that there was since it asked last.
    """

    def __init__(self) -> None:
        self._worst = {PROMETHEUS: 0.0, OPENTELEMETRY: 0.0}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look again and again."""
        self._wait(asyncio.get_running_loop())

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self, reader: str) -> float:
        """Give the worst since the last time, in seconds."""
        worst, self._worst[reader] = self._worst[reader], 0.0
        return worst

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + PERIOD
        self._timer = loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        late = max(0.0, loop.time() - due)
        for reader, worst in self._worst.items():
            self._worst[reader] = max(worst, late)
        self._wait(loop)
