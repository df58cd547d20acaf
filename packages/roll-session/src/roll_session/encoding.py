"""How the data of a session is written: as JSON, with orjson if it is installed.

Each encoder reads the output of the other. Only some floats look different: with them,
a session is saved once more.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

TIMES = "_times"
"""The key of the times when a session was created and last used; values have other
keys."""

EMPTY = "{}"
"""The text of a session without data."""

_write = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
).encode


def _read_finite(text: str) -> float:
    if (number := float(text)) in (math.inf, -math.inf):
        raise ValueError(f"{text} is too large for a float")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_read = json.JSONDecoder(parse_constant=_refuse, parse_float=_read_finite).decode

# orjson turns an integer beyond 64 bits into a float. With all digits replaced by
# zeros, a long run of digits is found in a tenth of the time of a regular expression.
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG = b"0" * 19

# A lone surrogate is valid in JSON and in Python, but not in UTF-8.
_SURROGATES = "surrogatepass"


def encode(data: Mapping[str, Any], known: str = "") -> str:
    """Write the data of a session.

    Args:
        data: JSON values: None, booleans, numbers, strings, lists and dicts.
        known: The text that was read. If the result is the same, nothing is checked.

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
        if decode(_write(value)) == value:  # its errors have more details
            return None
    except (TypeError, ValueError, RecursionError) as error:
        return f"session[{key!r}] cannot be saved: {error}"
    # A tuple would be read as a list, and a number as a key would become a string.
    return (
        f"session[{key!r}] cannot be saved as JSON: make it of lists, and of dicts "
        "whose keys are strings"
    )


def dump(value: Any) -> str:
    """Write a value, unchecked."""
    if orjson is not None:
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        except TypeError:  # maybe for a long integer or a lone surrogate
            pass
    return _write(value)


def decode(text: str) -> Any:
    """Read a value.

    Raises:
        ValueError: It is not JSON.
    """
    if orjson is not None:
        data = to_bytes(text)
        if data.translate(_ZEROS).find(_LONG) < 0:
            try:
                return orjson.loads(data)
            except ValueError:  # maybe for its depth or a lone surrogate
                pass
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
