"""What every store keeps, and what is answered when one fails."""

import asyncio
import logging
import signal
import sys

import pytest
from redis.asyncio import Redis
from roll import Roll
from roll.extensions import session
from roll_session import MemoryStore, RedisStore, stored, stores
from roll_testing import Client, patience, turns, until

NAME = "__Host-session"
FAR = 1000.0


@pytest.fixture
async def client_of_redis(redis_server):
    async with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture(params=["memory", "url", "client", "decoding"])
async def store(request):
    if request.param == "memory":
        yield MemoryStore()
        return
    url = request.getfixturevalue("redis_server").url
    if request.param == "url":
        store = RedisStore(url, timeout=patience(5))
        yield store
        await store.aclose()
        return
    decodes = request.param == "decoding"
    async with Redis.from_url(url, decode_responses=decodes) as client:
        store = RedisStore(client, timeout=patience(5))
        yield store
        await store.aclose()
        assert await client.ping()  # it is not ours to close


@pytest.fixture
def key(request):
    return request.node.name


async def test_nothing_is_there_at_first(store, key):
    assert await store.load(key) is None
    assert not await store.save(key, {"a": 1}, frozenset(), FAR, False)
    assert await store.load(key) is None
    await store.delete(key)


async def test_what_is_saved_is_loaded(store, key):
    data = {"a": [1, {"b": None}], "é": "ü", "_times": [1, 2], "": ""}
    assert await store.save(key, data, frozenset(), FAR, True)
    assert await store.load(key) == data
    data["a"].append(2)
    loaded = await store.load(key)
    assert loaded["a"] == [1, {"b": None}]
    loaded["a"].append(3)
    assert (await store.load(key))["a"] == [1, {"b": None}]


async def test_only_what_changed_is_set_and_removed(store, key):
    await store.save(key, {"a": 1, "b": 2, "c": 3}, frozenset(), FAR, True)
    assert await store.save(key, {"b": 4}, {"c", "d"}, FAR, False)
    assert await store.load(key) == {"a": 1, "b": 4}
    assert await store.save(key, {}, {"a"}, FAR, False)
    assert await store.load(key) == {"b": 4}


async def test_what_is_deleted_is_gone(store, key):
    await store.save(key, {"a": 1}, frozenset(), FAR, True)
    await store.delete(key)
    assert await store.load(key) is None
    assert not await store.save(key, {"a": 1}, frozenset(), FAR, False)


async def test_it_is_gone_after_max_age(store, key):
    await store.save(key, {"a": 1}, frozenset(), FAR, True)
    assert await store.save(key, {}, frozenset(), 0.05, False)

    async def is_gone():
        return await store.load(key) is None

    await until(is_gone, "the end of a session")
    assert not await store.save(key, {"a": 1}, frozenset(), FAR, False)


async def test_many_keys_are_saved_at_once(store, key):
    data = {str(number): number for number in range(10_000)}
    await store.save(key, data, frozenset(), FAR, True)
    await store.save(key, {"kept": 1}, data.keys(), FAR, False)
    assert await store.load(key) == {"kept": 1}


async def test_parallel_changes_of_different_keys_are_all_kept(store, key):
    await store.save(key, {"a": 1}, frozenset(), FAR, True)
    if isinstance(store, RedisStore):
        store._timeout = patience(20)
    saves = (
        store.save(key, {str(number): number}, frozenset(), FAR, False)
        for number in range(40)
    )
    assert all(await asyncio.gather(*saves))
    assert len(await store.load(key)) == 41


# In memory


async def test_memory_has_a_limit_and_drops_what_has_ended(monkeypatch):
    now = 0.0
    monkeypatch.setattr(stores, "monotonic", lambda: now)
    store = MemoryStore(limit=2)
    for name, seconds in (("a", 5), ("b", 9), ("a", 5)):
        await store.save(name, {name: 1}, frozenset(), seconds, True)
    await store.save("c", {"c": 1}, frozenset(), 9, True)
    assert [*store._kept] == ["a", "c"]  # b was saved first
    now = 6.0
    await store.save("c", {}, frozenset(), 0, False)
    assert [*store._kept] == []


# Redis


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (["http://a"], {}, ValueError, "Redis URL must specify"),
        ([7], {}, TypeError, r"RedisStore\(7\): give a URL"),
        (["redis://"], {"timeout": 0}, ValueError, "timeout=0: give seconds above 0"),
        (["redis://"], {"timeout": "1"}, TypeError, "timeout='1': give seconds"),
    ],
)
def test_options_are_checked(arguments, options, error, message):
    with pytest.raises(error, match=message):
        RedisStore(*arguments, **options)


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ImportError, match=r"pip install 'roll-session\[redis\]'"):
        RedisStore("redis://localhost")


async def test_the_prefix_is_that_of_the_keys(redis_server, client_of_redis):
    store = RedisStore(redis_server.url, prefix="my:", timeout=patience(5))
    await store.save("key", {"a": 1}, frozenset(), FAR, True)
    await store.aclose()
    assert await client_of_redis.hgetall("my:key") == {b"a": b"1"}


async def test_redis_may_forget_the_script(redis_server, client_of_redis):
    store = RedisStore(redis_server.url, timeout=patience(5))
    await store.save("script", {"a": 1}, frozenset(), FAR, True)
    await client_of_redis.script_flush()
    await store.save("script", {"a": 2}, frozenset(), FAR, False)
    assert await store.load("script") == {"a": 2}
    await store.aclose()


def test_a_store_serves_one_loop_after_the_other(redis_server):
    store = RedisStore(redis_server.url, timeout=patience(5))

    async def use(value):
        await store.save("loops", {"a": value}, frozenset(), FAR, True)
        found = await store.load("loops")
        await store.aclose()
        return found

    assert [asyncio.run(use(value)) for value in (1, 2)] == [{"a": 1}, {"a": 2}]


async def test_a_load_and_a_save_are_a_command_each(own_redis):
    store = RedisStore(own_redis.url, timeout=patience(5))
    await store.save("key", {"a": 1}, frozenset(), FAR, True)
    async with Redis.from_url(own_redis.url) as redis:
        await redis.config_resetstat()
        await store.load("key")
        await store.save("key", {"b": 2}, {"a"}, FAR, False)
        statistics = await redis.info("commandstats")
    await store.aclose()
    # What a script calls is counted, too.
    inside = {"exists", "hdel", "hset", "pexpire"}
    calls = {
        name.removeprefix("cmdstat_"): statistics[name]["calls"] for name in statistics
    }
    sent = {name: calls[name] for name in calls.keys() - inside if "config" not in name}
    assert sent == {"hgetall": 1, "evalsha": 1}


# Apps


def make_app(store, **options):
    app = Roll()
    session(app, store=store, **options)

    @app.route("/")
    async def untouched(request, response):
        response.body = "Hello"

    @app.route("/read")
    async def read(request, response):
        response.json = dict(request["session"])

    @app.route("/set", methods=["POST"])
    async def update(request, response):
        request["session"].update(request.json)
        response.redirect = "/", 303

    return app


async def key_in_redis(client, client_of_redis):
    return f"session:{stored.key_of(client.cookies[NAME])}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda redis, key: redis.hset(key, "a", "not JSON"),
        lambda redis, key: redis.hset(key, "a", b"\xff\xff"),
        lambda redis, key: redis.hset(key, "a", "[" * 100_000),
        lambda redis, key: redis.hset(key, b"\xff", "1"),
        lambda redis, key: redis.hset(key, "a", "NaN"),
        lambda redis, key: redis.hset(key, "_times", '"now"'),
        lambda redis, key: redis.hset(key, "_times", "[1e999, 0]"),
        lambda redis, key: redis.hdel(key, "_times"),
        lambda redis, key: redis.set(key, "no hash"),
    ],
)
async def test_a_bad_entry_is_a_new_session_and_a_warning(
    redis_server, client_of_redis, caplog, spoil
):
    app = make_app(RedisStore(redis_server.url, timeout=patience(5)))
    async with Client(app) as client:
        await client.post("/set", {"user": "Ann"})
        await spoil(client_of_redis, await key_in_redis(client, client_of_redis))
        response = await client.get("/read")
        assert (response.status, response.json) == (200, {})
        (record,) = [one for one in caplog.records if one.name == "roll"]
        assert record.levelname == "WARNING"
        assert "A session in the store is ignored" in record.getMessage()
        before = client.cookies[NAME]
        await client.post("/set", {"user": "Bob"})
        assert client.cookies[NAME] != before


@pytest.fixture
def own_redis(tmp_path, redis_server):
    """Give a server that a test may kill."""
    server = type(redis_server)(tmp_path)
    server.start()
    yield server
    server.kill()


def errors(caplog):
    return [one for one in caplog.records if one.levelname == "ERROR"]


@pytest.mark.parametrize("how", ["killed", "hangs", "no password", "no permission"])
async def test_without_redis_only_those_who_need_it_get_503(
    own_redis, caplog, how, monkeypatch
):
    monkeypatch.setattr(stored, "monotonic", lambda: 0.0)  # as within a second
    store = RedisStore(own_redis.url, timeout=patience(5))
    async with Client(make_app(store)) as client:
        await client.post("/set", {"user": "Ann"})
        if how == "killed":
            own_redis.kill()
        elif how == "hangs":
            own_redis.signal(signal.SIGSTOP)
            store._timeout = 0.2
        else:
            async with Redis.from_url(own_redis.url) as redis:
                if how == "no password":
                    await redis.config_set("requirepass", "other")
                else:
                    await redis.execute_command("ACL SETUSER default -@hash -evalsha")
                await redis.client_kill_filter(_type="normal", skipme=False)
        response = await client.get("/")
        assert (response.status, response.body) == (200, b"Hello")
        for _ in range(2):
            response = await client.get("/read")
            assert (response.status, response.body) == (503, b"Service Unavailable")
            assert response.headers["Vary"] == "Cookie"
        response = await client.post("/set", {"user": "Bob"})
        assert response.status == 503
        cookie = client.cookies.pop(NAME)
        response = await client.post("/set", {"user": "Bob"})  # a failed save
        assert (response.status, response.headers.list("Set-Cookie")) == (503, [])
        assert len(errors(caplog)) == 1
        assert "The session store fails" in caplog.text
        if how == "hangs":
            own_redis.signal(signal.SIGCONT)
            store._timeout = patience(5)
            client.cookies[NAME] = cookie
            assert (await client.get("/read")).json["user"] == "Ann"
        elif how == "killed":
            own_redis.start()
            assert (await client.post("/set", {"a": 1})).status == 303
            assert (await client.get("/read")).json == {"a": 1}


async def test_failures_are_logged_again_after_a_second(caplog, monkeypatch):
    class Broken(MemoryStore):
        async def load(self, key):
            raise OSError("broken")

    now = 100.0
    monkeypatch.setattr(stored, "monotonic", lambda: now)
    async with Client(make_app(Broken())) as client:
        client.cookies[NAME] = "a" * 43
        for count, seconds in ((1, 0.5), (1, 0.4), (1, 0.1), (2, 0.5), (2, 0)):
            assert (await client.get("/read")).status == 503
            assert len(errors(caplog)) == count
            now += seconds


async def test_the_start_does_not_wait_for_redis_and_warns(own_redis, caplog):
    own_redis.signal(signal.SIGSTOP)
    app = make_app(RedisStore(own_redis.url, timeout=0.2))
    try:
        async with Client(app) as client:
            assert not caplog.records
            assert (await client.get("/")).body == b"Hello"
            await until(lambda: caplog.records, "the warning")
    finally:
        own_redis.signal(signal.SIGCONT)
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert "get a 503 until it works" in caplog.text


async def test_a_store_without_connections_needs_no_aclose(caplog):
    async with Client(make_app(MemoryStore())) as client:
        assert (await client.get("/")).body == b"Hello"
    assert not caplog.records


async def test_a_timeout_gives_nobody_the_answer_of_another(own_redis):
    """redis-py#2665, #2624: the reply to a cancelled command stayed."""
    store = RedisStore(own_redis.url, timeout=patience(5))
    for name in ("a", "b"):
        await store.save(name, {"name": name}, frozenset(), FAR, True)
    for _ in range(5):
        own_redis.signal(signal.SIGSTOP)
        store._timeout = 0.1
        with pytest.raises(TimeoutError):
            await store.load("a")
        own_redis.signal(signal.SIGCONT)
        store._timeout = patience(5)
        assert await store.load("b") == {"name": "b"}
    await store.aclose()


async def test_clients_that_leave_give_nobody_the_answer_of_another(own_redis):
    """redis-py#2665, #2624."""
    app = make_app(RedisStore(own_redis.url, timeout=patience(5)))
    async with Client(app) as client:
        cookies = {}
        for user in ("Ann", "Bob"):
            client.cookies.clear()
            await client.post("/set", {"user": user})
            cookies[user] = {"Cookie": f"{NAME}={client.cookies[NAME]}"}
        client.cookies.clear()
        for _ in range(10):
            own_redis.signal(signal.SIGSTOP)
            leaving = asyncio.create_task(client.get("/read", headers=cookies["Ann"]))
            await turns()
            client.transport.disconnect()
            own_redis.signal(signal.SIGCONT)
            with pytest.raises(ConnectionError):
                await leaving
            response = await client.get("/read", headers=cookies["Bob"])
            assert response.json == {"user": "Bob"}


async def test_debug_lines_have_no_ids(caplog):
    caplog.set_level(logging.DEBUG, "roll")
    async with Client(make_app(MemoryStore())) as client:
        client.cookies[NAME] = "a" * 43
        await client.get("/read")
    assert "its session is gone" in caplog.text
    assert "aaa" not in caplog.text
