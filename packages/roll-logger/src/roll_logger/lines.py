"""Writes the line of a request in each format: always one line, in ASCII."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from roll import Request


@dataclass(slots=True)
class Exchange:
    """A request and its response, as far as they are known."""

    method: str | None
    """As it was sent: a listener may set another. None if there is no request."""
    clock: float = field(default_factory=time.perf_counter)
    """When it began, in seconds of `time.perf_counter()`."""
    began: float = field(default_factory=time.time)
    """When it began, in seconds since 1970."""
    request_id: str | None = None
    remote_addr: str | None = None
    status: int = 0
    size: int | None = None
    """Bytes of the response's body; None when they were not known."""
    complete: bool = True
    """Whether all of the response was sent."""
    duration: float = 0.0
    """Seconds."""
    route: str | None = None
    """The pattern of the route."""


# As in Apache and nginx, so that it can be undone: bytes become hexadecimal digits, and
# a backslash two.
_ESCAPES = {
    code: f"\\x{code:02x}" for code in range(256) if not 0x20 <= code < 0x7F
} | {ord("\\"): r"\\"}
_QUOTED = _ESCAPES | {ord('"'): r"\""}

# `strftime` would use the locale.
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


Format = Callable[[Exchange, Request | None], str]
"""Writes the line of a request, or of a message refused before it became one."""


def short(exchange: Exchange, request: Request | None) -> str:
    """Write `GET /path?query`."""
    if request is None:
        host = exchange.remote_addr or "-"
        return f"refused {exchange.status} {host}".translate(_ESCAPES)
    return _target(exchange, request).translate(_ESCAPES)


def common(exchange: Exchange, request: Request | None) -> str:
    """Write the Common Log Format, and the duration."""
    return f"{_common(exchange, request)} {_end(exchange)}"


def combined(exchange: Exchange, request: Request | None) -> str:
    """Write the Combined Log Format, and the duration."""
    referer = agent = ""
    if request is not None:
        referer, agent = request.referer, request.headers.get("USER-AGENT", "")
    fields = " ".join(
        f'"{_bytes(value).decode("latin-1").translate(_QUOTED) or "-"}"'
        for value in (referer, agent)
    )
    return f"{_common(exchange, request)} {fields} {_end(exchange)}"


def as_json(exchange: Exchange, request: Request | None) -> str:
    """Write a JSON object (RFC 8259)."""
    began = datetime.fromtimestamp(exchange.began, UTC)
    line = {
        "time": began.isoformat(timespec="milliseconds"),
        "remote_addr": exchange.remote_addr,
        "method": exchange.method,
        "url": None,
        "version": None,
        "route": exchange.route,
        "status": exchange.status,
        "size": exchange.size,
        "complete": exchange.complete,
        "duration": round(exchange.duration, 6),
        "referer": "",
        "user_agent": "",
        "request_id": exchange.request_id,
    }
    if request is not None:
        line["url"] = _text(request.url)
        line["version"] = request.version
        line["referer"] = _text(_bytes(request.referer))
        line["user_agent"] = _text(_bytes(request.headers.get("USER-AGENT", "")))
    return json.dumps(line)


FORMATS: dict[str, Format] = {
    "short": short,
    "common": common,
    "combined": combined,
    "json": as_json,
}


def _target(exchange: Exchange, request: Request) -> str:
    return f"{exchange.method} {request.url.decode('latin-1')}"


def _common(exchange: Exchange, request: Request | None) -> str:
    host = (exchange.remote_addr or "-").translate(_QUOTED)
    now = time.gmtime(exchange.began)
    date = f"{now.tm_mday:02}/{_MONTHS[now.tm_mon - 1]}/{now.tm_year}"
    clock = f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} +0000"
    line = "-"
    if request is not None:
        line = f"{_target(exchange, request)} HTTP/{request.version}"
    line = line.translate(_QUOTED)
    size = "-" if exchange.size is None else exchange.size
    return f'{host} - - [{date}:{clock}] "{line}" {exchange.status} {size}'


def _end(exchange: Exchange) -> str:
    """Write the duration in seconds, and whether the response was cut short."""
    return f"{exchange.duration:.6f}{'' if exchange.complete else ' incomplete'}"


def _bytes(value: str) -> bytes:
    """Give a field as it was sent; the core decodes it as latin-1."""
    return value.encode("latin-1", "backslashreplace")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
