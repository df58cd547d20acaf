import asyncio

import pytest
from roll import Roll
from roll_testing import turns

from examples import database


@pytest.fixture
def app():
    return database.app


async def test_visits_are_counted(client):
    await client.get("/visits/a")
    await client.get("/visits/b")
    assert (await client.get("/visits/a")).json == {"path": "a", "visits": 2}


async def test_new_connections_are_announced_before_they_are_used(client, app):
    assert len(app["db"].open) == 0
    await client.get("/visits/c")
    await client.get("/visits/c")
    assert len(app["db"].open) == 1


async def test_no_more_connections_are_open_than_allowed():
    app = Roll()
    database.database(app, "file:another?mode=memory", size=2)
    await app.startup()
    most = 0

    async def use():
        nonlocal most
        async with app["db"].acquire():
            most = max(most, len(app["db"].open))
            await turns()

    await asyncio.gather(*[use() for _ in range(10)])
    assert most == 2
    await app.shutdown()
    assert "db" not in app
