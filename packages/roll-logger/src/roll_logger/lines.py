"""What a line says of a request, in each format; always one line, of ASCII alone."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from roll import Request


@dataclass(slots=True)
class Exchange:
    """A request and its answer, as far as they are known."""

    method: str
    """As it was sent: a listener may set another."""
    clock: float = field(default_factory=time.perf_counter)
    """When it began, in seconds of `time.perf_counter()`."""
    began: float = field(default_factory=time.time)
    """When it began, in seconds since 1970."""
    request_id: str | None = None
    answered: bool = False
    """Whether an answer was ready."""
    logged: bool = False
    status: int = 0
    size: int | None = None
    """Bytes of the answer's body; None when they were not known."""
    duration: float = 0.0
    """Seconds."""
    route: str | None = None
    """The pattern of the route."""


# As Apache and nginx escape, so that it can be undone: bytes in hexadecimal digits, and
# a backslash that was sent as two.
_ESCAPES = {
    code: f"\\x{code:02x}" for code in range(256) if not 0x20 <= code < 0x7F
} | {ord("\\"): r"\\"}
_QUOTED = _ESCAPES | {ord('"'): r"\""}

# Not of `strftime`, which asks the locale.
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def short(exchange: Exchange, request: Request) -> str:
    """Write `GET /path?query`."""
    return _target(exchange, request).translate(_ESCAPES)


def common(exchange: Exchange, request: Request) -> str:
    """Write the Common Log Format, and the seconds."""
    return f"{_common(exchange, request)} {exchange.duration:.6f}"


def combined(exchange: Exchange, request: Request) -> str:
    """Write the Combined Log Format, and the seconds."""
    referer, agent = (
        _bytes(value).decode("latin-1").translate(_QUOTED) or "-"
        for value in (request.referer, request.headers.get("USER-AGENT", ""))
    )
    line = f'{_common(exchange, request)} "{referer}" "{agent}"'
    return f"{line} {exchange.duration:.6f}"


def as_json(exchange: Exchange, request: Request) -> str:
    """Write a JSON object (RFC 8259)."""
    began = datetime.fromtimestamp(exchange.began, UTC)
    return json.dumps(
        {
            "time": began.isoformat(timespec="milliseconds"),
            "remote_addr": request.remote_addr,
            "method": exchange.method,
            "url": _text(request.url),
            "version": request.version,
            "route": exchange.route,
            "status": exchange.status,
            "size": exchange.size,
            "duration": round(exchange.duration, 6),
            "referer": _text(_bytes(request.referer)),
            "user_agent": _text(_bytes(request.headers.get("USER-AGENT", ""))),
            "request_id": exchange.request_id,
        }
    )


FORMATS: dict[str, Callable[[Exchange, Request], str]] = {
    "short": short,
    "common": common,
    "combined": combined,
    "json": as_json,
}


def _target(exchange: Exchange, request: Request) -> str:
    return f"{exchange.method} {request.url.decode('latin-1')}"


def _common(exchange: Exchange, request: Request) -> str:
    host = (request.remote_addr or "-").translate(_QUOTED)
    now = time.gmtime(exchange.began)
    date = f"{now.tm_mday:02}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year}"
    clock = f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} +0000"
    line = f"{_target(exchange, request)} HTTP/{request.version}".translate(_QUOTED)
    size = "-" if exchange.size is None else exchange.size
    return f'{host} - - [{date}:{clock}] "{line}" {exchange.status} {size}'


def _bytes(value: str) -> bytes:
    """Give a field back as it was sent; the core decodes it as latin-1."""
    return value.encode("latin-1", "backslashreplace")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
