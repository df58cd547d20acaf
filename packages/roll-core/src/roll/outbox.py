"""Outbox: the answers of one round of the loop, sent together at its end."""

import asyncio
from time import monotonic

HOLD_SECONDS = 0.001
"""Seconds after which what is held goes with the next answer, before the round ends: a
view that blocks the loop costs others no more than its own time."""

HOLD_BYTES = 64 * 1024
"""Bytes beyond which what is held goes: it has a bound, and who does not read is
waited for."""


class Outbox:
    """Sends whole answers, of all connections that a loop serves.

    A round of the loop reads what came on all connections. With a write after each
    read every client is woken up for its answer alone, and that takes the system longer
    than the write: a quarter of all that a request costs. So the first answer of a
    round goes at once, as a client that is alone should not wait, and the others when
    the round ends. What one connection asked for in a row goes in one write.

    Who writes to a transport or ends it, otherwise than by `send`, flushes before.

    Args:
        loop: The running loop.
    """

    __slots__ = ("_held", "_since", "_size", "_within", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._held: dict[asyncio.Transport, list[bytes]] = {}
        self._within = False  # a round that had an answer
        self._since = 0.0
        self._size = 0  # of what is held

    def send(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write *data*, within this round of the loop."""
        if not self._within:
            self._within = True
            self._since = monotonic()
            self.loop.call_soon(self._end)
            transport.write(data)
            return
        pieces = self._held.get(transport)
        if pieces is None:
            self._held[transport] = [data]
        else:
            pieces.append(data)
        self._size += len(data)
        if self._size > HOLD_BYTES or monotonic() - self._since > HOLD_SECONDS:
            self.flush()
            self._since = monotonic()

    def flush(self) -> None:
        """Write what is held, but for those who have left."""
        if self._held:
            held, self._held, self._size = self._held, {}, 0
            for transport, pieces in held.items():
                if not transport.is_closing():
                    transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _end(self) -> None:
        self._within = False
        if self._held:
            self.flush()
