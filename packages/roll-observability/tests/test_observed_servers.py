"""metrics and health under gunicorn and `roll run`, with two workers."""

import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from roll_testing import patience, wait_until

from .reading import parse, value

SITE = """
import asyncio, os
from roll import Roll
from roll.extensions import health, metrics

app = Roll()
metrics(app)
health(app, checks={"a": lambda: True}, details=True)

@app.route("/pid")
async def pid(request, response):
    response.body = str(os.getpid())

"""

COMMANDS = {
    "roll run": ["roll_server", "run", "observed:app", "--drain", "30", "--port", "0"],
    "gunicorn": [
        *("gunicorn", "observed:app", "-k", "roll_gunicorn.Worker"),
        *("-b", "127.0.0.1:0", "--graceful-timeout", "30"),
    ],
}


@pytest.fixture(scope="module", params=COMMANDS)
def server(request):
    """Start a server: its process, and its port."""
    with tempfile.TemporaryDirectory(prefix="roll-") as folder:
        Path(folder, "observed.py").write_text(SITE)
        process = subprocess.Popen(
            [sys.executable, "-m", *COMMANDS[request.param], "--workers", "2"],
            cwd=folder,
            env={
                **os.environ,
                "ROLL_METRICS_DIR": f"{folder}/meet",
                "PYTHONPATH": folder,
                "PYTHONUNBUFFERED": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            for line in process.stdout:
                if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                    break
            yield process, int(found[1])
        finally:
            process.terminate()  # a second time, which ends a drain
            process.communicate(timeout=patience(60))


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience(30))
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def test_two_workers_tell_of_both_and_drain(server):
    process, port = server

    def told():
        return parse(ask(port, "/metrics")[1])

    def workers():
        return {dict(having).get("worker") for _, having in told()}

    wait_until(lambda: ask(port, "/readyz")[0] == 200, "the check")
    wait_until(lambda: workers() == {"1", "2"}, "both workers")
    sent = {ask(port, "/pid")[1] for _ in range(20)}
    counted = [
        number
        for (name, having), number in told().items()
        if name == "http_server_request_duration_seconds_count"
    ]
    assert sum(counted) == 20
    assert len(counted) == len(sent)
    assert value(told(), "roll_metrics_workers_missing") == 0

    if "gunicorn" in process.args:
        return  # it tells its workers to end, and accepts nothing from then on
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: ask(port, "/readyz")[0] == 503, "the drain")
    status, body = ask(port, "/readyz")
    assert (status, '"output":"the server is ending"' in body) == (503, True)
    assert ask(port, "/livez")[0] == 200
    assert ask(port, "/pid")[0] == 200
