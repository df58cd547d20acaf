"""What applications call, and what is kept in the process."""

import asyncio
import gc
import time

import pytest
from roll import Roll
from roll.extensions import channels
from roll_channels import Entry, MemoryBackend, Message, Options, Position, memory
from roll_channels import hub as hubs
from roll_testing import patience, turns, until
from websockets.asyncio.client import connect


@pytest.fixture
async def found():
    app = Roll()
    found = channels(app)
    await app.startup()
    yield found
    await app.shutdown()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"backend": 1}, TypeError, "backend=1: give an address or a Backend"),
        ({"backend": "memory://"}, ValueError, "the address is neither 'memory' nor"),
        ({"history": 0}, ValueError, "history=0: give a number above 0"),
        ({"history": 1.5}, TypeError, "history=1.5: give a whole number"),
        ({"history": True}, TypeError, "history=True: give a whole number"),
        ({"history_bytes": 100}, ValueError, "give at least max_message, which is 655"),
        ({"max_message": "1"}, TypeError, "max_message='1': give a whole number"),
        ({"ttl": 0}, ValueError, "ttl=0: give seconds above 0"),
        ({"ttl": float("inf")}, ValueError, "ttl=inf: give seconds above 0"),
        ({"ttl": "1"}, TypeError, "ttl='1': give seconds, a number"),
        ({"timeout": -1}, ValueError, "timeout=-1: give seconds above 0"),
        ({"timeout": True}, TypeError, "timeout=True: give seconds, a number"),
        ({"prefix": 1}, TypeError, "prefix=1: give a string"),
        ({"prefix": ""}, ValueError, "prefix='': give text without '}'"),
        ({"prefix": "a}"}, ValueError, "prefix='a}': give text without '}'"),
    ],
)
def test_wrong_options_are_refused_at_the_call(options, error, message):
    app = Roll()
    with pytest.raises(error, match=message.replace("}", r"\}")):
        channels(app, **options)
    assert len(app) == 0
    assert not app.hooks


def test_they_are_under_a_key_of_the_app():
    app = Roll()
    assert channels(app) is app["channels"]
    with pytest.raises(ValueError, match="this app has channels"):
        channels(app)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "\x00", "\ud800"])
async def test_a_name_is_refused_that_cannot_be_printed(found, name):
    with pytest.raises(ValueError, match="give 1 to 200 printable characters"):
        found[name]
    with pytest.raises(ValueError, match="give 1 to 200 printable characters"):
        await found["a"].publish("x", event=name)
    with pytest.raises(ValueError, match="give 1 to 200 printable characters"):
        await found["a"].join(name).__aenter__()


async def test_a_name_may_be_any_text_and_is_no_pattern(found):
    for name in ("a*", "é b", "{x}", "x" * 200):
        await found[name].publish(name)
        assert found[name].name == name
    assert len(found._hub._backend._logs) == 4


async def test_a_name_has_to_be_a_text(found):
    with pytest.raises(TypeError, match="channel 1: give a string"):
        found[1]


async def test_a_name_leaves_room_for_that_of_its_presence(found):
    with pytest.raises(ValueError, match="channel 'xxx"):
        await found["x" * 192].join("ann").__aenter__()


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "message"),
    [
        ((), {}, TypeError, "give either data or json="),
        (("a",), {"json": 1}, TypeError, "give either data or json="),
        ((1,), {}, TypeError, r"publish\(int\): give text or bytes"),
        (("\ud800",), {}, ValueError, "surrogates not allowed"),
        (("é" * 32769,), {}, ValueError, "the message has 65538 bytes: max_message is"),
        ((b"x" * 65536,), {"event": "e"}, ValueError, "the message has 65537 bytes"),
        (
            ("a",),
            {"event": "reset"},
            ValueError,
            "'reset' is reserved for missing messages",
        ),
        (("a",), {"event": 1}, TypeError, "event 1: give a string"),
    ],
)
async def test_what_cannot_be_published_is_refused(
    found, arguments, keywords, error, message
):
    with pytest.raises(error, match=message):
        await found["a"].publish(*arguments, **keywords)


async def test_other_wrong_arguments_are_refused(found):
    with pytest.raises(ValueError, match="lag='drop': give 'reset' or 'close'"):
        found["a"].subscribe(lag="drop")
    with pytest.raises(ValueError, match="timeout=0: give seconds above 0"):
        await found["a"].poll(timeout=0)
    with pytest.raises(ValueError, match="max_message"):
        await found["a"].join("ann", "x" * 65536).__aenter__()


async def test_json_is_what_the_app_writes():
    class App(Roll):
        @staticmethod
        def json_encode(value):
            return b"<%d>" % value

    app = App()
    channels(app)
    await app.startup()
    async with app["channels"]["a"].subscribe() as messages:
        await app["channels"]["a"].publish(json=3)
        assert (await anext(messages)).data == "<3>"
    await app.shutdown()


async def test_without_a_running_app_it_says_when():
    found = channels(Roll())
    assert not found.connected
    for call in (lambda: found["a"].publish("x"), found["a"].members, found["a"].poll):
        with pytest.raises(RuntimeError, match="between the start of the app"):
            await call()


async def test_listeners_of_startup_and_shutdown_may_use_them():
    app = Roll()
    positions = []

    @app.listen("startup")
    @app.listen("shutdown")
    async def publish():
        positions.append(await app["channels"]["a"].publish("x"))

    channels(app)
    await app.startup()
    await app.shutdown()
    assert [position[-2:] for position in positions] == ["-1", "-2"]


async def test_what_is_published_while_a_channel_opens_is_delivered():
    class Later(MemoryBackend):
        async def follow(self, name):
            position = await super().follow(name)
            await asyncio.sleep(0)
            await self.publish(name, Entry("early"), "key")
            return position

    app = Roll()
    found = channels(app, Later(Options()))
    await app.startup()
    async with asyncio.timeout(patience(10)):
        tasks = [asyncio.create_task(anext(found["a"].subscribe())) for _ in range(2)]
        assert [(await task).data for task in tasks] == ["early", "early"]
    await app.shutdown()


async def test_a_position_may_be_ahead_of_what_was_delivered_here():
    class Late(MemoryBackend):
        """A back-end whose messages are under way for a while."""

        async def open(self, deliver):
            self.under_way = []
            self.arrive = lambda: [deliver(*each) for each in self.under_way]
            await super().open(lambda *each: self.under_way.append(each))

    app = Roll()
    backend = Late(Options())
    found = channels(app, backend)
    await app.startup()
    async with found["a"].subscribe():
        position = await found["a"].publish("0")
        waiting = asyncio.create_task(anext(found["a"].subscribe(position)))
        await turns()
        assert not waiting.done()
        await found["a"].publish("1")
        backend.arrive()
        assert (await waiting).data == "1"
    await app.shutdown()


async def test_a_mounted_app_ends_with_its_parent():
    parent, app = Roll(), Roll()
    found = channels(app)
    await parent.startup()
    await app.open(parent)
    waiting = asyncio.create_task(found["a"].poll())
    await turns()
    parent.stop()
    assert await waiting == []
    await app.close()
    await parent.shutdown()


async def test_several_workers_need_more_than_memory(caplog):
    for workers in (1, 2):
        parent, app = Roll(), Roll()
        parent.workers = workers
        channels(app)
        await app.open(parent)
        await app.close()
    (message,) = caplog.messages
    assert message.startswith(
        "2 workers serve this app, and its channels are in memory"
    )


class Stuck(MemoryBackend):
    """A back-end that cannot be reached, after a while."""

    stuck = False

    async def read(self, *arguments):
        await self.wait()
        return await super().read(*arguments)

    async def follow(self, name):
        await self.wait()
        return await super().follow(name)

    async def wait(self):
        if self.stuck:
            await asyncio.Event().wait()


async def test_subscriptions_end_while_the_backend_cannot_be_reached():
    app = Roll()
    backend = Stuck(Options())
    found = channels(app, backend)
    await app.startup()
    async with found["a"].subscribe("nowhere-1") as reading:
        backend.stuck = True
        jobs = [anext(reading, None), anext(found["b"].subscribe(), None)]
        tasks = [asyncio.create_task(job) for job in (*jobs, found["b"].poll())]
        await turns()
        cancelled = asyncio.create_task(found["b"].poll())
        await turns()
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert cancelled.cancelled()
        await app.shutdown()
        assert [await task for task in tasks] == [None, None, []]
    assert found._hub._logs == {}


async def test_who_leaves_while_a_channel_opens_leaves_nothing():
    app = Roll()
    backend = Stuck(Options())
    backend.stuck = True
    found = channels(app, backend)
    await app.startup()
    waiting = asyncio.create_task(anext(found["a"].subscribe()))
    await turns()
    (opening,) = (log.opening for log in found._hub._logs.values())
    waiting.cancel()
    await asyncio.wait([waiting, opening])
    assert found._hub._logs == {}
    subscription = found["a"].subscribe()
    waiting = asyncio.create_task(anext(subscription, None))
    await turns()
    await subscription.aclose()
    assert await waiting is None
    await app.shutdown()


async def test_who_waits_for_a_subscription_that_is_closed_gets_the_end(found):
    subscription = found["a"].subscribe()
    waiting = asyncio.create_task(anext(subscription, None))
    await turns()
    await subscription.aclose()
    await subscription.aclose()
    assert await waiting is None
    assert subscription.take() is None


async def test_what_comes_late_for_a_channel_is_dropped(found):
    assert found.connected
    found._hub._deliver("a", Position("e", 0), [Message("e-1", "x")])
    assert found._hub._logs == {}


async def test_what_ends_a_backend_is_raised_to_subscribers():
    class Broken(MemoryBackend):
        async def follow(self, name):
            raise LookupError(name)

    app = Roll()
    found = channels(app, Broken(Options()))
    await app.startup()
    for _ in range(2):
        with pytest.raises(LookupError, match="a"):
            await anext(found["a"].subscribe())
    assert found._hub._logs == {}
    await app.shutdown()


async def test_a_thousand_messages_are_under_way_at_most():
    class Slow(MemoryBackend):
        """A back-end that confirms when it is told."""

        def __init__(self):
            super().__init__(Options())
            self.under_way = 0
            self.confirms = asyncio.Event()

        async def publish(self, name, entry, key):
            self.under_way += 1
            await self.confirms.wait()
            return await super().publish(name, entry, key)

    app = Roll()
    backend = Slow()
    found = channels(app, backend)
    await app.startup()
    tasks = [asyncio.create_task(found["a"].publish("x")) for _ in range(1200)]
    await turns()
    assert backend.under_way == 1000
    backend.confirms.set()
    positions = [await task for task in tasks]
    assert positions[-1].endswith("-1200")  # in turn
    await app.shutdown()


async def test_a_lag_is_logged_once_a_minute(found, caplog, monkeypatch):
    """django/channels_redis#62, #181: a reset for each, but no flood of lines."""
    async with (
        found["a"].subscribe() as first,
        found["a"].subscribe() as second,
        found["b"].subscribe() as third,
    ):
        for name in "ab":
            for number in range(1200):
                await found[name].publish(str(number))
        for messages in (first, second):
            assert (await anext(messages)).event == "reset"
        assert caplog.messages == [
            "A subscriber of the channel 'a' fell behind its history, and got a reset; "
            "this is not logged again for 60 s"
        ]
        monkeypatch.setattr(hubs, "QUIET", 0.0)
        assert (await anext(third)).event == "reset"
        assert "channel 'b'" in caplog.messages[1]


async def test_a_subscription_that_does_not_read_is_small(found):
    import tracemalloc

    async with found["a"].subscribe():
        kept = [found["a"].subscribe() for _ in range(1000)]
        tracemalloc.start()
        for each in kept:
            await each.__aenter__()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(100):
            await found["a"].publish(str(number))
        size = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        # The log has all messages once; nothing is kept for each subscription.
        assert size < 100_000
        for each in kept:
            await each.aclose()


async def test_a_subscription_that_is_dropped_is_gone_at_once(found):
    gc.disable()
    try:
        async for _ in found["a"].subscribe(""):
            break
        assert found._hub._logs == {}
    finally:
        gc.enable()


async def test_memory_keeps_ten_thousand_channels(found, monkeypatch):
    """channels_redis#212: the one that was used least recently goes first."""
    monkeypatch.setattr(memory, "MOST", 10)
    logs = found._hub._backend._logs
    async with found["followed"].subscribe() as messages:
        for number in range(20):
            await found[str(number)].publish("x")
        await found["10"].publish("x")
        await found["new"].publish("x")
        kept = ["13", "14", "15", "16", "17", "18", "19", "10", "new"]
        assert [*logs] == ["followed", *kept]
        await found["followed"].publish("x")
        assert (await anext(messages)).data == "x"
    assert len(found._hub._backend._keys) == 10


async def test_memory_forgets_without_anyone_asking():
    """litestar#3609, #4387; and what subscribers have of it, too."""
    app = Roll()
    found = channels(app, ttl=0.1)
    await app.startup()
    logs = found._hub._backend._logs
    async with found["a"].subscribe():
        for name in "abc":
            await found[name].publish("x")
        own = found._hub._logs["a"]
        assert own.messages
        await until(lambda: not any(log.messages for log in (*logs.values(), own)))
        assert logs.keys() == {*"abc"}
        await found["a"].publish("y")
    await app.shutdown()
    assert not found._hub._backend._aging._due


async def test_memory_counts_from_the_last_message():
    app = Roll()
    found = channels(app, ttl=0.1)
    await app.startup()
    loop = asyncio.get_running_loop()
    start = loop.time()
    await found["a"].publish("x")
    await found["b"].publish("x")
    log = found._hub._backend._logs["a"]
    while loop.time() < start + 0.05:
        await asyncio.sleep(0)
    last = loop.time()
    await found["a"].publish("y")
    await until(lambda: not log.messages)
    assert loop.time() > last + 0.09
    await app.shutdown()


async def test_members_in_memory_leave_at_shutdown():
    app = Roll()
    found = channels(app)
    await app.startup()
    joined = found["a"].join("ann")
    await joined.__aenter__()
    await app.shutdown()
    await joined.__aexit__(None, None, None)
    assert found._hub._backend._infos == {}


async def test_memory_forgets_no_channel_that_is_followed(found, monkeypatch):
    monkeypatch.setattr(memory, "MOST", 1)
    async with found["a"].subscribe() as first, found["b"].subscribe() as second:
        for name, messages in (("a", first), ("b", second)):
            await found[name].publish(name)
            assert (await anext(messages)).data == name


async def test_a_websocket_that_leaves_ends_its_subscription(liveclient, app):
    """litestar#2691: though it is quiet; it takes a few milliseconds."""
    await liveclient.start()
    async with connect(f"{liveclient.wsl}/a", proxy=None) as other:
        ws = await connect(f"{liveclient.wsl}/b", proxy=None)
        await until(lambda: len(app["channels"]._hub._logs) == 2)
        ws.transport.abort()
        started = time.monotonic()
        await until(lambda: len(app["channels"]._hub._logs) == 1)
        assert time.monotonic() - started < patience(1)
        await other.send("hello")
        assert await other.recv() == "hello"


async def test_a_websocket_that_lags_is_closed(liveclient, app):
    await liveclient.start()
    async with connect(f"{liveclient.wsl}/close/a", proxy=None) as ws:
        await until(lambda: "a" in app["channels"]._hub._logs)
        for number in range(1200):
            await app["channels"]["a"].publish(str(number))
        await ws.send("go on")
        await ws.wait_closed()
        assert ws.close_code == 1011


@pytest.fixture
def app():
    """The example of the documentation."""
    app = Roll()
    channels(app)

    async def forward(messages, ws):
        async for message in messages:
            await ws.send(message.data)

    @app.route("/{room}", protocol="websocket")
    async def room(request, ws, room):
        channel = app["channels"][room]
        async with (
            asyncio.TaskGroup() as tasks,
            channel.subscribe(since=request.query.get("since", None)) as messages,
        ):
            sending = tasks.create_task(forward(messages, ws))
            async for text in ws:
                await channel.publish(text)
            sending.cancel()

    @app.route("/close/{room}", protocol="websocket")
    async def close(request, ws, room):
        async with app["channels"][room].subscribe(lag="close") as messages:
            await ws.recv()
            await forward(messages, ws)

    return app
