"""What an app opens when it starts, and closes when it ends."""

import asyncio

import pytest
from roll import Limits, Roll
from roll_testing import patience, turns


class Resource:
    """What an app opens; it notes in a log what happens to it."""

    def __init__(self, log):
        self.log = log

    async def __aenter__(self):
        self.log.append("open")

    async def __aexit__(self, *error):
        self.log.append("close")


def listening(app, log, name=""):
    @app.listen("startup")
    async def start():
        log.append(f"{name}startup")

    @app.listen("shutdown")
    async def stop():
        log.append(f"{name}shutdown")

    return app


async def test_the_exit_stack_closes_after_everything_else():
    log = []
    app = Roll()

    @app.listen("startup")
    async def start():
        await app.exit_stack.enter_async_context(Resource(log))

    async def last():
        await asyncio.sleep(0)
        log.append("task")

    @app.listen("shutdown")
    async def stop():
        app.keep(asyncio.create_task(last()))
        log.append("shutdown")

    await app.startup()
    await app.shutdown()
    assert log == ["open", "shutdown", "task", "close"]


@pytest.mark.parametrize("method", ["startup", "open"])
async def test_the_exit_stack_closes_when_a_start_fails_and_can_be_used_again(method):
    log = []
    app = Roll()
    fails = True

    @app.listen("startup")
    async def start():
        await app.exit_stack.enter_async_context(Resource(log))
        if fails:
            raise LookupError("no database")

    with pytest.raises(LookupError):
        await getattr(app, method)()
    assert log == ["open", "close"]
    fails = False
    await app.startup()
    assert log == ["open", "close", "open"]
    await app.shutdown()
    assert log == ["open", "close", "open", "close"]


async def test_the_exit_stack_closes_when_a_shutdown_listener_raises():
    log = []
    app = Roll()

    @app.listen("shutdown")
    async def stop():
        raise LookupError("no database")

    await app.startup()
    await app.exit_stack.enter_async_context(Resource(log))
    with pytest.raises(LookupError):
        await app.shutdown()
    assert log == ["open", "close"]


async def test_stop_tells_connections_once_and_the_shutdown_still_runs():
    log = []
    app = listening(Roll(), log)

    class Connection:
        def check(self, now):
            raise NotImplementedError  # no sweep comes within this test

        def stop(self):
            log.append("told")
            asyncio.get_running_loop().call_soon(app.lifecycle.forget, self)

    await app.startup()
    app.connections.add(Connection())
    app.stop()
    app.stop()
    assert app.closing.is_set()
    assert log == ["startup", "told"]
    await app.shutdown()
    assert log == ["startup", "told", "shutdown"]


async def test_a_mounted_app_opens_and_closes_without_connections_of_its_own():
    log = []
    parent = listening(Roll(), log, "parent's ")
    child = listening(Roll(), log, "child's ")

    @parent.listen("startup")
    async def start():
        await child.open(parent)

    @parent.listen("shutdown")
    async def stop():
        await child.close()

    await parent.startup()
    with pytest.raises(RuntimeError, match="mounted in another: start that one"):
        await child.startup()
    done = asyncio.Event()
    task = child.keep(asyncio.create_task(done.wait()))
    assert child.loop is parent.loop is asyncio.get_running_loop()
    assert child.closing is parent.closing
    shutdown = asyncio.create_task(parent.shutdown())
    await asyncio.sleep(0)
    assert child.closing.is_set()
    assert not shutdown.done()  # the parent waits for what the child keeps
    done.set()
    await shutdown
    assert task.done()
    assert log == [
        "parent's startup",
        "child's startup",
        "child's shutdown",  # what was started last
        "parent's shutdown",
    ]


def test_the_root_path_is_that_of_the_parents_and_the_own():
    outer, inner = Roll(), Roll()
    assert outer.root_path == inner.root_path == ""
    inner.prefix = "/inner"
    assert inner.root_path == "/inner"
    inner.parent = outer
    outer.prefix = "/outer"  # mounting has no order
    assert inner.root_path == "/outer/inner"


async def test_limits_are_configured_for_one_app_alone():
    one, other = Roll(), Roll()
    one.configure(limits=Limits(body=10))
    one.configure()
    assert (one.limits.body, other.limits) == (10, Roll.limits)
    with pytest.raises(TypeError, match="give a roll"):
        one.configure(limits={"body": 10})


def test_what_is_configured_holds_for_the_next_connection():
    async def main():
        app = Roll()
        app.configure(limits=Limits(body=10))
        assert app.factory().parser.limits.body == 10

    asyncio.run(main())


async def test_a_start_that_fails_does_not_wait_for_ever_for_what_it_closes(caplog):
    log = []
    app = Roll()
    app.configure(limits=Limits(shutdown=0.5))
    app.lifecycle.failed = log.append
    error = LookupError("no database")

    @app.listen("startup")
    async def start():
        await app.exit_stack.enter_async_context(Resource(log))
        raise error

    @app.listen("shutdown")
    async def hang():
        log.append("hangs")
        await asyncio.sleep(600)

    with pytest.raises(LookupError):
        async with asyncio.timeout(patience(60)):
            await app.startup()
    assert log == ["open", error, "hangs", "close"]
    assert caplog.messages == [
        "The start has failed; what it opened did not close in 0.45 s"
    ]


@pytest.mark.parametrize("starts", [True, False])
async def test_what_the_exit_stack_raises_is_logged(caplog, starts):
    app = Roll()
    error = ValueError("not open")

    def fail():
        raise error

    @app.listen("startup")
    def start():
        app.exit_stack.callback(fail)
        if not starts:
            raise LookupError("no database")

    if starts:
        await app.startup()
        with pytest.raises(ValueError, match="not open"):
            await app.shutdown()
    else:
        with pytest.raises(LookupError, match="no database"):
            await app.startup()
    [record] = caplog.records
    assert record.message == "app.exit_stack did not close"
    assert record.exc_info[1] is error


async def test_a_start_that_fails_tells_kept_tasks_that_the_app_ends():
    app = Roll()
    ended = []

    async def work():
        await app.closing.wait()
        ended.append("work")

    @app.listen("startup")
    async def start():
        app.keep(asyncio.create_task(work()))
        raise LookupError("no database")

    with pytest.raises(LookupError):
        async with asyncio.timeout(patience(20)):
            await app.startup()
    assert ended == ["work"]


async def test_a_task_that_does_not_end_does_not_keep_the_exit_stack_open():
    log = []
    app = Roll()
    app.configure(limits=Limits(shutdown=0.5))
    tasks = []

    @app.listen("startup")
    async def start():
        await app.exit_stack.enter_async_context(Resource(log))
        tasks.append(app.keep(asyncio.create_task(asyncio.sleep(600))))
        raise LookupError("no database")

    with pytest.raises(LookupError):
        await app.startup()
    assert log == ["open", "close"]
    tasks[0].cancel()


async def test_a_coroutine_is_kept_as_a_task():
    async def work():
        return "done"

    app = Roll()
    task = app.keep(work())
    assert isinstance(task, asyncio.Task)
    await app.startup()
    await app.shutdown()
    assert task.result() == "done"


@pytest.mark.parametrize("wrong", [None, print, "name", asyncio.sleep])
async def test_what_is_no_task_is_refused_at_the_call(wrong):
    app = Roll()
    with pytest.raises(TypeError, match="give a task, or the coroutine to run"):
        app.keep(wrong)
    await app.startup()
    await app.shutdown()


async def test_all_shutdown_listeners_run_in_reverse_and_what_they_raise_comes_together(
    caplog,
):
    log = []
    app = Roll()

    def closing(name, error=None):
        async def close():
            log.append(name)
            if error is not None:
                raise error
            return True

        app.listen("shutdown")(close)

    closing("first")
    closing("second", LookupError("second"))
    closing("third", ValueError("third"))
    closing("fourth")
    await app.startup()
    with pytest.raises(ExceptionGroup, match="listeners of 'shutdown' failed") as found:
        await app.shutdown()
    assert [*map(type, found.value.exceptions)] == [ValueError, LookupError]
    assert log == ["fourth", "third", "second", "first"]
    assert caplog.messages == ["A listener of 'shutdown' failed"] * 2


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_a_startup_listener_that_returns_something_stops_no_other(kind):
    app = Roll()

    def connect():
        app["db"] = "a database"
        return app["db"]

    async def connect_later():
        return connect()

    app.listen("startup")(connect if kind == "plain" else connect_later)
    app.listen("startup")(lambda: app.setdefault("cache", "a cache"))
    await app.startup()
    assert app.keys() == {"db", "cache"}
    await app.shutdown()


async def test_a_start_that_fails_runs_the_shutdown_listeners_and_raises_its_error(
    caplog,
):
    log = []
    app = Roll()

    @app.listen("startup")
    async def fail():
        raise LookupError("no database")

    app.listen("startup")(lambda: log.append("not reached"))

    @app.listen("shutdown")
    async def close():
        log.append("shutdown")
        raise ValueError("not open")

    with pytest.raises(LookupError, match="no database"):
        await app.startup()
    assert log == ["shutdown"]
    assert caplog.messages == ["A listener of 'shutdown' failed"]


async def test_listeners_that_are_put_into_hooks_are_obeyed():
    log = []
    app = Roll()
    app.listen("startup")(lambda: log.append("dropped"))
    app.hooks["startup"] = []
    app.listen("startup")(lambda: log.append("listened"))
    app.hooks["startup"] = [*app.hooks["startup"], lambda: log.append("put")]
    app.listen("startup")(lambda: log.append("last"))
    await app.startup()
    await app.shutdown()
    assert log == ["listened", "put", "last"]


async def test_shutdown_listeners_that_are_put_into_hooks_run_in_reverse_too():
    log = []
    app = Roll()
    app.listen("shutdown")(lambda: log.append("first"))
    app.hooks["shutdown"] = [lambda: log.append("put"), *app.hooks["shutdown"]]
    app.listen("shutdown")(lambda: log.append("last"))
    await app.startup()
    await app.shutdown()
    assert log == ["last", "put", "first"]


async def test_a_mounted_app_whose_start_fails_does_not_end_its_parent():
    log = []
    parent, child = Roll(), Roll()

    @child.listen("startup")
    async def start():
        await child.exit_stack.enter_async_context(Resource(log))
        raise LookupError("no database")

    await parent.startup()
    with pytest.raises(LookupError):
        await child.open(parent)
    assert log == ["open", "close"]
    assert not parent.closing.is_set()
    await parent.shutdown()


async def test_a_mounted_app_waits_for_what_it_keeps_before_its_stack_closes():
    log = []
    parent, child = Roll(), Roll()
    go_on = asyncio.Event()

    async def save():
        await go_on.wait()
        log.append("saved")

    @child.listen("startup")
    async def start():
        await child.exit_stack.enter_async_context(Resource(log))

    @child.listen("shutdown")
    def end():
        child.keep(save())

    @parent.listen("shutdown")
    async def stop():
        await child.close()

    await parent.startup()
    await child.open(parent)
    shutdown = asyncio.create_task(parent.shutdown())
    await turns()
    assert log == ["open"]
    go_on.set()
    await shutdown
    assert log == ["open", "saved", "close"]


async def test_a_mounted_app_that_fails_alone_does_not_wait_for_its_parent_to_close():
    log = []
    parent, child = Roll(), Roll()

    @child.listen("startup")
    async def start():
        await child.exit_stack.enter_async_context(Resource(log))
        child.keep(child.closing.wait())
        raise LookupError("no database")

    await parent.startup()
    with pytest.raises(LookupError):
        await child.open(parent)
    assert log == ["open", "close"]
    await parent.shutdown()


async def test_a_mounted_app_that_is_stopped_stops_its_parent():
    log = []
    parent, child = Roll(), Roll()

    class Connection:
        def check(self, now):
            raise NotImplementedError  # no sweep comes within this test

        def stop(self):
            log.append("told")

    await parent.startup()
    await child.open(parent)
    connection = Connection()
    parent.connections.add(connection)
    child.stop()
    assert (parent.closing.is_set(), log) == (True, ["told"])
    parent.lifecycle.forget(connection)
    await child.close()
    await parent.shutdown()
    assert log == ["told"]


async def test_listeners_whose_order_was_changed_in_hooks_keep_it():
    log = []
    app = Roll()
    app.listen("startup")(lambda: log.append("first"))
    app.listen("startup")(lambda: log.append("second"))
    app.hooks["startup"] = app.hooks["startup"][::-1]
    app.listen("startup")(lambda: log.append("last"))
    await app.startup()
    await app.shutdown()
    assert log == ["second", "first", "last"]
