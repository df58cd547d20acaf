"""Response: its status, headers, cookies and body."""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NoReturn, cast

from .cookies import Cookies
from .datastructures import Headers
from .descriptors import are_exhausted
from .errors import PHRASES, HttpError
from .jsontext import encode_json
from .logs import report
from .typing import App, Connection

# A dict takes a quarter of the time of HTTPStatus(value), for each response.
_STATUSES: dict[int, HTTPStatus] = {status.value: status for status in HTTPStatus}


INTERIM = frozenset(status for status in HTTPStatus if status < 200)
"""Statuses that announce a response (RFC 9110, section 15.2)."""

BODILESS = INTERIM | {204, 205, 304}
"""Statuses whose responses never have a body (RFC 9110, sections 6.4.1 and 15.3.6)."""

LENGTHLESS = BODILESS - {304}
"""Statuses for which a Content-Length that is set is not sent (RFC 9110, section
8.6)."""

_NO_TEXT: Any = object.__str__
"""The `__str__` of objects that do not define one: it only gives their `repr`."""

JSON_TYPE = "application/json; charset=utf-8"
"""The Content-Type when `json` is set."""


_DECIDED = frozenset(
    {"connection", "date", "server", "set-cookie", "transfer-encoding"}
)
"""Fields that a preset may not have: Roll determines them for each response."""


class Preset:
    """Fields of many responses, which are checked and written only once.

    Args:
        fields: Names and values, with a `Content-Type`; without fields that Roll
            determines for each response, such as `Connection`, `Date` and cookies.

    Raises:
        ValueError: `Content-Type` is missing, or a field is not allowed.
    """

    __slots__ = ("fields", "length", "lines")

    def __init__(self, fields: Mapping[str, str]) -> None:
        known = {name.lower(): value for name, value in fields.items()}
        if "content-type" not in known or not _DECIDED.isdisjoint(known):
            raise ValueError(
                f"Preset({sorted(fields)}): give a Content-Type, and set "
                f"{', '.join(sorted(_DECIDED))} in each response"
            )
        self.fields = {**fields}  # a copy, since later changes would have no effect
        length = known.get("content-length")
        self.length = None if length is None else read_length(length)
        """The length of the body in bytes, or None."""
        self.lines: bytes | None = None
        """The other fields as bytes, once they were written."""


def _only_set(name: str) -> Callable[["Response"], NoReturn]:
    def read(self: "Response") -> NoReturn:
        raise AttributeError(f"response.{name} can only be set: response.{name} = ...")

    return read


class Response:
    """The response to a request, which the view fills in.

    Args:
        app: The app that responds, None for a response made by hand.
        protocol: The connection to respond on, None for a response made by hand.
    """

    __slots__ = (
        "_cookies",
        "_headers",
        "_preset",
        "_status",
        "app",
        "body",
        "complete",
        "failed",
        "finished",
        "protocol",
        "written",
    )

    def __init__(self, app: App | None, protocol: Connection | None) -> None:
        self.app = app
        self.protocol = protocol
        self.body: Any = b""
        """Bytes, a string, None, or an async iterable of pieces; see `encode_body`."""
        self._status = HTTPStatus.OK
        # These are made when read. Most responses have no field, or only the type of
        # JSON.
        self._headers: Headers | None = None
        self._preset: Preset | None = None
        self._cookies: Cookies | None = None
        self.failed = False
        """Whether it reports an error. The error itself is not kept: it refers to its
        frames, and they refer to this response."""
        self.complete = False
        """Whether it was passed to the transport completely while the client was
        connected."""
        self.finished = False
        """Whether the `finish` listeners have run."""
        self.written: int | bytes = 0
        """What the connection wrote: the number of bytes of the body, or a whole
        message, in which `sent` counts the body."""

    @property
    def status(self) -> HTTPStatus:
        """The status; set it to an `HTTPStatus` or its number.

        Raises:
            ValueError: The number is not a registered status.
        """
        return self._status

    @status.setter
    def status(self, status: int | HTTPStatus) -> None:
        try:
            self._status = _STATUSES[status]
        except (KeyError, TypeError):
            raise ValueError(f"{status!r} is not an HTTP status") from None

    def relay_status(self, status: int) -> None:
        """Set the status of another server or application, registered or not.

        An unregistered one stays a number.

        Raises:
            ValueError: *status* is not from 200 to 599.
        """
        if not 200 <= status <= 599:
            raise ValueError(f"{status!r} is not a status from 200 to 599")
        self._status = cast(HTTPStatus, _STATUSES.get(status) or status)

    @property
    def headers(self) -> Headers:
        """The fields, in the order set; a list is sent as repeated lines.

        Look-ups ignore the case of names; names are sent as first written.
        """
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers.__new__(Headers)
            if self._preset is not None:
                headers.update(self._preset.fields)
        return headers

    @headers.setter
    def headers(self, fields: Mapping[str, Any]) -> None:
        self._headers = fields if isinstance(fields, Headers) else Headers(fields)

    def use(self, preset: Preset) -> None:
        """Set the fields of a preset; this is fastest before any other field is set."""
        if self._headers is None and self._preset is None:
            self._preset = preset
        else:
            self.headers.update(preset.fields)

    def vary(self, *names: str) -> None:
        """Add to `Vary`: the fields of a request that the response depends on.

        Names that are already there, in a string or a list, stay, and no name is
        repeated. `*` means all fields (RFC 9110, section 12.5.5).

        Args:
            names: Names such as `"Accept-Encoding"`, in upper or lower case; or `"*"`.
        """
        headers = self.headers
        if headers.get("Vary") is not None:
            names = (*map(str, headers.list("Vary")), *names)
        if value := _join_members(names):
            headers["Vary"] = value

    @property
    def size(self) -> int | None:
        """The number of bytes of the body, as in `Content-Length`.

        It is None if unknown: for a stream without a `Content-Length`, and for a body
        that cannot be sent. A string is encoded at each call.
        """
        declared = self._headers.get("Content-Length") if self._headers else None
        try:
            if declared is not None and self._status not in LENGTHLESS:
                return read_length(declared)
            if self._status in BODILESS:
                return 0
            if hasattr(self.body, "__aiter__"):
                return None
            return len(encode_body(self.body))
        except (TypeError, ValueError):  # it cannot be sent
            return None

    @property
    def sent(self) -> int:
        """The number of bytes of the body that have been written to the connection.

        It is 0 before the response is sent, and if it has no body, as for HEAD.
        """
        if isinstance(self.written, bytes):
            head = self.written.index(b"\r\n\r\n") + 4
            self.written = len(self.written) - head
        return self.written

    @property
    def cookies(self) -> Cookies:
        """The cookies to set."""
        if self._cookies is None:
            self._cookies = Cookies() if self.app is None else self.app.Cookies()
        return self._cookies

    def hand_to(self, request: Any) -> "Response":
        """Make this the response to *request*, which was passed to another app.

        What is already set stays. The connection then sends this response.

        Returns:
            The response itself, or one of the app's class.
        """
        app, response = request.app, self
        if type(self) is not app.Response:
            response = app.Response(app, self.protocol)
            response._status, response.body = self._status, self.body
            response.headers.update(self.headers)
            response.cookies.update(self.cookies)
            self.finished = True  # they run for the other one
        response.app = app
        if self.protocol is not None:
            self.protocol.request, self.protocol.response = request, response
        return response

    @property
    def has_cookies(self) -> bool:
        """Whether any cookie is set, without making the dict of cookies."""
        return bool(self._cookies)

    def _set_json(self, value: Any) -> None:
        app = self.app
        self.body = encode_json(value) if app is None else app.json_encode(value)
        if self._headers is None and self._preset is None:
            self._preset = _JSON
        else:
            self.headers["Content-Type"] = JSON_TYPE

    json = property(
        _only_set("json"), _set_json, doc="Set the body, and its type, from an object."
    )

    def _set_html(self, text: str) -> None:
        self.body = text
        self.headers["Content-Type"] = "text/html; charset=utf-8"

    html = property(
        _only_set("html"), _set_html, doc="Set the body, and its type, to a page."
    )

    def _set_text(self, text: str) -> None:
        self.body = text
        self.headers["Content-Type"] = "text/plain; charset=utf-8"

    text = property(
        _only_set("text"), _set_text, doc="Set the body, and its type, to plain text."
    )

    def _get_redirect(self) -> tuple[str | None, HTTPStatus]:
        return self.headers.get("Location"), self.status

    def _set_redirect(self, target: tuple[str, int | HTTPStatus]) -> None:
        if isinstance(target, str) or len(target) != 2:
            raise TypeError("redirect: give a pair of a location and a status")
        location, self.status = target
        if self.status // 100 != 3:
            raise ValueError(
                f"redirect: {self.status} is not a redirect: give 302, or another 3xx"
            )
        self.headers["Location"] = location

    redirect = property(
        _get_redirect,
        _set_redirect,
        doc="`Location` and the status; what a URI may not have is percent-encoded.",
    )


@lru_cache(maxsize=256)  # an application has few: this takes a fifth of the time
def _join_members(lines: tuple[str, ...]) -> str:
    """Write the members of a `Vary`, each name once; `*` replaces all of them."""
    members: dict[str, str] = {}
    for line in lines:
        for member in line.split(","):
            name = member.strip(" \t")
            if name:
                members.setdefault(name.lower(), name)
    return "*" if "*" in members else ", ".join(members.values())


def encode_body(body: Any, piece: bool = False) -> bytes | bytearray | memoryview:
    """Turn a body that is not an async iterable, or a *piece* of one, into bytes.

    A number, and any object that defines `__str__`, is sent as its text.

    Raises:
        TypeError: *body* is something else, such as a dict, an open file or a path.
        UnicodeEncodeError: A string contains a lone surrogate.
    """
    if isinstance(body, (bytes, bytearray)):
        return body
    if isinstance(body, memoryview):
        return body.cast("B") if body.c_contiguous else body.tobytes()
    if body is None:
        return b""
    if not has_text(body) or hasattr(body, "__fspath__"):
        raise _unsendable(body, piece)
    return str(body).encode()


def has_text(value: object) -> bool:
    """Whether the `str` of a value is its text, not its `repr`."""
    return type(value).__str__ is not _NO_TEXT or isinstance(value, (int, float))


def _unsendable(body: Any, piece: bool) -> TypeError:
    """Make the error that explains what to write instead of *body*."""
    if inspect.isawaitable(body):
        advice = "await it"
        if inspect.iscoroutine(body):
            body.close()  # otherwise Python warns that it was not awaited
    elif callable(body):
        advice = "call it"
    elif hasattr(body, "read") or hasattr(body, "__fspath__"):
        advice = "send it by roll.extensions.send_file, or by an async generator"
    elif hasattr(body, "__next__"):
        advice = "write an async generator, with async def and yield"
    elif piece:
        advice = "give text or bytes, such as json.dumps(...)"
    else:
        advice = "set response.json, or give text or bytes"
    what = "a piece of a body" if piece else "a body"
    return TypeError(f"{what} cannot be of type {type(body).__name__}: {advice}")


def read_length(value: object) -> int:
    """Read the value of Content-Length.

    Raises:
        ValueError: *value* is not a number of bytes.
    """
    digits = str(value)
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("Content-Length is not a number of bytes, in ASCII digits")
    return int(digits)


_JSON = Preset({"Content-Type": JSON_TYPE})


async def close_body(body: object) -> None:
    """Close an async generator, or an object that closes like one."""
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()


# Fields about a body; an error that replaces it drops them.
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
        "x-content-type-options",
    }
)


def as_http_error(request: Any, error: BaseException) -> HttpError:
    """Make the HttpError to respond with when a view or a listener raises *error*.

    Any exception but an HttpError is logged and becomes a 500, or a 503 if file
    descriptors run out. So does an HttpError that is also a RuntimeError: it is a
    mistake of the application.
    """
    if isinstance(error, HttpError) and not isinstance(error, RuntimeError):
        return error
    report(error, "%s %s", request.method, request.url)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    if are_exhausted(error):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    wrapper = HttpError(status)
    wrapper.__context__ = error
    return wrapper


def set_error(response: Response, error: HttpError) -> None:
    """Turn *response* into that of *error*: its status, and its message as text.

    Fields that a view or a listener has set stay, except those about a body.
    """
    response.failed = True
    # Subclasses may skip __init__, and set a number or no message.
    response.status = error.status
    unfit = _CONTENT_FIELDS
    if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        unfit = unfit - {"content-range"}  # it has the length (RFC 9110, 15.5.17)
    for name in unfit:
        response.headers.pop(name, None)
    message = error.message
    if message is None:
        message = PHRASES[response.status]
    response.body = message if isinstance(message, bytes) else str(message)
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.update(error.headers)
