"""Browsers that follow one channel, while workers are killed and Redis is restarted."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import pytest
from roll_testing import RedisServer, patience

from examples.chat.test_chat_browser import CHROMIUM
from examples.hello.browser import browse

ROOT = Path(__file__).parents[2]

# Neither is a Python package: the other tests run without them.
# `.ci/run` installs them, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and RedisServer.program),
    reason="not installed: apt-get install chromium redis-server",
)


@pytest.fixture
def redis_server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"), "--appendonly", "yes")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def meeting():
    """Where the workers meet: sockets have short paths."""
    with tempfile.TemporaryDirectory(prefix="roll-") as folder:
        yield folder


@pytest.fixture
def url(redis_server, meeting):
    """Where `roll run examples.ticker:app --workers 2` listens."""
    command = [sys.executable, "-u", "-m", "roll_server", "run", "examples.ticker:app"]
    added = {"REDIS_URL": redis_server.url, "TICKER_INTERVAL": "0.05"}
    added["ROLL_METRICS_DIR"] = meeting
    with subprocess.Popen(
        [*command, "--workers", "2", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, **added},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        lines = []
        for line in server.stdout:
            lines.append(line)
            if found := re.match(r"Rolling on (\S+) with 2 workers", line):
                break
        reading = threading.Thread(target=lambda: lines.extend(server.stdout))
        reading.start()
        yield found[1]
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=patience(60)) == 0
        reading.join()


@pytest.fixture
def tabs(url, tmp_path):
    with browse(CHROMIUM, tmp_path) as page:
        pages = [page, *(page.open_another() for _ in range(3))]
        for tab, via in zip(pages, ["socket", "events", "poll", "socket"], strict=True):
            tab.open(f"{url}/?via={via}")
        yield pages


def offset(id):
    return int(id.partition("-")[2])


def test_every_tab_shows_the_same_sequence(tabs, redis_server):
    def number(tab, id):
        return int(tab.run(f"find('{id}').textContent"))

    def go_on():
        """Wait until all tabs have ticks of both workers; give one of the workers."""
        for tab in tabs:
            tab.run("workers.length = 0")
            tab.wait("new Set(workers).size == 2")
        return tabs[0].run("workers.at(-1)")

    for round in range(4):
        os.kill(go_on(), signal.SIGKILL)
        if round == 1:
            redis_server.kill()
            redis_server.start()
    go_on()
    last = tabs[0].run("ids.at(-1)")
    for tab in tabs:
        tab.wait(f"ids.includes('{last}')")
    # The tabs were opened one after the other.
    first = max((tab.run("ids[0]") for tab in tabs), key=offset)
    shown = [
        tab.run(f"ids.slice(ids.indexOf('{first}'), ids.indexOf('{last}') + 1)")
        for tab in tabs
    ]
    assert len(shown[0]) > 50
    assert all(each == shown[0] for each in shown)
    for tab in tabs:
        assert [number(tab, id) for id in ("lost", "twice", "resets")] == [0, 0, 0]
    assert sum(number(tab, "reconnections") for tab in tabs) > 0


def test_those_who_run_it_see_both_workers(url):
    with urllib.request.urlopen(f"{url}/readyz") as response:
        assert json.load(response) == {"status": "pass"}
    with urllib.request.urlopen(f"{url}/metrics") as response:
        told = response.read().decode()
    for worker in "1", "2":
        assert f'process_cpu_seconds_total{{worker="{worker}"}}' in told
