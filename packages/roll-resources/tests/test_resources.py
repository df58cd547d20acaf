"""Resources: when they open and close, and what becomes of one that fails."""

import asyncio
import contextvars
import socket
from contextlib import suppress

import anyio
import pytest
from roll import Roll, Server
from roll.extensions import background, mount, resource
from roll_resources import held, states
from roll_testing import Client, LiveClient, turns, until


@pytest.fixture
def app():
    return Roll()


@pytest.fixture
def seen():
    """What has happened, in order."""
    return []


@pytest.fixture
def make(app, seen):
    """Declare a resource that notes when it opens and closes."""

    def make(name, **options):
        @resource(app, name, **options)
        async def one():
            seen.append(f"open {name}")
            yield name
            seen.append(f"close {name}")

        return one

    return make


def fails_with(error):
    """Make a function that raises *error*."""

    def fail(*_):
        raise error

    return fail


# Order


async def test_resources_open_as_declared_and_close_in_reverse(app, make, seen):
    for name in ("a", "b", "c"):
        make(name)
    async with Client(app):
        assert (app["a"], app["b"], app["c"]) == ("a", "b", "c")
        assert seen == ["open a", "open b", "open c"]
    assert seen[3:] == ["close c", "close b", "close a"]


async def test_a_resource_opens_after_those_that_it_needs(app, make, seen):
    @resource(app)
    async def first(app, *, last, third):
        seen.append(f"open first with {third} and {last}")
        yield
        seen.append("close first")

    make("second")

    @resource(app)
    async def third(last):
        seen.append(f"open third with {last}")
        yield "third"
        seen.append("close third")

    make("last")
    async with Client(app):
        pass
    opened = ["open second", "open last", "open third with last"]
    opened += ["open first with third and last"]
    closed = ["close first", "close third", "close last", "close second"]
    assert seen == opened + closed


async def test_resources_open_one_after_the_other(app, seen):
    @resource(app)
    async def slow():
        await turns()
        seen.append("slow")
        yield

    @resource(app)
    async def quick():
        seen.append("quick")
        yield

    async with Client(app):
        assert seen == ["slow", "quick"]


async def test_resources_open_before_startup_listeners_and_before_sub_apps(app, make):
    """aiohttp#3191, aiohttp#3350: resources first, always."""
    sub = Roll()
    found = {}

    @app.listen("startup")
    def early():
        found["early"] = app["db"]

    @resource(sub)
    async def users(db):
        yield f"users of {db}"

    @app.listen("startup", after="resources")
    def late():
        found["late"] = app["db"]

    @sub.listen("startup")
    def inside():
        found["sub"] = sub["users"]

    mount(app, "/sub", sub, share=["db"])
    make("db")
    async with Client(app):
        pass
    assert found == {"early": "db", "late": "db", "sub": "users of db"}


async def test_a_resource_closes_after_requests_listeners_and_background(
    app, make, seen
):
    """litestar#2403, aiohttp#3593: nothing closes that somebody still uses."""
    make("db")
    arrived, go_on = asyncio.Event(), asyncio.Event()

    @app.route("/")
    async def view(request, response):
        arrived.set()
        await go_on.wait()
        seen.append(f"view {app['db']}")
        response.body = "done"

    @background(app)
    async def work(db):
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(f"work {app['db']}")

    @app.listen("shutdown")
    async def listener():
        seen.append(f"listener {app['db']}")

    client = LiveClient(app)
    await client.start()
    asking = asyncio.create_task(client.query("GET", "/"))
    await until(arrived.is_set)
    stopping = asyncio.create_task(client.stop())
    await until(app.closing.is_set)
    assert app["db"] == "db"
    go_on.set()
    assert (await asking).body == b"done"
    await stopping
    assert seen == ["open db", "view db", "listener db", "work db", "close db"]


async def test_a_resource_closes_also_when_a_shutdown_listener_fails(app, make, seen):
    make("db")
    app.listen("shutdown")(fails_with(OSError("no")))
    app.listen("shutdown")(lambda: True)
    await app.startup()
    with pytest.raises(OSError, match="no"):
        await app.shutdown()
    assert seen == ["open db", "close db"]


# What fails to open


def place(function):
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


@pytest.mark.parametrize(
    "error", [OSError("down"), BaseExceptionGroup("g", [KeyError()])]
)
async def test_one_that_fails_to_open_closes_those_before_it(app, make, seen, error):
    """aiohttp#4799, starlette#939: the first one is closed when the second fails."""
    make("a")
    make("b")

    @resource(app)
    async def broken(a):
        if error is not None:
            raise error
        yield "mended"

    make("c")

    @background(app)
    async def work():
        seen.append("work")

    failure, own = error, broken
    with pytest.raises(type(error)) as caught:
        await app.startup()
    assert caught.value is failure
    assert caught.value.__notes__ == [
        f"The resource 'broken' ({place(own)}) did not open"
    ]
    await turns()
    assert seen == ["open a", "open b", "close b", "close a"]
    assert "a" not in app
    assert states(app) == {
        **{"a": "closed", "b": "closed", "broken": "failed", "c": "closed"},
        "work": "ended",
    }
    seen.clear()
    error = None
    async with Client(app):  # a second start starts from scratch
        assert app["broken"] == "mended"
        await until(lambda: "work" in seen)
    assert seen[:3] == ["open a", "open b", "open c"]


async def test_one_that_is_late_to_open_is_cancelled(app, make, seen):
    make("a")

    @resource(app, open_timeout=0.01)
    async def late():
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")
        yield

    with pytest.raises(TimeoutError) as caught:
        await app.startup()
    assert str(caught.value) == "resource 'late' is not open after 0.01 s"
    assert caught.value.__notes__ == [
        f"The resource 'late' ({place(late)}) did not open"
    ]
    assert seen == ["open a", "cancelled", "close a"]
    assert states(app)["late"] == "failed"


async def test_one_that_opens_after_it_was_given_up_closes_at_once(app, seen):
    @resource(app, open_timeout=0.01)
    async def late():
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        yield "value"
        seen.append(app.get("late"))

    with pytest.raises(TimeoutError):
        await app.startup()
    assert seen == [None]


async def test_what_one_raises_when_it_is_late_is_logged(app, seen, caplog):
    @resource(app, open_timeout=0.01)
    async def late():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise OSError("rollback failed") from None
        yield

    with pytest.raises(TimeoutError):
        await app.startup()
    line, record = caplog.records
    own = f"The resource 'late' ({place(late)}) failed to close"
    assert line.getMessage() == f"{own}: OSError"
    assert "OSError: rollback failed" in record.exc_text
    assert own in record.exc_text


async def test_a_start_that_is_cancelled_closes_everything(app, make, seen):
    make("a")
    opening = asyncio.Event()

    @resource(app)
    async def slow():
        opening.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")
        yield

    starting = asyncio.create_task(app.startup())
    await until(opening.is_set)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert seen == ["open a", "cancelled", "close a"]


async def test_a_start_that_is_cancelled_once_a_resource_has_opened_is_no_failure(
    app, seen, caplog
):
    @resource(app)
    async def db():
        starting.cancel()  # in the very step in which it opens
        try:
            yield
        finally:
            seen.append("closed")

    starting = asyncio.create_task(app.startup())
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert seen == ["closed"]
    assert caplog.messages == []


async def test_one_that_cancels_itself_when_opening_is_an_error(app):
    @resource(app)
    async def broken():
        raise asyncio.CancelledError
        yield

    with pytest.raises(RuntimeError, match="it was cancelled, but not by the app"):
        await app.startup()


async def test_a_later_listener_that_fails_closes_everything(app, make, seen):
    make("a")
    make("b")
    app.listen("startup")(fails_with(OSError("no")))
    with pytest.raises(OSError, match="no"):
        await app.startup()
    assert seen == ["open a", "open b", "close b", "close a"]


async def test_a_port_in_use_closes_everything(app, make, seen):
    """aiohttp#1959: the port is in use, after the app has started."""
    make("a")
    with socket.socket() as mine, socket.socket() as other:
        for sock in (mine, other):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mine.bind(("127.0.0.1", 0))
        other.bind(mine.getsockname())
        other.listen()
        server = Server(app, [mine])
        try:
            with pytest.raises(OSError, match="in use"):
                await server.start()
            assert seen == ["open a"]
        finally:
            await server.stop()
    assert seen == ["open a", "close a"]


# What fails to close


async def test_those_that_fail_to_close_are_logged_and_raised_in_the_end(
    app, make, seen, caplog
):
    make("a")
    errors = [OSError("first"), ValueError("second")]

    @resource(app)
    async def one():
        yield
        raise errors[0]

    make("b")

    @resource(app)
    async def two():
        yield
        raise errors[1]

    await app.startup()
    with pytest.raises(ExceptionGroup) as caught:
        await app.shutdown()
    assert caught.value.message == "resources"
    assert caught.value.exceptions == (errors[1], errors[0])
    assert errors[0].__notes__ == [f"The resource 'one' ({place(one)}) failed to close"]
    assert seen == ["open a", "open b", "close b", "close a"]
    assert states(app) == {
        "a": "closed",
        "one": "failed",
        "b": "closed",
        "two": "failed",
    }
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", f"The resource 'two' ({place(two)}) failed to close: ValueError"),
        ("ERROR", f"The resource 'one' ({place(one)}) failed to close: OSError"),
        ("ERROR", "app.exit_stack did not close"),
    ]
    assert caplog.records[2].exc_info[1] is caught.value


@pytest.mark.parametrize("then", ["ends", "fails", "goes on"])
async def test_one_that_is_late_to_close_is_given_up(
    app, make, seen, caplog, monkeypatch, then
):
    monkeypatch.setattr(held, "CLEANUP", 0.01)
    make("a")
    go_on = asyncio.Event()
    error = OSError("rollback failed")

    @resource(app, close_timeout=0.01)
    async def late():
        yield
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if then == "ends":
                raise
            if then == "fails":
                raise error from None
            await go_on.wait()

    await app.startup()
    with pytest.raises(ExceptionGroup) as caught:
        await app.shutdown()
    (late_error,) = caught.value.exceptions
    assert isinstance(late_error, TimeoutError)
    assert str(late_error) == "still closing after 0.01 s"
    assert late_error.__cause__ is (error if then == "fails" else None)
    own = f"The resource 'late' ({place(late)}) failed to close"
    assert caplog.messages[0] == f"{own}: TimeoutError"
    assert seen == ["open a", "close a"]
    assert len(held._left) == (then == "goes on")
    go_on.set()
    await until(lambda: not held._left)


async def test_one_that_awaits_a_task_that_it_has_cancelled_lets_others_close(
    app, make, seen
):
    """aiohttp#5672: closing raises CancelledError."""
    make("a")

    @resource(app)
    async def worker():
        task = asyncio.create_task(asyncio.Event().wait())
        yield
        task.cancel()
        await task

    await app.startup()
    with pytest.raises(ExceptionGroup) as caught:
        await app.shutdown()
    (error,) = caught.value.exceptions
    assert str(error) == "it was cancelled, but not by the app"
    assert seen == ["open a", "close a"]


async def test_a_shutdown_that_is_cancelled_lets_each_clean_up(app, seen):
    closing = asyncio.Event()

    @resource(app)
    async def early():
        try:
            yield
        finally:
            seen.append("early")

    @resource(app)
    async def slow():
        try:
            yield
            closing.set()
            await asyncio.Event().wait()
        finally:
            seen.append("slow")

    await app.startup()
    stopping = asyncio.create_task(app.shutdown())
    await until(closing.is_set)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await until(lambda: len(seen) == 2)
    assert "early" not in app


# One task each


async def test_context_variables_and_task_groups_span_the_yield(app):
    """asphalt#79, di#80, litestar#1635: scopes end in the task that they began in."""
    variable = contextvars.ContextVar("variable", default="none")
    tasks = []

    @resource(app)
    async def group():
        token = variable.set("mine")
        with anyio.CancelScope():
            async with asyncio.TaskGroup() as group, anyio.create_task_group():
                tasks.append(asyncio.current_task())
                yield group
        variable.reset(token)
        tasks.append(asyncio.current_task())

    @resource(app)
    async def other():
        tasks.append(asyncio.current_task())
        yield

    async with Client(app):
        assert variable.get() == "none"
        done = app["group"].create_task(asyncio.sleep(0, "done"))
        assert await done == "done"
    first, other_task, last = tasks
    assert first is last is not other_task


@pytest.mark.parametrize("library", ["asyncio", "anyio"])
async def test_one_that_ends_by_itself_is_logged_and_its_key_is_gone(
    app, make, caplog, library
):
    make("other")
    broken = asyncio.Event()

    async def fail():
        await broken.wait()
        raise OSError("connection lost")

    @resource(app)
    async def pool():
        if library == "asyncio":
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                yield "pool"
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(fail)
                yield "pool"

    @app.route("/")
    async def view(request, response):
        response.body = app["pool"]

    async with Client(app) as client:
        assert (await client.get("/")).body == b"pool"
        broken.set()
        await until(lambda: states(app)["pool"] == "failed")
        assert states(app)["other"] == "open"
        assert app["other"] == "other"
        (record,) = caplog.records
        assert (record.levelname, record.getMessage()) == (
            *(
                "ERROR",
                f"The resource 'pool' ({place(pool)}) has ended while the app runs",
            ),
        )
        assert "connection lost" in record.exc_text
        with pytest.raises(KeyError) as caught:
            app["pool"]
        assert caught.value.args == ("resource 'pool' has ended: the log says why",)
        assert (await client.get("/")).status == 500
    with pytest.raises(KeyError, match="is open only while the app runs"):
        app["pool"]


async def test_one_that_is_cancelled_by_itself_has_ended_too(app, caplog):
    @resource(app)
    async def pool():
        task = asyncio.current_task()
        asyncio.get_running_loop().call_soon(task.cancel)
        yield

    async with Client(app):
        await until(lambda: states(app)["pool"] == "failed")
    assert len(caplog.records) == 1


async def test_what_needs_one_that_has_ended_says_so(app):
    @resource(app)
    async def pool():
        asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)
        yield

    @resource(app)
    async def patient():
        await until(lambda: "pool" not in app)
        yield

    @resource(app)
    async def users(pool):
        yield

    with pytest.raises(KeyError, match="resource 'pool' has ended"):
        await app.startup()


# The yield


async def test_one_without_a_yield_is_an_error(app):
    @resource(app)
    async def none():
        if app is None:
            yield

    with pytest.raises(RuntimeError, match=r"resource 'none' .* does not yield"):
        await app.startup()


async def test_one_that_yields_twice_is_an_error(app, make, seen):
    """starlette#1205: more than one yield."""
    make("a")

    @resource(app)
    async def twice():
        try:
            yield
            yield
        finally:
            seen.append("finally")

    await app.startup()
    with pytest.raises(ExceptionGroup) as caught:
        await app.shutdown()
    (error,) = caught.value.exceptions
    assert isinstance(error, RuntimeError)
    assert f"resource 'twice' ({place(twice)}) yields a second time" in str(error)
    assert seen == ["open a", "finally", "close a"]


# From run to run


def test_an_app_that_starts_again_opens_anew_in_the_new_loop(app):
    loops = []

    @resource(app)
    async def loop():
        yield asyncio.get_running_loop()

    async def run():
        async with Client(app):
            loops.append(app["loop"])
            assert app["loop"] is asyncio.get_running_loop()

    asyncio.run(run())
    asyncio.run(run())
    assert loops[0] is not loops[1]


async def test_the_key_is_there_only_while_the_app_runs(app, make):
    make("db")
    for _ in range(2):
        with pytest.raises(KeyError) as caught:
            app["db"]
        assert caught.value.args == ("resource 'db' is open only while the app runs",)
        async with Client(app):
            assert app["db"] == "db"


async def test_states_say_what_each_resource_does(app):
    found = []

    @resource(app)
    async def db():
        found.append(states(app))
        yield
        found.append(states(app))

    assert states(app) == {"db": "closed"}
    async with Client(app):
        assert states(app) == {"db": "open"}
    assert found == [{"db": "opening"}, {"db": "closing"}]
    assert states(app) == {"db": "closed"}


def test_an_app_without_resources_has_no_states(app):
    assert states(app) == {}


async def test_a_sub_app_has_its_own_within_those_of_its_parent(app, make, seen):
    """aiohttp#3876, aiojobs#51: the parent's pool is shared, and open for longer."""
    sub = Roll()

    @resource(sub)
    async def users(db):
        seen.append(f"open users of {db}")
        yield "users"
        seen.append("close users")

    @background(sub)
    async def count(users, db):
        seen.append(f"count {users} of {db}")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("counted")

    @sub.route("/")
    async def view(request, response):
        response.json = [request.app["db"], request.app["users"]]

    mount(app, "/sub", sub, share=["db"])
    make("db")
    for _ in range(2):
        async with Client(app) as client:
            assert (await client.get("/sub")).json == ["db", "users"]
            assert "users" not in app
        assert seen == [
            *("open db", "open users of db", "count users of db"),
            *("counted", "close users", "close db"),
        ]
        assert states(app) == {"db": "closed"}
        assert states(sub) == {"users": "closed", "count": "ended"}
        seen.clear()


async def test_a_resource_that_is_not_shared_is_not_in_a_sub_app(app, make, seen):
    sub = Roll()

    @resource(sub)
    async def users(db):
        yield

    mount(app, "/sub", sub)
    make("db")
    with pytest.raises(ValueError, match=r"'users' \(.*\) needs 'db'"):
        await app.startup()
    assert seen == ["open db", "close db"]


async def test_what_is_shared_has_to_be_there(app, make, seen):
    mount(app, "/sub", Roll(), share=["db", "cache"])
    make("db")
    with pytest.raises(KeyError, match="share='cache'"):
        await app.startup()
    assert seen == ["open db", "close db"]
