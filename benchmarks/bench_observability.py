"""Bench: what metrics and traces cost, beside what others take for the same.

Each server is a process of its own, on one CPU, and wrk has the others. Told is the
CPU time that a server takes for a request, so that other work on the machine matters
less: alone, with what measures or traces, and the difference. The peers are in an
environment of their own, `.nox/bench-observability`: starlette-exporter on Starlette
and prometheus-fastapi-instrumentator on FastAPI, both under uvicorn with uvloop and
httptools. "full" is an application with `cors`, `compress` and `session`. "spans" makes
the spans of "tracing" by hand.

Then what a span of OpenTelemetry's SDK takes by itself; how long a scrape takes of 4
workers with 2,000 sets of labels each, and for how long the loop of a worker is held
meanwhile; and the memory before and after `--requests` of them.

Needs Linux and wrk. It takes three minutes, and longer with more requests.

On 2026-12-01, a virtual machine with 2 CPUs and nothing else to do, Python 3.13.0,
prometheus-client 0.26.0, opentelemetry-sdk 1.45.2, uvloop 0.23.0, starlette-exporter
0.24, prometheus-fastapi-instrumentator 8.1, with `--requests 10000000`:

us of CPU for a request    alone    with    more    rate   bar
roll:metrics               11.29   12.99    1.71   0.87x  0.88
roll:imported              11.29   11.05   -0.24   1.02x   1.0
full:metrics               23.94   27.77    3.82   0.86x  0.95
roll:unsampled             11.29   19.78    8.50   0.57x   0.8
roll:tracing               11.29   45.65   34.36   0.25x
roll:spans                 11.29   32.39   21.10   0.35x
starlette:metrics          29.20   69.73   40.53   0.42x
fastapi:metrics            80.87  113.96   33.10   0.71x
a span of the SDK itself, sampled: 13.2 us
a span of the SDK itself, not sampled: 2.2 us
a scrape of 4 workers with 2000 sets of labels, 136148 lines: 88 ms; a loop is held
for 20 ms at most, without a scrape for 19 ms
memory after 2 s 39.1 MiB, after 10035268 requests 39.2 MiB

In memory, without sockets, the instructions of a request rise from 98,600 to 118,700
with `metrics`, and from 209,000 to 223,300 for "full" (callgrind): why the difference
is larger there under wrk is not known.
"""

import argparse
import asyncio
import gzip
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
import timeit
import urllib.request
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from suite.peers import run_uv
from suite.processes import MIB, wait_for
from suite.servers import HOST, Running, choose_cpus

PEERS = Path(__file__).parents[1] / ".nox" / "bench-observability"
REQUIRED = [
    *("starlette-exporter==0.24.*", "prometheus-fastapi-instrumentator==8.1.*"),
    *("fastapi", "httptools", "starlette", "uvicorn", "uvloop"),
]
ROUNDS = 3
SECONDS = 2
WORKERS = 4
SERIES = 2000
SCRAPES = 7
SPANS = 20_000

# What is measured: alone, with what is added, and the part of the requests in a second
# that is to be left.
PAIRS = [
    ("roll", "roll:metrics", 0.88),
    ("roll", "roll:imported", 1.0),
    ("full", "full:metrics", 0.95),
    ("roll", "roll:unsampled", 0.80),
    ("roll", "roll:tracing", None),
    ("roll", "roll:spans", None),
    ("starlette", "starlette:metrics", None),
    ("fastapi", "fastapi:metrics", None),
]

ATTRIBUTES = {
    "http.request.method": "GET",
    "http.route": "/hello/{name}",
    "url.path": "/hello/world",
    "url.scheme": "http",
    "server.address": HOST,
    "server.port": 3579,
    "client.address": HOST,
    "network.peer.address": HOST,
    "network.peer.port": 40000,
    "network.protocol.version": "1.1",
}
"""Of a span."""

# What is served


def make_roll():
    from roll import Roll

    app = Roll()

    @app.route("/hello/{name}")
    async def hello(request, response, name):
        response.json = {"hello": name}

    return app


def make_full():
    from roll.extensions import compress, cors, session

    app = make_roll()
    cors(app)
    compress(app)
    session(app, secret="a key of 32 bytes, for the bench", secure=False)
    return app


def add_metrics(app):
    from roll.extensions import metrics

    metrics(app)


def add_imports(app):
    from roll.extensions import metrics, tracing  # noqa: F401


def add_tracing(app, sampled=True):
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
    from roll.extensions import tracing

    tracing(app, tracer_provider=make_provider(ALWAYS_ON if sampled else ALWAYS_OFF))


def make_provider(sampler):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

    class Nothing(SpanExporter):
        def export(self, spans):
            pass

    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Nothing()))
    return provider


def add_spans(app):
    """Write by hand what `tracing` does, as far as the SDK has to do it."""
    from opentelemetry import context, trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    from opentelemetry.trace import SpanKind

    tracer = make_provider(ALWAYS_ON).get_tracer("bench")

    @app.listen("headers")
    def begin(request, response):
        span = tracer.start_span(
            "GET /hello/{name}", Context(), SpanKind.SERVER, ATTRIBUTES
        )
        context.attach(trace.set_span_in_context(span, Context()))
        request["span"] = span

    @app.listen("finish")
    def end(request, response):
        request["span"].set_attribute("http.response.status_code", 200)
        request["span"].end()


ADDED = {
    "": lambda app: None,
    "spans": add_spans,
    "metrics": add_metrics,
    "imported": add_imports,
    "tracing": add_tracing,
    "unsampled": lambda app: add_tracing(app, sampled=False),
}


def make_starlette(measured):
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def hello(request):
        return JSONResponse({"hello": request.path_params["name"]})

    app = Starlette(routes=[Route("/hello/{name}", hello)])
    if measured:
        from starlette_exporter import PrometheusMiddleware, handle_metrics

        app.add_middleware(PrometheusMiddleware)
        app.add_route("/metrics", handle_metrics)
    return app


def make_fastapi(measured):
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/hello/{name}")
    async def hello(name: str):
        return {"hello": name}

    if measured:
        from prometheus_fastapi_instrumentator import Instrumentator

        Instrumentator().instrument(app).expose(app)
    return app


def serve(name, port):
    """Serve one of them, in this process."""
    kind, _, added = name.partition(":")
    if kind in ("roll", "full"):
        app = make_roll() if kind == "roll" else make_full()
        ADDED[added](app)
        return serve_by_roll(app, port)
    import uvicorn

    make = make_starlette if kind == "starlette" else make_fastapi
    options = {"access_log": False, "log_level": "error", "loop": "uvloop"}
    return uvicorn.run(make(bool(added)), host=HOST, port=port, **options)


def serve_by_roll(app, port):
    import uvloop
    from roll import Server

    async def main():
        with socket.create_server((HOST, port), backlog=1024) as sock:
            await Server(app, [sock]).start()
            await asyncio.Event().wait()

    uvloop.run(main())


def free_port():
    with socket.create_server((HOST, 0)) as free:
        return free.getsockname()[1]


@contextmanager
def run(name):
    """Run a server on its CPU; give what tells of it."""
    port = free_port()
    is_ours = name.partition(":")[0] in ("roll", "full")
    python = sys.executable if is_ours else PEERS / "bin" / "python"
    process = subprocess.Popen(
        [*pinned(choose_cpus()[:1]), python, __file__, "--serve", name, f"{port}"],
        cwd=Path(__file__).parent,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Running(process, port)
    try:
        wait_for(lambda: get(server, "/hello/world"))
        yield server
    finally:
        server.end()


def pinned(cpus):
    return ["taskset", "-c", ",".join(map(str, cpus))]


def get(server, path, **headers):
    request = urllib.request.Request(f"http://{HOST}:{server.port}{path}")
    for key, value in headers.items():
        request.add_header(key.replace("_", "-"), value)
    with urllib.request.urlopen(request) as response:
        return response.read()


# What is measured


def ask(server, seconds):
    """Let wrk ask for some seconds; give how many requests that were."""
    target = f"http://{HOST}:{server.port}/hello/world"
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", target]
    command = [*pinned(choose_cpus()[1]), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Non-2xx" not in done.stdout, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if " requests in " in line]
    return int(line.split()[0])


def measure_cost(name):
    """Give the microseconds of CPU time that a request takes."""
    with run(name) as server:
        ask(server, 1)  # until all is warm
        before = server.cpu()
        requests = ask(server, SECONDS)
        return (server.cpu() - before) / requests * 1e6


def compare():
    """Print each pair."""
    names = list(dict.fromkeys(name for *pair, _ in PAIRS for name in pair))
    costs = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            costs[name].append(measure_cost(name))
    medians = {name: statistics.median(found) for name, found in costs.items()}
    print(f"\n{'us of CPU for a request':24}{'alone':>8}{'with':>8}{'more':>8}", end="")
    print(f"{'rate':>8}{'bar':>6}")
    for alone, added, bar in PAIRS:
        before, after = medians[alone], medians[added]
        print(f"{added:24}{before:8.2f}{after:8.2f}{after - before:8.2f}", end="")
        print(f"{before / after:7.2f}x{bar or '':>6}")
    return medians


def measure_span():
    """Give the microseconds that a span takes with the attributes of a request."""
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
    from opentelemetry.trace import SpanKind

    for name, sampler in ("sampled", ALWAYS_ON), ("not sampled", ALWAYS_OFF):
        tracer = make_provider(sampler).get_tracer("bench")

        def make(tracer=tracer):
            span = tracer.start_span(
                "GET /hello/{name}", kind=SpanKind.SERVER, attributes=ATTRIBUTES
            )
            span.set_attribute("http.response.status_code", 200)
            span.end()

        best = min(timeit.repeat(make, number=SPANS, repeat=3)) / SPANS * 1e6
        print(f"a span of the SDK itself, {name}: {best:.1f} us")


SITE = f"""
import asyncio, time
from roll import Endpoint
from roll.extensions import metrics
from bench_observability import make_roll

app = make_roll()
metrics(app, max_series={SERIES})
held = 0.0

@app.listen("route:find")
def find(path, request):
    if path.startswith("/series/"):
        return Endpoint(answer, path=path), {{}}

async def answer(request, response):
    pass

@app.route("/held", metrics=False)
async def show(request, response):
    global held
    response.body, held = str(held), 0.0

async def watch():
    global held
    while not app.closing.is_set():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        held = max(held, time.perf_counter() - before - 0.001)

@app.listen("startup")
def start():
    app.keep(watch())
"""


def fill(port):
    """Give each of the workers its sets of labels: a connection reaches one of them."""
    filled = set()
    while len(filled) < WORKERS:
        with socket.create_connection((HOST, port)) as sock:
            file = sock.makefile("rb")

            def ask(path, sock=sock, file=file):
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                length = 0
                while line := file.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split()[1])
                return file.read(length)

            text = ask("/metrics").decode()
            number = re.search(r'workers_missing\{worker="(\d+)"', text)[1]
            if number not in filled:
                filled.add(number)
                for each in range(SERIES):
                    ask(f"/series/{each}")


def measure_scrape():
    """Print how long a scrape of several workers takes, and holds their loops."""
    with tempfile.TemporaryDirectory(prefix="roll-") as folder:
        Path(folder, "scraped.py").write_text(SITE)
        port = free_port()
        paths = os.pathsep.join([folder, str(Path(__file__).parent)])
        command = ("run", "scraped:app", "--workers", f"{WORKERS}", "--port", f"{port}")
        process = subprocess.Popen(
            [sys.executable, "-m", "roll_server", *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths, "ROLL_METRICS_DIR": f"{folder}/m"},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        server = Running(process, port)
        try:
            wait_for(lambda: get(server, "/hello/world"))
            fill(port)
            took, held, idle = [], [], []
            for _ in range(8 * WORKERS):  # what filling has held
                get(server, "/held")
            for _ in range(SCRAPES):  # other work on the machine holds it, too
                time.sleep(0.1)
                idle += [float(get(server, "/held")) for _ in range(4 * WORKERS)]
            for _ in range(SCRAPES):
                before = time.perf_counter()
                zipped = get(server, "/metrics", Accept_Encoding="gzip")
                took.append(time.perf_counter() - before)
                held += [float(get(server, "/held")) for _ in range(4 * WORKERS)]
        finally:
            server.end()
    lines = gzip.decompress(zipped).count(b"\n")
    print(
        f"a scrape of {WORKERS} workers with {SERIES} sets of labels, {lines} lines: "
        f"{statistics.median(took) * 1000:.0f} ms; "
        f"a loop is held for {max(held) * 1000:.0f} ms at most, "
        f"without a scrape for {max(idle) * 1000:.0f} ms"
    )


def measure_memory(requests):
    """Print the memory of a server that is measured, before and after requests."""
    with run("roll:metrics") as server:
        asked = ask(server, 2)
        before = server.resident() / MIB
        while asked < requests:
            asked += ask(server, 10)
        after = server.resident() / MIB
    print(f"memory after 2 s {before:.1f} MiB, after {asked} requests {after:.1f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve[0], int(options.serve[1]))
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    if not PEERS.exists():
        run_uv("venv", "--quiet", "--python", sys.executable, PEERS)
        run_uv("pip", "install", "--quiet", "--python", PEERS, *REQUIRED)
    shown = ("prometheus-client", "opentelemetry-sdk", "uvloop")
    names = ", ".join(f"{name} {version(name)}" for name in shown)
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {names}")
    compare()
    measure_span()
    measure_scrape()
    measure_memory(options.requests)


if __name__ == "__main__":
    main()
