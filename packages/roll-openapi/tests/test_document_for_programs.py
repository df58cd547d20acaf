"""What programs that send requests by the document alone have found."""

from decimal import Decimal
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct
from roll import Roll
from roll_openapi import Body, document, openapi, typed
from roll_testing import Client


class Numbers(Struct):
    whole: Annotated[int, Meta(ge=0)] = 0
    real: float = 0
    exact: Decimal = Decimal()
    any: Any = None


@pytest.fixture
def app():
    app = Roll()
    openapi(app, title="", ui=None)

    @app.route("/numbers", methods=["POST"])
    @typed
    async def numbers(request, response, numbers: Numbers) -> Numbers:
        return numbers

    return app


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ('{"whole":5.0}', "5"),
        ('{"whole":5e0}', "5"),
        ('{"whole":-0.0}', "0"),
        ('{"whole":1e20}', "100000000000000000000"),
    ],
)
async def test_a_number_without_a_fraction_is_an_integer(client, sent, received):
    """JSON Schema, validation, section 6.1.1; msgspec takes `5` alone."""
    response = await client.post("/numbers", sent)
    assert response.status == 200, response.body
    assert f'"whole":{received},'.encode() in response.body


async def test_other_numbers_beside_it_stay_as_they_were_sent(client):
    sent = '{"whole":5.0,"real":1.5,"exact":0.10000000000000000001,"any":2.50}'
    response = await client.post("/numbers", sent)
    assert response.body == (
        b'{"whole":5,"real":1.5,"exact":"0.10000000000000000001","any":2.5}'
    )


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ('{"whole":5.5}', "Expected `int`, got `float`"),
        ('{"whole":-5.0}', "Expected `int` >= 0"),
        ('{"whole":5.0,"real":""}', "Expected `float`, got `str`"),
    ],
)
async def test_a_number_with_a_fraction_is_not(client, sent, detail):
    response = await client.post("/numbers", sent)
    assert response.status == 422
    assert response.json["errors"][0]["detail"] == detail


async def test_a_body_that_is_not_json_behind_a_misfit_is_a_400(client):
    response = await client.post("/numbers", '{"whole":5.0,"real":x}')
    assert response.status == 400


def describe(view, method="GET"):
    """Give the operation of a view in the document of an app that has it alone."""
    app = Roll()
    openapi(app, title="", ui=None)
    app.route("/", methods=[method])(typed(view))
    return document(app)["paths"]["/"][method.lower()], app


async def test_an_empty_value_that_is_as_good_as_none_is_documented():
    async def view(
        request,
        response,
        limit: Annotated[int, Meta(ge=1)] = 20,
        word: str = "",
        ids: tuple[int, ...] = (),
        words: tuple[str, ...] = (),
    ) -> list[Any]:
        return [limit, word, ids, words]

    operation, app = describe(view)
    assert {
        each["name"]: each.get("allowEmptyValue", False)
        for each in operation["parameters"]
    } == {"limit": True, "word": False, "ids": True, "words": False}
    async with Client(app) as client:
        response = await client.get("/?limit=&word=&ids=&words=")
    assert response.json == [20, "", [], [""]]


async def test_a_required_body_that_is_taken_as_it_is_is_not_empty():
    async def png(request, response, body: Annotated[bytes, Body("image/png")]) -> None:
        pass

    async def text(request, response, body: Annotated[str, Body("text/plain")]) -> None:
        pass

    async def any(request, response, body: Annotated[bytes, Body()] = b"") -> None:
        pass

    operation, app = describe(png, "PUT")
    assert operation["requestBody"]["content"]["image/png"]["schema"] == {
        "contentMediaType": "image/png",
        "minLength": 1,
    }
    headers = {"Content-Type": "image/png"}
    async with Client(app) as client:
        assert (await client.put("/", b"", headers=headers)).status == 422
    operation, _ = describe(text, "PUT")
    assert operation["requestBody"]["content"]["text/plain"]["schema"] == {
        "type": "string",
        "minLength": 1,
    }
    operation, _ = describe(any, "PUT")
    (content,) = operation["requestBody"]["content"].values()
    assert "minLength" not in content["schema"]
