"""compress: streams, which are sent piece by piece."""

import asyncio
import contextlib
import gc
import os
import threading
import tracemalloc
import weakref
import zlib
from importlib import import_module

import pytest
import roll_compress.codings
from roll import Roll
from roll.extensions import compress
from roll_compress.streams import Compressed
from roll_testing import Client, connect, exchange, settle, turns, until

brotli = import_module("brotli")
zstd = import_module(roll_compress.codings._ZSTD)

PIECES = [b"data: first\n\n", b"data: second\n\n", b"data: third\n\n"]
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nVary: Accept-Encoding\r\n"
    b"Content-Encoding: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
)

EVENTS, TEXT = "text/event-stream", "text/plain"
each_coding = pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
each_stream = pytest.mark.parametrize(
    ("coding", "kind"),
    [("zstd", TEXT), ("br", TEXT), ("gzip", TEXT), ("gzip", EVENTS)],
)


def inflater(coding, **options):
    """Make a function that inflates the part of a stream received so far."""
    if coding == "zstd":
        return zstd.ZstdDecompressor(**options).decompress
    if coding == "br":
        return brotli.Decompressor(**options).process
    return zlib.decompressobj(16 + options.get("window", zlib.MAX_WBITS)).decompress


class Feed:
    """A body that gives what the test puts in, and notes that it is closed."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.closed = 0

    async def pieces(self):
        try:
            while (piece := await self.queue.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            await asyncio.sleep(0)
            self.closed += 1


@pytest.fixture
def app():
    app = Roll()
    compress(app)
    app["type"] = TEXT

    @app.route("/")
    async def view(request, response):
        response.headers["Content-Type"] = app["type"]
        app["feed"] = feed = Feed()
        response.body = feed.pieces()

    return app


def message(coding="gzip", path="/", method="GET", version="1.1"):
    head = f"{method} {path} HTTP/{version}\r\nHost: a\r\nAccept-Encoding: {coding}"
    return f"{head}\r\n\r\n".encode()


@contextlib.asynccontextmanager
async def listen(app, coding="gzip", version="1.1"):
    """Ask for the stream, on a connection in memory."""
    transport = connect(app)
    transport.feed(message(coding, version=version))
    try:
        await until(lambda: b"\r\n\r\n" in transport.data, "the head")
        yield transport
    finally:
        transport.disconnect()
        await transport.wait_closed()


def read_chunks(data):
    """Give the pieces in the chunks of a response, and whether its end is there."""
    pieces = []
    rest = data.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return pieces, rest == b"\r\n"
        pieces.append(rest[:length])
        assert rest[length : length + 2] == b"\r\n"
        rest = rest[length + 2 :]
    return pieces, False


# As it comes


@each_stream
async def test_the_head_goes_before_the_first_piece(app, coding, kind):
    """agentcore-public-stack#1133."""
    app["type"] = kind
    async with listen(app, coding) as transport:
        await turns()
        assert transport.data == HEAD % (kind.encode(), coding.encode())


@each_stream
async def test_each_piece_is_at_the_client_at_once(app, coding, kind):
    """starlette#2753, starlette#2871, tower-http#420."""
    app["type"] = kind
    inflate = inflater(coding)
    async with listen(app, coding) as transport:
        for number, piece in enumerate(PIECES):
            app["feed"].queue.put_nowait(piece)
            await until(lambda n=number: len(read_chunks(transport.data)[0]) > n)
            chunks, ended = read_chunks(transport.data)
            assert inflate(chunks[number]) == piece
            assert not ended
        app["feed"].queue.put_nowait(None)
        await settle(transport)
        chunks, ended = read_chunks(transport.data)
        assert (len(chunks), inflate(chunks[3]), ended) == (4, b"", True)
        assert app["feed"].closed == 1


@each_stream
async def test_an_empty_piece_sends_nothing(app, coding, kind):
    """As a chunk it would end the body: aiohttp#395."""
    app["type"] = kind
    async with listen(app, coding) as transport:
        for piece in ("", b"", None):
            app["feed"].queue.put_nowait(b"" if piece is None else piece)
        await turns()
        assert read_chunks(transport.data) == ([], False)
        app["feed"].queue.put_nowait("text")
        await until(lambda: read_chunks(transport.data)[0])
        assert inflater(coding)(read_chunks(transport.data)[0][0]) == b"text"


@each_stream
async def test_a_stream_without_pieces_is_an_empty_body(app, coding, kind):
    app["type"] = kind
    async with listen(app, coding) as transport:
        app["feed"].queue.put_nowait(None)
        await settle(transport)
        chunks, ended = read_chunks(transport.data)
        assert (inflater(coding)(b"".join(chunks)), ended) == (b"", True)


@each_stream
@pytest.mark.parametrize("before", [[], PIECES])
async def test_a_stream_that_fails_cuts_the_connection(
    app, coding, kind, before, caplog
):
    app["type"] = kind
    async with listen(app, coding) as transport:
        for piece in [*before, ValueError("broken")]:
            app["feed"].queue.put_nowait(piece)
        await settle(transport)
        assert transport.has_ended
        chunks, ended = read_chunks(transport.data)
        assert not ended
        body = zlib.decompressobj(31) if coding == "gzip" else None
        if body:
            assert body.decompress(b"".join(chunks)) == b"".join(before)
            assert not body.eof  # no trailer
    assert app["feed"].closed == 1
    assert "was cut short" in caplog.text


async def test_a_compressor_that_fails_cuts_the_connection(app, monkeypatch, caplog):
    def fail(self, small):
        deflater = original(self, small)
        return deflater._replace(process=lambda data: 1 / 0)

    original = roll_compress.codings.Gzip.stream
    monkeypatch.setattr(roll_compress.codings.Gzip, "stream", fail)
    async with listen(app) as transport:
        app["feed"].queue.put_nowait(b"data")
        await settle(transport)
        assert transport.has_ended
        assert read_chunks(transport.data) == ([], False)
    assert app["feed"].closed == 1
    assert "was cut short" in caplog.text


async def test_http_1_0_gets_no_chunks(app):
    async with listen(app, version="1.0") as transport:
        for piece in [*PIECES, None]:
            app["feed"].queue.put_nowait(piece)
        await settle(transport)
        head, _, body = transport.data.partition(b"\r\n\r\n")
        assert b"Content-Encoding: gzip" in head
        assert b"Connection: close" in head
        assert b"Transfer-Encoding" not in head
        assert zlib.decompress(body, 31) == b"".join(PIECES)
        assert transport.has_ended


async def test_head_closes_the_stream(app):
    data, closed = await exchange(app, message(method="HEAD") * 2)
    assert data == HEAD % (TEXT.encode(), b"gzip") * 2
    assert not closed


async def test_a_stream_that_was_never_started_is_closed(app):
    closed = []

    class Body:
        def __aiter__(self):
            raise AssertionError("HEAD has no body")

        async def aclose(self):
            closed.append(self)

    @app.route("/body")
    async def view(request, response):
        response.headers["Content-Type"] = TEXT
        response.body = Body()

    await exchange(app, message(path="/body", method="HEAD"))
    assert len(closed) == 1


async def test_an_iterable_is_closed_and_so_is_its_iterator(app):
    closed = []

    class Body:
        async def __aiter__(self):
            try:
                for piece in PIECES:
                    yield piece
            finally:
                closed.append("iterator")

        async def aclose(self):
            closed.append("body")

    @app.route("/body")
    async def view(request, response):
        response.headers["Content-Type"] = TEXT
        response.body = Body()

    data, _ = await exchange(app, message(path="/body"))
    chunks, ended = read_chunks(data)
    assert (zlib.decompress(b"".join(chunks), 31), ended) == (b"".join(PIECES), True)
    assert closed == ["iterator", "body"]


async def test_an_iterator_may_have_nothing_to_close():
    class Body:
        def __init__(self):
            self.pieces = iter(PIECES)

        def __aiter__(self):
            return self

        async def __anext__(self):
            for piece in self.pieces:
                return piece
            raise StopAsyncIteration

    stream = Compressed(Body(), roll_compress.codings.Gzip(4).stream(False), None)
    body = b"".join([piece async for piece in stream])
    assert zlib.decompress(body, 31) == b"".join(PIECES)
    assert [piece async for piece in stream] == []
    await stream.aclose()


@pytest.mark.parametrize("declared", [-1, 0, 1])
async def test_a_length_that_is_not_kept_cuts_the_connection(app, declared, caplog):
    text = "x" * 1000

    @app.route("/long")
    async def view(request, response):
        response.headers["Content-Type"] = TEXT
        response.headers["Content-Length"] = 1000 + declared
        response.body = pieces()

    async def pieces():
        yield text

    data, closed = await exchange(app, message(path="/long"))
    chunks, ended = read_chunks(data)
    assert b"Content-Length" not in data
    assert zlib.decompressobj(31).decompress(b"".join(chunks)) == text.encode()
    assert (ended, closed) == (not declared, bool(declared))
    assert (f"not {1000 + declared}" in caplog.text) is bool(declared)


# Event streams


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, br, zstd", "gzip"),
        ("br;q=1, gzip;q=0.1", "gzip"),
        ("*", "gzip"),
        ("br, zstd", None),
        ("identity, gzip;q=0.5", None),
    ],
)
@pytest.mark.parametrize("kind", [EVENTS, "Text/Event-Stream; charset=utf-8"])
async def test_event_streams_are_in_gzip_alone(app, accepted, coding, kind):
    app["type"] = kind
    async with (
        Client(app) as client,
        client.stream("/", headers={"Accept-Encoding": accepted}) as response,
    ):
        assert response.headers.get("Content-Encoding") == coding
        assert response.headers["Vary"] == "Accept-Encoding"


async def test_event_streams_are_sent_as_they_are_without_gzip():
    app = Roll()
    compress(app, ["br"])

    @app.route("/")
    async def view(request, response):
        response.headers["Content-Type"] = EVENTS
        response.body = Feed().pieces()

    async with (
        Client(app) as client,
        client.stream("/", headers={"Accept-Encoding": "gzip, br"}) as response,
    ):
        assert "Content-Encoding" not in response.headers


# Memory


@each_stream
async def test_the_window_of_a_stream_is_small(app, coding, kind):
    """A body that repeats itself after more than the window does not become small."""
    noise = os.urandom(5000 if kind == EVENTS else 300_000)
    app["type"] = kind
    async with listen(app, coding) as transport:
        for piece in (noise, noise, None):
            app["feed"].queue.put_nowait(piece)
        await settle(transport)
        chunks, _ = read_chunks(transport.data)
    body = b"".join(chunks)
    assert len(body) > 2 * len(noise)
    assert inflater(coding)(body) == noise * 2
    if kind == EVENTS:
        assert inflater(coding, window=12)(body) == noise * 2


async def test_a_thousand_event_streams_take_little_memory(app):
    """antage/eventsource#23, dust#23134."""
    app["type"] = EVENTS
    feeds, count = [], 1000
    async with contextlib.AsyncExitStack() as stack:
        tracemalloc.start()
        try:
            for _ in range(count):
                await stack.enter_async_context(listen(app))
                feeds.append(app["feed"])
                for number in range(5):
                    event = f"data: {os.urandom(50).hex()} {number}\n\n"
                    feeds[-1].queue.put_nowait(event)
            await until(lambda: not any(feed.queue.qsize() for feed in feeds))
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size < count * 64 * 1024
    await until(lambda: all(feed.closed for feed in feeds))


async def test_what_compresses_is_freed_when_the_client_leaves(app, monkeypatch):
    made = []

    def stream(self, small):
        deflater = original(self, small)
        process = lambda data: deflater.process(data)  # noqa: E731
        made.append(weakref.ref(process))
        return deflater._replace(process=process)

    original = roll_compress.codings.Gzip.stream
    monkeypatch.setattr(roll_compress.codings.Gzip, "stream", stream)
    gc.collect()
    gc.disable()
    try:
        feeds = []
        for _ in range(1000):
            async with listen(app) as transport:
                feeds.append(app["feed"])
                feeds[-1].queue.put_nowait(b"data")
                await until(lambda t=transport: read_chunks(t.data)[0])
        await until(lambda: all(feed.closed == 1 for feed in feeds))
        assert len(made) == 1000
        await until(lambda: not any(reference() for reference in made))
    finally:
        gc.enable()


@each_stream
@pytest.mark.parametrize("leaves", [False, True])
async def test_no_request_is_kept_in_a_circle(app, leftovers, coding, kind, leaves):
    app["type"] = kind
    async with listen(app, coding) as transport:
        for piece in [*PIECES, b"x" * 100_000]:
            app["feed"].queue.put_nowait(piece)
        await until(lambda: len(read_chunks(transport.data)[0]) == 4)
        if not leaves:
            app["feed"].queue.put_nowait(None)
            await settle(transport)
    await until(lambda: app["feed"].closed)
    await until(lambda: not leftovers())


# In a thread


@each_coding
@pytest.mark.parametrize("size", [2**16 - 1, 2**16])
async def test_a_large_piece_is_compressed_in_a_thread(app, monkeypatch, coding, size):
    names = []

    def stream(self, small):
        deflater = original(self, small)

        def process(data):
            names.append(threading.current_thread() is threading.main_thread())
            return deflater.process(data)

        return deflater._replace(process=process)

    kind = roll_compress.codings.CODINGS[coding]
    original = kind.stream
    monkeypatch.setattr(kind, "stream", stream)
    piece = os.urandom(size)
    async with listen(app, coding) as transport:
        for each in (piece, b"small", None):
            app["feed"].queue.put_nowait(each)
        await settle(transport)
        chunks, ended = read_chunks(transport.data)
    assert ended
    assert inflater(coding)(b"".join(chunks)) == piece + b"small"
    assert names == [size < 2**16, True]
