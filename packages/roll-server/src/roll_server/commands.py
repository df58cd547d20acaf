"""Commands: the group of `roll`, as installed packages add to it."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from roll import Roll
from roll.plugins import PluginError

from .children import inherit
from .exits import Exit, StartError
from .loading import load
from .options import APPLICATION
from .settings import command


class Commands(click.Group):
    """A group of commands in which no name is given twice."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command.

        Raises:
            PluginError: Another command has its name.
        """
        name = name or cmd.name or ""
        if name in self.commands:
            both = f"{_origin(self.commands[name])} and {_origin(cmd)}"
            raise PluginError(
                f"`roll {name}` is given by both {both}: uninstall one of them"
            )
        super().add_command(cmd, name)

    def add_for_app(self, name: str, function: Callable[[Roll], str]) -> None:
        """Add a command that is given an application, as in `roll NAME shop:app`.

        Args:
            name: Of the command.
            function: Gives what is printed; its docstring is the help. The message of a
                TypeError or ValueError is printed as an error.

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
