"""Entries of a stream of Redis, read as messages: whatever is in them is data."""

import re
from collections.abc import Iterator

from roll.logs import logger

from .messages import NOWHERE, RESET, Message, Position

Entries = list[tuple[bytes, list[bytes]]]
"""Ids, each with its fields: names and values in turns."""

_ID = re.compile(rb"([1-9][0-9]{0,17})-0")
_NAMES = [b"epoch", b"before", b"kind", b"event", b"data"]


def decode(
    epoch: str, entry: bytes, fields: list[bytes]
) -> tuple[Position, Message] | None:
    """Read an entry.

    Args:
        epoch: That of the channel, for a message that is malformed.
        entry: The id.
        fields: Names and values.

    Returns:
        The message, a reset in place of a malformed one; None if the id is not ours.
    """
    found = _ID.fullmatch(entry)
    if found is None:
        logger.error("An entry in a stream of Redis is skipped: its id is %r", entry)
        return None
    position = Position(epoch, int(found[1]))
    try:
        if fields[::2] != _NAMES:
            raise ValueError(f"its fields are {fields[::2]}")
        position, message = _read(position.offset, fields)
    except ValueError as error:
        logger.error("Message %s of a channel is malformed: %s", position, error)
        message = Message(str(position), None, RESET)
    return position, message


def _read(offset: int, fields: list[bytes]) -> tuple[Position, Message]:
    epoch, _, kind, event, data = fields[1::2]
    text = f"{epoch.decode()}-{offset}"
    position = Position.parse(text)
    if position == NOWHERE:
        raise ValueError(f"its epoch is {epoch!r}")
    value = data if kind == b"b" else data.decode()
    return position, Message(text, value, event.decode() or None)


def runs(
    position: Position, entries: Entries
) -> Iterator[tuple[Position, list[Message]]]:
    """Read entries that follow a position, in runs of messages without a gap.

    Yields:
        The position before the messages, and the messages.
    """
    messages: list[Message] = []
    last = position
    for entry, fields in entries:
        found = decode(last.epoch, entry, fields)
        if found is None:
            continue
        at, message = found
        if at != (last.epoch, last.offset + 1):
            if messages:
                yield position, messages
            position, messages = Position(at.epoch, at.offset - 1), []
        messages.append(message)
        last = at
    if messages:
        yield position, messages
