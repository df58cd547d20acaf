"""What the log says of errors: with their tracebacks, and with targets as text."""

import asyncio
import gc
import logging

import pytest
from roll import Roll
from roll_testing import Client, exchange, until

EVENTS = {
    "headers": "/",
    "request": "/",
    "response": "/",
    "error": "/nowhere",
    "finish": "/",
    "route:find": "/",
    "refused": "bad target",
    "websocket_connect": "/ws",
    "websocket_disconnect": "/ws",
    "shutdown": "/",
    "own": "/hook",
}
"""What a client asks for to have an event happen."""

VIEWS = ("/view", "/stream", "/ws/view", "/task", "/kept")


class Boom(Exception):
    pass


def fail(*arguments):
    raise Boom


async def fail_later(*arguments):
    raise Boom


@pytest.fixture
def app():
    app = Roll()
    app.route("/view")(fail_later)
    app.route("/ws/view", protocol="websocket")(fail_later)

    @app.route("/")
    async def greet(request, response):
        response.body = "hello"

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield b"one"
            fail()

        response.body = pieces()

    @app.route("/task")
    async def start_a_task(request, response):
        asyncio.create_task(fail_later())  # noqa: RUF006

    @app.route("/kept")
    async def keep_a_task(request, response):
        app.keep(fail_later())

    @app.route("/hook")
    async def start_an_event(request, response):
        app.hook("own")

    @app.route("/ws", protocol="websocket")
    async def wait(request, ws):
        await ws.wait_closed()

    return app


async def ask(app, path):
    line = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    if path.startswith("/ws"):
        line = line.replace(
            "close",
            "Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
    await exchange(app, line.encode("latin-1"))


def failures(caplog):
    gc.collect()  # asyncio reports tasks that nobody waits for when they are dropped
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("event", "path"), [*EVENTS.items(), *((None, path) for path in VIEWS)]
)
async def test_each_error_is_logged_with_its_traceback(app, event, path, caplog):
    if event is not None:
        app.listen(event)(fail if event in ("refused", "route:find") else fail_later)
    try:
        async with Client(app):
            await ask(app, path)
            await until(lambda: not app.connections)
    except Boom:
        assert event == "shutdown"  # the caller gets the error, too
    (record,) = failures(caplog)
    assert record.exc_info[0] is Boom
    assert "raise Boom" in caplog.text


FORGED = b"/\xc3\xa9\xff\r\nGET /forged\x1b[2J\xe2\x80\xae"
WRITTEN = r"/é\xff\r\nGET /forged\x1b[2J\u202e"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/view", f"GET {WRITTEN}: Boom()"),
        ("/stream", f"GET {WRITTEN} was cut short: Boom()"),
        ("/ws", f"WebSocket {WRITTEN}: Boom()"),
    ],
)
async def test_a_target_is_logged_as_text_on_one_line(path, line, caplog):
    app = Roll()

    @app.route("/view")
    async def view(request, response):
        request.url = FORGED
        raise Boom

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield b"one"
            request.url = FORGED
            raise Boom

        response.body = pieces()

    @app.route("/ws", protocol="websocket")
    async def wait(request, ws):
        request.url = FORGED
        raise Boom

    await ask(app, path)
    assert [record.getMessage() for record in failures(caplog)] == [line]
