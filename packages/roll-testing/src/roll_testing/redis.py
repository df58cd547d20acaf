"""RedisServer: a redis-server for tests."""

import shutil
import socket
import subprocess
from pathlib import Path

from .waiting import wait_until


class RedisServer:
    """A redis-server on a unix socket, which can be killed and started again.

    Args:
        folder: An empty folder with a short path, for its socket and its data.
        options: Options of its command line, such as `"--appendonly", "yes"`.
    """

    program = shutil.which("redis-server")
    """Its path; None if it is not installed."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.path = folder / "redis.sock"
        self.url = f"unix://{self.path}"
        """The address for clients."""
        own = ("--port", "0", "--unixsocket", str(self.path), "--save", "")
        self._command = [self.program or "redis-server", *own, *options]
        self._folder = folder
        self._process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        wait_until(self._accepts, "the start of redis-server")

    def kill(self) -> None:
        """End it at once, and wait for that."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: int) -> None:
        """Send it a signal, to pause it for example."""
        self._process.send_signal(number)

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.path)) == 0
