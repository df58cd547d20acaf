"""Which responses are compressed, and how (RFC 9110, section 12.5.3)."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from roll import Request
from roll.preferences import LONGEST, read_codings

TYPES: tuple[str, ...] = (
    "text/*",
    "*+json",
    "*+xml",
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "application/wasm",
    "application/xml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/svg+xml",
)
"""The media types whose bodies become smaller."""

_TYPE = re.compile(r"([\w!#$&^.+-]+)/(\*|[\w!#$&^.+-]+)|\*\+[\w.-]+", re.ASCII)

# Fields that forbid compression, and two more that may forbid it.
_FORBIDDING = frozenset({"content-digest", "content-range", "digest", "repr-digest"})
_TELLING = _FORBIDDING | {"cache-control", "content-encoding"}


class Choice(NamedTuple):
    """What a client accepts."""

    coding: str | None
    """The coding that it prefers; None for no coding."""
    forced: bool
    """Whether it refuses a body without a coding."""


IDENTITY = Choice(None, False)

_ZERO_WEIGHT = re.compile(rb"\naccept-encoding:[^\r\n0]*+0", re.IGNORECASE)


def may_refuse_identity(request: Request) -> bool:
    """Whether a client may refuse a body without a coding: this takes a weight of 0.

    Searching the head as received takes a tenth of the time of parsing it.
    """
    head = request.head
    return head.find(b"=0") >= 0 and _ZERO_WEIGHT.search(head) is not None


def choose_coding(field: str, names: Iterable[str]) -> Choice:
    """Choose a coding by the weights that a client gives.

    Args:
        field: `Accept-Encoding`, empty when there is none.
        names: The codings to choose from; of equal weights, the first one wins.
    """
    if not field or len(field) > LONGEST:
        return IDENTITY
    weights = read_codings(field)
    others = weights.get("*", 0.0)
    ranked = {name: weights.get(name, others) for name in names}
    best = max(ranked, key=ranked.__getitem__, default="identity")
    weight = ranked.get(best, 0.0)
    if not weight or weight < weights.get("identity", others):
        return IDENTITY
    return Choice(best, weights.get("identity", weights.get("*")) == 0)


def type_matcher(types: Sequence[str]) -> Callable[[str], bool]:
    """Make the function that tells whether a `Content-Type` is among *types*.

    Raises:
        ValueError: One is neither a media type nor a pattern such as `text/*` or
            `*+json`.
    """
    if isinstance(types, str):
        raise ValueError(f"types={types!r}: give a list, such as ['text/*']")
    for each in types:
        if not isinstance(each, str) or not _TYPE.fullmatch(each):
            raise ValueError(
                f"types: {each!r} is not a media type: give one such as "
                "'application/json', 'text/*' or '*+json'"
            )
    lower = [each.lower() for each in types]
    whole = frozenset(lower)
    starts = tuple(each[:-1] for each in lower if each.endswith("/*"))
    ends = tuple(each[1:] for each in lower if each.startswith("*+"))

    @lru_cache(maxsize=256)  # an application has few
    def matches(content_type: str) -> bool:
        kind = media_type(content_type)
        return kind in whole or kind.startswith(starts) or kind.endswith(ends)

    return matches


def media_type(content_type: str) -> str:
    """Give a media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip(" \t").lower()


def may_change(headers: Any, names: set[str]) -> bool:
    """Whether the fields of a response let its body be compressed.

    Args:
        headers: The fields.
        names: Their names, in lower case.
    """
    telling = names & _TELLING
    if not telling:  # as in most responses
        return True
    return (
        telling.isdisjoint(_FORBIDDING)
        and {*members(headers, "Content-Encoding")} <= {"identity"}
        and "no-transform" not in members(headers, "Cache-Control")
    )


def members(headers: Any, name: str) -> list[str]:
    """List the members of a field, in lower case, from all its lines."""
    lines = map(str, headers.list(name))
    found = (each.strip(" \t").lower() for each in ",".join(lines).split(","))
    return [each for each in found if each]
