"""Watching the requests of connections, and what gunicorn's access log says of one."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple

from roll import HttpProtocol, Request, Response

LEFT = 499
"""The status of what was never answered, as nginx writes it."""

Tell = Callable[[Request, Response, int, float], None]
"""Takes a request, its response, the status, and the seconds that it took."""

# One line a request, whatever a client sends: else bytes in hexadecimal digits, and a
# backslash as two. gunicorn itself sees to quotes.
_ESCAPES = {
    code: f"\\x{code:02x}" for code in range(256) if not 0x20 <= code < 0x7F
} | {ord("\\"): r"\\"}


def watched(kind: type[HttpProtocol], tell: Tell) -> type[HttpProtocol]:
    """Make a class of connections that tells of each request, once, at its end.

    A listener would not do: others before it may end the chain, and a client may leave.
    """

    class Watched(kind):  # type: ignore[valid-type, misc]  # whichever the app has
        began = 0.0
        left = False

        def data_received(self, data: bytes) -> None:
            if not self.busy:
                self.began = perf_counter()
            super().data_received(data)

        async def write(self) -> None:
            try:
                await super().write()
            finally:
                if not self.left:
                    self.tell(self.response.status)

        def connection_lost(self, error: Exception | None) -> None:
            if self.busy:
                self.left = True
                self.tell(LEFT)
            super().connection_lost(error)

        def tell(self, status: int) -> None:
            now = perf_counter()
            tell(self.request, self.response, status, now - self.began)
            self.began = now  # of the next one, when it has come already

    return Watched


class Answer(NamedTuple):
    """A response as gunicorn's loggers read one."""

    status: str
    headers: Mapping[str, Any]
    sent: int
    """Bytes of the body."""


class Question(NamedTuple):
    """A request as gunicorn's loggers read one, beside its environment."""

    headers: list[tuple[str, str]]


def answer(response: Response, status: int) -> Answer:
    """Write a response as gunicorn's loggers read it."""
    return Answer(f"{status:d}", response.headers, response.sent)


def environ(request: Request) -> dict[str, Any]:
    """Write a request as gunicorn's loggers read it: some of a WSGI environment.

    Nobody has checked a name that a client gives, so there is none.
    """
    raw = _escape(request.url)
    path, _, query = raw.partition("?")
    found = {
        "RAW_URI": raw,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": _escape(request.method.encode()),  # a listener may set it
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": _escape((request.remote_addr or "-").encode()),
    }
    for name, value in request.fields:
        if name in (b"REFERER", b"USER-AGENT"):
            found[f"HTTP_{name.decode().replace('-', '_')}"] = _escape(value)
    return found


def question(request: Request) -> Question:
    """Write the fields of a request as gunicorn's loggers read them."""
    fields = request.fields
    return Question([(name.decode(), _escape(value)) for name, value in fields])


def _escape(data: bytes) -> str:
    return data.decode("latin-1").translate(_ESCAPES)
