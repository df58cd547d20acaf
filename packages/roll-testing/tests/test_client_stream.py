"""Answers read piece by piece, in memory and through a socket."""

import asyncio
import socket

import pytest
from roll import HttpError, Limits, Roll
from roll_testing import LiveClient, RedirectError, StreamedResponse, patience, turns
from roll_testing.wire import RESET


@pytest.fixture
def app():
    app = Roll()
    app["left"] = asyncio.Event()
    app["made"] = 0

    @app.route("/endless")
    async def endless(request, response):
        async def body():
            try:
                while True:
                    app["made"] += 1
                    yield f"piece {app['made']};"
            finally:
                app["left"].set()

        response.headers["Content-Type"] = "text/plain"
        response.cookies.set("a", "1")
        response.body = body()

    @app.route("/waits")
    async def waits(request, response):
        async def body():
            yield b"first"
            try:
                await asyncio.Event().wait()
            finally:
                app["left"].set()

        response.body = body()

    @app.route("/hello")
    async def hello(request, response):
        response.body = "hello"

    @app.route("/echo", methods="POST", lazy_body=True)
    async def echo(request, response):
        response.body = request

    @app.route("/stuck")
    async def stuck(request, response):
        await asyncio.Event().wait()

    @app.route("/cut")
    async def cut(request, response):
        async def body():
            yield b"abc"
            request.protocol.transport.abort()
            await asyncio.Event().wait()

        response.body = body()

    @app.route("/broken")
    async def broken(request, response):
        request.protocol.transport.write(b"nonsense\r\n\r\n")
        await asyncio.Event().wait()

    @app.route("/until-eof")
    async def until_eof(request, response):
        request.protocol.transport.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        request.protocol.transport.close()
        await asyncio.Event().wait()

    @app.route("/refused", methods="POST", lazy_body=True)
    async def refused(request, response):
        raise HttpError(403, "No")

    @app.route("/reset", methods="POST", lazy_body=True)
    async def reset(request, response):
        async def body():
            yield await anext(aiter(request))
            transport = request.protocol.transport
            if (sock := transport.get_extra_info("socket")) is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            transport.abort()
            await asyncio.Event().wait()

        response.body = body()

    @app.route("/moved", methods=["GET", "POST"])
    async def moved(request, response):
        response.cookies.set("moved", "1")
        response.redirect = request.query.get("to", "/hello"), 302

    return app


@pytest.fixture(params=["client", "liveclient"])
def sender(request):
    return request.getfixturevalue(request.param)


async def test_an_endless_answer_is_read_and_left(sender, app):
    async with sender.stream("/endless") as response:
        assert isinstance(response, StreamedResponse)
        assert (response.status, response.reason) == (200, "OK")
        assert response.version == "1.1"
        assert response.headers["Content-Type"] == "text/plain"
        assert response.cookies == {"a": "1"}
        pieces = []
        async for piece in response:
            pieces.append(piece)
            if len(pieces) == 3:
                break
        assert pieces == [b"piece 1;", b"piece 2;", b"piece 3;"]
        assert await anext(response) == b"piece 4;"  # none is lost between loops
        assert not response.complete
        assert not app["left"].is_set()
    async with asyncio.timeout(patience(5)):
        await app["left"].wait()


async def test_a_server_waits_for_a_client_that_does_not_read(client, app):
    async with client.stream("/endless"):
        made = -1
        async with asyncio.timeout(patience(5)):
            while made != app["made"]:
                made = app["made"]
                await turns()
        assert len(client.transport.data) < 2**17


async def test_what_is_left_is_read_at_once(sender):
    async with sender.stream("/hello") as response:
        assert await response.read() == b"hello"
        assert response.complete
        assert await response.read() == b""
        assert [piece async for piece in response] == []


async def test_an_answer_without_content_is_complete(sender):
    async with sender.stream("/hello", "HEAD") as response:
        assert (response.status, response.complete) == (200, True)
        assert await response.read() == b""


async def test_an_answer_may_end_with_the_connection(sender):
    async with sender.stream("/until-eof") as response:
        assert await response.read() == b"abc"
        assert response.complete


async def test_a_body_may_be_sent_while_the_answer_is_read(sender):
    async def pieces():
        for _ in range(40):
            yield bytes(2**16)

    async with sender.stream("/echo", "POST", pieces()) as response:
        assert len(await response.read()) == 40 * 2**16


async def test_a_request_takes_what_others_take(sender):
    async with sender.stream("/echo", "post", {"a": 1}, params={"b": 1}) as response:
        assert await response.read() == b'{"a": 1}'


async def test_a_body_is_left_when_the_block_ends(sender):
    async def endless():
        while True:
            yield bytes(2**16)

    async with sender.stream("/refused", "POST", endless()) as response:
        assert response.status == 403


async def test_a_body_that_fails_is_the_error(sender):
    async def broken():
        yield b"a"
        raise RuntimeError("the body is broken")

    with pytest.raises(RuntimeError, match="the body is broken"):
        async with sender.stream("/echo", "POST", broken()) as response:
            await response.read()


async def test_a_body_is_left_when_the_connection_is_reset(sender):
    asked_for = []
    lost = asyncio.Event()

    async def pieces():
        yield b"a"
        await lost.wait()
        for piece in (b"b", b"c"):
            asked_for.append(piece)
            yield piece

    async with sender.stream("/reset", "POST", pieces()) as response:
        with pytest.raises(ConnectionError, match="POST /reset: "):
            await response.read()
        lost.set()
        await turns()
        assert asked_for == [b"b"]


async def test_a_head_that_never_comes_is_an_error(sender):
    sender.timeout = 0.05
    said = f"GET /stuck: nothing came for {patience(0.05):g} s"
    with pytest.raises(TimeoutError, match=said):
        async with sender.stream("/stuck"):
            raise AssertionError


async def test_a_piece_that_never_comes_is_an_error(sender):
    async with sender.stream("/waits") as response:
        assert await anext(response) == b"first"
        response._timeout = 0.05
        with pytest.raises(TimeoutError, match="GET /waits: nothing came"):
            await anext(response)


async def test_an_answer_that_is_cut_is_an_error(sender):
    with pytest.raises(ConnectionError, match=r"GET /cut: .*before the end.*abc"):
        async with sender.stream("/cut") as response:
            await response.read()


async def test_an_answer_that_breaks_http_is_an_error(sender):
    with pytest.raises(ValueError, match="breaks HTTP"):
        async with sender.stream("/broken"):
            raise AssertionError


async def test_redirects_are_followed(sender):
    async with sender.stream("/moved") as response:
        assert (response.status, response.history) == (302, [])
    async with sender.stream("/moved", "POST", follow_redirects=True) as response:
        assert await response.read() == b"hello"
        assert [one.status for one in response.history] == [302]
    with pytest.raises(RedirectError):
        async with sender.stream("/moved?to=http://x.test", follow_redirects=True):
            raise AssertionError


async def test_cookies_are_learnt(client):
    async with client.stream("/moved"):
        assert client.cookies == {"moved": "1"}


async def test_a_view_that_waits_is_cancelled_when_the_block_ends(client, app):
    async with client.stream("/waits") as response:
        assert await anext(response) == b"first"
    assert app["left"].is_set()


async def test_a_view_behind_a_socket_is_cancelled_without_delay(app):
    # How long a view goes on for a client that has only ended its side.
    app.configure(limits=Limits(half_close=600))
    async with LiveClient(app) as liveclient:
        async with liveclient.stream("/waits") as response:
            assert await anext(response) == b"first"
        async with asyncio.timeout(patience(5)):
            await app["left"].wait()


async def test_an_exception_in_the_block_comes_out(sender, app):
    with pytest.raises(KeyError):
        async with sender.stream("/endless"):
            raise KeyError
    async with asyncio.timeout(patience(5)):
        await app["left"].wait()
