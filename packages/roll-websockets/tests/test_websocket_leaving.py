"""Clients that leave while nobody receives, through real sockets, on both loops."""

import asyncio
import os
import select
import socket
import ssl
import struct
from contextlib import asynccontextmanager

import pytest
from roll import Limits, Roll, Server
from roll_testing import patience, until
from roll_websockets import ConnectionClosed, WSProtocol

try:
    import uvloop
except ImportError:  # it is not made for every platform
    uvloop = None

LOOPS = [asyncio.new_event_loop, *([uvloop.new_event_loop] if uvloop else [])]
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
X = b"\x81\x81" + bytes(4) + b"x"
LARGE = b"\x82\xff" + (2**16).to_bytes(8) + bytes(4 + 2**16)
FLOODS = [X * 66, LARGE + X * 2]  # the first 64, or 64 KiB, let reading pause
PING = b"\x89\x0akeep-alive"


@pytest.fixture(params=LOOPS, ids=lambda factory: factory.__module__.split(".")[0])
def run(request):
    """Runs a coroutine on asyncio's loop, then on uvloop's."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run
        assert asyncio.all_tasks(runner.get_loop()) == set()


class Silent(WSProtocol):
    TIMEOUT = 0.3
    PING_INTERVAL = None


class Pinging(Silent):
    PING_INTERVAL = PING_TIMEOUT = 0.05


class Leisurely(Silent):
    TIMEOUT = 60


class App(Roll):
    """Has a view that receives when it is told to, and notes how it has ended."""

    limits = Limits(keep_alive=0.1)  # sweeps often

    def __init__(self, kind):
        super().__init__()
        self.WebsocketProtocol = kind
        self.gate = asyncio.Event()
        self.goes_on = False
        self.got = []
        self.ended = []

        @self.route("/", protocol="websocket")
        async def view(request, ws):
            await self.note_end(ws, self.receive(ws))
            await self.note_end(ws, asyncio.Event().wait())

    async def receive(self, ws):
        await self.gate.wait()
        while True:
            self.got.append(await ws.recv())

    async def note_end(self, ws, waiting):
        try:
            await waiting
        except (asyncio.CancelledError, ConnectionClosed) as error:
            self.ended.append((type(error).__name__, ws.closed, ws.close_code))
            if not self.goes_on or isinstance(error, asyncio.CancelledError):
                raise


def contexts():
    """TLS without a certificate, which only tests may have."""
    for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(side)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("aNULL:@SECLEVEL=0")
        yield context


@asynccontextmanager
async def joined(app, data, tls=False):
    """Give the connection, and the client that has sent *data* until reading paused."""
    inside, outside = contexts() if tls else (None, None)
    sock = socket.create_server(("127.0.0.1", 0))
    address = sock.getsockname()
    server = Server(app, [sock], inside)
    await server.start()
    reader, writer = await asyncio.open_connection(*address, ssl=outside)
    try:
        writer.write(HANDSHAKE)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), patience(10))
        writer.write(data)
        await until(lambda: any(getattr(one, "_paused", 0) for one in app.connections))
        (connection,) = app.connections
        yield connection, reader, writer
    finally:
        writer.transport.abort()
        await server.stop()


def reset(writer):
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def finish(writer):
    """End the client's side; with TLS without an alert, as asyncio waits for ours."""
    fileno = writer.get_extra_info("socket").fileno()
    with socket.socket(fileno=os.dup(fileno)) as sock:
        sock.shutdown(socket.SHUT_WR)


tells = pytest.mark.skipif(
    not hasattr(select, "POLLRDHUP"), reason="this system tells of no end unread"
)


@tells
@pytest.mark.parametrize("data", FLOODS, ids=["messages", "bytes"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("leave", [reset, finish])
def test_a_client_that_leaves_while_nobody_receives_is_gone(run, leave, tls, data):
    async def main():
        app = App(Silent)
        async with joined(app, data, tls) as (_, _, writer):
            leave(writer)
            await until(lambda: not app.connections)
        assert app.ended == [("CancelledError", True, 1006)]

    run(main())


@pytest.mark.parametrize("leave", [reset, asyncio.StreamWriter.close])
def test_where_the_system_does_not_tell_a_ping_fails(run, leave, monkeypatch):
    monkeypatch.delattr(select, "poll", raising=False)  # as on Windows

    async def main():
        app = App(Pinging)
        async with joined(app, FLOODS[0]) as (_, _, writer):
            leave(writer)
            await until(lambda: not app.connections)
        assert app.ended == [("CancelledError", True, 1006)]

    run(main())


def test_a_client_that_waits_for_a_view_that_is_behind_stays(run):
    async def main():
        app = App(Pinging)
        async with joined(app, FLOODS[0]) as (connection, reader, writer):
            for _ in range(4):  # nobody reads its pongs meanwhile
                assert await reader.readexactly(len(PING)) == PING
                writer.write(b"\x8a\x8a" + bytes(4) + PING[2:])
            assert app.connections == {connection}
            assert not connection.closed
            finish(writer)
            await until(lambda: not app.connections)

    run(main())


@tells
def test_what_a_client_sent_before_it_left_can_still_be_received(run):
    async def main():
        app = App(Leisurely)
        async with joined(app, FLOODS[0]) as (connection, _, writer):
            finish(writer)
            await until(lambda: connection._left_at is not None)
            assert not connection.closed
            app.gate.set()
            await until(lambda: not app.connections)
        assert app.got == ["x"] * 66
        assert app.ended == [("ConnectionClosedError", True, 1006)]

    run(main())


@tells
def test_a_view_has_no_more_time_when_it_reads_up_to_the_end(run):
    async def main():
        app = App(Leisurely)
        app.goes_on = True
        time = asyncio.get_running_loop().time
        async with joined(app, FLOODS[0]) as (connection, _, writer):
            finish(writer)
            await until(lambda: connection._left_at is not None)
            await until(lambda: time() > connection._left_at + 0.1)
            app.gate.set()
            await until(lambda: len(app.ended) == 1)
            deadline = connection._left_at + Leisurely.TIMEOUT
            # uvloop rounds to milliseconds.
            assert connection._timer.when() == pytest.approx(deadline, abs=0.01)
            connection._task.cancel()
            await until(lambda: not app.connections)
        closed = ("ConnectionClosedError", True, 1006)
        assert app.ended == [closed, ("CancelledError", True, 1006)]

    run(main())
