"""Request: the line, the header, the query and the body (SPEC 4)."""

import asyncio
import contextlib
import io
import time

import pytest
from roll import HttpError, Limits, Request, Roll
from roll.datastructures import Form, Query
from roll.http11.parser import Head
from roll_testing import connect, patience, settle


def make(url=b"/", fields=(), method="GET", app=None):
    request = Request(app, None)
    request.url = url
    request.method = method
    request.fields = list(fields)
    return request


def made_of(body, content_type="", app=None):
    request = make(fields=[(b"CONTENT-TYPE", content_type.encode())], app=app)
    request.body = body
    return request


# Made by hand


def test_a_request_may_be_made_by_hand():
    request = Request(None, None)
    assert (request.app, request.protocol) == (None, None)
    assert request.url == b""
    assert request.method == "GET"
    assert (request.path, request.query_string) == ("", "")
    assert request.body == b""
    assert request.headers == {}
    assert request.cookies == {}
    assert request.query == {}
    assert request.form == {}
    assert request.files == {}
    assert request.route == (None, {})
    assert (request.host, request.content_type) == ("", "")
    assert (request.referrer, request.referer, request.origin) == ("", "", "")
    assert request.remote_addr is None
    assert request.local_address is None
    assert request.scheme == "http"
    assert not request.closing.is_set()


def test_fields_that_are_set_are_those_of_its_header():
    request = make(fields=[(b"X-USER", b"forged"), (b"COOKIE", b"a=1")])
    assert (request.headers["X-User"], request.cookies) == ("forged", {"a": "1"})
    request.fields = [(b"X-USER", b"Ada")]
    assert (request.headers["X-User"], request.cookies) == ("Ada", {})


def test_a_request_tells_what_its_head_says():
    request = Request(None, None)
    assert (request.head, request.sent_method, request.keep_alive) == (b"", "GET", True)
    request.message = Head(b"raw", "PUT", b"/a?b", "1.0", 0, False, False, ("h2c",))
    assert (request.head, request.sent_method, request.keep_alive) == (
        b"raw",
        "PUT",
        False,
    )
    assert (request.method, request.url) == ("PUT", b"/a?b")
    assert (request.version, request.upgrade) == ("1.0", ("h2c",))
    assert request.fields == []
    assert request.fields is request.fields
    request.method = "get"
    request.url = b"/c"
    assert (request.method, request.sent_method) == ("GET", "PUT")
    assert (request.path, request.query_string, request.version) == ("/c", "", "1.0")


async def test_who_is_on_no_connection_is_not_waited_for():
    await Request(None, None).disconnected()


def test_requests_compare_by_identity_are_hashable_and_true():
    one, two = Request(None, None), Request(None, None)
    assert one != two
    assert one != {}
    assert one != {}
    assert one == one  # it is the claim
    assert len({one, two}) == 2
    assert one


def test_a_request_is_a_dict_for_the_application():
    request = Request(None, None)
    request["user"] = "joe"
    assert dict(request) == {"user": "joe"}
    assert request.kwargs is request


def test_no_other_attribute_can_be_set():
    with pytest.raises(AttributeError):
        Request(None, None).user = "joe"


# The target


@pytest.mark.parametrize(
    ("url", "path", "query_string"),
    [
        (b"/", "/", ""),
        (b"/a/b?c=d", "/a/b", "c=d"),
        (b"/a?", "/a", ""),
        (b"/a?b?c", "/a", "b?c"),
        (b"/caf%C3%A9", "/café", ""),
        ("/café?é".encode(), "/café", "é"),
        (b"/a%2Fb%20c%25", "/a/b c%", ""),
        (b"/a%zz", "/a%zz", ""),
        (b"/a?x=%C3%A9", "/a", "x=%C3%A9"),
        (b"http://host/a/b?c", "/a/b", "c"),
        (b"http://host", "/", ""),
        (b"http://host?c", "/", "c"),
        (b"HTTPS://host:1/", "/", ""),
        (b"*", "*", ""),
        (b"//double//", "//double//", ""),
        (b"/%EF%BF%BD", "/\ufffd", ""),
    ],
)
def test_the_path_is_decoded_and_the_url_is_as_received(url, path, query_string):
    request = make(url)
    assert request.query_string == query_string
    assert request.path == path
    assert request.url == url


@pytest.mark.parametrize("url", [b"/%ff", b"/%C3", b"/\xff", b"/a?\xff", b"/%ED%A0%80"])
async def test_a_target_that_is_not_utf_8_has_an_endpoint_that_answers_400(url):
    request = make(url, app=Roll())
    assert "\ufffd" in request.path + request.query_string
    assert request.route == (None, {})
    with pytest.raises(HttpError) as caught:
        await request.endpoint.run(request, None)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (b"/", "field:80"),
        (b"http://target:81/x", "target:81"),
        (b"/?u=a://b", "field:80"),
    ],
)
def test_the_host_is_that_of_an_absolute_target_else_the_field(url, expected):
    assert make(url, [(b"HOST", b"field:80")]).host == expected


def test_what_a_proxy_says_may_be_set():
    request = make()
    request.host, request.scheme, request.remote_addr = "h", "https", "1.2.3.4"
    request.query_string = "a=b"
    assert (request.host, request.scheme, request.remote_addr) == (
        "h",
        "https",
        "1.2.3.4",
    )
    assert request.query_string == "a=b"


def test_the_method_is_in_upper_case():
    assert make(method="patch").method == "PATCH"


# The header


def test_headers_are_found_in_any_case():
    request = make(fields=[(b"ACCEPT", b"text/html"), (b"X-N", b"caf\xe9")])
    assert request.headers["Accept"] == "text/html"
    assert request.headers.get("ACCEPT") == "text/html"
    assert request.headers["X-N"] == "café"
    assert request.headers is request.headers


def test_a_header_sent_twice_is_joined():
    request = make(fields=[(b"A", b"1"), (b"COOKIE", b"a=1"), (b"A", b"2")])
    assert request.headers["A"] == "1, 2"
    assert request.headers.list("a") == ["1", "2"]


def test_fields_that_have_a_name_of_their_own():
    request = make(
        fields=[
            (b"REFERER", b"http://r/"),
            (b"ORIGIN", b"http://o"),
            (b"CONTENT-TYPE", b"text/plain"),
        ]
    )
    assert request.referrer == request.referer == "http://r/"
    assert request.origin == "http://o"
    assert request.content_type == "text/plain"


def test_cookies_come_from_all_cookie_fields():
    request = make(fields=[(b"COOKIE", b"a=1; b=2"), (b"COOKIE", b"c=3")])
    assert request.cookies == {"a": "1", "b": "2", "c": "3"}
    assert request.cookies is request.cookies


def of_head(*lines):
    """A request as it comes: nothing of its header has been read."""
    request = Request(None, None)
    request.message = Head(
        b"\r\n".join([b"GET / HTTP/1.1", b"Host: h", *lines, b"", b""])
    )
    return request


@pytest.mark.parametrize("blanks", [b"", b" ", b"\t \t", b" " * 8000])
def test_cookies_are_cut_from_a_header_that_nobody_has_read(blanks):
    lines = [
        b"X-Cookie: x=1",
        b"cookie:" + blanks + b"a=1; b=2" + blanks,
        b"Cookie:" + blanks,
        b"COOKIE:c=3",
        b"Cookie2: d=4",
    ]
    start = time.process_time()
    assert of_head(*lines).cookies == {"a": "1", "b": "2", "c": "3"}
    assert of_head(b"Cookie:" + blanks).cookies == {}
    assert time.process_time() - start < patience(0.1)


# The query


def test_the_query_is_parsed_once():
    request = make(b"/?a=1&a=2&b=&c")
    assert request.query == {"a": ["1", "2"], "b": [""], "c": [""]}
    assert request.query is request.query


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (b"/?a=%ff", "Unparsable query string"),
        (b"/?" + b"&".join(b"a=%d" % n for n in range(1001)), "Too many fields"),
    ],
)
def test_a_query_that_cannot_be_read_is_400(url, message):
    with pytest.raises(HttpError) as caught:
        _ = make(url).query
    assert (caught.value.status, caught.value.message) == (400, message)


# JSON


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'"\\ud83d\\uDE00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'"\\u00e9"', "é"),
    ],
)
def test_json_reads_escapes(body, expected):
    assert made_of(body).json == expected


def test_json_is_read_once():
    request = made_of(b'{"a": [1, "\xc3\xa9"]}')
    assert request.json == {"a": [1, "é"]}
    assert request.json is request.json


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a": NaN}',
        b"-Infinity",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
        '"é"'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b'["\\\\\\uD800 x"]',
        b'"\\udc00\\ud800"',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_json_that_does_not_parse_is_400(body):
    with pytest.raises(HttpError) as caught:
        _ = made_of(body).json
    assert caught.value.status == 400
    assert caught.value.message == "Unparsable JSON body"


# Forms


URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\n'
    b"content\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    "content_type", [URLENCODED, URLENCODED.upper(), f"{URLENCODED}; charset=utf-8"]
)
def test_an_urlencoded_form(content_type):
    request = made_of(b"a=1&b=%C3%A9+x", content_type)
    assert request.form == {"a": ["1"], "b": ["é x"]}
    assert request.files == {}
    assert request.form is request.form


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"", {}),
        (b"a=", {"a": [""]}),
        (b"&a=1&&&=&b=", {"a": ["1"], "": [""], "b": [""]}),
    ],
)
def test_an_urlencoded_form_may_have_empty_values_and_pieces(body, form):
    assert made_of(body, URLENCODED).form == form


def test_a_query_may_have_names_alone():
    request = make(b"/?debug&a=1")
    assert request.query == {"debug": [""], "a": ["1"]}


def test_a_multipart_form():
    request = made_of(PARTS, MULTIPART)
    file = request.files.get("f")
    assert (file.filename, file.read()) == ("f.txt", b"content")
    assert request.form == {"a": ["1"]}
    request.files.close()


def test_another_type_of_body_is_no_form():
    request = made_of(b"a=1", "text/plain")
    assert (request.form, request.files) == ({}, {})


@pytest.mark.parametrize(
    ("body", "content_type", "status", "message"),
    [
        (b"a=%ff", URLENCODED, 400, "Unparsable urlencoded body"),
        (b"a=\xff", URLENCODED, 400, "Unparsable urlencoded body"),
        (b"foo", URLENCODED, 400, "Unparsable urlencoded body"),
        (b"a=1&&&=&foo&b", URLENCODED, 400, "Unparsable urlencoded body"),
        (b'{"a": 1}', URLENCODED, 400, "Unparsable urlencoded body"),
        (b"&&", URLENCODED, 400, "Unparsable urlencoded body"),
        (b"&".join([b"a"] * 1001), URLENCODED, 413, "Too many fields"),
        (PARTS[:-8], MULTIPART, 400, "Unparsable multipart body"),
        (b"", MULTIPART, 400, "Unparsable multipart body"),
        (PARTS, "multipart/form-data", 400, "Unparsable multipart body"),
    ],
)
def test_a_form_that_cannot_be_read_is_an_error(body, content_type, status, message):
    for name in ("form", "files"):
        with pytest.raises(HttpError) as caught:
            getattr(made_of(body, content_type), name)
        assert (caught.value.status, caught.value.message) == (status, message)


def test_a_subclass_of_the_app_says_what_requests_are_made_of():
    class MyQuery(Query):
        """One of ours."""

    class MyForm(Form):
        """One of ours."""

    class App(Roll):
        Query = MyQuery
        Form = MyForm

    request = made_of(b"a=1", URLENCODED, App())
    assert isinstance(request.query, MyQuery)
    assert isinstance(request.form, MyForm)


# The body, over the wire


@pytest.fixture
def echo(app):
    @app.route("/", methods=["POST"])
    async def view(request, response):
        response.body = request.body

    return app


async def test_the_body_is_loaded_before_the_view(client, echo):
    assert (await client.post("/", body=b"body")).body == b"body"


async def test_a_message_without_a_body_has_an_empty_one(client, echo):
    assert (await client.post("/")).body == b""


async def test_a_body_over_the_limit_is_413(client, app):
    class Small(Roll):
        limits = Limits(body=10)

    small = Small()

    @small.route("/", methods=["POST"])
    async def view(request, response):
        response.body = request.body

    @small.route("/larger", methods=["POST"], limits=Limits(body=11))
    async def larger(request, response):
        response.body = request.body

    client.app = small
    assert (await client.post("/", body=b"x" * 10)).status == 200
    answer = await client.post("/", body=b"x" * 11)
    assert (answer.status, answer.body) == (413, b"Content Too Large")
    assert (await client.post("/larger", body=b"x" * 11)).status == 200


@pytest.mark.parametrize("part", ["body", "form", "files", "json"])
async def test_a_lazy_body_has_to_be_loaded(client, app, caplog, part):
    client.content_type = "application/x-www-form-urlencoded"

    @app.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        with pytest.raises(HttpError) as raised:  # as in 0.13
            getattr(request, part)
        assert raised.value.__context__ is None
        raise raised.value

    answer = await client.post("/", body=b"body")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert "await request.load_body()`, or `load_form()`" in caplog.messages[0]


@pytest.mark.parametrize("body", [b"", b"body"])
async def test_headers_listeners_have_to_load_the_body(client, app, caplog, body):
    seen = []

    @app.listen("headers")
    async def early(request, response):
        if "load" in request.query:
            await request.load_body()
        seen.append(request.body)

    @app.route("/", methods=["POST"])
    async def view(request, response):
        seen.append(request.body)

    answer = await client.post("/", body=body)
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    advice = "or `load_form()` for a form, before, or listen to `request`"
    assert advice in caplog.messages[0]
    assert (await client.post("/?load", body=body)).status == 200
    assert seen == [body, body]


async def test_a_body_that_is_missing_is_empty_once_headers_listeners_have_run(
    client, app
):
    @app.listen("headers")
    def refuse(request, response):
        raise HttpError(401)

    @app.listen("error")
    def show(request, response, error):
        response.body = request.body

    assert (await client.get("/")).status == 401


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda request: request.read(), id="read"),
        pytest.param(lambda request: _load_twice(request), id="load_body"),
        pytest.param(lambda request: _iterate(request), id="iteration"),
        pytest.param(lambda request: _load_then_iterate(request), id="both"),
        pytest.param(lambda request: _load_before_the_first_piece(request), id="late"),
        pytest.param(lambda request: _iterate_and_close(request), id="closing"),
    ],
)
async def test_a_lazy_body_is_read_by_the_view(client, app, read):
    @app.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        response.body = await read(request)

    assert (await client.post("/", body=b"body")).body == b"body"
    assert (await client.post("/")).body == b""


async def _load_twice(request):
    await request.load_body()
    await request.load_body()
    return request.body


async def _iterate(request):
    return b"".join([piece async for piece in request])


async def _load_before_the_first_piece(request):
    pieces = aiter(request)
    await request.load_body()
    return b"".join([piece async for piece in pieces])


async def _iterate_and_close(request):
    async with contextlib.aclosing(aiter(request)) as pieces:
        return b"".join([piece async for piece in pieces])


async def _load_then_iterate(request):
    await request.load_body()
    return await _iterate(request)


async def test_a_lazy_body_streams_without_a_limit_unless_its_route_has_one(
    client, app
):
    async def size(request, response):
        response.body = len(await _iterate(request))

    app.route("/any", methods=["POST"], lazy_body=True)(size)
    limits = Limits(body=10)
    app.route("/ten", methods=["POST"], lazy_body=True, limits=limits)(size)
    large = b"x" * (app.limits.body + 1)
    assert (await client.post("/any", body=large)).body == b"%d" % len(large)
    assert (await client.post("/ten", body=b"x" * 10)).body == b"10"
    assert (await client.post("/ten", body=b"x" * 11)).status == 413


async def test_load_form_streams_a_multipart_form_larger_than_a_body(client, app):
    @app.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        await request.load_form()
        file = request.files.get("f")
        response.body = f"{request.form.get('a')} {file.filename} {len(file.read())}"
        request.files.close()

    content = io.BytesIO(b"x" * (2 * app.limits.body))
    answer = await client.post("/", data={"a": "1"}, files={"f": (content, "f.bin")})
    assert answer.body == b"1 f.bin 2097152"


async def test_load_form_loads_an_urlencoded_form_and_a_loaded_one(client, app):
    async def view(request, response):
        await request.load_form()
        response.body = request.form.get("a")

    app.route("/lazy", methods=["POST"], lazy_body=True)(view)
    app.route("/loaded", methods=["POST"])(view)
    for path in ("/lazy", "/loaded"):
        assert (await client.post(path, form={"a": "1"})).body == b"1"
    body = PARTS
    answer = await client.post("/loaded", body=body, content_type=MULTIPART)
    assert answer.body == b"1"


async def test_load_form_may_be_called_again(client, app):
    @app.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        await request.load_form()
        await request.load_form()
        response.body = request.form.get("a")

    answer = await client.post("/", body=PARTS, content_type=MULTIPART)
    assert answer.body == b"1"


async def test_load_form_closes_its_files_when_the_form_is_cut(client, app):
    @app.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        await request.load_form()

    answer = await client.post("/", body=PARTS[:-8], content_type=MULTIPART)
    assert (answer.status, answer.body) == (400, b"Unparsable multipart body")


# The connection


async def test_a_request_knows_its_app_its_connection_and_its_client(client, app):
    seen = {}

    @app.route("/")
    async def view(request, response):
        seen["app"] = request.app
        seen["protocol"] = request.protocol
        seen["closing"] = request.closing
        seen["version"] = request.version

    await client.get("/")
    assert seen == {
        "app": app,
        "protocol": client.protocol,
        "closing": app.closing,
        "version": "1.1",
    }


async def test_local_address_of_a_real_connection(liveclient, app):
    @app.route("/")
    async def view(request, response):
        response.json = request.local_address

    host, port = (await liveclient.query("GET", "/")).json
    assert (host, port) == ("127.0.0.1", liveclient.port)


@pytest.mark.parametrize("name", [("::1", 80, 0, 0), "/run/app.sock", None])
async def test_local_address_is_what_the_socket_is_called(app, name):
    found = []

    @app.route("/")
    async def view(request, response):
        found.append(request.local_address)

    transport = connect(app, extra={"sockname": name})
    transport.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await settle(transport)
    transport.disconnect()
    await transport.wait_closed()
    assert found == [name]


def test_a_connection_that_is_not_made_has_no_local_address(app):
    assert app.factory().local_address is None


async def test_remote_addr_and_scheme_of_a_real_connection(liveclient, app):
    @app.route("/")
    async def view(request, response):
        response.body = f"{request.remote_addr} {request.scheme} {request.host}"

    answer = await liveclient.query("GET", "/")
    host = liveclient.url.removeprefix("http://")
    assert answer.body.decode() == f"127.0.0.1 http {host}"


async def test_disconnected_tells_when_the_client_is_gone(liveclient, app):
    gone = asyncio.Event()
    watchers = []

    async def watch(request):
        await request.disconnected()
        gone.set()

    @app.route("/")
    async def view(request, response):
        watchers.append(asyncio.create_task(watch(request)))
        watchers.append(asyncio.create_task(watch(request)))
        await asyncio.sleep(0)
        response.headers["Connection"] = "close"
        response.body = gone.is_set()

    assert (await liveclient.query("GET", "/")).body == b"False"
    await asyncio.wait_for(gone.wait(), patience(2))
    await asyncio.gather(*watchers)
