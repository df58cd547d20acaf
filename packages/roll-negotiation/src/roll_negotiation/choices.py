"""Chooses among what a route serves, by a field of the request (RFC 9110, 12.5).

Each public function here takes what is served, in the order of the application's
preference, and makes a function that takes the value of a field, empty without one, and
gives the choice, or None if nothing is acceptable.
"""

import re
from collections.abc import Callable, Container, Iterator, Sequence
from operator import itemgetter
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

# Names of media types (RFC 6838, section 4.2). They contain no `*`, so a range such as
# `text/h*`, which the grammar of tokens allows, is malformed here.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(f"{_NAME}/{_NAME}")
_SERVED_RANGE = re.compile(rf"\*/\*|{_NAME}/\*")
# A lone `*` is not a media range, but Java's HttpURLConnection sends it as one.
_MEDIA_RANGE = re.compile(rf"\*/\*|\*|{_NAME}/(?:{_NAME}|\*)")

_TAG = r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*+"
_LANGUAGE_TAG = re.compile(_TAG)
_LANGUAGE_RANGE = re.compile(rf"{_TAG}|\*")

_CODING = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]+")

_LEAST = 1e-12
"""Less than every weight above 0."""


# Media types

_Weight = tuple[float, int]
"""The weight of the range that matches a type, and minus its place in the field."""

_NOT_TAKEN: _Weight = (0.0, 0)


class _MediaType(NamedTuple):
    """A type that is served."""

    name: str
    parameters: Parameters
    ranges: tuple[str, ...]
    """The names of all ranges that match it; empty if it is a range itself."""


def type_chooser(served: Sequence[str], strict: bool = False) -> Chooser:
    """Make the function that chooses by `Accept` (RFC 9110, section 12.5.1).

    Among types of the same weight, it chooses the one whose range comes first in the
    field, then the first one served. An entry may be a range, such as `text/*`: then
    the choice is the type that the client asks for and that fits the range.

    A field without any readable element counts as missing: the first type is chosen,
    unless *strict*.

    Raises:
        ValueError: An entry is neither media type nor range, has a weight, or is
            repeated.
    """
    types = [_read_media_type(text) for text in served]
    _check_different(served, types)

    def choose(field: str) -> str | None:
        ranges: _Ranges = {}
        preferences = read_preferences("Accept", field, _MEDIA_RANGE)
        for place, preference in enumerate(preferences):
            name = "*/*" if preference.name == "*" else preference.name
            ranges.setdefault(name, []).append((place, preference))
        if not ranges:
            return None if strict else served[0]
        best, chosen = _NOT_TAKEN, None
        for text, each in zip(served, types, strict=True):
            if each.ranges:
                weight, name = _weigh_type(each, ranges), text
            else:
                weight, name = _weigh_range(each.name, ranges)
            if weight[0] and (chosen is None or weight > best):
                best, chosen = weight, name
        return chosen

    return choose


def _read_media_type(text: str) -> _MediaType:
    name, parameters = split_element(text) or ("", {})
    clean = text.isprintable() and text == text.strip()  # it becomes a field
    if clean and _SERVED_RANGE.fullmatch(text):
        return _MediaType(name, frozenset(), ())
    if not clean or not _MEDIA_TYPE.fullmatch(name):
        hint = "such as 'text/html' or 'text/*'"
        raise ValueError(f"{text!r} is not a media type: name one, {hint}")
    if "q" in parameters:
        raise ValueError(f"{text!r} has a weight: list first what you prefer instead")
    kind = name.partition("/")[0]
    ranges = ("*/*", f"{kind}/*", name)
    return _MediaType(name, frozenset(parameters.items()), ranges)


_Ranges = dict[str, list[tuple[int, Preference]]]
"""The elements of a field, and their places in it, by name."""


def _weigh_type(served: _MediaType, ranges: _Ranges) -> _Weight:
    """Weigh a type by the most specific range that matches it.

    mimetype-match finds that range. It gets one type at a time: among several, it
    prefers the type of a more specific range to one of more weight. It gets at most
    three ranges, with names from the application: it compiles and keeps an expression
    for each. It does not get parameters, which it compares as text.

    A charset is not a reason to refuse a type that is served without one: clients add
    it even to types that define none, such as `application/json`.
    """
    has_charset = any(name == "charset" for name, _ in served.parameters)
    asked = []
    places: dict[str, int] = {}
    for name in served.ranges:
        fitting = []
        for place, preference in ranges.get(name, ()):
            wanted = preference.parameters
            if not has_charset:
                wanted = frozenset(each for each in wanted if each[0] != "charset")
            if wanted <= served.parameters:
                fitting.append((len(wanted), preference.weight, -place))
        if fitting:
            _, weight, place = max(fitting)
            asked.append(f"{name};q={weight}")
            places[name] = place
    found = AcceptHeader(",".join(asked)).get_match(served.name)
    return (found.weight, places[found.mimetype]) if found else _NOT_TAKEN


def _weigh_range(served: str, ranges: _Ranges) -> tuple[_Weight, str]:
    """Weigh the types that a client asks for in a served range, and give the best.

    If the client names no type, this is the narrower of the two ranges.
    """
    prefix = served.removesuffix("*").removeprefix("*/")
    found: dict[str, tuple[bool, _Weight]] = {}
    for name, preferences in ranges.items():
        if name.startswith(prefix):
            narrower, close = name, True
        elif name == "*/*":
            narrower, close = served, False
        else:
            continue
        weight = max((each.weight, -place) for place, each in preferences)
        # The range itself is closer than `*/*`, even if it is refused.
        found[narrower] = max((close, weight), found.get(narrower, (close, weight)))
    weights = [(weight, name) for name, (_, weight) in found.items()]
    return max(weights, key=itemgetter(0), default=(_NOT_TAKEN, served))


# Languages

_Rank = tuple[float, int, int]
"""The weight, minus the place in the field, and how well a tag fits a range."""

_UNLISTED: _Rank = (0.0, 0, 0)
_REFUSED: _Rank = (-1.0, 0, 0)


def language_chooser(served: Sequence[str]) -> Chooser:
    """Make the function that chooses by `Accept-Language` (RFC 9110, section 12.5.4).

    The weight of a language is that of the longest range that it begins with: basic
    filtering (RFC 4647, section 3.3.1). Without one, it is that of a range that begins
    with the language: lookup (section 3.4). Then comes `*`. Something is always chosen:
    a text in another language can be translated, a 406 cannot.

    Raises:
        ValueError: An entry is not a language tag, or is repeated.
    """
    for text in served:
        if not _LANGUAGE_TAG.fullmatch(text):
            raise ValueError(
                f"{text!r} is not a language tag: name one, such as 'en-GB'"
            )
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
                    # A range itself is closer than a tag that begins with it.
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
    """Give the first subtags of a tag: *depth* of them, then fewer, down to one."""
    subtags = tag.split("-", depth)[:depth]
    for count in range(len(subtags), 0, -1):
        yield "-".join(subtags[:count])


# Content codings


def encoding_chooser(served: Sequence[str]) -> Chooser:
    """Make the function that chooses by `Accept-Encoding` (RFC 9110, section 12.5.3).

    `identity`, which means no coding, is always served, as the last one unless it is
    listed. It is acceptable unless it is refused, and it is chosen when there is no
    field or an empty one: such clients may not know any coding.

    Raises:
        ValueError: An entry is not a content coding, or is repeated.
    """
    for text in served:
        if not _CODING.fullmatch(text):
            raise ValueError(
                f"{text!r} is not a content coding: name one, such as 'gzip'"
            )
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
    """Check that no two entries mean the same.

    Raises:
        ValueError: Two do.
    """
    for place, each in enumerate(meant):
        if each in meant[:place]:
            raise ValueError(f"{served[place]!r} is repeated: list it once")
