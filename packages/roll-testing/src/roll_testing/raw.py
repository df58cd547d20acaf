"""Tools for tests at the level of bytes: open a connection, and feed it."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .transport import Transport
from .waiting import patience

if TYPE_CHECKING:
    from roll import Roll

TURNS = 5
"""After so many rounds of the loop without any change, a connection has settled."""

GLANCE = 0.005
"""Seconds to wait for a write: a request may end without any."""


class Exchange(NamedTuple):
    """The outcome of a connection."""

    data: bytes
    """Everything that the client received."""
    closed: bool
    """Whether the server ended the connection, or its side of it."""


def connect(app: "Roll", **options: Any) -> Transport:
    """Open a connection to an app.

    Nothing is started: the `startup` listeners and the timeouts run only when
    something else, such as the fixture `client`, has started the app.

    Args:
        app: The app that responds.
        options: Those of `Transport`.
    """
    protocol = app.factory()
    transport = Transport(protocol, **options)
    protocol.connection_made(transport)
    return transport


async def exchange(
    app: "Roll",
    data: bytes | Iterable[bytes],
    *,
    split: int | None = None,
    trailing: bytes = b"",
    idle: float = 0.05,
    timeout: float = 5.0,
) -> Exchange:
    """Send bytes on their own connection, and collect the whole response.

    Args:
        app: The app that responds; it is not started.
        data: What to send: one read, or several, with a round of the loop in between.
        split: Cut the data into reads of so many bytes.
        trailing: Bytes to send in the same read as the last ones of *data*.
        idle: As in `settle`.
        timeout: As in `settle`.

    Raises:
        TimeoutError: As in `settle`.
    """
    transport = connect(app)
    try:
        for piece in _pieces(data, split, trailing):
            if transport.eof or transport.is_closing():
                break
            transport.feed(piece)
            await asyncio.sleep(0)
        await settle(transport, idle=idle, timeout=timeout)
        return Exchange(transport.data, transport.eof or transport.is_closing())
    finally:
        transport.disconnect()
        await transport.wait_closed()


def _pieces(
    data: bytes | Iterable[bytes], split: int | None, trailing: bytes
) -> Iterator[bytes]:
    pieces = [data] if isinstance(data, bytes) else [*data]
    if split is not None:
        whole = b"".join(pieces)
        pieces = [whole[at : at + split] for at in range(0, len(whole), split)]
    *first, last = pieces or [b""]
    yield from first
    yield last + trailing


async def settle(
    transport: Transport, *, idle: float = 0.05, timeout: float = 5.0
) -> None:
    """Wait until the server has responded to everything that it has received.

    That is when the connection is closed, or no request is being served. A request with
    an incomplete body, and a protocol that has taken over the connection, wait for the
    client: they have settled when nothing is written for *idle* seconds.

    Args:
        transport: The connection, as `connect` opens it.
        idle: Seconds; `patience` scales these and the timeout.
        timeout: Seconds after which it is an error if data still arrives.

    Raises:
        TimeoutError: A request is still being served after *timeout* seconds.
    """
    seconds = patience(timeout)
    try:
        async with asyncio.timeout(seconds):
            while not transport.closed:
                if _waits_for_client(transport):
                    if not await _acts(transport, patience(idle)):
                        return
                elif _is_busy(transport):
                    await _acts(transport, GLANCE)
                elif await _stays(transport):
                    return
    except TimeoutError as error:
        raise TimeoutError(
            f"A request is still being served after {seconds:g} s; "
            f"received so far: {transport.data!r}"
        ) from error


def _waits_for_client(transport: Transport) -> bool:
    """Whether it needs more bytes: those of a body, or of another protocol."""
    if transport.eof or transport.is_closing():
        return False
    if transport.held or not transport.is_reading():  # there is enough to do
        return False
    protocol = transport.get_protocol()
    if not hasattr(protocol, "request"):
        return True
    content = getattr(protocol.request, "content", None)
    return content is not None and not content.complete


def _is_busy(transport: Transport) -> bool:
    """Whether something will happen without the client."""
    if transport.is_closing():
        return not transport.get_write_buffer_size()
    if transport.eof:
        return transport.closes
    busy = getattr(transport.get_protocol(), "busy", False)
    return busy or (transport.held > 0 and transport.is_reading())


async def _acts(transport: Transport, seconds: float) -> bool:
    """Wait for a short time until something is written, read or closed."""
    try:
        async with asyncio.timeout(seconds):
            await transport.activity()
    except TimeoutError:
        return False
    return True


async def _stays(transport: Transport) -> bool:
    """Whether nothing happens in a few rounds of the loop."""
    size = len(transport.data)
    for _ in range(TURNS):
        await asyncio.sleep(0)
        if transport.since(size) or _is_busy(transport):
            return False
    return True
