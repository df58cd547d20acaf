"""Patterns of paths: what `/hello/{name}` means, and which of two is more specific.

A pattern is read segment by segment. Each has a key, and the keys of two patterns are
compared from the left: static text, then a typed placeholder, a plain one, a regular
expression, and a path, which may be several segments.
"""

import difflib
import re
import uuid
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from re import _constants, _parser  # type: ignore[attr-defined]  # no public parser
from typing import Any, NamedTuple

STATIC, TYPED, PLAIN, REGEX, PATH = range(5)

Converter = Callable[[str], Any]


class Kind(NamedTuple):
    """What a type of placeholder takes."""

    regex: str
    rank: int
    convert: Converter | None = None


_ANY = ".*"
_SEGMENT = "[^/]+"
_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

KINDS = {
    "uuid": Kind(
        "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", TYPED, uuid.UUID
    ),
    "date": Kind("[0-9]{4}-[0-9]{2}-[0-9]{2}", TYPED, date.fromisoformat),
    "digit": Kind("[0-9]+", TYPED),
    "int": Kind("-?[0-9]+", TYPED, int),
    "float": Kind(r"-?[0-9]+(?:\.[0-9]+)?", TYPED, float),
    "alpha": Kind("[a-zA-Z]+", TYPED),
    "alnum": Kind(r"\w+", TYPED),
    "string": Kind(_SEGMENT, PLAIN),
    "path": Kind(_ANY, PATH),
    "any": Kind(_ANY, PATH),
}
"""The types by name; of two that take the same text, the first here is preferred."""

_TYPED_ORDER = {kind.regex: order for order, kind in enumerate(KINDS.values())}

# How long a text may be for an expression with so many unbounded repeats, so that the
# work of `re`, at worst the length to the power of their number, stays small.
_LONGEST = {0: 1 << 16, 1: 1 << 16, 2: 2000, 3: 200}
_LONGEST_OF_MORE = 64


class Piece(NamedTuple):
    """One segment of a pattern, or all of it from the first that spans several."""

    text: str
    """What is literal of it."""
    shape: str
    """An expression without names: the same for pieces that take the same text."""
    key: tuple[Any, ...]
    """Smaller is more specific."""
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    spans: bool
    """Whether a placeholder may take a slash, or nothing."""


class Pattern:
    """A pattern of a path, parsed.

    Args:
        text: Such as `/hello/{name}`.

    Raises:
        ValueError: It is malformed; the message says what is wrong with it.
    """

    __slots__ = ("key", "names", "payload", "pieces", "shape", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.payload: dict[str, Any] = {}
        """What is known of the route."""
        self.pieces = _parse(text)
        self.names = tuple(name for piece in self.pieces for name in piece.names)
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"{text!r} has the same variable twice")
        self.key = (*[piece.key for piece in self.pieces], (PATH + 1,))
        self.shape = "/".join(piece.shape for piece in self.pieces)

    @property
    def static(self) -> bool:
        """Whether it has no placeholder."""
        return not self.names


class Matcher:
    """Reads the text of a piece.

    Args:
        piece: What to read, as the first of its shape was parsed.
    """

    __slots__ = ("converters", "fullmatch", "longest")

    def __init__(self, piece: Piece) -> None:
        self.fullmatch = re.compile(piece.shape, re.DOTALL).fullmatch
        self.longest = _longest(piece)
        converters = [kind.convert for kind in piece.kinds]
        self.converters = converters if any(converters) else None

    def read(self, text: str) -> tuple[Any, ...] | None:
        """Return the values of the placeholders, None when the text does not fit."""
        if len(text) > self.longest:
            return None
        found = self.fullmatch(text)
        if found is None:
            return None
        if self.converters is None:
            return found.groups()
        try:
            return tuple(
                value if convert is None else convert(value)
                for convert, value in zip(self.converters, found.groups(), strict=True)
            )
        except ValueError:  # 2026-02-30, or an integer of 5,000 digits
            return None


def _parse(text: str) -> tuple[Piece, ...]:
    segments = _split(text)
    pieces: list[Piece] = []
    for index, segment in enumerate(segments):
        piece = _parse_segment(text, segment)
        if piece.spans:
            rest = [_parse_segment(text, later) for later in segments[index:]]
            pieces.append(_join(rest))
            break
        pieces.append(piece)
    return tuple(pieces)


def _join(rest: list[Piece]) -> Piece:
    return Piece(
        "",
        "/".join(piece.shape for piece in rest),
        (*[part for piece in rest for part in piece.key], PATH + 1),
        tuple(name for piece in rest for name in piece.names),
        tuple(kind for piece in rest for kind in piece.kinds),
        spans=True,
    )


Placeholder = tuple[str, str]
"""A name, and the text of its type."""


def _split(text: str) -> list[list[str | Placeholder]]:
    """Split into segments, each a list of literals and placeholders."""
    segments: list[list[str | Placeholder]] = [[]]
    position = 1  # after the first slash
    while position < len(text):
        character = text[position]
        if character == "{":
            end = _closing_brace(text, position)
            name, _, kind = text[position + 1 : end].partition(":")
            segments[-1].append((name, kind))
            position = end + 1
        elif character == "}":
            raise ValueError(f"{text!r} closes a brace that is not open")
        elif character == "/":
            segments.append([])
            position += 1
        else:
            end = position
            while end < len(text) and text[end] not in "{}/":
                end += 1
            segments[-1].append(text[position:end])
            position = end
    return segments


def _closing_brace(text: str, start: int) -> int:
    """Find the end of a placeholder; an expression may have braces of its own."""
    depth = 0
    position = start
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise ValueError(f"{text!r} does not close a brace")


def _parse_segment(text: str, segment: list[str | Placeholder]) -> Piece:
    shape = literal = ""
    names: list[str] = []
    kinds: list[Kind] = []
    for part in segment:
        if isinstance(part, str):
            shape += re.escape(part)
            literal += part
            continue
        name, kind = part
        if not name.isidentifier():
            raise ValueError(f"{text!r}: {name!r} cannot be the name of a variable")
        names.append(name)
        kinds.append(_find_kind(text, kind))
        shape += f"({kinds[-1].regex})"
    rank = max((kind.rank for kind in kinds), default=STATIC)
    order = max((_TYPED_ORDER.get(kind.regex, 0) for kind in kinds), default=0)
    return Piece(
        literal,
        shape,
        (rank, -len(literal), len(names), order, shape),
        tuple(names),
        tuple(kinds),
        any(_spans(kind) for kind in kinds),
    )


def _find_kind(text: str, name: str) -> Kind:
    if not name:
        return KINDS["string"]
    if name in KINDS:
        return KINDS[name]
    if re.fullmatch(r"\w+", name):
        near = difflib.get_close_matches(name, KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"types are {', '.join(KINDS)}"
        raise ValueError(f"{text!r}: {name!r} is no type; {hint}")
    try:
        groups = re.compile(name).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(
            f"{text!r}: {name!r} is no regular expression: {error}"
        ) from error
    if groups:
        raise ValueError(f"{text!r}: {name!r} has a group: write (?:...) instead")
    if _has_nested_repeat(_parser.parse(name)):
        raise ValueError(
            f"{text!r}: {name!r} repeats a repeat, which may take for ever: "
            "write it without"
        )
    return Kind(name, REGEX)


def _spans(kind: Kind) -> bool:
    if kind.rank != REGEX:
        return kind.rank == PATH
    parsed = _parser.parse(kind.regex)
    return parsed.getwidth()[0] == 0 or _may_take_slash(parsed)


_FEW = 16
"""Repeats up to which they count as written out."""

_REPEATS = frozenset(
    {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
)


def _walk(parsed: Any) -> Any:
    """Give each operation of a parsed expression, and how many repeats it is under."""
    stack = [(parsed, 0)]
    while stack:
        items, depth = stack.pop()
        for operation, argument in items:
            yield operation, argument, depth
            inside = depth
            if _is_unbounded(operation, argument, depth):
                inside += 1
            stack.extend((inner, inside) for inner in _inner(argument))


def _inner(argument: Any) -> Any:
    """Find the parsed expressions within the argument of an operation."""
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for part in argument:
            yield from _inner(part)


def _is_unbounded(operation: Any, argument: Any, depth: int) -> bool:
    return operation in _REPEATS and argument[1] > _FEW


def _has_nested_repeat(parsed: Any) -> bool:
    return any(found[2] > 0 and _is_unbounded(*found) for found in _walk(parsed))


def _longest(piece: Piece) -> int:
    """Bound the text of a piece, so that no text makes `re` work for long."""
    repeats = sum(
        _count_repeats(kind.regex)
        for kind in piece.kinds
        # Between slashes one repeat cannot take what the next one might.
        if not (piece.spans and kind.rank in (TYPED, PLAIN))
    )
    return _LONGEST.get(repeats, _LONGEST_OF_MORE)


@lru_cache(maxsize=256)  # most patterns share a few types
def _count_repeats(regex: str) -> int:
    return sum(_is_unbounded(*found) for found in _walk(_parser.parse(regex)))


def _may_take_slash(parsed: Any) -> bool:
    """Whether any part of an expression takes a slash; sure only of a no."""
    return any(
        _takes_slash(operation, argument) for operation, argument, _ in _walk(parsed)
    )


def _takes_slash(operation: Any, argument: Any) -> bool:
    if operation is _constants.LITERAL:
        return bool(argument == ord("/"))
    if operation is _constants.NOT_LITERAL:
        return bool(argument != ord("/"))
    if operation is _constants.IN:
        return _set_takes_slash(argument)
    return operation is _constants.ANY


def _set_takes_slash(parts: Any) -> bool:
    negated = parts[0][0] is _constants.NEGATE
    takes = False
    for operation, argument in parts:
        if operation is _constants.LITERAL:
            takes |= argument == ord("/")
        elif operation is _constants.RANGE:
            takes |= argument[0] <= ord("/") <= argument[1]
        elif operation is _constants.CATEGORY:
            takes |= "NOT" in str(argument)  # \D, \S and \W take a slash
    return takes != negated
