"""asgi: what a request is, and what becomes of the response."""

import asyncio
import contextvars
import logging

import pytest
from roll import HttpError, Limits, Roll
from roll.extensions import (
    asgi,
    compress,
    cors,
    mount,
    mount_asgi,
    named_url,
    proxy_headers,
)
from roll.tasks import EAGER
from roll_testing import Client, turns, until

from .asgi_rules import Conversation, call, checked

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.5"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"example.org")],
    "client": ("192.0.2.1", 1234),
    "server": ("127.0.0.1", 80),
    "extensions": {},
}
EMPTY = {"type": "http.request", "body": b"", "more_body": False}
LEFT = {"type": "http.disconnect"}


def scope(path="/", *headers, **changes):
    raw, _, query = path.encode().partition(b"?")
    given = {"path": path.partition("?")[0], "raw_path": raw, "query_string": query}
    return {**SCOPE, **given, "headers": [*SCOPE["headers"], *headers], **changes}


async def ask(app, *arguments, messages=(EMPTY,), **changes):
    """Give status, headers and body of the response to one request."""
    sent = await call(asgi(app), scope(*arguments, **changes), *messages)
    await app.shutdown()
    body = b"".join(message["body"] for message in sent[1:])
    return sent[0]["status"], sent[0]["headers"], body


# The same requests, answered by Roll's own server and through ASGI


class Refusing(Exception):
    pass


def make_site():
    app = Roll()
    cors(app)
    compress(app)

    @app.listen("headers")
    async def shortcut(request, response):
        if request.path == "/short":
            response.body = "shortcut"
            return True

    @app.listen("error")
    async def tell(request, response, error):
        response.headers["X-Error"] = str(error.status.value)

    @app.route("/", methods=["GET", "POST"])
    async def home(request, response):
        response.body = f"Hello {request.method} {request.query.get('name', '')}"

    @app.route("/json", methods=["POST"])
    async def as_json(request, response):
        response.status = 201
        response.json = {"got": request.json}

    @app.route("/form", methods=["POST"])
    async def form(request, response):
        files = {name: file.read().decode() for name, file in request.files.items()}
        response.json = [request.form, files]

    @app.route("/upload", methods=["POST"], lazy_body=True)
    async def upload(request, response):
        await request.load_form()
        response.json = [request.form, [*request.files]]

    @app.route("/lazy", methods=["POST"], lazy_body=True)
    async def lazy(request, response):
        size = 0
        async for piece in request:
            size += len(piece)
        response.json = size

    @app.route("/unread", methods=["POST"], lazy_body=True)
    async def unread(request, response):
        raise HttpError(403, "not you")

    @app.route("/headers")
    async def headers(request, response):
        response.json = {
            name: value for name, value in request.headers.items() if name != "HOST"
        }
        response.headers["X-List"] = ["a", "b"]
        response.headers["Link"] = "</文>; rel=next"
        response.cookies.set("one", "1")
        response.cookies.set("two", "2", httponly=True)

    @app.route("/cookies")
    async def cookies(request, response):
        response.json = dict(request.cookies.items())

    @app.route("/status/{status:int}")
    async def status(request, response, status):
        response.status = status
        response.body = "a body"

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield "one"
            yield b""
            yield b"two"

        response.headers["X-Stream"] = "yes"
        response.body = pieces()

    @app.route("/sized")
    async def sized(request, response):
        async def pieces():
            yield "12345"

        response.headers["Content-Length"] = "5"
        response.body = pieces()

    @app.route("/large")
    async def large(request, response):
        response.headers["Content-Encoding"] = "identity"
        response.body = b"x" * 300_000

    @app.route("/moved")
    async def moved(request, response):
        response.redirect = "/文", 302

    @app.route("/文")
    async def 文(request, response):
        response.body = request.path

    @app.route("/broken")
    async def broken(request, response):
        raise Refusing("secret")

    @app.route("/returns")
    async def returns(request, response):
        return "a value"

    @app.route("/splits")
    async def splits(request, response):
        response.headers["X-Split"] = "a\r\nb"
        response.headers["X-Other"] = "kept"
        response.body = "never"

    @app.route("/null")
    async def null(request, response):
        response.headers["X-Null"] = "a\0"

    @app.route("/short-length")
    async def wrong(request, response):
        response.headers["Content-Length"] = "3"
        response.body = "12345"

    @app.route("/closing")
    async def closing(request, response):
        response.headers["Connection"] = "close"
        response.headers["Keep-Alive"] = "timeout=5"

    @app.route("/ws", protocol="websocket")
    async def ws(request, ws):
        pass

    return app


REQUESTS = [
    ("/", {}),
    ("/?name=%E6%96%87&name=b", {}),
    ("/", {"method": "HEAD"}),
    ("/", {"method": "POST", "data": b"x"}),
    ("/", {"method": "DELETE"}),
    ("/", {"method": "OPTIONS", "headers": {"Origin": "https://a.example"}}),
    ("/json", {"method": "POST", "json": {"a": [1, None]}}),
    ("/json", {"method": "POST", "data": b"{"}),
    ("/form", {"method": "POST", "form": {"a": "1", "b": ["2", "3"]}}),
    ("/form", {"method": "POST", "form": {"a": "1"}, "files": {"f": b"file"}}),
    ("/upload", {"method": "POST", "form": {"a": "1"}, "files": {"f": b"x" * 99_999}}),
    ("/lazy", {"method": "POST", "data": b"x" * 2_000_000}),
    ("/lazy", {"method": "POST", "data": lambda: iter([b"x" * 70_000, b"y" * 3])}),
    ("/json", {"method": "POST", "data": b" " * 2_000_000}),
    ("/json", {"method": "POST", "data": lambda: iter([b" " * 600_000] * 2)}),
    ("/unread", {"method": "POST", "data": b"x" * 2_000}),
    ("/json", {"method": "POST", "data": b"1", "headers": {"Content-Encoding": "br"}}),
    ("/headers", {"headers": {"X-A": ["1", "2"], "Accept": "text/*", "X-E": "é"}}),
    ("/headers", {"headers": {"Accept-Encoding": "gzip"}}),
    ("/cookies", {"headers": {"Cookie": ["a=1; b=2", "c=3"]}}),
    ("/cookies", {"method": "HEAD"}),
    ("/status/204", {}),
    ("/status/304", {}),
    ("/status/205", {}),
    ("/status/404", {}),
    ("/status/101", {}),
    ("/status/299", {}),
    ("/stream", {}),
    ("/stream", {"method": "HEAD"}),
    ("/sized", {}),
    ("/large", {}),
    ("/large", {"method": "HEAD"}),
    ("/moved", {}),
    ("/文", {}),
    ("/%E6%96%87", {}),
    ("/nowhere", {}),
    ("/broken", {}),
    ("/returns", {}),
    ("/splits", {}),
    ("/null", {}),
    ("/short-length", {}),
    ("/short", {"method": "POST", "data": b"x"}),
    ("/closing", {}),
    ("/ws", {}),
    ("/?" + "&".join("a" * 1001), {}),
]
OF_THE_SERVER = {"connection", "date", "keep-alive", "transfer-encoding", "upgrade"}


def describe(response):
    fields = {
        name.lower(): sorted(response.headers.list(name))
        for name in response.headers
        if name.lower() not in OF_THE_SERVER
    }
    return int(response.status), fields, response.body


async def send_all(app, prefix):
    app.date = b"Date: now\r\n"  # as while a Server runs
    answers = {}
    async with Client(app) as client:
        for number, (path, options) in enumerate(REQUESTS):
            if callable(options.get("data")):
                options = {**options, "data": options["data"]()}
            client.cookies.clear()
            name = f"{number} {path[:30]} {options.get('method', 'GET')}"
            answers[name] = describe(await client.request(prefix + path, **options))
    return answers


async def test_requests_are_answered_as_by_rolls_own_server(caplog):
    caplog.set_level(logging.CRITICAL, "roll")
    own = await send_all(make_site(), "")
    outer = Roll()
    mount_asgi(outer, "/at", checked(asgi(make_site())))
    through = await send_all(outer, "/at")
    assert through == own


# What a request is


@pytest.fixture
def seen(app):
    """What a view has seen: the requests, in order."""
    seen = []

    @app.route("/{path:path}", methods="*")
    async def view(request, response, path):
        seen.append(request)

    return seen


async def test_a_request_has_what_the_scope_says(app, seen):
    given = scope("/a%2Fb?x=1&y=%20", (b"x-a", b"1"), scheme="https", http_version="2")
    await call(asgi(app), given, EMPTY)
    (request,) = seen
    assert request.url == b"/a%2Fb?x=1&y=%20"
    assert (request.path, request.query_string) == ("/a/b", "x=1&y=%20")
    assert (request.method, request.version, request.scheme) == ("GET", "2", "https")
    assert request.remote_addr == "192.0.2.1"
    assert request.local_address == ("127.0.0.1", 80)
    assert request.host == "example.org"
    assert request.headers["X-A"] == "1"
    assert request.head.startswith(
        b"GET /a%2Fb?x=1&y=%20 HTTP/2\r\nhost: example.org\r\n"
    )
    assert request["asgi"] is given
    assert request.app is app


async def test_a_target_is_quoted_again_without_a_raw_path(app, seen):
    for raw in ({"raw_path": None}, {}):
        given = {**scope("/文 b?x=1"), **raw}
        if not raw:
            del given["raw_path"]
        given["path"], given["query_string"] = "/文 b", b"x=1"
        await asgi(app)(given, None, lambda message: asyncio.sleep(0))
    assert {request.url for request in seen} == {b"/%E6%96%87%20b?x=1"}
    assert {request.path for request in seen} == {"/文 b"}


async def test_a_path_that_is_not_utf8_is_400(app, seen):
    assert (await ask(app, "/", raw_path=b"/%ff"))[0] == 400
    assert (await ask(app, "/", raw_path=b"/r/%ff", root_path="/r"))[0] == 400
    assert not seen


async def test_a_replacement_character_may_be_sent_as_such(app, seen):
    await ask(app, "/r/\ufffd", raw_path=b"/r/%EF%BF%BD", root_path="/r")
    assert seen[0].path == "/\ufffd"


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [
        (None, None, (None, None)),
        (["192.0.2.1", 1], ["h", 2], ("192.0.2.1", ("h", 2))),
        (("", 0), ("/run/s", None), (None, "/run/s")),
    ],
)
async def test_addresses_may_be_unknown(app, seen, client, server, expected):
    await ask(app, client=client, server=server)
    assert (seen[0].remote_addr, seen[0].local_address) == expected


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("", "/a", "/a"),
        ("/r", "/r/a", "/a"),
        ("/r", "/r", "/"),
        ("/r", "/r/", "/"),
        ("/r/s", "/r/s/a", "/a"),
        ("/r", "/a", "/a"),  # not in front, as older servers had it
        ("/r", "/ra", "/ra"),  # not whole segments
    ],
)
async def test_root_path_is_taken_off_the_front(app, seen, root, path, expected):
    """Kludex/starlette#1336, #2400: `path` with or without `root_path`."""
    await ask(app, path, root_path=root)
    assert (seen[0].path, seen[0].url) == (expected, path.encode())


async def test_url_for_writes_the_root_path(app):
    url_for = named_url(app)

    @app.route("/users/{id}", name="user")
    async def view(request, response, id):
        response.body = url_for("user", id=id)

    assert (await ask(app, "/r/users/1", root_path="/r"))[2] == b"/r/users/1"


async def test_headers_are_found_in_any_case_and_cookies_are_joined(app, seen):
    """granian#539: HTTP/2 splits cookies."""
    headers = [(b"Cookie", b"a=1"), (b"cookie", b"b=2"), (b"X-A", b"1")]
    await asgi(app)(
        scope("/", *headers, http_version="2"),
        lambda: asyncio.sleep(0, EMPTY),
        lambda message: asyncio.sleep(0),
    )
    assert seen[0].cookies == {"a": "1", "b": "2"}
    assert seen[0].headers["cookie"] == "a=1; b=2"
    assert seen[0].headers["x-a"] == "1"


@pytest.mark.parametrize(
    ("server", "host"),
    [(("h", 8000), "h:8000"), (("/run/s", None), "/run/s"), (None, "")],
)
async def test_the_host_is_that_of_the_server_without_a_field(app, seen, server, host):
    """granian#188: some HTTP/2 servers give no `host`."""
    await ask(app, headers=[], server=server)
    assert seen[0].host == host


# Bodies


@pytest.fixture
def echo(app):
    @app.route("/", methods=["GET", "POST", "PUT"])
    async def view(request, response):
        response.body = request.body


def piece(data, more=True):
    return {"type": "http.request", "body": data, "more_body": more}


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize(
    ("method", "headers", "version"),
    [
        ("POST", [(b"content-length", b"3")], "1.1"),
        ("POST", [(b"transfer-encoding", b"chunked")], "1.1"),
        ("GET", [(b"transfer-encoding", b"chunked")], "1.1"),
        ("POST", [], "1.1"),  # by an adapter that has no more than the content
        ("POST", [], "2"),
        ("GET", [], "2"),
        ("PUT", [(b"content-length", b"x")], "3"),
        ("PUT", [(b"content-length", b"9" * 5000)], "2"),
    ],
)
async def test_a_body_comes_in_pieces(app, method, headers, version):
    pieces = piece(b"a"), piece(b""), piece(b"bc", more=False)
    changes = {"method": method, "http_version": version}
    answer = await ask(app, "/", *headers, messages=pieces, **changes)
    assert answer[2] == b"abc"


@pytest.mark.usefixtures("echo")
async def test_a_body_may_lack_its_keys(app):
    message = {"type": "http.request"}
    assert (await ask(app, messages=[message], method="POST"))[2] == b""


async def test_a_view_that_does_not_wait_leaves_receive_alone(app, seen):
    talk = Conversation(asgi(app), scope())
    await talk.task
    # Without eager tasks, the reading begins with the view.
    assert talk.received <= (not EAGER)


async def test_receive_waits_while_a_body_is_not_read(app):
    taken = asyncio.Event()

    @app.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        await taken.wait()
        response.body = str(len(await request.read()))

    pieces = [piece(b"x" * 50_000)] * 10
    length = (b"content-length", b"500000")
    given = scope("/", length, method="POST")
    talk = Conversation(asgi(app), given, *pieces, piece(b"", more=False))
    await until(lambda: talk.received == 2)
    await turns()
    assert talk.received == 2  # 100,000 bytes, past Limits.buffer
    taken.set()
    await talk.task
    assert talk.sent[1]["body"] == b"500000"


@pytest.mark.parametrize("declared", [[(b"content-length", b"11")], []])
async def test_a_body_past_the_limit_is_413_at_once(app, declared):
    app.configure(limits=Limits(body=10))

    @app.route("/", methods=["POST"])
    async def view(request, response):
        raise AssertionError

    given = scope("/", *declared, method="POST")
    talk = Conversation(asgi(app), given, piece(b"x" * 11))
    await talk.task
    assert talk.sent[0]["status"] == 413


async def test_a_body_is_not_asked_for_before_it_is_read(app):
    """Servers send 100 Continue when `receive` is called first."""

    @app.route("/{which}", methods=["POST"], lazy_body=True)
    async def view(request, response, which):
        await turns()
        if which == "read":
            await request.load_body()

    headers = (b"expect", b"100-continue"), (b"content-length", b"1")
    for path, expected in (("/refused", 0), ("/read", 1)):
        given = scope(path, *headers, method="POST")
        talk = Conversation(asgi(app), given, piece(b"x", more=False))
        await talk.task
        assert min(talk.received, 1) == expected


async def test_a_client_that_leaves_within_its_body_gets_nothing(app, caplog):
    @app.route("/", methods=["POST"])
    async def view(request, response):
        raise AssertionError

    given = scope("/", (b"content-length", b"9"), method="POST")
    talk = Conversation(asgi(app), given, piece(b"x"), LEFT)
    await talk.task
    assert talk.sent == []
    assert not caplog.records


# Responses


async def test_a_response_is_one_start_and_one_body(app):
    @app.route("/")
    async def view(request, response):
        response.headers["X-List"] = ["a", "b"]
        response.cookies.set("one", "1")
        response.cookies.set("two", "2")
        response.body = "文"

    sent = await call(asgi(app), scope(), EMPTY)
    assert sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"set-cookie", b"one=1; Path=/"),
                (b"set-cookie", b"two=2; Path=/"),
                (b"x-list", b"a"),
                (b"x-list", b"b"),
                (b"x-content-type-options", b"nosniff"),
                (b"content-length", b"3"),
            ],
        },
        {"type": "http.response.body", "body": "文".encode()},
    ]


async def test_a_stream_begins_before_its_first_piece(app):
    @app.route("/")
    async def view(request, response):
        async def pieces():
            yield ""
            await more.wait()
            yield "a"
            yield memoryview(b"b")

        response.body = pieces()

    more = asyncio.Event()
    talk = Conversation(asgi(app), scope())
    await until(lambda: talk.sent)
    assert talk.types == ["http.response.start"]
    more.set()
    await talk.task
    assert talk.sent[1:] == [
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b", "more_body": True},
        {"type": "http.response.body", "body": b""},
    ]


async def test_a_stream_waits_for_send(app):
    given = []

    @app.route("/")
    async def view(request, response):
        async def pieces():
            for number in range(3):
                given.append(number)
                yield "x"

        response.body = pieces()

    room = asyncio.Semaphore(2)  # for the start and a piece

    async def send(message):
        await room.acquire()

    task = asyncio.ensure_future(call(asgi(app), scope(), send=send))
    await until(lambda: given == [0, 1])
    await turns()
    assert given == [0, 1]
    room = asyncio.Semaphore(9)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stream_without_waits_lets_others_have_their_turn(app):
    stop = asyncio.Event()

    @app.route("/")
    async def view(request, response):
        async def pieces():
            while not stop.is_set():
                yield b"x" * 2**16

        response.body = pieces()

    talk = Conversation(asgi(app), scope())
    asyncio.get_running_loop().call_soon(stop.set)
    await talk.task
    assert len(talk.sent) < 100


FIELDS = {
    "Connection": "keep-alive",
    "Keep-Alive": "timeout=5",
    "Upgrade": "h2c",
    "Date": "never",
    "Server": "me",
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 204, 304])
async def test_what_is_the_servers_is_dropped(app, method, status):
    """gunicorn#3710: bodies with HEAD, 204 and 304 over HTTP/2."""

    @app.route("/")
    async def view(request, response):
        response.status = status
        response.headers.update(FIELDS)
        response.body = "body"

    answer = await ask(app, method=method)
    assert {name.decode() for name, _ in answer[1]} & set(
        map(str.lower, FIELDS)
    ) == set()
    assert answer[2] == (b"body" if (method, status) == ("GET", 200) else b"")


async def test_what_cannot_be_sent_is_500_by_the_error_listeners(app, caplog):
    @app.listen("error")
    def tell(request, response, error):
        response.headers["X-Told"] = "yes"

    @app.route("/")
    async def view(request, response):
        response.headers["X-Bad"] = "a\nb"

    status, fields, body = await ask(app)
    assert (status, body) == (500, b"Internal Server Error")
    assert (b"x-told", b"yes") in fields
    assert "x-bad" not in str(fields).lower()
    assert "X-Bad" in caplog.text


async def test_what_listeners_make_unsendable_again_is_a_plain_500(app):
    @app.listen("error")
    def tell(request, response, error):
        response.headers["X-Bad"] = "a\nb"

    @app.route("/")
    async def view(request, response):
        response.headers["Content-Length"] = "x"

    assert (await ask(app))[::2] == (500, b"Internal Server Error")


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (None, "a mistake"),
        ("2", "the body is longer than its 2 bytes"),
        ("9", "the body lacks 6 of its 9 bytes"),
    ],
)
async def test_a_stream_that_fails_cuts_the_response(app, caplog, length, text):
    closed = []

    @app.route("/")
    async def view(request, response):
        async def pieces():
            try:
                yield "abc"
                if length is None:
                    raise ValueError("a mistake")
            finally:
                closed.append(True)

        if length is not None:
            response.headers["Content-Length"] = length
        response.body = pieces()

    talk = Conversation(asgi(app), scope())
    with pytest.raises(ValueError, match=text):
        await talk.task
    assert talk.sent[-1].get("more_body") is not False
    assert "GET / was cut short" in caplog.text
    assert closed == [True]


class Pieces:
    """A body whose iterator is another object."""

    def __init__(self):
        self.closed = 0

    async def __aiter__(self):
        yield "x"

    async def aclose(self):
        self.closed += 1


async def test_a_body_and_its_iterator_are_closed(app):
    bodies = []

    @app.route("/")
    async def view(request, response):
        response.body = Pieces()
        bodies.append(response.body)

    for method in ("GET", "HEAD"):
        await ask(app, method=method)
    assert [body.closed for body in bodies] == [1, 1]


# Clients that leave


@pytest.fixture
def go_on():
    return asyncio.Event()


@pytest.fixture
def ended(app, go_on):
    """How views have ended: `/` and `/finish` wait forever, `/stream` for `go_on`."""
    ended = []

    @app.route("/")
    async def wait(request, response):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    @app.route("/finish", on_disconnect="finish")
    async def finish(request, response):
        await asyncio.gather(request.disconnected(), request.disconnected())
        await request.disconnected()
        ended.append("told")
        response.body = "to nobody"

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            try:
                yield "x"
                await go_on.wait()
                yield "y"
            finally:
                ended.append("closed")

        response.body = pieces()

    return ended


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/", "cancelled"), ("/finish", "told"), ("/stream", "closed")],
)
async def test_a_view_ends_when_its_client_leaves(app, ended, caplog, path, expected):
    finished = []
    app.listen("finish")(lambda request, response: finished.append(response.complete))
    talk = Conversation(asgi(app), scope(path), EMPTY)
    await until(lambda: talk.received == 2)
    await turns()
    talk.tell(LEFT)
    await talk.task
    assert ended == [expected]
    assert finished == [False]
    assert len(talk.sent) == (2 if path == "/stream" else 0)
    assert not caplog.records


async def test_a_client_may_have_left_before_send(app, ended, go_on, caplog):
    """`send` raises OSError then (HTTP 2.4)."""
    talk = Conversation(asgi(app), scope("/stream"), EMPTY)
    await until(lambda: len(talk.sent) == 2)
    talk.failing = ConnectionResetError("gone")
    go_on.set()
    await talk.task
    assert ended == ["closed"]
    assert not caplog.records


async def test_an_os_error_of_a_stream_is_no_disconnect(app, caplog):
    @app.route("/")
    async def view(request, response):
        async def pieces():
            yield "x"
            raise FileNotFoundError("a file")

        response.body = pieces()

    with pytest.raises(FileNotFoundError):
        await call(asgi(app), scope())
    assert "was cut short" in caplog.text


async def test_a_disconnect_after_the_end_cancels_nothing(app):
    """Some servers give it as soon as the response is complete."""

    @app.route("/bytes")
    async def whole(request, response):
        response.body = "x"

    async def send(message):
        sent.append(message)
        if message.get("more_body") is None and "body" in message:
            incoming.set_result(LEFT)
            await turns()

    sent = []
    incoming = asyncio.get_running_loop().create_future()

    async def receive():
        return await asyncio.shield(incoming)

    await asgi(app)(scope("/bytes"), receive, send)
    assert [message["type"] for message in sent] == [*RESPONSE]


RESPONSE = "http.response.start", "http.response.body"


async def test_a_server_that_fails_to_receive_is_as_a_client_that_leaves(
    app, ended, caplog
):
    async def receive():
        raise RuntimeError("a bug")

    await asgi(app)(scope("/"), receive, None)
    assert ended == ["cancelled"]
    assert "RuntimeError: a bug" in caplog.text


async def test_a_view_is_cancelled_with_the_call_of_the_server(app, ended):
    talk = Conversation(asgi(app), scope("/"), EMPTY)
    await until(lambda: talk.received == 2)
    talk.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talk.task
    assert ended == ["cancelled"]


async def test_what_goes_on_after_the_response_is_told_of_the_end(app):
    ended = []

    @app.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        async def wait():
            await request.disconnected()
            ended.append("told")

        async def read():
            with pytest.raises(HttpError, match="The client left"):
                await request.read()
            ended.append("read")

        app.keep(wait())
        app.keep(read())
        await turns()

    given = scope("/", (b"content-length", b"9"), method="POST")
    await Conversation(asgi(app), given, piece(b"x")).task
    await until(lambda: sorted(ended) == ["read", "told"])


async def test_no_task_is_left(app, ended):
    before = asyncio.all_tasks()
    talk = Conversation(asgi(app), scope("/"), EMPTY)
    await until(lambda: talk.received == 2)
    talk.tell(LEFT)
    await talk.task
    await app.shutdown()
    assert asyncio.all_tasks() == before


# Listeners, contexts, limits


async def test_each_event_happens_once(app):
    events = []
    for name in ("headers", "request", "response", "finish"):
        app.listen(name)(lambda *_, name=name: events.append(name))

    @app.route("/")
    async def view(request, response):
        events.append("view")

    await call(asgi(app), scope(), EMPTY)
    await turns()
    assert events == ["headers", "request", "view", "response", "finish"]


async def test_each_request_has_a_context_of_its_own(app):
    """Mangum runs all requests in one."""
    variable = contextvars.ContextVar("variable", default="new")

    @app.route("/")
    async def view(request, response):
        response.body = variable.get()
        variable.set("used")

    bodies = [(await call(asgi(app), scope(), EMPTY))[1]["body"] for _ in range(2)]
    assert bodies == [b"new", b"new"]


async def test_limits_of_connections_are_the_servers(app, caplog):
    app.configure(limits=Limits(body=9, shutdown=9, keep_alive=75, connections=3))
    await call(asgi(app), scope(), EMPTY)
    await call(asgi(app), scope(), EMPTY)
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert record.getMessage().endswith("no effect: keep_alive=75, connections=3")


async def test_an_unknown_scope_is_an_error(app):
    with pytest.raises(ValueError, match="'webtransport' is not supported"):
        await asgi(app)({"type": "webtransport"}, None, None)


def test_there_is_one_application_for_an_app(app):
    assert asgi(app) is asgi(app, signals=True) is asgi(app)


async def test_a_request_may_be_handed_to_a_mounted_app(app):
    inner = Roll()

    @inner.route("/a")
    async def view(request, response):
        response.body = f"{request.path} {request.app.root_path} {request.remote_addr}"

    mount(app, "/sub", inner)
    answer = await ask(app, "/r/sub/a", root_path="/r")
    assert answer[2] == b"/a /r/sub 192.0.2.1"


async def test_the_client_behind_a_proxy_is_known(app, seen):
    proxy_headers(app, trusted=["192.0.2.1"])
    await ask(app, "/", (b"x-forwarded-for", b"198.51.100.7"))
    assert seen[0].remote_addr == "198.51.100.7"


async def test_requests_go_through_asgi_both_ways(app, through):
    """asgiref#182, uvicorn#961: paths that are not ASCII."""

    @app.route("/文/{name}")
    async def view(request, response, name):
        response.json = [request.path, request.url.decode(), request.app.root_path]

    answer = await through.get("/at/文/é")
    assert answer.json == ["/文/é", "/at/%E6%96%87/%C3%A9", "/at"]
