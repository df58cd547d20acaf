"""The real gunicorn, as a process, with this worker; each test starts its own."""

import contextlib
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme
from roll import Request, Response, Roll
from roll_gunicorn.access import environ
from roll_testing import patience, wait_until

APP = """
import asyncio, os, sys, threading, time
from roll import Limits, Roll

class App(Roll):
    limits = Limits(keep_alive=7, shutdown=20)

app = App()

def create():
    return app

@app.route("/")
async def home(request, response):
    response.json = {
        "pid": os.getpid(),
        "scheme": request.scheme,
        "peer": request.remote_addr,
        "loop": type(asyncio.get_running_loop()).__module__,
        "workers": app.workers,
        "worker": os.environ.get("FORKED"),
    }

@app.route("/limits")
async def limits(request, response):
    names = ("backlog", "connections", "field", "fields", "head", "keep_alive")
    names += ("shutdown", "target")
    response.json = {name: getattr(app.limits, name) for name in names}

@app.route("/slow", methods="*")
async def slow(request, response):
    print("slow begins", flush=True)
    await asyncio.sleep(float(request.query.get("s", "1")))
    response.body = "slow"

@app.route("/block")
async def block(request, response):
    time.sleep(60)

@app.route("/nothing")
async def nothing(request, response):
    response.status = 204

@app.route("/view", methods=["GET", "POST"])
async def view(request, response):
    response.body = memoryview(b"seven..")

@app.route("/stream")
async def stream(request, response):
    async def pieces():
        yield b"piece"
    if request.query.get("length", ""):
        response.headers.update({"X-Y": "z", "Content-Length": 5})
    response.body = pieces()

@app.route("/finish", on_disconnect="finish")
async def finish(request, response):
    print("slow begins", flush=True)
    await asyncio.sleep(1)
    print("finished", flush=True)

async def tell():
    await app.closing.wait()
    print("closing", flush=True)

@app.listen("startup")
async def start():
    app["teller"] = asyncio.create_task(tell())
    if os.path.exists("thread"):
        threading.Thread(target=threading.Event().wait, name="database").start()
    if os.path.exists("executor"):
        asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    if os.path.exists("no_start"):
        raise TimeoutError("no database")

@app.listen("shutdown")
async def bye():
    print("bye", flush=True)
    if os.path.exists("no_end"):
        await asyncio.sleep(60)
"""


class Gunicorn:
    """A gunicorn that runs, what it prints, and how to ask it."""

    def __init__(self, folder, *arguments, app="site_of_roll:app", **options):
        (folder / "site_of_roll.py").write_text(APP)
        self.folder = folder
        self.path = folder / "output"
        self.output = self.path.open("w+")
        command = [sys.executable, "-m", "gunicorn", app]
        if "roll.worker.Worker" not in arguments and "-k" not in arguments:
            arguments = ("-k", "roll_gunicorn.Worker", *arguments)
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=folder,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(folder), **options.pop("env", {})},
            **options,
        )

    @property
    def text(self):
        return self.path.read_text()

    def until(self, condition, what):
        try:
            wait_until(condition, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.text}") from None

    def says(self, pattern, times=1):
        def found():
            return len(re.findall(pattern, self.text)) >= times

        self.until(found, f"no {pattern!r}")
        return self

    def address(self):
        """Wait until it listens on TCP, and give the port."""
        pattern = r"Listening at: .*?127\.0\.0\.1:(\d+)"
        self.says(pattern)
        return int(re.search(pattern, self.text)[1])

    def ask(self, path="/", context=None, connection=None):
        """Answer status, fields and body, over a connection of its own."""
        if connection is None:
            connection = self.connect(context)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def connect(self, context=None):
        if context is None:
            return http.client.HTTPConnection(
                "127.0.0.1", self.address(), timeout=patience(30)
            )
        return http.client.HTTPSConnection(
            "localhost", self.address(), timeout=patience(30), context=context
        )

    def json(self, path="/"):
        return json.loads(self.ask(path)[2])

    def signal(self, number, pid=None):
        os.kill(pid or self.process.pid, number)
        return self

    def workers(self):
        """Name the workers that run."""
        booted = re.findall(r"Booting worker with pid: (\d+)", self.text)
        return [int(pid) for pid in booted if Path(f"/proc/{pid}").exists()]

    def wait(self):
        return self.process.wait(timeout=patience(40))


@pytest.fixture
def gunicorn(tmp_path):
    started = []

    def start(*arguments, **options):
        bind = () if "-b" in arguments else ("-b", "127.0.0.1:0")
        started.append(Gunicorn(tmp_path, *bind, *arguments, **options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            try:
                one.process.wait(timeout=patience(15))
            except subprocess.TimeoutExpired:
                for pid in one.workers():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                one.process.kill()
                one.process.wait()
        one.output.close()


def unix_connection(path):
    connection = http.client.HTTPConnection("unix", timeout=patience(30))
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(patience(30))
    connection.sock.connect(str(path))
    return connection


# Sockets


@pytest.mark.parametrize(
    "name", ["roll.worker.Worker", "roll_gunicorn.Worker", "egg:roll-gunicorn#roll"]
)
def test_the_worker_has_three_names(gunicorn, name):
    server = gunicorn("-k", name)
    status, fields, body = server.ask()
    assert status == 200
    assert fields["Content-Length"] == str(len(body))
    assert server.signal(signal.SIGTERM).wait() == 0
    assert "bye" in server.text


def test_uvloop_is_used_where_it_is_installed(gunicorn):
    pytest.importorskip("uvloop", reason="uvloop is not installed")
    home = gunicorn().json()
    assert (home["loop"], home["workers"]) == ("uvloop", 1)


def test_asyncio_serves_where_uvloop_is_not(gunicorn, tmp_path):
    (tmp_path / "uvloop.py").write_text("raise ImportError\n")
    server = gunicorn()
    assert server.json()["loop"].startswith("asyncio")
    server.signal(signal.SIGTERM).wait()
    assert "bye" in server.text


def test_every_bind_is_served(gunicorn, tmp_path):
    path = tmp_path / "app.sock"
    server = gunicorn("-b", "127.0.0.1:0", "-b", "127.0.0.1:0", "-b", f"unix:{path}")
    server.address()
    ports = re.findall(r"127\.0\.0\.1:(\d+)", server.text)
    for port in ports:
        connection = http.client.HTTPConnection(
            "127.0.0.1", int(port), timeout=patience(30)
        )
        assert server.ask(connection=connection)[0] == 200
    assert len(set(ports)) == 2
    body = server.ask(connection=unix_connection(path))[2]
    assert json.loads(body)["peer"] is None
    server.signal(signal.SIGTERM).wait()
    assert not path.exists()


def test_an_inherited_descriptor_is_served(gunicorn):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        number = sock.fileno()
        server = gunicorn("-b", f"fd://{number}", pass_fds=[number])
        assert server.address() == sock.getsockname()[1]
    assert server.ask()[0] == 200


def test_each_worker_has_a_socket_with_reuse_port(gunicorn):
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as free:
        port = free.getsockname()[1]
    server = gunicorn("--reuse-port", "-w", "2", "-b", f"127.0.0.1:{port}")
    server.says("Booting worker", 2)
    seen = set()

    def ask():
        with contextlib.suppress(ConnectionError):  # they are about to bind
            connection = http.client.HTTPConnection(
                "127.0.0.1", port, timeout=patience(30)
            )
            seen.add(json.loads(server.ask(connection=connection)[2])["pid"])
        return len(seen) == 2

    server.until(ask, "one worker alone answers")


def test_tls_is_served_with_http_1_1_alone(gunicorn, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    server = gunicorn("--certfile", "pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    connection = server.connect(context)
    connection.connect()
    assert connection.sock.selected_alpn_protocol() == "http/1.1"
    assert json.loads(server.ask(connection=connection)[2])["scheme"] == "https"
    old = ssl.create_default_context()
    authority.configure_trust(old)
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        server.ask(context=old)


# Settings


def test_defaults_of_gunicorn_change_no_limit(gunicorn):
    assert gunicorn("--max-requests", "1000").json("/limits") == {
        "backlog": 2048,
        "connections": 1000,
        "field": 8190,
        "fields": 100,
        "head": 65536,
        "keep_alive": 7,
        "shutdown": 20,
        "target": 8190,
    }


def test_what_is_set_is_a_limit_wherever_it_is_set(gunicorn, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("keepalive = 11\nbacklog = 64\n")
    server = gunicorn(
        *("--graceful-timeout", "10", "--worker-connections", "20"),
        *("--limit-request-fields", "30", "--limit-request-line", "40"),
        env={"GUNICORN_CMD_ARGS": "--limit-request-field_size 70000"},
    )
    assert server.json("/limits") == {
        "backlog": 64,
        "connections": 20,
        "field": 70000,
        "fields": 30,
        "head": 70000,
        "keep_alive": 11,
        "shutdown": 9,
        "target": 40,
    }
    assert server.ask("/" + "x" * 40)[0] == 414


def test_the_kill_of_gunicorn_bounds_what_the_app_allows(gunicorn, tmp_path):
    source = (
        "from roll import Limits\nimport site_of_roll\n"
        "app = site_of_roll.app\ntype(app).limits = Limits(shutdown=100)\n"
    )
    (tmp_path / "patient.py").write_text(source)
    assert gunicorn(app="patient:app").json("/limits")["shutdown"] == 27


def test_what_has_no_effect_is_warned_of(gunicorn, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(
        "def pre_request(worker, request): pass\n"
    )
    server = gunicorn("--forwarded-allow-ips", "10.0.0.1", "--threads", "2")
    server.says("Booting worker")
    warnings = re.findall(r"roll_gunicorn: (\w+) is ignored: \S", server.text)
    assert warnings == ["forwarded_allow_ips", "pre_request", "threads"]


def test_without_such_settings_there_is_no_warning(gunicorn):
    server = gunicorn("--threads", "1").says("Booting worker")
    assert "ignored" not in server.text


@pytest.mark.parametrize("app", ["site_of_roll:create", "site_of_roll:App"])
def test_what_is_no_app_is_told_in_one_line(gunicorn, app):
    server = gunicorn(app=app)
    assert server.wait() == 4
    assert "roll_gunicorn.Worker serves apps of Roll, and this is <" in server.text
    assert "Traceback" not in server.text


def test_a_factory_is_called(gunicorn):
    assert gunicorn(app="site_of_roll:create()").ask()[0] == 200


@pytest.mark.parametrize("setting", ["--keep-alive", "--graceful-timeout"])
def test_a_setting_that_is_no_limit_is_told_in_one_line(gunicorn, setting):
    server = gunicorn(setting, "0")
    assert server.wait() == 4
    assert re.search(r"gunicorn's: Limits\(\w+=0.*\): give a", server.text)
    assert "Traceback" not in server.text


def test_an_app_that_does_not_start_ends_gunicorn(gunicorn, tmp_path):
    (tmp_path / "no_start").touch()
    server = gunicorn()
    assert server.wait() == 3
    assert "TimeoutError: no database" in server.text


@pytest.mark.parametrize("name", ["thread", "executor"])
def test_an_app_that_does_not_start_leaves_its_threads(gunicorn, tmp_path, name):
    (tmp_path / "no_start").touch()
    (tmp_path / name).touch()
    server = gunicorn("--graceful-timeout", "1")
    assert server.wait() == 3
    assert server.text.count("TimeoutError: no database") == 1
    assert server.text.count("bye") == 1
    said = "roll: the process ends without waiting for these threads: "
    named = "database\n" if name == "thread" else r"MainThread, (asyncio|uvloop)_0\b"
    assert len(re.findall(said + named, server.text)) == 1


def test_preloading_and_hooks_work(gunicorn, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(
        "import os\n"
        "def post_fork(server, worker): os.environ['FORKED'] = 'yes'\n"
        "def post_worker_init(worker): print('ready', flush=True)\n"
        "def worker_exit(server, worker): print('left', flush=True)\n"
    )
    server = gunicorn("--preload", "-w", "2").says("ready", 2)
    assert server.json()["worker"] == "yes"
    assert server.signal(signal.SIGTERM).wait() == 0
    assert server.text.count("bye") == 2
    assert server.text.count("left") == 2


# Signals


class Slow:
    """A request that takes its time, and has begun."""

    def __init__(self, server, seconds=1, path="/slow"):
        begun = server.text.count("slow begins")
        self.connection = server.connect()
        self.connection.request("GET", f"{path}?s={seconds}")
        server.says("slow begins", begun + 1)

    def answer(self):
        with contextlib.closing(self.connection):
            answer = self.connection.getresponse()
            return answer.read(), answer.headers["Connection"]


@pytest.mark.parametrize("to", ["arbiter", "worker"])
def test_sigterm_lets_requests_end(gunicorn, to):
    server = gunicorn()
    slow = Slow(server)
    (worker,) = server.workers()
    if to == "worker":
        server.signal(signal.SIGTERM, worker).signal(signal.SIGTERM, worker)
    else:
        server.signal(signal.SIGTERM)
    assert slow.answer() == (b"slow", "close")
    server.says("bye")
    if to == "worker":
        assert server.json()["pid"] != worker
        server.signal(signal.SIGTERM)
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_end_cuts_requests_and_tells_the_app(gunicorn, tmp_path, number):
    (tmp_path / "gunicorn.conf.py").write_text(
        "def worker_int(worker): print('interrupted', flush=True)\n"
    )
    server = gunicorn()
    slow = Slow(server, 60)
    # As a terminal does it: to each of them, and the arbiter tells its workers, too.
    server.signal(number, server.workers()[0]).signal(number)
    with pytest.raises(ConnectionError):
        slow.answer()
    assert server.wait() == 0
    assert server.text.count("interrupted") == 1
    assert server.text.count("bye") == 1


def test_an_end_that_takes_its_time_can_be_made_quick(gunicorn):
    server = gunicorn("--graceful-timeout", "100")
    slow = Slow(server, 60)
    (worker,) = server.workers()
    server.signal(signal.SIGTERM, worker).says("closing")
    server.signal(signal.SIGQUIT, worker)
    with pytest.raises(ConnectionError):
        slow.answer()
    server.says("bye").says("Booting worker", 2)


def test_a_signal_before_the_loop_runs_is_not_lost(gunicorn, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(
        "import os, signal\n"
        "def post_worker_init(worker):\n"
        "    if worker.age == 1: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    if worker.age == 2: os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    if worker.age == 2: os.kill(os.getpid(), signal.SIGQUIT)\n"
        "def worker_int(worker): print('interrupted', flush=True)\n"
    )
    server = gunicorn().says("Booting worker", 3)
    assert server.ask()[0] == 200
    assert server.text.count("bye") == 1
    assert server.text.count("interrupted") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_shutdown_listeners_that_hang_are_left(gunicorn, tmp_path, number):
    (tmp_path / "gunicorn.conf.py").write_text(
        "def worker_int(worker): print('interrupted', flush=True)\n"
    )
    server = gunicorn("--graceful-timeout", "2")
    assert server.ask()[0] == 200
    (tmp_path / "no_end").touch()
    (worker,) = server.workers()
    server.signal(number, worker).says("bye").signal(number, worker)
    server.says("shutdown listeners did not end in time").says("Booting worker", 2)
    assert server.text.count("interrupted") == (number == signal.SIGQUIT)


def test_a_blocked_loop_is_replaced(gunicorn, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(
        "def worker_abort(worker): print('aborted', flush=True)\n"
    )
    server = gunicorn("--timeout", "2")
    worker = server.json()["pid"]
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        server.ask("/block")
    server.says("WORKER TIMEOUT").says("aborted").says("Booting worker", 2)
    server.until(lambda: worker not in server.workers(), "the worker runs on")
    assert server.json()["pid"] != worker


@pytest.mark.parametrize("timeout", ["1", "0"])
def test_a_slow_request_is_no_blocked_loop(gunicorn, timeout):
    server = gunicorn("--timeout", timeout)
    assert server.ask("/slow?s=4")[2] == b"slow"
    assert "WORKER TIMEOUT" not in server.text


def test_a_worker_ends_when_the_arbiter_is_gone(gunicorn):
    server = gunicorn()
    slow = Slow(server, 2)
    (worker,) = server.workers()
    server.signal(signal.SIGKILL)
    assert slow.answer() == (b"slow", "close")
    server.says("The arbiter is gone").says("bye")
    server.until(lambda: not Path(f"/proc/{worker}").exists(), "the worker runs on")


def test_hup_brings_new_workers_and_new_settings(gunicorn, tmp_path):
    settings = tmp_path / "gunicorn.conf.py"
    settings.write_text("keepalive = 3\n")
    server = gunicorn()
    assert server.json("/limits")["keep_alive"] == 3
    slow = Slow(server)
    # Longer than before: Python compares time, in seconds, and size with its cache.
    settings.write_text("keepalive = 40\n")
    server.signal(signal.SIGHUP)
    assert slow.answer() == (b"slow", "close")
    server.says("bye")
    server.until(lambda: server.json("/limits")["keep_alive"] == 40, "the old settings")


def test_ttin_brings_one_worker_more(gunicorn):
    server = gunicorn().says("Booting worker")
    server.ask()
    server.signal(signal.SIGTTIN).says("Booting worker", 2)
    assert len(server.workers()) == 2


def test_the_reloader_brings_new_code(gunicorn, tmp_path):
    server = gunicorn("--reload", "--reload-engine", "poll")
    assert server.ask()[0] == 200
    source = tmp_path / "site_of_roll.py"
    source.write_text(APP.replace("status = 204", "status = 205"))
    times = itertools.count(int(time.time()) + 10)

    def is_new():  # it may be written before gunicorn first looks at it
        now = next(times)
        os.utime(source, (now, now))
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            return server.ask("/nothing")[0] == 205

    server.until(is_new, "the old code")


def test_usr1_opens_the_logs_again(gunicorn, tmp_path):
    log, moved = tmp_path / "log", tmp_path / "moved"
    server = gunicorn("--access-logfile", str(log))
    server.ask("/?1")
    server.until(lambda: "/?1" in log.read_text(), "no line")
    log.rename(moved)
    server.signal(signal.SIGUSR1)
    server.until(lambda: log.exists(), "no new file")

    def asked():
        server.ask("/?2")
        return "/?2" in log.read_text()

    server.until(asked, "no line in the new file")
    assert "/?1" not in log.read_text()


# Counting and logging


def test_a_worker_ends_after_its_requests_and_loses_none(gunicorn):
    server = gunicorn("--max-requests", "5", "--max-requests-jitter", "2", "-w", "2")
    pids = [server.json()["pid"] for _ in range(40)]
    assert len(set(pids)) > 3
    # One or two more may come before it stops accepting.
    assert max(map(pids.count, set(pids))) <= 7 + 3
    server.says(r"Autorestarting worker after [567] requests", 3)


def test_a_worker_that_is_replaced_leaves_who_waits_to_the_next(gunicorn):
    server = gunicorn("--max-requests", "20")
    former = server.json()["pid"]
    server.signal(signal.SIGSTOP, former)  # so that all wait together
    connections = [server.connect() for _ in range(300)]
    for connection in connections:
        connection.request("GET", "/")
    server.signal(signal.SIGCONT, former)
    answers = [json.loads(one.getresponse().read()) for one in connections]
    for connection in connections:
        connection.close()
    assert 20 <= [answer["pid"] for answer in answers].count(former) < 200


FORMAT = "%(h)s %(u)s %(r)s %(m)s %(U)s %(q)s %(H)s %(s)s %(b)s %(f)s %(a)s %({x-y}i)s"


@pytest.mark.parametrize(
    ("request_line", "logged"),
    [
        ("GET /view?a=%0A HTTP/1.1", "GET /view a=%0A HTTP/1.1 200 7"),
        ("HEAD /view HTTP/1.1", "HEAD /view  HTTP/1.1 200 0"),
        ("GET /none%22 HTTP/1.0", "GET /none%22  HTTP/1.0 404 9"),
        ("GET /nothing HTTP/1.1", "GET /nothing  HTTP/1.1 204 0"),
        ("GET /stream HTTP/1.1", "GET /stream  HTTP/1.1 200 5"),
        ("GET /stream?length=1 HTTP/1.1", "GET /stream length=1 HTTP/1.1 200 5"),
    ],
)
def test_the_access_log_has_a_line_a_request(gunicorn, request_line, logged):
    server = gunicorn("--access-logfile", "-", "--access-logformat", f"<<{FORMAT}>>")
    sock = socket.create_connection(
        ("127.0.0.1", server.address()), timeout=patience(30)
    )
    with sock, sock.makefile("rb") as file:
        fields = (
            b"Host: a\r\nReferer: r\x85\r\nUser-Agent: \\\r\nX-Y: \xe9\r\n"
            b"Authorization: Basic YQpiOmM=\r\nConnection: close\r\n\r\n"
        )
        sock.sendall(request_line.encode() + b"\r\n" + fields)
        file.read()
    server.says("<<.*>>")
    (line,) = re.findall("<<(.*)>>", server.text)
    assert line == f"127.0.0.1 - {request_line} {logged} r\\x85 \\\\ \\xe9"


def test_a_method_that_a_listener_takes_from_a_client_is_escaped():
    request = Request(Roll(), None)
    request.url, request.method = b"/", "a\n\u2028"
    found = environ(request, Response(request.app, None))
    assert found["REQUEST_METHOD"] == r"A\x0a\xe2\x80\xa8"


def test_a_client_that_leaves_is_logged(gunicorn):
    log_format = "<<%(U)s %(s)s %(b)s %({roll.complete}e)s>>"
    server = gunicorn("--access-logfile", "-", "--access-logformat", log_format)
    slow = Slow(server, 60)
    slow.connection.close()
    server.says("<</slow 499 0 no>>")
    finish = Slow(server, path="/finish")
    # It resets the connection: one that only ends it gets a response, or has left.
    linger = struct.pack("ii", 1, 0)
    finish.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    finish.connection.close()
    server.says("<</finish 499 0 no>>")
    server.ask("/view")
    server.says("<</view 200 7 yes>>")


def test_what_the_protocol_refuses_is_logged(gunicorn):
    log_format = "<<%(h)s %(r)s %(s)s %(b)s %(f)s %({roll.complete}e)s>>"
    server = gunicorn("--access-logfile", "-", "--access-logformat", log_format)
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"GET /" + b"x" * 9000):
        with socket.create_connection(("127.0.0.1", server.address())) as sock:
            sock.sendall(data)
            sock.recv(1000)
    server.says("<<127.0.0.1 - - - 400 0 - yes>>")
    server.says("<<127.0.0.1 - - - 414 0 - yes>>")


def test_each_of_pipelined_requests_has_its_line(gunicorn):
    server = gunicorn("--access-logfile", "-", "--access-logformat", "<<%(U)s %(M)s>>")
    sock = socket.create_connection(
        ("127.0.0.1", server.address()), timeout=patience(30)
    )
    with sock, sock.makefile("rb") as file:
        get = b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n"
        close = b"Connection: close\r\n"
        sock.sendall(get % (b"/slow?s=1", b""))
        server.says("slow begins")
        sock.sendall(get % (b"/view", b"") + get % (b"/", close))
        file.read()
    server.says("<<.*>>", 3)
    lines = re.findall(r"<<(\S+) (\d+)>>", server.text)
    assert [path for path, _ in lines] == ["/slow", "/view", "/"]
    assert int(lines[0][1]) >= 990 > int(lines[1][1])  # of another clock than sleep


def test_without_a_log_there_is_no_line(gunicorn):
    server = gunicorn()
    server.ask("/")
    server.signal(signal.SIGTERM).wait()
    assert "HTTP/1.1" not in server.text


# Under load

WRK = shutil.which("wrk")


# wrk is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
@pytest.mark.skipif(WRK is None, reason="wrk is not installed: apt-get install wrk")
@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (signal.SIGHUP, []),
        (signal.SIGTTOU, []),
        (signal.SIGUSR1, ["--max-requests", "300", "--max-requests-jitter", "300"]),
    ],
)
def test_no_request_is_lost_under_load(gunicorn, number, arguments):
    server = gunicorn("-w", "2", *arguments).says("Booting worker", 2)
    assert server.ask()[0] == 200
    before = server.workers()
    load = subprocess.Popen(
        [WRK, "-t1", "-c20", "-d4s", f"http://127.0.0.1:{server.address()}/"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with load:
        time.sleep(1)  # it is in the middle of it
        server.signal(number)
        output, _ = load.communicate(timeout=patience(60))
    server.says("bye")
    assert set(server.workers()) != set(before)
    assert int(re.search(r"(\d+) requests in", output)[1]) > 100
    assert "Socket errors" not in output
    assert "Non-2xx" not in output
