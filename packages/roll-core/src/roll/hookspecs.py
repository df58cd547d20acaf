"""What installed packages may tell Roll, and the marker they do it with."""

from collections.abc import Mapping
from typing import Any

import pluggy

from .typing import Extension, Upgrade

hookspec = pluggy.HookspecMarker("roll")

hookimpl = pluggy.HookimplMarker("roll")
"""Marks the functions of a plugin that implement a hook."""


@hookspec
def roll_extensions() -> Mapping[str, Extension]:  # type: ignore[empty-body]
    """Name the extensions of this package, as `from roll.extensions import` finds them.

    Called once a process, in any order; a name that two packages give is an error.

    Returns:
        Functions of an app and options, by name.
    """


@hookspec
def roll_protocols() -> Mapping[str, type[Upgrade]]:  # type: ignore[empty-body]
    """Name the protocols that a route may switch to: `@app.route(…, protocol=name)`.

    Called once a process, in any order; a name that two packages give is an error.

    Returns:
        Classes that keep the contract of `roll.typing.Upgrade`, by name.
    """


@hookspec
def roll_commands(commands: Any) -> None:
    """Add subcommands to the `roll` command of roll-server, which calls this once.

    Args:
        commands: The command's own group, see roll-server.
    """
