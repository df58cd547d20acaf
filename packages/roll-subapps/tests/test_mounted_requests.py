"""What a sub-app and its parent see of a request, and which of their code runs."""

import asyncio
import logging

import pytest
from roll import (
    Cookies,
    Form,
    HttpError,
    HttpProtocol,
    Limits,
    Query,
    Request,
    Response,
    Roll,
    Route,
)
from roll.extensions import cors, logger, mount, traceback
from roll_testing import connect, exchange, until

EVENTS = ("headers", "request", "error", "response", "finish")


def note(app, label, log):
    """Let each event of an app note who is told of it, and what it sees."""
    for event in EVENTS:

        @app.listen(event)
        async def listen(request, *arguments, event=event):
            assert request.app is app
            log.append(f"{label} {event} {request.path}")


async def settled(client):
    """Wait for what runs after the last byte."""
    await until(lambda: not client.app.lifecycle._tasks)


# What is seen


async def test_inside_paths_are_without_the_prefix(app, client):
    """Starlette#2400, py-shiny#1486, solara#410: for good."""
    admin = Roll()
    mount(app, "/admin", admin)

    @admin.route("/users/{id:int}")
    async def user(request, response, id):
        assert request.app is admin
        assert request.route.vars == {"id": 7}
        assert request.route.payload["GET"] is user
        assert request.endpoint.path == "/users/{id:int}"
        assert request.url == b"/admin/users/7?a=b"
        assert request.parent.app is app
        response.text = f"{request.app.root_path} {request.path} {request.query_string}"

    assert (await client.get("/admin/users/7?a=b")).body == b"/admin /users/7 a=b"


async def test_outside_the_path_is_whole_and_the_route_is_the_one_inside(app, client):
    """The pattern is whole, too, for metrics and logs (apitally-py#79)."""
    shop, admin = Roll(), Roll()
    mount(shop, "/admin", admin)
    mount(app, "/shop", shop)
    seen = []

    @admin.route("/users/{id:int}", compress=False)
    async def user(request, response, id):
        pass

    for event in EVENTS:
        for parent in (app, shop):

            @parent.listen(event)
            def see(request, *arguments, event=event, parent=parent):
                assert request.app is parent
                endpoint = request.endpoint
                seen.append((event, request.path, endpoint.path, request.route.vars))
                assert request.route.payload["compress"] is False
                assert request.route.payload["GET"] is user

    await client.get("/shop/admin/users/7")
    outside = "/shop/admin/users/7", "/shop/admin/users/{id:int}", {"id": 7}
    between = "/admin/users/7", "/admin/users/{id:int}", {"id": 7}
    assert seen == [
        ("headers", *outside),
        ("request", *outside),
        ("headers", *between),
        ("request", *between),
        ("response", *between),
        ("response", *outside),
        ("finish", *between),
        ("finish", *outside),
    ]


async def test_the_order_of_listeners(app, admin, labelled, client):
    """Outer, then inner, then outer (aiohttp#2454, #1853, sanic#37, flask#4229)."""
    log = []
    inner = labelled("inner", "/")
    mount(admin, "/inner", inner)
    for each, label in (inner, "inner"), (app, "parent"), (admin, "admin"):
        note(each, label, log)
    await client.get("/admin/inner")
    assert log == [
        "parent headers /admin/inner",
        "parent request /admin/inner",
        "admin headers /inner",
        "admin request /inner",
        "inner headers /",
        "inner request /",
        "inner response /",
        "admin response /inner",
        "parent response /admin/inner",
        "inner finish /",
        "admin finish /inner",
        "parent finish /admin/inner",
    ]
    log.clear()
    await client.get("/")
    assert {line.split()[0] for line in log} == {"parent"}


async def test_the_finish_of_a_sub_app_ends_before_that_of_its_parent(
    app, admin, client
):
    log = []

    @admin.listen("finish")
    async def first(request, response):
        await asyncio.sleep(0)
        log.append(("admin", response.complete))

    @app.listen("finish")
    def second(request, response):
        log.append(("parent", response.complete))

    await client.get("/admin")
    await until(lambda: len(log) == 2)
    assert log == [("admin", True), ("parent", True)]


async def test_a_listener_of_the_sub_app_alone_hears_of_the_finish(admin, client):
    ended = []
    admin.listen("finish")(lambda request, response: ended.append(request.path))
    await client.get("/")
    await client.get("/admin/users")
    assert ended == ["/users"]


@pytest.mark.parametrize("event", ["headers", "request"])
async def test_a_parent_that_answers_keeps_the_sub_app_out(app, admin, client, event):
    log = []
    note(admin, "admin", log)

    @app.listen(event)
    async def answer(request, response):
        response.body = "no entrance"
        return True

    assert (await client.get("/admin/users")).body == b"no entrance"
    assert log == []


async def test_the_dict_of_the_request_is_copied(app, client):
    admin = Roll()
    mount(app, "/admin", admin)
    user = {"name": "Ada"}

    @app.listen("request")
    async def authenticate(request, response):
        request["user"] = user

    @admin.route("/")
    async def view(request, response):
        assert request["user"] is user
        request["inner"] = request["user"] = 1
        response.body = "view"

    @app.listen("response")
    async def look(request, response):
        assert dict(request) == {"user": user}

    assert (await client.get("/admin")).status == 200


# Errors


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/admin/nowhere", {}, 404),  # flask#1498, #503
        ("/admin/users", {"method": "POST"}, 405),
        ("/admin/broken", {}, 500),
        ("/admin/forbidden", {}, 403),
        ("/admin/ws", {}, 426),
        (
            "/admin/users",
            {"headers": {"Upgrade": "websocket", "Connection": "Upgrade"}},
            501,
        ),
    ],
)
async def test_an_error_below_the_prefix_is_that_of_the_sub_app(
    app, admin, client, caplog, path, options, status
):
    """The parent's `response` listeners see the status (starlette#607)."""
    told, seen = [], []

    @admin.route("/broken")
    async def broken(request, response):
        raise ValueError("broken")

    @admin.route("/forbidden")
    async def forbidden(request, response):
        raise HttpError(403)

    @admin.route("/ws", protocol="websocket")
    async def ws(request, ws):
        pass

    @admin.listen("error")
    async def show_own_page(request, response, error):
        told.append((request.app is admin, int(error.status)))
        response.html = "<h1>Sorry</h1>"

    @app.listen("error")
    async def never(request, response, error):
        raise AssertionError

    @app.listen("response")
    async def see(request, response):
        seen.append((request.app is app, int(response.status)))

    response = await client.request(path, **options)
    assert (int(response.status), response.body) == (status, b"<h1>Sorry</h1>")
    assert (told, seen) == ([(True, status)], [(True, status)])
    if status == 405:
        assert response.headers["Allow"] == "GET, HEAD"
    if status == 426:
        assert response.headers["Upgrade"] == "websocket"
    logged = [record.getMessage().partition("\n")[0] for record in caplog.records]
    assert logged == ["GET /admin/broken: ValueError('broken')"] * (status == 500)


async def test_the_guard_of_an_app_without_routes_runs_before_a_404(app, client):
    """flask#4068."""
    outer, inner = Roll(), Roll()
    mount(outer, "/inner", inner)
    mount(app, "/outer", outer)

    @outer.listen("request")
    async def guard(request, response):
        raise HttpError(401)

    for path in ("/outer", "/outer/x", "/outer/inner", "/outer/inner/x"):
        assert (await client.get(path)).status == 401


async def test_a_response_that_cannot_be_sent_is_an_error_of_the_sub_app(
    app, client, caplog
):
    told = []
    admin = Roll()
    mount(app, "/admin", admin)
    admin.listen("error")(lambda request, response, error: told.append(request.path))
    app.listen("error")(lambda request, response, error: told.append("parent"))

    @admin.route("/split")
    async def split(request, response):
        response.headers["X"] = "a\r\nb"

    assert (await client.get("/admin/split")).status == 500
    assert told == ["/split"]


async def test_what_a_listener_of_the_parent_raises_is_the_parents(app, admin, client):
    told = []
    app.listen("error")(lambda request, response, error: told.append(request.path))

    @app.listen("response")
    async def fail(request, response):
        raise HttpError(418)

    response = await client.get("/admin/users")
    assert (response.status, told) == (418, ["/admin/users"])


async def test_a_look_up_that_raises_is_a_500_of_the_sub_app(app, client, caplog):
    class Broken(Roll):
        class Routes(Roll.Routes):
            def match(self, path):
                raise ValueError(path)

    told = []
    admin = Broken()
    mount(app, "/admin", admin)
    admin.listen("error")(lambda request, response, error: told.append(request.path))
    assert (await client.get("/admin/x")).status == 500
    assert told == ["/x"]
    assert "ValueError('/x')" in caplog.text


# Classes and limits


def subclass(base, **attributes):
    return type(base.__name__, (base,), {"__slots__": (), **attributes})


async def test_the_classes_of_a_sub_app_are_its_own(app, client):
    class Admin(Roll):
        Query = subclass(Query)
        Form = subclass(Form)
        Cookies = subclass(Cookies)
        Request = subclass(Request)
        Response = subclass(Response)
        Route = subclass(Route)
        HttpProtocol = subclass(HttpProtocol)
        server_header = "inner"

    admin = Admin()
    mount(app, "/admin", admin)
    responses = []

    @app.listen("request")
    async def prepare(request, response):
        assert type(request.query) is Query
        response.status = 202
        response.headers["X"] = "parent"
        response.cookies.set("a", "b")
        responses.append(response)

    @admin.route("/", methods=["POST"])
    async def view(request, response):
        for name in ("Query", "Form", "Cookies", "Route"):
            assert type(getattr(request, name.lower())) is getattr(Admin, name)
        assert (type(request), type(response)) == (Admin.Request, Admin.Response)
        assert request.protocol.response is response
        assert request.protocol.request is request
        assert type(request.protocol) is HttpProtocol
        response.json = request.form.get("a")
        responses.append(response)

    @app.listen("response")
    async def see(request, response):
        assert type(request) is Request
        response.headers["Y"] = "parent"
        responses.append(response)

    @app.listen("finish")
    def end(request, response):
        responses.append(response)

    response = await client.post("/admin", form={"a": "b"})
    assert (response.status, response.json) == (202, "b")
    assert (response.headers["X"], response.headers["Y"]) == ("parent", "parent")
    assert response.cookies["a"] == "b"
    first, *others = responses
    assert len(others) == 3
    assert len({*map(id, others)}) == 1
    assert first is not others[0]
    assert others[0].complete


async def test_without_a_class_of_its_own_it_is_the_same_response(app, admin, client):
    responses = []
    for event in ("headers", "response", "finish"):
        app.listen(event)(lambda request, response: responses.append(response))
    await client.get("/admin")
    assert len(responses) == 3
    assert len({*map(id, responses)}) == 1


async def test_the_limits_of_the_body_are_those_of_the_sub_app(app, client):
    class Admin(Roll):
        limits = Limits(body=10, query=2, form=1)

    admin = Admin()
    mount(app, "/admin", admin)

    async def view(request, response):
        response.json = [len(request.query), len(request.form), len(request.body)]

    admin.route("/", methods=["POST"])(view)
    admin.route("/wide", methods=["POST"], limits=Limits(body=100))(view)
    admin.route("/lazy", methods=["POST"], lazy_body=True)(lazy_view)
    app.route("/", methods=["POST"])(view)
    app.listen("request")(lambda request, response: None)
    for path, body, query, status in [
        ("/admin", b"0123456789", "a=b", 200),
        ("/admin", b"0123456789a", "", 413),
        ("/admin", b"", "a=b&c=d&e=f", 400),
        ("/admin/nowhere", b"0123456789a", "", 413),
        ("/admin/wide", b"0123456789a", "", 200),
        ("/admin/lazy", b"0123456789a", "", 200),
        ("/admin/lazy", b"0123456789a", "load=1", 413),
        ("/", b"0123456789a", "a=b&c=d&e=f", 200),
    ]:
        response = await client.post(f"{path}?{query}", body)
        assert response.status == status, (path, body, query)
    form = await client.post("/admin", form={"a": "1", "b": "2"})
    assert form.status == 413


async def lazy_view(request, response):
    if "load" in request.query:
        await request.load_body()
    response.body = str(sum([len(piece) async for piece in request]))


# The body, streams, time


async def test_a_lazy_view_reads_the_body_itself(app, client):
    admin = Roll()
    mount(app, "/admin", admin)

    @admin.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        with pytest.raises(RuntimeError, match="is not loaded"):
            _ = request.body
        pieces = [piece async for piece in request]
        response.body = b"".join(pieces)

    head = b"POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
    found = await exchange(app, [head + b"\r\nab", b"cd"])
    assert found.data.endswith(b"\r\n\r\nabcd")
    expects = head + b"Expect: 100-continue\r\n\r\n"
    found = await exchange(app, [expects, b"abcd"])
    assert found.data.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_a_lazy_view_may_refuse_before_the_upload(app, client):
    admin = Roll()
    mount(app, "/admin", admin)

    @admin.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        raise HttpError(403)

    head = b"POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
    found = await exchange(app, head + b"Expect: 100-continue\r\n\r\n")
    assert found.data.startswith(b"HTTP/1.1 403 Forbidden\r\n")


async def test_a_lazy_route_is_lazy_beside_an_offer_that_is_ignored(app, client):
    """curl offers h2c with uploads: their bodies are not loaded for the parent."""
    admin = Roll()
    mount(app, "/admin", admin)
    admin.route("/", methods=["POST"], lazy_body=True)(lazy_view)
    app.listen("request")(lambda request, response: None)
    fields = {"Upgrade": "h2c", "Connection": "Upgrade"}
    response = await client.post("/admin", b"a" * 2**21, headers=fields)
    assert response.body == b"2097152"


async def test_what_the_parent_has_streamed_of_a_form_is_not_lost(app, client):
    admin = Roll()
    mount(app, "/admin", admin)

    @app.listen("request")
    async def load(request, response):
        await request.load_form()

    @admin.route("/", methods=["POST"], lazy_body=True)
    async def view(request, response):
        response.json = [request.form.get("a"), request.files.get("f").filename]

    files = {"f": (b"content", "f.txt", "text/plain")}
    response = await client.post("/admin", form={"a": "b"}, files=files)
    assert response.json == ["b", "f.txt"]


async def test_what_listeners_of_the_parent_set_is_seen_inside(app, client):
    admin = Roll()
    mount(app, "/admin", admin)

    @app.listen("headers")
    async def override(request, response):
        request.method = "delete"
        request.remote_addr = "192.0.2.1"
        request.scheme = "https"
        request.host = "example.org"
        request.query_string = "c=d"
        request.headers["X"] = "set"

    @admin.route("/", methods=["DELETE"])
    async def view(request, response):
        assert (request.method, request.sent_method) == ("DELETE", "GET")
        assert (request.remote_addr, request.scheme) == ("192.0.2.1", "https")
        assert (request.host, request.headers["X"]) == ("example.org", "set")
        response.text = request.query_string

    assert (await client.get("/admin?a=b")).body == b"c=d"


async def test_a_listener_may_lead_into_a_sub_app(app, admin, client):
    @app.listen("request")
    async def rewrite(request, response):
        request.path = "/admin/users"

    assert (await client.get("/")).body == b"admin /users"


async def test_a_stream_runs_in_the_sub_app(app, client):
    admin = Roll()
    mount(app, "/admin", admin)

    @admin.route("/")
    async def view(request, response):
        async def pieces():
            for _ in range(2):
                yield f"{request.app is admin} {request.path} "

        response.body = pieces()

    @app.listen("response")
    async def see(request, response):
        response.headers["X"] = request.path

    response = await client.get("/admin")
    assert (response.body, response.headers["X"]) == (b"True / True / ", "/admin")


async def test_extras_about_time_hold(app, client):
    admin = Roll()
    mount(app, "/admin", admin)

    @admin.route("/", timeout=0.01)
    async def slow(request, response):
        await asyncio.Event().wait()

    assert (await client.get("/admin")).status == 503


@pytest.mark.parametrize("rule", ["cancel", "finish"])
@pytest.mark.parametrize("own", [False, True])
async def test_a_client_that_leaves(app, labelled, rule, own):
    """The view is cancelled, or ends; both hear of the finish, once."""

    class Admin(Roll):
        Response = subclass(Response) if own else Response

    admin, log, gate = Admin(), [], asyncio.Event()
    mount(app, "/admin", admin)
    note(admin, "admin", log)
    note(app, "parent", log)

    async def pieces():
        yield b"never sent"

    body = pieces()

    @admin.route("/", on_disconnect=rule)
    async def view(request, response):
        response.body = body
        log.append("view")
        try:
            await gate.wait()
        finally:
            log.append("left" if gate.is_set() else "cancelled")

    transport = connect(app)
    transport.feed(b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: "view" in log)
    transport.disconnect()
    if rule == "finish":
        await asyncio.sleep(0)
        gate.set()
    await until(lambda: "parent finish /admin" in log)
    await until(lambda: body.ag_frame is None)  # it is closed
    start = log.index("view")
    ending = {
        "cancel": ["cancelled"],
        "finish": ["left", "admin response /", "parent response /admin"],
    }
    assert log[start:] == [
        "view",
        *ending[rule],
        "admin finish /",
        "parent finish /admin",
    ]


# WebSockets


async def test_a_websocket_belongs_to_the_sub_app(app, client):
    shop, admin, log = Roll(), Roll(), []
    mount(shop, "/admin", admin)
    mount(app, "/shop", shop)
    for each, label in (app, "parent"), (shop, "shop"), (admin, "admin"):
        for event in ("websocket_connect", "websocket_disconnect"):

            @each.listen(event)
            async def listen(request, ws, event=event, each=each, label=label):
                assert request.app is each
                log.append(f"{label} {event} {request.path}")

        @each.listen("finish")
        def finish(request, response, label=label):
            log.append(f"{label} finish {request.path}")

    @admin.route("/{room}", protocol="websocket")
    async def view(request, ws, room):
        assert request is ws.request
        async for message in ws:
            await ws.send(f"{ws.request.app is admin} {room} {message}")

    async with client.websocket("/shop/admin/lobby") as ws:
        await ws.send("hello")
        assert await ws.recv() == "True lobby hello"
        assert len(app.connections) == 1
        assert not admin.connections
    paths = {"admin": "/lobby", "shop": "/admin/lobby", "parent": "/shop/admin/lobby"}
    await until(lambda: len(log) == 9)
    assert log == [
        f"{label} {event} {path}"
        for event in ("finish", "websocket_connect", "websocket_disconnect")
        for label, path in paths.items()
    ]


async def test_a_websocket_is_of_the_class_of_the_sub_app(app, client):
    class Admin(Roll):
        WebsocketProtocol = subclass(Roll.WebsocketProtocol, MAX_SIZE=5)
        limits = Limits(write_timeout=1)

    admin = Admin()
    mount(app, "/admin", admin)

    @admin.route("/", protocol="websocket")
    async def view(request, ws):
        await ws.send(f"{type(ws) is Admin.WebsocketProtocol} {ws._app is app}")

    async with client.websocket("/admin") as ws:
        assert await ws.recv() == "True True"


# Extensions


async def test_two_loggers_write_two_lines(app, admin, client, caplog):
    caplog.set_level(logging.INFO, "roll")
    logger(app, handler=None)
    logger(admin, handler=None)
    await client.get("/admin/users?a=b")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["GET /admin/users?a=b"] * 2


@pytest.mark.parametrize("format", ["short", "json"])
async def test_a_logger_of_the_parent_tells_the_whole_path(
    app, admin, client, caplog, format
):
    caplog.set_level(logging.INFO, "roll")
    logger(app, handler=None, format=format)
    await client.get("/admin/users/7?a=b")
    (line,) = [record.getMessage() for record in caplog.records]
    if format == "short":
        assert line == "GET /admin/users/7?a=b"
    else:
        assert '"url":"/admin/users/7?a=b"' in line.replace(": ", ":")
        assert '"route":"/admin/users/{id:int}"' in line.replace(": ", ":")


async def test_an_extension_of_each_app_acts_for_its_own(app, admin, client):
    """No key is looked up in the parent (aiohttp-jinja2#193, aiohttp-cors#219)."""
    cors(admin, origin="https://admin.example")
    app["key"] = "parent"
    assert "key" not in admin
    inside, outside = await client.get("/admin"), await client.get("/")
    assert inside.headers["Access-Control-Allow-Origin"] == "https://admin.example"
    assert "Access-Control-Allow-Origin" not in outside.headers
    cors(app, origin="https://a.example")
    assert (await client.get("/")).headers["Access-Control-Allow-Origin"] == (
        "https://a.example"
    )


async def test_an_extra_inside_holds_for_an_extension_of_the_parent(app, client):
    admin = Roll()
    mount(app, "/admin", admin)
    cors(app)

    @admin.route("/private", cors=False)
    async def private(request, response):
        pass

    @admin.route("/open")
    async def open_view(request, response):
        pass

    assert (
        "Access-Control-Allow-Origin"
        not in (await client.get("/admin/private")).headers
    )
    assert (await client.get("/admin/open")).headers[
        "Access-Control-Allow-Origin"
    ] == "*"


async def test_a_traceback_of_each(app, client, capfd):
    admin = Roll()
    mount(app, "/admin", admin)
    traceback(app)
    traceback(admin)

    @admin.route("/")
    async def broken(request, response):
        raise ValueError("broken")

    assert (await client.get("/admin")).status == 500
    assert capfd.readouterr().err.count("ValueError: broken") == 1
