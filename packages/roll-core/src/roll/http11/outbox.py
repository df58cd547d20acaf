"""Outbox: the responses of one round of the loop, sent together at its end."""

import asyncio
from collections.abc import Sequence
from contextvars import copy_context
from time import monotonic

from ..logs import logger
from .body import LARGE

HOLD_SECONDS = 0.001
"""Seconds after which the next response is sent with all that is held, amid a round."""

FEW = 8
"""Responses in that time; with fewer, views are so slow that holding gains nothing."""

DIRECT_SECONDS = 0.05
"""Seconds for which responses are then sent at once."""

HOLD_BYTES = 256 * 1024
"""Bytes held at most: then they are sent, so that slow readers are waited for."""


class Outbox:
    """Sends the responses, and pieces of them, of all connections that a loop serves.

    A round of the loop reads from all connections. With a write after each read, every
    client is woken up for its own response, which costs the system more than the write:
    a quarter of the cost of a request. So the first response of a round is sent at
    once, since a single client should not wait, and the others when the round ends.
    Pipelined responses of one connection are sent in one write, and so are the pieces
    of a stream that come without a wait. Where views block the loop, each is sent at
    once, as it would wait for the next view.

    Flush before you write to a transport or end it in another way than by `send`.

    Args:
        loop: The running loop.
    """

    __slots__ = (
        "_context",
        "_count",
        "_direct_until",
        "_held",
        "_since",
        "_size",
        "_within",
        "loop",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._context = copy_context()  # a copy for each round would be a waste
        # Most have one response: no list is made for it.
        self._held: dict[asyncio.Transport, bytes | list[bytes]] = {}
        self._within = False  # a round that had a response
        self._since = 0.0  # when the round began to respond, or was flushed
        self._count = 0  # of the writes held since then
        self._size = 0  # likewise, in bytes
        self._direct_until = 0.0  # nothing is held until then

    def send(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write *data*, within this round of the loop."""
        if not self._within:
            self._begin()
            transport.write(data)
            return
        now = monotonic()
        if now < self._direct_until:
            self._since = now
            _write(transport, data)
            return
        before = self._held.get(transport)
        if before is None:
            self._held[transport] = data
        elif isinstance(before, bytes):
            self._held[transport] = [before, data]
        else:
            before.append(data)
        self._count += 1
        self._size += len(data)
        if now - self._since > HOLD_SECONDS:
            if self._count < FEW:
                self._direct_until = now + DIRECT_SECONDS
            self.flush()
        elif self._size >= HOLD_BYTES:
            self.flush()

    def send_pieces(
        self, transport: asyncio.Transport, pieces: Sequence[bytes]
    ) -> None:
        """Write one or more pieces, as `send` does."""
        now = monotonic()
        if self._within and now >= self._direct_until:
            for piece in pieces:
                self.send(transport, piece)
            return
        if self._within:
            self._since = now
        else:
            self._begin()
        _write_pieces(transport, pieces)

    def send_at_once(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write *data* after what is held."""
        self.flush()
        _write(transport, data)

    def hurry(self) -> None:
        """Write what is held, and for a while everything else at once."""
        self._direct_until = monotonic() + DIRECT_SECONDS
        self.flush()

    def flush(self) -> None:
        """Write what is held, except for clients that have left."""
        if self._held:
            held, self._held = self._held, {}
            self._count = self._size = 0
            self._since = monotonic()
            for transport, pieces in held.items():
                try:
                    if isinstance(pieces, bytes):
                        _write(transport, pieces)
                    else:
                        _write_pieces(transport, pieces)
                except Exception:  # the responses to others must not be lost
                    logger.exception("A response could not be written")
                    transport.abort()

    def _begin(self) -> None:
        self._within = True
        self._since = monotonic()
        self.loop.call_soon(self._end, context=self._context)

    def _end(self) -> None:
        self._within = False
        if self._held:
            self.flush()


def _write(transport: asyncio.Transport, data: bytes) -> None:
    """Write, unless the client has left: the transport would log each write."""
    if not transport.is_closing():
        transport.write(data)


def _write_pieces(transport: asyncio.Transport, pieces: Sequence[bytes]) -> None:
    if max(map(len, pieces)) < LARGE or not _gathers(transport):
        _write(transport, b"".join(pieces))
    elif not transport.is_closing():
        transport.writelines(pieces)


def _gathers(transport: asyncio.Transport) -> bool:
    """Whether `writelines` sends the pieces without a copy, and pauses the writer.

    That of asyncio copies them (3.11), or does not pause (3.12 before 3.12.9, 3.13
    before 3.13.2), and is not faster; with TLS each piece would be a record.
    """
    return (
        type(transport).__module__ == "uvloop.loop"
        and transport.get_extra_info("sslcontext") is None
    )
