"""RedisBackend: channels of several processes, on Redis or Valkey."""

import asyncio
import json
import math
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from .backend import Backend, Deliver, Page
from .messages import Entry, Position, Unavailable
from .options import PRESENCE, Options
from .redis_link import Link
from .redis_reader import Reader
from .scripts import CHECK, JOIN, LEAVE, MEMBERS, PUBLISH, READ, Script
from .streams import runs

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

WINDOW = 60.0
"""Seconds for which the key of a message is remembered."""

DAY = 86400.0
"""Seconds for which a channel keeps its epoch when its history is forgotten."""

LEASE = 60.0
"""Seconds after which a member leaves if its process does not renew its lease."""

BATCH = 500
"""Channels or joins in one call of a script: Redis does nothing else meanwhile."""


class RedisBackend(Backend):
    """Keeps the logs in Redis, for any number of processes.

    Args:
        address: Such as "redis://localhost"; or a `redis.asyncio.Redis`, which you
            close yourself.
        options: How much is kept, and for how long.

    Raises:
        ImportError: The library redis is not installed.
        TypeError: The address is neither.
        ValueError: It is not an address.
    """

    def __init__(self, address: "str | Redis", options: Options | None = None) -> None:
        self._options = options = options or Options()
        self._link = Link(address, options.timeout)
        self._joins: dict[str, dict[str, tuple[str, str]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def connected(self) -> bool:
        """Whether Redis can be reached, as far as this process knows."""
        return self._link.online.is_set()

    async def open(self, deliver: Deliver) -> None:
        """See `Backend.open`."""
        self._link.open()
        self._reader = Reader(self._link, self._key("s", ""), deliver, self._check)
        self._tasks = [asyncio.create_task(self._reader.run())]
        try:
            async with asyncio.timeout(self._link.timeout):
                await self._link.online.wait()
        except TimeoutError:
            raise Unavailable(
                f"channels: Redis at {self._link.address} cannot be reached within "
                f"{self._link.timeout:g} s: {self._link.reason}"
            ) from self._link.error
        self._tasks.append(asyncio.create_task(self._renew()))

    async def close(self) -> None:
        """See `Backend.close`."""
        for task in self._tasks:
            # In Python 3.11, `asyncio.wait_for` may lose a cancellation, and a client
            # that was passed in may use it.
            while not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=0.1)
        if self.connected:
            for name, joins in list(self._joins.items()):
                for key in list(joins):
                    await self.leave(name, key)
        await self._link.close()

    # Keys and arguments of the scripts

    def _key(self, kind: str, name: str) -> str:
        return f"{{{self._options.prefix}}}:{kind}:{name}"

    def _log_keys(self, name: str) -> list[str]:
        return [self._key("m", name), self._key("s", name)]

    def _presence_keys(self, name: str) -> list[str]:
        own = [self._key(kind, name) for kind in ("leases", "joins", "infos")]
        return own + self._log_keys(name + PRESENCE)

    async def _call(
        self, script: Script, keys: Iterable[str], arguments: Iterable[Any]
    ) -> Any:
        options, ttl = self._options, self._options.ttl
        lives = [0, 0] if ttl is None else map(_milliseconds, (ttl, ttl + DAY))
        first = (secrets.token_hex(8), options.history, options.history_bytes, *lives)
        return await self._link.call(script, keys, (*first, *arguments))

    # Logs

    async def publish(self, name: str, entry: Entry, key: str) -> str:
        """See `Backend.publish`."""
        kind = "s" if isinstance(entry.data, str) else "b"
        keys = [*self._log_keys(name), self._key("k", key)]
        arguments = (_milliseconds(WINDOW), kind, entry.event or "", entry.data)
        position = await self._link.confirm(
            f"publish on {name!r}", lambda: self._call(PUBLISH, keys, arguments)
        )
        return str(position, "ascii")

    async def read(self, name: str, after: int, limit: int) -> Page:
        """See `Backend.read`."""
        keys = self._log_keys(name)
        epoch, offset, *entries = await self._link.insist(
            lambda: self._call(READ, keys, (after, limit))
        )
        position = Position(epoch.decode(), int(offset))
        found = runs(Position(position.epoch, after), entries[0] if limit else [])
        return Page(position, next(found, (position, []))[1])

    async def follow(self, name: str) -> Position:
        """See `Backend.follow`."""
        position = (await self.read(name, 0, 0)).position
        self._reader.add(name, position)
        return position

    def unfollow(self, name: str) -> None:
        """See `Backend.unfollow`."""
        self._reader.discard(name)

    async def _check(self, known: dict[str, Position]) -> list[tuple[str, Position]]:
        found = []
        for names in _batches(known):
            keys = [key for name in names for key in self._log_keys(name)]
            positions = [part for name in names for part in known[name]]
            for index, epoch, offset in await self._call(CHECK, keys, positions):
                position = Position(epoch.decode(), int(offset))
                found.append((names[index // 2], position))
        for name in known:
            if name.endswith(PRESENCE):
                keys = self._presence_keys(name.removesuffix(PRESENCE))
                await self._call(LEAVE, keys, ())
        return found

    # Presence

    async def join(self, name: str, key: str, member: str, info: str) -> None:
        """See `Backend.join`."""
        token = key + json.dumps(member)
        await self._lease(name, [(token, info)])
        self._joins.setdefault(name, {})[key] = token, info

    async def _lease(self, name: str, joins: Iterable[tuple[str, str]]) -> None:
        keys = self._presence_keys(name)
        arguments = (_milliseconds(LEASE), *(part for join in joins for part in join))
        await self._link.confirm(
            f"join {name!r}", lambda: self._call(JOIN, keys, arguments)
        )

    async def leave(self, name: str, key: str) -> None:
        """See `Backend.leave`."""
        joins = self._joins.get(name, {})
        token, _ = joins.pop(key, ("", ""))
        if not joins:
            self._joins.pop(name, None)
        if token:
            keys = self._presence_keys(name)
            with suppress(Unavailable):  # its lease ends
                await self._link.confirm(
                    f"leave {name!r}", lambda: self._call(LEAVE, keys, (token,))
                )

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            for name, joins in list(self._joins.items()):
                for some in _batches(joins.values()):
                    with suppress(Unavailable):  # the reader logs it
                        await self._lease(name, some)

    async def members(self, name: str) -> dict[str, str]:
        """See `Backend.members`."""
        keys = self._presence_keys(name)
        found = await self._link.confirm(
            f"members of {name!r}", lambda: self._call(MEMBERS, keys, ())
        )
        pairs = zip(found[::2], found[1::2], strict=True)
        return {json.loads(member): info.decode() for member, info in pairs}


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    found = [*items]
    for start in range(0, len(found), BATCH):
        yield found[start : start + BATCH]
