import pytest
from roll import Roll
from roll.extensions import asgi, mount_asgi
from roll_testing import Client

from . import asgi_rules


@pytest.fixture(autouse=True)
def no_rule_is_broken():
    asgi_rules.broken.clear()
    yield
    assert not asgi_rules.broken


@pytest.fixture
def app():
    return Roll()


@pytest.fixture
def outer(app):
    """An app that has the other one mounted, through ASGI: it is the server."""
    outer = Roll()
    mount_asgi(outer, "/at", asgi_rules.checked(asgi(app)))
    return outer


@pytest.fixture
async def through(outer):
    """A client whose requests go through ASGI, in both directions; see `outer`."""
    async with Client(outer) as client:
        yield client
