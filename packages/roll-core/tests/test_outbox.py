"""When answers are sent: the first of a round of the loop at once, the others after."""

import asyncio
import socket

import pytest
from roll import Roll
from roll.http11 import outbox
from roll.http11.body import LARGE
from roll.http11.outbox import HOLD_BYTES, HOLD_SECONDS, Outbox
from roll.http11.writer import COPIED
from roll_testing import Transport, connect, turns

from .wire import chunked

HEAD = "{} HTTP/1.1\r\nHost: a\r\n{}\r\n"
GET = HEAD.format("GET /", "").encode()


class Client(Transport):
    """One that counts the writes that reach it."""

    writes = 0

    def write(self, data):
        self.writes += 1
        super().write(data)


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch):
    """What is asserted holds within a millisecond; a busy machine may take more."""
    monkeypatch.setattr(outbox, "monotonic", lambda: 100.0)


@pytest.fixture
async def box():
    return Outbox(asyncio.get_running_loop())


@pytest.fixture
async def clients():
    return [Client(asyncio.Protocol()) for _ in range(3)]


def received(clients):
    return [client.data for client in clients]


async def test_the_first_answer_of_a_round_goes_at_once_and_the_others_at_its_end(
    box, clients
):
    for _ in range(2):  # the next round is as the one before
        before = [len(client.data) for client in clients]
        for client in clients:
            box.send(client, b"x")
        assert [len(client.data) for client in clients] == [before[0] + 1, *before[1:]]
        await asyncio.sleep(0)
        assert [len(client.data) for client in clients] == [n + 1 for n in before]


async def test_a_round_ends_when_what_was_ready_has_run(box, clients):
    loop = asyncio.get_running_loop()
    for client in clients:
        loop.call_soon(box.send, client, b"x")
    loop.call_soon(lambda: box.send(clients[1], b"y"))
    await asyncio.sleep(0)
    assert received(clients) == [b"x", b"", b""]
    await asyncio.sleep(0)
    assert received(clients) == [b"x", b"xy", b"x"]


async def test_answers_of_one_connection_go_in_one_write(box, clients):
    box.send(clients[0], b"0")
    for digit in b"123456":
        box.send(clients[1], b"%c" % digit)
    await asyncio.sleep(0)
    assert received(clients) == [b"0", b"123456", b""]
    assert [client.writes for client in clients] == [1, 1, 0]


async def test_pieces_go_in_one_write_at_once_or_when_the_round_ends(box, clients):
    one, two, _ = clients
    box.send_pieces(one, (b"1", b"2"))
    box.send_pieces(two, (b"3", b"4", b"5"))
    box.send_pieces(two, (b"6",))
    assert received(clients) == [b"12", b"", b""]
    await asyncio.sleep(0)
    assert received(clients) == [b"12", b"3456", b""]
    assert [client.writes for client in clients] == [1, 1, 0]


async def test_no_more_is_held_of_pieces_either(box, clients):
    box.send(clients[0], b"x")
    box.send_pieces(clients[1], (bytes(HOLD_BYTES - 1), b"x"))
    assert len(clients[1].data) == HOLD_BYTES


async def test_what_is_held_can_be_sent_before(box, clients):
    for client in clients:
        box.send(client, b"x")
    box.flush()
    assert received(clients) == [b"x"] * 3
    box.flush()
    await asyncio.sleep(0)
    assert received(clients) == [b"x"] * 3


async def test_what_is_held_is_bounded(box, clients):
    one, two, _ = clients
    box.send(one, b"x")
    box.send(two, bytes(HOLD_BYTES - 1))
    assert not two.data
    box.send(one, b"y")
    assert (one.data, len(two.data)) == (b"xy", HOLD_BYTES - 1)
    box.send(two, bytes(HOLD_BYTES - 1))  # counted from zero
    assert len(two.data) == HOLD_BYTES - 1


async def test_a_slow_view_is_not_waited_for(box, clients, monkeypatch):
    now = 100.0
    monkeypatch.setattr(outbox, "monotonic", lambda: now)
    for client in clients[:2]:
        box.send(client, b"x")
    assert received(clients) == [b"x", b"", b""]
    now += 1.01 * outbox.HOLD_SECONDS
    box.send(clients[2], b"x")
    assert received(clients) == [b"x", b"x", b"x"]


async def test_nothing_is_held_for_a_while_where_views_are_slow(
    box, clients, monkeypatch
):
    now = 100.0
    monkeypatch.setattr(outbox, "monotonic", lambda: now)
    one, two, _ = clients
    for _ in range(outbox.FEW - 1):
        box.send(one, b"x")
        now += outbox.HOLD_SECONDS / 5
    assert len(one.data) == outbox.FEW - 1
    box.send(two, b"x")
    box.send_pieces(two, (b"1", b"2"))
    assert two.data == b"x12"
    await asyncio.sleep(0)
    box.send_pieces(two, (b"3", b"4"))  # the first of its round
    assert two.data == b"x1234"
    await asyncio.sleep(0)
    now += outbox.DIRECT_SECONDS
    box.send(one, b"x")
    box.send(two, b"y")
    assert two.data == b"x1234"
    await asyncio.sleep(0)
    assert two.data == b"x1234y"


async def test_many_quick_answers_in_a_millisecond_are_held_again(
    box, clients, monkeypatch
):
    now = 100.0
    monkeypatch.setattr(outbox, "monotonic", lambda: now)
    one, two, _ = clients
    for _ in range(2):
        for _ in range(outbox.FEW + 2):
            box.send(one, b"x")
            now += outbox.HOLD_SECONDS / 8
    before = len(one.data)
    assert before > outbox.FEW
    box.send(two, b"x")
    assert (len(one.data), two.data) == (before, b"")


async def test_who_has_left_gets_nothing_and_the_others_all(box, clients):
    for client in [*clients, *clients]:
        box.send(client, b"x")
    clients[1].abort()
    await asyncio.sleep(0)
    assert received(clients) == [b"xx", b"", b"xx"]
    assert clients[1].writes == 0


SENDS = [
    lambda box, client: box.send(client, b"x"),
    lambda box, client: box.send_pieces(client, (b"x", b"y")),
    lambda box, client: box.send_pieces(client, (bytes(LARGE), b"y")),
    lambda box, client: box.send_at_once(client, b"x"),
]


@pytest.mark.parametrize("slow", [False, True], ids=["quick", "slow"])
@pytest.mark.parametrize("gathers", [False, True], ids=["joined", "gathered"])
@pytest.mark.parametrize("send", SENDS, ids=["one", "pieces", "large", "at-once"])
async def test_who_has_left_is_not_written_to_again(
    box, clients, monkeypatch, send, gathers, slow
):
    monkeypatch.setattr(outbox, "_gathers", lambda transport: gathers)
    one, two, _ = clients
    box.send(one, b"x")
    if slow:  # nothing is held for a while
        monkeypatch.setattr(outbox, "monotonic", lambda: 100 + 2 * HOLD_SECONDS)
        box.send(one, b"x")
    two.abort()
    for _ in range(9):  # asyncio's transport logs all but four of these
        send(box, two)
    await asyncio.sleep(0)
    assert two.writes == 0


async def test_a_write_that_fails_takes_no_other_answer_along(box, clients, caplog):
    def fail(data):
        raise RuntimeError("the handler is closed")

    clients[1].write = fail
    for client in clients:
        box.send(client, b"x")
    await asyncio.sleep(0)
    assert received(clients) == [b"x", b"", b"x"]
    assert clients[1].is_closing()
    assert [record.message for record in caplog.records] == [
        "A response could not be written"
    ]


# Connections

BIG = bytes(100_000)
HALF = bytes(COPIED // 2)
SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall"


@pytest.fixture
def app():
    app = Roll()

    @app.route("/", methods=["GET", "HEAD", "POST"])
    async def small(request, response):
        response.body = request.body or b"small"

    @app.route("/big")
    async def big(request, response):
        response.body = BIG

    @app.route("/half")
    async def half(request, response):
        response.headers = dict.fromkeys(request.query, "close")
        response.body = HALF

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield b"piece"

        response.body = pieces()

    return app


@pytest.mark.parametrize(
    ("request_", "follows"),
    [
        (HEAD.format("HEAD /", ""), True),
        (HEAD.format("GET /big", ""), True),
        (HEAD.format("GET /stream", ""), True),
        (HEAD.format("GET /none", ""), True),
        (HEAD.format("POST /", "Content-Length: 2\r\nExpect: 100-continue\r\n"), True),
        (HEAD.format("GET /", "Connection: close\r\n"), False),
        (HEAD.format("GET /big", "Connection: close\r\n"), False),
        (HEAD.format("GET /stream", "Connection: close\r\n"), False),
        ("GET / HTTP/1.1\r\n\r\n", False),
        ("\0", False),
    ],
)
async def test_answers_keep_their_order(app, request_, follows):
    other, alone, busy = (connect(app) for _ in range(3))
    body = b"ok" if "Expect" in request_ else b""
    for request in (GET, request_.encode(), body, GET):
        alone.feed(request)
        await turns()
    other.feed(GET)  # so that nothing of the next is the first of its round
    busy.feed(GET + request_.encode())
    await turns()
    busy.feed(body + GET)
    await turns()
    assert busy.data.startswith(SMALL + b"HTTP/1.1 ")
    assert busy.data.endswith(SMALL) == follows
    assert (busy.data, busy.is_closing()) == (alone.data, alone.is_closing())


async def test_the_buffers_of_a_client_that_reads_nothing_stay_below_320_kib(app):
    client = connect(app)
    client.stall()
    client.feed(HEAD.format("GET /half", "").encode() * 100)
    await turns()
    # 64 KiB, at which a transport pauses the writer, and one read.
    assert COPIED < client.get_write_buffer_size() < (64 + 256) * 1024


async def test_pieces_of_a_stream_that_come_without_a_wait_go_together(app):
    gate = asyncio.Event()

    @app.route("/pieces")
    async def view(request, response):
        async def pieces():
            for piece in b"abcdef":
                yield b"%c" % piece
            await gate.wait()
            yield b"g"

        response.body = pieces()

    protocol = app.factory()
    client = Client(protocol)
    protocol.connection_made(client)
    client.feed(HEAD.format("GET /pieces", "").encode())
    await turns()
    assert client.data.endswith(chunked(b"a", b"b", b"c", b"d", b"e", b"f"))
    assert client.writes == 3  # the head, the first piece, the others
    gate.set()
    await turns()
    assert client.data.endswith(chunked(b"f", b"g") + b"0\r\n\r\n")
    assert client.writes == 5


async def test_a_stream_waits_while_anything_is_unsent(app):
    made = []

    @app.route("/pieces")
    async def view(request, response):
        async def pieces():
            for _ in range(100):
                made.append(1)
                yield bytes(COPIED // 4)

        response.body = pieces()

    client = connect(app)
    limits = client.get_write_buffer_limits()
    client.stall()
    client.feed(HEAD.format("GET /pieces", "").encode())
    await turns()
    assert len(made) == 1
    client.drain(client.get_write_buffer_size())
    await turns()
    assert len(made) == 2
    assert client.get_write_buffer_size() < COPIED // 2
    assert client.get_write_buffer_limits() != limits
    client.drain()
    await turns()
    assert client.data.endswith(b"0\r\n\r\n")
    assert client.get_write_buffer_limits() == limits


async def test_the_answers_before_one_that_is_cut_arrive(app):
    @app.route("/cut")
    async def cut(request, response):
        request.protocol.abort()

    other, client = connect(app), connect(app)
    other.feed(GET)
    client.feed(GET + GET + HEAD.format("GET /cut", "").encode())
    await turns()
    assert client.data == SMALL * 2


async def test_what_is_held_counts_as_unsent_when_a_connection_ends(app):
    other, client = connect(app), connect(app)
    client.stall()
    client.feed(HEAD.format("GET /half", "").encode())
    await turns()
    other.feed(GET)
    client.feed(HEAD.format("GET /half?Connection=", "").encode())
    await turns()
    assert client.get_write_buffer_size() > COPIED
    assert not client.is_closing()
    client.drain()
    await turns()
    assert client.data.count(HALF) == 2
    assert client.eof


async def test_a_client_that_ends_its_side_gets_its_answers(app):
    other, client = connect(app), connect(app)
    other.feed(GET)
    client.feed(GET + GET)
    await asyncio.sleep(0)  # 3.11 serves in the next round
    other.feed(GET)
    client.feed(GET)
    client.feed_eof()
    await turns()
    assert client.data.startswith(SMALL * 2)
    assert client.is_closing()


async def test_an_app_may_go_on_in_another_loop(app):
    async def ask(rounds):
        clients = [connect(app) for _ in range(3)]
        for client in clients:
            client.feed(GET)
        for _ in range(rounds):
            await asyncio.sleep(0)
        return [client.data for client in clients]

    await asyncio.to_thread(asyncio.run, ask(0))  # it ends before its round does
    assert await asyncio.to_thread(asyncio.run, ask(10)) == [SMALL] * 3


def test_the_transports_of_uvloop_are_known_by_their_module(run):
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as sock:
            loop = asyncio.get_running_loop()
            address = sock.getsockname()
            transport, _ = await loop.create_connection(asyncio.Protocol, *address)
            transport.abort()
            return outbox._gathers(transport), "uvloop" in type(loop).__module__

    gathers, is_uvloop = run(main())
    assert gathers is is_uvloop
