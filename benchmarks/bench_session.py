"""Sessions: roll-session beside Starlette's SessionMiddleware and aiohttp-session.

Each server runs in a process and on a CPU of its own: Roll and aiohttp on uvloop,
Starlette under uvicorn, with httptools and uvloop. Nothing is logged. wrk asks on 32
connections that stay open, with the cookie of a session of 200 bytes, for views that
use no session, in an app without and with sessions, that read it, and that read and
change it. Rounds of all servers alternate, and medians are printed, of the CPU time
that the server takes for a request: a busy machine changes it less than a rate. A
second table has by how much it is more than in the app without sessions.

Then 1,000 clients at once add a key each to 50 sessions in Redis, and as many read when
Redis is killed.

Needs Linux, wrk and redis-server. It takes two minutes.

On 2026-11-30, with 2 CPUs that others used, too, Python 3.13.0, aiohttp 3.14.5,
aiohttp-session 2.12.1, redis 8.1.0, starlette 1.10.0, uvicorn 0.54.0 and uvloop 0.23.0:

    CPU time, us         bare  untouched       read     change
    roll                 12.9       14.5       44.3       61.0
    roll, redis          13.9      167.8      179.1      292.9
    starlette            41.8       72.5       78.5       99.4
    aiohttp              39.0       45.7       97.3      144.6

    1000 clients add a key each: {'200': 965, '503': 35}, the slowest after 1.61 s
    1000 clients read when Redis is killed: {'503': 1000}, the slowest after 1.13 s

The 35 waited for Redis for longer than the store's timeout of a second, for want of a
CPU; no key of the others is lost.
"""

import asyncio
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec

from suite.processes import wait_for
from suite.servers import choose_cpus, cpu_time

HOST = "127.0.0.1"
KEY = "a key of 32 bytes, for measuring"
DATA = {"user": 12345, "name": "Ann " * 20, "cart": ["x" * 20] * 4}  # 200 bytes
VIEWS = ("bare", "untouched", "read", "change")
ROUNDS = 5
SECONDS = 1  # of a round of wrk
CONNECTIONS = 32
CLIENTS = 1000
SESSIONS = 50


# Servers: each is run in a process with a port, and maybe the socket of Redis


def serve_roll(port, redis=None):
    from roll import Roll
    from roll.extensions import session, simple_server
    from roll_session import RedisStore

    app = Roll()
    if redis != "bare":
        place = {"store": RedisStore(f"unix://{redis}")} if redis else {"secret": KEY}
        session(app, **place)

    @app.route("/start")
    async def start(request, response):
        request["session"].update(DATA, n=0)

    @app.route("/plain")
    async def plain(request, response):
        response.body = "Hello"

    @app.route("/read")
    async def read(request, response):
        response.body = request["session"]["name"]

    @app.route("/change")
    async def change(request, response):
        request["session"]["n"] += 1
        response.body = "Hello"

    @app.route("/add/{key}")
    async def add(request, response, key):
        request["session"][key] = 1

    @app.route("/count")
    async def count(request, response):
        response.body = len(request["session"])

    simple_server(app, port=port, host=HOST, quiet=True)


def serve_starlette(port, bare=None):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.sessions import SessionMiddleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def start(request):
        request.session.update(DATA, n=0)
        return PlainTextResponse("Hello")

    async def plain(request):
        return PlainTextResponse("Hello")

    async def read(request):
        return PlainTextResponse(request.session["name"])

    async def change(request):
        request.session["n"] += 1
        return PlainTextResponse("Hello")

    views = (start, plain, read, change)
    routes = [Route(f"/{view.__name__}", view) for view in views]
    middleware = [] if bare else [Middleware(SessionMiddleware, secret_key=KEY)]
    app = Starlette(routes=routes, middleware=middleware)
    uvicorn.run(app, host=HOST, port=port, log_level="error", access_log=False)


def serve_aiohttp(port, bare=None):
    import uvloop
    from aiohttp import web
    from aiohttp_session import get_session, setup
    from aiohttp_session.cookie_storage import EncryptedCookieStorage

    async def start(request):
        (await get_session(request)).update(DATA, n=0)
        return web.Response(text="Hello")

    async def plain(request):
        return web.Response(text="Hello")

    async def read(request):
        return web.Response(text=(await get_session(request))["name"])

    async def change(request):
        (await get_session(request))["n"] += 1
        return web.Response(text="Hello")

    app = web.Application()
    if not bare:
        setup(app, EncryptedCookieStorage(KEY.encode()))
    for view in (start, plain, read, change):
        app.router.add_get(f"/{view.__name__}", view)
    loop = uvloop.new_event_loop()
    web.run_app(app, host=HOST, port=port, print=None, access_log=None, loop=loop)


SERVERS = {
    "roll": (serve_roll, ["uvloop"]),
    "roll, redis": (serve_roll, ["uvloop", "redis"]),
    "starlette": (serve_starlette, ["itsdangerous", "starlette", "uvicorn", "uvloop"]),
    "aiohttp": (serve_aiohttp, ["aiohttp_session", "cryptography", "uvloop"]),
}
INSTALLED = [name for name in SERVERS if all(map(find_spec, SERVERS[name][1]))]


@contextmanager
def run(name, *arguments):
    """Run a server in a process, and give its number and its port."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, __file__, name, str(port), *arguments]
    with subprocess.Popen(command) as process:
        try:
            os.sched_setaffinity(process.pid, {choose_cpus()[0]})
            wait_for(lambda: socket.create_connection((HOST, port)).close())
            yield process.pid, port
        finally:
            process.terminate()


@contextmanager
def run_redis(path):
    """Run redis-server on a unix socket, and give its process."""
    command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: os.stat(path))
            yield process
        finally:
            process.kill()


# Measuring


def start_session(port):
    """Begin a session, and give what the cookie is."""
    with socket.create_connection((HOST, port)) as client:
        client.sendall(b"GET /start HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = client.makefile("rb").read().decode()
    return re.search(r"(?i)\nset-cookie: ([^;]*)", answer)[1]


def ask_with_wrk(pid, port, view, cookie):
    """Measure the microseconds that a server takes for a request."""
    url = f"http://{HOST}:{port}/{view}"
    options = [f"-c{CONNECTIONS}", "-t1", f"-d{SECONDS}s", f"-HCookie: {cookie}"]
    before = cpu_time(pid)
    done = subprocess.run(["wrk", *options, url], capture_output=True, text=True)
    taken = cpu_time(pid) - before
    if done.returncode or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"wrk fails: {done.stdout}{done.stderr}")
    return taken * 1e6 / int(re.search(r"(\d+) requests in", done.stdout)[1])


async def ask(port, path, cookie):
    """Ask on a connection of its own; gives the status, the body and the seconds."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(HOST, port)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer[9:12], answer.rpartition("\r\n")[2], time.perf_counter() - started


async def add_in_parallel(port, process):
    cookies = [start_session(port) for _ in range(SESSIONS)]
    added = await asyncio.gather(
        *(
            ask(port, f"/add/{number}", cookies[number % SESSIONS])
            for number in range(CLIENTS)
        )
    )
    counts = [await ask(port, "/count", cookie) for cookie in cookies]
    kept = sum(int(count) - len(DATA) - 1 for _, count, _ in counts)
    print(f"\n{CLIENTS} clients add a key each: {describe(added)}; {kept} are kept")
    process.kill()
    process.wait()
    cookie = cookies[0]
    found = await asyncio.gather(*(ask(port, "/read", cookie) for _ in range(CLIENTS)))
    print(f"{CLIENTS} clients read when Redis is killed: {describe(found)}")


def describe(answers):
    statuses = Counter(status for status, _, _ in answers)
    slowest = max(seconds for _, _, seconds in answers)
    return f"{dict(statuses)}, the slowest after {slowest:.2f} s"


# Printing


def show(times):
    for title, added in (("CPU time, us", False), ("added", True)):
        print(f"\n{title:<14}", *(f"{view:>10}" for view in VIEWS))
        for name in INSTALLED:
            found = [statistics.median(times[name, view]) for view in VIEWS]
            least = found[0] if added else 0
            print(f"{name:<14}", *(f"{time - least:>10.1f}" for time in found))


def main():
    os.sched_setaffinity(0, choose_cpus()[1])
    missing = [name for name in SERVERS if name not in INSTALLED]
    missing += [name for name in ("wrk", "redis-server") if not shutil.which(name)]
    if missing:
        return print("Not installed, so nothing is measured:", "; ".join(missing))
    names = ["aiohttp", "aiohttp-session", "redis", "starlette", "uvicorn", "uvloop"]
    versions = [f"{name} {version(name)}" for name in names]
    print("Python", ", ".join([platform.python_version(), *versions]))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = f"{folder}/redis.sock"
        process = stack.enter_context(run_redis(path))
        ports, cookies = {}, {}
        for name in INSTALLED:
            arguments = [path] if name == "roll, redis" else []
            bare, served = (
                stack.enter_context(run(name, *more)) for more in (["bare"], arguments)
            )
            ports[name] = dict.fromkeys(VIEWS, served) | {"bare": bare}
            cookies[name] = start_session(served[1])
        times = {(name, view): [] for name in INSTALLED for view in VIEWS}
        for _ in range(ROUNDS):
            for name, view in times:
                path = view if view in ("read", "change") else "plain"
                taken = ask_with_wrk(*ports[name][view], path, cookies[name])
                times[name, view].append(taken)
        show(times)
        asyncio.run(add_in_parallel(ports["roll, redis"]["read"][1], process))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        SERVERS[sys.argv[1]][0](int(sys.argv[2]), *sys.argv[3:])
    else:
        main()
