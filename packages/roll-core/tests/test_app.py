"""Roll: what it is made of, and how it starts, runs and ends (SPEC 2, 7, 8, 11)."""

import asyncio
import logging
import re
from http import HTTPStatus

import pytest
from roll import (
    Cookies,
    Files,
    Form,
    HttpError,
    HttpProtocol,
    Limits,
    Multipart,
    Query,
    Request,
    Response,
    Roll,
    Route,
    Routes,
    RouteTable,
)

# A dict, by identity


def test_an_app_takes_no_argument():
    with pytest.raises(TypeError):
        Roll({})


def test_an_app_is_a_dict_for_the_application(app):
    app["db"] = "there"
    assert dict(app) == {"db": "there"}


def test_apps_compare_by_identity_are_hashable_and_true():
    one, two = Roll(), Roll()
    assert one == one  # it is the claim
    assert one != two
    assert one != {}
    assert one != {}
    assert len({one, two}) == 2
    assert one


# What it is made of


def test_the_parts_of_an_app():
    assert Roll.HttpProtocol is Roll.Protocol is HttpProtocol
    assert Roll.Request is Request
    assert Roll.Response is Response
    assert Roll.Routes is Routes
    assert Roll.Route is Route
    assert Roll.Query is Query
    assert Roll.Form is Form
    assert Roll.Files is Files
    assert Roll.Cookies is Cookies
    assert Roll.Multipart is Multipart
    assert Roll.limits == Limits()


@pytest.mark.parametrize(
    ("call", "given", "wanted"),
    [
        (lambda: Roll.listen("startup"), "listen('startup')", "@app.listen('startup')"),
        (lambda: Roll.listen(name="a"), "listen(name='a')", "@app.listen(name='a')"),
        (
            lambda: Roll.route("/x", methods=["PUT"]),
            "route('/x', methods=['PUT'])",
            "@app.route('/x', methods=['PUT'])",
        ),
        (lambda: Roll.include(1, "/x"), "include(1, '/x')", "app.include(1, '/x')"),
        (lambda: Roll.include(), "include()", "app.include()"),
    ],
)
def test_what_is_called_on_the_class_shows_the_call_to_write(call, given, wanted):
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == (
        f"Roll.{given} is called on the class: make an app, as in app = Roll(), and "
        f"write {wanted}"
    )


def test_a_method_may_be_called_on_the_class_with_an_app(app):
    Roll.listen(app, "startup")(print)
    assert app.hooks["startup"] == (print,)


async def test_a_subclass_says_what_its_app_is_made_of(client):
    class MyRequest(Request):
        @property
        def shouted(self):
            return self.path.upper()

    class MyResponse(Response):
        def html(self, text):
            self.headers["Content-Type"] = "text/html; charset=utf-8"
            self.body = text

    class MyCookies(Cookies):
        def set(self, name, value, **options):
            super().set(name, value, secure=True, **options)

    class App(Roll):
        Request = MyRequest
        Response = MyResponse
        Cookies = MyCookies

    app = App()

    @app.route("/{x}")
    async def view(request, response, x):
        response.html(request.shouted)
        response.cookies.set("a", "b")

    client.app = app
    answer = await client.get("/x")
    assert answer.body == b"/X"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Set-Cookie"] == "a=b; Path=/; Secure"


def test_protocol_is_an_older_name_of_http_protocol():
    class MyProtocol(HttpProtocol):
        __slots__ = ()

    with pytest.warns(DeprecationWarning, match=r"App\.Protocol is an older name"):

        class App(Roll):
            Protocol = MyProtocol

    assert App.HttpProtocol is App.Protocol is MyProtocol
    assert isinstance(App().factory(), MyProtocol)


def test_the_older_name_follows_the_newer_one():
    class MyProtocol(HttpProtocol):
        __slots__ = ()

    class App(Roll):
        HttpProtocol = MyProtocol

    assert App.Protocol is MyProtocol


def test_parts_may_hang_on_the_protocol_class_as_in_older_code():
    class MyQuery(Query):
        """One of ours."""

    class MyProtocol(HttpProtocol):
        Query = MyQuery

    with pytest.warns(DeprecationWarning, match=r"use Query of the app"):

        class App(Roll):
            HttpProtocol = MyProtocol

    assert App.Query is MyQuery

    class Newer(App):  # says so itself: nothing to warn of
        Query = Query

    assert Newer.Query is Query


# One request, by hand


async def test_an_app_runs_one_request(app):
    @app.route("/{name}")
    async def view(request, response, name):
        response.body = f"Hello {name}"

    request, response = Request(app, None), Response(app, None)
    request.url = b"/joe"
    await app(request, response)
    assert (response.status, response.body) == (200, "Hello joe")


# Errors


async def test_an_http_error_may_be_raised_anywhere(client, app):
    @app.route("/")
    async def view(request, response):
        raise HttpError(HTTPStatus.FORBIDDEN, "Run, you foo(l)!")

    answer = await client.get("/")
    assert (answer.status, answer.body) == (403, b"Run, you foo(l)!")
    assert answer.headers["Content-Length"] == "16"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (HttpError(404), 404, b"Not Found"),
        (HttpError(HTTPStatus.GONE, ""), 410, b""),
        (HttpError(400, b"bytes", context={"a": 1}), 400, b"bytes"),
    ],
)
async def test_the_body_of_an_error_is_its_message_or_the_phrase(
    client, app, error, status, body
):
    @app.route("/")
    async def view(request, response):
        raise error

    answer = await client.get("/")
    assert (answer.status, answer.body) == (status, body)


def test_an_error_keeps_its_context():
    assert HttpError(400, context={"a": 1}).context == {"a": 1}
    assert HttpError(400).context is None


@pytest.mark.parametrize("status", [0, 299, "x"])
def test_an_error_of_an_unknown_status_is_a_value_error(status):
    with pytest.raises(ValueError, match="is not a valid HTTPStatus"):
        HttpError(status)


@pytest.mark.parametrize("message", ["not found", b"x"])
def test_the_status_of_an_error_comes_first(message):
    with pytest.raises(ValueError, match="it comes first, as in ") as raised:
        HttpError(message)
    assert str(raised.value).endswith(f"HttpError(404, {message!r})")


async def test_a_subclass_of_http_error_may_skip_init(client, app):
    class Teapot(HttpError):
        def __init__(self):
            self.status = 418

    class Bare(HttpError):
        def __init__(self): ...

    errors = [Teapot(), Bare()]

    @app.route("/")
    async def view(request, response):
        raise errors.pop(0)

    answer = await client.get("/")
    assert (answer.status, answer.body) == (418, b"I'm a Teapot")
    answer = await client.get("/")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")


async def test_an_exception_is_a_500_that_says_nothing(client, app, caplog):
    @app.route("/")
    async def view(request, response):
        response.headers["X-Kept"] = "yes"
        raise ValueError("secret")

    answer = await client.get("/?a=\n".replace("\n", "%0A"))
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert answer.headers["X-Kept"] == "yes"
    assert caplog.messages == ["GET /?a=%0A: ValueError('secret')"]


async def test_an_error_that_replaces_a_stream_closes_it(client, app):
    closed = []

    class Stream:
        def __aiter__(self):
            raise AssertionError("never read")

        async def aclose(self):
            closed.append(True)

    @app.route("/")
    async def view(request, response):
        response.body = Stream()
        raise HttpError(409)

    assert (await client.get("/")).status == 409
    assert closed == [True]


async def test_a_task_of_the_view_that_was_cancelled_is_a_500(client, app, caplog):
    @app.route("/")
    async def view(request, response):
        task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        task.cancel()
        await task

    answer = await client.get("/")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert "CancelledError" in caplog.text


@pytest.mark.parametrize("event", ["response", "error"])
async def test_a_task_of_a_listener_that_was_cancelled_is_a_500(
    client, app, caplog, event
):
    @app.listen(event)
    async def wait_for_a_task(request, response, error=None):
        task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        task.cancel()
        await task

    answer = await client.get("/none")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert "CancelledError" in caplog.text


async def test_another_offer_on_a_plain_route_is_ignored_but_websocket_is_501(
    client, app
):
    @app.route("/")
    async def view(request, response):
        response.body = "served"

    def offer(token):
        return {"Upgrade": token, "Connection": "Upgrade"}

    assert (await client.get("/", headers=offer("h2c"))).body == b"served"
    assert (await client.get("/", headers=offer("WebSocket"))).status == 501
    assert (await client.get("/nowhere", headers=offer("websocket"))).status == 404


# Startup and shutdown


async def test_the_loop_is_that_of_startup_and_may_be_assigned(app):
    loop = asyncio.get_running_loop()
    assert app.loop is loop
    await app.startup()
    assert app.loop is loop
    await app.shutdown()
    app.loop = "another"
    assert app.loop == "another"


async def test_shutdown_cuts_what_takes_longer_than_its_limit(caplog):
    class App(Roll):
        limits = Limits(shutdown=0.05)

    app = App()
    ended = []

    @app.listen("mine")
    async def forever():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    @app.listen("shutdown")
    async def last():
        ended.append("shutdown")

    await app.startup()
    app.hook("mine")
    await asyncio.sleep(0)
    await app.shutdown()
    assert ended == [True, "shutdown"]
    assert caplog.messages == [
        "Shutdown cuts 0 connections and 1 tasks that are still running"
    ]


async def test_one_connection_that_fails_does_not_end_the_watch(app, caplog):
    checked = []

    class Broken:
        def check(self, now):
            raise RuntimeError("broken")

        def stop(self):
            app.lifecycle.forget(self)

    class Working(Broken):
        def check(self, now):
            checked.append(now)

    app.connections |= {Broken(), Working()}
    await app.startup()
    assert len(checked) == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    await app.shutdown()
    assert not app.connections


@pytest.mark.parametrize("options", [{"limits": {"body": 1}}, {"limits": None}])
def test_limits_of_another_kind_are_an_error(options):
    with pytest.raises(TypeError, match=r"limits = .*: give a roll\.Limits"):
        type("App", (Roll,), options)()


def test_a_route_and_a_listener_need_parentheses(app):
    async def view(request, response): ...

    for route in (app.route, RouteTable().route, RouteTable().get):
        with pytest.raises(TypeError, match=r"give a path, as in @app\.route\('/'\)"):
            route(view)
    with pytest.raises(TypeError, match=r"name an event, as in listen\('startup'\)"):
        app.listen(view)


@pytest.mark.parametrize(
    ("name", "methods"),
    [
        ("get", ""),
        ("post", ", methods=['POST']"),
        ("put", ", methods=['PUT']"),
        ("patch", ", methods=['PATCH']"),
        ("delete", ", methods=['DELETE']"),
        ("head", ", methods=['HEAD']"),
        ("options", ", methods=['OPTIONS']"),
    ],
)
@pytest.mark.parametrize("extras", [{}, {"login": True}])
def test_an_app_has_no_decorator_for_one_method(app, name, methods, extras):
    message = re.escape(f"write @app.route('/x'{methods}), since the app is a dict")
    with pytest.raises(TypeError, match=message):
        getattr(app, name)("/x", **extras)


def test_get_is_the_method_of_a_dict_for_other_keys(app):
    app["db"] = 1
    assert (app.get("db"), app.get("cache"), app.get("cache", 2)) == (1, None, 2)
    assert app.get(("/x",)) is None


def test_a_mistake_in_a_route_tells_where_it_is_declared(app):
    with pytest.raises(ValueError, match=r"is not a type") as caught:
        app.route("/{x:itn}")(lambda request, response, x: None)
    [note] = caught.value.__notes__
    assert note.startswith(f"The route is declared at {__file__}:")


def test_a_key_that_is_absent_may_say_why(app):
    app.absent["db"] = "'db' is open only while the app runs"
    with pytest.raises(KeyError, match="'db' is open only while the app runs"):
        app["db"]
    with pytest.raises(KeyError) as raised:
        app["cache"]
    assert raised.value.args == ("cache",)
    assert "db" not in app
    assert app.get("db") is None
    app["db"] = "open"
    assert app["db"] == "open"
