"""Who may import whom: the picture of the layers, as a table, held by every import.

A module of `roll` imports only from lower ranks. What annotations alone need goes
under ``TYPE_CHECKING``, which is exempt.
"""

import ast
import re
import tomllib
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parent.parent / "packages"
CORE = PACKAGES / "roll-core" / "src" / "roll"

RANKS = {
    # import nothing from Roll
    "descriptors": 0,
    "disposition": 0,
    "ending": 0,
    "errors": 0,
    "limits": 0,
    "loops": 0,
    "routing.expressions": 0,
    "tasks": 0,
    "typing": 0,
    # values in, values out: no socket opened, read or written
    "cookies": 1,
    "datastructures": 1,
    "forms.files": 1,
    "forms.framing": 1,
    "hookspecs": 1,
    "http11.body": 1,
    "http11.familiar": 1,
    "http11.framing": 1,
    "http11.upgrade": 1,
    "jsontext": 1,
    "logs": 1,
    "preferences": 1,
    "routing.patterns": 1,
    "routing.table": 1,
    "events": 2,
    "http11.chunks": 2,
    "routing.endpoints": 2,
    "routing.matching": 2,
    "forms.multipart": 2,
    "http11.parser": 3,
    "response": 3,
    "http11.writer": 4,
    "request": 4,
    # transports and entry points start here
    "http11.outbox": 5,
    "http11.sockets": 5,
    "http11.tls": 5,
    "peers": 5,
    "plugins": 5,
    "router": 5,
    "http11.state": 6,
    "http11.exchange": 7,
    "http11.timeouts": 7,
    "http11.connection": 8,
    "lifecycle": 9,
    # composition
    "app": 10,
    "extensions": 10,
    "server": 11,
    # older names of what other packages hold, and the public names
    "testing": 12,
    "worker": 12,
    "__init__": 13,
}
# What other packages may import, beside the public names of `roll` itself.
PUBLIC_MODULES = {
    *("roll.ending", "roll.extensions", "roll.logs", "roll.loops", "roll.peers"),
    *("roll.plugins", "roll.preferences", "roll.routing", "roll.tasks"),
    "roll.typing",
    # For another transport; the writer, for clients, too.
    *("roll.http11.body", "roll.http11.exchange", "roll.http11.parser"),
    *("roll.http11.upgrade", "roll.http11.writer"),
    "roll.response",  # what a body is, for code that changes it
}
FOLDERS = {"http11", "routing", "forms"}
# The modules of `roll` that stand for another package, and which.
SHIMS = {
    "testing": "roll_testing",
    "worker": "roll_gunicorn",
    "__init__": "roll_websockets",
}
# The same of the other packages: one that has a name of another, where it is installed.
OLDER_NAMES = {"roll_testing": "roll_contract"}


def imports(tree: ast.AST, package: str) -> list[tuple[str, str | None]]:
    """List what a module of *package* imports, wherever in it: (module, name)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: -(node.level - 1) or None]
            module = ".".join([*(parts if node.level else []), node.module or ""])
            found += [(module.strip("."), alias.name) for alias in node.names]
    return found


def name_of(path: Path) -> str:
    """Name a module of the core as in RANKS."""
    name = ".".join(path.relative_to(CORE).with_suffix("").parts)
    return name.removesuffix(".__init__")


def core_modules_imported(path: Path, package: str = "roll") -> set[str]:
    """Name the modules of `roll` that one of them imports, in annotations too.

    `__init__` stands for the public names.
    """
    found = set()
    for module, name in imports(ast.parse(path.read_text()), package):
        top, _, below = module.partition(".")
        if top == "roll":
            inner = f"{below}.{name}".strip(".")
            found.add(inner if inner in RANKS else below or "__init__")
    return found


def modules(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def relative_to_packages(path: Path) -> str:
    return str(path.relative_to(PACKAGES))


def own_name(path: Path) -> str:
    return path.relative_to(PACKAGES).parts[2]  # roll-cors/src/roll_cors/...


OTHERS = [
    path
    for package in sorted(PACKAGES.iterdir())
    if package.name != "roll-core"
    for path in modules(package / "src")
]


MODULES = [path for path in modules(CORE) if name_of(path) not in FOLDERS]
every_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


@every_module
def test_every_module_has_a_rank(path):
    assert name_of(path) in RANKS, (
        f"{path.name} has no rank: add {name_of(path)!r} to RANKS in "
        "tests/test_layers.py, above everything that it imports"
    )


@every_module
def test_a_module_imports_only_from_lower_ranks(path):
    rank = RANKS[name_of(path)]
    package = ".".join(["roll", *path.relative_to(CORE).parts[:-1]])
    too_high = {
        name: RANKS[name]
        for name in core_modules_imported(path, package) - FOLDERS
        if RANKS[name] >= rank
    }
    assert not too_high, (
        f"{path.name} has rank {rank}; what it asks of a higher one, also in an "
        "annotation, is a Protocol in typing.py"
    )


@every_module
def test_only_a_shim_of_the_core_imports_another_package(path):
    found = {
        module.partition(".")[0]
        for module, _ in imports(ast.parse(path.read_text()), "roll")
    }
    others = {name for name in found if name.startswith("roll_")}
    assert others <= {SHIMS.get(name_of(path))}


@pytest.mark.parametrize("path", OTHERS, ids=relative_to_packages)
def test_another_package_imports_only_public_names(path):
    import roll

    public = set(roll.__all__)
    private = [
        (module, name)
        for module, name in imports(ast.parse(path.read_text()), own_name(path))
        if module.partition(".")[0] == "roll"
        and (name not in public if module == "roll" else module not in PUBLIC_MODULES)
    ]
    assert not private, "not among the public names of `roll`"


def declared(package: Path, *extras: str) -> set[str]:
    """Name the modules of the distributions that a package depends on."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    needs = [*project["dependencies"]]
    for extra in extras:
        needs += project.get("optional-dependencies", {}).get(extra, [])
    return {re.match(r"[\w-]+", need)[0].replace("-", "_") for need in needs}


@pytest.mark.parametrize("path", OTHERS, ids=relative_to_packages)
def test_another_package_imports_no_sibling_that_it_does_not_depend_on(path):
    own = own_name(path)
    tree = ast.parse(path.read_text())
    found = {module.partition(".")[0] for module, _ in imports(tree, own)}
    package = PACKAGES / path.relative_to(PACKAGES).parts[0]
    allowed = {own, OLDER_NAMES.get(own)} | declared(package, "ui")
    assert not {name for name in found if name.startswith("roll_")} - allowed


@pytest.mark.parametrize(
    "package", sorted(PACKAGES.glob("roll-*")), ids=relative_to_packages
)
def test_no_package_depends_on_an_extension(package):
    assert not declared(package) & {
        other.name.replace("-", "_")
        for other in PACKAGES.glob("roll-*")
        if '"roll.plugins"' in (other / "pyproject.toml").read_text()
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from roll.app import Roll", {"app"}),
        ("import roll.app", {"app"}),
        ("from roll import app", {"app"}),
        ("from roll import Roll", {"__init__"}),
        ("from .app import Roll", {"app"}),
        ("from . import app", {"app"}),
        ("def f():\n    from .app import Roll", {"app"}),
        ("if TYPE_CHECKING:\n    from .app import Roll", {"app"}),
        ("if TYPE_CHECKING:\n    import x\nelse:\n    import roll.app", {"app"}),
        ("import rollup\nfrom roll_cors import cors", set()),
    ],
)
def test_every_form_of_import_is_read(source, expected, tmp_path):
    path = tmp_path / "module.py"
    path.write_text(source)
    assert core_modules_imported(path) == expected
