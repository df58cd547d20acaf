"""The opening handshake (RFC 6455, section 4.2)."""

import asyncio
import zlib

import pytest
from roll import HttpError, Roll
from roll_testing import exchange, until

TEXT, CLOSE = 0x81, 0x88


async def test_the_answer_is_that_of_the_standard(echo, join):
    peer = await join()
    assert peer.head.splitlines() == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {join.accept}",
    ]


@pytest.mark.parametrize(
    ("path", "fields", "status", "line"),
    [
        ("/", {"Sec_WebSocket_Key": None}, 400, "Sec-WebSocket-Version: 13"),
        ("/", {"Sec_WebSocket_Key": "c2hvcnQ="}, 400, None),
        ("/", {"Sec_WebSocket_Key": "é" * 16}, 400, None),
        ("/", {"Sec_WebSocket_Version": None}, 400, "Sec-WebSocket-Version: 13"),
        ("/", {"Sec_WebSocket_Version": "8"}, 400, "Sec-WebSocket-Version: 13"),
        ("/", {"Sec_WebSocket_Protocol": "a,,b c"}, 400, None),
        ("/deflate", {"Sec_WebSocket_Extensions": "=="}, 400, None),
        ("/", {"Upgrade": "h2c"}, 501, None),
        ("/", {"Upgrade": None, "Connection": None}, 426, "Upgrade: websocket"),
        ("/plain", {}, 501, None),
        ("/none", {}, 404, None),
        ("/", {"Origin": "https://evil.example"}, 403, None),
    ],
)
async def test_a_handshake_that_is_refused(echo, app, join, path, fields, status, line):
    @app.route("/plain")
    async def plain(request, response): ...

    app.ws("/deflate", compression="deflate")(echo)
    peer = await join(path, **fields)
    await peer.settle()
    assert peer.status == status
    assert line is None or line in peer.head.splitlines()
    assert "evil" not in peer.transport.data.decode()
    assert app.events == []


async def test_head_is_no_method_of_a_handshake(echo, app):
    head = (
        b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"\r\n"
    )
    data, closed = await exchange(app, head)
    assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert closed


async def test_a_listener_may_refuse_a_handshake(echo, app, join):
    @app.listen("request")
    async def refuse(request, response):
        raise HttpError(401)

    assert (await join()).status == 401
    assert app.events == []


@pytest.mark.parametrize(
    ("origins", "origin", "host", "status"),
    [
        (None, None, "example.org", 101),
        (None, "https://example.org", "example.org", 101),
        (None, "http://EXAMPLE.org", "example.ORG", 101),
        (None, "https://example.org", "example.org:443", 101),
        (None, "http://example.org", "example.org:80", 101),
        (None, "http://localhost:3579", "localhost:3579", 101),
        (None, "http://localhost:3000", "localhost:3579", 403),
        (None, "http://example.org", "example.org:443", 403),
        (None, "https://sub.example.org", "example.org", 403),
        (None, "https://example.org.evil.example", "example.org", 403),
        (None, "null", "example.org", 403),
        (None, "example.org", "example.org", 403),
        (["https://a.example"], "https://a.example", "example.org", 101),
        (["https://a.example"], "https://example.org", "example.org", 403),
        (["null"], "null", "example.org", 101),
        ([], None, "example.org", 101),
        ([], "https://example.org", "example.org", 403),
        ("*", "https://evil.example", "example.org", 101),
    ],
)
async def test_the_origin_decides(app, join, origins, origin, host, status):
    app.ws("/", origins=origins)(lambda request, ws: ws.recv())
    assert (await join(Origin=origin, Host=host)).status == status


@pytest.mark.parametrize(
    ("known", "offered", "chosen"),
    [
        (["a", "b"], "b, a", "b"),  # RFC 6455, 4.1: in the order of its preference
        (["b", "a"], "c,b", "b"),
        (["a"], "c", None),
        (["a"], None, None),
        ([], "a", None),
    ],
)
async def test_the_first_subprotocol_that_both_know(app, join, known, offered, chosen):
    @app.ws("/", subprotocols=known)
    async def view(request, ws):
        await ws.send(str(ws.subprotocol))

    peer = await join(Sec_WebSocket_Protocol=offered)
    assert (await peer.received(1))[0] == (TEXT, str(chosen).encode())
    line = f"Sec-WebSocket-Protocol: {chosen}"
    assert (line in peer.head.splitlines()) == (chosen is not None)


async def test_extras_may_be_given_without_a_route(app, join):
    class Told(app.WebsocketProtocol):
        def __init__(self, request, response):
            super().__init__(request, response, {"subprotocols": ["b"]})

    app.WebsocketProtocol = Told

    @app.ws("/", subprotocols=["a"])
    async def view(request, ws):
        await ws.send(str(ws.subprotocol))

    peer = await join(Sec_WebSocket_Protocol="a, b")
    assert (await peer.received(1))[0] == (TEXT, b"b")


@pytest.mark.parametrize(
    ("extras", "error", "match"),
    [
        ({"subprotocols": "a"}, TypeError, "subprotocols='a': give a list"),
        ({"subprotocols": [1]}, TypeError, "give a list of strings"),
        ({"subprotocols": ["a b"]}, ValueError, "give a token"),
        ({"origins": "https://a.example"}, TypeError, "origins='https://a.example'"),
        ({"origins": ["https://a.example/"]}, ValueError, "without a path"),
        ({"origins": ["*"]}, ValueError, r"origins='\*' for all"),
        ({"origins": ["https://A.example"]}, ValueError, "in lower case"),
        ({"compression": "gzip"}, ValueError, "give 'deflate', or None"),
    ],
)
def test_a_wrong_extra_is_an_error_when_declared(extras, error, match):
    declare = Roll().route("/", protocol="websocket", **extras)
    with pytest.raises(error, match=match):
        declare(lambda request, ws: None)


# Compression (RFC 7692)

OFFER = "permessage-deflate; client_max_window_bits"


def deflate(data):
    compress = zlib.compressobj(wbits=-12)
    return (compress.compress(data) + compress.flush(zlib.Z_SYNC_FLUSH))[:-4]


def deflate_alone(data):
    """Deflate a message that refers to none before it."""
    compress = zlib.compressobj(wbits=-9)
    return (compress.compress(data) + compress.flush(zlib.Z_FULL_FLUSH))[:-4]


@pytest.mark.parametrize("everywhere", [True, False])
async def test_compression_is_agreed_to_when_asked_for(app, join, everywhere):
    kind = app.WebsocketProtocol
    if everywhere:
        app.WebsocketProtocol = type("Deflates", (kind,), {"COMPRESSION": "deflate"})
    extras = {} if everywhere else {"compression": "deflate"}

    @app.ws("/", **extras)
    async def echo(request, ws):
        async for message in ws:
            await ws.send(message)

    peer = await join(Sec_WebSocket_Extensions=OFFER)
    assert "Sec-WebSocket-Extensions: permessage-deflate" in peer.head
    peer.send(0xC1, deflate(b"x" * 1000))
    peer.send(0x82, b"plain")
    peer.send(0x41, deflate(b"y" * 10) + b"\0\0\xff\xff")
    peer.send(0x80, deflate(b""))
    frames = await peer.received(3)
    assert [first for first, _ in frames] == [0xC1, 0xC2, 0xC1]
    inflate = zlib.decompressobj(wbits=-12)
    texts = [inflate.decompress(data + b"\0\0\xff\xff") for _, data in frames]
    assert texts == [b"x" * 1000, b"plain", b"y" * 10]


@pytest.mark.parametrize("extras", [{}, {"compression": None}])
async def test_no_compression_without_asking(app, join, extras):
    app.ws("/", **extras)(lambda request, ws: ws.recv())
    peer = await join(Sec_WebSocket_Extensions=OFFER)
    assert "Extensions" not in peer.head
    peer.send(0xC1, deflate(b"x"))
    assert (await peer.received(1))[0][1][:2] == b"\x03\xea"  # 1002


@pytest.mark.parametrize("fragments", [1, 2, 50])
async def test_what_a_message_inflates_to_is_bounded(app, join, fragments):
    got = []

    @app.ws("/", compression="deflate")
    async def view(request, ws):
        got.extend([len(message) async for message in ws])

    peer = await join(Sec_WebSocket_Extensions=OFFER)
    bomb = deflate(b"\0" * (2**20 + fragments))
    assert len(bomb) < 2**13
    size = -(-len(bomb) // fragments)
    pieces = [bomb[at : at + size] for at in range(0, len(bomb), size)]
    for number, piece in enumerate(pieces):
        first = 0x42 if number == 0 else 0x00
        peer.send(first | (0x80 if number == len(pieces) - 1 else 0), piece)
    closed = await peer.received(1)
    assert (closed[0][0], closed[0][1][:2]) == (CLOSE, b"\x03\xf1")  # 1009
    await app.ended()
    assert got == []


@pytest.mark.parametrize("split", [None, 1, 7])
async def test_what_comes_after_our_close_is_not_inflated(app, join, split):
    codes = []

    @app.ws("/", compression="deflate")
    async def view(request, ws):
        await ws.close()
        codes.append(ws.close_code)

    peer = await join(Sec_WebSocket_Extensions=OFFER)
    rest = b"".join(
        join.frame(*one)
        for one in [
            (0xC2, b"nothing that was deflated"),
            (0x41, b"nor was" + b"x" * 200),
            (0x89, b"?"),
            (0x80, b"this" + b"x" * 70_000),
            (CLOSE, b"\x0b\xb9"),
        ]
    )
    for start in range(0, len(rest), split or len(rest)):
        peer.transport.feed(rest[start : start + (split or len(rest))])
    await app.ended()
    assert peer.frames == [(CLOSE, b"\x03\xe8"), (0x8A, b"?")]
    assert codes == [3001]


@pytest.mark.parametrize("size", [2**10, 2**16, 2**20])
async def test_what_messages_inflate_to_at_once_is_bounded(app, join, size):
    @app.ws("/", compression="deflate")
    async def view(request, ws):
        await ws.wait_closed()

    peer = await join(Sec_WebSocket_Extensions=OFFER)
    (ws,) = app.connections
    peer.transport.feed(join.frame(0xC2, deflate_alone(b"\0" * size)) * 200)
    assert size <= ws._size <= ws.READ_LIMIT + size
    assert not peer.transport.is_reading()


async def test_many_messages_that_inflate_pause_reading_one_by_one(app, join):
    gate = asyncio.Event()
    most = []

    @app.ws("/", compression="deflate")
    async def view(request, ws):
        await gate.wait()
        most.extend([len(ws._messages) async for _ in ws])

    peer = await join(Sec_WebSocket_Extensions=OFFER)
    bomb = join.frame(0xC2, deflate_alone(b"\0" * 2**20))
    peer.transport.feed(bomb * 20)
    assert not peer.transport.is_reading()
    gate.set()
    await until(peer.transport.is_reading)
    peer.send(CLOSE)
    await app.ended()
    assert most == [0] * 20


@pytest.mark.parametrize("name", ["subprotocols", "origins", "compression"])
async def test_a_misspelled_extra_keeps_the_app_from_starting(name):
    async def view(request, ws): ...

    app = Roll()
    app.route("/x", protocol="websocket", **{name[:-1]: None})(view)
    with pytest.raises(TypeError, match=f"/x: {name[:-1]}= is unknown.*mean {name}="):
        await app.startup()
