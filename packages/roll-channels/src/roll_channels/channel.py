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
        hub: What the channels of an app share.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __getitem__(self, name: str) -> "Channel":
        """Give a channel; it need not exist.

        Raises:
            TypeError: The name is not a string.
            ValueError: It does not have 1 to 200 printable characters.
        """
        return Channel(self._hub, check_name("channel", name))

    @property
    def connected(self) -> bool:
        """Whether the back-end can be reached, as far as this process knows."""
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
            json: In place of data, a value to encode as `response.json` does.
            event: The kind of message, 1 to 200 printable characters.

        Returns:
            The position of the message.

        Raises:
            Unavailable: After `timeout` seconds, it is not known whether it was added.
            ValueError: It is larger than `max_message`.
        """
        if (data is _MISSING) == (json is _MISSING):
            raise TypeError("publish: give either data or json=")
        if data is _MISSING:
            data = self._hub.app.json_encode(json).decode()
        return await self._hub.publish(self.name, self._entry(data, event))

    def _entry(self, data: str | bytes, event: str | None) -> Entry:
        if not isinstance(data, str | bytes):
            raise TypeError(f"publish({type(data).__name__}): give text or bytes")
        if event is not None and check_name("event", event) == RESET:
            raise ValueError("event 'reset' is reserved for missing messages")
        entry = Entry(data, event)
        if entry.size > self._hub.options.max_message:
            raise ValueError(
                f"the message has {entry.size} bytes: max_message is "
                f"{self._hub.options.max_message}"
            )
        return entry

    def subscribe(
        self, since: str | None = None, *, lag: Literal["reset", "close"] = "reset"
    ) -> Subscription:
        """Give the messages after a position, then new ones.

        Args:
            since: The id of a message; None for what is published from now on. When
                messages after it are missing, the first one has the event "reset".
            lag: What a subscription that falls behind the history gets: a reset, too,
                or with "close" the exception Lagging.
        """
        if lag not in ("reset", "close"):
            raise ValueError(f"lag={lag!r}: give 'reset' or 'close'")
        return Subscription(self._hub, self.name, since, lag)

    async def poll(
        self, since: str | None = None, timeout: float = 25.0, limit: int = 100
    ) -> list[Message]:
        """Give the messages after a position; wait if there are none.

        Args:
            since: As in `subscribe`.
            timeout: Seconds to wait at most.
            limit: The most messages to give.

        Returns:
            The messages; an empty list after the timeout, or when the app shuts down.
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
            member: Its id; the member leaves when its last join ends.
            info: What `members` gives for it: any JSON value.

        Raises:
            Unavailable: After `timeout` seconds, it is not known whether it has joined.
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
        """Give the members, and the info of each one's last join.

        Raises:
            Unavailable: They cannot be read within `timeout` seconds.
        """
        found = await self._hub.backend.members(self.name)
        return {member: jsontext.loads(info) for member, info in found.items()}
