"""What the code relies on: figures that are too small for a benchmark of their own.

Each row is a claim of `NOTES.md`, under "What the code relies on", measured again: the
best of several runs. Files are sent to one client on another process, from the page
cache.
"""

import multiprocessing
import socket
import statistics
import tempfile
from pathlib import Path
from timeit import repeat

from bench_static import HOST, download, serve_roll, wait_for
from roll.preferences import read_codings
from roll_proxy import _parse_address
from roll_static import cache, files
from roll_websockets.frames import PING, TEXT, TURN, FrameReader
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

ROUNDS = 5


def best(function, number=1000):
    """Give the microseconds of a call."""
    return min(repeat(function, number=number, repeat=ROUNDS)) / number * 1e6


# Values that come again


def address():
    return best(lambda: _parse_address.__wrapped__("203.0.113.7"))


def accept_encoding():
    return best(lambda: read_codings.__wrapped__("gzip, deflate, br;q=0.9"))


# Files


def serve(root, port, constants):
    for module, name, value in constants:
        setattr(module, name, value)
    serve_roll(root, port)


def file(size, *constants):
    """Give the microseconds of sending a file, with other constants."""
    with tempfile.TemporaryDirectory() as root:
        path = Path(root, "file")
        path.write_bytes(b"x" * size)
        with socket.create_server((HOST, 0)) as free:
            port = free.getsockname()[1]
        fork = multiprocessing.get_context("fork")
        server = fork.Process(target=serve, args=(root, port, constants))
        server.start()
        try:
            wait_for(port)
            download(port, path)
            rates = [download(port, path) for _ in range(10 * ROUNDS)]
        finally:
            server.terminate()
            server.join()
    return 1e6 / statistics.median(rates)


# Frames


class Reader(FrameReader):
    """Reads frames, and does nothing with them."""

    def _deliver(self, message):
        pass

    def _flush(self):
        self._protocol.data_to_send()

    def _take_pong(self, data):
        pass

    def _give_way(self):
        pass

    def _has_to_wait(self):
        return False


def read_frames(first, count):
    """Give the microseconds of reading some empty or small frames of a client."""
    payload = b"" if first == PING else b"x" * 64
    frames = b"".join(
        Frame(Opcode(first & 15), payload).serialize(mask=True) for _ in range(count)
    )
    reader = Reader(ServerProtocol(state=OPEN))
    return best(lambda: reader._read(frames), 100)


def parse_frames(count):
    """Give the same for text, of websockets' parser."""
    data = Frame(Opcode.TEXT, b"x" * 64).serialize(mask=True) * count
    protocol = ServerProtocol(state=OPEN)

    def parse():
        protocol.receive_data(data)
        protocol.events_received()

    return best(parse, 100)


ROWS = {
    "an address parsed": address,
    "an Accept-Encoding parsed": accept_encoding,
    "100 MiB in pieces of 64 KiB at most": lambda: file(
        100 * 2**20, (files, "PIECES", (2**16, 2**16))
    ),
    "100 MiB in pieces of 1 MiB at most": lambda: file(100 * 2**20),
    "1 MiB that is kept": lambda: file(2**20),
    "1 MiB in pieces": lambda: file(2**20, (cache, "KEPT", 0)),
    f"{TURN} pings": lambda: read_frames(PING, TURN),
    "100 messages of 64 bytes, read": lambda: read_frames(TEXT, 100),
    "the same, by websockets' parser": lambda: parse_frames(100),
}


def main():
    for name, measure in ROWS.items():
        print(f"{name:<40} {measure():>12,.1f} us", flush=True)


if __name__ == "__main__":
    main()
