"""Measuring: the listeners that measure how long each request and WebSocket takes."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any, Protocol

from roll import HTTP_METHODS, HttpError, Request, Response, Roll

from .errors import find_cause, listen_in_mounted_apps
from .series import OTHER, Bound, Histogram

METHODS = frozenset(HTTP_METHODS)
"""The methods with a label of their own: those of RFC 9110, and PATCH."""

LEFT = 499
"""The status of a request that never got a response, as in nginx and roll-logger."""

ERRORS = 50
"""The most types of errors, and close codes of WebSockets, with a label of their
own."""

STARTED = "roll_metrics.started"
"""The key under which a request keeps when its head was read, by `perf_counter`."""

ERROR = "roll_metrics.error"
"""The key under which a request keeps the name of its error's type."""

OPENED = "roll_metrics.opened"
"""The key under which a request keeps when its WebSocket was opened."""


class Names:
    """Names that clients or libraries choose, up to a limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def bound(self, name: str) -> str:
        """Return the name, or `_OTHER` for a new one past the limit."""
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


class WebSocket(Protocol):
    """What is needed of the WebSocket that listeners get."""

    @property
    def close_code(self) -> int | None:
        """The code of its Close."""


class Measuring:
    """Measures the requests of an app.

    Args:
        app: The app.
        bounds: The upper bounds of the buckets, in seconds.
        bound: How many sets of labels there may be.
    """

    def __init__(self, app: Roll, bounds: Sequence[float], bound: Bound) -> None:
        self._app = app
        self._prefix = ""  # that of a mounted app
        self._errors = Names(ERRORS)
        self._codes = Names(ERRORS)
        self.requests = Histogram(
            "http_server_request_duration_seconds",
            "Seconds from the head of a request to the last byte of its response.",
            [
                *("http.request.method", "http.route", "http.response.status_code"),
                *("url.scheme", "network.protocol.version", "error.type"),
            ],
            bounds,
            bound,
        )
        self.first_bytes = Histogram(
            "http_server_time_to_first_byte_seconds",
            "Seconds from the head of a request to the begin of its stream.",
            ["http.request.method", "http.route"],
            bounds,
            bound,
        )
        self.websockets = Histogram(
            "websocket_server_duration_seconds",
            "Seconds for which a WebSocket was open.",
            ["http.route", "websocket.close.code"],
            bounds,
            bound,
        )
        self.refused: Counter[int] = Counter()
        """How many messages were refused before they became requests, by status."""

    @property
    def histograms(self) -> tuple[Histogram, ...]:
        """All of them."""
        return self.requests, self.first_bytes, self.websockets

    def listen(self) -> None:
        """Measure from now on."""
        app = self._app
        app.listen("startup", before="*")(self.prepare)
        app.listen("headers", before="*")(self.start_the_clock)
        app.listen("error", before="*")(self.note_errors)
        app.listen("response", after="*")(self.measure_first_bytes)
        app.listen("finish", before="*")(self.measure_requests)
        app.listen("refused")(self.count_refused_messages)
        app.listen("websocket_connect", before="*")(self.start_the_clock_of_websockets)
        app.listen("websocket_disconnect", after="*")(self.measure_websockets)

    def prepare(self) -> None:
        """Find out where the app is mounted, and what is mounted in it."""
        self._prefix = "".join(app.prefix for app in _path_to(self._app))
        listen_in_mounted_apps(self._app, self.note_errors)

    def start_the_clock(self, request: Request, response: Response) -> None:
        """Note when the head of a request was read."""
        request[STARTED] = perf_counter()

    def note_errors(
        self, request: Request, response: Response, error: HttpError
    ) -> None:
        """Note what went wrong, in this app's own request."""
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            kind = type(find_cause(error))
            while request.app is not self._app and request.parent is not None:
                request = request.parent
            request[ERROR] = kind.__qualname__

    def measure_first_bytes(self, request: Request, response: Response) -> None:
        """Measure how long a stream took to begin."""
        body = response.body
        if type(body) is bytes:  # as most are; to look for a method takes longer
            return
        if hasattr(body, "__aiter__") and _is_measured(request):
            now = perf_counter()
            key = (_method(request), self._route(request))
            self.first_bytes.observe(key, now - request.get(STARTED, now))

    def measure_requests(self, request: Request, response: Response) -> None:
        """Measure a request that has ended."""
        endpoint = request.endpoint
        if endpoint.extras and endpoint.extras.get("metrics") is False:
            return
        now = perf_counter()
        status, error = int(response.status), None
        if not response.complete:
            status, error = self._explain(request, response)
        elif status >= 500 or status == 408:
            error = self._name_error(request, status)
        method = request.sent_method
        key = (
            method if method in METHODS else OTHER,
            self._route(request) if self._prefix else endpoint.path,
            status,
            request.scheme,
            request.version,
            error,
        )
        self.requests.observe(key, now - request.get(STARTED, now))

    def count_refused_messages(
        self, status: HTTPStatus, remote_addr: str | None
    ) -> None:
        """Count a message that was refused before it became a request."""
        self.refused[status.value] += 1

    def start_the_clock_of_websockets(self, request: Request, ws: WebSocket) -> None:
        """Note when a WebSocket was opened."""
        request[OPENED] = perf_counter()

    def measure_websockets(self, request: Request, ws: WebSocket) -> None:
        """Measure a WebSocket that has ended."""
        if _is_measured(request):
            now = perf_counter()
            # The client chooses it.
            code = self._codes.bound(str(ws.close_code or 1006))
            key = (self._route(request), code)
            self.websockets.observe(key, now - request.get(OPENED, now))

    # The labels

    def _route(self, request: Request) -> str | None:
        path = request.endpoint.path
        return None if path is None else self._prefix + path

    def _name_error(self, request: Request, status: int) -> str:
        """Name the error of an error response."""
        if status == HTTPStatus.REQUEST_TIMEOUT:
            return "timeout"
        return self._errors.bound(request.get(ERROR) or str(status))

    def _explain(self, request: Request, response: Response) -> tuple[int, str]:
        """Give the status of an incomplete response, and why it is incomplete."""
        status = int(response.status) if response.written else LEFT
        error = sys.exception()
        if error is not None and not isinstance(error, asyncio.CancelledError):
            return status, self._errors.bound(type(error).__qualname__)
        return status, "timeout" if _was_late(request) else "client_disconnected"


def _path_to(app: Roll) -> Iterator[Roll]:
    """Give an app and those that it is mounted in, except the root, outermost first."""
    if app.parent is not None:
        yield from _path_to(app.parent)
        yield app


def _is_measured(request: Request) -> bool:
    return request.endpoint.extras.get("metrics") is not False


def _method(request: Request) -> str:
    method = request.sent_method
    return method if method in METHODS else OTHER


def _was_late(request: Request) -> bool:
    """Whether the connection was closed because the client had stopped reading."""
    state, _, since = getattr(request.protocol, "seen", (None, None, 0.0))
    if state is None or state.name != "WRITING":
        return False
    passed: Any = asyncio.get_running_loop().time() - since
    return bool(passed >= request.app.limits.write_timeout)
