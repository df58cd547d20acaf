"""Tests wait for what they need, not for seconds, and each time limit can be scaled.

`until`, `wait_until` and `turns` of roll_testing are there in place of a sleep, and its
`patience` scales a limit by the environment variable ROLL_TEST_TIMES.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = {
    str(path.relative_to(ROOT)): path
    for pattern in ("packages/*/tests/**/*.py", "tests/**/*.py", "examples/**/*.py")
    for path in sorted(ROOT.glob(pattern))
    if path != Path(__file__)
}

# Everything that may sleep, by file and function, and why.
PROGRAM = "a view that takes its time, in a program that runs as a process of its own"
SLEEPS = {
    "examples/shop/baskets.py": {"expire_baskets": "a task that looks now and then"},
    "examples/hello/__init__.py": {"blocks": "what the page `/download` is asked for"},
    "packages/roll-contract/tests/test_extension_contract.py": {
        "BAD": "an extension with a fault: the task that it leaves behind",
    },
    "packages/roll-core/tests/test_extras.py": {
        "test_an_answer_that_streams_has_no_timeout.pieces": (
            "a stream that takes longer than the timeout of its route"
        ),
    },
    "packages/roll-core/tests/test_ending.py": {
        "test_a_flush_that_hangs_does_not_keep_the_process": PROGRAM,
        "test_a_process_that_is_blocked_ends_when_it_is_due": PROGRAM,
        "test_a_process_that_is_disarmed_goes_on": PROGRAM,
        "test_threads_have_the_seconds_that_are_given": PROGRAM,
    },
    "packages/roll-core/tests/test_lifecycle.py": {
        "test_a_start_that_fails_does_not_wait_for_ever_for_what_it_closes.hang": (
            "a listener that does not end in time"
        ),
        "test_a_task_that_does_not_end_does_not_keep_the_exit_stack_open.start": (
            "a task that does not end in time"
        ),
    },
    "packages/roll-core/tests/test_soak.py": {"SCRIPT": PROGRAM},
    "packages/roll-gunicorn/tests/test_gunicorn.py": {
        "APP": PROGRAM,
        "test_no_request_is_lost_under_load": (
            "wrk does not tell when it is in the middle of its load"
        ),
    },
    "packages/roll-logger/tests/test_logger.py": {
        "test_the_duration_is_in_seconds_and_has_the_stream_in_it.view": (
            "what the duration in the log is compared with"
        ),
        "test_the_duration_is_in_seconds_and_has_the_stream_in_it.view.slow": (
            "what the duration in the log is compared with"
        ),
    },
    "packages/roll-server/tests/conftest.py": {"SHOP": PROGRAM},
    "packages/roll-server/tests/test_phases.py": {
        "BLOCK": PROGRAM,
        "DEAF": PROGRAM,
        "END": PROGRAM,
        "HANG": PROGRAM,
        "IMPORT": PROGRAM,
        "IMPORT_DEAF": PROGRAM,
        "test_a_drain_listener_is_waited_for_and_may_fail": PROGRAM,
        "test_one_signal_ends_a_server_that_is_blocked": PROGRAM,
    },
    "packages/roll-server/tests/test_reload.py": {
        "test_an_application_that_hangs_is_killed": PROGRAM,
    },
    "packages/roll-server/tests/test_simple_server.py": {
        "SCRIPT": PROGRAM,
        "test_beside_the_main_thread_it_raises_what_a_listener_has_raised": (
            "time for an end of the process that must not come"
        ),
    },
    "packages/roll-server/tests/test_workers.py": {
        "HANG": PROGRAM,
        "WAIT": PROGRAM,
        "test_a_worker_that_does_not_end_is_killed": PROGRAM,
        "test_successors_have_time_where_the_first_ones_took_it": PROGRAM,
        "test_a_crash_while_all_are_replaced_has_one_successor": (
            "time for a process that must not start: nothing tells that it does not"
        ),
        "test_sighup_replaces_the_successor_of_a_crashed_worker_too": (
            "time for a signal: where it is too short, the other way is tested"
        ),
    },
    "packages/roll-sse/tests/test_event_streams.py": {
        "test_a_comment_is_sent_only_so_long_after_an_event.flow": (
            "events that come sooner than the comments between them would"
        ),
    },
    "packages/roll-testing/tests/test_raw_kit.py": {
        "app.slow": "a view that takes longer than `settle` glances at a connection",
    },
    "tests/soak.py": {
        "Client.ask": "a client that stalls, while its response is written",
        "Client.pause": "a client that sends in pieces, at random",
    },
    "tests/test_rolling_deploy.py": {"SITE": PROGRAM},
}

CLOCKS = {"monotonic", "perf_counter", "process_time", "since", "thread_time", "time"}
# The functions whose argument of that place, or `timeout=`, is a limit in seconds.
LIMITS = {
    "HTTPConnection": None,
    "HTTPSConnection": None,
    "check_output": None,
    "communicate": None,
    "create_connection": None,
    "join": 0,
    "open_connection": None,
    "run": None,
    "settimeout": 0,
    "timeout": 0,
    "urlopen": None,
    "wait": 0,
    "wait_for": 1,
}


def walk(tree, name=""):
    """Give each node, and the names of what it is in: classes, functions, constants."""
    for node in ast.iter_child_nodes(tree):
        inner = name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{name}.{node.name}".lstrip(".")
        elif isinstance(node, ast.Assign) and not name:
            inner = getattr(node.targets[0], "id", "")
        yield node, inner
        yield from walk(node, inner)


def called(node):
    """Give the last part of the name of what a call calls."""
    return getattr(node.func, "attr", None) or getattr(node.func, "id", None)


def is_number(node):
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def is_text(nodes):
    """Whether it is a text that is waited for, so that numbers tell how many."""
    return any(isinstance(getattr(node, "value", node), str) for node in nodes) or any(
        isinstance(node, ast.JoinedStr) for node in nodes
    )


def reads_clock(node, clocks=CLOCKS):
    return any(
        isinstance(each, ast.Call) and called(each) in clocks for each in ast.walk(node)
    )


def sleeps(node):
    """Whether it sleeps for longer than a round, also in a program in a string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.search(r"\bsleep\((?!0\)|\))", node.value) is not None
    if not isinstance(node, ast.Call) or called(node) != "sleep":
        return False
    return not (node.args and is_number(node.args[0]) and node.args[0].value == 0)


def has_bare_limit(node):
    """Whether it is a limit in seconds that `patience` does not scale."""
    if isinstance(node, ast.Call) and called(node) in LIMITS:
        place = LIMITS[called(node)]
        given = [each.value for each in node.keywords if each.arg == "timeout"]
        if place is not None and not is_text(node.args[:1]):
            given += node.args[place : place + 1]
        return any(map(is_number, given))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return is_number(node.right) and reads_clock(node.left, {"monotonic"})
    if isinstance(node, ast.Compare) and reads_clock(node):
        return any(
            isinstance(operator, ast.Lt | ast.LtE) and is_number(value)
            for operator, value in zip(node.ops, node.comparators, strict=True)
        )
    return False


def found(true, files=FILES):
    """List the places where *true* is so of a node: the file and the function."""
    return {
        (name, function)
        for name, path in files.items()
        for node, function in walk(ast.parse(path.read_text()))
        if true(node)
    }


def test_no_test_sleeps_where_it_could_wait():
    assert found(sleeps) == {
        (file, function) for file, functions in SLEEPS.items() for function in functions
    }


def test_every_sleep_has_its_reason():
    assert all(reason for functions in SLEEPS.values() for reason in functions.values())


def test_every_time_limit_can_be_scaled():
    assert found(has_bare_limit) == set()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("asyncio.sleep(0)", False),
        ("asyncio.sleep(0.1)", True),
        ("time.sleep(gap)", True),
        ("sleep(1)", True),
        ("'await asyncio.sleep(0)'", False),
        ("'await asyncio.sleep(60)'", True),
        ("'the sleep'", False),
    ],
)
def test_sleeps_are_found(tmp_path, source, expected):
    path = tmp_path / "test_it.py"
    path.write_text(f"class A:\n    def f(self):\n        {source}\n")
    place = {("test_it.py", "A.f")} if expected else set()
    assert found(sleeps, {"test_it.py": path}) == place


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("asyncio.timeout(5)", True),
        ("asyncio.timeout(patience(5))", False),
        ("asyncio.wait_for(event.wait(), 5)", True),
        ("asyncio.wait_for(event.wait(), timeout=5)", True),
        ("asyncio.wait_for(event.wait(), LIMIT)", False),
        ("process.wait(40)", True),
        ("process.communicate(timeout=40)", True),
        ("settle(transport, timeout=1)", False),
        ("time.monotonic() + 40", True),
        ("time.monotonic() + patience(40)", False),
        ("assert time.monotonic() - started < 2", True),
        ("assert time.monotonic() - started < patience(2)", False),
        ("assert time.monotonic() - started > 0.1", False),
    ],
)
def test_bare_limits_are_found(tmp_path, source, expected):
    path = tmp_path / "test_it.py"
    path.write_text(source)
    assert bool(found(has_bare_limit, {"test_it.py": path})) is expected
