"""Texts: what a query, a header, a cookie or a form holds, as values of a type."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, Literal, get_args, get_origin

import msgspec

from .annotations import ARRAYS, is_array, items, members, text_types
from .codecs import Codec, Convert, Msgspec, find_codec

_BOOLEANS: dict[str, bool | None] = {
    **dict.fromkeys(("t", "true", "yes", "1", "on"), True),
    **dict.fromkeys(("f", "false", "no", "0", "off"), False),
    **dict.fromkeys(("n", "none", "null"), None),
}
"""The words of `roll.Query.bool`."""

_PLAIN = re.compile(r"[!-^`-~]*")
"""ASCII without white space and underscores, which Decimal and pydantic would
accept."""

_NUMERAL = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")
"""A number, which would be taken as the seconds of a time."""

_NONE = type(None)
_REALS = (float, Decimal)
_TIMES = {datetime, date, timedelta}


class EmptyError(ValueError):
    """Only empty texts were sent, for a type other than a string: nothing is there."""


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
    """Make the function that converts a text or, for an array, a list of them.

    The function raises one of `UNFIT`.

    Returns:
        None if the text itself is the value.

    Raises:
        TypeError: A text cannot be converted to the type.
    """
    if is_array(annotation):
        return _make_array_converter(annotation)
    if annotation in (str, Any):
        return None
    if annotation is bool:
        return _convert_boolean
    if annotation is int:
        return _convert_integer
    kinds = text_types(annotation)
    codec = find_codec(annotation)
    convert = codec.convert(annotation)
    if not kinds.isdisjoint(_REALS):
        convert = _refuse_infinite(convert)
    prepare = _make_preparation([annotation], codec)
    if is_text(annotation):
        return convert if prepare is None else lambda text: convert(prepare(text))
    return _refuse_empty(convert, prepare)


def _convert_boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        if not text:
            raise EmptyError("Missing")
        raise ValueError("Expected `bool`")
    return value


def _convert_integer(text: str) -> int:
    # Most texts, in half the time of msgspec.
    if text.isdecimal() and text.isascii() and text[0] != "0" and len(text) < 19:
        return int(text)
    if not text:
        raise EmptyError("Missing")
    number: int = msgspec.convert(text, int, strict=False)
    return number


def _refuse_empty(convert: Convert, prepare: Callable[[str], Any] | None) -> Convert:
    if prepare is None:

        def convert_text(text: str) -> Any:
            if not text:
                raise EmptyError("Missing")
            return convert(text)

    else:

        def convert_text(text: str) -> Any:
            if not text:
                raise EmptyError("Missing")
            return convert(prepare(text))

    return convert_text


def _refuse_infinite(convert: Convert) -> Convert:
    def convert_finite(sent: Any) -> Any:
        value = convert(sent)
        for each in value if isinstance(value, ARRAYS) else (value,):
            if isinstance(each, _REALS) and not isfinite(each):
                raise ValueError("Expected a finite number")
        return value

    return convert_finite


def _make_array_converter(annotation: Any) -> Convert:
    parts = items(annotation) or [str]
    kinds = {kind for part in parts for kind in text_types(part)}
    takes_empty = any(map(is_text, parts))
    codec = find_codec(annotation)
    prepare = _make_preparation(parts, codec)
    convert = codec.convert(annotation)
    if not kinds.isdisjoint(_REALS):
        convert = _refuse_infinite(convert)

    def convert_texts(texts: list[str]) -> Any:
        if not takes_empty:
            texts = [text for text in texts if text]
            if not texts:
                raise EmptyError("Missing")
        return convert(texts if prepare is None else [*map(prepare, texts)])

    return convert_texts


def _make_preparation(
    annotations: Iterable[Any], codec: Codec
) -> Callable[[str], Any] | None:
    """Make the function that prepares texts for conversion; None if nothing is to do.

    It converts words that the codec does not know, and refuses texts that the codec
    would wrongly accept.

    Args:
        annotations: The types that the text may be converted to.
        codec: The codec that converts it.
    """
    kinds = {kind for each in annotations for kind in text_types(each)}
    if isinstance(codec, Msgspec):
        words = {}
        refuse = bool(kinds & {Decimal, *_TIMES})
    else:
        words = {word: each for part in annotations for word, each in _words(part)}
        refuse = True
    if kinds <= {bool, _NONE}:
        return lambda text: _BOOLEANS.get(text.lower(), text)
    if kinds & {str, Any} or not refuse:
        return (lambda text: words.get(text, text)) if words else None
    expected = " | ".join(sorted(kind.__name__ for kind in kinds - {_NONE}))
    if _NONE in kinds:
        words["null"] = None
    takes_numerals = not kinds & _TIMES or not kinds.isdisjoint((int, *_REALS))

    def prepare(text: str) -> Any:
        if text in words:
            return words[text]
        if not _PLAIN.fullmatch(text):
            raise ValueError(f"Expected `{expected}`")
        if not takes_numerals and _NUMERAL.fullmatch(text):
            raise ValueError(f"Expected `{expected}`")
        return text

    return prepare


def _words(annotation: Any) -> Iterator[tuple[str, Any]]:
    """Give the values of literals and enumerations, except strings, as texts."""
    for each in members(annotation):
        if get_origin(each) is Literal:
            values = get_args(each)
        elif isinstance(each, type) and issubclass(each, Enum):
            values = tuple(member.value for member in each)
        else:
            continue
        for value in values:
            text = "null" if value is None else str(value)
            if text not in values:
                yield text.lower() if isinstance(value, bool) else text, value
