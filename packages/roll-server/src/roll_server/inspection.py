"""Inspection: what is installed, what an application has, and what is wrong with it.

These functions give rows or findings, which `roll routes`, `roll plugins` and `roll
check` print.
"""

from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from packaging.requirements import Requirement
from roll import Roll
from roll.plugins import GROUP, PluginError, extensions, manager, owner, protocols
from roll.routing import split_path

from .commands import Commands

# Routes


def list_apps(app: Roll, root: str = "") -> Iterator[tuple[Roll, str]]:
    """Give an app and those mounted in it, each with its prefix.

    This is the path of the app, after its host if it is mounted at one.
    """
    yield app, root
    for subapp in app.mounted:
        above = f"{subapp.host}{app.root_path}" if subapp.host else root
        yield from list_apps(subapp, above + subapp.prefix)


def list_routes(app: Roll, at: str | None = None) -> Iterator[tuple[str, ...]]:
    """Give methods, path, view and place of each route, or of those *at* a path."""
    for each, root in list_apps(app):
        for path, methods, view, _, where in each.declarations:
            if at in (None, root + path):
                yield ",".join(methods), root + path, describe(view), where


def list_inventory(app: Roll) -> list[tuple[str, str, str]]:
    """Give kind, name and place of the declarations of extensions."""
    return [(kind, name, where) for (kind, name), where in app.inventory.items()]


def decode(target: str) -> str | None:
    """Give the path of a request target: percent-decoded, without the query.

    It is None if it is not UTF-8: such a request is refused.
    """
    try:
        path, _, _ = target.encode().partition(b"?")
        return unquote_to_bytes(path).decode()
    except UnicodeError:
        return None


class Match(NamedTuple):
    """Where a path leads."""

    pattern: str | None
    """The pattern of the routes that respond, or None."""
    variables: dict[str, Any]
    others: list[tuple[str, str]]
    """The other patterns, and why they do not match."""


def explain(app: Roll, path: str) -> Match:
    """Find which pattern matches the decoded *path*, and why others do not."""
    request = app.Request(app, None)
    request.path = path
    pattern = request.endpoint.path  # a mounted app's, too
    others = dict.fromkeys(row[1] for row in list_routes(app) if row[1] != pattern)
    reasons = [(each, _refuse(app, each, path)) for each in others]
    return Match(pattern, request.variables, reasons)


def _refuse(app: Roll, pattern: str, path: str) -> str:
    """Explain why a pattern is not the one chosen for a path."""
    if not pattern.startswith("/"):
        return f"it is for the host {pattern.partition('/')[0]!r}"
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
    """Split a pattern at its slashes, except those of expressions."""
    pieces = [""]
    for literal, name, kind in split_path(pattern):
        first, *others = literal.split("/")
        pieces[-1] += first
        pieces += others
        if name is not None:
            pieces[-1] += f"{{{name}:{kind}}}" if kind else f"{{{name}}}"
    return pieces[1:]  # what is before the first slash is empty


# Plugins and listeners


def list_plugins() -> Iterator[tuple[str, str, str]]:
    """Give the name of each plugin, its distribution, and what it adds."""
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda e: e.name):
        plugin = manager().get_plugin(entry.name)
        added = []
        for kind in ("extensions", "protocols", "commands"):
            implementation = getattr(plugin, f"roll_{kind}", None)
            if implementation is not None:
                names = ", ".join(sorted(_given(kind, implementation)))
                added.append(f"{kind}: {names}")
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else ""
        yield entry.name, distribution, "; ".join(added)


def _given(kind: str, implementation: Callable[..., Any]) -> Iterable[str]:
    if kind == "commands":
        commands = Commands()
        implementation(commands=commands)
        return commands.commands
    names: Iterable[str] = implementation()
    return names


class Wish(NamedTuple):
    """An order that a listener asks for."""

    kind: str
    """`before` or `after`."""
    name: str
    installed: bool


class Heard(NamedTuple):
    """A listener of an event."""

    event: str
    listener: str
    owner: str | None
    """The plugin that it belongs to; None for one of the application."""
    wishes: list[Wish]


def list_listeners(app: Roll) -> Iterator[Heard]:
    """Give the listeners by event, in the order in which they run."""
    installed = {"*", *(entry.name for entry in metadata.entry_points(group=GROUP))}
    for event, calls in sorted(app.hooks.items()):
        entries = {id(entry.call): entry for entry in app.listeners[event]}
        for entry in [entries[id(call)] for call in calls]:
            wishes = [
                Wish(kind, name, name in installed)
                for kind in ("before", "after")
                for name in getattr(entry, kind)
            ]
            yield Heard(event, describe(entry.call), owner(entry.module or ""), wishes)


def describe(function: Any) -> str:
    """Give the full name of a function or a class, and the `repr` of other objects."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    return f"{module}.{name}" if module and name else repr(function)


# Findings


def find_all(app: Roll | None) -> Iterator[str]:
    """Find what is wrong with the installed packages, and with an application."""
    # Every command reports the original `roll`, and plugins that do not load.
    yield from _misfits()
    yield from _twice()
    for each, _ in list_apps(app) if app is not None else ():
        yield from _absent(each)
        yield from each.find_mistakes()


def _misfits() -> Iterator[str]:
    """Find requirements of Roll's packages, and of plugins, that are not met."""
    installed: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        if "Name" in distribution.metadata:  # an interrupted installation has none
            installed.setdefault(_normal(distribution.name), distribution)
    for name, distribution in sorted(installed.items()):
        plugin = distribution.entry_points.select(group=GROUP)
        if plugin or name == "roll" or name.startswith("roll-"):
            for need in map(Requirement, distribution.requires or ()):
                if need.marker is None or need.marker.evaluate({"extra": ""}):
                    yield from _misfit(distribution, need, installed)


def _misfit(
    distribution: metadata.Distribution,
    need: Requirement,
    installed: dict[str, metadata.Distribution],
) -> Iterator[str]:
    who = f"{distribution.name} {distribution.version} needs {need.name}"
    found = installed.get(_normal(need.name))
    if found is None:
        yield f"{who}, which is not installed. Run: pip install '{need}'"
    elif not need.specifier.contains(found.version, prereleases=True):
        wanted = f"{need.name}{need.specifier}"
        yield f"{who}{need.specifier}, not {found.version}. Run: pip install '{wanted}'"


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _twice() -> Iterator[str]:
    """Find names that two plugins give."""
    for collect in (extensions, protocols):
        try:
            collect()
        except PluginError as error:
            yield str(error)


def _absent(app: Roll) -> Iterator[str]:
    """Find listeners of the application that name a plugin that is not installed.

    Listeners of extensions may do so: they name any plugin that could be installed.
    """
    for heard in list_listeners(app):
        for wish in heard.wishes:
            if heard.owner is None and not wish.installed:
                yield (
                    f"{heard.listener} listens to {heard.event} {wish.kind} "
                    f"{wish.name!r}, which is not installed"
                )
