"""logger: a line for each and every request, whatever becomes of it."""

import asyncio
import functools
import io
import json
import logging
import re
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roll import HttpError, Limits, Request, Response, Roll
from roll.extensions import logger
from roll_logger import RequestIdFilter, current_request_id
from roll_testing import (
    Client,
    LiveClient,
    connect,
    exchange,
    patience,
    settle,
    turns,
    until,
)

LOGGER = logging.getLogger("roll")


class Lines(logging.Handler):
    """Keep what is logged."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)

    @property
    def lines(self):
        """The lines of requests, without those of Roll's errors."""
        return [one.getMessage() for one in self.records if one.levelname == "INFO"]

    @property
    def objects(self):
        return [json.loads(line) for line in self.lines]


@pytest.fixture(autouse=True)
def untouched_logger():
    """Each test leaves the logger as it was."""
    before = (LOGGER.level, LOGGER.handlers.copy(), LOGGER.filters.copy())
    yield
    assert (LOGGER.level, LOGGER.handlers, LOGGER.filters) == before


@pytest.fixture
def handler():
    return Lines()


def make_app():
    app = Roll()

    @app.route("/hello/{name}")
    async def hello(request, response, name):
        response.body = f"Hello {name}"

    @app.route("/broken")
    async def broken(request, response):
        raise ValueError("no")

    @app.route("/form", methods=["POST"])
    async def form(request, response):
        response.status = 201

    return app


@pytest.fixture
def app():
    return make_app()


def request_bytes(target, *fields, method="GET", version="1.1"):
    lines = [f"{method} {target} HTTP/{version}", "Host: x", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


# The short line


async def test_each_request_is_a_line(app, client, handler):
    logger(app, handler=handler)
    await client.get("/hello/you?a=b&c=%20d")
    await client.post("/form", {"x": "y"})
    assert handler.lines == ["GET /hello/you?a=b&c=%20d", "POST /form"]


@pytest.mark.parametrize("format", ["short", "common", "combined", "json"])
async def test_errors_have_their_line(app, client, handler, format):
    logger(app, handler=handler, format=format)
    await client.get("/nowhere")
    await client.get("/form")
    await client.get("/broken")
    await client.head("/hello/you")
    assert len(handler.lines) == 4


async def test_the_line_is_info_of_the_logger_roll(app, client, handler):
    logger(app, handler=handler)
    await client.get("/nowhere")
    (record,) = handler.records
    assert (record.name, record.levelno) == ("roll", logging.INFO)
    assert record.msg == "GET /nowhere"


async def test_the_short_line_comes_before_those_of_the_view(app, client, handler):
    logger(app, handler=handler)

    @app.route("/")
    async def home(request, response):
        LOGGER.info("from the view")

    await client.get("/")
    assert handler.lines == ["GET /", "from the view"]


async def test_a_percent_sign_is_no_format(app, client, handler):
    logger(app, handler=handler)
    await client.get("/%s?%d%%")
    assert handler.lines == ["GET /%s?%d%%"]


@pytest.mark.parametrize("format", ["short", "json"])
async def test_shortcuts_have_their_line(app, client, handler, format):
    logger(app, handler=handler, format=format)

    @app.listen("headers")
    async def answer_early(request, response):
        return request.path == "/early"

    @app.listen("request")
    async def answer(request, response):
        return True

    await client.get("/early")
    await client.get("/late")
    assert len(handler.lines) == 2


@pytest.mark.parametrize("event", ["headers", "request", "response"])
@pytest.mark.parametrize("format", ["short", "common"])
async def test_what_listeners_declared_before_answer_has_its_line(
    app, client, handler, format, event
):
    @app.listen(event)
    async def answer(request, response):
        return True

    logger(app, handler=handler, format=format)
    await client.get("/x")
    assert len(handler.lines) == 1
    assert "GET /x" in handler.lines[0]


@pytest.mark.parametrize("event", ["headers", "request", "response"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("format", ["short", "common"])
async def test_what_a_listener_refuses_has_its_line(
    app, client, handler, format, when, event
):
    async def refuse(request, response):
        raise HttpError(403)

    if when == "before":
        app.listen(event)(refuse)
    logger(app, handler=handler, format=format)
    if when == "after":
        app.listen(event)(refuse)
    assert (await client.get("/hello/you")).status == 403
    (line,) = handler.lines
    assert format == "short" or '"GET /hello/you HTTP/1.1" 403 9 ' in line


async def test_a_path_that_does_not_decode_has_its_line(app, handler):
    logger(app, handler=handler, format="json")
    async with Client(app):
        await exchange(app, request_bytes("/%ff"))
    (line,) = handler.objects
    assert (line["url"], line["status"], line["route"]) == ("/%ff", 400, None)


async def test_a_shortcut_for_a_path_that_does_not_decode_has_its_line(app, handler):
    @app.listen("headers")
    async def answer(request, response):
        return True

    logger(app, handler=handler, format="json")
    async with Client(app):
        await exchange(app, request_bytes("/%ff"))
    assert [line["route"] for line in handler.objects] == [None]


async def test_pipelined_requests_have_a_line_each_in_order(app, handler):
    logger(app, handler=handler, format="common")
    async with Client(app):
        await exchange(app, b"".join(request_bytes(f"/{n}") for n in range(5)))
    assert [line.split()[6] for line in handler.lines] == [f"/{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
    ],
)
@pytest.mark.parametrize("format", ["short", "common", "combined", "json"])
async def test_what_the_protocol_refuses_has_its_line(
    app, handler, data, status, format
):
    logger(app, handler=handler, format=format, request_id="X-Request-ID")
    async with Client(app):
        answer = await exchange(app, data)
    assert answer.data.startswith(f"HTTP/1.1 {status} ".encode())
    (line,) = handler.lines
    if format == "short":
        assert line == f"refused {status} 127.0.0.1"
    elif format == "json":
        found = json.loads(line)
        assert found.pop("time")
        assert found == {
            **dict.fromkeys(("method", "url", "version", "route", "request_id")),
            **{"remote_addr": "127.0.0.1", "status": status, "size": None},
            **{"complete": True, "duration": 0, "referer": "", "user_agent": ""},
        }
    else:
        fields = ' "-" "-"' if format == "combined" else ""
        assert line.startswith("127.0.0.1 - - [")
        assert line.endswith(f'] "-" {status} -{fields} 0.000000')


async def test_a_message_that_is_refused_late_has_its_line(handler):
    class App(Roll):
        limits = Limits(head_timeout=0.05)

    app = App()
    logger(app, handler=handler, format="common")
    async with Client(app):
        transport = connect(app)
        transport.feed(b"GET / HTTP/1.1\r\n")
        await until(lambda: transport.data)
        assert transport.data.startswith(b"HTTP/1.1 408 ")
    assert '"-" 408 - ' in handler.lines[0]


async def test_lines_of_pipelined_requests_are_in_their_order(app, handler):
    logger(app, handler=handler, format="common")
    gate = asyncio.Event()

    @app.route("/slow")
    async def slow(request, response):
        await gate.wait()

    async with Client(app):
        transport = connect(app)
        transport.feed(request_bytes("/slow") + request_bytes("/fast") + b"GET\r\n\r\n")
        await turns()
        gate.set()
        await settle(transport)
    assert [line.split()[6] for line in handler.lines[:2]] == ["/slow", "/fast"]
    assert '"-" 400 -' in handler.lines[2]


async def test_a_request_made_by_hand_has_its_line_at_once(app, client, handler):
    logger(app, handler=handler, format="common")
    request = Request(app, None)
    request.url = b"/hello/hand"
    await app(request, Response(app, None))
    assert handler.lines[0].startswith("- - - [")
    assert ' "GET /hello/hand HTTP/1.1" 200 10 ' in handler.lines[0]


async def test_a_request_by_hand_that_another_listener_ends_is_short(app, handler):
    logger(app, handler=handler)
    async with Client(app):
        request = Request(app, None)
        request.url = b"/hello/hand"
        await app(request, Response(app, None))
    assert handler.lines == ["GET /hello/hand"]


# What the line says


COMMON = re.compile(
    r"127\.0\.0\.1 - - "
    r"\[\d\d/(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/\d{4}"
    r":\d\d:\d\d:\d\d \+0000\] "
    r'"GET /hello/you\?a HTTP/1\.1" 200 9'
)


async def test_common_is_the_common_log_format_and_the_seconds(app, client, handler):
    logger(app, handler=handler, format="common")
    await client.get("/hello/you?a")
    (line,) = handler.lines
    assert re.fullmatch(COMMON.pattern + r" \d\.\d{6}", line)


async def test_combined_adds_referer_and_agent(app, client, handler):
    logger(app, handler=handler, format="combined")
    headers = {"Referer": "http://roll.test/", "User-Agent": 'me "x" \\ é'}
    await client.get("/hello/you?a", headers=headers)
    await client.get("/hello/you?a")
    first, second = handler.lines
    start = COMMON.match(first).end()
    quoted = r' "http://roll.test/" "me \"x\" \\ \xe9" '
    assert first[start:].startswith(quoted)
    assert re.fullmatch(COMMON.pattern + r' "-" "-" \d\.\d{6}', second)


async def test_json_is_an_object_with_all_that_is_known(app, client, handler):
    logger(app, handler=handler, format="json")
    await client.get("/hello/you?a", headers={"User-Agent": "me"})
    (line,) = handler.objects
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert 0 < line["duration"] < patience(5)
    del line["time"], line["duration"]
    assert line == {
        "remote_addr": "127.0.0.1",
        "method": "GET",
        "url": "/hello/you?a",
        "version": "1.1",
        "route": "/hello/{name}",
        "status": 200,
        "size": 9,
        "complete": True,
        "referer": "",
        "user_agent": "me",
        "request_id": None,
    }


async def test_the_line_says_what_was_sent_not_what_a_listener_made_of_it(
    app, client, handler
):
    logger(app, handler=handler, format="json")

    @app.listen("headers")
    async def rewrite(request, response):
        request.method = "GET"
        request.path = "/hello/other"

    await client.delete("/this")
    (line,) = handler.objects
    assert (line["method"], line["url"]) == ("DELETE", "/this")
    assert (line["status"], line["route"]) == (200, "/hello/{name}")


async def test_the_address_is_the_one_that_listeners_found(app, client, handler):
    logger(app, handler=handler, format="common")

    @app.listen("headers")
    async def believe(request, response):
        request.remote_addr = request.headers.get("X-From")

    await client.get("/", headers={"X-From": "192.0.2.1"})
    await client.get("/", headers={"X-From": '"a b"'})
    await client.get("/")
    addresses = [line.partition(" - - ")[0] for line in handler.lines]
    assert addresses == ["192.0.2.1", r"\"a b\"", "-"]


async def test_every_way_to_declare_a_route_is_found(app, client, handler):
    logger(app, handler=handler, format="json")

    async def view(request, response, **variables):
        pass

    app.route("/a/{id:int}")(view)  # one view on two paths, declared after
    app.route("/b/{id}")(view)
    app.route("/b/{id}", methods=["POST"])(view)
    for path in ("/a/1", "/b/1", "/a/x", "/form"):
        await client.get(path)
    await client.post("/b/2")
    routes = [line["route"] for line in handler.objects]
    assert routes == ["/a/{id:int}", "/b/{id}", None, "/form", "/b/{id}"]


class Text:
    def __str__(self):
        return "é"


async def pieces(count=2):
    for _ in range(count):
        yield b"abc"


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (b"abc", 3),
        (bytearray(b"abc"), 3),
        (memoryview(b"abcd").cast("H"), 4),
        ("é", 2),
        (Text(), 2),
        (None, 0),
        ("", 0),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_size_is_that_of_the_body_in_bytes(
    app, client, handler, method, body, size
):
    logger(app, handler=handler, format="json")

    @app.route("/")
    async def view(request, response):
        response.body = body

    answer = await client.request("/", method)
    (line,) = handler.objects
    assert line["size"] == len(answer.body) == (size if method == "GET" else 0)


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_body_has_the_size_0(app, client, handler, status):
    logger(app, handler=handler, format="common")

    @app.route("/")
    async def view(request, response):
        response.status = status
        response.body = b"never sent"

    await client.get("/")
    assert f" {status} 0 " in handler.lines[0]


async def test_a_tunnel_has_the_size_0(app, client, handler):
    logger(app, handler=handler, format="json")

    @app.listen("request")
    async def open_it(request, response):
        response.status = 200 if request.url == b"good:1" else 403
        response.body = b"text"
        return True

    await client.connect("good:1")
    await client.connect("bad:1")
    assert [line["size"] for line in handler.objects] == [0, 4]


async def test_the_size_of_a_stream_is_what_was_sent(app, client, handler):
    logger(app, handler=handler, format="json")

    @app.route("/")
    async def view(request, response):
        response.headers["X-Other"] = "1"
        if request.query_string:
            response.headers["content-length"] = request.query_string
        response.body = pieces()

    await client.get("/?6")
    await client.get("/")
    assert [line["size"] for line in handler.objects] == [6, 6]


async def test_a_size_that_nobody_knows_is_a_dash(app, handler):
    logger(app, handler=handler, format="common")

    @app.route("/")
    async def view(request, response):
        response.body = pieces() if request.query_string else "text"

    async with Client(app):
        for url in (b"/?stream", b"/"):
            request = Request(app, None)
            request.url = url
            await app(request, Response(app, None))
    assert [line.split()[-2] for line in handler.lines] == ["-", "4"]


async def test_the_duration_is_in_seconds_and_has_the_stream_in_it(
    app, client, handler
):
    logger(app, handler=handler, format="json")

    @app.route("/")
    async def view(request, response):
        async def slow():
            await asyncio.sleep(0.1)
            yield b"x"

        await asyncio.sleep(0.1)
        response.body = slow()

    started = time.monotonic()
    await client.get("/")
    elapsed = time.monotonic() - started
    assert 0.2 <= handler.objects[0]["duration"] <= elapsed + 0.001  # it is rounded


async def test_an_answer_that_would_break_http_is_logged_as_the_500_it_becomes(
    app, client, handler
):
    logger(app, handler=handler, format="common")

    @app.route("/")
    async def view(request, response):
        response.headers["X"] = "a\r\nb"

    await client.get("/")
    assert '"GET / HTTP/1.1" 500 21 ' in handler.lines[0]


async def test_a_status_that_is_relayed_may_be_any(app, client, handler):
    logger(app, handler=handler, format="common")

    @app.route("/relayed")
    async def relay(request, response):
        response.relay_status(520)

    await client.get("/relayed")
    assert '" 520 0 ' in handler.lines[-1]


async def test_a_stream_that_fails_has_the_status_that_was_sent(app, handler):
    logger(app, handler=handler, format="common")

    @app.route("/")
    async def view(request, response):
        async def fail():
            yield b"x"
            raise ValueError

        response.body = fail()

    async with Client(app):
        await exchange(app, request_bytes("/"))
    assert '"GET / HTTP/1.1" 200 1 ' in handler.lines[0]


async def test_a_client_that_leaves_has_its_line_with_499(app, handler):
    logger(app, handler=handler, format="common")

    @app.route("/slow")
    async def slow(request, response):
        await asyncio.Event().wait()

    async with Client(app):
        transport = connect(app)
        transport.feed(request_bytes("/slow"))
        await turns()
        transport.reset()
        await transport.wait_closed()
    (line,) = handler.lines
    assert '"GET /slow HTTP/1.1" 499 0 ' in line
    assert line.endswith(" incomplete")


async def test_a_client_that_leaves_a_view_that_goes_on_has_its_line_with_499(
    app, handler
):
    logger(app, handler=handler, format="json")
    gate = asyncio.Event()

    @app.route("/slow", on_disconnect="finish")
    async def slow(request, response):
        await gate.wait()
        response.body = "never sent"

    async with Client(app):
        transport = connect(app)
        transport.feed(request_bytes("/slow"))
        await turns()
        transport.reset()
        await transport.wait_closed()
        gate.set()
    (line,) = handler.objects
    assert (line["status"], line["size"], line["complete"]) == (499, 0, False)


@pytest.mark.parametrize("format", ["common", "combined", "json"])
async def test_a_client_that_leaves_within_a_stream_has_the_status_that_it_got(
    app, handler, format
):
    logger(app, handler=handler, format=format)

    @app.route("/")
    async def view(request, response):
        async def endless():
            while True:
                yield b"x"
                await asyncio.sleep(0)

        response.body = endless()

    async with Client(app):
        transport = connect(app)
        transport.feed(request_bytes("/"))
        await until(lambda: transport.data)
        transport.reset()
        await transport.wait_closed()
    (line,) = handler.lines
    if format == "json":
        (found,) = handler.objects
        assert (found["status"], found["complete"]) == (200, False)
        assert found["size"] > 0
    else:
        assert re.search(r'"GET / HTTP/1.1" 200 [1-9][0-9]* .* incomplete$', line)


class Echo:
    """A protocol to switch to, that runs until the client leaves."""

    TOKEN = "echo"
    ALLOWED_METHODS = ("GET",)

    def __init__(self, request, response):
        response.headers.update({"Upgrade": "echo", "Connection": "Upgrade"})
        self.gone = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def eof_received(self):
        pass

    def connection_lost(self, error):
        self.gone.set()

    async def run(self, view, variables):
        await self.gone.wait()

    def stop(self):
        self.transport.close()

    def check(self, now):
        pass


@pytest.mark.parametrize(
    ("format", "expected"),
    [("short", "GET /ws"), ("common", '"GET /ws HTTP/1.1" 101 0 ')],
)
async def test_a_handshake_is_logged_once_when_it_is_answered(
    handler, format, expected
):
    class App(Roll):
        WebsocketProtocol = Echo

    app = App()
    logger(app, handler=handler, format=format)

    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        pass

    async with Client(app):
        transport = connect(app)
        fields = ("Connection: Upgrade", "Upgrade: echo")
        transport.feed(request_bytes("/ws", *fields))
        await settle(transport)
        assert transport.data.startswith(b"HTTP/1.1 101 ")
        (line,) = handler.lines
        assert expected in line
        transport.disconnect()
        await transport.wait_closed()
    assert handler.lines == [line]


# What clients send to confuse


async def test_control_characters_and_what_is_not_ascii_are_escaped(app, handler):
    logger(app, handler=handler)
    async with Client(app):
        request = Request(app, None)
        request.url = b"/a\r\nGET /b\x1b[2J\x00\x7f\xc3\xa9\\x"
        await app(request, Response(app, None))
    assert handler.lines == [
        r"GET /a\x0d\x0aGET /b\x1b[2J\x00\x7f\xc3\xa9\\x",
    ]


async def test_quotes_are_escaped_where_they_would_end_a_field(app, client, handler):
    logger(app, handler=handler, format="combined")
    await client.get('/"x"\\', headers={"User-Agent": '" 200 "'})
    assert r'"GET /\"x\"\\ HTTP/1.1" 404 9 "-" "\" 200 \""' in handler.lines[0]


async def test_json_decodes_utf8_and_escapes_what_is_none(app, client, handler):
    logger(app, handler=handler, format="json")
    request = Request(app, None)
    request.url = "/é".encode() + b"\xff"
    request.fields = [(b"USER-AGENT", b"\xc3\xa9\xff\t\x80")]
    await app(request, Response(app, None))
    (line,) = handler.objects
    assert (line["url"], line["user_agent"]) == ("/é\\xff", "é\\xff\t\\x80")
    assert handler.lines[0].isascii()
    assert line["status"] == 400


UNTAMED = st.binary(max_size=30).map(
    lambda data: re.sub(rb"[\x00-\x20\x7f]", b"%", data)
)


@given(UNTAMED, st.binary(max_size=30))
@pytest.mark.parametrize("format", ["short", "common", "combined", "json"])
async def test_a_request_is_always_one_line_of_ascii(format, target, agent):
    app, handler = make_app(), Lines()
    logger(app, handler=handler, format=format)
    async with Client(app):
        request = Request(app, None)
        request.url = b"/" + target
        request.fields = [(b"USER-AGENT", agent), (b"REFERER", agent)]
        await app(request, Response(app, None))
    (line,) = handler.lines
    assert line.isascii()
    assert line.isprintable()
    if format == "json":
        assert json.loads(line)["url"].startswith("/")
    if format == "combined":
        assert re.search(r'(?: "(?:[^"\\]|\\.)*"){2} \d\.\d{6}$', line)


# The id of a request


@pytest.fixture
def ids(app):
    """What the view sees as the id of its request."""
    seen = []

    @app.route("/id")
    async def view(request, response):
        await asyncio.sleep(0)
        seen.append(current_request_id.get())

    return seen


@pytest.mark.parametrize(
    "sent", ["a", "a" * 128, "f81d4fae-7dec-11d0", "a/b+c==", "Root=1-67891233-abc@x"]
)
async def test_a_good_id_is_taken_and_returned(app, client, handler, ids, sent):
    logger(app, handler=handler, format="json", request_id="X-Request-ID")
    answer = await client.get("/id", headers={"x-request-id": sent})
    assert answer.headers["X-Request-ID"] == sent
    assert ids == [sent]
    assert handler.objects[0]["request_id"] == sent


@pytest.mark.parametrize(
    "sent", [None, "", "a" * 129, "a b", "a\tb", "é", '"', "a,b", "<x>", ["a", "b"]]
)
async def test_any_other_id_is_replaced(app, client, handler, ids, sent):
    logger(app, handler=handler, format="json", request_id="X-Request-ID")
    answer = await client.get("/id", headers={"X-Request-ID": sent})
    made = answer.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert ids == [made]
    assert handler.objects[0]["request_id"] == made


async def test_each_request_of_a_connection_has_its_own_id(app, client, handler, ids):
    logger(app, handler=handler, request_id="X-Request-ID")
    await exchange(app, request_bytes("/id") * 3)
    assert len(set(ids)) == 3
    assert {record.request_id for record in handler.records} == set(ids)
    assert current_request_id.get() is None


@pytest.mark.parametrize("path", ["/nowhere", "/broken", "/form"])
async def test_errors_return_the_id(app, client, handler, path):
    logger(app, handler=handler, request_id="X-Request-ID")
    answer = await client.get(path, headers={"X-Request-ID": "abc"})
    assert answer.headers["X-Request-ID"] == "abc"


async def test_lines_of_errors_carry_the_id(app, client, handler):
    logger(app, handler=handler, level="INFO", format="json", request_id="X-Id")
    await client.get("/broken", headers={"X-Id": "abc"})
    assert [record.levelname for record in handler.records] == ["ERROR", "INFO"]
    assert [record.request_id for record in handler.records] == ["abc", "abc"]


async def test_lines_of_the_application_carry_the_id(app, client, handler):
    logger(app, handler=handler, request_id="X-Request-ID")
    stream = io.StringIO()
    own = logging.StreamHandler(stream)
    own.addFilter(RequestIdFilter())
    own.setFormatter(logging.Formatter("%(request_id)s %(message)s"))
    shop = logging.getLogger("shop")
    shop.addHandler(own)

    @app.route("/order")
    async def order(request, response):
        shop.warning("sold out")

    try:
        shop.warning("opens")
        await client.get("/order", headers={"X-Request-ID": "abc"})
    finally:
        shop.removeHandler(own)
    assert stream.getvalue() == "- opens\nabc sold out\n"


async def test_listeners_declared_before_have_the_id(app, client, handler):
    seen = []

    @app.listen("headers")
    async def look(request, response):
        seen.append(current_request_id.get())

    logger(app, handler=handler, request_id="X-Request-ID")
    await client.get("/id", headers={"X-Request-ID": "abc"})
    assert seen == ["abc"]


async def test_without_the_option_no_id_is_read_or_sent(app, client, handler, ids):
    logger(app, handler=handler)
    answer = await client.get("/id", headers={"X-Request-ID": "abc"})
    assert "X-Request-ID" not in answer.headers
    assert ids == [None]
    assert handler.records[0].request_id == "-"


# The logger `roll`


async def test_the_default_prints_to_the_standard_error_stream(app, capsys):
    logger(app)
    async with Client(app) as client:
        await client.get("/nowhere")
    assert capsys.readouterr().err == "GET /nowhere\n"


async def test_a_class_makes_a_handler_that_is_closed_at_shutdown(app):
    made, closed = [], []

    class Own(Lines):
        def __init__(self):
            super().__init__()
            made.append(self)

        def close(self):
            closed.append(self)
            super().close()

    logger(app, handler=Own)
    assert made == []
    for _ in range(2):
        async with Client(app) as client:
            await client.get("/x")
            assert LOGGER.handlers[-1] is made[-1]
        assert made[-1] not in LOGGER.handlers
    assert made == closed
    assert [own.lines for own in made] == [["GET /x"], ["GET /x"]]


async def test_a_function_may_make_the_handler(app, tmp_path):
    file = tmp_path / "roll.log"
    logger(app, handler=functools.partial(logging.FileHandler, file, delay=True))
    async with Client(app) as client:
        await client.get("/x")
    assert file.read_text() == "GET /x\n"


async def test_a_handler_that_was_made_is_removed_and_left_open(app):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger(app, handler=handler)
    for _ in range(2):  # it may start again
        async with Client(app) as client:
            await client.get("/x")
        assert handler not in LOGGER.handlers
        assert handler.filters == []
    assert stream.getvalue() == "GET /x\nGET /x\n"


async def test_without_a_handler_lines_go_where_logging_sends_them(app, client, caplog):
    before = LOGGER.handlers.copy()
    logger(app, handler=None)
    await client.get("/x")
    assert LOGGER.handlers == before
    assert caplog.messages == ["GET /x"]


async def test_lines_still_reach_the_root_logger(app, client, caplog, handler):
    logger(app, handler=handler)
    await client.get("/x")
    assert caplog.messages == handler.lines == ["GET /x"]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, "INFO"])
async def test_errors_come_with_their_tracebacks(app, client, handler, level):
    logger(app, level, handler)
    await client.get("/broken")
    line, error = handler.records
    assert line.getMessage() == "GET /broken"
    assert error.exc_info


@pytest.mark.parametrize("format", ["short", "json"])
async def test_a_level_above_info_has_no_lines(app, client, handler, format):
    logger(app, logging.WARNING, handler, format)
    await client.get("/broken")
    assert [record.levelname for record in handler.records] == ["ERROR"]


async def test_the_former_level_is_restored(app):
    LOGGER.setLevel(logging.CRITICAL)
    try:
        logger(app, handler=None)
        async with Client(app):
            assert LOGGER.level == logging.DEBUG
        assert LOGGER.level == logging.CRITICAL
    finally:
        LOGGER.setLevel(logging.NOTSET)


async def test_a_level_that_the_application_sets_later_stays(app):
    logger(app, handler=None)
    try:
        async with Client(app):
            LOGGER.setLevel(logging.ERROR)
        assert LOGGER.level == logging.ERROR
    finally:
        LOGGER.setLevel(logging.NOTSET)


async def test_two_apps_share_a_handler_and_the_lower_level(capsys):
    apps = [make_app(), make_app()]
    logger(apps[0], logging.INFO)
    logger(apps[1], logging.DEBUG)
    async with Client(apps[0]) as one:
        assert LOGGER.level == logging.INFO
        async with Client(apps[1]) as two:
            assert LOGGER.level == logging.DEBUG
            await one.get("/one")
            await two.get("/two")
        assert LOGGER.level == logging.INFO
        await one.get("/three")
    assert capsys.readouterr().err == "GET /one\nGET /two\nGET /three\n"


async def test_two_apps_may_share_an_instance(handler):
    apps = [make_app(), make_app()]
    for app in apps:
        logger(app, handler=handler)
    async with Client(apps[0]) as one:
        async with Client(apps[1]) as two:
            await two.get("/two")
        await one.get("/one")
    assert handler.lines == ["GET /two", "GET /one"]


async def test_an_app_that_runs_already_gets_its_lines(app, client, handler):
    await client.get("/before")
    logger(app, handler=handler)
    await client.get("/after")
    assert handler.lines == ["GET /after"]


async def test_nothing_is_touched_before_the_app_starts(app, handler):
    before = (LOGGER.level, LOGGER.handlers.copy())
    logger(app, handler=handler)
    assert (LOGGER.level, LOGGER.handlers) == before


async def test_a_start_that_fails_may_be_tried_again(app, handler):
    logger(app, handler=handler)
    problems = [RuntimeError("no database")]

    @app.listen("startup")
    async def fail_once():
        if problems:
            raise problems.pop()

    with pytest.raises(RuntimeError, match="no database"):
        await app.startup()
    async with Client(app) as client:
        await client.get("/x")
    assert handler.lines == ["GET /x"]


async def test_a_shutdown_cuts_what_runs_and_logs_it(handler):
    class App(Roll):
        limits = Limits(shutdown=0.1)

    app = App()
    logger(app, handler=handler, format="common")

    @app.route("/slow")
    async def slow(request, response):
        await asyncio.Event().wait()

    async with Client(app):
        transport = connect(app)
        transport.feed(request_bytes("/slow"))
        await turns()
    assert '"GET /slow HTTP/1.1" 499 0 ' in handler.lines[0]


async def test_a_shutdown_without_a_start_does_nothing(app, handler):
    logger(app, handler=handler)
    await app.hook("shutdown")
    assert handler.lines == []


# On a socket


@pytest.mark.parametrize("format", ["short", "common", "combined", "json"])
async def test_requests_on_a_socket_have_a_line_each(app, handler, format):
    logger(app, handler=handler, format=format, request_id="X-Request-ID")
    async with LiveClient(app) as liveclient:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(liveclient.query("GET", f"/hello/{number}"))
        reader, writer = await asyncio.open_connection("127.0.0.1", liveclient.port)
        writer.write(request_bytes("/hello/x") * 2 + b"\r\nGET\x00 nonsense\r\n\r\n")
        await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    assert len(handler.lines) == 23  # the last one was refused, and has no id
    assert len({record.request_id for record in handler.records}) == 23


# Mistakes in options


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"level": True},
            TypeError,
            "level=True: give a level, such as logging.INFO",
        ),
        (
            {"level": None},
            TypeError,
            "level=None: give a level, such as logging.INFO",
        ),
        (
            {"level": "LOUD"},
            ValueError,
            "level='LOUD': give a number above 0, or one of CRITICAL, ",
        ),
        (
            {"level": logging.NOTSET},
            ValueError,
            "level=0: give a number above 0, or one of CRITICAL, ",
        ),
        (
            {"handler": "stderr"},
            TypeError,
            "handler='stderr': give a class of handlers, such as "
            "logging.StreamHandler, a handler, or None",
        ),
        (
            {"handler": logging.FileHandler},
            TypeError,
            "handler=<class 'logging.FileHandler'> needs arguments (missing a required "
            "argument: 'filename'): give a handler that is made with them",
        ),
        (
            {"format": "apache"},
            ValueError,
            "format='apache': give one of short, common, combined, json",
        ),
        (
            {"format": None},
            TypeError,
            "format=None: give one of short, common, combined, json",
        ),
        (
            {"request_id": True},
            TypeError,
            "request_id=True: name a field, such as 'X-Request-ID'",
        ),
        (
            {"request_id": "X Request ID"},
            ValueError,
            "request_id='X Request ID' is not a name of a field: give one such as "
            "'X-Request-ID'",
        ),
        ({"request_id": ""}, ValueError, "request_id='' is not a name of a field: "),
        (
            {"request_id": "X-Id\n"},
            ValueError,
            r"request_id='X-Id\n' is not a name of ",
        ),
    ],
)
def test_a_mistake_in_an_option_says_what_to_do(app, options, kind, message):
    with pytest.raises(kind) as caught:
        logger(app, **options)
    assert str(caught.value).startswith(message)
    assert app.hooks == {}
    assert dict(app) == {}


def test_a_second_logger_of_an_app_is_refused(app):
    logger(app)
    with pytest.raises(ValueError, match="this app has a logger already: call"):
        logger(app, format="json")


async def test_what_makes_no_handler_stops_the_start(app):
    logger(app, handler=lambda: {})
    with pytest.raises(TypeError, match="which is not a handler"):
        await app.startup()


def test_a_factory_that_does_not_tell_its_arguments_is_tried_at_startup(app):
    logger(app, handler=iter)
    assert app.hooks["startup"]


@pytest.mark.parametrize("name", ["Transfer-Encoding", "set-cookie", "Connection"])
def test_an_id_is_in_no_field_that_means_something_else(app, name):
    with pytest.raises(ValueError, match="means something else in HTTP"):
        logger(app, request_id=name)


async def test_what_an_exception_says_cannot_look_like_a_line(app, client, capsys):
    logger(app)

    @app.route("/rooms/{name:path}")
    async def view(request, response, name):
        raise ValueError(f"no room {name}")

    await client.get("/rooms/x%0aGET%20/admin%1b[31m%0d%0aPOST%20/fake")
    printed = capsys.readouterr().err
    assert "\r" not in printed
    assert "\x1b" not in printed
    assert "\n  GET /admin\\x1b[31m\\r\n  POST /fake\n" in printed
    lines = [line for line in printed.splitlines() if not line.startswith("  ")]
    assert [line.partition(" ")[0] for line in lines] == ["GET", "GET"]


def test_a_formatter_that_a_handler_brings_is_kept(app):
    class Handler(logging.StreamHandler):
        def __init__(self):
            super().__init__()
            self.setFormatter(FORMATTER)
            made.append(self)

    made = []
    FORMATTER = logging.Formatter("%(message)s")
    logger(app, handler=Handler)
    asyncio.run(app.startup())
    assert made[0].formatter is FORMATTER
    asyncio.run(app.shutdown())


@pytest.mark.parametrize("kind", [int, dict, logging.Formatter])
def test_a_class_of_other_things_is_no_handler(app, kind):
    with pytest.raises(TypeError, match=r"give a class of handlers"):
        logger(app, handler=kind)


async def test_what_loggers_below_ours_get_cannot_look_like_a_line(app, client, capsys):
    class Short(logging.Formatter):
        def format(self, record):
            return f"{record.levelname} {super().format(record)}"

    def make():
        handler = logging.StreamHandler()
        handler.setFormatter(Short())
        return handler

    logger(app, handler=make)

    @app.route("/")
    async def view(request, response):
        try:
            raise ValueError("no\nGET /fake")
        except ValueError:
            logging.getLogger("roll.shop").exception("not\nGET /fake")

    await client.get("/")
    lines = capsys.readouterr().err.splitlines()
    found = [line for line in lines if not line.startswith("  ")]
    assert found == ["INFO GET /", "ERROR not"]


@pytest.mark.parametrize("format", ["short", "common"])
async def test_a_route_may_be_left_out(format):
    app, lines = Roll(), Lines()
    logger(app, handler=lines, format=format)

    @app.route("/quiet", logger=False)
    @app.route("/loud")
    async def view(request, response):
        response.body = "hello"

    async with Client(app) as client:
        await client.get("/quiet")
        await client.get("/loud")
    assert len(lines.lines) == 1
    assert "/loud" in lines.lines[0]


async def test_what_leaves_a_route_out_is_checked():
    app = Roll()
    logger(app)

    @app.route("/", logger="no")
    async def view(request, response):
        pass

    with pytest.raises(TypeError, match="logger='no': give True or False"):
        await app.startup()
