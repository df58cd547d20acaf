"""Health: 200 while it serves, 503 from the signal on, before the socket closes."""

import signal
import socket
import urllib.error

import pytest
from roll import Roll, extensions
from roll_server.serving import configure
from roll_testing import wait_until


def status(running):
    try:
        return 200 if running.get("/healthz") == "OK" else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_503_from_the_signal_on_while_all_else_is_answered(run, workers):
    options = ("--health", "/healthz", "--drain", 3, "--workers", workers)
    running = run("shop", "--port", 0, *options)
    assert status(running) == 200
    with socket.create_connection(running.address) as client:
        running.send(signal.SIGTERM)
        wait_until(lambda: status(running) == 503, "503")
        assert running.get() == "first"  # on a new connection
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.recv(1000)  # and on one that was open
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nCache-Control: no-store\r\n" in answer
    assert running.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(running.address)


def test_it_drains_for_5_seconds_when_nothing_is_said(run):
    running = run("shop", "--port", 0, "--health", "/healthz")
    assert status(running) == 200
    running.send(signal.SIGTERM)
    wait_until(lambda: status(running) == 503, "503")
    assert running.wait() == 0


def test_a_drain_needs_no_health_path(run):
    running = run("shop", "--port", 0, "--drain", 1)
    running.get()
    running.send(signal.SIGTERM)
    assert running.get() == "first"
    assert running.wait() == 0


def test_workers_that_are_replaced_never_say_503(run):
    options = ("--health", "/healthz", "--drain", 60, "--workers", 2)
    running = run("shop", "--port", 0, *options)
    former = set()
    wait_until(lambda: former.add(running.get("/pid")) or len(former) == 2)
    running.send(signal.SIGHUP)
    while "the workers were replaced" not in running.output:
        assert status(running) == 200
    for _ in range(20):
        assert status(running) == 200
        assert running.get("/pid") not in former
    running.send(signal.SIGTERM)
    wait_until(lambda: status(running) == 503, "503")
    running.send(signal.SIGTERM)  # not in 60 seconds
    assert running.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize("own_first", [True, False])
def test_a_view_of_the_application_may_be_called_health(settings, own_first):
    app = Roll()
    url_for = extensions.named_url(app)
    if not own_first:
        configure(app, settings("--health", "/healthz"))

    @app.route("/patients/health")
    async def health(request, response): ...

    if own_first:
        configure(app, settings("--health", "/healthz"))
    assert url_for("health") == "/patients/health"
