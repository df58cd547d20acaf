"""Runs the command as a process, and waits for what it says."""

import contextlib
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import urllib.request

import pytest
from roll_server.run import run as run_command
from roll_server.settings import Settings
from roll_testing import patience, wait_until

PATIENCE = patience(60)
"""Seconds that nothing takes, on the slowest machine."""

SHOP = '''
import asyncio, os
from roll import Roll

class Endless:
    """A protocol that takes a connection over, and does not end it when it is told."""

    TOKEN = "websocket"
    ALLOWED_METHODS = ("GET",)

    def __init__(self, request, response):
        response.headers["Upgrade"] = "websocket"

    def connection_made(self, transport): pass
    def connection_lost(self, error): pass
    def data_received(self, data): pass
    def eof_received(self): pass
    def pause_writing(self): pass
    def resume_writing(self): pass
    def stop(self): pass
    def check(self, now): pass

    async def run(self, view, variables):
        await asyncio.sleep(600)

class App(Roll):
    WebsocketProtocol = Endless

app = App()

@app.route("/ws", protocol="websocket")
async def endless(request, ws): pass

@app.route("/")
async def home(request, response):
    response.body = "first"

@app.route("/pid")
async def pid(request, response):
    response.body = str(os.getpid())

@app.route("/workers")
async def workers(request, response):
    response.body = str(app.workers)

@app.route("/crash")
async def crash(request, response):
    os._exit(9)

@app.route("/slow")
async def slow(request, response):
    print("slow starts", flush=True)
    await asyncio.sleep(1)
    response.body = "slow"

@app.route("/gate")
async def gate(request, response):
    print("gate waits", flush=True)
    while not os.path.exists("open"):
        await asyncio.sleep(0.02)
    response.body = "gate"

@app.route("/stream")
async def stream(request, response):
    async def pieces():
        while True:
            yield "piece"
            await asyncio.sleep(60)
    response.body = pieces()

@app.listen("shutdown")
async def end():
    print("shutdown listener", flush=True)
'''


def clean_environment():
    """Give the variables of the tests, but those that mean something to the command."""
    return {key: os.environ[key] for key in os.environ if not key.startswith("ROLL_")}


@contextlib.contextmanager
def default_signals():
    """Let what is started meanwhile have no signal ignored.

    The tests may have, by nohup, or as a job in the background of a script. A signal
    with a handler in one process has the default disposition in those that it starts.
    """
    ignored = [
        n for n in signal.valid_signals() if signal.getsignal(n) == signal.SIG_IGN
    ]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


class Running:
    """The command, as a process; all that it prints is in `output`."""

    def __init__(self, arguments, folder, environment, **options):
        self.output = ""
        command = [sys.executable, "-W", "error", "-m", "roll_server", "run"]
        options = {
            "args": [*command, *arguments],
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
            "cwd": folder,
            "env": {**clean_environment(), **environment},
            **options,
        }
        with default_signals():
            self.process = subprocess.Popen(**options)
        self._reader = None
        if self.process.stdout is not None:
            self._reader = threading.Thread(target=self._read)
            self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, text, times=1):
        def said():
            ended = self.process.poll() is not None
            if self.output.count(text) < times:
                assert not ended, self.output
                return False
            return True

        wait_until(said, f"{text!r}, in {self.output!r},")

    @property
    def url(self):
        self.wait_for("Rolling on ")
        return re.search(r"Rolling on (\S+?),?\s", self.output)[1]

    @property
    def address(self):
        host, _, port = self.url.partition("://")[2].rpartition(":")
        return host, int(port)

    def get(self, path="/"):
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def send(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Wait for its end: its status."""
        status = self.process.wait(PATIENCE)
        if self._reader is not None:
            self._reader.join(PATIENCE)
        return status

    def stop(self, number=signal.SIGTERM):
        self.send(number)
        return self.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            finally:
                self.process.kill()
        self.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def folder(tmp_path):
    """A folder with an application, `shop:app`."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


@pytest.fixture
def run(folder):
    """Start `roll run` in that folder; what is left of it at the end is ended."""
    with contextlib.ExitStack() as stack:

        def run(*arguments, environment=(), **options):
            arguments = [str(argument) for argument in arguments]
            running = Running(arguments, folder, dict(environment), **options)
            stack.callback(running.close)
            return running

        yield run


LOGIN = """
import os, sys
os.login_tty(0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Terminal:
    """A pseudo-terminal, with the command in its foreground."""

    def __init__(self, run, *arguments):
        self.ours, theirs = pty.openpty()
        self.seen = ""
        command = [sys.executable, "-c", LOGIN, "-m", "roll_server", "run"]
        self.running = run(
            args=[*command, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        self.theirs = theirs

    def read_until(self, text):
        while text not in self.seen:
            self.seen += os.read(self.ours, 4096).decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def write(self, text):
        os.write(self.ours, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)


@pytest.fixture
def terminal(run):
    opened = []

    def start(*arguments):
        opened.append(Terminal(run, *arguments))
        return opened[0]

    yield start
    for each in opened:
        each.running.close()
        os.close(each.ours)
        os.close(each.theirs)


@pytest.fixture
def settings():
    """Make the settings that `roll run` has with these arguments."""

    def make(*arguments):
        return Settings.take(run_command.make_context("run", [*arguments]).params)

    return make


@pytest.fixture
def port():
    """A port that is free just now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]
