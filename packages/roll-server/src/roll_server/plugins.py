"""`roll plugins`: shows what is installed, and the order of an app's listeners."""

from itertools import groupby

import click

from .columns import show
from .inspection import Heard, list_apps, list_listeners, list_plugins
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
    for each, root in list_apps(load(app, factory)):
        place = f" in the app at {root}" if root else ""
        for event, heard in groupby(list_listeners(each), lambda h: h.event):
            click.echo(f"\nListeners of {event}{place}:")
            for one in heard:
                click.echo(f"  {_describe(one)}")


def _describe(heard: Heard) -> str:
    line = f"{heard.owner or 'application'}: {heard.listener}"
    for wish in heard.wishes:
        unknown = "" if wish.installed else " (not installed)"
        line += f", {wish.kind} {wish.name}{unknown}"
    return line
