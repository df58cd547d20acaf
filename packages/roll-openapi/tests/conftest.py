"""What the tests of roll-openapi share."""

import pytest
from roll import Roll


@pytest.fixture
def app():
    return Roll()
