"""Workers: they share the sockets, are replaced without a request lost, and drain."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from roll import Roll
from roll_server.children import REPLACED, Link
from roll_server.exits import Exit
from roll_server.serving import serve
from roll_server.signals import Signals
from roll_server.workers import Workers, choose_pause
from roll_testing import patience, wait_until


@pytest.fixture
def workers(run):
    def start(*options, count=2, **keywords):
        running = run("shop", "--port", 0, "--workers", count, *options, **keywords)
        running.wait_for(f" with {count} workers\n")
        return running

    return start


def pids(running, wanted):
    """Ask until *wanted* workers have answered: their ids."""
    seen = set()

    def ask():
        seen.add(int(running.get("/pid")))
        return len(seen) >= wanted

    wait_until(ask, f"a response of {wanted} workers")
    return seen


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Load:
    """Clients that ask again and again, on a connection each that they may keep."""

    def __init__(self, address, keep, clients=8):
        self.answers = 0
        self.failures = []
        self._address = address
        self._keep = keep
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self):
        client = http.client.HTTPConnection(*self._address, timeout=patience(60))
        while not self._end.is_set():
            try:
                client.request("GET", "/")
                answer = client.getresponse()
                assert (answer.status, answer.read()) == (200, b"first")
                self.answers += 1
                if not self._keep:
                    client.close()
            except Exception as error:
                self.failures.append(error)
                client.close()
        client.close()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._end.set()
        for thread in self._threads:
            thread.join()


def test_all_of_them_answer(workers):
    running = workers(count=3)
    assert running.process.pid not in pids(running, 3)
    assert running.stop() == 0
    assert running.output.count("shutdown listener") == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_requests_end(workers, number):
    running = workers()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(running.get("/slow")))
    thread.start()
    running.wait_for("slow starts")
    assert running.stop(number) == 0
    thread.join()
    assert answers == ["slow"]


def test_a_signal_to_the_whole_group_is_no_second_one(workers):
    # As a terminal sends it.
    running = workers(process_group=0)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(running.get("/slow")))
    thread.start()
    running.wait_for("slow starts")
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.wait() == 0
    thread.join()
    assert answers == ["slow"]


def test_a_second_signal_ends_all_at_once(workers):
    running = workers()
    found = pids(running, 2)
    with socket.create_connection(running.address) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(10)
        running.send(signal.SIGTERM)
        wait_until(lambda: sum(map(is_running, found)) == 1, "the end of the idle one")
        assert running.stop() == 128 + signal.SIGTERM
    assert not any(map(is_running, found))


def test_a_worker_that_crashes_is_replaced(workers):
    running = workers()
    assert running.get("/workers") == "2"
    found = pids(running, 2)
    for times in (1, 2):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            running.get("/crash")
        running.wait_for("ended with status 9; another starts in 0.5 s", times)
    assert pids(running, 2) != found
    os.kill(found_now := pids(running, 2).pop(), signal.SIGKILL)
    running.wait_for(f"worker {found_now} was ended by SIGKILL; another starts in ")
    assert len(pids(running, 2)) == 2


def test_the_pause_grows_while_no_successor_can_start(workers, folder):
    running = workers()
    source = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text("raise OSError('no disk')")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        running.get("/crash")
    crashed = "has no successor: that ended with status 4; another starts in"
    running.wait_for(f"{crashed} 1 s")
    running.wait_for(f"{crashed} 2 s")
    former = running.get("/pid")  # the other one answers
    (folder / "shop.py").write_text(source)
    assert int(former) in pids(running, 2)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        running.get("/crash")
    running.wait_for("ended with status 9; another starts in ", 2)
    assert running.stop() == 0  # it is not waited for


HANG = """
@app.listen("startup")
async def hang():
    if os.path.exists("hang"):
        print("hangs", flush=True)
        await asyncio.sleep(120)
"""


def test_a_successor_that_hangs_does_not_delay_those_of_others(workers, folder):
    with (folder / "shop.py").open("a") as shop:
        shop.write(HANG)
    running = workers()
    one, other = pids(running, 2)
    (folder / "hang").touch()
    os.kill(one, signal.SIGKILL)
    running.wait_for("hangs")
    (folder / "hang").unlink()
    os.kill(other, signal.SIGKILL)
    running.wait_for(f"worker {other} was ended by SIGKILL")
    assert int(running.get("/pid")) not in (one, other)
    assert running.stop() == 0  # the one that hangs is not waited for


@pytest.fixture
def impatient(workers):
    """Start workers that have less than a minute to answer."""

    def start(seconds):
        code = (
            "from roll_server import __main__, workers\n"
            f"workers.PATIENCE = {seconds}\n__main__.main()"
        )
        options = ["run", "shop", "--port", "0", "--workers", "2"]
        return workers(args=[sys.executable, "-W", "error", "-c", code, *options])

    return start


def test_a_successor_that_hangs_is_killed_and_another_one_starts(impatient, folder):
    with (folder / "shop.py").open("a") as shop:
        shop.write(HANG)
    running = impatient(patience(3))
    former = pids(running, 2)
    (folder / "hang").touch()
    os.kill(min(former), signal.SIGKILL)
    running.wait_for("hangs")
    (folder / "hang").unlink()
    running.send(signal.SIGHUP)
    running.wait_for(" is not ready after ")
    running.wait_for("has no successor: that was ended by SIGKILL; another starts in")
    running.wait_for("the workers were replaced")
    wait_until(lambda: not any(map(is_running, former)), "the end of the former ones")
    assert len(pids(running, 2)) == 2
    assert running.stop() == 0


def test_successors_have_time_where_the_first_ones_took_it(impatient, folder):
    with (folder / "shop.py").open("a") as shop:
        shop.write("app.listen('startup')(lambda: asyncio.sleep(1))\n")
    running = impatient(0.1)
    running.send(signal.SIGHUP)
    running.wait_for("the workers were replaced")
    assert running.stop() == 0


def test_a_worker_that_was_steady_is_soon_replaced():
    assert choose_pause(8, 59) == 8
    assert choose_pause(8, 61) == 0.5


def test_a_crash_while_all_are_replaced_has_one_successor(workers):
    running = workers()
    os.kill(pids(running, 2).pop(), signal.SIGKILL)
    running.wait_for("another starts in 0.5 s")
    running.send(signal.SIGHUP)
    running.wait_for("the workers were replaced")
    time.sleep(1)  # for one that would be too many
    assert running.stop() == 0
    # One of the former two was killed; the other one, and both new ones, have ended.
    assert running.output.count("shutdown listener") == 3


async def test_a_system_without_room_for_a_process_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert await Workers(2, [], {}, 1.0).start() == Exit.FAILED
    said = "roll: no process can be started: [Errno 2] No such file or directory"
    assert said in capsys.readouterr().err


def test_workers_end_when_who_keeps_them_is_gone(workers):
    running = workers()
    found = pids(running, 2)
    running.process.kill()
    wait_until(lambda: not any(map(is_running, found)), "the end of all")


def test_sighup_replaces_all_of_them_with_new_code(workers, folder):
    running = workers()
    former = pids(running, 2)
    source = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text(source.replace('"first"', '"second"'))
    with socket.create_connection(running.address) as client:
        client.sendall(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
        running.wait_for("gate waits")
        running.send(signal.SIGHUP)
        running.wait_for("the workers were replaced")
        # A former one may have accepted a connection just before it heard of it.
        wait_until(lambda: running.get() == "second", "the new code")
        (folder / "open").touch()
        answer = b""
        while piece := client.recv(1000):
            answer += piece
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\ngate")
    wait_until(lambda: not any(map(is_running, former)), "the end of the former ones")
    assert not former & pids(running, 2)
    assert running.stop() == 0


@pytest.mark.parametrize(("word", "least", "most"), [(REPLACED, 50, 100), (b"", 0, 0)])
def test_a_worker_leaves_who_waits_to_its_successor_alone(word, least, most, settings):
    """One that ends while a hundred clients are connected, and not yet accepted."""
    ours, theirs = socket.socketpair()
    ours.sendall(word)
    ours.shutdown(socket.SHUT_WR)
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as shared:
        address = shared.getsockname()
        clients = [socket.create_connection(address) for _ in range(100)]
        serve(settings(), Roll(), [shared.dup()], None, Link(theirs), Signals())
        shared.setblocking(False)
        left = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                shared.accept()[0].close()
                left += 1
        assert least <= left <= most
        for client in clients:
            client.close()


def test_who_comes_when_all_stop_is_refused(workers, folder):
    running = workers()
    with socket.create_connection(running.address) as client:
        client.sendall(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
        running.wait_for("gate waits")
        running.send(signal.SIGTERM)
        wait_until(lambda: is_refused(running.address), "the end of the sockets")
        (folder / "open").touch()
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert running.wait() == 0


def is_refused(address):
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


WAIT = """
@app.listen("startup")
async def wait():
    print("startup listener", flush=True)
    while os.path.exists("hold"):
        await asyncio.sleep(0.02)
"""


def test_sighup_replaces_the_successor_of_a_crashed_worker_too(workers, folder):
    source = (folder / "shop.py").read_text() + WAIT
    (folder / "shop.py").write_text(source)
    running = workers()
    former = pids(running, 2)
    (folder / "hold").touch()
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        running.get("/crash")
    running.wait_for("startup listener", 3)  # it has read the old code
    (folder / "shop.py").write_text(source.replace('"first"', '"second"'))
    running.send(signal.SIGHUP)
    time.sleep(0.5)  # where that is too short, it is replaced as any other
    (folder / "hold").unlink()
    running.wait_for("the workers were replaced")
    wait_until(lambda: not any(map(is_running, former)), "the end of the former ones")

    def all_are_new():
        seen = {}
        while len(seen) < 2:
            seen.update([pid_and_text(running)])
        return set(seen.values()) == {"second"}  # one of the others may end yet

    wait_until(all_are_new)
    assert running.stop() == 0


def pid_and_text(running):
    """Ask one worker, by one connection."""
    client = http.client.HTTPConnection(*running.address, timeout=patience(60))
    with contextlib.closing(client):
        answers = []
        for path in ("/pid", "/"):
            client.request("GET", path)
            answers.append(client.getresponse().read().decode())
        return tuple(answers)


def test_former_workers_go_on_when_new_ones_cannot_start(workers, folder):
    running = workers()
    former = pids(running, 2)
    (folder / "shop.py").write_text("raise OSError('no disk')")
    running.send(signal.SIGHUP)
    running.wait_for("a new worker cannot start; the previous ones stay")
    assert "Error: shop cannot be imported: OSError: no disk\n" in running.output
    assert pids(running, 2) == former


@pytest.mark.parametrize("keep", [True, False], ids=["kept alive", "new each time"])
def test_sighup_loses_no_request(workers, keep):
    running = workers()
    with Load(running.address, keep) as load:
        for times in range(1, 4):
            running.send(signal.SIGHUP)
            running.wait_for("the workers were replaced", times)
            wait_until(lambda wanted=load.answers + 100: load.answers >= wanted)
    assert load.failures == []
    print(f"{load.answers} answers, none lost, while 2 workers were replaced 3 times")


def test_sighup_loses_no_request_of_wrk(workers):
    wrk = shutil.which("wrk")
    # wrk is not a Python package: the test above runs without it, with a
    # client of its own. `.ci/run` installs it, so that nothing is skipped there.
    if wrk is None:
        pytest.skip("wrk is not installed: it is a package of Debian's")
    running = workers()
    load = subprocess.Popen(
        [wrk, "-t1", "-c32", "-d600s", running.url], stdout=subprocess.PIPE, text=True
    )
    for times in range(1, 4):
        running.send(signal.SIGHUP)
        running.wait_for("the workers were replaced", times)
    load.send_signal(signal.SIGINT)
    report, _ = load.communicate(timeout=patience(60))
    assert "Socket errors" not in report, report
    assert "Non-2xx" not in report, report
    print(re.search(r"\d+ requests in .*", report)[0])


def test_a_worker_that_does_not_end_is_killed(run, folder):
    (folder / "shop.py").write_text(
        "import os, time\nfrom roll import Limits, Roll\n"
        "class App(Roll):\n    limits = Limits(shutdown=0.1)\n"
        "app = App()\n"
        "@app.route('/')\nasync def home(request, response):\n"
        "    print('pid', os.getpid(), flush=True)\n    time.sleep(600)\n"
    )
    running = run("shop", "--port", 0, "--workers", 2)
    with socket.create_connection(running.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        running.wait_for("pid ")
        assert running.stop() == 0
    assert not is_running(int(re.search(r"pid (\d+)", running.output)[1]))


def test_a_worker_that_dies_before_it_answers_ends_the_start(run, folder):
    (folder / "shop.py").write_text("import os, signal\nos.kill(os.getpid(), 9)\n")
    running = run("shop", "--port", 0, "--workers", 2)
    assert running.wait() == Exit.FAILED
    assert running.output == "roll: a worker was ended by SIGKILL\n"
