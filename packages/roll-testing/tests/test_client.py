import asyncio
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from roll import HttpError, HttpProtocol, Roll
from roll_testing import Client, patience

METHODS = ["get", "head", "post", "put", "patch", "delete", "options"]


class Switched(asyncio.Protocol):
    """A protocol that answers what comes in upper case."""

    TOKEN = "shout"
    ALLOWED_METHODS = ("GET",)

    def __init__(self, request, response):
        response.headers["Upgrade"] = self.TOKEN
        response.headers["Connection"] = "Upgrade"

    def connection_made(self, transport):
        self.transport = transport
        self.lost = asyncio.Event()

    def connection_lost(self, error):
        self.lost.set()

    def data_received(self, data):
        self.transport.write(data.upper())

    async def run(self, view, variables):
        await self.lost.wait()

    def stop(self):
        self.transport.close()

    def check(self, now):
        """End what takes too long: nothing does."""


class App(Roll):
    WebsocketProtocol = Switched


@pytest.fixture
def app():
    app = App()

    @app.route("/echo/{name:path}", methods="*")
    async def echo(request, response, name):
        response.json = {
            "method": request.method,
            "url": request.url.decode(),
            "name": name,
            "headers": dict(request.headers),
            "body": request.body.decode("latin-1"),
        }

    @app.route("/form", methods="POST")
    async def form(request, response):
        files = [
            [file.filename, file.content_type, file.read().decode()]
            for name in sorted(request.files)
            for file in request.files.list(name)
        ]
        response.json = {"form": request.form, "files": files}

    @app.route("/set")
    async def set_cookies(request, response):
        for name in request.query:
            response.cookies.set(name, request.query.get(name))

    @app.route("/unset/{name}")
    async def unset_cookie(request, response, name):
        response.cookies.set(name, "", max_age=0)

    @app.route("/stream")
    async def stream(request, response):
        async def body():
            yield b"abc"
            await asyncio.sleep(0)
            yield b"de"
            app["cleaned"] = True

        response.body = body()
        if "length" in request.query:
            response.headers["Content-Length"] = 5

    @app.route("/stuck")
    async def stuck(request, response):
        await asyncio.Event().wait()

    @app.route("/cut")
    async def cut(request, response):
        async def body():
            yield b"abc"
            raise RuntimeError("cut")

        response.body = body()

    @app.route("/gone")
    async def gone(request, response):
        request.protocol.transport.abort()
        await asyncio.Event().wait()

    @app.route("/broken")
    async def broken(request, response):
        raise RuntimeError("broken")

    @app.route("/raw")
    async def raw(request, response):
        request.protocol.transport.write(request.query.get("bytes").encode())
        await asyncio.sleep(0)

    @app.route("/lazy", methods="POST", lazy_body=True)
    async def lazy(request, response):
        size = 0
        async for piece in request:
            await asyncio.sleep(0)
            size += len(piece)
        response.body = str(size)

    @app.route("/refused", methods="POST", lazy_body=True)
    async def refused(request, response):
        raise HttpError(413)

    @app.route("/shout", protocol="websocket")
    async def shout(request, ws):
        """What `Switched` does."""

    @app.route("/204")
    async def nothing(request, response):
        response.status = 204

    @app.route("/202")
    async def accepted(request, response):
        response.status = 202

    @app.listen("startup")
    async def start():
        app["up"] = app.get("up", 0) + 1

    @app.listen("shutdown")
    async def stop():
        app["down"] = app.get("down", 0) + 1

    return app


@pytest.mark.parametrize("method", METHODS)
async def test_each_method_has_its_call(client, method):
    response = await getattr(client, method)("/echo/x")
    assert response.status == 200
    assert response.body == b"" if method == "head" else True
    if method != "head":
        assert response.json["method"] == method.upper()


async def test_connect_is_a_method_too(client):
    assert (await client.connect("roll.test:443")).status in (404, 405)


async def test_the_method_may_be_an_argument(client):
    assert (await client.request("/echo/x")).json["method"] == "GET"
    assert (await client.request("/echo/x", "put")).json["method"] == "PUT"
    response = await client.request("/echo/x", method="PATCH", body="a")
    assert (response.json["method"], response.json["body"]) == ("PATCH", "a")


async def test_the_bytes_on_the_wire_can_be_read(client):
    await client.get("/202")
    wire = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    assert client.protocol.transport.data == wire
    assert client.transport.data == wire
    await client.get("/202", headers={"Connection": "close"})
    assert b"Connection: close" in client.protocol.transport.data


async def test_before_a_request_there_is_no_connection(client):
    for name in ("protocol", "transport"):
        with pytest.raises(RuntimeError, match="has sent no request yet"):
            getattr(client, name)


async def test_a_path_may_hold_anything(client):
    answer = (await client.get("/echo/été et/plus?q=é&r=%20")).json
    assert answer["name"] == "été et/plus"
    assert answer["url"] == "/echo/%C3%A9t%C3%A9%20et/plus?q=%C3%A9&r=%20"


async def test_headers_are_merged(client):
    client.default_headers = {"X-A": "default", "X-B": "b"}
    answer = await client.get("/echo/x", headers={"x-a": "own", "X-C": ["1", "2"]})
    assert answer.json["headers"] == {
        "HOST": "roll.test",
        "X-A": "own",
        "X-B": "b",
        "X-C": "1, 2",
    }
    answer = await client.get("/echo/x", headers={"Host": "other.test", "X-B": None})
    assert answer.json["headers"] == {"HOST": "other.test", "X-A": "default"}
    assert (await client.get("/echo/x", headers={"Host": None})).status == 400


async def test_data_is_json_and_text_is_sent_as_it_is(client):
    for options in ({"data": {"a": 1}}, {"body": {"a": 1}}, {"json": {"a": 1}}):
        answer = (await client.post("/echo/x", **options)).json
        assert answer["body"] == '{"a": 1}'
        assert answer["headers"]["CONTENT-TYPE"] == "application/json"
    for options in ({"data": "blah"}, {"body": "blah"}, {"body": iter([b"b", "lah"])}):
        answer = (await client.post("/echo/x", **options)).json
        assert answer["body"] == "blah"
        assert "CONTENT-TYPE" not in answer["headers"]
    assert (await client.post("/echo/x", "blah")).json["body"] == "blah"
    assert (await client.post("/echo/x", json="blah")).json["body"] == '"blah"'


async def test_a_form_is_sent(client):
    response = await client.post("/form", form={"a": "é", "b": [1, 2]})
    assert response.json["form"] == {"a": ["é"], "b": ["1", "2"]}
    response = await client.post(
        "/form", data={"a": 1}, content_type="multipart/form-data"
    )
    assert response.json["form"] == {"a": ["1"]}


async def test_parameters_are_added_to_the_query(client):
    answer = (await client.get("/echo/x?a=1", params={"b": "é", "c": [2, 3]})).json
    assert answer["url"] == "/echo/x?a=1&b=%C3%A9&c=2&c=3"


async def test_files_are_sent(client):
    response = await client.post(
        "/form",
        data={"a": "1"},
        files={"f": (BytesIO(b"x"), "x.txt", "x/y"), "g": [b"y", ("z", "z.html")]},
    )
    assert response.json == {
        "form": {"a": ["1"]},
        "files": [
            ["x.txt", "x/y", "x"],
            ["g", "application/octet-stream", "y"],
            ["z.html", "text/html", "z"],
        ],
    }


async def test_the_content_type_has_a_default(client):
    client.content_type = "application/x-www-form-urlencoded"
    for data in ("a=1", {"a": 1}):
        answer = (await client.post("/echo/x", data)).json
        assert answer["headers"]["CONTENT-TYPE"] == "application/x-www-form-urlencoded"
        assert answer["body"] == "a=1"
    answer = (await client.put("/echo/x", body=b"\xe9", content_type="x/y")).json
    assert (answer["headers"]["CONTENT-TYPE"], answer["body"]) == ("x/y", "é")


async def test_cookies_are_kept_and_sent(client):
    response = await client.get("/set?a=1&b=2")
    assert response.cookies == dict(client.cookies) == {"a": "1", "b": "2"}
    client.cookies["c"] = "3"
    answer = (await client.get("/echo/x")).json
    assert answer["headers"]["COOKIE"] == "a=1; b=2; c=3"
    await client.get("/unset/a")
    answer = (await client.get("/echo/x")).json
    assert answer["headers"]["COOKIE"] == "b=2; c=3"
    answer = (await client.get("/echo/x", headers={"Cookie": "own=1"})).json
    assert answer["headers"]["COOKIE"] == "own=1"


@pytest.mark.parametrize("query", ["", "?length"])
async def test_a_stream_is_read_to_its_end(client, app, query):
    response = await client.get(f"/stream{query}")
    assert response.body == b"abcde"
    assert response.chunks == ([] if query else [b"abc", b"de"])
    assert app["cleaned"]


async def test_head_and_204_have_no_body(client):
    response = await client.head("/echo/x")
    assert (response.body, "Content-Length" in response.headers) == (b"", True)
    assert (await client.get("/204")).body == b""


async def test_an_exception_of_a_view_is_an_answer(client, caplog):
    assert (await client.get("/broken")).status == 500
    assert "broken" in caplog.text


async def test_an_answer_that_never_comes_is_an_error(client, app):
    client.timeout = 0.02
    with pytest.raises(
        TimeoutError, match=f"GET /stuck is not answered after {patience(0.02):g} s"
    ):
        await client.get("/stuck")
    assert not app.connections


async def test_a_connection_that_closes_is_an_error(client):
    with pytest.raises(ConnectionError, match=r"GET /gone: .* without a response"):
        await client.get("/gone")


async def test_an_answer_that_is_cut_is_an_error(client, caplog):
    with pytest.raises(ConnectionError, match=r"GET /cut: .* before the end"):
        await client.get("/cut")


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("nonsense", "The response breaks HTTP"),
        (
            "HTTP/1.1%20200%20OK%0D%0AContent-Length:%200%0D%0A%0D%0A",
            "second answer|after",
        ),
    ],
)
async def test_an_answer_that_breaks_http_is_an_error(client, wire, text):
    with pytest.raises(ValueError, match=text):
        await client.get(f"/raw?bytes={wire}")


async def pieces(count):
    for _ in range(count):
        yield bytes(64 * 1024)


async def test_a_body_may_be_streamed(client):
    response = await client.post("/lazy", body=pieces(20))
    assert response.text == str(20 * 64 * 1024)
    response = await client.post(
        "/lazy", body=pieces(2), headers={"Content-Length": 2 * 64 * 1024}
    )
    assert response.text == str(2 * 64 * 1024)


async def test_a_stream_stops_when_the_server_closes(client):
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 1000:
            sent += 1
            yield bytes(64 * 1024)

    assert (await client.post("/refused", body=endless())).status == 413
    assert sent < 100


async def test_a_stream_stops_when_the_server_closes_while_it_does_not_read(
    client, app
):
    class Deaf(HttpProtocol):
        def data_received(self, data):
            transport = self.transport
            transport.pause_reading()
            asyncio.get_running_loop().call_later(0.01, transport.abort)

    app.factory = lambda: Deaf(app)
    with pytest.raises(ConnectionError, match="without a response"):
        await client.post("/lazy", body=pieces(1))


async def test_another_protocol_may_take_over(client, app):
    headers = {"Connection": "Upgrade", "Upgrade": "shout"}
    response = await client.get("/shout", headers=headers)
    assert (response.status, response.headers["Upgrade"]) == (101, "shout")
    start = len(client.transport.data)
    client.transport.feed(b"hello")
    assert client.transport.since(start) == b"HELLO"
    assert len(app.connections) == 1
    await client.stop()
    assert not app.connections


async def test_requests_may_run_side_by_side(app):
    client = Client(app)
    paths = [f"/echo/{number}" for number in range(5)]
    answers = await asyncio.gather(*map(client.get, paths))
    assert [answer.json["url"] for answer in answers] == paths
    assert app["up"] == 1
    await client.stop()
    assert app["down"] == 1


async def test_a_client_can_be_made_by_hand(app):
    async with Client(app) as client:
        assert app["up"] == 1
        assert (await client.get("/202")).status == 202
        assert "down" not in app
    assert (app["up"], app["down"]) == (1, 1)
    await client.stop()
    assert app["down"] == 1


def in_a_thread(function):
    """Leave the main thread's loop alone: it is the plugin's for coroutine tests."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function).result()


def test_a_client_works_in_a_loop_of_its_own(app):
    @in_a_thread
    def run():
        assert asyncio.run(Client(app).get("/202")).status == 202

    assert (app["up"], app["down"]) == (1, 1)


def test_a_client_serves_one_loop_at_a_time(app):
    client = Client(app)

    @in_a_thread
    def run():
        with asyncio.Runner() as first, asyncio.Runner() as second:
            first.run(client.start())
            with pytest.raises(RuntimeError, match="runs in another event loop"):
                second.run(client.get("/202"))
            first.run(client.stop())
            assert second.run(client.get("/202")).status == 202

    assert (app["up"], app["down"]) == (2, 2)


# Mistakes


@pytest.mark.parametrize("path", ["nope", "nope?a=/b"])
async def test_a_path_without_a_slash_is_an_error(client, path):
    with pytest.raises(ValueError, match=r"is not a path: start it with a slash$"):
        await client.get(path)


async def test_a_path_is_no_file(client, tmp_path):
    with pytest.raises(TypeError, match=r"^files: 'a' is a path: give its content, or"):
        await client.post("/form", files={"a": tmp_path / "a.txt"})


async def test_the_status_has_another_name(client):
    answer = await client.get("/nowhere")
    with pytest.raises(AttributeError, match=r"write answer\.status$"):
        _ = answer.status_code
    assert not hasattr(answer, "content")
