"""Reads entries of a Redis stream as messages, whatever they contain."""

import re
from collections.abc import Iterator

from roll.logs import logger

from .messages import NOWHERE, RESET, Message, Position

Entries = list[tuple[bytes, list[bytes]]]
"""Ids, each with its fields: a list of names and values in turn."""

_ID = re.compile(rb"([1-9][0-9]{0,17})-0")
_NAMES = [b"epoch", b"before", b"kind", b"event", b"data"]


def runs(
    position: Position, entries: Entries
) -> Iterator[tuple[Position, list[Message]]]:
    """Read entries that follow a position, in runs of messages without a gap.

    A malformed entry becomes a reset if it is the next one; others are skipped.

    Yields:
        The position before the messages, and the messages.
    """
    messages: list[Message] = []
    last = position
    for entry, fields in entries:
        following = Position(last.epoch, last.offset + 1)
        try:
            at, message = _decode(entry, fields)
        except ValueError as error:
            logger.error("Entry %r of a Redis stream is malformed: %s", entry, error)
            if entry != b"%d-0" % following.offset:
                continue
            at, message = following, Message(str(following), None, RESET)
        if at != following:
            if messages:
                yield position, messages
            position, messages = Position(at.epoch, at.offset - 1), []
        messages.append(message)
        last = at
    if messages:
        yield position, messages


def _decode(entry: bytes, fields: list[bytes]) -> tuple[Position, Message]:
    found = _ID.fullmatch(entry)
    if found is None or fields[::2] != _NAMES:
        raise ValueError(f"its fields are {fields[::2]}")
    epoch, _, kind, event, data = fields[1::2]
    position = Position.parse(f"{epoch.decode()}-{int(found[1])}")
    if position == NOWHERE:
        raise ValueError(f"its epoch is {epoch!r}")
    value = data if kind == b"b" else data.decode()
    return position, Message(str(position), value, event.decode() or None)
