"""What becomes of subscriptions when Redis, or the way to it, goes away."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from contextlib import asynccontextmanager

import pytest
import trustme
from redis.asyncio import Redis
from roll import Roll
from roll.extensions import channels
from roll_channels import Options, RedisBackend, Unavailable
from roll_channels import redis_backend as backends
from roll_channels import redis_link as links
from roll_channels import redis_reader as readers
from roll_channels.messages import Position
from roll_channels.streams import runs
from roll_channels.testing import numbers, publish, reset_at, take
from roll_testing import RedisServer, patience, turns, until

TIMEOUT = patience(20)


@asynccontextmanager
async def running(url, **options):
    """Run an app, as a process of its own would, and give its channels."""
    app = Roll()
    found = channels(app, url, **{"timeout": patience(5), **options})
    await app.startup()
    try:
        async with asyncio.timeout(TIMEOUT):
            yield found
    finally:
        await app.shutdown()


@pytest.fixture
async def client(redis_server):
    async with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def quick(monkeypatch):
    """Check the epochs often."""
    monkeypatch.setattr(readers, "BLOCK", 0.05)


@pytest.fixture
def own_server(tmp_path_factory):
    """A server that may be killed, and keeps its data."""
    server = RedisServer(
        tmp_path_factory.mktemp("redis"),
        *("--appendonly", "yes", "--appendfsync"),
        "always",
    )
    # A server is not a Python package: the other tests run without it.
    # `.ci/run` installs it, so that nothing is skipped there.
    if server.program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server.start()
    yield server
    server.kill()


def link_of(found):
    return found._hub._backend._link


def lines(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "roll"]


# Several processes


async def test_what_one_process_publishes_all_get(redis_server, prefix):
    url = redis_server.url
    async with (
        running(url, prefix=prefix) as one,
        running(url, prefix=prefix) as two,
        one["a"].subscribe() as first,
        two["a"].subscribe() as second,
    ):
        await publish(one["a"], 0, 5)
        await publish(two["a"], 5, 10)
        found = await take(first, 10)
        assert found == await take(second, 10)
        assert numbers(found) == [*range(10)]
        # socket.io#4888, socket.io-redis-streams-adapter#27: on every node.
        assert await two["a"].poll(found[3].id) == found[4:]


async def test_a_channel_that_is_followed_later_interrupts_the_wait(
    redis_server, prefix
):
    async with (
        running(redis_server.url, prefix=prefix) as found,
        found["a"].subscribe(),
    ):
        for name in "bcdefgh":
            async with (
                found[name].subscribe() as messages,
                asyncio.timeout(patience(readers.BLOCK / 2)),
            ):
                await found[name].publish(name)
                assert (await anext(messages)).data == name


async def test_ten_thousand_channels_are_followed(redis_server, prefix):
    async with running(redis_server.url, prefix=prefix, timeout=TIMEOUT) as found:
        followed = [found[f"c{number}"].subscribe() for number in range(10_000)]
        await asyncio.gather(*[each.__aenter__() for each in followed])
        for number in (0, 5000, 9999):
            await found[f"c{number}"].publish(str(number))
            assert (await anext(followed[number])).data == str(number)
        for each in followed:
            await each.aclose()
        await found["nobody reads it"].publish("x")  # channels_redis#384, #276
        reader = found._hub._backend._reader
        assert (found._hub._logs, reader._positions, len(reader._ids)) == ({}, {}, 1)


@pytest.mark.parametrize("ttl", [60, None])
async def test_a_channel_is_known_for_longer_than_its_history(
    redis_server, prefix, client, ttl
):
    """socket.io-redis-streams-adapter#48: resumption works after hours, too."""
    async with running(redis_server.url, prefix=prefix, ttl=ttl) as found:
        await found["a"].publish("x")
        lives = [await client.pttl(f"{{{prefix}}}:{kind}:a") for kind in "sm"]
    if ttl is None:
        assert lives == [-1, -1]
    else:
        assert 0 < lives[0] <= 60_000
        assert 86_400_000 < lives[1] <= 86_460_000


async def test_the_pauses_between_attempts_grow(monkeypatch):
    monkeypatch.setattr(links.random, "uniform", lambda least, most: least * 0)
    backoff = links.Backoff()
    pauses = []
    for _ in range(9):
        pauses.append(backoff._pause)
        await backoff.wait()
    assert pauses == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    backoff.reset()
    assert backoff._pause == 0


# What is lost, and when


async def test_a_paused_server_loses_nothing(own_server, caplog):
    async with running(own_server.url) as found, found["a"].subscribe() as messages:
        own_server.signal(signal.SIGSTOP)
        publishing = asyncio.create_task(publish(found["a"], 0, 5))
        waiting = asyncio.create_task(anext(messages))
        await turns()
        assert not publishing.done()
        assert not waiting.done()
        own_server.signal(signal.SIGCONT)
        assert numbers([await waiting, *await take(messages, 4)]) == [*range(5)]
        await publishing


async def test_a_restart_with_data_loses_nothing(own_server, caplog):
    """encode/broadcaster#144, #121; the log has one line for each change."""
    async with running(own_server.url) as found, found["a"].subscribe() as messages:
        await publish(found["a"], 0, 3)
        own_server.kill()
        await until(lambda: not found.connected)
        publishing = asyncio.create_task(publish(found["a"], 3, 6))
        resumed = found["a"].subscribe(messages.position)
        waiting = asyncio.create_task(anext(resumed))
        own_server.start()
        assert numbers(await take(messages, 6)) == [*range(6)]
        assert (await waiting).data == "0"
        await publishing
        await until(lambda: found.connected)
        await resumed.aclose()
    lost, back = lines(caplog)
    assert lost.startswith(f"The connection to Redis at {own_server.url} is lost; ")
    assert back.startswith(f"The connection to Redis at {own_server.url} is back after")


async def test_a_restart_without_data_gives_one_reset(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        async with (
            running(server.url) as found,
            found["a"].subscribe() as first,
            found["a"].subscribe() as second,
        ):
            old = (await publish(found["a"], 0, 3))[-1]
            await take(first, 3)
            server.kill()
            await until(lambda: not found.connected)
            server.start()
            for messages in (first, second):
                reset = await anext(messages)
                assert (reset.event, reset.data) == ("reset", None)
                assert reset.id != old
                assert reset.id.endswith("-0")
            await publish(found["a"], 3, 5)
            for messages in (first, second):
                assert numbers(await take(messages, 2)) == [3, 4]
    finally:
        server.kill()


@pytest.mark.parametrize("count", [0, 1, 9])
async def test_a_flush_gives_one_reset(own_server, quick, count):
    """Whether the offsets of the new epoch are below those of the old, or above."""
    async with (
        running(own_server.url) as found,
        Redis.from_url(own_server.url) as raw,
        found["a"].subscribe() as messages,
    ):
        await publish(found["a"], 0, 4)
        await take(messages, 4)
        await raw.flushall()
        await publish(found["a"], 0, count)
        reset = await anext(messages)
        assert (reset.event, reset.data) == ("reset", None)
        at, last = map(Position.parse, (reset.id, await found["a"].publish("last")))
        rest = await take(messages, last.offset - at.offset)
        assert [Position.parse(message.id) for message in rest] == [
            Position(at.epoch, offset)
            for offset in range(at.offset + 1, last.offset + 1)
        ]


async def test_an_evicted_hash_gives_one_reset(redis_server, prefix, client, quick):
    async with (
        running(redis_server.url, prefix=prefix) as found,
        found["a"].subscribe() as messages,
    ):
        await publish(found["a"], 0, 4)
        await take(messages, 4)
        await client.delete(f"{{{prefix}}}:m:a")
        assert (await anext(messages)).event == "reset"
        await publish(found["a"], 4, 6)
        assert numbers(await take(messages, 2)) == [4, 5]


async def test_an_evicted_stream_is_a_gap_only_for_those_that_miss_something(
    redis_server, prefix, client
):
    async with running(redis_server.url, prefix=prefix) as found:
        first, *_, last = await publish(found["a"], 0, 4)
        await client.delete(f"{{{prefix}}}:s:a")
        async with (
            found["a"].subscribe(last) as whole,
            found["a"].subscribe(first) as b,
        ):
            assert await anext(b) == reset_at(last)
            position = await found["a"].publish("4")
            assert (await anext(whole)).id == (await anext(b)).id == position


async def test_a_snapshot_that_is_restored_gives_one_reset(
    redis_server, prefix, client, quick
):
    """centrifugo#664: the offset goes back, in the same epoch."""
    url = redis_server.url
    keys = [f"{{{prefix}}}:m:a", f"{{{prefix}}}:s:a"]
    async with (
        running(url, prefix=prefix) as one,
        running(url, prefix=prefix) as two,
        one["a"].subscribe() as first,
        two["a"].subscribe() as second,
    ):
        await publish(one["a"], 0, 3)
        kept = [await client.dump(key) for key in keys]
        await publish(one["a"], 3, 9)
        found = await take(first, 9)
        assert found == await take(second, 9)
        for key, value in zip(keys, kept, strict=True):
            await client.restore(key, 0, value, replace=True)
        resets = [await anext(first), await anext(second)]
        assert [m.event for m in resets] == ["reset", "reset"]
        assert resets[0].id == resets[1].id != found[-1].id
        await publish(two["a"], 9, 11)
        assert numbers(await take(first, 2)) == numbers(await take(second, 2))


async def test_without_redis_a_call_fails_in_time(own_server):
    """The outcome is not known; the connection is used again once it is back."""
    async with running(own_server.url) as found:
        link_of(found).timeout = 0.2
        own_server.kill()
        calls = {
            "publish": found["a"].publish("x"),
            "join": found["a"].join("ann").__aenter__(),
            "members": found["a"].members(),
        }
        for name, call in calls.items():
            with pytest.raises(Unavailable, match="the outcome is not known") as error:
                await call
            assert name in str(error.value)
        assert await found["a"].poll(timeout=0.05) == []
        own_server.start()
        async with asyncio.timeout(TIMEOUT):
            await until(lambda: found.connected)


async def test_what_redis_refuses_is_raised(redis_server, prefix, client):
    async with running(redis_server.url, prefix=prefix) as found:
        await client.set(f"{{{prefix}}}:m:a", "not a hash")
        with pytest.raises(Unavailable, match="WRONGTYPE"):
            await found["a"].publish("x")
        with pytest.raises(Exception, match="WRONGTYPE"):
            await anext(found["a"].subscribe())


async def test_a_stream_that_is_not_ours_is_replaced(redis_server, prefix, client):
    async with running(redis_server.url, prefix=prefix) as found:
        old = await found["a"].publish("x")
        await client.set(f"{{{prefix}}}:s:a", "not a stream")
        new = await found["a"].publish("y")
        assert new.endswith("-1")
        assert [m.id for m in await found["a"].poll(old)] == [new]


async def test_a_start_without_redis_fails_in_time(tmp_path):
    app = Roll()
    channels(app, f"unix://:secret@{tmp_path}/none.sock", timeout=0.1)
    with pytest.raises(Unavailable) as error:
        await app.startup()
    assert f"unix://{tmp_path}/none.sock cannot be reached" in str(error.value)
    assert "secret" not in str(error.value)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_start_with_a_redis_that_hangs_says_so(own_server):
    app = Roll()
    channels(app, own_server.url, timeout=0.1)
    own_server.signal(signal.SIGSTOP)
    with pytest.raises(Unavailable, match=r"within 0\.1 s: no response$"):
        await app.startup()


@pytest.mark.parametrize(
    "url", ["http://:secret@host", "redis://:sec/ret@host", "redis://a:secret", "", "x"]
)
def test_an_address_that_is_wrong_is_not_shown(url):
    with pytest.raises(ValueError, match="the address is neither") as error:
        channels(Roll(), url)
    assert "sec" not in str(error.value)
    assert error.value.__cause__ is None


def test_passwords_are_in_no_repr():
    backend = RedisBackend("rediss://user:secret@host:7000/3")
    assert backend._link.address == "redis://host:7000/3"
    assert "secret" not in f"{backend!r}{backend._link!r}{vars(backend)}"


async def test_tls_is_verified(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    files = ("--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem")
    server = RedisServer(
        folder,
        *("--tls-port", str(port), *files, "--tls-ca-cert-file", "ca.pem"),
        *("--tls-auth-clients", "no"),
    )
    # A server is not a Python package: the other tests run without it.
    # `.ci/run` installs it, so that nothing is skipped there.
    if server.program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server.start()
    try:
        url = f"rediss://localhost:{port}"
        async with running(f"{url}?ssl_ca_certs={folder}/ca.pem") as found:
            assert (await found["a"].publish("x")).endswith("-1")
        app = Roll()
        channels(app, url, timeout=patience(1))
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await app.startup()
    finally:
        server.kill()


# The wire


class Proxy:
    """Stands between an app and Redis, and may break their connections.

    Args:
        path: The socket of Redis.
    """

    def __init__(self, path):
        self.path = path
        self.cut = None  # bytes of replies to XREAD until the connection is cut
        self.held = set()  # connections of which nothing is passed on
        self.losing = False  # whether the next reply to a script is lost
        self.open = []

    async def serve(self, reader, writer):
        replies, commands = await asyncio.open_unix_connection(self.path)
        self.open += [writer, commands]
        waits = asyncio.Event()
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(
                self.pass_up(reader, commands, replies, waits),
                self.pass_down(replies, writer, waits),
            )
        commands.close()
        writer.close()

    async def pass_up(self, reader, commands, replies, waits):
        while data := await reader.read(65536):
            if b"XREAD" in data:
                waits.set()
            if self.losing and b"EVALSHA" in data:
                self.losing = False
                commands.write(data)
                await replies.read(65536)
                break
            if commands not in self.held:
                commands.write(data)
        raise ConnectionError

    async def pass_down(self, replies, writer, waits):
        while data := await replies.read(65536):
            if writer in self.held:
                continue
            if waits.is_set() and self.cut is not None:
                self.cut -= len(data)
                if self.cut <= 0:
                    writer.write(data[: self.cut or None])
                    self.cut = None
                    break
            writer.write(data)
        raise ConnectionError

    def hold(self):
        self.held |= {*self.open}


@pytest.fixture
async def proxy(redis_server):
    proxy = Proxy(redis_server.path)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield proxy
    server.close()
    for writer in proxy.open:
        writer.close()
    await server.wait_closed()


async def test_a_reply_that_is_cut_anywhere_loses_nothing(proxy, prefix, caplog):
    """redis-py#3138, #2663, aioredis#1174: at each byte of a reply, and after it."""
    async with (
        running(proxy.url, prefix=prefix) as found,
        found["a"].subscribe() as messages,
    ):
        for cut in range(1, 200):
            proxy.cut = cut
            await publish(found["a"], 2 * cut, 2 * cut + 2)
            assert numbers(await take(messages, 2)) == [2 * cut, 2 * cut + 1]
    assert len(lines(caplog)) > 200


async def test_a_connection_that_hangs_is_replaced(
    redis_server, proxy, prefix, quick, caplog
):
    async with (
        running(redis_server.url, prefix=prefix) as other,
        running(proxy.url, prefix=prefix) as found,
        found["a"].subscribe() as messages,
    ):
        patient, link_of(found).timeout = link_of(found).timeout, 0.2
        await other["a"].publish("0")
        await anext(messages)  # the next command has that timeout
        proxy.hold()
        await until(lambda: not found.connected)
        link_of(found).timeout = patient
        await found["a"].publish("1")
        assert (await anext(messages)).data == "1"
        assert lines(caplog)[0].endswith("is lost; channels wait for it: no response")


async def test_a_reply_to_publish_that_is_lost_stores_nothing_twice(
    redis_server, proxy, prefix
):
    async with (
        running(proxy.url, prefix=prefix) as found,
        found["a"].subscribe() as messages,
    ):
        await found["a"].publish("0")  # the connection is in the pool now
        proxy.losing = True
        position = await found["a"].publish("1")
        await found["a"].publish("2")
        got = await take(messages, 3)
        assert [m.data for m in got] == ["0", "1", "2"]
        assert got[1].id == position


# Presence


async def kill(url, prefix):
    """Join in another process, and kill that."""
    program = (
        "import asyncio\nfrom roll import Roll\nfrom roll.extensions import channels\n"
        "async def main():\n"
        "    app = Roll()\n"
        f"    found = channels(app, {url!r}, prefix={prefix!r})\n"
        "    await app.startup()\n"
        "    async with found['a'].join('gone', 1), found['a'].join('both', 2):\n"
        "        print('joined', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert await process.stdout.readline() == b"joined\n"
    process.kill()
    await process.wait()


async def test_members_of_a_process_that_was_killed_leave(
    redis_server, prefix, quick, client
):
    """phoenix_pubsub_redis#26."""
    url = redis_server.url
    async with (
        running(url, prefix=prefix) as found,
        found["a"].join("both"),
        found["a:presence"].subscribe() as events,
    ):
        (own,) = await client.zrange(f"{{{prefix}}}:leases:a", 0, -1)
        await kill(url, prefix)
        assert {*await found["a"].members()} == {"gone", "both"}
        assert (await anext(events)).event == "join"
        # Their leases would end in at most 60 s, by the clock of Redis.
        key = f"{{{prefix}}}:leases:a"
        for token, end in await client.zrange(key, 0, -1, withscores=True):
            assert end > time.time() * 1000 + 30_000
            if token != own:
                await client.zadd(key, {token: 1})
        left = await anext(events)
        assert (left.event, left.data) == ("leave", '{"id":"gone"}')
        assert {*await found["a"].members()} == {"both"}


async def test_leases_are_renewed(redis_server, prefix, client, monkeypatch):
    monkeypatch.setattr(backends, "LEASE", 1.5)
    async with (
        running(redis_server.url, prefix=prefix) as found,
        found["a"].join("ann", 1),
    ):
        key = f"{{{prefix}}}:leases:a"
        ((_, first),) = await client.zrange(key, 0, -1, withscores=True)

        async def is_renewed():
            leases = await client.zrange(key, 0, -1, withscores=True)
            return leases and leases[0][1] > first

        await until(is_renewed)
        # What is lost with the data of Redis comes back with the next renewal.
        await client.delete(key, f"{{{prefix}}}:joins:a", f"{{{prefix}}}:infos:a")
        await until(found["a"].members)


async def test_own_members_leave_at_shutdown(redis_server, prefix):
    url = redis_server.url
    async with running(url, prefix=prefix) as one:
        async with running(url, prefix=prefix) as two:
            joined = two["a"].join("ann")
            await joined.__aenter__()
            assert await one["a"].members() == {"ann": None}
        assert await one["a"].members() == {}
        await joined.__aexit__(None, None, None)  # as a view that ends late


async def test_who_leaves_without_redis_is_not_kept_waiting_for_ever(own_server):
    async with (
        running(own_server.url) as found,
        found["a"].join("ann"),
    ):
        link_of(found).timeout = 0.1
        own_server.kill()


# Other things in Redis


@pytest.mark.parametrize(
    "fields",
    [
        {"x": "y"},
        {"epoch": "É", "before": 0, "kind": "s", "event": "", "data": ""},
        {"epoch": "abc", "before": 0, "kind": "s", "event": "", "data": b"\xff"},
        {"epoch": "abc", "before": 0, "kind": "s", "event": b"\xff", "data": ""},
    ],
)
async def test_a_malformed_entry_is_a_gap(redis_server, prefix, client, fields, caplog):
    async with (
        running(redis_server.url, prefix=prefix) as found,
        found["a"].subscribe() as messages,
    ):
        first = await found["a"].publish("0")
        await client.hincrby(f"{{{prefix}}}:m:a", "offset", 1)
        await client.xadd(f"{{{prefix}}}:s:a", fields, "2-0")
        last = await found["a"].publish("2")
        whole = await take(messages, 3)
        assert [m.data for m in whole] == ["0", None, "2"]
        assert whole[1].event == "reset"
        assert await found["a"].poll(first) == whole[1:]
        assert whole[2].id == last
    assert "of a Redis stream is malformed: " in lines(caplog)[0]


async def test_an_entry_with_another_id_is_skipped(
    redis_server, prefix, client, caplog
):
    async with (
        running(redis_server.url, prefix=prefix) as found,
        found["a"].subscribe() as messages,
    ):
        await found["a"].publish("0")
        await client.xadd(f"{{{prefix}}}:s:a", {"x": "y"})
        await until(lambda: lines(caplog))
        assert "of a Redis stream is malformed: " in lines(caplog)[0]
        # Its id is above those that are ours: another epoch begins.
        assert (await found["a"].publish("1")).endswith("-1")
        assert (await anext(messages)).data == "0"


async def test_what_decodes_and_another_protocol_do_not_matter(redis_server, prefix):
    """With a client of the application, which it closes."""
    for settings in ({"decode_responses": True}, {"protocol": 3}, {"protocol": 2}):
        async with Redis.from_url(redis_server.url, **settings) as client:
            backend = RedisBackend(client, Options(prefix=prefix))
            async with (
                running(backend) as found,
                found["a"].subscribe() as messages,
                found["a"].join("é"),
            ):
                await found["a"].publish(b"\xff")
                assert (await anext(messages)).data == b"\xff"
                assert await found["a"].members() == {"é": None}
            assert await client.ping()


async def test_a_stream_that_is_ahead_of_its_offset_gives_one_reset(
    redis_server, prefix, client
):
    """After an accident in Redis: one reset, and no flood of them."""
    async with running(redis_server.url, prefix=prefix) as found:
        second, *_, last = (await publish(found["a"], 0, 5))[1:]
        await client.hset(f"{{{prefix}}}:m:a", "offset", 2)
        await client.xtrim(f"{{{prefix}}}:s:a", maxlen=1, approximate=False)
        async with found["a"].subscribe(second) as messages:
            assert await anext(messages) == reset_at(last)


def test_a_gap_within_a_reply_parts_it():
    def entry(offset):
        names = ("epoch", "before", "kind", "event", "data")
        fields = zip(names, ("e", "0", "s", "", str(offset)), strict=True)
        return b"%d-0" % offset, [part.encode() for pair in fields for part in pair]

    found = runs(Position("e", 1), [entry(offset) for offset in (2, 3, 6, 7)])
    assert [(before.offset, numbers(messages)) for before, messages in found] == [
        (1, [2, 3]),
        (5, [6, 7]),
    ]


async def test_a_channel_that_is_followed_again_is_not_moved_by_an_older_check():
    class Nowhere:
        client = None

    async def check(known):
        reader.discard("a")
        reader.add("a", Position("new", 3))
        return [("a", Position("new", 1)), ("b", Position("new", 1))]

    delivered = []
    reader = readers.Reader(
        Nowhere(), "", lambda *arguments: delivered.append(arguments), check
    )
    for name in "ab":
        reader.add(name, Position("old", 9))
    await reader._look()
    assert delivered == [("b", Position("new", 1), [])]


def test_what_is_no_address_is_refused():
    with pytest.raises(TypeError, match=r"RedisBackend\(int\): give an address"):
        RedisBackend(1)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"pip install 'roll-channels\[redis\]'"):
        channels(Roll(), "redis://localhost")


async def test_it_starts_again(redis_server, prefix):
    app = Roll()
    found = channels(app, redis_server.url, prefix=prefix)
    for _ in range(2):
        assert not found.connected
        await app.startup()
        assert found.connected
        await found["a"].publish("x")
        await app.shutdown()
