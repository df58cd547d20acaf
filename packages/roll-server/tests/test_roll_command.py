"""The `roll` command, and what installed packages add to it."""

import os
import subprocess
import sys
from importlib import metadata

import click
import pytest
from roll.plugins import PluginError
from roll_server.__main__ import main, make_commands
from roll_server.commands import Commands
from roll_testing import patience

GREET = """
import click
from roll import hookimpl

@hookimpl
def roll_commands(commands):
    @commands.command()
    def {command}():
        "Say hello."
        click.echo("Hello")
"""


COUNT = """
from roll import Roll, hookimpl

app = Roll()
app["routes"] = 3

@hookimpl
def roll_commands(commands):
    commands.add_for_app("count", count)

def count(app):
    "Count the routes of APP."
    if app.get("routes") is None:
        raise ValueError("there are none")
    return f"{app['routes']} routes\\n"

empty = Roll()
"""


@pytest.fixture
def roll(tmp_path):
    """Run the command, beside plugins that are laid where pip would put them."""

    def run(*arguments, **plugins):
        for name, source in plugins.items():
            (tmp_path / f"{name}.py").write_text(source)
            info = tmp_path / f"{name}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n"
            )
            (info / "entry_points.txt").write_text(f"[roll.plugins]\n{name} = {name}\n")
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "roll_server", *arguments],
            env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=patience(60),
        )

    return run


def test_it_says_what_it_can_do(roll):
    done = roll("--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: roll [OPTIONS] COMMAND [ARGS]...\n")
    assert " Begin something new, from templates.\n" in done.stdout


def test_it_tells_the_versions_of_itself_and_of_the_core(roll):
    versions = [metadata.version(name) for name in ("roll-server", "roll-core")]
    done = roll("--version")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "roll-server {}, roll-core {}\n".format(*versions),
        "",
    )


def test_it_is_installed_as_a_script():
    points = metadata.distribution("roll-server").entry_points
    (point,) = points.select(group="console_scripts")
    assert (point.name, point.load()) == ("roll", main)


def test_an_installed_package_adds_commands(roll):
    done = roll("greet", greetings=GREET.format(command="greet"))
    assert (done.returncode, done.stdout) == (0, "Hello\n"), done.stderr


def test_a_command_that_two_packages_give_is_an_error_that_names_them(roll):
    greet = GREET.format(command="greet")
    done = roll("greet", first_greetings=greet, second_greetings=greet)
    assert done.returncode == 1
    assert done.stdout == ""
    names = "first_greetings", "second_greetings"
    assert done.stderr in [
        f"roll: `roll greet` is given by both {a} and {b}: uninstall one of them\n"
        for a, b in (names, names[::-1])
    ]


def test_a_command_of_its_own_is_not_replaced(roll):
    done = roll("new", greetings=GREET.format(command="new"))
    assert done.returncode == 1
    assert "`roll new` is given by both roll_server and greetings" in done.stderr


def test_a_package_that_cannot_be_loaded_is_named_without_a_traceback(roll):
    done = roll("--help", broken="raise OSError('no disk')")
    assert done.returncode == 1
    assert done.stderr.startswith("roll: The plugin 'broken' of broken 1.0 cannot be")
    assert "Traceback" not in done.stderr


def test_a_mistake_in_the_command_line_has_status_2(roll):
    done = roll("teleport")
    assert done.returncode == 2
    assert "No such command 'teleport'" in done.stderr


def test_a_command_without_function_is_named_too():
    commands = Commands("roll")
    commands.add_command(click.Command("greet"))
    with pytest.raises(PluginError, match="given by both an unnamed module and an"):
        commands.add_command(click.Command("greet"))


def test_the_server_is_imported_without_what_the_command_needs():
    code = "import sys, roll_server; print({'click', 'uvloop'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_the_command_is_made_anew_each_time():
    assert make_commands() is not make_commands()
    commands = make_commands()
    assert "new" in commands.list_commands(click.Context(commands))


def test_only_the_command_that_is_asked_for_is_imported():
    code = """
import sys
from roll_server.__main__ import make_commands
make_commands()(["run", "--help"], standalone_mode=False)
print(sorted({"check", "new", "plugins", "routes", "run"} & {
    name.removeprefix("roll_server.") for name in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "['run']"


def test_a_package_may_add_a_command_for_an_application(roll):
    done = roll("count", "counting:app", counting=COUNT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 routes\n", "")


def test_the_docstring_of_such_a_command_is_its_help(roll):
    done = roll("count", "--help", counting=COUNT)
    assert "Usage: roll count [OPTIONS] [APP]" in done.stdout
    assert "Count the routes of APP." in done.stdout


def test_an_error_of_such_a_command_is_one_line(roll):
    done = roll("count", "counting:empty", counting=COUNT)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "Error: there are none\n"
