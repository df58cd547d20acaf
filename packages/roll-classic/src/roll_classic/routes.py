"""Routes on autoroutes: it finds the patterns that share no path with others.

autoroutes goes down one branch and never back, so where two patterns take the same
path, it may find the wrong one or none. It does not know types that convert, accepts
empty values and digits beyond ASCII, and misreads some expressions. So it only gets the
patterns that it finds correctly. What autoroutes finds is final; the core looks up
everything else.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import autoroutes
from roll import Routes as CoreRoutes

LARGEST = 500
"""The most patterns given to autoroutes: the more it has, the longer it takes to add
one."""

_PLACEHOLDER = re.compile(r"\{[^\W\d]\w*(?::(string|digit|alpha|alnum))?\}")

# A pattern that comes after plain ones with the same static segments: it is the least
# specific.
_REST = re.compile(r"[^{]*/\{[^\W\d]\w*:(?:path|any)\}(?:/.*)?", re.DOTALL)

Shape = tuple[str, ...]
"""The segments of a pattern; placeholders as `{` and their type."""


class Routes(CoreRoutes):
    """A matcher that tries autoroutes first, with the same results as the core's."""

    def __init__(self) -> None:
        super().__init__()
        self._payloads: dict[str, dict[str, Any]] = {}
        self._engine: Any = None
        """The matcher of autoroutes; None when a pattern was added since it was
        made."""

    def add(self, path: str, **payload: Any) -> None:
        """Add *payload* to that of *path*, with the errors of the core."""
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
    """Find the plain patterns that share no path with another one."""
    shapes: dict[str, Shape] = {}
    others: dict[Shape, bool] = {}
    """The static segments before the first placeholder of patterns that are not plain,
    and whether one of these may come before plain patterns with the same segments."""
    for path in paths:
        shape = _read_shape(path)
        if shape is not None:
            shapes[path] = shape
        else:
            static = tuple(path.partition("{")[0].split("/")[1:-1])
            others[static] = others.get(static, False) or not _REST.fullmatch(path)
    taken = {static for static, first in others.items() if first}
    towards = {static[:length] for static in others for length in range(len(static))}
    # The segments that may follow, by the number of segments and those before.
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
    """Tell whether a pattern may take a path of one that is not plain.

    Args:
        shape: The shape of the pattern.
        taken: Static segments after which any path may belong to another pattern.
        towards: Segments before static ones of another pattern, which are more specific
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
