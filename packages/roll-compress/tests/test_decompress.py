"""decompress: request bodies that are inflated while they are read."""

import asyncio
import gzip
import os
import threading
import tracemalloc
import zlib
from importlib import import_module

import pytest
import roll_compress.codings
import roll_compress.inflating
from roll import Limits, Roll
from roll.extensions import compress, decompress, mount
from roll_compress.inflating import inflate
from roll_testing import Client, connect, exchange, settle, turns, until

brotli = import_module("brotli")
zstd = import_module(roll_compress.codings._ZSTD)

DEFLATE = {"zstd": zstd.compress, "br": brotli.compress, "gzip": gzip.compress}
TEXT = bytes(range(256)) * 1000
SMALL = 1000
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    b"%b\r\n--b--\r\n"
)
each_coding = pytest.mark.parametrize("coding", DEFLATE)
ways = pytest.mark.parametrize("split", [None, 1], ids=["whole", "byte by byte"])


def make_app(**options):
    app = Roll()
    decompress(app, **options)
    declare(app)
    return app


def declare(app):
    @app.route("/", methods=["GET", "POST"])
    async def view(request, response):
        response.body = request.body

    @app.route("/lazy", methods=["POST"], lazy_body=True)
    async def lazy(request, response):
        response.body = b"".join([piece async for piece in request])

    @app.route("/load", methods=["POST"], lazy_body=True)
    async def load(request, response):
        response.body = await request.read()

    @app.route("/form", methods=["POST"], lazy_body=True)
    async def form(request, response):
        await request.load_form()
        response.body = request.files.get("f").read()

    @app.route("/ignored", methods=["POST"], lazy_body=True)
    async def ignored(request, response):
        response.body = "ignored"

    @app.route("/small", methods=["POST"], limits=Limits(body=SMALL))
    async def small(request, response):
        response.body = request.body

    @app.route("/large", methods=["POST"], limits=Limits(body=4 * 2**20))
    async def large(request, response):
        response.json = len(request.body)

    @app.route("/bounded", methods=["POST"], lazy_body=True, limits=Limits(body=SMALL))
    async def bounded(request, response):
        response.body = b"".join([piece async for piece in request])

    @app.route("/seen", methods=["POST"])
    async def seen(request, response):
        field = request.headers.get("Content-Encoding")
        response.json = [request.get("content_encoding"), field, request.json]

    @app.route("/raw", methods=["POST"], decompress=False)
    async def raw(request, response):
        response.body = request.body
        response.headers["X-Coding"] = request.headers["Content-Encoding"]


@pytest.fixture
def app():
    return make_app()


async def send(app, body, coding="gzip", path="/", **fields):
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    headers = {"Content-Encoding": coding, **named}
    async with Client(app) as client:
        return await client.post(path, body=body, headers=headers)


def message(body, coding="gzip", path="/", chunked=False):
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Encoding: {coding}\r\n"
    if chunked:
        head += "Transfer-Encoding: chunked\r\n"
        body = b"".join(
            b"%x\r\n%b\r\n" % (len(piece), piece)
            for piece in [body[at : at + 700] for at in range(0, len(body), 700)]
        )
        body += b"0\r\n\r\n"
    else:
        head += f"Content-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


# What is read


@ways
@each_coding
@pytest.mark.parametrize("path", ["/", "/lazy", "/load"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_is_inflated(app, coding, path, chunked, split):
    text = TEXT if split is None else TEXT[:2000]
    body = DEFLATE[coding](text)
    data, closed = await exchange(
        app, message(body, coding, path, chunked) * 2, split=split
    )
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
    assert (data, closed) == ((head + text) * 2, False)


@each_coding
async def test_a_form_is_inflated(app, coding):
    body = DEFLATE[coding](MULTIPART % TEXT)
    kind = "multipart/form-data; boundary=b"
    response = await send(app, body, coding, "/form", Content_Type=kind)
    assert response.body == TEXT


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("identity, gzip", "gzip"),
        (["identity", "gzip,"], "gzip"),
        ("Zstd", "zstd"),
        ("br", "br"),
    ],
)
async def test_the_coding_is_in_the_request_and_not_in_its_header(app, field, coding):
    response = await send(app, DEFLATE[coding](b'{"a":1}'), field, "/seen")
    assert response.json == [coding, None, {"a": 1}]


@pytest.mark.parametrize("field", ["identity", "", ",", "Identity, identity", None])
async def test_without_a_coding_nothing_is_inflated(app, field):
    response = await send(app, b"1", field, "/seen")
    assert response.json == [None, field, 1]


async def test_without_a_body_nothing_is_inflated(app):
    response = await send(app, b"", "deflate")
    assert (response.status, response.body) == (200, b"")
    async with Client(app) as client:
        response = await client.get("/", headers={"Content-Encoding": "deflate"})
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, br"])
async def test_a_route_may_want_the_bytes_as_they_are_sent(app, coding):
    body = gzip.compress(TEXT)
    response = await send(app, body, coding, "/raw")
    assert (response.body, response.headers["X-Coding"]) == (body, coding)


async def test_a_decoder_that_is_set_already_stays():
    app = Roll()

    @app.listen("headers")
    def decode(request, response):
        request.decoder = lambda pieces: pieces

    decompress(app)
    declare(app)
    body = gzip.compress(TEXT)
    assert (await send(app, body)).body == body


# What is refused


@pytest.mark.parametrize(
    "field",
    ["deflate", "compress", "unknown", "gzip, br", "gzip, gzip", ["gzip", "gzip"]],
)
@pytest.mark.parametrize("path", ["/", "/lazy", "/ignored"])
async def test_another_coding_is_415(app, field, path):
    """RFC 9110, section 15.5.16; chains of codings: ktor#5662."""
    response = await send(app, gzip.compress(b"1"), field, path)
    assert response.status == 415
    assert response.headers["Accept-Encoding"] == "zstd, br, gzip"


async def test_only_the_codings_of_the_app_are_taken():
    app = make_app(codings=["gzip", "zstd"])
    response = await send(app, brotli.compress(b"1"), "br")
    assert response.status == 415
    assert response.headers["Accept-Encoding"] == "gzip, zstd"
    assert (await send(app, zstd.compress(b"1"), "zstd")).body == b"1"


async def test_a_body_that_is_refused_is_not_asked_for(app):
    head = message(b"", "deflate").replace(
        b"Content-Length: 0", b"Content-Length: 9\r\nExpect: 100-continue"
    )
    data, closed = await exchange(app, head)
    assert data.startswith(b"HTTP/1.1 415 ")
    assert closed


async def test_a_body_that_is_inflated_is_asked_for(app):
    body = gzip.compress(b"hello")
    transport = connect(app)
    head, _, _ = message(body).partition(b"\r\n\r\n")
    transport.feed(head + b"\r\nExpect: 100-continue\r\n\r\n")
    await until(lambda: transport.data == b"HTTP/1.1 100 Continue\r\n\r\n")
    transport.feed(body)
    await until(lambda: transport.data.endswith(b"\r\n\r\nhello"))
    transport.disconnect()
    await transport.wait_closed()


BAD = {
    "truncated": lambda body: body[:-1],
    "only a start": lambda body: body[:3],
    "nothing": lambda body: b"",
    "not coded": lambda body: b"It rolls",
    "garbage behind": lambda body: body + b"garbage",
    "changed": lambda body: body[:2] + b"\xff" * 8 + body[10:],
}


@ways
@each_coding
@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("path", ["/", "/lazy"])
async def test_a_body_that_is_not_of_its_coding_is_400(app, coding, how, path, split):
    """qontract-reconcile#5747."""
    body = BAD[how](DEFLATE[coding](b"hello, " * 20))
    data, _ = await exchange(app, message(body, coding, path, True), split=split)
    assert data.startswith(b"HTTP/1.1 400 ")
    assert data.endswith(b"\r\n\r\nUnparsable %b body" % coding.encode())


async def test_a_wrong_checksum_is_400(app):
    body = gzip.compress(TEXT)
    response = await send(app, body[:-8] + bytes(8))
    assert response.body == b"Unparsable gzip body"


@ways
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_several_members_are_one_body(app, coding, split):
    """qontract-reconcile#5747; RFC 1952, section 2.2, and RFC 8878, section 3."""
    parts = [b"one", b"", b"two", b"", b""]
    body = b"".join(map(DEFLATE[coding], parts))
    data, _ = await exchange(app, message(body, coding), split=split)
    assert data.endswith(b"\r\n\r\nonetwo")


async def test_frames_of_zstd_may_be_skipped(app):
    frame = b"\x50\x2a\x4d\x18\x05\0\0\0aside"
    body = frame + zstd.compress(b"text") + frame
    assert (await send(app, body, "zstd")).body == b"text"


# Bounds


@each_coding
@pytest.mark.parametrize("path", ["/small", "/bounded"])
async def test_the_limit_of_a_route_holds_for_what_is_inflated(app, coding, path):
    for size, status in ((SMALL, 200), (SMALL + 1, 413)):
        body = DEFLATE[coding](bytes(size))
        assert len(body) < 100
        assert (await send(app, body, coding, path)).status == status


async def test_the_limit_of_a_route_holds_for_what_is_sent(app):
    stored = zlib.compress(os.urandom(SMALL - 30), 0, 31)
    empty = gzip.compress(b"")
    assert len(stored) < SMALL
    for path in ("/small", "/bounded"):
        assert (await send(app, stored, path=path)).status == 200
        body = stored + empty * 10
        assert len(body) > SMALL
        assert (await send(app, body, path=path)).status == 413


@each_coding
@pytest.mark.parametrize("path", ["/", "/load"])
async def test_the_limit_of_the_app_holds_for_what_is_loaded(app, coding, path):
    for size, status in ((2**20, 200), (2**20 + 1, 413)):
        body = DEFLATE[coding](bytes(size))
        assert (await send(app, body, coding, path)).status == status


@each_coding
async def test_a_limit_holds_for_what_is_iterated(coding):
    app = make_app(limit=200_000)
    kind = "multipart/form-data; boundary=b"
    frame = len(MULTIPART % b"")
    for size, status in ((200_000, 200), (200_001, 413)):
        body = DEFLATE[coding](bytes(size))
        assert (await send(app, body, coding, "/lazy")).status == status
        body = DEFLATE[coding](MULTIPART % bytes(size - frame))
        response = await send(app, body, coding, "/form", Content_Type=kind)
        assert response.status == status


@each_coding
async def test_what_is_loaded_may_be_larger_than_what_is_iterated(coding):
    app = make_app(limit=SMALL)
    body = DEFLATE[coding](bytes(2 * 2**20))
    assert (await send(app, body, coding, "/large")).json == 2 * 2**20
    body = DEFLATE[coding](bytes(SMALL + 1))
    assert (await send(app, body, coding, "/")).status == 200


def window_of(size):
    """Compress with a window of that binary logarithm, which stands in the frame."""
    options = {zstd.CompressionParameter.window_log: size}
    deflater = zstd.ZstdCompressor(options=options)
    return deflater.compress(b"hello", deflater.FLUSH_BLOCK) + deflater.flush()


@pytest.mark.parametrize("path", ["/", "/lazy"])
async def test_a_window_of_zstd_that_is_too_large_is_413(app, path):
    for size, status in ((23, 200), (24, 413), (27, 413)):
        response = await send(app, window_of(size), "zstd", path)
        assert response.status == status
    assert response.body == b"Content Too Large"


def bomb_of(coding, size):
    zeros = bytes(2**20)
    if coding == "gzip":
        deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
        pieces = [deflater.compress(zeros) for _ in range(size >> 20)]
        return b"".join(pieces) + deflater.flush()
    deflater = roll_compress.codings.CODINGS[coding](9).stream(False)
    pieces = [deflater.process(zeros) for _ in range(size >> 20)]
    return b"".join(pieces) + deflater.finish()


@each_coding
@pytest.mark.parametrize("path", ["/", "/lazy"])
async def test_a_bomb_is_refused(coding, path):
    """headroom#3284."""
    app = make_app(limit=2**20)
    bomb = bomb_of(coding, 64 * 2**20)
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        response = await send(app, bomb, coding, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert response.status == 413
    assert peak < 5 * 2**20


@each_coding
async def test_no_more_than_a_piece_is_inflated_ahead(coding):
    """brotli#1396: more than its limit is given at once."""
    most = 98_272 if coding == "br" else 65_536
    received = bomb_of(coding, 2 * 2**20)
    inflater = roll_compress.codings.CODINGS[coding](4).inflater()
    sizes = [*map(len, inflater.inflate(received))]
    assert sum(sizes) == 2 * 2**20
    assert max(sizes) <= most
    assert inflater.complete


async def test_reading_pauses_while_nothing_is_inflated(app):
    goes_on = asyncio.Event()

    @app.route("/slow", methods=["POST"], lazy_body=True)
    async def slow(request, response):
        size = 0
        async for piece in request:
            await goes_on.wait()
            size += len(piece)
        response.json = size

    text = os.urandom(2**20)
    transport = connect(app)
    transport.feed(message(gzip.compress(text), path="/slow"))
    await until(lambda: transport.held)
    assert not transport.is_reading()
    goes_on.set()
    await settle(transport)
    assert transport.data.endswith(b"\r\n\r\n1048576")
    transport.disconnect()
    await transport.wait_closed()


async def test_many_small_members_take_few_threads(app, monkeypatch):
    calls = []
    original = roll_compress.inflating.in_thread

    async def counting(*arguments):
        calls.append(arguments)
        return await original(*arguments)

    monkeypatch.setattr(roll_compress.inflating, "in_thread", counting)
    body = gzip.compress(b"x") * 10_000
    response = await send(app, body)
    assert response.body == b"x" * 10_000
    assert len(calls) < 50


async def test_pieces_are_joined_up_to_their_size():
    sizes = (60_000, 5000, 536, 1, 0, 65_536, 30_000, 40_000)
    members = b"".join(gzip.compress(bytes(size)) for size in sizes)

    async def received():
        yield members

    coding = roll_compress.codings.Gzip(4)
    pieces = inflate("gzip", coding, 2**20, received())
    assert [len(piece) async for piece in pieces] == [65_536, 1, 65_536, 30_000, 40_000]


# When and where


async def test_nothing_is_inflated_before_somebody_reads(app):
    made = []

    class Gzip(roll_compress.codings.Gzip):
        def inflater(self):
            made.append(self)
            return super().inflater()

    @app.route("/later", methods=["POST"], lazy_body=True)
    async def later(request, response):
        assert request.decoder is not None
        await turns()
        made.append("view")

    roll_compress.codings.CODINGS["gzip"], original = Gzip, Gzip.__base__
    try:
        app = make_app()
        app.route("/later", methods=["POST"], lazy_body=True)(later)
    finally:
        roll_compress.codings.CODINGS["gzip"] = original
    assert (await send(app, gzip.compress(TEXT), path="/ignored")).body == b"ignored"
    await send(app, gzip.compress(TEXT), path="/later")
    assert made == ["view"]
    await send(app, gzip.compress(TEXT))
    assert len(made) == 2


@each_coding
@pytest.mark.parametrize("size", [10, 200_000])
async def test_a_body_is_inflated_in_a_thread(monkeypatch, coding, size):
    """KiroCrew#11407."""
    names = set()
    original = roll_compress.inflating._inflate_pieces

    def noting(inflater, data):
        names.add(threading.current_thread().name)
        for piece in original(inflater, data):
            names.add(threading.current_thread().name)
            yield piece

    monkeypatch.setattr(roll_compress.inflating, "_inflate_pieces", noting)
    text = os.urandom(size)
    assert (await send(make_app(), DEFLATE[coding](text), coding)).body == text
    assert {name.rpartition("_")[0] for name in names} == {"roll-compress"}


async def test_a_client_that_leaves_ends_it(app):
    seen = app["seen"] = []

    @app.route("/endless", methods=["POST"], lazy_body=True)
    async def endless(request, response):
        try:
            async for _ in request:
                app["seen"] += ["piece"]
        finally:
            seen.append("end")

    transport = connect(app)
    transport.feed(message(gzip.compress(TEXT), path="/endless")[:-1])
    await until(lambda: seen)
    transport.disconnect()
    await transport.wait_closed()
    await until(lambda: "end" in seen)


@each_coding
@pytest.mark.parametrize("path", ["/", "/lazy", "/small", "/ignored"])
@pytest.mark.parametrize("how", [None, "truncated", "garbage behind"])
async def test_no_request_is_kept_in_a_circle(app, leftovers, coding, path, how):
    body = DEFLATE[coding](TEXT)
    if how is not None:
        body = BAD[how](body)
    await exchange(app, message(body, coding, path))
    await until(lambda: not leftovers())


@pytest.mark.parametrize("called", [1, 2])
async def test_a_body_for_a_mounted_app_is_inflated_once(app, called):
    inner = make_app() if called == 2 else Roll()
    if called == 1:
        declare(inner)
    mount(app, "/inner", inner)
    body = gzip.compress(TEXT)
    for path in "/", "/lazy", "/load":
        response = await send(app, body, path=f"/inner{path}")
        assert (response.status, response.body) == (200, TEXT)
    assert (await send(app, body, path="/inner/raw")).body == body
    assert (await send(app, body, path="/inner/small")).status == 413


async def test_both_extensions_go_together(app):
    compress(app)
    async with Client(app) as client:
        response = await client.post(
            "/seen",
            body=gzip.compress(b'["' + b"x" * 1000 + b'"]'),
            headers={"Content-Encoding": "gzip", "Accept-Encoding": "br"},
        )
    assert response.headers["Content-Encoding"] == "br"
    assert b'"gzip",null,["xxx' in brotli.decompress(response.body)


# The call


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codings": ["deflate"]}, "codings: 'deflate' is not one of zstd, br, gzip"),
        ({"limit": -1}, "limit=-1: give a number of bytes"),
        ({"limit": "1 MB"}, "limit='1 MB': give a number of bytes"),
    ],
)
def test_a_wrong_option_is_an_error(options, message):
    app = Roll()
    with pytest.raises(ValueError, match=message):
        decompress(app, **options)
    assert not app.hooks


def test_it_is_called_once(app):
    with pytest.raises(ValueError, match="decompress was called for this app before"):
        decompress(app)


def test_the_extra_of_a_route_is_checked(app):
    app.route("/x", decompress=0)(lambda request, response: None)
    assert "/x: decompress=0: give True or False" in str(app.find_mistakes())
