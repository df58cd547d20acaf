"""A client that ends its side of the connection still gets its responses.

RFC 9112, section 9.6.
"""

import asyncio
import socket

import pytest
from roll import HttpError, Limits, Roll, Server
from roll.http11.state import State
from roll_testing import connect, patience, settle, turns, until

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


class Pieces:
    """A stream whose pieces are let through one by one."""

    def __init__(self):
        self.more = asyncio.Event()

    async def __aiter__(self):
        while True:
            yield b"piece"
            await self.more.wait()
            self.more.clear()


@pytest.fixture
def app():
    app = Roll()
    app["seen"] = []
    app["gate"] = asyncio.Event()
    app["pieces"] = Pieces()

    @app.route("/plain")
    async def plain(request, response):
        await asyncio.sleep(0)
        response.body = "hello"

    @app.route("/post", methods=["POST"])
    async def post(request, response):
        response.body = request.body

    @app.route("/wait")
    async def wait(request, response):
        try:
            await app["gate"].wait()
            response.body = "waited"
        except asyncio.CancelledError:
            app["seen"].append("cancelled")
            raise

    @app.route("/go-on", on_disconnect="finish")
    async def go_on(request, response):
        await app["gate"].wait()
        app["seen"].append("finished")

    @app.route("/large")
    async def large(request, response):
        response.body = bytes(2**20)

    @app.route("/stream")
    async def stream(request, response):
        response.body = app["pieces"]

    @app.route("/few")
    async def few(request, response):
        async def pieces():
            for _ in range(3):
                await asyncio.sleep(0)
                yield b"piece"

        response.body = pieces()

    return app


def check(app, now):
    for connection in tuple(app.connections):
        connection.check(now)


async def cancelled(app):
    while not app["seen"]:
        await asyncio.sleep(0)
    assert app["seen"] == ["cancelled"]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (b"/plain", b"hello"),
        (b"/large", bytes(2**20)),
        (b"/few", b"5\r\npiece\r\n" * 3 + b"0\r\n\r\n"),
    ],
)
async def test_each_request_that_came_is_answered(app, path, body, count):
    transport = connect(app)
    transport.feed(GET % path * count)
    transport.feed_eof()
    await transport.wait_closed()
    assert transport.data.count(b"HTTP/1.1 200 OK\r\n") == count
    assert transport.data.endswith(b"\r\n\r\n" + body)
    assert app.connections == set()


@pytest.mark.parametrize("data", [b"", b"GET / HT", GET % b"/plain"])
async def test_a_connection_without_a_request_closes_at_once(app, data):
    transport = connect(app)
    transport.feed(data)
    await settle(transport)
    before = transport.data
    transport.feed_eof()
    await transport.wait_closed()
    assert transport.data == before


async def test_a_body_that_cannot_come_is_400(app):
    transport = connect(app)
    transport.feed(b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
    transport.feed_eof()
    await transport.wait_closed()
    assert transport.data.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert transport.data.endswith(b"The client left")


async def test_a_view_has_a_second_and_is_cancelled_then(app):
    transport = connect(app)
    transport.feed(GET % b"/wait")
    check(app, 0)
    transport.feed_eof()
    check(app, 10)
    check(app, 10.9)
    assert app["seen"] == []
    check(app, 11)
    await transport.wait_closed()
    await cancelled(app)
    assert transport.data == b""


async def test_a_request_has_its_second_from_when_its_turn_comes(app):
    transport = connect(app)
    transport.feed(GET % b"/wait" * 2)
    transport.feed_eof()
    check(app, 0)
    check(app, 0.9)
    await turns()  # tasks of Python 3.11 are not eager
    app["gate"].set()
    app["gate"].clear()  # the first one alone
    await turns()  # the second one is read, and the end behind it
    assert transport.data.count(b"HTTP/1.1 200 OK\r\n") == 1
    check(app, 1)
    check(app, 1.9)
    assert app["seen"] == []
    check(app, 2)
    await transport.wait_closed()
    await cancelled(app)
    assert transport.data.count(b"HTTP/1.1 200 OK\r\n") == 1


async def test_a_view_that_goes_on_without_its_client_does_so(app):
    transport = connect(app)
    transport.feed(GET % b"/go-on")
    transport.feed_eof()
    check(app, 0)
    check(app, 1)
    await transport.wait_closed()
    app["gate"].set()
    while not app["seen"]:
        await asyncio.sleep(0)
    assert app["seen"] == ["finished"]


async def test_a_stream_is_sent_as_long_as_it_goes_on(app):
    transport = connect(app)
    transport.feed(GET % b"/stream")
    transport.feed_eof()
    for now in range(10):
        check(app, now)
        before = len(transport.data)
        app["pieces"].more.set()
        while len(transport.data) == before:
            await asyncio.sleep(0)
    check(app, 10)
    check(app, 11)
    await transport.wait_closed()


async def test_the_limit_may_be_another(app):
    app.configure(limits=Limits(half_close=5))
    transport = connect(app)
    transport.feed(GET % b"/wait")
    transport.feed_eof()
    check(app, 0)
    check(app, 4.9)
    assert not transport.is_closing()
    check(app, 5)
    await transport.wait_closed()


async def test_a_reset_cancels_at_once(app):
    transport = connect(app)
    transport.feed(GET % b"/wait")
    transport.feed_eof()
    await asyncio.sleep(0)
    transport.reset()
    await transport.wait_closed()
    await cancelled(app)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_it_is_so_on_sockets(run, app, family, tmp_path):
    name = ("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "socket")
    with socket.socket(family) as sock:
        sock.bind(name)

        async def main():
            server = Server(app, [sock])
            await server.start()
            reader, writer = await (
                asyncio.open_unix_connection(name)
                if family == socket.AF_UNIX
                else asyncio.open_connection(*sock.getsockname())
            )
            for path in (b"/plain", b"/large", b"/few", b"/wait"):
                writer.write(GET % path)
            writer.write_eof()
            async with asyncio.timeout(patience(10)):
                data = await reader.read()
            writer.close()
            await server.stop()
            return data

        data = run(main())
    assert data.count(b"HTTP/1.1 200 OK\r\n") == 3  # the last one waits forever
    assert app["seen"] == ["cancelled"]


def test_a_view_is_cancelled_when_its_client_closes(run, app):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))

        async def main():
            server = Server(app, [sock])
            await server.start()
            _, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(GET % b"/wait")
            await writer.drain()
            writer.close()
            await until(lambda: app["seen"])
            await server.stop()

        run(main())
    assert app["seen"] == ["cancelled"]


async def test_a_connection_that_is_half_closed_is_not_handed_over(app):
    class Chat:
        TOKEN = "chat"
        ALLOWED_METHODS = ("GET",)

        def __init__(self, request, response):
            app["seen"].append("made")

        def connection_made(self, transport):
            raise NotImplementedError  # the test fails where it is handed over

    app.ChatProtocol = Chat

    @app.route("/chat", protocol="chat")
    async def chat(request, chat):
        raise NotImplementedError  # likewise

    @app.listen("request")
    async def wait(request, response):
        await app["gate"].wait()

    transport = connect(app)
    offer = b"Connection: Upgrade\r\nUpgrade: chat\r\n\r\n"
    transport.feed(GET.replace(b"\r\n\r\n", b"\r\n") % b"/chat" + offer)
    transport.feed_eof()
    await turns()
    app["gate"].set()
    await transport.wait_closed()
    assert app["seen"] == ["made"]


SIZE = 20 * 2**20  # more than the system holds
LENGTH = b"Content-Length: %d\r\n\r\n" % SIZE + bytes(SIZE)
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS += (b"10000\r\n" + bytes(2**16) + b"\r\n") * (SIZE // 2**16)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (b"/refuse", LENGTH, b"403 Forbidden"),
        (b"/nowhere", LENGTH, b"404 Not Found"),
        (b"/post", LENGTH, b"413 Content Too Large"),
        (b"/post", CHUNKS, b"413 Content Too Large"),
    ],
    ids=["403", "404", "413", "413-chunks"],
)
def test_a_client_that_uploads_to_who_refuses_reads_why(run, app, path, body, status):
    """It sends as much as it can before it reads: nothing resets it meanwhile.

    It is told that the connection ends, or it would send another request there.
    """

    @app.route("/refuse", methods=["POST"], lazy_body=True)
    async def refuse(request, response):
        raise HttpError(403)

    app.configure(limits=Limits(shutdown=0.1))  # its client has gone by then
    data = b"POST %b HTTP/1.1\r\nHost: a\r\n" % path + body

    def stopped():
        states = [(each.state, each.transport.is_reading()) for each in app.connections]
        return states == [(State.LINGERING, False)]

    async def ask(address):
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, address)
            sending = asyncio.create_task(loop.sock_sendall(client, data))
            try:
                await until(stopped, "the server to stop reading")
                await turns()
                assert not sending.done()
            finally:
                sending.cancel()
                await asyncio.wait([sending])
            return await loop.sock_recv(client, 1000)

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))

        async def main():
            server = Server(app, [sock])
            await server.start()
            found = await ask(sock.getsockname())
            await server.stop()
            return found

        found = run(main())
        assert found.startswith(b"HTTP/1.1 %b\r\n" % status)
        assert b"\r\nConnection: close\r\n" in found
