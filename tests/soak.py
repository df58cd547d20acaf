"""Clients of all kinds, many of which leave at a bad moment; see what stays behind.

Run it as `python -m tests.soak --seconds 600`; `test_soak_mixed.py` runs it for a few
seconds. Every request has a token of its own, and its response must have the same. What
clients do follows from the seed, which is printed; when they do it does not.
"""

import argparse
import asyncio
import gc
import logging
import os
import random
import resource
import socket
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import h11
from roll import Limits, Roll, Server
from roll_static import static
from roll_testing import patience, until

try:
    import uvloop
except ImportError:  # it is not made for every platform
    uvloop = None

LOOPS = {"asyncio": asyncio.new_event_loop}
if uvloop:
    LOOPS["uvloop"] = uvloop.new_event_loop

KIB = 1024
MIB = 1024 * KIB
GROWTH = 16 * MIB
"""Bytes that the process may take more after the warm-up, however long it runs."""
CLIENTS = 24
"""Connections at a time."""
PATIENCE = patience(30)
"""Seconds in which a client must have its responses, on the slowest machine."""
WARM_UP = 0.2
"""The part of the time after which the memory is to be flat."""


# The app: each response is made of its own request, some time after it came


class App(Roll):
    limits = Limits(
        spool=4 * KIB,
        head_timeout=2 * PATIENCE,
        body_timeout=2 * PATIENCE,
        keep_alive=2 * PATIENCE,
        write_timeout=2 * PATIENCE,
        shutdown=5,
    )

    def __init__(self, root):
        super().__init__()
        static(self, root=root)
        self.route("/plain")(self.plain)
        self.route("/echo", ["POST"])(self.echo)
        self.route("/stream")(self.stream)
        self.route("/loaded", ["POST"])(self.form)
        self.route("/form", ["POST"], lazy_body=True)(self.load_form)
        self.route("/lazy", ["POST"], lazy_body=True)(self.lazy)
        self.route("/talk", protocol="websocket")(self.talk)
        self.listen("response")(self.add_token)

    async def add_token(self, request, response):
        if token := request.headers.get("X-TOKEN", ""):
            response.headers["X-Token"] = token

    async def plain(self, request, response):
        token = request.query.get("token")
        for _ in range(zlib.crc32(token.encode()) % 4):
            await asyncio.sleep(0)
        response.body = token

    async def echo(self, request, response):
        await asyncio.sleep(0)
        response.body = request.query.get("token").encode() + request.body

    async def stream(self, request, response):
        response.body = self.lines(
            request.query.get("token"), request.query.int("count")
        )

    async def lines(self, token, count):
        for number in range(count):
            yield line(token, number)
            if number % 7 == 0:
                await asyncio.sleep(0)

    async def load_form(self, request, response):
        await request.load_form()
        await self.form(request, response)

    async def form(self, request, response):
        with request.files.get("file") as file:
            await asyncio.sleep(0)
            response.body = summary(request.form.get("token"), file.read())

    async def lazy(self, request, response):
        size = crc = 0
        async for piece in request:
            size, crc = size + len(piece), zlib.crc32(piece, crc)
            await asyncio.sleep(0)
        response.body = f"{request.query.get('token')} {size} {crc}"

    async def talk(self, request, ws):
        token = request.query.get("token")
        async for message in ws:
            await ws.send(f"{token}{message}")


def line(token, number):
    return f"{token} {number} {'x' * 1000}\n"


def summary(token, data):
    return f"{token} {len(data)} {zlib.crc32(data)}"


# What clients send, and what they must get


class Case(NamedTuple):
    token: str
    method: str
    raw: bytes
    status: int
    body: bytes


def request_of(token, method, target, fields=(), body=b""):
    lines = [f"{method} {target} HTTP/1.1", "Host: a", f"X-Token: {token}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


def make_plain(rng, token):
    method = rng.choice(["GET", "GET", "HEAD"])
    raw = request_of(token, method, f"/plain?token={token}")
    return Case(token, method, raw, 200, token.encode() if method == "GET" else b"")


def make_echo(rng, token):
    body = rng.randbytes(rng.choice([0, 10, 3000, 70_000]))
    fields = [f"Content-Length: {len(body)}"]
    raw = request_of(token, "POST", f"/echo?token={token}", fields, body)
    return Case(token, "POST", raw, 200, token.encode() + body)


def make_stream(rng, token):
    count = rng.choice([0, 1, 30, 500])
    raw = request_of(token, "GET", f"/stream?token={token}&count={count}")
    body = "".join(line(token, number) for number in range(count))
    return Case(token, "GET", raw, 200, body.encode())


def make_lazy(rng, token):
    pieces = [rng.randbytes(rng.randrange(1, 9000)) for _ in range(rng.randrange(12))]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    fields = ["Transfer-Encoding: chunked"]
    raw = request_of(token, "POST", f"/lazy?token={token}", fields, body + b"0\r\n\r\n")
    return Case(token, "POST", raw, 200, summary(token, b"".join(pieces)).encode())


def make_form(rng, token):
    data = rng.randbytes(rng.choice([0, 100, 5000, 100_000, 300_000]))
    part = '--x--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
    body = (part % ("token", "") + token + "\r\n").encode()
    body += (part % ("file", '; filename="f"')).encode() + data + b"\r\n--x--x--\r\n"
    fields = [
        "Content-Type: multipart/form-data; boundary=x--x",
        f"Content-Length: {len(body)}",
    ]
    path = rng.choice(["/form", "/loaded"])
    raw = request_of(token, "POST", path, fields, body)
    return Case(token, "POST", raw, 200, summary(token, data).encode())


def file_content(number):
    return f"{number}.".encode() * (4 ** (number + 1))


def make_static(rng, token):
    number = rng.randrange(FILES)
    content, status, fields = file_content(number), 200, []
    if rng.random() < 0.3:
        start = rng.randrange(len(content))
        content, status, fields = content[start:], 206, [f"Range: bytes={start}-"]
    raw = request_of(token, "GET", f"/static/{number}.bin", fields)
    return Case(token, "GET", raw, status, content)


FILES = 9  # the largest has half a mebibyte
MAKERS = [make_plain, make_echo, make_stream, make_lazy, make_form, make_static]


# How clients behave

COMPLETE = ["all", "all", "all", "stall"]
CUT = ["reset while sending", "end while sending", "half close while sending"]
# One that ends its own side may have left: its responses may be missing, never wrong.
LEAVING = ["reset while reading", "end while reading", "half close"]


class Client:
    """One connection, with some requests, and how it ends.

    Args:
        rng: What decides.
        name: What no other client has.
        seen: Counts what was done.
    """

    def __init__(self, rng, name, seen):
        self.rng = rng
        self.name = name
        self.seen = seen

    async def run(self, address, talks):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KIB)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, address)
            self.reader, self.writer = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        self.sock = sock
        try:
            await (self.talk() if talks else self.ask())
        finally:
            self.writer.transport.abort()
            with suppress(OSError):
                await self.writer.wait_closed()

    def leave(self, how):
        if how.startswith("reset"):
            self.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        if how.startswith("half"):
            self.writer.write_eof()
        else:
            self.writer.transport.abort()

    async def pause(self):
        await asyncio.sleep(self.rng.choice([0, 0, 0, 0.001, 0.01]))

    async def send(self, data, how):
        """Send in pieces, or a part of it, and then leave."""
        if how in CUT:
            data = data[: self.rng.randrange(len(data))]
        start = 0
        with suppress(ConnectionError):
            while start < len(data):
                size = self.rng.choice([1, 50, 2000, 50_000, 500_000])
                self.writer.write(data[start : start + size])
                await self.writer.drain()
                await self.pause()
                start += size
            if how in CUT or how == "half close":
                self.leave(how)

    # Plain HTTP

    async def ask(self):
        rng = self.rng
        cases = [
            rng.choice(MAKERS)(rng, f"{self.name}.{number}")
            for number in range(rng.choice([1, 1, 2, 5]))
        ]
        how = rng.choice([*COMPLETE, *CUT, *LEAVING])
        self.seen[how] += 1
        sent = b"".join(case.raw for case in cases)
        leaves_at = rng.choice([1, 200, 5000, 100_000]) if "reading" in how else None
        sending = asyncio.create_task(self.send(sent, how))
        try:
            if how == "stall":
                await asyncio.sleep(0.05)
            await self.read(cases, how, leaves_at)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        if not sending.cancelled():
            sending.result()

    async def read(self, cases, how, leaves_at):
        """Read the responses, and compare each with what its request is to get."""
        rest = b""
        for case in cases:
            answer = Answer(case, rest)
            while not answer.complete:
                try:
                    data = await self.reader.read(64 * KIB)
                except ConnectionError:
                    data = b""
                if data and leaves_at is not None:
                    leaves_at -= len(data)
                    if leaves_at <= 0:
                        self.leave(how)
                        data = b""
                if not data:
                    break
                answer.receive(data)
            answer.check(whole=how in COMPLETE)
            if not answer.complete or answer.refused:
                break
            self.seen["requests"] += 1
            rest = answer.rest

    # WebSockets

    async def talk(self):
        rng = self.rng
        how = rng.choice(["all", "all", *CUT, *LEAVING])
        self.seen[f"websocket, {how}"] += 1
        fields = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        self.writer.write(
            request_of(self.name, "GET", f"/talk?token={self.name}", fields)
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert f"\r\nX-Token: {self.name}\r\n".encode() in head, head
        messages = [
            rng.randbytes(rng.choice([0, 20, 150, 40_000])).hex().encode()
            for _ in range(rng.randrange(1, 10))
        ]
        sent = b"".join(frame(0x81, message, rng.randbytes(4)) for message in messages)
        sending = asyncio.create_task(self.send(sent, how))
        try:
            await self.listen(messages, how)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        if not sending.cancelled():
            sending.result()

    async def listen(self, messages, how):
        heard = 0
        leaves_at = self.rng.randrange(len(messages)) if "reading" in how else None
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while heard != leaves_at:
                opcode, data = await self.read_frame()
                if opcode == 8:
                    break
                if opcode == 1:
                    assert data == self.name.encode() + messages[heard], (heard, data)
                    heard += 1
                    if how == "all" and heard == len(messages):
                        self.writer.write(frame(0x88, b"\x03\xe8", b"mask"))
            else:
                self.leave(how)
        self.seen["messages"] += heard
        if how == "all":
            assert heard == len(messages), (heard, len(messages))

    async def read_frame(self):
        first, size = await self.reader.readexactly(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 15, await self.reader.readexactly(size)


def frame(first, data, mask):
    """Write a frame of a client (RFC 6455, section 5.2)."""
    size = len(data)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    key = int.from_bytes((mask * (size // 4 + 1))[:size])
    return head + mask + (int.from_bytes(data) ^ key).to_bytes(size)


class Answer:
    """The part of the response to one request that was received, as h11 reads it."""

    def __init__(self, case, data):
        self.case = case
        self.head = None
        self.body = b""
        self.complete = self.bad = False
        self.h11 = h11.Connection(h11.CLIENT)
        self.h11.send(
            h11.Request(method=case.method, target="/", headers=[("Host", "a")])
        )
        self.h11.send(h11.EndOfMessage())
        self.receive(data)

    def receive(self, data):
        if data:
            self.h11.receive_data(data)
        while (event := self.h11.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                self.head = event
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.complete = True
                return

    @property
    def rest(self):
        return self.h11.trailing_data[0]

    @property
    def refused(self):
        return self.head is not None and self.head.status_code >= 400

    def check(self, whole):
        """See that it is the right one, as far as it came."""
        case = self.case
        if whole:
            assert self.complete, (case.raw[:200], self.head, len(self.body))
        if self.head is None:
            return
        if self.refused and not whole:  # what was cut short, and got no token
            assert self.head.status_code in (400, 408), self.head
            return
        tokens = [value for name, value in self.head.headers if name == b"x-token"]
        assert tokens == [case.token.encode()], (case.token, self.head)
        assert self.head.status_code == case.status, self.head
        assert case.body.startswith(self.body), (case.raw[:200], self.body[:200])
        assert not self.complete or len(case.body) == len(self.body)


# What stays behind


class Left(NamedTuple):
    """What is open or running when nobody is connected."""

    descriptors: int
    tasks: int
    connections: int
    files: int
    memory: int


def temporary_files(folder):
    """Count what is in the folder, and what is open there although it has no name."""
    names = os.listdir(folder)
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):
            names += [name] * os.readlink(f"/dev/fd/{name}").startswith(str(folder))
    return len(names)


def resident():
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except FileNotFoundError:  # not on Linux: only the others are compared
        return 0
    return int(pages) * resource.getpagesize()


async def left(app, folder):
    """Wait until all clients are gone, and count."""
    await until(
        lambda: not app.connections and len(asyncio.all_tasks()) <= STEADY_TASKS,
        "the end of all connections",
        timeout=30,
    )
    gc.collect()
    await until(  # a thread may still be at work
        lambda: not temporary_files(folder), "the end of all files", timeout=30
    )
    return Left(
        len(os.listdir("/dev/fd")),
        len(asyncio.all_tasks()),
        len(app.connections),
        temporary_files(folder),
        resident(),
    )


STEADY_TASKS = 2  # the one that runs this, and the one that accepts


class Reports(logging.Handler):
    """Keeps what is logged as an error, and what the loop reports."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []

    def emit(self, record):
        self.found.append(record.getMessage())

    def take(self, loop, context):
        self.found.append(repr(context))


@contextmanager
def reports(loop):
    handler = Reports()
    loggers = [logging.getLogger(name) for name in ("roll", "asyncio")]
    for logger in loggers:
        logger.addHandler(handler)
    loop.set_exception_handler(handler.take)
    try:
        yield handler.found
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


async def drive(address, seed, until, seen):
    """Keep so many clients busy until then, each at least twice."""

    async def work(number):
        rng = random.Random(f"{seed} {number}")
        turn = 0
        while turn < 2 or time.monotonic() < until:
            turn += 1
            client = Client(rng, f"t{seed}-{number}-{turn}", seen)
            async with asyncio.timeout(PATIENCE):
                await client.run(address, talks=(number + turn) % 6 == 0)

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(work(number))


async def soak(folder, seed, seconds):
    """Serve an app to many clients; give what was done, and what stayed behind."""
    root = folder / "files"
    temporary = folder / "temporary"
    for path in (root, temporary):
        path.mkdir()
    for number in range(FILES):
        (root / f"{number}.bin").write_bytes(file_content(number))
    app, seen = App(root), Counter()
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * KIB)  # streams stall
    server = Server(app, [sock])
    tempfile.tempdir, before = str(temporary), tempfile.tempdir
    with reports(asyncio.get_running_loop()) as found:
        await server.start()
        try:
            start, address = time.monotonic(), sock.getsockname()
            await drive(address, f"{seed}w", start + seconds * WARM_UP, Counter())
            first = await left(app, temporary)
            await drive(address, seed, start + seconds, seen)
            last = await left(app, temporary)
        finally:
            await server.stop()
            tempfile.tempdir = before
    assert found == [], found[:10]
    return seen, first, last


def check(first, last):
    """Require that nothing stayed behind."""
    assert last[:-1] == first[:-1], (first, last)
    assert last.memory - first.memory < GROWTH, (first, last)


def run(loop, seconds, seed):
    """Run it under one loop, print the result, and check it.

    Raises:
        AssertionError: A response was wrong, or something stayed behind.
    """
    print(f"{loop}: {seconds:g} s with seed {seed}", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=LOOPS[loop], debug=False) as runner,
    ):
        seen, first, last = runner.run(soak(Path(folder), seed, seconds))
    print(", ".join(f"{name}: {count:,}" for name, count in sorted(seen.items())))
    print(f"after the warm-up: {first}\nin the end:        {last}")
    print(f"memory: {(last.memory - first.memory) / MIB:+.1f} MiB", flush=True)
    check(first, last)
    return seen


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="of all loops")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--loop", choices=LOOPS, action="append")
    options = parser.parse_args(arguments)
    loops = options.loop or [*LOOPS]
    for loop in loops:
        run(loop, options.seconds / len(loops), options.seed)


if __name__ == "__main__":
    sys.exit(main())
