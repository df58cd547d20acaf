"""The `roll` command: its own subcommands, and those of the installed packages."""

import sys
from importlib import metadata

import click
from roll.plugins import PluginError, manager

from .commands import Commands


def _show_versions(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    if asked:
        names = ("roll-server", "roll-core")
        click.echo(", ".join(f"{name} {metadata.version(name)}" for name in names))
        ctx.exit()


def make_commands() -> Commands:
    """Make the command, with what the hook `roll_commands` adds.

    Raises:
        PluginError: An installed package cannot be loaded, or a name is repeated.
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
