import pytest
from roll_testing import RedisServer

KEY = "a key of 32 bytes, for the tests"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    # A server is not a Python package: the other tests run without it.
    # `.ci/run` installs it, so that nothing is skipped there.
    if RedisServer.program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()
