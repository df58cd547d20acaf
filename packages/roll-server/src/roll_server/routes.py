"""`roll routes`: shows an application's views, and why a path leads to one."""

import sys

import click

from .columns import show
from .inspection import decode, explain, list_routes
from .loading import load
from .options import APPLICATION, url_path
from .settings import command


@command(*APPLICATION)
@click.option("--explain", "path", type=url_path, help="Tell where this path leads.")
def routes(app: str | None, factory: bool, path: str | None, **others: object) -> None:
    """List the routes of APP, such as shop:app.

    With --explain, tell which one answers a path, and why the others do not; the status
    is 1 when none does.
    """
    found = load(app, factory)
    if path is None:
        show(list_routes(found))
        return
    decoded = decode(path)
    if decoded is None:
        click.echo("The path does not decode as UTF-8: it is answered with 400.")
        sys.exit(1)
    pattern, variables, reasons = explain(found, decoded)
    if pattern is None:
        click.echo(f"{decoded} leads nowhere: it is answered with 404.")
    else:
        values = ", ".join(f"{name}={value!r}" for name, value in variables.items())
        click.echo(f"{decoded} leads to {pattern}{' with ' if values else ''}{values}:")
        for methods, _, view, where in list_routes(found, pattern):
            click.echo(f"  {methods}  {view}  {where}")
    if reasons:
        click.echo("The others do not answer:" if pattern else "None answers:")
    show(reasons)
    if pattern is None:
        sys.exit(1)
