import asyncio

import pytest
from roll import Roll
from roll.extensions import background, resource
from roll_testing import Client, until


async def test_smoke():
    app = Roll()
    seen = []

    @resource(app)
    async def http(db):
        seen.append("http")
        yield db + 1
        seen.append("-http")

    @resource(app)
    async def db(app):
        seen.append("db")
        yield 1
        seen.append("-db")

    @background(app)
    async def work(db, http):
        seen.append(("work", db, http))
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("-work")

    async with Client(app):
        assert app["http"] == 2
        await until(lambda: len(seen) > 2)
    assert seen == ["db", "http", ("work", 1, 2), "-work", "-http", "-db"]
    with pytest.raises(KeyError, match="resource 'db' is open only while the app runs"):
        app["db"]
