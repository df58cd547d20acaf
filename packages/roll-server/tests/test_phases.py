"""The command ends in every phase: when a start fails, and when a signal comes."""

import os
import re
import signal
import socket

import pytest
from roll_server.exits import Exit

SHOP = """
import asyncio, os, threading, time
from roll import Roll

app = Roll()

class Resource:
    async def __aenter__(self): pass
    async def __aexit__(self, *error): print("closed", flush=True)

def wait_for_ever(): threading.Event().wait()

@app.listen("startup")
async def open_it():
    await app.exit_stack.enter_async_context(Resource())

@app.listen("shutdown")
async def end():
    print("shutdown listener", flush=True)
"""

THREAD = """
@app.listen("startup")
def connect():
    threading.Thread(target=wait_for_ever, name="database").start()
"""

FAIL = """
@app.listen("startup")
async def fail():
    raise OSError("no tables")
"""

EXECUTOR = """
@app.listen("startup")
async def connect():
    asyncio.get_running_loop().run_in_executor(None, wait_for_ever)
"""

HANG = """
@app.listen("startup")
async def hang():
    if not os.path.exists("go"):
        print("waits", flush=True)
        await asyncio.sleep(600)
"""

BLOCK = """
@app.listen("startup")
async def block():
    print("waits", flush=True)
    time.sleep(600)
"""

DEAF = """
@app.listen("startup")
async def be_deaf():
    print("waits", flush=True)
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass
"""

IMPORT = """
print("waits", flush=True)
time.sleep(600)
"""

IMPORT_DEAF = """
print("waits", flush=True)
try:
    time.sleep(600)
except BaseException:
    pass
"""

DRAIN = """
@app.listen("drain")
async def drain():
    print("waits", flush=True)
"""

END = """
@app.listen("shutdown")
async def hang():
    print("waits", flush=True)
    await asyncio.sleep(600)
"""

FAILED = "Error: a startup listener raised OSError: no tables\n"
LEFT = "roll: the process ends without waiting for these threads: "
CLOSED = "shutdown listener\nclosed\n"

WAYS = pytest.mark.parametrize("workers", [1, 2])


@pytest.fixture
def start(run, folder):
    def start(source, workers, *options):
        (folder / "shop.py").write_text(SHOP + source)
        return run("shop", "--port", 0, "--workers", workers, *options)

    return start


# A start that fails


@WAYS
@pytest.mark.parametrize(
    ("source", "left"),
    [(FAIL, ""), (THREAD + FAIL, f"{LEFT}database\n")],
    ids=["alone", "with a thread"],
)
def test_a_start_that_fails_ends_the_process(start, workers, source, left):
    running = start(source, workers)
    assert running.wait() == Exit.STARTUP
    assert running.output.startswith(f"{CLOSED}Traceback (most recent call last):\n")
    assert running.output.endswith(FAILED + left)
    assert running.output.count("Traceback") == 1


@WAYS
def test_a_start_that_fails_does_not_wait_for_ever_for_its_executor(start, workers):
    running = start(EXECUTOR + FAIL, workers, "--graceful-timeout", 1)
    assert running.wait() == Exit.STARTUP
    assert running.output.startswith(CLOSED)
    assert running.output.count(FAILED) == 1
    assert re.search(rf"{LEFT}MainThread, (asyncio|uvloop)_0\b", running.output)


@WAYS
@pytest.mark.parametrize("source", [END, END.replace("await asyncio", "time")])
def test_a_start_that_fails_does_not_wait_for_ever_for_what_closes(
    start, workers, source
):
    running = start(source + FAIL, workers, "--graceful-timeout", 2)
    assert running.wait() == Exit.STARTUP
    assert running.output.count(FAILED) == 1


@WAYS
def test_a_module_that_fails_leaves_the_threads_that_stay(start, workers):
    source = "threading.Thread(target=wait_for_ever, name='early').start()\n1 / 0\n"
    running = start(source, workers)
    assert running.wait() == Exit.APPLICATION
    assert running.output.endswith(
        "Error: shop cannot be imported: ZeroDivisionError: division by zero\n"
        f"{LEFT}early\n"
    )


def test_a_start_that_fails_is_explained_until_a_file_changes(run, folder):
    (folder / "shop.py").write_text(SHOP + THREAD + FAIL)
    running = run("shop", "--port", 0, "--reload")
    running.wait_for(f"{LEFT}database\n")
    assert running.stop() == 0


# A signal


@WAYS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("source", "output"),
    [
        (IMPORT, ""),
        (IMPORT_DEAF, CLOSED),
        (HANG, CLOSED),
        (HANG + THREAD, CLOSED),
        (THREAD + HANG, f"{CLOSED}{LEFT}database\n"),
        (BLOCK, f"{LEFT}MainThread\n"),
        (DEAF, f"{LEFT}MainThread\n"),
    ],
    ids=["import", "deaf import", "startup", "before", "thread", "blocked", "deaf"],
)
def test_one_signal_ends_a_start_that_waits_for_ever(
    start, workers, number, source, output
):
    running = start(source, workers, "--graceful-timeout", 2)
    running.wait_for("waits\n")
    assert running.stop(number) == 0
    if source is not IMPORT_DEAF:  # which may have served for a moment
        assert running.output == f"waits\n{output}"


def test_a_worker_that_ends_is_not_cut_short_by_sigterm(start):
    """Its parent's may come late, and systemd sends one to each process."""
    pid = 'print("worker", os.getpid(), flush=True)\n'
    running = start(pid + THREAD + HANG, 2, "--graceful-timeout", 2)
    running.wait_for("waits\n")
    running.send(signal.SIGTERM)
    running.wait_for(CLOSED)
    os.kill(int(re.search(r"worker (\d+)", running.output)[1]), signal.SIGTERM)
    assert running.wait() == 0
    assert running.output.endswith(f"waits\n{CLOSED}{LEFT}database\n")


def test_one_signal_ends_workers_whose_successors_wait_for_ever(start, folder):
    (folder / "go").touch()
    running = start(HANG, 2)
    running.wait_for("with 2 workers")
    (folder / "go").unlink()
    running.send(signal.SIGHUP)
    running.wait_for("waits\n")
    assert running.stop() == 0
    assert running.output.count("shutdown listener") == 3
    assert running.output.count("closed") == 3


@WAYS
@pytest.mark.parametrize("source", [DRAIN, END], ids=["drain", "shutdown"])
def test_a_second_signal_ends_at_once_what_a_first_one_ends(start, workers, source):
    running = start(source, workers, "--drain", 600 if source is DRAIN else 0)
    running.wait_for("Rolling on ")
    running.send(signal.SIGTERM)
    running.wait_for("waits", workers)
    ended = -signal.SIGTERM if workers == 1 else 128 + signal.SIGTERM
    assert running.stop() == ended


@WAYS
def test_one_signal_ends_a_server_that_is_blocked(start, workers):
    source = """
@app.route("/")
async def block(request, response):
    print("waits", flush=True)
    time.sleep(600)
"""
    running = start(source, workers, "--graceful-timeout", 0.1)
    with socket.create_connection(running.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        running.wait_for("waits\n")
        assert running.stop() == (Exit.FAILED if workers == 1 else 0)


@WAYS
def test_threads_that_stay_have_as_long_as_requests(start, workers):
    running = start(THREAD, workers, "--graceful-timeout", 1)
    running.wait_for("Rolling on ")
    assert running.stop() == 0
    assert running.output.count(f"{LEFT}database\n") == workers


# Draining


@WAYS
def test_drain_runs_at_the_signal_before_the_drain_seconds(start, workers):
    running = start(DRAIN, workers, "--drain", 600)
    running.wait_for("Rolling on ")
    running.send(signal.SIGTERM)
    running.wait_for("waits", workers)  # not after 600 seconds
    assert "shutdown listener" not in running.output
    running.stop()


def test_a_drain_listener_is_waited_for_and_may_fail(start):
    source = """
@app.listen("drain")
async def drain():
    await asyncio.sleep(0.3)
    print("drained", flush=True)
    raise OSError("no balancer")
"""
    running = start(source, 1)
    running.wait_for("Rolling on ")
    assert running.stop() == 0
    assert "A listener of 'drain' failed" in running.output
    assert "OSError: no balancer" in running.output
    assert running.output.index("drained") < running.output.index(CLOSED)
