"""Choosing among what a route serves, by what a field says (RFC 9110, section 12.5).

Each function here takes what is served, in the order in which the application prefers
it, and makes a function: from the value of a field, empty when there is none, to what
is chosen, or None when nothing is acceptable.
"""

import re
from collections.abc import Callable, Container, Iterator, Sequence
from typing import NamedTuple

from mimetype_match import AcceptHeader  # type: ignore[import-untyped]
from roll.preferences import (
    Parameters,
    Preference,
    name_coding,
    read_codings,
    read_preferences,
    split_element,
)

Chooser = Callable[[str], str | None]

# Names of media types (RFC 6838, section 4.2). They hold no `*`, so that a range such
# as `text/h*`, which the grammar of tokens allows, is malformed here.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(f"{_NAME}/{_NAME}")
# A lone `*` is no media range, but sent as one, by Java's HttpURLConnection.
_MEDIA_RANGE = re.compile(rf"\*/\*|\*|{_NAME}/(?:{_NAME}|\*)")

_TAG = r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*+"
_LANGUAGE_TAG = re.compile(_TAG)
_LANGUAGE_RANGE = re.compile(rf"{_TAG}|\*")

_CODING = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]+")

_LEAST = 1e-12
"""Less than every weight that refuses nothing."""


# Media types


class _MediaType(NamedTuple):
    """A type that is served."""

    name: str
    parameters: Parameters
    ranges: tuple[str, ...]
    """The names of all ranges that take it."""


def type_chooser(served: Sequence[str], strict: bool = False) -> Chooser:
    """Make what chooses a media type by `Accept` (RFC 9110, section 12.5.1).

    Of a field that lists nothing that could be read, no more is known than of one that
    is not there: the first type is chosen, unless *strict*.

    Raises:
        ValueError: An entry is no media type, has a weight, or is there twice.
    """
    types = [_read_media_type(text) for text in served]
    _check_different(served, types)

    def choose(field: str) -> str | None:
        ranges: dict[str, list[Preference]] = {}
        for preference in read_preferences("Accept", field, _MEDIA_RANGE):
            name = "*/*" if preference.name == "*" else preference.name
            ranges.setdefault(name, []).append(preference)
        if not ranges:
            return None if strict else served[0]
        weights = [_weigh_type(each, ranges) for each in types]
        most = max(weights)
        return served[weights.index(most)] if most else None

    return choose


def _read_media_type(text: str) -> _MediaType:
    name, parameters = split_element(text) or ("", {})
    clean = text.isprintable() and text == text.strip()  # it becomes a field
    if not clean or not _MEDIA_TYPE.fullmatch(name):
        wildcard = "*" in text.partition(";")[0]
        hint = "since ranges are for clients" if wildcard else "such as 'text/html'"
        raise ValueError(f"{text!r} is no media type: name one, {hint}")
    if "q" in parameters:
        raise ValueError(f"{text!r} has a weight: list first what you prefer instead")
    kind = name.partition("/")[0]
    ranges = ("*/*", f"{kind}/*", name)
    return _MediaType(name, frozenset(parameters.items()), ranges)


def _weigh_type(served: _MediaType, ranges: dict[str, list[Preference]]) -> float:
    """Weigh a type by the most specific range that takes it; 0 when none does.

    mimetype-match finds that range. It is asked for each type alone: among several it
    prefers what a specific range takes to what has more weight. It gets at most three
    ranges, whose names are of the application: it makes, and keeps, an expression of
    every one. Parameters, which it compares as text, it does not get.
    """
    asked = []
    for name in served.ranges:
        fitting = [
            (len(preference.parameters), preference.weight)
            for preference in ranges.get(name, ())
            if preference.parameters <= served.parameters
        ]
        if fitting:
            asked.append(f"{name};q={max(fitting)[1]}")
    found = AcceptHeader(",".join(asked)).get_match(served.name)
    return found.weight if found else 0.0


# Languages

_Rank = tuple[float, int, int]
"""The weight, minus the place in the field, and how much of a range a tag has."""

_UNLISTED: _Rank = (0.0, 0, 0)
_REFUSED: _Rank = (-1.0, 0, 0)


def language_chooser(served: Sequence[str]) -> Chooser:
    """Make what chooses a language by `Accept-Language` (RFC 9110, section 12.5.4).

    The weight of a language is that of the longest range that it begins with: basic
    filtering (RFC 4647, section 3.3.1). Without one it is that of a range that begins
    with the language: lookup (section 3.4). Then comes `*`. Something is always
    chosen: a text in another language may be translated, a 406 may not.

    Raises:
        ValueError: An entry is no language tag, or is there twice.
    """
    for text in served:
        if not _LANGUAGE_TAG.fullmatch(text):
            raise ValueError(f"{text!r} is no language tag: name one, such as 'en-GB'")
    tags = [text.lower() for text in served]
    _check_different(served, tags)
    known = {tag: list(_shorten(tag, tag.count("-") + 1)) for tag in tags}
    depth = max(map(len, known.values()))

    def choose(field: str) -> str:
        listed, looked_up = _rank_ranges(field, known, depth)

        def rank(place: int) -> _Rank:
            tag = tags[place]
            for prefix in known[tag]:
                if prefix in listed:
                    weight, order, _ = listed[prefix]
                    # Of a range itself, and what begins with it, the range is closer.
                    near = 2 * len(prefix) + (prefix == tag)
                    return (weight, order, near) if weight > 0 else _REFUSED
            return looked_up.get(tag) or listed.get("*", _UNLISTED)

        return served[max(range(len(tags)), key=rank)]

    return choose


def _rank_ranges(
    field: str, known: Container[str], depth: int
) -> tuple[dict[str, _Rank], dict[str, _Rank]]:
    """Rank the ranges of a field, and the *known* tags that they begin with."""
    listed: dict[str, _Rank] = {}
    looked_up: dict[str, _Rank] = {}
    preferences = read_preferences("Accept-Language", field, _LANGUAGE_RANGE)
    for place, (name, parameters, weight) in enumerate(preferences):
        if parameters:
            continue
        rank = (weight, -place, 0) if weight else _REFUSED
        listed[name] = max(rank, listed.get(name, rank))
        for tag in _shorten(name, depth) if weight else ():
            if tag in known:
                rank = (weight, -place, 2 * len(tag))
                looked_up[tag] = max(rank, looked_up.get(tag, rank))
    return listed, looked_up


def _shorten(tag: str, depth: int) -> Iterator[str]:
    """Give the first subtags of a tag: so many, then one less, down to one alone."""
    subtags = tag.split("-", depth)[:depth]
    for count in range(len(subtags), 0, -1):
        yield "-".join(subtags[:count])


# Content codings


def encoding_chooser(served: Sequence[str]) -> Chooser:
    """Make what chooses a content coding by `Accept-Encoding` (RFC 9110, 12.5.3).

    `identity`, which is no coding, is always served, as the last one unless it is
    listed. It is acceptable unless it is refused, and chosen when no field asks for
    more: clients that send none, or an empty one, may not know any coding.

    Raises:
        ValueError: An entry is no content coding, or is there twice.
    """
    for text in served:
        if not _CODING.fullmatch(text):
            raise ValueError(f"{text!r} is no content coding: name one, such as 'gzip'")
    meant = [name_coding(text) for text in served]
    _check_different(served, meant)
    codings = dict(zip(served, meant, strict=True))
    if "identity" not in meant:
        codings["identity"] = "identity"

    def choose(field: str) -> str | None:
        weights = read_codings(field)
        others = weights.get("*")

        def weigh(text: str) -> float:
            coding = codings[text]
            unlisted = _LEAST if coding == "identity" else 0.0
            return weights.get(coding, unlisted if others is None else others)

        best = max(codings, key=weigh)
        return best if weigh(best) else None

    return choose


def _check_different(served: Sequence[str], meant: Sequence[object]) -> None:
    """Require that no two entries mean the same.

    Raises:
        ValueError: Two do.
    """
    for place, each in enumerate(meant):
        if each in meant[:place]:
            raise ValueError(f"{served[place]!r} is there twice: list it once")
