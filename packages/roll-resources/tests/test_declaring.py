"""What the decorators take, and what they refuse, and when."""

import functools
import math
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
import roll_resources
from roll import Roll
from roll.extensions import background, resource
from roll_resources import get, states
from roll_testing import Client, patience


@pytest.fixture
def app():
    return Roll()


def place(function):
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


async def generator():
    yield "value"


async def coroutine():
    pass


def test_what_is_declared_is_in_the_inventory(app):
    resource(app, "db")(generator)
    background(app)(coroutine)

    async def fake():
        yield

    resource(app, "db", replace=True)(fake)
    assert app.inventory == {
        ("resource", "db"): place(fake),
        ("background", "coroutine"): place(coroutine),
    }


# The function


@pytest.mark.parametrize(
    ("declare", "function"), [(resource, generator), (background, coroutine)]
)
def test_the_function_is_given_back(app, declare, function):
    assert declare(app)(function) is function
    assert declare(app, "other", **{})(function) is function


@pytest.mark.parametrize(
    "function",
    [coroutine, lambda: None, asynccontextmanager(generator), generator(), None, "db"],
)
def test_a_resource_is_an_async_generator_function(app, function):
    with pytest.raises(TypeError, match="is not an async generator function: declare"):
        resource(app)(function)


@pytest.mark.parametrize("function", [generator, lambda: None, None, Roll])
def test_a_background_function_is_a_coroutine_function(app, function):
    with pytest.raises(TypeError, match="is not a coroutine function: declare"):
        background(app)(function)


async def positional_only(db, /):
    yield


async def args(*resources):
    yield


async def kwargs(**resources):
    yield


@pytest.mark.parametrize(
    ("function", "parameter"),
    [(positional_only, "db"), (args, r"\*resources"), (kwargs, r"\*\*resources")],
)
def test_every_parameter_is_given_by_name(app, function, parameter):
    with pytest.raises(TypeError, match=f"takes `{parameter}`, which has no name of a"):
        resource(app)(function)


class Shop:
    async def db(self):
        yield "of a method"


async def table(db, name="users"):
    yield f"{name} of {db}"


async def test_methods_and_partials_are_functions_too(app):
    """What has a default keeps it where there is no such resource."""
    resource(app)(Shop().db)
    resource(app)(table)
    resource(app, "items")(functools.partial(table, name="items"))
    async with Client(app):
        assert app["table"] == "users of of a method"
        assert app["items"] == "items of of a method"
    resource(app, "name")(generator)
    async with Client(app):
        assert app["table"] == "value of of a method"


def test_what_has_no_name_is_given_one(app):
    with pytest.raises(
        TypeError, match=r"resource\(app, None\): give .*partial.* a name"
    ):
        resource(app)(functools.partial(generator))
    with pytest.raises(TypeError, match=r"resource\(app, 3\): give"):
        resource(app, 3)(generator)


# Options


@pytest.mark.parametrize(
    ("declare", "option"),
    [
        (resource, "open_timeout"),
        (resource, "close_timeout"),
        (background, "delay"),
        (background, "max_delay"),
        (background, "grace"),
    ],
)
@pytest.mark.parametrize(
    ("value", "error"),
    [("1", TypeError), (None, TypeError), (-1, ValueError), (math.nan, ValueError)],
)
def test_seconds_are_a_number(app, declare, option, value, error):
    with pytest.raises(error, match=f"^{option}={value!r}: give "):
        declare(app, **{option: value})


def test_zero_seconds_are_no_time_to_open(app):
    with pytest.raises(ValueError, match="open_timeout=0: give more than 0 seconds"):
        resource(app, open_timeout=0)
    assert background(app, delay=0, grace=0)


def test_restart_is_one_of_three(app):
    with pytest.raises(ValueError, match="restart='sometimes': give one of"):
        background(app, restart="sometimes")


def test_a_delay_is_not_above_its_maximum(app):
    with pytest.raises(ValueError, match="max_delay=60 is below delay=90: raise it"):
        background(app, delay=90)


# Names


@pytest.mark.parametrize(
    ("first", "second", "options"),
    [
        (resource, resource, {}),
        (resource, background, {}),
        (background, resource, {}),
        (background, resource, {"replace": True}),
        (background, background, {}),
    ],
)
def test_a_name_is_declared_once(app, first, second, options):
    functions = {resource: generator, background: coroutine}
    kinds = {resource: "resource", background: "background"}
    first(app, "db")(functions[first])
    with pytest.raises(ValueError, match="rename one") as caught:
        second(app, "db", **options)(functions[second])
    own, known = (f"{kinds[d]} 'db' ({place(functions[d])})" for d in (second, first))
    assert str(caught.value) == f"{own}: there is a {known} already: rename one of them"


async def test_a_key_of_the_app_is_not_taken_over(app):
    app["db"] = "mine"
    with pytest.raises(
        ValueError, match="the app has a key 'db' already: rename"
    ) as caught:
        resource(app, "db")(generator)
    assert place(generator) in str(caught.value)
    assert app["db"] == "mine"


async def test_a_key_that_is_set_later_is_found_at_startup(app):
    resource(app, "db")(generator)
    app["db"] = "mine"
    with pytest.raises(ValueError, match="the app has a key 'db' already: rename"):
        await app.startup()
    assert app["db"] == "mine"
    assert states(app) == {"db": "closed"}


def test_a_resource_is_not_called_app(app):
    with pytest.raises(ValueError, match="resource 'app': choose another name"):
        resource(app, "app")(generator)


async def test_a_test_replaces_a_resource_in_its_place(app):
    opened = []

    @resource(app)
    async def db():
        yield "real"

    @resource(app)
    async def users(db):
        opened.append("users")
        yield f"users of {db}"

    @resource(app, "db", replace=True)
    async def fake():
        opened.append("db")
        yield "fake"

    assert [*states(app)] == ["db", "users"]
    async with Client(app):
        assert app["users"] == "users of fake"
        assert get(app, db) == get(app, fake) == "fake"
    assert opened == ["db", "users"]


async def test_a_resource_may_replace_a_key(app):
    app["db"] = "mine"
    resource(app, "db", replace=True)(generator)
    with pytest.raises(KeyError, match="is open only while the app runs"):
        app["db"]
    app["db"] = "mine, again"  # as a parent may that shares it
    async with Client(app):
        assert app["db"] == "value"
    assert "db" not in app


# What is needed


async def test_a_parameter_that_names_nothing_is_found_before_anything_opens(app):
    @resource(app)
    async def db():
        raise AssertionError
        yield

    @resource(app)
    async def users(dbs, catch):
        yield

    app["cache"] = {}
    with pytest.raises(ValueError, match="needs") as caught:
        await app.startup()
    assert str(caught.value) == (
        f"resource 'users' ({place(users)}) needs 'dbs', 'catch', but the app has no "
        "such resource or key. Its resources: db, users; did you mean 'db', 'cache'?"
    )
    assert states(app) == {"db": "closed", "users": "closed"}


async def test_a_background_function_cannot_need_what_is_not_there_either(app):
    @background(app)
    async def other():
        raise AssertionError

    @background(app)
    async def work(other):
        raise AssertionError

    with pytest.raises(ValueError, match=r"needs 'other', .* resources: none$"):
        await app.startup()


async def test_a_key_of_the_app_may_be_needed(app):
    @resource(app)
    async def db(settings):
        yield settings["url"]

    app["settings"] = {"url": "postgres:///shop"}
    async with Client(app):
        assert app["db"] == "postgres:///shop"


async def test_a_circle_is_named_before_anything_opens(app):
    @resource(app)
    async def free():
        raise AssertionError
        yield

    @resource(app)
    async def outside(a):
        yield

    @resource(app)
    async def a(free, b):
        yield

    @resource(app)
    async def b(a):
        yield

    with pytest.raises(ValueError, match="need each other") as caught:
        await app.startup()
    assert str(caught.value) == (
        "resources need each other: a -> b -> a; take one of these parameters away: "
        f"resource 'b' ({place(b)}), resource 'a' ({place(a)})"
    )


# When


@pytest.mark.parametrize(
    ("declare", "function"), [(resource, generator), (background, coroutine)]
)
@pytest.mark.parametrize("has_some", [False, True])
async def test_nothing_is_declared_while_the_app_runs(app, declare, function, has_some):
    if has_some:
        resource(app, "other")(generator)
    add = declare(app, "late")
    async with Client(app):
        with pytest.raises(RuntimeError, match="declare it before the app starts"):
            add(function)
        assert "late" not in states(app)
    add(function)
    assert "late" in states(app)


async def test_nothing_is_declared_in_a_startup_listener(app):
    app.listen("startup")(lambda: resource(app)(generator))
    with pytest.raises(RuntimeError, match="declare it before the app starts"):
        await app.startup()


# get


async def test_get_gives_the_value_of_a_function(app):
    resource(app, "db")(generator)
    with pytest.raises(KeyError, match="is open only while the app runs"):
        get(app, generator)
    async with Client(app):
        assert get(app, generator) == "value"


def test_get_knows_the_functions_of_its_app(app):
    with pytest.raises(LookupError, match="is not declared as a resource of this app"):
        get(app, generator)
    resource(app, "other")(table)
    with pytest.raises(LookupError, match="is not declared as a resource of this app"):
        get(app, generator)
    resource(app, "one")(generator)
    resource(app, "two")(generator)
    with pytest.raises(
        LookupError, match=r"is declared as \['one', 'two'\]: write app"
    ):
        get(app, generator)


@pytest.mark.parametrize("name", ["background", "get", "resource", "states"])
def test_what_is_called_without_an_app_shows_the_call(name):
    function = getattr(roll_resources, name)
    arguments = [generator] if name == "get" else []
    with pytest.raises(TypeError, match=rf"^{name}\('db'\): give the app first, as in"):
        function("db", *arguments)


def test_get_has_the_type_that_the_function_yields(tmp_path):
    page = tmp_path / "application.py"
    page.write_text(
        "from collections.abc import AsyncIterator\n"
        "from roll import Roll\n"
        "from roll_resources import background, get, resource\n"
        "app = Roll()\n"
        "@resource(app)\n"
        "async def db() -> AsyncIterator[bytes]:\n"
        "    yield b''\n"
        "@background(app, restart='always')\n"
        "async def work(db: bytes) -> None: ...\n"
        "reveal_type(get(app, db))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", page.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=patience(300),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Revealed type is "bytes"' in done.stdout.replace("builtins.", "")
