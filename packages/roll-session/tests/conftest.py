import contextlib
import shutil
import socket
import subprocess

import pytest
from roll_testing import wait_until

REDIS = shutil.which("redis-server")
KEY = "a key of 32 bytes, for the tests"


class RedisServer:
    """A redis-server on a unix socket, which can be killed and started again."""

    def __init__(self, folder):
        self.path = folder / "redis.sock"
        self.url = f"unix://{self.path}"
        self._folder = folder
        self._process = None

    def start(self):
        command = [REDIS, "--port", "0", "--unixsocket", str(self.path), "--save", ""]
        self._process = subprocess.Popen(
            command,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        wait_until(self._accepts, "the start of redis-server")

    def kill(self):
        self._process.kill()
        self._process.wait()

    def signal(self, number):
        self._process.send_signal(number)

    def _accepts(self):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.path))
            return True


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    # A server is not a Python package: the other tests run without it.
    # `.ci/run` installs it, so that nothing is skipped there.
    if REDIS is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()
