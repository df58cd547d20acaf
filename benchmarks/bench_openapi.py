"""Typed views: roll-openapi beside the same by hand, FastAPI, Litestar and BlackSheep.

Each server runs in a process and on a CPU of its own, on uvloop: Roll on its own
server, the others under uvicorn, with httptools. Each checks a JSON body of 10 fields
and sends it back, and reads 3 parameters of a query; FastAPI and BlackSheep with
pydantic, the others with msgspec. wrk asks on 32 connections that stay open. Rounds of
all servers alternate, and medians are printed, of the requests that a server answers in
a second of its CPU time. A ratio is the rate of Roll's typed view divided by that of
the other.

Then the import of roll_openapi, after that of Roll, and the document of 500 routes.

Needs Linux, and wrk for the servers. It takes two minutes.

On 2026-11-30, with 2 CPUs that also ran tests, Python 3.13.0, blacksheep 2.6.4, fastapi
0.165.0, litestar 2.25.0, msgspec 0.23.0, pydantic 2.14.4 and uvicorn 0.54.0:

    requests a second of CPU        POST   ratio       GET   ratio
    roll                          71,042    1.00    73,260    1.00
    by hand                       61,792    1.15    77,951    0.94
    fastapi                       11,371    6.25    11,036    6.64
    litestar                      16,437    4.32    20,396    3.59
    blacksheep                    22,961    3.09    25,469    2.88
    import roll_openapi: 13.0 ms
    document of 500 routes: 133 ms
"""

import argparse
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec

from bench_session import HOST
from suite.processes import wait_for
from suite.servers import choose_cpus, cpu_time

ROUNDS = 5
SECONDS = 1  # of a round of wrk
CONNECTIONS = 32
ROUTES = 500
BODY = (
    '{"id":1,"name":"A name","price":12.5,"count":3,"paid":true,"tags":["a","b","c"],'
    '"note":null,"city":"Berlin","street":"A street 5","zip":"12345"}'
)
QUERY = "/items?q=hello&limit=20&deep=true"
POST = f"""
wrk.method = "POST"
wrk.body = '{BODY}'
wrk.headers["Content-Type"] = "application/json"
"""
FIELDS = {
    "id": int,
    "name": str,
    "price": float,
    "count": int,
    "paid": bool,
    "tags": list[str],
    "note": str | None,
    "city": str,
    "street": str,
    "zip": str,
}


def make_struct():
    from msgspec import defstruct

    return defstruct("Order", [*FIELDS.items()])


# Servers: each is run in a process with a port


def serve_roll(port):
    from roll import Roll
    from roll.extensions import openapi, simple_server
    from roll_openapi import typed

    Order = make_struct()
    app = Roll()
    openapi(app, title="Bench", ui=None)

    @app.route("/orders", methods=["POST"])
    @typed
    async def post(request, response, order: Order) -> Order:
        return order

    @app.route("/items")
    @typed
    async def get(
        request, response, q: str, limit: int = 10, deep: bool = False
    ) -> dict[str, object]:
        return {"q": q, "limit": limit, "deep": deep}

    simple_server(app, port=port, host=HOST, quiet=True)


def serve_by_hand(port):
    import msgspec
    from roll import HttpError, Roll
    from roll.extensions import simple_server

    app = Roll()
    decode = msgspec.json.Decoder(make_struct()).decode
    encode = msgspec.json.Encoder().encode

    @app.route("/orders", methods=["POST"])
    async def post(request, response):
        if not request.content_type.startswith("application/json"):
            raise HttpError(415)
        try:
            order = decode(request.body)
        except msgspec.DecodeError as error:
            raise HttpError(422, str(error)) from error
        response.headers["Content-Type"] = "application/json; charset=utf-8"
        response.body = encode(order)

    @app.route("/items")
    async def get(request, response):
        query = request.query
        response.json = {
            "q": query.get("q"),
            "limit": query.int("limit", 10),
            "deep": query.bool("deep", False),
        }

    simple_server(app, port=port, host=HOST, quiet=True)


def serve_by_uvicorn(app, port):
    import uvicorn

    uvicorn.run(app, host=HOST, port=port, log_level="error", access_log=False)


def serve_fastapi(port):
    from fastapi import FastAPI
    from pydantic import create_model

    Order = create_model("Order", **FIELDS)
    app = FastAPI()

    @app.post("/orders")
    async def post(order: Order) -> Order:
        return order

    @app.get("/items")
    async def get(q: str, limit: int = 10, deep: bool = False) -> dict[str, object]:
        return {"q": q, "limit": limit, "deep": deep}

    serve_by_uvicorn(app, port)


def serve_litestar(port):
    from litestar import Litestar
    from litestar import get as on_get
    from litestar import post as on_post

    Order = make_struct()

    @on_post("/orders", status_code=200)
    async def post(data: Order) -> Order:
        return data

    @on_get("/items")
    async def get(q: str, limit: int = 10, deep: bool = False) -> dict[str, object]:
        return {"q": q, "limit": limit, "deep": deep}

    serve_by_uvicorn(Litestar([post, get]), port)


def serve_blacksheep(port):
    from blacksheep import Application, FromJSON
    from blacksheep.server.responses import json
    from pydantic import create_model

    Order = create_model("Order", **FIELDS)
    app = Application()

    @app.router.post("/orders")
    async def post(order: FromJSON[Order]):
        return json(order.value.model_dump())

    @app.router.get("/items")
    async def get(q: str, limit: int = 10, deep: bool = False):
        return json({"q": q, "limit": limit, "deep": deep})

    serve_by_uvicorn(app, port)


SERVERS = {
    "roll": (serve_roll, ["roll_openapi"]),
    "by hand": (serve_by_hand, []),
    "fastapi": (serve_fastapi, ["fastapi", "uvicorn"]),
    "litestar": (serve_litestar, ["litestar", "uvicorn"]),
    "blacksheep": (serve_blacksheep, ["blacksheep", "pydantic", "uvicorn"]),
}
PEERS = ("fastapi", "litestar", "blacksheep")


@contextmanager
def run(name):
    """Run a server on its CPU; give its process and its port."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    pinned = ["taskset", "-c", f"{choose_cpus()[0]}", sys.executable, __file__]
    with subprocess.Popen([*pinned, "--serve", name, f"{port}"]) as process:
        try:
            wait_for(lambda: socket.create_connection((HOST, port)).close())
            yield process.pid, port
        finally:
            process.terminate()


def ask_with_wrk(pid, port, path, script=None):
    """Give the requests in a second of the server's CPU time."""
    cpus = ",".join(map(str, choose_cpus()[1]))
    command = ["taskset", "-c", cpus, "wrk", "-t1", f"-c{CONNECTIONS}"]
    command += [f"-d{SECONDS}s", *(["-s", script] if script else [])]
    before = cpu_time(pid)
    done = subprocess.run(
        [*command, f"http://{HOST}:{port}{path}"], capture_output=True, text=True
    )
    seconds = cpu_time(pid) - before
    if done.returncode or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"wrk fails: {done.stdout}{done.stderr}")
    return int(re.search(r"(\d+) requests in", done.stdout)[1]) / seconds


def compare():
    installed = [name for name in SERVERS if all(map(find_spec, SERVERS[name][1]))]
    for name in SERVERS.keys() - {*installed}:
        print(f"{name}: not installed")
    rates = {name: {"post": [], "get": []} for name in installed}
    with ExitStack() as stack:
        script = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".lua"))
        script.write(POST)
        script.flush()
        running = {name: stack.enter_context(run(name)) for name in installed}
        for _ in range(ROUNDS):
            for name, (pid, port) in running.items():
                post = ask_with_wrk(pid, port, "/orders", script.name)
                rates[name]["post"].append(post)
                rates[name]["get"].append(ask_with_wrk(pid, port, QUERY))
    medians = {
        name: {what: statistics.median(each) for what, each in rates[name].items()}
        for name in installed
    }
    print(f"requests a second of CPU {'POST':>11} {'ratio':>7} {'GET':>9} {'ratio':>7}")
    for name, found in medians.items():
        line = f"{name:24}"
        for what in ("post", "get"):
            line += (
                f" {found[what]:11,.0f}" if what == "post" else f" {found[what]:9,.0f}"
            )
            line += f" {medians['roll'][what] / found[what]:7.2f}"
        print(line)


IMPORT = "import roll, time; start = time.process_time(); import roll_openapi; "
IMPORT += "print(time.process_time() - start)"


def measure_import():
    """Give the milliseconds of CPU of `import roll_openapi`, after `import roll`."""
    command = [sys.executable, "-c", IMPORT]
    return 1e3 * statistics.median(
        float(subprocess.run(command, capture_output=True, check=True).stdout)
        for _ in range(9)
    )


def measure_document():
    """Give the milliseconds of CPU that the document of 500 routes takes."""
    from msgspec import defstruct
    from roll import Roll
    from roll_openapi import document, openapi, typed

    app = Roll()
    openapi(app, title="Bench", ui=None)
    for place in range(ROUTES):

        async def view(request, response, id: int, body, q: str, limit: int = 5): ...

        model = defstruct(f"Model{place}", [*FIELDS.items()])
        view.__annotations__.update({"body": model, "return": model})
        app.route(f"/items{place}/{{id:int}}", methods=["POST"])(typed(view))
    times = []
    for _ in range(5):
        start = time.process_time()
        document(app)
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", nargs=2)
    options = parser.parse_args()
    if options.serve:
        return SERVERS[options.serve[0]][0](int(options.serve[1]))
    found = [
        name for name in (*PEERS, "msgspec", "pydantic", "uvicorn") if find_spec(name)
    ]
    versions = ", ".join(f"{name} {version(name)}" for name in found)
    print(f"Python {platform.python_version()}, {versions}")
    if shutil.which("wrk") and shutil.which("taskset"):
        compare()
    else:
        print("wrk or taskset is missing: nothing is asked")
    print(f"import roll_openapi: {measure_import():.1f} ms")
    print(f"document of {ROUTES} routes: {measure_document():.0f} ms")


if __name__ == "__main__":
    main()
