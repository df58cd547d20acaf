"""Channels and Channel: what applications publish and subscribe with."""

import asyncio
import json as jsontext
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from roll.plugins import require_seconds

from .hub import Hub
from .messages import RESET, Entry, Message
from .options import PRESENCE, check_name
from .subscription import Subscription

_MISSING: Final[Any] = object()


class Channels:
    """The channels of an app, by name: `app["channels"]["news"]`.

    Args:
        hub: What they share.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __getitem__(self, name: str) -> "Channel":
        """Give a channel; it need not exist.

        Raises:
            TypeError: The name is not a text.
            ValueError: It has not 1 to 200 printable characters.
        """
        return Channel(self._hub, check_name("channel", name))

    @property
    def connected(self) -> bool:
        """Whether the back-end can be reached, as far as is known."""
        return self._hub.connected


class Channel:
    """A log of messages: publish adds to it, and subscriptions read it.

    Args:
        hub: What the channels of an app share.
        name: Its name.
    """

    __slots__ = ("_hub", "name")

    def __init__(self, hub: Hub, name: str) -> None:
        self._hub = hub
        self.name = name
        """Its name."""

    async def publish(
        self,
        data: str | bytes = _MISSING,
        *,
        json: Any = _MISSING,
        event: str | None = None,
    ) -> str:
        """Add a message, and wait until the back-end has it.

        Args:
            data: What subscribers get.
            json: The same as `response.json` would write it, in place of data.
            event: A kind of message, 1 to 200 printable characters.

        Returns:
            The position of the message.

        Raises:
            Unavailable: Whether it was added is not known after `timeout` seconds.
            ValueError: It is larger than `max_message`.
        """
        if (data is _MISSING) == (json is _MISSING):
            raise TypeError("publish: give it data, or json=: one of them")
        if data is _MISSING:
            data = self._hub.app.json_encode(json).decode()
        return await self._hub.publish(self.name, self._entry(data, event))

    def _entry(self, data: str | bytes, event: str | None) -> Entry:
        if not isinstance(data, str | bytes):
            raise TypeError(f"publish({type(data).__name__}): give text or bytes")
        if event is not None and check_name("event", event) == RESET:
            raise ValueError("event 'reset': it says that messages are missing")
        entry = Entry(data, event)
        if entry.size > self._hub.options.max_message:
            raise ValueError(
                f"a message of {entry.size} bytes: max_message is "
                f"{self._hub.options.max_message}"
            )
        return entry

    def subscribe(
        self, since: str | None = None, *, lag: Literal["reset", "close"] = "reset"
    ) -> Subscription:
        """Give the messages after a position, then those that are published.

        Args:
            since: The id of a message; None for what is published from now on. When
                messages after it are missing, the first one has the event "reset".
            lag: What a subscription gets that is behind the history: a reset, too, or
                with "close" the exception Lagging.
        """
        if lag not in ("reset", "close"):
            raise ValueError(f"lag={lag!r}: give 'reset' or 'close'")
        return Subscription(self._hub, self.name, since, lag)

    async def poll(
        self, since: str | None = None, timeout: float = 25.0, limit: int = 100
    ) -> list[Message]:
        """Give the messages after a position; wait when there is none.

        Args:
            since: As in `subscribe`.
            timeout: Seconds to wait at most.
            limit: How many messages at most.

        Returns:
            The messages; none when the time is over, or the app shuts down.
        """
        require_seconds("timeout", timeout)
        messages: list[Message] = []
        try:
            async with asyncio.timeout(timeout), self.subscribe(since) as subscription:
                async for message in subscription:
                    messages.append(message)
                    while len(messages) < limit and (more := subscription.take()):
                        messages.append(more)
                    break
        except TimeoutError:
            pass
        return messages

    @asynccontextmanager
    async def join(self, member: str, info: Any = None) -> AsyncIterator[None]:
        """Be a member of the channel, in an `async with`.

        Args:
            member: Its id; it leaves when all that have joined with it have left.
            info: What `members` tells of it: any JSON.

        Raises:
            Unavailable: Whether it has joined is not known after `timeout` seconds.
        """
        check_name("channel", self.name + PRESENCE)
        check_name("member", member)
        text = self._hub.app.json_encode(info).decode()
        self._entry(member + text, None)
        backend, key = self._hub.backend, secrets.token_hex(8)
        await backend.join(self.name, key, member, text)
        try:
            yield
        finally:
            await backend.leave(self.name, key)

    async def members(self) -> dict[str, Any]:
        """Give the members, and the info that each gave when it joined last.

        Raises:
            Unavailable: They cannot be read within `timeout` seconds.
        """
        found = await self._hub.backend.members(self.name)
        return {member: jsontext.loads(info) for member, info in found.items()}
