"""Link: the connections to Redis, and what happens while they are lost."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from roll.logs import logger

from .messages import Unavailable
from .scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

T = TypeVar("T")

CONNECTIONS = 16
"""Connections of a process, besides the one that waits for messages."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between attempts to connect: each pause is twice the one before."""


class Backoff:
    """The pauses between attempts: none, then longer and longer ones."""

    def __init__(self) -> None:
        self._pause = 0.0

    def reset(self) -> None:
        """Start again without a pause."""
        self._pause = 0.0

    async def wait(self) -> None:
        """Wait until the next attempt."""
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(max(FIRST_PAUSE, 2 * self._pause), LONGEST_PAUSE)


class Link:
    """Connections to Redis, and whether there are any.

    Args:
        given: An address, or a `redis.asyncio.Redis`.
        timeout: Seconds that a command may take.

    Raises:
        ImportError: The library redis is not installed.
        TypeError: It is neither.
        ValueError: It is not an address.
    """

    def __init__(self, given: "str | Redis", timeout: float) -> None:
        self._given = given
        self.timeout = timeout
        self.error: Exception | None = None
        """What went wrong last."""
        self.open()

    def open(self) -> None:
        """Make a client; it connects when it is used."""
        self.online = asyncio.Event()  # set while there is a connection
        self._lost_at: float | None = None
        try:
            from redis import exceptions
            from redis.asyncio import BlockingConnectionPool, Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError as error:
            raise ImportError(
                "redis is not installed. Run: pip install 'roll-channels[redis]'"
            ) from error
        self._error = exceptions.RedisError
        self._passing = (
            *(exceptions.ConnectionError, exceptions.TimeoutError, OSError),
            *(exceptions.ReadOnlyError, exceptions.MasterDownError),
        )
        self._unknown = exceptions.NoScriptError
        if isinstance(self._given, Redis):
            self.client: Any = self._given  # much of it has no annotations
        elif isinstance(self._given, str):
            try:
                pool = BlockingConnectionPool.from_url(
                    self._given,
                    max_connections=CONNECTIONS,
                    timeout=self.timeout,
                    socket_timeout=None,  # `call` has one
                    socket_connect_timeout=self.timeout,
                    retry=Retry(NoBackoff(), 0),  # `insist` tries again
                )
            except ValueError:
                # Its text may contain a part of the password.
                raise ValueError(
                    "channels: the address is neither 'memory' nor one of Redis, such "
                    "as 'redis://localhost', 'rediss://host:6379/0' or 'unix:///path'; "
                    "in a password, write / as %2F"
                ) from None
            self.client = Redis.from_pool(pool)
        else:
            raise TypeError(
                f"RedisBackend({type(self._given).__name__}): give an address, such as "
                "'redis://localhost', or a redis.asyncio.Redis"
            )

    async def close(self) -> None:
        """Close the connections, unless the client was given."""
        self.online.clear()
        if isinstance(self._given, str):
            await self.client.aclose()

    @property
    def address(self) -> str:
        """Where Redis is, without a password."""
        settings = self.client.connection_pool.connection_kwargs
        if "path" in settings:
            return f"unix://{settings['path']}"
        host = f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
        return f"redis://{host}/{settings.get('db') or 0}"

    @property
    def reason(self) -> str:
        """What went wrong last; the error of a timeout has no text."""
        return str(self.error or "") or "no response"

    # Commands

    async def call(
        self, script: Script, keys: Iterable[str], arguments: Iterable[Any]
    ) -> Any:
        """Run a script once, and give its result without decoding it."""
        keys = [*keys]
        rest = (len(keys), *keys, *arguments)
        run = self.client.execute_command
        async with asyncio.timeout(self.timeout):
            try:
                return await run("EVALSHA", script.digest, *rest, NEVER_DECODE=True)
            except self._unknown:
                return await run("EVAL", script.text, *rest, NEVER_DECODE=True)

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call something until it succeeds."""
        backoff = Backoff()
        while True:
            try:
                return await call()
            except self._passing as error:
                self.error = error
            await backoff.wait()

    async def confirm(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call something, again if it fails.

        Raises:
            Unavailable: It was not done within the timeout, or Redis refused.
        """
        try:
            async with asyncio.timeout(self.timeout):
                return await self.insist(call)
        except TimeoutError as error:
            raise Unavailable(
                f"{what}: Redis at {self.address} did not confirm it within "
                f"{self.timeout:g} s; the outcome is not known"
            ) from error
        except self._error as error:
            raise Unavailable(f"{what}: Redis at {self.address}: {error}") from error

    # What the reader reports

    async def lost(self, error: Exception) -> None:
        """Log that the connection is lost."""
        self.error = error
        with suppress(Exception):
            # Idle connections may hang, too.
            await self.client.connection_pool.disconnect(inuse_connections=False)
        if self.online.is_set():
            self.online.clear()
            self._lost_at = asyncio.get_running_loop().time()
            logger.warning(
                "The connection to Redis at %s is lost; channels wait for it: %s",
                self.address,
                self.reason,
            )

    def back(self) -> None:
        """Log that the connection is back."""
        self.online.set()
        if self._lost_at is not None:
            seconds = asyncio.get_running_loop().time() - self._lost_at
            self._lost_at = None
            logger.warning(
                "The connection to Redis at %s is back after %.1f s",
                self.address,
                seconds,
            )
