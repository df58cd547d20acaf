"""The events `finish` and `refused`: each message is heard of once, however it ends."""

import asyncio
import sys
from contextvars import ContextVar

import pytest
from roll import HttpError, Limits, Roll
from roll_testing import Client, connect, settle, turns, until

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


class Pieces:
    """A stream that waits behind its first piece."""

    def __init__(self):
        self.begun = asyncio.Event()

    async def __aiter__(self):
        yield b"begun"
        self.begun.set()
        await asyncio.Event().wait()


@pytest.fixture
def app():
    app = Roll()
    app["log"] = []
    app["waiting"] = asyncio.Event()
    app["pieces"] = Pieces()

    @app.listen("finish")
    async def note(request, response):
        await asyncio.sleep(0)
        status, sent = int(response.status), response.sent
        app["log"].append((request.path, status, sent, response.complete))

    @app.route("/plain")
    async def plain(request, response):
        response.body = "hello"

    @app.route("/post", methods=["POST"])
    async def post(request, response):
        response.body = request.body

    @app.route("/large")
    async def large(request, response):
        response.body = bytes(2**20)

    @app.route("/wait")
    async def wait(request, response):
        app["waiting"].set()
        await asyncio.Event().wait()

    @app.route("/go-on", on_disconnect="finish")
    async def go_on(request, response):
        await request.disconnected()

    @app.route("/stream")
    async def stream(request, response):
        response.body = app["pieces"]

    @app.route("/fail")
    async def fail(request, response):
        raise LookupError

    @app.route("/cut")
    async def cut(request, response):
        async def pieces():
            yield b"begun"
            raise LookupError

        response.body = pieces()

    return app


async def ended(transport, app, count=1):
    await until(lambda: len(app["log"]) >= count)
    await turns()  # a second call would come by then


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"/plain", ("/plain", 200, 5, True)),
        (b"/large", ("/large", 200, 2**20, True)),
        (b"/nowhere", ("/nowhere", 404, 9, True)),
        (b"/%ff", ("/\ufffd", 400, 33, True)),
        (b"/fail", ("/fail", 500, 21, True)),
        (b"/cut", ("/cut", 200, 5, False)),
    ],
)
async def test_it_runs_once_when_a_request_is_answered(app, path, found, caplog):
    transport = connect(app)
    transport.feed(GET % path)
    await ended(transport, app)
    assert app["log"] == [found]
    transport.disconnect()


async def test_it_runs_for_each_of_several_requests(app):
    transport = connect(app)
    transport.feed(GET % b"/plain" * 3)
    await ended(transport, app, 3)
    assert app["log"] == [("/plain", 200, 5, True)] * 3
    transport.disconnect()


@pytest.mark.parametrize("leave", ["disconnect", "reset"])
async def test_it_runs_when_the_client_leaves(app, leave):
    transport = connect(app)
    transport.feed(GET % b"/wait")
    await app["waiting"].wait()
    getattr(transport, leave)()
    await ended(transport, app)
    assert app["log"] == [("/wait", 200, 0, False)]


async def test_it_runs_when_the_client_leaves_before_the_first_step_of_the_view(app):
    transport = connect(app)
    transport.feed(GET % b"/wait")  # tasks of Python 3.11 are not eager
    transport.disconnect()
    await ended(transport, app)
    assert app["log"] == [("/wait", 200, 0, False)]


async def test_it_runs_when_the_client_leaves_during_a_stream(app):
    transport = connect(app)
    transport.feed(GET % b"/stream")
    await app["pieces"].begun.wait()
    transport.disconnect()
    await ended(transport, app)
    assert app["log"] == [("/stream", 200, 5, False)]


async def test_it_runs_when_the_client_leaves_before_it_has_read_all(app):
    transport = connect(app)
    transport.stall()
    transport.feed(GET % b"/large")
    while not transport.get_write_buffer_size():
        await asyncio.sleep(0)
    assert app["log"] == []
    transport.disconnect()
    await ended(transport, app)
    assert app["log"] == [("/large", 200, 2**20, False)]


async def test_it_runs_when_a_view_that_goes_on_has_ended(app):
    transport = connect(app)
    transport.feed(GET % b"/go-on")
    transport.disconnect()
    await ended(transport, app)
    assert app["log"] == [("/go-on", 200, 0, False)]


async def test_it_runs_when_a_body_does_not_come(app):
    transport = connect(app)
    transport.feed(b"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
    transport.reset()
    await ended(transport, app)
    assert [(path, complete) for path, *_, complete in app["log"]] == [("/post", False)]


async def test_it_runs_when_a_shutdown_cuts_the_view(app, caplog):
    app.configure(limits=Limits(shutdown=0.01))
    await app.startup()
    transport = connect(app)
    transport.feed(GET % b"/wait")
    await app["waiting"].wait()
    await app.shutdown()
    await ended(transport, app)
    assert app["log"] == [("/wait", 200, 0, False)]


async def test_what_a_request_listener_took_is_given_back(app):
    held = set()

    @app.listen("request")
    async def take(request, response):
        held.add(request)

    @app.listen("finish")
    def give_back(request, response):
        held.remove(request)

    transport = connect(app)
    transport.feed(GET % b"/plain" + GET % b"/wait")
    await app["waiting"].wait()
    await ended(transport, app)
    assert len(held) == 1
    transport.disconnect()
    await ended(transport, app, 2)
    assert held == set()


@pytest.mark.parametrize(
    ("path", "leaves", "cause"),
    [
        (b"/plain", False, None),
        (b"/fail", False, None),  # that was answered
        (b"/cut", False, LookupError),
        (b"/wait", True, asyncio.CancelledError),
    ],
)
async def test_a_listener_can_ask_for_what_cut_the_response(app, path, leaves, cause):
    causes = []
    app.listen("finish", before="*")(
        lambda request, response: causes.append(sys.exc_info()[0])
    )
    transport = connect(app)
    transport.feed(GET % path)
    if leaves:
        await app["waiting"].wait()
        transport.disconnect()
    await ended(transport, app)
    assert causes == [cause]
    transport.disconnect()


async def test_a_listener_that_raises_is_logged_and_the_others_run(app, caplog):
    seen = []

    @app.listen("finish", before="*")
    def fail(request, response):
        raise LookupError("plain")

    @app.listen("finish", before="*")
    def fail_again(request, response):
        raise LookupError("plain, too")

    @app.listen("finish")
    async def fail_later(request, response):
        raise LookupError("later")

    @app.listen("finish")
    def come_last(request, response):
        seen.append("last")

    transport = connect(app)
    transport.feed(GET % b"/plain")
    await until(lambda: seen)
    assert len(app["log"]) == 1
    assert caplog.messages == ["A listener of 'finish' failed"] * 3
    transport.disconnect()


async def test_it_runs_when_a_handshake_is_complete(app):
    class Chat:
        TOKEN = "chat"
        ALLOWED_METHODS = ("GET",)

        def __init__(self, request, response):
            self.app = request.app

        def connection_made(self, transport):
            app["log"].append("made")

        async def run(self, view, variables):
            await asyncio.Event().wait()

        def data_received(self, data):
            raise NotImplementedError  # the client sends nothing

    app.ChatProtocol = Chat

    @app.route("/chat", protocol="chat")
    async def chat(request, chat):
        raise NotImplementedError  # `run` does not call it

    transport = connect(app)
    offer = b"Connection: Upgrade\r\nUpgrade: chat\r\n\r\n"
    transport.feed(GET.replace(b"\r\n\r\n", b"\r\n") % b"/chat" + offer)
    await ended(transport, app, 2)
    assert app["log"] == ["made", ("/chat", 101, 0, True)]
    (task,) = asyncio.all_tasks() - {asyncio.current_task()}
    task.cancel()
    await asyncio.wait([task])
    await ended(transport, app, 2)
    assert len(app["log"]) == 2
    transport.disconnect()


async def test_nothing_is_called_without_listeners(app, monkeypatch):
    app.hooks.pop("finish")
    monkeypatch.delattr("roll.http11.exchange.finish")
    transport = connect(app)
    transport.feed(GET % b"/plain")
    await settle(transport)
    assert transport.data.endswith(b"hello")
    transport.disconnect()


# refused


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"BAD\x00", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n", 414),
        (GET.replace(b"Host", b"X: " + b"a" * 10_000 + b"\r\nHost") % b"/", 431),
        (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    ],
)
async def test_a_message_that_is_refused_is_heard_of_once(app, data, status):
    found = []

    @app.listen("refused")
    def note(status, remote_addr):
        found.append((status, remote_addr))

    transport = connect(app)
    transport.feed(data)
    await settle(transport)
    assert found == [(status, "127.0.0.1")]
    assert transport.data.startswith(b"HTTP/1.1 %d " % status)
    assert app["log"] == []
    transport.disconnect()


async def test_a_message_that_takes_too_long_is_heard_of(app):
    found = []
    app.listen("refused")(lambda *arguments: found.append(arguments))
    transport = connect(app)
    transport.feed(b"GET / HT")
    (connection,) = app.connections
    connection.check(0)
    connection.check(app.limits.head_timeout)
    assert found == [(408, "127.0.0.1")]
    transport.disconnect()


async def test_a_listener_of_what_is_refused_may_fail(app, caplog):
    @app.listen("refused")
    def fail(status, remote_addr):
        raise HttpError(500)

    transport = connect(app)
    transport.feed(b"BAD\x00")
    await settle(transport)
    assert transport.data.startswith(b"HTTP/1.1 400 ")
    assert caplog.messages == ["A listener of 'refused' failed"]
    transport.disconnect()


async def test_a_request_finishes_before_the_next_one_of_its_connection_begins():
    log = []
    gate = asyncio.Event()
    app = Roll()

    @app.route("/{name}")
    async def view(request, response, name):
        log.append(name)
        if name == "slow":
            await gate.wait()

    @app.listen("finish")
    async def finish(request, response):
        log.append(f"{request.path} finishes")

    async with Client(app):
        transport = connect(app)
        get = "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n"
        transport.feed((get.format("slow") + get.format("fast")).encode())
        await turns()
        gate.set()
        await settle(transport)
    assert log == ["slow", "/slow finishes", "fast", "/fast finishes"]


async def test_a_request_that_is_cancelled_finishes_before_the_app_has_ended():
    log = []
    app = Roll()

    @app.route("/")
    async def view(request, response):
        await asyncio.Event().wait()

    @app.listen("finish")
    async def finish(request, response):
        log.append("finish")

    @app.listen("shutdown")
    async def end():
        log.append("shutdown")

    async with Client(app):
        transport = connect(app)
        transport.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await turns()
        transport.reset()
        await transport.wait_closed()
    assert log == ["finish", "shutdown"]


async def test_what_is_refused_is_heard_of_outside_of_the_request_before(app):
    current = ContextVar("current", default="nothing")
    found = []

    @app.route("/named")
    async def named(request, response):
        current.set("a request")
        await turns()

    @app.listen("refused")
    def note(status, remote_addr):
        found.append(current.get())

    transport = connect(app)
    transport.feed(GET % b"/named" + b"BAD\x00")
    await settle(transport)
    assert found == ["nothing"]
    transport.disconnect()
