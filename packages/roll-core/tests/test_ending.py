"""A process ends in time, whatever still runs in it."""

import subprocess
import sys
import time

import pytest

PATIENCE = 60
"""Seconds that nothing takes, on the slowest machine."""

# What each process below begins with: threads that wait forever, as that of a database
# does, and one that ends soon.
BEGIN = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from roll.ending import Ending, leave_threads

def start(name, work, *arguments):
    threading.Thread(target=work, args=arguments, name=name).start()

def wait(name="waits"):
    start(name, threading.Event().wait)
"""

LINE = "roll: the process ends without waiting for these threads: "


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", BEGIN + code],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_threads_that_stay_are_named_and_left():
    found = run("wait(); wait('another')\nprint('out')\nleave_threads(5)\n")
    assert found.returncode == 5
    assert found.stdout == "out\n"
    assert found.stderr == f"{LINE}waits, another\n"


def test_it_ends_where_no_thread_can_be_started():
    found = run(
        "from roll.ending import leave\n"
        "import _thread\n"
        "def fail(function, arguments): raise RuntimeError\n"
        "_thread.start_new_thread = fail\n"
        "print('out')\n"
        "leave(5, [threading.main_thread()])\n"
    )
    assert (found.returncode, found.stdout) == (5, "out\n")
    assert found.stderr == f"{LINE}MainThread\n"


@pytest.mark.parametrize(
    "code",
    [
        "",
        "start('ends', time.sleep, 0.3)\n",
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
        "ThreadPoolExecutor().submit(int)\n",  # Python asks its threads to end
    ],
    ids=["none", "ends", "daemon", "executor"],
)
def test_threads_that_end_or_are_daemons_are_no_reason_to_leave(code):
    code = f"import atexit\natexit.register(print, 'at exit')\n{code}"
    found = run(f"{code}leave_threads(5, 30)\nsys.exit(7)\n")
    assert (found.returncode, found.stdout, found.stderr) == (7, "at exit\n", "")


def test_threads_have_the_seconds_that_are_given():
    begun = time.monotonic()
    found = run("wait()\nleave_threads(5, 0.5)\ntime.sleep(1)\n")
    assert found.returncode == 5
    assert time.monotonic() - begun >= 1.5  # they count from the end of the main one


def test_a_process_that_is_blocked_ends_when_it_is_due():
    found = run(
        "ending = Ending(5)\nending.last_words = 'Error: no database\\n'\n"
        "ending.arm(1000)\nending.arm(0.1)\nwait()\nending.status = 6\n"
        "time.sleep(600)\n"
    )
    assert found.returncode == 6
    assert found.stderr == f"Error: no database\n{LINE}MainThread, waits\n"


def test_what_is_armed_as_the_main_thread_ends_says_nothing():
    # Python 3.12 starts no thread any more from then on, also for those that are late.
    found = run("wait()\nleave_threads(5)\nfor _ in range(50): Ending(6).arm(1000)\n")
    assert (found.returncode, found.stderr) == (5, f"{LINE}waits\n")


def test_a_process_that_is_disarmed_goes_on():
    found = run(
        "ending = Ending(5)\nending.arm(0.1)\nending.disarm()\n"
        "time.sleep(0.5)\nprint('on')\n"
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "on\n", "")


def test_a_time_that_no_system_can_wait_is_taken():
    found = run("Ending(5).arm(1e300)\nleave_threads(5, 1e300)\nprint('on')\n")
    assert (found.returncode, found.stdout, found.stderr) == (0, "on\n", "")


def test_what_was_logged_is_flushed():
    found = run(
        "import logging, logging.handlers\n"
        "handler = logging.handlers.MemoryHandler(\n"
        "    99, 99, logging.StreamHandler(sys.stdout))\n"
        "logging.getLogger().addHandler(handler)\n"
        "logging.warning('logged')\nwait()\nleave_threads(5)\n"
    )
    assert found.returncode == 5
    assert found.stdout == "logged\n"


def test_a_flush_that_hangs_does_not_keep_the_process():
    found = run(
        "import logging\nhandler = logging.StreamHandler()\n"
        "logging.getLogger().addHandler(handler)\nhandler.acquire()\n"
        "Ending(5).arm(0)\ntime.sleep(600)\n"
    )
    assert found.returncode == 5
    assert found.stderr == f"{LINE}MainThread\n"


def test_a_stream_that_is_closed_does_not_keep_the_process():
    found = run("wait()\nleave_threads(5)\nsys.stderr.close()\n")
    assert (found.returncode, found.stderr) == (5, "")
