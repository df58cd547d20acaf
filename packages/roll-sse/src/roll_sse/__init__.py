"""sse: server-sent events (HTML standard, section 9.2)."""

import math
from collections.abc import AsyncIterable, Callable, Mapping
from http import HTTPStatus
from types import EllipsisType
from typing import Any

from roll import HttpError, Request, Response, Roll, hookimpl
from roll.logs import logger
from roll.plugins import require_app
from roll.typing import Extension

from .events import Event, encode, milliseconds
from .feed import Feed
from .streams import EventStream, Streams

__all__ = ["Event", "Feed", "encode", "last_event_id", "sse"]

FIELDS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # for proxies that buffer responses, such as nginx
}
"""The fields of a stream that a view does not set itself."""

LONGEST = 256
"""The most characters of `Last-Event-ID`."""


def sse(
    app: Roll,
    *,
    keep_alive: float | None = 15.0,
    retry: float | None = None,
    limit: int | None = None,
    lost: float = 30.0,
) -> Callable[..., None]:
    """Let views of *app* respond with server-sent events.

    `app["sse"]` has the streams that are open.

    Args:
        app: The application.
        keep_alive: Seconds without a byte after which a comment is sent, so that
            proxies do not end the stream; None or 0 for never.
        retry: Seconds after which a client reconnects; None for its own choice.
        limit: The most open streams; a client that gets a 503 does not come back.
        lost: Seconds after which, on Linux, a client that does not acknowledge data
            counts as gone.

    Returns:
        `stream(request, response, source, *, keep_alive=..., retry=...)`, which makes
        *response* send the events of an async iterable. Its options apply to one
        stream.

    Raises:
        TypeError: An option is not a number.
        ValueError: An option is out of its range, or this is the second call.
    """
    require_app("sse", app)
    defaults = _check(keep_alive, retry)
    if limit is not None:
        if type(limit) is not int:
            raise TypeError(f"limit={limit!r}: give a number of streams, or None")
        if limit < 1:
            raise ValueError(f"limit={limit}: give a number of streams above 0")
    if not milliseconds("lost", lost):
        raise ValueError(f"lost={lost}: give a number of seconds above 0")
    if "sse" in app:
        raise ValueError("sse was called for this app before: call it once")
    streams = app["sse"] = Streams(app)
    warned = False

    def stream(
        request: Request,
        response: Response,
        source: AsyncIterable[Any],
        *,
        keep_alive: float | EllipsisType | None = ...,
        retry: float | EllipsisType | None = ...,
    ) -> None:
        nonlocal warned
        _require_source(source)
        options = _check(
            defaults[0] if keep_alive is ... else keep_alive,
            defaults[1] if retry is ... else retry,
        )
        if limit is not None and len(streams) >= limit:
            if not warned:
                warned = True
                logger.warning(
                    "%d event streams are open: clients get 503, and do not come back",
                    limit,
                )
            seconds = math.ceil(options[1] or 3)
            raise HttpError(
                HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": str(seconds)}
            )
        for name, value in FIELDS.items():
            response.headers.setdefault(name, value)
        response.body = EventStream(source, streams, request.protocol, *options, lost)

    return stream


def last_event_id(request: Request) -> str | None:
    """Give the id of the last event that a client has received, as it claims.

    Returns:
        The `Last-Event-ID`; None if there is none, it is not UTF-8, or it is longer
        than 256 characters.
    """
    value = request.headers.get("LAST-EVENT-ID")
    try:
        # A client sends UTF-8, and Roll reads fields as latin-1.
        id = None if value is None else value.encode("latin-1").decode()
    except UnicodeError:
        return None
    return None if id is None or len(id) > LONGEST else id


def _check(keep_alive: Any, retry: Any) -> tuple[float, float | None]:
    if keep_alive is None:
        keep_alive = 0
    milliseconds("keep_alive", keep_alive)
    if retry is not None:
        milliseconds("retry", retry)
    return keep_alive, retry


def _require_source(source: object) -> None:
    if not hasattr(source, "__aiter__"):
        advice = "call it" if callable(source) else "write it with async def and yield"
        raise TypeError(
            f"stream(request, response, {source!r}): give an async iterable, such as "
            f"an async generator: {advice}"
        )


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import sse`."""
    return {"sse": sse}
