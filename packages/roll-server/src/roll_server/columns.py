"""Columns: lines whose parts stand below one another."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any


def columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write each row as a line, indented, its last part as long as it is."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        parts = [part.ljust(width) for part, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(parts)}".rstrip()


def describe(function: Any) -> str:
    """Name a function or a class with its module; others as Python shows them."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    return f"{module}.{name}" if module and name else repr(function)
