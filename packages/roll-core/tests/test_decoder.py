"""Bodies with a Content-Encoding: what a decoder makes of them; 415 without one."""

import asyncio
import contextlib
import gzip
import tracemalloc
import zlib

import pytest
from roll import HttpError, Limits, Roll
from roll.http11.parser import Parser
from roll_testing import connect, exchange, settle, turns, until

from .wire import CONTINUE, answer, error, get, post, post_chunks

TEXT = bytes(range(256)) * 1000
GZIP = "Content-Encoding: gzip"
PIECE = 1024
REFUSED = error("415 Unsupported Media Type", close=False).replace(
    b"Content-Length", b"Accept-Encoding: identity\r\nContent-Length"
)
UNPARSABLE = error("400 Bad Request", message="Unparsable gzip body", close=False)

ways = pytest.mark.parametrize("split", [None, 1], ids=["whole", "byte by byte"])


async def gunzip(pieces):
    """Inflate a body of one member, in pieces of a bounded size."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    async for piece in pieces:
        while piece:
            try:
                yield inflater.decompress(piece, PIECE)
            except zlib.error as error:
                raise HttpError(400, "Unparsable gzip body") from error
            piece = inflater.unconsumed_tail
            if inflater.unused_data:
                raise HttpError(400, "Unparsable gzip body")
    if not inflater.eof:
        raise HttpError(400, "Unparsable gzip body")


def as_sent(pieces):
    return pieces


async def from_load_body(request):
    await request.load_body()
    return request.body


async def from_read(request):
    return await request.read()


async def from_iteration(request):
    return b"".join([piece async for piece in request])


async def from_form(request):
    await request.load_form()
    return request.form.get("a").encode()


async def from_files(request):
    await request.load_form()
    return request.files.get("f").read()


READERS = [from_load_body, from_read, from_iteration]


@pytest.fixture
def app():
    """Decodes as `?decoder=` says; `/` is loaded before the view, `/lazy` by it."""
    app = Roll()
    app["read"] = from_read
    decoders = {"gunzip": gunzip, "as_sent": as_sent}

    @app.listen("headers")
    def decode(request, response):
        request.decoder = decoders.get(request.query.get("decoder", None))

    @app.route("/", methods=["POST"])
    async def view(request, response):
        response.body = request.body

    @app.route("/lazy", methods=["POST"], lazy_body=True)
    async def lazy(request, response):
        response.body = await app["read"](request)

    @app.route("/small", methods=["POST"], lazy_body=True, limits=Limits(body=PIECE))
    async def small(request, response):
        response.body = await app["read"](request)

    @app.route("/json", methods=["POST"])
    async def read_json(request, response):
        response.json = request.json

    @app.route("/form", methods=["POST"])
    async def read_form(request, response):
        response.json = [request.form.list("a"), [*request.files]]

    return app


def chunks(body, path):
    pieces = [body[at : at + 700] for at in range(0, len(body), 700)]
    return post_chunks(*pieces, b"", path=path, fields=[GZIP])


# Without a decoder


@ways
@pytest.mark.parametrize(
    "field", ["gzip", "GZIP", "identity, gzip", "x", "br,identity"]
)
@pytest.mark.parametrize("path", ["/", "/json", "/form", "/lazy", "/small"])
async def test_a_coded_body_is_refused_when_it_is_read(app, path, field, split):
    message = post(b"{}", path, f"content-ENCODING: {field}")
    assert await exchange(app, message * 2, split=split) == (REFUSED * 2, False)
    message = post_chunks(b"{}", b"", path=path, fields=[f"Content-Encoding: {field}"])
    assert await exchange(app, message * 2, split=split) == (REFUSED * 2, False)


@pytest.mark.parametrize("read", [*READERS, from_form, from_files])
async def test_a_coded_body_is_refused_however_it_is_read(app, read):
    app["read"] = read
    for kind in (
        "multipart/form-data; boundary=b",
        "application/x-www-form-urlencoded",
    ):
        message = post(b"a=1", "/lazy", GZIP, f"Content-Type: {kind}")
        assert await exchange(app, message) == (REFUSED, False)


async def test_a_coding_may_be_named_in_several_fields(app):
    message = post(b"a", "/", "Content-Encoding: identity", GZIP)
    assert await exchange(app, message) == (REFUSED, False)


@pytest.mark.parametrize("field", ["identity", "", "Identity, identity", ","])
async def test_identity_is_no_coding(app, field):
    message = post(b"a", "/", f"Content-Encoding: {field}")
    assert await exchange(app, message * 2) == (answer(b"a") * 2, False)


async def test_a_request_without_a_body_has_no_coding(app):
    message = get("/", GZIP, "Content-Length: 0", method="POST")
    assert await exchange(app, message) == (answer(b""), False)


async def test_the_client_is_not_told_to_send_a_body_that_is_refused(app):
    head = get("/", GZIP, "Expect: 100-continue", "Content-Length: 3", method="POST")
    data, closed = await exchange(app, head)
    assert data.startswith(b"HTTP/1.1 415 Unsupported Media Type\r\n")
    assert CONTINUE not in data
    assert closed


async def test_a_coded_body_that_is_not_read_is_no_error(app):
    @app.route("/ignored", methods=["POST"], lazy_body=True)
    async def view(request, response):
        response.body = "ok"

    assert await exchange(app, post(b"a", "/ignored", GZIP)) == (answer(), False)


@pytest.mark.parametrize(
    ("fields", "encoded"),
    [
        ([], False),
        (["Content-Encoding: gzip"], True),
        (["Content-Encoding: identity"], False),
        (["X-Content-Encoding: gzip", "Content-Encodings: gzip"], False),
    ],
)
def test_a_head_tells_whether_the_body_is_coded(fields, encoded):
    parser = Parser(Limits())
    for again in range(3):
        parser.receive_data(get("/", *fields))
        assert (parser.next_event().encoded, again) == (encoded, again)


# With one


@ways
@pytest.mark.parametrize("path", ["/", "/lazy"])
async def test_a_decoder_makes_the_body(app, path, split):
    text = TEXT if split is None else TEXT[:3000]
    body = gzip.compress(text)
    path += "?decoder=gunzip"
    for message in (post(body, path, GZIP), chunks(body, path)):
        assert await exchange(app, message, split=split) == (answer(text), False)


@pytest.mark.parametrize("read", READERS)
async def test_a_view_reads_what_a_decoder_makes(app, read):
    app["read"] = read
    message = chunks(gzip.compress(TEXT), "/lazy?decoder=gunzip")
    assert await exchange(app, message * 2) == (answer(TEXT) * 2, False)


async def test_json_and_forms_are_read_from_what_a_decoder_makes(app):
    message = post(gzip.compress(b'{"a":1}'), "/json?decoder=gunzip", GZIP)
    data, _ = await exchange(app, message)
    assert data.endswith(b'\r\n\r\n{"a":1}')
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    file = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        b"content\r\n--b--\r\n"
    )
    multipart = gzip.compress(part + file)
    for body, kind, found in (
        (
            gzip.compress(b"a=1&a=2"),
            "application/x-www-form-urlencoded",
            b'[["1","2"],[]]',
        ),
        (multipart, "multipart/form-data; boundary=b", b'[["1"],["f"]]'),
    ):
        fields = GZIP, f"Content-Type: {kind}"
        data, _ = await exchange(app, post(body, "/form?decoder=gunzip", *fields))
        assert data.endswith(b"\r\n\r\n" + found)
    for read, found in ((from_form, b"1"), (from_files, b"content")):
        app["read"] = read
        message = post(multipart, "/lazy?decoder=gunzip", *fields)
        assert await exchange(app, message) == (answer(found), False)


@pytest.mark.parametrize("fields", [[GZIP], []])
async def test_a_decoder_may_leave_the_body_as_it_was_sent(app, fields):
    body = gzip.compress(TEXT)
    message = post(body, "/?decoder=as_sent", *fields)
    assert await exchange(app, message) == (answer(body), False)


async def test_a_decoder_runs_whatever_the_header_says(app):
    message = post(gzip.compress(TEXT), "/?decoder=gunzip")
    assert await exchange(app, message) == (answer(TEXT), False)


@ways
@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"hello")[:-1],
        gzip.compress(b"hello")[:5],
        b"hello",
        gzip.compress(b"hello") + b"garbage",
        gzip.compress(b"hello")[:-8] + b"\0" * 8,
    ],
    ids=["truncated", "only a header", "not gzip", "followed", "wrong checksum"],
)
async def test_a_body_that_a_decoder_refuses_is_400(app, body, split):
    for path in ("/?decoder=gunzip", "/lazy?decoder=gunzip"):
        for message in (post(body, path, GZIP), chunks(body, path)):
            data, _ = await exchange(app, message, split=split)
            assert data == UNPARSABLE


@pytest.mark.parametrize("read", READERS)
async def test_what_a_decoder_makes_counts_against_the_limit(app, read):
    app["read"] = read
    for size, status in ((PIECE, b"200"), (PIECE + 1, b"413")):
        body = gzip.compress(b"x" * size)
        assert len(body) < PIECE
        data, _ = await exchange(app, post(body, "/small?decoder=gunzip", GZIP))
        assert data.startswith(b"HTTP/1.1 %b " % status)


async def test_what_is_received_counts_against_the_limit(app):
    body = gzip.compress(b"")[:10] + b"\x01\0\0\xff\xff" + b"x" * PIECE
    data, _ = await exchange(app, post(body, "/small?decoder=gunzip", GZIP))
    assert data.startswith(b"HTTP/1.1 413 ")


async def test_a_bomb_is_refused_at_the_limit(app):
    deflater = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    zeros = bytes(2**20)
    bomb = b"".join(deflater.compress(zeros) for _ in range(256)) + deflater.flush()
    assert len(bomb) < app.limits.body
    message = post(bomb, "/?decoder=gunzip", GZIP)
    tracemalloc.start()
    try:
        data, _ = await exchange(app, message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert data.startswith(b"HTTP/1.1 413 ")
    assert peak < 5 * app.limits.body


async def test_iteration_goes_on_where_it_was_left(app):
    async def read(request):
        found = []
        for _ in range(3):
            async with contextlib.aclosing(aiter(request)) as pieces:
                found.append(await anext(pieces))
        assert [*map(len, found)] == [PIECE] * 3
        return b"".join([*found, await request.read(), await from_iteration(request)])

    app["read"] = read
    message = post(gzip.compress(TEXT), "/lazy?decoder=gunzip", GZIP)
    # The rest is what `read` has loaded; the iteration gives it again.
    rest = TEXT[3 * PIECE :]
    assert await exchange(app, message) == (answer(TEXT + rest), False)


async def test_there_is_nothing_behind_the_end(app):
    async def read(request):
        return await from_iteration(request) + await from_iteration(request)

    app["read"] = read
    message = post(gzip.compress(TEXT), "/lazy?decoder=gunzip", GZIP)
    assert await exchange(app, message) == (answer(TEXT), False)


async def test_a_read_that_was_cancelled_cannot_be_made_up_for(app, caplog):
    seen = []

    async def read(request):
        loading = asyncio.create_task(request.load_body())
        await turns()
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading
        seen.append("late")
        return await request.read()

    app["read"] = read
    transport = connect(app)
    message = post(gzip.compress(b"hello"), "/lazy?decoder=gunzip", GZIP)
    transport.feed(message[:-5])
    await until(lambda: seen)
    transport.feed(message[-5:])
    await settle(transport)
    assert transport.data.startswith(b"HTTP/1.1 500 ")
    assert "the body cannot be decoded" in caplog.messages[0]
    transport.disconnect()
    await transport.wait_closed()


async def test_pieces_come_one_by_one_and_only_when_they_are_asked_for(app):
    made = []

    async def spell(pieces):
        async for piece in pieces:
            for byte in piece:
                made.append(byte)
                yield b""
                yield bytes([byte])

    async def read(request):
        request.decoder = spell
        async for piece in request:
            assert [*piece] == made[-1:]
        return bytes(made)

    app["read"] = read
    assert await exchange(app, post(b"abc", "/lazy")) == (answer(b"abc"), False)
