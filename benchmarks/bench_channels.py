"""Channels: roll-channels under load, through outages of Redis, and beside its peers.

A server runs in a process, on uvloop. In another one 1,000 WebSockets and 1,000 event
streams follow one channel, in which 100 messages of 90 bytes are published a second.
Each client counts what it gets, what is missing and what comes twice; 1 in 20 takes how
long messages were on their way. Then Redis is paused for 5 seconds, killed and started
again with its data, and without. At last, what a delivery costs to one of 1,000
subscribers in one process, beside litestar and channels-redis, what a subscription
holds that does not read, and how long a message takes to another process.

Needs Linux and redis-server. It takes four minutes; `--seconds 10` makes it shorter.

On 2026-11-30, with 2 CPUs, Python 3.13.0, channels-redis 4.3.0, litestar 2.25.0, redis
8.1.0 and uvloop 0.23.0, with `--seconds 10`:

                            sent  received  lost  twice resets  CPU  p50 ms  p99 ms
    in memory          2,000,000 2,000,000     0      0      0 0.94      17      49
    Redis              2,000,000 2,000,000     0      0      0 1.00      33      69
    paused for 5 s     2,000,000 2,000,000     0      0      0 0.84      32      69
    restarted          2,000,000 2,000,000     0      0      0 1.00      31      75
    without its data   2,000,000 1,998,000 2,000      0      - 1.00      39      74

In the last one, each client gets one reset: 2,000 of them in a run on a machine that
had other work. What it lacks are messages that Redis lost.

us of CPU for each delivery: roll 1.7, litestar 2.2, channels-redis 36. A subscription
that does not read holds 812 bytes, and no more after 3,000 messages. From publish to
another process: p50 0.32 ms, p99 0.45 ms.
"""

import argparse
import asyncio
import base64
import math
import platform
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from suite.processes import resident, wait_for
from suite.servers import cpu_time

HOST = "127.0.0.1"
CLIENTS = 1000  # of either kind
RATE = 100  # messages a second
TIMED = 20  # one client of so many takes the time
SIZE = 90  # bytes of a message
RESET = "reset.".ljust(SIZE, "x")
MIB = 2**20
KEY = base64.b64encode(bytes(16)).decode()


# The server


def serve(port, address):
    from roll import Limits, Roll
    from roll.extensions import channels, simple_server, sse
    from roll_channels import Message, Unavailable

    class App(Roll):
        limits = Limits(connections=3 * CLIENTS)

    app = App()
    channels(app, address)
    stream = sse(app)

    @app.route("/socket", protocol="websocket")
    async def follow(request, ws):
        async with app["channels"]["a"].subscribe() as messages:
            async for message in messages:
                await ws.send(message.data or RESET)

    async def visible():
        async with app["channels"]["a"].subscribe() as messages:
            async for message in messages:
                yield Message(message.id, message.data or RESET)

    @app.route("/events")
    async def events(request, response):
        stream(request, response, visible())

    @app.route("/publish/{count:int}")
    async def publish(request, response, count):
        app.keep(publish_all(count))

    async def publish_all(count):
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number in range(1, count + 1):
            text = f"{number}.{time.monotonic_ns()}.".ljust(SIZE, "x")
            try:
                await app["channels"]["a"].publish(text)
            except Unavailable as error:
                print(error, file=sys.stderr)
            await asyncio.sleep(start + number / RATE - loop.time())

    simple_server(app, port=port, host=HOST, quiet=True)


@contextmanager
def run(address):
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "serve", str(port), address]
    with subprocess.Popen(command) as process:
        try:
            wait_for(lambda: socket.create_connection((HOST, port)).close())
            yield process, port
        finally:
            process.terminate()


class Redis:
    """A redis-server with an append-only file, on a unix socket."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.path = self.folder / "redis.sock"
        self.address = f"unix://{self.path}"

    def start(self):
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.path)]
        command += ["--save", "", "--appendonly", "yes"]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL
        )
        wait_for(lambda: socket.socket(socket.AF_UNIX).connect(str(self.path)))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def lose(self):
        for path in self.folder.glob("appendonlydir/*"):
            path.unlink()


# Clients


class Client(asyncio.Protocol):
    """Counts messages: `<number>.<nanoseconds>.x...`, each behind a mark."""

    def __init__(self, path, timed):
        self.path = path
        self.mark = b"data: " if path == "/events" else b"\x81%c" % SIZE
        self.timed = timed
        self.last = self.received = self.lost = self.twice = self.resets = 0
        self.took = []
        self.begun = False
        self.rest = b""

    def connection_made(self, transport):
        self.transport = transport
        head = f"GET {self.path} HTTP/1.1\r\nHost: x\r\n"
        if self.path == "/socket":
            head += (
                "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
            )
        transport.write(f"{head}\r\n".encode())

    def data_received(self, data):
        self.begun = True
        data = self.rest + data
        now = time.monotonic_ns() if self.timed else 0
        at = data.find(self.mark)
        while at >= 0 and len(data) >= at + len(self.mark) + SIZE:
            start = at + len(self.mark)
            end = data.index(b".", start)
            if data[start:end] == b"reset":
                self.resets += 1
            else:
                self.count(int(data[start:end]))
                if now:
                    sent = data[end + 1 : data.index(b".", end + 1)]
                    self.took.append((now - int(sent)) / 1e6)
            at = data.find(self.mark, start + SIZE)
        self.rest = data[at:] if at >= 0 else b""

    def count(self, number):
        self.received += 1
        if number <= self.last:
            self.twice += 1
        elif self.last:
            self.lost += number - self.last - 1
        self.last = number


async def connect(port):
    loop = asyncio.get_running_loop()
    clients = []
    for path in ("/socket", "/events"):
        for number in range(CLIENTS):
            _, client = await loop.create_connection(
                lambda path=path, n=number: Client(path, n % TIMED == 0), HOST, port
            )
            clients.append(client)
    # The last ones have entered when their head is here, and what follows.
    await wait(lambda: all(client.begun for client in clients))
    await asyncio.sleep(1)
    return clients


async def wait(condition, longest=60):
    end = time.monotonic() + longest
    while not condition() and time.monotonic() < end:
        await asyncio.sleep(0.05)
    return condition()


async def publish(port, count):
    reader, writer = await asyncio.open_connection(HOST, port)
    head = f"GET /publish/{count} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    await reader.read()
    writer.close()


async def follow(name, process, port, seconds, outage=None):
    clients = await connect(port)
    count = RATE * seconds
    before, held, started = cpu_time(process.pid), resident(process), time.monotonic()
    await publish(port, count)
    if outage is not None:
        await asyncio.sleep(seconds / 4)
        await outage()
    whole = await wait(
        lambda: all(each.last == count for each in clients), seconds + 60
    )
    taken = time.monotonic() - started
    used = (cpu_time(process.pid) - before) / taken
    sums = [
        sum(getattr(client, name) for client in clients)
        for name in ("received", "lost", "twice", "resets")
    ]
    took = sorted(each for client in clients for each in client.took)
    p50, p99 = statistics.median(took), took[math.ceil(len(took) * 0.99) - 1]
    rss = (resident(process) / held - 1) * 100
    print(
        f"{name:<22} {2 * CLIENTS * count:>10,} {sums[0]:>10,} {sums[1]:>8,}"
        f" {sums[2]:>6} {sums[3]:>6} {used:>5.2f} {p50:>7.0f} {p99:>7.0f} {rss:>+6.1f}%"
        f" {'' if whole else ' not all got the last one'}"
    )
    for client in clients:
        client.transport.abort()


async def load(seconds):
    print(
        f"{'':<22} {'sent':>10} {'received':>10} {'lost':>8} {'twice':>6} {'resets':>6}"
        f" {'CPU':>5} {'p50 ms':>7} {'p99 ms':>7} {'RSS':>7}"
    )
    with run("memory") as (process, port):
        await follow("in memory", process, port, seconds)
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(folder)
        redis.start()

        async def pause():
            redis.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(5)
            redis.process.send_signal(signal.SIGCONT)

        async def restart():
            redis.kill()
            redis.start()

        async def lose():
            redis.kill()
            redis.lose()
            redis.start()

        for name, outage in {
            "Redis": None,
            "Redis, paused 5 s": pause,
            "Redis, restarted": restart,
            "Redis, without data": lose,
        }.items():
            with run(redis.address) as (process, port):
                length = seconds if outage is None else max(10, seconds // 4)
                await follow(name, process, port, length, outage)
        redis.kill()


# A delivery, in one process


class Count:
    """How many messages were delivered."""

    def __init__(self):
        self.value = 0

    async def measure(self, publish, count):
        """Publish when all have the message before, and give the CPU time."""
        await asyncio.sleep(0.5)
        before = time.process_time()
        for number in range(count):
            await publish("x" * SIZE)
            while self.value < (number + 1) * CLIENTS:
                await asyncio.sleep(0)
        return time.process_time() - before


async def deliver_roll(count):
    from roll import Roll
    from roll.extensions import channels

    app = Roll()
    channels(app)
    await app.startup()
    delivered = Count()

    async def read(messages):
        async for _ in messages:
            delivered.value += 1

    channel = app["channels"]["a"]
    tasks = [asyncio.create_task(read(channel.subscribe())) for _ in range(CLIENTS)]
    taken = await delivered.measure(channel.publish, count)
    await app.shutdown()
    await asyncio.gather(*tasks)
    return taken


async def deliver_litestar(count):
    from litestar.channels import ChannelsPlugin
    from litestar.channels.backends.memory import MemoryChannelsBackend

    plugin = ChannelsPlugin(MemoryChannelsBackend(), channels=["a"])
    delivered = Count()

    async def read(subscriber):
        async for _ in subscriber.iter_events():
            delivered.value += 1

    async def publish(text):
        plugin.publish(text, "a")

    async with plugin:
        found = [await plugin.subscribe("a") for _ in range(CLIENTS)]
        tasks = [asyncio.create_task(read(each)) for each in found]
        taken = await delivered.measure(publish, count)
        for task in tasks:
            task.cancel()
        return taken


async def deliver_channels_redis(count):
    from channels_redis.core import RedisChannelLayer

    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(folder)
        redis.start()
        layer = RedisChannelLayer(hosts=[redis.address])
        names = [await layer.new_channel() for _ in range(CLIENTS)]
        for name in names:
            await layer.group_add("a", name)
        delivered = Count()

        async def read(name):
            while True:
                await layer.receive(name)
                delivered.value += 1

        tasks = [asyncio.create_task(read(name)) for name in names]
        taken = await delivered.measure(
            lambda text: layer.group_send("a", {"type": "message", "data": text}), count
        )
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await layer.close_pools()
        redis.kill()
        return taken


PEERS = {
    "roll": (deliver_roll, "roll_channels"),
    "litestar": (deliver_litestar, "litestar"),
    "channels-redis": (deliver_channels_redis, "channels_redis"),
}


def deliver():
    print(f"\n{'':<22} {'us of CPU for each delivery':>10}")
    for name, (_, module) in PEERS.items():
        if find_spec(module) is None:
            print(f"{name:<22} not installed")
            continue
        command = [sys.executable, __file__, "deliver", name]
        done = subprocess.run(command, capture_output=True, text=True)
        print(f"{name:<22} {done.stdout.strip() or done.stderr[-200:]}")


# Memory and latency


async def hold():
    from roll import Roll
    from roll.extensions import channels

    app = Roll()
    channels(app)
    await app.startup()
    channel = app["channels"]["a"]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [channel.subscribe() for _ in range(10_000)]
    waiting = [asyncio.create_task(each.__aenter__()) for each in kept]
    await asyncio.gather(*waiting)
    del waiting
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(3000):
        await channel.publish("x" * SIZE)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(
        f"\na subscription that does not read holds {(first - before) / len(kept):.0f} "
        f"bytes; 3,000 messages later, all of them and the log hold "
        f"{(after - first) / MIB:.2f} MiB more"
    )
    await app.shutdown()


async def cross(address, count, is_reader):
    from roll import Roll
    from roll.extensions import channels

    app = Roll()
    channels(app, address)
    await app.startup()
    channel = app["channels"]["a"]
    if is_reader:
        took = []
        async with channel.subscribe() as messages:
            print("ready", flush=True)
            for _ in range(count):
                sent = int((await anext(messages)).data)
                took.append((time.monotonic_ns() - sent) / 1e6)
        print(f"{statistics.median(took):.2f} {sorted(took)[int(count * 0.99)]:.2f}")
    else:
        for _ in range(count):
            await channel.publish(str(time.monotonic_ns()))
            await asyncio.sleep(0.002)
    await app.shutdown()


def latency(run):
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(folder)
        redis.start()
        command = [sys.executable, __file__, "cross", redis.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            run(cross(redis.address, 1000, False))
            p50, p99 = process.stdout.readline().split()
        redis.kill()
    print(f"from publish to another process: p50 {p50} ms, p99 {p99} ms")


def main(seconds):
    import uvloop

    names = ["redis", "uvloop", "litestar", "channels-redis"]
    found = [name for name in names if find_spec(name.replace("-", "_"))]
    versions = [f"{name} {version(name)}" for name in found]
    print("Python", ", ".join([platform.python_version(), *versions]), end="\n\n")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8 * CLIENTS), hard))
    uvloop.run(load(seconds))
    deliver()
    uvloop.run(hold())
    latency(uvloop.run)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1:2] == ["deliver"]:
        taken = asyncio.run(PEERS[sys.argv[2]][0](100))
        print(f"{taken / 100 / CLIENTS * 1e6:.2f}")
    elif sys.argv[1:2] == ["cross"]:
        asyncio.run(cross(sys.argv[2], 1000, True))
    else:
        parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
        parser.add_argument("--seconds", type=int, default=60)
        main(parser.parse_args().seconds)
