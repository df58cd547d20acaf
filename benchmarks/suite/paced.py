"""A client that asks at a fixed rate, however late the responses are.

A client that waits for a response before it asks again asks less while a server stalls,
and does not see what the stall delays. This one plans when it asks, and counts from
there. It has a CPU of its own and never sleeps, so that it is hardly late itself.
"""

import select
import socket
import time
from collections import deque
from contextlib import ExitStack

SLOWEST = 10  # seconds for the last answers
WARM_UP = 0.3


class Connection:
    """One connection; what is asked while a response is due is pipelined.

    Args:
        host: The server's address.
        port: The server's port.
        request: What is asked, always the same.
    """

    def __init__(self, host, port, request):
        self.socket = socket.create_connection((host, port), timeout=SLOWEST)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = request
        self.due = deque()
        self.received = 0
        self.size = self._size_of_answer()  # all have the length of the first one
        self.socket.setblocking(False)

    def _size_of_answer(self):
        self.socket.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(4096)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        while len(body) < int(length):
            body += self.socket.recv(4096)
        return len(head) + 4 + int(length)

    def ask(self, planned):
        self.due.append(planned)
        self.socket.send(self.request)

    def receive(self, latencies):
        """Add the seconds of each response that has come since it was planned."""
        received = len(self.socket.recv(65536))
        if not received:
            raise RuntimeError("the server closed a connection")
        self.received += received
        now = time.perf_counter()
        while self.received >= self.size:
            self.received -= self.size
            latencies.append(now - self.due.popleft())


def ask(connections, rate, seconds):
    """Ask *rate* times a second.

    Returns:
        The seconds to each response, sorted.

    Raises:
        RuntimeError: Not all is answered.
    """
    latencies = []
    asked, count = 0, int(rate * seconds)
    by_descriptor = {each.socket.fileno(): each for each in connections}
    with select.epoll() as poll:
        for descriptor in by_descriptor:
            poll.register(descriptor, select.EPOLLIN)
        started = time.perf_counter()
        while len(latencies) < count:
            passed = time.perf_counter() - started
            if passed > seconds + SLOWEST:
                raise RuntimeError("not all is answered")
            for number in range(asked, min(count, int(passed * rate) + 1)):
                planned = started + number / rate
                connections[number % len(connections)].ask(planned)
                asked += 1
            for descriptor, _ in poll.poll(0):
                by_descriptor[descriptor].receive(latencies)
    return sorted(latencies)


def run_paced(host, port, path, rate, connections, seconds):
    """Do so, and give p50, p99 and p99.9 in milliseconds."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    with ExitStack() as stack:
        opened = [Connection(host, port, request) for _ in range(connections)]
        for each in opened:
            stack.enter_context(each.socket)
        ask(opened, rate, WARM_UP)
        taken = ask(opened, rate, seconds)
    return {
        name: taken[int(len(taken) * share)] * 1e3
        for name, share in {"p50": 0.5, "p99": 0.99, "p999": 0.999}.items()
    }
