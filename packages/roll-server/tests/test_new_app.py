"""`roll new app`: what it writes is tested, checked and served as it is.

So is what it writes with `--full`.
"""

import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from roll_server.new import new
from roll_testing import patience

WRITTEN = {
    ".gitignore",
    "README.md",
    "pyproject.toml",
    "rate_board/__init__.py",
    "tests/test_rate_board.py",
}
FULL = {
    ".env",
    ".gitignore",
    "README.md",
    "pyproject.toml",
    "rate_board/__init__.py",
    "rate_board/api.py",
    "rate_board/static/style.css",
    "rate_board/templates/base.html",
    "rate_board/templates/error.html",
    "rate_board/templates/home.html",
    "rate_board/visitors.py",
    "tests/conftest.py",
    "tests/test_api.py",
    "tests/test_visitors.py",
}


def roll_new(*arguments):
    return CliRunner().invoke(new, ["app", *map(str, arguments)])


@pytest.fixture(params=[(), ("--full",)], ids=["plain", "full"])
def options(request):
    return request.param


@pytest.fixture
def folder(tmp_path, options):
    """The folder of an application that was just written."""
    done = roll_new("rate-board", "--directory", tmp_path, *options)
    assert done.exit_code == 0, done.output
    return tmp_path / "rate-board"


def run_tool(folder, *command):
    ours = ("COVERAGE", "MYPY", "PYTEST", "RUFF", "ROLL_")
    clean = {key: os.environ[key] for key in os.environ if not key.startswith(ours)}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        timeout=patience(120),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_writes_an_application_and_says_what_to_do_next(tmp_path, options):
    done = roll_new("rate-board", "--directory", tmp_path / "my apps", *options)
    target = tmp_path / "my apps" / "rate-board"
    written = FULL if options else WRITTEN
    files = {path for path in target.rglob("*") if path.is_file()}
    assert {path.relative_to(target).as_posix() for path in files} == written
    assert all(f"  {name}\n" in done.output for name in written)
    assert f"  cd '{target}'\n" in done.output
    assert "\n  roll run --reload\n" in done.output
    assert not [path for path in files if re.search(r"\$[a-z]", path.read_text())]


def test_its_tests_pass(folder, options):
    printed = run_tool(folder, "pytest", "-p", "no:cacheprovider")
    assert re.search(rf"\b{10 if options else 4} passed in", printed), printed


def test_its_code_keeps_the_rules_and_its_types_check(folder, tmp_path):
    run_tool(folder, "ruff", "check", "--no-cache", ".")
    run_tool(folder, "ruff", "format", "--no-cache", "--check", "--diff", ".")
    run_tool(folder, "mypy", f"--cache-dir={tmp_path}", "rate_board", "tests")


def test_it_is_built(folder):
    run_tool(folder, "hatchling", "build", "-t", "wheel", "-d", "dist")
    (wheel,) = (folder / "dist").iterdir()
    assert wheel.name.startswith("rate_board-0.1.0-")


def test_it_is_checked_and_served_by_what_its_project_says(folder, run, options):
    assert run_tool(folder, "roll_server", "check") == "Nothing is wrong.\n"
    running = run("--port", 0)
    path = "/api/greet/Ada" if options else "/greet/Ada"
    assert running.get(path) == '{"greeting":"Hello Ada"}'


def test_each_full_application_has_a_key_of_its_own(tmp_path):
    for place in ("a", "b"):
        roll_new("rate-board", "--full", "--directory", tmp_path / place)
    one, other = (
        (tmp_path / place / "rate-board/.env").read_text() for place in ("a", "b")
    )
    assert one != other
    assert len(one.partition("SECRET_KEY=")[2].strip()) == 43
    assert ".env\n" in (tmp_path / "a/rate-board/.gitignore").read_text()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Shop", "lower-case"),
        ("class", "is the name of a module already: take another name"),
        ("json", "is the name of a module already: take another name"),
        ("roll", "is the name of a module already: take another name"),
        ("app", "is the name of a module already: take another name"),
        ("test-shop", "pytest would take what has this name for a test"),
        ("x" * 31, "30 characters at most"),
    ],
)
def test_a_name_that_will_not_do_is_refused(name, reason, tmp_path):
    done = roll_new("--directory", tmp_path, name)
    assert done.exit_code == 2
    assert reason in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_left_alone(folder):
    done = roll_new("rate-board", "--directory", folder.parent)
    assert done.exit_code == 1
    assert f"{folder} is not empty: move it away" in done.output
