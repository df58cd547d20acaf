"""Clients of others, through real sockets."""

import asyncio
import json
import os
import shutil
import socket
import struct

import aiohttp
import pytest
import websockets
from roll import Roll
from roll_testing import patience, until
from websockets.asyncio.client import connect

CHROMIUM = shutil.which("chromium")


@pytest.fixture
def app():
    app = Roll()
    app["ended"] = []

    @app.route("/", protocol="websocket", subprotocols=["chat"])
    async def echo(request, ws):
        async for message in ws:
            await ws.send(message)
        app["ended"].append(ws.close_code)

    @app.route("/deflate", protocol="websocket", compression="deflate")
    async def deflate(request, ws):
        await echo(request, ws)

    @app.route("/page")
    async def page(request, response):
        response.headers["Content-Type"] = "text/html"
        response.body = "<!DOCTYPE html><title>page</title>"

    return app


@pytest.fixture
async def server(liveclient):
    await liveclient.start()
    return liveclient


MESSAGES = ["", "é" * 100, "x" * 300_000, b"", b"\xff" * 70_000]


@pytest.mark.parametrize("path", ["/", "/deflate"])
async def test_websockets(server, app, path):
    async with connect(server.wsl + path, subprotocols=["chat"]) as client:
        for message in MESSAGES:
            await client.send(message)
            assert await client.recv() == message
        await client.send(["a", "b", "c"])
        assert await client.recv() == "abc"
        await asyncio.wait_for(await client.ping(), patience(10))
        assert client.subprotocol == ("chat" if path == "/" else None)
    assert client.close_code == 1000


async def test_websockets_many_messages_at_once(server):
    async with connect(server.wsl) as client:
        sent = [str(number) for number in range(5000)]

        async def send():
            for message in sent:
                await client.send(message)

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            assert [await client.recv() for _ in sent] == sent


async def test_websockets_sees_why_it_is_refused(server):
    with pytest.raises(websockets.InvalidStatus, match="403"):
        await connect(server.wsl, origin="https://evil.example")


@pytest.mark.parametrize("path", ["/", "/deflate"])
async def test_aiohttp(server, app, path):
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            server.wsl + path, protocols=["chat"], compress=15, max_msg_size=2**21
        ) as client,
    ):
        for message in MESSAGES:
            if isinstance(message, str):
                await client.send_str(message)
                assert await client.receive_str() == message
            else:
                await client.send_bytes(message)
                assert await client.receive_bytes() == message
        assert client.protocol == ("chat" if path == "/" else None)
        assert bool(client.compress) == (path == "/deflate")
        await client.close(code=3001)
    assert client.close_code == 3001


async def test_clients_that_vanish_leave_nothing(server, app):
    tasks = asyncio.all_tasks()
    for _ in range(5):
        clients = await asyncio.gather(*(connect(server.wsl) for _ in range(40)))
        for client in clients[::2]:
            await client.send("x" * 1000)
        for client in clients:
            client.transport.abort()
        await asyncio.gather(*(client.wait_closed() for client in clients))
    await until(lambda: not app.connections and asyncio.all_tasks() == tasks)
    assert app["ended"] == [1006] * 200


@pytest.mark.parametrize("frame", [b"\x89\x80", b"\x81\x80"], ids=["ping", "text"])
@pytest.mark.parametrize("path", ["/", "/deflate"])
async def test_clients_that_reset_are_not_logged(server, app, caplog, path, frame):
    client = await connect(server.wsl + path)
    sock = client.transport.get_extra_info("socket")
    # Both within one round of the loop: the server reads them before it knows.
    os.write(sock.fileno(), (frame + bytes(4)) * 1000)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.transport.abort()
    await until(lambda: not app.connections)
    assert caplog.records == []


# A browser is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
@pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)
def test_a_browser(app, tmp_path):
    # The driver is an example's; outside of the repository there is none.
    driver = pytest.importorskip("examples.hello.browser")
    with driver.serve(app) as port, driver.browse(CHROMIUM, tmp_path) as page:
        page.open(f"http://127.0.0.1:{port}/page")
        for path in ("/", "/deflate"):
            offer = ["chat"] if path == "/" else []
            page.run(f"""{{
                window.got = null;
                const seen = [];
                const ws = new WebSocket(
                    {json.dumps(f"ws://127.0.0.1:{port}{path}")}, {json.dumps(offer)});
                ws.binaryType = 'arraybuffer';
                ws.onopen = () => {{
                    ws.send('caf\\u00e9'); ws.send(new Uint8Array([0, 255]));
                }};
                ws.onmessage = ({{data}}) => {{
                    seen.push(typeof data == 'string' ? data : data.byteLength);
                    if (seen.length == 2) ws.close(3001, 'bye');
                }};
                ws.onclose = ({{code, reason, wasClean}}) => {{
                    window.got = [seen, ws.protocol, ws.extensions, code, wasClean];
                }};
            }}""")
            page.wait("window.got !== null")
            got = page.run("window.got")
            extensions = got[2].partition(";")[0]
            assert [*got[:2], *got[3:]] == [["café", 2], "".join(offer), 3001, True]
            assert extensions == ("permessage-deflate" if path == "/deflate" else "")
        # The page of another host is refused: for a browser, localhost is another.
        page.open(f"http://localhost:{port}/page")
        page.run(f"""
            window.got = null;
            const ws = new WebSocket('ws://127.0.0.1:{port}/');
            ws.onopen = () => {{ window.got = 'open'; }};
            ws.onclose = ({{code}}) => {{ window.got = window.got || code; }};
        """)
        page.wait("window.got !== null")
        assert page.run("window.got") == 1006
