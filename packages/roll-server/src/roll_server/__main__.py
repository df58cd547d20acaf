"""The `roll` command: its own subcommands, and those of the installed packages."""

import sys
from importlib import metadata

import click
from roll.plugins import PluginError, manager

from .check import check
from .commands import Commands
from .new import new
from .plugins import plugins
from .routes import routes
from .run import run


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
