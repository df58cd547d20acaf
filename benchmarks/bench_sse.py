"""Server-sent events: roll-sse beside sse-starlette.

Each server runs in a process and on a CPU of its own. Roll is on uvloop; sse-starlette
is under uvicorn, with uvloop and httptools, and as "plain", with asyncio and h11, as
with a mere `pip install uvicorn`. It has a queue for each client, as its users write
it. 1,000 clients in this process, on other CPUs, follow events of 90 bytes, each with
the time at which it was published. Printed are the CPU time of the server, how many
events came, how long they took to one client in 20, and how much later than planned all
had come; they are published for 5 seconds, and for 10 at 100 a second.

Then the memory of a server, without clients and with 1,000 that get nothing; how long
that takes to end by SIGTERM, and how many clients saw the end of the response; and the
time to encode an event.

Needs Linux. It takes two minutes.

On 2026-11-30, with 2 CPUs, Python 3.13.0, sse-starlette 3.7.0, starlette 1.10.0,
uvicorn 0.54.0 and uvloop 0.23.0:

           a second      sent  received     CPU s    p50 ms    p99 ms  behind s
     roll        10    50,000    50,000      0.68         7        17       0.0
starlette        10    50,000    50,000      1.19        12        25       0.0
    plain        10    50,000    50,000      1.55        16        42       0.0
     roll        50   250,000   250,000      2.66         6        12       0.0
starlette        50   250,000   250,000      4.53         9        25       0.0
    plain        50   250,000   250,000      5.50        11        27       0.8
     roll       100 1,000,000 1,000,000      8.53         4        10       0.0

                MiB  of 1,000    end, s      told
     roll      34.4      40.5      0.07      1000
starlette      38.4      79.6      0.29         0
    plain      36.4      77.8      0.37         0

          encode, us
     roll      0.33
starlette      1.02
"""

import asyncio
import math
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
import timeit
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec

from suite.processes import resident, wait_for
from suite.servers import choose_cpus, cpu_time

HOST = "127.0.0.1"
CLIENTS = 1000
SIZE = 90  # bytes of the data of an event
RUNS = ((10, 5), (50, 5))  # events in a second, seconds
FAST = (100, 10)  # for Roll alone
TIMED = 20  # one client in so many reads the times
LONGEST = 60  # seconds for what is behind


def stamp():
    """Write the data of an event: when it is published, and nothing more."""
    return str(time.monotonic_ns()).ljust(SIZE, ".")


async def publish_all(publish, rate, seconds):
    """Publish at a rate, by the clock: what is late is not left out."""
    start = time.monotonic()
    for number in range(rate * seconds):
        await asyncio.sleep(max(0, start + number / rate - time.monotonic()))
        publish(stamp())


# Servers: each is run in a process with a port


def serve_roll(port):
    from roll import Limits, Roll
    from roll.extensions import simple_server, sse
    from roll_sse import Feed

    class App(Roll):
        limits = Limits(connections=2 * CLIENTS)

    app = App()
    stream = sse(app)
    feed = Feed()

    @app.route("/")
    async def events(request, response):
        stream(request, response, feed.subscribe(since=request))

    @app.route("/publish/{rate:int}/{seconds:int}")
    async def publish(request, response, rate, seconds):
        app.keep(publish_all(feed.publish, rate, seconds))

    simple_server(app, port=port, host=HOST, quiet=True)


def serve_starlette(port, **options):
    import uvicorn
    from sse_starlette import EventSourceResponse
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    queues = set()
    tasks = set()

    async def follow():
        queue = asyncio.Queue()
        queues.add(queue)
        try:
            while True:
                yield {"data": await queue.get()}
        finally:
            queues.discard(queue)

    async def events(request):
        return EventSourceResponse(follow())

    def publish_once(data):
        for queue in queues:
            queue.put_nowait(data)

    async def publish(request):
        task = asyncio.create_task(publish_all(publish_once, **request.path_params))
        tasks.add(task)
        return Response()

    path = "/publish/{rate:int}/{seconds:int}"
    app = Starlette(routes=[Route("/", events), Route(path, publish)])
    options |= {"host": HOST, "port": port, "log_level": "critical"}
    uvicorn.run(app, access_log=False, **options)


def serve_plainly(port):
    serve_starlette(port, loop="asyncio", http="h11")


PEERS = ["sse_starlette", "uvicorn", "uvloop", "httptools"]
SERVERS = {
    "roll": (serve_roll, ["uvloop"]),
    "starlette": (serve_starlette, PEERS),
    "plain": (serve_plainly, PEERS),
}


@contextmanager
def run(name):
    """Run a server in a process, and give it and its port."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, __file__, name, str(port)]) as process:
        try:
            os.sched_setaffinity(process.pid, {choose_cpus()[0]})
            wait_for(lambda: socket.create_connection((HOST, port)).close())
            yield process, port
        finally:
            process.kill()


# Clients


class Client(asyncio.Protocol):
    """Counts events; some take how long they were on their way, too."""

    def __init__(self, timed):
        self.timed = timed
        self.events = 0
        self.took = []
        self.begun = self.whole = self.ended = False

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    def data_received(self, data):
        self.begun = True
        self.events += data.count(b"data: ")
        self.whole = data.endswith(b"0\r\n\r\n")
        if self.timed:
            now = time.monotonic_ns()
            for piece in data.split(b"data: ")[1:]:
                self.took.append(now - int(piece.partition(b".")[0]))

    def connection_lost(self, error):
        self.ended = True


async def connect(port):
    """Let all clients follow; gives them once they do."""
    loop = asyncio.get_running_loop()
    clients = []
    for number in range(CLIENTS):
        _, client = await loop.create_connection(
            lambda timed=number % TIMED == 0: Client(timed), HOST, port
        )
        clients.append(client)
    await wait(lambda: all(client.begun for client in clients))
    return clients


async def wait(condition, longest=LONGEST):
    """Wait until a condition is true; gives whether it is."""
    for _ in range(longest * 100):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


async def ask(port, path):
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    )
    await reader.read()
    writer.close()


async def follow(name, process, port, rate, seconds):
    clients = await connect(port)
    before, started = cpu_time(process.pid), time.monotonic()
    await ask(port, f"/publish/{rate}/{seconds}")
    sent = rate * seconds * CLIENTS
    await wait(lambda: sum(client.events for client in clients) >= sent)
    taken, behind = cpu_time(process.pid) - before, time.monotonic() - started - seconds
    received = sum(client.events for client in clients)
    took = sorted(each / 1e6 for client in clients for each in client.took)
    p99 = took[math.ceil(len(took) * 0.99) - 1]
    show(name, rate, f"{sent:,}", f"{received:,}", f"{taken:.2f}", end=" ")
    show(f"{statistics.median(took):.0f}", f"{p99:.0f}", f"{max(0, behind):.1f}")
    for client in clients:
        client.transport.abort()
    await asyncio.sleep(1)


async def idle(name, process, port):
    before = resident(process)
    clients = await connect(port)
    await asyncio.sleep(1)
    held = resident(process)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = await wait(lambda: process.poll() is not None, 10)
    seconds = time.monotonic() - started if ended else math.inf
    await wait(lambda: all(client.ended for client in clients), 1)
    whole = sum(client.whole for client in clients)
    show(name, f"{before:.1f}", f"{held:.1f}", f"{seconds:.2f}", whole)


# Printing


def show(*values, end="\n"):
    print(*(f"{value!s:>9}" for value in values), end=end)


def encoding():
    from roll_sse import encode
    from sse_starlette import ServerSentEvent

    data = stamp()
    for name, call in {
        "roll": lambda: encode(data),
        "starlette": lambda: ServerSentEvent(data).encode(),
    }.items():
        taken = min(timeit.repeat(call, number=10_000, repeat=5)) / 10_000
        show(name, f"{taken * 1e6:.2f}")


def main():
    import uvloop

    os.sched_setaffinity(0, choose_cpus()[1])
    missing = [name for name in SERVERS if not all(map(find_spec, SERVERS[name][1]))]
    if missing:
        return print("Not installed, so nothing is measured:", "; ".join(missing))
    names = ["sse-starlette", "starlette", "uvicorn", "uvloop"]
    versions = [f"{name} {version(name)}" for name in names]
    print("Python", ", ".join([platform.python_version(), *versions]))
    print()
    show("", "a second", "sent", "received", "CPU s", end=" ")
    show("p50 ms", "p99 ms", "behind s")
    runs = [(name, *each) for each in RUNS for name in SERVERS]
    for name, rate, seconds in [*runs, ("roll", *FAST)]:
        with run(name) as (process, port):
            uvloop.run(follow(name, process, port, rate, seconds))
    print()
    show("", "MiB", "of 1,000", "end, s", "told")
    for name in SERVERS:
        with run(name) as (process, port):
            uvloop.run(idle(name, process, port))
    print()
    show("", "encode, us")
    encoding()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        SERVERS[sys.argv[1]][0](int(sys.argv[2]))
    else:
        main()
