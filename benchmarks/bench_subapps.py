"""Bench: what mounting costs a request, beside the same view on a bare app.

Each round sends requests to all apps in turn, on one connection each, a transport in
memory, so that nothing but Python's time is measured; the ratio is that of the medians.
Then 1,000,000 requests for other paths of a mounted app, and what they leave in memory.
"""

import asyncio
import gc
import resource
import statistics
import sys
import time

from roll import Roll
from roll.extensions import mount

ROUNDS = 60
REQUESTS = 2000
MANY = 1_000_000


class Transport(asyncio.Transport):
    """Takes what is written, and forgets it."""

    def write(self, data):
        pass

    def is_closing(self):
        return False


def make(depth=0, others=0):
    """Make an app with a view, so many mounts deep, beside so many that are not met."""
    app = leaf = Roll()
    for _ in range(depth):
        below = Roll()
        mount(leaf, "/m", below)
        leaf = below
    for number in range(others):
        mount(app, f"/other{number}", Roll())

    @leaf.route("/minimal/{id}")
    async def minimal(request, response, id):
        response.json = {"message": "Hello, World!"}

    return app, "/m" * depth + "/minimal/"


CASES = {
    "bare": make(),
    "mounted once": make(1),
    "mounted three deep": make(3),
    "50 mounts, none met": make(0, 50),
}


def connect(app):
    protocol = app.factory()
    protocol.connection_made(Transport())
    return protocol


async def main():
    protocols = {name: connect(app) for name, (app, _) in CASES.items()}
    times = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name, (_, path) in CASES.items():
            data = f"GET {path}7 HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            receive = protocols[name].data_received
            start = time.perf_counter()
            for _ in range(REQUESTS):
                receive(data)
                if sys.version_info < (3, 12):
                    await asyncio.sleep(0)
            times[name].append((time.perf_counter() - start) / REQUESTS)
            await asyncio.sleep(0)
    bare = statistics.median(times["bare"])
    for name, measured in times.items():
        taken = statistics.median(measured)
        print(f"{name:20} {taken * 1e6:6.2f} us  {bare / taken:.3f} of requests/s")
    _, path = CASES["mounted three deep"]
    receive = protocols["mounted three deep"].data_received
    for count in range(MANY + 1):
        if count in (MANY // 10, MANY):
            gc.collect()
            kept = len(gc.get_objects())
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"after {count:9,} requests: {kept:,} objects, {most} MiB at most")
        receive(f"GET {path}{count} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        if count % 100 == 0 or sys.version_info < (3, 12):
            await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main())
