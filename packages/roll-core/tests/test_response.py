"""Response: status, headers, cookies, every kind of body (SPEC 5)."""

import asyncio
import io
from http import HTTPStatus
from pathlib import Path

import pytest
from roll import HttpError, Response
from roll.datastructures import Headers
from roll.http11.writer import COPIED
from roll.response import close_body, encode_body, set_error
from roll_testing import Client, connect, settle


def test_a_response_may_be_made_by_hand():
    response = Response(None, None)
    assert response.cookies is response.cookies
    assert (response.app, response.protocol) == (None, None)
    assert (response.status, response.headers, response.body) == (200, {}, b"")
    assert response.cookies == {}


@pytest.mark.parametrize("status", [HTTPStatus.ACCEPTED, 202])
def test_the_status_is_an_http_status_or_its_number(status):
    response = Response(None, None)
    response.status = status
    assert response.status is HTTPStatus.ACCEPTED


@pytest.mark.parametrize("status", [0, 299, 1000, "200", None, [], 200.5])
def test_an_unknown_status_is_an_error(status):
    with pytest.raises(ValueError, match="is not an HTTP status"):
        Response(None, None).status = status


@pytest.mark.parametrize("status", [200, 299, 404, 520, 599])
async def test_a_status_of_another_application_is_sent_as_it_is(app, client, status):
    @app.route("/")
    async def relay(request, response):
        response.relay_status(status)
        assert response.status == status
        response.body = "body"

    assert (await client.get("/")).body == b"body"
    assert client.transport.data.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("status", [0, 101, 199, 600])
def test_what_no_application_answers_with_is_not_relayed(status):
    with pytest.raises(ValueError, match=f"{status} is not a status from 200 to 599"):
        Response(None, None).relay_status(status)


def test_a_registered_status_stays_one():
    response = Response(None, None)
    response.relay_status(404)
    assert response.status is HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("name", ["json", "html", "text"])
def test_what_is_only_set_says_so_when_it_is_called_or_read(name):
    with pytest.raises(AttributeError, match=rf"set: response\.{name} = \.\.\.$"):
        getattr(Response(None, None), name)({"a": 1})


def test_no_other_attribute_can_be_set():
    with pytest.raises(AttributeError):
        Response(None, None).reason = "OK"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"bytes", b"bytes"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view"), b"view"),
        (memoryview(b"view")[::2], b"ve"),
        (memoryview(b"1234").cast("H"), b"1234"),
        ("café", "café".encode()),
        ("", b""),
        (None, b""),
        (3579, b"3579"),
        (0, b"0"),
        (False, b"False"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_body_becomes_bytes(body, expected):
    assert bytes(encode_body(body)) == expected


async def test_a_body_of_any_kind_is_sent(client, app):
    @app.route("/")
    async def view(request, response):
        response.body = 3579

    assert (await client.get("/")).body == b"3579"


class Page:
    def __str__(self):
        return "<p>"


async def test_an_object_is_sent_as_the_text_that_it_defines(client, app):
    @app.route("/")
    async def view(request, response):
        response.body = Page()

    assert (await client.get("/")).body == b"<p>"


async def give_text():
    return "text"


async def generate():
    yield "text"


JSON = "set response.json, or give text or bytes"

UNSENDABLE = {
    "coroutine": (give_text, "await it"),
    "Future": (lambda: asyncio.get_running_loop().create_future(), "await it"),
    "function": (lambda: generate, "call it"),
    "dict": (dict, JSON),
    "list": (list, JSON),
    "tuple": (tuple, JSON),
    "set": (set, JSON),
    "object": (object, JSON),
    "generator": (lambda: (piece for piece in "ab"), "write an async generator"),
    "list_iterator": (lambda: iter(["a"]), "write an async generator"),
    type(Path()).__name__: (lambda: Path("a.pdf"), "send it by roll.extensions.send"),
    "BytesIO": (lambda: io.BytesIO(b"a"), "send it by roll.extensions.send_file, or"),
}


@pytest.mark.parametrize("kind", UNSENDABLE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_body_that_has_no_text_is_a_500_that_says_what_to_write(
    client, app, caplog, kind, method
):
    make, advice = UNSENDABLE[kind]

    @app.route("/")
    async def view(request, response):
        response.body = make()
        assert response.size is None

    answer = await client.request("/", method)
    assert answer.status == 500
    assert answer.body == (b"Internal Server Error" if method == "GET" else b"")
    [message] = caplog.messages
    assert f"a body cannot be of type {kind}" in message.replace("_asyncio.", "")
    assert f": {advice}" in message
    where = app.declarations[0].where
    assert f"the response is that of view {view.__qualname__} ({where})" in caplog.text
    assert (await client.get("/nowhere")).status == 404


async def test_an_open_file_is_no_body(client, app, caplog, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text")
    with path.open() as text, path.open("rb") as binary:
        for file in (text, binary):
            app.route(f"/{file.mode}")(set_body(file))
            assert (await client.get(f"/{file.mode}")).status == 500
            assert "send it by roll.extensions.send_file, or" in caplog.messages[-1]


def set_body(body):
    async def view(request, response):
        response.body = body

    return view


async def test_a_piece_that_has_no_text_cuts_the_stream(client, app, caplog):
    @app.route("/")
    async def view(request, response):
        response.body = stream()

    async def stream():
        yield "text"
        yield give_text()

    with pytest.raises(ConnectionError):
        await client.get("/")
    assert "a piece of a body cannot be of type coroutine: await it" in caplog.text
    where = app.declarations[0].where
    assert f"the response is that of view {view.__qualname__} ({where})" in caplog.text


async def test_a_piece_that_is_a_dict_is_no_json(client, app, caplog):
    @app.route("/")
    async def view(request, response):
        response.body = stream()

    async def stream():
        yield {"a": 1}

    with pytest.raises(ConnectionError):
        await client.get("/")
    assert (
        "a piece of a body cannot be of type dict: give text or bytes, such as "
        "json.dumps(...)"
    ) in caplog.text


async def test_the_log_names_no_view_where_none_was_found(client, app, caplog):
    @app.listen("response")
    async def spoil(request, response):
        response.headers["X"] = None

    assert (await client.get("/nowhere")).status == 500
    [message] = caplog.messages
    assert message.endswith("the header 'X' is NoneType: give a string\")")


async def test_the_message_of_an_error_is_sent_as_text(client, app):
    @app.route("/")
    async def view(request, response):
        raise HttpError(400, ["a", 1])

    answer = await client.get("/")
    assert (answer.status, answer.body) == (400, b"['a', 1]")


async def test_no_content_type_is_added_to_the_body_of_a_view(client, app):
    @app.route("/")
    async def view(request, response):
        response.body = "<p>"

    assert (await client.get("/")).headers.get("Content-Type") is None


async def test_an_empty_202_is_a_status_line_and_a_length(client, app):
    @app.route("/")
    async def view(request, response):
        response.status = 202

    await client.get("/")
    expected = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    assert bytes(client.protocol.transport.data) == expected


async def test_the_head_has_the_cookies_then_the_headers_in_the_order_set(client, app):
    @app.route("/")
    async def view(request, response):
        response.headers["X-B"] = "1"
        response.headers["X-A"] = ["2", "3"]
        response.cookies.set("name", "value")
        response.body = "x"

    await client.get("/")
    assert bytes(client.protocol.transport.data) == (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: name=value; Path=/\r\n"
        b"X-B: 1\r\nX-A: 2\r\nX-A: 3\r\nContent-Length: 1\r\n\r\nx"
    )


async def test_a_redirect_is_a_location_and_a_status(client, app):
    @app.route("/")
    async def view(request, response):
        response.redirect = "/elsewhere", 302

    answer = await client.get("/")
    assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda response: response.headers.update({"X": "\u20ac"}),
        lambda response: response.headers.update({"Content-Length": "7"}),
        lambda response: response.headers.update({"Transfer-Encoding": "chunked"}),
        lambda response: setattr(response, "status", 101),
        lambda response: setattr(response, "body", "\ud800"),
    ],
)
async def test_what_would_break_http_is_a_500_and_never_on_the_wire(
    client, app, spoil, caplog
):
    @app.route("/")
    async def view(request, response):
        response.body = "body"
        spoil(response)

    answer = await client.get("/")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert bytes(client.protocol.transport.data) == (
        b"HTTP/1.1 500 Internal Server Error\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Content-Length: 21\r\n\r\nInternal Server Error"
    )
    assert len(caplog.records) == 1


@pytest.mark.parametrize("status", [200, 201, 404])
def test_a_redirect_has_a_status_of_one(status):
    with pytest.raises(
        ValueError, match=f"redirect: {status} is not a redirect: give 302"
    ):
        Response(None, None).redirect = "/x", status


@pytest.mark.parametrize("wrong", ["/elsewhere", "/x", ("/x", 302, 1)])
def test_a_redirect_is_a_pair(wrong):
    response = Response(None, None)
    with pytest.raises(TypeError, match="give a pair of a location and a status"):
        response.redirect = wrong
    with pytest.raises(ValueError, match="is not an HTTP status"):
        response.redirect = "/elsewhere", 299
    assert response.headers == {}


# The header


async def test_a_name_is_sent_once_as_it_was_first_written(client, app):
    @app.route("/")
    async def view(request, response):
        response.headers["x-first"] = "1"
        response.headers["X-First"] = "2"
        assert response.headers.get("X-FIRST") == "2"

    await client.get("/")
    assert client.protocol.transport.data == (
        b"HTTP/1.1 200 OK\r\nx-first: 2\r\nContent-Length: 0\r\n\r\n"
    )


async def test_a_dict_that_is_assigned_is_found_in_any_case(client, app):
    @app.route("/")
    async def view(request, response):
        response.headers = {"X-First": "1"}
        response.headers["X-FIRST"] = response.headers["x-first"] + "2"

    assert (await client.get("/")).headers.list("X-First") == ["12"]


def test_headers_that_are_assigned_are_kept():
    response = Response(None, None)
    headers = response.headers = Headers({"A": "1"})
    assert response.headers is headers


@pytest.mark.parametrize(
    ("before", "names", "after"),
    [
        (None, ["Accept"], "Accept"),
        (None, ["Accept", "Origin"], "Accept, Origin"),
        (None, ["Accept", "accept"], "Accept"),
        ("", ["Accept"], "Accept"),
        ("accept", ["Accept", "Origin"], "accept, Origin"),
        ("Cookie,accept , ,", ["ACCEPT", "Origin"], "Cookie, accept, Origin"),
        (["Cookie", "Accept, Via"], ["via", "Origin"], "Cookie, Accept, Via, Origin"),
        (("Cookie", "Cookie"), [], "Cookie"),
        ("*", ["Origin"], "*"),
        ("Cookie, *", ["Origin"], "*"),
        ("Cookie", ["*"], "*"),
        ("*", [], "*"),
    ],
)
def test_what_a_response_depends_on_is_merged(before, names, after):
    response = Response(None, None)
    if before is not None:
        response.headers["vary"] = before
    for _ in range(2):
        response.vary(*names)
        assert response.headers == {"Vary": after}


def test_a_response_that_depends_on_nothing_does_not_say_so():
    response = Response(None, None)
    response.vary()
    assert response.headers == {}


def test_a_list_that_is_the_views_own_does_not_grow():
    names = ["Accept"]
    response = Response(None, None)
    response.headers["Vary"] = names
    response.vary("Origin")
    assert (names, response.headers["Vary"]) == (["Accept"], "Accept, Origin")


# Its size


async def pieces():
    yield b"abc"
    yield "é"
    yield b""


SIZES = {
    "bytes": (b"abc", {}, 3, 3),
    "bytearray": (bytearray(b"abc"), {}, 3, 3),
    "memoryview": (memoryview(b"abcd").cast("H"), {}, 4, 4),
    "text": ("aé\r\n\r\n", {}, 7, 7),
    "number": (42, {}, 2, 2),
    "nothing": (None, {}, 0, 0),
    "with a field": (b"abc", {"X": "y"}, 3, 3),
    "closing": (b"abc", {"Connection": "close"}, 3, 3),
    "large": (b"a" * (COPIED + 1), {}, COPIED + 1, COPIED + 1),
    "large bytearray": (bytearray(COPIED + 1), {}, COPIED + 1, COPIED + 1),
    "declared": (b"abc", {"content-length": "3"}, 3, 3),
    "stream": (pieces, {}, None, 5),
    "declared stream": (pieces, {"content-length": 5}, 5, 5),
    "wrong length": (b"abc", {"Content-Length": "three"}, None, 21),
    "lone surrogate": ("\ud800", {}, None, 21),
    # Statuses whose responses have no body.
    "204": (b"never sent", {"status": 204}, 0, 0),
    "204 with a length": (b"", {"status": 204, "Content-Length": 3}, 0, 0),
    "304": (b"never sent", {"status": 304}, 0, 0),
    "304 with a length": (b"", {"status": 304, "Content-Length": 3}, 3, 0),
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", SIZES)
async def test_a_response_knows_its_size_and_what_was_sent_of_it(
    client, app, name, method
):
    body, headers, size, sent = SIZES[name]
    responses = []

    @app.route("/")
    async def view(request, response):
        response.headers = headers
        response.status = response.headers.pop("status", 200)
        response.body = body() if callable(body) else body
        responses.append(response)

    @app.listen("response")
    async def look(request, response):
        assert (response.size, response.sent) == (size, 0)

    answer = await client.request("/", method)
    assert responses[0].sent == len(answer.body) == (sent if method == "GET" else 0)
    assert responses[0].sent == len(answer.body)  # it is counted once


async def test_what_is_sent_of_a_stream_is_counted_as_it_goes(client, app):
    counts = []

    @app.route("/")
    async def view(request, response):
        async def count():
            for piece in (b"abc", b"", b"de"):
                counts.append(response.sent)
                yield piece

        response.body = count()

    await client.get("/")
    assert counts == [0, 3, 3]


async def test_nothing_is_sent_to_a_client_that_has_left(app):
    responses = []
    go = asyncio.Event()

    @app.route("/", on_disconnect="finish")
    async def view(request, response):
        responses.append(response)
        await go.wait()
        response.body = {"small": b"abc", "large": b"a" * (COPIED + 1)}.get(
            request.query_string, pieces()
        )

    async with Client(app):
        for kind in ("small", "large", "stream"):
            transport = connect(app)
            transport.feed(f"GET /?{kind} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            transport.reset()
            await transport.wait_closed()
        go.set()
        while app.connections:  # their views go on
            await asyncio.sleep(0)
    assert [response.sent for response in responses] == [0, 0, 0]


# JSON


def test_json_has_one_type_however_it_was_written_before():
    response = Response(None, None)
    response.headers.update({"Content-type": "text/plain", "X": "y"})
    response.json = 1
    assert response.headers == {
        "X": "y",
        "Content-Type": "application/json; charset=utf-8",
    }


def test_the_type_of_json_is_a_field_like_others():
    response = Response(None, None)
    response.json = 1
    assert response.headers == {"Content-Type": "application/json; charset=utf-8"}
    response.headers["content-type"] = "application/geo+json"
    assert response.headers == {"Content-Type": "application/geo+json"}


@pytest.mark.parametrize("headers", [{}, Headers()])
async def test_the_type_of_json_may_be_dropped(client, app, headers):
    @app.route("/")
    async def view(request, response):
        response.json = 1
        response.headers = headers

    assert "Content-Type" not in (await client.get("/")).headers


async def test_json_is_compact_and_has_a_type(client, app):
    @app.route("/")
    async def view(request, response):
        response.json = {"hello": "world"}

    await client.get("/")
    assert bytes(client.protocol.transport.data) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
        b'Content-Length: 17\r\n\r\n{"hello":"world"}'
    )


# Errors


def test_an_error_takes_the_place_of_a_body_and_its_fields():
    response = Response(None, None)
    response.headers.update(
        {
            "content-length": "3",
            "Content-Encoding": "gzip",
            "ETag": '"x"',
            "WWW-Authenticate": "Basic",
        }
    )
    response.body = b"abc"
    set_error(response, HttpError(401, "Who?"))
    assert response.status is HTTPStatus.UNAUTHORIZED
    assert response.body == "Who?"
    assert response.headers == {
        "WWW-Authenticate": "Basic",
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
    }


def test_an_unsatisfiable_range_is_told_the_length():  # RFC 9110, 15.5.17
    response = Response(None, None)
    response.headers["Content-Range"] = "bytes */5"
    set_error(response, HttpError(416))
    assert response.headers["Content-Range"] == "bytes */5"


async def test_closing_a_body_closes_what_can_be_closed():
    closed = []

    class Body:
        async def aclose(self):
            closed.append(True)

    await close_body(Body())
    await close_body(b"bytes")
    assert closed == [True]


SECRET = "s3cret"


def set_cookie(**attributes):
    return lambda response: response.cookies.set("a", **{"value": "b", **attributes})


def set_header(name, value):
    return lambda response: response.headers.update({name: value})


def redirect(target):
    return lambda response: setattr(response, "redirect", target)


@pytest.mark.parametrize(
    "spoil",
    [
        set_cookie(value=SECRET.encode()),
        set_cookie(value=f"{SECRET}\ud800"),
        set_cookie(path=f"/{SECRET}\n"),
        set_cookie(domain=f"{SECRET}\n"),
        set_header("A", f"{SECRET}\n"),
        set_header("A", SECRET.encode()),
        set_header("A", ["good", f"{SECRET}\n"]),
        set_header("Content-Length", SECRET),
        redirect((f"/{SECRET}\n", 302)),
        redirect(f"/{SECRET}"),
        redirect((f"/{SECRET}", 302, "more")),
    ],
)
async def test_what_cannot_be_sent_is_logged_by_its_name_alone(
    app, client, caplog, spoil
):
    @app.route("/spoiled")
    async def view(request, response):
        spoil(response)

    response = await client.get("/spoiled")
    assert response.status == 500
    assert SECRET not in caplog.text
    assert len(caplog.messages) == 1
    assert SECRET.encode() not in response.body


class Unprintable:
    def __str__(self):
        raise LookupError


@pytest.mark.parametrize(
    "spoil",
    [
        set_header("X-Bad", "a\nb"),
        set_header("X-Bad", Unprintable()),
        set_header("Transfer-Encoding", "chunked"),
        set_header("Content-Length", "3"),
        set_header("Content-Length", "many"),
        lambda response: response.cookies.__setitem__("bad", "bad=\n"),
        lambda response: setattr(response, "body", Unprintable()),
        lambda response: setattr(response, "body", "\ud800"),
        lambda response: setattr(response, "status", 103),
    ],
)
@pytest.mark.parametrize("event", [None, "response", "error"])
async def test_a_500_keeps_what_listeners_have_added_and_none_runs_twice(
    app, client, caplog, spoil, event
):
    ran = []

    @app.route("/spoiled")
    async def view(request, response):
        response.body = "hello"
        response.headers["ETag"] = '"of the body"'
        if event is None:
            spoil(response)
        elif event == "error":
            raise HttpError(404)

    @app.listen("error")
    async def note(request, response, error):
        ran.append("error")
        response.headers["X-Error"] = str(int(error.status))
        if event == "error":
            spoil(response)

    @app.listen("response")
    async def add(request, response):
        ran.append("response")
        response.vary("Origin")
        response.headers["X-Request-ID"] = "1"
        response.cookies.set("good", "1")
        if event == "response":
            spoil(response)

    response = await client.get("/spoiled")
    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert response.headers["Vary"] == "Origin"
    assert response.headers["X-Request-ID"] == "1"
    assert response.headers["X-Error"] == ("404" if event == "error" else "500")
    assert "ETag" not in response.headers
    assert response.headers.list("Set-Cookie") == ["good=1; Path=/"]
    assert sorted(ran) == ["error", "response"]
    assert len(caplog.messages) == 1


async def test_an_error_listener_that_spoils_the_500_too_cannot_stop_it(
    app, client, caplog
):
    @app.route("/spoiled")
    async def view(request, response):
        response.headers["X-View"] = "a\nb"

    @app.listen("error")
    async def spoil(request, response, error):
        response.headers["X-Error"] = "a\nb"
        response.headers["X-Good"] = "1"

    response = await client.get("/spoiled")
    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert response.headers["X-Good"] == "1"
    assert len(caplog.messages) == 2


@pytest.mark.parametrize("error", [HttpError(409, "taken"), LookupError()])
async def test_an_error_of_a_response_listener_gives_the_status(
    app, client, caplog, error
):
    @app.route("/plain")
    async def view(request, response):
        response.body = "hello"

    @app.listen("response")
    async def fail(request, response):
        raise error

    response = await client.get("/plain")
    assert response.status == (409 if isinstance(error, HttpError) else 500)


def test_a_redirect_can_be_read():
    response = Response(None, None)
    assert response.redirect == (None, 200)
    response.redirect = "/x", 301
    assert response.redirect == ("/x", 301)


async def test_a_page_and_a_text_have_their_types(app, client):
    @app.route("/html")
    async def html(request, response):
        response.json = {}
        response.html = "<p>\xe9"

    @app.route("/text")
    async def text(request, response):
        response.text = "\xe9"

    for path, kind, body in [("/html", "html", "<p>\xe9"), ("/text", "plain", "\xe9")]:
        response = await client.get(path)
        assert response.headers["Content-Type"] == f"text/{kind}; charset=utf-8"
        assert response.body == body.encode()


async def test_an_error_brings_fields_of_its_own(app, client):
    @app.route("/late")
    async def late(request, response):
        response.headers["Retry-After"] = "1"
        raise HttpError(503, headers={"Retry-After": "60", "Content-Type": "text/x"})

    response = await client.get("/late")
    assert (response.status, response.body) == (503, b"Service Unavailable")
    assert response.headers["Retry-After"] == "60"
    assert response.headers["Content-Type"] == "text/x"


def test_an_exception_is_the_context_of_an_error():
    error = LookupError()
    assert HttpError(500, context=error).__context__ is error
    assert HttpError(500, context="text").__context__ is None


async def test_json_may_be_written_and_read_by_the_app(client, app):
    class App(type(app)):
        def json_encode(self, value):
            return f"<{value}>".encode()

        @staticmethod
        def json_decode(body):
            return body.decode().upper()

    app.__class__ = App

    @app.route("/json", methods=["POST"])
    async def view(request, response):
        response.json = request.json

    response = await client.post("/json", body="a")
    assert response.body == b"<A>"


def test_a_cookie_is_deleted_by_its_name_path_and_domain():
    response = Response(None, None)
    response.cookies.delete("a")
    response.cookies.delete("b", path="/x", domain="a.example")
    past = "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0"
    assert [*map(str, response.cookies.values())] == [
        f'a=""; {past}; Path=/',
        f'b=""; {past}; Domain=a.example; Path=/x',
    ]


@pytest.mark.parametrize(
    ("sent", "read"),
    [("a=\xe9".encode(), "\xe9"), (b"a=\xe9", "\xe9"), (b"a=%C3%A9", "\xe9")],
)
@pytest.mark.parametrize("headers_first", [False, True])
async def test_a_cookie_may_be_sent_in_utf_8(app, sent, read, headers_first):
    found = []

    @app.route("/")
    async def view(request, response):
        if headers_first:
            assert request.headers["Cookie"]
        found.append(request.cookies["a"])

    transport = connect(app)
    transport.feed(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + sent + b"\r\n\r\n")
    await settle(transport)
    assert found == [read]
    transport.disconnect()


@pytest.mark.parametrize("value", ["secret", b"secret", 1])
async def test_a_cookie_that_is_assigned_is_a_500_that_shows_what_to_write(
    client, app, caplog, value
):
    @app.route("/")
    async def view(request, response):
        response.cookies.set("theme", "dark")
        response.cookies["a"] = value

    answer = await client.get("/")
    assert (answer.status, answer.cookies) == (500, {"theme": "dark"})
    [message] = caplog.messages
    assert f"the cookie 'a' is of type {type(value).__name__}: " in message
    assert "write response.cookies.set('a', ...)" in message
    assert "secret" not in message
