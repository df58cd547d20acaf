"""Columns: lines with aligned parts."""

from collections.abc import Iterable, Sequence

import click


def show(rows: Iterable[Sequence[str]]) -> None:
    """Print each row as an indented line, with its parts aligned."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        parts = [part.ljust(width) for part, width in zip(row, widths, strict=True)]
        click.echo(f"  {'  '.join(parts)}".rstrip())
