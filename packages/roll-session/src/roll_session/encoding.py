"""How the values of a session are written: as JSON, each of them alone."""

import json
from typing import Any

TIMES = "_times"
"""Where a session keeps when it was created and used; no name for a value."""

_write = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
).encode

# A surrogate alone is text in JSON and in Python, though not in UTF-8.
_SURROGATES = "surrogatepass"


def encode(key: str, value: Any, known: bytes | None = None) -> bytes:
    """Write a value.

    Args:
        key: Of the value.
        value: What JSON has: None, booleans, numbers, strings, lists, dicts.
        known: What was read; nothing is checked when that is written again.

    Raises:
        TypeError: The key or the value is something else; the message names the key.
    """
    if not isinstance(key, str) or key == TIMES:
        raise TypeError(f"session[{key!r}]: give the value another key, a string")
    try:
        text = dump(value)
        same = text == known or decode(text) == value
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"session[{key!r}] cannot be saved: {error}") from error
    if not same:
        # A tuple would be read as a list, and a number that is a key as a string.
        raise TypeError(
            f"session[{key!r}] cannot be saved as JSON: make it of lists, and of dicts "
            "whose keys are strings"
        )
    return text


def dump(value: Any) -> bytes:
    """Write a value that is JSON, in one way only."""
    return _write(value).encode(errors=_SURROGATES)


def decode(text: bytes | str) -> Any:
    """Read a value.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def encode_name(name: str) -> bytes:
    """Write a key, which may be any text."""
    return name.encode(errors=_SURROGATES)


def decode_name(name: bytes) -> str:
    """Read a key.

    Raises:
        ValueError: It is not text.
    """
    return name.decode(errors=_SURROGATES)


def encode_all(texts: dict[str, bytes]) -> bytes:
    """Write an object of values that are written already."""
    pairs = (encode_name(_write(key)) + b":" + text for key, text in texts.items())
    return b"{" + b",".join(pairs) + b"}"
