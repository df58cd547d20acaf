"""JSON texts (RFC 8259), read and written: by orjson if it is installed."""

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

# All digits become zeros, and what cannot be part of a number becomes a space:
# searching this takes a tenth of the time of a regular expression.
_OUTLINE = bytes(
    ord("0")
    if byte in b"0123456789"
    else ord(chr(byte).lower())
    if byte in b".eE+"
    else ord(" ")
    for byte in range(256)
)

# An integer of 19 digits or more: orjson reads one beyond 64 bits as a float.
_LONG_INTEGER = re.compile(rb" 0000000000000000000" rb"0*+(?![.e])")

# Every float that would be infinite has one of these: a large exponent, or many digits.
_LARGE = (b"e000", b"e+000", b"0" * 200)

_DEPTH = 1024
"""The levels of arrays and objects that orjson reads."""

# Texts whose escaped surrogates come in pairs: others could not be sent.
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
        raise ValueError(f"{text} is too large for a float")
    return number


# With a function of ours for each float, it takes half as long again.
_decode_small_floats = json.JSONDecoder(parse_constant=_refuse_constant).decode
_decode_all_floats = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_read_finite
).decode


def decode_json(body: bytes) -> Any:
    """Read a JSON text in UTF-8 (RFC 8259): the same with orjson and without.

    Raises:
        ValueError: *body* is not JSON, or has a lone surrogate or a float that would be
            infinite.
        RecursionError: *body* is nested too deeply.
    """
    outline = b" " + body.translate(_OUTLINE)
    if orjson is not None and not _LONG_INTEGER.search(outline):
        try:
            return orjson.loads(body)
        except ValueError:
            if body.count(b"[") + body.count(b"{") <= _DEPTH:
                raise
            # orjson may have rejected only its depth.
    text = body.decode()
    if "\\ud" in text.lower() and not _PAIRED_SURROGATES.fullmatch(text):
        raise ValueError("a lone surrogate (RFC 8259, section 8.2)")
    if any(part in outline for part in _LARGE):
        return _decode_all_floats(text)
    return _decode_small_floats(text)


# Writing


def _encode_special(value: object) -> Any:
    """Convert a value that JSON does not know, for orjson and the standard library."""
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: getattr(value, field.name)
            for field in dataclasses.fields(value)
        }
    from decimal import Decimal  # these take a tenth of the time of `import roll`
    from uuid import UUID

    if isinstance(value, (Decimal, UUID)):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable: {_guide(value)}")


def _guide(value: object) -> str:
    """Explain what to do with a value that JSON does not know."""
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()  # otherwise Python warns that it was not awaited
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
    except ValueError:  # maybe a NaN, for which orjson writes `null`
        text = _encode_anything(value)
        return _encode_finite(json.loads(text, parse_constant=lambda name: None))


def encode_json(value: Any) -> bytes:
    """Write *value* as compact JSON in UTF-8 (RFC 8259).

    Besides the types of JSON, it writes dates, times and datetimes (RFC 3339), UUIDs
    and decimals as strings, enumerations as their value, and dataclasses as objects.
    With orjson installed it is faster and writes the same: what orjson rejects (large
    integers, keys that are not strings), the standard library writes. NaN and
    infinities, which JSON does not have, become `null`. One thing differs: floats below
    0.0001 are `0.00001` with orjson, and `1e-05` without.

    Raises:
        TypeError: *value* contains something that cannot be written.
        ValueError: *value* contains itself, or a lone surrogate.
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
