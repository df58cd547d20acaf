"""The hooks that installed packages may implement, and their marker."""

from collections.abc import Mapping
from typing import Any

import pluggy

from .typing import Extension, Upgrade

hookspec = pluggy.HookspecMarker("roll")

hookimpl = pluggy.HookimplMarker("roll")
"""Marks the functions of a plugin that implement a hook."""


@hookspec
def roll_extensions() -> Mapping[str, Extension]:  # type: ignore[empty-body]
    """Give the extensions of this package, for `from roll.extensions import`.

    Called once in a process, in any order; two packages must not give the same name.

    Returns:
        Functions of an app and options, by name.
    """


@hookspec
def roll_protocols() -> Mapping[str, type[Upgrade]]:  # type: ignore[empty-body]
    """Give the protocols that a route may switch to: `@app.route(…, protocol=name)`.

    Called once in a process, in any order; two packages must not give the same name.

    Returns:
        Classes that implement `roll.typing.Upgrade`, by name.
    """


@hookspec
def roll_commands(commands: Any) -> None:
    """Add subcommands to the `roll` command of roll-server, which calls this once.

    Args:
        commands: The command's own group, see roll-server.
    """
