"""roll_openapi.testing.check: each response is compared with the document."""

import sys
from typing import Annotated

import pytest
from msgspec import Struct
from roll import HttpError, Roll
from roll_openapi import openapi, typed
from roll_openapi.testing import check


class Item(Struct):
    name: str


@pytest.fixture
def app():
    app = Roll()
    openapi(app, title="T", ui=None)
    check(app)
    return app


async def ask(client, app, caplog, view, accept="", **options):
    """Ask for a view; give the status, and what the log says of the document."""
    app.route("/x")(typed(view, **options))
    response = await client.get("/x", headers={"Accept": accept})
    said = [
        record.exc_info[1].args[0]
        for record in caplog.records
        if record.exc_info and isinstance(record.exc_info[1], AssertionError)
    ]
    return response.status, said


async def test_what_fits_passes(client, app, caplog):
    async def view(request, response) -> Item:
        return Item("a")

    assert await ask(client, app, caplog, view) == (200, [])


async def test_a_body_that_does_not_fit_is_a_500(client, app, caplog):
    async def view(request, response) -> Item:
        return {"name": 5}

    assert await ask(client, app, caplog, view) == (
        500,
        ["GET /x: 200: $.name: 5 is not of type 'string'"],
    )


async def test_a_status_that_is_not_documented(client, app, caplog):
    async def view(request, response) -> None:
        raise HttpError(409)

    status, [said] = await ask(client, app, caplog, view)
    assert status == 500
    assert said == "GET /x: 409 is not documented: add it to responses= of typed"


async def test_a_status_that_is_documented(client, app, caplog):
    async def view(request, response) -> None:
        raise HttpError(409)

    assert await ask(client, app, caplog, view, responses={409: None}) == (409, [])


async def test_an_error_for_who_prefers_text(client, app, caplog):
    async def view(request, response, q: int) -> None: ...

    assert await ask(client, app, caplog, view, "text/html") == (422, [])


async def test_another_type(client, app, caplog):
    async def view(request, response) -> Item:
        response.text = "a"

    status, [said] = await ask(client, app, caplog, view)
    assert status == 500
    assert (
        said
        == "GET /x: 200 has the type 'text/plain', but should have application/json"
    )


async def test_an_empty_body_where_there_is_to_be_one(client, app, caplog):
    async def view(request, response) -> Item: ...

    _, [said] = await ask(client, app, caplog, view)
    assert said == "GET /x: 200 has the type '', but should have application/json"


@pytest.mark.parametrize("annotation", [bytes, Annotated[bytes, "image/png"]])
async def test_bytes_are_not_looked_into(client, app, caplog, annotation):
    async def view(request, response):
        return b"a"

    view.__annotations__["return"] = annotation
    assert await ask(client, app, caplog, view) == (200, [])


async def test_a_stream_is_not_looked_into(client, app, caplog):
    async def view(request, response) -> Item:
        async def pieces():
            yield b"a"

        response.body = pieces()

    assert await ask(client, app, caplog, view) == (200, [])


async def test_a_crash_is_a_crash(client, app, caplog):
    async def view(request, response) -> Item:
        raise ValueError

    assert await ask(client, app, caplog, view) == (500, [])


async def test_what_is_not_documented_is_left_alone(client, app):
    @app.route("/untyped")
    async def untyped(request, response):
        response.status = 418

    @app.route("/hidden", hidden=True)
    async def hidden(request, response):
        response.status = 418

    assert (await client.get("/untyped")).status == 418
    assert (await client.get("/hidden")).status == 418
    assert (await client.get("/nowhere")).status == 404
    assert (await client.post("/untyped")).status == 405
    assert (await client.get("/openapi.json")).status == 200


def test_it_needs_a_document():
    with pytest.raises(ValueError, match="call openapi"):
        check(Roll())


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ImportError, match=r"pip install 'roll-openapi\[testing\]'"):
        check(Roll())
