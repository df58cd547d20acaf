"""The rows: what is asked for, whether the response is right, and how long it takes."""

import functools
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from http.client import HTTPConnection

from .echo import WARM_UP, run_echo
from .peers import APPS, python_of
from .servers import HOST, choose_cpus

MIB = 2**20
SIZE = 100 * MIB
STREAMED = 3  # times in a round: CPU time has ticks of 10 ms
TIMEOUT = 20  # seconds for a response
MESSAGE = {"message": "Hello, World!"}
COOKIE = {"Cookie": "test=sent"}
SENT = '{"name": "Roll", "numbers": [1, 2, 3]}'


@dataclass(frozen=True)
class Row:
    """A request, and the response that it must get.

    Args:
        title: What the tables call it.
        path: The target.
        method: GET, POST or PUT.
        fields: Header fields that are sent.
        body: Sent with it.
        value: The response's JSON; None where it is not JSON.
        size: Of the response's body, in bytes, where it is not JSON.
        cookie: Whether the response sets one.
        script: A script of wrk's in benchmarks/frameworks.
        threads: Of wrk, at most: one has a CPU of its own.
        connections: Of wrk.
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
    connections: int = 64


FULL = "/hello/full/with/foo/and/bar?query=foobar"
FULL_VALUE = {"parameters": ["foo", "bar"], "query": "foobar", "cookie": "sent"}

ROWS = {
    "browser": Row(
        "a browser's head", "/hello/minimal", value=MESSAGE, script="browser.lua"
    ),
    "browser-full": Row(
        "a browser's, full",
        FULL,
        fields=COOKIE,
        value=FULL_VALUE,
        cookie=True,
        script="browser.lua",
    ),
    "minimal": Row("minimal", "/hello/minimal", value=MESSAGE),
    "parameter": Row(
        "parameter", "/hello/with/something", value={"parameter": "something"}
    ),
    "cookie": Row(
        "cookie", "/hello/cookie", fields=COOKIE, value={"cookie": "sent"}, cookie=True
    ),
    "query": Row("query", "/hello/query?query=foobar", value={"query": "foobar"}),
    "full": Row("full", FULL, fields=COOKIE, value=FULL_VALUE, cookie=True),
    "json": Row(
        "POST of JSON",
        "/json",
        method="POST",
        fields={"Content-Type": "application/json"},
        body=SENT,
        value={"name": "Roll", "total": 6},
        script="post.lua",
    ),
    "api": Row(
        "an API client",
        "/json",
        method="POST",
        fields={
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Authorization": f"Bearer {'eyJhbGciOiJIUzI1NiJ9.' * 8}",
            "Content-Type": "application/json",
            "User-Agent": "python-httpx/0.28.1",
        },
        body=SENT,
        value={"name": "Roll", "total": 6},
        script="post.lua",
    ),
    "busy": Row("1,000 connections", "/hello/minimal", value=MESSAGE, connections=1000),
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


def write_files(folder):
    for name, size in [("1k.txt", 2**10), ("1m.txt", MIB)]:
        (folder / name).write_bytes(b"x" * size)


def check(row, port):
    """Ask once.

    Raises:
        RuntimeError: The response is not what everybody has to answer.
    """
    if row == "echo":  # its client looks at each
        return
    check_answer(ROWS[row], port)


def check_answer(wanted, port):
    """Ask for a row once.

    Raises:
        RuntimeError: The response is not what everybody has to answer.
    """
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
        count, took = run_echo(HOST, server.port, ROWS[row].connections, seconds)
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
    command = ["wrk", f"-t{len(cpus)}", "--latency", f"-c{row.connections}"]
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
    """Give the bytes of a response, its head included; None where it is chunked."""
    head = start.partition(b"\r\n\r\n")[0]
    size = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return len(head) + 4 + int(size[1]) if size else None


STREAMS = {"upload": upload, "download": download}


def extensions_imported():
    """List the packages of Roll's that `import roll` imports beside itself."""
    code = "import roll, sys; print(*(n for n in sys.modules if n.startswith('roll_')))"
    command = [python_of("roll"), "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.split()
