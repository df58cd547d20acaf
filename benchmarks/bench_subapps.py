"""Bench: what mounting costs a view, beside the same view on a bare app.

Each case is a server of its own, a new process in each round, on one CPU, which wrk
keeps busy from another one. Counted are requests in a second of the server's CPU time,
so that other work on the machine matters less; the ratio is that of the medians. Peers
are served by their own servers: Starlette by uvicorn, aiohttp by itself. Give the
Python of an environment with them:

    python benchmarks/bench_subapps.py --peers .nox/bench-peers/bin/python

At the end, 1,000,000 requests for as many paths of a mounted app, and what they leave.

2026-11-30, a virtual machine with 2 CPUs, shared with other work, CPython 3.13.0,
uvloop 0.23.0, Starlette 1.10.0, uvicorn 0.54.0, aiohttp 3.14.5: thousands of requests
to a bare app in a second, and the share of them that a mounted one serves. 1,000,000
requests leave no more objects than 100,000. Aimed at are 0.85, 0.65 and 0.97.

| | bare | once | three deep | 50 mounts, none met |
| --- | --- | --- | --- | --- |
| roll | 61.7 | 0.76 | 0.60 | 0.92 |
| Starlette | 32.9 | 0.81 | 0.64 | 0.54 |
| aiohttp | 41.8 | 0.83 | 0.79 | 0.90 |
"""

import argparse
import asyncio
import gc
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 7
MANY = 1_000_000
CASES = {"bare": (0, 0), "once": (1, 0), "three deep": (3, 0), "50, none met": (0, 50)}
"""How deep the view is mounted, and how many mounts are beside it."""
BODY = {"message": "Hello, World!"}
PATH = "/minimal/7"


def make_roll(depth, others):
    from roll import Roll
    from roll.extensions import mount

    app = leaf = Roll()
    for _ in range(depth):
        below = Roll()
        mount(leaf, "/m", below)
        leaf = below
    for number in range(others):
        mount(app, f"/other{number}", Roll())

    @leaf.route("/minimal/{id}")
    async def minimal(request, response, id):
        response.json = BODY

    return app


def serve_roll(sock, depth, others):
    import uvloop
    from roll import Server

    async def main():
        server = Server(make_roll(depth, others), [sock])
        await server.start()
        await asyncio.Event().wait()

    uvloop.run(main())


def serve_starlette(sock, depth, others):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route

    async def minimal(request):
        return JSONResponse(BODY)

    app = Starlette(routes=[Route("/minimal/{id}", minimal)])
    for _ in range(depth):
        app = Starlette(routes=[Mount("/m", app)])
    mounts = [Mount(f"/other{number}", Starlette()) for number in range(others)]
    app.router.routes[:0] = mounts
    config = uvicorn.Config(app, access_log=False, log_level="error")
    uvicorn.Server(config).run([sock])


def serve_aiohttp(sock, depth, others):
    import uvloop
    from aiohttp import web

    async def minimal(request):
        return web.json_response(BODY)

    app = web.Application()
    app.router.add_get("/minimal/{id}", minimal)
    for _ in range(depth):
        above = web.Application()
        above.add_subapp("/m", app)
        app = above
    for number in range(others):
        app.add_subapp(f"/other{number}", web.Application())
    web.run_app(
        app, sock=sock, access_log=None, print=None, loop=uvloop.new_event_loop()
    )


def measure(python, framework, case):
    """Give the requests in a second of a server's CPU time."""
    depth, others = CASES[case]
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as sock:
        port = sock.getsockname()[1]
        arguments = [framework, str(sock.fileno()), str(depth), str(others)]
        command = ["taskset", "-c", "0", python, __file__, "--serve", *arguments]
        server = subprocess.Popen(command, pass_fds=[sock.fileno()])
        try:
            url = f"http://127.0.0.1:{port}{'/m' * depth}{PATH}"
            subprocess.run(["curl", "-sf", "-o", os.devnull, url], check=True)
            command = ["taskset", "-c", "1", "wrk", "-t1", "-c64", "-d2s", url]
            before = cpu_time(server.pid)
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds = cpu_time(server.pid) - before
        finally:
            server.terminate()
            server.wait()
    assert "Non-2xx" not in done.stdout, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if " requests in " in line]
    return int(line.split()[0]) / seconds


def cpu_time(process):
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compare(frameworks):
    found = {(name, case): [] for name in frameworks for case in CASES}
    for _ in range(ROUNDS):
        for name, case in found:
            found[name, case].append(measure(frameworks[name], name, case))
    for (name, case), rates in found.items():
        rate, bare = statistics.median(rates), statistics.median(found[name, "bare"])
        print(f"{name:10} {case:13} {rate:9,.0f} requests/CPU s  {rate / bare:.3f}")


class Transport(asyncio.Transport):
    """Takes what is written, and forgets it."""

    def write(self, data):
        pass

    def is_closing(self):
        return False


async def grow():
    app = make_roll(3, 0)
    protocol = app.factory()
    protocol.connection_made(Transport())
    start = time.perf_counter()
    for count in range(MANY + 1):
        path = f"/m/m/m/minimal/{count}"
        protocol.data_received(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        if sys.version_info < (3, 12) or count % 100 == 0:
            await asyncio.sleep(0)
        if count in (MANY // 10, MANY):
            gc.collect()
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            objects = len(gc.get_objects())
            seconds = time.perf_counter() - start
            print(
                f"{count:9,} requests, {seconds:.0f} s: {objects:,} objects, {most} MiB"
            )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", help="the Python of an environment with the peers")
    parser.add_argument("--serve", nargs=4)
    options = parser.parse_args()
    if options.serve:
        name, descriptor, depth, others = options.serve
        sock = socket.socket(fileno=int(descriptor))
        return globals()[f"serve_{name}"](sock, int(depth), int(others))
    if not all(map(shutil.which, ["wrk", "curl", "taskset"])):
        return print("wrk, curl or taskset is missing: apt-get install wrk curl")
    frameworks = {"roll": sys.executable}
    if options.peers:
        frameworks.update(dict.fromkeys(["starlette", "aiohttp"], options.peers))
    compare(frameworks)
    asyncio.run(grow())


if __name__ == "__main__":
    main()
