"""`roll routes`: which views an application has, and why a path leads to one."""

import sys
from collections.abc import Iterator

import click
from roll import HttpError, Roll

from .columns import columns, describe
from .loading import load
from .settings import APPLICATION, command, url_path


@command(*APPLICATION)
@click.option("--explain", "path", type=url_path, help="Tell where this path leads.")
def routes(app: str | None, factory: bool, path: str | None, **others: object) -> None:
    """List the routes of APP, such as shop:app.

    With --explain, tell which one answers a path, and why the others do not; the status
    is 1 when none does.
    """
    found = load(app, factory)
    if path is None:
        for line in columns(_rows(found)):
            click.echo(line)
        return
    try:
        decoded = decode(found, path)
    except HttpError:
        click.echo("The path does not decode as UTF-8: it is answered with 400.")
        sys.exit(1)
    for line in explain(found, decoded):
        click.echo(line)
    if not found.routes.match(decoded)[0]:
        sys.exit(1)


def _rows(app: Roll) -> Iterator[tuple[str, str, str, str]]:
    for path, methods, view, _, where in app.declarations:
        yield ",".join(methods), path, describe(view), where


def decode(app: Roll, target: str) -> str:
    """Give the path of what a client sends: percent-decoded, without its query.

    Raises:
        HttpError: 400, when it does not decode as UTF-8.
    """
    request = app.Request(app, None)
    request.url = target.encode("utf-8", "surrogateescape")
    return request.path


def explain(app: Roll, path: str) -> Iterator[str]:
    """Tell which route answers *path*, as it is decoded, and why others do not."""
    endpoints, variables = app.routes.match(path)
    found = None
    if endpoints:
        found = next(iter(endpoints.values())).path
        values = ", ".join(f"{name}={value!r}" for name, value in variables.items())
        yield f"{path} leads to {found}{' with ' if values else ''}{values}:"
        for each in app.declarations:
            if each.path == found:
                yield f"  {','.join(each.methods)}  {describe(each.view)}  {each.where}"
    else:
        yield f"{path} leads nowhere: it is answered with 404."
    paths = dict.fromkeys(each.path for each in app.declarations)
    others = [each for each in paths if each != found]
    if others:
        yield "The others do not answer:" if found else "None answers:"
    yield from columns((other, _refuse(app, other, path)) for other in others)


def _refuse(app: Roll, pattern: str, path: str) -> str:
    """Tell why a pattern does not answer a path, which another one may do."""
    if _takes(app, pattern, path):
        return "it fits, and is less specific"
    pieces = split(pattern)
    parts = path[1:].split("/")
    for at, piece in enumerate(pieces):
        if at == len(parts):
            return f"the path ends before {'/'.join(pieces[at:])!r}"
        if not _takes(app, f"/{piece}", f"/{parts[at]}"):
            rest = parts[at:] if at == len(pieces) - 1 else parts[at : at + 1]
            return f"{piece!r} does not take {'/'.join(rest)!r}"
    return f"it ends before {'/'.join(parts[len(pieces) :])!r}"


def _takes(app: Roll, pattern: str, path: str) -> bool:
    """Whether a pattern would take a path if it were the only one."""
    alone = app.Routes()
    alone.add(pattern, found=True)
    return bool(alone.match(path)[0])


def split(pattern: str) -> list[str]:
    """Split a pattern at its slashes, but for those of expressions."""
    pieces = [""]
    depth = 0
    for character in pattern[1:]:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and not depth:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces
