"""Events, and how they are sent (HTML standard, section 9.2)."""

import math
from typing import Any, NamedTuple

LARGEST = 2**20
"""Bytes of the largest event, encoded: clients hold each one in memory."""


class Event(NamedTuple):
    """One event of a stream; each field may be left out."""

    data: str | bytes | None = None
    """Text of any number of lines, or UTF-8. With None, clients get nothing, or empty
    data if there is a type."""
    event: str | None = None
    """The type; without one, it is `"message"` for clients."""
    id: str | None = None
    """The client's `Last-Event-ID` when it reconnects; `""` for none."""
    retry: float | None = None
    """Seconds after the end of the stream until the client reconnects."""
    comment: str | None = None
    """Text that clients ignore."""


class Published(Event):
    """An event that is encoded only once, for all streams.

    Raises:
        TypeError: As for `encode`.
        ValueError: As for `encode`.
    """

    encoded: bytes

    def __new__(cls, data: str | bytes, event: str | None, id: str) -> "Published":
        """Encode it."""
        self = super().__new__(cls, data, event, id)
        self.encoded = encode(Event(*self))
        return self


def encode(event: Event | str | bytes) -> bytes:
    """Write an event as a block of lines; the last one is empty.

    Args:
        event: Text or UTF-8, which is the data of an event; or an `Event`, or any
            object that has its first three fields.

    Raises:
        TypeError: It, or one of its fields, has another type.
        ValueError: Its type or its id has a line end, the id has a NUL, bytes are not
            UTF-8, *retry* is below 0 or not finite, or the event is larger than 1 MiB.
    """
    if isinstance(event, Published):
        return event.encoded
    if isinstance(event, (str, bytes)):
        text = _lines("data: ", event)
    else:
        text = _fields(event)
    block = f"{text}\n".encode()
    if len(block) > LARGEST:
        raise ValueError(f"an event has {len(block)} bytes: send at most {LARGEST}")
    return block


def _fields(event: Any) -> str:
    try:
        data, name, id = event.data, event.event, event.id
    except AttributeError:
        raise TypeError(
            f"an event cannot be of type {type(event).__name__}: "
            "give a roll_sse.Event, text or bytes, such as json.dumps(...)"
        ) from None
    # Objects of other packages need not have these.
    retry, comment = getattr(event, "retry", None), getattr(event, "comment", None)
    text = ""
    if comment is not None:
        text += _lines(": ", comment)
    if retry is not None:
        text += f"retry: {milliseconds('retry', retry)}\n"
    if name is not None:
        text += _line("event", name, "\r\n")
    if id is not None:
        text += _line("id", id, "\r\n\0")  # a client ignores an id with a NUL
    if data is None and name:
        data = ""  # clients drop an event without data, whatever its type
    if data is not None:
        text += _lines("data: ", data)
    return text


def _lines(start: str, text: str | bytes) -> str:
    """Begin each line with *start*; clients know exactly three line ends."""
    if isinstance(text, bytes):
        text = text.decode()
    elif not isinstance(text, str):
        raise TypeError(
            f"data or a comment cannot be of type {type(text).__name__}: "
            "give text or bytes, such as json.dumps(...)"
        )
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"{start}{text}\n".replace("\n", f"\n{start}", text.count("\n"))


def _line(name: str, value: str, forbidden: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name}={value!r}: give text")
    for character in forbidden:
        if character in value:
            raise ValueError(f"{name}={value!r}: leave {character!r} out")
    return f"{name}: {value}\n"


def milliseconds(name: str, seconds: float) -> int:
    """Convert seconds to the milliseconds that clients expect.

    Raises:
        TypeError: They are not a number.
        ValueError: They are below 0, or not finite.
    """
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise TypeError(f"{name}={seconds!r}: give a number of seconds")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{name}={seconds!r}: give 0 seconds or more")
    return round(seconds * 1000)
