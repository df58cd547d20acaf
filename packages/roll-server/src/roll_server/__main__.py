"""The `roll` command: its own subcommands, and those of the installed packages."""

import os
import sys
from importlib import import_module, metadata
from typing import Any

import click
from roll.plugins import PluginError, manager

from .children import inherit

OWN = ("check", "new", "plugins", "routes", "run")
"""The own subcommands: each is in the module of its name, imported when it is needed,
so that `roll run` serves early."""


class Commands(click.Group):
    """A group of commands in which no name is given twice."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        return sorted([*OWN, *super().list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Give a command; None without one of this name."""
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

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and tell the parent of this process why it cannot serve."""
        with inherit(os.environ) as ctx.obj:
            return super().invoke(ctx)


def _origin(command: click.Command) -> str:
    module = getattr(command.callback, "__module__", None) or "an unnamed module"
    return module.partition(".")[0]


def _show_versions(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked:
        names = ("roll-server", "roll-core")
        click.echo(", ".join(f"{name} {metadata.version(name)}" for name in names))
        ctx.exit()


def make_commands() -> Commands:
    """Make the command, with what the hook `roll_commands` adds.

    Raises:
        PluginError: An installed package cannot be loaded, or gives a name twice.
    """
    commands = Commands("roll", help="Roll: async, simple, fast; pick three.")
    click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_versions,
        help="Show the versions and exit.",
    )(commands)
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
