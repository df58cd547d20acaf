"""Roll beside other frameworks, served and asked alike: docs/benchmarks.md has it all.

Each peer has an environment of its own under .nox/bench-peers, made when it is first
asked for, by uv from PyPI. What each serves is in frameworks/, what is asked for in
suite/rows.py. Needs Linux, and wrk (`apt-get install wrk`) for all rows but
uploads, downloads, WebSockets, idle connections, reloads and the cold start.

    nox -s bench -- frameworks --rows minimal,full --peers roll013,aiohttp

gives a quick look; without options it takes a quarter of an hour. `--write` writes
docs/benchmarks.md and its plot. A ratio tells how many times as good Roll is.
"""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from subprocess import SubprocessError

from suite import report
from suite.loopback import isolate
from suite.peers import PEERS, install
from suite.rows import (
    ROWS,
    STREAMS,
    check,
    extensions_imported,
    measure,
    write_files,
)
from suite.servers import choose_cpus, run
from suite.special import SPECIALS, measure_special

WITHOUT_WRK = ("reload", "idle", "start")
# What a peer does wrong, or not at all: it is named, and the others are measured.
PROBLEMS = (RuntimeError, OSError, ValueError, HTTPException, SubprocessError)


class Bench:
    """Measures, and keeps what was measured and what could not be.

    Args:
        folder: Of static files.
        seconds: That wrk loads a server for a row and a round.
    """

    def __init__(self, folder, seconds):
        self.folder = folder
        self.seconds = seconds
        self.results = {}
        self.problems = []

    def fail(self, name, row, problem):
        """Name a problem, once."""
        known = ROWS.get(row) or SPECIALS.get(row)
        title = known.title if known else row
        line = f"{PEERS[name].title}, {title}: {problem or type(problem).__name__}"
        if line not in self.problems:
            self.problems.append(line)
            print(f"  {line}", flush=True)

    def failed(self, name, row):
        """Tell whether something went wrong in a row, which has no figures then."""
        return self.results.get((name, row)) == []

    def install(self, names):
        """Make the environments, and give the peers that have one."""
        installed = []
        for name in names:
            try:
                install(name)
                installed.append(name)
            except PROBLEMS as problem:
                self.fail(name, "not installed", problem)
        return installed

    def round(self, names, rows):
        """Start all servers, and ask each in turn for one row after another."""
        with ExitStack() as stack:
            servers = {name: self.start(stack, name) for name in names}
            for before, row in zip([None, *rows], rows, strict=False):
                for name in names:
                    if self.ended(name, servers[name], before):
                        servers[name] = self.start(stack, name)
                    if servers[name] and not self.failed(name, row):
                        self.ask(name, row, servers[name])

    def start(self, stack, name):
        """Start a server, and let it sleep; None where it does not start."""
        try:
            server = stack.enter_context(run(name, self.folder))
        except PROBLEMS as problem:
            self.fail(name, "not started", problem)
            return None
        server.send(signal.SIGSTOP)
        return server

    def ended(self, name, server, row):
        """Tell whether a server ended by itself, not because of the row before."""
        if server is None or server.process.poll() is None:
            return False
        if row and not self.failed(name, row):
            self.fail(name, row, f"the server ended: {server.process.returncode}")
            self.results[name, row] = []
        return True

    def ask(self, name, row, server):
        """Check a response, and measure, unless the peer has none."""
        if missing := PEERS[name].misses(row):
            if not PEERS[name].rows:
                self.fail(name, row, missing)
            return
        try:
            with server.awake():
                check(row, server.port)
                figures = measure(row, server, self.seconds)
        except PROBLEMS as problem:
            self.fail(name, row, problem)
            self.results[name, row] = []
        else:
            self.results.setdefault((name, row), []).append(figures)

    def special(self, names, rows):
        """Measure what starts servers of its own."""
        for row in rows:
            for name in names:
                if not PEERS[name].misses(row):
                    try:
                        figures = measure_special(row, name, self.folder, self.seconds)
                    except PROBLEMS as problem:
                        self.fail(name, row, problem)
                    else:
                        self.results.setdefault((name, row), []).append(figures)


def listed(known):
    """Read a list of names, divided by commas, as argparse does."""

    def parse(text):
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)}: take some of {','.join(known)}"
            )
        return names

    return parse


def positive(text):
    """Read a whole number above 0, as argparse does."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number above 0")
    return int(text)


def read_arguments():
    rows = [*ROWS, *SPECIALS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=listed(rows), default=rows)
    parser.add_argument("--peers", type=listed(PEERS), default=list(PEERS))
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument(
        "--seconds", type=positive, default=1, help="of wrk, for each row"
    )
    parser.add_argument("--write", action="store_true", help="docs/benchmarks.md")
    return parser.parse_args()


def main():
    arguments = read_arguments()
    # So that servers are ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    load = os.getloadavg()[0]
    # Idle connections are files, of the server and of this script.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows = [row for row in [*ROWS, *SPECIALS] if row in arguments.rows]
    names = [name for name in PEERS if name == "roll" or name in arguments.peers]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), arguments.seconds)
        write_files(bench.folder)
        if not shutil.which("wrk"):
            bench.problems.append("wrk is missing: only what does without is measured")
            rows = [row for row in rows if row in {*STREAMS, *WITHOUT_WRK, "echo"}]
        names = bench.install(names)
        isolate()  # not before: they come from PyPI
        os.sched_setaffinity(0, choose_cpus()[1][:1])
        asked = [row for row in rows if row in ROWS]
        for number in range(arguments.rounds if asked else 0):
            print(f"round {number + 1} of {arguments.rounds}", flush=True)
            # Each is the first in its turn: the order decides nothing.
            turn = number % max(1, len(names))
            bench.round([*names[turn:], *names[:turn]], asked)
        special = [row for row in rows if row in SPECIALS]
        for _ in range(min(3, arguments.rounds)):
            bench.special(names, special)
    imported = extensions_imported() if "roll" in names and "start" in rows else None
    about = report.circumstances(names, sys.argv[1:], load)
    print("", about, report.tables(bench.results, rows), sep="\n\n")
    for figure in ("rate", "cpu"):
        print("", report.ratios_table(bench.results, rows, figure), sep="\n")
    print("", report.targets(bench.results, imported), sep="\n")
    print("", *bench.problems, sep="\n")
    if arguments.write:
        report.write_page(bench.results, rows, bench.problems, about, imported)


if __name__ == "__main__":
    main()
