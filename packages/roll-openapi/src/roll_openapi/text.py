"""Texts: what a query, a header, a cookie or a form holds, made values of a type."""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, Literal, get_args, get_origin

from .annotations import is_array, items, members, text_types
from .codecs import Convert, Msgspec, find_codec

_BOOLEANS: dict[str, bool | None] = {
    **dict.fromkeys(("t", "true", "yes", "1", "on"), True),
    **dict.fromkeys(("f", "false", "no", "0", "off"), False),
    **dict.fromkeys(("n", "none", "null"), None),
}
"""The words of `roll.Query.bool`."""

_PLAIN = re.compile(r"[!-^`-~]*")
"""ASCII without white space and underscores: Decimal and pydantic would take others."""

_NUMERAL = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")
"""What would be taken for the seconds of a time."""

_NONE = type(None)
_TIMES = {datetime, date, timedelta}


class EmptyError(ValueError):
    """Only empty texts were sent, for a type that is not a string: as good as none."""


def is_text(annotation: Any) -> bool:
    """Whether a type takes an empty text, as strings do."""
    for each in members(annotation):
        if each in (str, Any, object):
            return True
        if get_origin(each) is Literal and "" in get_args(each):
            return True
        is_enum = isinstance(each, type) and issubclass(each, Enum)
        if is_enum and any(member.value == "" for member in each):
            return True
    return False


def make_converter(annotation: Any) -> Convert | None:
    """Make what converts a text; of an array, a list of them.

    The function raises one of `UNFIT`.

    Returns:
        None where the text itself is the value.

    Raises:
        TypeError: A text cannot be converted to the type.
    """
    if is_array(annotation):
        return _make_array_converter(annotation)
    if annotation in (str, Any):
        return None
    kinds = text_types(annotation)
    codec = find_codec(annotation)
    convert = codec.convert(annotation)
    prepare = _make_preparation(kinds)
    if prepare is None or (isinstance(codec, Msgspec) and kinds == {int}):
        return convert

    def convert_text(text: str) -> Any:
        if text == "" and not takes_empty:
            raise EmptyError("Missing")
        value = convert(prepare(text))
        _check_finite(value)
        return value

    takes_empty = is_text(annotation)
    return convert_text


def _make_array_converter(annotation: Any) -> Convert:
    parts = items(annotation) or [str]
    kinds = {kind for part in parts for kind in text_types(part)}
    takes_empty = any(map(is_text, parts))
    prepare = _make_preparation(kinds)
    convert = find_codec(annotation).convert(annotation)

    def convert_texts(texts: list[str]) -> Any:
        if not takes_empty:
            texts = [text for text in texts if text]
            if not texts:
                raise EmptyError("Missing")
        if prepare is None:
            return convert(texts)
        values = convert([prepare(text) for text in texts])
        for value in values:
            _check_finite(value)
        return values

    return convert_texts


def _make_preparation(kinds: Iterable[Any]) -> Callable[[str], Any] | None:
    """Make what a text goes through before it is converted.

    It makes values of words that the codecs do not know, and refuses texts that they
    should not take.

    Args:
        kinds: The types that the text may be converted to.
    """
    kinds = {*kinds}
    if kinds & {str, Any}:
        return None
    if kinds <= {bool, _NONE}:
        return lambda text: _BOOLEANS.get(text.lower(), text)
    expected = " | ".join(sorted(kind.__name__ for kind in kinds - {_NONE}))
    takes_none = _NONE in kinds
    takes_numerals = not kinds & _TIMES or bool(kinds & {int, float, Decimal})

    def prepare(text: str) -> Any:
        if takes_none and text == "null":
            return None
        if not _PLAIN.fullmatch(text) or not (
            takes_numerals or not _NUMERAL.fullmatch(text)
        ):
            raise ValueError(f"Expected `{expected}`")
        return text

    return prepare


def _check_finite(value: Any) -> None:
    if isinstance(value, float | Decimal) and not isfinite(value):
        raise ValueError("Expected a finite number")
