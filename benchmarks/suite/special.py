"""What starts servers of its own: other settings, many connections, starts."""

import select
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from .paced import run_paced
from .peers import APPS, PEERS, python_of
from .rows import ROWS, Row, ask_with_wrk, check, check_answer, connect
from .servers import HOST, pin, run

IDLE = 3_000
CROWD = 10_000
STARTS = 5  # times that a program is started, or reloaded
FORWARDED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "shop.example",
}


@dataclass(frozen=True)
class Special:
    """What is measured, and what its figures are called."""

    title: str
    figures: dict[str, str]


LOAD = {"rate": "requests/s", "cpu": "CPU, µs"}
SPECIALS = {
    "proxied": Special("14 fields through a proxy", LOAD),
    "workers": Special("two workers on two CPUs", LOAD),
    "crowd": Special(f"64 connections beside {CROWD:,} idle ones", LOAD),
    "paced": Special(
        "at half of its own rate",
        {"half": "requests/s", "p50": "p50, ms", "p99": "p99, ms", "p999": "p99.9, ms"},
    ),
    "reload": Special("a saved file", {"saved": "to the new answer, ms"}),
    "idle": Special("idle connections", {"each": "KiB each"}),
    "start": Special(
        "cold start", {"import": "import, ms", "answer": "first answer, ms"}
    ),
}
PROXIED = Row(
    "proxied",
    "/hello/client",
    fields=FORWARDED,
    value={"client": "203.0.113.9", "scheme": "https"},
    script="proxied.lua",
)


def measure_special(row, name, folder, seconds):
    """Measure one of SPECIALS, and give its figures by their names."""
    match row:
        case "start":
            return measure_start(name, folder)
        case "idle":
            return {"each": measure_idle(name, folder)}
        case "reload":
            return {"saved": measure_reload(name)}
        case "paced":
            return measure_paced(name, folder, seconds)
        case "crowd":
            return measure_crowd(name, folder, seconds)
        case "proxied":
            with run(name, folder, PEERS[name].proxied) as server:
                return load(PROXIED, server, seconds)
        case "workers":
            with run(name, folder, PEERS[name].workers, everywhere=True) as server:
                return load(ROWS["minimal"], server, seconds)


def load(row, server, seconds):
    check_answer(row, server.port)
    ask_with_wrk(row, server.port, 1)
    before = server.cpu()
    count, figures = ask_with_wrk(row, server.port, seconds)
    return {"rate": figures["rate"], "cpu": (server.cpu() - before) / count * 1e6}


def measure_paced(name, folder, seconds):
    """Find what a server can do, and ask for half of that."""
    with run(name, folder) as server:
        check("minimal", server.port)
        minimal = ROWS["minimal"]
        ask_with_wrk(minimal, server.port, 1)
        rate = ask_with_wrk(minimal, server.port, seconds)[1]["rate"] / 2
        late = run_paced(
            HOST, server.port, minimal.path, rate, minimal.connections, 5 * seconds
        )
        return {"half": rate, **late}


def measure_crowd(name, folder, seconds):
    """Load a server that has many idle connections."""
    with run(name, folder, PEERS[name].idle) as server, ExitStack() as stack:
        open_idle(server.port, CROWD, stack)
        return load(ROWS["minimal"], server, seconds)


def open_idle(port, count, stack):
    """Open connections, and ask once on each."""
    request = f"GET /hello/minimal HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    clients = [stack.enter_context(connect(port)) for _ in range(count)]
    for client in clients:
        client.sendall(request)
        answer = b""
        while not answer.endswith(b"}"):
            received = client.recv(4096)
            if not received:
                raise RuntimeError(f"refuses some of {count} connections")
            answer += received
    return clients


def measure_idle(name, folder):
    """Give the KiB that each of many connections takes, after one request each."""
    with run(name, folder, PEERS[name].idle) as server, ExitStack() as stack:
        for _ in range(100):
            check("minimal", server.port)
        before = server.resident()
        clients = open_idle(server.port, IDLE, stack)
        time.sleep(1.5)
        after = server.resident()
        poll = select.poll()
        for client in clients:
            poll.register(client, select.POLLIN)
        if closed := len(poll.poll(0)):
            raise RuntimeError(f"closed {closed} of {IDLE} idle connections")
        return (after - before) / IDLE / 1024


def measure_reload(name):
    """Give the milliseconds from a saved file to a response of what it says now."""
    source, options = PEERS[name].reload
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder, "reloaded.py")
        module.write_text(source.format(version=0))
        with run(name, folder, command=options, cwd=folder) as server:
            wait_for_version(server.port, 0)
            for version in range(1, STARTS + 1):
                time.sleep(1.5)  # some watch for changes by the second
                started = time.perf_counter()
                module.write_text(source.format(version=version))
                wait_for_version(server.port, version)
                taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e3


def wait_for_version(port, version):
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            client = HTTPConnection(HOST, port, timeout=2)
            client.request("GET", "/")
            if client.getresponse().read() == str(version).encode():
                return
        except (OSError, HTTPException):
            pass
        finally:
            client.close()
        time.sleep(0.002)
    raise RuntimeError("does not serve what was saved")


def measure_start(name, folder):
    """Give the milliseconds of an import beyond asyncio's, and to a first answer."""
    answers, imports, asyncios = [], [], []
    for _ in range(STARTS):
        started = time.perf_counter()
        with run(name, folder, command=PEERS[name].start) as server:
            check("minimal", server.port)
            answers.append(time.perf_counter() - started)
        if PEERS[name].imports:
            imports.append(time_import(name, PEERS[name].imports))
            asyncios.append(time_import(name, "asyncio"))
    figures = {"answer": statistics.median(answers) * 1e3}
    if imports:
        beyond = statistics.median(imports) - statistics.median(asyncios)
        figures["import"] = beyond * 1e3
    return figures


def time_import(name, module):
    command = [python_of(name), "-c", f"import {module}"]
    # In the folder of the applications: none of them has the name of a package. Pipes
    # tell at once when it ends; without one, subprocess looks every 50 ms.
    options = {"capture_output": True, "cwd": APPS, "preexec_fn": pin}
    started = time.perf_counter()
    subprocess.run(command, check=True, timeout=60, **options)
    return time.perf_counter() - started
