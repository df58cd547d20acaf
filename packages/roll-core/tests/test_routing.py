"""Routes, class views, RouteTable and what `request.route` shows (SPEC 2 and 3)."""

import functools
import re
import types

import pytest
from roll import HTTP_METHODS, Endpoint, HttpError, Limits, Roll, Routes, RouteTable
from roll.routing import PathPart, split_path
from roll.routing.endpoints import handlers
from roll.routing.table import caller


async def view(request, response, **variables):
    response.json = variables


# Declaring


def test_route_returns_the_view_unchanged(app):
    assert app.route("/")(view) is view


def test_a_route_is_for_get_by_default(app):
    app.route("/")(view)
    assert app.declarations[0].methods == ("GET",)


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (["POST"], ("POST",)),
        (["post", "put"], ("POST", "PUT")),
        ("DELETE", ("DELETE",)),
        ("*", HTTP_METHODS),
        (["GET", "GET"], ("GET",)),
    ],
)
def test_methods_take_a_list_a_name_or_a_star(app, methods, expected):
    app.route("/", methods=methods)(view)
    assert app.declarations[0].methods == expected


def test_no_methods_at_all_is_an_error(app):
    with pytest.raises(ValueError, match="name at least one"):
        app.route("/", methods=[])(view)


def test_a_declaration_says_what_was_declared_and_where(app):
    line = caller(1).rpartition(":")[2]
    app.route("/x", methods=["PUT"], name="put")(view)
    declaration = app.declarations[0]
    assert declaration[:4] == ("/x", ("PUT",), view, {"name": "put"})
    path, _, found = declaration.where.rpartition(":")
    assert path == __file__
    assert int(found) == int(line) + 1


def test_two_decorations_of_one_view_work(app):
    @app.route("/one")
    @app.route("/two")
    async def both(request, response): ...

    assert [found.path for found in app.declarations] == ["/two", "/one"]


def test_a_second_view_for_a_path_and_method_names_both_places(app):
    app.route("/x")(view)
    with pytest.raises(
        ValueError, match=r"GET /x is declared twice: at .+:\d+ and at .+:\d+"
    ):
        app.route("/x")(view)


def test_a_path_without_a_slash_is_an_error(app):
    with pytest.raises(ValueError, match="'hello' is not a path: start it"):
        app.route("hello")(view)


def test_a_malformed_pattern_is_an_error(app):
    with pytest.raises(ValueError, match=re.escape("'/{x' does not close a brace")):
        app.route("/{x")(view)


def test_limits_of_a_route_are_limits(app):
    with pytest.raises(TypeError, match=r"/x: limits=12: give a roll\.Limits"):
        app.route("/x", limits=12)(view)
    app.route("/x", limits=Limits(body=12))(view)


@pytest.mark.parametrize("wrong", [12, None, "view"])
def test_what_cannot_be_called_is_no_view(app, wrong):
    with pytest.raises(TypeError, match="is not a view: it cannot be called"):
        app.route("/")(wrong)


def test_a_view_takes_a_request_and_a_response(app):
    async def lonely(request): ...

    with pytest.raises(TypeError, match=r"takes \(request\); a view takes"):
        app.route("/")(lonely)


def test_a_view_that_yields_is_an_error(app):
    async def view(request, response):
        yield b"piece"

    place = f"{view.__qualname__} ({__file__}:{view.__code__.co_firstlineno})"
    problem = f"{place} is not a view: it yields; set response.body instead"
    with pytest.raises(TypeError, match=re.escape(problem)):
        app.route("/")(view)


def test_a_view_takes_the_variables_of_its_route(app):
    async def view(request, response, title): ...

    with pytest.raises(TypeError, match=r"its route gives \(request, response, name\)"):
        app.route("/{name}")(view)


@pytest.mark.parametrize(
    ("path", "given", "problem"),
    [
        (
            "/",
            "(request, response)",
            "'page'; for a query, use request.query.int('page')",
        ),
        (
            "/{page}",
            "(request, response, page)",
            "'name'; for a query, use request.query.get('name')",
        ),
    ],
)
def test_a_query_is_no_argument_of_a_view(app, path, given, problem):
    async def view(request, response, page: int, *others, name): ...

    with pytest.raises(TypeError) as raised:
        app.route(path)(view)
    message = str(raised.value)
    assert f"; its route gives {given}: missing a required " in message
    assert message.endswith(problem)


def test_a_variable_of_another_name_is_no_query(app):
    async def view(request, response, title): ...

    async def other(request, response): ...

    with pytest.raises(TypeError, match=r"'title'\nThe route is declared"):
        app.route("/{name}")(view)

    async def positional(request, response, name, /): ...

    with pytest.raises(TypeError, match=r"'name'\nThe route is declared"):
        app.route("/{name}")(other)
    with pytest.raises(TypeError) as raised:
        app.route("/{name}")(positional)
    assert "request.query" not in str(raised.value)


def test_a_decorator_may_take_a_variable_for_itself(app):
    async def inner(request, response, user): ...

    @functools.wraps(inner)
    async def view(request, response, user_id): ...

    app.route("/{user_id}")(view)


def test_a_builtin_is_not_asked_what_it_takes(app):
    app.route("/{name}")(max)


def test_a_method_that_nobody_can_send_is_an_error(app):
    with pytest.raises(ValueError, match="'BREW' is not a method that can be served"):
        app.route("/", methods=["BREW"])(view)
    app.route("/", methods=["PROPFIND"])(view)


def test_a_prefix_does_not_end_with_a_slash(app):
    with pytest.raises(ValueError, match="leave the slash at its end out"):
        app.include(RouteTable(), "/things/")


def test_a_callable_that_hides_its_signature_may_be_a_view():
    assert handlers(max, None) == {"GET": max}


def test_route_add_tells_listeners_the_path_the_view_and_the_extras(app):
    seen = []

    @app.listen("route:add")
    def note(path, view, **extras):
        seen.append((path, view, extras))

    app.route("/x", methods=["POST"], name="x")(view)
    assert seen == [("/x", view, {"name": "x"})]


def test_the_first_true_result_of_route_add_stops_the_chain(app):
    seen = []

    @app.listen("route:add")
    def first(path, view, **extras):
        return True

    @app.listen("route:add")
    def second(path, view, **extras):
        seen.append(path)

    app.route("/x")(view)
    assert seen == []


# Class views


async def test_a_class_view_answers_by_its_functions(client, app):
    @app.route("/")
    class View:
        async def on_get(self, request, response):
            response.body = "got"

        async def on_post(self, request, response):
            response.body = "posted"

    assert (await client.get("/")).body == b"got"
    assert (await client.post("/")).body == b"posted"
    answer = await client.put("/")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST"


async def test_a_class_view_is_made_once(client, app):
    @app.route("/")
    class Counter:
        def __init__(self):
            self.count = 0

        async def on_get(self, request, response):
            self.count += 1
            response.body = self.count

    await client.get("/")
    assert (await client.get("/")).body == b"2"


def test_methods_with_a_class_are_an_attribute_error(app):
    class View:
        async def on_get(self, request, response): ...

    with pytest.raises(AttributeError, match="leave out methods="):
        app.route("/", methods=["GET"])(View)


def test_a_class_without_on_functions_is_a_value_error(app):
    class View:
        async def get(self, request, response): ...

    with pytest.raises(ValueError, match="has no on_get"):
        app.route("/")(View)


def test_the_functions_of_a_class_take_a_request_and_a_response(app):
    class View:
        async def on_get(self): ...

    with pytest.raises(TypeError, match="a view takes"):
        app.route("/")(View)


# Answering


async def test_placeholders_are_arguments_of_the_view(client, app):
    @app.route("/{one}/and/{two}")
    async def pair(request, response, one, two):
        response.body = f"{one} {two}"

    assert (await client.get("/a/and/b")).body == b"a b"


async def test_the_first_two_arguments_may_have_any_name(client, app):
    @app.route("/{name}")
    async def hello(req, resp, name):
        resp.body = name

    assert (await client.get("/joe")).body == b"joe"


@pytest.mark.parametrize("extras", [{}, {"timeout": 60}])
async def test_arguments_named_in_the_other_order_are_given_by_name(
    client, app, extras
):
    @app.route("/{name}", **extras)
    async def hello(response, request, name):
        response.body = f"{request.path} {name}"

    @app.route("/class/{name}", **extras)
    class Hello:
        async def on_get(self, response, request, name):
            response.body = f"{request.path} {name}"

    assert (await client.get("/joe")).body == b"/joe joe"
    assert (await client.get("/class/joe")).body == b"/class/joe joe"


async def test_a_decorator_may_stand_between_route_and_view(client, app):
    def shout(view):
        @functools.wraps(view)
        async def wrapper(request, response, *args, **kwargs):
            await view(request, response, *args, **kwargs)
            response.body = response.body.upper()

        return wrapper

    @app.route("/{name}")
    @shout
    async def hello(request, response, name):
        response.body = name

    assert (await client.get("/joe")).body == b"JOE"


async def test_head_answers_from_a_get_view_without_a_body(client, app):
    @app.route("/")
    async def hello(request, response):
        response.headers["X-Method"] = request.method
        response.body = "hello"

    answer = await client.head("/")
    assert answer.status == 200
    assert answer.headers["X-Method"] == "HEAD"
    assert answer.headers["Content-Length"] == "5"
    assert answer.body == b""


async def test_a_view_may_answer_head_otherwise(client, app):
    app.route("/")(view)

    @app.route("/", methods=["HEAD"])
    async def head(request, response):
        response.status = 204

    assert (await client.head("/")).status == 204


async def test_an_unknown_path_is_404(client, app):
    answer = await client.get("/nowhere")
    assert answer.status == 404
    assert answer.body == b"Not Found"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_wrong_method_is_405_with_allow(client, app):
    app.route("/", methods=["POST", "DELETE"])(view)
    answer = await client.get("/")
    assert answer.status == 405
    assert answer.headers["Allow"] == "DELETE, POST"
    assert answer.body == b"Method Not Allowed"


async def test_the_same_path_may_be_declared_with_other_methods(client, app):
    @app.route("/", methods=["GET"])
    async def read(request, response):
        response.body = "read"

    @app.route("/", methods=["PUT"])
    async def write(request, response):
        response.body = "written"

    assert (await client.get("/")).body == b"read"
    assert (await client.put("/")).body == b"written"


# request.route


@pytest.fixture
def routes_seen(app):
    seen = []

    @app.listen("request")
    async def note(request, response):
        seen.append(request.route)

    return seen


async def test_the_payload_has_the_extras_of_the_declaration_that_matches(
    client, app, routes_seen
):
    async def post(request, response, **variables): ...

    app.route("/{x}", tag="read", shared=1)(view)
    app.route("/{x}", methods=["POST"], tag="write")(post)
    await client.get("/1")
    await client.head("/2")
    await client.post("/3")
    await client.put("/4")
    await client.get("/no/where")
    views = {"GET": view, "POST": post}
    assert routes_seen == [
        ({**views, "tag": "read", "shared": 1}, {"x": "1"}),
        ({**views, "tag": "read", "shared": 1}, {"x": "2"}),
        ({**views, "tag": "write"}, {"x": "3"}),
        (views, {"x": "4"}),
        (None, {}),
    ]
    assert routes_seen[0].payload["tag"] == "read"
    assert routes_seen[0].vars == {"x": "1"}


# RouteTable


async def test_a_table_of_routes_is_included_behind_a_prefix(client, app):
    table = RouteTable()

    @table.get("/{name}", tag="x")
    async def read(request, response, name):
        response.body = f"read {name} {request.route.payload['tag']}"

    @table.route("/{name}", methods=["POST"])
    async def write(request, response, name):
        response.body = f"written {name}"

    app.include(table, prefix="/things")
    assert (await client.get("/things/a")).body == b"read a x"
    assert (await client.post("/things/b")).body == b"written b"
    assert [found.where.rpartition(":")[0] for found in app.declarations] == [
        __file__,
        __file__,
    ]


@pytest.mark.parametrize(
    "method", ["get", "head", "post", "put", "patch", "delete", "options"]
)
def test_a_table_has_a_decorator_for_each_method(app, method):
    table = RouteTable()
    assert getattr(table, method)("/", lazy_body=True)(view) is view
    app.include(table)
    assert app.declarations[0][:3] == ("/", (method.upper(),), view)


@pytest.mark.parametrize("name", ["route", "get"])
def test_a_route_that_a_table_gets_once_it_is_included_is_an_error(app, name):
    table = RouteTable()
    declare = getattr(table, name)
    declare("/a")(view)
    late = declare("/b")
    app.include(table)
    with pytest.raises(RuntimeError, match=r"'/b' is declared after app\.include"):
        late(view)
    assert [draft.path for draft, _ in table.declared] == ["/a"]


@pytest.mark.parametrize("wrong", [Roll(), view, None])
def test_only_a_table_is_included(app, wrong):
    with pytest.raises(TypeError, match=r"^include\(.*\): give a RouteTable$"):
        app.include(wrong)


def test_a_table_may_be_included_twice(app):
    table = RouteTable()
    table.get("/")(view)
    app.include(table, "/a")
    app.include(table, "/b")
    assert list(app.routes) == ["/a/", "/b/"]


# Routes


def test_match_gives_the_payload_and_the_variables():
    routes = Routes()
    routes.add("/hello/{name}", GET=view)
    routes.add("/hello/{name}", POST=view)
    assert routes.match("/hello/joe") == ({"GET": view, "POST": view}, {"name": "joe"})


def test_match_without_a_route_gives_none_and_no_variables():
    assert Routes().match("/nowhere") == (None, {})


def test_iterating_gives_the_patterns():
    routes = Routes()
    for path in ("/a", "/b/{x}", "/a"):
        routes.add(path, GET=view)
    assert list(routes) == ["/a", "/b/{x}"]


async def test_another_matcher_needs_only_add_and_match(client, app):
    class Exact:
        def __init__(self):
            self.known = {}

        def add(self, path, **payload):
            self.known.setdefault(path, {}).update(payload)

        def match(self, path):
            return self.known.get(path), None

    class App(Roll):
        Routes = Exact

    other = App()
    other.route("/{x}")(view)
    other.route("/x", methods=["POST"])(view)
    client.app = other
    assert (await client.get("/{x}")).body == b"{}"
    assert (await client.get("/x")).status == 405
    assert (await client.get("/y")).status == 404


async def test_the_kind_of_route_may_be_overridden(client, app):
    class Shown(tuple):
        def __new__(cls, payload, variables):
            return super().__new__(cls, (payload, variables))

    class App(Roll):
        Route = Shown

    other = App()

    @other.route("/{x}")
    async def show(request, response, x):
        response.body = type(request.route).__name__

    client.app = other
    assert (await client.get("/1")).body == b"Shown"


# The grammar of paths


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/", [("/", None, "")]),
        ("/a/b/", [("/a/b/", None, "")]),
        ("/{x}", [("/", "x", ""), ("", None, "")]),
        ("/{x:}", [("/", "x", ""), ("", None, "")]),
        ("/a{x:int}.b", [("/a", "x", "int"), (".b", None, "")]),
        ("/{x}{y}/", [("/", "x", ""), ("", "y", ""), ("/", None, "")]),
        ("/{x:a:b}", [("/", "x", "a:b"), ("", None, "")]),
        ("/<a/b>", [("/<a/b>", None, "")]),
        ("/100%/{x}", [("/100%/", "x", ""), ("", None, "")]),
        ("/{x:(?P<y>b)}", [("/", "x", "(?P<y>b)"), ("", None, "")]),
        ("/{x:[^/]{2}}b", [("/", "x", "[^/]{2}"), ("b", None, "")]),
        (r"/{x:\}+}/c", [("/", "x", r"\}+"), ("/c", None, "")]),
        (r"/{x:\{\\}", [("/", "x", r"\{\\"), ("", None, "")]),
    ],
)
def test_a_path_is_split_into_its_parts(path, parts):
    found = split_path(path)
    assert found == parts
    assert all(type(part) is PathPart for part in found)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "is not a path"),
        ("a/b", "start it with a slash"),
        ("/{x", "does not close a brace"),
        (r"/{x:\}", "does not close a brace"),
        ("/{x:{}", "does not close a brace"),
        ("/x}", "closes a brace that is not open"),
        ("/{x}}", "closes a brace that is not open"),
        ("/<id>/b", "'/<id>/b': write '{id}' instead of '<id>'"),
        ("/{x}/<int:id>", "write '{id:int}' instead of '<int:id>'"),
        ("/x?y=1", "a path has no query; a view reads it from request.query"),
        ("/{x}/#y", "a path has no fragment"),
        ("/a%20b", "write what is percent-encoded as the text that it means"),
    ],
)
def test_a_path_that_cannot_be_split_says_why(path, problem):
    with pytest.raises(ValueError, match=problem):
        split_path(path)


# Invalid views


async def give_text(request, response):
    return "Hello"


async def hand_coroutine_on(request, response):
    return give_text(request, response)


async def give_response(request, response):
    return response


async def give_error(request, response):
    return HttpError(404)


class GiveDict:
    async def on_get(self, request, response):
        return {}


def write_plainly(request, response):
    response.body = "Hello"


@pytest.mark.parametrize("extras", [{}, {"timeout": 60}])
@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            give_text,
            "view give_text ({where}) returns a value of type str: "
            "set response.text or response.json instead",
        ),
        (
            GiveDict,
            "view GiveDict.on_get ({where}) returns a value of type dict: "
            "set response.text or response.json instead",
        ),
        (
            give_response,
            "view give_response ({where}) returns a value of type Response: "
            "set response.text or response.json instead, and return nothing",
        ),
        (
            give_error,
            "view give_error ({where}) returns a value of type HttpError: raise it "
            "instead",
        ),
        (
            hand_coroutine_on,
            "view hand_coroutine_on ({where}) returns a coroutine: await it first",
        ),
        (
            write_plainly,
            "view write_plainly ({where}) is not a coroutine function: write async "
            "def, or await asyncio.to_thread(...) in one that is",
        ),
    ],
)
async def test_a_view_that_returns_something_or_is_plain_is_a_500_that_says_so(
    client, app, caplog, wrong, problem, extras
):
    app.route("/", **extras)(wrong)
    answer = await client.get("/")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    [message] = caplog.messages
    assert problem.format(where=app.declarations[0].where) in message


@pytest.mark.parametrize("extras", [{}, {"methods": ["GET", "POST"]}])
async def test_a_start_warns_of_a_view_that_is_plain(app, caplog, extras):
    def write_or_not(request, response):
        if request.query:
            return None
        response.body = "Hello"

    def chosen(request, response):
        return request.query or None

    def deferred(request, response):
        return view(request, response)

    def refuse(request, response):
        raise HttpError(404)

    @types.coroutine
    def yielding(request, response):
        yield

    @functools.wraps(view)
    def wrapping(request, response): ...

    class View:
        def on_get(self, request, response):
            response.body = "Hello"

        async def on_post(self, request, response): ...

    class Call:
        async def __call__(self, request, response): ...

    app.route("/mistake", **extras)(write_or_not)
    app.route("/class")(View)
    partial = functools.partial(write_plainly)
    for good in (chosen, deferred, refuse, yielding, wrapping, Call(), partial, view):
        app.route(f"/{len(app.declarations)}")(good)
    warnings = [
        f"view {mistake.__qualname__} ({declaration.where}) is not a coroutine "
        "function: write async def, or await asyncio.to_thread(...) in one that is"
        for mistake, declaration in zip(
            [write_or_not, View.on_get], app.declarations, strict=False
        )
    ]
    assert app.find_mistakes() == warnings
    await app.open()
    await app.close()
    assert caplog.messages == warnings


@pytest.mark.parametrize(
    ("path", "oddity", "ours"),
    [
        ("/x/:name", ":name", "{name}"),
        ("/:name/x", ":name", "{name}"),
        ("/x/*", "*", "{path:path}"),
        ("/x/**", "**", "{path:path}"),
        ("/x/*rest", "*rest", "{rest:path}"),
    ],
)
def test_a_placeholder_of_another_framework_is_likely_to_be_a_mistake(
    app, path, oddity, ours
):
    app.route(path)(view)
    for good in ("/items/{x}:cancel", "/a*b", "/:", "/{x:[*]}"):
        app.route(good)(view)
    assert app.find_mistakes() == [
        f"'{path}' takes '{oddity}' as text: write '{ours}' for any value. "
        f"The route is declared at {app.declarations[0].where}"
    ]


async def test_an_endpoint_made_by_hand_names_its_view_alone(client, app, caplog):
    @app.listen("route:find")
    def find(path, request):
        return Endpoint(functools.partial(write_plainly), path="/"), {}

    assert (await client.get("/")).status == 500
    [message] = caplog.messages
    assert "view functools.partial(<function write_plainly at" in message


async def test_a_callable_that_gives_an_awaitable_may_be_a_view(client, app):
    class Wrapper:
        def __call__(self, request, response):
            return view(request, response, wrapped=True)

    app.route("/")(Wrapper())
    assert (await client.get("/")).json == {"wrapped": True}


def test_a_coroutine_function_runs_as_it_is(app):
    app.route("/")(view)
    assert app.router.find("/", "GET")[0].run is view
