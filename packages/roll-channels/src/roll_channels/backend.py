"""Backend: where the logs of channels are kept, and who publishes to whom."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from .messages import Entry, Message, Position


class Page(NamedTuple):
    """A part of the history of a channel."""

    position: Position
    """That of the last message published, whether it is kept or not."""
    messages: list[Message]
    """The oldest of those that were asked for, without a gap between them."""


Deliver = Callable[[str, Position, list[Message]], None]
"""Takes messages of a channel that is followed, and the position before the first one.

Without messages, it says where the channel is now. A position that does not go on from
the last one says that there is a gap, or another epoch.
"""


class Backend(ABC):
    """Keeps the log of each channel, gives offsets, and tells who is there.

    A channel begins, when it is first asked for, with a random epoch and the offset 0.
    `roll_channels.testing` has the tests that every back-end passes.
    """

    @property
    def connected(self) -> bool:
        """Whether it can be reached, as far as is known."""
        return True

    @abstractmethod
    async def open(self, deliver: Deliver) -> None:
        """Connect.

        Args:
            deliver: Called with what is published on the channels that are followed.

        Raises:
            Unavailable: It cannot be reached.
        """

    @abstractmethod
    async def publish(self, name: str, entry: Entry, key: str) -> str:
        """Append a message to the log of a channel.

        Args:
            name: The channel.
            entry: The message.
            key: Random; the same one again gives the first position, and adds nothing.

        Returns:
            The position.

        Raises:
            Unavailable: It is not known whether it was added.
        """

    @abstractmethod
    async def read(self, name: str, after: int, limit: int) -> Page:
        """Read messages that are kept; waits until that is possible.

        Args:
            name: The channel.
            after: The offset that comes before them.
            limit: How many at most.
        """

    @abstractmethod
    async def follow(self, name: str) -> Position:
        """Deliver what is published from now on; waits until that is possible.

        Returns:
            The position after which messages are delivered.
        """

    @abstractmethod
    def unfollow(self, name: str) -> None:
        """Deliver no more of a channel."""

    @abstractmethod
    async def join(self, name: str, key: str, member: str, info: str) -> None:
        """Add a member, and tell so on the channel for presence if it is new.

        Args:
            name: The channel.
            key: Random, of 16 characters: names this one of the member's joins.
            member: Its id.
            info: What `members` gives, a JSON text.

        Raises:
            Unavailable: It is not known whether it was added.
        """

    @abstractmethod
    async def leave(self, name: str, key: str) -> None:
        """End a join; the last one of a member tells so."""

    @abstractmethod
    async def members(self, name: str) -> dict[str, str]:
        """Give all members with their info.

        Raises:
            Unavailable: They cannot be read.
        """

    @abstractmethod
    async def close(self) -> None:
        """End what `open` began, also when that failed; own members leave."""
