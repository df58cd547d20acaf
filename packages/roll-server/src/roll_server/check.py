"""`roll check`: finds what is wrong before anything is served."""

import sys
import warnings
from typing import Any

import click

from .columns import show
from .inspection import find_all, list_apps, list_inventory
from .loading import load
from .options import OPTIONS
from .serving import configure
from .settings import Settings, command
from .tls import Certificate


@command(*OPTIONS)
def check(**values: Any) -> None:
    """Look for what is wrong with the installed packages, the settings, and APP.

    What extensions have declared in APP, such as resources, is listed first. The
    status is 1 when something is wrong.
    """
    settings = Settings.take(values)
    if settings.tls_cert is not None:
        Certificate(settings.tls_cert, settings.tls_key)
    with warnings.catch_warnings(record=True) as caught:
        app = load(settings.app, settings.factory) if settings.app is not None else None
        found = list(find_all(app))
        if app is not None:
            configure(app, settings)
    found += [f"{each.filename}:{each.lineno}: {each.message}" for each in caught]
    for each, root in list_apps(app) if app is not None else ():
        if each.inventory:
            click.echo(f"The app{' at ' if root else ''}{root} has:")
            show(list_inventory(each))
    for line in found:
        click.echo(line)
    if found:
        sys.exit(1)
    click.echo("Nothing is wrong.")
