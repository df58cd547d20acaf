"""csrf: who may send what, and tokens."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from jinja2 import DictLoader
from roll import Request, Roll
from roll.extensions import csrf, mount, proxy_headers, session, templates
from roll_session import MemoryStore, csrf_token
from roll_testing import Client, exchange

KEY = "a key of 32 bytes, for the tests"
NAME = "__Host-session"
REFUSED = (403, b"Cross-origin request refused")
OTHER = "https://other.example"


def make_app(*arguments, place=None, **options):
    app = Roll()
    proxy_headers(app, ["unix", "127.0.0.1"])
    if place is not False:
        session(app, **(place or {"secret": KEY}))
    csrf(app, *arguments, **options)
    app["calls"] = []

    @app.route("/", methods="*")
    async def view(request, response):
        app["calls"].append(request.method)

    @app.route("/hook", methods=["POST"], csrf=False)
    async def hook(request, response): ...

    @app.route("/off", methods=["POST"], session=False)
    async def off(request, response): ...

    @app.route("/lazy", methods=["POST"], lazy_body=True)
    async def lazy(request, response):
        response.body = await request.read()

    @app.route("/token")
    async def token(request, response):
        response.body = csrf_token(request)

    @app.route("/login", methods=["POST"])
    async def login(request, response):
        request["session"].regenerate()
        request["session"]["user"] = "Ann"

    @app.route("/logout", methods=["POST"])
    async def logout(request, response):
        request["session"].invalidate()

    return app


@pytest.fixture
def app():
    return make_app([OTHER])


HOST = {"Host": "example.org"}
HTTPS = {"X-Forwarded-Proto": "https", **HOST}


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://a.example.org"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://example.org"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": OTHER}, True),
        ({"Sec-Fetch-Site": "same-site", "Origin": OTHER}, True),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Sec-Fetch-Site": "Same-Origin"}, False),
        ({"Sec-Fetch-Site": ["same-origin", "cross-site"]}, False),
        ({"Sec-Fetch-Site": "unheard-of"}, False),
        ({}, True),
        ({"Origin": "http://example.org"}, True),
        ({"Origin": "http://example.org:8000"}, False),
        ({"Origin": "http://example.org", "Host": "EXAMPLE.org:80"}, True),
        ({"Origin": "http://example.org:8000", "Host": "example.org:8000"}, True),
        ({"Origin": "https://example.org"}, False),
        ({"Origin": "https://example.org", **HTTPS}, True),
        ({"Origin": "https://example.org", **HTTPS, "Host": "example.org:443"}, True),
        ({"Origin": "https://example.org", **HTTPS, "Host": "example.org:80"}, False),
        ({"Origin": "http://example.org", **HTTPS}, False),
        ({"Origin": "null"}, False),
        ({"Origin": OTHER}, True),
        ({"Origin": OTHER + ".evil.example"}, False),
        ({"Origin": "http://example.org.evil.example"}, False),
        ({"Origin": "http://sub.example.org"}, False),
        ({"Origin": "garbage \xff"}, False),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_only_pages_of_this_origin_or_trusted_ones_change_anything(
    app, client, method, headers, passes
):
    response = await client.request("/", method, headers={**HOST, **headers})
    if passes:
        assert (response.status, app["calls"]) == (200, [method])
    else:
        assert (response.status, response.body) == REFUSED
        assert app["calls"] == []
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
async def test_methods_that_change_nothing_pass(client, method):
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    response = await client.request("/", method, headers=headers)
    assert response.status == 200


CROSS = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


async def test_a_route_may_take_all(app, client):
    assert (await client.post("/hook", headers=CROSS)).status == 200
    response = await client.post("/off", headers=CROSS)
    assert (response.status, response.body) == REFUSED


async def test_a_request_for_what_is_not_there_is_refused_too(client):
    """A listener may lead it to a route."""
    assert (await client.post("/nowhere", headers=CROSS)).status == 403


async def test_it_is_refused_before_its_body_is_read(app):
    head = (
        b"POST / HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: cross-site\r\n"
        b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    )
    assert (await exchange(app, head)).data.startswith(b"HTTP/1.1 403 Forbidden\r\n")


async def test_it_is_refused_before_other_listeners_answer():
    app = Roll()

    @app.listen("headers")
    def answer(request, response):
        return True

    csrf(app)
    async with Client(app) as client:
        assert (await client.post("/", headers=CROSS)).status == 403


async def test_it_needs_no_session():
    app = make_app(place=False)
    async with Client(app) as client:
        assert (await client.post("/", headers=CROSS)).status == 403
        response = await client.post("/")
        assert dict(response.headers) == {"Content-Length": "0"}


@pytest.mark.parametrize(
    ("trusted", "error", "message"),
    [
        ("https://a.org", TypeError, "give a list of origins"),
        ([7], TypeError, "give a list of origins"),
        (["null"], ValueError, "trusted: 'null': write it as browsers send it"),
        (["https://a.org/"], ValueError, "write it as browsers send it"),
        (["https://A.org"], ValueError, "write it as browsers send it"),
        (["a.org"], ValueError, "write it as browsers send it"),
        (["https://a.org:443"], ValueError, "write it as browsers send it"),
        (["http://a.org:80"], ValueError, "write it as browsers send it"),
        (["*"], ValueError, "write it as browsers send it"),
    ],
)
def test_what_is_not_an_origin_is_refused(trusted, error, message):
    app = Roll()
    with pytest.raises(error, match=message):
        csrf(app, trusted)
    assert (len(app), app.hooks) == (0, {})


def test_origins_of_other_kinds_may_be_trusted():
    csrf(Roll(), ["http://a.org:8080", "https://a.org:80", "chrome-extension://abc"])


def test_token_is_true_or_false():
    with pytest.raises(TypeError, match="token='yes': give True or False"):
        csrf(Roll(), token="yes")


def test_it_is_set_up_once():
    app = Roll()
    csrf(app)
    with pytest.raises(ValueError, match="this app has csrf"):
        csrf(app)


async def test_the_extra_is_true_or_false():
    app = Roll()
    csrf(app)

    @app.route("/", csrf="no")
    async def view(request, response): ...

    with pytest.raises(TypeError, match=r"^/: csrf='no': give True or False"):
        await app.startup()


async def test_tokens_need_a_session_here_or_above():
    inner = Roll()
    csrf(inner, token=True)
    with pytest.raises(ValueError, match=r"call session\(app\) too"):
        await inner.open()
    app = Roll()
    session(app, KEY)
    mount(app, "/inner", inner)
    await app.startup()
    await app.shutdown()


async def test_routes_of_mounted_apps_are_checked(app, client):
    inner = Roll()

    @inner.route("/", methods=["POST"])
    async def view(request, response): ...

    @inner.route("/hook", methods=["POST"], csrf=False)
    async def hook(request, response): ...

    mount(app, "/inner", inner)
    assert (await client.post("/inner/", headers=CROSS)).status == 403
    assert (await client.post("/inner/hook", headers=CROSS)).status == 200


# Tokens


@pytest.fixture(params=[None, {"store": MemoryStore()}])
async def site(request):
    """Give an app that asks for tokens, and a client with a session."""
    app = make_app(token=True, place=request.param)
    async with Client(app) as client:
        token = (await client.get("/token")).text
        assert len(client.cookies) == 1
        yield client, token


def wrong(token):
    flipped = bytes([urlsafe_b64decode(token + "==")[0] ^ 1])
    other = flipped + urlsafe_b64decode(token + "==")[1:]
    return urlsafe_b64encode(other).rstrip(b"=").decode()


MISSING = (403, b"Missing or wrong CSRF token")


async def test_a_token_comes_in_the_header_or_a_form(site):
    client, token = site
    assert (await client.post("/", headers={"X-CSRF-Token": token})).status == 200
    assert (await client.post("/", form={"csrf_token": token})).status == 200
    files = {"file": b"content"}
    response = await client.post("/", form={"csrf_token": token}, files=files)
    assert response.status == 200
    response = await client.post("/", json={}, headers={"X-CSRF-Token": token})
    assert response.status == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "",
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: "é" * 86,
        lambda token: "*" * 86,
        lambda token: "A" * 86,
        wrong,
        lambda token: token + "\n",
    ],
)
async def test_a_wrong_token_is_refused(site, change):
    client, token = site
    response = await client.post("/", form={"csrf_token": change(token)})
    assert (response.status, response.body) == MISSING


async def test_none_is_refused(site):
    client, token = site
    for options in ({}, {"form": {"a": "1"}}, {"json": {"csrf_token": token}}):
        response = await client.post("/", **options)
        assert (response.status, response.body) == MISSING
        assert response.headers["Vary"] == "Cookie"


async def test_a_wrong_header_is_not_mended_by_the_form(site):
    client, token = site
    headers = {"X-CSRF-Token": wrong(token)}
    response = await client.post("/", form={"csrf_token": token}, headers=headers)
    assert response.status == 403


async def test_on_lazy_routes_a_multipart_form_needs_the_header(site):
    client, token = site
    files = {"file": b"content"}
    response = await client.post("/lazy", form={"csrf_token": token}, files=files)
    assert (response.status, response.body) == MISSING
    headers = {"X-CSRF-Token": token}
    response = await client.post("/lazy", files=files, headers=headers)
    assert (response.status, b"content" in response.body) == (200, True)
    response = await client.post("/lazy", form={"csrf_token": token})
    assert (response.status, response.text) == (200, f"csrf_token={token}")


async def test_without_a_session_cookie_no_token_is_needed(site):
    client, _token = site
    client.cookies.clear()
    assert (await client.post("/")).status == 200
    client.cookies[NAME] = "nonsense"
    assert (await client.post("/")).status == 403


async def test_routes_without_protection_or_a_session_need_none(site):
    client, _token = site
    assert (await client.post("/hook")).status == 200
    assert (await client.post("/off")).status == 200
    assert (await client.post("/nowhere")).status == 404


async def test_the_origin_is_checked_all_the_same(site):
    client, token = site
    headers = {"X-CSRF-Token": token, **CROSS}
    response = await client.post("/", headers=headers)
    assert (response.status, response.body) == REFUSED


async def test_tokens_are_masked_anew_and_good_in_all_tabs(site):
    """flask-wtf#195: a token has no age of its own."""
    client, token = site
    others = {(await client.get("/token")).text for _ in range(5)}
    assert len(others | {token}) == 6
    for other in others | {token}:
        assert (await client.post("/", headers={"X-CSRF-Token": other})).status == 200


async def test_a_login_makes_another_secret(site):
    client, token = site
    assert (await client.post("/login", headers={"X-CSRF-Token": token})).status == 200
    response = await client.post("/", headers={"X-CSRF-Token": token})
    assert response.status == 403
    token = (await client.get("/token")).text
    assert (await client.post("/", headers={"X-CSRF-Token": token})).status == 200
    await client.post("/logout", headers={"X-CSRF-Token": token})
    assert (await client.post("/")).status == 200  # no session cookie is left


async def test_a_token_of_another_session_is_refused(site):
    client, token = site
    client.cookies.clear()
    await client.get("/token")
    assert (await client.post("/", headers={"X-CSRF-Token": token})).status == 403


async def test_tokens_rotate_with_the_keys():
    """flask-wtf#675: they hang on the session."""
    old, new = "an old key, which has 32 bytes  ", "a new key, which has 32 bytes   "
    async with Client(make_app(token=True, place={"secret": old})) as client:
        token = (await client.get("/token")).text
        cookie = client.cookies[NAME]
    async with Client(make_app(token=True, place={"secret": [new, old]})) as client:
        client.cookies[NAME] = cookie
        assert (await client.post("/", headers={"X-CSRF-Token": token})).status == 200


async def test_a_malformed_form_is_400(site):
    client, _token = site
    response = await client.post(
        "/", b"%ff", content_type="application/x-www-form-urlencoded"
    )
    assert response.status == 400


async def test_another_route_of_a_listener_is_protected(site):
    client, token = site

    @client.app.listen("request")
    def lead(request, response):
        request.path = request.path.removeprefix("/fr")

    assert (await client.post("/fr/")).status == 403
    assert (await client.post("/fr/", headers=CROSS)).status == 403
    assert (await client.post("/fr/", headers={"X-CSRF-Token": token})).status == 200


def test_a_token_needs_a_session():
    with pytest.raises(RuntimeError, match="the request has no session"):
        csrf_token(Request(None, None))


@pytest.mark.parametrize("how", ["render", "stream"])
async def test_a_template_has_tokens(site, how):
    client, _token = site
    page = "{{ csrf_token() }}"
    pages = templates(client.app, loader=DictLoader({"page.html": page}))

    @client.app.route("/page")
    async def show(request, response):
        await getattr(pages, how)(request, response, "page.html")

    client.cookies.clear()
    token = (await client.get("/page")).text
    assert (await client.post("/", form={"csrf_token": token})).status == 200
    assert (await client.post("/", form={"csrf_token": ""})).status == 403
