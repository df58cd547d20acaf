import asyncio
import contextlib
import contextvars
import errno
import gc
import socket
import subprocess
import sys
import textwrap

import pytest
from roll import HttpError, Limits
from roll.http11.chunks import SLICE
from roll.http11.connection import TURN
from roll.http11.exchange import PIECE, STREAM_TURN
from roll.http11.outbox import HOLD_BYTES
from roll.http11.timeouts import LINGER
from roll_testing import Transport, connect, exchange, settle, turns, until

from .noting import NotingApp, finish
from .wire import (
    CHUNKED,
    CLOSED_OK,
    CONTINUE,
    OK,
    answer,
    answer_chunks,
    error,
    expecting,
    get,
    post,
    post_chunks,
)

SIZES = [None, 1, 2, 7, 64]


class App(NotingApp):
    """Views that the tests share."""

    def __init__(self, **limits):
        super().__init__(**limits)
        self.route("/", methods="*")(self.echo)
        self.route("/slow", methods="*")(self.slow)
        self.route("/lazy", methods="*", lazy_body=True)(self.lazy)
        self.route("/drain", methods="*", lazy_body=True)(self.drain)
        self.route("/ignore", methods="*", lazy_body=True)(self.echo_nothing)
        self.route("/first", methods="*", lazy_body=True)(self.first)
        self.route("/stream", methods="*")(self.stream)

    async def echo_nothing(self, request, response):
        response.body = "ok"

    async def lazy(self, request, response):
        await self.gate.wait()
        await self.drain(request, response)

    async def drain(self, request, response):
        pieces = [piece async for piece in request]
        response.body = b"%d" % sum(map(len, pieces))

    async def first(self, request, response):
        response.body = await request.content.read()


@pytest.fixture
async def app():
    return App()


@pytest.fixture(autouse=True)
async def no_task_is_left():
    yield
    for _ in range(5):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task for task in left if "exchange" in repr(task)] == []


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_to_report():
    yield
    gc.collect()  # exceptions never retrieved, coroutines never awaited


# Messages and their responses, in order


EXCHANGES = {
    "one": (get(), OK, False),
    "pipelined": (get() * 3, OK * 3, False),
    "bodies": (post(b"one") + post(b"two"), answer(b"one") + answer(b"two"), False),
    "chunks": (
        post_chunks(b"one", b"two", b"") + get(),
        answer(b"onetwo") + OK,
        False,
    ),
    "close": (get("/", "Connection: close") + get(), CLOSED_OK, True),
    "1.0": (get(version="1.0") + get(), CLOSED_OK, True),
    "1.0 kept": (
        get("/", "Connection: keep-alive", version="1.0") + get(),
        answer(b"ok")[:-6] + b"\r\nConnection: keep-alive\r\n\r\nok" + OK,
        False,
    ),
    "not found": (
        get("/none") + get(),
        error("404 Not Found", close=False) + OK,
        False,
    ),
    "a tunnel": (
        get("a:443", method="CONNECT") + b"\x16\x03\x01" + get(),
        error("404 Not Found"),
        True,
    ),
    "trailers": (
        post_chunks(b"one") + b"0\r\nX: 1\r\nUpgrade: x\r\n\r\n" + get(),
        answer(b"one") + OK,
        False,
    ),
    "unread": (post(b"x" * 300, "/ignore") + get(), OK + OK, False),
    "unread chunks": (
        post_chunks(b"x" * 300, b"", path="/ignore") + get(),
        OK + OK,
        False,
    ),
    "unread and not found": (
        post(b"x" * 300, "/none") + get(),
        error("404 Not Found", close=False) + OK,
        False,
    ),
}


@pytest.mark.parametrize("split", SIZES)
@pytest.mark.parametrize(
    ("data", "expected", "closed"), EXCHANGES.values(), ids=EXCHANGES
)
async def test_bytes_are_answered_the_same_in_every_way(
    app, data, expected, closed, split
):
    assert await exchange(app, data, split=split) == (expected, closed)
    assert app.connections == set()


async def test_fast_and_slow_views_are_answered_in_order(app):
    transport = connect(app)
    transport.feed(get() + get("/slow?1") + get() + get("/slow?2") + get())
    await turns()
    assert transport.data == OK
    app.gate.set()
    await settle(transport)
    assert transport.data == OK + answer(b"1") + OK + answer(b"2") + OK
    await finish(transport)


async def test_reading_pauses_while_more_than_one_message_is_there(app):
    transport = connect(app)
    transport.feed(get("/slow?1"))
    await asyncio.sleep(0)
    assert transport.is_reading()
    transport.feed(get("/slow?2"))
    assert not transport.is_reading()
    transport.feed(get("/slow?3") * 1000)
    assert transport.held
    app.gate.set()
    await settle(transport)
    assert transport.data == answer(b"1") + answer(b"2") + answer(b"3") * 1000
    await finish(transport)


async def test_ten_thousand_pipelined_requests_are_answered(app):
    transport = connect(app)
    transport.feed(b"GET / HTTP/1.1\r\nHost:\r\n\r\n" * 10_000)
    rounds = 0
    while not transport.since(len(OK) * 10_000 - 1):
        assert (rounds := rounds + 1) <= 10_000  # of the loop: at most one a request
        await asyncio.sleep(0)
    assert transport.data == OK * 10_000
    await finish(transport)


async def test_after_an_answer_that_closes_nothing_is_served(app):
    @app.route("/close")
    async def view(request, response):
        response.headers["Connection"] = "close"

    data, closed = await exchange(app, get("/close") + get() + b"\0")
    assert closed
    assert data == (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    assert app.seen == []


async def test_the_last_request_of_a_connection_closes_it():
    app = App(requests=2)
    assert await exchange(app, get() * 3) == (OK + CLOSED_OK, True)


async def test_what_follows_the_last_message_is_ignored_up_to_a_limit():
    app = App(unread=1000)
    transport = connect(app)
    transport.feed(get("/slow", "Connection: close"))
    transport.feed(b"x" * 1000)
    await asyncio.sleep(0)
    assert transport.is_reading()
    transport.feed(b"x")
    assert not transport.is_reading()  # an abort would lose the response
    app.gate.set()
    await settle(transport)
    assert transport.data == CLOSED_OK
    await transport.wait_closed()


# Limits


async def test_a_target_or_head_past_its_limit_closes(app):
    for data, status in (
        (get("/" + "a" * 8190), "414 URI Too Long"),
        (get("/", "X: " + "a" * 8190), "431 Request Header Fields Too Large"),
        (get("/", *["X: y"] * 100), "431 Request Header Fields Too Large"),
        (get("/", *["X: " + "y" * 8000] * 9), "431 Request Header Fields Too Large"),
    ):
        for split in (None, 64):
            assert await exchange(app, data, split=split) == (error(status), True)


def too_large(close):
    return error("413 Content Too Large", close=close)


async def test_a_body_past_its_limit_is_refused_before_it_is_read():
    app = App(body=10, unread=5)
    assert await exchange(app, post(b"x" * 10)) == (answer(b"x" * 10), False)
    head = post(b"x" * 11)[:-11]
    assert await exchange(app, head) == (too_large(True), True)


async def test_chunks_past_the_limit_are_refused():
    app = App(body=10, unread=5)
    data = post_chunks(b"x" * 6, b"x" * 5)
    for split in (None, 1):
        found, _ = await exchange(app, data, split=split)
        assert found == too_large(True)
    # Nothing more comes behind the last chunk.
    assert await exchange(app, data + b"0\r\n\r\n" + get()) == (
        too_large(False) + OK,
        False,
    )


async def test_reading_pauses_while_a_view_does_not_read(app):
    transport = connect(app)
    transport.feed(post(b"", "/lazy").replace(b": 0", b": 200000"))
    transport.feed(b"x" * 65536)
    assert transport.is_reading()
    transport.feed(b"x")
    assert not transport.is_reading()
    transport.feed(b"x" * (200000 - 65537))
    assert transport.held == 200000 - 65537
    app.gate.set()
    await settle(transport)
    assert (transport.data, transport.held) == (answer(b"200000"), 0)
    await finish(transport)


# Bodies that nobody reads


@pytest.mark.parametrize("path", ["/ignore", "/none"])
async def test_an_unread_body_is_skipped_and_the_next_request_answered(path):
    app = App(unread=1000, buffer=10)
    transport = connect(app)
    transport.feed(post(b"", path).replace(b": 0", b": 1000"))
    await settle(transport)
    first = OK if path == "/ignore" else error("404 Not Found", close=False)
    assert transport.data == first
    for _ in range(10):
        transport.feed(b"x" * 100)
    transport.feed(get())
    await settle(transport)
    assert transport.data == first + OK
    await finish(transport)


@pytest.mark.parametrize("path", ["/ignore", "/none"])
async def test_an_unread_body_too_large_to_skip_closes(path):
    app = App(unread=1000)
    data = post(b"x" * 1001, path)
    found, closed = await exchange(app, data[:-1001])
    first = CLOSED_OK if path == "/ignore" else error("404 Not Found")
    assert (found, closed) == (first, True)


async def test_what_was_read_of_a_body_does_not_count_as_skipped():
    app = App(unread=1000, body=10_000)
    transport = connect(app)
    transport.feed(post(b"", "/first").replace(b": 0", b": 2500") + b"x" * 1500)
    await settle(transport)
    transport.feed(b"x" * 1000 + get())
    await settle(transport)
    assert transport.data == answer(b"x" * 1500) + OK
    await finish(transport)


async def test_unread_chunks_past_the_limit_end_the_connection():
    app = App(unread=1000)
    transport = connect(app)
    transport.feed(post_chunks(b"x", path="/ignore"))
    await settle(transport)
    transport.feed(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    assert not transport.eof
    transport.feed(b"1\r\nx\r\n")
    assert transport.eof
    transport.feed(get())
    await transport.wait_closed()
    assert transport.data == OK


async def test_a_paused_body_that_nobody_reads_is_skipped():
    app = App(buffer=10)
    transport = connect(app)
    transport.feed(post(b"", "/slow").replace(b": 0", b": 40") + b"x" * 5)
    await settle(transport)
    transport.feed(b"x" * 35 + get())
    app.gate.set()
    await settle(transport)
    assert transport.data == OK + OK
    await finish(transport)


# Views that set what cannot be a response


@pytest.mark.parametrize("status", [100, 101, 102, 103])
async def test_an_interim_status_is_no_whole_answer(app, status, caplog):
    @app.route("/interim")
    async def view(request, response):
        response.status = status

    data, _ = await exchange(app, get("/interim") + get())
    assert data == error("500 Internal Server Error", close=False) + OK
    assert len(caplog.messages) == 1


async def test_an_error_of_a_view_is_a_500_without_its_text(app, caplog):
    @app.route("/raise")
    async def view(request, response):
        raise KeyError("secret")

    data, _ = await exchange(app, get("/raise") + get())
    assert data == error("500 Internal Server Error", close=False) + OK
    assert len(caplog.messages) == 1


# Streams


async def test_a_stream_is_sent_as_chunks_as_it_comes(app):
    app["pieces"] = [b"one", "", "é", Ellipsis, bytearray(b"three"), 4]
    transport = connect(app)
    transport.feed(get("/stream") + get())
    await turns()
    assert transport.data == answer_chunks(b"one", "é".encode())
    app.gate.set()
    await settle(transport)
    assert transport.data == (
        answer_chunks(b"one", "é".encode(), b"three", b"4") + b"0\r\n\r\n" + OK
    )
    assert app.seen == ["open", "closed", "/"]
    await finish(transport)


@pytest.fixture
def sized(app):
    @app.route("/sized", methods="*")
    async def view(request, response):
        response.headers["Content-Length"] = 6
        response.body = app.pieces()

    return b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"


async def test_a_stream_with_a_content_length_is_sent_as_it_is(app, sized):
    app["pieces"] = [b"one", b"", b"two"]
    data, closed = await exchange(app, get("/sized") + get())
    assert (data, closed) == (sized + b"onetwo" + OK, False)


@pytest.mark.parametrize(
    ("pieces", "sent"),
    [([b"one", b"four", b"x"], b"one"), ([b"one"], b"one"), ([], b"")],
)
async def test_a_stream_that_is_not_as_long_as_promised_is_cut(
    app, sized, pieces, sent, caplog
):
    app["pieces"] = pieces
    data, closed = await exchange(app, get("/sized") + get())
    assert (data, closed) == (sized + sent, True)
    assert app.seen == ["open", "closed"]
    (record,) = caplog.records
    assert record.getMessage().startswith("GET /sized was cut short: ValueError(")
    assert record.exc_info[0] is ValueError


async def test_a_stream_that_yields_what_has_no_bytes_is_cut(app, caplog):
    app["pieces"] = [b"one", "\ud800", b"two"]
    data, closed = await exchange(app, get("/stream") + get())
    assert (data, closed) == (answer_chunks(b"one"), True)
    assert app.seen == ["open", "closed"]


class Pieces:
    """An async iterable, not a generator, that wants to be closed."""

    def __init__(self, app):
        self.app = app

    def __aiter__(self):
        return self.app.pieces()

    async def aclose(self):
        self.app.seen.append("aclose")


@pytest.mark.parametrize(
    ("method", "seen"),
    [("GET", ["open", "closed", "aclose"]), ("HEAD", ["aclose"])],
)
async def test_an_iterable_body_is_closed_beside_its_iterator(app, method, seen):
    @app.route("/iterable")
    async def view(request, response):
        response.body = Pieces(app)

    await exchange(app, get("/iterable", method=method))
    assert app.seen == seen


async def test_a_body_is_closed_when_a_listener_is_cancelled_before_it_is_sent(app):
    @app.route("/iterable")
    async def view(request, response):
        response.body = Pieces(app)

    @app.listen("response")
    async def wait(request, response):
        await app.gate.wait()

    transport = connect(app)
    transport.feed(get("/iterable"))
    await turns()
    await finish(transport)
    await until(lambda: app.seen == ["aclose"])


class Keeping(Transport):
    """Keeps what it is given, as asyncio's transports do from Python 3.12 on."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.kept = []

    def write(self, data):
        self.kept.append(data)
        super().write(data)


async def test_a_buffer_that_a_stream_uses_again_is_sent_as_it_was(app):
    async def pieces():
        buffer = bytearray(3)
        for piece in (b"one", b"two"):
            buffer[:] = piece
            yield memoryview(buffer)

    @app.route("/sized")
    async def view(request, response):
        response.headers["Content-Length"] = 6
        response.body = pieces()

    transport = Keeping(protocol := app.factory())
    protocol.connection_made(transport)
    transport.feed(get("/sized"))
    await settle(transport)
    assert transport.kept[1:] == [b"one", b"two"]
    await finish(transport)


async def test_a_large_body_that_may_change_is_copied(app):
    body = bytearray(100_000)

    @app.route("/large")
    async def view(request, response):
        response.body = body

    transport = Keeping(protocol := app.factory())
    protocol.connection_made(transport)
    transport.feed(get("/large"))
    await settle(transport)
    body[:] = b"x" * 100_000
    assert b"".join(transport.kept) == answer(bytes(100_000))
    await finish(transport)


@pytest.mark.parametrize(("size", "count"), [(65536, 512), (1, 10_000)])
async def test_a_stream_that_never_waits_gives_others_their_turn(app, size, count):
    app["pieces"] = [b"x" * size] * count
    turns = 0

    async def take_turns():
        nonlocal turns
        while "closed" not in app.seen:
            await asyncio.sleep(0)
            turns += 1

    taking = asyncio.create_task(take_turns())
    transport = connect(app)
    transport.feed(get("/stream"))
    await taking
    await settle(transport)
    assert turns > 0.9 * count * (size + PIECE) / STREAM_TURN
    await finish(transport)


# A client that does not read


async def test_a_large_answer_waits_for_its_client_before_the_next(app):
    @app.route("/large")
    async def view(request, response):
        response.body = b"x" * 100_000

    transport = connect(app)
    transport.stall()
    transport.feed(get("/large") + get())
    await turns()
    assert transport.get_write_buffer_size() == len(answer(b"x" * 100_000))
    assert app.seen == []
    transport.drain()
    await settle(transport)
    assert transport.data == answer(b"x" * 100_000) + OK
    await finish(transport)


async def test_pipelined_answers_wait_for_a_client_that_does_not_read(app):
    transport = connect(app)
    transport.stall()
    transport.feed(get() * 10_000)
    await until(lambda: not transport.is_reading())
    await turns()
    # What the transport takes before it pauses the writer, and what is held by then.
    assert transport.get_write_buffer_size() < 65536 + HOLD_BYTES + 2 * len(OK)
    assert not transport.is_reading()
    await finish(transport)


# Clients that leave


@pytest.mark.parametrize("waiting", [b"", get(), b"\0"])
async def test_a_view_that_outlives_its_client_writes_nothing(app, waiting):
    @app.route("/stubborn")
    async def view(request, response):
        try:
            await app.gate.wait()
        except asyncio.CancelledError:
            app.seen.append(request.remote_addr)
        response.body = Pieces(app)

    transport = connect(app)
    transport.feed(get("/stubborn") + waiting)
    await asyncio.sleep(0)
    await finish(transport)
    await until(lambda: app.seen == ["127.0.0.1", "aclose"])
    assert transport.data == b""


async def test_a_body_asked_for_after_the_client_left_cannot_be_had(app):
    @app.route("/late", methods=["POST"], lazy_body=True)
    async def view(request, response):
        try:
            await app.gate.wait()
        except asyncio.CancelledError:
            with pytest.raises(HttpError) as caught:
                await request.read()
            app.seen.append((int(caught.value.status), caught.value.message))

    transport = connect(app)
    transport.feed(expecting("/late"))
    await asyncio.sleep(0)
    await finish(transport)
    await until(lambda: app.seen == [(400, "The client left")])


async def test_the_body_of_a_client_that_left_is_not_asked_for(app):
    transport = connect(app)
    await finish(transport)
    transport.get_protocol().continue_body()
    assert transport.data == b""


async def test_a_client_may_read_on_after_its_answer_was_cancelled(app):
    app["pieces"] = [b"x" * 100_000] * 2
    transport = connect(app)
    transport.stall()
    transport.feed(get("/stream"))
    await turns()
    transport.get_protocol().task.cancel()
    await until(lambda: app.seen == ["open", "closed"])
    transport.drain()
    await transport.wait_closed()
    assert transport.data == b""


async def test_a_view_can_wait_for_its_client_to_leave(app):
    @app.route("/wait")
    async def view(request, response):
        first = asyncio.ensure_future(request.disconnected())
        second = asyncio.ensure_future(request.disconnected())
        try:
            await app.gate.wait()
        finally:
            await asyncio.shield(asyncio.gather(first, second))
            await request.disconnected()
            app.seen.append("left")

    transport = connect(app)
    transport.feed(get("/wait"))
    await turns()
    await finish(transport)
    await until(lambda: app.seen == ["left"])


async def test_a_client_that_has_left_before_is_not_waited_for(app):
    @app.route("/late", on_disconnect="finish")
    async def view(request, response):
        await app.gate.wait()
        await request.disconnected()
        app.seen.append("left")

    transport = connect(app)
    transport.feed(get("/late"))
    await turns()
    await finish(transport)
    app.gate.set()
    await until(lambda: app.seen == ["left"])


async def test_a_view_that_is_cancelled_aborts_the_connection(app):
    transport = connect(app)
    transport.feed(get("/slow") + get())
    await asyncio.sleep(0)
    transport.get_protocol().task.cancel()
    await transport.wait_closed()
    assert (transport.data, app.seen) == (b"", ["started", "ended"])


async def test_a_stream_that_fails_ends_what_waits_behind_it(app, caplog):
    app["pieces"] = [Ellipsis, ValueError("a bug")]
    transport = connect(app)
    transport.feed(get("/stream") + get() + b"\0")
    await turns()
    app.gate.set()
    await transport.wait_closed()
    assert transport.data == answer_chunks()
    assert app.seen == ["open", "closed"]


@pytest.mark.parametrize("start", [(), (b"one",)])
async def test_a_stream_that_fails_takes_no_answer_before_it_along(app, caplog, start):
    app["pieces"] = [*start, ValueError("a bug")]

    @app.route("/large")
    async def large(request, response):
        response.body = b"x" * 50_000

    transport = connect(app)
    transport.stall()
    transport.feed(get("/large") + get("/stream") + get())
    await turns()
    transport.drain()
    await transport.wait_closed()
    before = answer(b"x" * 50_000)
    assert transport.data == before + answer_chunks(*start).removesuffix(b"0\r\n\r\n")


class Aborting(Transport):
    """It tells whether the connection was broken, not ended."""

    aborted = False

    def abort(self):
        self.aborted = True
        super().abort()


@pytest.mark.parametrize(("version", "aborted"), [("1.0", True), ("1.1", False)])
async def test_a_stream_that_fails_never_looks_whole(app, caplog, version, aborted):
    app["pieces"] = [b"one", ValueError("a bug")]
    protocol = app.factory()
    transport = Aborting(protocol)
    protocol.connection_made(transport)
    transport.feed(get("/stream", version=version))
    await transport.wait_closed()
    # Without chunks, the end of the connection would be that of the body.
    assert transport.aborted is aborted
    assert not transport.data.endswith(b"0\r\n\r\n")


async def test_a_stream_that_waits_for_a_cancelled_task_is_cut_and_logged(app, caplog):
    task = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    task.cancel()

    @app.route("/waits")
    async def view(request, response):
        async def pieces():
            yield b"one"
            await task

        response.body = pieces()

    transport = connect(app)
    transport.feed(get("/waits"))
    await transport.wait_closed()
    assert transport.data == answer_chunks(b"one").removesuffix(b"0\r\n\r\n")
    assert "was cut short" in caplog.text


async def test_a_stream_ends_when_its_connection_is_about_to(app):
    seen = []

    @app.route("/endless")
    async def view(request, response):
        async def pieces():
            for number in range(1000):
                if number == 1:
                    request.protocol.transport.close()
                seen.append(number)
                yield b"x"

        response.body = pieces()

    transport = connect(app)
    transport.feed(get("/endless"))
    await transport.wait_closed()
    assert seen == [0, 1]


async def test_the_task_of_a_message_is_that_of_its_view(app):
    tasks = []

    @app.route("/task")
    async def view(request, response):
        tasks.append((request.protocol.task, asyncio.current_task()))

    transport = connect(app)
    transport.feed(get("/task") * 2)
    await settle(transport)
    assert [task is current for task, current in tasks] == [True, True]
    await finish(transport)


async def test_a_body_that_was_being_loaded_is_loaded_again_from_its_start(app):
    @app.route("/patient", methods=["POST"], lazy_body=True)
    async def view(request, response):
        loading = asyncio.create_task(request.load_body())
        await turns()
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading
        app.seen.append("late")
        response.body = await request.read()

    transport = connect(app)
    message = post(b"0123456789", "/patient")
    transport.feed(message[:-5])
    await until(lambda: app.seen == ["late"])
    transport.feed(message[-5:])
    await settle(transport)
    assert transport.data == answer(b"0123456789")
    await finish(transport)


async def test_a_request_made_by_hand_can_be_answered(app):
    transport = connect(app)
    protocol = transport.get_protocol()
    protocol.request = app.Request(app, protocol)
    protocol.response = app.Response(app, protocol)
    protocol.response.body = b"ok"
    await protocol.write()
    assert transport.data == OK
    await finish(transport)


# Methods that a listener overrides


@pytest.mark.parametrize(
    ("sent", "meant", "size"), [("GET", "HEAD", 2), ("HEAD", "GET", 0)]
)
async def test_an_answer_has_a_body_by_the_method_that_was_sent(app, sent, meant, size):
    @app.listen("headers")
    def override(request, response):
        request.method = request.headers.get("X-Method", request.method)

    transport = connect(app)
    transport.feed(get("/", f"X-Method: {meant}", method=sent) + get())
    await settle(transport)
    assert transport.data == OK[: len(OK) - 2 + size] + OK
    await finish(transport)


# Timeouts: the loop's sweep is played by calls of check()


def sweep(transport, *times):
    for time in times:
        transport.get_protocol().check(time)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"G", error("408 Request Timeout")),
        (get()[:-1], error("408 Request Timeout")),
        (get() + get()[:-1], OK + error("408 Request Timeout")),
    ],
)
async def test_a_head_must_be_complete_in_time(data, expected):
    transport = connect(App(head_timeout=3))
    transport.feed(data)
    await settle(transport)
    sweep(transport, 10, 11, 12.9)
    assert not transport.eof
    assert not transport.is_closing()
    sweep(transport, 13)
    await transport.wait_closed()
    assert transport.data == expected


async def test_bytes_one_after_the_other_do_not_give_a_head_more_time():
    transport = connect(App(head_timeout=3))
    for time, byte in enumerate(get()[:4]):
        sweep(transport, time)
        transport.feed(bytes([byte]))
    sweep(transport, 4, 7)
    assert transport.data == error("408 Request Timeout")
    await transport.wait_closed()


async def test_an_idle_connection_is_closed_quietly():
    transport = connect(App(keep_alive=3))
    transport.feed(get())
    await settle(transport)
    sweep(transport, 10)
    transport.feed(get())
    await settle(transport)
    sweep(transport, 11, 13.9)
    assert not transport.is_closing()
    sweep(transport, 14)
    await transport.wait_closed()
    assert transport.data == OK + OK


async def test_a_view_may_take_as_long_as_it_wants(app):
    transport = connect(app)
    transport.feed(get("/slow"))
    await asyncio.sleep(0)
    sweep(transport, 0, 1e9)
    transport.feed(get())
    sweep(transport, 2e9, 3e9)
    app.gate.set()
    await settle(transport)
    assert transport.data == OK + OK
    await finish(transport)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/drain", error("408 Request Timeout")),
        ("/", error("408 Request Timeout")),
        ("/ignore", OK),
    ],
)
async def test_a_body_must_make_progress(path, expected):
    transport = connect(App(body_timeout=3))
    transport.feed(post(b"x" * 10, path)[:-5])
    await settle(transport)
    sweep(transport, 10, 12)
    transport.feed(b"x")
    sweep(transport, 13, 15)
    assert not transport.eof
    sweep(transport, 16)
    await settle(transport)
    assert transport.data == expected
    await transport.wait_closed()


@pytest.mark.parametrize(
    "data", [post(b"x" * 100, "/lazy")[:-10], expecting("/lazy"), post(b"", "/slow")]
)
async def test_a_body_that_the_view_does_not_read_has_no_timeout(data):
    app = App(body_timeout=3, buffer=10)
    transport = connect(app)
    transport.feed(data)
    await asyncio.sleep(0)
    sweep(transport, 0, 1e9)
    assert not transport.eof
    assert not transport.is_closing()
    await finish(transport)


async def test_a_client_that_does_not_read_is_cut_off(app):
    app.limits = Limits(write_timeout=3)
    app["pieces"] = [b"x" * 100_000] * 2
    transport = connect(app)
    transport.stall()
    transport.feed(get("/stream"))
    await turns()
    sweep(transport, 10, 12)
    transport.drain(1)
    sweep(transport, 13, 15)
    assert not transport.is_closing()
    sweep(transport, 16)
    await transport.wait_closed()
    await until(lambda: app.seen == ["open", "closed"])


async def test_a_client_that_does_not_read_the_end_is_cut_off():
    app = App(write_timeout=3)
    transport = connect(app)
    transport.stall()
    transport.feed(get("/", "Connection: close"))
    await turns()
    assert transport.is_closing()
    sweep(transport, 10, 12.9)
    assert not transport.closed
    sweep(transport, 13)
    await transport.wait_closed()
    assert app.connections == set()


async def test_an_idle_client_that_has_not_read_all_is_cut_off():
    app = App(write_timeout=3, keep_alive=2)
    transport = connect(app)
    transport.stall()
    transport.feed(get())
    await turns()
    sweep(transport, 10, 12, 13, 16)
    await transport.wait_closed()
    assert app.connections == set()


async def test_a_socket_that_is_closed_already_has_nothing_to_tell(caplog):
    app = App(write_timeout=0.05)
    await app.startup()
    with socket.socket() as closed:
        pass
    transport = connect(app, extra={"socket": closed})
    app["pieces"] = [b"x" * 65536] * 10
    transport.stall()
    transport.feed(get("/stream"))
    await transport.wait_closed()
    assert caplog.messages == []
    await app.shutdown()


def test_where_the_system_does_not_tell_what_is_unsent_roll_works_too():
    code = """
        import asyncio, sys
        sys.modules["fcntl"] = None  # as on Windows
        from roll import Roll
        from roll_testing import exchange
        print(asyncio.run(exchange(Roll(), b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert "HTTP/1.1 404 Not Found" in done.stdout, done.stderr


async def test_a_client_gets_a_while_to_read_the_last_answer(app):
    transport = connect(app, closes=False)
    transport.feed(b"\0")
    assert transport.eof
    sweep(transport, 10, 11.9)
    transport.feed(b"x" * 1000)
    assert not transport.is_closing()
    sweep(transport, 12)
    await transport.wait_closed()
    assert transport.data == error("400 Bad Request")


async def test_a_client_that_is_slow_to_read_the_last_answer_gets_more_time(app):
    transport = connect(app, closes=False)
    transport.stall()
    transport.feed(b"\0")
    sweep(transport, 10, 11)
    transport.drain(1)
    sweep(transport, 12, 13)
    transport.drain()
    sweep(transport, 14, 15)
    assert not transport.is_closing()
    sweep(transport, 16)
    await transport.wait_closed()
    assert transport.data == error("400 Bad Request")


@pytest.mark.parametrize("data", [get(), post(b"x"), post_chunks(b"x") + b"0\r\n\r\n"])
async def test_an_idle_connection_is_closed_soon_whatever_came_before(data):
    transport = connect(App(head_timeout=9, keep_alive=3))
    for piece in data[:-5], data[-5:]:
        transport.feed(piece)
        await settle(transport)
    sweep(transport, 10, 12)
    assert not transport.is_closing()
    sweep(transport, 13)
    assert transport.is_closing()
    await transport.wait_closed()


@pytest.mark.parametrize("split", [1, 2])
async def test_empty_lines_do_not_keep_a_connection_open(split):
    transport = connect(App(head_timeout=3, keep_alive=3))
    transport.feed(get())
    await settle(transport)
    for now in (10, 11, 12, 13, 14):
        transport.feed(b"\r\n"[:split])
        sweep(transport, now)
        transport.feed(b"\r\n"[split:])
        sweep(transport, now + 0.5)
        assert (transport.is_closing() or transport.eof) is (now > 12)
    assert transport.data in (OK, OK + error("408 Request Timeout"))
    await transport.wait_closed()


async def test_a_lingering_client_is_not_listened_to_for_ever():
    transport = connect(app := App(unread=1000), closes=False)
    transport.feed(b"\0")
    transport.feed(b"x" * 1000)
    assert transport.is_reading()
    transport.feed(b"x")
    assert not transport.is_reading()  # and not reset: it may be about to read
    (connection,) = app.connections
    connection.check(0)
    assert not transport.is_closing()
    connection.check(LINGER)
    await transport.wait_closed()


class OneSided(Transport):
    def can_write_eof(self):
        return False


async def test_a_transport_that_cannot_end_one_side_is_closed(app):
    transport = OneSided(protocol := app.factory())  # as with TLS
    protocol.connection_made(transport)
    transport.feed(b"\0")
    await transport.wait_closed()
    assert transport.data == error("400 Bad Request")


class Reset(Transport):
    def write_eof(self):
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")


async def test_a_client_that_has_reset_the_connection_is_not_waited_for(app, caplog):
    transport = Reset(protocol := app.factory())  # as asyncio's own does
    protocol.connection_made(transport)
    transport.feed(b"\0")
    await transport.wait_closed()
    assert app.connections == set()
    assert caplog.records == []


# The end of the app


async def test_stopping_closes_an_idle_connection_soon(app):
    for data in (b"", get(), get()[:-1]):
        transport = connect(app)
        transport.feed(data)
        await settle(transport)
        transport.get_protocol().stop()
        await transport.wait_closed()


@pytest.mark.parametrize("path", ["/slow", "/stream"])
async def test_stopping_lets_the_running_request_end_and_drops_the_next(app, path):
    app["pieces"] = [b"one", Ellipsis]
    transport = connect(app)
    transport.feed(get(path) + get())
    await turns()
    transport.get_protocol().stop()
    assert not transport.is_closing()
    app.gate.set()
    await transport.wait_closed()
    assert transport.data == (
        CLOSED_OK if path == "/slow" else answer_chunks(b"one") + b"0\r\n\r\n"
    )
    assert "/" not in app.seen


async def test_a_connection_made_while_the_app_ends_is_closed(app):
    app.closing.set()
    transport = connect(app)
    await transport.wait_closed()
    assert app.connections == set()


async def test_aborting_cancels_the_running_request(app):
    transport = connect(app)
    transport.feed(get("/slow") + get())
    await asyncio.sleep(0)
    transport.get_protocol().abort()
    await transport.wait_closed()
    await until(lambda: app.seen == ["started", "ended"])
    assert transport.data == b""
    transport.get_protocol().abort()  # twice is harmless


# What a request knows of its connection


@pytest.mark.parametrize(
    ("extra", "known"),
    [
        ({}, ("127.0.0.1", "http")),
        ({"peername": ("::1", 1, 0, 0), "sslcontext": object()}, ("::1", "https")),
        ({"peername": "/a/socket"}, (None, "http")),
        ({"peername": ""}, (None, "http")),
        ({"peername": None}, (None, "http")),
    ],
)
async def test_a_request_knows_its_peer_and_scheme(app, extra, known):
    @app.route("/peer")
    async def view(request, response):
        app.seen.append((request.remote_addr, request.scheme))

    transport = connect(app, extra=extra)
    transport.feed(get("/peer"))
    await settle(transport)
    assert app.seen == [known]
    await finish(transport)


async def test_the_set_of_connections_is_exact(app):
    transports = [connect(app) for _ in range(10)]
    assert app.connections == {each.get_protocol() for each in transports}
    for left, transport in enumerate(reversed(transports)):
        assert len(app.connections) == 10 - left
        await finish(transport)
    assert app.connections == set()


async def test_the_message_being_served_is_named(app):
    @app.route("/named")
    async def view(request, response):
        await asyncio.sleep(0)
        protocol = request.protocol
        app.seen.append(protocol.busy)
        app.seen.append(protocol.request is request)
        app.seen.append(protocol.response is response)
        app.seen.append(protocol.task is asyncio.current_task())

    transport = connect(app)
    transport.feed(get("/named"))
    await settle(transport)
    assert app.seen == [True] * 4
    assert not transport.get_protocol().busy
    await finish(transport)


async def test_a_stream_that_reads_a_body_asks_for_it_before_it_starts(app):
    @app.route("/shout", methods=["POST"], lazy_body=True)
    async def shout(request, response):
        async def pieces():
            async for piece in request:
                yield piece.upper()

        response.body = pieces()

    transport = connect(app)
    head = get("/shout", "Content-Length: 3", "Expect: 100-continue", method="POST")
    transport.feed(head)
    await settle(transport)
    assert transport.data == CONTINUE + CHUNKED
    transport.feed(b"abc" + get())
    await settle(transport)
    assert transport.data == CONTINUE + CHUNKED + b"3\r\nABC\r\n0\r\n\r\n" + OK
    await finish(transport)


async def test_a_body_is_not_asked_for_once_it_is_answered(app):
    seen = []

    @app.route("/later", methods=["POST"], lazy_body=True)
    async def later(request, response):
        async def read():
            try:
                await request.read()
            except HttpError as error:
                seen.append(error.message)

        app.keep(asyncio.create_task(read()))

    head = get("/later", "Content-Length: 3", "Expect: 100-continue", method="POST")
    data, closed = await exchange(app, head)
    assert (data.count(b"HTTP/1.1 "), closed) == (1, True)
    await until(lambda: seen)
    assert seen == ["The client left"]


async def test_what_is_no_exception_but_raised_cuts_the_connection(app, caplog):
    class Stop(BaseException):
        pass

    @app.route("/stop")
    async def stop(request, response):
        raise Stop

    data, closed = await exchange(app, get("/stop"))
    assert (data, closed) == (b"", True)
    assert caplog.messages == ["GET /stop was cut short: Stop()"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_process_passes(app, error, caplog):
    @app.route("/stop")
    async def stop(request, response):
        raise error

    async def main():
        transport = connect(app)
        transport.feed(get("/stop"))
        await turns()

    with pytest.raises(error):
        asyncio.run(main())
    line = "GET /stop exits: send SIGTERM to end a server: SystemExit()"
    assert (line in caplog.messages) is (error is SystemExit)


# Contexts

user = contextvars.ContextVar("user", default="nobody")


@pytest.mark.parametrize("gap", [False, True])
async def test_context_variables_do_not_pass_from_one_request_to_another(app, gap):
    @app.route("/login")
    async def login(request, response):
        user.set("somebody")
        if gap:
            await asyncio.sleep(0)

    @app.route("/user")
    async def show(request, response):
        response.body = user.get()

    @app.route("/read", methods=["POST"], lazy_body=True)
    async def read(request, response):
        user.set("somebody")
        await request.read()  # which goes on to read from the socket

    data = get("/login") + get("/user") + post(b"x" * 200_000, "/read") + get("/user")
    found, _ = await exchange(app, data)
    assert found.count(b"nobody") == 2
    assert b"somebody" not in found


async def test_context_variables_that_are_set_before_are_seen(app):
    user.set("of the process")

    @app.route("/user")
    async def show(request, response):
        response.body = user.get()

    assert (await exchange(app, get("/user"))).data.endswith(b"of the process")


# Slices of a read


async def test_thousands_of_messages_in_one_read_do_not_hold_the_loop(app):
    transport = connect(app)
    turns = 0
    transport.get_protocol().data_received(get() * 5000)
    while transport.data.count(b"200 OK") < 5000:
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10  # each time, others ran
    assert transport.data == OK * 5000
    await finish(transport)


@pytest.mark.parametrize("earlier", [TURN - 3, TURN - 1, TURN])
async def test_a_view_begins_before_its_body_has_come(app, earlier):
    @app.route("/echo", methods=["POST"])
    async def echo(request, response):
        response.body = request.body

    body = [b"x" * 10_000] * 4
    data = post_chunks(*body, path="/echo") + b"0\r\n\r\n"
    found, closed = await exchange(app, get() * earlier + data + get())
    assert (found, closed) == (OK * earlier + answer(b"".join(body)) + OK, False)


async def test_a_large_body_in_one_read_does_not_hold_the_loop():
    size = 2 * TURN * SLICE
    app = App(unread=2 * size)
    transport = connect(app)
    protocol = transport.get_protocol()
    protocol.data_received(post_chunks(*[b"x"] * (size // 6), path="/ignore"))
    left = protocol.parser.unread
    assert left > size / 4  # others run
    while protocol.parser.unread > len(b"\r\n"):  # which ends the last chunk
        await asyncio.sleep(0)
    transport.feed(b"0\r\n\r\n" + get())
    await settle(transport)
    assert transport.data == OK + OK
    await finish(transport)


async def test_messages_in_one_read_are_parsed_as_they_are_served(app):
    transport = connect(app)
    protocol = transport.get_protocol()
    protocol.data_received(get("/slow?1") + get() * 5000)
    await turns()
    assert protocol.parser.unread == len(get()) * 5000
    assert not transport.is_reading()
    app.gate.set()
    await settle(transport)
    assert transport.data == answer(b"1") + OK * 5000
    assert transport.is_reading()
    assert protocol.parser.unread == 0
    await finish(transport)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (get() * 1000 + b"\0" + get() * 1000, OK * 1000),
        (get() * 1000 + get("/", "Connection: close") + get() * 1000, OK * 1000),
    ],
)
async def test_what_is_held_back_behind_the_last_message_is_dropped(
    app, data, expected
):
    transport = connect(app)
    protocol = transport.get_protocol()
    protocol.data_received(data)
    await settle(transport)
    assert transport.data.startswith(expected)
    assert transport.data.count(b"HTTP/1.1 ") == 1001
    assert transport.data.count(b"Connection: close") == 1
    assert protocol.parser.unread == 0
    await finish(transport)


async def test_a_client_may_leave_while_messages_are_held_back(app):
    transport = connect(app)
    protocol = transport.get_protocol()
    protocol.data_received(get() * 5000)
    transport.reset()
    await transport.wait_closed()
    await asyncio.sleep(0)
    assert protocol.parser.unread == 0
    assert app.connections == set()


async def test_what_comes_while_messages_are_held_back_follows_them(app):
    transport = connect(app)
    protocol = transport.get_protocol()
    protocol.data_received(get("/slow?1") + get() * 1000)
    protocol.data_received(get("/slow?2") + get())  # as TLS may still bring it
    app.gate.set()
    await settle(transport)
    assert transport.data == answer(b"1") + OK * 1000 + answer(b"2") + OK
    await finish(transport)


# What is refused


@pytest.mark.parametrize("lines", ["", "Host: a\r\nContent-Length: x\r\n"])
async def test_a_refused_head_gets_no_body(app, lines):
    data, closed = await exchange(app, f"HEAD / HTTP/1.1\r\n{lines}\r\n".encode())
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert (body, closed) == (b"", True)


async def test_an_answer_that_makes_a_tunnel_has_no_length(app):  # RFC 9110, 9.3.6
    @app.route("/tunnel", methods=["CONNECT"])
    async def view(request, response):
        response.body = "not sent"

    data, closed = await exchange(app, b"CONNECT /tunnel HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (data, closed) == (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", True)
