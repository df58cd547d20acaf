"""Watches the requests of an app, and describes them for gunicorn's access log."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple

from roll import Request, Response, Roll

LEFT = 499
"""The status of a request that never got a response, as in nginx."""

KEY = "roll_gunicorn"
"""The key under which a request keeps its start, in seconds of `perf_counter()`."""

Tell = Callable[[Request, Response, float], None]
"""Takes a request, its response, and the seconds that it took."""

# Keeps a request on one line, whatever a client sends: control and non-ASCII bytes
# become hexadecimal digits, and a backslash two. gunicorn escapes quotes itself.
_ESCAPES = {
    code: f"\\x{code:02x}" for code in range(256) if not 0x20 <= code < 0x7F
} | {ord("\\"): r"\\"}


def watch(app: Roll, tell: Tell) -> None:
    """Call *tell* once for each request of *app*, at its end."""

    @app.listen("headers", before="*")
    def begin(request: Request, response: Response) -> None:
        request[KEY] = perf_counter()

    @app.listen("finish", before="*")
    def end(request: Request, response: Response) -> None:
        now = perf_counter()
        tell(request, response, now - request.pop(KEY, now))


class Answer(NamedTuple):
    """A response as gunicorn's loggers read one."""

    status: str
    headers: Mapping[str, Any]
    sent: int
    """Bytes of the body."""


class Question(NamedTuple):
    """A request as gunicorn's loggers read one, besides its environment."""

    headers: list[tuple[str, str]]


def answer(response: Response) -> Answer:
    """Describe a response for gunicorn's loggers."""
    status = response.status if response.complete or response.written else LEFT
    return Answer(f"{status:d}", response.headers, response.sent)


def refusal(status: int, remote_addr: str | None) -> tuple[Any, ...]:
    """Describe a message that was refused before it became a request.

    Returns:
        A response, a request and an environment for gunicorn's loggers.
    """
    found = dict.fromkeys(
        ("RAW_URI", "PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "SERVER_PROTOCOL"),
        "-",
    )
    found["REMOTE_ADDR"] = remote_addr or "-"
    found["roll.complete"] = "yes"
    return Answer(f"{status:d}", {}, 0), Question([]), found


def environ(request: Request, response: Response) -> dict[str, Any]:
    """Describe a request for gunicorn's loggers: a part of a WSGI environment.

    There is no user: nobody has verified the name that a client gives.
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
        "roll.complete": "yes" if response.complete else "no",
    }
    for name, value in request.fields:
        if name in (b"REFERER", b"USER-AGENT"):
            found[f"HTTP_{name.decode().replace('-', '_')}"] = _escape(value)
    return found


def question(request: Request) -> Question:
    """Give the fields of a request to gunicorn's loggers."""
    fields = request.fields
    return Question([(name.decode(), _escape(value)) for name, value in fields])


def _escape(data: bytes) -> str:
    return data.decode("latin-1").translate(_ESCAPES)
