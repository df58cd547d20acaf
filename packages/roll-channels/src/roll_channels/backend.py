"""Backend: keeps the logs of channels, and passes on what is published."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from .messages import Entry, Message, Position


class Page(NamedTuple):
    """A part of the history of a channel."""

    position: Position
    """The position of the last message published, kept or not."""
    messages: list[Message]
    """The oldest of the messages asked for, without a gap between them."""


Deliver = Callable[[str, Position, list[Message]], None]
"""Takes messages of a followed channel, and the position before the first one.

Without messages, it is the channel's current position. A position that does not
continue from the last one means a gap, or another epoch.
"""


class Backend(ABC):
    """Keeps the log of each channel, assigns offsets, and knows the members.

    A channel begins, when it is first used, with a random epoch and the offset 0.
    `roll_channels.testing` has the tests that every back-end passes.
    """

    @property
    def connected(self) -> bool:
        """Whether it can be reached, as far as this process knows."""
        return True

    @abstractmethod
    async def open(self, deliver: Deliver) -> None:
        """Connect.

        Args:
            deliver: Called with the messages of the channels that are followed.

        Raises:
            Unavailable: It cannot be reached.
        """

    @abstractmethod
    async def publish(self, name: str, entry: Entry, key: str) -> str:
        """Append a message to the log of a channel.

        Args:
            name: The channel.
            entry: The message.
            key: Random; publishing with it again adds nothing, and gives the first
                position.

        Returns:
            The position.

        Raises:
            Unavailable: It is not known whether it was added.
        """

    @abstractmethod
    async def read(self, name: str, after: int, limit: int) -> Page:
        """Read messages that are kept; wait until that is possible.

        Args:
            name: The channel.
            after: The offset that comes before them.
            limit: The most messages to read.
        """

    @abstractmethod
    async def follow(self, name: str) -> Position:
        """Deliver new messages from now on; wait until that is possible.

        Returns:
            The position after which messages are delivered.
        """

    @abstractmethod
    def unfollow(self, name: str) -> None:
        """Stop delivering messages of a channel."""

    @abstractmethod
    async def join(self, name: str, key: str, member: str, info: str) -> None:
        """Add a member; if it is new, publish that on the presence channel.

        Args:
            name: The channel.
            key: Random, of 16 characters; identifies this join of the member.
            member: Its id.
            info: What `members` gives for it, as JSON.

        Raises:
            Unavailable: It is not known whether it was added.
        """

    @abstractmethod
    async def leave(self, name: str, key: str) -> None:
        """End a join; publish it if it was the member's last one."""

    @abstractmethod
    async def members(self, name: str) -> dict[str, str]:
        """Give all members with their info.

        Raises:
            Unavailable: They cannot be read.
        """

    @abstractmethod
    async def close(self) -> None:
        """Undo `open`, even if that failed; the members of this process leave."""
