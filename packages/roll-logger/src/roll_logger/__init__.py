"""logger: a line for each and every request."""

import inspect
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

from roll import HttpError, Request, Response, Roll, hookimpl
from roll.plugins import require_app, require_boolean
from roll.typing import Extension

from .lines import FORMATS, Exchange, Format
from .output import LOGGER, Output, RequestIdFilter, current_request_id

__all__ = ["RequestIdFilter", "current_request_id", "logger"]

KEY = "roll_logger"
"""The key that an app has once it has a logger."""

LEFT = 499
"""The status of a request that never got a response, as in nginx."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.1

# UUIDs, base64 and other ids of proxies: no character with a meaning in a log.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")


def logger(
    app: Roll,
    level: int | str = logging.DEBUG,
    handler: Callable[[], logging.Handler] | logging.Handler | None = (
        logging.StreamHandler
    ),
    format: str = "short",
    request_id: str | None = None,
) -> None:
    """Log each request of *app*, as INFO of the logger `roll`.

    From startup to shutdown, *handler* prints what this logger gets: these lines, and
    Roll's own, which have the tracebacks of errors when the level is DEBUG. Control
    characters, non-ASCII characters, and quotes inside of quotes are escaped: a request
    is one line. So is a message that the protocol refuses before it becomes a request.
    Routes with `logger=False` are left out.

    `"short"` is `GET /path?query`, and logged when the head is read. The others include
    the response, and are logged when it is sent: `"common"` and `"combined"` as in
    other web servers, with the duration in seconds at the end, and `"json"`, an object
    that also has the pattern of the route and the id of the request.

    Args:
        app: The application.
        level: The level of the logger `roll`: a number, or a name such as `"INFO"`. The
            previous one is restored at shutdown.
        handler: A class of `logging`, or any function that makes a handler; a handler,
            which is left open; or None, to send the lines wherever logging is
            configured to send them.
        format: `"short"`, `"common"`, `"combined"` or `"json"`.
        request_id: A field, such as `"X-Request-ID"`, for the id of a request. It is
            taken from the client, or made if the client sends no valid one, and sent
            back. `current_request_id` has it, and `RequestIdFilter` adds it to records.

    Raises:
        TypeError: An option has another type, or *handler* needs arguments.
        ValueError: *level* or *format* is unknown, *request_id* is not a field name,
            or the app has a logger already.
    """
    require_app("logger", app)
    log = RequestLog(
        Output(_check_handler(handler), _check_level(level)),
        _check_format(format),
        _check_field(request_id),
        early=format == "short",
    )
    if KEY in app:
        raise ValueError(
            "this app has a logger already: call `logger` once, and leave out "
            "--access-log and --log-format of `roll run`"
        )
    app[KEY] = True
    app.extras("logger", check=require_boolean)
    app.listen("startup")(log.open)
    app.listen("shutdown")(log.close)
    app.listen("headers", before="*")(log.follow_requests)  # some respond, or refuse
    app.listen("error")(log.follow_what_others_refuse)
    app.listen("response")(log.follow_what_others_answer)
    app.listen("finish", before="*")(log.log_finished_requests)
    app.listen("refused")(log.log_refused_messages)


class RequestLog:
    """Follows the requests of an app, and logs each once.

    Args:
        output: Where the lines go.
        write: Writes a line.
        field: The field of the request's id, if it has one.
        early: Whether a line is logged when the head is read, not when the response is
            sent.
    """

    def __init__(
        self, output: Output, write: Format, field: str | None, early: bool
    ) -> None:
        self._output = output
        self._write = write
        self._field = field
        self._early = early
        # A key of its own, as a mounted app's requests also have the entries of its
        # parent.
        self._key = f"{KEY}.{id(self)}"

    async def open(self) -> None:
        """Open the output."""
        self._output.open()

    async def close(self) -> None:
        """Close the output."""
        self._output.close()

    async def follow_requests(self, request: Request, response: Response) -> None:
        """Follow a request from when its head is read."""
        self._begin(request, response)

    async def follow_what_others_refuse(
        self, request: Request, response: Response, error: HttpError
    ) -> None:
        """Follow a request that a listener before ours has refused."""
        self._begin(request, response)

    async def follow_what_others_answer(
        self, request: Request, response: Response
    ) -> None:
        """Follow a request that a listener before ours has responded to."""
        exchange = self._begin(request, response)
        # A request that was made by hand has no connection, and does not finish.
        if not self._early and request.protocol is None:
            # Its body is counted although nobody sends it.
            self._tell(exchange, request, response, response.size, complete=True)

    def log_finished_requests(self, request: Request, response: Response) -> None:
        """Log a request that has ended."""
        exchange = self._begin(request, response)
        if not self._early:
            complete = response.complete
            self._tell(exchange, request, response, response.sent, complete)

    def log_refused_messages(self, status: HTTPStatus, remote_addr: str | None) -> None:
        """Log a message that was refused before it became a request."""
        self._output.open()
        refused = Exchange(None, remote_addr=remote_addr, status=status.value)
        _log(self._write(refused, None))

    def _begin(self, request: Request, response: Response) -> Exchange:
        """Start following a request, at its first event here."""
        if self._key in request:
            return cast(Exchange, request[self._key])
        self._output.open()  # the app runs already when the extension is called late
        exchange = request[self._key] = Exchange(request.method)
        if self._field is not None:
            exchange.request_id = _choose_id(request.headers.list(self._field))
            response.headers[self._field] = exchange.request_id
            current_request_id.set(exchange.request_id)
        if self._early and _is_wanted(request):
            _log(self._write(exchange, request))
        return exchange

    def _tell(
        self,
        exchange: Exchange,
        request: Request,
        response: Response,
        size: int | None,
        complete: bool,
    ) -> None:
        if not _is_wanted(request):
            return
        exchange.duration = time.perf_counter() - exchange.clock
        answered = complete or response.written
        exchange.status = int(response.status) if answered else LEFT
        exchange.size = size
        exchange.complete = complete
        exchange.route = request.endpoint.path
        exchange.remote_addr = request.remote_addr
        _log(self._write(exchange, request))


def _is_wanted(request: Request) -> bool:
    return request.endpoint.extras.get("logger") is not False


def _log(line: str) -> None:
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info(line)  # without arguments, `%` is literal


# The options


def _check_level(level: int | str) -> int:
    if isinstance(level, bool) or not isinstance(level, (int, str)):
        raise TypeError(f"level={level!r}: give a level, such as logging.INFO")
    names = logging.getLevelNamesMapping()
    found = names.get(level, 0) if isinstance(level, str) else level
    if found <= 0:
        raise ValueError(
            f"level={level!r}: give a number above 0, or one of {', '.join(names)}"
        )
    return found


def _check_handler(handler: Any) -> Any:
    if handler is None or isinstance(handler, logging.Handler):
        return handler
    other_class = isinstance(handler, type) and not issubclass(handler, logging.Handler)
    if other_class or not callable(handler):
        raise TypeError(
            f"handler={handler!r}: give a class of handlers, such as "
            "logging.StreamHandler, a handler, or None"
        )
    try:
        inspect.signature(handler).bind()
    except ValueError:  # it has no signature
        pass
    except TypeError as error:
        raise TypeError(
            f"handler={handler!r} needs arguments ({error}): give a handler that is "
            "made with them"
        ) from None
    return handler


def _check_format(format: str) -> Format:
    if not isinstance(format, str):
        raise TypeError(f"format={format!r}: give one of {', '.join(FORMATS)}")
    if format not in FORMATS:
        raise ValueError(f"format={format!r}: give one of {', '.join(FORMATS)}")
    return FORMATS[format]


def _check_field(name: str | None) -> str | None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"request_id={name!r}: name a field, such as 'X-Request-ID'")
    if name is not None and not _NAME.fullmatch(name):
        raise ValueError(
            f"request_id={name!r} is not a name of a field: give one such as "
            "'X-Request-ID'"
        )
    if name is not None and name.lower() in _TAKEN:
        raise ValueError(
            f"request_id={name!r} means something else in HTTP: give a field such as "
            "'X-Request-ID'"
        )
    return name


# Fields that decide where a message ends, or what a client stores.
_TAKEN = frozenset(
    {
        *("connection", "content-length", "content-type", "cookie", "date", "host"),
        *("location", "set-cookie", "trailer", "transfer-encoding", "upgrade"),
    }
)


# The id of a request


def _choose_id(sent: list[str]) -> str:
    """Take the only valid id that a client has sent, or make one."""
    if len(sent) == 1 and _REQUEST_ID.fullmatch(sent[0]):
        return sent[0]
    return secrets.token_hex(16)


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import logger`."""
    return {"logger": logger}
