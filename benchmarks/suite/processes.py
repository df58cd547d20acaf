"""Processes that a script starts, and what the system tells of them."""

import os
import time
from pathlib import Path

MIB = 2**20


def wait_for(attempt):
    """Try for ten seconds, while *attempt* raises an OSError; give its result."""
    for _ in range(200):
        try:
            return attempt()
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server does not start")


def resident(process):
    """Tell the MiB that a process holds."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB
