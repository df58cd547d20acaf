"""JSON texts (RFC 8259), read and written: by orjson where it is installed."""

import dataclasses
import datetime
import enum
import inspect
import json
import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

# Reading

# All digits become zeros, and what is in no number spaces: what is to be known of
# numbers is found in a tenth of the time that an expression takes.
_OUTLINE = bytes(
    ord("0")
    if byte in b"0123456789"
    else ord(chr(byte).lower())
    if byte in b".eE+"
    else ord(" ")
    for byte in range(256)
)

# An integer of 19 digits or more: orjson makes a float of one that is beyond 64 bits.
_LONG_INTEGER = re.compile(rb" 0000000000000000000" rb"0*+(?![.e])")

# Each float that would be infinite has one of these: a large exponent, or many digits.
_LARGE = (b"e000", b"e+000", b"0" * 200)

_DEPTH = 1024
"""Arrays and objects in one another that orjson reads."""

# Strings whose escaped surrogates come in pairs: others are not text that can be sent.
_PAIRED_SURROGATES = re.compile(
    r"""(?: [^\\] | \\ (?: [^u] | u(?![dD][89a-fA-F])
        | u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2} ) )*+""",
    re.DOTALL | re.VERBOSE,
)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON (RFC 8259, section 6)")


def _read_finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is beyond what a float can be")
    return number


# A function of ours for each float takes half as long again.
_decode_small_floats = json.JSONDecoder(parse_constant=_refuse_constant).decode
_decode_all_floats = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_read_finite
).decode


def decode_json(body: bytes) -> Any:
    """Read a JSON text in UTF-8 (RFC 8259): the same with orjson and without.

    Raises:
        ValueError: It is not JSON, or holds a lone surrogate, which no text can, or a
            float that would be infinite.
        RecursionError: It is nested too deeply.
    """
    outline = b" " + body.translate(_OUTLINE)
    if orjson is not None and not _LONG_INTEGER.search(outline):
        try:
            return orjson.loads(body)
        except ValueError:
            if body.count(b"[") + body.count(b"{") <= _DEPTH:
                raise
            # It may be its depth alone that orjson refuses.
    text = body.decode()
    if "\\ud" in text.lower() and not _PAIRED_SURROGATES.fullmatch(text):
        raise ValueError("a lone surrogate (RFC 8259, section 8.2)")
    if any(part in outline for part in _LARGE):
        return _decode_all_floats(text)
    return _decode_small_floats(text)


# Writing


def _encode_special(value: object) -> Any:
    """Write what JSON does not know, the same with orjson and without."""
    if isinstance(value, (datetime.date, datetime.time)):  # of a datetime, too
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: getattr(value, field.name)
            for field in dataclasses.fields(value)
        }
    from decimal import Decimal  # they take a tenth of the time of `import roll`
    from uuid import UUID

    if isinstance(value, (Decimal, UUID)):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable: {_guide(value)}")


def _guide(value: object) -> str:
    """Say what to do with a value that JSON cannot hold."""
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()  # nobody awaits it, which would be a warning
        return "await it"
    if isinstance(value, (bytes, bytearray)):
        return "decode it"
    return "make it a list" if isinstance(value, Iterable) else "override json_encode"


_STYLE: dict[str, Any] = {
    "ensure_ascii": False,
    "separators": (",", ":"),
    "default": _encode_special,
}
_encode_finite = json.JSONEncoder(**_STYLE, allow_nan=False).encode
_encode_anything = json.JSONEncoder(**_STYLE).encode


def _encode_with_standard_library(value: Any) -> str:
    try:
        return _encode_finite(value)
    except ValueError:  # of NaN, maybe, for which orjson writes `null`
        text = _encode_anything(value)
        return _encode_finite(json.loads(text, parse_constant=lambda name: None))


def encode_json(value: Any) -> bytes:
    """Write *value* as compact JSON in UTF-8 (RFC 8259).

    Beside what JSON knows, these are written: dates, times and datetimes (RFC 3339),
    UUIDs and decimals as their text, enumerations as their value, dataclasses as
    objects. With orjson installed it is quicker and writes the same: what it refuses
    (large integers, keys that are not strings) goes to the standard library. NaN and
    infinities, which JSON does not have, are `null`. One thing differs: floats below
    0.0001 are `0.00001` with orjson, and `1e-05` without.

    Raises:
        TypeError: *value* holds what JSON cannot.
        ValueError: *value* holds itself, or a lone surrogate.
    """
    if orjson is not None:
        try:
            return orjson.dumps(value, _encode_special, _ORJSON_OPTIONS)
        except TypeError:
            pass
    return _encode_with_standard_library(value).encode()


if orjson is not None:
    _ORJSON_OPTIONS = (
        orjson.OPT_PASSTHROUGH_DATETIME
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_SUBCLASS
    )
