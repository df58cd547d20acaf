"""`roll plugins`: what is installed, and in which order listeners run."""

import os
import subprocess
import sys

import pytest

APP = """
import functools
from roll import Roll

app = Roll()
nothing = None

@app.listen("response", after=("logger", "server"))
async def second(request, response): ...

@app.listen("startup")
def first(): ...

app.listen("startup")(functools.partial(print, "up"))
"""


@pytest.fixture
def plugins(tmp_path):
    (tmp_path / "shop.py").write_text(APP)

    def run(*arguments):
        clean = {key: os.environ[key] for key in os.environ if key[:5] != "ROLL_"}
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "roll_server", "plugins", *arguments],
            cwd=tmp_path,
            env=clean,
            capture_output=True,
            text=True,
        )

    return run


def test_it_lists_what_is_installed_and_what_it_adds(plugins):
    done = plugins()
    assert (done.returncode, done.stderr) == (0, "")
    heading, *lines = done.stdout.splitlines()
    assert heading == "Installed plugins:"
    [line] = [line.split() for line in lines if line.split()[0] == "server"]
    assert line[1] == "roll-server"
    assert line[3:] == ["extensions:", "simple_server"]


def test_it_lists_listeners_in_their_order_with_what_they_ask_for(plugins):
    done = plugins("shop:app")
    assert (done.returncode, done.stderr) == (0, "")
    _, _, listed = done.stdout.partition("\n\n")
    missing = " (not installed)" if "\n  logger " not in done.stdout else ""
    assert listed == (
        "Listeners of response:\n"
        f"  application: shop.second, after logger{missing}, after server\n"
        "\nListeners of startup:\n"
        "  application: shop.first\n"
        "  application: functools.partial(<built-in function print>, 'up')\n"
    )
    assert plugins("shop").stdout == done.stdout


def test_names_that_are_not_installed_are_shown(plugins, tmp_path):
    (tmp_path / "other.py").write_text(
        'from roll import Roll\napp = Roll()\napp.listen("x", before="teleport")(print)'
    )
    done = plugins("other")
    assert ", before teleport (not installed)\n" in done.stdout


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nowhere", "nowhere cannot be imported: there is no module 'nowhere' in "),
        ("shop:nobody", "shop:nobody: the module shop has no 'nobody'; did you mean "),
        ("shop:nothing", "shop:nothing is not an application of Roll, but None\n"),
        (":app", "':app' is not an application: name its module and itself, as in "),
    ],
)
def test_what_is_no_application_is_told(plugins, where, message):
    done = plugins(where)
    assert done.returncode == 4
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.count("\n") == 1


def test_a_plugin_may_add_protocols_and_commands(plugins, tmp_path):
    (tmp_path / "both.py").write_text(
        "from roll import hookimpl\n"
        "@hookimpl\ndef roll_protocols(): return {'echo': object}\n"
        "import click\n"
        "@hookimpl\ndef roll_commands(commands):\n"
        "    commands.add_command(click.Command('greet'))\n"
    )
    info = tmp_path / "both-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: both\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[roll.plugins]\nboth = both\n")
    assert "both 1.0" in plugins().stdout
    assert "protocols: echo; commands: greet\n" in plugins().stdout


def test_it_lists_the_listeners_of_mounted_apps(plugins, tmp_path):
    (tmp_path / "mall.py").write_text(
        "from roll import Roll\nfrom roll.extensions import mount\n"
        "from shop import app as shop, first\n"
        "app = Roll()\nmount(app, '/shop', shop)\n"
    )
    done = plugins("mall:app")
    assert (done.returncode, done.stderr) == (0, "")
    _, _, listed = done.stdout.partition(
        "\nListeners of startup in the app at /shop:\n"
    )
    assert listed.splitlines()[0] == "  application: shop.first"
    assert "\nListeners of route:find:\n  subapps: roll_subapps." in done.stdout
