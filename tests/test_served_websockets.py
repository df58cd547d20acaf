"""WebSockets in the processes that serve: `roll run` with TLS and reload, gunicorn."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
import trustme
from roll_testing import patience, until
from websockets.asyncio.client import connect

PATIENCE = patience(60)  # seconds that nothing takes, on the slowest machine

APP = """
from roll import Roll

app = Roll()

@app.route("/")
async def version(request, response):
    response.body = "first"

@app.route("/talk", protocol="websocket")
async def talk(request, ws):
    await ws.send(request.scheme)
    async for message in ws:
        await ws.send(message)
"""


class Process:
    """A server, and what it says."""

    def __init__(self, *command, folder, **options):
        clean = {key: os.environ[key] for key in os.environ if key[:5] != "ROLL_"}
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", *command],
            cwd=folder,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self.lines = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    async def says(self, pattern):
        """Wait for a line, and give what is found in it."""

        def said():
            found = re.search(pattern, "".join(self.lines))
            assert found or self.process.poll() is None, "".join(self.lines)
            return found

        return await until(said, f"{pattern!r}", timeout=60)

    async def end(self):
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, PATIENCE)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "talks.py").write_text(APP)
    return tmp_path


@pytest.fixture
def start(folder):
    with contextlib.ExitStack() as stack:

        def start(*command, **options):
            process = Process(*map(str, command), folder=folder, **options)
            stack.callback(process.close)
            return process

        yield start


async def receive(ws):
    return await asyncio.wait_for(ws.recv(), PATIENCE)


async def says_goodbye(ws):
    """Wait for the end, and tell what the server closed with."""
    async with asyncio.timeout(PATIENCE):
        await ws.wait_closed()
    return ws.close_code


async def test_wss_is_served_until_sigterm(start, folder):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    command = "roll_server", "run", "talks:app", "--port", "0", "--tls-cert"
    server = start(*command, folder / "both.pem")
    (url,) = (await server.says(r"Rolling on https(://[\d.:]+)")).groups()
    async with connect(f"wss{url}/talk", ssl=context, proxy=None) as ws:
        assert await receive(ws) == "https"
        await ws.send("x" * 300_000)
        assert await receive(ws) == "x" * 300_000
        ending = asyncio.create_task(server.end())
        assert await says_goodbye(ws) == 1001
        assert await ending == 0


async def test_gunicorn_serves_websockets_and_says_goodbye(start):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port, number = sock.getsockname()[1], sock.fileno()
        command = "gunicorn", "talks:app", "--worker-class", "roll.worker.Worker"
        server = start(*command, "--bind", f"fd://{number}", pass_fds=[number])
        async with connect(
            f"ws://127.0.0.1:{port}/talk", proxy=None, open_timeout=PATIENCE
        ) as ws:
            assert await receive(ws) == "http"
            await ws.send("hello")
            assert await receive(ws) == "hello"
            ending = asyncio.create_task(server.end())
            assert await says_goodbye(ws) == 1001
            assert await ending == 0


@pytest.mark.usefixtures("descriptors")
async def test_a_thousand_open_websockets_do_not_delay_a_reload(start, folder):
    command = "roll_server", "run", "talks:app", "--port", "0", "--reload"
    server = start(*command, "--limit-connections", "2000")
    (url,) = (await server.says(r"Rolling on http(://[\d.:]+)")).groups()
    sockets = []

    async def is_new():
        return await ask(url) == "second"

    try:
        for _ in range(1000):
            ws = await connect(f"ws{url}/talk", proxy=None, ping_interval=None)
            sockets.append(ws)  # those that are open are closed below
        (folder / "talks.py").write_text(APP.replace('"first"', '"second"'))
        await server.says("talks.py changed")
        began = time.monotonic()
        for ws in sockets:
            await says_goodbye(ws)
        ended = time.monotonic()
        await until(is_new, "the new code", timeout=60)
        served = time.monotonic()
    finally:
        for ws in sockets:
            ws.transport.abort()
    print(f"ended after {ended - began:.2f} s, served after {served - began:.2f} s")
    assert served - began < patience(
        20
    )  # without a limit it would be `Limits.shutdown`, 30


async def ask(url):
    host, _, port = url.removeprefix("://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n\r\n")[2].decode()


@pytest.fixture
def descriptors():
    """Allow for a thousand sockets."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
