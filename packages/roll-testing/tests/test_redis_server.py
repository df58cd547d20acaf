import signal
import socket

import pytest
from roll_testing import RedisServer, wait_until

# A server is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    RedisServer.program is None,
    reason="redis-server is not installed: apt-get install redis-server",
)


def ask(server, command):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.path))
        client.sendall(command + b"\r\n")
        return client.recv(100)


def test_a_server_is_started_again_with_its_data(tmp_path_factory):
    options = ("--appendonly", "yes", "--appendfsync", "always")
    server = RedisServer(tmp_path_factory.mktemp("redis"), *options)
    assert server.url == f"unix://{server.path}"
    server.start()
    try:
        assert ask(server, b"SET a 1") == b"+OK\r\n"
        server.kill()
        with pytest.raises(ConnectionError):
            ask(server, b"GET a")
        server.start()
        wait_until(lambda: ask(server, b"GET a") == b"$1\r\n1\r\n", "its data")
    finally:
        server.signal(signal.SIGTERM)
        server.kill()
