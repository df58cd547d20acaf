"""Columns: lines whose parts stand below one another."""

from collections.abc import Iterable, Sequence

import click


def show(rows: Iterable[Sequence[str]]) -> None:
    """Print each row as a line, indented, its last part as long as it is."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        parts = [part.ljust(width) for part, width in zip(row, widths, strict=True)]
        click.echo(f"  {'  '.join(parts)}".rstrip())
