"""Background functions: when they run, run again, and end."""

import asyncio
import gc
import itertools
import logging
import re

import pytest
from roll import Roll
from roll.extensions import background, resource
from roll_resources import held, states
from roll_resources.running import Pauses
from roll_testing import Client, turns, until


@pytest.fixture
def app():
    return Roll()


def place(function):
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def messages(caplog):
    return [record.getMessage() for record in caplog.records]


async def test_it_starts_when_all_is_open_and_listeners_have_run(app):
    seen = []

    @background(app)
    async def work(app, db):
        seen.append(f"work with {db} of {type(app).__name__}")

    @app.listen("startup")
    async def listener():
        await turns()
        seen.append("listener")

    @resource(app)
    async def db():
        await turns()
        seen.append("db")
        yield "the db"

    async with Client(app):
        await until(lambda: len(seen) == 3)
    assert seen == ["db", "listener", "work with the db of Roll"]


async def test_it_never_starts_when_the_app_does_not(app):
    started = []

    @background(app)
    async def work():
        started.append(True)

    @app.listen("startup")
    async def broken():
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await app.startup()
    await turns()
    assert not started


@pytest.mark.parametrize("restart", ["never", "on-failure"])
async def test_one_that_returns_has_ended(app, caplog, restart):
    caplog.set_level(logging.INFO, "roll")
    runs = []

    @background(app, restart=restart, delay=0)
    async def work():
        runs.append(states(app))

    assert states(app) == {"work": "ended"}
    async with Client(app):
        await until(lambda: runs and states(app) == {"work": "ended"})
        await turns()
    assert runs == [{"work": "running"}]
    assert messages(caplog) == [f"The background 'work' ({place(work)}) has ended"]


async def test_one_that_returns_runs_again_where_it_always_does(app, caplog):
    runs = []

    @background(app, restart="always", delay=0)
    async def work():
        runs.append(True)

    async with Client(app):
        await until(lambda: len(runs) > 3)
    assert not caplog.records


async def test_one_that_always_runs_waits_for_its_delay_in_between(app):
    loop = asyncio.get_running_loop()
    times = []

    @background(app, restart="always", delay=0.02)
    async def work():
        times.append(loop.time())
        if len(times) == 2:
            raise OSError

    async with Client(app):
        await until(lambda: len(times) == 4)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert all(gap > 0.9 * 0.02 - 0.001 for gap in gaps)


def test_pauses_double_with_each_failure():
    pauses = Pauses(1, 10)
    found = [pauses.after_failure() for _ in range(8)]
    for pause, wanted in zip(found, [1, 2, 4, 8, 10, 10, 10, 10], strict=True):
        assert 0.9 * wanted <= pause <= 1.1 * wanted
    assert len({*found[4:]}) > 1  # by chance, so that not all try again at once


def test_pauses_are_short_again_after_a_return():
    pauses = Pauses(3, 60)
    for _ in range(2):
        assert round(pauses.after_failure()) == 3
        assert round(pauses.after_failure() / 3) == 2
        assert pauses.after_return() == pauses.after_return() == 3


async def test_a_failure_after_a_long_run_is_the_first_one_again(app, caplog):
    """Its pause is short, and its traceback is in the log."""
    loop = asyncio.get_running_loop()
    runs = []

    @background(app, delay=0.001, max_delay=0.002)
    async def work():
        began = loop.time()
        runs.append(began)
        await until(lambda: loop.time() - began > 0.004)
        raise OSError

    async with Client(app):
        await until(lambda: len(runs) > 3)
    assert all(record.exc_info for record in caplog.records)


async def test_a_failure_is_logged_at_once_and_the_same_again_in_one_line(app, caplog):
    """aiohttp#6518: the error of a background task is not seen at exit only."""
    errors = [OSError("one"), OSError("one"), OSError("one"), ValueError("two")]
    seen = iter(errors)

    @background(app, delay=0)
    async def work():
        for error in seen:
            raise error.with_traceback(None)

    async with Client(app):
        await until(lambda: states(app)["work"] == "ended")
    own = f"The background 'work' ({place(work)}) failed"
    assert messages(caplog) == [
        own,
        f"{own} 2 times: OSError",
        f"{own} 3 times: OSError",
        own,
    ]
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 4
    assert [r.exc_info and r.exc_info[1] for r in caplog.records] == [
        *(errors[0], None, None, errors[3]),
    ]


async def test_lines_name_no_values(app, caplog):
    """A DSN holds a password."""

    @background(app, delay=0)
    async def work():
        if len(caplog.records) < 2:
            raise OSError("postgres://user:secret@db")

    async with Client(app):
        await until(lambda: states(app)["work"] == "ended")
    assert len(caplog.records) == 2
    assert "secret" not in "".join(messages(caplog))


async def test_one_that_never_runs_again_has_failed(app, caplog):
    @background(app, restart="never")
    async def work():
        raise OSError

    async with Client(app):
        await until(lambda: states(app) == {"work": "failed"})
    assert len(caplog.records) == 1


async def test_it_waits_for_its_restart(app):
    @background(app)
    async def work():
        raise OSError

    async with Client(app):
        await until(lambda: states(app) == {"work": "waiting"})
    assert states(app) == {"work": "ended"}


async def test_a_cancelled_error_of_its_own_is_a_failure(app, caplog):
    runs = []

    @background(app, delay=0)
    async def work():
        runs.append(True)
        if len(runs) == 1:
            task = asyncio.create_task(asyncio.Event().wait())
            task.cancel()
            await task

    async with Client(app):
        await until(lambda: len(runs) == 2)
    assert len(caplog.records) == 1


# The end


async def test_all_end_together_before_any_resource_closes(app):
    """aiohttp#3593: they still run in `shutdown` listeners."""
    seen = []
    both = asyncio.Barrier(2)

    @resource(app)
    async def db():
        yield
        seen.append("close")

    async def work(db):
        try:
            await asyncio.Event().wait()
        finally:
            await both.wait()
            seen.append("ended")

    background(app, "one")(work)
    background(app, "two")(work)

    @app.listen("shutdown")
    async def listener():
        assert states(app) == {"db": "open", "one": "running", "two": "running"}
        seen.append("listener")

    async with Client(app):
        await turns()
    assert seen == ["listener", "ended", "ended", "close"]
    assert states(app) == {"db": "closed", "one": "ended", "two": "ended"}


async def test_one_that_goes_on_is_named_and_left(app, caplog):
    """aiorun#79, AzureTRE#4924: the end does not wait for it forever."""
    go_on = asyncio.Event()
    closed = []

    @resource(app)
    async def db():
        yield
        closed.append("db")

    @background(app, restart="always", grace=0.01, delay=0)
    async def work():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await go_on.wait()

    async with Client(app):
        await turns()
    assert closed == ["db"]
    assert messages(caplog) == [
        f"The background 'work' ({place(work)}) still runs 0.01 s after it was "
        "cancelled: it is left"
    ]
    assert len(held._left) == 1
    go_on.set()  # then it does not run again
    await until(lambda: not held._left)
    assert states(app) == {"db": "closed", "work": "ended"}


async def test_one_that_fails_at_the_end_is_logged_and_does_not_run_again(app, caplog):
    @background(app, delay=0)
    async def work():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("no rollback") from None

    async with Client(app):
        await turns()
    assert states(app) == {"work": "failed"}
    assert messages(caplog) == [f"The background 'work' ({place(work)}) failed"]


async def test_long_work_may_end_in_peace(app):
    ended = []

    @background(app)
    async def work(app):
        await app.closing.wait()
        ended.append("in peace")

    async with Client(app):
        await turns()
    assert ended == ["in peace"]


def test_a_loop_that_ends_without_the_app_ends_it(app):
    """As `asyncio.run` does, which cancels all tasks, and waits for them."""

    @background(app, restart="always", delay=0)
    async def work():
        await asyncio.Event().wait()

    @resource(app)
    async def db():
        yield

    async def run():
        await app.startup()
        await turns()

    asyncio.run(run())
    assert states(app)["work"] == "ended"


async def test_it_is_not_collected_while_it_waits(app):
    """open-webui#28052, AzureTRE#4923: a task without a reference may be."""
    ended = []

    @background(app)
    async def work():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    async with Client(app):
        await turns()
        gc.collect()
        await turns()
        assert not ended
        assert states(app) == {"work": "running"}


def test_it_runs_again_with_the_app_in_another_loop(app):
    loops = []

    @background(app)
    async def work():
        loops.append(asyncio.get_running_loop())

    async def run():
        async with Client(app):
            await until(lambda: states(app) == {"work": "ended"})

    asyncio.run(run())
    asyncio.run(run())
    assert len({*loops}) == 2


async def test_many_restarts_leave_no_task(app, caplog):
    caplog.set_level(logging.CRITICAL, "roll")
    before = len(asyncio.all_tasks())
    runs = []

    @background(app, delay=0)
    async def work():
        runs.append(True)
        if len(runs) < 1000:
            raise OSError

    async with Client(app):
        await until(lambda: len(runs) == 1000)
        await until(lambda: states(app) == {"work": "ended"})
        assert len(asyncio.all_tasks()) == before


async def test_one_whose_resource_has_ended_fails_until_it_is_back(app, caplog):
    run = asyncio.Event()

    @resource(app)
    async def db():
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            yield "db"

    async def fail():
        await run.wait()
        raise OSError

    @background(app, delay=0)
    async def work(db):
        await run.wait()
        await until(lambda: "db" not in app)
        raise OSError

    async with Client(app):
        run.set()
        await until(lambda: len(caplog.records) > 3)
    assert "resource 'db' has ended: the log says why" in caplog.text
    assert re.search(r"failed \d+ times: KeyError", caplog.text)
