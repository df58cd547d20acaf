"""Time to look a path up: roll.Routes beside the routers of other frameworks.

All have the same routes, each in its own syntax, and every response is checked before
it is timed: the right route, and the right variables, as text. `wrong` stands for one
that is not, a dash for what was not measured. A ratio is the other router's time
divided by Roll's: above 1, Roll is faster. Rounds of all routers alternate, and medians
are printed, so that a busy machine slows all; some 20 ns of each look-up are the
loop's.

Each is called as its framework does for a request, after the work that depends on the
request alone: Starlette's scope and aiohttp's request are made before. Those two also
choose by method in the same step; autoroutes and aiohttp leave integers as text. No
view is called, nothing redirects or answers.

It takes a minute, most of which Falcon needs to add 10,000 routes.

2026-11-21, a virtual machine with 4 CPUs, shared with other work, CPython 3.13.0,
autoroutes 0.3.8, Starlette 1.10.0, aiohttp 3.14.5, Falcon 4.4.0; the others' times
divided by Roll's. Mean of GitHub's paths (752 ns): autoroutes 1.10, Falcon 1.22,
aiohttp 40, Starlette 61. Beside autoroutes alone among 10, 100 and 1,000 routes: static
1.56, 2.26, 2.94; a variable at the end 0.87, 1.07, 1.31; two 0.89, 1.17, 1.36; an
integer, which Roll converts, 0.60, 0.87, 1.08. 10,000 routes take Roll 0.90 to 1.04
times as long as 10, and 0.38 s to add.
"""

import functools
import gc
import inspect
import os
import platform
import re
import statistics
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

COUNTS = (10, 100, 1_000, 10_000)
KINDS = {
    "static": "/pages%d",
    "at the end": "/things%d/{key}",
    "in the middle": "/items%d/{key}/edit",
    "two variables": "/users/{user}/boxes%d/{key}",
    "integer": "/orders%d/{number:int}",
    "name.ext": "/files%d/{name}.{ext}",
    "not found": None,
}
GITHUB = Path(__file__).with_name("github_routes.txt")
SAMPLE = 8  # routes of a kind whose paths are looked up
ROUNDS = 15
ROUND = 0.002  # seconds: paths are looked up again until it has passed
ADDING_ROUNDS = 3
SLOW = 5  # seconds: what took longer to add is not added again

QUADRATIC = {"autoroutes"}  # in the time to add: left out past QUADRATIC_LIMIT
QUADRATIC_LIMIT = 1_000


async def view(pattern, *args):
    """Stand for a view of Starlette or aiohttp; each is given one with its pattern."""


def respond(req, resp):
    """Stand for a responder of Falcon."""


# For each router: what to look up in once the routes are added, what it takes in the
# place of a path, and how to read the pattern and the variables from its response.


def build_roll(patterns):
    from roll import Routes

    routes = Routes()
    for pattern in patterns:
        routes.add(pattern, GET=pattern)
    return routes.match


def build_autoroutes(patterns):
    from autoroutes import Routes

    routes = Routes()
    for pattern in patterns:
        routes.add(pattern.replace(":int}", ":digit}"), GET=pattern)
    return routes.match


def read_payload(answer):
    payload, variables = answer
    return (payload["GET"], variables) if payload else None


def build_starlette(patterns):
    from starlette.routing import Match, Route

    routes = [Route(pattern, functools.partial(view, pattern)) for pattern in patterns]
    full = Match.FULL

    def find(scope):  # as Router.app does, which then calls the view
        for route in routes:
            match, child_scope = route.matches(scope)
            if match is full:
                return child_scope
        return None

    return find


def make_scope(path):
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [],
    }


def read_child_scope(answer):
    return answer and (answer["endpoint"].args[0], answer["path_params"])


def build_aiohttp(patterns):
    from aiohttp.web import UrlDispatcher

    dispatcher = UrlDispatcher()
    for pattern in patterns:
        dispatcher.add_get(
            pattern.replace(":int}", ":-?[0-9]+}"), functools.partial(view, pattern)
        )
    dispatcher.freeze()
    return dispatcher.resolve


def make_request(path):
    from aiohttp.test_utils import make_mocked_request

    return make_mocked_request("GET", path)


def read_match_info(answer):
    if answer.http_exception is not None:
        return None
    return answer.handler.args[0], dict(answer)


def build_falcon(patterns):
    from falcon.routing import CompiledRouter

    router = CompiledRouter()
    for pattern in patterns:
        router.add_route(pattern, SimpleNamespace(on_get=respond))
    return router.find


def read_found(answer):
    return answer and (answer[3], answer[2])


ROUTERS = {
    "roll": (build_roll, str, read_payload),
    "autoroutes": (build_autoroutes, str, read_payload),
    "starlette": (build_starlette, make_scope, read_child_scope),
    "aiohttp": (build_aiohttp, make_request, read_match_info),
    "falcon": (build_falcon, str, read_found),
}
INSTALLED = [name for name in ROUTERS if find_spec(name)]
PEERS = [name for name in INSTALLED if name != "roll"]


# What is looked up


def declare(count):
    """Name *count* patterns, of all kinds in turn."""
    kinds = [pattern for pattern in KINDS.values() if pattern]
    return [kinds[number % len(kinds)] % number for number in range(count)]


def fill(pattern):
    """Make a path of *pattern*: the path, and what is to be found."""
    values = {
        name: "1347" if kind else f"{name}-1"
        for name, kind in re.findall(r"{(\w+)(:int)?}", pattern)
    }
    path = re.sub(r"{(\w+)(:int)?}", lambda found: values[found[1]], pattern)
    return path, (pattern, values)


def choose(patterns, kind):
    """Make paths for some patterns of a kind, from the first to the last."""
    if KINDS[kind] is None:
        return [("/users/joe/nothing", None), ("/nothing/here", None)]
    start = KINDS[kind].partition("%d")[0]
    fitting = [pattern for pattern in patterns if pattern.startswith(start)]
    step = max(1, (len(fitting) - 1) // (SAMPLE - 1))
    return [fill(pattern) for pattern in fitting[::step]]


# Measuring


async def await_each(find, targets, repeats):
    for _ in range(repeats):
        for target in targets:
            await find(target)


def call_each(find, targets, repeats):
    for _ in range(repeats):
        for target in targets:
            find(target)


def finish(coroutine):
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the router waits for something")


def seconds(find, targets, repeats):
    started = time.perf_counter()
    if inspect.iscoroutinefunction(find):
        finish(await_each(find, targets, repeats))
    else:
        call_each(find, targets, repeats)
    return time.perf_counter() - started


def answers_right(name, find, path, expected):
    _, prepare, read = ROUTERS[name]
    answer = find(prepare(path))
    found = read(finish(answer) if inspect.iscoroutine(answer) else answer)
    if found is not None:
        pattern, variables = found
        found = pattern, {key: str(value) for key, value in variables.items()}
    return found == expected


def compare(finds, paths):
    """Time the look-ups of *paths* by each router.

    Args:
        finds: What looks up, by the name of the router.
        paths: Pairs of a path and what is to be found.

    Returns:
        Nanoseconds of one look-up by the name of the router, or `wrong`.
    """
    cells, works = {}, {}
    for name, find in finds.items():
        if not all(answers_right(name, find, *pair) for pair in paths):
            cells[name] = "wrong"
            continue
        targets = [ROUTERS[name][1](path) for path, _ in paths]
        once = seconds(find, targets, 1)
        works[name] = find, targets, max(1, int(ROUND / once))
    rounds = [
        {name: seconds(*work) / work[2] for name, work in works.items()}
        for _ in range(ROUNDS)
    ]
    for name in works:
        median = statistics.median(each[name] for each in rounds)
        cells[name] = median / len(paths) * 1e9
    if cells["roll"] == "wrong":
        raise RuntimeError(f"Roll answers wrong to one of {paths}")
    return cells


def build_all(patterns):
    """Add *patterns* to each router, and look the first path up.

    Returns:
        What looks up, and the nanoseconds that it took, both by the router's name.
    """
    small = len(patterns) <= QUADRATIC_LIMIT
    names = [name for name in INSTALLED if small or name not in QUADRATIC]
    finds, times = {}, {name: [] for name in names}
    for _ in range(ADDING_ROUNDS):
        for name in names:
            if sum(times[name]) > SLOW:
                continue
            build, prepare, _ = ROUTERS[name]
            target = prepare(fill(patterns[0])[0])
            re.purge()  # what another round compiled
            gc.collect()
            started = time.perf_counter()
            finds[name] = build(patterns)
            seconds(finds[name], [target], 1)
            times[name].append(time.perf_counter() - started)
    return finds, {name: statistics.median(times[name]) * 1e9 for name in names}


# Printing


def show_heading(title, *labels):
    print(f"\n{title}")
    line = f"{label(*labels)} {'roll':>8}"
    print(line, *(f"{name:>10} {'ratio':>6}" for name in PEERS))


def label(text, count=""):
    return f"{text:<14} {count:>6}"


def show(text, cells, unit=1, digits=0):
    line = f"{text} {cells['roll'] / unit:>8,.{digits}f}"
    for name in PEERS:
        cell = cells.get(name, "-")
        if isinstance(cell, str):
            line += f" {cell:>10} {'':>6}"
        else:
            ratio = cell / cells["roll"]
            line += f" {cell / unit:>10,.{digits}f}"
            line += f" {ratio:>6.2f}" if ratio < 100 else f" {ratio:>6,.0f}"
    print(line.rstrip())


def show_growth(first, last):
    """Print how many times as long a look-up takes with the most routes."""
    line = label("", "growth")
    for name in INSTALLED:
        before, after = first.get(name), last.get(name)
        known = isinstance(before, float) and isinstance(after, float)
        growth = f"x {after / before:,.2f}" if known else "-"
        line += f" {growth:>8}" if name == "roll" else f" {growth:>10} {'':>6}"
    print(line.rstrip())


def bench_github():
    patterns = GITHUB.read_text().split()
    finds, _ = build_all(patterns)
    every = [fill(pattern) for pattern in patterns]
    middle = every[len(every) // 2]
    show_heading(f"{len(patterns)} paths of GitHub's REST API, ns a look-up", "path")
    show(label("mean of all"), compare(finds, every))
    show(label("first"), compare(finds, every[:1]))
    show(label("middle"), compare(finds, [middle]))
    show(label("last"), compare(finds, every[-1:]))
    show(label("not found"), compare(finds, [("/repos/joe/boxes/nothing", None)]))


def bench_generated():
    adding, looking = {}, {}
    for count in COUNTS:
        patterns = declare(count)
        finds, adding[count] = build_all(patterns)
        for kind in KINDS:
            looking[kind, count] = compare(finds, choose(patterns, kind))
    title = "Generated routes of all kinds, ns a look-up"
    show_heading(title, "path", "routes")
    for kind in KINDS:
        for count in COUNTS:
            show(label(kind, f"{count:,}"), looking[kind, count])
        show_growth(looking[kind, COUNTS[0]], looking[kind, COUNTS[-1]])
    show_heading("The same added, and the first path looked up, ms", "", "routes")
    for count in COUNTS:
        show(label("", f"{count:,}"), adding[count], unit=1e6, digits=1)


def main():
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    missing = [name for name in ROUTERS if name not in INSTALLED]
    if missing:
        print("Not installed, so left out:", ", ".join(missing))
    versions = [f"{name} {version(name)}" for name in PEERS]
    print("Python", ", ".join([platform.python_version(), *versions]))
    bench_github()
    bench_generated()


if __name__ == "__main__":
    main()
