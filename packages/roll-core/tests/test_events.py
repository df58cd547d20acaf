"""Listeners: their arguments, their order, and `app.hook` (SPEC 7)."""

import asyncio
import functools
import gc
import logging
import re

import pytest
from roll import HttpError, Roll
from roll.events import EVENTS, Entry, bind, names, solve
from roll_testing import turns


def record(seen, name, result=None):
    async def listener(*arguments):
        seen.append(name)
        return result

    return listener


# Arguments


async def test_a_listener_gets_its_arguments_in_their_order_whatever_their_names():
    assert bind("headers", lambda a, b: (a, b))(1, 2) == (1, 2)


async def test_a_listener_with_permuted_names_gets_its_arguments_by_name():
    assert bind("headers", lambda response, request: (response, request))(1, 2) == (
        2,
        1,
    )


def test_permuted_names_may_be_given_by_name():
    listener = bind(
        "error", lambda error, request, response: (error, request, response)
    )
    assert listener(1, 2, 3) == (3, 1, 2)
    assert listener(error=3, response=2, request=1) == (3, 1, 2)


def test_permuted_names_of_route_add_keep_the_extras():
    listener = bind("route:add", lambda view, path, **extras: (view, path, extras))
    assert listener("/x", "view", name="x") == ("view", "/x", {"name": "x"})


async def test_cors_headers_are_added_as_the_reader_writes_it(client, app):
    def cors(app, value="*"):
        @app.listen("response")
        async def add_cors_headers(response, request):
            response.headers["Access-Control-Allow-Origin"] = value

    cors(app, value="http://other.example")
    answer = await client.get("/")
    assert answer.headers["Access-Control-Allow-Origin"] == "http://other.example"


@pytest.mark.parametrize(("event", "arguments"), EVENTS.items())
def test_a_listener_that_cannot_take_the_arguments_is_a_type_error(
    app, event, arguments
):
    def wrong(one, two, three, four): ...

    place = f"{wrong.__qualname__} ({__file__}:{wrong.__code__.co_firstlineno})"
    problem = re.escape(f"{place} cannot listen to '{event}': it takes ")
    with pytest.raises(TypeError, match=f"^{problem}"):
        app.listen(event)(wrong)
    assert event not in app.hooks


def test_other_events_take_any_listener(app):
    def any_(one, two, three, four): ...

    app.listen("mine")(any_)
    assert app.hooks["mine"] == (any_,)


def test_a_builtin_that_hides_its_signature_may_listen(app):
    app.listen("startup")(dict)
    assert app.hooks["startup"] == (dict,)


def test_a_coroutine_function_cannot_listen_to_route_add(app):
    async def wrong(path, view, **extras): ...

    with pytest.raises(TypeError, match="make it a plain def"):
        app.listen("route:add")(wrong)


@pytest.mark.parametrize("event", ["startup", "request", "mine"])
def test_what_yields_cannot_listen(app, event):
    async def lifespan():
        yield

    def context():
        yield

    for listener in (lifespan, context):
        with pytest.raises(TypeError, match="it yields"):
            app.listen(event)(listener)
    assert event not in app.hooks


def test_what_cannot_be_called_cannot_listen(app):
    with pytest.raises(TypeError, match="5 cannot listen to 'mine': give a function"):
        app.listen("mine")(5)


def test_listen_returns_the_function(app):
    def listener(response, request): ...

    assert app.listen("request")(listener) is listener


def test_a_listener_more_is_a_new_tuple(app):
    app.listen("request")(lambda a, b: None)
    before = app.hooks["request"]
    app.listen("request")(lambda a, b: None)
    assert len(before) == 1
    assert len(app.hooks["request"]) == 2


# Order


def entry(module, before=(), after=()):
    return Entry(module, module, names(before), names(after))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry("a"), entry("b"), entry("c")], "abc"),
        ([entry("a"), entry("b", before="a")], "ba"),
        ([entry("a", after="b"), entry("b")], "ba"),
        ([entry("a", after=("b", "c")), entry("b"), entry("c")], "bca"),
        ([entry("a"), entry("b"), entry("c", before=["a", "b"])], "cab"),
        ([entry("a", before="missing"), entry("b", after="gone")], "ab"),
        ([entry("a", after="a"), entry("b")], "ab"),
        ([entry("a"), entry("b"), entry("c", before="a")], "cab"),
        ([entry("a"), entry("b"), entry("c", before="b")], "acb"),
        ([entry("a", after="c"), entry("b"), entry("c"), entry("d")], "bcad"),
        ([entry("a"), entry("b"), entry("c", before="a", after="b")], "bca"),
        ([entry("a"), entry("b"), entry("c", "a"), entry("d", "c")], "dcab"),
        ([entry("a"), entry("b"), entry("c", before="*")], "cab"),
        ([entry("a", after="*"), entry("b"), entry("c")], "bca"),
        ([entry("a"), entry("b", before="*"), entry("c", before="*")], "bca"),
        ([entry("a", after="*"), entry("b", after="*"), entry("c")], "cab"),
        ([entry("a", after="*"), entry("b"), entry("c", before="*")], "cba"),
        ([entry("a"), entry("b", before="a"), entry("c", before="*")], "cba"),
        ([entry("a", "*"), entry("b"), entry("c", ["*", "a"])], "cab"),
        ([entry("a", "*"), entry("b", "*", after="c"), entry("c", "*")], "acb"),
        ([entry("a", after="*"), entry("b", after=["*", "c"]), entry("c")], "cab"),
        ([entry("a", before="*", after="*")], "a"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_listeners_run_as_added_but_for_before_and_after(entries, expected):
    assert "".join(solve("x", entries, lambda module: module)) == expected


def test_wishes_in_circles_are_an_error_that_names_who_wishes():
    circle = [entry("a", before="b"), entry("b", before="a")]
    with pytest.raises(
        ValueError, match=r"of 'x' go in circles: 'a' of a, 'b' of b; leave"
    ):
        solve("x", circle, lambda module: module)


def test_a_circle_names_functions_and_where_they_are_written(app):
    def first(request, response): ...

    def second(response, request): ...

    app.listen("request", before="*", after="*")(first)
    with pytest.raises(ValueError, match="go in circles") as raised:
        app.listen("request")(second)
    lines = [each.__code__.co_firstlineno for each in (first, second)]
    assert (
        f"first ({__file__}:{lines[0]}), "
        f"{second.__qualname__} ({__file__}:{lines[1]}); leave one out"
    ) in str(raised.value)


@pytest.mark.parametrize("wish", ["before", "after"])
@pytest.mark.parametrize("wrong", [5, [5], None])
def test_before_and_after_take_names(app, wish, wrong):
    with pytest.raises(
        TypeError, match=r"take names of extensions, or '\*': .* is not a name"
    ):
        app.listen("request", **{wish: wrong})(print)
    with pytest.raises(TypeError, match=r"go_on .* is not a name"):
        app.listen("request", **{wish: go_on})(go_on)


def go_on(request, response): ...


def test_before_and_after_are_given_by_name(app):
    with pytest.raises(TypeError, match="positional argument"):
        app.listen("request", "response")


@pytest.mark.parametrize(
    "entries",
    [
        [entry("a", before="*"), entry("b", before="a")],
        [entry("a", after="*"), entry("b", after="a")],
        [entry("a", before="*", after="b"), entry("b")],
        [entry("a", before="*", after="*"), entry("b")],
        [entry("a", "*", after="b"), entry("b", "*", after="a")],
    ],
)
def test_a_wish_about_all_others_that_a_name_contradicts_is_an_error(entries):
    with pytest.raises(ValueError, match="of 'x' go in circles: "):
        solve("x", entries, lambda module: module)


def test_all_others_are_those_of_the_application_too():
    entries = [entry("a"), entry("b", before="*"), entry("c", after="*"), entry("d")]
    assert "".join(solve("x", entries, lambda module: None)) == "badc"


def test_before_all_others_is_kept_when_another_listens_later(app):
    calls = [lambda: None for _ in range(4)]
    app.listen("mine")(calls[0])
    app.listen("mine", before="*")(calls[1])
    app.listen("mine")(calls[2])
    app.listen("mine", before="*")(calls[3])
    assert app.hooks["mine"] == (calls[1], calls[3], calls[0], calls[2])


def test_code_that_no_plugin_owns_has_no_name():
    entries = [entry("a", after="b"), entry("b")]
    assert "".join(solve("x", entries, lambda module: None)) == "ab"


def test_owners_are_not_asked_for_without_a_wish():
    assert solve("x", [entry("a")], None) == ("a",)


def test_before_puts_a_listener_before_those_of_a_plugin(app, install):
    install("roll-things", source="", name="things")

    def plugin_listener(request, response): ...

    plugin_listener.__module__ = "roll_things.inner"

    def mine(request, response): ...

    app.listen("request")(plugin_listener)
    app.listen("request", before="things")(mine)
    assert app.hooks["request"] == (mine, plugin_listener)


def test_an_order_that_fails_leaves_the_listeners_as_they_were(app, install):
    install("roll-things", source="", name="things")

    def plugin_listener(request, response): ...

    plugin_listener.__module__ = "roll_things"
    app.listen("request", before="things")(plugin_listener)
    with pytest.raises(ValueError, match="circles"):
        app.listen("request", before="things", after="things")(lambda a, b: None)
    assert app.hooks["request"] == (plugin_listener,)


# app.hook


async def test_hook_runs_listeners_of_any_name_in_the_order_registered(app):
    seen = []
    for name in "abc":
        app.listen("mine")(record(seen, name))
    assert await app.hook("mine", 1) is None
    assert seen == ["a", "b", "c"]


async def test_the_first_true_result_stops_the_chain(app):
    seen = []
    app.listen("mine")(record(seen, "a"))
    app.listen("mine")(record(seen, "b", "found"))
    app.listen("mine")(record(seen, "c"))
    assert await app.hook("mine") == "found"
    assert seen == ["a", "b"]


async def test_plain_listeners_run_in_place(app):
    seen = []
    app.listen("mine")(lambda value: seen.append(value))
    app.listen("mine")(lambda value: "found")
    app.listen("mine")(lambda value: seen.append("never"))
    outcome = app.hook("mine", value=1)
    assert seen == [1]
    assert await outcome == "found"


async def test_plain_and_coroutine_listeners_mix(app):
    seen = []
    app.listen("mine")(lambda: seen.append("plain"))
    app.listen("mine")(record(seen, "coroutine"))
    app.listen("mine")(lambda: seen.append("plain again") or "found")
    app.listen("mine")(record(seen, "never"))
    assert await app.hook("mine") == "found"
    assert seen == ["plain", "coroutine", "plain again"]


async def test_hook_without_listeners_is_none(app):
    assert await app.hook("nothing") is None


async def test_hook_may_stand_without_await(app):
    seen = []

    @app.listen("new_connection")
    async def note(connection):
        await asyncio.sleep(0)
        seen.append(connection)

    app.hook("new_connection", connection="it")
    await turns()
    assert seen == ["it"]


async def test_shutdown_waits_for_what_hook_started(app):
    seen = []

    @app.listen("mine")
    async def slow():
        await turns()
        seen.append("slow")

    @app.listen("shutdown")
    async def last():
        seen.append("shutdown")
        app.hook("mine")

    await app.startup()
    app.hook("mine")
    await app.shutdown()
    assert seen == ["slow", "shutdown", "slow"]


def test_a_plain_listener_raises_from_hook(app):
    @app.listen("mine")
    def wrong():
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        app.hook("mine")


async def test_a_coroutine_listener_raises_from_await(app):
    @app.listen("mine")
    async def wrong():
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await app.hook("mine")


async def test_an_exception_that_nobody_awaits_is_logged(app, caplog):
    @app.listen("mine")
    async def wrong():
        raise ValueError("wrong")

    app.hook("mine")
    await turns()
    gc.collect()
    assert "Task exception was never retrieved" in caplog.text
    assert "ValueError: wrong" in caplog.text


def test_a_coroutine_listener_needs_a_running_loop(app):
    @app.listen("mine")
    async def listener(): ...

    with pytest.raises(RuntimeError, match="'mine' has a coroutine listener"):
        app.hook("mine")


def test_what_only_can_be_awaited_needs_a_running_loop_too(app):
    class Awaitable:
        def __await__(self):
            yield

    app.listen("mine")(Awaitable)
    with pytest.raises(RuntimeError, match="needs a running loop"):
        app.hook("mine")


def test_plain_listeners_need_no_loop(app):
    app.listen("mine")(lambda: None)
    app.hook("mine")


async def test_a_partial_and_an_object_may_listen(app):
    class Listener:
        async def __call__(self, value):
            return value

    app.listen("mine")(functools.partial(record([], "x"), 1))
    app.listen("mine")(Listener())
    assert await app.hook("mine", 2) == 2


# The events of a request


@pytest.fixture
def order(app):
    seen = []
    for event in ("headers", "request", "response"):
        app.listen(event)(record(seen, event))

    @app.listen("error")
    async def note(request, response, error):
        seen.append(f"error {error.status.value}")

    @app.route("/")
    async def view(request, response):
        seen.append("view")

    @app.route("/boom")
    async def boom(request, response):
        raise RuntimeError("boom")

    return seen


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", ["headers", "request", "view", "response"]),
        ("HEAD", "/", ["headers", "request", "view", "response"]),
        ("GET", "/nowhere", ["headers", "request", "error 404", "response"]),
        ("PUT", "/", ["headers", "request", "error 405", "response"]),
        ("GET", "/boom", ["headers", "request", "error 500", "response"]),
        ("GET", "/%ff", ["headers", "request", "error 400", "response"]),
    ],
)
async def test_events_run_in_order_for_each_request(
    client, order, method, path, expected
):
    await client.request(path, method=method)
    assert order == expected


@pytest.mark.parametrize("event", ["headers", "request"])
@pytest.mark.parametrize("asynchronous", [True, False])
async def test_true_is_a_shortcut_to_response(client, app, event, asynchronous):
    seen = []

    def answer(request, response):
        response.status = 202
        response.body = "shortcut"
        return True

    async def answer_later(request, response):
        return answer(request, response)

    app.listen(event)(answer_later if asynchronous else answer)
    app.listen("request")(record(seen, "request"))
    app.listen("response")(record(seen, "response"))
    answer = await client.get("/nowhere")
    assert (answer.status, answer.body) == (202, b"shortcut")
    assert seen == ["response"]


@pytest.mark.parametrize("event", ["headers", "request"])
@pytest.mark.parametrize("name", ["request", "response"])
async def test_a_listener_that_returns_what_it_was_given_is_a_500_that_says_so(
    client, app, event, name, caplog
):
    def go_on(response, request):
        return {"request": request, "response": response}[name]

    app.listen(event)(go_on)
    assert (await client.get("/")).status == 500
    [message] = caplog.messages
    line = go_on.__code__.co_firstlineno
    assert f"go_on ({__file__}:{line}) returns the {name.title()}: return" in message


async def test_an_error_listener_may_return_the_response(client, app):
    app.listen("error")(lambda request, response, error: response)
    assert (await client.get("/")).status == 404


async def test_headers_run_before_the_body_is_read(client, app):
    @app.listen("headers")
    async def note(request, response):
        with pytest.raises(RuntimeError):
            _ = request.body
        request["early"] = True

    @app.route("/", methods=["POST"])
    async def view(request, response):
        response.body = f"{request['early']} {request.body.decode()}"

    assert (await client.post("/", body=b"body")).body == b"True body"


@pytest.mark.parametrize("event", ["headers", "request"])
async def test_setting_the_path_looks_the_route_up_again(client, app, event):
    @app.listen(event)
    async def rewrite(request, response):
        request.path = request.path.removeprefix("/old")

    @app.route("/{x}")
    async def view(request, response, x):
        response.body = f"{x} {request.route.vars}"

    assert (await client.get("/old/a")).body == b"a {'x': 'a'}"


@pytest.mark.parametrize("event", ["headers", "request"])
async def test_setting_the_method_looks_the_route_up_again(client, app, event):
    @app.listen(event)
    async def override(request, response):
        request.method = request.headers.get("X-Method", request.method)

    @app.route("/", methods=["DELETE"])
    async def view(request, response):
        response.body = "deleted"

    answer = await client.post("/", headers={"X-Method": "delete"})
    assert answer.body == b"deleted"


async def test_a_new_route_says_whether_the_body_is_loaded(client, app):
    @app.listen("request")
    async def rewrite(request, response):
        request.path = "/eager"

    @app.route("/lazy", methods=["POST"], lazy_body=True)
    async def lazy(request, response): ...

    @app.route("/eager", methods=["POST"])
    async def eager(request, response):
        response.body = request.body

    assert (await client.post("/lazy", body=b"body")).body == b"body"


@pytest.mark.parametrize("path", ["/nowhere", "/"])
async def test_a_request_listener_sees_the_body_of_what_will_be_refused(
    client, app, path
):
    seen = []

    @app.route("/")
    async def view(request, response): ...

    @app.listen("request")
    async def note(request, response):
        seen.append(request.body)

    await client.post(path, body=b"body")
    assert seen == [b"body"]


@pytest.mark.parametrize("event", ["headers", "request", "response"])
async def test_a_listener_that_raises_becomes_a_500(client, app, event, caplog):
    @app.listen(event)
    async def wrong(request, response):
        raise RuntimeError("secret\ntext")

    answer = await client.get("/")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert caplog.messages == [r"GET /: RuntimeError('secret\ntext')"]


@pytest.mark.parametrize("event", ["headers", "request", "response"])
async def test_a_listener_may_raise_an_http_error(client, app, event):
    @app.listen(event)
    async def refuse(request, response):
        raise HttpError(403, "Not you")

    answer = await client.get("/")
    assert (answer.status, answer.body) == (403, b"Not you")


async def test_an_error_listener_that_raises_gives_a_500(client, app, caplog):
    @app.listen("error")
    async def wrong(request, response, error):
        raise RuntimeError("in the listener")

    answer = await client.get("/nowhere")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert "in the listener" in caplog.text


@pytest.mark.parametrize("worse", [False, True])
async def test_an_answer_that_cannot_be_sent_is_told_to_listeners(
    client, app, caplog, worse
):
    seen = []

    @app.route("/")
    async def view(request, response):
        response.headers["X-Split"] = "a\r\nb"

    @app.listen("error")
    async def note(request, response, error):
        seen.append(error)
        response.json = "split"
        if worse:
            response.headers["X-Worse"] = "\n"

    answer = await client.get("/")
    assert answer.status == 500
    assert answer.body == (b"Internal Server Error" if worse else b'"split"')
    assert "X-SPLIT" not in answer.headers
    (error,) = seen
    assert isinstance(error.__context__, ValueError)


async def test_an_error_listener_may_change_the_answer(client, app):
    @app.listen("error")
    async def as_json(request, response, error):
        response.json = {"status": error.status, "message": error.message}

    answer = await client.get("/nowhere")
    assert answer.status == 404
    assert answer.json == {"status": 404, "message": "Not Found"}


async def test_the_500_of_an_exception_has_it_as_context(client, app, caplog):
    caplog.set_level(logging.CRITICAL)
    seen = []

    @app.route("/")
    async def view(request, response):
        return 1 / 0

    @app.listen("error")
    async def note(request, response, error):
        seen.append(error)

    await client.get("/")
    assert seen[0].status == 500
    assert isinstance(seen[0].__context__, ZeroDivisionError)


async def test_startup_and_shutdown_run_once(app):
    seen = []
    app.listen("startup")(record(seen, "startup"))
    app.listen("shutdown")(record(seen, "shutdown"))
    for _ in range(2):
        await app.startup()
    for _ in range(2):
        await app.shutdown()
    assert seen == ["startup", "shutdown"]


async def test_who_starts_an_app_meanwhile_waits_until_it_has_started(app):
    seen = []

    @app.listen("startup")
    async def connect():
        await turns()
        seen.append("connected")

    await asyncio.gather(app.startup(), app.startup())
    assert seen == ["connected"]
    await app.shutdown()


async def test_a_shutdown_listener_that_raises_leaves_an_app_that_can_start(app):
    seen = []
    app.listen("startup")(record(seen, "startup"))

    @app.listen("shutdown")
    async def fail():
        raise OSError("the disk is gone")

    for _ in range(2):
        await app.startup()
        with pytest.raises(OSError, match="the disk is gone"):
            await app.shutdown()
    assert seen == ["startup"] * 2


async def test_an_app_may_start_again(app):
    seen = []
    app.listen("startup")(record(seen, "startup"))
    app.listen("shutdown")(record(seen, "shutdown"))
    for _ in range(2):
        await app.startup()
        assert not app.closing.is_set()
        await app.shutdown()
    assert seen == ["startup", "shutdown"] * 2


async def test_shutdown_without_startup_does_nothing():
    seen = []
    app = Roll()
    app.listen("shutdown")(record(seen, "shutdown"))
    await app.shutdown()
    assert seen == []


async def test_a_startup_that_fails_may_be_tried_again(app):
    seen = []
    app.listen("shutdown")(record(seen, "shutdown"))

    @app.listen("startup")
    async def fail_once():
        seen.append("startup")
        if len(seen) == 1:
            raise RuntimeError("no database")

    with pytest.raises(RuntimeError, match="no database"):
        await app.startup()
    await app.shutdown()
    assert seen == ["startup", "shutdown"]
    await app.startup()
    await app.shutdown()
    assert seen == ["startup", "shutdown"] * 2


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("reqest", "request"),
        ("Response", "response"),
        ("start_up", "startup"),
        ("route_add", "route:add"),
        ("websocket-connect", "websocket_connect"),
        ("on_startup", "startup"),
        ("started", "startup"),
        ("on_shutdown", "shutdown"),
        ("before_request", "request"),
        ("after_request", "response"),
        ("exception", "error"),
        ("disconnect", "websocket_disconnect"),
    ],
)
async def test_a_start_warns_of_an_event_with_nearly_the_name_of_one(
    app, name, near, caplog
):
    app.listen(name)(print)
    app.listen("request")(lambda request, response: None)
    app.listen("order_paid")(print)
    warning = f"listen({name!r}): Roll has no such event; did you mean {near!r}?"
    assert app.find_mistakes() == [warning]
    await app.open()
    await app.close()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", warning)
    ]
