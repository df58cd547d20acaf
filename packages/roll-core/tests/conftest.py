import asyncio
import importlib
import re
import sys
import textwrap
import time

import pytest
from roll import Roll, plugins

try:
    import uvloop
except ImportError:  # it is not made for every platform
    uvloop = None

LOOPS = [asyncio.new_event_loop, *([uvloop.new_event_loop] if uvloop else [])]


@pytest.fixture
def app():
    return Roll()


@pytest.fixture(params=LOOPS, ids=lambda factory: factory.__module__.split(".")[0])
def run(request):
    """Runs a coroutine on asyncio's loop, then on uvloop's."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run
        assert asyncio.all_tasks(runner.get_loop()) == set()


@pytest.fixture
def cost():
    """Gives the time of the processor that a call takes, at best of some.

    The unit is an expression that looks at a million characters, some 20 ms: a slow or
    busy machine is as slow at both.
    """
    text = "a" * 1_000_000
    look = re.compile("(?:a(?=b)|c)").search

    def measure(function, *arguments):
        start = time.process_time()
        function(*arguments)
        return time.process_time() - start

    def cost(function, *arguments):
        unit = min(measure(look, text) for _ in range(5))
        return min(measure(function, *arguments) for _ in range(5)) / unit

    return cost


@pytest.fixture
def fresh_plugins():
    def forget():
        plugins.manager.cache_clear()
        plugins._collect.cache_clear()
        plugins._owners.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def install(tmp_path, monkeypatch, fresh_plugins):
    """Install a distribution with one module, as pip leaves it behind."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(distribution, version="1.0", source=None, name="x"):
        module = distribution.replace("-", "_")
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata)
        if source is not None:
            (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
            (info / "entry_points.txt").write_text(f"[roll.plugins]\n{name}={module}\n")
            monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()

    return install
