"""What the system knows about a connection."""

import asyncio
import sys

try:
    import fcntl
    import termios
except ImportError:  # only on Unix
    fcntl = None  # type: ignore[assignment]


def unsent(transport: asyncio.Transport) -> int:
    """Count the bytes that the client has not acknowledged.

    The system may hold megabytes of them: while a slow client reads these, the
    transport's buffer does not change.
    """
    return transport.get_write_buffer_size() + _queued(transport, "TIOCOUTQ")


def unread(transport: asyncio.Transport) -> int:
    """Count the bytes received that are not read yet."""
    return _queued(transport, "FIONREAD")


def _queued(transport: asyncio.Transport, queue: str) -> int:
    """Ask the system for the bytes in a *queue*, a name in termios, of a connection.

    0 if it does not know.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or fcntl is None:
        return 0
    try:
        queued = fcntl.ioctl(sock.fileno(), getattr(termios, queue), bytes(4))
    except ValueError:  # it is closed, and TLS has not reported that yet
        return 0
    return int.from_bytes(queued, sys.byteorder)
