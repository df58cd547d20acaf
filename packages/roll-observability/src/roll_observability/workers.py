"""Workers: the processes that serve an app, and respond for each other when scraped.

Each has a number, as long as it holds the lock on a file, and a socket on which it
gives the others its measurements. When a process dies, the system frees its lock, and
its counts are lost.
"""

import asyncio
import fcntl
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import cast

from roll.logs import logger

from .exposition import END, FORMATS

PATIENCE = 0.5
"""Seconds for another worker to respond."""

LONGEST_PATH = 107
"""The most bytes of the path of a socket in Linux; other systems allow a few less."""

READ = 2**20
"""Bytes that are read ahead."""

Write = Callable[[str, int], Awaitable[bytes]]
"""Writes what this process has measured: the name of the format, its own number."""


class Workers:
    """A process among those that serve the same app.

    Args:
        directory: Where they meet; no other app may use it.
        write: Writes what is measured here.

    Raises:
        ValueError: The path is too long for a socket.
    """

    def __init__(self, directory: Path, write: Write) -> None:
        self._directory = directory
        self._write = write
        self._lock = -1
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self.number = 0
        """The number of this process, from 1 on; 0 while it has none."""
        longest = os.fsencode(self._socket(9999).absolute())
        if len(longest) > LONGEST_PATH:
            raise ValueError(
                f"directory={str(directory)!r}: give a shorter path; that of a socket "
                f"in it would have {len(longest)} bytes, more than {LONGEST_PATH}"
            )

    def _socket(self, number: int) -> Path:
        return self._directory / f"worker-{number}.sock"

    def _take(self, number: int) -> bool:
        """Take a number, unless another process has it."""
        path = self._directory / f"worker-{number}.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock, self.number = lock, number
        return True

    async def open(self) -> None:
        """Take the first free number, and serve the other workers."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        next(filter(self._take, count(1)))
        path = self._socket(self.number)
        path.unlink(missing_ok=True)  # left by a process that was killed
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        path.chmod(0o600)  # before anybody can connect
        self._server = await asyncio.start_unix_server(self._tell, sock=listening)

    async def close(self) -> None:
        """Give the number back."""
        if self._server is not None:
            self._server.close()
            for task in self._answering:
                task.cancel()
            await asyncio.gather(*self._answering)
            self._socket(self.number).unlink(missing_ok=True)
            os.close(self._lock)
            self._server, self.number = None, 0

    async def ask(self, format: str) -> tuple[list[bytes], int]:
        """Ask all the others.

        Returns:
            Their measurements, and how many did not respond in time.
        """
        paths = [
            path
            for path in sorted(self._directory.glob("worker-*.sock"))
            if path != self._socket(self.number)
        ]
        answers = await asyncio.gather(*[_ask(path, format) for path in paths])
        told = [answer for answer in answers if answer]
        return told, answers.count(b"")

    async def _tell(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Respond to another worker."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._answering.add(task)
        try:
            async with asyncio.timeout(2 * PATIENCE):
                format = (await reader.readline()).decode().strip()
                if format in FORMATS:
                    writer.write(await self._write(format, self.number))
                    writer.write(END)
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.CancelledError):
            writer.transport.abort()  # it no longer waits, or we end
        except Exception:
            logger.exception("The metrics of worker %d cannot be written", self.number)
        finally:
            self._answering.discard(task)
            writer.close()


async def _ask(path: Path, format: str) -> bytes | None:
    """Ask the worker at a socket.

    Returns:
        Its response, empty if it did not respond in time; None if there is no worker.
    """
    text = b""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            try:
                reader, writer = await asyncio.open_unix_connection(path, limit=READ)
            except (ConnectionRefusedError, FileNotFoundError):
                return None  # it has ended, and its file may be left
            try:
                writer.write(f"{format}\n".encode())
                text = await reader.read()
            finally:
                writer.close()
    # A worker that was killed meanwhile has not sent the end.
    return text if text.endswith(END) else b""
