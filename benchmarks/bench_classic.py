"""Time of the engines of Roll 0.13 in roll_classic, beside what roll_core does itself.

Rounds of all rows and of both alternate, and medians of CPU time are printed, so that a
busy machine slows all. A row is checked before it is timed: both give the same.

2026-11-30, a virtual machine with 2 CPUs, shared with other work, CPython 3.13.0,
autoroutes 0.3.8, biscuits 0.3.2, multifruits 0.1.7: the README of roll-classic has it.
"""

import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from timeit import repeat, timeit

import roll
import roll_classic

GITHUB = Path(__file__).with_name("github_routes.txt").read_text().split()
ROUNDS = 41
ROUND = 0.005  # seconds, or one call when that takes longer


def routes(package):
    found = package.Routes()
    for pattern in GITHUB:
        found.add(pattern, found=pattern)
    return found


def look_up(*paths):
    def make(package):
        match = routes(package).match
        return lambda: [match(path) for path in paths][-1]

    return make


def add_all(package):
    def add():
        return routes(package).match("/gists/public")

    return add


def read_cookies(header):
    def make(package):
        parse = package.Cookies.parse
        return lambda: parse(header)

    return make


def write_cookie(*args, **options):
    def make(package):
        def write():
            cookies = package.Cookies()
            cookies.set(*args, **options)
            return str(cookies[args[0]])

        return write

    return make


def read_body(*parts):
    """Read a form whose parts are text, or files where they are bytes."""
    data = b""
    for number, part in enumerate(parts):
        data += b'--B\r\nContent-Disposition: form-data; name="p%d"' % number
        if isinstance(part, bytes):
            data += b'; filename="a"\r\nContent-Type: text/plain'
        else:
            part = part.encode()
        data += b"\r\n\r\n" + part + b"\r\n"
    data += b"--B--\r\n"

    def make(package):
        def read():
            parser = package.Multipart()
            form, files = parser.initialize("multipart/form-data; boundary=B")
            parser.feed_data(data)
            parser.finish()
            read = dict(form), {name: each.read() for [name, [each]] in files.items()}
            files.close()
            return read

        return read

    return make


LINE = b"A line of text, of some 60 bytes, as it stands in a letter.\r\n"
ATTRIBUTES = {"max_age": 60, "httponly": True, "path": "/", "domain": "example.org"}

ROWS = {
    "a static path": look_up("/user/repos"),
    "a path with one variable": look_up("/orgs/roll"),
    "a path with three variables": look_up("/repos/a/b/actions/artifacts/7"),
    "a path of two patterns, so the core's": look_up("/gists/7"),
    "a path that is not found": look_up("/nothing/here"),
    f"{len(GITHUB)} patterns added": add_all,
    "one cookie read": read_cookies("session=0123456789abcdef"),
    "ten cookies read": read_cookies("; ".join(f"name{n}=value{n}" for n in range(10))),
    "a percent-encoded cookie, so the core's": read_cookies("a=%20"),
    "a cookie written": write_cookie("name", "value"),
    "a cookie written, with attributes": write_cookie("name", "a value", **ATTRIBUTES),
    "a form of three fields": read_body("a", "bc", "def"),
    "a file of 1 KiB": read_body(b"x" * 1024),
    "a file of 1 MiB": read_body(b"x" * 2**20),
    "a file of 1 MiB, of lines": read_body(LINE * (2**20 // len(LINE))),
}


def timer(function):
    """Make what gives the seconds of a call, the mean of those of a round."""
    once = min(repeat(function, number=1, repeat=9))
    number = max(1, round(ROUND / once))
    return lambda: timeit(function, number=number, timer=time.process_time) / number


def main():
    engines = ("autoroutes", "biscuits", "multifruits")
    print(", ".join(f"{name} {version(name)}" for name in engines), end=", ")
    print(f"Python {platform.python_version()}")
    print("\n| | roll-classic | roll-core | ratio |")
    print("| --- | ---: | ---: | ---: |")
    rows = {name: (make(roll_classic), make(roll)) for name, make in ROWS.items()}
    for name, (ours, cores) in rows.items():
        if ours() != cores():
            raise SystemExit(f"{name}: {ours()!r} is not {cores()!r}")
    timers = {name: [timer(each) for each in both] for name, both in rows.items()}
    rounds = [
        {name: [measure() for measure in both] for name, both in timers.items()}
        for _ in range(ROUNDS)
    ]
    for name in rows:
        times = zip(*(each[name] for each in rounds), strict=True)
        one, other = (statistics.median(each) * 1e6 for each in times)
        print(f"| {name} | {one:,.2f} µs | {other:,.2f} µs | {one / other:.2f} |")


if __name__ == "__main__":
    main()
