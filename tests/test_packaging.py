"""What the distributions promise: names, entry points, bounds, a wheel's content."""

import email
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

PACKAGES = {
    path.parent.name: path.parent
    for path in sorted(Path(__file__).parent.parent.glob("packages/*/pyproject.toml"))
}
META = "roll"
# Distributions whose import name is not their name with underscores.
IMPORT_NAMES = {"roll-core": "roll"}
# group -> name -> object; a package that is not here has the entry point
# `roll.plugins`, named as the distribution without `roll-`.
ENTRY_POINTS = {
    "roll": {},
    "roll-core": {},
    "roll-contract": {},
    "roll-gunicorn": {"gunicorn.workers": {"roll": "roll_gunicorn:Worker"}},
    "roll-server": {
        "console_scripts": {"roll": "roll_server.__main__:main"},
        "roll.plugins": {"server": "roll_server"},
    },
    "roll-testing": {"pytest11": {"roll": "roll_testing.plugin"}},
}
CORE_RANGE = "roll-core>=1.0,<2"

each_package = pytest.mark.parametrize("name", PACKAGES)
each_with_code = pytest.mark.parametrize("name", [n for n in PACKAGES if n != META])


def project(name):
    return tomllib.loads((PACKAGES[name] / "pyproject.toml").read_text())["project"]


def entry_points(name):
    return project(name).get("entry-points", {})


def import_name(name):
    return IMPORT_NAMES.get(name, name.replace("-", "_"))


def file_names(wheel):
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def wheel_metadata(wheel):
    with ZipFile(wheel) as archive:
        (path,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(path))


@each_package
def test_package_is_named_as_its_folder(name):
    assert project(name)["name"] == name


@each_package
def test_package_has_its_own_readme_changelog_and_license(name):
    package = PACKAGES[name]
    assert (package / "README.md").read_text().startswith(f"# {name}\n")
    assert "\n## Unreleased\n" in (package / "CHANGELOG.md").read_text()
    assert (package / "LICENSE").read_text().startswith("MIT License\n")


@each_package
def test_package_supports_the_same_pythons(name):
    declared = project(name)
    assert declared["requires-python"] == ">=3.11"
    assert {"3.11", "3.12", "3.13"} <= {
        classifier.rpartition(" ")[2] for classifier in declared["classifiers"]
    }


@each_package
def test_package_accepts_a_range_of_the_others(name):
    ours = [need for need in project(name)["dependencies"] if need.startswith("roll")]
    assert [need for need in ours if not need.endswith(">=1.0,<2")] == []
    if name not in {"roll-core", META}:
        assert CORE_RANGE in ours


def named(needs):
    return {need.partition(">")[0] for need in needs}


def test_meta_package_depends_on_core_server_websockets_and_the_extensions():
    plugins = {name for name in PACKAGES if "roll.plugins" in entry_points(name)}
    assert {"roll-cors", "roll-server", "roll-websockets"} <= plugins
    assert named(project(META)["dependencies"]) == plugins | {"roll-core[fast]"}


def test_extras_of_the_meta_package_have_the_others():
    extras = project(META)["optional-dependencies"]
    assert named(extras["testing"]) == {"roll-testing"}
    assert named(extras["gunicorn"]) == {"roll-gunicorn"}
    brought = named(project(META)["dependencies"]) | named(extras["all"])
    assert brought == PACKAGES.keys() - {META, "roll-core"} | {"roll-core[fast]"}


def installed_with(*wanted):
    """Name all distributions that come with some, by what is installed."""
    waiting = [Requirement(need) for need in wanted]
    seen = set()
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        for extra in need.extras | {""}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += needs_of(name, extra)
    return {name for name, _ in seen}


def needs_of(name, extra):
    for need in map(Requirement, metadata.distribution(name).requires or ()):
        if need.marker is None or need.marker.evaluate({"extra": extra}):
            yield need


def test_pip_install_roll_brings_neither_pytest_nor_gunicorn():
    brought = installed_with("roll")
    assert {"roll-core", "httptools", "orjson", "click", "websockets"} <= brought
    assert brought & {"pytest", "gunicorn"} == set()
    assert "pytest" in installed_with("roll[testing]")
    assert "gunicorn" in installed_with("roll[gunicorn]")
    assert installed_with("roll[all]") >= {*PACKAGES, "pytest", "gunicorn"}


@each_package
def test_installed_entry_points_are_the_declared_ones(name):
    default = {"roll.plugins": {name.removeprefix("roll-"): import_name(name)}}
    found = {}
    for point in metadata.distribution(name).entry_points:
        found.setdefault(point.group, {})[point.name] = point.value
    assert found == ENTRY_POINTS.get(name, default)


@each_with_code
def test_wheel_holds_the_module_its_type_marker_and_nothing_else(name, wheels):
    module = import_name(name)
    names = file_names(wheels[name])
    assert {f"{module}/__init__.py", f"{module}/py.typed"} <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {module}


@each_package
def test_wheel_holds_the_license(name, wheels):
    names = file_names(wheels[name])
    assert any(path.endswith(".dist-info/licenses/LICENSE") for path in names)
    fields = wheel_metadata(wheels[name])
    assert fields["License-Expression"] == "MIT"
    assert fields.get_all("License-File") == ["LICENSE"]


def test_meta_wheel_has_no_module(wheels):
    assert [
        path for path in file_names(wheels[META]) if ".dist-info/" not in path
    ] == []


def run(*command):
    """Run a command in an environment without ours, and give what it printed."""
    ours = ("COVERAGE", "PIP_", "PYTHON")
    clean = {key: os.environ[key] for key in os.environ if not key.startswith(ours)}
    done = subprocess.run(
        command, env=clean, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_documented_upgrade_from_0_13_leaves_a_working_module(tmp_path, wheels, build):
    # A stand-in for the original: one distribution `roll`, with the module `roll`.
    old = tmp_path / "old"
    (old / "roll").mkdir(parents=True)
    (old / "roll" / "__init__.py").write_text("OLD = True\n")
    (old / "roll" / "extensions.py").write_text("")
    (old / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "roll"\nversion = "0.13.4"\nrequires-python = ">=3.7"\n'
    )
    build(old, tmp_path)
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True, symlinks=True)
    python = str(environment / "bin" / "python")
    install = (python, "-m", "pip", "install", "--no-index", "--no-deps")
    run(*install, str(tmp_path / "roll-0.13.4-py3-none-any.whl"))

    run(python, "-m", "pip", "uninstall", "-y", "roll")
    run(*install, str(wheels["roll"]), str(wheels["roll-core"]))

    found = run(
        *(python, "-c"),
        "import importlib.util as u, pathlib as p;"
        "print(p.Path(u.find_spec('roll').origin).read_text())",
    )
    source = PACKAGES["roll-core"] / "src" / "roll" / "__init__.py"
    assert found.rstrip("\n") == source.read_text().rstrip("\n")
