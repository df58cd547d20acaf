"""Wire: one connection as a client uses it, in memory or through a socket."""

import asyncio
from contextlib import suppress
from typing import Protocol

from .raw import TURNS, settle
from .transport import Transport


class Wire(Protocol):
    """One connection to a server."""

    def write(self, data: bytes) -> None:
        """Send bytes, without waiting until the server reads them."""

    async def drain(self) -> None:
        """Wait while the server does not read, and until others had their turn."""

    async def read(self) -> bytes:
        """Wait for bytes; none once the server has ended its side."""

    def leave(self) -> None:
        """End the connection, without waiting until the server is told."""

    async def close(self, complete: bool, timeout: float) -> None:
        """End the connection, and wait until the server is told.

        Args:
            complete: Whether all was received, so that the view may go on to its end.
            timeout: Seconds to wait for that end.
        """


class MemoryWire:
    """A connection in memory; what is not read waits in the buffer of the server.

    Args:
        transport: The connection, as `connect` opens it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._read = 0
        transport.stall()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.feed(data)

    async def drain(self) -> None:
        """Wait while the server does not read."""
        transport = self._transport
        await asyncio.sleep(0)
        while not transport.is_reading() and not transport.has_ended:
            await transport.activity()

    async def read(self) -> bytes:
        """Wait for bytes."""
        transport = self._transport
        while True:
            transport.drain(transport.get_write_buffer_size())
            if data := transport.since(self._read):
                self._read += len(data)
                return data
            if transport.has_ended:
                return b""
            await transport.activity()

    def leave(self) -> None:
        """End the connection."""
        self._transport.disconnect()

    async def close(self, complete: bool, timeout: float) -> None:
        """End the connection, after the view when all was received."""
        if complete:
            with suppress(TimeoutError):
                await settle(self._transport, timeout=timeout)
        self.leave()
        await self._transport.wait_closed()
        for _ in range(TURNS):  # in which a view that is cancelled ends
            await asyncio.sleep(0)


class LiveWire:
    """A connection through a socket.

    Args:
        reader: What the server sends.
        writer: What goes to the server.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait while the server does not read."""
        await self._writer.drain()

    async def read(self) -> bytes:
        """Wait for bytes."""
        return await self._reader.read(2**16)

    def leave(self) -> None:
        """End the connection."""
        self._writer.close()

    async def close(self, complete: bool, timeout: float) -> None:
        """End the connection."""
        self.leave()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
