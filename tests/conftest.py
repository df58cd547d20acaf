"""What tests of all packages share: their wheels."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = {
    path.parent.name: path.parent
    for path in sorted(Path(__file__).parent.parent.glob("packages/*/pyproject.toml"))
}


def build_wheel(source, target):
    """Build the wheel of a project into a folder, with the installed hatchling."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target],
        cwd=source,
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="session")
def build():
    """Give what builds a wheel."""
    return build_wheel


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """Map each package to its wheel, built from the tree as it is."""
    target = tmp_path_factory.mktemp("wheels")
    for source in PACKAGES.values():
        build_wheel(source, target)
    built = {path.name.partition("-")[0]: path for path in target.glob("*.whl")}
    return {name: built[name.replace("-", "_")] for name in PACKAGES}
