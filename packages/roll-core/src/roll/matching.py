"""Routes: the default matcher. A route that fits is found, one that does not is not.

Static paths are in a dict. So are, by what stands before it, patterns whose last
segment alone is a placeholder, if no more specific pattern can rival them. Others
without rivals go to autoroutes, whose answer is checked. What is not found so is looked
for in a tree that is walked back and forth, the most specific branch first.
"""

from collections.abc import Iterator
from typing import Any

import autoroutes

from .patterns import KINDS, PLAIN, REGEX, Matcher, Pattern, Piece

ENGINE_SIZE = 500
"""Patterns that autoroutes takes: the time it needs to add them is quadratic."""

PATIENCE = 100
"""Branches looked at to see that a pattern has no rival; then it is taken to have."""

Values = tuple[Any, ...]
Match = tuple[dict[str, Any] | None, dict[str, Any]]


class UnreachableRouteError(ValueError):
    """A pattern that another one always hides.

    Args:
        message: What to say.
        other: The pattern that was there before.
    """

    def __init__(self, message: str, other: str) -> None:
        super().__init__(message)
        self.other = other


class Node:
    """What may follow after some segments."""

    __slots__ = ("branches", "keys", "pattern", "static")

    def __init__(self) -> None:
        self.static: dict[str, Node] = {}
        self.branches: list[Branch] = []
        self.keys: dict[str, Branch] = {}
        self.pattern: Pattern | None = None
        """The pattern that ends here."""


class Branch:
    """A piece with placeholders, and what follows it."""

    __slots__ = ("key", "matcher", "node", "spans")

    def __init__(self, piece: Piece) -> None:
        self.key = piece.key
        self.matcher = Matcher(piece)
        self.spans = piece.spans
        self.node = Node()


class Routes:
    """The default matcher.

    Iterating gives the patterns in the order they were added. Another class can take
    its place as `Roll.Routes`; it needs `add` and `match`.
    """

    def __init__(self) -> None:
        self._patterns: dict[str, Pattern] = {}
        self._static: dict[str, dict[str, Any]] = {}
        self._shapes: dict[str, Pattern] = {}
        self._general: dict[str, Pattern] = {}  # with expressions as plain placeholders
        self._root = Node()
        self._tails: dict[str, tuple[Pattern, Matcher | None]] = {}
        self._engine: autoroutes.Routes | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._patterns)

    def add(self, path: str, **payload: Any) -> None:
        """Add *payload* to what is known of *path*.

        Raises:
            ValueError: The pattern is malformed, or of a type that does not exist.
            UnreachableRouteError: It hides another pattern, or is hidden.
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
        if self._engine is None:
            self._engine = self._prepare()
        head, slash, last = path.rpartition("/")
        tail = self._tails.get(head)
        if tail is not None and slash and last:
            pattern, reader = tail
            if reader is None:
                return pattern.payload, {pattern.names[0]: last}
            values = reader.read(last)
            if values is not None:
                return _answer(pattern, values)
        found, variables = self._engine.match(path)
        if found is not None:
            pattern, matcher = found["route"]
            if matcher.converters is None:
                if matcher.fullmatch(path) is not None:
                    return pattern.payload, variables
            else:
                values = matcher.read(path)
                if values is not None:
                    return _answer(pattern, values)
        return self._search(path)

    def variables(self, path: str) -> tuple[str, ...]:
        """Name the variables of a pattern that was added."""
        return self._patterns[path].names

    # Adding

    def _insert(self, path: str) -> Pattern:
        pattern = Pattern(path)
        if pattern.static:
            self._static[path] = pattern.payload
        else:
            self._check_reachable(pattern)
            self._plant(pattern)
            self._engine = None
        self._patterns[path] = pattern
        return pattern

    def _check_reachable(self, pattern: Pattern) -> None:
        same = self._shapes.get(pattern.shape)
        if same is not None:
            raise UnreachableRouteError(
                f"{pattern.text!r} and {same.text!r} take the same paths: use one name",
                same.text,
            )
        general = _generalise(pattern)
        # What is plain in one and an expression in the other: the plain one comes
        # first, and takes all that the expression does.
        hiding = self._shapes.get(general)
        hidden = self._general.get(pattern.shape)
        for first, second, other in (
            (hiding, pattern, hiding),
            (pattern, hidden, hidden),
        ):
            if first is not None and second is not None and other is not None:
                raise UnreachableRouteError(
                    f"{first.text!r} always hides {second.text!r}: plain placeholders "
                    "come before expressions",
                    other.text,
                )
        self._shapes[pattern.shape] = pattern
        if general != pattern.shape:
            self._general[general] = pattern

    def _plant(self, pattern: Pattern) -> None:
        node = self._root
        for piece in pattern.pieces:
            if not piece.names:
                node = node.static.setdefault(piece.text, Node())
                continue
            branch = node.keys.get(piece.shape)
            if branch is None:
                branch = node.keys[piece.shape] = Branch(piece)
                node.branches.append(branch)
                node.branches.sort(key=lambda branch: branch.key)
            node = branch.node
        node.pattern = pattern

    # The engine

    def _prepare(self) -> "autoroutes.Routes":
        """Sort the patterns without rivals: by their head, the others into an engine.

        A pattern whose last segment alone is a placeholder, as most are, is found by
        what stands before it, in a third of the engine's time and of any number.
        """
        engine = autoroutes.Routes()
        room = ENGINE_SIZE
        self._tails.clear()
        for pattern in self._patterns.values():
            if pattern.static or not self._has_no_rival(pattern):
                continue
            *before, last = pattern.pieces
            if not any(piece.names for piece in before):
                head = "".join(f"/{piece.text}" for piece in before)
                plain = last.key[0] == PLAIN
                self._tails[head] = (pattern, None if plain else Matcher(last))
            elif room:
                room -= 1
                _add_to_engine(engine, pattern)
        return engine

    def _has_no_rival(self, pattern: Pattern) -> bool:
        """Whether no other pattern takes any of its paths, and is more specific."""
        for piece in pattern.pieces:
            whole_segment = len(piece.names) < 2 and piece.key[1] == 0
            if piece.names and (not whole_segment or piece.key[0] > PLAIN):
                return False
        return not self._finds_rival(pattern)

    def _finds_rival(self, pattern: Pattern) -> bool:
        patience = PATIENCE
        stack = [(self._root, 0, False)]
        while stack:
            patience -= 1
            if patience == 0:
                return True
            node, depth, ahead = stack.pop()
            if depth == len(pattern.pieces):
                if node.pattern is not None and ahead:
                    return True
                continue
            stack.extend(_crossing(node, pattern.pieces[depth], depth, ahead))
            if ahead and any(branch.spans for branch in node.branches):
                return True
        return False

    # The tree

    def _search(self, path: str) -> Match:
        if not path.startswith("/"):
            return None, {}
        found = _find(self._root, path[1:].split("/"), 0, ())
        if found is None:
            return None, {}
        return _answer(*found)


def _answer(pattern: Pattern, values: Values) -> Match:
    return pattern.payload, dict(zip(pattern.names, values, strict=True))


def _find(
    node: Node, segments: list[str], depth: int, values: Values
) -> tuple[Pattern, Values] | None:
    """Find the most specific pattern below *node* that takes the rest of a path."""
    if depth == len(segments):
        return None if node.pattern is None else (node.pattern, values)
    segment = segments[depth]
    below = node.static.get(segment)
    if below is not None:
        found = _find(below, segments, depth + 1, values)
        if found is not None:
            return found
    for branch in node.branches:
        if branch.spans:
            read = branch.matcher.read("/".join(segments[depth:]))
            if read is not None and branch.node.pattern is not None:
                return branch.node.pattern, values + read
        else:
            read = branch.matcher.read(segment)
            if read is not None:
                found = _find(branch.node, segments, depth + 1, values + read)
                if found is not None:
                    return found
    return None


def _crossing(
    node: Node, piece: Piece, depth: int, ahead: bool
) -> Iterator[tuple[Node, int, bool]]:
    """Follow what may take the same segment as *piece* and is not less specific."""
    if not piece.names:
        literal = piece.text
        if literal in node.static:
            yield node.static[literal], depth + 1, ahead
        if ahead:
            for branch in node.branches:
                if not branch.spans and branch.matcher.read(literal) is not None:
                    yield branch.node, depth + 1, ahead
        return
    matcher = Matcher(piece)
    for text, below in node.static.items():
        if matcher.read(text) is not None:
            yield below, depth + 1, True
    for branch in node.branches:
        if not branch.spans and (ahead or branch.key <= piece.key):
            yield branch.node, depth + 1, ahead or branch.key < piece.key


def _add_to_engine(engine: "autoroutes.Routes", pattern: Pattern) -> None:
    """Add a pattern as a plain one: what its types take is checked afterwards."""
    plain = "".join(
        f"/{{{piece.names[0]}}}" if piece.names else f"/{piece.text}"
        for piece in pattern.pieces
    )
    kinds = tuple(kind for piece in pattern.pieces for kind in piece.kinds)
    whole = Piece("", f"/{pattern.shape}", (), pattern.names, kinds, spans=True)
    engine.add(plain, route=(pattern, Matcher(whole)))


def _generalise(pattern: Pattern) -> str:
    """Write a shape with plain placeholders for the expressions within segments."""
    plain = f"({KINDS['string'].regex})"
    return "/".join(
        plain
        if piece.key[0] == REGEX and not piece.spans and piece.key[1] == 0
        else piece.shape
        for piece in pattern.pieces
    )
