"""What the distributions promise: names, entry points, bounds, a wheel's content."""

import email
import os
import re
import runpy
import subprocess
import tomllib
import venv
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from roll_testing import patience

ROOT = Path(__file__).parent.parent
PACKAGES = {
    path.parent.name: path.parent
    for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}
META = "roll"
# Distributions whose import name is not their name with underscores.
IMPORT_NAMES = {"roll-core": "roll"}
# What has nothing to do with the core: files of other projects, under their licenses.
ONLY_FILES = {"roll-openapi-ui"}
REPOSITORY = "https://github.com/pyrates/roll"
# What users and other programs name: package -> group -> name -> object.
PROMISED = {
    "roll-gunicorn": {"gunicorn.workers": {"roll": "roll_gunicorn:Worker"}},
    "roll-server": {"console_scripts": {"roll": "roll_server.__main__:main"}},
    "roll-testing": {"pytest11": {"roll": "roll_testing.plugin"}},
}

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
def test_package_page_links_to_documentation_source_changelog_and_issues(name):
    urls = project(name)["urls"]
    assert urls == {
        "Documentation": f"{REPOSITORY}/blob/main/docs/index.md",
        "Source": f"{REPOSITORY}/tree/main/packages/{name}",
        "Changelog": f"{REPOSITORY}/blob/main/packages/{name}/CHANGELOG.md",
        "Issues": f"{REPOSITORY}/issues",
    }


def names_every_package(path):
    """Tell whether a file has a list of all packages, by distribution or by module."""
    text = path.read_text("utf-8", "replace").replace("_", "-")
    others = PACKAGES.keys() - {META, "roll-core"} - set(path.parts)
    return all(re.search(rf"\b{name}\b", text) for name in others)


def sources():
    """Give the files of the checkout, without what tools have written into it."""
    for folder, folders, files in os.walk(ROOT):
        hidden = {one for one in folders if one.startswith(".")}
        folders[:] = {*folders} - hidden - {"__pycache__", "dist", "site"}
        yield from (Path(folder, name) for name in files)


def test_a_new_package_is_named_in_two_places_outside_of_its_folder():
    lists = {str(p.relative_to(ROOT)) for p in sources() if names_every_package(p)}
    assert lists == {"README.md", "packages/roll/pyproject.toml"}, (
        "derive what packages there are from packages/*"
    )


def test_the_table_in_the_readme_has_every_package():
    readme = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| \[packages/(.+)\]\(packages/\1\) \| .+ \|$", readme, re.M)
    assert sorted(rows) == sorted(PACKAGES)


def test_the_documentation_has_that_table():
    hook = runpy.run_path(str(ROOT / "mkdocs_hooks.py"))
    page = (ROOT / "docs" / "index.md").read_text()
    table = hook["on_page_markdown"](page)
    for name in PACKAGES:
        module = f"`{import_name(name)}`" if name != META else "none"
        assert f"\n| `{name}` | {module} | " in table


@each_package
def test_package_supports_the_same_pythons(name):
    declared = project(name)
    assert declared["requires-python"] == ">=3.11"
    assert {"3.11", "3.12", "3.13"} <= {
        classifier.rpartition(" ")[2] for classifier in declared["classifiers"]
    }


def workspace_needs(name):
    """Give each requirement of a package on another one here, wherever it stands."""
    settings = tomllib.loads((PACKAGES[name] / "pyproject.toml").read_text())
    lists = [
        settings["project"]["dependencies"],
        *settings["project"].get("optional-dependencies", {}).values(),
        *settings.get("dependency-groups", {}).values(),
    ]
    needs = [Requirement(need) for needs in lists for need in needs]
    return [need for need in needs if need.name in PACKAGES]


def is_good_bound(bound, version):
    """Tell whether a bound is a range below 2 that has the version."""
    operators = {one.operator for one in bound}
    return (
        bool(operators & {">=", "~="})
        and not operators & {"==", "==="}
        and not any(bound.contains(other) for other in ("2.0", "2.1", "3.0", "99.0"))
        and bound.contains(version, prereleases=True)
    )


@pytest.mark.parametrize(
    ("bound", "good"),
    [
        (">=1.0,<2", True),
        (">=1.2,<2", True),  # a package may need a newer core
        ("~=1.1", True),
        (">=1.0,<1.5", True),
        (">=1.3,<2", False),  # which has to be here then
        (">=1.0", False),
        (">=1.0,<3", False),
        (">=1.0,!=2.0,<3", False),
        ("<2", False),
        ("==1.2.3", False),
        ("==1.*", False),
        ("", False),
    ],
)
def test_a_bound_is_a_range_below_2_that_has_the_version_here(bound, good):
    assert is_good_bound(SpecifierSet(bound), "1.2.3") is good


@each_package
def test_package_accepts_a_range_of_the_others(name):
    needs = workspace_needs(name)
    versions = {need.name: project(need.name)["version"] for need in needs}
    bad = [n for n in needs if not is_good_bound(n.specifier, versions[n.name])]
    assert [str(need) for need in bad] == []


@pytest.mark.parametrize("name", sorted(PACKAGES.keys() - {"roll-core"} - ONLY_FILES))
def test_every_package_depends_on_the_core(name):
    needs = map(Requirement, project(name)["dependencies"])
    assert "roll-core" in {need.name for need in needs}


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
    with_redis = {"roll-channels[redis]", "roll-session[redis]"}
    assert named(extras["redis"]) == with_redis
    observed = {"opentelemetry", "prometheus"}
    assert {name: named(extras[name]) for name in observed} == {
        name: {f"roll-observability[{name}]"} for name in observed
    }
    brought = named(project(META)["dependencies"]) | named(extras["all"])
    all_observed = "roll-observability[opentelemetry,prometheus]"
    with_extras = {"roll-core[fast]", *with_redis, all_observed}
    assert brought == PACKAGES.keys() - {META, "roll-core"} | with_extras


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
    assert brought & {"pytest", "gunicorn", "redis"} == set()
    assert "pytest" in installed_with("roll[testing]")
    assert "gunicorn" in installed_with("roll[gunicorn]")
    assert "redis" in installed_with("roll[redis]")
    assert installed_with("roll[all]") >= {*PACKAGES, "pytest", "gunicorn", "redis"}


@each_package
def test_installed_entry_points_are_the_declared_ones(name):
    found = {}
    for point in metadata.distribution(name).entry_points:
        found.setdefault(point.group, {})[point.name] = point.value
    scripts = project(name).get("scripts")
    declared = {**entry_points(name), "console_scripts": scripts}
    assert found == {group: points for group, points in declared.items() if points}
    plugin = {name.removeprefix("roll-"): import_name(name)}
    assert found.pop("roll.plugins", plugin) == plugin
    assert found == PROMISED.get(name, {})


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
    first, *others = fields.get_all("License-File")
    assert first == "LICENSE"
    if name in ONLY_FILES:
        assert fields["License-Expression"].startswith("MIT AND ")
        assert {f".dist-info/licenses/{other}" for other in others} < {
            path[path.index(".dist-info") :] for path in names if ".dist-info" in path
        }
    else:
        assert (fields["License-Expression"], others) == ("MIT", [])


def test_meta_wheel_has_no_module(wheels):
    assert [
        path for path in file_names(wheels[META]) if ".dist-info/" not in path
    ] == []


def run(*command):
    """Run a command in an environment without ours, and give what it printed."""
    ours = ("COVERAGE", "PIP_", "PYTHON")
    clean = {key: os.environ[key] for key in os.environ if not key.startswith(ours)}
    done = subprocess.run(
        command, env=clean, capture_output=True, text=True, timeout=patience(120)
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
