"""Ending: a process ends in time, whatever still runs in it."""

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
"""Seconds for threads to end when all is closed, and for output to be flushed."""

LONGEST = 1e6
"""Seconds that are waited at most: systems limit how long a thread may sleep."""


class Ending:
    """Ends this process, with `os._exit`, if something takes too long.

    Args:
        status: What the process exits with.
    """

    def __init__(self, status: int) -> None:
        self.status = status
        """What the process exits with; may be changed until it does."""
        self.last_words = ""
        """What to print before."""
        self.active = True
        """Whether it ends anything."""

    def arm(self, seconds: float) -> None:
        """End the process after some *seconds*; the earliest of all calls counts."""
        # To start a `threading.Thread` takes locks, and the main thread may hold one of
        # them when a handler of a signal calls this.
        _thread.start_new_thread(self._watch, (min(seconds, LONGEST),))

    def disarm(self) -> None:
        """Let the process go on."""
        self.active = False

    def _watch(self, seconds: float) -> None:
        time.sleep(seconds)
        if self.active:
            threads = [threading.main_thread(), *staying()]
            leave(self.status, threads, self.last_words)


def leave_threads(status: int, seconds: float = GRACE) -> None:
    """Exit without the threads that have not ended some *seconds* after the main one.

    Python waits for all that are not daemons, for ever when one of them never ends.

    Args:
        status: What the process exits with, if it has to be ended.
        seconds: For them to end, from when the main thread has ended.
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
    """List the threads that Python waits for when it exits."""
    main = threading.main_thread()
    return [
        each for each in threading.enumerate() if each is not main and not each.daemon
    ]


def leave(
    status: int, threads: Iterable[threading.Thread], last_words: str = ""
) -> NoReturn:
    """Name the *threads* that are left, flush what was written, and end the process."""
    names = ", ".join(thread.name for thread in threads)
    line = f"roll: the process ends without waiting for these threads: {names}\n"
    flushed = threading.Event()
    # A thread that hangs may hold the lock of a handler, or nobody reads a pipe.
    try:
        _thread.start_new_thread(_flush, (last_words + line, flushed))
    except RuntimeError:  # Python 3.12 starts none once the main thread has ended
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
