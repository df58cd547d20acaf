"""What roll-compress gives and costs: sizes, times, stalls of the loop, memory.

Everything runs in memory, and rounds alternate, so that a busy machine slows both:
Roll on the transport of roll-testing, its HTTP included; the peers, if they are
installed (`pip install starlette starlette-compress`), as ASGI applications whose
`send` keeps the body, without any HTTP. Codings have the same levels. Times are those
of the CPU, except for stalls and events. Memory is read from /proc.

2026-11-30, a virtual machine with 2 CPUs, shared with other work, CPython 3.13.0: 1.4
MB of JSON are 155 kB in 2.0 ms by zstd, 137 kB in 10.8 ms by br, 174 kB in 6.1 ms by
gzip, to the byte what the peers make, at 0.88 to 0.99 of their rate, which has no
HTTP in it. A small response that is sent as it is takes 1.5 times as long, 3.5
microseconds more, half of them for `Vary`. The longest stall while 50
clients fetch 10 MB is 5 ms, that of GZipMiddleware 560 ms, of starlette-compress 130
ms to 2 s. An event stream takes 50 KiB with its connection, an event 0.4 ms.
Inflating 512 MiB of zeros takes 1 MiB at most.
"""

import asyncio
import contextlib
import gc
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

from roll import Roll
from roll.extensions import compress, decompress
from roll_compress.codings import CODINGS
from roll_testing import connect, until

ROUNDS = 11
LEVELS = {"zstd": 3, "br": 4, "gzip": 4}
BOMB = 512 * 2**20
PROCESS = Path("/proc/self")


def make_json(count):
    """Write rows as an API gives them, about a hundred bytes each."""
    rows = [
        {
            "id": number,
            "name": f"user{number * 7919 % 100_003}",
            "active": number % 3 == 0,
            "score": number * 2654435761 % 10_000 / 100,
            "tags": ["red", "green", "blue"][: number % 4],
        }
        for number in range(count)
    ]
    return json.dumps(rows).encode()


PAGE = make_json(16_000)
HUGE = PAGE * 7
SMALL = b"Hello"


def make_app(*extensions):
    app = Roll()
    app["queues"] = []
    for extension in extensions:
        extension(app)

    def serve(path, kind, body):
        @app.route(path)
        async def view(request, response):
            response.headers["Content-Type"] = kind
            response.body = body() if callable(body) else body

    async def follow(queue):
        while True:
            yield await queue.get()

    def listen():
        app["queues"].append(asyncio.Queue())
        return follow(app["queues"][-1])

    serve("/", "application/json", PAGE)
    serve("/huge", "application/json", HUGE)
    serve("/small", "text/plain", SMALL)
    serve("/events", "text/event-stream", listen)

    @app.route("/sink", methods=["POST"], lazy_body=True)
    async def sink(request, response):
        size = 0
        async for piece in request:
            size += len(piece)
        response.json = size

    return app


def message(path, coding="gzip"):
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n"
    return head.encode()


@contextlib.asynccontextmanager
async def dial(app):
    transport = connect(app)
    try:
        yield transport
    finally:
        transport.disconnect()
        await transport.wait_closed()


async def ask(app, path="/", coding="gzip"):
    """Give the size of the body of one response."""
    async with dial(app) as transport:
        transport.feed(message(path, coding))
        while True:
            head, end, body = transport.data.partition(b"\r\n\r\n")
            if end:
                length = head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]
                if len(body) == int(length):
                    return len(body)
            await transport.activity()


# Beside the peers


async def call(application, path, coding):
    """Give the size of the body of one response of an ASGI application."""
    size = 0
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"accept-encoding", coding.encode())],
    }

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event):
        nonlocal size
        size += len(event.get("body", b""))

    await application(scope, receive, send)
    return size


def peers():
    """Give name, coding and application of each peer that is installed."""
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.gzip import GZipMiddleware
        from starlette.responses import Response
        from starlette.routing import Route
    except ImportError:
        return print("starlette is not installed: left out")

    async def page(request):
        return Response(PAGE, media_type="application/json")

    async def huge(request):
        return Response(HUGE, media_type="application/json")

    def make(kind, **options):
        routes = [Route("/", page), Route("/huge", huge)]
        return Starlette(routes=routes, middleware=[Middleware(kind, **options)])

    yield "GZipMiddleware", "gzip", make(GZipMiddleware, compresslevel=LEVELS["gzip"])
    try:
        from starlette_compress import CompressMiddleware
    except ImportError:
        return print("starlette-compress is not installed: left out")
    options = {
        "gzip_level": LEVELS["gzip"],
        "brotli_quality": LEVELS["br"],
        "zstd_level": LEVELS["zstd"],
    }
    for coding in LEVELS:
        yield "starlette-compress", coding, make(CompressMiddleware, **options)


async def measure(rounds, **functions):
    """Give the median of the seconds that each function takes."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            gc.collect()
            began = time.process_time()
            await function()
            times[name].append(time.process_time() - began)
    return [statistics.median(seconds) for seconds in times.values()]


async def compare_bodies(app):
    for coding in LEVELS:
        size = await ask(app, "/", coding)
        (took,) = await measure(ROUNDS, ours=lambda c=coding: ask(app, "/", c))
        print(f"{len(PAGE):,} bytes, {coding}: {size:,} in {1000 * took:.1f} ms")
    for name, coding, peer in peers():
        mine = await ask(app, "/", coding)
        other = await call(peer, "/", coding)
        ours, theirs = await measure(
            ROUNDS,
            ours=lambda c=coding: ask(app, "/", c),
            theirs=lambda p=peer, c=coding: call(p, "/", c),
        )
        print(
            f"beside {name}, {coding}: bytes {other / mine:.3f}, "
            f"requests a second {theirs / ours:.2f} (targets: at least 1.0)"
        )


async def compare_small(app):
    plain = make_app()

    async def serve(app):
        async with dial(app) as transport:
            for number in range(1, 301):
                transport.feed(message("/small"))
                while transport.data.count(b"\r\n\r\nHello") < number:
                    await transport.activity()

    before, after = await measure(
        61, plain=lambda: serve(plain), ours=lambda: serve(app)
    )
    print(f"untouched small responses: {before / after:.3f} (target: at least 0.97)")


# The loop


async def longest_stall(ask_once):
    """Tell for how long the loop does not come round while 50 clients ask.

    Returns:
        Milliseconds, and those of them in which its own thread was at work: on a busy
        machine it waits for a CPU, too.
    """
    stalls = []

    async def watch():
        while True:
            began = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0)
            ended = time.perf_counter(), time.thread_time()
            stalls.append([1000 * (b - a) for a, b in zip(began, ended, strict=True)])

    gc.collect()
    gc.disable()  # it would stall both
    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await asyncio.gather(*(ask_once() for _ in range(50)))
    watching.cancel()
    gc.enable()
    return [max(column) for column in zip(*stalls, strict=True)]


async def compare_stalls(app):
    for coding in LEVELS:
        wall, cpu = await longest_stall(lambda c=coding: ask(app, "/huge", c))
        print(
            f"longest stall, 50 clients of {len(HUGE):,} bytes, {coding}: {wall:.1f} "
            f"ms, {cpu:.1f} of them at work (target: at most 10)"
        )
    for name, coding, peer in peers():
        wall, cpu = await longest_stall(lambda p=peer, c=coding: call(p, "/huge", c))
        print(f"of {name}, {coding}: {wall:.1f} ms, {cpu:.1f} at work")


# Memory


async def measure_events(app):
    count = 1000
    async with contextlib.AsyncExitStack() as stack:
        tracemalloc.start()
        transports = []
        for _ in range(count):
            transport = await stack.enter_async_context(dial(app))
            transport.feed(message("/events"))
            while not transport.data:
                await transport.activity()
            transports.append(transport)
        for number in range(20):
            for queue in app["queues"]:
                queue.put_nowait(f"data: {number * 2654435761:x} {id(queue)}\n\n")
            await until(lambda: not any(queue.qsize() for queue in app["queues"]))
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        latencies = []
        for queue, transport in zip(app["queues"], transports, strict=True):
            before = len(transport.data)
            began = time.perf_counter()
            queue.put_nowait("data: now\n\n")
            while len(transport.data) == before:
                await transport.activity()
            latencies.append(time.perf_counter() - began)
    print(
        f"{count} event streams: {size / count / 1024:.1f} KiB each (target: at most "
        f"64), events within {1000 * max(latencies):.2f} ms (target: 5)"
    )


def resident(field):
    """Read a size of this process, in bytes."""
    status = (PROCESS / "status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024


def make_bomb(coding, size):
    """Compress zeros."""
    if coding == "gzip":
        deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
        process, finish = deflater.compress, deflater.flush
    else:
        process, finish = CODINGS[coding](LEVELS[coding]).stream(small=False)
    zeros = bytes(2**20)
    return b"".join([process(zeros) for _ in range(size // len(zeros))]) + finish()


async def inflate_bomb(coding, body, size):
    """Print how much memory it takes to inflate a bomb: in a process of its own."""
    app = make_app(lambda app: decompress(app, limit=size))

    async def send(body, size):
        head = (
            f"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Encoding: {coding}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        async with dial(app) as transport:
            transport.feed(head.encode() + body)
            while not transport.data.endswith(f"\r\n\r\n{size}".encode()):
                await transport.activity()

    await send(make_bomb(coding, 2**20), 2**20)  # the process has what it needs then
    gc.collect()
    (PROCESS / "clear_refs").write_text("5")  # the peak starts again
    before = resident("VmRSS")
    began = time.perf_counter()
    await send(body, size)
    took = time.perf_counter() - began
    print(
        f"{len(body):,} bytes of {coding} inflated to {size >> 20} MiB of zeros: peak "
        f"{(resident('VmHWM') - before) / 2**20:.1f} MiB more (target: at most 2), "
        f"{took:.1f} s"
    )


def measure_bombs():
    if not (PROCESS / "clear_refs").exists():
        return print("memory is read from /proc: left out")
    for coding in LEVELS:
        bomb = make_bomb(coding, BOMB)
        subprocess.run([sys.executable, __file__, coding], input=bomb, check=True)


async def main():
    app = make_app(lambda app: compress(app, levels=LEVELS))
    await compare_bodies(app)
    await compare_small(app)
    await compare_stalls(app)
    await measure_events(app)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(inflate_bomb(sys.argv[1], sys.stdin.buffer.read(), BOMB))
    else:
        asyncio.run(main())
        measure_bombs()
