"""sse: streams, in memory, byte for byte."""

import asyncio
import contextlib
import gc
import itertools
import json
import logging
import math
import re

import pytest
from roll import Limits, Request, Response, Roll
from roll.extensions import mount, sse
from roll_sse import Event, Feed, last_event_id
from roll_sse.stepping import Steps
from roll_sse.streams import CHUNK, EventStream
from roll_testing import connect, exchange, patience, settle, turns, until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
FIELDS = (
    b"Content-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
)
HEAD = b"HTTP/1.1 200 OK\r\n" + FIELDS + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


class Source:
    """Events that the test puts in; it notes what becomes of it."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.asked = 0
        self.closed = 0
        self.error = None

    async def events(self):
        try:
            while True:
                self.asked += 1
                event = await self.queue.get()
                if event is None:
                    return
                if isinstance(event, Exception):
                    raise event
                yield event
        except BaseException as error:
            self.error = type(error)
            raise
        finally:
            await asyncio.sleep(0)
            self.closed += 1

    def put(self, *events):
        for event in events:
            self.queue.put_nowait(event)


def make_app(**options):
    """Make an app whose view streams what `app["source"]()` gives."""
    app = Roll()
    stream = sse(app, **options)
    app["stream"] = stream
    app["options"] = {}

    @app.route("/")
    async def view(request, response):
        stream(request, response, app["source"](request), **app["options"])

    return app


@pytest.fixture
def app():
    return make_app()


@pytest.fixture
def source(app):
    source = Source()
    app["source"] = lambda request: source.events()
    return source


@contextlib.asynccontextmanager
async def follow(app, message=GET):
    """Ask for the stream, on a connection in memory."""
    transport = connect(app)
    transport.feed(message)
    await until(lambda: b"\r\n\r\n" in transport.data, "the head")
    try:
        yield transport
    finally:
        transport.reset()
        await transport.wait_closed()
        await turns()


def body(transport):
    return transport.data.partition(b"\r\n\r\n")[2]


async def receive(transport, expected):
    """Wait until the body is as it should be."""
    with contextlib.suppress(TimeoutError):
        await until(lambda: body(transport) == expected, timeout=5)
    assert body(transport) == expected


# What is sent


async def test_all_of_a_stream_on_the_wire(app, source):
    source.put("a\nb", Event("c", "type", "7"))
    async with follow(app) as transport:
        block = b"data: a\ndata: b\n\nevent: type\nid: 7\ndata: c\n\n"
        await receive(transport, chunk(block))
        source.put(b"d", None)
        await receive(transport, chunk(block) + chunk(b"data: d\n\n") + LAST)
        assert transport.data.startswith(HEAD)
        assert not transport.closed


async def test_the_connection_is_used_again(app, source):
    source.put(None)
    async with follow(app) as transport:
        await receive(transport, LAST)
        transport.feed(GET)
        await until(lambda: transport.data.count(b"HTTP/1.1 200 OK") == 2)


async def test_fields_that_are_set_before_stay(source, app):
    @app.route("/own")
    async def view(request, response):
        response.headers["cache-control"] = "no-cache"
        response.headers["X-Own"] = "yes"
        app["stream"](request, response, source.events())

    source.put(None)
    answer = await exchange(app, GET.replace(b"/", b"/own", 1))
    assert answer.data == (
        b"HTTP/1.1 200 OK\r\ncache-control: no-cache\r\nX-Own: yes\r\n"
        b"Content-Type: text/event-stream; charset=utf-8\r\n"
        b"X-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n" + LAST
    )


async def test_the_head_goes_before_any_event(app, source):
    async with follow(app) as transport:
        await turns()
        assert transport.data == HEAD


async def test_head_never_starts_the_source(app, source):
    transport = connect(app)
    transport.feed(GET.replace(b"GET", b"HEAD"))
    await settle(transport)
    assert transport.data == HEAD
    assert source.asked == 0
    assert len(app["sse"]) == 0
    transport.disconnect()


async def test_to_http_1_0_there_are_no_chunks(app, source):
    source.put("a", None)
    answer = await exchange(app, b"GET / HTTP/1.0\r\n\r\n")
    assert answer.data.endswith(FIELDS + b"Connection: close\r\n\r\ndata: a\n\n")
    assert answer.closed


class Positioned:
    """A source with all that one may have."""

    def __init__(self):
        self.calls = []
        self.position = None

    async def __aenter__(self):
        await asyncio.sleep(0)
        self.calls.append("enter")
        self.position = "7"

    async def __aexit__(self, *error):
        assert error == (None, None, None)
        self.calls.append("exit")

    def __aiter__(self):
        self.calls.append("iter")
        return self

    async def __anext__(self):
        self.calls.append("next")
        if self.calls.count("next") > 1:
            raise StopAsyncIteration
        return Event("a", id="8")

    async def aclose(self):
        self.calls.append("close")


@pytest.mark.parametrize(
    ("retry", "first"), [(None, b"id: 7\n\n"), (1.5, b"retry: 1500\nid: 7\n\n")]
)
async def test_the_position_comes_before_any_event(retry, first):
    """socketio/socket.io#4888."""
    app = make_app(retry=retry)
    positioned = Positioned()
    app["source"] = lambda request: positioned
    async with follow(app) as transport:
        event = chunk(b"id: 8\ndata: a\n\n")
        await receive(transport, chunk(first) + event + LAST)
    calls = ["enter", "iter", "next", "next", "close", "exit"]
    assert positioned.calls == calls


async def test_retry_comes_before_any_event(source, app):
    app["options"] = {"retry": 2}
    async with follow(app) as transport:
        await receive(transport, chunk(b"retry: 2000\n\n"))


@pytest.mark.parametrize("count", [100, 10_000])
async def test_events_that_are_ready_go_together(app, source, count):
    events = [f"event {number}" for number in range(count)]
    source.put(*events, None)
    answer = await exchange(app, GET)
    chunks = re.findall(rb"(?:\A|\r\n)[0-9a-f]+\r\n", answer.data[len(HEAD) :])
    blocks = b"".join(b"data: %b\n\n" % event.encode() for event in events)
    sizes = [int(size, 16) for size in chunks[:-1]]
    assert sum(sizes) == len(blocks)
    assert len(sizes) == -(-len(blocks) // CHUNK)
    assert max(sizes) <= CHUNK
    text = re.sub(
        rb"\r\n(?:[0-9a-f]+\r\n)?|\A[0-9a-f]+\r\n", b"", answer.data[len(HEAD) :]
    )
    assert text.removesuffix(b"0") == blocks


async def test_an_event_is_never_split(app, source):
    small, large = "s" * 40_000, "l" * 100_000
    source.put(small, small, large, small, None)
    blocks = [f"data: {text}\n\n".encode() for text in (small, small, large, small)]
    async with follow(app) as transport:
        await receive(transport, b"".join(map(chunk, blocks)) + LAST)


# Comments that keep a stream alive


async def test_a_comment_is_sent_when_nothing_else_is(app, source):
    app["options"] = {"keep_alive": 0.02}
    async with follow(app) as transport:
        await until(lambda: body(transport).startswith(chunk(b":\n\n") * 3))
        source.put("a")
        event = chunk(b"data: a\n\n")
        await until(lambda: event + chunk(b":\n\n") * 2 in body(transport))


async def test_a_comment_is_sent_only_so_long_after_an_event(app):
    """A busy machine may make an event late; then there is a comment, in its time."""
    written = []

    async def flow():
        for number in range(30):
            await asyncio.sleep(0.005)
            yield str(number)

    app["options"] = {"keep_alive": 0.05}
    app["source"] = lambda request: flow()
    async with follow(app) as transport:
        loop = asyncio.get_running_loop()
        write = transport.write
        transport.write = lambda data: (
            written.append((loop.time(), data)),
            write(data),
        )
        await until(lambda: body(transport).endswith(LAST))
    comments = written.count(chunk(b":\n\n"))
    assert len(written) >= 30 + comments
    for (before, _), (time, data) in itertools.pairwise(written):
        assert data != chunk(b":\n\n") or time - before >= 0.049


@pytest.mark.parametrize("keep_alive", [None, 0])
async def test_no_comment_is_sent_without_keep_alive(app, source, keep_alive):
    app["options"] = {"keep_alive": keep_alive}
    async with follow(app):
        await turns()
        (stream,) = app["sse"]
        assert stream._timer is None


async def test_a_source_that_never_stops_running_gets_comments(app):
    async def run():
        while True:
            await asyncio.sleep(0)
        yield

    app["options"] = {"keep_alive": 0.02}
    app["source"] = lambda request: run()
    async with follow(app) as transport:
        await until(lambda: body(transport).startswith(chunk(b":\n\n") * 2))
    assert len(app["sse"]) == 0


# Slow clients


async def test_a_client_that_is_behind_holds_the_source(app):
    """sse-starlette#89."""
    asked = 0

    async def run():
        nonlocal asked
        while True:
            asked += 1
            yield "x" * 1000

    app["source"] = lambda request: run()
    transport = connect(app)
    transport.stall()
    transport.feed(GET)
    await turns()
    before = asked
    assert before * 1000 < 3 * CHUNK
    await turns(200)
    assert asked == before
    transport.drain(10**6)
    await until(lambda: asked > before)
    transport.reset()
    await transport.wait_closed()


async def test_no_comment_follows_what_a_client_was_behind_with(app, source):
    app["options"] = {"keep_alive": 0.02}
    transport = connect(app)
    transport.feed(GET)
    await turns()
    transport.stall()
    source.put("a")
    await until(lambda: transport.get_write_buffer_size())
    (stream,) = app["sse"]
    await until(lambda: stream._timer is None)  # it has found nobody waiting
    source.put("b")
    transport.drain()
    await receive(transport, chunk(b"data: a\n\n") + chunk(b"data: b\n\n"))
    transport.reset()
    await transport.wait_closed()
    await until(lambda: len(app["sse"]) == 0)  # though we hold it


# The end


async def test_a_client_that_leaves_closes_the_source(app, source):
    """sse-starlette#39, #40: also while the source waits."""
    transport = connect(app)
    transport.feed(GET)
    await turns()
    transport.reset()
    await turns(5)  # connection_lost, the task, and a round of the source's own
    assert (source.error, source.closed) == (asyncio.CancelledError, 1)
    assert len(app["sse"]) == 0


async def test_a_client_that_ends_its_side_closes_the_source(app, source):
    class Quick(type(app)):
        limits = Limits(half_close=0.05, keep_alive=0.2)

    app.__class__ = Quick
    await app.startup()
    transport = connect(app, closes=False)
    transport.feed(GET)
    await turns()
    transport.feed_eof()
    await until(lambda: source.closed)
    await transport.wait_closed()
    await app.shutdown()


async def test_a_source_that_raises_cuts_the_connection(app, source, caplog):
    source.put("a", ValueError("broken"))
    answer = await exchange(app, GET)
    assert answer == (HEAD + chunk(b"data: a\n\n"), True)
    (record,) = caplog.records
    assert record.getMessage().startswith("GET / was cut short")
    assert "ValueError: broken" in caplog.text
    assert "make_app.<locals>.view" in caplog.text


async def test_a_source_that_raises_at_once_cuts_the_connection(app, source, caplog):
    source.put(ValueError("broken"))
    assert await exchange(app, GET) == (HEAD, True)
    assert "ValueError: broken" in caplog.text


async def test_an_event_that_cannot_be_sent_cuts_the_connection(app, source, caplog):
    source.put("a", Event(id="\n"), "b")
    answer = await exchange(app, GET)
    assert answer == (HEAD + chunk(b"data: a\n\n"), True)
    assert "leave '\\n' out" in caplog.text
    assert source.closed == 1


async def test_an_error_behind_what_a_lost_client_had_is_dropped(app, caplog):
    begin = asyncio.Event()

    async def events():
        await begin.wait()
        yield "a"
        raise ValueError("broken")

    app["source"] = lambda request: events()
    transport = connect(app)
    transport.feed(GET)
    await turns()
    transport.stall()
    begin.set()
    await until(transport.get_write_buffer_size)
    (stream,) = app["sse"]
    assert isinstance(stream._error, ValueError)
    transport.reset()
    await transport.wait_closed()
    await turns()
    assert stream._error is None
    assert caplog.records == []


async def test_a_view_may_go_on_without_its_client(app, source):
    @app.route("/finish", on_disconnect="finish")
    async def view(request, response):
        app["stream"](request, response, source.events())

    transport = connect(app)
    transport.feed(GET.replace(b"/", b"/finish", 1))
    await turns()
    transport.reset()
    await transport.wait_closed()
    await turns()
    assert source.closed == 0
    source.put("a")
    await until(lambda: source.closed)


# Shutdown


@pytest.mark.parametrize(
    ("retry", "first", "low", "high"),
    [(None, b"", 1000, 3000), (2, b"retry: 2000\n\n", 2000, 4000)],
)
async def test_clients_reconnect_one_after_another(retry, first, low, high):
    """sse-starlette#8, #73, #124, #132, #149."""
    app = make_app(retry=retry)
    sources = [Source() for _ in range(50)]
    waiting = iter(sources)
    app["source"] = lambda request: next(waiting).events()
    await app.startup()
    transports = [connect(app) for _ in sources]
    for transport in transports:
        transport.feed(GET)
    await turns()
    start = HEAD + (chunk(first) if first else b"")
    assert {transport.data for transport in transports} == {start}
    await app.shutdown()
    retries = []
    for transport in transports:
        said = re.fullmatch(
            rb"[0-9a-f]+\r\nretry: ([0-9]+)\n\n\r\n0\r\n\r\n",
            transport.data.removeprefix(start),
        )
        retries.append(int(said[1]))
        assert transport.closed
    assert low <= min(retries) < (low + high) / 2 < max(retries) <= high
    assert len(set(retries)) > 10
    assert {(each.error, each.closed) for each in sources} == {
        (asyncio.CancelledError, 1)
    }


async def test_a_source_that_ends_at_the_shutdown_says_when_to_reconnect(app):
    async def events():
        await app.closing.wait()
        return
        yield

    app["source"] = lambda request: events()
    await app.startup()
    async with follow(app) as transport:
        await turns()
        await app.shutdown()
        assert re.search(rb"retry: [0-9]+\n\n\r\n0\r\n\r\n\Z", transport.data)


async def test_a_source_that_stops_the_app_says_when_to_reconnect(app):
    async def events():
        yield "the end"
        await asyncio.sleep(0)
        app.stop()

    app["source"] = lambda request: events()
    await app.startup()
    answer = await exchange(app, GET)
    rest = answer.data.removeprefix(HEAD + chunk(b"data: the end\n\n"))
    assert re.fullmatch(rb"[0-9a-f]+\r\nretry: [0-9]+\n\n\r\n0\r\n\r\n", rest)
    await app.shutdown()


async def test_a_stream_that_begins_at_the_shutdown_ends(app, source):
    await app.startup()
    app.stop()
    answer = await exchange(app, GET)
    assert answer.closed
    assert re.search(rb"retry: [0-9]+\n\n\r\n0\r\n\r\n\Z", answer.data)
    assert source.asked == 0
    await app.shutdown()


async def test_an_app_that_starts_again_ends_its_streams_again(app, source):
    for _ in range(2):
        await app.startup()
        async with follow(app) as transport:
            await app.shutdown()
            assert b"retry: " in transport.data


async def test_streams_of_a_mounted_app_end(app, source):
    outer = Roll()
    mount(outer, "/inner", app)
    await outer.startup()
    async with follow(outer, GET.replace(b"/", b"/inner/", 1)) as transport:
        await outer.shutdown()
        assert b"retry: " in transport.data
    assert source.closed == 1


# What sources do while they wait


async def collect(app, source, count):
    app["source"] = lambda request: source
    async with follow(app) as transport:
        await until(lambda: body(transport).count(b"data: ") == count)
        return re.findall(rb"data: (.*)\n\n", body(transport))


async def test_a_source_has_its_own_timeouts(app):
    async def events():
        forever = asyncio.Event()
        for number in range(3):
            try:
                async with asyncio.timeout(patience(0.01)):
                    await forever.wait()
            except TimeoutError:
                yield str(number)
            assert asyncio.current_task().cancelling() == 0

    assert await collect(app, events(), 3) == [b"0", b"1", b"2"]


async def test_a_source_has_tasks(app):
    async def events():
        async def answer(number):
            await turns(3)
            return str(number)

        for number in range(3):
            async with asyncio.TaskGroup() as group:
                task = group.create_task(answer(number))
            yield await task

    assert await collect(app, events(), 3) == [b"0", b"1", b"2"]


async def test_the_failure_of_a_task_group_is_the_sources(app, caplog):
    async def events():
        async def fail():
            await turns(3)
            raise ValueError("broken")

        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.Event().wait()
        yield

    app["source"] = lambda request: events()
    assert await exchange(app, GET) == (HEAD, True)
    assert "ValueError: broken" in caplog.text


@pytest.mark.parametrize("ending", ["reset", "shutdown"])
async def test_a_source_may_take_time_to_end(app, ending):
    """A task that it waits for is cancelled, and waited for."""
    log = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await turns(3)
            log.append("worked")

    async def events():
        try:
            await asyncio.create_task(work())
            yield
        finally:
            await asyncio.sleep(0)
            log.append("ended")

    app["source"] = lambda request: events()
    await app.startup()
    transport = connect(app)
    transport.feed(GET)
    await turns()
    if ending == "reset":
        transport.reset()
    await app.shutdown()
    assert log == ["worked", "ended"]


async def test_a_source_that_is_not_cancelled_is_closed(app):
    log = []

    async def events():
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            yield "late"
        except GeneratorExit:
            log.append("closed")
            raise

    app["source"] = lambda request: events()
    await app.startup()
    async with follow(app) as transport:
        await turns()
        await app.shutdown()
        assert b"late" not in transport.data
    assert log == ["closed"]


async def test_a_task_that_is_cancelled_twice_ends(app):
    """At the end of the shutdown, a source that waits on is cut."""

    class Short(type(app)):
        limits = Limits(shutdown=0.1)

    async def events():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.Event().wait()
        yield

    app.__class__ = Short
    app["source"] = lambda request: events()
    await app.startup()
    async with follow(app) as transport:
        await turns()
        await app.shutdown()
        assert transport.closed
    await until(lambda: len(app["sse"]) == 0)


class Iterable:
    """Gives an iterator that is another object, and both close."""

    def __init__(self):
        self.closed = []

    def __aiter__(self):
        outer = self

        class Iterator:
            async def __anext__(self):
                raise StopAsyncIteration

            async def aclose(self):
                outer.closed.append("iterator")

        return Iterator()

    async def aclose(self):
        self.closed.append("iterable")


async def test_iterator_and_iterable_are_closed(app):
    iterable = Iterable()
    app["source"] = lambda request: iterable
    await exchange(app, GET)
    assert iterable.closed == ["iterator", "iterable"]


# Nothing is left


@pytest.fixture
def leftovers():
    """Turn the collector off, and give a function that finds what a test leaves."""

    def kept():
        kinds = (EventStream, Steps, Request, Response)
        return {id(each) for each in gc.get_objects() if type(each) in kinds}

    gc.collect()
    gc.disable()
    others = kept()
    yield lambda: len(kept() - others)
    gc.enable()


@pytest.mark.parametrize("ending", ["reset", "error", "end", "dropped"])
async def test_nothing_is_left_of_a_thousand_streams(app, leftovers, ending):
    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks()
    feed = Feed()

    async def events():
        async for event in feed.subscribe():
            yield event
            if ending == "error":
                raise ValueError
            if ending == "end":
                return

    def take(request):
        return feed.subscribe() if ending == "reset" else events()

    app["source"] = take

    @app.listen("response")
    def drop(request, response):
        if ending == "dropped":
            response.body = b""

    logging.getLogger("roll").setLevel(logging.CRITICAL)
    try:
        for _ in range(10):
            transports = [connect(app) for _ in range(100)]
            for transport in transports:
                transport.feed(GET)
            await turns()
            if ending in ("error", "end"):
                feed.publish("x")
                await turns()
            for transport in transports:
                transport.reset()
            await turns()
            del transport, transports
    finally:
        logging.getLogger("roll").setLevel(logging.NOTSET)
    await turns()
    app["source"] = take = None
    assert leftovers() <= 1  # what watches for the end of the app
    assert asyncio.all_tasks() == tasks
    assert len(app["sse"]) == 0
    assert feed._waiting == set()
    assert sum(not handle.cancelled() for handle in loop._scheduled) == 0


# Options and mistakes


async def test_past_the_limit_is_503(caplog):
    app = make_app(limit=2)
    app["source"] = lambda request: Source().events()
    async with follow(app), follow(app):
        for _ in range(2):
            answer = await exchange(app, GET)
            assert answer.data.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"\r\nRetry-After: 3\r\n" in answer.data
        assert len(app["sse"]) == 2
    (record,) = caplog.records
    assert record.getMessage() == (
        "2 event streams are open: clients get 503, and do not come back"
    )
    async with follow(app) as transport:
        assert transport.data == HEAD


async def test_retry_after_is_as_long_as_retry(source):
    app = make_app(limit=1, retry=4.2)
    app["source"] = lambda request: source.events()
    async with follow(app):
        assert b"\r\nRetry-After: 5\r\n" in (await exchange(app, GET)).data


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keep_alive": -1}, ValueError, "keep_alive=-1: give 0 seconds or more"),
        ({"keep_alive": "1"}, TypeError, "keep_alive='1': give a number of seconds"),
        ({"retry": math.nan}, ValueError, "retry=nan: give 0 seconds or more"),
        ({"retry": "1"}, TypeError, "retry='1': give a number of seconds"),
        ({"lost": 0}, ValueError, "lost=0: give a number of seconds above 0"),
        ({"lost": math.inf}, ValueError, "lost=inf: give 0 seconds or more"),
        ({"lost": None}, TypeError, "lost=None: give a number of seconds"),
        ({"limit": 0}, ValueError, "limit=0: give a number of streams above 0"),
        ({"limit": 1.5}, TypeError, "limit=1.5: give a number of streams"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        sse(Roll(), **options)


def test_a_second_call_is_refused():
    app = Roll()
    sse(app)
    with pytest.raises(ValueError, match="sse was called for this app before"):
        sse(app)
    with pytest.raises(TypeError, match=r"as in sse\(app\)"):
        sse(keep_alive=1, app=Roll)


async def events():
    yield "x"


@pytest.mark.parametrize(
    ("source", "advice"),
    [(events, "call it"), (["x"], "write it with async def and yield")],
)
async def test_a_source_of_another_type_is_a_mistake_of_the_view(
    app, source, advice, caplog
):
    app["source"] = lambda request: source
    answer = await exchange(app, GET)
    assert answer.data.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert f"an async generator: {advice}" in caplog.text


async def test_wrong_options_of_a_stream_are_a_mistake_of_the_view(app, caplog):
    app["source"] = lambda request: events()
    app["options"] = {"retry": -1}
    answer = await exchange(app, GET)
    assert answer.data.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert "retry=-1: give 0 seconds or more" in caplog.text


# Last-Event-ID


@pytest.mark.parametrize(
    ("sent", "id"),
    [
        (None, None),
        (b"7", "7"),
        ("é".encode(), "é"),
        (b"\xff", None),
        (b"x" * 256, "x" * 256),
        (b"x" * 257, None),
        (b"", ""),
    ],
)
async def test_last_event_id(app, sent, id):
    @app.route("/id")
    async def view(request, response):
        response.json = last_event_id(request)

    field = b"" if sent is None else b"\r\nLast-Event-ID: " + sent
    answer = await exchange(app, b"GET /id HTTP/1.1\r\nHost: a" + field + b"\r\n\r\n")
    assert json.loads(answer.data.partition(b"\r\n\r\n")[2]) == id


def test_a_request_by_hand_has_fields_that_are_not_latin_1():
    request = Request(None, None)
    request.headers["Last-Event-ID"] = "\u2028"
    assert last_event_id(request) is None
