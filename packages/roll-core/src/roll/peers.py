"""Peers: what the system knows of who is at the other end of a connection."""

import asyncio
import select

# Linux and FreeBSD tell when a client has ended its side; others, that all has ended.
_ENDS = getattr(select, "POLLRDHUP", 0)


def has_left(transport: asyncio.BaseTransport) -> bool:
    """Whether a client has ended its side, or the connection, as far as it is known.

    While reading is paused, nothing else tells: the end stands behind what the client
    has sent and nobody has read. False where the system does not say, and once the
    connection is closed.

    Args:
        transport: Its reading is paused.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or transport.is_closing() or sock.fileno() < 0:
        return False  # a descriptor that is closed may be another connection's soon
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sock.fileno(), _ENDS)  # a reset is told of in any case
    return bool(poll.poll(0))
