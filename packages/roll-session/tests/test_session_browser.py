"""session and csrf as a browser has them: whose cookies it takes, and when."""

import json
import shutil

import pytest
from roll import Roll
from roll.extensions import csrf, session
from roll_session import MemoryStore, csrf_token

# The driver of the browser is an example's; outside of the repository there is none.
driver = pytest.importorskip("examples.hello.browser")

CHROMIUM = shutil.which("chromium")

# A browser is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)

KEY = "a key of 32 bytes, for the tests"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with driver.browse(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(params=[{"secret": KEY}, {"store": MemoryStore()}])
def app(request):
    app = Roll()
    session(app, **request.param)

    @app.route("/login")
    async def login(request, response):
        request["session"]["user"] = "Ann"
        show(response, "in")

    @app.route("/logout")
    async def logout(request, response):
        request["session"].clear()
        show(response, "out")

    @app.route("/who", methods=["GET", "POST"])
    async def who(request, response):
        show(response, request["session"].get("user", "nobody"))

    @app.route("/form")
    async def form(request, response):
        show_form(response, "/who", csrf_token(request))

    return app


def show(response, text):
    response.html = f"<!DOCTYPE html><title>page</title><p>{text}"


def show_form(response, target, token=""):
    show(
        response,
        f'<form method="post" action="{target}">'
        f'<input name="csrf_token" value="{token}"></form>',
    )


def text(browser):
    return browser.run("document.body.innerText").strip()


def submit(browser):
    browser.run("window.isOld = true; document.forms[0].submit()")
    browser.wait("!window.isOld && document.readyState == 'complete'")
    return text(browser)


@pytest.fixture
def origin(app):
    """Give the origin of the app; 127.0.0.1 is another site than this."""
    with driver.serve(app) as port:
        yield f"http://localhost:{port}"


@pytest.fixture
def other():
    """Give a page of another site, with a form that leads where its query says."""
    app = Roll()

    @app.route("/")
    async def page(request, response):
        show_form(response, request.query.get("to"))

    with driver.serve(app) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_browser_takes_the_cookie_and_forgets_it(browser, origin):
    browser.open(f"{origin}/login")
    browser.open(f"{origin}/who")
    assert text(browser) == "Ann"
    assert browser.run("document.cookie") == ""  # HttpOnly
    (cookie,) = browser.call("Network.getCookies", urls=[origin])["cookies"]
    assert (cookie["name"], cookie["path"]) == ("__Host-session", "/")
    assert (cookie["secure"], cookie["httpOnly"]) == (True, True)
    assert cookie["sameSite"] == "Lax"
    browser.open(f"{origin}/logout")
    assert browser.call("Network.getCookies", urls=[origin])["cookies"] == []
    browser.open(f"{origin}/who")
    assert text(browser) == "nobody"


def test_another_site_may_lead_here_and_not_post(browser, origin, other):
    browser.open(f"{origin}/login")
    browser.open(f"{other}/?to={origin}/who")
    browser.run(f"window.isOld = true; location = {json.dumps(origin + '/who')}")
    browser.wait("!window.isOld && document.readyState == 'complete'")
    assert text(browser) == "Ann"  # a link: SameSite=Lax
    browser.open(f"{other}/?to={origin}/who")
    assert submit(browser) == "nobody"


@pytest.mark.parametrize("token", [False, True])
def test_a_form_of_another_site_is_refused(browser, app, other, token):
    csrf(app, token=token)
    with driver.serve(app) as port:
        origin = f"http://localhost:{port}"
        browser.open(f"{origin}/login")
        browser.open(f"{other}/?to={origin}/who")
        assert submit(browser) == "Cross-origin request refused"
        browser.open(f"{origin}/form")
        assert submit(browser) == "Ann"


def test_a_form_of_a_trusted_site_is_taken(browser, app, other):
    csrf(app, [other])
    with driver.serve(app) as port:
        browser.open(f"{other}/?to=http://localhost:{port}/who")
        assert submit(browser) == "nobody"


def test_another_port_of_this_host_is_refused(browser, app, other):
    csrf(app)
    with driver.serve(app) as port:
        page = other.replace("127.0.0.1", "localhost")  # the same site
        browser.open(f"{page}/?to=http://localhost:{port}/who")
        assert submit(browser) == "Cross-origin request refused"
