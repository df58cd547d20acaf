"""Messages, the positions that they have, and what may go wrong with them."""

import re
from typing import NamedTuple

RESET = "reset"
"""The event of a message that says that others are missing."""

_POSITION = re.compile(r"([0-9a-z]{1,20})-(0|[1-9][0-9]{0,17})", re.ASCII)


class Message(NamedTuple):
    """A message, as subscribers get it."""

    id: str
    """Its position: what `since` takes to go on after it."""
    data: str | bytes | None
    """As it was published; None in a reset."""
    event: str | None = None
    """Its kind, if it was published with one; "reset" when messages are missing."""


class Entry(NamedTuple):
    """What is published: a message that has no position yet."""

    data: str | bytes
    event: str | None = None

    @property
    def size(self) -> int:
        """The bytes that count for `history_bytes`."""
        return _length(self.data) + _length(self.event or "")


class Position(NamedTuple):
    """A place in the log of a channel."""

    epoch: str
    """Names the log: another one has begun when it changes."""
    offset: int
    """How many messages were published in this epoch, up to here."""

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read a position; what is malformed gives `NOWHERE`."""
        found = _POSITION.fullmatch(text)
        return cls(found[1], int(found[2])) if found else NOWHERE


NOWHERE = Position("0", 0)
"""A position of no log: whoever goes on from there gets a reset."""


class Unavailable(Exception):
    """Whether something was published, or somebody has joined, is not known."""


class Lagging(Exception):
    """A subscription with `lag="close"` is behind the history."""


def size_of(message: Message) -> int:
    """Count the bytes that a message takes of `history_bytes`."""
    return Entry(message.data or "", message.event).size


def _length(text: str | bytes) -> int:
    if isinstance(text, bytes) or text.isascii():
        return len(text)
    return len(text.encode())
