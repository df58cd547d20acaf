"""Patterns of paths: the meaning of `/hello/{name}`, and which of two is more specific.

A pattern is read segment by segment. Each segment has a key, and the keys of two
patterns are compared from the left: static text precedes a typed placeholder, then a
plain one, a regular expression, and a path, which may span several segments.
"""

import math
import re
from collections.abc import Callable, Container, Iterator
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from . import expressions

STATIC, TYPED, PLAIN, REGEX, PATH = range(5)

Converter = Callable[[str], Any]
Values = tuple[Any, ...]
Mask = tuple[tuple[Any, ...], ...]


class Kind(NamedTuple):
    """A type of placeholder, and what it matches."""

    regex: str
    rank: int
    convert: Converter | None = None
    characters: str = ""
    """The characters of a type that matches every text of them."""


_ANY = ".*"
_SEGMENT = "[^/]+"
_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def _read_uuid(text: str) -> Any:
    from uuid import UUID  # it takes a tenth of the time of `import roll`

    return UUID(text)


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a float")
    return number


KINDS = {
    "uuid": Kind(_UUID, TYPED, _read_uuid),
    "date": Kind("[0-9]{4}-[0-9]{2}-[0-9]{2}", TYPED, date.fromisoformat),
    "digit": Kind("[0-9]+", TYPED, None, "0-9"),
    "int": Kind("-?[0-9]+", TYPED, int, "0-9"),
    "float": Kind(r"-?[0-9]+(?:\.[0-9]+)?", TYPED, _read_float, "0-9"),
    "alpha": Kind("[a-zA-Z]+", TYPED, None, "a-zA-Z"),
    "alnum": Kind(r"\w+", TYPED, None, r"\w"),
    "string": Kind(_SEGMENT, PLAIN),
    "path": Kind(_ANY, PATH),
    "any": Kind(_ANY, PATH),
}
"""The types by name; of two that match the same text, the first here is preferred."""

_TYPED_ORDER = {kind.regex: order for order, kind in enumerate(KINDS.values())}


class Piece(NamedTuple):
    """One segment of a pattern, or all segments from the first that spans several."""

    literals: tuple[str, ...]
    """The texts before, between and after its placeholders, in order."""
    start: str
    """The literal before its first placeholder, or the whole piece without one."""
    end: str
    """The literal after its last placeholder, or the whole piece without one."""
    shape: str
    """An expression without names: the same for pieces that match the same text."""
    key: tuple[Any, ...]
    """Smaller is more specific; with placeholders, it leaves out the start."""
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    spans: bool
    """Whether a placeholder may match a slash, or an empty text."""

    @property
    def text(self) -> str:
        """The literal text."""
        return "".join(self.literals)

    @property
    def general(self) -> bool:
        """Whether it may match texts of pieces of other shapes."""
        return not self.names or self.whole or self.shape in ("(.*)", "(.+)")

    @property
    def whole(self) -> bool:
        """Whether it is one placeholder and nothing else."""
        return len(self.names) == 1 and not self.text and not self.spans

    def includes(self, other: "Piece") -> bool:
        """Whether it matches all texts that *other* matches; only a True is certain."""
        if self.shape == other.shape:
            return True
        if not self.names or self.spans or other.spans:
            return False
        if not other.names:
            return piece_reader(self)(other.text) is not None
        if not self.whole:
            return False
        kind = self.kinds[0]
        return kind.rank == PLAIN or bool(
            kind.characters
            and other.whole
            and expressions.takes_only(other.kinds[0].regex, kind.characters)
        )


class Pattern:
    """A pattern of a path, parsed.

    Args:
        text: A path such as `/hello/{name}`.

    Raises:
        ValueError: *text* is malformed; the message explains why.
    """

    __slots__ = ("key", "mask", "names", "payload", "pieces", "shape", "starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.payload: dict[str, Any] = {}
        """The payload of the route."""
        self.pieces = _parse(text)
        self.names = tuple(name for piece in self.pieces for name in piece.names)
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"{text!r} has the same variable twice")
        self.starts = ("", *[piece.start for piece in self.pieces])
        """The starts of the parts of a split path."""
        self.key = (*[piece.key for piece in self.pieces], (PATH + 1,))
        """Smaller is more specific."""
        self.mask: Mask = tuple(
            piece.key if piece.names else (STATIC,) for piece in self.pieces
        )
        """The key without the starts: it orders patterns that match the same path."""
        self.shape = "/".join(piece.shape for piece in self.pieces)

    @property
    def static(self) -> bool:
        """Whether it has no placeholder."""
        return not self.names

    def word(self, place: int) -> str | None:
        """Give the static part at a place of a split path, or None."""
        piece = self.pieces[place - 1] if place <= len(self.pieces) else None
        return None if piece is None or piece.names else piece.text

    def hides(self, other: "Pattern") -> bool:
        """Whether it precedes *other* and matches its paths; only a True is certain."""
        return self.key < other.key and self._includes(other)

    def _includes(self, other: "Pattern") -> bool:
        last = len(self.pieces) - 1
        rest = other.pieces[last:]
        if not rest:
            return False
        if self.pieces[last].shape == "(.+)":
            takes_rest = len(rest) > 1 or not expressions.may_be_empty(rest[0].shape)
        else:
            takes_rest = len(rest) == 1 and self.pieces[last].includes(rest[0])
        return takes_rest and all(
            mine.includes(theirs)
            for mine, theirs in zip(self.pieces[:last], other.pieces, strict=False)
        )


# Reading

Parts = list[str]
"""A path split at its slashes."""

Match = tuple[dict[str, Any] | None, dict[str, Any]]
Finder = Callable[[Parts], Match | None]


def make_finder(pattern: Pattern, checked: Container[int]) -> Finder:
    """Make the function that matches a path with a pattern.

    Args:
        pattern: A pattern with a placeholder.
        checked: Places whose static text is known to match.

    Returns:
        A function that takes the parts of a path, as many as the pattern has, and gives
        the payload and the variables by name, or None if it does not match.
    """
    texts, steps = [], []
    for at, piece in enumerate(pattern.pieces, 1):
        if piece.names:
            steps.append((at, piece))
        elif at not in checked:
            texts.append((piece.text, at))
    if all(piece.whole for _, piece in steps):
        make = _whole_finder(
            tuple(at for _, at in texts),
            tuple((piece.names[0], at, piece.kinds[0]) for at, piece in steps),
        )
        return make(pattern.payload, *[text for text, _ in texts])
    return _general_finder(
        pattern.payload,
        texts,
        [(at, piece.names, piece.spans, piece_reader(piece)) for at, piece in steps],
    )


@lru_cache(maxsize=256)  # many patterns have the same variables at the same places
def _whole_finder(
    static: tuple[int, ...], steps: tuple[tuple[str, int, Kind], ...]
) -> Callable[..., Finder]:
    """Make a function that takes a payload and the static texts, and makes a finder.

    It is compiled from source: an expression takes half the time of a loop over the
    parts.
    """
    conditions = [f"parts[{at}] == text{at}" for at in static]
    conditions.append("not parts[0]")  # before the first slash
    values = []
    readers: dict[str, Any] = {}
    for name, at, kind in steps:
        value = f"value{at}"
        values.append(f"{name!r}: {value}")
        if kind.rank == PLAIN:
            conditions.append(f"({value} := parts[{at}])")
        else:
            readers[f"read{at}"] = _value_reader(kind)
            conditions.append(f"({value} := read{at}(parts[{at}])) is not None")
    given = ", ".join(["payload", *[f"text{at}" for at in static]])
    answer = f"(payload, {{{', '.join(values)}}}) if {' and '.join(conditions)}"
    source = f"lambda {given}: lambda parts: {answer} else None"
    make: Callable[..., Finder] = eval(source, readers)
    return make


def _general_finder(
    payload: dict[str, Any],
    texts: list[tuple[str, int]],
    steps: list[tuple[int, tuple[str, ...], bool, Callable[[str], Values | None]]],
) -> Finder:
    def find(parts: Parts) -> Match | None:
        if parts[0]:
            return None
        for text, at in texts:
            if parts[at] != text:
                return None
        variables: dict[str, Any] = {}
        for at, names, spans, read in steps:
            values = read("/".join(parts[at:]) if spans else parts[at])
            if values is None:
                return None
            variables.update(zip(names, values, strict=True))
        return payload, variables

    return find


@lru_cache(maxsize=256)  # most placeholders share a few types
def _value_reader(kind: Kind) -> Callable[[str], Any]:
    """Make the reader of a segment that is one placeholder; None if it is invalid."""
    fullmatch = re.compile(kind.regex, re.DOTALL).fullmatch
    longest = expressions.longest([kind.regex])
    convert = kind.convert or str
    # This is faster for most texts of digits or letters.
    usual = {"0-9": str.isdecimal, "a-zA-Z": str.isalpha}.get(kind.characters, _never)

    def read(text: str) -> Any:
        if not (usual(text) and text.isascii()) and (
            len(text) > longest or fullmatch(text) is None
        ):
            return None
        try:
            return convert(text)
        except ValueError:  # 2026-02-30, or too many digits
            return None

    return read


def _never(text: str) -> bool:
    return False


def piece_reader(piece: Piece) -> Callable[[str], Values | None]:
    """Make the reader of the text of a piece.

    Returns:
        A function from a text to the values of the placeholders, or None if it does not
        match.
    """
    return _piece_reader(
        piece.shape, piece.kinds, piece.spans, piece.literals, piece.end
    )


@lru_cache(maxsize=256)
def _piece_reader(
    shape: str,
    kinds: tuple[Kind, ...],
    spans: bool,
    literals: tuple[str, ...],
    end: str,
) -> Callable[[str], Values | None]:
    if shape == "(.*)":
        return lambda text: (text,)
    fullmatch = re.compile(shape, re.DOTALL).fullmatch
    longest = _longest(kinds, spans)
    converters = [kind.convert or str for kind in kinds]
    converts = any(kind.convert for kind in kinds)

    def read(text: str) -> Values | None:
        if len(text) > longest or not text.endswith(end):
            return None
        # A missing literal is found quickly. The expression may take longer, and a path
        # may be tried on many.
        for literal in literals:
            if literal not in text:
                return None
        found = fullmatch(text)
        if found is None:
            return None
        if not converts:
            return found.groups()
        try:
            return tuple(
                convert(value)
                for convert, value in zip(converters, found.groups(), strict=True)
            )
        except ValueError:
            return None

    return read


def _longest(kinds: tuple[Kind, ...], spans: bool) -> int:
    # Between slashes, one repeat cannot match what the next one might.
    return expressions.longest(
        kind.regex for kind in kinds if not (spans and kind.rank in (TYPED, PLAIN))
    )


# Parsing

_BRACE = re.compile("[{}]")
_ANGLES = re.compile(r"<(?:(\w+):)?(\w+)>")
_NO_PATH = re.compile("[?#]|%[0-9A-Fa-f]{2}")
_NO_PATH_ADVICE = {
    "?": "a path has no query; a view reads it from request.query",
    "#": "a path has no fragment; clients do not send it",
    "%": "write what is percent-encoded as the text that it means",
}


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
    for piece in pieces:
        try:
            _longest(piece.kinds, piece.spans)
        except ValueError as error:
            raise ValueError(f"{text!r} {error}") from None
    return tuple(pieces)


def _join(rest: list[Piece]) -> Piece:
    return Piece(
        tuple(literal for piece in rest for literal in piece.literals),
        rest[0].start,
        rest[-1].end,
        "/".join(piece.shape for piece in rest),
        (*[part for piece in rest for part in piece.key], PATH + 1),
        tuple(name for piece in rest for name in piece.names),
        tuple(kind for piece in rest for kind in piece.kinds),
        spans=True,
    )


class PathPart(NamedTuple):
    """A placeholder of a path, and the literal before it."""

    literal: str
    name: str | None
    """The name of the placeholder; None after the last one."""
    type: str
    """The name of its type, or its expression, or empty."""


def check_slash(path: str) -> None:
    """Check that a path begins with a slash.

    Raises:
        ValueError: It does not.
    """
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not a path: start it with a slash")


def split_path(path: str) -> list[PathPart]:
    """Split the path of a route into placeholders and literals.

    Names and types are not checked.

    Args:
        path: A path such as `/hello/{name}`.

    Returns:
        A part for each placeholder, and a last one for the literal after them.

    Raises:
        ValueError: It does not start with a slash, its braces do not match, or it has a
            placeholder in the style of other frameworks, such as `<int:id>`, a query, a
            fragment, or percent-encoding.
    """
    check_slash(path)
    parts: list[PathPart] = []
    position = 0
    while brace := _BRACE.search(path, position):
        if brace[0] == "}":
            raise ValueError(f"{path!r} closes a brace that is not open")
        end = _closing_brace(path, brace.start())
        name, _, kind = path[brace.end() : end].partition(":")
        parts.append(PathPart(path[position : brace.start()], name, kind))
        position = end + 1
    parts.append(PathPart(path[position:], None, ""))
    for part in parts:
        _check_literal(path, part.literal)
    return parts


def find_oddities(path: str) -> Iterator[str]:
    """Give the texts in a path that are probably meant as placeholders."""
    for segment in path.split("/"):
        name = segment.lstrip(":*")
        if name and not name.isidentifier():
            continue
        if segment.startswith("*"):
            name = f"{name or 'path'}:path"
        elif not name or segment[0] != ":":
            continue
        yield f"{path!r} takes {segment!r} as text: write '{{{name}}}' for any value"


def _check_literal(path: str, literal: str) -> None:
    if found := _NO_PATH.search(literal):
        raise ValueError(f"{path!r}: {_NO_PATH_ADVICE[found[0][0]]}")
    found = _ANGLES.search(literal)
    if found is not None:
        kind, name = found.groups()
        ours = f"{name}:{kind}" if kind else name
        raise ValueError(f"{path!r}: write '{{{ours}}}' instead of {found[0]!r}")


Placeholder = tuple[str, str]
"""A name, and the text of its type."""


def _split(text: str) -> list[list[str | Placeholder]]:
    """Split into segments, each a list of literals and placeholders."""
    segments: list[list[str | Placeholder]] = [[]]
    for literal, name, kind in split_path(text):
        for index, piece in enumerate(literal.split("/")):
            if index:
                segments.append([])
            if piece:
                segments[-1].append(piece)
        if name is not None:
            segments[-1].append((name, kind))
    return segments[1:]  # the text before the first slash is empty


def _closing_brace(text: str, start: int) -> int:
    """Find the end of a placeholder; an expression may contain braces."""
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
    shape = ""
    literals: list[str] = []
    names: list[str] = []
    kinds: list[Kind] = []
    for part in segment:
        if isinstance(part, str):
            shape += re.escape(part)
            literals.append(part)
            continue
        name, kind = part
        if not name.isidentifier():
            raise ValueError(f"{text!r}: {name!r} cannot be the name of a variable")
        names.append(name)
        kinds.append(_find_kind(text, kind, name))
        shape += f"({kinds[-1].regex})"
    start = "".join(part for part in segment[:1] if isinstance(part, str))
    end = "".join(part for part in segment[-1:] if isinstance(part, str))
    rank = max((kind.rank for kind in kinds), default=STATIC)
    order = max((_TYPED_ORDER.get(kind.regex, 0) for kind in kinds), default=0)
    spans = any(_spans(kind) for kind in kinds)
    ranks = sum(kind.rank for kind in kinds)
    rest = shape.removeprefix(re.escape(start))
    return Piece(
        tuple(literals),
        start,
        end,
        shape,
        (
            rank,
            spans,
            -len("".join(literals)),
            len(names),
            ranks,
            order,
            -len(start),
            rest,
        ),
        tuple(names),
        tuple(kinds),
        spans,
    )


def _find_kind(text: str, name: str, variable: str) -> Kind:
    if not name:
        return KINDS["string"]
    if name in KINDS:
        return KINDS[name]
    if name.strip() in KINDS:
        raise ValueError(f"{text!r}: leave out the space in {name!r}")
    if re.fullmatch(r"\w+", name):
        import difflib  # only for mistakes

        near = difflib.get_close_matches(name, KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"types are {', '.join(KINDS)}"
        if variable in KINDS:
            hint = f"write {{{name}:{variable}}}"
        raise ValueError(f"{text!r}: {name!r} is not a type; {hint}")
    try:
        expressions.check(name)
    except ValueError as error:
        raise ValueError(f"{text!r}: {name!r} {error}") from error
    return Kind(name, REGEX)


def _spans(kind: Kind) -> bool:
    if kind.rank != REGEX:
        return kind.rank == PATH
    regex = kind.regex
    return expressions.may_be_empty(regex) or expressions.may_take_slash(regex)
