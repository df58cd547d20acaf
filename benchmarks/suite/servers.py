"""A server in processes of its own on one CPU, and what the system tells of them."""

import functools
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from .peers import APPS, PEERS, python_of

HOST = "127.0.0.1"
STARTS = 30  # seconds that a server may take to listen
ENDS = 5  # seconds that it may take to end, before it is killed
TICK = os.sysconf("SC_CLK_TCK")
IDLE_TIME = re.compile(r"^cpu(\d+) \d+ \d+ \d+ (\d+)", re.MULTILINE)
PAGE = os.sysconf("SC_PAGE_SIZE")


@functools.cache
def choose_cpus():
    """Give a CPU for the servers, and those for their clients: the idlest first."""
    before = idle_times()
    time.sleep(1)
    after = idle_times()
    cpus = sorted(os.sched_getaffinity(0), key=lambda cpu: before[cpu] - after[cpu])
    return cpus[0], cpus[1:] or cpus


def idle_times():
    """Read for how long each CPU had nothing to do."""
    lines = Path("/proc/stat").read_text()
    return {int(cpu): int(ticks) for cpu, ticks in IDLE_TIME.findall(lines)}


def cpu_time(pid):
    """Give the seconds of CPU that a process took, of the system's part too."""
    stat = fields(Path(f"/proc/{pid}/stat"))
    return (int(stat[11]) + int(stat[12])) / TICK


class Running:
    """The processes of a server, all of one session."""

    def __init__(self, process, port):
        self.process = process
        self.port = port

    def pids(self):
        """List the processes: it may have started some beside the one that we did."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            # A process may end between the listing and the look at it.
            with suppress(OSError):
                if int(fields(path)[3]) == self.process.pid:
                    found.append(int(path.parent.name))
        return found

    def cpu(self):
        """Give the seconds of CPU that all threads took, of the system's part too."""
        seconds = 0
        for pid in self.pids():
            with suppress(OSError):
                seconds += cpu_time(pid)
        return seconds

    def resident(self):
        """Give the bytes that all processes hold."""
        pages = 0
        for pid in self.pids():
            with suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * PAGE

    def send(self, number):
        """Signal all processes."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @contextmanager
    def awake(self):
        """Let it run; at other times it is stopped, and takes nothing from others."""
        self.send(signal.SIGCONT)
        try:
            yield self
        finally:
            self.send(signal.SIGSTOP)

    def end(self):
        """End all processes: in time, or by SIGKILL."""
        self.send(signal.SIGCONT)
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDS)
        self.send(signal.SIGKILL)
        self.process.wait(ENDS)


def fields(path):
    """Read what follows the name in /proc/PID/stat: state, parent, group, session..."""
    return path.read_text().rpartition(")")[2].split()


def pin():
    """Move this process to the servers' CPU."""
    os.sched_setaffinity(0, {choose_cpus()[0]})


def unpin():
    """Let this process have every CPU."""
    cpu, others = choose_cpus()
    os.sched_setaffinity(0, {cpu, *others})


@contextmanager
def run(name, folder, more=(), command=(), cwd=APPS, everywhere=False):
    """Run the server of a peer; it listens when this is entered.

    Args:
        name: Of the peer.
        folder: Of static files.
        more: What follows its usual command.
        command: What follows the interpreter, in place of that.
        cwd: Where it runs.
        everywhere: Whether it may have every CPU, not one alone.

    Raises:
        RuntimeError: It does not start; the message ends with what it wrote.
    """
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    options = command or [*PEERS[name].command, *more]
    command = [part.format(port=port, folder=folder) for part in options]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [python_of(name), *command],
            cwd=cwd,
            env={**os.environ, "FOLDER": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=unpin if everywhere else pin,
        )
        server = Running(process, port)
        try:
            wait_for(server, log)
            yield server
        finally:
            server.end()


def wait_for(server, log):
    ends = time.monotonic() + STARTS
    while time.monotonic() < ends and server.process.poll() is None:
        with suppress(ConnectionRefusedError):
            socket.create_connection((HOST, server.port)).close()
            return
        time.sleep(0.002)
    log.seek(0)
    wrote = " ".join(log.read().split())[-300:]
    raise RuntimeError(f"the server does not start: {wrote}")
