import pytest
from roll import Roll


@pytest.fixture
def app():
    return Roll()
