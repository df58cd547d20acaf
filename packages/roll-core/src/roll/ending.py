"""Ending: ends a process in time, whatever still runs in it."""

import _thread
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NoReturn

GRACE = 1.0
"""Seconds for threads to end once all is closed, and to flush output."""

LONGEST = 1e6
"""The most seconds to wait: systems limit how long a thread may sleep."""


class Ending:
    """Ends this process, with `os._exit`, if something takes too long.

    Args:
        status: The exit status of the process.
    """

    def __init__(self, status: int) -> None:
        self.status = status
        """The exit status; may be changed until the process ends."""
        self.last_words = ""
        """Text to print before the end."""
        self.active = True
        """Whether it may end the process."""

    def arm(self, seconds: float) -> None:
        """End the process after some *seconds*; the earliest of all calls counts."""
        # Starting a `threading.Thread` takes locks, and the main thread may hold one of
        # them when a signal handler calls this.
        _thread.start_new_thread(self._watch, (min(seconds, LONGEST),))

    def disarm(self) -> None:
        """Let the process continue."""
        self.active = False

    def _watch(self, seconds: float) -> None:
        time.sleep(seconds)
        if self.active:
            threads = [threading.main_thread(), *staying()]
            leave(self.status, threads, self.last_words)


def leave_threads(status: int, seconds: float = GRACE) -> None:
    """Exit without threads that still run some *seconds* after the main one has ended.

    Python would wait for all non-daemon threads, maybe forever.

    Args:
        status: The exit status of the process, if it has to be ended.
        seconds: Time for them to end, after the end of the main thread.
    """
    threading.Thread(
        target=_leave_threads,
        args=(status, min(seconds, LONGEST)),
        name="roll.ending",
        daemon=True,
    ).start()


def _leave_threads(status: int, seconds: float) -> None:
    threading.main_thread().join()
    deadline = time.monotonic() + seconds
    while threads := staying():
        if time.monotonic() >= deadline:
            leave(status, threads)
        time.sleep(0.05)


def staying() -> list[threading.Thread]:
    """List the threads that Python waits for at exit."""
    main = threading.main_thread()
    return [
        each for each in threading.enumerate() if each is not main and not each.daemon
    ]


def leave(
    status: int, threads: Iterable[threading.Thread], last_words: str = ""
) -> NoReturn:
    """Name the *threads* that are left, flush all output, and end the process."""
    names = ", ".join(thread.name for thread in threads)
    line = f"roll: the process ends without waiting for these threads: {names}\n"
    flushed = threading.Event()
    # A hanging thread may hold the lock of a handler, or a pipe may be full.
    try:
        _thread.start_new_thread(_flush, (last_words + line, flushed))
    except RuntimeError:  # Python 3.12 cannot start one once the main thread has ended
        _flush(last_words + line, flushed)
    flushed.wait(GRACE)
    os._exit(status)


def _flush(text: str, flushed: threading.Event) -> None:
    with suppress(Exception):
        sys.stderr.write(text)
    with suppress(Exception):
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    flushed.set()
