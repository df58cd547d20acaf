"""The rows: what is asked for, whether the answer is right, and how long it takes."""

import functools
import json
import os
import re
import select
import socket
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection

from .echo import WARM_UP, run_echo
from .peers import APPS, PEERS, python_of
from .servers import HOST, choose_cpus, pin, run

MIB = 2**20
SIZE = 100 * MIB
CONNECTIONS = 64
IDLE = 3_000
STREAMED = 3  # times in a round: CPU time has ticks of 10 ms
STARTS = 5  # times that a program is started
TIMEOUT = 20  # seconds for an answer
MESSAGE = {"message": "Hello, World!"}
COOKIE = {"Cookie": "test=sent"}
SENT = '{"name": "Roll", "numbers": [1, 2, 3]}'


@dataclass(frozen=True)
class Row:
    """A request, and the answer that it must get.

    Args:
        title: What the tables call it.
        path: The target.
        method: GET, POST or PUT.
        fields: Header fields that are sent.
        body: Sent with it.
        value: The answer's JSON; None where it is no JSON.
        size: Of the answer's body, in bytes, where it is no JSON.
        cookie: Whether the answer sets one.
        script: A script of wrk's in benchmarks/frameworks.
        threads: Of wrk, at most: one has a CPU of its own.
    """

    title: str
    path: str
    method: str = "GET"
    fields: dict[str, str] | None = None
    body: str | None = None
    value: object = None
    size: int | None = None
    cookie: bool = False
    script: str | None = None
    threads: int = 1


ROWS = {
    "minimal": Row("minimal", "/hello/minimal", value=MESSAGE),
    "parameter": Row(
        "parameter", "/hello/with/something", value={"parameter": "something"}
    ),
    "cookie": Row(
        "cookie", "/hello/cookie", fields=COOKIE, value={"cookie": "sent"}, cookie=True
    ),
    "query": Row("query", "/hello/query?query=foobar", value={"query": "foobar"}),
    "full": Row(
        "full",
        "/hello/full/with/foo/and/bar?query=foobar",
        fields=COOKIE,
        value={"parameters": ["foo", "bar"], "query": "foobar", "cookie": "sent"},
        cookie=True,
    ),
    "json": Row(
        "POST of JSON",
        "/json",
        method="POST",
        fields={"Content-Type": "application/json"},
        body=SENT,
        value={"name": "Roll", "total": 6},
        script="post.lua",
    ),
    "pipelined": Row(
        "16 pipelined", "/hello/minimal", value=MESSAGE, script="pipelined.lua"
    ),
    "1k": Row("static 1 KiB", "/static/1k.txt", size=2**10),
    # One thread of wrk cannot receive what some servers send.
    "1m": Row("static 1 MiB", "/static/1m.txt", size=MIB, threads=2),
    "upload": Row(
        "upload 100 MiB", "/upload", method="PUT", body="sent", value={"size": 4}
    ),
    "download": Row("download 100 MiB", "/download", size=SIZE),
}
# What is asked for otherwise.
ROWS["echo"] = Row("WebSocket echo", "/echo")
# What starts servers of its own, and is not a request.
OTHERS = {"idle": "idle connections", "start": "cold start"}


def write_files(folder):
    for name, size in [("1k.txt", 2**10), ("1m.txt", MIB)]:
        (folder / name).write_bytes(b"x" * size)


def check(row, port):
    """Ask once.

    Raises:
        RuntimeError: The answer is not what everybody has to answer.
    """
    if row == "echo":  # its client looks at each
        return
    wanted = ROWS[row]
    client = HTTPConnection(HOST, port, timeout=TIMEOUT)
    client.request(wanted.method, wanted.path, wanted.body, wanted.fields or {})
    answer = client.getresponse()
    body = answer.read()
    client.close()
    if answer.status != 200:
        raise RuntimeError(f"answers {answer.status}, {body[:80]!r}")
    if wanted.size is not None:
        if len(body) != wanted.size:
            raise RuntimeError(f"answers {len(body)} bytes, not {wanted.size}")
        return
    kind = answer.headers.get("Content-Type", "")
    if not kind.startswith("application/json"):
        raise RuntimeError(f"the Content-Type is {kind!r}")
    if json.loads(body) != wanted.value:
        raise RuntimeError(f"answers {body[:80]!r}, not {wanted.value}")
    cookies = answer.headers.get_all("Set-Cookie", [])
    if wanted.cookie != any(cookie.lstrip().startswith("bench=") for cookie in cookies):
        raise RuntimeError(f"the cookies set are {cookies}")


def measure(row, server, seconds):
    """Load a server.

    Returns:
        What it took by the names of FIGURES; rates are of requests, or of MiB.
    """
    before = server.cpu()
    if row == "echo":
        count, took = run_echo(HOST, server.port, CONNECTIONS, seconds)
        figures = {"rate": count / took}
        # What was sent to warm up took time, too.
        count *= (took + WARM_UP) / took
    elif row in STREAMS:
        count = STREAMED
        seconds = sum(STREAMS[row](server.port) for _ in range(STREAMED))
        figures = {"rate": STREAMED * SIZE / MIB / seconds}
    else:
        count, figures = ask_with_wrk(ROWS[row], server.port, seconds)
    figures["cpu"] = (server.cpu() - before) / count * 1e6
    figures["rss"] = server.resident() / MIB
    if server.process.poll() is not None:
        raise RuntimeError("the server ended while it was asked")
    return figures


def ask_with_wrk(row, port, seconds):
    """Load a server by wrk, and give the number of answers and the figures."""
    cpus = choose_cpus()[1][: row.threads]
    command = ["wrk", f"-t{len(cpus)}", "--latency", f"-c{CONNECTIONS}"]
    command.append(f"-d{seconds}s")
    for name, value in (row.fields or {}).items():
        command += ["-H", f"{name}: {value}"]
    if row.script:
        command += ["-s", str(APPS / row.script)]
    command.append(f"http://{HOST}:{port}{row.path}")
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds + TIMEOUT,
        preexec_fn=functools.partial(os.sched_setaffinity, 0, cpus),
    )
    wrote = done.stdout
    if done.returncode or "Non-2xx" in wrote or "Socket errors" in wrote:
        raise RuntimeError(f"wrk: {' '.join((wrote + done.stderr).split())[-300:]}")
    figures = {"rate": float(re.search(r"Requests/sec: +([\d.]+)", wrote)[1])}
    number, unit = re.search(r"99% +([\d.]+)(us|ms|s)", wrote).groups()
    # wrk has no latency of pipelined answers that come in one piece.
    if float(number):
        figures["p99"] = float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]
    return int(re.search(r"(\d+) requests in", wrote)[1]), figures


def connect(port):
    return socket.create_connection((HOST, port), timeout=TIMEOUT)


@functools.cache
def sent():
    """Make what is uploaded: a client that copied it would take longer than servers."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    for _ in range(SIZE // MIB):
        file.write(bytes(MIB))
    file.flush()
    return file


def upload(port):
    """Send 100 MiB, and give the seconds until the view has counted them."""
    head = f"PUT /upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {SIZE}\r\n\r\n"
    with connect(port) as client:
        started = time.perf_counter()
        client.sendall(head.encode())
        client.sendfile(sent())
        answer = b""
        while b"}" not in answer:
            received = client.recv(4096)
            if not received:
                break
            answer += received
        took = time.perf_counter() - started
    if str(SIZE).encode() not in answer:
        raise RuntimeError(f"the upload is answered {answer[-80:]!r}")
    return took


def download(port):
    """Receive 100 MiB, and give the seconds that it took."""
    buffer = bytearray(MIB)
    request = f"GET /download HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    with connect(port) as client:
        started = time.perf_counter()
        client.sendall(request.encode())
        received, whole, end = 0, None, b""
        # It ends with an empty chunk, or where its Content-Length says.
        while received != whole and end != b"0\r\n\r\n":
            count = client.recv_into(buffer)
            if not count:
                raise RuntimeError(f"the download ends after {received} bytes")
            if not received:
                whole = size_of_answer(bytes(buffer[:count]))
            received += count
            end = (end + bytes(buffer[max(0, count - 5) : count]))[-5:]
        took = time.perf_counter() - started
    return took


def size_of_answer(start):
    """Give the bytes of an answer, its head included; None where it is chunked."""
    head = start.partition(b"\r\n\r\n")[0]
    size = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return len(head) + 4 + int(size[1]) if size else None


STREAMS = {"upload": upload, "download": download}


def measure_idle(name, folder):
    """Give the KiB that each of many connections takes, after one request each."""
    request = f"GET /hello/minimal HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with run(name, folder, idle=True) as server, ExitStack() as stack:
        for _ in range(100):
            check("minimal", server.port)
        before = server.resident()
        clients = [stack.enter_context(connect(server.port)) for _ in range(IDLE)]
        for client in clients:
            client.sendall(request)
            answer = b""
            while not answer.endswith(b"}"):
                received = client.recv(4096)
                if not received:
                    raise RuntimeError(f"refuses some of {IDLE} connections")
                answer += received
        time.sleep(1.5)
        after = server.resident()
        poll = select.poll()
        for client in clients:
            poll.register(client, select.POLLIN)
        if closed := len(poll.poll(0)):
            raise RuntimeError(f"closed {closed} of {IDLE} idle connections")
        return (after - before) / IDLE / 1024


def measure_start(name, folder):
    """Give the milliseconds of an import beyond asyncio's, and to a first answer."""
    answers, imports, asyncios = [], [], []
    for _ in range(STARTS):
        started = time.perf_counter()
        with run(name, folder, start=True) as server:
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


def extensions_imported():
    """List the packages of Roll's that `import roll` imports beside itself."""
    code = "import roll, sys; print(*(n for n in sys.modules if n.startswith('roll_')))"
    command = [python_of("roll"), "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.split()
