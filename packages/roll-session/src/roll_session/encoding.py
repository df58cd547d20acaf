"""How the data of a session is written: as JSON, in one way only."""

import json
from collections.abc import Mapping
from typing import Any

TIMES = "_times"
"""The key of the times when a session was created and last used; values have others."""

EMPTY = "{}"
"""What a session without data is written as."""

_write = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
).encode
_read = json.JSONDecoder().decode

# A lone surrogate is valid in JSON and in Python, but not in UTF-8.
_SURROGATES = "surrogatepass"


def encode(data: Mapping[str, Any], known: str = "") -> str:
    """Write the data of a session.

    Args:
        data: Values that JSON has: None, booleans, numbers, strings, lists and dicts.
        known: What was read. Nothing is checked when the same is written again.

    Raises:
        TypeError: A key or a value is something else; the message names the key.
    """
    try:
        text = dump(data)
        if text == known or (decode(text) == data and TIMES not in data):
            return text
    except (TypeError, ValueError, RecursionError):
        pass
    mistakes = (_find_mistake(key, value) for key, value in data.items())
    raise TypeError(next(filter(None, mistakes)))


def _find_mistake(key: str, value: Any) -> str | None:
    if not isinstance(key, str) or key == TIMES:
        return f"session[{key!r}]: give the value another key, a string"
    try:
        if decode(dump(value)) == value:
            return None
    except (TypeError, ValueError, RecursionError) as error:
        return f"session[{key!r}] cannot be saved: {error}"
    # A tuple would be read as a list, and a number that is a key as a string.
    return (
        f"session[{key!r}] cannot be saved as JSON: make it of lists, and of dicts "
        "whose keys are strings"
    )


def dump(value: Any) -> str:
    """Write a value, unchecked."""
    return _write(value)


def decode(text: str) -> Any:
    """Read a value.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return _read(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def to_bytes(text: str) -> bytes:
    """Encode a text."""
    return text.encode(errors=_SURROGATES)


def to_text(data: bytes) -> str:
    """Decode a text.

    Raises:
        ValueError: It is not UTF-8.
    """
    return data.decode(errors=_SURROGATES)
