"""What the core does for extensions is not done again by any of them.

Each row is something that several packages once did on their own, and did differently.
"""

import ast
import tomllib
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parent.parent / "packages"

# What shows, as a string in any case or an import, that a module does it; what to call
# instead; the modules that may do it.
SERVICES = {
    "sockname": (
        "request.local_address",
        {
            *("roll/http11/connection.py", "roll_testing/transport.py"),
            "roll_asgi/websocket.py",  # which stands for a transport, too
        },
    ),
    "import uvloop": ("roll.loops.new_event_loop()", {"roll/loops.py"}),
    # The writer only knows that its values are few.
    "vary": ("response.vary(...)", {"roll/response.py", "roll/http11/writer.py"}),
}


def signs(tree):
    """List what shows what a module does: its strings, in lower case, and imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.lower()
        elif isinstance(node, ast.Import):
            yield from (f"import {alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"import {node.module}"


def modules():
    """Find the modules of all packages: their names, and what they are made of."""
    found = {}
    for path in sorted(PACKAGES.glob("*/src/**/*.py")):
        name = "/".join(path.relative_to(PACKAGES).parts[2:])
        found[name] = ast.parse(path.read_text())
    return found


@pytest.mark.parametrize("shown", SERVICES)
def test_what_the_core_does_is_done_there_alone(shown):
    instead, allowed = SERVICES[shown]
    found = {name for name, tree in modules().items() if shown in signs(tree)}
    assert found == allowed, f"call {instead} instead"


def extensions():
    """Find the extension packages, each with the names of its plugins."""
    found = {}
    for path in sorted(PACKAGES.glob("*/pyproject.toml")):
        entries = tomllib.loads(path.read_text())["project"].get("entry-points", {})
        if plugins := entries.get("roll.plugins"):
            found[path.parent.name.replace("-", "_")] = set(plugins)
    return found


def listed(tree):
    """List the strings that stand in collections, and after `before=` or `after=`."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            inner = node.elts
        elif isinstance(node, ast.Dict):
            inner = [*node.keys, *node.values]
        elif isinstance(node, ast.keyword) and node.arg in ("before", "after"):
            inner = [node.value]
        else:
            continue
        for each in inner:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield each.value


def test_no_extension_lists_its_siblings():
    names = extensions()
    found = {
        (module, name)
        for module, tree in modules().items()
        for own in [module.partition("/")[0]]
        if own in names
        for name in listed(tree)
        for package, plugins in names.items()
        if package != own
        if name in {*plugins, package, package.replace("_", "-")}
    }
    # One that is installed later, or is somebody else's, would not be on the list: use
    # before="*" or after="*". The exceptions are a name that no new extension may have,
    # and a key of ASGI's scopes.
    assert found == {
        ("roll_server/new.py", "websockets"),
        ("roll_asgi/scopes.py", "server"),
    }
