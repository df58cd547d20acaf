"""RedisStore: sessions in Redis, or Valkey, for several processes."""

import asyncio
import math
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

from roll.plugins import require_seconds

from .encoding import decode, dump, to_bytes, to_text
from .stores import Store

if TYPE_CHECKING:
    from redis.asyncio import Redis

SAVE = """
if ARGV[1] == "0" and redis.call("EXISTS", KEYS[1]) == 0 then
    return 0
end
for index = 4, 3 + ARGV[3] do
    redis.call("HDEL", KEYS[1], ARGV[index])
end
for index = 4 + ARGV[3], #ARGV, 2 do
    redis.call("HSET", KEYS[1], ARGV[index], ARGV[index + 1])
end
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return 1
"""
"""Its arguments: whether to create, milliseconds, the number of names to remove, these
names, and pairs of names and values to set."""


class RedisStore(Store):
    """Keeps each session as a hash: a field for each of its keys, as JSON.

    Args:
        url_or_client: Such as `"redis://localhost"`; or a `redis.asyncio.Redis`, which
            you close yourself.
        prefix: The prefix of the keys.
        timeout: Seconds that Redis may take for a command.

    Raises:
        ImportError: The library redis is not installed.
        TypeError: An option has another type.
        ValueError: The URL or the timeout is invalid.
    """

    def __init__(
        self,
        url_or_client: "str | Redis",
        *,
        prefix: str = "session:",
        timeout: float = 1.0,
    ) -> None:
        require_seconds("timeout", timeout)
        self._prefix = prefix
        self._timeout = timeout
        self._given = url_or_client
        self._connect()

    def _connect(self) -> None:
        try:
            from redis.asyncio import BlockingConnectionPool, Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError as error:
            raise ImportError(
                "redis is not installed. Run: pip install 'roll-session[redis]'"
            ) from error
        if isinstance(self._given, str):
            pool = BlockingConnectionPool.from_url(
                self._given,
                timeout=self._timeout,
                retry=Retry(NoBackoff(), 1),  # for connections that Redis has closed
            )
            self._client = Redis.from_pool(pool)
        elif isinstance(self._given, Redis):
            self._client = self._given
        else:
            raise TypeError(
                f"RedisStore({self._given!r}): give a URL, such as 'redis://localhost',"
                " or a redis.asyncio.Redis"
            )
        self._script = self._client.register_script(SAVE)

    async def load(self, key: str) -> dict[str, Any] | None:
        """See `Store.load`."""
        from redis.exceptions import ResponseError

        try:
            async with asyncio.timeout(self._timeout):
                fields = await self._client.hgetall(self._prefix + key)
        except ResponseError as error:
            if str(error).startswith("WRONGTYPE"):
                raise ValueError(f"{self._prefix}{key} is not a hash") from error
            raise
        return {
            _read(name): decode(_read(text)) for name, text in fields.items()
        } or None

    async def save(
        self,
        key: str,
        changed: Mapping[str, Any],
        removed: Set[str],
        max_age: float,
        create: bool,
    ) -> bool:
        """See `Store.save`."""
        arguments: list[Any] = [
            *(int(create), math.ceil(max_age * 1000), len(removed)),
            *map(to_bytes, removed),
        ]
        for name, value in changed.items():
            arguments += [to_bytes(name), to_bytes(dump(value))]
        async with asyncio.timeout(self._timeout):
            done = await self._script([self._prefix + key], arguments)
        return bool(done)

    async def delete(self, key: str) -> None:
        """See `Store.delete`."""
        async with asyncio.timeout(self._timeout):
            await self._client.delete(self._prefix + key)

    async def aclose(self) -> None:
        """Close the connections of an own client, which can open new ones."""
        if isinstance(self._given, str):
            client = self._client
            self._connect()
            await client.aclose()


def _read(text: bytes | str) -> str:
    # A client that was passed in may decode replies.
    return to_text(text) if isinstance(text, bytes) else text
