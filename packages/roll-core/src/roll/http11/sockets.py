"""What the system knows of a connection, as far as it tells."""

import asyncio
import sys

try:
    import fcntl
    import termios
except ImportError:  # they are Unix's
    fcntl = None  # type: ignore[assignment]


def unsent(transport: asyncio.Transport) -> int:
    """Count the bytes that the client has not acknowledged.

    The system may hold megabytes of them: while a slow client reads these, what waits
    in the transport does not change.
    """
    return transport.get_write_buffer_size() + _queued(transport, "TIOCOUTQ")


def unread(transport: asyncio.Transport) -> int:
    """Count the bytes that came and are not read yet."""
    return _queued(transport, "FIONREAD")


def _queued(transport: asyncio.Transport, queue: str) -> int:
    """Ask the system how many bytes it holds for a connection, by a name of termios.

    0 when it does not tell.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or fcntl is None:
        return 0
    try:
        queued = fcntl.ioctl(sock.fileno(), getattr(termios, queue), bytes(4))
    except ValueError:  # it is closed, and TLS has not told yet
        return 0
    return int.from_bytes(queued, sys.byteorder)
