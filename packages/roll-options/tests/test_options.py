"""options: OPTIONS answered before anything is dispatched."""

import pytest
from roll import HttpError, Roll
from roll.extensions import cors, options
from roll_testing import exchange

PAGE = "https://example.org"
LISTED = {"methods": ["PUT"], "headers": ["content-type"]}


@pytest.fixture
def app():
    app = Roll()

    @app.route("/", methods=["GET", "PUT"])
    async def home(request, response):
        response.body = "home"

    @app.route("/own", methods=["OPTIONS"])
    async def own(request, response):
        raise HttpError(500, "never run")

    return app


async def test_an_app_without_it_is_not_changed(app, client):
    assert (await client.options("/")).status == 405


@pytest.mark.parametrize("path", ["/", "/own", "/nowhere", "/%FF", "*", "/?a=%FF"])
async def test_options_is_answered_on_any_path(app, path):
    options(app)
    request = f"OPTIONS {path} HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await exchange(app, request.encode())
    assert answer.data == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_other_methods_are_left_alone(app, client, method):
    options(app)
    response = await client.request("/", method)
    assert response.body == (b"" if method == "HEAD" else b"home")
    assert (await client.request("/nowhere", method)).status == 404


async def test_nothing_is_dispatched(app, client):
    options(app)

    @app.listen("request")
    async def refuse(request, response):
        raise HttpError(401)

    assert (await client.options("/")).status == 200
    assert (await client.get("/")).status == 401


async def test_response_listeners_run(app, client):
    options(app)

    @app.listen("response")
    async def mark(request, response):
        response.headers["X-Seen"] = request.method

    assert (await client.options("/")).headers["X-Seen"] == "OPTIONS"


async def test_no_body_is_read(app):
    options(app)
    request = b"OPTIONS / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"
    assert (await exchange(app, request)).data.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_body_that_comes_is_no_next_request(app):
    options(app)
    body = b"GET /smuggled HTTP/1.1\r\n\r\n"
    head = b"OPTIONS / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = await exchange(app, head + body + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.data.count(b"HTTP/1.1 200 OK") == 2
    assert answer.data.endswith(b"\r\n\r\nhome")


async def test_it_works_after_a_restart(app, client):
    options(app)
    for _ in range(2):
        await app.startup()
        assert (await client.options("/")).status == 200
        await app.shutdown()


# With cors


@pytest.mark.parametrize("extensions", [(cors, options), (options, cors)])
@pytest.mark.parametrize("path", ["/", "/own", "/nowhere", "/%FF"])
async def test_a_preflight_is_complete_in_either_order(app, extensions, path):
    for extension in extensions:
        extension(app, **(LISTED if extension is cors else {}))
    request = (
        f"OPTIONS {path} HTTP/1.1\r\nHost: x\r\nOrigin: {PAGE}\r\n"
        "Access-Control-Request-Method: PUT\r\n"
        "Access-Control-Request-Headers: content-type\r\n\r\n"
    )
    assert (await exchange(app, request.encode())).data == (
        b"HTTP/1.1 200 OK\r\n"
        b"Access-Control-Allow-Origin: *\r\n"
        b"Access-Control-Allow-Methods: PUT\r\n"
        b"Access-Control-Allow-Headers: content-type\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


async def test_a_route_without_cors_stays_without(app, client):
    cors(app)
    options(app)

    @app.route("/closed", cors=False)
    async def closed(request, response): ...

    headers = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    response = await client.options("/closed", headers=headers)
    assert dict(response.headers) == {"Content-Length": "0"}
