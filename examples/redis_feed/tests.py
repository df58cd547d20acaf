import asyncio

import pytest
from redis.asyncio import Redis
from roll_testing import RedisServer, patience, until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from examples import redis_feed

# A server is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    RedisServer.program is None,
    reason="redis-server is not installed: apt-get install redis-server",
)


@pytest.fixture
def redis_server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def app(redis_server, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    return redis_feed.app


async def receive(ws):
    return await asyncio.wait_for(ws.recv(), patience(5))


async def subscribed(app, name, count):
    """Wait until so many WebSockets hear a channel."""

    async def is_so():
        return (await app["redis"].pubsub_numsub(name))[0][1] == count

    await until(is_so, f"{count} on {name}", interval=0.01)


async def test_clients_hear_each_other_and_other_publishers(
    app, liveclient, redis_server
):
    await liveclient.start()
    url = f"{liveclient.wsl}/feeds/news"
    async with connect(url, proxy=None) as ann, connect(url, proxy=None) as bob:
        await subscribed(app, "news", 2)
        await ann.send("hello")
        assert [await receive(ann), await receive(bob)] == ["hello", "hello"]
        async with Redis.from_url(redis_server.url) as other:
            await other.publish("news", "from elsewhere")
        assert await receive(ann) == await receive(bob) == "from elsewhere"
    await subscribed(app, "news", 0)


async def test_messages_come_in_order_while_others_are_sent(app, liveclient):
    await liveclient.start()
    texts = [str(number) for number in range(200)]
    async with connect(f"{liveclient.wsl}/feeds/busy", proxy=None) as ws:
        await subscribed(app, "busy", 1)
        for text in texts:
            await ws.send(text)
        assert [await receive(ws) for _ in texts] == texts


async def test_a_client_that_leaves_leaves_no_subscription(app, liveclient):
    await liveclient.start()
    ws = await connect(f"{liveclient.wsl}/feeds/left", proxy=None)
    await subscribed(app, "left", 1)
    ws.transport.abort()
    await subscribed(app, "left", 0)


async def test_without_redis_the_connection_ends_and_says_so(
    app, liveclient, redis_server, caplog
):
    await liveclient.start()
    async with connect(f"{liveclient.wsl}/feeds/cut", proxy=None) as ws:
        await subscribed(app, "cut", 1)
        redis_server.kill()
        with pytest.raises(ConnectionClosedError) as end:
            await receive(ws)
    assert end.value.rcvd.code == 1011
    assert "ConnectionError" in caplog.text
