"""Bench: Roll apps under ASGI servers, and ASGI and WSGI applications in Roll.

Each server is a process of its own, on one CPU; the clients have the others. Rates are
requests, or messages, in a second of the server's CPU time, so that other work on the
machine matters less; a ratio is that of the medians. Memory is what 1 GiB up, and then
down, adds to the resident set. The environment needs uvicorn, granian, Starlette,
Flask, a2wsgi and websockets, which the tests of roll-asgi bring.

2026-11-30, a virtual machine with 2 CPUs that was busy with other work, CPython 3.13.0,
uvloop 0.23.0, uvicorn 0.54.0, granian 2.8.9, Starlette 1.10.0: thousands in a second of
CPU time. 10,000 aborts leave no task, thread or descriptor; 1 GiB up adds 1.0 MiB at
most, 1 GiB down nothing.

| | Roll | beside it | ratio | aimed at |
| --- | --- | --- | --- | --- |
| hello by `asgi`, uvicorn | 21.0 | Starlette 23.1 | 0.91 | 1.5 |
| hello by `asgi`, granian | 28.3 | Starlette 36.3 | 0.78 | 1.5 |
| the same by Roll's own server | 77.9 | | | |
| Starlette by `mount_asgi` | 17.9 | by uvicorn 24.2 | 0.74 | 1.0 |
| Flask by `mount_wsgi` | 2.3 | by a2wsgi, uvicorn 3.0 | 0.78 | 1.0 |
| WebSocket echo, uvicorn | 57.1 | Starlette 71.4 | 0.80 | 0.8 |

The servers take most of the time: of the 43 microseconds of a request to Starlette
under uvicorn, Starlette takes 6. Roll takes 9, two of them for a task and a context of
the request's own.
"""

import argparse
import asyncio
import importlib.util
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from suite.servers import HOST, Running, choose_cpus

ROUNDS = 3
SECONDS = 2
GIB = 2**30
ABORTS = 10_000
MESSAGES = 20_000
RESET = struct.pack("ii", 1, 0)
NEEDS = ("a2wsgi", "flask", "granian", "starlette", "uvicorn", "websockets")

# What is measured beside what, and what the ratio is to be.
PAIRS = [
    ("roll:uvicorn", "starlette:uvicorn", 1.5),
    ("roll:granian", "starlette:granian", 1.5),
    ("roll:uvicorn", "roll:own", None),
    ("starlette_in_roll:own", "starlette:uvicorn", 1.0),
    ("flask_in_roll:own", "flask:uvicorn", 1.0),
]

# What is served


def make_roll():
    from roll import Roll

    app = Roll()

    @app.route("/")
    async def hello(request, response):
        response.body = "Hello, World!"

    @app.route("/up", methods=["POST"], lazy_body=True)
    async def up(request, response):
        size = 0
        async for piece in request:
            size += len(piece)
        response.body = size

    @app.route("/down")
    async def down(request, response):
        async def pieces():
            for _ in range(GIB // 2**16):
                yield bytes(2**16)

        response.body = pieces()

    @app.route("/left")
    async def left(request, response):
        descriptors = len(os.listdir("/proc/self/fd"))
        tasks = len(asyncio.all_tasks())
        response.body = f"{tasks} {threading.active_count()} {descriptors}"

    @app.route("/ws", protocol="websocket")
    async def ws(request, ws):
        async for message in ws:
            await ws.send(message)

    return app


def make_roll_asgi():
    from roll.extensions import asgi

    return asgi(make_roll())


def make_starlette():
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route, WebSocketRoute

    async def hello(request):
        return PlainTextResponse("Hello, World!")

    async def up(request):
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return PlainTextResponse(str(size))

    async def down(request):
        async def pieces():
            for _ in range(GIB // 2**16):
                yield bytes(2**16)

        return StreamingResponse(pieces())

    async def echo(ws):
        await ws.accept()
        async for message in ws.iter_text():
            await ws.send_text(message)

    return Starlette(
        routes=[
            Route("/", hello),
            Route("/up", up, methods=["POST"]),
            Route("/down", down),
            WebSocketRoute("/ws", echo),
        ]
    )


def make_starlette_in_roll():
    from roll.extensions import mount_asgi

    app = make_roll()
    mount_asgi(app, "/m", make_starlette())
    return app


def make_flask():
    from flask import Flask

    app = Flask("flask")
    app.route("/")(lambda: "Hello, World!")
    return app


def make_flask_asgi():
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(make_flask())


def make_flask_in_roll():
    from roll.extensions import mount_wsgi

    app = make_roll()
    mount_wsgi(app, "/m", make_flask())
    return app


APPS = {
    "roll:uvicorn": make_roll_asgi,
    "roll:granian": make_roll_asgi,
    "roll:own": make_roll,
    "starlette:uvicorn": make_starlette,
    "starlette:granian": make_starlette,
    "starlette_in_roll:own": make_starlette_in_roll,
    "flask:uvicorn": make_flask_asgi,
    "flask_in_roll:own": make_flask_in_roll,
}


def serve(name, port):
    """Serve one of them, in this process."""
    server = name.partition(":")[2]
    if server == "own":
        return serve_by_roll(APPS[name](), port)
    if server == "uvicorn":
        import uvicorn

        options = {"access_log": False, "log_level": "error", "loop": "uvloop"}
        return uvicorn.run(APPS[name](), host=HOST, port=port, **options)
    os.environ["SERVED"] = name
    options = ["--no-log", "--interface", "asgi", "--host", HOST, "--port", f"{port}"]
    command = [sys.executable, "-m", "granian", *options, "bench_asgi:application"]
    os.execv(sys.executable, command)


def serve_by_roll(app, port):
    import uvloop
    from roll import Server

    async def main():
        with socket.create_server((HOST, port), backlog=1024) as sock:
            await Server(app, [sock]).start()
            await asyncio.Event().wait()

    uvloop.run(main())


if "SERVED" in os.environ:  # granian imports its application
    application = APPS[os.environ["SERVED"]]()


@contextmanager
def run(name):
    """Run a server on its CPU; give what tells of it."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    command = ["taskset", "-c", f"{choose_cpus()[0]}", sys.executable, __file__]
    process = subprocess.Popen(
        [*command, "--serve", name, f"{port}"],
        cwd=Path(__file__).parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Running(process, port)
    try:
        curl("--retry", "50", "--retry-connrefused", "--retry-delay", "1", url(server))
        yield server
    finally:
        server.end()


def curl(*arguments, data=None):
    cpus = ",".join(map(str, choose_cpus()[1]))
    command = ["taskset", "-c", cpus, "curl", "-sS", "--fail", *arguments]
    return subprocess.run(
        command, input=data, check=True, capture_output=True
    ).stdout.decode()


def url(server, path="/"):
    return f"http://{HOST}:{server.port}{path}"


# What is measured


def measure_rate(name):
    """Give the requests in a second of the server's CPU time."""
    cpus = ",".join(map(str, choose_cpus()[1]))
    with run(name) as server:
        target = url(server, "/m/" if "_in_" in name else "/")
        command = ["taskset", "-c", cpus, "wrk", "-t1", "-c64", f"-d{SECONDS}s", target]
        before = server.cpu()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = server.cpu() - before
    assert "Non-2xx" not in done.stdout, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if " requests in " in line]
    return int(line.split()[0]) / seconds


async def echo(port):
    from websockets.asyncio.client import connect

    async with connect(f"ws://{HOST}:{port}/ws", compression=None) as ws:
        for _ in range(MESSAGES // 20):
            for _ in range(20):
                await ws.send("a message")
            for _ in range(20):
                await ws.recv()


def measure_echo(name):
    """Give the messages that go there and back in a second of the server's CPU time."""
    with run(name) as server:
        before = server.cpu()
        asyncio.run(echo(server.port))
        return MESSAGES / (server.cpu() - before)


def measure_memory(name):
    """Give what a GiB up, and one down, adds to the resident set, in bytes."""
    prefix = "/m" if "_in_" in name else ""
    with run(name) as server:
        for _ in range(2):  # before it is full size, not all is there
            curl(url(server, prefix or "/"), "-L")
        grown = []
        for direction in ("up", "down"):
            before = server.resident()
            target = url(server, f"{prefix}/{direction}")
            if direction == "up":
                zeros = ["head", "-c", f"{GIB}", "/dev/zero"]
                source = subprocess.Popen(zeros, stdout=subprocess.PIPE)
                upload = ["curl", "-sS", "-H", "Expect:", "-XPOST", "-T", "-", target]
                answer = subprocess.run(
                    upload, stdin=source.stdout, capture_output=True
                )
                assert answer.stdout == b"%d" % GIB, answer
                source.stdout.close()
                source.wait()
            else:
                curl("-o", os.devnull, target)
            grown.append(server.resident() - before)
        return grown


def abort_at_random(server, path):
    random.seed(1)
    request = (
        f"POST {path}/up HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"
        f"{'x' * 500}GET {path}/down HTTP/1.1\r\nHost: a\r\n\r\n"
    ).encode()
    for _ in range(ABORTS):
        with socket.create_connection((HOST, server.port)) as sock:
            sock.sendall(request[: random.randrange(len(request) + 1)])
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def measure_aborts(name):
    """Give tasks, threads and descriptors before and after clients have aborted."""
    with run(name) as server:
        before = curl(url(server, "/left"))
        abort_at_random(server, "/m" if "_in_" in name else "")
        for _ in range(20):
            time.sleep(0.5)
            after = curl(url(server, "/left"))
            if after == before:
                break
        return before, after


def compare(title, measure, pairs):
    names = {name: [] for first, second, _ in pairs for name in (first, second)}
    for _ in range(ROUNDS):
        for name, rates in names.items():
            rates.append(measure(name))
    medians = {name: statistics.median(rates) for name, rates in names.items()}
    print(f"{title} in a second of CPU time")
    for name, rate in medians.items():
        print(f"  {name:24} {rate:9,.0f}")
    for first, second, bar in pairs:
        aim = "" if bar is None else f", to be {bar}"
        print(f"  {first} / {second}: {medians[first] / medians[second]:.2f}{aim}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", nargs=2)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve[0], int(options.serve[1]))
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    missing += [name for name in ("curl", "taskset", "wrk") if not shutil.which(name)]
    if missing:
        return print(f"{', '.join(missing)}: not installed")
    compare("Requests", measure_rate, PAIRS)
    echoes = [("roll:uvicorn", "starlette:uvicorn", 0.8)]
    compare("Echoed messages", measure_echo, echoes)
    print(f"Aborts, {ABORTS:,}: tasks, threads and descriptors before and after")
    for name in ("roll:uvicorn", "starlette_in_roll:own"):
        print(f"  {name:24} {' -> '.join(measure_aborts(name))}")
    print("1 GiB up, and down: MiB more")
    for name in ("roll:uvicorn", "starlette_in_roll:own"):
        up, down = measure_memory(name)
        print(f"  {name:24} {up / 2**20:.1f}, {down / 2**20:.1f}")


if __name__ == "__main__":
    main()
