import importlib.util
from pathlib import Path

import pytest
from roll_classic import Roll

CORE = Path(__file__).parents[2] / "roll-core" / "tests" / "conftest.py"


def core_conftest():
    spec = importlib.util.spec_from_file_location("core_conftest", CORE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cost = core_conftest().cost


@pytest.fixture
def app():
    return Roll()
