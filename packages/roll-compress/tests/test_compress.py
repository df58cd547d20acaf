"""compress: which responses are compressed, how, and what their heads say."""

import asyncio
import gzip
import os
import sys
import threading
from importlib import import_module

import pytest
import roll_compress.codings
import roll_compress.threads
from roll import HttpError, Request, Response, Roll
from roll.extensions import compress, mount, static
from roll_testing import Client, exchange

brotli = import_module("brotli")
zstd = import_module(roll_compress.codings._ZSTD)

TEXT = "It rolls, and rolls, and rolls. " * 100
PLAIN = "text/plain; charset=utf-8"
INFLATE = {
    "zstd": zstd.decompress,
    "br": brotli.decompress,
    "gzip": gzip.decompress,
    "": bytes,
}
ALL = ["zstd", "br", "gzip"]

each_coding = pytest.mark.parametrize("coding", ALL)


def make_app(*arguments, **options):
    app = Roll()
    compress(app, *arguments, **options)
    return app


@pytest.fixture
def app():
    return make_app()


def serve(app, body=TEXT, path="/", status=200, extras=(), **fields):
    """Declare a view; the fields of its response are named with underscores."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}

    @app.route(path, methods=["GET", "POST"], **dict(extras))
    async def view(request, response):
        response.status = status
        response.headers["Content-Type"] = PLAIN
        for name, value in named.items():
            response.headers[name] = value
            if value is None:
                response.headers.pop(name)
        response.body = body() if callable(body) else body


async def ask(app, accepted="gzip", path="/", method="GET", **fields):
    """Send a request, and give the response and its coding, inflated."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    headers = {"Accept-Encoding": accepted, **named}
    async with Client(app) as client:
        response = await client.request(path, method, headers=headers)
    coding = response.headers.get("Content-Encoding", "")
    if response.body:
        response.inflated = INFLATE[coding](response.body)
        if "Content-Length" in response.headers:
            assert int(response.headers["Content-Length"]) == len(response.body)
    return response, coding


def is_untouched(response, coding):
    return not coding and "Vary" not in response.headers


# Whole bodies


@each_coding
async def test_a_body_is_compressed(app, coding):
    serve(app, ETag='"x"', Accept_Ranges="bytes")
    response, sent = await ask(app, coding)
    assert (sent, response.inflated) == (coding, TEXT.encode())
    assert len(response.body) < 200
    assert dict(response.headers) == {
        "Content-Type": PLAIN,
        "ETag": 'W/"x"',
        "Vary": "Accept-Encoding",
        "Content-Encoding": coding,
        "Content-Length": str(len(response.body)),
    }


@pytest.mark.parametrize(
    "body",
    [
        TEXT.encode(),
        bytearray(TEXT.encode()),
        memoryview(TEXT.encode()),
        memoryview(TEXT.encode())[::1],
        type("Page", (), {"__str__": lambda self: TEXT})(),
    ],
)
@each_coding
async def test_all_that_a_body_may_be_is_compressed(app, body, coding):
    serve(app, body)
    response, sent = await ask(app, coding)
    assert (sent, response.inflated) == (coding, TEXT.encode())


async def test_json_and_html_are_compressed(app):
    @app.route("/json")
    async def json(request, response):
        response.json = [TEXT]

    @app.route("/html")
    async def html(request, response):
        response.html = TEXT

    for path in ("/json", "/html"):
        assert (await ask(app, path=path))[1] == "gzip"


async def test_a_body_that_cannot_be_sent_is_a_500_of_the_core(app, caplog):
    serve(app, {"a": "dict"})
    serve(app, "\ud800" * 1000, "/surrogates")
    for path in ("/", "/surrogates"):
        response, coding = await ask(app, path=path)
        assert (response.status, coding) == (500, "")
    assert "a body cannot be of type dict" in caplog.text


# What is never touched


async def stream():
    yield TEXT


@pytest.mark.parametrize("status", [206, 304])
async def test_a_status_that_is_never_touched(app, status):
    serve(app, TEXT if status == 206 else "", status=status, ETag='"x"')
    response, coding = await ask(app)
    assert is_untouched(response, coding)
    assert response.headers["ETag"] == '"x"'


@pytest.mark.parametrize("status", [204, 205])
@pytest.mark.parametrize("body", ["", TEXT, stream])
async def test_a_status_without_a_body_is_never_touched(app, status, body):
    serve(app, body, status=status)
    assert is_untouched(*await ask(app))


async def test_an_upgrade_is_never_touched(app):
    request, response = Request(app, None), Response(app, None)
    response.status, response.headers["Content-Type"] = 101, PLAIN
    await app.hook("response", request, response)
    assert dict(response.headers) == {"Content-Type": PLAIN}


@pytest.mark.parametrize(
    "fields",
    [
        {"Content_Encoding": "br"},
        {"Content_Encoding": "GZIP"},
        {"content_encoding": "identity, gzip"},
        {"Content_Encoding": ["identity", "gzip"]},
        {"Content_Range": "bytes 0-9/99"},
        {"Cache_Control": "no-transform"},
        {"cache_control": "max-age=60,No-Transform"},
        {"Cache_Control": ["max-age=60", "no-transform"]},
        {"Content_Digest": "sha-256=:AAAA:"},
        {"Repr_Digest": "sha-256=:AAAA:"},
        {"Digest": "sha-256=AAAA"},
        {"Content_Type": None},
        {"Content_Type": "image/png"},
        {"Content_Type": "application/octet-stream"},
        {"Content_Type": "textual/plain"},
    ],
    ids=str,
)
@pytest.mark.parametrize("body", [TEXT, stream], ids=["whole", "stream"])
async def test_a_field_with_which_a_response_is_never_touched(app, fields, body):
    """For example a 206, or a file with a `.gz` (starlette#3414, aiohttp#8011)."""
    serve(app, body, ETag='"x"', **fields)

    async with Client(app) as client:
        response = await client.get("/", headers={"Accept-Encoding": "gzip"})
    assert response.body == TEXT.encode()
    assert response.headers["ETag"] == '"x"'
    assert "Vary" not in response.headers


@pytest.mark.parametrize(
    "fields",
    [
        {"Content_Encoding": "identity"},
        {"content_encoding": ""},
        {"Cache_Control": "no-transformer, max-age=60"},
        {"Content_Type": "TEXT/HTML"},
        {"Content_Type": "application/vnd.api+json; charset=utf-8"},
        {"Content_Type": "application/manifest+json"},
        {"Content_Type": "image/svg+xml"},
        {"Content_Type": "application/JSON"},
        {"Content_Type": "application/javascript ;a=b"},
        {"Content_Type": "application/xml"},
        {"Content_Type": "application/wasm"},
        {"Content_Type": "font/ttf"},
        {"Content_Type": "font/otf"},
        {"Content_Type": "image/bmp"},
    ],
    ids=str,
)
async def test_a_field_with_which_a_response_is_compressed(app, fields):
    serve(app, **fields)
    assert (await ask(app))[1] == "gzip"


async def test_the_type_of_bodies_without_one_counts(app):
    class Site(Roll):
        default_content_type = "text/html"

    app = Site()
    compress(app)
    serve(app, Content_Type=None)
    assert (await ask(app))[1] == "gzip"


async def test_types_are_an_option():
    app = make_app(types=["Image/PNG", "a/*", "*+b"])
    for number, kind in enumerate(["image/png", "a/x", "x/y+b", "text/plain"]):
        serve(app, path=f"/{number}", Content_Type=kind)
    sent = [(await ask(app, path=f"/{number}"))[1] for number in range(4)]
    assert sent == ["gzip", "gzip", "gzip", ""]


# Sizes


@pytest.mark.parametrize(
    ("size", "coding"), [(0, ""), (499, ""), (500, "gzip"), (10_000, "gzip")]
)
@pytest.mark.parametrize("kind", ["text", "bytes", "stream"])
async def test_a_small_body_is_sent_as_it_is_with_vary(app, size, coding, kind):
    async def pieces():
        yield "x" * size

    body = {"text": "x" * size, "bytes": b"x" * size, "stream": pieces}[kind]
    length = {"Content_Length": size} if kind == "stream" else {}
    serve(app, body, **length)
    response, sent = await ask(app)
    assert sent == coding
    assert response.headers["Vary"] == "Accept-Encoding"
    assert len(response.inflated if size else response.body) == size


async def test_the_minimum_is_an_option():
    app = make_app(minimum=0)
    serve(app, "x" * 30)
    serve(app, "", "/empty")
    assert (await ask(app))[1] == "gzip"
    assert (await ask(app, path="/empty"))[1] == ""


@each_coding
@pytest.mark.parametrize("size", [1000, 200_000])
async def test_a_body_that_does_not_become_smaller_is_sent_as_it_is(app, size, coding):
    serve(app, os.urandom(size), ETag='"x"')
    response, sent = await ask(app, coding)
    assert (sent, len(response.body)) == ("", size)
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["ETag"] == '"x"'


@each_coding
@pytest.mark.parametrize("refusal", ["identity;q=0", "*;q=0"])
@pytest.mark.parametrize("body", [b"x", os.urandom(1000), os.urandom(200_000)])
async def test_it_is_compressed_for_a_client_that_refuses_identity(
    app, coding, refusal, body
):
    serve(app, body)
    response, sent = await ask(app, f"{coding}, {refusal}")
    assert (sent, response.inflated) == (coding, body)


async def test_there_is_nothing_to_compress_in_an_empty_body(app):
    serve(app, "")
    serve(app, stream, "/stream", Content_Length=0)
    response, coding = await ask(app, "gzip, identity;q=0")
    assert (response.body, coding) == (b"", "")


@pytest.mark.parametrize("body", [TEXT, stream])
async def test_a_length_that_is_none_is_a_500_of_the_core(app, body):
    serve(app, body, Content_Length="many")
    response, _ = await ask(app)
    assert response.status == 500


# Negotiation


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=0.000", ""),
        ("notgzip", ""),
        ("gzip2, deflate", ""),
        ("*", "zstd"),
        ("*;q=0", ""),
        ("zstd;q=0, *", "br"),
        ("gzip;q=0.5, *;q=0", "gzip"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("br;q=0.9, gzip;q=1.0", "gzip"),
        ("gzip;q=0.5, br;q=0.5, zstd;q=0.4", "br"),
        ("gzip;q=0.5, identity;q=0.6", ""),
        ("gzip;q=0.5, identity", ""),
        ("gzip, identity", "gzip"),
        ("identity", ""),
        ("identity;q=0", ""),
        ("deflate, identity;q=0", ""),
        ("gzip;q=2, br", "br"),
        ("gzip;q=x", ""),
        ("gzip;q=0.5;q=1, zstd;x=y", ""),
        ("=;, ;q=1, \xff gzip,br", "br"),
        ("", ""),
        (",", ""),
        (["deflate", "br;q=0.5"], "br"),
        (["br;q=0.5", "gzip"], "gzip"),
        ("gzip" + "," * 8000, "gzip"),
        (["gzip" + "," * 8000, "," * 300], ""),
        (None, ""),
    ],
)
async def test_the_client_decides(app, accepted, coding):
    """RFC 9110, section 12.5.3; starlette#3495, QwenPaw#6232."""
    serve(app)
    response, sent = await ask(app, accepted)
    assert (response.status, sent) == (200, coding)
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("codings", "coding"),
    [(["gzip", "br"], "gzip"), (["br", "gzip"], "br"), (("gzip",), "gzip")],
)
async def test_of_equal_weights_the_first_coding_of_the_app_wins(codings, coding):
    app = make_app(codings)
    serve(app)
    assert (await ask(app, "*"))[1] == coding
    assert (await ask(app, "gzip, br"))[1] == coding


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Cookie", "Cookie, Accept-Encoding"),
        ("accept-encoding", "accept-encoding"),
        (["Cookie", "Origin"], "Cookie, Origin, Accept-Encoding"),
        ("*", "*"),
    ],
)
@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_vary_is_added_once(app, before, after, accepted):
    serve(app, Vary=before)
    response, _ = await ask(app, accepted)
    assert response.headers["Vary"] == after


# Validators and ranges


@pytest.mark.parametrize(
    ("tag", "sent"),
    [('"x"', 'W/"x"'), ('W/"x"', 'W/"x"'), ("broken", "broken"), (None, None)],
)
async def test_a_strong_tag_becomes_weak(app, tag, sent):
    """hono#4845, django#7376."""
    serve(app, ETag=tag)
    serve(app, stream, "/stream", ETag=tag)
    for path in ("/", "/stream"):
        response, _ = await ask(app, path=path)
        assert response.headers.get("ETag") == sent
        response, _ = await ask(app, "identity", path)
        assert response.headers.get("ETag") == tag


@pytest.mark.parametrize(
    ("held", "tag", "sent"),
    [
        ('W/"x"', '"x"', 'W/"x"'),
        ('"y", W/"x"', '"x"', 'W/"x"'),
        ('"x"', '"x"', '"x"'),
        ("*", '"x"', '"x"'),
        ('W/"x"', 'W/"x"', 'W/"x"'),
        ('W/"x"', None, None),
        (None, '"x"', '"x"'),
    ],
)
async def test_a_304_has_the_tag_that_the_client_has(app, held, tag, sent):
    serve(app, "", status=304, ETag=tag, Content_Type=None)
    response, _ = await ask(app, If_None_Match=held)
    assert response.headers.get("ETag") == sent
    assert response.headers.list("Vary") == ["Accept-Encoding"] * (sent != tag)


@pytest.fixture
def site(tmp_path):
    """An app that serves a large file, and one with compressed siblings."""
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "large.txt").write_text(TEXT * 200)
    (tmp_path / "tiny.txt").write_text("tiny")
    (tmp_path / "b.txt").write_text(TEXT)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    app = make_app()
    static(app, "/", tmp_path)
    return app


async def test_a_file_is_compressed_as_a_stream(site):
    for path, size in (("/a.txt", 1), ("/large.txt", 200)):
        response, coding = await ask(site, "br", path)
        assert coding == "br"
        assert response.inflated == TEXT.encode() * size
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in response.headers
        assert "Accept-Ranges" not in response.headers
        assert response.headers["ETag"].startswith('W/"')


async def test_a_file_with_a_compressed_one_beside_it_is_not_compressed_twice(site):
    """aiohttp#8011."""
    response, coding = await ask(site, "gzip", "/b.txt")
    assert (coding, response.inflated) == ("gzip", TEXT.encode())
    assert "Content-Length" in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"


async def test_a_file_that_the_client_has_is_a_304(site):
    response, _ = await ask(site, path="/a.txt")
    weak = response.headers["ETag"]
    again, _ = await ask(site, path="/a.txt", If_None_Match=weak)
    assert (again.status, again.headers["ETag"]) == (304, weak)


async def test_ranges_are_of_the_file_as_it_is(site):
    """starlette#3414."""
    response, coding = await ask(site, path="/a.txt", Range="bytes=0-9")
    assert (response.status, coding) == (206, "")
    assert response.body == TEXT[:10].encode()
    strong = response.headers["ETag"]
    assert strong.startswith('"')
    for tag, status in ((strong, 206), (f"W/{strong}", 200)):
        response, coding = await ask(
            site, path="/a.txt", Range="bytes=0-9", If_Range=tag
        )
        assert response.status == status
    assert (coding, response.inflated) == ("gzip", TEXT.encode())
    response, coding = await ask(site, path="/a.txt", Range="bytes=99999-")
    assert (response.status, coding) == (416, "")


async def test_a_file_that_becomes_shorter_cuts_the_connection(site, tmp_path, caplog):
    path = tmp_path / "shrinking.txt"
    path.write_bytes(os.urandom(2_000_000))

    def shorten(request, response):
        if request.path == "/shrinking.txt":
            os.truncate(path, 1_000_000)

    site.listen("response", before="*")(shorten)
    with pytest.raises(ConnectionError):
        await ask(site, path="/shrinking.txt")
    assert "the body has 1000000 bytes, not 2000000" in caplog.text


# HEAD


async def heads(app, path, fields=""):
    """Give the heads of the responses to GET and to HEAD."""
    found = []
    for method in ("GET", "HEAD"):
        message = f"{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"
        data, _ = await exchange(app, message.encode())
        head, end, body = data.partition(b"\r\n\r\n")
        assert end
        assert method == "GET" or body == b""
        found.append(head)
    return found


@pytest.mark.parametrize("accepted", ["gzip", "br", "zstd", "identity"])
@pytest.mark.parametrize(
    "path",
    ["/a.txt", "/b.txt", "/large.txt", "/tiny.txt", "/text", "/stream", "/long"],
)
async def test_head_has_the_head_of_get(site, path, accepted):
    """tornado#1580."""
    serve(site, path="/text", ETag='"x"')
    serve(site, stream, path="/stream")
    serve(site, stream, path="/long", Content_Length=len(TEXT))
    get, head = await heads(site, path, f"Accept-Encoding: {accepted}\r\n")
    assert get == head
    coded = f"Content-Encoding: {accepted}".encode() in head
    expected = accepted == "gzip" if path == "/b.txt" else accepted != "identity"
    if path not in ("/tiny.txt", "/b.txt"):
        assert coded is expected


# Errors, listeners, routes


async def test_errors_are_compressed_as_any_response(app):
    @app.route("/long")
    async def long(request, response):
        raise HttpError(400, TEXT)

    response, coding = await ask(app, path="/long")
    assert (response.status, coding, response.inflated) == (400, "gzip", TEXT.encode())
    response, coding = await ask(app, path="/nowhere")
    assert (response.status, coding) == (404, "")
    assert response.headers["Vary"] == "Accept-Encoding"
    response, coding = await ask(app, method="PUT", path="/long")
    assert (response.status, coding) == (405, "")


async def test_it_runs_after_all_other_listeners(app):
    serve(app, "short")

    @app.listen("response")
    async def lengthen(request, response):
        response.body = TEXT

    response, coding = await ask(app)
    assert (coding, response.inflated) == ("gzip", TEXT.encode())


async def test_a_route_may_refuse(app):
    serve(app, extras={"compress": False})
    serve(app, "", "/304", 304, {"compress": False}, ETag='"x"')
    assert is_untouched(*await ask(app))
    response, _ = await ask(app, path="/304", If_None_Match='W/"x"')
    assert response.headers["ETag"] == '"x"'


@pytest.mark.parametrize("kind", ["image/png", None, "text/plain"])
async def test_a_route_may_have_any_type(app, kind):
    serve(app, extras={"compress": True}, Content_Type=kind)
    response, coding = await ask(app)
    assert coding == "gzip"
    assert response.headers.get("Content-Type") == kind


async def test_a_route_cannot_undo_what_forbids_it(app):
    serve(app, extras={"compress": True}, Cache_Control="no-transform")
    assert is_untouched(*await ask(app))


@pytest.mark.parametrize("place", ["before", "after", "inner"])
async def test_the_extra_of_a_route_is_checked(place):
    app, inner = Roll(), Roll()
    mount(app, "/inner", inner)
    if place == "before":
        serve(app, extras={"compress": "no"})
    compress(app)
    if place != "before":
        serve(inner if place == "inner" else app, extras={"compress": "no"})
    with pytest.raises(TypeError, match=r"^/: compress='no': give True or False\. The"):
        await app.startup()


def test_a_misspelled_extra_is_noticed(app):
    serve(app, extras={"compressed": False})
    assert "did you mean compress=?" in str(app.find_mistakes())


# Mounted apps


@pytest.fixture
def inner(app):
    """An app that is mounted in one that is mounted in *app*."""
    middle, inner = Roll(), Roll()
    mount(middle, "/inner", inner)
    mount(app, "/middle", middle)
    return inner


async def test_one_call_on_the_outermost_app_does_for_all(app, inner):
    serve(inner.parent)
    serve(inner)
    for path in "/middle", "/middle/inner":
        response, coding = await ask(app, path=path)
        assert (response.inflated, coding) == (TEXT.encode(), "gzip")
        assert response.headers.list("Vary") == ["Accept-Encoding"]


async def test_an_error_of_a_mounted_app_is_compressed(app, inner):
    @inner.listen("error")
    async def explain(request, response, error):
        response.text = TEXT

    response, coding = await ask(app, path="/middle/inner/nothing")
    assert (response.status, coding) == (404, "gzip")


async def test_the_extras_of_the_routes_of_a_mounted_app_hold(app, inner):
    serve(inner, extras={"compress": False})
    serve(inner, path="/any", extras={"compress": True}, Content_Type="image/png")
    assert is_untouched(*await ask(app, path="/middle/inner"))
    assert (await ask(app, path="/middle/inner/any"))[1] == "gzip"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"codings": ["br"]}, "br"),
        ({"minimum": 2 * len(TEXT)}, ""),
        ({"types": ["image/*"]}, ""),
    ],
)
async def test_of_two_apps_that_compress_the_inner_one_decides(
    app, inner, options, expected
):
    compress(inner.parent, **options)
    serve(app)
    serve(inner.parent)
    serve(inner)
    assert (await ask(app, "gzip, br;q=0.9"))[1] == "gzip"
    for path in "/middle", "/middle/inner":
        response, coding = await ask(app, "gzip, br;q=0.9", path)
        assert (response.inflated, coding) == (TEXT.encode(), expected)


async def test_a_response_of_no_app_is_compressed(app):
    request, response = Request(app, None), Response(None, None)
    request.headers["ACCEPT-ENCODING"] = "gzip"
    response.text = TEXT
    await app.hook("response", request, response)
    assert response.headers["Content-Encoding"] == "gzip"


# In a thread


@pytest.fixture
def threads(monkeypatch):
    """Note in which threads something is compressed."""
    names = []
    original = roll_compress.codings.Gzip.compress

    def noting(self, data):
        names.append(threading.current_thread().name)
        return original(self, data)

    monkeypatch.setattr(roll_compress.codings.Gzip, "compress", noting)
    return names


@pytest.mark.parametrize(
    ("size", "thread"), [(2**16 - 1, "MainThread"), (2**16, "roll-compress_0")]
)
async def test_a_large_body_is_compressed_in_a_thread(app, threads, size, thread):
    """aiohttp#7192, aiohttp#3201."""
    serve(app, "x" * size)
    response, _ = await ask(app)
    assert len(response.inflated) == size
    assert len(threads) == 1
    assert threads[0].startswith(thread.rstrip("0"))


async def test_as_many_bodies_are_compressed_at_once_as_there_are_cpus():
    most = os.cpu_count()
    waiting, running, peaks = threading.Event(), [], []

    def work():
        running.append(1)
        peaks.append(len(running))
        if len(running) == most:
            waiting.set()
        waiting.wait()
        running.pop()

    await asyncio.gather(
        *(roll_compress.threads.in_thread(work) for _ in range(3 * most))
    )
    assert max(peaks) == most


async def test_a_compressor_that_fails_is_a_500(app, monkeypatch, caplog):
    def fail(self, data):
        raise MemoryError("no memory")

    monkeypatch.setattr(roll_compress.codings.Gzip, "compress", fail)
    serve(app, TEXT, ETag='"x"')
    serve(app, TEXT * 100, "/large")
    for path in ("/", "/large"):
        response, coding = await ask(app, path=path)
        assert (response.status, coding) == (500, "")
        assert response.body == b"Internal Server Error"
        assert "ETag" not in response.headers


# Codings and levels


async def test_gzip_is_the_same_each_time(app):
    """The header has no time and no name (RFC 1952, section 2.3)."""
    serve(app)
    serve(app, stream, "/stream")
    for path in ("/", "/stream"):
        response, _ = await ask(app, path=path)
        assert response.body[:9] == b"\x1f\x8b\x08\0\0\0\0\0\0"


@each_coding
async def test_a_level_is_an_option(coding):
    """brotli's default of 11 takes seconds: flask-compress#10."""
    kind = roll_compress.codings.CODINGS[coding]
    words = [f"{number * 2654435761 % 2**32:x}" for number in range(400)]
    text = " ".join(words[number**3 % 391] for number in range(20_000))
    sizes = {}
    for level in (kind.LEVELS[0], kind.USUAL, kind.LEVELS[-1]):
        app = make_app(levels={coding: level})
        serve(app, text)
        serve(app, lambda: one(text), "/stream")
        for path in ("/", "/stream"):
            response, sent = await ask(app, coding, path)
            assert (sent, response.inflated) == (coding, text.encode())
            sizes[path, level] = len(response.body)
    assert sizes["/", kind.LEVELS[0]] > sizes["/", kind.LEVELS[-1]]
    app = make_app()
    serve(app, text)
    usual = len((await ask(app, coding))[0].body)
    assert usual == sizes["/", kind.USUAL]


async def one(text):
    yield text


@pytest.mark.parametrize("path", ["/", "/stream"])
async def test_zstd_at_its_highest_level_can_be_read_by_a_browser(path):
    """vite-plugin-compression#93, tower-http#490; RFC 9659."""
    app = make_app(["zstd"], levels={"zstd": 19})
    body = os.urandom(2**20) + bytes(9 * 2**20) + os.urandom(2**20)
    serve(app, body)
    serve(app, lambda: one(body), "/stream")
    async with Client(app) as client:
        response = await client.get(path, headers={"Accept-Encoding": "zstd"})
    most = {zstd.DecompressionParameter.window_log_max: 23}
    assert zstd.decompress(response.body, options=most) == body
    if path == "/stream":
        assert response.body[5] >> 3 <= 18 - 10  # its window: RFC 8878, 3.1.1.1.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codings": ["deflate"]}, "codings: 'deflate' is not one of zstd, br, gzip"),
        ({"codings": [1]}, "codings: 1 is not one of zstd, br, gzip"),
        ({"codings": "gzip"}, r"codings='gzip': give a list, such as \['gzip'\]"),
        ({"codings": []}, "codings is empty: name one of zstd, br, gzip"),
        ({"levels": {"zstd": 20}}, "'zstd' has 20: give a number from 1 to 19"),
        ({"levels": {"zstd": 0}}, "'zstd' has 0: give a number from 1 to 19"),
        ({"levels": {"br": 10}}, "'br' has 10: give a number from 0 to 9"),
        ({"levels": {"gzip": 0}}, "'gzip' has 0: give a number from 1 to 9"),
        ({"levels": {"gzip": True}}, "'gzip' has True: give a number from 1 to 9"),
        ({"levels": {"deflate": 1}}, "levels: 'deflate' is not one of zstd, br, gzip"),
        ({"codings": ["br"], "levels": {"gzip": 1}}, "'gzip' is not one of br"),
        ({"types": "text/*"}, r"types='text/\*': give a list, such as \['text/\*'\]"),
        ({"types": ["json"]}, "types: 'json' is not a media type: give one such as"),
        ({"types": ["*/*"]}, r"types: '\*/\*' is not a media type"),
        ({"types": ["text/*; a=b"]}, "is not a media type"),
        ({"types": [None]}, "types: None is not a media type"),
        ({"minimum": -1}, "minimum=-1: give a number of bytes"),
        ({"minimum": 1.5}, r"minimum=1\.5: give a number of bytes"),
        ({"minimum": None}, "minimum=None: give a number of bytes"),
    ],
)
def test_a_wrong_option_is_an_error(options, message):
    app = Roll()
    with pytest.raises(ValueError, match=message):
        compress(app, **options)
    assert not app.hooks


def test_it_is_called_once(app):
    with pytest.raises(ValueError, match="compress was called for this app before"):
        compress(app)


MODULES = {"br": ["brotli", "brotlicffi"], "zstd": [roll_compress.codings._ZSTD]}


@pytest.fixture(params=["br", "zstd"])
def missing(request, monkeypatch):
    """A coding that is not installed."""
    for module in MODULES[request.param]:
        monkeypatch.setitem(sys.modules, module, None)
    return request.param


async def test_codings_that_are_not_installed_are_left_out(missing):
    app = make_app()
    serve(app)
    coding = next(name for name in ALL if name != missing)
    assert (await ask(app, "*"))[1] == coding
    assert (await ask(app, missing))[1] == ""


@pytest.mark.parametrize("option", ["codings", "levels"])
def test_a_coding_that_is_asked_for_has_to_be_installed(missing, option):
    options = (
        {"codings": [missing]} if option == "codings" else {"levels": {missing: 1}}
    )
    message = (
        rf"'{missing}' is not installed. Run: pip install 'roll-compress\[{missing}\]'"
    )
    with pytest.raises(ValueError, match=message):
        compress(Roll(), **options)


def test_brotli_may_be_that_of_pypy(monkeypatch):
    monkeypatch.setitem(sys.modules, "brotlicffi", brotli)
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert brotli.decompress(roll_compress.codings.Brotli(4).compress(b"a")) == b"a"
