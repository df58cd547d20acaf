"""mount: where apps may be mounted, and which of them answers."""

import inspect
import re

import pytest
from roll import Roll
from roll.extensions import mount, proxy_headers

NOT_FOUND = (404, "Not Found")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", (200, "parent /")),
        ("/admin", (200, "admin /")),
        ("/admin/", (200, "admin /")),
        ("/admin?a=b", (200, "admin /")),
        ("/admin/users", (200, "admin /users")),
        ("/admin/users/", NOT_FOUND),
        ("/admin/users/7", (200, "admin /users/7")),
        ("/admin/nobody", NOT_FOUND),
        ("/administer", NOT_FOUND),
        ("/adm", NOT_FOUND),
        ("/%61dmin%2Fusers", (200, "admin /users")),  # `%2F` decodes first
        ("//admin", NOT_FOUND),
        ("/./admin", NOT_FOUND),
        ("/admin//", NOT_FOUND),
        ("/admin/admin", NOT_FOUND),
        ("/admin/%ff", (400, "The path does not decode as UTF-8")),
    ],
)
async def test_a_prefix_takes_itself_and_what_is_below_it(admin, ask, path, expected):
    """A slash behind it does not redirect (aiohttp#1383, starlette#823, #869)."""
    assert await ask(path) == expected


async def test_a_post_to_the_prefix_is_answered_in_place(app, ask):
    """Webhooks do not follow a 307 (aiohttp#1383, starlette#823, #869)."""
    hooks = Roll()

    @hooks.route("/", methods=["POST"])
    async def take(request, response):
        response.body = request.body

    mount(app, "/api/v1", hooks)
    assert await ask("/api/v1", "POST", data="a") == (200, "a")
    assert await ask("/api/v1/", "POST", data="a") == (200, "a")


def test_what_is_mounted_is_in_the_inventory(app):
    mount(app, "/admin", Roll())
    line = inspect.currentframe().f_lineno - 1
    mount(app, "/v1", Roll(), host="api.example.org")
    assert app.inventory == {
        ("mounted app", "/admin"): f"{__file__}:{line}",
        ("mounted app", "api.example.org/v1"): f"{__file__}:{line + 2}",
    }


@pytest.mark.parametrize("prefixes", [("/qwe", "/qwerty"), ("/qwerty", "/qwe")])
async def test_a_prefix_may_begin_as_another(app, ask, labelled, prefixes):
    """Whatever is mounted first (aiohttp#3701)."""
    for prefix in prefixes:
        mount(app, prefix, labelled(prefix, "/x"))
    for prefix in prefixes:
        assert await ask(f"{prefix}/x") == (200, f"{prefix} /x")


@pytest.mark.parametrize("prefixes", [("/api", "/api/v1"), ("/api/v1", "/api")])
async def test_the_longer_prefix_wins(app, ask, labelled, prefixes):
    for prefix in prefixes:
        mount(app, prefix, labelled(prefix, "/x", "/v1/x", "/v2/x"))
    assert await ask("/api/v1/x") == (200, "/api/v1 /x")
    assert await ask("/api/v2/x") == (200, "/api /v2/x")
    assert await ask("/api/v2") == NOT_FOUND


async def test_a_route_may_be_declared_after_mounting(app, admin, client, ask):
    """aiohttp#2656."""
    assert await ask("/admin/late") == NOT_FOUND

    @admin.route("/late")
    async def late(request, response):
        response.body = ",".join(request.route.payload)

    @app.listen("response")
    def show_methods(request, response):
        response.headers["Has"] = ",".join(request.route.payload or ())

    assert await ask("/admin/late") == (200, "GET")

    @admin.route("/late", methods=["POST"])
    async def post(request, response):
        response.body = ",".join(request.route.payload)

    assert await ask("/admin/late") == (200, "GET,POST")
    response = await client.get("/admin/late")
    assert response.headers["Has"] == "GET,POST"


@pytest.mark.parametrize("first", ["route", "mount"])
async def test_a_static_route_of_the_parent_wins_and_no_other(
    app, ask, labelled, first
):
    def declare():
        for path in ("/admin/own", "/{any}/{thing}", "/{rest:path}", "/admin/{x:int}"):

            @app.route(path)
            async def view(request, response, **variables):
                response.body = f"{request.route.vars} of the parent"

    admin = labelled("admin", "/own", "/other", "/7")
    if first == "route":
        declare()
    mount(app, "/admin", admin)
    if first == "mount":
        declare()
    assert await ask("/admin/own") == (200, "{} of the parent")
    assert await ask("/admin/own", "POST") == (405, "Method Not Allowed")
    assert await ask("/admin/other") == (200, "admin /other")
    assert await ask("/admin/7") == (200, "admin /7")
    assert await ask("/admin/zzz") == NOT_FOUND
    assert await ask("/a/b") == (200, "{'any': 'a', 'thing': 'b'} of the parent")


@pytest.mark.parametrize("order", [("outer", "inner"), ("inner", "outer")])
async def test_mounts_in_mounts(app, ask, labelled, order):
    """Whichever is mounted first (aiohttp#1853, #2656)."""
    shop, admin = Roll(), labelled("admin", "/users")
    if order[0] == "inner":
        mount(shop, "/admin", admin)
        assert admin.root_path == "/admin"
    mount(app, "/shop", shop)
    if order[0] == "outer":
        mount(shop, "/admin", admin)
    assert await ask("/shop/admin/users") == (200, "admin /users")
    assert await ask("/shop/users") == NOT_FOUND
    assert await ask("/admin/users") == NOT_FOUND
    assert (shop.root_path, admin.root_path) == ("/shop", "/shop/admin")


async def test_a_sub_app_may_look_routes_up_itself(app, admin, ask, labelled):
    mount(admin, "/inner", labelled("inner", "/"))

    @admin.listen("route:find")
    def find(path, request):
        assert (request.app, request.path) == (admin, path)
        if path == "/found":
            return admin.router.find("/users", request.method)

    assert await ask("/admin/found") == (200, "admin /found")
    assert await ask("/admin/inner") == (200, "inner /")
    assert await ask("/admin/users") == (200, "admin /users")


# Hosts


@pytest.fixture
def hosts(app, labelled):
    mount(app, subapp=labelled("api", "/", "/v1/x"), host="API.example.org", name="api")
    mount(app, subapp=labelled("any", "/"), host="*.example.org")
    mount(app, "/v1", labelled("api v1", "/x"), host="api.example.org")
    mount(app, "/v1/deep", labelled("api deep", "/x"), host="api.example.org")
    mount(app, "/v1", labelled("v1", "/x"))
    return app


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("api.example.org", "/", "api /"),
        ("api.example.org", "/v1/x", "api v1 /x"),
        ("api.example.org", "/v1/deep/x", "api deep /x"),
        ("other.example.org", "/", "any /"),
        ("example.com", "/", "parent /"),
        ("example.com", "/v1/x", "v1 /x"),
        ("API.example.org.", "/", "api /"),
        ("api.example.org:80", "/", "api /"),
        ("api.example.org:", "/", "api /"),
        ("api.example.org:443", "/", "parent /"),
        ("api.example.org:8080", "/", "parent /"),
        ("api.example.org:80:80", "/", None),
        ("api.example.org..", "/", "parent /"),
        ("a.b.example.org", "/", "parent /"),
        ("example.org", "/", "parent /"),
        ("[::1]", "/", "parent /"),
    ],
)
async def test_the_host_of_a_request_decides(hosts, client, host, path, expected):
    """Case, a final dot and the port of the scheme do not (aiohttp#13693, #11665).

    A mount with a host goes before one without, and before routes of the parent.
    """
    response = await client.get(path, headers={"Host": host})
    if expected is None:  # the protocol refuses it, before it is a request
        assert response.status == 400
    else:
        assert response.body.decode() == expected


async def test_the_port_of_https_is_that_of_the_scheme(app, client, labelled):
    """And the host is the client's behind a proxy, as `headers` listeners set it."""
    proxy_headers(app, trusted=["127.0.0.1"])
    mount(app, subapp=labelled("api", "/"), host="api.example.org")
    for proto, port, expected in [
        ("https", 443, b"api /"),
        ("https", 80, b"parent /"),
        ("http", 80, b"api /"),
    ]:
        fields = {
            "X-Forwarded-For": "192.0.2.1",
            "X-Forwarded-Proto": proto,
            "X-Forwarded-Host": f"api.example.org:{port}",
        }
        assert (await client.get("/", headers=fields)).body == expected


async def test_a_request_without_a_host_is_for_none(app, labelled):
    mount(app, subapp=labelled("api", "/"), host="api.example.org")
    request = app.Request(app, None)
    request.path = "/"
    response = app.Response(app, None)
    assert await app(request, response) is response
    assert response.body == "parent /"


async def test_hosts_nest_with_prefixes(app, ask, labelled):
    shop = Roll()
    mount(shop, "/v1", labelled("api", "/x"), host="api.example.org")
    mount(app, "/shop", shop)
    assert await ask("/shop/v1/x") == NOT_FOUND
    fields = {"Host": "api.example.org"}
    assert await ask("/shop/v1/x", headers=fields) == (200, "api /x")
    assert await ask("/v1/x", headers=fields) == NOT_FOUND


# Mistakes


@pytest.mark.parametrize(
    ("prefix", "options", "message"),
    [
        ("", {}, "prefix='': give a path, such as '/admin', or a host"),
        ("/", {}, "prefix='/': leave the slash at its end out"),
        ("/a/", {}, "prefix='/a/': leave the slash at its end out"),
        ("/a//b", {}, "prefix='/a//b': leave empty segments and dots out"),
        ("/a/../b", {}, "prefix='/a/../b': leave empty segments and dots out"),
        ("admin", {}, "'admin' is not a path: start it with a slash"),
        # aiohttp#4135, #2756
        ("/{team}", {}, "prefix='/{team}': leave placeholders out, and put them into"),
        ("/a", {"host": "a:80"}, "host='a:80': give a name without a port"),
        ("/a", {"host": ""}, "host='': give a name without a port"),
        ("/a", {"host": "*"}, "host='*': give a name without a port"),
        ("/a", {"host": "a.*.org"}, "host='a.*.org': give a name without a port"),
        ("/a", {"host": "http://a"}, "host='http://a': give a name without a port"),
        ("/a", {"name": ""}, "name='': give one without a colon, or leave it out"),
        ("/a", {"name": "a:b"}, "name='a:b': give one without a colon"),
        ("/a", {"name": "admin"}, "name='admin' names another mounted app"),
    ],
)
def test_a_wrong_value_is_refused(app, admin, prefix, options, message):
    before = dict(app), dict(app.hooks), [*app.mounted]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        mount(app, prefix, Roll(), **options)
    assert (dict(app), app.hooks, app.mounted) == before


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("/a",), {}, "subapp=None: give an app, as in mount(app, '/admin', admin)"),
        (("/a", Roll), {}, "subapp=<class 'roll.app.Roll'>: give an app"),
        ((Roll(), "/a"), {}, "subapp='/a': give an app, as in"),
        ((7, Roll()), {}, "prefix=7: give a path, such as '/admin'"),
        (("/a", Roll()), {"host": 7}, "host=7: give a name, such as"),
        (("/a", Roll()), {"name": 7}, "name=7: give a string"),
        (("/a", Roll()), {"share": "db"}, "share='db': give a list of keys"),
        (("/a", Roll()), {"share": {"db"}}, "share={'db'}: give a list of keys"),
        (("/a", Roll()), {"share": [7]}, "share: 7 is not a string: give keys of the"),
    ],
)
def test_a_wrong_type_is_refused(app, arguments, options, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        mount(app, *arguments, **options)
    assert (app.hooks, app.mounted, "subapps" in app) == ({}, [], False)


def lines_of(error):
    """Give the lines of this file that a message names."""
    return [int(line) for line in re.findall(rf"{re.escape(__file__)}:(\d+)", error)]


def here():
    return inspect.currentframe().f_back.f_lineno


def test_a_place_is_taken_once(app):
    mount(app, "/a", Roll())
    line = here()
    mount(app, "/a", Roll(), host="a.org")
    with pytest.raises(ValueError, match=r"^/a at .* is taken by /a at .*") as caught:
        mount(app, "/a", Roll())
    assert lines_of(str(caught.value)) == [line + 3, line - 1]
    with pytest.raises(ValueError, match=r"^a\.org/a at .* is taken by a\.org/a at"):
        mount(app, "/a", Roll(), host="A.org")


def test_an_app_is_mounted_once(app, admin):
    with pytest.raises(ValueError, match="mounted already, /admin at ") as caught:
        mount(Roll(), "/a", admin)
    assert len(lines_of(str(caught.value))) == 1
    assert "conftest.py" in str(caught.value)


def test_no_app_is_mounted_in_itself(app, admin, labelled):
    with pytest.raises(ValueError, match=r"^/a at .* mounts an app in itself$"):
        mount(app, "/a", app)
    inner = labelled("inner", "/")
    mount(admin, "/inner", inner)
    line = here()
    with pytest.raises(ValueError, match="in itself, /inner at ") as caught:
        mount(inner, "/a", app)
    assert lines_of(str(caught.value)) == [line + 2, line - 1]


async def test_mounting_is_too_late_once_the_app_runs(app, admin, client, labelled):
    await client.get("/")
    with pytest.raises(RuntimeError, match=r"^/a at .* is mounted too late: mount be"):
        mount(app, "/a", labelled("a", "/"))


def test_the_state_is_a_dict_of_names(app, admin):
    mount(app, "/unnamed", Roll())
    assert app["subapps"] == {"admin": admin}
    assert [each.prefix for each in app.mounted] == ["/admin", "/unnamed"]
