"""Wire: one connection as a client uses it, in memory or through a socket."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Protocol

from .raw import TURNS, settle
from .transport import Transport

RESET = struct.pack("ii", 1, 0)
"""Linger for no time: `close` then sends a reset."""


class Wire(Protocol):
    """One connection to a server."""

    def write(self, data: bytes) -> None:
        """Send bytes, without waiting until the server reads them."""

    async def drain(self) -> bool:
        """Wait while the server does not read.

        Returns:
            Whether the server may still read; False once the connection has ended.
        """

    async def read(self) -> bytes:
        """Wait for bytes; empty once the server has ended its side."""

    def leave(self) -> None:
        """Leave at once, without waiting until the server notices."""

    async def close(self, complete: bool, timeout: float) -> None:
        """End the connection, and wait until the server notices.

        Args:
            complete: Whether the server has sent everything, so that its view may run
                to its end; otherwise the client leaves at once.
            timeout: Seconds to wait for that end.
        """


class MemoryWire:
    """A connection in memory; unread data waits in the buffer of the server.

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

    async def drain(self) -> bool:
        """Wait while the server does not read, at least for one round of the loop."""
        transport = self._transport
        await asyncio.sleep(0)
        while not transport.is_reading() and not transport.has_ended:
            await transport.activity()
        return not transport.has_ended

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
        """End the connection, after the view if everything was received."""
        if complete:
            with suppress(TimeoutError):
                await settle(self._transport, timeout=timeout)
        self.leave()
        await self._transport.wait_closed()
        for _ in range(TURNS):  # a cancelled view ends in these
            await asyncio.sleep(0)


class LiveWire:
    """A connection through a socket.

    Args:
        reader: The data from the server.
        writer: The data to the server.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)

    async def drain(self) -> bool:
        """Wait while the server does not read."""
        try:
            await self._writer.drain()
        except ConnectionError:
            return False
        return True

    async def read(self) -> bytes:
        """Wait for bytes."""
        return await self._reader.read(2**16)

    def leave(self) -> None:
        """Reset the connection: if it only ended its side, the server would respond."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._writer.transport.abort()

    async def close(self, complete: bool, timeout: float) -> None:
        """End the connection."""
        if complete:
            self._writer.close()
        elif not self._writer.is_closing():
            self.leave()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
