"""named_url: URLs by the names of routes, which lead where they say."""

import datetime
import functools
import uuid
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from roll import Query, Roll, Routes, RouteTable
from roll.extensions import mount, named_url


@pytest.fixture
def app():
    return Roll()


def add(app, path, name=None, **options):
    """Declare a view that answers with the values of its route."""

    async def view(request, response, **variables):
        response.json = {key: str(variables[key]) for key in variables}

    app.route(path, name=name, **options)(view)


# Names


def test_a_view_has_its_name_in_lower_case(app):
    url_for = named_url(app)

    @app.route("/hello")
    async def Hello(request, response):
        pass

    @app.route("/items")
    class Items:
        async def on_get(self, request, response):
            pass

    assert url_for("hello") == "/hello"
    assert url_for("items") == "/items"


def test_an_extra_overrides_the_name_and_keeps_its_case(app):
    url_for = named_url(app)

    @app.route("/hello", name="Site:hello")
    async def view(request, response):
        pass

    assert url_for("Site:hello") == "/hello"
    with pytest.raises(ValueError, match=r"^no route has the name 'view'$"):
        url_for("view")


def test_routes_declared_before_are_seen(app):
    add(app, "/before", name="before")
    url_for = named_url(app)
    assert url_for("before") == "/before"


def test_routes_of_tables_have_their_prefix(app):
    url_for = named_url(app)
    table = RouteTable()

    @table.post("/items/{item:int}")
    async def item(request, response, version, item):
        pass

    app.include(table, prefix="/api/{version}")
    assert url_for("item", version="v1", item=7) == "/api/v1/items/7"


def test_a_route_is_seen_when_another_listener_ends_the_event(app):
    @app.listen("route:add")
    def end_the_event(path, view, **extras):
        return True

    url_for = named_url(app)
    add(app, "/late", name="late")
    assert url_for("late") == "/late"


def test_a_listener_may_declare_routes_itself(app):
    @app.listen("route:add")
    def add_index(path, view, **extras):
        if path == "/":
            add(app, "/index", name="index")

    url_for = named_url(app)
    add(app, "/", name="home")
    assert (url_for("home"), url_for("index")) == ("/", "/index")


def test_extras_may_have_any_name(app):
    url_for = named_url(app)

    @app.route("/", app=1, routes=2, extras=3)
    async def home(request, response):
        pass

    assert url_for("home") == "/"


def test_a_view_without_a_name_is_left_out(app):
    async def view(request, response, greeting):
        pass

    url_for = named_url(app)
    app.route("/partial")(functools.partial(view, greeting="Hello"))
    app.route("/named", name="named")(functools.partial(view, greeting="Hello"))
    assert url_for("named") == "/named"
    with pytest.raises(ValueError, match=r"^no route has the name ''$"):
        url_for("")


def test_two_apps_have_names_of_their_own(app):
    other = Roll()
    url_for, other_url_for = named_url(app), named_url(other)
    add(app, "/a", name="home")
    add(other, "/b", name="home")
    assert (url_for("home"), other_url_for("home")) == ("/a", "/b")


# Duplicate names


def test_a_name_of_two_views_is_an_error_that_names_both_places(app):
    named_url(app)
    add(app, "/a", name="page")
    message = r"^'page' is the name of two routes, /a at .*\.py:\d+ and /b at .*:\d+: "
    with pytest.raises(ValueError, match=message + "give one of them another, with"):
        add(app, "/b", name="page")


def test_duplicates_declared_before_are_errors(app):
    add(app, "/a", name="page")
    add(app, "/b", name="page")
    with pytest.raises(ValueError, match="'page' is the name of two routes"):
        named_url(app)


def test_the_same_path_with_other_methods_is_the_same_route(app):
    url_for = named_url(app)
    add(app, "/items/{item:int}", name="item")
    add(app, "/items/{item:int}", name="item", methods=["PUT", "DELETE"])
    assert url_for("item", item=7) == "/items/7"


def test_a_third_view_on_another_path_is_an_error(app):
    named_url(app)
    add(app, "/a", name="page")
    add(app, "/a", name="page", methods=["POST"])
    with pytest.raises(ValueError, match="'page' is the name of two routes"):
        add(app, "/b", name="page", methods=["POST"])


def test_one_view_may_have_paths_that_differ_in_their_variables(app):
    url_for = named_url(app)

    @app.route("/news")
    @app.route("/news/{page:int}")
    async def news(request, response, page=1):
        pass

    assert url_for("news") == "/news"
    assert url_for("news", page=2) == "/news/2"
    with pytest.raises(
        ValueError, match=r"^'news' takes page or no variables; given: "
    ):
        url_for("news", day=2)


def test_one_view_on_paths_of_the_same_variables_needs_names_to_have_urls(app):
    url_for = named_url(app)

    @app.route("/")
    @app.route("/index")
    async def home(request, response):
        pass

    message = (
        r"^'home' is the name of /index at .*:\d+, and of / at .*:\d+: "
        r"give each its own, with name=$"
    )
    with pytest.raises(ValueError, match=message):
        url_for("home")


def test_a_table_may_be_included_twice(app):
    url_for = named_url(app)
    table = RouteTable()

    @table.get("/status")
    async def status(request, response):
        pass

    app.include(table, prefix="/v1")
    app.include(table, prefix="/v2")
    with pytest.raises(
        ValueError, match=r"'status' is the name of /v1/status at .* and"
    ):
        url_for("status")


# Mistakes


def test_an_unknown_name_is_an_error_that_knows_a_near_one(app):
    url_for = named_url(app)
    add(app, "/", name="profile")
    with pytest.raises(ValueError, match=r"'profil'; did you mean 'profile'\?$"):
        url_for("profil")


@pytest.mark.parametrize("name", [7, b"home", ("home",)])
def test_a_name_that_is_no_string_is_an_error_of_the_declaration(app, name):
    named_url(app)
    with pytest.raises(TypeError, match=r"^/: name=.*: give a string\n"):
        add(app, "/", name=name)


def test_an_empty_name_is_an_error(app):
    named_url(app)
    with pytest.raises(ValueError, match=r"^/: name='': give one, or leave it out\n"):
        add(app, "/", name="")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "no variables"),
        ({"a": 1}, "a"),
        (
            {"a": 1, "b": 2, "d": 4, "c": 3},
            "a, b, c, d; for a query, write query={'c': ..., 'd': ...}",
        ),
    ],
)
def test_missing_and_surplus_variables_are_errors(app, given, text):
    url_for = named_url(app)
    add(app, "/{a}/{b}", name="pair")
    with pytest.raises(ValueError, match=f"^'pair' takes a, b; given: {text}$"):
        url_for("pair", **given)


def test_variables_by_position_are_an_error_that_says_how_to_give_them(app):
    url_for = named_url(app)
    add(app, "/{page}", name="page")
    with pytest.raises(
        TypeError, match=r"query=5: give a dict; variables are given by name$"
    ):
        url_for("page", 5)


def test_a_view_is_no_name(app):
    url_for = named_url(app)

    @app.route("/")
    async def Home(request, response):
        pass

    with pytest.raises(
        TypeError, match=r"^url_for\(.*\): give a name, such as 'home'$"
    ):
        url_for(Home)


@pytest.mark.parametrize("value", [None, b"7", bytearray(b"7")])
def test_a_value_that_is_no_text_is_an_error(app, value):
    url_for = named_url(app)
    add(app, "/{x}", name="page")
    with pytest.raises(
        TypeError, match=r"^'page': x=.*: give a value, such as a string$"
    ):
        url_for("page", x=value)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("{x}", ""),
        ("{x}", "a/b"),
        ("{x}", "/"),
        ("{x:int}", "seven"),
        ("{x:int}", 7.5),
        ("{x:int}", True),
        ("{x:int}", ""),
        ("{x:digit}", -7),
        ("{x:alpha}", "a1"),
        ("{x:float}", 1e20),
        ("{x:float}", float("nan")),
        ("{x:uuid}", "7"),
        ("{x:date}", "2026-02-30"),
        ("{x:date}", datetime.datetime(2026, 2, 3)),
        ("{x:[a-z]{2}}", "abc"),
        ("{x:(?:a|b)+}", "abc"),
        ("{x}.html", ""),
    ],
)
def test_a_value_that_the_route_does_not_take_is_an_error(app, pattern, value):
    url_for = named_url(app)
    add(app, f"/p/{pattern}", name="page")
    with pytest.raises(ValueError, match=r" does not lead to 'page', which is /p/"):
        url_for("page", x=value)


def test_a_url_that_leads_to_another_route_is_an_error(app):
    url_for = named_url(app)
    add(app, "/u/{name}", name="user")
    add(app, "/u/me", name="me")
    add(app, "/u/{name:int}", name="by_number")
    assert url_for("user", name="you") == "/u/you"
    for value in ("me", 7):
        with pytest.raises(ValueError, match=r"'/u/(me|7)' does not lead to 'user'"):
            url_for("user", name=value)


@pytest.mark.parametrize(
    ("pattern", "variables", "read"),
    [
        ("{a}-{b}", {"a": "1", "b": "2-3"}, "a='1' would be read as '1-2'"),
        ("{a:int}{b:int}", {"a": 1, "b": 23}, "a=1 would be read as 12"),
        ("{a:int}", {"a": "07"}, "a='07' would be read as 7"),
    ],
)
def test_a_value_that_would_be_read_as_another_is_an_error(
    app, pattern, variables, read
):
    url_for = named_url(app)
    add(app, f"/{pattern}", name="page")
    with pytest.raises(ValueError, match=f"^'page': {read} on /"):
        url_for("page", **variables)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [("{x}", "."), ("{x}", ".."), ("{x:path}", "a/../b"), ("{x:path}", ".")],
)
def test_dots_that_clients_take_out_are_an_error(app, pattern, value):
    url_for = named_url(app)
    add(app, f"/p/{pattern}", name="page")
    with pytest.raises(ValueError, match=r"has a segment that is only dots$"):
        url_for("page", x=value)


def test_a_lone_surrogate_is_an_error(app):
    url_for = named_url(app)
    add(app, "/{x}", name="page")
    with pytest.raises(ValueError, match="surrogates not allowed"):
        url_for("page", x="\ud800")


def test_a_pattern_of_another_matcher_has_to_close_its_braces():
    class Anything:
        def add(self, path, **payload):
            pass

    class App(Roll):
        Routes = Anything

    app = App()
    named_url(app)
    with pytest.raises(ValueError, match=r"'/\{a' does not close a brace"):
        add(app, "/{a", name="page")


# URLs


@pytest.mark.parametrize(
    ("pattern", "variables", "url"),
    [
        ("/", {}, "/"),
        ("/{x}", {"x": "a b"}, "/a%20b"),
        ("/{x}", {"x": "café"}, "/caf%C3%A9"),
        ("/{x}", {"x": "50%"}, "/50%25"),
        ("/{x}", {"x": "a?b#c"}, "/a%3Fb%23c"),
        ("/{x}", {"x": "\\\t\n"}, "/%5C%09%0A"),
        ("/{x}", {"x": "..."}, "/..."),
        ("/{x}", {"x": 7}, "/7"),
        ("/{x:path}", {"x": ""}, "/"),
        ("/f/{x:path}", {"x": "a/b c/"}, "/f/a/b%20c/"),
        ("/{x:int}", {"x": -7}, "/-7"),
        ("/{x:int}", {"x": "7"}, "/7"),
        ("/{x:float}", {"x": 1.5}, "/1.5"),
        ("/{x:date}", {"x": datetime.date(2026, 2, 3)}, "/2026-02-03"),
        ("/{x:date}", {"x": "2026-02-03"}, "/2026-02-03"),
        ("/{x:uuid}", {"x": uuid.UUID(int=1)}, f"/{uuid.UUID(int=1)}"),
        ("/{x:[a-z]{2}}-{y:\\d{1,3}}", {"x": "ab", "y": 12}, "/ab-12"),
        (r"/{x:[a-z]\}}", {"x": "a}"}, "/a%7D"),
        (r"/{x:\{[a-z]\}}", {"x": "{a}"}, "/%7Ba%7D"),
        ("/café au lait/{x}", {"x": "1"}, "/caf%C3%A9%20au%20lait/1"),
        ("/@me/a:b;c=d/{x}", {"x": "@"}, "/@me/a:b;c=d/%40"),
        ("/50%/{x}", {"x": "1"}, "/50%25/1"),
        ("/{name}/{app}/{self}", {"name": 1, "app": 2, "self": 3}, "/1/2/3"),
    ],
)
async def test_urls_are_written(app, client, pattern, variables, url):
    url_for = named_url(app)
    add(app, pattern, name="page")
    assert url_for("page", **variables) == url
    response = await client.get(url)
    assert response.json == {key: str(variables[key]) for key in variables}


async def test_no_url_leads_to_another_host(app, client):
    url_for = named_url(app)
    add(app, "/{x:path}", name="page")
    url = url_for("page", x="/example.org/a/b")
    assert url == "/%2Fexample.org/a/b"
    response = await client.get(url)
    assert response.json == {"x": "/example.org/a/b"}


async def test_urls_lead_to_views_over_a_real_socket(app, liveclient):
    url_for = named_url(app)
    add(app, "/files/{x:path}", name="file")
    response = await liveclient.query("GET", url_for("file", x="ä/ö?#%41/\x00"))
    assert response.json == {"x": "ä/ö?#%41/\x00"}


# What is promised of every URL

TEXT = st.text(max_size=8)
PLACEHOLDERS = {
    "": TEXT,
    ":string": TEXT,
    ":path": TEXT,
    ":any": TEXT,
    ":int": st.integers(),
    ":float": st.floats(allow_nan=False, allow_infinity=False),
    ":digit": st.from_regex("[0-9]+", fullmatch=True),
    ":alpha": TEXT,
    ":alnum": TEXT,
    ":uuid": st.uuids(),
    ":date": st.dates(),
    ":[ab]{1,3}": st.text("abc", max_size=4),
}
LITERALS = st.sampled_from(["", "a", "-", ".", "é", " %2F", "/"])


@st.composite
def routes_with_values(draw):
    """A path of some placeholders, and a value for each."""
    kinds = draw(st.lists(st.sampled_from([*PLACEHOLDERS]), min_size=1, max_size=3))
    path, values = "/", {}
    for place, kind in enumerate(kinds):
        path += f"{draw(LITERALS)}{{v{place}{kind}}}"
        values[f"v{place}"] = draw(PLACEHOLDERS[kind])
    return path + draw(LITERALS), values


def is_taken_by(routes, path, values):
    """Whether a look-up finds all these values."""
    found, variables = routes.match(path)
    return found is not None and all(
        variables[key] == values[key] or str(variables[key]) == str(values[key])
        for key in values
    )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(routes_with_values(), min_size=1, max_size=4))
def test_a_url_finds_its_route_with_the_same_values_or_is_an_error(cases):
    app = Roll()
    url_for = named_url(app)
    declared = []
    for place, (path, values) in enumerate(cases):

        async def view(request, response, **variables):
            pass

        try:
            app.route(path, name=f"route{place}")(view)
        except ValueError:  # one that is hidden, or takes too long
            continue
        declared.append((place, path, values, view))
    for place, path, values, view in declared:
        try:
            url = url_for(f"route{place}", **values)
        except ValueError:
            alone = Routes()
            alone.add(path, only=True)
            filled = path
            for key in values:
                start = filled.index(f"{{{key}")
                end = filled.index("}", start) + 1
                end += filled[end : end + 1] == "}"  # of `[ab]{1,3}`
                filled = filled[:start] + str(values[key]) + filled[end:]
            assert (
                not is_taken_by(alone, filled, values)
                or {".", ".."} & {*filled.split("/")}
                or len(declared) > 1
            )
            continue
        assert url.isascii()
        assert url.startswith("/")
        assert not url.startswith("//")
        assert not {" ", "?", "#", "\\", '"', "<", ">", "\n"} & {*url}
        endpoint, found = app.router.find(unquote(url, errors="strict"), "GET")
        assert endpoint.view is view
        assert found.keys() == values.keys()
        for key, value in values.items():
            assert found[key] == value or str(found[key]) == str(value)


# Queries


@pytest.mark.parametrize(
    ("query", "url"),
    [
        ({"q": "x"}, "/hello?q=x"),
        ({"q": "a b&c=d#é/?+%"}, "/hello?q=a%20b%26c%3Dd%23%C3%A9%2F%3F%2B%25"),
        ({"a b": ""}, "/hello?a%20b="),
        ({"page": 2, "on": True, "day": datetime.date(2026, 1, 31)},
         "/hello?page=2&on=True&day=2026-01-31"),
        ({"tag": ["a", "b"], "id": (1, None, 2)}, "/hello?tag=a&tag=b&id=1&id=2"),
        ({"none": None, "empty": [], "nones": [None]}, "/hello"),
        (Query({"tag": ["a", "b"]}), "/hello?tag=a&tag=b"),
        ({}, "/hello"),
        (None, "/hello"),
    ],
)  # fmt: skip
def test_a_query_is_written(app, query, url):
    add(app, "/hello", "hello")
    url_for = named_url(app)
    assert url_for("hello", query=query) == url
    assert url_for("hello", query) == url


async def test_a_query_is_read_as_it_was_given(app, client):
    @app.route("/search/{place}")
    async def search(request, response, place):
        response.json = [place, request.query]

    url = named_url(app)("search", place="é", query={"q": ["a&b", " ü=#"]})
    assert (await client.get(url)).json == ["é", {"q": ["a&b", " ü=#"]}]


def test_a_variable_may_be_called_query(app):
    add(app, "/search/{query}", "search")
    url_for = named_url(app)
    assert url_for("search", query="cats") == "/search/cats"
    assert url_for("search", {"page": 2}, query="cats") == "/search/cats?page=2"
    with pytest.raises(ValueError, match="takes query; given: no variables"):
        url_for("search", {"page": 2})
    with pytest.raises(TypeError, match=r"'search': query={'page': 2}: give"):
        url_for("search", query={"page": 2})


def test_a_query_that_is_given_twice_is_an_error(app):
    add(app, "/hello", "hello")
    with pytest.raises(ValueError, match="takes no variables; given: query"):
        named_url(app)("hello", {"a": 1}, query={"b": 2})


@pytest.mark.parametrize("query", ["a=1", [("a", 1)], {"a": b"1"}, {"a": ["1", b"2"]}])
def test_a_query_that_is_no_dict_of_texts_is_an_error(app, query):
    add(app, "/hello", "hello")
    with pytest.raises(TypeError, match=r"^'hello': query"):
        named_url(app)("hello", query=query)


# Mounted apps


def test_names_of_mounted_apps_stand_behind_that_of_the_mount(app):
    shop, api, any_label = Roll(), Roll(), Roll()
    mount(app, "/my shop", shop, name="shop")
    mount(shop, "/v1", api, name="api", host="api.example.org")
    mount(shop, subapp=any_label, name="any", host="*.example.org")
    for each in (shop, api, any_label):
        add(each, "/users/{id}", "user")
    url_for = named_url(app)
    assert url_for("shop:user", {"a": "b"}, id=7) == "/my%20shop/users/7?a=b"
    assert url_for("shop:api:user", id=7) == "//api.example.org/my%20shop/v1/users/7"
    assert named_url(shop)("user", id=7) == "/my%20shop/users/7"
    assert named_url(api)("user", id=7) == "/my%20shop/v1/users/7"
    add(app, "/mine", "shop:mine")
    add(shop, "/inside", "mine")
    assert url_for("shop:mine") == "/mine"
    with pytest.raises(ValueError, match=r"'any:user': the app is at \*\.example\.org"):
        url_for("shop:any:user", id=7)
    with pytest.raises(ValueError, match="no route has the name 'usr'; did you mean"):
        url_for("shop:usr")
    with pytest.raises(ValueError, match="no route has the name 'shp:user'"):
        url_for("shp:user")


# Extras


@pytest.mark.parametrize(("name", "meant"), [("names", "name")])
async def test_a_misspelled_extra_keeps_the_app_from_starting(name, meant):
    async def view(request, response): ...

    app = Roll()
    app.route("/x", **{name: "a"})(view)
    named_url(app)
    with pytest.raises(TypeError, match=f"/x: {name}= is unknown.*mean {meant}="):
        await app.startup()


# Where others find it


def test_the_app_has_it(app):
    assert named_url(app) is app["url_for"]


def test_templates_have_it_with_any_request_and_beside_other_functions(app):
    add(app, "/users/{name}/{page}", name="user")
    app["template_globals"] = {"other": print}
    named_url(app)
    functions = app["template_globals"]
    assert functions.keys() == {"other", "url_for"}
    variables = {"name": "Ada", "page": 7}
    url = functions["url_for"](None, "user", {"q": 1}, **variables)
    assert url == "/users/Ada/7?q=1"
