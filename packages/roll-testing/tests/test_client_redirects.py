"""Redirects (RFC 9110, section 15.4), followed in memory and through a socket."""

import io

import pytest
from roll import Roll
from roll_testing import RedirectError
from roll_testing.message import Message
from roll_testing.redirects import Trail
from roll_testing.response import Headers, ResponseHead

ECHO = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]


@pytest.fixture
def app():
    app = Roll()

    @app.route("/go/{status:int}", methods=ECHO)
    async def go(request, response, status):
        response.status = status
        response.headers["Location"] = request.query.get("to", "/end")
        response.body = "moved"

    @app.route("/nowhere-to-go")
    async def nowhere_to_go(request, response):
        response.status = 302

    @app.route("/loop/{number:int}")
    async def loop(request, response, number):
        response.redirect = f"/loop/{number + 1}", 302

    @app.route("/login", methods="POST")
    async def login(request, response):
        response.cookies.set("session", "new")
        response.redirect = "/end", 303

    @app.route("/end", methods=ECHO)
    async def end(request, response):
        response.json = {
            "method": request.method,
            "url": request.url.decode(),
            "headers": dict(request.headers),
            "body": request.body.decode(),
        }

    @app.route("/deep/end")
    async def deep_end(request, response):
        response.body = request.url

    return app


@pytest.fixture(params=["client", "liveclient"])
def ask(request):
    """Send a request with one of the clients; `ask.client` is the client."""
    client = request.getfixturevalue(request.param)

    async def ask(path, method="GET", **options):
        if request.param == "client":
            return await client.request(path, method, **options)
        return await client.query(method, path, **options)

    ask.client = client
    return ask


async def test_a_redirect_is_an_answer_unless_it_is_followed(ask):
    response = await ask("/go/302")
    assert (response.status, response.headers["Location"]) == (302, "/end")
    assert response.history == []
    response = await ask("/go/302", follow_redirects=True)
    assert (response.status, response.json["url"]) == (200, "/end")
    assert [one.status for one in response.history] == [302]
    assert response.history[0].body == b"moved"


@pytest.mark.parametrize(
    ("method", "status", "becomes"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 301, "PUT"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
        ("DELETE", 303, "GET"),
        ("DELETE", 308, "DELETE"),
        ("GET", 303, "GET"),
    ],
)
async def test_method_and_body_are_those_of_the_status(ask, method, status, becomes):
    response = await ask(
        f"/go/{status}",
        method,
        body={"a": 1},
        headers={"X-A": "1", "Content-Language": "en"},
        follow_redirects=True,
    )
    answer = response.json
    keeps = becomes == method and status != 303
    assert (answer["method"], answer["body"]) == (becomes, '{"a": 1}' if keeps else "")
    assert answer["headers"]["X-A"] == "1"
    about = {"CONTENT-TYPE", "CONTENT-LENGTH", "CONTENT-LANGUAGE"}
    assert about & answer["headers"].keys() == (about if keeps else set())


async def test_head_stays_head(ask):
    response = await ask("/go/303", "HEAD", follow_redirects=True)
    assert (response.status, response.body) == (200, b"")
    assert len(response.history) == 1


async def test_a_file_that_was_read_into_the_body_is_sent_again(ask):
    response = await ask(
        "/go/307",
        "POST",
        files={"f": io.BytesIO(b"content")},
        follow_redirects=True,
    )
    assert "content" in response.json["body"]


async def test_a_body_that_is_read_once_cannot_be_sent_again(ask):
    with pytest.raises(RedirectError, match=r"redirected with 307.*give bytes") as info:
        await ask("/go/307", "POST", body=iter("ab"), follow_redirects=True)
    assert info.value.response.status == 307
    response = await ask("/go/303", "POST", body=iter("ab"), follow_redirects=True)
    assert (response.json["method"], response.json["body"]) == ("GET", "")


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/end?a=1&b=%20#there", "/end?a=1&b=%20"),
        ("../end", "/end"),
        ("../deep/../end", "/end"),
        ("../end?", "/end"),
        ("//{host}/end", "/end"),
        ("http://{host}/end", "/end"),
        ("https://{host}/end", "/end"),
    ],
)
async def test_a_location_is_relative_to_what_was_asked_for(ask, location, url):
    to = location.format(host=ask.client._host)
    response = await ask("/go/302", params={"to": to}, follow_redirects=True)
    assert response.json["url"] == url


@pytest.mark.parametrize(
    "location",
    [
        "http://elsewhere.test/end",
        "http://127.0.0.1:1/end",
        "//elsewhere.test",
        "ftp://{host}/end",
        "mailto:a@b.test",
    ],
)
async def test_another_host_is_an_error(ask, location):
    to = location.format(host=ask.client._host)
    with pytest.raises(RedirectError, match="follows redirects within the app") as info:
        await ask("/go/302", params={"to": to}, follow_redirects=True)
    assert info.value.response.status == 302


@pytest.mark.parametrize("location", ["http://[/", "http://roll.test:x/"])
async def test_a_location_that_is_no_url_is_an_error(client, location):
    with pytest.raises(RedirectError, match="which is not a URL"):
        await client.get("/go/302", params={"to": location}, follow_redirects=True)


async def test_redirects_end(ask):
    with pytest.raises(RedirectError, match="GET /loop/20 is redirected once more"):
        await ask("/loop/0", follow_redirects=True)
    ask.client.max_redirects = 2
    with pytest.raises(RedirectError, match="once more after 2 redirects") as info:
        await ask("/loop/0", follow_redirects=True)
    assert info.value.response.headers["Location"] == "/loop/3"


async def test_a_redirect_without_a_location_is_an_answer(ask):
    response = await ask("/nowhere-to-go", follow_redirects=True)
    assert (response.status, response.history) == (302, [])
    assert (await ask("/go/304", follow_redirects=True)).status == 304


async def test_cookies_go_with_the_redirects(ask):
    response = await ask("/login", "POST", follow_redirects=True)
    assert response.json["headers"]["COOKIE"] == "session=new"


async def test_cookies_of_the_request_go_with_the_redirects(ask):
    response = await ask(
        "/login",
        "POST",
        headers={"Cookie": "theme=dark; session=old"},
        follow_redirects=True,
    )
    sent = response.json["headers"]["COOKIE"].split("; ")
    assert sorted(sent) == ["session=new", "theme=dark"]


async def test_no_cookies_are_sent_where_the_request_wants_none(client):
    client.cookies["a"] = "1"
    options = {"headers": {"Cookie": None}, "follow_redirects": True}
    response = await client.post("/login", **options)
    assert "COOKIE" not in response.json["headers"]
    assert client.cookies == {"a": "1", "session": "new"}


async def test_liveclient_forgets_the_cookies(liveclient):
    await liveclient.query("POST", "/login", follow_redirects=True)
    response = await liveclient.query("GET", "/end")
    assert "COOKIE" not in response.json["headers"]


async def test_liveclient_takes_what_client_takes(liveclient):
    options = {"form": {"a": "1"}, "params": {"b": "2"}}
    answer = (await liveclient.query("POST", "/end", **options)).json
    assert (answer["url"], answer["body"]) == ("/end?b=2", "a=1")
    liveclient.default_headers["X-A"] = "1"
    answer = (await liveclient.query("POST", "/end", data=[1])).json
    assert (answer["headers"]["X-A"], answer["body"]) == ("1", "[1]")


@pytest.mark.parametrize(
    ("target", "location", "following"),
    [
        ("/a/b", "c", "/a/c"),
        ("/a/b?c", "?d", "/a/b?d"),
        ("*", "b", "/b"),
        ("http://roll.test/a/b", "c", "/a/c"),
        ("/a", "/caf\xc3\xa9", "/caf%C3%A9"),
        ("/a", "http://ROLL.test:80", "/"),
    ],
)
def test_where_a_redirect_leads(target, location, following):
    message = Message("GET", target)
    message.add_fields({"Host": "roll.test"})
    message.follow_redirects = True
    response = ResponseHead()
    response.status = 302
    response.headers = Headers([("Location", location)])
    trail = Trail(message, {}, 1)
    assert trail.follow(message, response).target == following
    assert repr(response) == "<ResponseHead 302>"


def test_without_a_host_only_paths_are_followed():
    message = Message("GET", "/a")
    message.follow_redirects = True
    response = ResponseHead()
    response.status = 302
    response.headers = Headers([("Location", "/b")])
    assert Trail(message, {}, 1).follow(message, response).target == "/b"
    response.headers = Headers([("Location", "http://roll.test/b")])
    with pytest.raises(RedirectError):
        Trail(message, {}, 1).follow(message, response)
