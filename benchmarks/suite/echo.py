"""A client that writes WebSocket messages made before, and counts what comes back."""

import asyncio
import time

import uvloop

HANDSHAKE = (
    "GET /echo HTTP/1.1\r\nHost: {host}:{port}\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TEXT = b"x" * 64
# Masked by zeros, which change nothing (RFC 6455, section 5.3).
SENT = bytes([0x81, 0x80 | len(TEXT)]) + bytes(4) + TEXT
ANSWER = bytes([0x81, len(TEXT)]) + TEXT
WARM_UP = 0.2  # seconds


class Client(asyncio.Protocol):
    """One connection, with one message in flight."""

    def __init__(self, head, failed):
        self.head = head
        self.failed = failed
        self.count = 0
        self.waiting = b""
        self.open = False

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.head)

    def data_received(self, data):
        self.waiting += data
        if not self.open:
            self.open_up()
        elif self.waiting == ANSWER:
            self.count += 1
            self.waiting = b""
            self.transport.write(SENT)
        elif not ANSWER.startswith(self.waiting):
            self.fail(f"the echo is {self.waiting[:80]!r}")

    def open_up(self):
        head, end, rest = self.waiting.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101 ") or rest:
            return self.fail(f"the handshake is answered {head[:80]!r}")
        self.open = True
        self.waiting = b""
        self.transport.write(SENT)

    def connection_lost(self, error):
        self.fail(f"the connection ends: {error}")

    def fail(self, problem):
        if not self.failed.done():
            self.failed.set_exception(RuntimeError(problem))


async def echo(host, port, connections, seconds):
    """Send messages on many connections.

    Returns:
        How many came back, and the seconds that it took.

    Raises:
        RuntimeError: A handshake fails, an echo differs, or a connection ends.
    """
    loop = asyncio.get_running_loop()
    failed = loop.create_future()
    head = HANDSHAKE.format(host=host, port=port).encode()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: Client(head, failed), host, port
        )
        clients.append(client)
    await wait(failed, WARM_UP)
    before = sum(client.count for client in clients)
    if not before:
        raise RuntimeError("no message comes back")
    started = time.perf_counter()
    await wait(failed, seconds)
    took = time.perf_counter() - started
    count = sum(client.count for client in clients) - before
    failed.cancel()
    for client in clients:
        client.transport.abort()
    return count, took


async def wait(failed, seconds):
    done, _ = await asyncio.wait([failed], timeout=seconds)
    for future in done:
        future.result()


def run_echo(host, port, connections, seconds):
    """Do so in a loop of its own."""
    return uvloop.run(echo(host, port, connections, seconds))
