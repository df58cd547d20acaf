import asyncio

import pytest
from roll import HttpProtocol, Roll
from roll_testing import Exchange, connect, exchange, patience, settle, turns
from roll_testing.raw import TURNS

GET = b"GET / HTTP/1.1\r\nHost: roll.test\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: roll.test\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: roll.test\r\nContent-Length: 4\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@pytest.fixture
def app():
    app = Roll()

    @app.route("/", methods=["GET", "POST"])
    async def ok(request, response):
        response.body = "ok"

    @app.route("/slow")
    async def slow(request, response):
        await asyncio.sleep(0.05)
        response.body = "ok"

    @app.route("/stuck")
    async def stuck(request, response):
        await asyncio.Event().wait()

    @app.route("/lazy", methods="POST", lazy_body=True)
    async def lazy(request, response):
        async for piece in request:
            await turns()
            assert piece
        response.body = "ok"

    return app


@pytest.mark.parametrize("split", [None, 1, 7])
async def test_answers_come_in_order(app, split):
    assert await exchange(app, GET + GET, split=split) == (OK + OK, False)
    assert app.connections == set()


async def test_a_server_that_closes_is_seen(app):
    assert await exchange(app, LAST) == Exchange(LAST_OK, closed=True)
    assert await exchange(app, [LAST, GET]) == Exchange(LAST_OK, closed=True)


async def test_a_refusal_is_seen_whole(app):
    data, closed = await exchange(app, b"GET  / HTTP/9\r\n\r\n", split=1)
    assert data.startswith(b"HTTP/1.1 4") or data.startswith(b"HTTP/1.1 5")
    assert data.count(b"HTTP/1.1") == 1
    assert closed


async def test_trailing_data_comes_with_the_last_read(app):
    reads = []

    class Protocol(HttpProtocol):
        def data_received(self, data):
            reads.append(data)
            super().data_received(data)

    app.factory = lambda: Protocol(app)
    assert await exchange(app, GET, split=20, trailing=b"GET") == (OK, False)
    assert reads == [GET[:20], GET[20:] + b"GET"]
    reads.clear()
    assert await exchange(app, [GET[:2], GET[2:]], trailing=b"G") == (OK, False)
    assert reads == [GET[:2], GET[2:] + b"G"]


@pytest.mark.parametrize("data", [b"", [], b"GET / HT"])
async def test_nothing_to_answer_ends_at_once(app, data):
    assert await exchange(app, data, timeout=0.04) == (b"", False)


async def test_a_slow_view_is_waited_for(app):
    assert await exchange(app, GET.replace(b"/ ", b"/slow ", 1)) == (OK, False)


async def test_an_incomplete_body_is_not_waited_for(app):
    assert await exchange(app, POST + b"abc", idle=0.01) == (b"", False)
    assert app.connections == set()


async def test_a_body_may_be_asked_for(app):
    expecting = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert await exchange(app, expecting, idle=0.01) == (go_on, False)
    transport = connect(app)
    transport.feed(expecting)
    await settle(transport, idle=0.01)
    transport.feed(b"body")
    await settle(transport)
    assert transport.data == go_on + OK


async def test_a_body_that_is_held_back_is_waited_for(app):
    head = b"POST /lazy HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    assert await exchange(app, head + bytes(1000000), idle=0.001) == (OK, False)


async def test_a_view_that_never_answers_is_an_error(app):
    with pytest.raises(TimeoutError, match=f"served after {patience(0.02):g} s; .*b''"):
        await exchange(app, b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n", timeout=0.02)
    assert app.connections == set()


async def test_a_connection_takes_the_options_of_a_transport(app):
    transport = connect(app, extra={"peername": ("192.0.2.1", 9)}, closes=False)
    assert transport.get_protocol().remote_addr == "192.0.2.1"
    transport.feed(b"nonsense\r\n\r\n")
    await settle(transport)
    assert (transport.eof or transport.closed) is True


async def test_a_stalled_client_has_settled(app):
    transport = connect(app)
    transport.stall()
    transport.feed(LAST)
    await settle(transport)
    assert (transport.data, transport.is_closing()) == (b"", True)
    transport.drain()
    await settle(transport)
    assert (transport.data, transport.closed) == (LAST_OK, True)


async def test_another_protocol_is_waited_for_while_it_writes(app):
    class Talker(asyncio.Protocol):
        async def talk(self, transport):
            for _ in range(3):
                await turns()
                transport.write(b".")

    transport = connect(app)
    talker = Talker()
    transport.set_protocol(talker)
    task = asyncio.create_task(talker.talk(transport))
    await settle(transport, idle=0.2)
    assert transport.data == b"..."
    await task


async def test_what_starts_a_little_later_is_waited_for(app):
    transport = connect(app)
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, transport.feed, GET)
    await settle(transport)
    assert transport.data == OK
    loop.call_soon(transport.close)
    await settle(transport)
    assert transport.closed
    assert TURNS > 2
