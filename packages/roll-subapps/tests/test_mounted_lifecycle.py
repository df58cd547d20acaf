"""How sub-apps start and end with their parent."""

import asyncio
import re

import pytest
from roll import Limits, Roll
from roll.extensions import mount
from roll.plugins import require_boolean
from roll_testing import connect, until


def note(app, label, log):
    """Let an app note when it starts and ends."""

    @app.listen("startup")
    async def start():
        log.append(f"{label} startup")
        app.exit_stack.callback(log.append, f"{label} exit")

    @app.listen("shutdown")
    async def stop():
        log.append(f"{label} shutdown")

    @app.listen("drain")
    async def drain():
        log.append(f"{label} drain")


@pytest.fixture
def log():
    return []


@pytest.fixture
def tree(log):
    """A parent with two apps, `one` and `two`, of which the first has another."""
    app, one, inner, two = Roll(), Roll(), Roll(), Roll()
    mount(app, "/one", one)
    mount(one, "/inner", inner)
    mount(app, "/two", two)
    for each, label in (two, "two"), (inner, "inner"), (one, "one"), (app, "parent"):
        note(each, label, log)
    return app, one, inner, two


STARTED = ["parent startup", "one startup", "inner startup", "two startup"]
ENDED = [
    *("two shutdown", "two exit", "inner shutdown", "inner exit"),
    *("one shutdown", "one exit", "parent shutdown", "parent exit"),
]


async def test_apps_start_after_their_parents_and_end_before(tree, log):
    """Starlette#649, fastapi#1480: the `startup` of a mounted app runs."""
    app, *_ = tree
    for _ in range(2):
        log.clear()
        await app.startup()
        assert log == STARTED
        log.clear()
        await app.hook("drain")
        assert log == ["parent drain", "one drain", "inner drain", "two drain"]
        log.clear()
        await app.shutdown()
        assert log == ENDED


@pytest.mark.parametrize("failing", ["parent", "one", "inner", "two"])
async def test_one_that_fails_stops_the_start(tree, log, failing):
    """What has started is shut down in reverse, and it may be tried again."""
    app, one, inner, two = tree
    fails = {"parent": app, "one": one, "inner": inner, "two": two}[failing]
    broken = True

    @fails.listen("startup")
    async def fail():
        if broken:
            raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        await app.startup()
    labels = [line.split()[0] for line in STARTED]
    begun = labels[: labels.index(failing) + 1]
    ended = [line for line in ENDED if line.split()[0] in begun]
    assert log == [*(f"{label} startup" for label in begun), *ended]
    broken = False
    log.clear()
    await app.startup()
    assert log == STARTED
    await app.shutdown()


async def test_a_mounted_app_is_not_started_by_itself(tree):
    _, one, inner, _ = tree
    for each in (one, inner):
        with pytest.raises(RuntimeError, match="mounted in another: start that one"):
            await each.startup()


async def test_what_runs_belongs_to_the_parent(tree):
    app, one, inner, _ = tree
    await app.startup()
    for each in (one, inner):
        assert each.closing is app.closing
        assert each.loop is app.loop is asyncio.get_running_loop()
    done = []

    async def work():
        await app.closing.wait()
        done.append(True)

    inner.keep(work())
    await app.shutdown()
    assert done == [True]


async def test_closing_is_set_when_the_shutdown_begins(log):
    app, admin = Roll(), Roll()
    mount(app, "/admin", admin)

    @admin.route("/")
    async def wait(request, response):
        await request.closing.wait()
        log.append("view")
        response.body = "done"

    note(admin, "admin", log)
    note(app, "parent", log)
    await app.startup()
    transport = connect(app)
    transport.feed(b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: any(each.busy for each in app.connections))
    log.clear()
    await app.shutdown()
    assert transport.data.endswith(b"\r\n\r\ndone")
    assert log == [
        *("view", "admin shutdown", "admin exit", "parent shutdown", "parent exit"),
    ]


async def test_a_shutdown_that_raises_does_not_stop_the_others(tree, log, caplog):
    app, one, _, two = tree
    for each, message in (one, "one failed"), (two, "two failed"):

        @each.listen("shutdown")
        async def fail(message=message):
            raise OSError(message)

    await app.startup()
    log.clear()
    with pytest.raises(OSError, match="failed"):
        await app.shutdown()
    assert log == ENDED
    assert "OSError: one failed" in caplog.text
    assert "OSError: two failed" in caplog.text


# What is shared


async def test_what_the_parent_opens_is_shared_before_the_sub_app_starts(log):
    """aiohttp#2412, #2689, #3876."""
    app, shop, admin = Roll(), Roll(), Roll()
    mount(shop, "/admin", admin, share=["db"])
    mount(app, "/shop", shop, share=["db", "name"])
    app["name"] = "early"

    @app.listen("startup")
    async def open_pool():
        app["db"] = object()

    @admin.listen("startup")
    async def use():
        log.append(admin["db"] is app["db"])

    assert "db" not in shop
    await app.startup()
    assert log == [True]
    assert shop["name"] == "early"
    assert "name" not in admin
    await app.shutdown()


async def test_a_missing_key_fails_the_start():
    app, shop, admin = Roll(), Roll(), Roll()
    mount(app, "/shop", shop)
    mount(shop, "/admin", admin, share=["db"])
    shop.absent["db"] = "call resources first"
    with pytest.raises(
        KeyError, match=r"share='db': the app at /shop has no such key for /admin at "
    ) as caught:
        await app.startup()
    assert caught.value.__cause__.args == ("call resources first",)


# Mistakes that are told at startup


def with_limits(**limits):
    app = Roll()
    app.configure(limits=Limits(**limits))
    return app


async def test_limits_of_the_connection_are_named_in_one_warning(caplog):
    app = with_limits(head_timeout=3)
    mount(app, "/same", with_limits(head_timeout=3, query=5, spool=7))
    one = with_limits(keep_alive=1, body=7, head=1000)
    mount(app, "/one", one)
    mount(one, "/inner", with_limits(shutdown=3), host="a.org")
    await app.startup()
    assert [record.getMessage() for record in caplog.records] == [
        "Limits of connections are those of the outermost app; these have no effect: "
        "head=1000 of the app at /one, keep_alive=1 of the app at /one, "
        "shutdown=3 of the app at a.org/one/inner"
    ]
    await app.shutdown()


async def test_a_misspelled_extra_of_an_extension_of_the_parent_is_an_error():
    app, admin = Roll(), Roll()
    mount(app, "/admin", admin)
    app.extras("staff_only")

    @admin.route("/", staffonly=False)
    async def view(request, response):
        pass

    with pytest.raises(TypeError, match=r"/: staffonly= is unknown; did you mean st"):
        await app.startup()


async def test_a_wrong_extra_of_an_extension_of_the_parent_is_an_error():
    app, middle, admin = Roll(), Roll(), Roll()
    mount(middle, "/admin", admin)
    mount(app, "/middle", middle)
    app.extras("staff_only", check=require_boolean)

    @admin.route("/", staff_only="no")
    async def view(request, response):
        pass

    wanted = r"^/: staff_only='no': give True or False\. The route is declared at "
    [mistake] = admin.find_mistakes()
    assert re.match(wanted, mistake)  # before anything starts
    with pytest.raises(TypeError, match=wanted):
        await app.startup()
