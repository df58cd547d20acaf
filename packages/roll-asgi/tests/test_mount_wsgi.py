"""mount_wsgi: WSGI applications in threads."""

import asyncio
import threading

import pytest
from flask import Flask, Response, request, stream_with_context, url_for
from roll import Roll
from roll.extensions import asgi, mount_asgi, mount_wsgi
from roll_testing import Client, HandshakeError, connect, patience, until

from .asgi_rules import checked


def serve(app, **options):
    def add(application):
        mount_wsgi(app, "/m", application, **options)
        return application

    return add


OK = "200 OK", [("Content-Type", "text/plain")]


@pytest.fixture
def environs(app):
    environs = []

    @serve(app)
    def application(environ, start_response):
        environs.append(environ)
        start_response(*OK)
        return [b"done"]

    return environs


@pytest.mark.parametrize(
    ("sent", "path", "query"),
    [
        ("/m", "", ""),
        ("/m/", "/", ""),
        ("/m/a%2Fb?x=%20", "/a/b", "x=%20"),
        ("/m/文", "/\xe6\x96\x87", ""),
        ("/m/a?%E6%96%87", "/a", "%E6%96%87"),
    ],
)
async def test_paths_are_as_pep_3333_has_them(client, environs, sent, path, query):
    """asgiref#182, uvicorn#961, a2wsgi#1: UTF-8 as latin-1."""
    response = await client.get(sent)
    assert (response.status, response.body) == (200, b"done")
    (environ,) = environs
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/m", path)
    assert environ["QUERY_STRING"] == query
    assert environ["wsgi.url_scheme"] == "http"
    assert (environ["REMOTE_ADDR"], environ["SERVER_PORT"]) == ("127.0.0.1", "80")


async def test_no_name_with_an_underscore_passes_for_another(client, environs):
    fields = {"X_User": "admin", "X-User": "me", "X-List": ["1", "2"]}
    await client.get("/m", headers=fields)
    assert environs[0]["HTTP_X_USER"] == "me"
    assert environs[0]["HTTP_X_LIST"] == "1,2"


async def test_input_streams_with_its_end(app, client):
    sizes = []

    @serve(app)
    def application(environ, start_response):
        assert "CONTENT_LENGTH" in environ or environ["wsgi.input_terminated"]
        while piece := environ["wsgi.input"].read(65_536):
            sizes.append(len(piece))
        start_response(*OK)
        return [str(sum(sizes)).encode()]

    data = b"x" * 1_000_000
    assert (await client.post("/m", data)).body == b"1000000"
    assert max(sizes) <= 65_536
    assert (await client.post("/m", iter([b"a", b"b"]))).body == b"1000002"


@pytest.mark.parametrize(
    ("head", "end"),
    [
        ("Content-Length: 9", None),
        ("Transfer-Encoding: chunked", None),
        ("Transfer-Encoding: chunked", b"what?\r\n"),
    ],
)
async def test_a_body_that_breaks_off_is_an_oserror(app, client, head, end):
    """A whole file must not be replaced by half of it."""
    read, failed = [], []

    @serve(app)
    def application(environ, start_response):
        try:
            while piece := environ["wsgi.input"].read(1):
                read.append(piece)
        except OSError as error:
            failed.append(error)
        start_response(*OK)
        return [b"done"]

    transport = connect(app)
    data = b"3\r\nabc\r\n" if "chunked" in head else b"abc"
    transport.feed(f"POST /m HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode() + data)
    await until(lambda: read == [b"a", b"b", b"c"])
    if end is None:
        transport.disconnect()
    else:
        transport.feed(end)
    await until(lambda: failed)


async def test_flask_logs_no_error_when_an_upload_breaks_off(app, client, caplog):
    flask = Flask("flask")
    started, ended = threading.Event(), []
    flask.before_request(started.set)
    flask.teardown_request(lambda error: ended.append("request"))

    @flask.route("/", methods=["POST"])
    def upload():
        ended.append(request.get_data())

    mount_wsgi(app, "/m", flask)
    transport = connect(app)
    transport.feed(b"POST /m/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    await until(started.is_set)
    transport.disconnect()
    await until(lambda: ended)
    assert ended == ["request"]
    assert caplog.text == ""


@pytest.mark.parametrize("fails", [True, False])
async def test_the_iterable_is_closed(app, client, fails):
    closed = []

    class Pieces:
        def __iter__(self):
            yield b"a"
            yield b"b"
            if fails:
                raise ValueError

        def close(self):
            closed.append(threading.current_thread().name[:4])

    @serve(app)
    def application(environ, start_response):
        start_response(*OK)
        return Pieces()

    if fails:
        with pytest.raises(ConnectionError):
            await client.get("/m")
    else:
        assert (await client.get("/m")).body == b"ab"
    await until(lambda: closed == ["WSGI"])


async def test_a_thread_ends_soon_after_its_client(app):
    """a2wsgi#48: it hangs when `send` fails; hypercorn#176, granian#885."""
    closed = threading.Event()
    count = 0

    class Pieces:
        def __iter__(self):
            nonlocal count
            while True:
                count += 1
                yield b"x" * 10_000

        def close(self):
            closed.set()

    @serve(app)
    def application(environ, start_response):
        start_response(*OK)
        return Pieces()

    await app.startup()
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET /m HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: count > 10)
    await asyncio.to_thread(closed.wait, 0.05)  # by now, it has to wait
    assert count < 40
    transport.reset()
    assert await asyncio.to_thread(closed.wait, patience(5))
    await app.shutdown()


async def test_requests_wait_for_a_thread_and_then_get_503(app):
    go_on = threading.Event()
    running = []

    @serve(app, threads=2, timeout=0.05)
    def application(environ, start_response):
        running.append(environ["PATH_INFO"])
        go_on.wait(patience(10))
        start_response(*OK)
        return [b"done"]

    async with Client(app) as client:
        first = [asyncio.ensure_future(client.get("/m/a")) for _ in range(2)]
        await until(lambda: len(running) == 2)
        late = await client.get("/m/late")
        assert (late.status, late.body) == (503, b"Service Unavailable")
        go_on.set()
        assert {(await each).body for each in first} == {b"done"}
        assert (await client.get("/m/b")).body == b"done"
    assert running == ["/a", "/a", "/b"]


async def test_who_has_left_before_a_thread_was_free_gets_none(app):
    go_on = threading.Event()
    running = []

    @serve(app, threads=1)
    def application(environ, start_response):
        running.append(environ["PATH_INFO"])
        go_on.wait(patience(10))
        start_response(*OK)
        return [b"done"]

    async with Client(app) as client:
        first = asyncio.ensure_future(client.get("/m/a"))
        await until(lambda: running)
        others = [connect(app) for _ in range(5)]
        for transport in others:
            transport.feed(b"GET /m/left HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: all(each.get_protocol().task for each in others))
        for transport in others:
            transport.reset()
        go_on.set()
        assert (await first).body == b"done"
        assert (await client.get("/m/b")).body == b"done"
    assert running == ["/a", "/b"]


async def test_write_and_an_error_after_the_start(app, client, caplog):
    @serve(app)
    def application(environ, start_response):
        write = start_response(*OK)
        write(b"a")
        return [b"b"]

    assert (await client.get("/m")).body == b"ab"


async def test_what_it_raises_is_500(app, client, caplog):
    @serve(app)
    def application(environ, start_response):
        raise ValueError("a mistake")

    assert (await client.get("/m")).status == 500
    assert "ValueError: a mistake" in caplog.text


async def test_a_websocket_is_501(app, client, environs):
    with pytest.raises(HandshakeError, match="501"):
        async with client.websocket("/m"):
            pass


async def test_threads_end_with_the_app(app):
    @serve(app)
    def application(environ, start_response):
        start_response(*OK)
        return [threading.current_thread().name[:4].encode()]

    before = {*threading.enumerate()}
    for _ in range(2):
        async with Client(app) as client:
            assert (await client.get("/m")).body == b"WSGI"
            assert {*threading.enumerate()} - before
        await until(lambda: not {*threading.enumerate()} - before)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"application": None}, "None: give a WSGI application"),
        ({"threads": 0}, "threads=0: give at least 1"),
        ({"prefix": "/m/"}, "end it without one"),
    ],
)
def test_wrong_arguments_are_refused(app, options, error):
    arguments = {"prefix": "/m", "application": Flask, **options}
    with pytest.raises((TypeError, ValueError), match=error):
        mount_wsgi(app, **arguments)


def test_without_a2wsgi_it_says_what_to_install(app, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "a2wsgi", None)
    with pytest.raises(ImportError, match=r"pip install 'roll-asgi\[wsgi\]'"):
        mount_wsgi(app, "/m", Flask)


@pytest.fixture
def flask():
    flask = Flask("flask")

    @flask.route("/文/<name>", methods=["GET", "POST"])
    def hello(name):
        return {
            "name": name,
            "url": url_for("hello", name=name, _external=True),
            "form": request.form,
            "files": [file.filename for file in request.files.values()],
        }

    @flask.route("/stream")
    def stream():
        def pieces():
            for number in range(3):
                yield f"{number} {request.path}\n"

        return Response(stream_with_context(pieces()))

    @flask.route("/cookies")
    def cookies():
        response = Response("", status=299)
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    return flask


async def test_flask_is_served(app, client, flask):
    mount_wsgi(app, "/m", flask)
    files = {"f": (b"x" * 100_000, "文.txt")}
    response = await client.post("/m/文/é", form={"a": "1"}, files=files)
    assert response.json == {
        "name": "é",
        "url": "http://roll.test/m/%E6%96%87/%C3%A9",
        "form": {"a": "1"},
        "files": ["文.txt"],
    }
    assert (await client.get("/m/stream")).body == b"0 /stream\n1 /stream\n2 /stream\n"
    assert (await client.head("/m/stream")).body == b""
    assert (await client.get("/m/nowhere")).status == 404
    await client.get("/m/cookies")
    assert client.transport.data.startswith(b"HTTP/1.1 299 ")
    assert client.cookies == {"a": "1", "b": "2"}


async def test_flask_is_served_below_an_asgi_server_too(flask):
    inner, outer = Roll(), Roll()
    mount_wsgi(inner, "/m", flask)
    mount_asgi(outer, "/o", checked(asgi(inner)))
    async with Client(outer) as client:
        answer = (await client.get("/o/m/文/a")).json
    assert answer["url"] == "http://roll.test/o/m/%E6%96%87/a"
