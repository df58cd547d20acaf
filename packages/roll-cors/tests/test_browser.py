"""cors as it is used: a page that a browser has from one port asks another."""

import contextlib
import json
import shutil

import pytest
from roll import Roll
from roll.extensions import cors, options

# The driver of the browser is an example's; outside of the repository there is none.
driver = pytest.importorskip("examples.hello.browser")

CHROMIUM = shutil.which("chromium")

# A browser is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)

REFUSED = "TypeError: Failed to fetch"


@contextlib.contextmanager
def serve(app):
    """Serve an app, and give its origin."""
    with driver.serve(app) as port:
        yield f"http://127.0.0.1:{port}"


def serve_page():
    """Serve an empty page, and give its origin."""
    app = Roll()

    @app.route("/")
    async def page(request, response):
        response.headers["Content-Type"] = "text/html"
        response.body = "<!DOCTYPE html><title>page</title>"

    return serve(app)


@pytest.fixture(scope="module")
def home():
    with serve_page() as origin:
        yield origin


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with driver.browse(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def app():
    app = Roll()
    app["seen"] = []

    @app.listen("headers")
    async def keep(request, response):
        app["seen"].append(f"{request.method} {request.path}")

    @app.route("/", methods=["GET", "PUT", "POST"])
    async def echo(request, response):
        response.headers["X-Total"] = "3"
        response.json = [request.method, request.cookies.get("name")]

    @app.route("/login")
    async def login(request, response):
        response.cookies.set("name", "Zoe")

    @app.route("/broken")
    async def broken(request, response):
        raise ValueError("broken")

    @app.route("/closed", cors=False)
    async def closed(request, response): ...

    @app.route("/open", methods=["PUT"], cors={"origin": "*", "credentials": False})
    async def opened(request, response):
        response.json = "open"

    return app


@pytest.fixture
def ask(browser, home, app):
    """Give a function that fetches from the app in the page, and tells what it got."""
    with serve(app) as origin:
        browser.open(f"{home}/")

        def fetch(path="/", **init):
            script = f"""
                window.got = null;
                fetch({json.dumps(origin + path)}, {json.dumps(init)}).then(
                    async response => ({{
                        status: response.status,
                        total: response.headers.get('X-Total'),
                        body: await response.text(),
                    }})
                ).catch(String).then(got => {{ window.got = got }});
            """
            browser.run(script)
            return browser.wait("window.got")

        yield fetch


HELLO = {"status": 200, "total": None, "body": '["GET",null]'}
PREFLIGHTED = {"method": "PUT", "headers": {"X-Asked": "yes"}}
GRANTED = {"methods": ["PUT"], "headers": ["X-Asked"]}


def test_without_cors_the_page_reads_nothing(ask):
    assert ask() == REFUSED


def test_any_origin_may_read(app, ask):
    cors(app)
    assert ask() == HELLO


def test_an_origin_of_a_list_may_read(app, ask, home):
    cors(app, ["https://example.org", home])
    assert ask() == HELLO


def test_another_origin_may_not_read(app, ask):
    cors(app, ["https://example.org"])
    assert ask() == REFUSED
    assert app["seen"] == ["GET /"]


def test_a_function_decides(app, ask, home):
    cors(app, lambda origin: origin == home)
    assert ask() == HELLO


def test_what_a_browser_keeps_for_one_origin_is_not_for_another(
    app, browser, ask, home
):
    with serve_page() as other:  # of the same site, so of the same cache
        cors(app, [home, other])

        @app.route("/kept")
        async def kept(request, response):
            response.headers["Cache-Control"] = "max-age=600"

        for _ in range(2):
            assert ask("/kept")["status"] == 200
        browser.open(f"{other}/")
        assert ask("/kept")["status"] == 200
    assert app["seen"] == ["GET /kept"] * 2


@pytest.mark.parametrize("expose", ["*", ["X-Total"]])
def test_exposed_fields_can_be_read(app, ask, expose):
    cors(app, expose=expose)
    assert ask()["total"] == "3"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/nowhere", "GET", 404), ("/login", "POST", 405), ("/broken", "GET", 500)],
)
def test_errors_can_be_read(app, ask, path, method, status):
    cors(app)
    assert ask(path, method=method)["status"] == status


@pytest.mark.parametrize("path", ["/nowhere", "/login"])
def test_errors_can_be_read_after_a_preflight(app, ask, path):
    cors(app, **GRANTED)
    assert ask(path, **PREFLIGHTED)["status"] in (404, 405)


# Credentials


def test_credentials_are_sent_to_who_allows_them(app, ask, home):
    cors(app, [home], credentials=True)
    assert ask("/login", credentials="include")["status"] == 200
    assert ask(credentials="include")["body"] == '["GET","Zoe"]'
    assert ask(credentials="omit")["body"] == '["GET",null]'


def test_credentials_are_refused_where_they_are_not_allowed(app, ask, home):
    cors(app, [home])
    assert ask(credentials="include") == REFUSED
    assert ask(credentials="omit") == HELLO


def test_credentials_are_refused_where_any_origin_is_allowed(app, ask):
    with pytest.warns(UserWarning, match="browsers refuse"):
        cors(app, credentials=True)
    assert ask(credentials="include") == REFUSED
    assert ask(credentials="omit") == HELLO


# Preflights


@pytest.mark.parametrize("extensions", [[], [options]], ids=["alone", "with options"])
@pytest.mark.parametrize("credentials", ["include", "omit"])
@pytest.mark.parametrize(
    "given",
    [
        {"methods": ["PUT"], "headers": ["X-Asked"]},
        {"methods": "*", "headers": "*", "max_age": 0},
    ],
)
def test_a_preflight_lets_the_browser_go_on(
    app, ask, home, extensions, credentials, given
):
    cors(app, [home], credentials=True, **given)
    for extension in extensions:
        extension(app)
    assert ask(**PREFLIGHTED, credentials=credentials)["body"].startswith('["PUT"')
    assert app["seen"] == ["OPTIONS /", "PUT /"]


def test_authorization_may_be_sent_with_any_field(app, ask):
    cors(app, headers="*")
    assert ask(headers={"Authorization": "Bearer x"}) == HELLO


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"methods": "*"},
        {"headers": "*"},
        {"methods": "*", "headers": "*", "origin": ["https://example.org"]},
        {"methods": ["DELETE"], "headers": "*"},
        {"methods": "*", "headers": ["X-Other"]},
    ],
)
def test_a_preflight_stops_the_browser(app, ask, given):
    cors(app, **given)
    assert ask(**PREFLIGHTED) == REFUSED
    assert app["seen"] == ["OPTIONS /"]


def test_a_preflight_is_remembered_for_max_age(app, ask):
    cors(app, max_age=600, **GRANTED)
    for _ in range(2):
        assert ask(**PREFLIGHTED)["status"] == 200
    assert app["seen"] == ["OPTIONS /", "PUT /", "PUT /"]


def test_a_route_overrides(app, ask):
    cors(app, ["https://example.org"], credentials=True, **GRANTED)
    assert ask("/open", **PREFLIGHTED)["body"] == '"open"'
    assert ask(**PREFLIGHTED) == REFUSED


def test_a_route_is_closed(app, ask):
    cors(app)
    assert ask("/closed") == REFUSED
    assert ask("/closed", headers={"X-Asked": "yes"}) == REFUSED
    assert app["seen"] == ["GET /closed", "OPTIONS /closed"]
