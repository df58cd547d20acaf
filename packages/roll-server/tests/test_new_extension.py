"""`roll new extension`: what it writes is built, installed, served and tested."""

import os
import re
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path
from textwrap import dedent
from zipfile import ZipFile

import pytest
from click.testing import CliRunner
from roll_server.new import LONGEST, new
from roll_testing import patience

LONG = "a-name-of-thirty-characters-10"

WRITTEN = {
    ".github/workflows/tests.yml",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "src/roll_rate_limit/__init__.py",
    "src/roll_rate_limit/py.typed",
    "tests/test_rate_limit.py",
}

SERVE = """
import asyncio, socket
from roll import Roll, Server
from roll.extensions import teleport

app = Roll()
teleport(app, value="here")

async def ask():
    server = Server(app, [socket.create_server(("127.0.0.1", 0))])
    await server.start()
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
    print((await reader.read()).decode())
    writer.close()
    await writer.wait_closed()
    await server.stop()

asyncio.run(ask())
"""


def roll_new(*arguments):
    return CliRunner().invoke(new, ["extension", *map(str, arguments)])


def run(*command, cwd=None, **environment):
    """Run a command in an environment without ours, and give what it printed."""
    ours = ("COVERAGE", "MYPY", "PIP_", "PYTEST", "PYTHON", "RUFF")
    clean = {key: os.environ[key] for key in os.environ if not key.startswith(ours)}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=patience(120),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_installed(name, site):
    """Copy a distribution, and what it needs, into another environment."""
    distribution = metadata.distribution(name)
    for file in distribution.files:
        if ".." not in file.parts:  # those are scripts
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), site / file)
    for need in distribution.requires or ():
        if "extra ==" not in need:
            copy_installed(re.match(r"[\w.-]+", need)[0], site)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new")
    done = roll_new("teleport", "--directory", folder)
    assert done.exit_code == 0, done.output
    return folder / "roll-teleport"


@pytest.fixture(scope="module")
def wheel(package, tmp_path_factory):
    dist = tmp_path_factory.mktemp("dist")
    run(
        *(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist)),
        cwd=package,
    )
    (wheel,) = dist.iterdir()
    return wheel


def test_it_writes_a_complete_package_and_says_what_to_do_next(tmp_path):
    done = roll_new("rate-limit", "--directory", tmp_path / "my packages")
    target = tmp_path / "my packages" / "roll-rate-limit"
    files = {path for path in target.rglob("*") if path.is_file()}
    assert {path.relative_to(target).as_posix() for path in files} == WRITTEN
    assert done.exit_code == 0
    assert all(f"  {name}\n" in done.output for name in WRITTEN)
    assert f"  cd '{target}'\n" in done.output
    settings = (target / "pyproject.toml").read_text()
    assert '\nname = "roll-rate-limit"\n' in settings
    assert '\nrate-limit = "roll_rate_limit"\n' in settings
    assert '\ndependencies = ["roll-core>=1.0,<2"]\n' in settings
    workflow = (target / ".github" / "workflows" / "tests.yml").read_text()
    assert 'python: ["3.11", "3.12", "3.13"]' in workflow
    assert "python-version: ${{ matrix.python }}" in workflow
    assert "persist-credentials: false" in workflow
    code = (target / "src" / "roll_rate_limit" / "__init__.py").read_text()
    assert 'def rate_limit(app: Roll, value: str = "on") -> None:' in code
    assert not [p for p in files if re.search(r"\$[a-z]", p.read_text())]


def test_it_writes_into_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert roll_new("teleport").exit_code == 0
    assert (tmp_path / "roll-teleport" / "pyproject.toml").is_file()


def test_it_installs_beside_roll_core_alone_and_serves(tmp_path, wheel):
    venv.create(tmp_path, with_pip=True, symlinks=True)
    python = str(tmp_path / "bin" / "python")
    (site,) = tmp_path.glob("lib/python3*/site-packages")
    copy_installed("roll-core", site)
    # Without `--no-deps`: pip looks whether the range of roll-core fits.
    install = ("install", "--no-index", "--disable-pip-version-check", str(wheel))
    run(python, "-m", "pip", *install)
    answer = run(python, "-W", "error", "-c", SERVE)
    assert answer.startswith("HTTP/1.1 404 Not Found\n")
    assert "\nX-Teleport: here\n" in answer


def test_its_tests_pass_with_the_contract(package, wheel, tmp_path):
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)  # as `pip install --target` leaves it
    printed = run(
        *(
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-rs",
            str(package),
        ),
        PYTHONPATH=os.pathsep.join(
            [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
        cwd=package,
    )
    assert re.search(r"\d+ passed in", printed), printed  # and none skipped
    assert "test_teleport.py" in printed


@pytest.mark.parametrize("name", ["teleport", "x", "zip2", LONG])
def test_its_code_is_formatted_and_keeps_the_rules(name, tmp_path):
    assert roll_new(name, "--directory", tmp_path).exit_code == 0
    (package,) = tmp_path.iterdir()
    ruff = (sys.executable, "-m", "ruff")
    run(*ruff, "check", "--no-cache", ".", cwd=package)
    run(*ruff, "format", "--no-cache", "--check", "--diff", ".", cwd=package)
    rules = "E,F,W,I,UP,B,C4,SIM,RUF,ASYNC,PT,PERF,D"
    own = ("--select", rules, "--config", 'lint.pydocstyle.convention="google"')
    run(*ruff, "check", "--no-cache", *own, "src", cwd=package)


def test_its_types_check(package, tmp_path):
    mypy = (sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}")
    run(*mypy, "src", "tests", cwd=package)


def test_the_block_in_its_readme_runs(package, monkeypatch, wheel):
    readme = (package / "README.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    run(
        *(sys.executable, "-W", "error", "-c", block),
        PYTHONPATH=os.pathsep.join([str(wheel), *filter(None, sys.path)]),
    )


# Names


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "begin with a letter"),
        ("Teleport", "lower-case"),
        ("2fast", "begin with a letter"),
        ("-x", "No such option"),
        ("_x", "begin with a letter"),
        ("x-", "single dashes"),
        ("x--y", "single dashes"),
        ("x.y", "single dashes"),
        ("télé", "ASCII"),
        ("x\n", "single dashes"),
        ("../x", "begin with a letter"),
        ("x/y", "single dashes"),
        ("roll-teleport", "leave out `roll-`"),
        ("roll_teleport", "leave out `roll-`"),
        ("x" * (LONGEST + 1), "30 characters at most"),
        ("tester", "would take what has this name for a test"),
        ("class", "means something else already"),
        ("print", "means something else already"),
        ("pytest", "means something else already"),
        ("app", "means something else already"),
        ("contract", "means something else already"),
        ("core", "means something else already"),
        ("cors", "is taken by roll-cors: take another name, or pip install roll-cors"),
        ("named-url", "is taken by roll-named-url"),
        ("proxy", "is taken by roll-proxy"),
        ("content_negociation", "is taken by roll-negotiation"),
    ],
)
def test_a_name_that_will_not_do_is_refused(name, reason, tmp_path):
    done = roll_new("--directory", tmp_path, name)
    assert done.exit_code == 2
    message = " ".join(done.output.replace("│", " ").split())
    assert reason in message
    assert not list(tmp_path.iterdir())


def test_a_name_of_an_installed_distribution_is_refused(tmp_path, monkeypatch):
    (tmp_path / "roll_mute-1.0.dist-info").mkdir()
    (tmp_path / "roll_mute-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: roll-mute\nVersion: 1.0\n"
    )
    (tmp_path / "roll_bare.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mute", "bare"):
        done = roll_new(name, "--directory", tmp_path / "out")
        assert done.exit_code == 2
        assert f"roll-{name} is installed already: take another" in done.output


def test_a_name_of_an_installed_extension_is_refused(tmp_path):
    (tmp_path / "beams.py").write_text(
        dedent("""
        from roll import hookimpl

        def beam(app): pass

        @hookimpl
        def roll_extensions():
            return {"beam": beam}
        """)
    )
    info = tmp_path / "beams-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: beams\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[roll.plugins]\nbeams = beams\n")
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "roll_server", "new", "extension", "beam"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert (
        "the installed package beams provides an extension 'beam': take" in done.stderr
    )
    assert not (tmp_path / "roll-beam").exists()


# Folders


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    target = tmp_path / "roll-teleport"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    done = roll_new("teleport", "--directory", tmp_path)
    assert done.exit_code == 1
    assert f"{target} is not empty: move it away, or name" in done.output
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "roll-teleport").mkdir()
    assert roll_new("teleport", "--directory", tmp_path).exit_code == 0


def test_a_file_in_the_way_is_an_error_that_names_it(tmp_path):
    (tmp_path / "roll-teleport").write_text("mine")
    done = roll_new("teleport", "--directory", tmp_path)
    assert done.exit_code == 1
    assert f"cannot write {tmp_path / 'roll-teleport'}: " in done.output
    assert (tmp_path / "roll-teleport").read_text() == "mine"


def test_a_directory_that_is_a_file_is_refused(tmp_path):
    done = roll_new("teleport", "--directory", __file__)
    assert done.exit_code == 2
    assert "is a file" in done.output
    assert Path(__file__).is_file()
