"""Watching the requests of an app, and what gunicorn's access log says of one."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple

from roll import Request, Response, Roll

LEFT = 499
"""The status of what was never answered, as nginx writes it."""

KEY = "roll_gunicorn"
"""Under it a request keeps when it began, in seconds of `perf_counter()`."""

Tell = Callable[[Request, Response, float], None]
"""Takes a request, its response, and the seconds that it took."""

# One line a request, whatever a client sends: else bytes in hexadecimal digits, and a
# backslash as two. gunicorn itself sees to quotes.
_ESCAPES = {
    code: f"\\x{code:02x}" for code in range(256) if not 0x20 <= code < 0x7F
} | {ord("\\"): r"\\"}


def watch(app: Roll, tell: Tell) -> None:
    """Tell of each request of *app*, once, at its end."""

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
    """A request as gunicorn's loggers read one, beside its environment."""

    headers: list[tuple[str, str]]


def answer(response: Response) -> Answer:
    """Write a response as gunicorn's loggers read it."""
    status = response.status if response.complete or response.written else LEFT
    return Answer(f"{status:d}", response.headers, response.sent)


def refusal(status: int, remote_addr: str | None) -> tuple[Any, ...]:
    """Write a message that was refused before it was a request.

    Returns:
        What gunicorn's loggers take: a response, a question and an environment.
    """
    found = dict.fromkeys(
        ("RAW_URI", "PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "SERVER_PROTOCOL"),
        "-",
    )
    found["REMOTE_ADDR"] = remote_addr or "-"
    found["roll.complete"] = "yes"
    return Answer(f"{status:d}", {}, 0), Question([]), found


def environ(request: Request, response: Response) -> dict[str, Any]:
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
        "roll.complete": "yes" if response.complete else "no",
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
