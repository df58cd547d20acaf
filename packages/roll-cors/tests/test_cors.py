"""cors: what other origins may do, preflights, and what each route overrides.

Sections are those of the Fetch standard.
"""

import functools
import re

import pytest
from roll import HTTP_METHODS, HttpError, Roll
from roll.extensions import cors
from roll_testing import exchange

PAGE = "https://example.org"
OTHER = "https://example.com"


@pytest.fixture
def app():
    app = Roll()

    @app.route("/")
    async def home(request, response):
        response.body = "home"

    @app.route("/items", methods=["PUT", "DELETE"])
    async def items(request, response):
        response.body = "changed"

    @app.route("/broken")
    async def broken(request, response):
        raise ValueError("broken")

    return app


def fields_of(response):
    """Give the fields that cors may set, without the beginning that they share."""
    return {
        name.removeprefix("Access-Control-"): value
        for name, value in response.headers.items()
        if name == "Vary" or name.startswith("Access-Control-")
    }


async def ask(client, path="/", origin=PAGE, method="GET", **headers):
    """Send a request as a page of *origin* does; fields are named with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.request(path, method, headers={"Origin": origin, **named})


async def preflight(client, path="/", method="GET", names=None, origin=PAGE):
    """Send a preflight, which always gets 200, and give the fields of the response."""
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    if names is not None:
        headers["Access-Control-Request-Headers"] = names
    response = await client.options(path, headers=headers)
    assert (response.status, response.body) == (200, b"")
    return fields_of(response)


# The options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"Allow-Origin": "*"}),
        ({"origin": PAGE}, {"Allow-Origin": PAGE}),
        ({"origin": "example.org"}, {"Allow-Origin": "example.org"}),
        (
            {"methods": ["GET", "put", "GET"]},
            {"Allow-Origin": "*", "Allow-Methods": "GET,PUT"},
        ),
        ({"methods": "PUT"}, {"Allow-Origin": "*", "Allow-Methods": "PUT"}),
        ({"methods": []}, {"Allow-Origin": "*"}),
        (
            {"methods": "*"},
            {"Allow-Origin": "*", "Allow-Methods": ",".join(HTTP_METHODS)},
        ),
        (
            {"headers": ["X-A", "X-B"]},
            {"Allow-Origin": "*", "Allow-Headers": "X-A,X-B"},
        ),
        ({"headers": "*"}, {"Allow-Origin": "*", "Allow-Headers": "*"}),
        (
            {"origin": PAGE, "credentials": True},
            {"Allow-Origin": PAGE, "Allow-Credentials": "true"},
        ),
        (
            {"expose": ["X-A", "X-B"]},
            {"Allow-Origin": "*", "Expose-Headers": "X-A,X-B"},
        ),
        ({"expose": "*"}, {"Allow-Origin": "*", "Expose-Headers": "*"}),
        ({"max_age": 60}, {"Allow-Origin": "*"}),
    ],
)
async def test_an_answer_has_the_fields_of_the_options(app, client, options, expected):
    cors(app, **options)
    for response in [await client.get("/"), await ask(client), await client.head("/")]:
        assert response.status == 200
        assert fields_of(response) == expected


async def test_options_come_in_the_order_of_the_original(app, client):
    cors(app, PAGE, ["GET"], ["X-A"], True)
    assert fields_of(await ask(client)) == {
        "Allow-Origin": PAGE,
        "Allow-Methods": "GET",
        "Allow-Headers": "X-A",
        "Allow-Credentials": "true",
    }


async def test_the_bytes_of_an_answer(app):
    cors(app, [PAGE], methods=["GET"], credentials=True)
    request = f"GET / HTTP/1.1\r\nHost: x\r\nOrigin: {PAGE}\r\n\r\n"
    assert (await exchange(app, request.encode())).data == (
        b"HTTP/1.1 200 OK\r\n"
        b"Vary: Origin\r\n"
        b"Access-Control-Allow-Origin: https://example.org\r\n"
        b"Access-Control-Allow-Methods: GET\r\n"
        b"Access-Control-Allow-Credentials: true\r\n"
        b"Content-Length: 4\r\n\r\nhome"
    )


async def test_apps_do_not_share_their_options(app, client):
    cors(Roll(), PAGE)
    assert fields_of(await ask(client)) == {}


# Which origins


ORIGINS = [
    [PAGE, "http://localhost:8000"],
    {PAGE},
    iter([PAGE]),
    lambda origin: origin == PAGE,
    re.compile(r"https://example\.org").fullmatch,
]


@pytest.mark.parametrize("origin", ORIGINS)
async def test_of_several_origins_the_one_that_asks_is_named(app, client, origin):
    cors(app, origin, expose=["X-A"])
    assert fields_of(await ask(client)) == {
        "Vary": "Origin",
        "Allow-Origin": PAGE,
        "Expose-Headers": "X-A",
    }
    assert fields_of(await ask(client, origin=OTHER)) == {"Vary": "Origin"}
    assert fields_of(await client.get("/")) == {"Vary": "Origin"}


async def test_a_coroutine_function_may_tell_who_is_allowed(app, client):
    async def is_known(origin):
        return origin == PAGE

    cors(app, is_known)
    assert fields_of(await ask(client)) == {"Vary": "Origin", "Allow-Origin": PAGE}
    assert fields_of(await ask(client, origin=OTHER)) == {"Vary": "Origin"}


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://example.org.",
        "https://example.org/",
        "https://example.org:443",
        "https://example.org.evil.example",
        "https://evil.example#https://example.org",
        "https://EXAMPLE.org",
        "http://example.org",
        "//example.org",
        "example.org",
        "https://example.org, https://evil.example",
        "https://evil.example https://example.org",
        "*",
    ],
)
async def test_origins_match_exactly(app, client, origin):
    cors(app, [PAGE], credentials=True)
    assert fields_of(await ask(client, origin=origin)) == {"Vary": "Origin"}
    assert await preflight(client, origin=origin or "-") == {"Vary": "Origin"}


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "*",
        "https://",
        "https://a b",
        "https://exämple.org",
        f"{PAGE}/",
        f"{PAGE}, {PAGE}",
        f"https://{'a' * 256}",
    ],
)
async def test_a_function_is_not_asked_about_what_is_no_origin(app, client, origin):
    asked = []

    def is_known(origin):
        asked.append(origin)
        return True

    cors(app, is_known)
    headers = {"Origin": origin}
    assert fields_of(await client.get("/", headers=headers)) == {"Vary": "Origin"}
    assert asked == []


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8000",
        "http://127.0.0.1:80800",
        "http://[::1]:8080",
        "https://xn--exmple-cua.org",
        "chrome-extension://abcdefghijklmnop",
        "capacitor://localhost",
    ],
)
async def test_every_kind_of_origin_can_be_listed(app, client, origin):
    cors(app, [origin])
    assert fields_of(await ask(client, origin=origin))["Allow-Origin"] == origin


async def test_an_origin_sent_twice_is_none(app):
    cors(app, [PAGE])
    line = f"Origin: {PAGE}\r\n"
    request = f"GET / HTTP/1.1\r\nHost: x\r\n{line}{line}\r\n"
    assert b"Allow-Origin" not in (await exchange(app, request.encode())).data


async def test_a_function_that_raises_allows_nothing(app, client):
    def is_known(origin):
        raise KeyError(origin)

    cors(app, is_known)
    response = await ask(client)
    assert response.status == 500
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_nobody_may_read_with_an_empty_list(app, client):
    cors(app, [])
    assert fields_of(await ask(client)) == {"Vary": "Origin"}


async def test_any_origin_is_never_named_even_with_credentials(app, client):
    with pytest.warns(UserWarning, match="browsers refuse credentials=True") as caught:
        cors(app, credentials=True)
    assert caught[0].filename == __file__
    expected = {"Allow-Origin": "*", "Allow-Credentials": "true"}
    assert fields_of(await ask(client)) == expected
    assert (await preflight(client))["Allow-Origin"] == "*"


# Vary (RFC 9110, section 12.5.5)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Vary", "Accept", "Accept, Origin"),
        ("vary", "Accept,Cookie", "Accept, Cookie, Origin"),
        ("Vary", ["Accept", "Cookie"], "Accept, Cookie, Origin"),
        ("Vary", ("Accept",), "Accept, Origin"),
        ("Vary", "origin", "origin"),
        ("Vary", "Accept, ORIGIN", "Accept, ORIGIN"),
        ("Vary", "*", "*"),
        ("Vary", ["Accept", "*"], "*"),
        ("Vary", "", "Origin"),
        ("Vary", [], "Origin"),
    ],
)
async def test_what_a_view_varies_by_stays(app, client, name, value, expected):
    cors(app, [PAGE])

    @app.route("/varied")
    async def varied(request, response):
        response.headers[name] = value

    for _ in range(2):  # a list that is the view's own does not grow
        response = await ask(client, "/varied")
        assert response.headers.list("Vary") == [expected]


async def test_a_field_keeps_the_spelling_of_the_view(app, client):
    cors(app, [PAGE])

    @app.route("/varied")
    async def varied(request, response):
        response.headers["vary"] = ["Accept", "Cookie"]

    response = await ask(client, "/varied")
    assert response.headers.list("Vary") == ["Accept, Cookie, Origin"]


async def test_an_answer_that_is_the_same_for_all_does_not_vary(app, client):
    cors(app, PAGE)

    @app.route("/varied")
    async def varied(request, response):
        response.headers["Vary"] = "Accept"

    assert (await ask(client, "/varied")).headers.list("Vary") == ["Accept"]


# Every response


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/nowhere", 404),
        ("POST", "/", 405),
        ("OPTIONS", "/", 405),
        ("GET", "/broken", 500),
        ("GET", "/%FF", 400),
        ("OPTIONS", "*", 404),
    ],
)
async def test_every_answer_has_the_fields(app, client, method, path, status):
    cors(app, [PAGE])
    response = await ask(client, path, method=method)
    assert response.status == status
    assert fields_of(response) == {"Vary": "Origin", "Allow-Origin": PAGE}


@pytest.mark.parametrize("event", ["headers", "request"])
async def test_the_answer_of_a_listener_has_the_fields(app, client, event):
    cors(app, [PAGE])

    @app.listen(event)
    async def refuse(request, response):
        if request.headers.get("X-Raise"):
            raise HttpError(401)
        response.status = 403
        return True

    answers = [await ask(client, "/%FF"), await ask(client, X_Raise="yes")]
    assert [answer.status for answer in answers] == [403, 401] or event == "request"
    for answer in answers:
        assert fields_of(answer) == {"Vary": "Origin", "Allow-Origin": PAGE}


async def test_a_body_that_is_too_large_is_answered_with_the_fields(app, client):
    cors(app)
    response = await client.put("/items", body=b"x" * (app.limits.body + 1))
    assert response.status == 413
    assert fields_of(response) == {"Allow-Origin": "*"}


async def test_a_field_never_stands_twice(app, client):
    cors(app, [PAGE])

    @app.route("/own")
    async def own(request, response):
        response.headers["access-control-allow-origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = "X-A"

    response = await ask(client, "/own")
    assert response.headers.list("Access-Control-Allow-Origin") == [PAGE]
    assert response.headers["Access-Control-Expose-Headers"] == "X-A"
    response = await ask(client, "/own", origin=OTHER)
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_what_the_options_say_goes_before_what_a_view_says(app, client):
    cors(app, expose=["X-B"])

    @app.route("/own")
    async def own(request, response):
        response.headers["access-control-expose-headers"] = "X-A"

    response = await ask(client, "/own")
    assert response.headers.list("Access-Control-Expose-Headers") == ["X-B"]


async def test_it_works_after_a_restart(app, client):
    cors(app)
    for _ in range(2):
        await app.startup()
        assert fields_of(await ask(client)) == {"Allow-Origin": "*"}
        await app.shutdown()


# Preflights (section 4.8)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"Allow-Origin": "*"}),
        (
            {"methods": ["GET"], "headers": ["X-A"], "max_age": 60},
            {
                "Allow-Origin": "*",
                "Allow-Methods": "GET",
                "Allow-Headers": "X-A",
                "Max-Age": "60",
            },
        ),
        ({"methods": [], "headers": [], "expose": "*"}, {"Allow-Origin": "*"}),
        (
            {"methods": "*", "headers": "*", "max_age": 0},
            {
                "Allow-Origin": "*",
                "Allow-Methods": ",".join(HTTP_METHODS),
                "Allow-Headers": "x-a,x-b",
                "Max-Age": "0",
            },
        ),
        (
            {"origin": [PAGE], "credentials": True},
            {
                "Vary": "Origin",
                "Allow-Origin": PAGE,
                "Allow-Credentials": "true",
            },
        ),
        ({"origin": [OTHER], "credentials": True}, {"Vary": "Origin"}),
    ],
)
@pytest.mark.parametrize("path", ["/", "/items", "/nowhere", "/%FF"])
async def test_a_preflight_gets_a_complete_answer(app, client, options, expected, path):
    cors(app, **options)
    assert await preflight(client, path, "PUT", "x-a,x-b") == expected


async def test_a_preflight_without_names_gets_those_that_are_listed(app, client):
    cors(app, methods=["DELETE"], headers=["X-A"])
    expected = {"Allow-Origin": "*", "Allow-Methods": "DELETE", "Allow-Headers": "X-A"}
    assert await preflight(client, "/items", "DELETE") == expected
    assert await preflight(client, "/items", "DELETE", "") == expected


async def test_any_name_stays_a_star_when_none_is_asked_for(app, client):
    cors(app, headers="*")
    assert (await preflight(client))["Allow-Headers"] == "*"


@pytest.mark.parametrize(
    ("names", "sent_back"),
    [
        ("x-a", True),
        ("X-A , x-b\t,x-c", True),
        (",".join(["x"] * 1024), True),
        (",".join(["x"] * 1025), False),
        ("x" * 8000, False),
        ("x-a,", False),
        (",x-a", False),
        ("x-a x-b", False),
        ("x-a;q=1", False),
        ("x-ä", False),
        ("<script>", False),
    ],
)
async def test_only_names_are_sent_back(app, client, names, sent_back):
    cors(app, headers="*")
    found = await preflight(client, names=names)
    assert found.get("Allow-Headers") == (names if sent_back else "*")


async def test_names_on_several_lines_are_bounded_together(app):
    cors(app, headers="*")
    lines = "Access-Control-Request-Headers: x-a\r\n" * 60
    head = f"OPTIONS / HTTP/1.1\r\nHost: x\r\nOrigin: {PAGE}\r\n"
    asked = "Access-Control-Request-Method: GET\r\n"
    answer = (await exchange(app, f"{head}{asked}{lines}\r\n".encode())).data
    assert b"Allow-Headers: x-a, x-a" in answer
    lines = f"Access-Control-Request-Headers: {'x' * 100}\r\n" * 60
    answer = (await exchange(app, f"{head}{asked}{lines}\r\n".encode())).data
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Allow-Headers: *\r\n" in answer


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT, GET", "<b>", "patch"])
async def test_what_is_not_listed_is_not_granted(app, client, method):
    """Browsers go on with what Fetch calls safelisted (sections 2.2.1 and 2.2.2)."""
    cors(app)
    found = await preflight(client, method=method, names="authorization, x-a")
    assert found == {"Allow-Origin": "*"}


async def test_an_own_view_answers_all_but_preflights(app, client):
    cors(app, methods=["PUT"])

    @app.route("/own", methods=["OPTIONS", "PUT"])
    async def own(request, response):
        response.body = "mine"

    requested = {"Access-Control-Request-Method": "PUT"}
    expected = {"Allow-Origin": "*", "Allow-Methods": "PUT"}
    for headers in [{}, {"Origin": PAGE}, requested]:
        response = await client.options("/own", headers=headers)
        assert response.body == b"mine"
        assert fields_of(response) == expected
    assert await preflight(client, "/own", "PUT") == expected
    assert (
        await client.options("/own", headers={"Origin": PAGE, **requested})
    ).body == b""


async def test_a_preflight_is_answered_before_the_listeners_of_requests(app, client):
    cors(app)

    @app.listen("headers")
    @app.listen("request")
    async def refuse(request, response):
        raise HttpError(401)

    assert await preflight(client, "/items", "PUT")
    assert (await ask(client)).status == 401


async def test_a_preflight_that_a_listener_refuses_has_the_fields(app, client):
    @app.listen("headers")
    async def refuse(request, response):
        raise HttpError(401)

    cors(app, methods=["PUT"])
    asked = {"Access-Control-Request-Method": "PUT"}
    response = await client.options("/", headers={"Origin": PAGE, **asked})
    assert response.status == 401
    assert fields_of(response) == {"Allow-Origin": "*", "Allow-Methods": "PUT"}


async def test_the_body_of_a_preflight_is_not_read(app):
    cors(app)
    request = (
        f"OPTIONS / HTTP/1.1\r\nHost: x\r\nOrigin: {PAGE}\r\n"
        "Access-Control-Request-Method: PUT\r\nContent-Length: 9999999\r\n\r\n"
    )
    assert (await exchange(app, request.encode())).data.startswith(b"HTTP/1.1 200 ")


# What a route overrides


@pytest.fixture
def overriding(app):
    """Give the app a path whose methods have options of their own."""

    @app.route("/mixed", methods=["GET"], cors={"origin": [OTHER], "expose": ["X-A"]})
    @app.route("/mixed", methods=["PUT"], cors={"headers": [], "max_age": 5})
    @app.route("/mixed", methods=["POST"])
    @app.route("/mixed", methods=["PATCH"], cors=None)
    @app.route("/mixed", methods=["DELETE"], cors=False)
    async def mixed(request, response):
        response.body = "mixed"

    return app


GIVEN = {"Allow-Origin": PAGE, "Allow-Methods": "GET,PUT,DELETE"}
ANSWERS = {
    "GET": {
        "Vary": "Origin",
        "Allow-Origin": OTHER,
        "Allow-Methods": "GET,PUT,DELETE",
        "Expose-Headers": "X-A",
    },
    "PUT": GIVEN,
    "POST": GIVEN,
    "PATCH": GIVEN,
    "DELETE": {},
    "TRACE": GIVEN,  # 405
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", [*ANSWERS])
async def test_each_declaration_has_its_options(app, client, request, when, method):
    if when == "before":
        request.getfixturevalue("overriding")
    cors(app, PAGE, methods=iter(["GET", "PUT", "DELETE"]))
    if when == "after":
        request.getfixturevalue("overriding")
    response = await ask(client, "/mixed", OTHER, method)
    assert fields_of(response) == ANSWERS[method]


async def test_a_preflight_gets_what_holds_for_the_method_it_asks_for(
    overriding, client
):
    cors(overriding, PAGE, headers="*")
    found = {
        method: await preflight(client, "/mixed", method, "x-a", OTHER)
        for method in ["GET", "HEAD", "PUT", "POST", "TRACE"]
    }
    get = {"Vary": "Origin", "Allow-Origin": OTHER, "Allow-Headers": "x-a"}
    default = {"Allow-Origin": PAGE, "Allow-Headers": "x-a"}
    assert found == {
        "GET": get,
        "HEAD": get,
        "PUT": {"Allow-Origin": PAGE, "Max-Age": "5"},
        "POST": default,
        "TRACE": default,
    }


async def test_false_leaves_a_route_to_its_view(app, client):
    cors(app, [PAGE])

    @app.route("/own", methods=["GET", "OPTIONS"], cors=False)
    async def own(request, response):
        response.headers["Access-Control-Allow-Origin"] = OTHER
        response.body = "mine"

    asked = {"Access-Control-Request-Method": "GET"}
    for method in ["GET", "OPTIONS"]:
        headers = {"Origin": PAGE, **asked}
        response = await client.request("/own", method, headers=headers)
        assert response.body == b"mine"
        assert fields_of(response) == {"Allow-Origin": OTHER}


async def test_a_route_without_a_view_for_options_refuses_preflights_with_false(
    app, client
):
    cors(app)

    @app.route("/closed", cors=False)
    async def closed(request, response): ...

    asked = {"Access-Control-Request-Method": "GET"}
    response = await client.options("/closed", headers={"Origin": PAGE, **asked})
    assert (response.status, fields_of(response)) == (405, {})


async def test_options_are_read_once_although_they_change_later(app, client):
    origins = [PAGE]
    cors(app, origins)
    origins.append(OTHER)

    @app.route("/exposed", cors={"expose": ["X-A"]})
    async def exposed(request, response): ...

    assert fields_of(await ask(client, "/exposed", OTHER)) == {"Vary": "Origin"}


async def test_a_listener_that_ends_the_chain_hides_no_option(app, client):
    @app.listen("route:add")
    def keep(path, view, **extras):
        return True

    cors(app)

    @app.route("/closed", cors=False)
    async def closed(request, response): ...

    assert fields_of(await ask(client, "/closed")) == {}


# Mistakes

NO_ORIGIN = (
    "origin: {!r} is not an origin to allow; write one as browsers send it, such as "
    "'https://example.org' (in lower case, without a path, a slash at the end or the "
    "scheme's own port), several in a list, and '*' alone"
)
ANYBODY = (
    "origin: 'null' is not an origin to allow; any page can have it: use origin='*', "
    "without credentials"
)
MISTAKES = [
    ({"origin": None}, TypeError, "origin=None: give a string, a list or a function"),
    ({"origin": [1]}, TypeError, "origin: 1 in the list is not a string"),
    ({"origin": ""}, ValueError, NO_ORIGIN.format("")),
    *(
        (options, ValueError, NO_ORIGIN.format(wrong))
        for wrong in [
            "https://example.org/",
            "https://example.org:443",
            "http://example.org:80",
            "https://Example.org",
            "https://a.org, https://b.org",
            "a.org\r\nX: y",
        ]
        for options in [{"origin": wrong}, {"origin": [wrong]}]
    ),
    ({"origin": ["*"]}, ValueError, NO_ORIGIN.format("*")),
    ({"origin": ["example.org"]}, ValueError, NO_ORIGIN.format("example.org")),
    ({"origin": "null"}, ValueError, ANYBODY),
    ({"origin": ["null"]}, ValueError, ANYBODY),
    ({"methods": 1}, TypeError, "methods=1: give a list of names, or '*'"),
    ({"methods": [1]}, TypeError, "methods: 1 is not a string"),
    *(
        (
            {option: wrong},
            ValueError,
            f"{option}: {name!r} is not a name; give each alone, in a list",
        )
        for option in ["methods", "headers", "expose"]
        for wrong, name in [("X-A, X-B", "X-A, X-B"), (["ä"], "ä"), ("", "")]
    ),
    ({"credentials": "yes"}, TypeError, "credentials='yes': give True or False"),
    (
        {"origin": PAGE, "credentials": True, "expose": "*"},
        ValueError,
        "expose='*' means nothing with credentials: name the fields",
    ),
    ({"max_age": "60"}, TypeError, "max_age='60': give seconds, a whole number"),
    ({"max_age": True}, TypeError, "max_age=True: give seconds, a whole number"),
    ({"max_age": 0.5}, TypeError, "max_age=0.5: give seconds, a whole number"),
    ({"max_age": -1}, ValueError, "max_age=-1: give seconds, 0 to remember nothing"),
]


@pytest.mark.parametrize(("options", "kind", "message"), MISTAKES)
def test_a_mistake_in_an_option_says_what_to_do(app, options, kind, message):
    with pytest.raises(kind) as caught:
        cors(app, **options)
    assert str(caught.value) == message
    assert app.hooks == {}


OVERRIDES = [
    *((options, message) for options, _, message in MISTAKES),
    (True, "give a dict of options, or False"),
    ("*", "give a dict of options, or False"),
    (
        {"origins": []},
        "'origins' is not an option; there are ['origin', 'methods', 'headers', "
        "'credentials', 'expose', 'max_age']",
    ),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("override", "message"), OVERRIDES)
async def test_a_mistake_in_an_override_names_the_route(app, override, message, when):
    async def view(request, response): ...

    declare = functools.partial(app.route("/mistaken", cors=override), view)
    extend = functools.partial(cors, app)
    first, then = (declare, extend) if when == "before" else (extend, declare)
    first()
    then()
    [mistake] = app.find_mistakes()
    assert mistake.startswith(f"/mistaken: cors={override!r}: {message}. The route is")
    with pytest.raises(TypeError, match=f"^{re.escape(mistake)}$"):
        await app.startup()


async def test_an_override_warns_too(app):
    cors(app)

    async def view(request, response): ...

    app.route("/credentials", cors={"credentials": True})(view)
    with pytest.warns(UserWarning, match="browsers refuse credentials=True"):
        await app.startup()
    await app.shutdown()


@pytest.mark.parametrize(("name", "meant"), [("Cors", "cors")])
async def test_a_misspelled_extra_keeps_the_app_from_starting(name, meant):
    async def view(request, response): ...

    app = Roll()
    app.route("/x", **{name: "a"})(view)
    cors(app)
    with pytest.raises(TypeError, match=f"/x: {name}= is unknown.*mean {meant}="):
        await app.startup()
