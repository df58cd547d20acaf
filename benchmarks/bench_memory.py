"""Memory that connections take: idle ones, and those of clients that send too much.

The targets: at most 4 KiB of resident memory for each idle connection that is kept
alive, of 3,000, after one request each; and never more than 64 KiB and one read for
what a connection buffers. A read is up to 256 KiB, of asyncio and of uvloop alike.

Every figure is of a process of its own, one server on one loop. Idle connections are
measured beside those of a bare asyncio.Protocol that writes a fixed answer: what these
take is the loop's. Growth by clients that send too much is taken at its highest, in
clients that have sent 4 MiB to a view that reads before, and go on until nothing has
moved for a while:

- an upload: of 1 GiB, to a view that does not read it;
- in small chunks: an upload whose chunks have 2 bytes;
- pipelined: requests that follow one whose view does not end;
- with a body: the same, of POST requests with 2 bytes each;
- unread: a client that does not read a response, streamed in blocks of 64 KiB.

What the system buffers for a socket is not a process's memory, and not in here.

2026-11-21, a virtual machine with 4 CPUs, shared with other work, CPython 3.13.0,
uvloop 0.23.0, KiB: an idle connection has 2.24 on uvloop, of which a bare protocol's
are 1.22, and 3.34 on asyncio (2.72); a client that sends too much, 244 to 313.
"""

import asyncio
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
KIB = 1024
CONNECTIONS = 3_000
SPARE = 100  # files that a process needs beside
GREEDY = 50  # clients that send too much
SWEPT = 3  # seconds: the app looks at its connections every second
QUIET = 1  # seconds in which nothing could be sent: the server reads no more
WIDE = 4 * 1024 * KIB  # once so much was read, the system takes more ahead of a read
TARGET = 4
BOUND = 64 + 256

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n"
LARGE = POST % (b"/read", b"Content-Length: %d" % WIDE) + bytes(WIDE)
SMALL = POST % (b"/stuck", b"Content-Length: 2") + b"xx"
# What a client sends once, and what it sends again and again after it.
CLIENTS = {
    "an upload": (POST % (b"/stuck", b"Content-Length: %d" % 2**30), b"x" * 64),
    "in small chunks": (
        POST % (b"/stuck", b"Transfer-Encoding: chunked"),
        b"2\r\nxx\r\n",
    ),
    "pipelined": (GET % b"/stuck", GET % b"/"),
    "with a body": (SMALL, SMALL),
    "unread": (GET % b"/blocks", b""),
}


# The servers


class Bare(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(ANSWER)


def make_app():
    from roll import Limits, Roll

    class App(Roll):
        limits = Limits(connections=10_000, keep_alive=600)

    app = App()

    @app.route("/")
    async def hello(request, response):
        response.body = "hello"

    @app.route("/read", methods=["POST"], lazy_body=True)
    async def read(request, response):
        async for _ in request:
            pass
        response.body = "hello"

    @app.route("/stuck", methods=["GET", "POST"], lazy_body=True)
    async def stuck(request, response):
        await asyncio.Event().wait()

    @app.route("/blocks")
    async def blocks(request, response):
        response.body = make_blocks()

    async def make_blocks():
        while True:
            yield bytes(64 * KIB)

    return app


async def serve_roll(sock):
    from roll import Server

    await Server(make_app(), [sock]).start()


async def serve_bare(sock):
    loop = asyncio.get_running_loop()
    await loop.create_server(Bare, sock=sock, backlog=2048)


SERVERS = {"bare": serve_bare, "roll": serve_roll}


def loop_factories():
    factories = {"asyncio": asyncio.new_event_loop}
    if find_spec("uvloop"):
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
    return factories


def serve(server, loop):
    """Be a server, until the process is ended."""

    async def run():
        sock = socket.create_server(("127.0.0.1", 0))
        await SERVERS[server](sock)
        print(sock.getsockname()[1], flush=True)
        await asyncio.Event().wait()

    allow_files()
    with asyncio.Runner(loop_factory=loop_factories()[loop]) as runner:
        runner.run(run())


def allow_files():
    """Raise the number of files that may be open as far as it goes, and return it."""
    import resource  # Unix alone has it

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


# The clients


def connect(stack, port):
    return stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))


def ask(stack, port, request=GET % b"/"):
    """Connect and get a response; the connection stays open until the stack ends."""
    client = connect(stack, port)
    client.sendall(request)
    answer = b""
    while not answer.endswith(b"hello"):
        piece = client.recv(64 * KIB)
        if not piece:
            raise ConnectionError(f"the server closed after {answer!r}")
        answer += piece
    return client


def send_on(clients, again):
    """Send by all clients until nobody takes any more."""
    if not again:
        return
    again *= 64 * KIB // len(again)
    rest = dict.fromkeys(clients, again)
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        _, writable, _ = select.select([], clients, [], QUIET / 10)
        for client in writable:
            rest[client] = rest[client][client.send(rest[client]) :] or again
            end = time.monotonic() + QUIET


# Measuring


@contextmanager
def running(server, loop):
    """Run a server that has answered once.

    Yields:
        Its process id and its port.
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import bench_memory as b; b.serve({server!r}, {loop!r})",
        ],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(process.stdout.readline())
        with ExitStack() as stack:
            ask(stack, port)
        yield process.pid, port
    finally:
        process.kill()  # it would wait for the views that do not end
        process.communicate()


def kib(pid, name):
    """Read a size from `man proc_pid_status`, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def measure_idle(server, loop, count):
    """Count the KiB of resident memory of each connection that has been answered."""
    with running(server, loop) as (pid, port), ExitStack() as stack:
        before = kib(pid, "VmRSS")
        for _ in range(count):
            ask(stack, port)
        time.sleep(SWEPT)
        return (kib(pid, "VmRSS") - before) / count


def measure_greedy(loop, kind):
    """Count the KiB of each client that sends too much, when they were the most."""
    once, again = CLIENTS[kind]
    with running("roll", loop) as (pid, port), ExitStack() as stack:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # VmHWM starts from VmRSS
        before = kib(pid, "VmHWM")
        clients = [ask(stack, port, LARGE) for _ in range(GREEDY)]
        os.kill(pid, signal.SIGSTOP)  # so that there is much to read at once
        for client in clients:
            client.sendall(once)
            client.setblocking(False)
        send_on(clients, again)
        os.kill(pid, signal.SIGCONT)
        send_on(clients, again)
        time.sleep(SWEPT)
        return (kib(pid, "VmHWM") - before) / GREEDY


def main():
    if not Path("/proc/self/clear_refs").exists():
        return print("Left out: memory is measured on Linux alone")
    count = min(CONNECTIONS, allow_files() - SPARE)
    loops = list(loop_factories())
    versions = [f"uvloop {version('uvloop')}"] if "uvloop" in loops else []
    print("Python", ", ".join([platform.python_version(), *versions]))

    print(f"\nKiB of an idle connection, of {count:,}; target: at most {TARGET}")
    print(f"{'loop':<16} {'roll':>8} {'bare':>8} {'more':>8}")
    for loop in loops:
        roll, bare = (measure_idle(name, loop, count) for name in ("roll", "bare"))
        print(f"{loop:<16} {roll:>8.2f} {bare:>8.2f} {roll - bare:>8.2f}")

    print(f"\nKiB of a client that sends too much, of {GREEDY}; bound: {BOUND}")
    print(f"{'client':<16}", *(f"{loop:>8}" for loop in loops))
    for kind in CLIENTS:
        cells = [f"{measure_greedy(loop, kind):>8,.0f}" for loop in loops]
        print(f"{kind:<16}", *cells)


if __name__ == "__main__":
    main()
