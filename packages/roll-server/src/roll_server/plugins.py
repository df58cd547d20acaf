"""`roll plugins`: what is installed, and in which order an app's listeners run."""

from collections.abc import Iterator
from importlib import metadata
from typing import Any

import click
from roll import Roll
from roll.plugins import GROUP, manager, owner

from .loading import load


@click.command()
@click.argument("app", required=False)
def plugins(app: str | None) -> None:
    """List the installed plugins, and the listeners of APP.

    APP is where an application is, such as mypackage.core:app. Its listeners are listed
    by event, in the order in which they run.
    """
    click.echo("Installed plugins:")
    rows = [*_installed()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, distribution, added in rows:
        line = f"  {name:<{widths[0]}}  {distribution:<{widths[1]}}  {added}"
        click.echo(line.rstrip())
    if app is not None:
        for line in _listeners(load(app)):
            click.echo(line)


def _installed() -> Iterator[tuple[str, str, str]]:
    """Give the name of each plugin, its distribution, and what it adds."""
    found = manager()
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda e: e.name):
        added = []
        for kind in ("extensions", "protocols"):
            implementation = getattr(found.get_plugin(entry.name), f"roll_{kind}", None)
            if implementation is not None:
                added.append(f"{kind}: {', '.join(sorted(implementation()))}")
        if hasattr(found.get_plugin(entry.name), "roll_commands"):
            added.append("commands")
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""
        yield entry.name, distribution, "; ".join(added)


def _listeners(app: Roll) -> Iterator[str]:
    installed = {entry.name for entry in metadata.entry_points(group=GROUP)}
    for event, calls in sorted(app.hooks.items()):
        yield f"\nListeners of {event}:"
        entries = {id(entry.call): entry for entry in app.listeners[event]}
        for call in calls:
            entry = entries[id(call)]
            line = f"  {owner(entry.module or '') or 'application'}: {_describe(call)}"
            for wish, names in (("before", entry.before), ("after", entry.after)):
                for name in names:
                    unknown = "" if name in installed else " (not installed)"
                    line += f", {wish} {name}{unknown}"
            yield line


def _describe(call: Any) -> str:
    module = getattr(call, "__module__", None)
    name = getattr(call, "__qualname__", None)
    return f"{module}.{name}" if module and name else repr(call)
