"""Response: what a view answers: status, headers, cookies and body."""

from collections.abc import Set
from http import HTTPStatus
from typing import Any

from .cookies import Cookies
from .descriptors import are_exhausted
from .errors import PHRASES, HttpError
from .jsontext import encode_json
from .logs import report
from .typing import App, Connection

# A dict instead of HTTPStatus(value): a quarter of the time, at each answer.
_STATUSES: dict[int, HTTPStatus] = {status.value: status for status in HTTPStatus}


class Response:
    """What a view answers.

    Args:
        app: The app that answers, None for a response made by hand.
        protocol: The connection to answer on, None for a response made by hand.
    """

    __slots__ = ("_cookies", "_status", "app", "body", "headers", "protocol")

    def __init__(self, app: App | None, protocol: Connection | None) -> None:
        self.app = app
        self.protocol = protocol
        self.headers: dict[str, Any] = {}
        """Fields in the order set; a list value is sent as repeated lines."""
        self.body: Any = b""
        """Bytes, a string, None, an async iterable of pieces, or anything: `str()`."""
        self._status = HTTPStatus.OK
        self._cookies: Cookies | None = None

    def reset(self) -> None:
        """Drop all that was set: an empty 200 is left."""
        Response.__init__(self, self.app, self.protocol)

    @property
    def status(self) -> HTTPStatus:
        """The status; set it as an `HTTPStatus` or its number.

        Raises:
            ValueError: The number is no registered status.
        """
        return self._status

    @status.setter
    def status(self, status: int | HTTPStatus) -> None:
        try:
            self._status = _STATUSES[status]
        except (KeyError, TypeError):
            raise ValueError(f"{status!r} is no HTTP status") from None

    @property
    def cookies(self) -> Cookies:
        """The cookies to set."""
        if self._cookies is None:
            self._cookies = Cookies() if self.app is None else self.app.Cookies()
        return self._cookies

    @property
    def has_cookies(self) -> bool:
        """Whether any cookie is set, without making the jar."""
        return bool(self._cookies)

    def _set_json(self, value: Any) -> None:
        self.body = encode_json(value)
        if self.headers:
            _remove(self.headers, {"content-type"})
        self.headers["Content-Type"] = "application/json; charset=utf-8"

    json = property(None, _set_json, doc="Set the body, and its type, from an object.")

    def _set_redirect(self, target: tuple[str, int | HTTPStatus]) -> None:
        if isinstance(target, str) or len(target) != 2:
            raise TypeError(f"redirect={target!r}: give a location and a status")
        location, self.status = target
        self.headers["Location"] = location

    redirect = property(
        None, _set_redirect, doc="Set `Location` and the status from such a pair."
    )


def encode_body(body: Any) -> bytes | bytearray | memoryview:
    """Turn a body that is no async iterable into bytes.

    Raises:
        UnicodeEncodeError: A string holds a lone surrogate.
    """
    if isinstance(body, (bytes, bytearray)):
        return body
    if isinstance(body, memoryview):
        return body.cast("B") if body.c_contiguous else body.tobytes()
    if body is None:
        return b""
    return str(body).encode()


async def close_body(body: object) -> None:
    """Close an async generator, or what closes like one."""
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()


# Fields that say something of a body; an error that takes its place drops them.
_CONTENT_FIELDS = frozenset(
    {
        "accept-ranges",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "last-modified",
    }
)


def _remove(headers: dict[str, Any], names: Set[str]) -> None:
    """Drop fields, given in lower case, however they are written."""
    for name in [name for name in headers if name.lower() in names]:
        del headers[name]


def as_http_error(request: Any, error: BaseException) -> HttpError:
    """Make the HttpError that answers what a view or a listener has raised.

    What is none is logged, and becomes a 500; a shortage of descriptors a 503.
    """
    if isinstance(error, HttpError):
        return error
    report(error, "%s %s", request.method, request.url)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    if are_exhausted(error):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    wrapper = HttpError(status)
    wrapper.__context__ = error
    return wrapper


def set_error(response: Response, error: HttpError) -> None:
    """Make *response* the answer to *error*: its status, and its message as text.

    Fields that a view or a listener set stay, but for those about a body.
    """
    # Subclasses may skip __init__ and set a number, or no message.
    response.status = error.status
    unfit = _CONTENT_FIELDS
    if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        unfit = unfit - {"content-range"}  # it tells the length (RFC 9110, 15.5.17)
    _remove(response.headers, unfit)
    message = error.message
    response.body = PHRASES[response.status] if message is None else message
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["X-Content-Type-Options"] = "nosniff"
