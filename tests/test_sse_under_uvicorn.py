"""roll-sse under an ASGI server: events arrive, resume, and end with the server."""

import contextlib
import http.client
import re
import signal
import subprocess
import sys

import pytest
from roll_testing import patience, wait_until

SITE = """
from roll import Roll
from roll.extensions import asgi, sse
from roll_sse import Feed

app = Roll()
stream = sse(app, retry=2)
feed = Feed()

@app.route("/events")
async def events(request, response):
    stream(request, response, feed.subscribe(since=request))

@app.route("/publish", methods=["POST"])
async def publish(request, response):
    response.body = feed.publish(request.body.decode())

application = asgi(app, signals=True)
"""


@pytest.fixture
def uvicorn(tmp_path):
    (tmp_path / "site_of_events.py").write_text(SITE)
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "site_of_events:application"),
                *("--port", "0"),
            ],
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def port():
        assert process.poll() is None, log.read_text()
        return re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text())

    try:
        yield process, int(wait_until(port)[1])
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def connected(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience(20))
    with contextlib.closing(connection):
        yield connection


def read_event(response):
    lines = []
    while line := response.readline().strip():
        lines.append(line.decode())
    return lines


def publish(port, text):
    with connected(port) as connection:
        connection.request("POST", "/publish", text)
        return connection.getresponse().read().decode()


def test_events_arrive_resume_and_end_with_the_server(uvicorn):
    process, port = uvicorn
    with connected(port) as connection:
        connection.request("GET", "/events")
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        retry, begin = read_event(response)
        assert retry == "retry: 2000"
        first = publish(port, "one")
        assert read_event(response) == [f"id: {first}", "data: one"]
    second = publish(port, "two")
    with connected(port) as connection:
        connection.request("GET", "/events", headers={"Last-Event-ID": first})
        response = connection.getresponse()
        assert read_event(response) == [retry, f"id: {first}"]
        assert read_event(response) == [f"id: {second}", "data: two"]
        process.send_signal(signal.SIGTERM)
        (end,) = read_event(response)
        assert 2000 <= int(end.removeprefix("retry: ")) <= 4000
        assert response.read() == b""
    process.wait(patience(20))
    assert begin.startswith("id: ")
