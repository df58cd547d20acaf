"""The reference of the command has every setting, status and subcommand there is."""

import re
from pathlib import Path

import click
import pytest
from roll_server.__main__ import make_commands
from roll_server.exits import Exit
from roll_server.options import OPTIONS
from roll_server.run import run

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/reference/command.md").read_text()


def rows(heading):
    """Read the first table below a heading, without its head."""
    below = PAGE.partition(f"{heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def default(value):
    """Write a default as it could be set."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_the_settings_are_those_of_the_table(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    defaults = run.make_context("run", []).params
    wanted = []
    for option in OPTIONS:
        key = option.name.replace("_", "-")
        row = ["`APP`" if option.name == "app" else f"`--{key}`"]
        row += [f"`ROLL_{option.name.upper()}`", f"`{key}`", option.type.name.upper()]
        text = getattr(option, "help", None) or "The application: `module:name`."
        wanted.append([*row, default(defaults[option.name]), text])
    assert rows("## roll run") == wanted


def test_the_statuses_are_all_there():
    assert [int(row[0]) for row in rows("### Exit status")] == list(Exit)


OWN = ["check", "new", "plugins", "routes", "run"]
ADDED = ["openapi"]
"""The commands of other packages here; each has its row, too."""


@pytest.mark.parametrize("name", OWN)
def test_each_subcommand_has_its_section(name):
    assert f"\n## roll {name}\n" in PAGE
    assert any(f"[`roll {name}" in row[0] for row in rows("# The command"))


def test_there_are_no_other_subcommands():
    commands = make_commands()
    names = commands.list_commands(click.Context(commands))
    assert names == sorted([*OWN, *ADDED])
    for name in ADDED:
        assert any(f"`roll {name} APP`" in row[0] for row in rows("# The command"))


SHOWN = re.compile(
    r"^\$ (?:\S+/)?roll run(.*)\nRolling on http://[\d.]+:\d+(.*)$", re.M
)
"""A command of a page, and the line that follows it."""


def shown():
    pages = [
        *ROOT.glob("docs/**/*.md"),
        ROOT / "README.md",
        *ROOT.glob("packages/*/README.md"),
    ]
    return [
        found for page in sorted(pages) for found in SHOWN.findall(page.read_text())
    ]


@pytest.mark.parametrize(("options", "rest"), shown())
def test_a_page_shows_what_the_command_prints(options, rest):
    workers = re.search(r"--workers (\d+)", options)
    wanted = f" with {workers[1]} workers" if workers else ""
    if "--reload" in options:
        wanted = ", reloading when a file changes"
    assert rest == wanted
