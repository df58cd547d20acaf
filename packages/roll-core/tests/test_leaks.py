"""What a request leaves behind, however it ends: nothing, without a garbage collector.

An exception holds its traceback, that its frames, and these what they were called with:
a name too many is a circle, and what is in it stays until the collector happens to run.
"""

import asyncio
import gc
import os
import socket
import struct
import threading
import tracemalloc

import pytest
from roll import Files, HttpError, HttpProtocol, Limits, Request, Response, Roll, Server
from roll.forms.multipart import Multipart
from roll.http11.body import Body
from roll_testing import patience, until

from . import wire
from .wire import get, post_chunks

KIB = 1024
PATIENCE = patience(10)


def post(path, body, cut=None, kind="text/plain"):
    """Write a request, with *cut* bytes of its body."""
    message = wire.post(body, path, f"Content-Type: {kind}")
    return message[: None if cut is None else cut - len(body)]


FORM = (
    b'--B\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'
    + b"x" * 300 * KIB
    + b"\r\n--B--\r\n"
)
KIND = "multipart/form-data; boundary=B"

CASES = {
    "nothing": b"",
    "half a head": get("/wait")[:-1],
    "no request": b"no\0request",
    "a path that does not decode": get("/%ff"),
    "no route": get("/none"),
    "a response": get("/ok"),
    "an error": get("/refuse"),
    "a bug": get("/bug"),
    "a bug in a listener": get("/listener"),
    "a response that cannot be sent": get("/split"),
    "a late view": get("/late"),
    "a view": get("/wait"),
    "a stream": get("/stream"),
    "a stream that waits": get("/stream/wait"),
    "a stream that raises": get("/stream/bug"),
    "half a body": post("/load", b"x" * 100, 50),
    "a body": post("/load", b"x" * 100),
    "a body that is too large": post("/load", b"x" * 2 * KIB * KIB, 50),
    "a body that is not JSON": post("/json", b"x"),
    "half a body that nobody reads": post("/unread", b"x" * 100, 50),
    "half of the chunks": post_chunks(path="/load") + b"5\r\nab",
    "what is not a chunk": post_chunks(b"abcde", path="/load") + b"x",
    "half a form": post("/form", FORM, 200 * KIB, KIND),
    "a form": post("/form", FORM, None, KIND),
    "half a form, in a view that catches": post("/form/catch", FORM, 99 * KIB, KIND),
    "what is not a form": post("/form", b"x" * 100, None, KIND),
    "a loaded form": post("/form/loaded", FORM, None, KIND),
}


class App(Roll):
    # A form that is on disk has at least one descriptor.
    limits = Limits(spool=1 * KIB, keep_alive=0.05, head_timeout=0.2, shutdown=1)

    def __init__(self):
        super().__init__()
        self.began = 0

        @self.listen("headers")
        def count(request, response):
            self.began += 1

        @self.listen("response")
        async def fail(request, response):
            if request.path == "/listener":
                raise ValueError("a bug in a listener")

        def route(path, methods=("GET", "POST"), **extras):
            return self.route(path, methods, **extras)

        @route("/ok")
        @route("/listener")
        @route("/load")
        @route("/unread", lazy_body=True)
        async def ok(request, response):
            response.body = request.path

        @route("/refuse")
        async def refuse(request, response):
            raise HttpError(403)

        @route("/bug")
        async def bug(request, response):
            raise ValueError("a bug")

        @route("/split")
        async def split(request, response):
            response.headers["X"] = "\n"

        @route("/late", timeout=0.001)
        @route("/wait")
        async def wait(request, response):
            await asyncio.Event().wait()

        @route("/json")
        async def read_json(request, response):
            response.json = request.json

        @route("/form", lazy_body=True)
        async def load_form(request, response):
            await request.load_form()
            await asyncio.Event().wait()

        @route("/form/catch", lazy_body=True)
        async def load_form_and_catch(request, response):
            try:
                await request.load_form()
            except asyncio.CancelledError as error:
                raise RuntimeError("cannot be loaded") from error

        @route("/form/loaded")
        async def read_form(request, response):
            response.body = request.files.get("a").read()

        @route("/stream")
        async def stream(request, response):
            response.body = pieces(endless=True)

        @route("/stream/wait")
        async def stream_and_wait(request, response):
            response.body = pieces(waits=True)

        @route("/stream/bug")
        async def stream_and_fail(request, response):
            response.body = pieces(fails=True)


async def pieces(endless=False, waits=False, fails=False):
    yield b"x" * KIB
    while endless:
        yield b"x" * KIB
    if waits:
        await asyncio.Event().wait()
    if fails:
        raise ValueError("a bug in a stream")


def leave(sock, how):
    if how == "a reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def descriptors():
    return len(os.listdir("/dev/fd"))


OTHERS = []
"""What tests before this one, in the same process, hold on to."""


def left_behind():
    """What belongs to requests, wherever it is held."""
    kinds = (Request, Response, HttpProtocol, Body, Multipart)
    others = {id(each) for each in OTHERS}
    return [
        each
        for each in gc.get_objects()
        # Not `isinstance`, which asks an object for its class: a lazy one wakes up.
        if issubclass(type(each), kinds) and id(each) not in others
    ]


def allocated():
    """Bytes, without those of asyncio's transports, each a circle of its own."""
    others = [tracemalloc.Filter(False, "*/asyncio/*")]
    statistics = tracemalloc.take_snapshot().filter_traces(others).statistics("lineno")
    return sum(each.size for each in statistics)


async def come_and_leave(app, address, data, how, turns):
    loop = asyncio.get_running_loop()
    began = app.began
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, data)
        if b"HTTP/1.1\r\nHost: a\r\n" in data and data.count(b"\r\n\r\n"):
            await until(lambda: app.began > began)
        for _ in range(turns):
            await asyncio.sleep(0)
        leave(sock, how)


async def serve(app, use):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = Server(app, [sock])
        await server.start()
        try:
            await use(sock.getsockname())
        finally:
            await server.stop()


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    OTHERS[:] = left_behind()
    yield
    OTHERS.clear()
    gc.enable()


@pytest.mark.parametrize("how", ["a reset", "an end"])
@pytest.mark.parametrize("data", CASES.values(), ids=CASES)
def test_a_request_leaves_nothing_behind(run, no_collector, caplog, data, how):
    caplog.set_level("CRITICAL", "roll")  # a record holds its exception
    app = App()

    async def use(address):
        await come_and_leave(app, address, data, how, 1)
        await until(lambda: not app.connections)
        before = descriptors()
        for turns in range(18):
            await come_and_leave(app, address, data, how, turns)
        await until(lambda: not app.connections)
        await until(lambda: not left_behind())
        await until(lambda: descriptors() <= before)

    run(serve(app, use))


def test_the_memory_of_500_aborted_uploads_is_given_back(run, no_collector, caplog):
    caplog.set_level("CRITICAL", "roll")
    app = App()
    names = [name for name in CASES if "form" in name or "body" in name]

    async def abort(address, count):
        for turn in range(count):
            data = CASES[names[turn % len(names)]]
            await come_and_leave(app, address, data, "a reset", turn % 7)
        await until(lambda: not app.connections and not left_behind())

    async def use(address):
        await abort(address, 100)
        before = descriptors()
        tracemalloc.start()
        try:
            await abort(address, 10)
            size = allocated()
            await abort(address, 490)
            # A form takes 300 KiB, a request some KiB: 490 of them would show.
            assert allocated() - size < 300 * KIB
        finally:
            tracemalloc.stop()
        await until(lambda: descriptors() <= before)

    run(serve(app, use))


def test_a_form_that_is_closed_while_it_is_fed_closes_at_the_end_of_that():
    class SlowFiles(Files):
        reached, proceed = threading.Event(), threading.Event()

        def setdefault(self, *arguments):
            self.reached.set()
            assert self.proceed.wait(PATIENCE)
            return super().setdefault(*arguments)

    class FormApp(App):
        Files = SlowFiles

    before = descriptors()
    parser = Multipart(FormApp())
    _, files = parser.initialize(KIND)
    thread = threading.Thread(target=parser.feed_data, args=[FORM])
    thread.start()
    assert files.reached.wait(PATIENCE)
    parser.close()
    assert descriptors() == before + 1  # its thread may write to it
    files.proceed.set()
    thread.join(PATIENCE)
    assert files.get("a").closed
    assert descriptors() == before
