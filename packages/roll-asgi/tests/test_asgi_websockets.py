"""asgi: the WebSockets of a server."""

import asyncio

import pytest
from roll import Limits
from roll.extensions import asgi, websockets_store
from roll_testing import HandshakeError, turns, until
from roll_websockets import ConnectionClosed, WSProtocol

from .asgi_rules import Conversation

CONNECT = {"type": "websocket.connect"}


def scope(path="/ws", *headers, **changes):
    return {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"example.org"), *headers],
        "client": ("192.0.2.1", 1),
        "server": None,
        "subprotocols": [],
        "extensions": {},
        **changes,
    }


def text(message):
    return {"type": "websocket.receive", "text": message}


def sent(message):
    return {"type": "websocket.send", "text": message}


def leave(code, **reason):
    return {"type": "websocket.disconnect", "code": code, **reason}


ACCEPTED = {"type": "websocket.accept", "subprotocol": None, "headers": []}


@pytest.fixture
def ended(app):
    """Code and reason with which each WebSocket of `/ws` has ended; it echoes."""
    ended = []

    @app.route("/ws", protocol="websocket", subprotocols=["b", "a"])
    async def echo(request, ws):
        async for message in ws:
            if message == "close":
                await ws.close(4001, "bye")
            elif message == "fail":
                raise ValueError("a mistake")
            elif message == "return":
                return
            else:
                await ws.send(message)
        ended.append((ws.close_code, ws.close_reason))

    return ended


async def talk_to(app, *messages, **changes):
    talk = Conversation(asgi(app), scope(**changes), CONNECT, *messages)
    await talk.task
    await app.shutdown()
    return talk.sent


async def test_messages_go_both_ways(app, ended):
    large = "x" * 70_000
    given = [text("a"), {"type": "websocket.receive", "bytes": b"b" * 200}]
    talk = Conversation(asgi(app), scope(), CONNECT, *given, text(large), text(""))
    await until(lambda: len(talk.sent) == 5)
    talk.tell(leave(1001, reason="away"))
    await talk.task
    assert talk.sent == [
        ACCEPTED,
        sent("a"),
        {"type": "websocket.send", "bytes": b"b" * 200},
        sent(large),
        sent(""),
    ]
    assert ended == [(1001, "away")]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (leave(1000), (1000, "")),
        (leave(1005), (1005, "")),
        ({"type": "websocket.disconnect"}, (1005, "")),
        (leave(1006, reason=None), (1006, "")),
        (leave(4000, reason="é"), (4000, "é")),
    ],
)
async def test_a_view_learns_how_its_client_has_left(app, ended, message, expected):
    assert await talk_to(app, message) == [ACCEPTED]
    assert ended == [expected]


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("close", 4001, "bye"),
        ("return", 1000, ""),
        ("fail", 1011, "Handler died prematurely."),
    ],
)
async def test_a_view_closes(app, ended, message, code, reason):
    close = {"type": "websocket.close", "code": code, "reason": reason}
    assert await talk_to(app, text(message)) == [ACCEPTED, close]


async def test_a_close_may_have_no_code(app):
    class Silent(WSProtocol):
        def start_close(self, code=1000, reason=""):
            self._protocol.send_close()
            self._flush()

    app.WebsocketProtocol = Silent

    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        pass

    close = {"type": "websocket.close", "code": 1000, "reason": ""}
    assert await talk_to(app) == [ACCEPTED, close]


async def test_a_message_in_fragments_is_sent_as_one(app):
    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        async def pieces():
            yield "a"
            yield "b"

        await ws.send(pieces())

    assert (await talk_to(app))[1] == sent("ab")


async def test_a_ping_is_answered_at_once_and_a_pong_is_not_sent(app):
    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        await (await ws.ping())
        await ws.pong()
        await ws.send("done")

    got = await talk_to(app)
    assert [message["type"] for message in got] == [
        *("websocket.accept", "websocket.send", "websocket.close")
    ]


async def test_the_handshake_chooses_a_subprotocol_and_keeps_fields(app, ended):
    @app.listen("response")
    def add(request, response):
        response.headers["X-More"] = "yes"
        response.cookies.set("a", "1")

    fields = [(b"set-cookie", b"a=1; Path=/"), (b"x-more", b"yes")]
    accept = {"type": "websocket.accept", "subprotocol": "a", "headers": fields}
    assert await talk_to(app, leave(1000), subprotocols=["c", "a", "b"]) == [accept]


async def test_compression_is_the_servers(app):
    class Deflating(WSProtocol):
        COMPRESSION = "deflate"

    app.WebsocketProtocol = Deflating

    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        pass

    header = (b"sec-websocket-extensions", b"permessage-deflate")
    talk = Conversation(asgi(app), scope("/ws", header), CONNECT, leave(1000))
    await talk.task
    assert talk.sent[0] == ACCEPTED


OFFERED = {"websocket.http.response": {}}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/nowhere", [], 404),
        ("/plain", [], 501),
        ("/other", [], 501),
        ("/ws", [(b"origin", b"https://foreign.example")], 403),
        ("/ws", [(b"sec-websocket-version", b"12")], 400),
        ("/splits", [], 500),
    ],
)
@pytest.mark.parametrize("offered", [True, False])
async def test_a_handshake_is_refused(app, ended, path, headers, status, offered):
    class Other:
        TOKEN = "other"
        ALLOWED_METHODS = ("GET",)

    app.OtherProtocol = Other

    @app.route("/plain")
    async def plain(request, response):
        pass

    @app.route("/other", protocol="other")
    async def other(request, ws):
        pass

    @app.route("/splits", protocol="websocket")
    async def splits(request, ws):
        pass

    @app.listen("response")
    def split(request, response):
        if request.path == "/splits":
            response.headers["X-Split"] = "\r\n"

    extensions = OFFERED if offered else None
    talk = Conversation(
        asgi(app), scope(path, *headers, extensions=extensions), CONNECT
    )
    await talk.task
    if not offered:
        assert talk.sent == [{"type": "websocket.close", "code": 1000}]
        return
    start, body = talk.sent
    assert start["status"] == status
    assert (b"sec-websocket-accept") not in dict(start["headers"])
    assert body["body"]


async def test_a_refusal_may_be_a_stream(app):
    @app.listen("request")
    def refuse(request, response):
        async def pieces():
            yield "a"
            yield "b"

        response.status = 403
        response.body = pieces()
        return True

    got = await talk_to(app, extensions=OFFERED)
    assert [message.get("body") for message in got] == [None, b"a", b"b", b""]


async def test_own_origins_and_handshakes_of_http_2_pass(app, ended):
    header = (b"origin", b"http://example.org")
    given = scope("/ws", header, http_version="2")
    talk = Conversation(asgi(app), given, CONNECT, leave(1000))
    await talk.task
    assert talk.types == ["websocket.accept"]


async def test_a_client_may_leave_before_it_is_accepted(app, ended):
    waits = asyncio.Event()

    @app.listen("request")
    async def wait(request, response):
        waits.set()
        await asyncio.Event().wait()

    talk = Conversation(asgi(app), scope(), CONNECT)
    await waits.wait()
    talk.tell(text("early"), leave(1006))
    await talk.task
    assert talk.sent == []


async def test_a_client_may_leave_before_all(app, ended):
    await asgi(app)(scope(), lambda: asyncio.sleep(0, leave(1006)), None)
    assert ended == []


async def test_a_server_may_fail_to_accept(app, ended):
    talk = Conversation(asgi(app), scope(), CONNECT)
    talk.failing = ConnectionResetError()
    await talk.task
    assert ended == []


@pytest.mark.parametrize("error", [ConnectionResetError(), RuntimeError("a bug")])
async def test_a_server_may_fail_to_send(app, ended, caplog, error):
    talk = Conversation(asgi(app), scope(), CONNECT)
    await until(lambda: talk.sent)
    talk.failing = error
    talk.tell(text("a"))
    await talk.task
    assert ended == [(1006, "")]
    assert ("a bug" in caplog.text) == isinstance(error, RuntimeError)


async def test_a_view_waits_while_the_client_is_behind(app):
    counts = []

    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        for number in range(10):
            await ws.send(b"x" * 30_000)
            counts.append(number)

    room = asyncio.Semaphore(2)
    messages, got = asyncio.Queue(), []
    messages.put_nowait(CONNECT)

    async def take(message):
        await room.acquire()
        got.append(message)

    task = asyncio.ensure_future(asgi(app)(scope(), messages.get, take))
    await until(lambda: len(counts) == 3)
    await turns()
    assert len(counts) == 3  # one is sent, 90,000 bytes wait
    for _ in range(20):
        room.release()
    await task
    assert len(got) == 12


async def test_receive_waits_while_the_view_is_behind(app):
    go_on = asyncio.Event()
    got = []

    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        await go_on.wait()
        got.extend([message async for message in ws])

    messages = [text("x" * 50_000)] * 10
    talk = Conversation(asgi(app), scope(), CONNECT, *messages, leave(1000))
    await until(lambda: talk.received == 3)
    await turns()
    assert talk.received == 3
    go_on.set()
    await talk.task
    assert len(got) == 10


async def test_a_websocket_closes_when_the_app_stops(app, ended):
    talk = Conversation(asgi(app), scope(), CONNECT)
    await until(lambda: talk.sent)
    assert len(app.connections) == 1
    app.stop()
    await talk.task
    assert talk.sent[1] == {"type": "websocket.close", "code": 1001, "reason": ""}
    assert not app.connections


async def test_a_client_that_does_not_read_is_given_up(app):
    app.configure(limits=Limits(write_timeout=0.05))
    ended = []

    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        try:
            while True:
                await ws.send(b"x" * 100_000)
        except ConnectionClosed:
            ended.append(ws.close_code)

    messages = asyncio.Queue()
    messages.put_nowait(CONNECT)

    async def send(message):
        if message["type"] == "websocket.send":
            await asyncio.Event().wait()

    await asgi(app)(scope(), messages.get, send)
    assert ended == [1006]
    await app.shutdown()


async def test_one_may_be_aborted(app, ended):
    talk = Conversation(asgi(app), scope(), CONNECT)
    await until(lambda: app.connections)
    (ws,) = app.connections
    ws.abort()
    await talk.task
    assert ended == [(1006, "")]


async def test_a_message_that_is_too_large_closes(app):
    class Small(WSProtocol):
        MAX_SIZE = 10

    app.WebsocketProtocol = Small

    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        await ws.recv()

    assert (await talk_to(app, text("x" * 11)))[1]["code"] == 1009


async def test_store_listeners_and_disconnected_know_of_them(app, ended):
    websockets_store(app)
    events = []
    app.listen("websocket_connect")(lambda request, ws: events.append("connect"))
    app.listen("websocket_disconnect")(lambda request, ws: events.append("disconnect"))
    app.listen("finish")(lambda request, response: events.append(response.status.value))
    told = []

    @app.route("/told", protocol="websocket")
    async def view(request, ws):
        told.append(asyncio.ensure_future(request.disconnected()))
        await ws.recv()

    talk = Conversation(asgi(app), scope("/told"), CONNECT)
    await until(lambda: told)
    assert len(app["websockets"]) == 1
    talk.tell(text("a"))
    await talk.task
    await told[0]
    assert events == [101, "connect", "disconnect"]
    assert not app["websockets"]


async def test_websockets_go_through_asgi_both_ways(app, ended, through):
    async with through.websocket("/at/ws", subprotocols=["a"]) as session:
        assert session.subprotocol == "a"
        await session.send("文")
        assert await session.recv() == "文"
        await session.close(4002, "enough")
    await until(lambda: ended == [(4002, "enough")])
    with pytest.raises(HandshakeError, match="404"):
        async with through.websocket("/at/nowhere"):
            pass
