"""A transport in memory: the test is the client at its other end."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, cast

from .waiting import patience

READ_SIZE = 256 * 1024
"""The most bytes of one `data_received`, as with a socket."""

HIGH_WATER = 64 * 1024
"""With more unread bytes, the protocol has to pause, as by default in asyncio."""

ADDRESSES = {"peername": ("127.0.0.1", 54321), "sockname": ("127.0.0.1", 80)}


class Transport(asyncio.Transport):
    """The connection between a protocol under test and a client that the test plays.

    The protocol's side is asyncio's. The client's side: `feed` and `feed_eof` send,
    `data` is what was received, `stall` and `drain` stop and continue receiving,
    `disconnect` and `reset` leave, `activity` and `wait_closed` wait.

    Args:
        protocol: The protocol to notify; call its `connection_made` yourself.
        extra: Values for `get_extra_info`, which may override the addresses of
            127.0.0.1.
        closes: Whether the client ends its side once the protocol has ended its own.
    """

    def __init__(
        self,
        protocol: asyncio.BaseProtocol | None = None,
        extra: Mapping[str, Any] | None = None,
        *,
        closes: bool = True,
    ) -> None:
        super().__init__({**ADDRESSES, **(extra or {})})
        self.closes = closes
        self.eof = False
        """Whether the protocol ended its side of the connection."""
        self.closed = False
        """Whether `connection_lost` was called."""
        self._loop = asyncio.get_running_loop()
        self._protocol = cast(asyncio.Protocol, protocol)
        self._received = bytearray()  # by the client
        self._unread = bytearray()  # by the client, while it stalls
        self._held = bytearray()  # from the client, while reading is paused
        self._stalled = False
        self._reading = True
        self._delivering = False  # held data, in the loop
        self._ended = False  # the client's side
        self._held_eof = False  # and the protocol does not know yet
        self._closing = False
        self._ending = False  # connection_lost is called, or about to be
        self._writing_eof = False
        self._protocol_paused = False
        self._news = asyncio.Event()
        self.set_write_buffer_limits()

    # The client's side

    @property
    def data(self) -> bytes:
        """What the client has received: the bytes on the wire."""
        return bytes(self._received)

    def since(self, start: int) -> bytes:
        """What the client has received after its first *start* bytes."""
        return bytes(self._received[start:])

    @property
    def held(self) -> int:
        """Bytes fed that wait until the protocol reads again."""
        return len(self._held)

    @property
    def has_ended(self) -> bool:
        """Whether the protocol ended its side, or the connection is closing."""
        return self.eof or self._closing

    def feed(self, data: bytes) -> None:
        """Send bytes to the protocol, at once unless it has paused reading.

        After the connection has closed, bytes are lost, as on a socket.
        """
        for start in range(0, len(data), READ_SIZE):
            if self._closing or self._ended:
                return
            piece = bytes(data[start : start + READ_SIZE])
            if self._reading and not self._held:
                self._protocol.data_received(piece)
            else:
                self._held += piece

    def feed_eof(self) -> None:
        """End the client's side: nothing more will be sent."""
        if self._closing or self._ended:
            return
        self._ended = True
        if self._reading and not self._held:
            self._receive_eof()
        else:
            self._held_eof = True

    def disconnect(self) -> None:
        """Close the connection from the client's side; later data for it is lost."""
        if not self._closing and not self._ended:
            self._ended = True
            self._protocol.eof_received()
        self._lose(None)

    def reset(self) -> None:
        """Break the connection: the protocol gets a ConnectionResetError."""
        self._lose(ConnectionResetError("Connection reset by peer"))

    def stall(self) -> None:
        """Stop receiving: what is written stays in the transport's buffer."""
        self._stalled = True

    def drain(self, size: int | None = None) -> None:
        """Receive bytes that are waiting.

        Args:
            size: How many bytes; None for all, which also ends the stall.
        """
        if size is None:
            self._stalled = False
            size = len(self._unread)
        self._receive(self._unread[:size])
        del self._unread[:size]
        if self._protocol_paused and len(self._unread) <= self._low:
            self._protocol_paused = False
            self._protocol.resume_writing()
        if self._unread:
            return
        if self._closing:
            self._lose(None)
        elif self._writing_eof:
            self._end_side()

    async def activity(self) -> None:
        """Wait until something is written, reading resumes, or the connection ends."""
        self._news.clear()
        await self._news.wait()

    async def wait_closed(self, timeout: float = 5.0) -> None:
        """Wait until `connection_lost` was called.

        Args:
            timeout: Seconds, scaled by `patience`.

        Raises:
            TimeoutError: It was not, after *timeout* seconds.
        """
        seconds = patience(timeout)
        try:
            async with asyncio.timeout(seconds):
                while not self.closed:
                    await self.activity()
        except TimeoutError as error:
            raise TimeoutError(
                f"The connection is still open after {seconds:g} s"
            ) from error

    # The protocol's side: reading

    def pause_reading(self) -> None:
        """Hold back what the client sends."""
        self._reading = False

    def resume_reading(self) -> None:
        """Deliver what was held back, soon, and later data at once."""
        if self._closing or self._reading:
            return
        self._reading = True
        self._news.set()
        self._deliver_soon()

    def is_reading(self) -> bool:
        """Whether reading is not paused."""
        return self._reading and not self._closing

    def _deliver_soon(self) -> None:
        if not self._delivering and (self._held or self._held_eof):
            self._delivering = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Deliver one read of what was held back, and schedule the rest."""
        self._delivering = False
        if not self.is_reading():
            return
        data = bytes(self._held[:READ_SIZE])
        del self._held[:READ_SIZE]
        if data:
            self._protocol.data_received(data)
            self._deliver_soon()
        else:
            self._receive_eof()

    def _receive_eof(self) -> None:
        self._held_eof = False
        if not self._protocol.eof_received():
            self.close()

    # The protocol's side: writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes to the client; they are lost if the connection is closing.

        Raises:
            TypeError: *data* is not bytes.
            RuntimeError: `write_eof` was called before.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data is {type(data).__name__}, write takes bytes")
        if self._writing_eof:
            raise RuntimeError("write() is called after write_eof()")
        if self._closing or not data:
            return
        if not self._stalled:
            self._receive(data)
            return
        self._unread += data
        self._news.set()
        if len(self._unread) > self._high and not self._protocol_paused:
            self._protocol_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send several pieces as one write."""
        self.write(b"".join(list_of_data))

    def _receive(self, data: bytes | bytearray | memoryview) -> None:
        self._received += data
        self._news.set()

    def can_write_eof(self) -> bool:
        """Whether one side can end alone: yes, as in TCP, unlike in TLS."""
        return True

    def write_eof(self) -> None:
        """End the protocol's side, once everything is received."""
        if self._closing or self._writing_eof:
            return
        self._writing_eof = True
        if not self._unread:
            self._end_side()

    def _end_side(self) -> None:
        self.eof = True
        self._news.set()
        if self.closes:
            self._loop.call_soon(self.disconnect)

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not received yet."""
        return len(self._unread)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low- and high-water marks of the buffer, in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Set the marks at which the protocol pauses and resumes.

        Args:
            high: Bytes; four times *low* or 64 KiB by default.
            low: Bytes; a quarter of *high* by default.

        Raises:
            ValueError: They are not in order.
        """
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not 0 <= low <= high:
            raise ValueError(f"low={low} and high={high} are not in order")
        self._low, self._high = low, high

    # The end

    def close(self) -> None:
        """Close once the client has received everything."""
        if self._closing:
            return
        self._closing = True
        if not self._unread:
            self._lose(None)

    def abort(self) -> None:
        """Close now; bytes that the client has not received are lost."""
        self._lose(None)

    def is_closing(self) -> bool:
        """Whether the connection is closing, or closed."""
        return self._closing

    def _lose(self, error: Exception | None) -> None:
        self._closing = True
        self._unread.clear()
        self._held.clear()
        if not self._ending:
            self._ending = True
            self._loop.call_soon(self._end, error)

    def _end(self, error: Exception | None) -> None:
        self.closed = True
        self._news.set()
        self._protocol.connection_lost(error)

    # The protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Set the protocol to notify from now on."""
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.Protocol:
        """The protocol to notify."""
        return self._protocol
