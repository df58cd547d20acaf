"""No request leaves a reference cycle, a task or a thread behind, either way."""

import asyncio
import gc
import logging
import random
import weakref

import pytest
from roll import Roll
from roll.extensions import asgi, mount_asgi
from roll_testing import Client, connect, turns, until

from .asgi_rules import Conversation
from .test_asgi_requests import EMPTY, LEFT, scope


class Probe:
    """Goes with its request."""


@pytest.fixture
def probes(app):
    """References to what each request to the app holds, which has ways to end."""
    probes = []

    @app.listen("headers")
    def attach(request, response):
        request["probe"] = probe = Probe()
        probes.append(weakref.ref(probe))

    @app.route("/", methods=["GET", "POST"])
    async def whole(request, response):
        response.body = request.body

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            for _ in range(3):
                yield "x"
                await asyncio.sleep(0)

        response.body = pieces()

    @app.route("/fail")
    async def fail(request, response):
        raise ValueError("a mistake")

    @app.route("/cut")
    async def cut(request, response):
        async def pieces():
            yield "x"
            await asyncio.sleep(0)
            raise ValueError("a mistake")

        response.body = pieces()

    @app.route("/wait")
    async def wait(request, response):
        await asyncio.Event().wait()

    @app.route("/ws", protocol="websocket")
    async def ws(request, ws):
        async for message in ws:
            await ws.send(message)

    return probes


@pytest.fixture
def no_gc(app, caplog):
    """Without the collector, only what is in a cycle stays; or in a log record."""
    caplog.set_level(logging.CRITICAL, "roll")
    app.listen("startup")(gc.disable)
    yield
    gc.enable()


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("path", ["/", "/stream", "/fail", "/cut", "/wait"])
async def test_a_request_through_asgi_leaves_no_cycle(app, probes, path):
    talk = Conversation(asgi(app), scope(path), EMPTY)
    if path == "/wait":
        while talk.received < 2:  # a lambda would keep it
            await asyncio.sleep(0)
        talk.tell(LEFT)
    await asyncio.wait([talk.task])
    assert (talk.task.exception() is not None) == (path == "/cut")
    talk.task = None  # whose exception knows its frames, and these know the talk
    talk = None
    await turns()
    assert [probe() for probe in probes] == [None]


@pytest.mark.usefixtures("no_gc")
@pytest.mark.parametrize("path", ["/", "/stream", "/fail", "/cut", "/wait", "/ws"])
async def test_a_request_for_a_mounted_application_leaves_none(path, app, probes):
    outer = Roll()
    mount_asgi(outer, "/m", asgi(app))
    around = []

    @outer.listen("headers")
    def attach(request, response):
        if path != "/ws":  # the transport of the client keeps that of a WebSocket
            request["probe"] = probe = Probe()
            around.append(weakref.ref(probe))

    async with Client(outer) as client:
        if path == "/ws":
            async with client.websocket("/m/ws") as session:
                await session.send("a")
                assert await session.recv() == "a"
        elif path == "/wait":
            transport = connect(outer)
            transport.feed(b"GET /m/wait HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda: probes)
            transport.reset()
            await transport.wait_closed()
            del transport
        elif path == "/cut":
            with pytest.raises(ConnectionError):
                await client.get("/m/cut")
        else:
            await client.get(f"/m{path}")
        client._transport = client._protocol = None
        await turns()
        left = [probe() for probe in (*probes, *around)]
    assert left == [None] * len(left)


async def test_clients_that_leave_at_random_leave_nothing(app, probes):
    """They abort after some bytes of a request, or of its response."""
    random.seed(1)
    outer = Roll()
    mount_asgi(outer, "/m", asgi(app))
    message = (
        b"POST /m/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"
        b"GET /m/stream HTTP/1.1\r\nHost: a\r\n\r\n"
        b"GET /m/wait HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    await outer.startup()
    before = asyncio.all_tasks()
    for _ in range(300):
        transport = connect(outer)
        transport.feed(message[: random.randrange(len(message) + 1)])
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        random.choice((transport.reset, transport.disconnect))()
    await until(lambda: asyncio.all_tasks() == before)
    assert not outer.connections
    await outer.shutdown()
