"""MemoryBackend: channels of one process."""

import asyncio
import json
import secrets

from .backend import Backend, Deliver, Page
from .logs import Aging, Log
from .messages import Entry, Message, Position
from .options import PRESENCE, Options

MOST = 10_000
"""The most channels, and keys of messages, to keep; followed channels are always
kept."""

TURN = 64
"""Messages to publish before other tasks get a turn."""


class MemoryBackend(Backend):
    """Keeps the logs in memory, for a single process and for tests.

    Args:
        options: How much is kept, and for how long.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options = options or Options()
        self._logs: dict[str, Log] = {}  # the least recently used one is the first
        self._followed: set[str] = set()
        self._keys: dict[str, str] = {}
        self._joins: dict[str, dict[str, str]] = {}
        self._infos: dict[str, dict[str, str]] = {}
        self._aging = Aging(options.ttl)
        self._turn = 0

    async def open(self, deliver: Deliver) -> None:
        """See `Backend.open`."""
        self._deliver = deliver

    async def publish(self, name: str, entry: Entry, key: str) -> str:
        """See `Backend.publish`."""
        if key not in self._keys:
            self._keys[key] = self._append(name, entry)
            if len(self._keys) > MOST:
                del self._keys[next(iter(self._keys))]
            self._turn = (self._turn + 1) % TURN
            if not self._turn:
                await asyncio.sleep(0)
        return self._keys[key]

    def _append(self, name: str, entry: Entry) -> str:
        log = self._log(name)
        before = log.position
        position = str(Position(before.epoch, before.offset + 1))
        messages = [Message(position, *entry)]
        log.extend(messages, self._options)
        self._aging.renew(log)
        if name in self._followed:
            self._deliver(name, before, messages)
        return position

    def _log(self, name: str) -> Log:
        log = self._logs.pop(name, None) or Log(Position(secrets.token_hex(8), 0))
        self._logs[name] = log
        if len(self._logs) > MOST:
            unused = (other for other in self._logs if other not in self._followed)
            if (oldest := next(unused, name)) != name:
                self._aging.drop(self._logs.pop(oldest))
        return log

    async def read(self, name: str, after: int, limit: int) -> Page:
        """See `Backend.read`."""
        log = self._log(name)
        start = max(0, after - log.base)
        return Page(log.position, log.messages[start : start + limit])

    async def follow(self, name: str) -> Position:
        """See `Backend.follow`."""
        self._followed.add(name)
        return self._log(name).position

    def unfollow(self, name: str) -> None:
        """See `Backend.unfollow`."""
        self._followed.discard(name)

    async def join(self, name: str, key: str, member: str, info: str) -> None:
        """See `Backend.join`."""
        joins = self._joins.setdefault(name, {})
        is_new = member not in joins.values()
        joins[key] = member
        self._infos.setdefault(name, {})[member] = info
        if is_new:
            told = f'{{"id":{json.dumps(member)},"info":{info}}}'
            self._append(name + PRESENCE, Entry(told, "join"))

    async def leave(self, name: str, key: str) -> None:
        """See `Backend.leave`."""
        joins = self._joins.get(name, {})
        member = joins.pop(key, None)
        if member is None or member in joins.values():
            return
        del self._infos[name][member]
        if not joins:
            del self._joins[name], self._infos[name]
        told = f'{{"id":{json.dumps(member)}}}'
        self._append(name + PRESENCE, Entry(told, "leave"))

    async def members(self, name: str) -> dict[str, str]:
        """See `Backend.members`."""
        return {**self._infos.get(name, {})}

    async def close(self) -> None:
        """See `Backend.close`."""
        for name, joins in list(self._joins.items()):
            for key in list(joins):
                await self.leave(name, key)
        self._aging.close()
