"""What `Accept` and its kin say: elements with weights (RFC 9110, section 12.4.2)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]++"
_TEXT = r"(?:[^\"\\]|\\.)*+"

# Everything repeats possessively: whatever is sent, it is looked at once. A quote that
# nobody closes lasts to the end, and spoils the element that it is in.
_ELEMENT = re.compile(rf'(?:[^",]|"{_TEXT}(?:"|\\?\Z))++', re.DOTALL)
_PARAMETER = re.compile(
    rf'[ \t]*+;[ \t]*+(?:({_TOKEN})=(?:({_TOKEN})|"({_TEXT})"))?', re.DOTALL
)

# A qvalue, and what clients write in its place: `.2`, and more digits than three.
_WEIGHT = re.compile(r"0?\.[0-9]{1,9}|0\.?|1(?:\.0{0,9})?")

Parameters = frozenset[tuple[str, str]]
"""Names, in lower case, and values, of which the order says nothing."""


class Preference(NamedTuple):
    """One element of a field: what the client takes, and how gladly."""

    name: str
    """In lower case: a media range, a language range or a content coding."""
    parameters: Parameters
    weight: float
    """From 0, which refuses it, to 1."""


def read_preferences(field: str, grammar: re.Pattern[str]) -> Iterator[Preference]:
    """Read the elements of a field, but for empty and malformed ones.

    Args:
        field: The value, all its lines joined by commas; empty when there is none.
        grammar: What the names of elements match, all of them.
    """
    for element in _ELEMENT.findall(field):
        preference = read_element(element.strip(" \t"))
        if preference is not None and grammar.fullmatch(preference.name):
            yield preference


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
