"""mount_asgi: requests for an ASGI application below a prefix."""

import asyncio
import gzip

import pytest
from fastapi import FastAPI
from fastapi import Request as StarletteRequest
from roll import HttpError, Limits, Roll
from roll.extensions import (
    asgi,
    compress,
    cors,
    decompress,
    mount,
    mount_asgi,
    named_url,
    proxy_headers,
)
from roll_testing import Client, connect, turns, until

from .asgi_rules import checked

START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b"done"}


def body(data, more=True):
    return {"type": "http.response.body", "body": data, "more_body": more}


def serve(app, prefix="/m", **options):
    """Mount what a test decorates; its calls get a checked scope, receive and send."""

    def add(application):
        mount_asgi(app, prefix, checked(application), lifespan=False, **options)
        return application

    return add


@pytest.fixture
def scopes(app):
    """The scopes of the requests below `/m`, which are answered."""
    scopes = []

    @serve(app)
    async def application(scope, receive, send):
        scopes.append(scope)
        await send(START)
        await send(END)

    return scopes


@pytest.mark.parametrize(
    ("sent", "path", "raw", "query"),
    [
        ("/m", "/m", b"/m", b""),
        ("/m/", "/m/", b"/m/", b""),
        ("/m/a%2Fb?x=%20&y", "/m/a/b", b"/m/a%2Fb", b"x=%20&y"),
        ("/m/文", "/m/文", b"/m/%E6%96%87", b""),
        ("http://example.org/m/a?b=http://c/d", "/m/a", b"/m/a", b"b=http://c/d"),
    ],
)
async def test_a_path_is_whole(client, scopes, sent, path, raw, query):
    """Kludex/starlette#1336: `path` includes `root_path`; asgiref#182: UTF-8."""
    assert (await client.get(sent)).body == b"done"
    (scope,) = scopes
    assert (scope["path"], scope["raw_path"]) == (path, raw)
    assert (scope["query_string"], scope["root_path"]) == (query, "/m")


async def test_what_is_not_ascii_in_a_query_is_encoded(app, client, scopes):
    @app.listen("request")
    def rewrite(request, response):
        request.query_string = "文=%20"

    await client.get("/m")
    assert scopes[0]["query_string"] == b"%E6%96%87=%20"


async def test_a_scope_has_what_the_request_has(client, scopes):
    fields = {"X-List": ["a", "b"], "Host": "example.org", "X_Under": "1"}
    await client.request("/m", "PROPFIND", headers=fields)
    (scope,) = scopes
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert (scope["method"], scope["http_version"]) == ("PROPFIND", "1.1")
    assert scope["scheme"] == "http"
    assert scope["headers"][:4] == [
        (b"host", b"example.org"),
        (b"x-list", b"a"),
        (b"x-list", b"b"),
        (b"x_under", b"1"),
    ]
    assert scope["client"] == ("127.0.0.1", 54321)
    assert scope["server"] == ("127.0.0.1", 80)
    assert scope["extensions"] == {}


@pytest.mark.parametrize(
    ("extra", "client", "server"),
    [
        ({"peername": "", "sockname": "/run/s"}, None, ("/run/s", None)),
        ({"peername": ("::1", 5, 0, 0), "sockname": None}, ("::1", 5), None),
        (
            {"peername": ("a", 5), "sockname": ("::1", 8, 0, 0)},
            ("a", 5),
            ("::1", 8),
        ),
    ],
)
async def test_addresses_are_pairs(app, scopes, extra, client, server):
    await app.startup()
    transport = connect(app, extra=extra)
    transport.feed(b"GET /m HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: scopes)
    assert (scopes[0]["client"], scopes[0]["server"]) == (client, server)
    transport.disconnect()
    await app.shutdown()


async def test_client_scheme_and_host_are_those_before_the_proxy(app, client, scopes):
    proxy_headers(app, trusted=["127.0.0.1"])
    fields = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "example.org",
    }
    await client.get("/m", headers=fields)
    (scope,) = scopes
    assert scope["client"] == ("198.51.100.7", 0)
    assert scope["scheme"] == "https"
    assert dict(scope["headers"])[b"host"] == b"example.org"


async def test_mounts_add_up(app, scopes):
    """Roll's mount, mount_asgi and the server's own root_path, one in the other."""
    middle, outer = Roll(), Roll()
    mount(middle, "/sub", app)
    mount_asgi(outer, "/o", checked(asgi(middle)))
    async with Client(outer) as client:
        assert (await client.get("/o/sub/m/x")).body == b"done"
    assert scopes[0]["path"] == "/o/sub/m/x"
    assert scopes[0]["root_path"] == "/o/sub/m"


async def test_more_specific_routes_of_the_app_win(app, client, scopes):
    @app.route("/m/own/{name}")
    async def own(request, response, name):
        response.body = name

    @app.route("/more")
    async def more(request, response):
        response.body = "more"

    assert (await client.get("/m/own/a")).body == b"a"
    assert (await client.post("/m/own/a")).status == 405
    assert (await client.get("/more")).body == b"more"
    assert (await client.get("/m/own")).body == b"done"
    assert (await client.get("/n")).status == 404


def test_a_prefix_is_taken_once(app, scopes):
    with pytest.raises(ValueError, match="declared twice"):
        mount_asgi(app, "/m", asgi(Roll()))


@pytest.mark.parametrize(
    ("prefix", "application", "error"),
    [
        (None, asgi, "prefix=None: give a path"),
        ("", asgi, "start it with a slash"),
        ("/", asgi, "start it with a slash"),
        ("/m/", asgi, "end it without one"),
        ("m", asgi, "start it with a slash"),
        ("/{m}", asgi, "leave placeholders out"),
        ("/m", "fastapi", "'fastapi': give an ASGI application"),
    ],
)
def test_wrong_arguments_are_refused(app, prefix, application, error):
    with pytest.raises((TypeError, ValueError), match=error):
        mount_asgi(app, prefix, application)


def test_only_its_extra_names_it(app):
    async def application(scope, receive, send): ...

    url_for = named_url(app)
    mount_asgi(app, "/a", application)
    mount_asgi(app, "/b", application)
    mount_asgi(app, "/c", application, name="old")

    @app.route("/answer")
    async def answer(request, response): ...

    assert url_for("answer") == "/answer"
    assert url_for("old") == "/c"
    assert url_for("old", path="users/1") == "/c/users/1"


async def test_extras_are_those_of_the_route(app, client):
    seen = []

    @app.listen("request")
    def see(request, response):
        seen.append(request.route.payload["role"])

    @serve(app, role="admin", limits=Limits(body=10))
    async def application(scope, receive, send):
        await receive()
        await send(START)
        await send(END)

    await client.get("/m/a")
    await client.request("/m/a", "PROPFIND")
    assert seen == ["admin", "admin"]
    assert (await client.post("/m", b"x" * 11)).status == 413


async def test_listeners_of_the_app_run_around_it(app, client, scopes):
    cors(app)
    compress(app)

    @app.listen("request")
    def refuse(request, response):
        if request.path == "/m/refused":
            raise HttpError(403)

    assert (await client.get("/m/refused")).status == 403
    assert not scopes
    response = await client.get("/m/a")
    assert response.headers["Access-Control-Allow-Origin"] == "*"


# The body of a request


@pytest.mark.parametrize(
    ("head", "data", "status"),
    [
        ("Content-Length: 11", b"", 413),
        ("Transfer-Encoding: chunked", b"b\r\nx1234567890\r\n", 413),
        ("Transfer-Encoding: chunked", b"1\r\na\r\nwhat?\r\n", 400),
        ("Content-Length: 9", b"too late", 408),
    ],
)
async def test_a_body_that_is_refused_is_not_an_error_of_the_application(
    app, client, caplog, head, data, status
):
    """Starlette would answer 500, and raise it again."""
    fastapi = FastAPI()

    @fastapi.post("/a")
    async def read(request: StarletteRequest) -> int:
        return len(await request.body())

    app.configure(limits=Limits(body_timeout=0.05))
    mount_asgi(app, "/m", fastapi, lifespan=False, limits=Limits(body=10))
    await app.startup()
    transport = connect(app)
    transport.feed(f"POST /m/a HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode() + data)
    await until(lambda: transport.data.startswith(f"HTTP/1.1 {status} ".encode()))
    await app.shutdown()
    assert caplog.text == ""


async def test_a_body_that_is_refused_cuts_a_response_that_has_begun(app, client):
    again = []

    @serve(app, limits=Limits(body=10))
    async def application(scope, receive, send):
        await send(START)
        await send(body(b"begun"))
        while (await receive())["type"] != "http.disconnect":
            pass
        again.append(await receive())

    transport = connect(app)
    head = b"POST /m HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    transport.feed(head + b"1\r\na\r\n")
    await until(lambda: b"begun" in transport.data)
    transport.feed(b"b\r\nx1234567890\r\n")
    await until(lambda: transport.closed)
    assert not transport.data.endswith(b"0\r\n\r\n")
    assert again == [{"type": "http.disconnect"}]


async def echo(scope, receive, send):
    """Answer with the pieces that were received."""
    await send(START)
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send(body(message["body"], more=True))
    await send(END)


async def test_a_body_comes_as_it_is_sent(app, client):
    serve(app)(echo)
    data = b"0123456789" * 100_000
    assert (await client.post("/m", data)).body == data + b"done"
    assert (await client.post("/m", iter([b"a", b"b"]))).body == b"abdone"
    assert (await client.get("/m")).body == b"done"


async def test_a_content_encoding_is_the_applications(app, client):
    decompress(app)
    serve(app)(echo)
    data = gzip.compress(b"data")
    response = await client.post("/m", data, headers={"Content-Encoding": "gzip"})
    assert response.body == data + b"done"


async def test_a_body_that_a_listener_has_loaded_is_there(app, client):
    @app.listen("headers")
    async def load(request, response):
        await request.load_body()

    serve(app)(echo)
    assert (await client.post("/m", b"loaded")).body == b"loadeddone"


async def test_memory_is_bounded_while_nobody_receives(app, client):
    go_on = asyncio.Event()

    @serve(app)
    async def application(scope, receive, send):
        await go_on.wait()
        await echo(scope, receive, send)

    await client.start()
    transport = connect(app)
    transport.feed(b"POST /m HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(10):
        transport.feed(b"x" * 100_000)
    assert transport.held >= 800_000
    go_on.set()
    await until(lambda: transport.data.endswith(b"0\r\n\r\n"))
    transport.disconnect()
    await transport.wait_closed()


# When it ends


async def test_receive_waits_after_the_body_and_tells_of_the_end_each_time(app, client):
    """django/asgiref#334, #53, #533, uvicorn#147."""
    told = []

    @serve(app)
    async def application(scope, receive, send):
        assert (await receive())["type"] == "http.request"
        waiting = asyncio.ensure_future(receive())
        await turns()
        assert not waiting.done()
        await send(START)
        await send(END)
        told.append((await waiting)["type"])
        told.append((await receive())["type"])

    assert (await client.get("/m")).body == b"done"
    assert told == ["http.disconnect"] * 2


@pytest.fixture
async def leaving(app):
    """Sends a request, waits until something is true, and leaves."""
    await app.startup()

    async def leave(ready, path="/m", data=b""):
        transport = connect(app)
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
        transport.feed(head.encode() + data)
        await until(ready)
        transport.disconnect()
        await transport.wait_closed()

    yield leave
    await app.shutdown()


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("data", [b"x" * 9, b"x"])
async def test_a_client_that_leaves_is_told_of(app, leaving, caplog, started, data):
    events = []

    @serve(app)
    async def application(scope, receive, send):
        await receive()
        if started:
            await send(START)
            await send(body(b"a"))
        events.append("ready")
        message = await receive()
        while message["type"] == "http.request":
            message = await receive()
        events.append(message["type"])
        with pytest.raises(OSError, match="the client has left"):
            await send(body(b"b") if started else START)
        events.append("ended")

    await leaving(lambda: events, data=data)
    await until(lambda: len(events) == 3)
    assert events == ["ready", "http.disconnect", "ended"]
    assert not caplog.records


async def test_send_raises_also_while_it_waits(app, leaving, caplog):
    events = []

    @serve(app)
    async def application(scope, receive, send):
        await receive()
        await send(START)
        try:
            while True:
                await send(body(b"x" * 50_000))
                events.append("sent")
        except OSError:
            events.append("left")
            raise

    await app.startup()
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET /m HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: events)
    await turns()
    assert len(events) < 6
    transport.reset()
    await until(lambda: events[-1] == "left")
    await turns()
    assert not caplog.records


@pytest.mark.parametrize("on_disconnect", ["cancel", "finish"])
@pytest.mark.parametrize("started", [True, False])
async def test_a_client_may_end_its_side_within_its_body(
    app, caplog, started, on_disconnect
):
    app.configure(limits=Limits(half_close=0.05, keep_alive=0.2))

    async def application(scope, receive, send):
        await receive()
        if started:
            await send(START)
            await send(body(b"a"))
        assert (await receive())["type"] == "http.disconnect"

    options = {"lifespan": False, "on_disconnect": on_disconnect}
    mount_asgi(app, "/m", application, **options)
    await app.startup()
    transport = connect(app, closes=False)
    transport.feed(b"POST /m HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
    if started:
        await until(lambda: transport.data)
    transport.feed_eof()
    await transport.wait_closed()
    status, end = (b"200", b"\r\na\r\n") if started else (b"400", b"The client left")
    assert transport.data.startswith(b"HTTP/1.1 " + status)
    assert transport.data.endswith(end)
    await app.shutdown()
    assert not caplog.records


async def test_what_it_raises_while_its_client_leaves_is_logged(app, caplog):
    raised = asyncio.Event()

    @serve(app)
    async def application(scope, receive, send):
        await send(START)
        await send(body(b"x" * 100_000))
        await send(body(b"x"))
        raised.set()
        raise MistakeError

    await app.startup()
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET /m HTTP/1.1\r\nHost: a\r\n\r\n")
    await raised.wait()
    await turns()
    transport.reset()
    await until(lambda: "GET /m, after its end: MistakeError" in caplog.text)
    await app.shutdown()


async def test_an_application_is_cancelled_a_while_after_its_client_left(app, leaving):
    """starlette#1438, #919: background tasks die with the client."""
    events = []

    @serve(app, timeout=0.05)
    async def application(scope, receive, send):
        events.append("ready")
        try:
            await asyncio.Event().wait()
        finally:
            events.append(asyncio.get_running_loop().time())

    before = asyncio.get_running_loop().time()
    await leaving(lambda: events)
    await until(lambda: len(events) == 2)
    assert events[1] - before >= 0.05


async def test_it_may_go_on_after_the_answer(app, client):
    go_on = asyncio.Event()
    events = []

    @serve(app)
    async def application(scope, receive, send):
        await send(START)
        await send(END)
        await go_on.wait()
        events.append("background")

    @app.listen("shutdown")
    def end():
        events.append("shutdown")

    await client.start()
    transport = connect(app)
    for _ in range(2):  # on one connection
        size = len(transport.data)
        transport.feed(b"GET /m HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda size=size: transport.data[size:].endswith(b"done"))
    transport.disconnect()
    asyncio.get_running_loop().call_later(0.01, go_on.set)
    await client.stop()
    assert events == ["background", "background", "shutdown"]


# The response


async def test_an_answer_is_sent_as_it_comes(app, client):
    go_on = asyncio.Event()

    @serve(app)
    async def application(scope, receive, send):
        await send(START)
        await send(body(b""))
        await send(body(b"a"))
        await go_on.wait()
        await send(body(b"b"))
        await send({"type": "http.response.body"})

    async with client.stream("/m") as stream:
        assert stream.status == 200
        pieces = aiter(stream)
        assert await anext(pieces) == b"a"
        go_on.set()
        assert await anext(pieces) == b"b"
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)


async def test_fields_are_in_order_and_repeated_ones_stay(app, client):
    """mangum#129, #155: repeated Set-Cookie; Django's names are not in lower case."""

    async def application(scope, receive, send):
        headers = [
            (b"x-first", b"1"),
            (b"set-cookie", b"a=1"),
            (b"transfer-encoding", b"chunked"),
            (b"x-last", "é".encode("latin-1")),
            (b"Set-Cookie", b"b=2"),
            (b"Content-Length", b"4"),
        ]
        await send({**START, "headers": headers})
        await send(END)

    mount_asgi(app, "/m", application, lifespan=False)
    response = await client.get("/m")
    head = client.transport.data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[1:] == [
        b"x-first: 1",
        b"set-cookie: a=1",
        b"set-cookie: b=2",
        b"x-last: \xe9",
        b"Content-Length: 4",
    ]
    assert response.body == b"done"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("streams", [True, False])
async def test_an_answer_may_have_no_body(app, client, status, method, streams):
    returned = []

    @serve(app)
    async def application(scope, receive, send):
        await receive()
        await send({**START, "status": status if method == "GET" else 200})
        for _ in range(3 if streams else 0):
            await send(body(b"more"))
        await send(END)
        returned.append((await receive())["type"])

    assert (await client.request("/m", method)).body == b""
    await until(lambda: returned == ["http.disconnect"])


@pytest.mark.parametrize("status", [200, 299, 419, 599])
async def test_any_status_is_sent_as_it_is(app, client, status):
    @serve(app)
    async def application(scope, receive, send):
        await send({**START, "status": status})
        await send(END)

    await client.get("/m")
    assert client.transport.data.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("status", [100, 101, 199, 600, 0])
async def test_what_is_no_status_of_an_answer_is_500(app, client, caplog, status):
    @serve(app)
    async def application(scope, receive, send):
        await send({**START, "status": status})
        await send(END)

    assert (await client.get("/m")).status == 500
    assert f"{status} is not a status from 200 to 599" in caplog.text


async def test_an_answer_that_cannot_be_sent_does_not_block_the_application(
    app, client
):
    left = asyncio.Event()

    @serve(app)
    async def application(scope, receive, send):
        await send({**START, "status": 600})
        try:
            while True:
                await send(body(b"more"))
        except OSError:
            left.set()

    assert (await client.get("/m")).status == 500
    await left.wait()


# What goes wrong


class MistakeError(Exception):
    pass


async def test_what_it_raises_before_the_start_is_500(app, client, caplog):
    heard = []

    @app.listen("error")
    def hear(request, response, error):
        heard.append(error.__context__)

    @serve(app)
    async def application(scope, receive, send):
        raise MistakeError

    response = await client.get("/m")
    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert [type(error) for error in heard] == [MistakeError]
    assert caplog.text.count("Traceback") == 1


@pytest.mark.parametrize("raises", [True, False])
async def test_what_it_raises_after_the_start_cuts_the_answer(
    app, client, caplog, raises
):
    async def application(scope, receive, send):
        await send(START)
        await send(body(b"a"))
        if raises:
            raise MistakeError

    mount_asgi(app, "/m", application, lifespan=False)
    with pytest.raises(ConnectionError):
        await client.get("/m")
    assert client.transport.data.endswith(b"\r\n\r\n1\r\na\r\n")
    assert caplog.text.count("Traceback") == 1


async def test_what_it_raises_after_its_end_is_logged(app, client, caplog):
    @serve(app)
    async def application(scope, receive, send):
        await send(START)
        await send(END)
        raise MistakeError

    assert (await client.get("/m")).body == b"done"
    await until(lambda: "GET /m, after its end: MistakeError" in caplog.text)


@pytest.mark.parametrize("messages", [[], [START]])
async def test_an_answer_that_never_comes_is_500(app, client, caplog, messages):
    async def application(scope, receive, send):
        for message in messages:
            await send(message)

    mount_asgi(app, "/m", application, lifespan=False)
    assert (await client.get("/m")).status == 500
    assert "returned before its response was sent" in caplog.text


@pytest.mark.parametrize(
    "messages",
    [[END], [START, START], [START, END, END], [{"type": "websocket.accept"}]],
)
async def test_a_message_that_does_not_fit_is_an_error(app, client, messages):
    raised = []

    async def application(scope, receive, send):
        *good, bad = messages
        for message in good:
            await send(message)
        with pytest.raises(RuntimeError, match="is unexpected here") as error:
            await send(bad)
        raised.append(error)

    mount_asgi(app, "/m", application, lifespan=False)
    await client.get("/m")
    assert len(raised) == 1


async def test_a_shutdown_cuts_what_goes_on_too_long(app, caplog):
    app.configure(limits=Limits(shutdown=0.05))

    @serve(app)
    async def application(scope, receive, send):
        await send(START)
        await send(END)
        await asyncio.Event().wait()

    client = Client(app)
    await client.get("/m")
    await client.stop()
    assert "Shutdown cuts" in caplog.text
