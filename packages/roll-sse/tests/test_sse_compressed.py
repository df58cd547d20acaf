"""sse together with compress: a compressed stream holds nothing back."""

import re
import zlib

import pytest
from roll import Roll
from roll.extensions import compress, sse
from roll_sse import Feed
from roll_testing import connect, turns, until


@pytest.fixture
def app():
    app = Roll()
    compress(app)
    app["stream"] = stream = sse(app, retry=2)
    app["feed"] = Feed()
    app["keep_alive"] = None

    @app.route("/")
    async def view(request, response):
        events = app["feed"].subscribe(since=request)
        stream(request, response, events, keep_alive=app["keep_alive"])

    return app


class Reader:
    """Asks for the stream, and inflates what it has received."""

    def __init__(self, app, accepted):
        self.transport = connect(app)
        field = f"Accept-Encoding: {accepted}"
        self.transport.feed(f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode())
        self.inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self.text = b""

    @property
    def head(self):
        return self.transport.data.partition(b"\r\n\r\n")[0]

    def read(self):
        """Give all that was sent so far, or what was compressed in it."""
        rest = self.transport.data.partition(b"\r\n\r\n")[2]
        data = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            data += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        if b"Content-Encoding" not in self.head:
            return data
        self.inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        return self.inflater.decompress(data)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip, br, zstd", b"gzip"), ("br, zstd", None), ("identity", None)],
)
async def test_each_event_comes_at_once(app, accepted, coding):
    """Kludex/starlette#2753, tower-http#419, jetty#4317, gin-contrib/gzip#16."""
    await app.startup()
    reader = Reader(app, accepted)
    await until(lambda: reader.head)
    found = re.search(rb"\r\nContent-Encoding: (.*)\r\n", reader.head)
    assert (found and found[1]) == coding
    assert b"Cache-Control: no-store\r\n" in reader.head
    position = app["feed"].subscribe().position
    expected = f"retry: 2000\nid: {position}\n\n".encode()
    await until(lambda: reader.read() == expected)
    for number in range(3):
        id = app["feed"].publish(f"event {number}")
        expected += f"id: {id}\ndata: event {number}\n\n".encode()
        await until(lambda whole=expected: reader.read() == whole)
    await app.shutdown()
    rest = reader.read().removeprefix(expected)
    assert re.fullmatch(rb"retry: [0-9]{4}\n\n", rest)
    assert reader.transport.data.endswith(b"\r\n0\r\n\r\n")
    assert reader.inflater.eof or coding is None


async def test_comments_come_at_once(app):
    app["keep_alive"] = 0.02
    reader = Reader(app, "gzip")
    await until(lambda: reader.read().endswith(b":\n\n:\n\n"))
    reader.transport.reset()
    await reader.transport.wait_closed()
    await turns()
    assert len(app["sse"]) == 0
    assert app["feed"]._waiting == set()
