"""What a view does with a WebSocket, on bytes."""

import asyncio
import errno
import itertools
import logging

import pytest
import roll
import roll_websockets
from roll.plugins import protocol_class
from roll_testing import Transport, exchange, patience, turns, until
from roll_websockets import frames
from websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosedError,
    ConnectionClosedOK,
)

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
NORMAL, AWAY, INTERNAL = b"\x03\xe8", b"\x03\xe9", b"\x03\xf3"
CANCELLED, DIED = AWAY + b"Handler cancelled.", INTERNAL + b"Handler died prematurely."


def limits(app, **attributes):
    """Give the app a protocol with other limits."""
    base = roll_websockets.WSProtocol
    app.WebsocketProtocol = type("Limited", (base,), {"__slots__": (), **attributes})


def test_the_names_are_where_the_core_looks_for_them():
    assert roll.WSProtocol is roll_websockets.WSProtocol
    assert roll.ConnectionClosed is roll_websockets.ConnectionClosed
    assert roll.Roll.WebsocketProtocol is protocol_class("websocket") is roll.WSProtocol


async def test_a_view_may_take_its_arguments_in_the_other_order(app, join):
    @app.route("/swapped/{name}", protocol="websocket")
    async def view(ws, request, name):
        await ws.send(f"{request.path} {name}")

    peer = await join("/swapped/a")
    assert (await peer.received(1))[0] == (TEXT, b"/swapped/a a")


# Messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
@pytest.mark.parametrize("first", [TEXT, BINARY])
async def test_messages_come_and_go_in_every_size(echo, join, first, size):
    peer = await join()
    peer.send(first, b"x" * size)
    assert await peer.received(1) == [(first, b"x" * size)]


async def test_fragments_are_one_message_with_pings_between_them(echo, join):
    peer = await join()
    for first, data in [(0x01, b"caf\xc3"), (PING, b"?"), (0x00, b""), (0x80, b"\xa9")]:
        peer.send(first, data)
    assert await peer.received(2) == [(PONG, b"?"), (TEXT, "café".encode())]


async def test_a_binary_message_in_fragments_is_bytes(echo, join):
    peer = await join()
    peer.send(0x02, b"\xff")
    peer.send(0x80, b"\x00")
    assert await peer.received(1) == [(BINARY, b"\xff\x00")]


async def test_frames_that_come_with_the_handshake_are_read(echo, join):
    rest = join.frame(TEXT, b"one") + join.frame(0x01, b"t") + join.frame(0x80, b"wo")
    peer = await join(rest=rest + join.frame(TEXT, b"three")[:7])
    assert await peer.received(2) == [(TEXT, b"one"), (TEXT, b"two")]


@pytest.mark.parametrize("split", [None, 1, 7])
async def test_a_connection_may_come_in_any_pieces(echo, app, join, split):
    opening = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"\r\n"
    )
    frames = [(0x01, b"o"), (PING, b"?"), (0x80, b"ne"), (BINARY, b"x" * 500)]
    data = opening + b"".join(join.frame(*one) for one in frames)
    found, closed = await exchange(
        app, data, split=split, trailing=join.frame(TEXT, b"last") + b"\x81"
    )
    _, _, rest = found.partition(b"\r\n\r\n")
    assert rest == (
        b"\x8a\x01?\x81\x03one\x82\x7e\x01\xf4" + b"x" * 500 + b"\x81\x04last"
    )
    assert not closed


async def test_the_view_has_the_request_and_the_variables(app, join):
    @app.ws("/room/{name}")
    async def room(request, ws, name):
        assert ws.request is request
        cookie = request.cookies.get("user")
        await ws.send(f"{name} {request.query.get('q')} {cookie} {request.host}")

    peer = await join("/room/tea?q=1", Cookie="user=Zoe")
    assert await peer.received(1) == [(TEXT, b"tea 1 Zoe example.org"), (CLOSE, NORMAL)]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("é", (TEXT, b"\xc3\xa9")),
        (b"ab", (BINARY, b"ab")),
        (bytearray(b"ab"), (BINARY, b"ab")),
        (memoryview(b"abcd")[::2], (BINARY, b"ac")),
        (bytearray(b"x" * 70_000), (BINARY, b"x" * 70_000)),
    ],
)
async def test_what_can_be_sent(app, join, message, expected):
    @app.ws()
    async def view(request, ws):
        await ws.send(message)

    peer = await join()
    assert (await peer.received(1))[0] == expected


@pytest.mark.parametrize("message", [None, 1, ["a"], object()])
async def test_what_cannot_be_sent_is_an_error_that_says_what_can(app, join, message):
    seen = []

    @app.ws()
    async def view(request, ws):
        with pytest.raises(TypeError, match="is not a message: give str, bytes, or"):
            await ws.send(message)
        seen.append(ws.closed)

    await join()
    assert seen == [False]


async def test_nothing_is_lost_when_recv_is_cancelled(app, join):
    got, cancelled = [], 0

    @app.ws()
    async def view(request, ws):
        nonlocal cancelled
        rounds = itertools.cycle(range(5))
        while len(got) < 50:
            receiving = asyncio.create_task(ws.recv())
            await turns(next(rounds))
            receiving.cancel()  # before, while or after a message comes
            try:
                got.append(await receiving)
            except asyncio.CancelledError:
                cancelled += 1
        await ws.send("all")

    peer = await join()
    for number in range(50):
        peer.text(str(number))
        await turns(number % 7)
    await peer.received(1)
    assert got == [str(number) for number in range(50)]
    assert cancelled > 10


async def test_a_message_that_comes_as_recv_is_cancelled_is_kept(app, join):
    got = []

    @app.ws()
    async def view(request, ws):
        await ws.recv()
        task = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        peer.text("one")  # wakes the task
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        got.append(await ws.recv())

    peer = await join()
    peer.text("go")
    await peer.received(1)
    assert got == ["one"]


async def test_two_tasks_cannot_receive_at_once(app, join):
    seen = []

    @app.ws()
    async def view(request, ws):
        task = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError, match="read in one task"):
            await ws.recv()
        seen.append(await task)

    peer = await join()
    peer.text("one")
    await peer.received(1)
    assert seen == ["one"]


async def test_many_tasks_send_while_one_receives(app, join):
    @app.ws()
    async def view(request, ws):
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(ws.send(str(number)))
            assert await ws.recv() == "go"

    peer = await join()
    peer.text("go")
    frames = await peer.received(21)
    assert frames[:-1] == [(TEXT, str(number).encode()) for number in range(20)]


# Fragments


async def test_an_async_iterable_is_one_message_and_others_wait(app, join):
    gate = asyncio.Event()

    async def pieces():
        yield "a"
        await gate.wait()
        yield "b"

    @app.ws()
    async def view(request, ws):
        async with asyncio.TaskGroup() as group:
            group.create_task(ws.send(pieces()))
            await asyncio.sleep(0)
            group.create_task(ws.send("whole"))
            group.create_task(ws.send(pieces()))
            await ws.ping(b"?")
            await asyncio.sleep(0)
            gate.set()

    peer = await join()
    assert (await peer.received(9))[:8] == [
        (0x01, b"a"),
        (PING, b"?"),
        (0x00, b"b"),
        (0x80, b""),
        (TEXT, b"whole"),
        (0x01, b"a"),
        (0x00, b"b"),
        (0x80, b""),
    ]


class Pieces:
    """An async iterator that is not a generator."""

    def __init__(self, *pieces):
        self.pieces = [*pieces]

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.pieces:
            raise StopAsyncIteration
        return self.pieces.pop(0)


async def test_bytes_in_pieces_and_no_pieces_at_all(app, join):
    @app.ws()
    async def view(request, ws):
        await ws.send(Pieces(b"a", bytearray(b"b")))
        await ws.send(Pieces())

    peer = await join()
    expected = [(0x02, b"a"), (0x00, b"b"), (0x80, b""), (CLOSE, NORMAL)]
    assert await peer.received(4) == expected


@pytest.mark.parametrize("pieces", [("a", b"b"), ("a", 1)])
async def test_a_message_that_cannot_be_completed_ends_the_connection(
    app, join, pieces, caplog
):
    closed = []

    async def generate():
        try:
            for piece in pieces:
                yield piece
        finally:
            closed.append(True)

    @app.ws()
    async def view(request, ws):
        with pytest.raises(TypeError):
            await ws.send(generate())
        assert ws.closed

    peer = await join()
    assert await peer.received(2) == [(0x01, b"a"), (CLOSE, INTERNAL)]
    await app.ended()
    assert closed == [True]
    assert not caplog.records


async def test_fragments_end_with_the_connection(app, join):
    async def forever():
        while True:
            yield "a"
            await asyncio.sleep(0)

    errors = []

    @app.ws()
    async def view(request, ws):
        task = asyncio.create_task(ws.send("after"))
        try:
            await ws.send(forever())
        except roll.ConnectionClosed as error:
            errors.append(error)
        for send in (ws.send("x"), ws.send(forever()), task):
            with pytest.raises(roll.ConnectionClosed):
                await send

    peer = await join()
    await peer.received(2)
    peer.send(CLOSE, NORMAL)
    await app.ended()
    assert [type(error) for error in errors] == [ConnectionClosedOK]


# Pings


async def test_the_ping_waiter_pattern(app, join):
    got = []

    @app.ws()
    async def view(request, ws):
        for data in (None, b"b", "text"):
            seconds = await asyncio.wait_for(await ws.ping(data), patience(10))
            got.append(seconds)

    peer = await join()
    for number in range(3):
        await peer.received(number + 1)
        peer.send(PONG, peer.frames[number][1])
    frames = await peer.received(4)
    assert [first for first, _ in frames] == [PING, PING, PING, CLOSE]
    assert [len(frames[0][1]), frames[1][1], frames[2][1]] == [4, b"b", b"text"]
    assert all(isinstance(seconds, float) for seconds in got)


async def test_a_pong_answers_the_pings_before_it_too(app, join):
    @app.ws()
    async def view(request, ws):
        futures = [await ws.ping(name) for name in ("a", "b", "c")]
        futures[0].cancel()
        await futures[1]
        assert not futures[2].done()
        with pytest.raises(ValueError, match="has no pong yet"):
            await ws.ping("c")
        await ws.send("good")

    peer = await join()
    await peer.received(3)
    peer.send(PONG, b"unknown")
    peer.send(PONG, b"b")
    assert (await peer.received(4))[3] == (TEXT, b"good")


async def test_a_ping_without_a_pong_ends_with_the_connection(app, join):
    errors = []

    @app.ws()
    async def view(request, ws):
        waiters = [await ws.ping("a"), await ws.ping("b")]
        waiters[1].cancel()
        try:
            await waiters[0]
        except roll.ConnectionClosed as error:
            errors.append(error)
        await ws.ping()

    peer = await join()
    await peer.received(2)
    await peer.leave()
    await app.ended()
    assert [type(error) for error in errors] == [ConnectionClosedError]


async def test_pongs_that_nobody_asked_for(app, join):
    @app.ws()
    async def view(request, ws):
        await ws.pong()
        await ws.pong("a")
        with pytest.raises(ValueError, match="126 bytes for a ping or pong"):
            await ws.pong(b"x" * 126)
        with pytest.raises(TypeError):
            await ws.ping(5)
        await ws.recv()

    peer = await join()
    assert await peer.received(2) == [(PONG, b""), (PONG, b"a")]
    peer.send(PONG, b"")
    peer.send(CLOSE, NORMAL)
    assert (await peer.received(3))[2:] == [(CLOSE, NORMAL)]


async def test_a_closed_websocket_says_so_to_everyone(app, join):
    @app.ws()
    async def view(request, ws):
        await asyncio.gather(ws.close(3000, "enough"), ws.close())
        assert (ws.closed, ws.close_code, ws.close_reason) == (True, 3001, "ok")
        for call in (ws.recv, ws.ping, ws.pong, lambda: ws.send("x")):
            with pytest.raises(ConnectionClosedError, match="enough"):
                await call()
        await ws.close()
        app.events.append("checked")

    peer = await join()
    assert await peer.received(1) == [(CLOSE, b"\x0b\xb8enough")]
    peer.send(CLOSE, b"\x0b\xb9ok")
    await app.ended()
    assert app.events == ["connect", "view", "checked", "disconnect"]


# The end


async def test_a_view_that_returns_closes_with_1000(app, join):
    @app.ws()
    async def view(request, ws): ...

    peer = await join()
    assert await peer.received(1) == [(CLOSE, NORMAL)]
    assert app.events == ["connect", "view"]
    assert not peer.transport.is_closing()
    peer.send(CLOSE, NORMAL)
    await app.ended()
    assert app.events == ["connect", "view", "disconnect"]
    assert peer.transport.closed


async def test_a_client_that_closes_gets_its_close_back(echo, app, join):
    peer = await join()
    peer.text("last")
    peer.send(CLOSE, b"\x0f\xa0why")
    await app.ended()
    assert peer.frames == [(CLOSE, b"\x0f\xa0why")]
    assert app.events == ["connect", "view", "disconnect"]


async def test_what_came_before_a_close_can_still_be_received(app, join):
    got = []

    @app.ws()
    async def view(request, ws):
        await until(lambda: ws.closed)
        got.extend([message async for message in ws])
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()

    peer = await join()
    peer.text("one", "two")
    peer.send(CLOSE)
    await app.ended()
    assert got == ["one", "two"]


async def test_a_view_that_raises_closes_with_1011_and_is_logged(app, join, caplog):
    @app.ws()
    async def view(request, ws):
        raise LookupError("secret")

    peer = await join("/?a")
    assert await peer.received(1) == [(CLOSE, DIED)]
    await peer.leave()
    await app.ended()
    assert caplog.record_tuples == [
        ("roll", logging.ERROR, "WebSocket /?a: LookupError('secret')")
    ]
    assert caplog.records[0].exc_info[0] is LookupError
    assert app.events == ["connect", "view", "disconnect"]


class Unusual(roll.HttpError):
    def __init__(self, status):
        self.status = status


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (roll.HttpError(404, "secret"), (CLOSE, b"\x03\xf0404 Not Found")),
        (Unusual(404), (CLOSE, b"\x03\xf0404 Not Found")),
        (Unusual(999), (CLOSE, DIED)),
        (roll.HttpError(503), (CLOSE, DIED)),
    ],
)
async def test_a_view_that_refuses_a_client_closes_with_1008_and_logs_nothing(
    app, join, caplog, error, end
):
    @app.ws()
    async def view(request, ws):
        raise error

    peer = await join()
    assert await peer.received(1) == [end]
    await peer.leave()
    await app.ended()
    assert len(caplog.records) == (error.status >= 500)


async def test_views_that_can_open_no_file_are_logged_once(
    app, join, caplog, monkeypatch
):
    monkeypatch.setattr("roll.logs.shortage_logged", False)

    @app.ws()
    async def view(request, ws):
        raise OSError(errno.EMFILE, "Too many open files", "/srv/secret")

    for _ in range(3):
        peer = await join()
        assert await peer.received(1) == [(CLOSE, DIED)]
        await peer.leave()
        await app.ended()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Too many open files: a request got a 503")
    assert "secret" not in caplog.text


async def test_a_view_may_let_connection_closed_through(app, join, caplog):
    @app.ws()
    async def view(request, ws):
        await ws.recv()

    peer = await join()
    await peer.leave()
    await app.ended()
    assert not caplog.records
    assert app.events == ["connect", "view", "disconnect"]


async def test_a_task_group_may_let_connection_closed_through(app, join, caplog):
    @app.ws()
    async def view(request, ws):
        async with asyncio.TaskGroup() as group:
            group.create_task(ws.recv())
            group.create_task(asyncio.Event().wait())

    peer = await join()
    await peer.leave()
    await app.ended()
    assert not caplog.records


async def test_a_task_group_that_fails_otherwise_is_logged(app, join, caplog):
    @app.ws()
    async def view(request, ws):
        try:
            await ws.recv()
        except roll.ConnectionClosed as error:
            raise ExceptionGroup("both", [error, LookupError()]) from None

    peer = await join()
    await peer.leave()
    await app.ended()
    assert "LookupError()" in caplog.text


async def test_a_traceback_is_logged_for_debugging(app, join, caplog):
    caplog.set_level(logging.DEBUG, "roll")

    @app.ws()
    async def view(request, ws):
        raise LookupError("secret")

    peer = await join()
    await peer.received(1)
    assert "LookupError: secret" in caplog.text


async def test_fragments_that_end_after_the_connection_are_not_sent(app, join):
    async def pieces():
        yield "a"
        peer.send(CLOSE, NORMAL)

    errors = []

    @app.ws()
    async def view(request, ws):
        await ws.recv()
        try:
            await ws.send(pieces())
        except roll.ConnectionClosed as error:
            errors.append(error)

    peer = await join()
    peer.text("go")
    await app.ended()
    assert peer.frames == [(0x01, b"a"), (CLOSE, NORMAL)]
    assert [type(error) for error in errors] == [ConnectionClosedOK]


async def test_connection_closed_of_another_websocket_is_an_error(app, join, caplog):
    @app.ws()
    async def view(request, ws):
        raise ConnectionClosedOK(None, None)

    peer = await join()
    assert await peer.received(1) == [(CLOSE, DIED)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_a_view_that_ends_with_anothers_cancellation_closes_with_1011(
    app, join, caplog
):
    @app.ws()
    async def view(request, ws):
        raise asyncio.CancelledError

    peer = await join()
    assert await peer.received(1) == [(CLOSE, DIED)]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("answers", [True, False])
async def test_a_view_that_is_cancelled_closes_with_1001(app, join, answers):
    @app.ws()
    async def view(request, ws):
        app.task = asyncio.current_task()
        await ws.recv()

    peer = await join()
    app.task.cancel()
    assert await peer.received(1) == [(CLOSE, CANCELLED)]
    if answers:
        peer.send(CLOSE, AWAY)
    await app.ended()
    assert app.task.cancelled()
    assert app.events == ["connect", "view", "disconnect"]


async def test_shutdown_closes_with_1001_and_views_end(app, join):
    got = []

    @app.ws()
    async def view(request, ws):
        got.extend([message async for message in ws])

    await app.startup()
    peer = await join()
    peer.text("one")
    stopping = asyncio.create_task(app.shutdown())
    assert await peer.received(1) == [(CLOSE, AWAY)]
    peer.send(CLOSE, AWAY)
    await stopping
    assert got == ["one"]
    assert app.events == ["connect", "view", "disconnect"]


async def test_shutdown_cuts_a_view_that_does_not_end(app, join):
    app.limits = roll.Limits(shutdown=0.05)

    @app.ws()
    async def view(request, ws):
        await asyncio.Event().wait()

    await app.startup()
    peer = await join()
    await app.shutdown()
    assert peer.frames == [(CLOSE, AWAY)]
    assert app.events == ["connect", "view", "disconnect"]


async def test_a_client_that_does_not_answer_a_close_is_cut(app, join):
    limits(app, TIMEOUT=0.02)

    @app.ws()
    async def view(request, ws): ...

    peer = await join()
    await app.ended()
    assert peer.transport.closed
    assert peer.frames == [(CLOSE, NORMAL)]


async def test_a_client_that_leaves_a_busy_view_has_it_cancelled(app, join):
    limits(app, TIMEOUT=0.02)

    @app.ws()
    async def view(request, ws):
        await asyncio.Event().wait()

    peer = await join()
    await peer.leave()
    await app.ended()
    assert app.events == ["connect", "view", "disconnect"]


async def test_a_client_that_leaves_gives_the_view_time_to_end(app, join):
    @app.ws()
    async def view(request, ws):
        await ws.wait_closed()
        await turns()
        app.events.append(ws.close_code)
        await ws.wait_closed()

    peer = await join()
    peer.transport.reset()
    await app.ended()
    assert app.events == ["connect", "view", 1006, "disconnect"]


@pytest.mark.parametrize(
    ("code", "reason", "match"),
    [
        (1005, "", "give 1000, or 3000 to 4999"),
        (999, "", "give 1000"),
        (1000, "é" * 62, "a reason of 124 bytes; it may have 123"),
    ],
)
async def test_a_close_that_cannot_be_sent_is_an_error(app, join, code, reason, match):
    @app.ws()
    async def view(request, ws):
        with pytest.raises(ValueError, match=match):
            await ws.close(code, reason)
        await ws.send("still open")

    peer = await join()
    assert (await peer.received(2))[0] == (TEXT, b"still open")


async def test_a_connect_listener_that_raises_closes_with_1011(app, join, caplog):
    @app.ws()
    async def view(request, ws): ...

    @app.listen("websocket_connect")
    async def refuse(request, ws):
        raise LookupError

    peer = await join()
    assert await peer.received(1) == [(CLOSE, DIED)]
    await peer.leave()
    await app.ended()
    assert app.events == ["connect", "disconnect"]
    assert len(caplog.records) == 1


async def test_a_connect_listener_has_a_time_to_end(app, join, caplog):
    limits(app, OPEN_TIMEOUT=0.01)

    @app.ws()
    async def view(request, ws): ...

    @app.listen("websocket_connect")
    async def wait(request, ws):
        await asyncio.Event().wait()

    peer = await join()
    assert await peer.received(1) == [(CLOSE, DIED)]
    assert app.events == ["connect"]
    assert "TimeoutError" in caplog.text


async def test_a_disconnect_listener_that_raises_is_logged(app, join, caplog):
    @app.ws()
    async def view(request, ws): ...

    @app.listen("websocket_disconnect")
    async def fail(request, ws):
        raise LookupError

    peer = await join()
    await peer.leave()
    await app.ended()
    assert "LookupError" in caplog.text
    assert app.events == ["connect", "view", "disconnect"]


# Bounds


async def test_a_message_over_max_size_closes_with_1009(app, join):
    limits(app, MAX_SIZE=100)
    got = []

    @app.ws()
    async def view(request, ws):
        got.extend([len(message) async for message in ws])

    peer = await join()
    peer.send(BINARY, b"x" * 100)
    peer.send(0x02, b"x" * 60)
    peer.send(0x80, b"x" * 40)
    peer.transport.feed(b"\x82\xfe\x00\x65mask")
    await app.ended()
    assert got == [100, 100]
    assert peer.frames[0][0] == CLOSE
    assert peer.frames[0][1][:2] == b"\x03\xf1"


async def test_fragments_over_max_size_close_with_1009(app, join):
    limits(app, MAX_SIZE=100)
    app.ws()(lambda request, ws: ws.recv())
    peer = await join()
    peer.send(0x02, b"x" * 60)
    peer.send(0x00, b"x" * 41)
    assert (await peer.received(1))[0][1][:2] == b"\x03\xf1"


@pytest.mark.parametrize("split", [False, True])
async def test_text_that_is_not_utf_8_closes_with_1007(app, join, split):
    app.ws()(lambda request, ws: ws.recv())
    peer = await join()
    if split:
        peer.send(0x01, b"a")
        peer.send(0x80, b"\xff")
    else:
        peer.send(TEXT, b"a\xff")
    peer.text("never read")
    reason = b"invalid start byte at position 1"
    assert await peer.received(1) == [(CLOSE, b"\x03\xef" + reason)]


async def test_what_comes_after_our_close_is_dropped(app, join):
    got = []

    @app.ws()
    async def view(request, ws):
        ws.start_close()
        got.extend([message async for message in ws])

    peer = await join()
    peer.text("late")
    peer.send(TEXT, b"\xff")
    peer.send(CLOSE, NORMAL)
    await app.ended()
    assert (got, peer.frames) == ([], [(CLOSE, NORMAL)])


async def test_a_message_that_our_close_overtakes_is_dropped(app, join):
    got = []

    @app.ws()
    async def view(request, ws):
        await ws.recv()
        peer.send(0x01, b"over")
        peer.transport.feed(rest[:7])
        ws.start_close()
        peer.transport.feed(rest[7:])
        got.extend([message async for message in ws])

    rest = join.frame(0x80, b"taken") + join.frame(CLOSE, NORMAL)
    peer = await join()
    peer.text("go")
    await app.ended()
    assert (got, peer.frames) == ([], [(CLOSE, NORMAL)])


@pytest.mark.parametrize(
    ("attributes", "size", "kept"),
    [({"MAX_QUEUE": 4}, 1, 4), ({"READ_LIMIT": 100}, 60, 2)],
)
async def test_reading_pauses_while_the_view_is_behind(
    app, join, attributes, size, kept
):
    limits(app, **attributes)
    gate = asyncio.Event()
    got = []

    @app.ws()
    async def view(request, ws):
        await gate.wait()
        got.extend([(message, ws._size) async for message in ws])

    peer = await join()
    messages = [str(number).zfill(size)[-size:] for number in range(50)]
    peer.text(*messages)
    peer.text(*messages)
    (ws,) = app.connections
    assert not peer.transport.is_reading()
    assert len(ws._messages) == kept
    peer.transport.feed(b"")
    peer.send(CLOSE, NORMAL)
    gate.set()
    await app.ended()
    assert [message for message, _ in got] == messages * 2
    assert max(behind for _, behind in got) < kept * size


@pytest.mark.parametrize(
    ("start", "first"),
    [(b"", PING), (b"", PONG), (b"\x01\x80\0\0\0\0", 0x00)],
    ids=["pings", "pongs", "fragments"],
)
async def test_a_flood_of_empty_frames_gives_way_to_others(
    app, echo, join, start, first
):
    peer = await join()
    (ws,) = app.connections
    left = []

    async def others():
        while True:
            left.append(len(ws._held or b""))
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    peer.transport.feed(start + bytes([first, 0x80, 0, 0, 0, 0]) * 5000)
    assert not peer.transport.is_reading()
    await until(peer.transport.is_reading)
    waiting.cancel()
    assert len({*left}) >= 5000 // frames.TURN  # turns that they had in between
    await peer.leave()


async def test_who_gave_way_waits_for_the_view_when_the_queue_is_full(
    app, join, monkeypatch
):
    monkeypatch.setattr(frames, "TURN", 2)
    limits(app, MAX_QUEUE=2)
    gate = asyncio.Event()
    got = []

    @app.ws()
    async def view(request, ws):
        await gate.wait()
        got.extend([message async for message in ws])

    peer = await join()
    peer.text("1", "2", "3", "4", "5")
    await peer.settle()
    (ws,) = app.connections
    assert [*ws._messages] == ["1", "2"]
    peer.send(CLOSE, NORMAL)
    gate.set()
    await app.ended()
    assert got == ["1", "2", "3", "4", "5"]


async def test_a_close_behind_a_full_queue_is_seen_when_we_close(app, join):
    limits(app, MAX_QUEUE=2)
    got, sent = [], asyncio.Event()

    @app.ws()
    async def view(request, ws):
        await sent.wait()
        await ws.close()
        got.extend([message async for message in ws])

    peer = await join()
    peer.text("1", "2", "3", "4")
    peer.send(CLOSE, NORMAL)
    sent.set()
    await app.ended()
    assert (got, peer.frames) == (["1", "2"], [(CLOSE, NORMAL)])


async def test_a_transport_that_reads_on_while_paused_loses_nothing(app, join):
    limits(app, MAX_QUEUE=1)
    gate = asyncio.Event()
    got = []

    @app.ws()
    async def view(request, ws):
        await gate.wait()
        got.extend([message async for message in ws])

    peer = await join()
    (ws,) = app.connections
    for message in (b"1", b"2", b"3"):
        ws.data_received(join.frame(TEXT, message))
    gate.set()
    peer.send(CLOSE, NORMAL)
    await app.ended()
    assert got == ["1", "2", "3"]


async def test_a_connection_that_is_lost_while_paused_reads_no_more(app, join):
    limits(app, MAX_QUEUE=1)
    got = []

    @app.ws()
    async def view(request, ws):
        await ws.wait_closed()
        got.extend([message async for message in ws])

    peer = await join()
    peer.text("1", "2")
    peer.transport.reset()
    await app.ended()
    assert got == ["1"]


async def test_send_waits_for_a_client_that_is_behind(app, join):
    limits(app, WRITE_LIMIT=100)
    sent, cancelled = [], asyncio.Event()

    @app.ws()
    async def view(request, ws):
        async def send(number):
            await ws.send(b"x" * 90)
            sent.append(number)

        await ws.recv()
        tasks = [asyncio.create_task(send(number)) for number in range(4)]
        await turns()
        tasks[2].cancel()
        cancelled.set()
        await asyncio.wait(tasks)

    peer = await join()
    peer.transport.stall()
    peer.text("go")
    await until(cancelled.is_set)
    await turns()
    assert sent == [0]
    peer.transport.drain()
    await peer.received(5)
    assert sorted(sent) == [0, 1, 3]


async def test_a_client_that_leaves_wakes_who_waits_to_send(app, join):
    limits(app, WRITE_LIMIT=100)
    errors = []

    @app.ws()
    async def view(request, ws):
        await ws.recv()
        try:
            await ws.send(b"x" * 200)
        except roll.ConnectionClosed as error:
            errors.append(error)

    peer = await join()
    peer.transport.stall()
    peer.text("go")
    await until(peer.transport.get_write_buffer_size)
    await turns()
    assert errors == []
    await peer.leave()
    await app.ended()
    assert [type(error) for error in errors] == [ConnectionClosedError]


async def test_a_client_that_reads_no_pongs_is_not_read(app, join):
    limits(app, WRITE_LIMIT=200)
    app.ws()(lambda request, ws: ws.recv())
    peer = await join()
    peer.transport.stall()
    for _ in range(100):
        peer.send(PING, b"x" * 100)
    assert peer.transport.get_write_buffer_size() < 500
    peer.transport.drain()
    frames = await peer.received(100)
    assert frames == [(PONG, b"x" * 100)] * 100


async def in_one(ws):
    await ws.send("x")


async def in_fragments(ws):
    await ws.send(Pieces("x"))


async def in_pings(ws):
    await ws.ping()


@pytest.mark.parametrize("send", [in_one, in_fragments, in_pings])
@pytest.mark.parametrize("extras", [{}, {"compression": "deflate"}])
async def test_who_goes_on_when_the_client_has_left_is_told(app, join, send, extras):
    sent = []

    @app.ws("/", **extras)
    async def view(request, ws):
        await ws.recv()
        peer.transport.reset()
        try:
            while len(sent) < 1000:  # nothing but this may give way to others
                await send(ws)
                sent.append("sent")
        except ConnectionClosedError:
            sent.append(ws.close_code)

    peer = await join(Sec_WebSocket_Extensions="permessage-deflate")
    peer.text("go")
    await app.ended()
    assert sent in ([1006], ["sent", 1006])


@pytest.mark.parametrize("send", [in_one, in_fragments])
async def test_a_view_that_sends_in_a_loop_gives_way_to_others(app, join, send):
    rounds = []

    async def others():
        while True:
            rounds.append(None)
            await asyncio.sleep(0)

    @app.ws()
    async def view(request, ws):
        waiting = asyncio.create_task(others())
        for _ in range(5000):
            await send(ws)
        waiting.cancel()

    peer = await join()
    await until(lambda: peer.frames[-1:] == [(CLOSE, NORMAL)])
    assert len(rounds) >= 5000 // frames.TURN


class Reset(Transport):
    def write_eof(self):
        self._writing_eof = True
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")


@pytest.mark.parametrize("last", [b"\x83\x80", b"\x81\x81"], ids=["opcode", "text"])
@pytest.mark.parametrize("early", [True, False])
async def test_a_client_that_resets_as_it_is_failed_ends_the_connection(
    app, join, caplog, last, early
):
    caplog.set_level(logging.INFO, "roll")
    errors = []

    @app.ws()
    async def view(request, ws):
        try:
            while True:
                await ws.send(await ws.recv())
        except Exception as error:
            errors.append(type(error))
            raise

    frames = join.frame(TEXT, b"one") + last + bytes(4) + b"\xff"
    if early:
        peer = await join(rest=frames, transport=Reset)  # as asyncio's own does
    else:
        peer = await join(transport=Reset)
        peer.transport.feed(frames)
    await app.ended()
    assert errors == [ConnectionClosedError]
    assert app.events == ["connect", "view", "disconnect"]
    assert caplog.records == []


# Keep-alive; the app's own sweep calls check()


async def test_a_client_that_answers_pings_stays(app, join):
    limits(app, PING_INTERVAL=0.02, PING_TIMEOUT=60)
    app.limits = roll.Limits(keep_alive=0.02)
    app.ws()(lambda request, ws: ws.recv())
    await app.startup()
    peer = await join()
    for number in range(3):
        await peer.received(number + 1)
        peer.send(PONG, b"keep-alive")
    assert peer.frames[:3] == [(PING, b"keep-alive")] * 3
    peer.send(CLOSE, NORMAL)
    await app.ended()
    await app.shutdown()


async def test_a_client_that_answers_no_ping_is_closed_with_1011(app, join):
    limits(app, PING_INTERVAL=0.02, PING_TIMEOUT=0.02)
    app.limits = roll.Limits(keep_alive=0.02)
    app.ws()(lambda request, ws: ws.recv())
    await app.startup()
    peer = await join()
    await app.ended()
    closed = (CLOSE, INTERNAL + b"no response to a ping")
    assert peer.frames == [(PING, b"keep-alive"), closed]
    await app.shutdown()


async def test_keep_alive_can_be_left_out(app, join):
    limits(app, PING_INTERVAL=None)
    app.ws()(lambda request, ws: ws.recv())
    peer = await join()
    (ws,) = app.connections
    ws.check(ws._mark + 1e6)
    ws.check(ws._mark + 2e6)
    assert await peer.settle() == []


async def test_a_view_that_is_behind_counts_not_as_a_silent_client(app, join):
    limits(app, MAX_QUEUE=1)

    @app.ws()
    async def view(request, ws):
        await asyncio.Event().wait()

    peer = await join()
    peer.text("1")
    (ws,) = app.connections
    for _ in range(3):  # a ping would fail if it had gone, and its pong is unread
        ws.check(ws._mark + 1e6)
    assert await peer.settle() == [(PING, b"keep-alive")] * 2


async def test_a_client_that_reads_nothing_is_cut_after_write_timeout(app, join):
    limits(app, WRITE_LIMIT=100)

    @app.ws()
    async def view(request, ws):
        await ws.recv()
        await ws.send(b"x" * 200)

    peer = await join()
    (ws,) = app.connections
    peer.transport.stall()
    peer.text("go")
    await until(peer.transport.get_write_buffer_size)
    now = ws._mark
    ws.check(now)
    ws.check(now + 59)
    peer.transport.drain(50)
    ws.check(now + 61)
    ws.check(now + 120)
    assert not peer.transport.is_closing()
    ws.check(now + 121.5)  # not 121: the sums are rounded
    await app.ended()
    ws.check(now + 500)


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        ({"MAX_SIZE": 0}, "MAX_SIZE = 0: give a whole number above 0"),
        ({"MAX_QUEUE": 1.5}, "MAX_QUEUE = 1.5: give a whole number above 0"),
        ({"TIMEOUT": True}, "TIMEOUT = True: give a number above 0"),
        ({"OPEN_TIMEOUT": None}, "OPEN_TIMEOUT = None: give a number above 0"),
        ({"PING_INTERVAL": -1}, "PING_INTERVAL = -1: give a number above 0"),
        ({"COMPRESSION": "gzip"}, "compression='gzip': give 'deflate', or None"),
    ],
)
def test_a_limit_that_is_none_is_an_error(attributes, match):
    with pytest.raises(ValueError, match=match):
        type("Wrong", (roll_websockets.WSProtocol,), attributes)


# What goes in one write


class Counting(Transport):
    """Notes each write, and tells that it has ended once it has."""

    def __init__(self, protocol):
        super().__init__(protocol)
        self.writes = []

    def write(self, data):
        self.writes.append(bytes(data))
        super().write(data)


async def test_the_answers_to_what_came_together_go_in_one_write(join, echo):
    peer = await join(transport=Counting)
    peer.transport.writes.clear()
    peer.text("a", "b", "c")
    await peer.received(3)
    assert peer.transport.writes == [b"\x81\x01a\x81\x01b\x81\x01c"]
    peer.text("d")
    await peer.received(4)
    assert peer.transport.writes[1:] == [b"\x81\x01d"]
    await peer.leave()


async def test_what_goes_together_stays_in_order_with_pongs_large_messages_and_the_end(
    app, join
):
    @app.ws()
    async def view(request, ws):
        async for message in ws:
            await ws.send(message)
            if message == "b":
                await ws.send(b"x" * 5000)
                await ws.ping("p")
            if message == "c":
                await ws.close(4000)

    peer = await join(transport=Counting)
    peer.transport.writes.clear()
    peer.text("a", "b", "c", "d")
    await until(lambda: peer.frames[-1:] == [(CLOSE, b"\x0f\xa0")])
    assert [first for first, _ in peer.frames] == [TEXT, TEXT, 0x82, 0x89, TEXT, CLOSE]
    assert len(peer.transport.writes) < len(peer.frames)
    await peer.leave()


async def test_what_was_to_go_together_is_dropped_when_the_client_has_left(app, join):
    done = asyncio.Event()

    @app.ws()
    async def view(request, ws):
        await ws.recv()
        await ws.send("held")
        peer.transport.abort()
        done.set()

    peer = await join(transport=Counting)
    peer.transport.writes.clear()
    peer.text("a", "b")
    await done.wait()
    await peer.transport.wait_closed()
    await app.ended()
    assert peer.transport.writes == []
