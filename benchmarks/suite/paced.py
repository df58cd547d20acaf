"""A client that asks at a fixed rate, however late the responses are.

A client that waits for a response before it asks again asks less while a server stalls,
and does not see what the stall delays. This one plans when it asks, and counts from
there. What is due within a millisecond is sent together.
"""

import asyncio
import time
from collections import deque

import uvloop

TICK = 1e-3  # seconds
SLOWEST = 10  # seconds for the last answers
WARM_UP = 0.3


class Client(asyncio.Protocol):
    """One connection; what is asked while a response is due is pipelined.

    Args:
        latencies: Seconds for each response, added to when it comes.
    """

    def __init__(self, latencies):
        self.latencies = latencies
        self.due = deque()
        self.size = None
        self.waiting = 0
        self.first = b""

    def connection_made(self, transport):
        self.transport = transport

    def ask(self, request, planned):
        self.due.append(planned)
        self.transport.write(request)

    def data_received(self, data):
        if self.size is None:  # all answers have the length of the first one
            self.first += data
            head, end, _ = self.first.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            self.size = len(head) + 4 + int(length)
            data = self.first
        self.waiting += len(data)
        now = time.perf_counter()
        while self.waiting >= self.size and self.due:
            self.waiting -= self.size
            self.latencies.append(now - self.due.popleft())


async def ask(host, port, request, rate, connections, seconds):
    """Ask *rate* times a second.

    Returns:
        The seconds to each response, sorted.

    Raises:
        RuntimeError: Not all is answered.
    """
    loop = asyncio.get_running_loop()
    latencies = []
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: Client(latencies), host, port)
        clients.append(client)
        client.ask(request, time.perf_counter())
    await until(lambda: len(latencies) == connections)
    await plan(clients, request, rate, WARM_UP)
    await until(lambda: not any(client.due for client in clients))
    del latencies[:]
    asked = await plan(clients, request, rate, seconds)
    await until(lambda: len(latencies) == asked)
    for client in clients:
        client.transport.abort()
    return sorted(latencies)


async def plan(clients, request, rate, seconds):
    asked, started = 0, time.perf_counter()
    for tick in range(int(seconds / TICK)):
        planned = started + tick * TICK
        if (early := planned - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        for _ in range(int(tick * TICK * rate) - asked):
            clients[asked % len(clients)].ask(request, planned)
            asked += 1
    return asked


async def until(condition):
    end = time.perf_counter() + SLOWEST
    while not condition():
        if time.perf_counter() > end:
            raise RuntimeError("not all is answered")
        await asyncio.sleep(0.01)


def run_paced(host, port, path, rate, connections, seconds):
    """Do so in a loop of its own, and give p50, p99 and p99.9 in milliseconds."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    taken = uvloop.run(ask(host, port, request, rate, connections, seconds))
    return {
        name: taken[int(len(taken) * share)] * 1e3
        for name, share in {"p50": 0.5, "p99": 0.99, "p999": 0.999}.items()
    }
