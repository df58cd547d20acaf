"""WebSockets: roll-websockets beside websockets' own asyncio server, and aiohttp's.

Each server runs in a process and on a CPU of its own, on uvloop, without compression
and with nothing logged. The client, a protocol on uvloop that writes frames made before
and counts the bytes that come back, runs on another CPU. 32 connections send messages
which are sent back: 64 bytes with 1 and with 16 of them in flight on each, and 64 KiB
with 1. `broadcast` is one message after the other that each of 1000 members of a room
gets: the messages that they get together. Rounds of all servers alternate, and medians
are printed, so that a busy machine slows all. A ratio is Roll's rate divided by the
other's: above 1, Roll is faster.

Memory is how much the server's process (RSS) grows by 1000 connections that are idle:
without compression, and as each server is by default when the client offers to
compress, as browsers do: websockets agrees to it and keeps what that needs, aiohttp
makes it when it is used first, and Roll agrees on routes that ask for it.

Needs Linux. It takes a minute and a half.

On 2026-11-30, with 2 CPUs, Python 3.13.0, websockets 17.4, aiohttp 3.14.5 and uvloop
0.23.0:

    messages a second    64 B  ratio  64 B x 16  ratio  64 KiB  ratio  broadcast  ratio
    roll              122,382   1.00    513,963   1.00  39,968   1.00    202,999   1.00
    websockets         65,755   1.86     70,068   7.34  30,624   1.31    130,002   1.56
    aiohttp           115,221   1.06    140,184   3.67  34,067   1.17    182,000   1.12

    bytes of an idle connection
    roll                           9,544
    websockets                    11,637
    aiohttp                       10,387
    roll, default                  9,830
    websockets, default           44,880
    aiohttp, default              10,928
"""

import asyncio
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

HOST = "127.0.0.1"
CONNECTIONS = 32
IDLE = 1000
ROUNDS = 7
SECONDS = 1.0
WARM_UP = 0.2
LOADS = {
    "64 B": (64, 1),
    "64 B x 16": (64, 16),
    "64 KiB": (2**16, 1),
}
ROOM = "broadcast"
HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"


# Servers


async def serve_roll(sock):
    from roll import Limits, Roll, Server
    from roll.extensions import websockets_store

    class App(Roll):
        limits = Limits(connections=2 * IDLE)

    app = App()
    websockets_store(app)

    @app.route("/", protocol="websocket")
    async def echo(request, ws):
        async for message in ws:
            await ws.send(message)

    @app.route("/room", protocol="websocket")
    async def room(request, ws):
        group = app["websockets"].group("room")
        group.add(ws)
        async for message in ws:
            await group.broadcast(message)

    await Server(app, [sock]).start()


async def serve_websockets(sock, **options):
    import logging

    from websockets.asyncio.server import broadcast, serve

    members = set()

    async def echo(ws):
        if ws.request.path == "/room":
            members.add(ws)
            try:
                async for message in ws:
                    broadcast(members, message)
            finally:
                members.discard(ws)
        async for message in ws:
            await ws.send(message)

    logger = logging.Logger("none", logging.CRITICAL)
    await serve(echo, sock=sock, logger=logger, **options)


async def serve_aiohttp(sock, **options):
    from aiohttp import WSMsgType, web

    async def echo(request):
        ws = web.WebSocketResponse(**options)
        await ws.prepare(request)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        return ws

    members = set()

    async def room(request):
        ws = web.WebSocketResponse(**options)
        await ws.prepare(request)
        members.add(ws)
        try:
            async for message in ws:
                for member in [*members]:
                    await member.send_str(message.data)
        finally:
            members.discard(ws)
        return ws

    app = web.Application()
    app.router.add_get("/", echo)
    app.router.add_get("/room", room)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock).start()


SERVERS = {
    "roll": serve_roll,
    "websockets": partial(serve_websockets, compression=None),
    "aiohttp": partial(serve_aiohttp, compress=False),
}
DEFAULTS = {
    "roll, default": serve_roll,
    "websockets, default": serve_websockets,
    "aiohttp, default": serve_aiohttp,
}


def serve(name):
    """Serve until the parent ends us."""
    import uvloop

    async def run():
        sock = socket.create_server((HOST, 0), backlog=2048)
        await (SERVERS | DEFAULTS)[name](sock)
        print(sock.getsockname()[1], flush=True)
        await asyncio.Event().wait()

    uvloop.run(run())


@contextmanager
def running(name, cpu):
    """Run a server in a process of its own: give its port and its process."""
    process = subprocess.Popen(
        [sys.executable, __file__, "serve", name, cpu],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # aiohttp tells that clients leave
    )
    try:
        yield int(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# The client


def frame(size):
    """Write a masked text frame of that many letters; a mask of zeros changes none."""
    data = b"x" * size
    if size < 126:
        return bytes((0x81, 0x80 | size)) + bytes(4) + data
    return bytes((0x81, 0xFF)) + size.to_bytes(8) + bytes(4) + data


def answer_size(size):
    """Count the bytes of the frame that comes back."""
    return size + (2 if size < 126 else 4 if size < 2**16 else 10)


class Client(asyncio.Protocol):
    """Keeps messages in flight, and counts those that came back."""

    def __init__(self, size, in_flight, offer):
        self.handshake = HANDSHAKE % b"/" + offer + b"\r\n"
        self.frame = frame(size)
        self.size = answer_size(size)
        self.in_flight = in_flight
        self.count = self.rest = 0
        self.head = b""
        self.open = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.handshake)

    def data_received(self, data):
        if not self.open.done():
            self.head += data
            if self.head.endswith(b"\r\n\r\n"):
                assert self.head.startswith(b"HTTP/1.1 101 "), self.head
                self.open.set_result(None)
            return
        whole, self.rest = divmod(self.rest + len(data), self.size)
        self.count += whole
        if whole:
            self.transport.write(self.frame * whole)

    def start(self):
        self.transport.write(self.frame * self.in_flight)


class Member(Client):
    """Is in the room; the first one speaks again when the last one has heard it."""

    def __init__(self, members):
        super().__init__(64, 1, b"")
        self.handshake = HANDSHAKE % b"/room" + b"\r\n"
        self.members = members
        members.append(self)

    def data_received(self, data):
        if not self.open.done():
            return super().data_received(data)
        whole, self.rest = divmod(self.rest + len(data), self.size)
        self.members.count += whole
        if self.members.count == len(self.members):
            self.members.count = 0
            self.members.rounds += 1
            self.members[0].start()


class Members(list):
    count = rounds = 0


async def measure_broadcast(port):
    """Count the messages that the room gets in a second."""
    loop = asyncio.get_running_loop()
    members = Members()
    for _ in range(IDLE):
        _, member = await loop.create_connection(lambda: Member(members), HOST, port)
        await member.open
    members[0].start()
    await asyncio.sleep(WARM_UP)
    before, start = members.rounds, time.perf_counter()
    await asyncio.sleep(SECONDS)
    rounds, spent = members.rounds - before, time.perf_counter() - start
    for member in members:
        member.transport.abort()
    await asyncio.sleep(0.5)
    return rounds * IDLE / spent


async def connect(port, number, size=64, in_flight=1, offer=b""):
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(number):
        _, client = await loop.create_connection(
            lambda: Client(size, in_flight, offer), HOST, port
        )
        await client.open
        clients.append(client)
    return clients


async def measure(port, size, in_flight):
    """Count the messages that come back in a second."""
    clients = await connect(port, CONNECTIONS, size, in_flight)
    for client in clients:
        client.start()
    await asyncio.sleep(WARM_UP)
    before, start = sum(client.count for client in clients), time.perf_counter()
    await asyncio.sleep(SECONDS)
    count, spent = sum(client.count for client in clients), time.perf_counter() - start
    for client in clients:
        client.transport.abort()
    await asyncio.sleep(0.05)
    return (count - before) / spent


def resident(process):
    """Tell the memory of a process, in bytes."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def measure_idle(port, process, offer):
    """Tell what a connection that is idle costs, in bytes."""
    for client in await connect(
        port, 50, offer=offer
    ):  # so that what is made once is made
        client.transport.abort()
    await asyncio.sleep(0.5)
    before = resident(process)
    clients = await connect(port, IDLE, offer=offer)
    await asyncio.sleep(0.5)
    after = resident(process)
    for client in clients:
        client.transport.abort()
    return (after - before) / IDLE


def main():
    if not hasattr(os, "sched_setaffinity"):
        print("bench_websockets.py: needs Linux, to keep to a CPU")
        return
    import uvloop

    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        print("bench_websockets.py: needs two CPUs")
        return
    os.sched_setaffinity(0, {cpus[-2]})
    names = [f"{name} {version(name)}" for name in ("websockets", "aiohttp", "uvloop")]
    print(f"{len(cpus)} CPUs, Python {platform.python_version()}, {', '.join(names)}\n")
    columns = [*LOADS, ROOM]
    print(
        f"{'messages a second':<18}" + "".join(f"{load:>12}  ratio" for load in columns)
    )
    rates = {(name, load): [] for name in SERVERS for load in columns}
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(running(name, str(cpus[-1])))[0]
            for name in SERVERS
        }
        for _ in range(ROUNDS):
            for load, (size, in_flight) in LOADS.items():
                for name, port in ports.items():
                    rate = uvloop.run(measure(port, size, in_flight))
                    rates[name, load].append(rate)
            for name, port in ports.items():
                rates[name, ROOM].append(uvloop.run(measure_broadcast(port)))
    medians = {key: statistics.median(found) for key, found in rates.items()}
    for name in SERVERS:
        line = f"{name:<18}"
        for load in columns:
            rate = medians[name, load]
            line += f"{rate:>12,.0f} {medians['roll', load] / rate:>6.2f}"
        print(line)
    print(f"\n{'bytes of an idle connection':<30}")
    for name in SERVERS | DEFAULTS:
        with running(name, str(cpus[-1])) as (port, process):
            offer = OFFER if name in DEFAULTS else b""
            size = uvloop.run(measure_idle(port, process, offer))
            print(f"{name:<24}{size:>12,.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        os.sched_setaffinity(0, {int(sys.argv[3])})
        serve(sys.argv[2])
    else:
        main()
