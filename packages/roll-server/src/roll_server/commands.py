"""Commands: the group of `roll`, to which installed packages add."""

import os
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

import click
from roll import Roll
from roll.plugins import PluginError

from .children import inherit
from .exits import Exit, StartError
from .loading import load
from .options import APPLICATION
from .settings import command

OWN = ("check", "new", "plugins", "routes", "run")
"""The subcommands of this package: each is in the module of its name, which is imported
when needed, so that `roll run` starts fast."""


class Commands(click.Group):
    """A group of commands with unique names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names of the commands."""
        return sorted([*OWN, *super().list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give the command of a name, or None."""
        if cmd_name not in OWN:
            return super().get_command(ctx, cmd_name)
        module = import_module(f".{cmd_name}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command.

        Raises:
            PluginError: Another command has its name.
        """
        name = name or cmd.name or ""
        if name in OWN or name in self.commands:
            first = __package__ if name in OWN else _origin(self.commands[name])
            both = f"{first} and {_origin(cmd)}"
            raise PluginError(
                f"`roll {name}` is given by both {both}: uninstall one of them"
            )
        super().add_command(cmd, name)

    def add_for_app(self, name: str, function: Callable[[Roll], str]) -> None:
        """Add a command that takes an application, as in `roll NAME shop:app`.

        Args:
            name: The name of the command.
            function: Returns the text to print; its docstring is the help. The message
                of a TypeError or ValueError is printed as an error.

        Raises:
            PluginError: Another command has its name.
        """

        @wraps(function)
        def run(app: str | None, factory: bool, **others: object) -> None:
            found = load(app, factory)
            try:
                click.echo(function(found), nl=False)
            except (TypeError, ValueError) as error:
                raise StartError(str(error), Exit.APPLICATION) from error

        self.add_command(command(*APPLICATION)(run), name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and tell the parent of this process why it cannot serve."""
        with inherit(os.environ) as ctx.obj:
            return super().invoke(ctx)


def _origin(command: click.Command) -> str:
    module = getattr(command.callback, "__module__", None) or "an unnamed module"
    return module.partition(".")[0]
