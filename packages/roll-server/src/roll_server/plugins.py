"""`roll plugins`: what is installed, and in which order an app's listeners run."""

from itertools import groupby

import click

from .columns import show
from .inspection import list_listeners, list_plugins
from .loading import load
from .options import APPLICATION
from .settings import command


@command(*APPLICATION)
def plugins(app: str | None, factory: bool, **others: object) -> None:
    """List the installed plugins, and the listeners of APP.

    APP is where an application is, such as mypackage.core:app. Its listeners are listed
    by event, in the order in which they run, and with what they ask for: without that,
    it is the order in which they were added.
    """
    click.echo("Installed plugins:")
    show(list_plugins())
    if app is None:
        return
    for event, heard in groupby(list_listeners(load(app, factory)), lambda h: h.event):
        click.echo(f"\nListeners of {event}:")
        for each in heard:
            line = f"  {each.owner or 'application'}: {each.listener}"
            for wish in each.wishes:
                unknown = "" if wish.installed else " (not installed)"
                line += f", {wish.kind} {wish.name}{unknown}"
            click.echo(line)
