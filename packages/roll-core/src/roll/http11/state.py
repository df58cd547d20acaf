"""The states of a connection, and its interface for other modules."""

import asyncio
from contextvars import Context
from enum import IntEnum
from typing import Protocol

from ..request import Request
from ..response import Response
from ..typing import App, Connection
from .body import Body
from .outbox import Outbox
from .parser import Parser
from .upgrade import Switch


class State(IntEnum):
    """The state of a connection; timeouts and shutdown depend on it.

    ========= ============================================ ========================
    state     what goes on                                 ended after
    ========= ============================================ ========================
    IDLE      nothing, between two messages                `Limits.keep_alive`
    HEAD      a head has begun to come                     `Limits.head_timeout`
    BODY      a body is coming, for a view or to be        `Limits.body_timeout`
              skipped                                      without a byte
    VIEW      all of a message came, and is being served   never
    WRITING   the client is behind with reading            `Limits.write_timeout`
    LINGERING our side has ended                           `LINGER`
    SWITCHED  another protocol has the transport           by that protocol
    CLOSED    the client is gone; its view may go on       never
    ========= ============================================ ========================
    """

    IDLE = 0
    HEAD = 1
    BODY = 2
    VIEW = 3
    WRITING = 4
    # From here on, nothing is read.
    LINGERING = 5
    # From here on, the transport is not ours.
    SWITCHED = 6
    CLOSED = 7


# The members as plain names: looking one up on the class takes longer than the rest.
IDLE, HEAD, BODY, VIEW, WRITING, LINGERING, SWITCHED, CLOSED = State

UNSEEN: tuple[State, object, float] = (IDLE, 0, 0.0)
"""What the timeouts saw last of a new connection: its state, a value that changes with
progress, and since when."""


class HttpConnection(Connection, Protocol):
    """A connection as `exchange` and `timeouts` need it: `HttpProtocol` is one."""

    app: App
    """The app that responds."""
    parser: Parser
    """The parser of the messages."""
    outbox: Outbox
    """The sender of the responses of all connections."""
    context: Context
    """Each message is served in a copy of it."""
    transport: asyncio.Transport
    """The connection, also once it is lost."""
    state: State
    """The current state."""
    request: Request | None
    """The message being served."""
    response: Response | None
    """The response to it."""
    task: asyncio.Task[None] | None
    """The task that serves it."""
    switch: Switch | None
    """The protocol that takes over once a 101 is written."""
    body: Body | None
    """The body that is still being received."""
    advancing: bool
    """Whether `advance` is running further up the stack."""
    paused: bool
    """Whether nothing is read from the transport."""
    half_closed: bool
    """Whether the client has ended its side."""
    remaining: int
    """Messages that may follow the one being served; negative if this side ends for
    another reason than their number."""
    writable: asyncio.Future[None] | None
    """Done once the client has caught up; None while it is not behind."""
    seen: tuple[State, object, float]
    """What `timeouts` saw last, as in `UNSEEN`."""

    async def write(self) -> None:
        """Send the response of the message being served."""

    def advance(self) -> None:
        """Read on, and serve the requests received."""

    def send(self, data: bytes | tuple[bytes, ...], at_once: bool = False) -> bool:
        """Write within this round of the loop, unless the client is gone."""

    def end(self, linger: bool = False, abort: bool = False) -> None:
        """End once everything is sent; what is still received is ignored."""

    def lose(self) -> None:
        """Note that the client is gone."""
