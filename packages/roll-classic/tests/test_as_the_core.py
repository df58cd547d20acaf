"""The test modules of the core, run with the classes of roll_classic in their place."""

import importlib.util
from pathlib import Path

import pytest
import roll
import roll_classic

CORE = Path(__file__).parents[2] / "roll-core" / "tests"
MODULES = ["cookies", "matching", "multipart", "request", "response", "routing"]
CLASSES = {
    getattr(roll, name): getattr(roll_classic, name) for name in roll_classic.__all__
}


def load(name):
    """Import a test module afresh, and put our classes in the place of the core's."""
    path = CORE / f"test_{name}.py"
    spec = importlib.util.spec_from_file_location(f"core_test_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for key, value in [*vars(module).items()]:
        if isinstance(value, type) and value in CLASSES:
            setattr(module, key, CLASSES[value])
    return module


LOADED = {name: load(name) for name in MODULES}

for name, module in LOADED.items():
    for test, function in vars(module).items():
        if test.startswith("test_"):
            globals()[f"test_{name}_{test.removeprefix('test_')}"] = function

# Their fixtures.
echo = LOADED["request"].echo
routes_seen = LOADED["routing"].routes_seen


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("cookies", {"Cookies"}),
        ("matching", {"Roll", "Routes"}),
        ("multipart", {"Multipart"}),
        ("request", {"Roll"}),
        ("response", set()),
        ("routing", {"Roll", "Routes"}),
    ],
)
def test_the_modules_test_our_classes(name, changed):
    namespace = vars(LOADED[name])
    for each in changed:
        assert namespace[each] is getattr(roll_classic, each)
    assert not set(map(id, CLASSES)) & set(map(id, namespace.values()))
