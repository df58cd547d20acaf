"""The client's side of a WebSocket, in memory and through a socket."""

import asyncio
import socket
import sys
from base64 import b64encode
from hashlib import sha1

import pytest
from roll import HttpError, Roll
from roll_testing import Client, HandshakeError, patience, turns
from roll_testing.wire import RESET
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@pytest.fixture
def app():
    app = Roll()
    app["sent"] = 0
    app["done"] = asyncio.Event()

    @app.route("/echo", protocol="websocket", subprotocols=["chat", "shout"])
    async def echo(request, ws):
        app["subprotocol"] = ws.subprotocol
        app["request"] = dict(request.headers), request.url.decode()
        async for message in ws:
            await ws.send(message)
        app["done"].set()

    @app.route("/greets", protocol="websocket")
    async def greets(request, ws):
        await ws.send("hello")
        await ws.send("hé")
        await ws.close(1000, "bye")
        app["done"].set()

    @app.route("/fragments", protocol="websocket")
    async def fragments(request, ws):
        await ws.send(parts())

    @app.route("/fails", protocol="websocket")
    async def fails(request, ws):
        await ws.recv()
        raise RuntimeError("the view is broken")

    @app.route("/many", protocol="websocket")
    async def many(request, ws):
        for number in range(1000):
            await ws.send(f"{number:1000}")
            app["sent"] = number + 1

    @app.route("/pings", protocol="websocket")
    async def pings(request, ws):
        await (await ws.ping(b"x"))
        app["done"].set()
        await ws.recv()

    @app.route("/private", protocol="websocket")
    async def private(request, ws):
        raise AssertionError

    @app.listen("request")
    async def refuse(request, response):
        if request.path == "/private":
            response.cookies.set("seen", "1")
            raise HttpError(403, "Not for you")

    return app


async def parts():
    yield "hé"
    yield "ho"


@pytest.fixture(params=["client", "liveclient"])
def sender(request):
    return request.getfixturevalue(request.param)


async def within_time(event):
    async with asyncio.timeout(patience(5)):
        await event.wait()


async def test_messages_go_both_ways(sender, app):
    async with sender.websocket("/echo") as ws:
        for message in ("hé", b"\xff", "", b"", "x" * 100_000):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(bytearray(b"a"))
        await ws.send(memoryview(b"b"))
        assert [await ws.recv(), await ws.recv()] == [b"a", b"b"]
        assert (ws.close_code, ws.close_reason, ws.subprotocol) == (None, None, None)
        assert ws.response.status == 101
    assert (ws.close_code, ws.close_reason) == (1000, "")
    await within_time(app["done"])


async def test_the_session_ends_with_the_server(sender, app):
    async with sender.websocket("/greets") as ws:
        assert [message async for message in ws] == ["hello", "hé"]
        assert (ws.close_code, ws.close_reason) == (1000, "bye")
        with pytest.raises(ConnectionClosedOK, match="bye"):
            await ws.recv()
        with pytest.raises(ConnectionClosedOK, match="bye"):
            await ws.send("x")
    await within_time(app["done"])


async def test_messages_are_kept_after_the_end(sender, app):
    async with sender.websocket("/greets") as ws:
        await within_time(app["done"])  # no recv is needed for the server to close
        await ws.close()
        assert ws.close_code == 1000
        assert [message async for message in ws] == ["hello", "hé"]


async def test_a_view_that_fails_is_an_error(sender, app, caplog):
    async with sender.websocket("/fails") as ws:
        await ws.send("x")
        with pytest.raises(ConnectionClosedError):
            [message async for message in ws]
        assert ws.close_code == 1011


async def test_fragments_are_one_message(sender):
    async with sender.websocket("/fragments") as ws:
        assert [message async for message in ws] == ["hého"]


async def test_a_client_closes_with_code_and_reason(sender, app):
    async with sender.websocket("/echo") as ws:
        await ws.close(4001, "enough")
        assert (ws.close_code, ws.close_reason) == (4001, "enough")
        await ws.close()
        with pytest.raises(ConnectionClosedError, match="enough"):
            await ws.send("x")
    await within_time(app["done"])


async def test_pings_are_answered_while_nobody_receives(sender, app):
    async with sender.websocket("/pings"):
        await within_time(app["done"])


async def test_a_server_waits_for_a_client_that_does_not_receive(client, app):
    async with client.websocket("/many") as ws:
        assert await ws.recv() == f"{0:1000}"
        sent = -1
        async with asyncio.timeout(patience(5)):
            while sent != app["sent"]:
                sent = app["sent"]
                await turns()
        assert sent < 1000
        assert len([message async for message in ws]) == 999
        assert app["sent"] == 1000


async def test_a_session_may_be_left_with_messages_unread(sender):
    async with sender.websocket("/many") as ws:
        await ws.recv()
    assert ws.close_code == 1000


async def test_a_subprotocol_is_agreed_on(sender, app):
    async with sender.websocket("/echo", subprotocols=["shout", "other"]) as ws:
        await ws.send("x")
        await ws.recv()
        assert ws.subprotocol == app["subprotocol"] == "shout"


async def test_headers_cookies_and_parameters_are_sent(client, app):
    client.default_headers["X-A"] = "a"
    client.cookies["c"] = "1"
    async with client.websocket(
        "/echo?é", headers={"X-B": "b"}, params={"q": "1"}
    ) as ws:
        await ws.send("x")
        await ws.recv()
        headers, url = app["request"]
        assert (headers["X-A"], headers["X-B"], headers["COOKIE"]) == ("a", "b", "c=1")
        assert headers["HOST"] == "roll.test"
        assert url == "/echo?%C3%A9&q=1"


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/private", 403, "GET /private is answered with 403 Forbidden.*Not for you"),
        ("/nowhere", 404, "GET /nowhere is answered with 404 Not Found"),
    ],
)
async def test_a_refused_handshake_has_the_response(sender, path, status, text):
    with pytest.raises(HandshakeError, match=text) as info:
        async with sender.websocket(path):
            raise AssertionError
    assert info.value.response.status == status
    assert info.value.response.body


async def test_cookies_of_a_refusal_are_kept(client):
    with pytest.raises(HandshakeError):
        async with client.websocket("/private"):
            raise AssertionError
    assert client.cookies == {"seen": "1"}


async def test_a_message_that_does_not_come_is_an_error(sender):
    async with sender.websocket("/echo") as ws:
        before, ws._timeout = ws._timeout, 0.05
        with pytest.raises(TimeoutError, match=r"no message came for 0\.05 s"):
            await ws.recv()
        ws._timeout = before


async def test_a_call_that_is_cancelled_loses_no_message(sender):
    async with sender.websocket("/echo") as ws:
        receiving = asyncio.create_task(ws.recv())
        await turns()
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        await ws.send("x")
        assert await ws.recv() == "x"


@pytest.mark.parametrize("message", [None, 1, ["a"]])
async def test_a_message_is_text_or_bytes(client, message):
    async with client.websocket("/echo") as ws:
        with pytest.raises(TypeError, match="a message is a string or bytes, not"):
            await ws.send(message)


async def test_an_exception_in_the_block_comes_out(sender, app):
    with pytest.raises(KeyError):
        async with sender.websocket("/echo"):
            raise KeyError
    await within_time(app["done"])
    assert not app.connections


async def test_without_websockets_the_error_says_what_to_install(client, monkeypatch):
    monkeypatch.delitem(sys.modules, "roll_testing.websocket", raising=False)
    monkeypatch.setitem(sys.modules, "websockets.client", None)
    with pytest.raises(ImportError, match=r"pip install 'roll-testing\[websockets\]'"):
        async with client.websocket("/echo"):
            raise AssertionError


# What only a server of one's own sends


class Script(asyncio.Protocol):
    """Answers a handshake with bytes."""

    def __init__(self, answer, then=None):
        self.answer = answer
        self.then = then
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.received:
            self.received += data
            return
        self.received = data
        key = data.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
        accept = b64encode(sha1((key + GUID).encode()).digest())
        self.transport.write(self.answer.replace(b"{accept}", accept))
        if self.then is not None:
            self.then(self.transport)


SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
)


def scripted(answer, then=None):
    app = Roll()
    app.factory = lambda: Script(answer, then)
    return Client(app)


@pytest.mark.parametrize(
    "answer",
    [
        SWITCH.replace(b"{accept}", b"x"),
        SWITCH.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: a\r\n\r\n"),
    ],
)
async def test_a_handshake_is_checked(answer):
    async with scripted(answer) as client:
        with pytest.raises(HandshakeError, match="a wrong response") as info:
            async with client.websocket("/"):
                raise AssertionError
    assert info.value.response.status == 101


async def test_a_handshake_that_is_not_answered_is_an_error():
    async with scripted(b"HTTP/1.1 ") as client:
        client.timeout = 0.2
        said = f"after {patience(0.2):g} s; received so far: b'HT"
        with pytest.raises(TimeoutError, match=said):
            async with client.websocket("/"):
                raise AssertionError
    async with scripted(b"", lambda transport: transport.close()) as client:
        with pytest.raises(ConnectionError, match=r"GET /: .* without a response"):
            async with client.websocket("/"):
                raise AssertionError


async def test_frames_may_come_with_the_handshake():
    frames = b"\x01\x01a\x89\x00\x80\x01b\x82\x01\xff"  # a ping between two fragments
    async with scripted(SWITCH + frames, lambda t: t.close()) as client:
        async with client.websocket("/") as ws:
            assert [await ws.recv(), await ws.recv()] == ["ab", b"\xff"]
            with pytest.raises(ConnectionClosedError):  # it sent no Close
                await ws.recv()
        assert ws.close_code == 1006


async def test_text_that_is_not_utf8_fails_the_connection():
    def close_soon(transport):
        asyncio.get_running_loop().call_later(0.05, transport.close)

    async with (
        scripted(SWITCH + b"\x81\x01\xff", close_soon) as client,
        client.websocket("/") as ws,
    ):
        with pytest.raises(ConnectionClosedError, match="1007"):
            await ws.recv()


async def test_a_server_that_does_not_close_is_an_error():
    async with scripted(SWITCH) as client:
        with pytest.raises(TimeoutError, match=r"did not close its side for 0\.05 s"):
            async with client.websocket("/") as ws:
                ws._timeout = 0.05


async def test_a_connection_that_breaks_has_ended(liveclient, app):
    async with liveclient.websocket("/echo") as ws:
        for connection in [*app.connections]:
            sock = connection._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection._transport.abort()
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert ws.close_code == 1006
