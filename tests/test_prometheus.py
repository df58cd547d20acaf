"""A real Prometheus scrapes four workers, of which one is killed.

Then it has answers to what the dashboard of examples/grafana asks, and the alerts of
docs/how-to/monitor.md.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from roll_testing import patience, wait_until
from websockets.sync.client import connect

from tests import prometheus
from tests.nginx import free_port

ROOT = Path(__file__).parent.parent
DASHBOARD = ROOT / "examples" / "grafana" / "roll.json"
GUIDE = ROOT / "docs" / "how-to" / "monitor.md"
COUNT = "http_server_request_duration_seconds_count"

# Prometheus is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    prometheus.PROGRAM is None or prometheus.PROMTOOL is None, reason=prometheus.MISSING
)

SITE = """
import os
from roll import Roll
from roll.extensions import health, metrics

app = Roll()
metrics(app)
health(app)

@app.route("/hello/{name}")
async def hello(request, response, name):
    response.body = "hello"

@app.route("/pid", metrics=False)
async def pid(request, response):
    response.body = str(os.getpid())

@app.route("/broken")
async def broken(request, response):
    response.status = 500

@app.route("/stream")
async def stream(request, response):
    async def pieces():
        yield b"piece"
    response.body = pieces()

@app.route("/ws", protocol="websocket")
async def echo(request, ws):
    async for _ in ws:
        pass
"""


class Client:
    """Asks in a thread, over ever new connections, and counts what is answered."""

    def __init__(self, port):
        self.port = port
        self.answered = Counter()
        self.failed = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        return body

    def refuse(self):
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            sock.recv(1000)

    def _run(self):
        number = 0
        while not self._ends.is_set():
            number += 1
            path = "/broken" if number % 10 == 0 else f"/hello/{number}"
            path = "/stream" if number % 17 == 0 else path
            try:
                self.get(path)
                if number % 20 == 0:
                    self.refuse()
                    with connect(f"ws://127.0.0.1:{self.port}/ws"):
                        pass
            except (OSError, http.client.HTTPException):  # the worker was killed
                self.failed += 1
            else:
                self.answered[path.split("/")[1]] += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()


@pytest.fixture(scope="module")
def told():
    """Let a Prometheus scrape four workers, one of which is killed meanwhile."""
    with tempfile.TemporaryDirectory(prefix="roll-") as name:
        folder = Path(name)
        (folder / "site_of_four.py").write_text(SITE)
        port = free_port()
        environment = {**os.environ, "ROLL_METRICS_DIR": str(folder / "meet")}
        command = ("run", "site_of_four:app", "--workers", "4", "--port", str(port))
        (folder / "prometheus").mkdir()
        # It takes 5 seconds until it scrapes, in which the workers start.
        with prometheus.run(folder / "prometheus", port) as database:
            server = subprocess.Popen(
                [sys.executable, "-m", "roll_server", *command],
                cwd=folder,
                env={**environment, "PYTHONPATH": str(folder)},
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                assert "with 4 workers" in server.stdout.readline()
                yield watch(database, Client(port))
            finally:
                server.terminate()
                server.communicate(timeout=patience(30))


def watch(database, client):
    """Let a worker be killed, and give the database and the client afterwards."""

    def workers():
        last = database.query(f"count by (worker) ({COUNT})")
        return {series["metric"]["worker"] for series in last}

    def scrapes():
        (up,) = database.query("count_over_time(up[1h])") or [{"value": (0, 0)}]
        return int(up["value"][1])

    def wait_for_scrapes(number):
        goal = scrapes() + number
        wait_until(lambda: scrapes() >= goal, "scrapes", timeout=30)

    with client:
        wait_until(lambda: len(workers()) == 4, "four workers", timeout=30)
        wait_for_scrapes(3)
        killed = int(client.get("/pid"))
        os.kill(killed, signal.SIGKILL)
        wait_for_scrapes(3)
        restarted = "max(changes(process_start_time_seconds[1h])) > 0"
        wait_until(lambda: database.query(restarted), "a new worker", timeout=30)
        wait_for_scrapes(3)
    wait_for_scrapes(1)
    return database, client


def test_no_total_falls_when_a_worker_is_killed(told):
    """As it does with files of dead workers that are deleted (litellm#28713)."""
    database, client = told
    falls = Counter()
    total = 0
    for series in database.query(f"{COUNT}[1h]"):
        before = 0
        for _, text in series["values"]:
            number = float(text)
            if number < before:
                falls[series["metric"]["worker"]] += 1
            # As Prometheus reads counters: one that fell has begun again at 0.
            total += number - before if number >= before else number
            before = number
    assert len(falls) <= 1, "only the series of the worker that was killed begin again"
    # The handshakes are requests, too, and what the dead worker had not told is lost.
    sent = sum(client.answered.values()) + client.failed
    handshakes = sent // 20
    assert total <= sent + handshakes + 1
    assert total >= 0.5 * sum(client.answered.values())


def test_no_worker_was_missing_for_long(told):
    database, _ = told
    (missing,) = database.query("max(roll_metrics_workers_missing)")
    assert missing["value"][1] == "0"


def queries():
    """Give the title of each panel of the dashboard, and each of its queries."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("title", "query"), [*queries()])
def test_each_query_of_the_dashboard_has_an_answer(told, title, query):
    database, _ = told
    asked = query.replace("$__rate_interval", "1h").replace("$job", ".*")
    found = database.query(asked)
    assert found, f"{title}: {asked} gives nothing"
    assert all(float(series["value"][1]) >= 0 for series in found)


def rules():
    """Give the rules of the guide, as the file that they are written for."""
    (block,) = re.findall(
        r"^```yaml\n(groups:\n.*?)^```$", GUIDE.read_text(), re.M | re.S
    )
    return block


def test_promtool_accepts_the_alerts(tmp_path):
    file = tmp_path / "roll.rules.yml"
    file.write_text(rules())
    done = subprocess.run(
        [prometheus.PROMTOOL, "check", "rules", file], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", re.findall(r"^ +expr: (.+)$", rules(), re.M))
def test_each_alert_asks_for_what_there_is(told, rule):
    database, _ = told
    # Without what it is compared with, as nothing is wrong here.
    asked = re.sub(r" [<>=]=? [\d.]+$", "", re.sub(r"\[\dm]", "[1h]", rule))
    asked = asked.replace('job="shop"', 'job="roll"')
    assert database.query(asked), f"{asked} gives nothing"
