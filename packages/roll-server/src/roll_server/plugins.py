"""`roll plugins`: what is installed, and in which order an app's listeners run."""

from collections.abc import Iterator
from importlib import metadata

import click
from roll import Roll
from roll.plugins import GROUP, manager, owner

from .columns import columns, describe
from .loading import load
from .settings import APPLICATION, command


@command(*APPLICATION)
def plugins(app: str | None, factory: bool, **others: object) -> None:
    """List the installed plugins, and the listeners of APP.

    APP is where an application is, such as mypackage.core:app. Its listeners are listed
    by event, in the order in which they run, and with what they ask for: without that,
    it is the order in which they were added.
    """
    click.echo("Installed plugins:")
    for line in columns(_installed()):
        click.echo(line)
    if app is not None:
        for line in _listeners(load(app, factory)):
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
        implementation = getattr(found.get_plugin(entry.name), "roll_commands", None)
        if implementation is not None:
            probe = click.Group()
            implementation(commands=probe)
            added.append(f"commands: {', '.join(sorted(probe.commands))}")
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""
        yield entry.name, distribution, "; ".join(added)


def _listeners(app: Roll) -> Iterator[str]:
    installed = {entry.name for entry in metadata.entry_points(group=GROUP)}
    for event, calls in sorted(app.hooks.items()):
        yield f"\nListeners of {event}:"
        entries = {id(entry.call): entry for entry in app.listeners[event]}
        for call in calls:
            entry = entries[id(call)]
            line = f"  {owner(entry.module or '') or 'application'}: {describe(call)}"
            for wish, names in (("before", entry.before), ("after", entry.after)):
                for name in names:
                    unknown = "" if name in installed else " (not installed)"
                    line += f", {wish} {name}{unknown}"
            yield line
