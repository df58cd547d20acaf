"""mount_asgi: WebSockets for a mounted application."""

import asyncio

import pytest
from roll.extensions import mount_asgi
from roll_testing import Client, HandshakeError, connect, turns, until
from roll_websockets import ConnectionClosed, WSProtocol

from .asgi_rules import checked

ACCEPT = {"type": "websocket.accept"}


@pytest.fixture
def calls():
    """The scope, and what was received, of each call."""
    return []


@pytest.fixture
def serve(app, calls):
    """Mount a function of receive and send."""

    def add(function, **options):
        async def application(scope, receive, send):
            calls.append(scope)

            async def keep():
                message = await receive()
                calls.append(message)
                return message

            await function(keep, send)

        mount_asgi(app, "/m", checked(application), lifespan=False, **options)
        return function

    return add


async def drain(session):
    """Receive until the WebSocket is closed: there are no messages."""
    with pytest.raises((ConnectionClosed, StopAsyncIteration)):
        await anext(session)


async def echo(receive, send):
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def test_messages_go_both_ways(client, serve, calls):
    serve(echo)
    fields = {"Origin": "http://roll.test", "Host": "roll.test"}
    async with client.websocket("/m/a?b=1", headers=fields) as session:
        await session.send("文")
        assert await session.recv() == "文"
        await session.send(b"x" * 50_000)
        assert await session.recv() == b"x" * 50_000
        await session.close(4001, "enough")
    await until(lambda: calls[-1]["type"] == "websocket.disconnect")
    assert calls[-1] == {
        "type": "websocket.disconnect",
        "code": 4001,
        "reason": "enough",
    }
    scope = calls[0]
    assert (scope["type"], scope["scheme"], scope["path"]) == (
        "websocket",
        "ws",
        "/m/a",
    )
    assert (scope["query_string"], scope["root_path"]) == (b"b=1", "/m")
    assert scope["subprotocols"] == []
    assert "method" not in scope
    assert scope["extensions"] == {"websocket.http.response": {}}


async def test_it_accepts_with_a_subprotocol_and_fields(client, serve, calls):
    @serve
    async def accept(receive, send):
        await receive()
        headers = [(b"x-a", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        await send({**ACCEPT, "subprotocol": "b", "headers": headers})

    async with client.websocket("/m", subprotocols=["a", "b"]) as session:
        assert session.subprotocol == "b"
    assert calls[0]["subprotocols"] == ["a", "b"]
    head = client.transport.data.partition(b"\r\n\r\n")[0]
    assert b"\r\nx-a: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n" in head
    assert client.cookies == {"a": "1", "b": "2"}


async def test_the_101_is_sent_when_it_accepts(client, serve, calls):
    go_on = asyncio.Event()

    @serve
    async def accept(receive, send):
        await receive()
        await go_on.wait()
        await send(ACCEPT)

    async def open_one():
        async with client.websocket("/m"):
            pass

    opening = asyncio.ensure_future(open_one())
    await until(lambda: len(calls) == 2)
    await turns()
    assert client.transport.data == b""
    go_on.set()
    await opening


@pytest.mark.parametrize("code", [None, 1000, 4000])
async def test_it_closes(client, serve, code):
    @serve
    async def close(receive, send):
        await receive()
        await send(ACCEPT)
        closing = {"type": "websocket.close"}
        if code is not None:
            closing |= {"code": code, "reason": "bye"}
        await send(closing)
        assert (await receive())["type"] == "websocket.disconnect"

    async with client.websocket("/m") as session:
        with pytest.raises(Exception, match=f"{code or 1000}"):
            await session.recv()
    assert session.close_code == (code or 1000)


async def test_one_that_returns_closes_with_1000(client, serve):
    @serve
    async def leave(receive, send):
        await receive()
        await send(ACCEPT)

    async with client.websocket("/m") as session:
        await drain(session)
    assert session.close_code == 1000


async def test_one_that_raises_closes_with_1011(client, serve, caplog):
    @serve
    async def fail(receive, send):
        await receive()
        await send(ACCEPT)
        raise ValueError("a mistake")

    async with client.websocket("/m") as session:
        await drain(session)
    assert session.close_code == 1011
    assert caplog.text.count("Traceback") == 1


async def refused(client, path="/m", **options):
    with pytest.raises(HandshakeError) as error:
        async with client.websocket(path, **options):
            pass
    response = error.value.response
    return int(response.status), response.body


async def test_a_close_before_is_403(client, serve):
    @serve
    async def close(receive, send):
        await receive()
        await send({"type": "websocket.close"})

    assert await refused(client) == (403, b"Forbidden")


@pytest.mark.parametrize("kind", ["websocket.close", "websocket.http.response.body"])
async def test_one_that_has_refused_is_told_of_the_end(client, serve, calls, kind):
    @serve
    async def refuse(receive, send):
        await receive()
        if kind != "websocket.close":
            start = {"type": "websocket.http.response.start", "status": 403}
            await send({**start, "headers": []})
        await send({"type": kind})
        await receive()

    assert (await refused(client))[0] == 403
    await until(lambda: calls[-1]["type"] == "websocket.disconnect")


@pytest.mark.parametrize("streams", [True, False])
async def test_it_may_refuse_with_a_response(client, serve, streams):
    @serve
    async def refuse(receive, send):
        await receive()
        kind = "websocket.http.response"
        await send({"type": f"{kind}.start", "status": 402, "headers": []})
        if streams:
            await send({"type": f"{kind}.body", "body": b"do ", "more_body": True})
        await send({"type": f"{kind}.body", "body": b"pay"})

    assert await refused(client) == (402, b"do pay" if streams else b"pay")


async def test_one_that_does_not_answer_is_500(client, serve):
    @serve
    async def nothing(receive, send):
        await receive()

    assert (await refused(client))[0] == 500


FOREIGN = {"Origin": "https://foreign.example"}


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({}, False),
        ({"origins": ["https://other.example"]}, False),
        ({"origins": ["https://foreign.example"]}, True),
        ({"origins": "*"}, True),
    ],
)
async def test_pages_of_other_origins_are_refused(
    client, serve, calls, options, allowed
):
    serve(echo, **options)
    if allowed:
        async with client.websocket("/m", headers=FOREIGN):
            pass
    else:
        assert (await refused(client, headers=FOREIGN))[0] == 403
        assert calls == []


async def test_a_malformed_handshake_is_400(client, serve, calls):
    serve(echo)
    fields = {"Sec-WebSocket-Version": "12"}
    assert (await refused(client, headers=fields))[0] == 400
    assert calls == []


async def test_a_plain_request_of_the_same_path_is_one(client, app):
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": scope["type"].encode()})

    mount_asgi(app, "/m", application, lifespan=False)
    assert (await client.get("/m")).body == b"http"
    fields = {"Connection": "Upgrade", "Upgrade": "h2c"}
    assert (await client.get("/m", headers=fields)).body == b"http"


async def test_the_routes_of_the_app_win(client, app, serve, calls):
    serve(echo)

    @app.route("/m/own", protocol="websocket")
    async def own(request, ws):
        await ws.send("own")

    @app.route("/m/plain")
    async def plain(request, response):
        pass

    async with client.websocket("/m/own") as session:
        assert await session.recv() == "own"
    assert (await refused(client, "/m/plain"))[0] == 501
    assert calls == []


async def test_a_mount_may_be_below_another(client, app, serve, calls):
    serve(echo)

    async def below(scope, receive, send):
        calls.append(scope)
        await echo(receive, send)

    mount_asgi(app, "/m/n", checked(below), lifespan=False)
    async with client.websocket("/m/n/a") as session:
        await session.send("a")
        assert await session.recv() == "a"
    assert calls[0]["root_path"] == "/m/n"


async def test_a_client_that_leaves_without_a_close_is_1006(app, serve, calls):
    ended = []

    @serve
    async def wait(receive, send):
        await receive()
        await send(ACCEPT)
        ended.append(await receive())
        ended.append(await receive())
        with pytest.raises(OSError, match="the client has left"):
            await send({"type": "websocket.send", "text": "a"})
        ended.append("returned")

    async with Client(app) as client, client.websocket("/m"):
        client.transport.reset()
        await until(lambda: len(ended) == 3)
    gone = {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert ended == [gone, gone, "returned"]


async def test_one_that_sends_to_nobody_is_not_logged(app, serve, caplog):
    ended = asyncio.Event()

    @serve
    async def go_on(receive, send):
        await receive()
        await send(ACCEPT)
        try:
            while True:
                await send({"type": "websocket.send", "text": "more"})
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with Client(app) as client, client.websocket("/m"):
        client.transport.reset()
        await ended.wait()
    assert not caplog.records


HANDSHAKE = (
    b"GET /m HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_client_may_leave_before_it_is_accepted(app, serve, calls, accepts):
    go_on = asyncio.Event()
    raised = []

    @serve
    async def wait(receive, send):
        await receive()
        if not accepts:
            raised.append((await receive())["code"])
            return
        await go_on.wait()
        with pytest.raises(OSError, match="the client has left"):
            await send(ACCEPT)
        raised.append(1006)

    await app.startup()
    transport = connect(app)
    transport.feed(HANDSHAKE)
    await until(lambda: len(calls) == 2)
    transport.reset()
    await transport.wait_closed()
    await turns()
    go_on.set()
    await until(lambda: raised == [1006])
    await app.shutdown()


async def test_a_listener_may_refuse_what_it_accepts(app, client, serve):
    ended = []

    @app.listen("response")
    def refuse(request, response):
        response.status = 403

    async def accept(receive, send):
        await receive()
        try:
            await send(ACCEPT)
        except OSError:
            ended.append(True)

    serve(accept, timeout=0.01)
    assert (await refused(client))[0] == 403
    await until(lambda: ended)


async def test_a_message_that_cannot_be_sent_is_an_error(client, serve, caplog):
    @serve
    async def split(receive, send):
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": "\ud800"})

    async with client.websocket("/m") as session:
        await drain(session)
    assert session.close_code == 1011
    assert "surrogates not allowed" in caplog.text


async def test_a_message_that_does_not_fit_is_an_error(app, client):
    raised = []

    async def application(scope, receive, send):
        for bad in ({"type": "websocket.send", "text": ""}, {"type": "other"}):
            with pytest.raises(RuntimeError, match="is unexpected here"):
                await send(bad)
        await send(ACCEPT)
        with pytest.raises(RuntimeError, match="is unexpected here"):
            await send(ACCEPT)
        raised.append(True)

    mount_asgi(app, "/m", application, lifespan=False)
    async with client.websocket("/m"):
        pass
    assert raised


async def test_its_websockets_close_when_the_app_ends(app, serve, calls):
    serve(echo)
    client = Client(app)
    async with client.websocket("/m") as session:
        stopping = asyncio.ensure_future(app.shutdown())
        await drain(session)
    await stopping
    assert session.close_code == 1001
    assert calls[-1]["type"] == "websocket.disconnect"


async def test_the_class_of_the_app_has_the_limits(app, client, serve):
    class Small(WSProtocol):
        MAX_SIZE = 10

    app.WebsocketProtocol = Small
    serve(echo)
    async with client.websocket("/m") as session:
        await session.send("x" * 11)
        await drain(session)
    assert session.close_code == 1009
