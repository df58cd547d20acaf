"""The `roll` command: its own subcommands, and those of the installed packages."""

import os
import sys
from importlib import metadata
from typing import Any

import click
from roll.plugins import PluginError, manager

from .check import check
from .children import inherit
from .new import new
from .plugins import plugins
from .routes import routes
from .run import run


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

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and tell the parent of this process why it cannot serve."""
        with inherit(os.environ) as ctx.obj:
            return super().invoke(ctx)


def _origin(command: click.Command) -> str:
    module = getattr(command.callback, "__module__", None) or "an unnamed module"
    return module.partition(".")[0]


def make_commands() -> Commands:
    """Make the command, with what the hook `roll_commands` adds.

    Raises:
        PluginError: An installed package cannot be loaded, or gives a name twice.
    """
    commands = Commands("roll", help="Roll: async, simple, fast; pick three.")
    core = metadata.version("roll-core")
    click.version_option(
        package_name="roll-server", message=f"roll-server %(version)s, roll-core {core}"
    )(commands)
    for command in (check, new, plugins, routes, run):
        commands.add_command(command)
    manager().hook.roll_commands(commands=commands)
    return commands


def main() -> None:
    """Run the command line."""
    try:
        make_commands()(prog_name="roll")
    except PluginError as error:
        sys.exit(f"roll: {error}")


if __name__ == "__main__":
    main()
