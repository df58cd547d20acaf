"""Preferences: the weighted elements of `Accept` and similar fields.

RFC 9110, sections 12.4.2 and 12.5.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from .errors import HttpError

LONGEST = 8190
"""The largest length of a field, all lines together, in characters: that of
`Limits.field`."""

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]++"
_TEXT = r"(?:[^\"\\]|\\.)*+"

# All repetitions are possessive, so that each character is read once. An unclosed quote
# extends to the end, and makes its element malformed.
_ELEMENT = re.compile(rf'(?:[^",]|"{_TEXT}(?:"|\\?\Z))++', re.DOTALL)
_PARAMETER = re.compile(
    rf'[ \t]*+;[ \t]*+(?:({_TOKEN})=(?:({_TOKEN})|"({_TEXT})"))?', re.DOTALL
)
_NAME = re.compile(_TOKEN)

# A qvalue, or what some clients write: `.2`, and more than three digits.
_WEIGHT = re.compile(r"0?\.[0-9]{1,9}|0\.?|1(?:\.0{0,9})?")

_SAME_CODING = {"x-gzip": "gzip", "x-compress": "compress"}
"""Older names, which are equivalent (RFC 9110, section 8.4.1)."""

Parameters = frozenset[tuple[str, str]]
"""Names, in lower case, and values, in any order."""


class Preference(NamedTuple):
    """One element of a field: what the client accepts, and how much it prefers it."""

    name: str
    """A media range, a language range or a content coding, in lower case."""
    parameters: Parameters
    """All parameters but the weight."""
    weight: float
    """From 0, which means "not acceptable", to 1."""


def read_preferences(
    name: str, value: str, grammar: re.Pattern[str]
) -> Iterator[Preference]:
    """Read the elements of a field, except empty and malformed ones.

    It takes time in proportion to the length of the field.

    Args:
        name: The name of the field, for the message of the error.
        value: The value of the field, its lines joined by commas; empty without one.
        grammar: A pattern that a whole name, in lower case, has to match.

    Raises:
        HttpError: 431, if the value has more than `LONGEST` characters.
    """
    if len(value) > LONGEST:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        raise HttpError(status, f"{name} is too long")
    elements = (read_element(text.strip(" \t")) for text in _ELEMENT.findall(value))
    return (each for each in elements if each and grammar.fullmatch(each.name))


def read_element(text: str) -> Preference | None:
    """Read one element; None if it is malformed.

    A parameter `q` is the weight, in any position (RFC 9110, section 12.5.1).
    """
    split = split_element(text)
    if split is None:
        return None
    name, parameters = split
    weight = parameters.pop("q", "1")
    if not _WEIGHT.fullmatch(weight):
        return None
    return Preference(name, frozenset(parameters.items()), float(weight))


def split_element(text: str) -> tuple[str, dict[str, str]] | None:
    """Split an element into its name, in lower case, and its parameters.

    Returns:
        Both; None if it is malformed, or repeats a parameter.
    """
    name = text.partition(";")[0]
    position = len(name)
    parameters: dict[str, str] = {}
    while position < len(text):
        found = _PARAMETER.match(text, position)
        if found is None:
            return None
        position = found.end()
        key, token, quoted = found.groups()
        if key is not None:
            key = key.lower()
            if key in parameters:
                return None
            parameters[key] = _read_value(key, token, quoted)
    return name.rstrip(" \t").lower(), parameters


def _read_value(key: str, token: str | None, quoted: str) -> str:
    """Normalize a value that has several spellings (RFC 9110, section 8.3.1)."""
    value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if token is None else token
    return value.lower() if key == "charset" else value


@lru_cache(maxsize=64)  # clients send the same few
def read_codings(value: str) -> Mapping[str, float]:
    """Read the weights of content codings (RFC 9110, section 12.5.3).

    Args:
        value: The value of `Accept-Encoding`; empty without one.

    Returns:
        The weight of each coding by its usual name, such as `gzip` for `x-gzip`; with
        the key `*`, that of all others, if it is given.

    Raises:
        HttpError: 431, if the value has more than `LONGEST` characters.
    """
    weights: dict[str, float] = {}
    for name, parameters, weight in read_preferences("Accept-Encoding", value, _NAME):
        if not parameters:
            coding = name_coding(name)
            weights[coding] = max(weight, weights.get(coding, 0.0))
    return weights


def name_coding(name: str) -> str:
    """Give the usual name of a content coding, in lower case."""
    lower = name.lower()
    return _SAME_CODING.get(lower, lower)
