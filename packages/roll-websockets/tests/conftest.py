"""A client on bytes, at the other end of a transport in memory, and the app it asks."""

import asyncio
import os

import pytest
from roll import Roll
from roll_testing import Transport, settle, until
from websockets.frames import apply_mask

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # of RFC 6455, section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def handshake(path="/", **headers):
    """Write an opening handshake; a field that is None is left out."""
    fields = {
        "Host": "example.org",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


def frame(first, data=b"", mask=None):
    """Write a frame of a client; *first* is its first byte."""
    mask = os.urandom(4) if mask is None else mask
    size = len(data)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 2**16:
        head = bytes((first, 0xFE)) + size.to_bytes(2)
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8)
    return head + mask + apply_mask(data, mask)


def parse(data):
    """Read the frames of a server: the first byte and the payload of each."""
    frames = []
    while data:
        size, start = data[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start])
        frames.append((data[0], data[start : start + size]))
        data = data[start + size :]
    return frames


class Peer:
    """A client that has sent its handshake."""

    def __init__(self, app, path="/", rest=b"", transport=Transport, **headers):
        self.transport = transport(protocol := app.factory())
        protocol.connection_made(self.transport)
        self.transport.feed(handshake(path, **headers) + rest)

    @property
    def head(self):
        return self.transport.data.partition(b"\r\n\r\n")[0].decode()

    @property
    def status(self):
        return int(self.head.split()[1])

    @property
    def frames(self):
        return parse(self.transport.data.partition(b"\r\n\r\n")[2])

    def send(self, first, data=b""):
        self.transport.feed(frame(first, data))

    def text(self, *messages):
        self.transport.feed(b"".join(frame(0x81, one.encode()) for one in messages))

    async def settle(self):
        await settle(self.transport, idle=0.02)
        return self.frames

    async def received(self, number):
        """Wait for that many frames."""
        await until(lambda: len(self.frames) >= number, f"frame {number}")
        return self.frames

    async def leave(self):
        """Vanish, and wait until the app has noticed."""
        self.transport.disconnect()
        await self.transport.wait_closed()


class App(Roll):
    """Keeps what its WebSockets see."""

    def __init__(self):
        super().__init__()
        self.events = []

        @self.listen("websocket_connect")
        async def note_connect(request, ws):
            self.events.append("connect")

        @self.listen("websocket_disconnect")
        async def note_disconnect(request, ws):
            self.events.append("disconnect")

    def ws(self, path="/", **extras):
        """Declare a view that is noted in `events`."""

        def declare(view):
            async def noted(request, ws, **variables):
                self.events.append("view")
                await view(request, ws, **variables)

            self.route(path, protocol="websocket", **extras)(noted)
            return view

        return declare

    async def ended(self):
        """Wait until the last connection has ended."""
        await until(lambda: not self.connections, "the end of the connections")


@pytest.fixture
async def app():
    app = App()
    yield app
    await app.ended()


@pytest.fixture
def echo(app):
    @app.ws("/")
    async def echo(request, ws):
        async for message in ws:
            await ws.send(message)

    return echo


@pytest.fixture
async def join(app):
    """Give a function that opens a WebSocket of `app`."""
    peers = []

    async def open_peer(path="/", rest=b"", **options):
        peer = Peer(app, path, rest, **options)
        peers.append(peer)
        await until(lambda: peer.transport.data)
        await asyncio.sleep(0)
        return peer

    open_peer.frame = frame
    open_peer.accept = ACCEPT
    yield open_peer
    for peer in peers:
        await peer.leave()
    for connection in app.connections:  # a view that waits for something else
        if connection._task is not None:
            connection._task.cancel()
