"""Real sockets and processes, many of them: what is left after, and how it ends."""

import asyncio
import gc
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle, islice

import pytest
from roll import Limits, Roll, Server
from roll_testing import patience, turns, until

from .wire import CLOSED_OK, GET, LAST, OK, get, served


@pytest.fixture(autouse=True)
def many_descriptors():
    """Let this process, and those it starts, open the sockets of these tests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 3000
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Clients that come and go

CLIENTS = 3000
LEAK = 2048
"""Bytes that a client may leave behind: less than its connection takes."""


class App(Roll):
    limits = Limits(connections=10_000)

    def __init__(self):
        super().__init__()
        self.seen = Counter()

        @self.route("/", methods="*")
        async def view(request, response):
            response.body = request.body or "ok"

        @self.route("/slow")
        async def slow(request, response):
            self.seen["open"] += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.seen["closed"] += 1

        @self.route("/stream")
        async def stream(request, response):
            response.body = self.pieces()

    async def pieces(self):
        self.seen["open"] += 1
        try:
            while True:
                yield b"x" * 8192
        finally:
            self.seen["closed"] += 1


PHASES = {
    "after the connect": b"",
    "in the head": GET[:-1],
    "in the body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    "during a view": GET.replace(b"/", b"/slow", 1),
    "during a stream": GET.replace(b"/", b"/stream", 1),
    "after a response": GET,
}
BATCH = 50


def reset(sock):
    """Close as an aborting client does: with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def close(sock):
    sock.close()


def undated(data):
    return re.sub(rb"Date: [^\r]*\r\n", b"", data)


async def come_and_go(app, address, phase, leave):
    """Open a batch of connections, wait until they are in *phase*, and leave."""
    loop = asyncio.get_running_loop()
    before = app.seen["open"]
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(BATCH)]
        for sock in sockets:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
            sock.send(PHASES[phase])
        if phase in ("during a view", "during a stream"):
            await until(lambda: app.seen["open"] == before + BATCH)
        elif phase == "after a response":
            for sock in sockets:
                assert undated(await loop.sock_recv(sock, 1000)) == served(OK)
        elif phase != "after the connect":  # which may not be accepted yet
            await until(lambda: len(app.connections) >= BATCH)
        for sock in sockets:
            leave(sock)
    await until(lambda: not app.connections)


async def soak(app, address, clients):
    phases = [(phase, leave) for phase in PHASES for leave in (reset, close)]
    for phase, leave in islice(cycle(phases), clients // BATCH):
        await come_and_go(app, address, phase, leave)


async def left(app):
    """What is open or running, and the memory in bytes, once all has settled."""
    await until(lambda: app.seen["open"] == app.seen["closed"])
    await until(lambda: not app.connections)
    await turns()
    gc.collect()
    tasks = asyncio.all_tasks()
    return len(os.listdir("/dev/fd")), len(tasks), len(app.connections), resident()


def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:  # not on Linux: only the others are compared
        return 0


def test_thousands_of_clients_that_come_and_go_leave_nothing(run, caplog):
    async def main():
        reports = []
        loop = asyncio.get_running_loop()
        loop.set_debug(False)  # it takes five times as long, and sees nothing here
        loop.set_exception_handler(lambda _, context: reports.append(context))
        app = App()
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)  # streams stall soon
        address = sock.getsockname()
        server = Server(app, [sock])
        await server.start()
        try:
            await soak(app, address, 24 * BATCH)
            grown = []
            while not grown or (grown[-1] >= LEAK * CLIENTS and len(grown) < 3):
                *before, memory_before = await left(app)
                await soak(app, address, CLIENTS)
                *after, memory_after = await left(app)
                assert after == before
                grown.append(memory_after - memory_before)
        finally:
            await server.stop()
        # A process that has run other tests may take more once. A leak does each time.
        assert min(grown) < LEAK * CLIENTS, grown
        assert reports == []

    run(main())
    assert caplog.messages == []


# A process that is told to end

SCRIPT = '''
import asyncio, signal, socket, sys
from roll import Limits, Roll, Server

def say(*words):
    print(*words, flush=True)

class Echo:
    """Sends back what comes."""

    TOKEN = "echo"
    ALLOWED_METHODS = ("GET",)

    def __init__(self, request, response):
        self.done = asyncio.Event()
        response.headers.update(Connection="Upgrade", Upgrade="echo")

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def eof_received(self): ...
    def pause_writing(self): ...
    def resume_writing(self): ...
    def check(self, now): ...

    def connection_lost(self, error):
        self.done.set()

    async def run(self, view, variables):
        await self.done.wait()
        say("echo ends")

    def stop(self):
        self.transport.write(b"bye")
        self.done.set()

class App(Roll):
    WebsocketProtocol = Echo
    limits = Limits(
        shutdown=float(sys.argv[2]), keep_alive=60, connections=3000, body=1000
    )

app = App()

@app.route("/", methods=["GET", "POST"])
async def view(request, response):
    response.body = request.body or "ok"

@app.route("/json", methods=["POST"])
async def read_json(request, response):
    response.json = request.json

@app.route("/split")
async def split(request, response):
    response.headers["X"] = "a\\r\\nX-Evil: 1"

@app.route("/raise")
async def fail(request, response):
    assert not __debug__, "secret"
    raise KeyError("secret")

@app.route("/slow", methods=["POST"], lazy_body=True)
async def slow(request, response):
    say("view starts")
    response.body = await request.read()
    say("view ends")

@app.route("/events")
async def events(request, response):
    async def pieces():
        yield "one"
        await request.closing.wait()
        yield "end"
        say("events end")

    response.body = pieces()

@app.route("/forever")
async def forever(request, response):
    async def pieces():
        try:
            while True:
                yield "x"
                await asyncio.sleep(0.01)
        finally:
            say("forever is cut")

    response.body = pieces()

@app.route("/echo", protocol="websocket")
async def echo(request, connection): ...

@app.listen("shutdown")
async def tell():
    say("shutdown")

async def main():
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 60  # a busy machine is not an error
    stop = asyncio.Event()

    def handle():
        stop.set()
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    loop.add_signal_handler(signal.SIGTERM, handle)
    sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = sock.getsockname()[1]
    server = Server(app, [sock])
    try:
        await server.start()
        say(port)
        await stop.wait()
    finally:
        await server.stop()
    say("served")

factory = asyncio.new_event_loop
if sys.argv[1] == "uvloop":
    from uvloop import new_event_loop as factory
with asyncio.Runner(loop_factory=factory) as runner:
    runner.run(main())
say("ended")
'''


class Process:
    """The script, as a process that listens on `address`."""

    def __init__(self, script, loop, shutdown=30, options=()):
        command = [sys.executable, "-X", "dev", "-W", "error", *options, script]
        self.process = subprocess.Popen(
            [*command, loop, str(shutdown)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = ("127.0.0.1", int(self.process.stdout.readline()))
        self.signalled = None

    def connect(self, data):
        sock = socket.create_connection(self.address, timeout=patience(5))
        sock.sendall(data)
        return sock

    def wait_for(self, line, times=1):
        for _ in range(times):
            assert self.process.stdout.readline() == f"{line}\n"

    def terminate(self):
        self.signalled = time.monotonic()
        self.process.send_signal(signal.SIGTERM)

    def since(self):
        """Seconds since the signal."""
        return time.monotonic() - self.signalled

    def end(self):
        """What the process still said, on its output and as errors."""
        output, errors = self.process.communicate(timeout=patience(10))
        return output.splitlines(), errors


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request):
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    return request.param


@pytest.fixture
def start(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    started = []

    def start(*arguments, **options):
        started.append(Process(script, *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        with each.process:
            each.process.kill()


@contextmanager
def connections(server, data, number=1):
    with ExitStack() as stack:
        yield [stack.enter_context(server.connect(data)) for _ in range(number)]


SLOW = get("/slow", "Content-Length: 2", method="POST")
OFFER = get("/echo").replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\n")
OFFER += b"Upgrade: echo\r\n\r\n"


def read_until(sock, end):
    data = b""
    while not data.endswith(end):
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    return undated(data)


def read_all(sock):
    data = b""
    with suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            data += piece
    return undated(data)


def test_sigterm_ends_what_can_end_and_cuts_the_rest_in_time(start, loop):
    limit = patience(5)
    server = start(loop, limit)
    with (
        connections(server, GET, 1000) as idle,
        connections(server, SLOW, 5) as slow,
        connections(server, get("/events"), 5) as events,
        connections(server, get("/forever")) as (forever,),
        connections(server, OFFER + b"hello", 5) as echoes,
    ):
        server.wait_for("view starts", 5)
        assert {read_until(sock, b"ok") for sock in idle} == {served(OK)}
        for sock in events:
            read_until(sock, b"\r\n3\r\none\r\n")
        for sock in echoes:
            read_until(sock, b"\r\n\r\nhello")
        read_until(forever, b"1\r\nx\r\n")
        server.terminate()
        assert {read_all(sock) for sock in idle} == {b""}
        assert {read_all(sock) for sock in echoes} == {b"bye"}
        assert {read_all(sock) for sock in events} == {b"3\r\nend\r\n" + LAST}
        for sock in slow:
            sock.send(b"ok")
        assert {read_all(sock) for sock in slow} == {served(CLOSED_OK)}
        assert not read_all(forever).endswith(LAST)
        output, errors = server.end()
        assert limit <= server.since() < limit + patience(5)
    assert sorted(output[:10]) == ["echo ends"] * 5 + ["events end"] * 5
    assert output[10:15] == ["view ends"] * 5
    assert output[15:] == ["forever is cut", "shutdown", "served", "ended"]
    assert errors == (
        "Shutdown cuts 1 connections and 1 tasks that are still running\n"
    )
    assert server.process.returncode == 0


def test_sigterm_waits_no_longer_than_for_the_last_request(start, loop):
    limit = patience(30)
    server = start(loop, limit)
    with (
        connections(server, b"", 10) as silent,
        connections(server, GET[:-1], 10) as slower,
        connections(server, SLOW, 5) as slow,
    ):
        server.wait_for("view starts", 5)
        server.terminate()
        assert {read_all(sock) for sock in silent + slower} == {b""}
        with pytest.raises(ConnectionRefusedError):
            server.connect(GET)
        for sock in slow:
            sock.send(b"ok" + GET)  # the one behind it comes too late
        assert {read_all(sock) for sock in slow} == {served(CLOSED_OK)}
        output, errors = server.end()
        assert server.since() < limit
    assert output == ["view ends"] * 5 + ["shutdown", "served", "ended"]
    assert errors == ""
    assert server.process.returncode == 0


def test_a_second_sigterm_ends_at_once(start, loop):
    limit = patience(30)
    server = start(loop, limit)
    with (
        connections(server, get("/forever"), 5) as forever,
        connections(server, GET) as (idle,),
    ):
        for sock in forever:
            read_until(sock, b"1\r\nx\r\n")
        server.terminate()
        assert read_all(idle) in (b"", served(OK))  # so the first one came
        assert server.process.poll() is None
        server.terminate()
        output, errors = server.end()
        assert server.since() < limit
    assert (output, errors) == ([], "")
    assert server.process.returncode == -signal.SIGTERM


# A process without assertions


def request(path=b"/", *fields, method=b"GET", body=b""):
    lines = [b"%b %b HTTP/1.1" % (method, path), b"Host: a", *fields]
    return b"\r\n".join([*lines, b"Connection: close", b"", body])


REQUESTS = {
    request(): b"200 OK",
    GET + request(): b"200 OK",
    request(b"/", b"Content-Length: 3", method=b"POST", body=b"abc"): b"200 OK",
    request(
        b"/", b"Transfer-Encoding: chunked", method=b"POST", body=b"1\r\na\r\n0\r\n\r\n"
    ): b"200 OK",
    request(b"/json", b"Content-Length: 2", method=b"POST", body=b"[]"): b"200 OK",
    request(b"/json", b"Content-Length: 1", method=b"POST", body=b"["): (
        b"400 Bad Request"
    ),
    request(b"/none"): b"404 Not Found",
    request(method=b"PUT"): b"405 Method Not Allowed",
    request(b"/", b"Content-Length: 2000", method=b"POST"): b"413 Content Too Large",
    request(b"/" + b"a" * 9000): b"414 URI Too Long",
    request(b"/", *[b"X: y"] * 200): b"431 Request Header Fields Too Large",
    request(b"/%ff"): b"400 Bad Request",
    request(b"/", b"Host: b"): b"400 Bad Request",
    request(b"/", b"X : y"): b"400 Bad Request",
    request(b"/", b"Content-Length: 3", b"Transfer-Encoding: chunked"): (
        b"400 Bad Request"
    ),
    request(b"/", b"Content-Length: x"): b"400 Bad Request",
    request(b"*"): b"400 Bad Request",
    b"\0": b"400 Bad Request",
    request(b"/split"): b"500 Internal Server Error",
    request(b"/raise"): b"500 Internal Server Error",
    request(b"/echo"): b"426 Upgrade Required",
}


def talk(server, data):
    with server.connect(data) as sock:
        return read_all(sock)


@pytest.mark.parametrize("option", ["-O", "-OO"])
def test_a_server_answers_the_same_without_assertions(start, loop, option):
    plain, optimized = start(loop), start(loop, options=[option])
    for data, status in REQUESTS.items():
        found = talk(optimized, data)
        assert found.startswith(b"HTTP/1.1 %b\r\n" % status)
        assert found == talk(plain, data)
        assert b"secret" not in found
    with optimized.connect(OFFER + b"hello") as sock:
        assert read_until(sock, b"hello").startswith(b"HTTP/1.1 101 Switching Pro")
    for server in (plain, optimized):
        server.terminate()
        output, errors = server.end()
        assert output[-3:] == ["shutdown", "served", "ended"]
        assert errors.count("Traceback") == errors.count("\n  Traceback") == 2
        assert server.process.returncode == 0
