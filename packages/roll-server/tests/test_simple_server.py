"""simple_server, as a process that is served, signalled and waited for."""

import contextlib
import errno
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from roll import Limits, Roll
from roll.extensions import simple_server
from roll_server.exits import Exit
from roll_server.sockets import bind, url
from roll_server.starting import STARTUP, STOPPED
from roll_testing import patience, wait_until

SCRIPT = """
import asyncio, signal, sys, threading, time
from roll import Limits, Roll
from roll.extensions import simple_server

class App(Roll):
    limits = Limits(shutdown=5)

app = App()

@app.route("/")
async def view(request, response):
    response.body = type(asyncio.get_running_loop()).__module__

@app.route("/slow")
async def slow(request, response):
    print("slow starts", flush=True)
    await asyncio.sleep(0.5)
    response.body = "slow"
    print("slow ends", flush=True)

@app.route("/forever")
async def forever(request, response):
    print("forever starts", flush=True)
    await asyncio.sleep(60)

@app.route("/debug")
async def debug(request, response):
    answer = 3579
    breakpoint()
    response.body = answer

done = threading.Event()

def brief():
    threading.main_thread().join()
    print("the thread ends", flush=True)

@app.listen("startup")
async def start():
    if "thread" in sys.argv:
        threading.Thread(target=done.wait, name="database").start()
    if "brief" in sys.argv:
        threading.Thread(target=brief).start()
    if {"hang", "block"} & {*sys.argv}:
        print("startup listener", flush=True)
    if "hang" in sys.argv:
        await asyncio.sleep(600)
    if "block" in sys.argv:
        time.sleep(600)
    if "fail" in sys.argv:
        raise RuntimeError("no database")

@app.listen("shutdown")
async def stop():
    print("shutdown listener", flush=True)
    if "unclean" in sys.argv:
        raise RuntimeError("no database")

port = int(sys.argv[2]) if "quiet" in sys.argv else 0
simple_server(app, port, quiet="quiet" in sys.argv)
if "release" in sys.argv:
    time.sleep(1.5)  # more than threads have when a start has failed
    print("the script goes on", flush=True)
    done.set()
"""


@pytest.fixture
def run(tmp_path):
    """Start the script; what is left of it at the end is killed."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    started = []

    def run(*arguments, **options):
        options = {"stdout": subprocess.PIPE, "text": True, **options}
        command = [sys.executable, str(script), *arguments]
        process = subprocess.Popen(command, **options)
        started.append(process)
        return process

    yield run
    for process in started:
        with process:
            process.kill()


def address(process):
    line = process.stdout.readline()
    assert line.startswith("Rolling on http://127.0.0.1:"), line
    return line.removeprefix("Rolling on ").strip()


def fetch(address, path="/"):
    with urllib.request.urlopen(address + path, timeout=patience(10)) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_ends_cleanly(run, number):
    process = run()
    assert fetch(address(process)) in ("uvloop", "asyncio.unix_events")
    process.send_signal(number)
    rest, _ = process.communicate(timeout=patience(10))
    assert rest == "shutdown listener\nBye.\n"
    assert process.returncode == 0


def test_an_end_that_fails_is_one_line_beside_the_log(run):
    process = run("unclean", stderr=subprocess.PIPE)
    address(process)
    process.terminate()
    output, errors = process.communicate(timeout=patience(10))
    assert (process.returncode, output) == (1, "shutdown listener\n")
    assert errors.count("Traceback") == 1
    assert errors.splitlines()[-1] == (
        "Error: the shutdown raised RuntimeError: no database; the log says where"
    )


def test_uvloop_is_used_where_it_is_installed(run):
    pytest.importorskip("uvloop", reason="uvloop is not installed")
    assert fetch(address(run())) == "uvloop"


def test_running_requests_end_before_the_shutdown_listeners(run):
    process = run()
    at = address(process)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(fetch(at, "/slow")))
    thread.start()
    assert process.stdout.readline() == "slow starts\n"
    process.terminate()
    rest, _ = process.communicate(timeout=patience(10))
    thread.join(patience(10))
    assert rest == "slow ends\nshutdown listener\nBye.\n"
    assert answers == ["slow"]
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(run, number):
    process = run()
    host, _, port = address(process).removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET /forever HTTP/1.1\r\nHost: x\r\n\r\n")
        assert process.stdout.readline() == "forever starts\n"
        process.send_signal(number)
        wait_until(lambda: not accepts(int(port)))  # the first one has come
        assert process.poll() is None
        process.send_signal(number)
        rest, _ = process.communicate(timeout=patience(10))  # the view takes more
    assert rest == ""
    assert process.returncode == -number


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_quiet_prints_nothing(run):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = run("quiet", str(port))
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    wait_until(lambda: accepts(port))
    # It listens before it catches signals, and answers after.
    fetch(f"http://127.0.0.1:{port}")
    process.terminate()
    process.wait(patience(10))
    assert process.stdout.read() == "shutdown listener\n"


def test_an_exception_at_startup_ends_it_with_its_traceback(run):
    process = run("fail", stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=patience(10))
    assert process.returncode == Exit.STARTUP
    lines = errors.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "Error: a startup listener raised RuntimeError: no database"
    assert errors.count("Traceback") == 1
    assert output == "shutdown listener\n"


def test_a_start_that_fails_leaves_the_threads_that_stay(run):
    process = run("thread", "fail", stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=patience(10))
    assert process.returncode == Exit.STARTUP
    assert errors.endswith(
        "Error: a startup listener raised RuntimeError: no database\n"
        "roll: the process ends without waiting for these threads: database\n"
    )
    assert output == "shutdown listener\n"


def test_a_thread_that_ends_is_waited_for_when_a_start_fails(run):
    process = run("brief", "fail", stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=patience(10))
    assert process.returncode == Exit.STARTUP
    assert "without waiting" not in errors
    assert output == "shutdown listener\nthe thread ends\n"


@pytest.mark.parametrize("kind", ["hang", "block"])
def test_a_signal_ends_a_start_that_waits_for_ever(run, kind):
    process = run("thread", kind, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "startup listener\n"
    process.terminate()
    output, errors = process.communicate(timeout=patience(10))
    assert process.returncode == 0
    left = "database" if kind == "hang" else "MainThread, database"
    assert errors == (
        f"roll: the process ends without waiting for these threads: {left}\n"
    )
    assert output == ("shutdown listener\nBye.\n" if kind == "hang" else "")


def test_the_script_goes_on_after_it(run):
    process = run("thread", "release")
    address(process)
    process.terminate()
    rest, _ = process.communicate(timeout=patience(10))
    assert rest == "shutdown listener\nBye.\nthe script goes on\n"
    assert process.returncode == 0


def test_breakpoint_works_in_a_view(run):
    ours, theirs = pty.openpty()
    run(stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)

    def read_until(text):
        seen = ""
        while text not in seen:
            seen += os.read(ours, 1024).decode()
        return seen

    at = read_until("\n").strip().removeprefix("Rolling on ")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(fetch(at, "/debug")))
    thread.start()
    read_until("(Pdb) ")
    os.write(ours, b"p answer + 1\n")
    assert "3580" in read_until("(Pdb) ")
    os.write(ours, b"c\n")
    thread.join(patience(10))
    os.close(ours)
    assert answers == ["3579"]


# In this process


def test_statuses_are_those_of_the_command():
    assert (STARTUP, STOPPED) == (Exit.STARTUP, Exit.STOPPED)


def test_beside_the_main_thread_it_raises_what_a_listener_has_raised():
    app = Roll()
    app.configure(limits=Limits(shutdown=0.1))
    caught = []

    @app.listen("startup")
    async def fail():
        raise LookupError("no database")

    def serve():
        try:
            simple_server(app, 0)
        except LookupError as error:
            caught.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(patience(60))
    time.sleep(0.2)  # this process does not end, though the time is over
    assert str(*caught) == "no database"


def test_it_runs_beside_the_main_thread_where_no_signal_can_be_handled(capsys):
    app = Roll()

    @app.listen("startup")
    async def leave():
        raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        thread = threading.Thread(target=simple_server, args=(app, 0))
        thread.start()
        thread.join(patience(10))
    assert capsys.readouterr().out == "Bye.\n"


def test_a_port_that_is_taken_is_an_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            OSError, match=f"cannot listen on 127.0.0.1:{port}"
        ) as caught:
            simple_server(Roll(), port)
    assert caught.value.errno == errno.EADDRINUSE
    assert "stop what listens there, or choose another address" in str(caught.value)


@pytest.mark.parametrize("port", [-1, 65536, "3579"])
def test_a_port_that_is_none_is_an_error(port):
    with pytest.raises(ValueError, match="give a number from 0 to 65535"):
        simple_server(Roll(), port)


def test_a_host_that_is_unknown_is_an_error_that_names_it():
    with pytest.raises(OSError, match=r"cannot listen on host\.invalid:1"):
        simple_server(Roll(), 1, "host.invalid")


def test_a_name_listens_on_all_its_addresses_with_one_port():
    sockets = bind("localhost", 0, 1)
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        hosts = {sock.getsockname()[0] for sock in sockets}
        assert hosts <= {"127.0.0.1", "::1"}
    finally:
        for sock in sockets:
            sock.close()


def test_a_name_with_an_address_that_is_taken_leaves_nothing_open(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
        used = (*free[:4], taken.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [free, used])
        with pytest.raises(OSError, match="cannot listen"):
            bind("both", 0, 1)


@pytest.mark.parametrize(
    "address",
    [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        # RFC 3849 has it for documentation: nobody's, with IPv6 and without.
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0)),
    ],
    ids=["repeated", "absent"],
)
def test_an_address_that_comes_twice_or_is_absent_is_left_out(monkeypatch, address):
    ours = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [address, ours])
    (sock,) = bind("localhost", 0, 1)
    with sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        pytest.param(
            "::1",
            "[::1]",
            # Containers are often run without IPv6; no package would install it.
            marks=pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here"),
        ),
    ],
)
def test_the_address_is_written_as_a_browser_takes_it(host, expected):
    (sock,) = bind(host, 0, 1)
    with sock:
        assert url(sock) == f"http://{expected}:{sock.getsockname()[1]}"


@pytest.mark.parametrize("app", [Roll, None, "app"])
def test_what_is_no_application_is_not_served(app):
    with pytest.raises(TypeError, match=r"give an application, such as Roll\(\)"):
        simple_server(app)
