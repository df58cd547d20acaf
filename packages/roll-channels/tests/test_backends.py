"""Both back-ends keep the same promises."""

from dataclasses import replace

import pytest
from roll_channels import MemoryBackend, RedisBackend
from roll_channels.testing import BackendContract


class TestMemory(BackendContract):
    @pytest.fixture
    def make_backend(self):
        return MemoryBackend


class TestRedis(BackendContract):
    @pytest.fixture
    def make_backend(self, redis_server, prefix):
        return lambda options: RedisBackend(
            redis_server.url, replace(options, prefix=prefix)
        )
