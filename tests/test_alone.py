"""Each package lives alone, with what it declares; two of them here, for each change.

`nox -s alone` does so with every package, and measures what its tests cover.
"""

import os
import subprocess
import tomllib
import venv
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SIBLINGS = ("roll_cors", "roll_server", "roll_static")


def needs_of(package):
    """Name all distributions that a package's tests need, and what these need."""
    settings = tomllib.loads(
        (ROOT / "packages" / package / "pyproject.toml").read_text()
    )
    found = {}
    waiting = [package, "roll-testing", *settings["dependency-groups"]["tests"]]
    while waiting:
        need = Requirement(waiting.pop())
        name = canonicalize_name(need.name)
        if name in found or (need.marker and not need.marker.evaluate({"extra": ""})):
            continue
        found[name] = metadata.distribution(name)
        waiting += found[name].requires or ()
    return found


@pytest.fixture(params=["roll-igniter", "roll-named-url"])
def alone(request, tmp_path, wheels):
    """Make an environment that has one package, what it declares, and its tests'."""
    venv.create(tmp_path, with_pip=False, symlinks=True)
    (site,) = tmp_path.glob("lib/python3*/site-packages")
    for name, distribution in needs_of(request.param).items():
        if name in wheels:
            with ZipFile(wheels[name]) as wheel:
                wheel.extractall(site)
            continue
        for file in distribution.files:
            if ".." not in file.parts:  # those are scripts
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).write_bytes(file.locate().read_bytes())
    return request.param, tmp_path / "bin" / "python"


def run(python, *arguments):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "PYTHON"))
    }
    return subprocess.run(
        [python, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_a_package_alone_passes_its_tests(alone):
    package, python = alone
    tests = f"packages/{package}/tests"
    done = run(
        *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *(f"--confcutdir=packages/{package}", tests),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for sibling in SIBLINGS:
        done = run(python, "-c", f"import {sibling}")
        assert f"No module named '{sibling}'" in done.stderr
