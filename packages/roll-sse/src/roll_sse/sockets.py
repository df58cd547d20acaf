"""Clients that vanish: the system notices when they acknowledge no data."""

import contextlib
import socket
from typing import Any

USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)
"""The option of TCP for this (RFC 5482), which Linux has."""

LONGEST = 2**31 - 1
"""The most milliseconds of the option."""


def set_patience(connection: Any, seconds: float) -> int | None:
    """Let a connection fail if bytes stay unacknowledged for that long.

    Args:
        connection: A `roll.typing.Connection`, or one that has no transport.
        seconds: How long.

    Returns:
        The previous value, for `reset_patience`; None if nothing was set.
    """
    sock = _socket(connection)
    if sock is None:
        return None
    with contextlib.suppress(OSError):  # another protocol than TCP, or a lost client
        before: int = sock.getsockopt(socket.IPPROTO_TCP, USER_TIMEOUT)
        milliseconds = min(round(seconds * 1000), LONGEST)
        sock.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, milliseconds)
        return before
    return None


def reset_patience(connection: Any, before: int | None) -> None:
    """Restore what `set_patience` has changed."""
    sock = _socket(connection)
    if sock is not None and before is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, before)


def _socket(connection: Any) -> Any:
    transport = getattr(connection, "transport", None)
    # The descriptor of a closed one may be another connection's by now.
    if USER_TIMEOUT is None or transport is None or transport.is_closing():
        return None
    return transport.get_extra_info("socket")
