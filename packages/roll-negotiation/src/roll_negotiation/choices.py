"""Choosing among what a route serves, by what a field says (RFC 9110, section 12.5).

Each function here takes what is served, in the order in which the application prefers
it, and makes a function: from the value of a field, empty when there is none, to what
is chosen, or None when nothing is acceptable.
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

# Names of media types (RFC 6838, section 4.2). They hold no `*`, so that a range such
# as `text/h*`, which the grammar of tokens allows, is malformed here.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(f"{_NAME}/{_NAME}")
_SERVED_RANGE = re.compile(rf"\*/\*|{_NAME}/\*")
# A lone `*` is not a media range, but sent as one, by Java's HttpURLConnection.
_MEDIA_RANGE = re.compile(rf"\*/\*|\*|{_NAME}/(?:{_NAME}|\*)")

_TAG = r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*+"
_LANGUAGE_TAG = re.compile(_TAG)
_LANGUAGE_RANGE = re.compile(rf"{_TAG}|\*")

_CODING = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]+")

_LEAST = 1e-12
"""Less than every weight that refuses nothing."""


# Media types

_Weight = tuple[float, int]
"""The weight of what takes a type, and minus its place in the field."""

_NOT_TAKEN: _Weight = (0.0, 0)


class _MediaType(NamedTuple):
    """A type that is served."""

    name: str
    parameters: Parameters
    ranges: tuple[str, ...]
    """The names of all ranges that take it; empty when it is a range itself."""


def type_chooser(served: Sequence[str], strict: bool = False) -> Chooser:
    """Make what chooses a media type by `Accept` (RFC 9110, section 12.5.1).

    Of types that have the same weight, that one is chosen whose range comes first in
    the field; then the first one that is served. An entry may be a range, such as
    `text/*`: what is chosen then is what the client asks for, and fits it.

    Of a field that lists nothing that could be read, no more is known than of one that
    is not there: the first type is chosen, unless *strict*.

    Raises:
        ValueError: An entry is neither media type nor range, has a weight, or is there
            twice.
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
    """Weigh a type by the most specific range that takes it.

    mimetype-match finds that range. It is asked for each type alone: among several it
    prefers what a specific range takes to what has more weight. It gets at most three
    ranges, whose names are of the application: it makes, and keeps, an expression of
    every one. Parameters, which it compares as text, it does not get.

    A charset is not a reason to refuse what is served without one: clients add it to
    types, such as `application/json`, that know none.
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
    """Weigh what a client asks for by the range that serves it, and give the best.

    A client that names no type gets the narrower range of the two.
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
        # Of a range itself, and all types, the range is closer, even if it is refused.
        found[narrower] = max((close, weight), found.get(narrower, (close, weight)))
    weights = [(weight, name) for name, (_, weight) in found.items()]
    return max(weights, key=itemgetter(0), default=(_NOT_TAKEN, served))


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
        ValueError: An entry is not a language tag, or is there twice.
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

    `identity`, which is not a coding, is always served, as the last one unless it is
    listed. It is acceptable unless it is refused, and chosen when no field asks for
    more: clients that send none, or an empty one, may not know any coding.

    Raises:
        ValueError: An entry is not a content coding, or is there twice.
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
    """Require that no two entries mean the same.

    Raises:
        ValueError: Two do.
    """
    for place, each in enumerate(meant):
        if each in meant[:place]:
            raise ValueError(f"{served[place]!r} is there twice: list it once")
