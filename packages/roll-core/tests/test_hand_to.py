"""A request that is handed to another app, as roll-subapps does it."""

import asyncio

import pytest
from roll import Endpoint, HttpError, Request, Response, Roll
from roll_testing import connect, exchange, until


class Handed(Endpoint):
    __slots__ = ()

    def returned(self, result):
        return result


def hand_over(app, other):
    """Let another app answer what is below `/other`."""

    @app.listen("route:find")
    def find(path, request):
        async def run(request, response):
            inside = request.hand_to(other, request.path.removeprefix("/other"))
            return await other(inside, response.hand_to(inside))

        if path.startswith("/other/"):
            asked = request.hand_to(other, path.removeprefix("/other"))
            found = asked.endpoint
            return Handed(run, path=path, run=run, lazy_body=found.lazy_body), {}


@pytest.fixture
def other(app):
    other = Roll()
    hand_over(app, other)
    return other


async def ask(app, path, body=b"", fields=b""):
    length = f"Content-Length: {len(body)}\r\n".encode() if body else b""
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: a\r\n".encode()
    found = await exchange(app, head + length + fields + b"\r\n" + body)
    return found.data


async def test_the_other_app_answers(app, other):
    @other.route("/x")
    async def view(request, response):
        response.body = f"{request.app is other} {request.path} {request.parent.path}"

    assert (await ask(app, "/other/x")).endswith(b"\r\n\r\nTrue /x /other/x")
    assert (await ask(app, "/x")).startswith(b"HTTP/1.1 404 ")


async def test_the_message_is_shared(app, other):
    app.listen("headers")(lambda request, response: request.update(user="Ada"))

    @other.route("/x", methods=["POST"])
    async def view(request, response):
        outer = request.parent
        assert (request.url, request.body) == (b"/other/x?a=b", b"body")
        assert request.message is outer.message
        assert request.content is outer.content
        assert request.protocol is outer.protocol
        assert request.protocol.request is request
        assert request.protocol.response is response
        assert (request.query_string, request["user"]) == ("a=b", "Ada")
        request["inside"] = True
        assert "inside" not in outer
        assert request.remote_addr == outer.remote_addr == "127.0.0.1"
        assert request.scheme == "http"

    data = await ask(app, "/other/x?a=b", b"body")
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_what_is_set_before_is_seen(app, other):
    @app.listen("headers")
    def override(request, response):
        request.remote_addr, request.scheme = "192.0.2.1", "https"
        request.host, request.method = "example.org", "PUT"

    @other.route("/x", methods=["PUT"])
    async def view(request, response):
        assert (request.remote_addr, request.scheme) == ("192.0.2.1", "https")
        assert (request.host, request.method) == ("example.org", "PUT")
        assert request.sent_method == "GET"

    assert (await ask(app, "/other/x")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_what_was_found_is_not_looked_up_again(app):
    async def view(request, response):
        pass

    endpoint = Endpoint(view)
    request = Request(app, None).hand_to(Roll(), "/x", (endpoint, {"a": 1}))
    assert (request.endpoint, request.variables) == (endpoint, {"a": 1})
    assert (request.path, request.remote_addr) == ("/x", None)


async def test_a_body_that_is_being_read_is_read_on(app, other):
    async def unpack(pieces):
        async for piece in pieces:
            yield piece.upper()

    @app.listen("request")
    async def begin(request, response):
        request.decoder = unpack
        async for piece in request:
            request["first"] = piece
            break

    @other.route("/x", methods=["POST"], lazy_body=True)
    async def view(request, response):
        pieces = [piece async for piece in request]
        response.body = b"|".join([request["first"], *pieces])

    head = b"POST /other/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
    found = await exchange(app, [head + b"ab", b"cd"])
    assert found.data.endswith(b"\r\n\r\nAB|CD")


# The response


def with_own_response(app):
    class Own(Response):
        __slots__ = ()

    class Other(Roll):
        Response = Own

    other = Other()
    hand_over(app, other)
    return other


async def test_a_response_of_another_class_keeps_what_was_set(app):
    other = with_own_response(app)
    seen = []

    @app.listen("request")
    async def prepare(request, response):
        response.status, response.body = 202, "parent"
        response.headers["X"] = "parent"
        response.cookies.set("a", "b")

    @other.route("/x")
    async def view(request, response):
        assert type(response) is other.Response
        assert response.app is other
        seen.append(response)

    @app.listen("response")
    def see(request, response):
        assert request.app is app
        seen.append(response)

    @app.listen("finish")
    def end(request, response):
        seen.append(response)

    data = await ask(app, "/other/x")
    assert data == (
        b"HTTP/1.1 202 Accepted\r\nSet-Cookie: a=b; Path=/\r\nX: parent\r\n"
        b"Content-Length: 6\r\n\r\nparent"
    )
    assert len(seen) == 3
    assert len({*map(id, seen)}) == 1


async def test_a_response_of_the_same_class_stays(app, other):
    responses = []

    @other.route("/x")
    async def view(request, response):
        responses.append(response)
        assert response.app is other

    app.listen("headers")(lambda request, response: responses.append(response))
    await ask(app, "/other/x")
    assert responses[0] is responses[1]


async def test_by_hand_the_response_is_given(app):
    other = with_own_response(app)

    @other.route("/x")
    async def view(request, response):
        response.body = "other"

    request = app.Request(app, None)
    request.path = "/other/x"
    response = Response(app, None)
    given = await app(request, response)
    assert (given.body, response.body) == ("other", b"")
    request.path = "/"
    assert await app(request, response) is response


async def test_a_view_that_returns_its_response_is_a_mistake(app, caplog):
    @app.route("/")
    async def view(request, response):
        return response

    assert (await ask(app, "/")).startswith(b"HTTP/1.1 500 ")
    assert "set response.text or response.json instead" in caplog.text


# Events


async def test_the_finish_runs_in_the_other_app_and_then_in_its_parent(app, other):
    log = []

    @other.listen("finish")
    async def first(request, response):
        await asyncio.sleep(0)
        log.append((request.app is other, request.path))

    await ask(app, "/other/x")
    assert log == [(True, "/x")]
    app.listen("finish")(
        lambda request, response: log.append((request.app is app, request.path))
    )
    await ask(app, "/other/x")
    await until(lambda: len(log) == 3)
    assert log[1:] == [(True, "/x"), (True, "/other/x")]
    await ask(app, "/x")
    assert log[3:] == [(True, "/x")]


async def test_any_event_of_a_request_runs_in_all_its_apps(app, other):
    log = []
    for each in (app, other):

        @each.listen("mine")
        async def listen(request, what, each=each):
            assert request.app is each
            log.append((request.path, what))

    request = Request(app, None)
    request.path = "/other/x"
    await request.hand_to(other, "/x").hook("mine", 1)
    assert log == [("/x", 1), ("/other/x", 1)]
    await request.hook("nobody")


async def test_what_cannot_be_sent_is_an_error_of_the_other_app(app, other, caplog):
    told = []
    other.listen("error")(lambda request, response, error: told.append(request.path))
    app.listen("error")(lambda request, response, error: told.append("parent"))

    @other.route("/x")
    async def view(request, response):
        response.headers["X"] = "a\nb"

    assert (await ask(app, "/other/x")).startswith(b"HTTP/1.1 500 ")
    assert told == ["/x"]


async def test_the_body_of_the_other_response_is_closed_when_the_client_leaves(app):
    other = with_own_response(app)
    ended = []
    app.listen("finish")(lambda request, response: ended.append(type(response)))
    begun = asyncio.Event()

    async def pieces():
        yield b"never"

    body = pieces()

    @other.route("/x")
    async def view(request, response):
        response.body = body
        begun.set()
        await asyncio.Event().wait()

    transport = connect(app)
    transport.feed(b"GET /other/x HTTP/1.1\r\nHost: a\r\n\r\n")
    await begun.wait()
    transport.disconnect()
    await until(lambda: ended)
    assert ended == [other.Response]
    assert body.ag_frame is None


async def test_an_error_of_the_other_app_is_its_own(app, other):
    @other.route("/x")
    async def view(request, response):
        raise HttpError(403)

    app.listen("error")(lambda request, response, error: 1 / 0)
    assert (await ask(app, "/other/x")).startswith(b"HTTP/1.1 403 Forbidden\r\n")
