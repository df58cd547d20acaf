"""Preferences: what `Accept` and its kin say, in elements with weights.

RFC 9110, sections 12.4.2 and 12.5.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from .errors import HttpError

LONGEST = 8190
"""Characters of one field, all its lines together; as many as `Limits.field` has."""

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]++"
_TEXT = r"(?:[^\"\\]|\\.)*+"

# Everything repeats possessively: whatever is sent, it is looked at once. A quote that
# nobody closes lasts to the end, and spoils the element that it is in.
_ELEMENT = re.compile(rf'(?:[^",]|"{_TEXT}(?:"|\\?\Z))++', re.DOTALL)
_PARAMETER = re.compile(
    rf'[ \t]*+;[ \t]*+(?:({_TOKEN})=(?:({_TOKEN})|"({_TEXT})"))?', re.DOTALL
)
_NAME = re.compile(_TOKEN)

# A qvalue, and what clients write in its place: `.2`, and more digits than three.
_WEIGHT = re.compile(r"0?\.[0-9]{1,9}|0\.?|1(?:\.0{0,9})?")

_SAME_CODING = {"x-gzip": "gzip", "x-compress": "compress"}
"""Older names, which are to be taken as equivalent (RFC 9110, section 8.4.1)."""

Parameters = frozenset[tuple[str, str]]
"""Names, in lower case, and values, in no order."""


class Preference(NamedTuple):
    """One element of a field: what the client takes, and how gladly."""

    name: str
    """In lower case: a media range, a language range or a content coding."""
    parameters: Parameters
    """All but the weight."""
    weight: float
    """From 0, which refuses it, to 1."""


def read_preferences(
    name: str, value: str, grammar: re.Pattern[str]
) -> Iterator[Preference]:
    """Read the elements of a field, except empty and malformed ones.

    The time that this takes grows in line with the length of the field.

    Args:
        name: The name of the field, for the message of the error.
        value: Its value, all its lines joined by commas; empty when there is none.
        grammar: What the whole name of an element matches, in lower case.

    Raises:
        HttpError: 431, when the value has more than `LONGEST` characters.
    """
    if len(value) > LONGEST:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        raise HttpError(status, f"{name} is too long")
    elements = (read_element(text.strip(" \t")) for text in _ELEMENT.findall(value))
    return (each for each in elements if each and grammar.fullmatch(each.name))


def read_element(text: str) -> Preference | None:
    """Read one element; None when it is malformed.

    A parameter `q` is the weight, wherever it stands (RFC 9110, section 12.5.1).
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
        None when it is malformed, or has a parameter twice.
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
    """Write in one way what may be written in several (RFC 9110, section 8.3.1)."""
    value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if token is None else token
    return value.lower() if key == "charset" else value


@lru_cache(maxsize=64)  # clients send the same few
def read_codings(value: str) -> Mapping[str, float]:
    """Read the weights of content codings (RFC 9110, section 12.5.3).

    Args:
        value: That of `Accept-Encoding`, empty when there is none.

    Returns:
        The weight of each coding that is named, by its usual name, such as `gzip` for
        `x-gzip`; and under `*` that of all others, if it is given.

    Raises:
        HttpError: 431, when the value has more than `LONGEST` characters.
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
