"""A real Caddy, with the configuration of docs/how-to/proxy.md, in front of an app."""

import asyncio
import http.client
import os
import re
import shutil
import socket
import subprocess
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from roll import Limits, Roll
from roll.extensions import proxy_headers
from roll_testing import patience, wait_until
from websockets.asyncio.client import connect

from examples.hello.browser import serve
from tests.nginx import free_port

PROGRAM = shutil.which("caddy")
PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "proxy.md"

# Caddy is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="Caddy is not installed: apt-get install caddy"
)


class App(Roll):
    limits = Limits(keep_alive=75)


app = App()
proxy_headers(app, trusted=["127.0.0.1"])


@app.route("/")
async def who(request, response):
    response.json = [request.remote_addr, request.scheme, request.host]


@app.route("/stream")
async def stream(request, response):
    async def pieces():
        yield "first"
        await request.app["go"].wait()
        yield "second"

    request.app["go"] = asyncio.Event()
    response.body = pieces()


@app.route("/go", methods=["POST"])
async def go(request, response):
    request.app["go"].set()


@app.route("/echo", protocol="websocket")
async def echo(request, ws):
    async for message in ws:
        await ws.send(message)


def accepts(port, process):
    assert process.poll() is None, "it has ended"
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Give the port of a Caddy that asks the app."""
    folder = tmp_path_factory.mktemp("caddy")
    (recipe,) = re.findall(r"```text\n# Caddyfile\n(.*?)```", PAGE.read_text(), re.S)
    port = free_port()
    with serve(app) as behind:
        recipe = recipe.replace("example.org", f"http://:{port}", 1)
        recipe = recipe.replace("127.0.0.1:3579", f"127.0.0.1:{behind}", 1)
        (folder / "Caddyfile").write_text("{\n    admin off\n}\n" + recipe)
        process = subprocess.Popen(
            [PROGRAM, "run", "--config", folder / "Caddyfile"],
            env={**os.environ, "HOME": str(folder)},
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: accepts(port, process), "the start of Caddy")
            yield port
        finally:
            process.terminate()
            process.wait(patience(30))


@contextmanager
def ask(port, method, path, headers=None):
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=patience(10), source_address=("127.0.0.2", 0)
    )
    with closing(connection):
        connection.request(method, path, headers=headers or {})
        yield connection.getresponse()


def test_the_client_is_known_and_cannot_lie(port):
    lies = {
        "Host": "example.org",
        "X-Forwarded-For": "198.51.100.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.test",
    }
    with ask(port, "GET", "/", lies) as response:
        assert response.read() == b'["127.0.0.2","http","example.org"]'


def test_a_stream_comes_piece_by_piece(port):
    with ask(port, "GET", "/stream") as response:
        assert response.read1() == b"first"
        with ask(port, "POST", "/go"):
            assert response.read() == b"second"


async def test_a_websocket_comes_through(port):
    async with connect(f"ws://127.0.0.1:{port}/echo", proxy=None) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"
