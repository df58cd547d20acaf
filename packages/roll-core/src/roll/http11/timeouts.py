"""The timeouts of a connection.

No request costs a timer: a sweep over all connections looks at what they keep anyway.
"""

import math

from ..peers import has_left
from . import sockets
from .state import BODY, HEAD, IDLE, LINGERING, VIEW, WRITING, HttpConnection, State

LINGER = 2.0
"""Seconds for a client to read the last response and close (RFC 9112, section 9.6); if
it has left, seconds to read what it has sent."""

ALERT = 80
"""The largest size of the alert that ends TLS, in bytes (RFC 8446, section 6.1)."""


def check(connection: HttpConnection, now: float) -> State | None:
    """Find what takes too long; *now* is the loop's time, in seconds.

    Returns:
        The state that has lasted too long, or None.
    """
    state, mark, limit = _phase(connection)
    seen, seen_mark, since = connection.seen
    if state != seen or mark != seen_mark:
        connection.seen = (state, mark, now)
    elif now - since >= limit:
        return state
    return None


def _phase(connection: HttpConnection) -> tuple[State, object, float]:
    """Give the state, a value that changes with progress, and the seconds allowed."""
    parser, transport, body = connection.parser, connection.transport, connection.body
    limits, progress = parser.limits, parser.progress
    if connection.writable is not None or transport.is_closing():
        unsent = sockets.unsent(transport)
        if unsent <= ALERT and connection.secure and transport.is_closing():
            return LINGERING, unsent, LINGER  # TLS waits for the client's alert
        return WRITING, unsent, limits.write_timeout
    if connection.state == LINGERING:
        return LINGERING, sockets.unsent(transport), LINGER
    if connection.half_closed or (connection.paused and has_left(transport)):
        return LINGERING, (progress, _written(connection)), limits.half_close
    if body is not None and not connection.paused and not body.expected:
        return BODY, progress, limits.body_timeout
    if connection.request is not None or body is not None:
        return VIEW, progress, math.inf
    if connection.state == HEAD or not progress:
        return HEAD, progress, limits.head_timeout
    return IDLE, progress, limits.keep_alive


def _written(connection: HttpConnection) -> int:
    """Count the bytes written of the stream that is being sent."""
    response = connection.response
    written = 0 if response is None else response.written
    return written if isinstance(written, int) else 0
