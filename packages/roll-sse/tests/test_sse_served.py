"""sse on sockets: clients that leave, and those that vanish."""

import asyncio
import ctypes
import socket
import struct

import httpx
import pytest
from httpx_sse import aconnect_sse
from roll import Limits, Roll, Server
from roll.extensions import sse
from roll_sse import Feed
from roll_sse.sockets import USER_TIMEOUT, set_patience
from roll_testing import Transport, until

try:
    import uvloop
except ImportError:  # it is not made for every platform
    uvloop = None

LOOPS = [asyncio.new_event_loop, *([uvloop.new_event_loop] if uvloop else [])]

needs_user_timeout = pytest.mark.skipif(
    USER_TIMEOUT is None, reason="TCP_USER_TIMEOUT is Linux's"
)


@pytest.fixture(params=LOOPS, ids=lambda factory: factory.__module__.split(".")[0])
def run(request):
    """Runs a coroutine on asyncio's loop, then on uvloop's."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


class App(Roll):
    limits = Limits(half_close=0.1, keep_alive=2, write_timeout=0.5)


class Site:
    """An app that streams a feed, on a port or a path."""

    def __init__(self, path=None, **options):
        self.app = App()
        self.feed = Feed()
        self.closed = 0
        stream = sse(self.app, **options)

        async def events(request):
            try:
                async for event in self.feed.subscribe(request):
                    yield event
                    if event.data == "the end":
                        return
            finally:
                self.closed += 1

        @self.app.route("/")
        async def view(request, response):
            stream(request, response, events(request))

        if path is None:
            self.socket = socket.create_server(("127.0.0.1", 0))
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
        self.server = Server(self.app, [self.socket])

    async def __aenter__(self):
        await self.server.start()
        return self

    async def __aexit__(self, *error):
        await self.server.stop()

    async def connect(self):
        """Ask for the stream; gives the socket once the stream has begun."""
        client = socket.socket(self.socket.family)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, self.socket.getsockname())
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: self.feed._waiting)
        return client

    def patience(self):
        """Tell what TCP_USER_TIMEOUT the one connection has, in milliseconds."""
        (connection,) = self.app.connections
        sock = connection.transport.get_extra_info("socket")
        return sock.getsockopt(socket.IPPROTO_TCP, USER_TIMEOUT)


@pytest.mark.parametrize("reset", [True, False])
def test_a_client_that_leaves_closes_the_source(run, reset):
    """sse-starlette#39, #40: while the source waits."""

    async def test():
        async with Site() as site:
            client = await site.connect()
            if reset:
                linger = struct.pack("ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.close()
            await until(lambda: site.closed)
            await until(lambda: not site.app.connections)

    run(test())


def deafen(client):
    """Let the system drop all that comes for a client, as where its network is off."""

    class Instruction(ctypes.Structure):
        _fields_ = [
            ("code", ctypes.c_uint16),
            ("jt", ctypes.c_uint8),
            ("jf", ctypes.c_uint8),
            ("k", ctypes.c_uint32),
        ]

    keep_nothing = Instruction(0x06, 0, 0, 0)  # BPF_RET: 0 bytes
    program = struct.pack("HL", 1, ctypes.addressof(keep_nothing))
    attach_filter = 26  # SO_ATTACH_FILTER
    client.setsockopt(socket.SOL_SOCKET, attach_filter, program)


@needs_user_timeout
def test_a_client_that_vanishes_closes_the_source(run):
    """sse-starlette#173: Wi-Fi is off."""

    async def test():
        async with Site(keep_alive=0.1, lost=0.5) as site:
            client = await site.connect()
            deafen(client)
            await until(lambda: site.closed)
            client.close()

    run(test())


@needs_user_timeout
@pytest.mark.parametrize(("lost", "option"), [(7, 7000), (10**9, 2**31 - 1)])
def test_a_socket_has_its_option_while_it_streams(run, lost, option):
    async def test():
        async with Site(lost=lost) as site:
            client = await site.connect()
            assert site.patience() == option
            site.feed.publish("the end")
            await until(lambda: site.patience() == 0)
            client.close()

    run(test())


def test_a_unix_socket_has_no_such_option(run, tmp_path):
    async def test():
        async with Site(str(tmp_path / "socket")) as site:
            client = await site.connect()
            client.close()
            await until(lambda: site.closed)

    run(test())


async def test_a_connection_without_a_socket_has_no_such_option():
    class Connection:
        transport = Transport()

    assert set_patience(Connection, 1) is None
    assert set_patience(None, 1) is None


def test_a_client_that_stops_reading_is_cut(run):
    """sse-starlette#89."""

    async def test():
        async with Site() as site:
            client = await site.connect()
            while not site.closed:
                site.feed.publish("x" * 100_000)
                await asyncio.sleep(0)
            client.close()

    run(test())


async def test_httpx_sse_gets_all_events():
    sent = [("a\nb", "type"), ("", None), ('{"a": "\u2028"}', None)]
    async with Site(retry=1) as site, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{site.socket.getsockname()[1]}/"
        async with aconnect_sse(client, "GET", url) as source:
            await until(lambda: site.feed._waiting)
            ids = [site.feed.publish(*each) for each in sent]
            ids.append(site.feed.publish("the end"))
            events = [event async for event in source.aiter_sse()]
        first, *rest = events
        assert (first.retry, first.data) == (1000, "")
        assert [(event.data, event.event) for event in rest] == [
            *((data, kind or "message") for data, kind in sent),
            ("the end", "message"),
        ]
        assert [event.id for event in rest] == ids
        headers = {"Last-Event-ID": ids[1]}
        async with aconnect_sse(client, "GET", url, headers=headers) as source:
            events = [event async for event in source.aiter_sse()]
        assert [event.id for event in events[1:]] == ids[2:]
