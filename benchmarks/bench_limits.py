"""CPU time that limits and timers cost a request: examples/hello with and without them.

The target: under `wrk -c64`, examples/hello costs at most 5 % more CPU time a request
than with limits and timers patched out. The product has no switch for that: the server
without them is the same program, from whose functions `CHECKS` are cut when it starts,
before a connection is made. Cut are, of what a request without a body comes by,

- the sweep over the connections that looks at their timeouts, and the counters that it
  compares: pieces that came, requests served;
- sizes: of the target, of a field, of a head, the number of fields, and the bytes
  received without making a message;
- what is read ahead: the look whether reading has to pause;
- the number of requests on a connection.

Checks of bodies, forms and queries are not cut: such a request meets none. Framing, so
the checks of Host, target and Content-Length, is not a limit, and stays. A check that
is no longer where `CHECKS` says ends this script with an error.

Both servers are pinned to one CPU, wrk to another; they are asked in turns, a new
process each time, and medians are printed. CPU time is the process's, of the system's
part too.

2026-11-21, a virtual machine with 4 CPUs, shared with other work, CPython 3.13.0,
uvloop 0.23.0: with / without is 1.031 with the field Host alone (16.3 us a request),
and 1.054 with 13 fields (17.7 us); other runs of that day differ by 0.03.
"""

import ast
import inspect
import os
import platform
import re
import runpy
import shutil
import statistics
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATH = "/hello/world"
WRK = ["wrk", "-t1", "-c64", "-d2s"]
FIELDS = [f"X-Field-{number}: a value of usual length" for number in range(12)]
REQUESTS = {
    "with the field Host alone, as wrk sends it": [],
    "with 13 fields, about as many as of a browser": [f"-H{field}" for field in FIELDS],
}
NAMES = ("with", "without")
ROUNDS = 9
TARGET = 1.05

# What is cut from each function: statements and operands of `or` with one of these
# names; of an `if` whose condition has one, all but what its `else` does.
CHECKS = {
    ("reader", "MessageReader", "_make_request"): {"limits", "_progress", "_pending"},
    ("reader", "MessageReader", "_read_fields"): {"limits"},
    ("protocol", "HttpProtocol", "_read_on"): {"_reading_paused"},
    ("protocol", "HttpProtocol", "_frame"): {"requests"},
    ("protocol", "HttpProtocol", "_serve"): {"_served"},
}


# The server without limits


class Cut(ast.NodeTransformer):
    """Drop what uses some names.

    Args:
        names: Of variables and of attributes.
    """

    def __init__(self, names):
        self.names = names
        self.found = set()

    def keeps(self, node):
        nodes = list(ast.walk(node))
        used = {each.id for each in nodes if isinstance(each, ast.Name)}
        used |= {each.attr for each in nodes if isinstance(each, ast.Attribute)}
        self.found |= used & self.names
        return not used & self.names

    def visit_BoolOp(self, node):
        if isinstance(node.op, ast.Or):
            node.values = list(filter(self.keeps, node.values))
        return node

    def visit_Assign(self, node):
        self.generic_visit(node)  # an operand may go, and the rest be kept
        return node if self.keeps(node) else None

    def visit_AugAssign(self, node):
        return node if self.keeps(node) else None

    visit_Expr = visit_AugAssign

    def visit_If(self, node):
        if self.keeps(node.test):
            return self.generic_visit(node)
        return [kept for each in node.orelse if (kept := self.visit(each))]


def cut(function, names):
    """Compile *function* again, without what uses one of *names*.

    Raises:
        ValueError: One of the names is not used.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    cutter = Cut(names)
    tree = ast.fix_missing_locations(cutter.visit(tree))
    if cutter.found != names:
        missing = ", ".join(sorted(names - cutter.found))
        raise ValueError(f"{function.__qualname__} does not use {missing} any more")
    scope = {}
    code = compile(tree, inspect.getsourcefile(function), "exec")
    exec(code, function.__globals__, scope)
    return scope[function.__name__]


def watch_nothing(app):
    """Stand for `Roll._watch`, which comes again and looks at every connection."""
    app.lifecycle._sweeper = app.loop.call_later(24 * 3600, int)


def cut_limits():
    import roll

    roll.Roll._watch = watch_nothing
    for (module, owner, name), names in CHECKS.items():
        owner = getattr(sys.modules[f"roll.{module}"], owner)
        setattr(owner, name, cut(getattr(owner, name), names))


def serve(limited):
    """Be the server: run `python -m examples.hello 0`."""
    if not limited:
        cut_limits()
    sys.argv[1:] = ["0"]
    runpy.run_module("examples.hello", run_name="__main__")


# Measuring


@contextmanager
def running(limited, cpu):
    """Run a server on a CPU.

    Yields:
        Its process id, and the URL to ask for.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", f"import bench_limits; bench_limits.serve({limited})"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        os.sched_setaffinity(process.pid, {cpu})
        *_, url = process.stdout.readline().split()  # Rolling on http://...
        yield process.pid, url + PATH
    finally:
        process.terminate()
        process.communicate()


def cpu_seconds(pid):
    """Read user and system time, fields 14 and 15 of `man proc_pid_stat`."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(pid, url, options, cpu):
    """Ask one server for two seconds.

    Returns:
        Microseconds of its CPU time a request, and requests a second.
    """
    started = cpu_seconds(pid)
    command = ["taskset", "-c", str(cpu), *WRK, *options, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - started
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    requests = int(re.search(r"(\d+) requests in", said)[1])
    return used / requests * 1e6, float(re.search(r"Requests/sec: *([\d.]+)", said)[1])


def compare(options, cpu, wrk_cpu):
    """Measure both servers in turns, new ones each time.

    Of the same program one process is up to a tenth slower than another, for as long as
    it runs: where it lies in memory decides. Only many processes show the program.
    """
    rounds = []
    for number in range(ROUNDS):
        found = {}
        for limited in (True, False) if number % 2 else (False, True):
            with running(limited, cpu) as server:
                name = "with" if limited else "without"
                found[name] = measure(*server, options, wrk_cpu)
        rounds.append(found)
    return rounds


# Printing


def show(title, rounds):
    print(f"\nA request {title}")
    print(f"{'limits and timers':<18} {'CPU us a request':>17} {'requests/s':>11}")
    for name in NAMES:
        times, speeds = zip(*(each[name] for each in rounds), strict=True)
        print(
            f"{name:<18} {statistics.median(times):>17.2f}"
            f" {statistics.median(speeds):>11,.0f}"
            f"   ({min(times):.2f} to {max(times):.2f} us)"
        )
    used = [statistics.median(each[name][0] for each in rounds) for name in NAMES]
    print(f"with / without: {used[0] / used[1]:.3f}; target: at most {TARGET}")


def main():
    if not hasattr(os, "sched_setaffinity") or not Path("/proc/self/stat").exists():
        return print("Left out: limits are measured on Linux alone")
    if not shutil.which("wrk"):
        return print("Left out: needs wrk, which Debian has: apt-get install wrk")
    *_, wrk_cpu, cpu = sorted(os.sched_getaffinity(0)) * 2
    loop = f"uvloop {version('uvloop')}" if find_spec("uvloop") else "asyncio"
    print(f"Python {platform.python_version()}, {loop}, {' '.join(WRK)}, GET {PATH}")
    for title, options in REQUESTS.items():
        show(title, compare(options, cpu, wrk_cpu))


if __name__ == "__main__":
    main()
