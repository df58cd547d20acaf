"""Messages, their positions, and their errors."""

import re
from typing import NamedTuple

RESET = "reset"
"""The event of a message that means that others are missing."""

_POSITION = re.compile(r"([0-9a-z]{1,20})-(0|[1-9][0-9]{0,17})", re.ASCII)


class Message(NamedTuple):
    """A message, as subscribers get it."""

    id: str
    """Its position: pass it as `since` to continue after it."""
    data: str | bytes | None
    """As it was published; None in a reset."""
    event: str | None = None
    """Its kind, if it was published with one; "reset" when messages are missing."""


class Entry(NamedTuple):
    """A message to publish: it has no position yet."""

    data: str | bytes
    event: str | None = None

    @property
    def size(self) -> int:
        """Its bytes, as `history_bytes` counts them."""
        return _length(self.data) + _length(self.event or "")


class Position(NamedTuple):
    """A place in the log of a channel."""

    epoch: str
    """Identifies the log: a new log has another epoch."""
    offset: int
    """How many messages were published in this epoch, up to here."""

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read a position; a malformed one gives `NOWHERE`."""
        found = _POSITION.fullmatch(text)
        return cls(found[1], int(found[2])) if found else NOWHERE


NOWHERE = Position("0", 0)
"""A position in no log: a subscription from there gets a reset."""


class Unavailable(Exception):
    """The back-end cannot be reached, or has not confirmed in time."""


class Lagging(Exception):
    """A subscription with `lag="close"` is behind the history."""


def size_of(message: Message) -> int:
    """Count the bytes of a message, as `history_bytes` does."""
    return Entry(message.data or "", message.event).size


def _length(text: str | bytes) -> int:
    if isinstance(text, bytes) or text.isascii():
        return len(text)
    return len(text.encode())
