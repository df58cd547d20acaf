"""`roll new app`: the commands that it prints work as they are, with pip 24."""

import os
import re
import subprocess
import venv

import pytest
from roll_testing import patience, wait_until


@pytest.fixture
def environment(tmp_path, wheels):
    """Variables with which the commands of a fresh environment are found, and pip 24.

    It has roll-server from our wheel; everything else is from the registry.
    """
    venv.create(tmp_path / "env", with_pip=True, symlinks=True)
    ours = ("COVERAGE", "MYPY", "PYTEST", "PYTHON", "ROLL_")
    clean = {key: os.environ[key] for key in os.environ if not key.startswith(ours)}
    links = [os.environ.get("PIP_FIND_LINKS", ""), str(wheels["roll-core"].parent)]
    found = {
        **clean,
        "PATH": f"{tmp_path / 'env' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": " ".join(links).strip(),
        "PIP_NO_CACHE_DIR": "1",  # wheels of ours may have other content tomorrow
        "ROLL_PORT": "0",
    }
    try:  # click is not there yet, whichever pip Python brings
        shell('python -m pip install --retries 1 "pip==24.*" click', found)
    except AssertionError as error:
        pytest.skip(f"no package registry can be reached: {error}"[:500])
    shell("python -m pip install roll-server", found)
    return found


def shell(script, environment, folder=None):
    """Run commands as they are typed, and give what they print."""
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=patience(240),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("options", "tests"), [("", 4), (" --full", 10)])
def test_the_commands_that_are_printed_install_test_and_serve(
    environment, tmp_path, options, tests
):
    printed = shell(f"roll new app shop{options}", environment, tmp_path)
    commands = re.findall(r"^  (.+)$", printed.partition("Next,")[2], re.MULTILINE)
    enter, *others, serve = commands
    assert enter == "cd shop"
    assert serve == "roll run --reload"
    readme = (tmp_path / "shop" / "README.md").read_text()
    assert all(f"\n$ {command}\n" in readme for command in [*others, serve])
    assert "pip 24." in shell("python -m pip --version", environment)
    done = shell("\n".join([enter, *others]), environment, tmp_path)
    assert re.search(rf"\b{tests} passed in", done), done
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["sh", "-e", "-c", f"{enter}\nexec {serve}"],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: "Rolling on http://127.0.0.1:" in log.read_text(), "a server"
        )
    finally:
        process.terminate()
        process.wait(patience(60))
    assert process.returncode == 0, log.read_text()
