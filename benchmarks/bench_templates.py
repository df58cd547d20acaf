"""Pages by Jinja2: roll-templates beside Jinja alone, Starlette and aiohttp-jinja2.

Each server renders a table of 100 rows, in a process and on a CPU of its own, on uvloop
where it is installed, and under uvicorn for Starlette. wrk asks on 32 connections that
stay open. Rounds of all servers alternate, and medians are printed, of the pages that a
server sends in a second of its CPU time. A ratio is Roll's rate divided by the other's:
above 1, Roll is faster.

The rest runs in this process. `render` is measured beside `template.render`, in turns.
A stream of 10 MB is read as fast as it comes: its longest hold is the longest time of
the CPU between two turns of the loop. Its memory is what Python allocates at most.

Needs Linux, and wrk for the servers. It takes a minute.

On 2026-11-30, with 2 CPUs that were shared with other work, Python 3.13.0, jinja2
3.1.6, aiohttp 3.14.5, aiohttp-jinja2 1.6, starlette 1.10.0, uvicorn 0.54.0 and uvloop
0.23.0:

    render, enable_async=False: 339 µs, Jinja alone 329 µs, ratio 1.030
    render, enable_async=True: 505 µs, Jinja alone 488 µs, ratio 1.034
    stream of 10.2 MB: first byte after 0.74 ms, longest hold 0.78 ms, at most 0.06 MiB

    pages a second of CPU          ratio
    roll                    2,558   1.00
    starlette               2,361   1.08
    aiohttp-jinja2          2,268   1.13
    startup with 500 templates: 0.71 s, then the first page of each in 13 µs (median)
"""

import asyncio
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
import tracemalloc
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from bench_static import HOST, ask_with_wrk, run
from suite.servers import choose_cpus

TABLE = """<!doctype html>
<table>
{% for row in rows %}
<tr><td>{{ row.id }}</td><td>{{ row.name }}</td><td>{{ row.price }}</td></tr>
{% endfor %}
</table>
"""
ROWS = [{"id": i, "name": f"<row {i}>", "price": i * 1.5} for i in range(100)]
NAME = "table.html"
ROUNDS = 10
TEMPLATES = 500


# Servers: each is run in a process with the folder of templates and a port


def serve_roll(root, port):
    from roll import Roll
    from roll.extensions import simple_server, templates

    app = Roll()
    pages = templates(app, root)

    @app.route("/")
    async def table(request, response):
        await pages.render(request, response, NAME, rows=ROWS)

    simple_server(app, port=port, host=HOST, quiet=True)


def serve_starlette(root, port):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Route
    from starlette.templating import Jinja2Templates

    templates = Jinja2Templates(directory=root)

    async def table(request):
        return templates.TemplateResponse(request, NAME, {"rows": ROWS})

    app = Starlette(routes=[Route("/", table)])
    uvicorn.run(app, host=HOST, port=port, log_level="error", access_log=False)


def serve_aiohttp(root, port):
    import aiohttp_jinja2
    import jinja2
    import uvloop
    from aiohttp import web

    app = web.Application()
    aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(root))

    @aiohttp_jinja2.template(NAME)
    async def table(request):
        return {"rows": ROWS}

    app.router.add_get("/", table)
    loop = uvloop.new_event_loop()
    web.run_app(app, host=HOST, port=port, print=None, access_log=None, loop=loop)


SERVERS = {
    "roll": (serve_roll, ["jinja2"]),
    "starlette": (serve_starlette, ["jinja2", "starlette", "uvicorn", "uvloop"]),
    "aiohttp-jinja2": (serve_aiohttp, ["aiohttp", "aiohttp_jinja2", "uvloop"]),
}
INSTALLED = [name for name in SERVERS if all(map(find_spec, SERVERS[name][1]))]


def compare_servers(root):
    rates = {name: [] for name in INSTALLED}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(run(__file__, name, root)) for name in INSTALLED
        }
        for _ in range(ROUNDS):
            for name in INSTALLED:
                rates[name].append(ask_with_wrk(*servers[name], "/"))
    print(f"\n{'pages a second of CPU':<22} {'':>6} {'ratio':>6}")
    for name in INSTALLED:
        rate = statistics.median(rates[name])
        ratio = statistics.median(rates["roll"]) / rate
        print(f"{name:<18} {rate:>10,.0f} {ratio:>6.2f}")


# In this process


@contextmanager
def timed(times):
    began = time.perf_counter()
    yield
    times.append(time.perf_counter() - began)


def make(root, **options):
    from roll import Roll
    from roll.extensions import templates

    app = Roll()
    return app, templates(app, root, **options)


async def measure_render(root):
    for enable_async in (False, True):
        app, pages = make(root, enable_async=enable_async)
        request = app.Request(app, None)
        bare, ours = [], []
        await app.startup()
        template = pages.environment.get_template(NAME)
        for _ in range(500):
            with timed(bare):
                if enable_async:
                    await template.render_async(rows=ROWS)
                else:
                    template.render(rows=ROWS)
            response = app.Response(app, None)
            with timed(ours):
                await pages.render(request, response, NAME, rows=ROWS)
        await app.shutdown()
        alone, render = (statistics.median(times) * 1e6 for times in (bare, ours))
        print(
            f"render, enable_async={enable_async}: {render:.0f} µs, "
            f"Jinja alone {alone:.0f} µs, ratio {render / alone:.3f}"
        )


async def measure_stream(root):
    app, pages = make(root)
    request, response = app.Request(app, None), app.Response(app, None)
    await app.startup()
    first, longest, size = [], 0, 0
    rows = (ROWS[i % 100] for i in range(175_000))
    with timed(first):
        await pages.stream(request, response, NAME, rows=rows)
    began = time.thread_time()
    async for piece in response.body:
        longest = max(longest, time.thread_time() - began)
        size += len(piece)
        began = time.thread_time()
    tracemalloc.start()
    rows = (ROWS[i % 100] for i in range(175_000))
    await pages.stream(request, response, NAME, rows=rows)
    async for _ in response.body:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    await app.shutdown()
    print(
        f"stream of {size / 1e6:.1f} MB: first byte after {first[0] * 1e3:.2f} ms, "
        f"longest hold {longest * 1e3:.2f} ms, at most {peak / 2**20:.2f} MiB"
    )


async def measure_startup(root):
    app, pages = make(root)
    starts, requests = [], []
    with timed(starts):
        await app.startup()
    for name in pages.environment.list_templates():
        with timed(requests):
            await pages.text(app.Request(app, None), name, rows=[])
    await app.shutdown()
    print(
        f"startup with {TEMPLATES} templates: {starts[0]:.2f} s, then the first page "
        f"of each in {statistics.median(requests) * 1e6:.0f} µs (median)"
    )


def main():
    os.sched_setaffinity(0, choose_cpus()[1])
    missing = [name for name in SERVERS if name not in INSTALLED]
    if missing:
        print("Not installed, so left out:", "; ".join(missing))
    names = ["jinja2", "aiohttp", "aiohttp-jinja2", "starlette", "uvicorn", "uvloop"]
    found = [name for name in names if find_spec(name.replace("-", "_"))]
    versions = [f"{name} {version(name)}" for name in found]
    print("Python", ", ".join([platform.python_version(), *versions]))
    with tempfile.TemporaryDirectory() as root:
        Path(root, NAME).write_text(TABLE)
        asyncio.run(measure_render(root))
        asyncio.run(measure_stream(root))
        if shutil.which("wrk"):
            compare_servers(root)
        else:
            print("There is no wrk, so servers are left out.")
    with tempfile.TemporaryDirectory() as root:
        for number in range(TEMPLATES):
            Path(root, f"{number}.html").write_text(TABLE)
        asyncio.run(measure_startup(root))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        SERVERS[sys.argv[1]][0](sys.argv[2], int(sys.argv[3]))
    else:
        main()
