"""Files from a folder: roll-static beside Starlette's StaticFiles and aiohttp's.

Each server runs in a process and on a CPU of its own, with what it is mostly run with:
Roll on uvloop where it is installed, and on asyncio; Starlette under uvicorn, with
httptools and uvloop; aiohttp on asyncio, where it sends large files by sendfile(), and
on uvloop, which has none. Nothing is logged. Files are in the page cache.

Files of 1 KiB and 100 KiB are asked for by wrk on 32 connections that stay open; the
one of 100 MiB by one client of this script, on a connection each time. Rounds of all
servers alternate, and medians are printed. A rate is how many files a server sends in a
second of its CPU time, which other work on the machine changes least. A ratio is Roll's
rate divided by the other's: above 1, Roll is faster.

Memory is what the process holds (RSS) before clients ask for the file of 100 MiB, and
at most while 20 of them read 4 MiB a second each.

Needs Linux, and wrk for the small files. It takes a minute.

On 2026-11-30, with 2 CPUs that others used, too, Python 3.13.0, aiohttp 3.14.5,
starlette 1.10.0, uvicorn 0.54.0 and uvloop 0.23.0. sendfile() takes the least CPU for
the largest file; Roll reads it in pieces.

    files a second of CPU   1 KiB  ratio    100 KiB  ratio    100 MiB  ratio
    roll                   26,886   1.00     16,555   1.00       24.4   1.00
    roll, asyncio          24,140   1.11     11,555   1.43       22.7   1.07
    starlette               2,510  10.71      2,119   7.81       10.4   2.34
    aiohttp                 4,365   6.16      4,179   3.96       37.0   0.66
    aiohttp, uvloop         5,014   5.36      3,777   4.38       20.8   1.17

    memory, MiB            before    at most
    roll                     36.9       66.5
    roll, asyncio            34.6       75.5
    starlette                38.0       51.9
    aiohttp                  41.5       41.7
    aiohttp, uvloop          43.9       54.5
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
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from suite.servers import choose_cpus, cpu_time

HOST = "127.0.0.1"
SIZES = {"1 KiB": 2**10, "100 KiB": 100 * 2**10, "100 MiB": 100 * 2**20}
LARGEST = "100 MiB"
ROUNDS = 5
SECONDS = 1  # of a round of wrk
DOWNLOADS = 10  # of the largest file, in a round
CONNECTIONS = 32
SLOW = 20  # clients
SLOW_RATE = 4 * 2**20  # bytes a second
SLOW_SECONDS = 2


# Servers: each is run in a process with the folder and a port


def serve_roll(root, port):
    from roll import Roll
    from roll.extensions import simple_server, static

    app = Roll()
    static(app, root=root)
    simple_server(app, port=port, host=HOST, quiet=True)


def serve_roll_on_asyncio(root, port):
    sys.modules["uvloop"] = None
    serve_roll(root, port)


def serve_starlette(root, port):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    app = Starlette(routes=[Mount("/static", StaticFiles(directory=root))])
    uvicorn.run(app, host=HOST, port=port, log_level="error", access_log=False)


def serve_aiohttp(root, port, loop=None):
    from aiohttp import web

    app = web.Application()
    app.router.add_static("/static", root)
    web.run_app(app, host=HOST, port=port, print=None, access_log=None, loop=loop)


def serve_aiohttp_on_uvloop(root, port):
    import uvloop

    serve_aiohttp(root, port, uvloop.new_event_loop())


SERVERS = {
    "roll": (serve_roll, ["uvloop"]),
    "roll, asyncio": (serve_roll_on_asyncio, []),
    "starlette": (serve_starlette, ["starlette", "uvicorn", "uvloop"]),
    "aiohttp": (serve_aiohttp, ["aiohttp"]),
    "aiohttp, uvloop": (serve_aiohttp_on_uvloop, ["aiohttp", "uvloop"]),
}
INSTALLED = [name for name in SERVERS if all(map(find_spec, SERVERS[name][1]))]


@contextmanager
def run(script, name, root):
    """Run a server of a script in a process, and give its number and its port."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, script, name, root, str(port)]
    with subprocess.Popen(command) as process:
        try:
            os.sched_setaffinity(process.pid, {choose_cpus()[0]})
            wait_for(port)
            yield process.pid, port
        finally:
            process.terminate()


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection((HOST, port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise RuntimeError("the server does not start")


# Measuring


def ask_with_wrk(pid, port, path):
    """Measure how many times a second of the server's CPU a path is answered."""
    url = f"http://{HOST}:{port}{path}"
    options = [f"-c{CONNECTIONS}", "-t1", f"-d{SECONDS}s"]
    before = cpu_time(pid)
    done = subprocess.run(["wrk", *options, url], capture_output=True, text=True)
    taken = cpu_time(pid) - before
    if done.returncode or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"wrk fails: {done.stdout}{done.stderr}")
    if not taken:
        raise RuntimeError("the server had no CPU: stop other work on this machine")
    return int(re.search(r"(\d+) requests in", done.stdout)[1]) / taken


def ask(port, file):
    """Open a connection, and ask for a file."""
    client = socket.create_connection((HOST, port))
    head = f"GET /static/{file} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    client.sendall(head.encode())
    return client


def download(pid, port, file):
    """Measure how many times a second of its CPU a server sends a file to a client."""
    buffer = bytearray(2**20)
    size = Path(file).stat().st_size
    before = cpu_time(pid)
    for _ in range(DOWNLOADS):
        with ask(port, Path(file).name) as client:
            received = 0
            while count := client.recv_into(buffer):
                received += count
        if not size < received < size + 1000:
            raise RuntimeError(f"{received} bytes came of a file of {size}")
    return DOWNLOADS / (cpu_time(pid) - before)


def measure(size, server, path):
    if size == LARGEST:
        return download(*server, path)
    return ask_with_wrk(*server, f"/static/{path.name}")


def resident(pid):
    """Tell the bytes that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def read_slowly(port, file):
    reader, writer = await asyncio.open_connection(HOST, port, limit=2**16)
    writer.write(f"GET /static/{file} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    size = None
    while size != 0:
        size = len(await reader.read(2**16))
        await asyncio.sleep(size / SLOW_RATE)


async def measure_memory(pid, port, file):
    """Tell the bytes held before slow clients ask, and at most while they read."""
    before = most = resident(pid)
    clients = [asyncio.create_task(read_slowly(port, file)) for _ in range(SLOW)]
    ends = time.perf_counter() + SLOW_SECONDS
    while time.perf_counter() < ends:
        await asyncio.sleep(0.01)
        most = max(most, resident(pid))
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return before, most


# Printing


def show_rates(rates, sizes):
    print(
        f"\n{'files a second of CPU':<22}",
        *(f"{size:>7} {'ratio':>6}" for size in sizes),
    )
    for name in INSTALLED:
        line = f"{name:<22}"
        for size in sizes:
            rate = statistics.median(rates[name, size])
            ratio = statistics.median(rates[INSTALLED[0], size]) / rate
            line += f" {rate:>7,.{0 if rate > 100 else 1}f} {ratio:>6.2f}"
        print(line)


def show_memory(memory):
    print(f"\n{'memory, MiB':<18} {'before':>10} {'at most':>10}")
    for name, (before, most) in memory.items():
        print(f"{name:<18} {before / 2**20:>10.1f} {most / 2**20:>10.1f}")


def main():
    os.sched_setaffinity(0, choose_cpus()[1])
    sizes = [size for size in SIZES if size == LARGEST or shutil.which("wrk")]
    missing = [name for name in SERVERS if name not in INSTALLED]
    missing += [size for size in SIZES if size not in sizes]
    if missing:
        print("Not installed, or without wrk, so left out:", "; ".join(missing))
    names = ["aiohttp", "starlette", "uvicorn", "uvloop"]
    versions = [f"{name} {version(name)}" for name in names if find_spec(name)]
    print("Python", ", ".join([platform.python_version(), *versions]))
    with tempfile.TemporaryDirectory() as root, ExitStack() as stack:
        paths = {}
        for number, (size, count) in enumerate(SIZES.items()):
            paths[size] = Path(root, f"{number}.bin")
            paths[size].write_bytes(os.urandom(count))
        ports = {
            name: stack.enter_context(run(__file__, name, root)) for name in INSTALLED
        }
        memory = {
            name: asyncio.run(measure_memory(*ports[name], paths[LARGEST].name))
            for name in INSTALLED
        }
        rates = {(name, size): [] for name in INSTALLED for size in sizes}
        for _ in range(ROUNDS):
            for name, size in rates:
                rates[name, size].append(measure(size, ports[name], paths[size]))
    show_rates(rates, sizes)
    show_memory(memory)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        SERVERS[sys.argv[1]][0](sys.argv[2], int(sys.argv[3]))
    else:
        main()
