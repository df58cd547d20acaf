import asyncio
import logging
import math
from contextlib import suppress

import pytest
from roll import HttpError, Limits, Roll
from roll.http11 import outbox
from roll_testing import Transport, connect, exchange, patience, settle, turns, until

from . import noting
from .wire import OK, error

HEAD = b"GET /x HTTP/1.1\r\nHost: a\r\n"
OFFER = HEAD + b"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
)


class Echo:
    """Hands what comes to the view, and sends what the view says."""

    TOKEN = "echo"
    ALLOWED_METHODS = ("GET",)

    def __init__(self, request, response):
        if request.headers.get("X-Refuse"):
            raise HttpError(403)
        self.app = request.app
        self.request = request
        self.transport = None
        self.came = asyncio.Queue()
        response.headers["Connection"] = "Upgrade"
        response.headers["Upgrade"] = "echo"

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.came.put_nowait(data)

    def eof_received(self):
        return None

    def connection_lost(self, error):
        self.came.put_nowait(None)

    def pause_writing(self):
        pass

    def resume_writing(self):
        pass

    async def run(self, view, variables):
        await view(self.request, self, **variables)

    def stop(self):
        self.transport.write(b"bye")
        self.came.put_nowait(None)

    def check(self, now):
        self.app.checked = now


class App(Roll):
    WebsocketProtocol = Echo

    def __init__(self, **limits):
        super().__init__()
        self.limits = Limits(**limits)
        self.checked = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.seen = []

        @self.route("/x", protocol="websocket")
        async def echo(request, connection):
            self.seen.append("open")
            try:
                while data := await connection.came.get():
                    connection.transport.write(data)
            finally:
                self.seen.append("closed")

        @self.route("/plain", methods=["GET", "POST"])
        async def plain(request, response):
            response.body = request.body or "ok"

        @self.listen("headers")
        async def wait(request, response):
            await self.gate.wait()


@pytest.fixture
async def app():
    return App()


async def finish(transport):
    await noting.finish(transport)
    await turns()


@pytest.mark.parametrize("split", [None, 1, 2, 7, 64])
async def test_what_comes_with_a_handshake_is_for_the_new_protocol(app, split):
    data, closed = await exchange(app, OFFER, split=split, trailing=b"\0GET")
    assert (data, closed) == (SWITCHED + b"\0GET", False)
    await turns()
    assert app.connections == set()
    assert app.seen == ["open", "closed"]


async def test_much_that_comes_with_a_handshake_arrives_in_order(app):
    data = b"".join(b"%d " % number for number in range(4000))
    transport = connect(app)
    transport.get_protocol().data_received(OFFER + data)
    await turns()
    assert transport.data == SWITCHED + data
    await finish(transport)


async def test_what_comes_while_the_handshake_waits_is_for_the_new_protocol(app):
    app.gate.clear()
    transport = connect(app)
    for piece in (OFFER + b"one", b"two", OFFER):
        transport.feed(piece)
        await asyncio.sleep(0)
    assert transport.data == b""
    app.gate.set()
    await settle(transport)
    assert transport.data == SWITCHED + b"onetwo" + OFFER
    transport.feed(b"three")
    await settle(transport)
    assert transport.data == SWITCHED + b"onetwo" + OFFER + b"three"
    await finish(transport)


async def test_what_comes_while_the_handshake_waits_is_bounded():
    app = App(unread=1000)
    app.gate.clear()
    transport = connect(app)
    transport.feed(OFFER)
    transport.feed(b"x" * 1000)
    await asyncio.sleep(0)
    assert transport.is_reading()
    transport.feed(b"x")
    assert not transport.is_reading()
    app.gate.set()
    await settle(transport)
    assert transport.data == SWITCHED + b"x" * 1001
    assert transport.is_reading()
    await finish(transport)


async def test_a_handshake_may_follow_other_requests(app):
    plain = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"
    data, _ = await exchange(app, plain * 2 + OFFER + b"one")
    assert data == OK * 2 + SWITCHED + b"one"


async def test_a_handshake_on_a_connection_that_was_paused_reads_on(app):
    app.gate.clear()
    transport = connect(app)
    transport.feed(b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n")
    transport.feed(OFFER)
    assert not transport.is_reading()
    transport.feed(b"one")
    app.gate.set()
    await settle(transport)
    assert transport.data == OK + SWITCHED + b"one"
    await finish(transport)


async def test_the_new_protocol_stands_in_for_the_connection(app):
    transport = connect(app)
    transport.feed(OFFER)
    await settle(transport)
    (protocol,) = app.connections
    assert protocol is transport.get_protocol()
    assert isinstance(protocol, Echo)
    await finish(transport)
    assert app.connections == set()


async def test_the_date_is_sent_with_the_handshake(app):
    app.date = b"Date: x\r\n"
    data, _ = await exchange(app, OFFER)
    assert data == SWITCHED[:-2] + b"Date: x\r\n\r\n"


async def test_a_handshake_counts_not_as_the_last_request():
    assert await exchange(App(requests=1), OFFER + b"one") == (SWITCHED + b"one", False)


@pytest.mark.parametrize(
    ("data", "expected", "closed"),
    [
        (
            HEAD + b"\r\n",
            error(
                "426 Upgrade Required",
                "Upgrade: echo",
                "Connection: Upgrade",
                close=False,
            ),
            False,
        ),
        (  # RFC 9110, 7.8: an offer in 1.0 does not count
            OFFER.replace(b"HTTP/1.1", b"HTTP/1.0"),
            error("426 Upgrade Required", "Upgrade: echo", "Connection: Upgrade"),
            True,
        ),
        (
            OFFER.replace(b"Connection: ", b"Connection: close, "),
            error("426 Upgrade Required", "Upgrade: echo", "Connection: Upgrade"),
            True,
        ),
        (
            OFFER.replace(b"Upgrade: echo", b"Upgrade: h2c"),
            error("501 Not Implemented"),
            True,
        ),
        (
            OFFER.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\nabc"),
            error("400 Bad Request", message="A handshake has no body"),
            True,
        ),
        (
            OFFER.replace(b"\r\n\r\n", b"\r\nX-Refuse: 1\r\n\r\n"),
            error("403 Forbidden"),
            True,
        ),
        (
            OFFER.replace(b"GET", b"POST"),
            error("405 Method Not Allowed", "Allow: GET, HEAD", close=False),
            False,
        ),
        (OFFER.replace(b"/x", b"/none"), error("404 Not Found", close=False), False),
        (
            OFFER.replace(b"/x", b"/plain").replace(b": echo", b": websocket"),
            error("501 Not Implemented", close=False),
            False,
        ),
    ],
)
@pytest.mark.parametrize("split", [None, 1])
async def test_a_handshake_that_is_refused_gets_one_answer(
    app, data, expected, closed, split
):
    assert await exchange(app, data, split=split) == (expected, closed)
    assert app.seen == []


async def test_what_comes_with_a_refused_handshake_is_not_parsed(app):
    plain = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"
    data = OFFER.replace(b": echo", b": h2c") + plain
    assert await exchange(app, data) == (error("501 Not Implemented"), True)


async def test_what_follows_an_offer_in_1_0_is_served(app):
    data = OFFER.replace(b"1.1", b"1.0").replace(b": Upgrade", b": keep-alive, upgrade")
    found, _ = await exchange(app, data + b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert found.endswith(OK)


async def test_an_offer_with_several_tokens_is_taken_whatever_their_case(app):
    data = OFFER.replace(b": echo", b": h2c, ECHO")
    assert await exchange(app, data) == (SWITCHED, False)


async def test_an_offer_on_a_plain_route_is_ignored_and_the_body_read(app):
    data = (
        b"POST /plain HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    answer = OK.replace(b": 2", b": 5").replace(b"ok", b"hello")
    for split in (None, 1):
        assert await exchange(app, data * 2, split=split) == (answer * 2, False)


@pytest.mark.parametrize("event", ["headers", "request"])
async def test_a_listener_may_refuse_a_handshake(app, event):
    @app.listen(event)
    async def refuse(request, response):
        raise HttpError(401)

    assert await exchange(app, OFFER) == (error("401 Unauthorized"), True)
    assert app.seen == []


async def test_a_response_listener_adds_to_the_handshake_or_refuses_it(app):
    @app.listen("response")
    async def add(request, response):
        response.headers["X"] = "1"
        if request.query_string:
            raise HttpError(403)

    data, closed = await exchange(app, OFFER)
    assert (data, closed) == (SWITCHED[:-2] + b"X: 1\r\n\r\n", False)
    data, closed = await exchange(app, OFFER.replace(b"/x", b"/x?no"))
    assert closed
    assert data.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert data.endswith(b"Connection: close\r\n\r\nForbidden")


async def test_a_client_that_leaves_during_the_handshake_leaves_nothing(app, caplog):
    app.gate.clear()
    transport = connect(app)
    transport.feed(OFFER + b"one")
    await asyncio.sleep(0)
    await finish(transport)
    assert (app.seen, app.connections, caplog.messages) == ([], set(), [])


async def test_a_client_that_leaves_before_the_switch_leaves_nothing(app):
    @app.listen("response")
    async def outlive(request, response):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    transport = connect(app)
    transport.feed(OFFER)
    await turns()
    await finish(transport)
    assert (app.seen, app.connections) == ([], set())
    assert transport.data == b""


async def test_a_view_that_ends_ends_the_connection(app):
    @app.route("/end", protocol="websocket")
    async def end(request, connection):
        connection.transport.write(b"end")

    data, closed = await exchange(app, OFFER.replace(b"/x", b"/end"))
    assert (data, closed) == (SWITCHED + b"end", True)
    assert app.connections == set()


@pytest.mark.parametrize("method", ["connection_made", "data_received", "run"])
async def test_a_protocol_that_fails_ends_the_connection(
    app, method, caplog, monkeypatch
):
    def fail(*arguments):
        raise ValueError("a bug")

    monkeypatch.setattr(Echo, method, fail)
    data, closed = await exchange(app, OFFER + b"one")
    assert (data, closed) == (SWITCHED, True)
    assert app.connections == set()
    line = "GET /x was cut short: ValueError('a bug')"
    assert caplog.record_tuples == [("roll", logging.ERROR, line)]


async def test_a_switch_that_is_cancelled_aborts_the_connection(app):
    transport = connect(app)
    task = None

    @app.route("/task", protocol="websocket")
    async def view(request, connection):
        nonlocal task
        task = asyncio.current_task()
        await asyncio.Event().wait()

    transport.feed(OFFER.replace(b"/x", b"/task"))
    await settle(transport)
    transport.stall()
    transport.write(b"never read")
    task.cancel()
    await transport.wait_closed()
    assert transport.data == SWITCHED


@pytest.mark.parametrize("path", [b"/plain", b"/x"])
async def test_a_handshake_that_a_listener_refuses_is_not_handed_over(app, path):
    @app.listen("headers")
    async def reroute(request, response):
        request.path = "/x"

    @app.listen("response")
    async def refuse(request, response):
        raise HttpError(403)

    transport = connect(app)
    transport.feed(OFFER.replace(b"/x", path))
    await settle(transport)
    assert transport.data.startswith(b"HTTP/1.1 403 ")
    assert app.seen == []
    await finish(transport)


async def test_disconnected_waits_for_the_end_of_an_upgraded_connection(app):
    noticed = []

    async def watch(request):
        await request.disconnected()
        noticed.append("left")

    @app.listen("headers")
    async def start(request, response):
        app.keep(asyncio.create_task(watch(request)))
        await asyncio.sleep(0)

    @app.route("/y", protocol="websocket")
    async def view(request, connection):
        app.keep(asyncio.create_task(watch(request)))
        await connection.came.get()

    transport = connect(app)
    transport.feed(OFFER.replace(b"/x", b"/y"))
    await settle(transport)
    assert noticed == []
    transport.feed(b"go")
    await transport.wait_closed()
    async with asyncio.timeout(patience(5)):
        while len(noticed) < 2:
            await asyncio.sleep(0)


async def test_an_upgraded_connection_is_checked_by_the_sweep():
    app = App(keep_alive=0.04)
    await app.startup()
    transport = connect(app)
    transport.feed(OFFER)
    await until(lambda: app.checked is not None)
    assert not transport.is_closing()
    await finish(transport)
    await app.shutdown()


async def test_shutdown_stops_an_upgraded_connection(app):
    await app.startup()
    transport = connect(app)
    transport.feed(OFFER)
    await settle(transport)
    await app.shutdown()
    assert transport.data == SWITCHED + b"bye"
    assert transport.is_closing()
    assert app.seen == ["open", "closed"]


async def test_shutdown_cuts_an_upgraded_connection_that_does_not_stop(caplog):
    app = App(shutdown=0.05)

    @app.route("/deaf", protocol="websocket")
    async def deaf(request, connection):
        try:
            await asyncio.Event().wait()
        finally:
            app.seen.append("closed")

    await app.startup()
    transport = connect(app)
    transport.feed(OFFER.replace(b"/x", b"/deaf"))
    await settle(transport)
    await app.shutdown()
    await transport.wait_closed()
    assert (app.seen, app.connections) == (["closed"], set())


async def test_a_handshake_while_the_app_ends_is_refused(app):
    app.gate.clear()
    await app.startup()
    transport = connect(app)
    transport.feed(OFFER)
    await asyncio.sleep(0)
    ending = asyncio.create_task(app.shutdown())
    await asyncio.sleep(0)
    app.gate.set()
    await ending
    assert transport.data == error("503 Service Unavailable")
    assert app.seen == []


async def test_a_handshake_that_could_not_be_written_in_time_is_not_handed_over(app):
    await app.startup()
    transport = connect(app)
    transport.set_write_buffer_limits(10)
    transport.stall()
    transport.feed(OFFER)
    await turns()
    assert app.seen == []
    ending = asyncio.create_task(app.shutdown())
    await asyncio.sleep(0)
    transport.drain()
    await ending
    assert (transport.data, app.seen) == (SWITCHED, [])


async def test_a_client_gone_while_the_handshake_is_written_is_not_handed_over(app):
    class Stubborn(App.HttpProtocol):
        async def write(self):
            with suppress(asyncio.CancelledError):
                await super().write()

    transport = Transport(protocol := Stubborn(app))
    protocol.connection_made(transport)
    transport.set_write_buffer_limits(10)
    transport.stall()
    transport.feed(OFFER)
    await turns()
    await finish(transport)
    assert (app.seen, app.connections) == ([], set())


async def test_a_handshake_that_is_cancelled_is_not_held(app):
    @app.listen("response")
    async def wait(request, response):
        await asyncio.Event().wait()

    transport = connect(app)
    protocol = transport.get_protocol()
    transport.feed(OFFER)
    await asyncio.sleep(0)
    assert protocol.switch is not None
    await finish(transport)
    assert not app.connections
    # The other protocol knows the request, and that its connection: a circle.
    assert protocol.switch is None


@pytest.mark.parametrize("early", [b"", b"zero"])
async def test_a_request_that_a_listener_sends_to_an_upgrade_is_switched(app, early):
    @app.listen("request")
    async def reroute(request, response):
        if request.path == "/plain":
            request.path = "/x"

    transport = connect(app)
    transport.feed(OFFER.replace(b"/x", b"/plain") + early)
    await settle(transport)
    transport.feed(b"one")
    await settle(transport)
    assert transport.data == SWITCHED + early + b"one"
    await finish(transport)


def test_a_protocol_may_check_the_extras_of_its_routes():
    class Picky(Echo):
        @classmethod
        def check_extras(cls, extras):
            if "colour" in extras:
                raise ValueError(f"colour={extras['colour']!r}: there is none")

    class PickyApp(Roll):
        WebsocketProtocol = Picky

    app = PickyApp()

    async def view(request, connection): ...

    app.route("/plain", colour="red")(view)
    app.route("/good", protocol="websocket")(view)
    with pytest.raises(ValueError, match="colour='red': there is none") as caught:
        app.route("/bad", protocol="websocket", colour="red")(view)
    assert "declared at" in caught.value.__notes__[0]


async def test_a_slow_client_is_waited_for_before_the_switch(app, monkeypatch):
    # On a slow machine, the responses would be sent before the switch.
    monkeypatch.setattr(outbox, "HOLD_SECONDS", math.inf)

    @app.route("/large")
    async def large(request, response):
        response.body = bytes(60_000)

    get = HEAD.replace(b"/x", b"/large") + b"\r\n"
    client = connect(app)
    client.stall()
    client.feed(get * 3 + OFFER)
    for _ in range(10):
        await asyncio.sleep(0)
    # The new protocol would not know that the transport has paused writing.
    assert app.seen == []
    client.drain()
    await settle(client)
    assert app.seen == ["open"]
    assert client.data.endswith(SWITCHED)
    client.disconnect()


async def test_the_switch_is_told_of_before_the_other_protocol_writes(app):
    get = HEAD.replace(b"/x", b"/plain") + b"\r\n"
    other, client = connect(app), connect(app)
    other.feed(get)  # so that the switch is not the first response of its round
    client.feed(get + OFFER + b"ping")
    await settle(client)
    assert client.data == OK + SWITCHED + b"ping"
    client.disconnect()


@pytest.mark.parametrize(
    ("methods", "others"),
    [
        ("POST", "POST"),
        (["GET", "POST", "PUT"], "POST, PUT"),
        ("*", "HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT"),
    ],
)
def test_a_method_that_no_handshake_has_is_an_error(app, methods, others):
    async def view(request, connection): ...

    message = f"^/a: protocol='websocket' cannot serve {others}, only GET: leave out"
    with pytest.raises(ValueError, match=message):
        app.route("/a", methods, protocol="websocket")(view)
    app.route("/a", ["GET"], protocol="websocket")(view)


def test_a_class_view_of_a_protocol_has_only_the_methods_of_a_handshake(app):
    class View:
        async def on_get(self, request, connection): ...
        async def on_post(self, request, response): ...

    with pytest.raises(ValueError, match="cannot serve POST, only GET"):
        app.route("/a", protocol="websocket")(View)
