"""Routes: the default matcher of paths to patterns.

Static paths are in a dict. Other patterns are in tables: one for all patterns that
differ only in their static segments, which are the keys: `/users/{id}/posts` and
`/boxes/{key}/lids` are in one, the first with the key `("users", "posts")`. A path is
looked up in the tables for its length, and for its segment at the place that
distinguishes most patterns, the most specific first: the time depends on these few
tables, not on the number of routes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from .patterns import REGEX, Finder, Mask, Match, Parts, Pattern, make_finder

SEARCHED = 100
"""The limit of patterns that are checked for being hidden by a new one."""

SHARED = 50
"""The most tables that each word of a place has to list, besides its own."""


class UnreachableRouteError(ValueError):
    """A pattern that another one always hides.

    Args:
        message: The error message.
        other: The pattern that was added before.
    """

    def __init__(self, message: str, other: str) -> None:
        super().__init__(message)
        self.other = other


class Table:
    """The patterns that differ only in their static segments.

    Args:
        pattern: The first of them.
    """

    def __init__(self, pattern: Pattern) -> None:
        self.length = len(pattern.starts)
        """Parts of a matching path; it may have more if the last piece spans
        several."""
        self.spans = pattern.pieces[-1].spans
        starts = [
            (at, len(piece.start) if piece.names else None)
            for at, piece in enumerate(pattern.pieces, 1)
            if piece.start or not piece.names
        ]
        self.places = {at for at, _ in starts}
        self.key = _make_key(starts)
        """Gives the literal parts of a split path."""
        self.patterns: dict[Any, Pattern] = {}
        self.finders: dict[Any, Finder] = {}
        """Finders of paths, by their literal parts."""

    def add(self, pattern: Pattern) -> None:
        """Add a pattern."""
        key = self.key(pattern.starts)
        self.patterns[key] = pattern
        self.finders[key] = make_finder(pattern, self.places)

    def finder(self, patterns: list[Pattern], place: int) -> Finder:
        """Make a finder for some of the patterns, whose text at *place* matches."""
        if len(patterns) == 1:
            return make_finder(patterns[0], {place})
        key, finders = self.key, self.finders

        def find(parts: Parts) -> Match | None:
            found = finders.get(key(parts))
            return None if found is None else found(parts)

        return find

    def find(self, pattern: Pattern) -> Pattern | None:
        """Find the pattern whose literals *pattern* has, too."""
        if self.length > len(pattern.starts):
            return None
        return self.patterns.get(self.key(pattern.starts))

    def takes(self, length: int) -> bool:
        """Whether paths of so many parts may match."""
        return length == self.length or (self.spans and length > self.length)


def _make_key(starts: list[tuple[int, int | None]]) -> Callable[[Sequence[str]], Any]:
    """Make the function that gives some starts of parts; an end of None is all."""
    if all(end is None for _, end in starts):
        return itemgetter(*[at for at, _ in starts] or [0])

    def pick(parts: Sequence[str]) -> Any:
        return tuple([parts[at][:end] for at, end in starts])

    return pick


Index = tuple[int, dict[str | None, Finder], Finder]
"""The part of a path to look at; the finders by the word there; that of other words."""


def make_index(tables: list[Table], length: int) -> Index:
    """Choose the finders for paths of *length* parts, and the part to look at.

    Args:
        tables: All tables, those of more specific patterns first.
        length: The parts of a split path, including the empty one at the start.
    """
    tables = [table for table in tables if table.takes(length)]
    every = {table: [*table.patterns.values()] for table in tables}
    least: tuple[float, int] = math.inf, 0
    place, words = 0, dict[str | None, dict[Table, list[Pattern]]]({None: every})
    for at in range(1, length):
        found: dict[str | None, dict[Table, list[Pattern]]] = {None: {}}
        for table, patterns in every.items():
            for pattern in patterns:
                fitting = found.setdefault(pattern.word(at), {})
                fitting.setdefault(table, []).append(pattern)
        anywhere = found[None]
        if len(anywhere) > SHARED:
            continue
        # The tables tried if each pattern is looked up once; if equal, more words give
        # more patterns a word of their own.
        tried = sum(
            sum(map(len, each.values())) * len({*each, *anywhere})
            for each in found.values()
        )
        if (tried, -len(found)) < least:
            least, place, words = (tried, -len(found)), at, found
    anywhere = words.pop(None)

    def find(chosen: dict[Table, list[Pattern]]) -> Finder:
        return _find_first(
            [each.finder(chosen[each], place) for each in tables if each in chosen]
        )

    return (
        place,
        {word: find({**each, **anywhere}) for word, each in words.items()},
        find(anywhere),
    )


def _find_first(finders: list[Finder]) -> Finder:
    if len(finders) == 1:
        return finders[0]

    def find(parts: Parts) -> Match | None:
        for each in finders:
            found = each(parts)
            if found is not None:
                return found
        return None

    return find


class Routes:
    """The default matcher.

    Iterating gives the patterns in the order in which they were added. Another class
    can replace it as `Roll.Routes`; it needs `add` and `match`.
    """

    def __init__(self) -> None:
        self._patterns: dict[str, Pattern] = {}
        self._static: dict[str, dict[str, Any]] = {}
        self._shapes: dict[str, Pattern] = {}
        self._tables: dict[Mask, Table] = {}
        self._tables_by_shape: dict[str | None, list[Table]] = {}
        """The tables by the first of their shapes that only match their own texts."""
        self._indexes: list[Index] = []
        """The index for each length of a path, made at the first look-up."""
        self._most = 0
        """The most slashes at which a path is split."""
        self._with_expressions: dict[tuple[str, ...], list[Pattern]] = {}
        """Patterns by the shapes of the pieces before an expression."""

    def __iter__(self) -> Iterator[str]:
        return iter(self._patterns)

    def add(self, path: str, **payload: Any) -> None:
        """Add *payload* to that of *path*.

        Raises:
            ValueError: The pattern is malformed, or has an unknown type.
            UnreachableRouteError: It hides another pattern, or is hidden by one.
        """
        pattern = self._patterns.get(path)
        if pattern is None:
            pattern = self._insert(path)
        pattern.payload.update(payload)

    def match(self, path: str) -> Match:
        """Find *path*, percent-decoded: its payload and variables, or `(None, {})`."""
        payload = self._static.get(path)
        if payload is not None:
            return payload, {}
        indexes = self._indexes or self._make_indexes()
        parts = path.split("/", self._most)
        place, by_word, others = indexes[len(parts)]
        return by_word.get(parts[place], others)(parts) or (None, {})

    def variables(self, path: str) -> tuple[str, ...]:
        """Give the names of the variables of a pattern that was added."""
        return self._patterns[path].names

    # Adding

    def _insert(self, path: str) -> Pattern:
        pattern = Pattern(path)
        if pattern.static:
            self._static[path] = pattern.payload
        else:
            self._check_reachable(pattern)
            table = self._tables.get(pattern.mask)
            if table is None:
                table = self._tables[pattern.mask] = Table(pattern)
                shape = next(_special_shapes(pattern), None)
                self._tables_by_shape.setdefault(shape, []).append(table)
            table.add(pattern)
            self._indexes = []
        self._patterns[path] = pattern
        return pattern

    def _make_indexes(self) -> list[Index]:
        # The smaller of two masks is that of the more specific patterns: where both are
        # static, the paths differ.
        tables = [self._tables[mask] for mask in sorted(self._tables)]
        longest = max((table.length for table in tables), default=0)
        self._indexes = [make_index(tables, length) for length in range(longest + 2)]
        self._most = longest
        return self._indexes

    # Routes that can never be reached

    def _check_reachable(self, pattern: Pattern) -> None:
        same = self._shapes.get(pattern.shape)
        if same is not None:
            raise UnreachableRouteError(
                f"{pattern.text!r} and {same.text!r} take the same paths: use one name",
                same.text,
            )
        for other in self._find_rivals(pattern):
            for first, second in ((other, pattern), (pattern, other)):
                if first.hides(second):
                    raise UnreachableRouteError(
                        f"{first.text!r} always hides {second.text!r}: it comes first, "
                        "and takes all its paths",
                        other.text,
                    )
        self._shapes[pattern.shape] = pattern
        before: tuple[str, ...] = ()
        for piece in pattern.pieces:
            if piece.key[0] >= REGEX:
                self._with_expressions.setdefault(before, []).append(pattern)
            before += (piece.shape,)

    def _find_rivals(self, pattern: Pattern) -> Iterator[Pattern]:
        """Find patterns that may hide *pattern*, or that it may hide."""
        for shape in {None, *_special_shapes(pattern)}:
            for table in self._tables_by_shape.get(shape, ()):
                rival = table.find(pattern)
                if rival is not None:
                    yield rival
        # Only a pattern with an expression can follow one that matches more.
        before: tuple[str, ...] = ()
        for piece in pattern.pieces:
            if piece.names:
                yield from islice(self._with_expressions.get(before, ()), SEARCHED)
            before += (piece.shape,)


def _special_shapes(pattern: Pattern) -> Iterator[str]:
    return (piece.shape for piece in pattern.pieces if not piece.general)
