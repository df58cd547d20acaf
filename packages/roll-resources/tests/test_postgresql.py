"""The application of docs/how-to/resources.md with a real PostgreSQL."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import aiohttp
import asyncpg
import httpx
import pytest
from roll import Roll
from roll.extensions import resource
from roll_resources import states
from roll_testing import LiveClient, patience, until

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "resources.md"


# It is run for the examples, too; outside of the repository there are none.
servers = pytest.importorskip("examples.postgresql")

# A server is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    not servers.IS_INSTALLED,
    reason="PostgreSQL is not installed: apt-get install postgresql",
)


@pytest.fixture(scope="module")
def postgresql():
    with servers.run() as server:
        yield server


@pytest.fixture
def source():
    """The application of the how-to."""
    (code,) = re.findall(
        r"```python\n(# shop.py\n.*?)```", HOW_TO.read_text(), re.DOTALL
    )
    return code


@pytest.fixture
async def upstream():
    """Where prices come from; each is the address of who asked."""
    app = Roll()

    @app.route("/")
    async def price(request, response):
        response.body = request.remote_addr

    async with LiveClient(app) as client:
        yield client


@pytest.fixture
def shop(postgresql, upstream, source, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", postgresql.url)
    monkeypatch.setenv("PRICES_URL", upstream.url)
    namespace = {"__name__": "shop"}
    exec(compile(source, "shop.py", "exec"), namespace)
    return namespace["app"]


async def ask(client, path):
    answer = await client.query("GET", path)
    return answer.status, answer.body.decode()


async def test_the_how_to_serves_what_its_background_function_has_fetched(
    shop, postgresql
):
    async with LiveClient(shop) as client:

        async def has_price():
            return await ask(client, "/prices") == (200, "127.0.0.1")

        await until(has_price, "a price", timeout=30)
        assert await postgresql.others() >= 10
        status, body = await ask(client, "/health")
        assert (status, states(shop)["db"]) == (200, "open")
        assert '"refresh_prices":"running"' in body.replace(" ", "")
    await postgresql.has_no_others()
    assert states(shop)["db"] == states(shop)["http"] == "closed"


async def test_a_database_that_dies_is_seen_by_the_health_view(shop, postgresql):
    async with LiveClient(shop) as client:
        await asyncio.to_thread(postgresql.stop)
        try:
            assert await ask(client, "/health") == (
                503,
                "The database does not respond",
            )
            assert states(shop)["db"] == "open"
        finally:
            await asyncio.to_thread(postgresql.start)

        async def is_healthy():
            return (await ask(client, "/health"))[0] == 200

        await until(is_healthy, "the pool to connect again", timeout=30)


async def test_a_database_that_is_down_fails_the_start(shop, monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", f"postgresql://shop@/postgres?host={tmp_path}")
    with pytest.raises(OSError, match="No such file") as caught:
        await shop.startup()
    assert caught.value.__notes__ == ["The resource 'db' (shop.py:14) did not open"]


async def test_a_database_that_does_not_respond_fails_the_start_in_time():
    app = Roll()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{folder}/.s.PGSQL.5432")
        sock.listen()

        @resource(app, open_timeout=0.2)
        async def db():
            async with asyncpg.create_pool(host=folder, user="shop") as pool:
                yield pool

        with pytest.raises(TimeoutError, match="resource 'db' is not open after"):
            await app.startup()


async def test_a_start_that_fails_later_leaves_no_connection(shop, postgresql):
    @resource(shop)
    async def search(db):
        assert await postgresql.others() >= 10
        raise OSError("no search engine")
        yield

    with pytest.raises(OSError, match="no search engine"):
        await shop.startup()
    await postgresql.has_no_others()


async def test_one_process_of_several_has_the_lock(
    postgresql, source, monkeypatch, shop
):
    """The how-to's `send_reminders`, in two apps; it waits less for the next one."""
    leading = []
    source = source.replace("delay=5", "delay=0.01")
    source = source.replace("...  #", "leading.append(app)  #")
    source = source.replace("60", "0.01")
    apps = []
    for name in ("first", "second"):
        namespace = {"__name__": name, "leading": leading}
        exec(compile(source, "shop.py", "exec"), namespace)
        apps.append(namespace["app"])
    first, second = apps
    await first.startup()
    await until(lambda: leading)
    await second.startup()
    try:
        count = len(leading)
        await until(lambda: len(leading) > count + 10)
        assert set(leading) == {first}
        await first.shutdown()
        await until(lambda: second in leading)
    finally:
        await second.shutdown()


@pytest.mark.parametrize(
    "command",
    [
        ["roll_server", "run", "shop:app", "--port", "0", "--workers", "2"],
        [
            "gunicorn",
            "shop:app",
            "-k",
            "roll_gunicorn.Worker",
            "-w",
            "2",
            "-b",
            "127.0.0.1:0",
        ],
    ],
    ids=["roll run", "gunicorn"],
)
async def test_each_worker_has_a_pool_and_closes_it_at_sigterm(
    postgresql, upstream, source, tmp_path, command
):
    """python-gino/gino#668: a pool is never shared by processes."""
    source = source.replace(
        '["DATABASE_URL"]', '["DATABASE_URL"], min_size=3, max_size=3'
    )
    (tmp_path / "shop.py").write_text(source)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", *command),
        cwd=tmp_path,
        env={**os.environ, "DATABASE_URL": postgresql.url, "PRICES_URL": upstream.url},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:

        async def both_have_connected():
            return await postgresql.others() == 6

        await until(both_have_connected, "both pools", timeout=60)
        process.terminate()
        _, errors = await asyncio.wait_for(process.communicate(), patience(60))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0, errors.decode()
    await postgresql.has_no_others()
    assert b"Traceback" not in errors, errors.decode()


# Clients of HTTP


async def test_clients_of_http_are_resources(upstream):
    """They ask from an address of their own, and are closed in the end."""
    app = Roll()

    @resource(app)
    async def of_httpx():
        transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with httpx.AsyncClient(transport=transport) as client:
            yield client

    @resource(app)
    async def of_aiohttp():
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.3", 0))
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session

    @app.route("/")
    async def view(request, response):
        first = await app["of_httpx"].get(upstream.url)
        async with app["of_aiohttp"].get(upstream.url) as second:
            response.body = f"{first.text} {await second.text()}"

    async with LiveClient(app) as client:
        assert await ask(client, "/") == (200, "127.0.0.2 127.0.0.3")
        clients = app["of_httpx"], app["of_aiohttp"]
    assert (clients[0].is_closed, clients[1].closed) == (True, True)
