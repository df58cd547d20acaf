"""typed: where parameters come from, and what is answered."""

from typing import Annotated

import pytest
from msgspec import Meta, Struct
from roll import Roll
from roll_openapi import Header, document, openapi, typed


class Item(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1)]
    price: float


@pytest.fixture
def app():
    app = Roll()
    openapi(app, title="Shop", ui=None)

    @app.route("/items/{id:int}", methods=["PUT"], tags=["items"])
    @typed(status=201, responses={404: None})
    async def put(
        request,
        response,
        id: int,
        item: Item,
        notify: bool = False,
        x_key: Annotated[str, Header()] = "",
    ) -> Item:
        """Store an item."""
        return item

    return app


async def test_example_of_the_contract_works(client, app):
    response = await client.put("/items/3?notify=on", {"name": "a", "price": 1})
    assert (response.status, response.body) == (201, b'{"name":"a","price":1.0}')
    found = await client.get("/openapi.json")
    assert found.json == document(app)
