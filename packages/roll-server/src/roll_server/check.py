"""`roll check`: what is wrong with a set-up before anything is served."""

import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import click
from packaging.requirements import Requirement
from roll import Roll
from roll.plugins import GROUP, PluginError, extensions, owner, protocols

from .columns import describe
from .loading import load
from .serving import configure
from .settings import OPTIONS, Settings, command
from .tls import Certificate


@command(*OPTIONS)
def check(**values: Any) -> None:
    """Look for what is wrong with the installed packages, the settings, and APP.

    The status is 1 when something is.
    """
    # An original `roll`, and plugins that do not load, are told by every command.
    found = [*_misfits(), *_twice()]
    settings = Settings.take(values)
    if settings.tls_cert is not None:
        Certificate(settings.tls_cert, settings.tls_key)
    if settings.app is not None:
        app = load(settings.app, settings.factory)
        found += _absent(app)
        configure(app, settings)
    for line in found:
        click.echo(line)
    if found:
        sys.exit(1)
    click.echo("Nothing is wrong.")


def _misfits() -> Iterator[str]:
    """Tell which requirements of Roll's packages, and of plugins, are not met."""
    installed: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        if "Name" in distribution.metadata:  # what pip could not end has none
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
    """Tell which names two plugins give."""
    for collect in (extensions, protocols):
        try:
            collect()
        except PluginError as error:
            yield str(error)


def _absent(app: Roll) -> Iterator[str]:
    """Tell which of the application's listeners are ordered by what is not installed.

    Those of extensions may be: they name whatever could be installed beside them.
    """
    installed = {entry.name for entry in metadata.entry_points(group=GROUP)}
    for event, entries in app.listeners.items():
        for entry in entries:
            if owner(entry.module or "") is not None:
                continue
            for wish, names in (("before", entry.before), ("after", entry.after)):
                for name in sorted(set(names) - installed):
                    yield (
                        f"{describe(entry.call)} listens to {event} {wish} {name!r}, "
                        "which is not installed"
                    )
