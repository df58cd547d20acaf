"""A new version is deployed behind a real nginx: by `/readyz`, no request is lost.

nginx asks no server for its health, so the deployment does: it lets nginx send requests
to the new version once that is ready, and ends the old one, which serves on while it
drains.
"""

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress

import pytest
from roll_testing import patience, wait_until

from tests import nginx

# nginx is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(nginx.PROGRAM is None, reason=nginx.MISSING)

SITE = """
import asyncio, os
from roll import Roll
from roll.extensions import health, resource

app = Roll()
health(app, checks={"slow start": lambda: "started" in app})

@resource(app, "started")
async def start(app):
    await asyncio.sleep(0.2)  # what a database takes to answer
    yield True

@app.route("/version", methods=["GET", "POST"])
async def version(request, response):
    await asyncio.sleep(0.01)
    response.body = os.environ["VERSION"]
"""

RECIPE = """
    include {upstream};
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://shop;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""

UPSTREAM = "upstream shop {{ server 127.0.0.1:{port}; keepalive 8; }}\n"

THREADS = 4


def ask(port, path, method="GET"):
    """Give the status and the body of a response, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience(30))
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class Load:
    """Asks again and again, in threads, and counts what the responses are."""

    def __init__(self, port):
        self.answers = Counter()
        self._port = port
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]

    def _run(self):
        number = 0
        while not self._ends.is_set():
            number += 1
            try:
                # nginx sends a POST to no second server, so it is lost with the first.
                answer = ask(self._port, "/version", "POST" if number % 2 else "GET")
            except (OSError, http.client.HTTPException) as error:
                answer = repr(error)
            self.answers[answer] += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._ends.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def running(folder, version, port, drain="3"):
    """Run a version, and give its process."""
    command = ("run", "deployed:app", "--workers", "2", "--drain", drain)
    process = subprocess.Popen(
        [sys.executable, "-m", "roll_server", *command, "--port", str(port)],
        cwd=folder,
        env={**os.environ, "VERSION": version, "PYTHONPATH": str(folder)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # Its workers, too: without it, they would drain.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_ready(port):
    try:
        return ask(port, "/readyz")[0] == 200
    except OSError:
        return False


def test_no_request_is_lost_when_a_new_version_is_deployed(tmp_path):
    (tmp_path / "deployed.py").write_text(SITE)
    upstream = tmp_path / "upstream.conf"
    front, *ports = (nginx.free_port() for _ in range(3))
    with ExitStack() as stack:
        old = stack.enter_context(running(tmp_path, "old", ports[0]))
        wait_until(lambda: is_ready(ports[0]), "the old version")
        upstream.write_text(UPSTREAM.format(port=ports[0]))
        recipe = RECIPE.format(upstream=upstream, port=front)
        stack.enter_context(nginx.run(tmp_path, recipe, front))
        load = stack.enter_context(Load(front))
        wait_until(lambda: load.answers[200, "old"] > 50, "answers of the old version")

        stack.enter_context(running(tmp_path, "new", ports[1]))
        wait_until(lambda: is_ready(ports[1]), "the new version")
        upstream.write_text(UPSTREAM.format(port=ports[1]))
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGHUP)
        wait_until(lambda: load.answers[200, "new"], "a response of the new version")
        old.send_signal(signal.SIGTERM)

        wait_until(lambda: not is_ready(ports[0]), "the old version to drain")
        assert ask(ports[0], "/livez")[0] == 200
        assert ask(ports[0], "/readyz")[0] == 503
        assert ask(ports[0], "/version") == (200, "old")
        assert old.wait(timeout=patience(60)) == 0
        before = load.answers[200, "new"]
        wait_until(lambda: load.answers[200, "new"] > before + 50, "more answers")
        load.stop()  # before the servers end

    assert load.answers.keys() == {(200, "old"), (200, "new")}
