"""Faults that servers of this kind have had, each with the test that forbids it.

What is sent comes whole, byte by byte, and with more right behind it.
"""

import asyncio
import gc
import logging
import time
import tracemalloc
from urllib.parse import quote

import pytest
from roll import HttpError, Roll
from roll_testing import connect, exchange, settle, turns, until

from .noting import NotingApp, finish
from .wire import (
    CHUNKED,
    CLOSED_OK,
    CONTINUE,
    GET,
    LAST,
    OK,
    answer,
    chunked,
    error,
    expecting,
    get,
    post,
    post_chunks,
)

KIB = 1024
MIB = 1024 * KIB

ways = pytest.mark.parametrize("split", [None, 1], ids=["whole", "byte by byte"])


class App(NotingApp):
    """Views that the tests share."""

    def __init__(self, **limits):
        super().__init__(**limits)
        for path in ("/echo", "/slow", "/stream", "/json"):
            self.route(path, methods="*")(getattr(self, path[1:]))
        for path in ("/count", "/late", "/unread"):
            self.route(path, methods="*", lazy_body=True)(getattr(self, path[1:]))
        self.route("/", methods="*")(self.echo)
        self.route("/get")(self.echo)

    async def unread(self, request, response):
        response.body = "ok"

    async def late(self, request, response):
        await self.gate.wait()
        await self.count(request, response)

    async def count(self, request, response):
        size = largest = 0
        async for piece in request:
            size += len(piece)
            largest = max(largest, len(piece))
        self["largest"] = largest
        response.body = size

    async def json(self, request, response):
        response.json = request.json


@pytest.fixture
async def app():
    return App()


@pytest.fixture(autouse=True)
async def reports():
    """No test leaves a task, or something for the loop to report."""
    reports = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    yield reports
    for _ in range(10):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task for task in left if "exchange" in repr(task)] == []
    assert reports == []


# A request that comes while the view of another awaits gets the other's answer, or
# none


@pytest.mark.parametrize("rounds", [1, 20])
async def test_requests_that_come_while_a_view_awaits_are_answered_in_order(
    app, rounds
):
    transport = connect(app)
    for number in (1, 2, 3):
        transport.feed(get(f"/slow?{number}"))
        await turns(rounds)
    assert (transport.data, app.seen) == (b"", ["started"])
    app.gate.set()
    await settle(transport)
    assert transport.data == answer(b"1") + answer(b"2") + answer(b"3")
    assert app.seen == ["started", "ended"] * 3
    await finish(transport)


@ways
async def test_a_quick_view_does_not_overtake_a_slow_one(app, split):
    @app.route("/turns/{number:int}")
    async def view(request, response, number):
        await turns(number)
        response.body = number

    numbers = [30, 20, 10]
    data = b"".join(get(f"/turns/{number}") for number in numbers)
    expected = b"".join(answer(b"%d" % number) for number in numbers)
    found = await exchange(app, data, split=split, trailing=GET)
    assert found == (expected + OK, False)


# A target, or a field, that comes in several reads is cut to its last piece

LONG = get("/" + "a" * 30 + "?b=" + "c" * 30, "X-Long-Name: " + "d" * 30)
TOLD = answer(b"/%b %b %b" % (b"a" * 30, b"c" * 30, b"d" * 30))


@pytest.fixture
def telling(app):
    @app.route("/{path}")
    async def view(request, response, path):
        long = request.headers["X-Long-Name"]
        response.body = f"{request.path} {request.query.get('b')} {long}"


@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize("split", [None, *range(1, 10)])
async def test_a_head_is_whole_whatever_the_size_of_the_reads(app, split):
    found = await exchange(app, LONG * 2, split=split, trailing=GET)
    assert found == (TOLD * 2 + OK, False)


@pytest.mark.usefixtures("telling")
async def test_a_head_is_whole_wherever_it_is_cut(app):
    for at in range(1, len(LONG)):
        found = await exchange(app, [LONG[:at], LONG[at:]], trailing=GET)
        assert found == (TOLD + OK, False)


# After a parse error earlier answers are lost, a second response follows, or the socket
# stays open

BAD = error("400 Bad Request")
UNPARSABLE = {
    "a control character": (b"\0", BAD),
    "a target": (
        get("*"),
        error("400 Bad Request", message="Malformed request target"),
    ),
    "a field": (get("/", "X : 1"), BAD),
    "a line feed": (get("/", "X: a\nY: b\rZ: c"), BAD),
    "a length": (get("/", "Content-Length: +1"), BAD),
    "a length with chunks": (
        get("/", "Content-Length: 3", "Transfer-Encoding: chunked", method="POST"),
        BAD,
    ),
    "a version": (get(version="2.0"), error("505 HTTP Version Not Supported")),
    "a chunk": (post_chunks(b"one") + b"x\r\n", BAD),
    "a trailer": (post_chunks(b"one") + b"0\r\nX : 1\r\n\r\n", BAD),
}


async def test_a_parse_error_is_not_taken_for_what_a_view_handles(app):
    @app.route("/handles", methods=["POST"], lazy_body=True)
    async def view(request, response):
        try:
            raise HttpError(404, "something else")
        except HttpError:
            await asyncio.sleep(0)
            response.body = await request.read()

    data = post_chunks(*[b"x" * 5000] * 14, path="/handles")
    data += b"ZZ\r\n"
    assert await exchange(app, data) == (BAD, True)


@ways
@pytest.mark.parametrize("trailing", [b"", GET, b"\0\r\n\r\n"])
@pytest.mark.parametrize("earlier", [0, 2])
@pytest.mark.parametrize(("data", "refusal"), UNPARSABLE.values(), ids=UNPARSABLE)
async def test_a_parse_error_is_answered_once_after_what_came_before(
    app, data, refusal, earlier, trailing, split
):
    found = await exchange(app, GET * earlier + data, split=split, trailing=trailing)
    assert found == (OK * earlier + refusal, True)


@ways
@pytest.mark.parametrize(("data", "refusal"), UNPARSABLE.values(), ids=UNPARSABLE)
async def test_a_parse_error_waits_for_the_view_before_it(app, data, refusal, split):
    transport = connect(app)
    sent = get("/slow") + data + GET
    for at in range(0, len(sent), split or len(sent)):
        transport.feed(sent[at : at + (split or len(sent))])
    await turns()
    assert (transport.data, transport.eof) == (b"", False)
    app.gate.set()
    await transport.wait_closed()
    assert transport.data == OK + refusal


@pytest.mark.parametrize("path", ["/late", "/slow"])
async def test_a_body_that_turns_bad_gets_one_answer(app, path):
    transport = connect(app)
    transport.feed(post_chunks(b"one", path=path))
    await turns()
    transport.feed(b"bad\0")
    transport.feed(GET)
    app.gate.set()
    await transport.wait_closed()
    assert transport.data == BAD


async def test_a_body_that_turns_bad_once_answered_gets_no_second_answer(app):
    transport = connect(app)
    transport.feed(post_chunks(b"one", path="/unread"))
    await settle(transport)
    assert transport.data == OK
    transport.feed(b"bad\0" + GET)
    await transport.wait_closed()
    assert transport.data == OK


# A client that leaves leaves a task, an open generator, or a traceback

LEAVING = {
    "before a byte": b"",
    "in the head": get("/slow")[:-1],
    "during a view": get("/slow"),
    "during a view with more waiting": get("/slow") * 3,
    "during a view with a bad one waiting": get("/slow") + b"\0",
    "in the upload": post(b"x" * 10)[:-1],
    "in the upload to a view that reads": post(b"x" * 10, "/count")[:-1],
    "in the upload to a view that waits": post(b"x" * 10, "/late")[:-1],
    "in an upload that nobody reads": post(b"x" * 10, "/unread")[:-1],
    "in an upload of chunks": post_chunks(b"one", b"two"),
    "in a stream": get("/stream"),
    "in a stream with more waiting": get("/stream") * 2,
    "after a response": GET,
    "after a close": get("/slow", "Connection: close"),
}


@ways
@pytest.mark.parametrize("leave", ["disconnect", "reset", "feed_eof"])
@pytest.mark.parametrize("turns", [0, 10])
@pytest.mark.parametrize("data", LEAVING.values(), ids=LEAVING)
async def test_a_client_that_leaves_leaves_nothing(
    app, data, leave, turns, split, caplog
):
    app["pieces"] = [b"one", Ellipsis]
    caplog.set_level(logging.DEBUG, "roll")
    transport = connect(app)
    for at in range(0, len(data), split or len(data) or 1):
        transport.feed(data[at : at + (split or len(data))])
    for _ in range(turns):
        await asyncio.sleep(0)
    getattr(transport, leave)()
    if not transport.is_reading() and not transport.is_closing():
        transport.disconnect()  # the end of the client's side is held back, unread
    for now in (0, app.limits.half_close):  # it may be waiting for its response
        for connection in tuple(app.connections):
            connection.check(now)
    await transport.wait_closed()
    for _ in range(10):
        await asyncio.sleep(0)
    assert app.connections == set()
    assert app.seen in ([], ["/"], ["started", "ended"], ["open", "closed"])
    assert [record.levelno for record in caplog.records] in ([], [logging.DEBUG])


@pytest.mark.parametrize("leave", ["disconnect", "reset"])
async def test_a_client_that_leaves_a_stream_unread_leaves_nothing(app, leave):
    app["pieces"] = [b"x" * 64 * KIB] * 10
    transport = connect(app)
    transport.stall()
    transport.feed(get("/stream") + GET)
    await until(lambda: app.seen)
    await turns()
    assert app.seen == ["open"]  # and it waits at a yield
    getattr(transport, leave)()
    await transport.wait_closed()
    await until(lambda: app.seen == ["open", "closed"])
    assert app.connections == set()


async def test_exceptions_of_what_a_client_left_are_retrieved(app, caplog, reports):
    @app.route("/fail", methods=["POST"], lazy_body=True)
    async def view(request, response):
        try:
            await app.gate.wait()
        finally:
            raise ValueError("a bug, met while cleaning up")

    @app.route("/stream/fail")
    async def stream(request, response):
        async def pieces():
            try:
                yield b"one"
                await app.gate.wait()
            finally:
                raise ValueError("a bug, met while cleaning up")

        response.body = pieces()

    for data in (post(b"x" * 10, "/fail")[:-1], get("/stream/fail")):
        caplog.clear()
        transport = connect(app)
        transport.feed(data)
        await turns()
        await finish(transport)
        for _ in range(10):
            await asyncio.sleep(0)
        gc.collect()
        assert reports == []
        assert len(caplog.messages) == 1


# A stream fills the memory, or its end looks regular when it is not


async def test_a_stream_waits_for_a_client_that_does_not_read(app):
    produced = 0

    async def gibibyte():
        nonlocal produced
        for _ in range(16 * KIB):
            produced += 64 * KIB
            yield b"x" * 64 * KIB

    @app.route("/gibibyte")
    async def view(request, response):
        response.body = gibibyte()

    tracemalloc.start()
    try:
        transport = connect(app)
        transport.stall()
        transport.feed(get("/gibibyte"))
        for turn in range(1, 4):
            await turns()
            assert produced <= turn * 3 * 64 * KIB
            assert transport.get_write_buffer_size() <= 3 * 64 * KIB
            transport.drain(transport.get_write_buffer_size())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB
    await finish(transport)


@ways
async def test_a_stream_that_raises_is_cut_without_the_last_chunk(app, split, caplog):
    app["pieces"] = [b"one", ValueError("a\nbug"), b"two"]
    found = await exchange(app, get("/stream"), split=split, trailing=GET)
    assert found == (CHUNKED + chunked(b"one"), True)
    assert app.seen == ["open", "closed"]
    assert caplog.messages == ["GET /stream was cut short: ValueError('a\\nbug')"]


# A body that no view reads wedges the connection

UNROUTED = {
    "404": ("/none", "404 Not Found", []),
    "405": ("/get", "405 Method Not Allowed", ["Allow: GET, HEAD"]),
}
FRAMES = {
    "length": lambda body, path: post(body, path),
    "chunks": lambda body, path: post_chunks(body, b"", path=path),
    "many chunks": lambda body, path: post_chunks(
        *[body[at : at + 1000] for at in range(0, len(body), 1000)], b"", path=path
    ),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("size", [200, 300])
@pytest.mark.parametrize(("path", "status", "fields"), UNROUTED.values(), ids=UNROUTED)
@pytest.mark.parametrize(
    ("scale", "split"), [(KIB, None), (KIB, KIB), (KIB, 64 * KIB), (10, 1)]
)
async def test_after_a_404_or_405_the_body_is_skipped_or_the_connection_closes(
    path, status, fields, size, scale, split, frame
):
    app = App(unread=256 * scale, buffer=64 * scale)
    found, closed = await exchange(
        app, frame(b"x" * size * scale, path), split=split, trailing=GET
    )
    kept = error(status, *fields, close=False)
    if closed:
        assert found in (kept, error(status, *fields))
        assert size > 256
    else:
        assert found == kept + OK


# Input that is large, or in many pieces, takes quadratic time, or memory


def body_of(size, framed):
    """A head, the pieces of 64 KiB of a body, and what ends it."""
    piece = b"x" * 64 * KIB
    number = size // len(piece)
    if framed:
        return post_chunks(path="/late"), [chunked(piece)] * number, LAST
    head = get("/late", f"Content-Length: {size}", method="POST")
    return head, [piece] * number, b""


async def stream_body(size, framed):
    """Send a body of that size, and give the CPU time in seconds that it takes."""
    head, pieces, end = body_of(size, framed)
    app = App()
    transport = connect(app)
    started = time.process_time()
    transport.feed(head)
    for piece in pieces:
        while not transport.is_reading():
            app.gate.set()  # the view gets only the bytes received until now
            await asyncio.sleep(0)
        transport.feed(piece)
        await asyncio.sleep(0)
    transport.feed(end + GET)
    await settle(transport)
    took = time.process_time() - started
    assert transport.data == answer(b"%d" % size) + OK
    assert app["largest"] <= 256 * KIB
    await finish(transport)
    return took


@pytest.mark.parametrize("framed", [False, True], ids=["length", "chunks"])
async def test_a_lazy_body_of_64_mib_is_read_in_linear_time_and_bounded_memory(framed):
    small = min([await stream_body(8 * MIB, framed) for _ in range(3)])
    large = await stream_body(64 * MIB, framed)
    assert large < 3 * 8 * small  # quadratic time would be 64 times as long


@pytest.fixture
def in_no_time(split):
    started = time.process_time()
    yield
    took = time.process_time() - started
    assert took < (1 if split is None else 20)  # seconds; most are the client's


@pytest.mark.usefixtures("in_no_time")
@pytest.mark.parametrize("path", ["/count", "/echo"])
@ways
async def test_twenty_thousand_chunks_of_one_byte_are_read(app, path, split):
    data = post_chunks(*[b"x"] * 20_000, b"", path=path)
    body = b"20000" if path == "/count" else b"x" * 20_000
    found = await exchange(app, data, split=split, trailing=GET)
    assert found == (answer(body) + OK, False)


@pytest.mark.usefixtures("in_no_time")
@pytest.mark.parametrize("line", ["X: y", "X:", ":"])
@ways
async def test_twenty_thousand_fields_are_refused(app, line, split):
    data = get("/", *[line] * 20_000)
    expected = BAD if line == ":" else error("431 Request Header Fields Too Large")
    assert await exchange(app, data, split=split, trailing=GET) == (expected, True)


@pytest.mark.usefixtures("in_no_time")
@ways
async def test_twenty_thousand_trailers_are_refused(app, split):
    data = post_chunks(b"one") + b"0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"
    expected = error("431 Request Header Fields Too Large")
    assert await exchange(app, data, split=split, trailing=GET) == (expected, True)


@pytest.mark.usefixtures("in_no_time")
@pytest.mark.parametrize(
    "body",
    [b"1" * 5000, b"-" + b"1" * 5000, b"[" * 100_000, b'{"a":' * 20_000],
    ids=["an integer", "a negative one", "arrays", "objects"],
)
@ways
async def test_json_of_5000_digits_or_100000_levels_is_400(app, body, split):
    found = await exchange(app, post(body, "/json"), split=split, trailing=GET)
    refusal = error("400 Bad Request", message="Unparsable JSON body", close=False)
    assert found == (refusal + OK, False)


# What an application hands on splits the head of its response

# The low bytes of the last two characters are \r and \n.
SPLITTING = ["\r\n", "\n", "\r", "\0", "\x01", "\x1b[2J", "\x7f", "\u010d\u010a"]
PLACES = {
    "a name": lambda response, text: response.headers.update({text: "a"}),
    "a value": lambda response, text: response.headers.update({"X": text}),
    "a list": lambda response, text: response.headers.update({"X": ["a", text]}),
    "a tuple": lambda response, text: response.headers.update({"X": (text, "a")}),
    "a type": lambda response, text: response.headers.update({"Content-Type": text}),
    "connection": lambda response, text: response.headers.update({"Connection": text}),
    "a location": lambda response, text: setattr(response, "redirect", (text, 302)),
    "a cookie": lambda response, text: response.cookies.update({"a": text}),
    "a cookie's name": lambda response, text: response.cookies.set(text, "a"),
    "its path": lambda response, text: response.cookies.set("a", "b", path=text),
    "its domain": lambda response, text: response.cookies.set("a", "b", domain=text),
    "a status": lambda response, text: setattr(response, "status", f"200 {text}"),
}
INTERNAL = error("500 Internal Server Error", close=False)


@pytest.mark.parametrize("spoil", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("end", SPLITTING, ids=repr)
@pytest.mark.parametrize("text", ["a{}X-Evil: 1", "{}a", "a{}", "a{0}{0}<b>"])
async def test_what_would_split_a_head_is_a_500_and_never_sent(
    app, spoil, text, end, caplog
):
    @app.route("/split")
    async def view(request, response):
        response.body = app.pieces()
        spoil(response, text.format(end))

    if spoil is PLACES["a location"] and end.isprintable():  # it is percent-encoded
        data, _ = await exchange(app, get("/split") + GET)
        location = quote(text.format(end), safe=":")
        assert f"\r\nLocation: {location}\r\n".encode() in data
        return
    assert await exchange(app, get("/split") + GET) == (INTERNAL + OK, False)
    assert len(caplog.messages) == 1


async def test_the_log_names_the_field_that_cannot_be_sent_and_shows_none(app, caplog):
    caplog.set_level(logging.DEBUG, "roll")

    @app.listen("response")
    async def spoil(request, response):
        if request.path == "/none":
            response.headers["X-Token"] = "hidden"
            response.cookies.set("session", "hidden")
            response.headers["X-Spoilt"] = "hidden\nhidden"

    data, closed = await exchange(app, get("/none") + GET)
    # What else the listener has added is kept.
    kept = b"Set-Cookie: session=hidden; Path=/\r\nX-Token: hidden\r\n"
    assert data.startswith(b"HTTP/1.1 500 Internal Server Error\r\n" + kept)
    assert (b"Spoilt" in data, data.endswith(OK), closed) == (False, True, False)
    assert "X-Spoilt" in caplog.text
    assert "hidden" not in caplog.text


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\xe9"])
async def test_a_field_whose_name_is_no_token_is_a_500(app, name, caplog):
    @app.listen("response")
    async def spoil(request, response):
        if request.path == "/none":
            response.headers[name] = "hidden"

    assert await exchange(app, get("/none") + GET) == (INTERNAL + OK, False)
    assert "hidden" not in caplog.text


@pytest.mark.parametrize("value", [b"hidden", None, ["a", b"hidden"]])
async def test_a_field_whose_value_is_bytes_or_none_is_a_500(app, value, caplog):
    @app.listen("response")
    async def spoil(request, response):
        if request.path == "/none":
            response.headers["X-Token"] = value

    assert await exchange(app, get("/none") + GET) == (INTERNAL + OK, False)
    assert "X-Token" in caplog.text
    assert "hidden" not in caplog.text


@pytest.mark.parametrize("event", ["headers", "request", "response", "error"])
async def test_a_listener_cannot_split_a_head_either(app, event, caplog):
    @app.listen(event)
    async def spoil(request, response, error=None):
        if request.path == "/none":
            response.headers["X"] = "a\r\nX-Evil: 1"

    assert await exchange(app, get("/none") + GET) == (INTERNAL + OK, False)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("end", SPLITTING, ids=repr)
async def test_a_cookie_s_value_is_sent_on_one_line_and_comes_back(app, end):
    value = f"a{end}X-Evil: 1"

    @app.route("/set")
    async def set_cookie(request, response):
        response.cookies.set("name", value)

    @app.route("/get/back")
    async def get_back(request, response):
        response.body = repr(request.cookies["name"])

    found, _ = await exchange(app, get("/set"))
    status, cookie, *rest = found.decode().split("\r\n")
    assert [status, *rest] == ["HTTP/1.1 200 OK", "Content-Length: 0", "", ""]
    assert cookie.isascii()
    assert cookie.isprintable()
    assert cookie.startswith("Set-Cookie: name=")
    sent = cookie.removeprefix("Set-Cookie: ").partition("; ")[0]
    found, _ = await exchange(app, get("/get/back", f"Cookie: {sent}"))
    assert found == answer(repr(value).encode())


@pytest.mark.parametrize("status", [0, 99, 299, 600, 1000, -200, None, "200"])
async def test_a_status_that_is_none_is_a_500(app, status, caplog):
    @app.route("/status")
    async def view(request, response):
        response.status = status

    class Careless(HttpError):
        def __init__(self):
            self.status = status

    @app.route("/raise")
    async def fail(request, response):
        raise Careless

    found = await exchange(app, get("/status") + get("/raise") + GET)
    assert found == (INTERNAL * 2 + OK, False)
    assert len(caplog.messages) == 2


async def test_the_message_of_an_error_is_its_body_and_never_its_reason(app):
    @app.route("/raise")
    async def view(request, response):
        raise HttpError(403, "a\r\nX-Evil: 1")

    refusal = error("403 Forbidden", message="a\r\nX-Evil: 1", close=False)
    assert await exchange(app, get("/raise") + GET) == (refusal + OK, False)


# A response has a body where there is none, so that the next one is not found


@ways
@pytest.mark.parametrize("path", ["/", "/stream", "/none", "/unread"])
async def test_an_answer_to_head_has_no_body_and_the_next_is_found(app, path, split):
    app["pieces"] = [b"one"]
    expected, _, _ = (await exchange(app, get(path))).data.partition(b"\r\n\r\n")
    app.seen.clear()
    data = get(path, method="HEAD")
    found = await exchange(app, data * 2, split=split, trailing=GET)
    assert found == ((expected + b"\r\n\r\n") * 2 + OK, False)
    assert "open" not in app.seen


@ways
@pytest.mark.parametrize("field", ["X: y", "Connection: keep-alive"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_stream_in_1_0_is_not_chunked_and_ends_with_the_connection(
    app, field, method, split
):
    app["pieces"] = [b"one", b"two"]
    data = get("/stream", field, method=method, version="1.0")
    body = b"" if method == "HEAD" else b"onetwo"
    expected = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body
    assert await exchange(app, data, split=split, trailing=GET) == (expected, True)


@ways
@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("streams", [False, True])
async def test_204_and_304_have_no_body_and_the_next_answer_is_found(
    app, status, method, streams, split
):
    @app.route("/bare", methods="*")
    async def view(request, response):
        response.status = status
        response.body = app.pieces() if streams else "never"

    data = get("/bare", method=method)
    phrase = b"No Content" if status == 204 else b"Not Modified"
    bare = b"HTTP/1.1 %d %b\r\n\r\n" % (status, phrase)
    found = await exchange(app, data * 2, split=split, trailing=GET)
    assert found == (bare * 2 + OK, False)


# A client that expects a 100 waits forever, or gets one that it does not know
# (RFC 9110, 10.1.1)


@ways
async def test_a_body_is_asked_for_when_it_is_first_read(app, split):
    transport = connect(app)
    head = expecting("/late")
    for at in range(0, len(head), split or len(head)):
        transport.feed(head[at : at + (split or len(head))])
    await turns()
    assert transport.data == b""
    app.gate.set()
    await until(lambda: transport.data)
    assert transport.data == CONTINUE
    transport.feed(b"a")
    transport.feed(b"bc" + GET)
    await settle(transport)
    assert transport.data == CONTINUE + answer(b"3") + OK
    await finish(transport)


async def test_a_body_that_came_unasked_is_not_asked_for(app):
    found = await exchange(app, expecting() + b"abc", trailing=GET)
    assert found == (answer(b"abc") + OK, False)


@ways
async def test_an_answer_without_asking_for_the_body_closes(app, split):
    found = await exchange(app, expecting("/unread"), split=split)
    assert found == (CLOSED_OK, True)


@ways
async def test_a_body_past_its_limit_is_not_asked_for(split):
    found = await exchange(App(body=2), expecting(), split=split)
    assert found == (error("413 Content Too Large"), True)


@ways
async def test_no_100_is_sent_to_1_0(app, split):
    data = [expecting(version="1.0"), b"abc"]
    expected = CLOSED_OK.replace(b": 2", b": 3").replace(b"ok", b"abc")
    assert await exchange(app, data, split=split, trailing=GET) == (expected, True)


# An offer to upgrade on an ordinary route is taken for the end of HTTP/1.1
# (RFC 9110, 7.8)

OFFERS = {
    "h2c": [
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    ],
    "TLS": ["Upgrade: TLS/1.0", "Connection: Upgrade"],
}


@ways
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_an_offer_is_served_as_http_1_1_with_its_body_and_so_is_the_next(
    app, offer, split
):
    data = (
        get("/", *offer)
        + get("/", *offer, method="OPTIONS")
        + post(b"hello", "/echo", *offer)
        + post_chunks(b"he", b"llo", b"", fields=offer)
        + get("/none", *offer)
        + post(b"hello", "/unread", *offer)
        + get("/", *offer, method="HEAD")
    )
    expected = (
        OK * 2
        + answer(b"hello") * 2
        + error("404 Not Found", close=False)
        + OK
        + OK.removesuffix(b"ok")
    )
    found = await exchange(app, data, split=split, trailing=GET)
    assert found == (expected + OK, False)


@ways
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_an_offer_hides_no_parse_error(app, offer, split):
    for data, expected in (
        (get("/", *offer) + b"\0\r\n", OK + BAD),
        (post_chunks(b"one", fields=offer) + b"bad\0", BAD),
    ):
        assert await exchange(app, data, split=split, trailing=GET) == (expected, True)


# A body whose size is known to be too large


@ways
@pytest.mark.parametrize("size", [b"8000000000000000", b"100001", b"ffffffffffffffff"])
async def test_a_chunk_that_passes_the_limit_is_refused_at_once(app, size, split):
    data = get("/", "Transfer-Encoding: chunked", method="POST") + size + b"\r\n"
    found, closed = await exchange(app, data, split=split)
    assert (found, closed) == (error("413 Content Too Large"), True)


@ways
async def test_a_chunk_behind_others_is_refused_with_them_counted(app, split):
    body = chunked(b"x" * 1000) + b"ffc19\r\n"  # a byte more than 1 MiB
    data = get("/", "Transfer-Encoding: chunked", method="POST") + body
    found, closed = await exchange(app, data, split=split)
    assert (found, closed) == (error("413 Content Too Large"), True)


async def test_a_method_of_a_subclass_that_fails_is_a_500_and_logged(caplog):
    class Broken(App.HttpProtocol):
        def on_body(self, data):
            raise KeyError("a bug")

    class BrokenApp(App):
        HttpProtocol = Broken

    found, closed = await exchange(BrokenApp(), post(b"x") + GET)
    assert (found, closed) == (error("500 Internal Server Error"), True)
    assert caplog.messages == ["A message could not be read"]


async def test_an_offer_on_a_path_that_does_not_decode_is_refused_as_without(app):
    offer = ["Connection: Upgrade", "Upgrade: h2c"]
    refusal = error(
        "400 Bad Request", message="The path does not decode as UTF-8", close=False
    )
    for fields in ([], offer):
        assert await exchange(app, get("/%ff", *fields) + GET) == (refusal + OK, False)


@pytest.mark.parametrize("offer", [[], ["Connection: Upgrade", "Upgrade: h2c"]])
async def test_a_matcher_that_fails_is_a_500(offer, caplog):
    class Failing:
        def add(self, path, **payload):
            pass

        def match(self, path):
            raise KeyError("a bug")

    class FailingApp(Roll):
        Routes = Failing

    refusal = error("500 Internal Server Error", close=False)
    found, closed = await exchange(FailingApp(), get("/", *offer) * 2)
    assert (found, closed) == (refusal * 2, False)
    assert len(caplog.messages) == 2


async def test_a_client_may_leave_while_an_error_is_told(app, caplog):
    @app.listen("error")
    async def wait(request, response, error):
        app.seen.append("told")
        await app.gate.wait()

    transport = connect(app)
    transport.feed(get("/none"))
    await until(lambda: app.seen == ["told"])
    await finish(transport)
    await until(lambda: not app.connections)
    assert caplog.messages == []


@pytest.mark.parametrize("last", [[b"two"], []])
async def test_a_stream_that_may_finish_goes_on_without_its_client(app, last):
    @app.route("/finish", on_disconnect="finish")
    async def view(request, response):
        response.body = app.pieces()

    app["pieces"] = [b"one", Ellipsis, *last]
    transport = connect(app)
    protocol = transport.get_protocol()
    transport.feed(get("/finish"))
    await until(lambda: app.seen == ["open"])
    transport.disconnect()
    await transport.wait_closed()
    protocol.check(asyncio.get_running_loop().time() + 3600)  # it may take its time
    assert app.connections == {protocol}
    app.gate.set()
    await until(lambda: not app.connections)
    assert app.seen == ["open", "closed"]
