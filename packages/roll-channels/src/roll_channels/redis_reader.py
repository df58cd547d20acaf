"""Reader: the connection that waits for messages on all channels that are followed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from .backend import Deliver
from .messages import Position
from .redis_link import Backoff, Link
from .streams import Entries, runs

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

BLOCK = 5.0
"""Seconds that one command waits for messages, and between two checks."""

COUNT = 100
"""Messages of a channel that are read at once."""

Check = Callable[[dict[str, Position]], Awaitable[list[tuple[str, Position]]]]
"""Gives the channels whose epoch has changed, with their new positions."""


class Reader:
    """Delivers what is published on the channels that are followed.

    Args:
        link: The way to Redis.
        prefix: What the key of a channel's stream begins with.
        deliver: Takes the messages.
        check: Finds the epochs that have changed.
    """

    def __init__(self, link: Link, prefix: str, deliver: Deliver, check: Check) -> None:
        self._link = link
        self._prefix = prefix.encode()
        self._deliver = deliver
        self._check = check
        self._positions: dict[str, Position] = {}
        # Ids by key, packed once for many commands. The first stream never exists: a
        # command needs one to wait for.
        self._ids = {self._prefix: _pack(b"0")}
        self._keys = b""
        self._id: int | None = None  # of the connection
        self._version = 0  # of what is followed
        self._waits_for = -1  # the version
        self._interrupting: asyncio.Task[None] | None = None

    def add(self, name: str, position: Position) -> None:
        """Deliver the messages after a position."""
        self._move(name, position)
        self._version += 1
        if self._interrupting is None or self._interrupting.done():
            self._interrupting = asyncio.create_task(self._interrupt())

    def discard(self, name: str) -> None:
        """Stop delivering messages of a channel."""
        if self._positions.pop(name, None):
            del self._ids[self._prefix + name.encode()]
            self._version += 1

    def _move(self, name: str, position: Position) -> None:
        self._positions[name] = position
        key = self._prefix + name.encode()
        self._ids[key] = _pack(b"%d-0" % position.offset)

    async def _interrupt(self) -> None:
        """End the command that waits, so that the next one has all channels."""
        while self._id is not None and self._waits_for != self._version:
            with suppress(Exception):  # the reader notices when Redis is gone
                await self._link.client.execute_command("CLIENT", "UNBLOCK", self._id)
            await asyncio.sleep(0.001)

    async def run(self) -> None:
        """Read forever, on one connection after the other."""
        backoff = Backoff()
        try:
            while True:
                try:
                    async with self._connect() as connection:
                        await self._read_on(connection, backoff)
                except Exception as error:
                    await self._link.lost(error)
                await backoff.wait()
        finally:
            if self._interrupting is not None:
                self._interrupting.cancel()
                await asyncio.wait([self._interrupting])

    @asynccontextmanager
    async def _connect(self) -> "AsyncIterator[AbstractConnection]":
        # Not from the pool: nobody else can use it while it waits, or after a
        # cancellation.
        connection = self._link.client.connection_pool.make_connection()
        try:
            async with asyncio.timeout(self._link.timeout):
                await connection.connect()
                await connection.send_command("CLIENT", "ID")
                self._id = int(await connection.read_response())
            yield connection
        finally:
            self._id = None
            await connection.disconnect(nowait=True)

    async def _read_on(
        self, connection: "AbstractConnection", backoff: Backoff
    ) -> None:
        loop = asyncio.get_running_loop()
        due = 0.0
        while True:
            if loop.time() >= due:
                await self._look()
                self._link.back()
                due = loop.time() + BLOCK
            await self._read(connection)
            backoff.reset()

    async def _look(self) -> None:
        known = {**self._positions}
        for name, position in await self._check(known):
            # Unless it was left and followed again meanwhile.
            if self._positions.get(name) is known[name]:
                self._move(name, position)
                self._deliver(name, position, [])

    async def _read(self, connection: "AbstractConnection") -> None:
        limit = BLOCK + self._link.timeout
        async with asyncio.timeout(limit):
            await connection.send_packed_command(self._command(), check_health=False)
            # Its own timeout would give None, as if there were no messages.
            reply = await connection.read_response(
                disable_decoding=True, timeout=2 * limit
            )
        pairs: Any = reply.items() if isinstance(reply, dict) else reply or ()
        for key, entries in pairs:
            self._take(key.removeprefix(self._prefix).decode(), entries)

    def _command(self) -> bytes:
        if self._waits_for != self._version:
            self._keys = b"".join(map(_pack, self._ids))
        self._waits_for = self._version
        words = [b"XREAD", b"COUNT", b"%d" % COUNT, b"BLOCK", b"%d" % (BLOCK * 1000)]
        return b"".join(
            [
                b"*%d\r\n" % (len(words) + 1 + 2 * len(self._ids)),
                *map(_pack, [*words, b"STREAMS"]),
                self._keys,
                *self._ids.values(),
            ]
        )

    def _take(self, name: str, entries: Entries) -> None:
        position = self._positions.get(name)
        if position is None:
            return  # nobody follows it any more
        for before, messages in runs(position, entries):
            position = Position(before.epoch, before.offset + len(messages))
            self._move(name, position)
            self._deliver(name, before, messages)
        self._ids[self._prefix + name.encode()] = _pack(entries[-1][0])


def _pack(word: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(word), word)
