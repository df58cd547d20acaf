"""The access log: a line for each request, wherever somebody wants to read it."""

import os
import pty
import re
import socket
from types import SimpleNamespace

import pytest
from roll import Roll, extensions
from roll_server.exits import StartError
from roll_server.serving import configure
from roll_testing import wait_until

LINE = re.compile(
    r"^127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
    r'"(.+)" (\d{3}) (\d+|-) \d+\.\d{6}( incomplete)?$',
    re.MULTILINE,
)


def lines(running):
    """Read what is logged: what was asked, status, bytes, and how it ended."""
    return LINE.findall(running.output)


def send(running, data):
    """Send something, and read until the server closes."""
    with socket.create_connection(running.address) as client:
        client.sendall(data)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize("workers", [1, 2])
def test_each_request_is_a_line_that_tells_how_it_went(run, workers):
    running = run("shop", "--port", 0, "--access-log", "--workers", workers)
    head = b"Host: a\r\nConnection: close\r\n\r\n"
    send(running, b"GET /?q=1 HTTP/1.1\r\n" + head)
    wait_until(lambda: len(lines(running)) == 1, "the first line")
    send(running, b"HEAD /none HTTP/1.1\r\n" + head)
    wait_until(lambda: len(lines(running)) == 2, "the second line")
    assert running.stop() == 0
    assert lines(running) == [
        ("GET /?q=1 HTTP/1.1", "200", "5", ""),
        ("HEAD /none HTTP/1.1", "404", "0", ""),
    ]


@pytest.mark.parametrize(
    ("status", "data"),
    [
        ("400", b"GET / HTTP/1.1\r\n\r\n"),
        ("408", b"GET / HTTP/1.1\r\nHost:"),
        ("414", b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("431", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n"),
    ],
)
def test_so_is_a_message_that_is_refused(run, status, data):
    running = run("shop", "--port", 0, "--access-log", "--limit-head-timeout", 0.2)
    assert send(running, data).startswith(b"HTTP/1.1 " + status.encode())
    wait_until(lambda: lines(running), "a line")
    assert running.stop() == 0
    assert lines(running) == [("-", status, "-", "")]


def test_a_download_that_is_cut_off_is_marked(run):
    running = run("shop", "--port", 0, "--access-log")
    with socket.create_connection(running.address) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        received = b""
        while b"piece" not in received:
            received += client.recv(1000)
    wait_until(lambda: lines(running), "a line")
    assert lines(running) == [("GET /stream HTTP/1.1", "200", "5", " incomplete")]


@pytest.mark.parametrize(
    ("options", "logged"),
    [
        ((), False),
        (("--reload",), True),
        (("--reload", "--no-access-log"), False),
        (("--access-log", "--no-access-log"), False),
        (("--log-format", "common"), True),
        (("--log-format", "common", "--no-access-log"), False),
    ],
)
def test_where_nobody_watches_it_is_off_unless_it_is_asked_for(run, options, logged):
    running = run("shop", "--port", 0, *options)
    running.get()
    running.stop()
    assert bool(lines(running)) is logged


def test_an_option_precedes_a_variable_and_that_a_key(run, folder):
    (folder / "pyproject.toml").write_text("[tool.roll]\naccess-log = true\n")
    off = {"ROLL_ACCESS_LOG": "false"}
    for options, environment, logged in [
        ((), {}, True),
        ((), off, False),
        (("--access-log",), off, True),
    ]:
        running = run("shop", "--port", 0, *options, environment=environment)
        running.get()
        running.stop()
        assert bool(lines(running)) is logged


@pytest.mark.parametrize(
    ("options", "logged"), [((), True), (("--no-access-log",), False)]
)
def test_in_a_terminal_it_is_on_unless_it_is_not_wanted(run, options, logged):
    ours, terminal = pty.openpty()
    try:
        running = run("shop", "--port", 0, *options, stderr=terminal)
        running.get()
        running.stop()
        os.write(terminal, b"end\n")
        printed = os.read(ours, 65536).decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        os.close(terminal)
    assert bool(LINE.findall(printed)) is logged


def test_where_logging_is_configured_a_request_is_one_line_there(run, folder):
    with (folder / "shop.py").open("a") as file:
        file.write("import logging\nlogging.basicConfig(format='app: %(message)s')\n")
    running = run("shop", "--port", 0, "--access-log")
    running.get()
    running.stop()
    assert running.output.count('"GET / HTTP/1.1" 200') == 1
    assert "\napp: 127.0.0.1 - - [" in running.output


@pytest.fixture
def terminal(monkeypatch):
    """Have standard error be one; pytest sets that of `sys` again before the test."""
    stderr = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr("roll_server.serving.sys", SimpleNamespace(stderr=stderr))


@pytest.mark.usefixtures("terminal")
def test_in_a_terminal_what_the_application_logs_itself_is_not_logged_twice(settings):
    app = Roll()
    extensions.logger(app)
    hooks = dict(app.hooks)
    configure(app, settings())
    assert app.hooks == hooks
    with pytest.raises(StartError, match="this app has a logger"):
        configure(app, settings("--access-log"))


@pytest.mark.usefixtures("terminal")
def test_in_a_terminal_it_needs_no_package(settings, monkeypatch):
    monkeypatch.setattr("roll.plugins.extensions", dict)
    configure(Roll(), settings())
    with pytest.raises(StartError, match="pip install roll-logger"):
        configure(Roll(), settings("--access-log"))


@pytest.mark.usefixtures("terminal")
def test_what_is_off_listens_to_nothing(settings):
    app = Roll()
    hooks = dict(app.hooks)
    configure(app, settings("--no-access-log"))
    assert app.hooks == hooks
    configure(app, settings())
    assert app.hooks != hooks
