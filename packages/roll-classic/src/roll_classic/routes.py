"""Routes on autoroutes: patterns that share no path with others are found by it.

autoroutes goes down one branch and never back, so that it misses a pattern, or finds
another, where two of them take the same path. It knows no types that convert, takes an
empty value, other digits than those of ASCII, and some expressions for what they are
not. So it is given the patterns that it finds right, and the core answers for all
others: what autoroutes finds is final, what it does not find is looked up again.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import autoroutes
from roll import Routes as CoreRoutes

LARGEST = 500
"""Patterns given to autoroutes, which takes the longer to add one the more it has."""

_PLACEHOLDER = re.compile(r"\{[^\W\d]\w*(?::(string|digit|alpha|alnum))?\}")

# A pattern that comes after plain ones with the same static segments: it is the least
# specific.
_REST = re.compile(r"[^{]*/\{[^\W\d]\w*:(?:path|any)\}(?:/.*)?", re.DOTALL)

Shape = tuple[str, ...]
"""The segments of a pattern; placeholders as `{` and their type."""


class Routes(CoreRoutes):
    """A matcher that asks autoroutes first, and gives what the core's would."""

    def __init__(self) -> None:
        super().__init__()
        self._payloads: dict[str, dict[str, Any]] = {}
        self._engine: Any = None
        """What autoroutes has; None when a pattern was added since."""

    def add(self, path: str, **payload: Any) -> None:
        """Add *payload* to what is known of *path*, with the errors of the core."""
        super().add(path, **payload)
        self._payloads.setdefault(path, {}).update(payload)
        self._engine = None

    def match(self, path: str) -> Any:
        """Find *path*: its payload and variables, or `(None, {})`."""
        engine = self._engine or self._make_engine()
        if path.isascii():
            payload, variables = engine.match(path)
            if payload is not None and all(variables.values()):
                return payload, variables
        return super().match(path)

    def _make_engine(self) -> Any:
        self._engine = engine = autoroutes.Routes()
        for path in islice(_find_alone(self), LARGEST):
            engine.add(path, **self._payloads[path])
        return engine


def _find_alone(paths: Iterable[str]) -> Iterator[str]:
    """Find the plain patterns that take no path that another one takes."""
    shapes: dict[str, Shape] = {}
    others: dict[Shape, bool] = {}
    """What is static before the first placeholder of patterns that are not plain, and
    whether one of them may come before plain patterns with the same static segments."""
    for path in paths:
        shape = _read_shape(path)
        if shape is not None:
            shapes[path] = shape
        else:
            static = tuple(path.partition("{")[0].split("/")[1:-1])
            others[static] = others.get(static, False) or not _REST.fullmatch(path)
    taken = {static for static, first in others.items() if first}
    towards = {static[:length] for static in others for length in range(len(static))}
    # What may follow, by the number of segments and those before.
    following: defaultdict[tuple[int, Shape], set[str]] = defaultdict(set)
    for shape in shapes.values():
        for place, segment in enumerate(shape):
            following[len(shape), shape[:place]].add(segment)
    mixed = {
        node
        for node, segments in following.items()
        if len(segments) > 1 and any(segment.startswith("{") for segment in segments)
    }
    for path, shape in shapes.items():
        nodes = [(len(shape), shape[:place]) for place in range(len(shape))]
        if mixed.isdisjoint(nodes) and not _meets(shape, taken, towards):
            yield path


def _read_shape(path: str) -> Shape | None:
    """Read the segments of a pattern; None when it is not plain."""
    shape = []
    for segment in path.split("/")[1:]:
        placeholder = _PLACEHOLDER.fullmatch(segment)
        if placeholder:
            shape.append("{" + (placeholder[1] or "string"))
        elif "{" in segment:
            return None
        else:
            shape.append(segment)
    return tuple(shape)


def _meets(shape: Shape, taken: set[Shape], towards: set[Shape]) -> bool:
    """Tell whether a pattern may take a path that belongs to one that is not plain.

    Args:
        shape: Of the pattern.
        taken: What is static before places where any path may belong to another one.
        towards: What is before static segments of another one, which are more specific
            than a placeholder.
    """
    for place, segment in enumerate(shape):
        before = shape[:place]
        if before in taken:
            return True
        if before not in towards:
            return False
        if segment.startswith("{"):
            return True
    return False
