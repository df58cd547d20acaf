"""problems: errors as `application/problem+json` (RFC 9457)."""

import pytest
from msgspec import Struct
from roll import HttpError, Roll
from roll_openapi import openapi, problems, typed

PROBLEM = "application/problem+json"


class Item(Struct):
    name: str


@pytest.fixture
def app():
    app = Roll()
    problems(app)
    declare(app)
    return app


def declare(app):
    @app.route("/error/{status:int}")
    async def error(request, response, status):
        raise HttpError(status)

    @app.route("/message")
    async def message(request, response):
        raise HttpError(409, "Somebody else has it", headers={"Retry-After": "5"})

    @app.route("/bytes")
    async def octets(request, response):
        raise HttpError(409, b"caf\xc3\xa9 \xff")

    @app.route("/context")
    async def context(request, response):
        problem = {"type": "https://example.org/gone", "title": "Gone", "balance": 30}
        raise HttpError(403, "No", {"problem": problem})

    @app.route("/other")
    async def other(request, response):
        raise HttpError(403, context={"other": 1})

    @app.route("/crash")
    async def crash(request, response):
        raise ValueError("a secret")

    @app.route("/items", methods=["POST"])
    @typed
    async def items(request, response, item: Item) -> None: ...


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/nowhere", {"title": "Not Found", "status": 404}),
        ("/items", {"title": "Method Not Allowed", "status": 405}),
        ("/error/413", {"title": "Content Too Large", "status": 413}),
        (
            "/message",
            {"title": "Conflict", "status": 409, "detail": "Somebody else has it"},
        ),
        ("/bytes", {"title": "Conflict", "status": 409, "detail": "café \ufffd"}),
        ("/other", {"title": "Forbidden", "status": 403}),
        ("/crash", {"title": "Internal Server Error", "status": 500}),
    ],
)
async def test_every_error_is_a_problem(client, path, problem):
    response = await client.get(path)
    assert response.status == problem["status"]
    assert response.json == {"type": "about:blank", **problem}
    assert response.headers["Content-Type"] == PROBLEM
    assert response.headers["Vary"] == "Accept"


async def test_fields_of_an_error_stay(client):
    assert (await client.get("/items")).headers["Allow"] == "POST"
    response = await client.get("/message")
    assert response.headers["Retry-After"] == "5"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_context_adds_members(client):
    assert (await client.get("/context")).json == {
        "type": "https://example.org/gone",
        "title": "Gone",
        "status": 403,
        "detail": "No",
        "balance": 30,
    }


async def test_a_problem_lists_what_is_invalid(client):
    response = await client.post("/items", {"name": 1})
    assert response.json == {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "errors": [
            {
                "in": "body",
                "name": "item",
                "pointer": "/name",
                "detail": "Expected `str`, got `int`",
            }
        ],
    }


@pytest.mark.parametrize(
    ("accept", "is_problem"),
    [
        ("", True),
        ("*/*", True),
        ("application/json", True),
        ("application/problem+json", True),
        ("application/*", True),
        ("image/png", True),
        ("text/plain, application/json", True),
        ("text/plain;q=0.5, application/json;q=0.6", True),
        ("text/plain", False),
        ("text/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/json;q=0.1, text/html;q=0.2", False),
        ("application/json;q=0, */*", True),
        ("*/*, text/plain;q=0, text/html;q=0", True),
        ("text/plain;q=broken", True),
        ("application/json;q=0.9, application/problem+json;q=0.1, text/html", False),
    ],
)
async def test_who_prefers_text_gets_what_it_would_without(client, accept, is_problem):
    """RFC 9110, section 12.5.1."""
    response = await client.get("/nowhere", headers={"Accept": accept})
    assert response.headers["Vary"] == "Accept"
    if is_problem:
        assert response.headers["Content-Type"] == PROBLEM
    else:
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.body == b"Not Found"


async def test_a_type_of_its_own(client):
    app = client.app
    other = Roll()
    problems(other, type="https://example.org/errors")
    assert app is not other
    from roll_testing import Client

    async with Client(other) as asking:
        response = await asking.get("/")
    assert response.json["type"] == "https://example.org/errors"


async def test_listeners_of_the_application_come_later(client, app):
    @app.listen("error")
    async def page(request, response, error):
        response.html = "<h1>Gone</h1>"

    response = await client.get("/nowhere")
    assert response.body == b"<h1>Gone</h1>"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_a_second_call_is_as_one(client, app):
    problems(app)
    openapi(app, title="T", ui=None)
    assert len(app.hooks["error"]) == 1


@pytest.mark.parametrize("wanted", [True, False])
async def test_openapi_brings_it_unless_told(wanted):
    app = Roll()
    openapi(app, title="T", ui=None, problems=wanted)
    assert ("error" in app.hooks) is wanted
