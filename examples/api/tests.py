import json
import uuid

import pytest
from roll_openapi import document
from roll_openapi.testing import check

from examples.api import create_app, from_environment
from examples.api.items import BLANK

STAFF = {"X-Key": "a key"}
ANN = {"Authorization": "Bearer the token of Ann"}
BOB = {"Authorization": "bearer the token of Bob"}
CUP = {"name": "Cup", "price": 350, "stock": 3, "tags": ["color:blue"]}


@pytest.fixture
def app():
    tokens = {"the token of Ann": "ann", "the token of Bob": "bob"}
    app = create_app(["a key", "another"], tokens)
    check(app)
    return app


@pytest.fixture
async def cup(client):
    """The path of an item."""
    response = await client.post("/items", CUP, headers=STAFF)
    assert response.status == 201
    return response.headers["Location"]


def order_of(cup, quantity=1):
    item = cup.rpartition("/")[2]
    return {"lines": [{"item": item, "quantity": quantity}]}


async def order(client, cup, quantity=1, key=None, headers=ANN):
    key = {"Idempotency-Key": key or uuid.uuid4().hex}
    return await client.post("/orders", order_of(cup, quantity), headers=headers | key)


async def read_pages(client, path, name, headers=()):
    """Read a list to its end, two of a page."""
    pages, after = [], {}
    while True:
        params = {"limit": 2, **after}
        page = (await client.get(path, params=params, headers=dict(headers))).json
        pages.append(page[name])
        if page["next"] is None:
            return pages
        after = {"after": page["next"]}


# Who may do what


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"X-Key": "other"}, 401), (ANN, 401), (STAFF, 201)],
)
async def test_an_api_key_adds_items(client, headers, status):
    response = await client.post("/items", CUP, headers=headers)
    assert response.status == status
    if status == 401:
        assert response.headers["WWW-Authenticate"] == "ApiKey"
        assert response.headers["Content-Type"] == "application/problem+json"


async def test_a_route_without_security_is_not_open(client, app):
    @app.route("/forgotten")
    async def forgotten(request, response):
        response.body = "Hello"

    assert (await client.get("/forgotten")).status == 401
    assert (await client.get("/forgotten", headers=ANN)).status == 200
    assert (await client.post("/forgotten")).status == 405
    assert (await client.get("/nowhere")).status == 404
    assert (await client.get("/docs")).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        *(({}, 401), (STAFF, 401), ({"Authorization": "Bearer x"}, 401)),
        *(({"Authorization": "Basic the token of Ann"}, 401), (ANN, 200), (BOB, 200)),
    ],
)
async def test_a_bearer_token_reads_orders(client, headers, status):
    response = await client.get("/orders", headers=headers)
    assert response.status == status
    if status == 401:
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_every_operation_says_who_may_use_it(app):
    paths = document(app)["paths"].values()
    schemes = {
        operation["operationId"]: operation["security"]
        for path in paths
        for operation in path.values()
    }
    public = {name for name in schemes if schemes[name] == []}
    assert public == {"list_items", "read_item", "read_picture"}


def test_keys_and_tokens_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("API_KEYS", "k1,k2")
    monkeypatch.setenv("API_TOKENS", "t1=ann,t2=bob")
    assert from_environment()
    monkeypatch.delenv("API_KEYS")
    monkeypatch.delenv("API_TOKENS")
    assert from_environment()


# Items


async def test_an_item_is_added_and_read(client, cup):
    response = await client.get(cup)
    assert response.json == {**CUP, "id": cup.rpartition("/")[2]}
    assert response.headers["ETag"] == '"1"'


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', '"0","1"'])
async def test_an_item_is_read_again_when_it_has_changed(client, cup, tag):
    known = {"If-None-Match": tag}
    response = await client.get(cup, headers=known)
    assert (response.status, response.body) == (304, b"")
    await client.put(cup, CUP, headers={**STAFF, "If-Match": '"1"'})
    response = await client.get(cup, headers=known)
    assert response.status == 200


@pytest.mark.parametrize(
    ("tag", "status"),
    [('"1"', 200), ('W/"1"', 200), ("*", 200), ('"0", "1"', 200), ('"2"', 412)],
)
async def test_an_item_is_replaced_by_who_has_seen_it(client, cup, tag, status):
    new = {"name": "Mug", "price": 400}
    response = await client.put(cup, new, headers={**STAFF, "If-Match": tag})
    assert response.status == status
    name = (await client.get(cup)).json["name"]
    assert name == ("Mug" if status == 200 else "Cup")


async def test_a_change_names_what_it_changes(client, cup):
    response = await client.put(cup, CUP, headers=STAFF)
    assert response.status == 422
    (error,) = response.json["errors"]
    assert (error["in"], error["name"]) == ("header", "If-Match")


async def test_an_item_is_deleted(client, cup):
    response = await client.delete(cup, headers={**STAFF, "If-Match": '"1"'})
    assert (response.status, response.body) == (204, b"")
    for method in ("GET", "DELETE"):
        headers = {**STAFF, "If-Match": "*"}
        response = await client.request(cup, method, headers=headers)
        assert response.status == 404
    assert response.json == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no such item",
    }


async def test_a_wrong_item_has_every_error_named(client):
    wrong = {"name": "Cup", "price": -1}
    response = await client.post("/items", wrong, headers=STAFF)
    assert response.status == 422
    assert [error["pointer"] for error in response.json["errors"]] == ["/price"]


async def test_items_come_in_pages(client):
    for number in range(5):
        item = {"name": f"Cup {number}", "price": number}
        await client.post("/items", item, headers=STAFF)
    pages = await read_pages(client, "/items", "items")
    assert [len(page) for page in pages] == [2, 2, 1]
    names = {item["name"] for page in pages for item in page}
    assert names == {f"Cup {number}" for number in range(5)}


async def test_items_are_found_by_tag(client, cup):
    for tags, found in ([["color:blue"], 1], [["color:blue", "color:red"], 0], [[], 1]):
        response = await client.get("/items", params={"tag": tags})
        assert len(response.json["items"]) == found


async def test_an_item_has_a_picture(client, cup):
    assert (await client.get(f"{cup}/picture")).body == BLANK
    headers = {**STAFF, "Content-Type": "image/png"}
    response = await client.put(f"{cup}/picture", b"a picture", headers=headers)
    assert response.status == 204
    response = await client.get(f"{cup}/picture")
    assert response.body == b"a picture"
    assert response.headers["Content-Type"] == "image/png"


async def test_a_picture_of_another_type_is_refused(client, cup):
    headers = {**STAFF, "Content-Type": "image/gif"}
    response = await client.put(f"{cup}/picture", b"a picture", headers=headers)
    assert response.status == 415
    assert response.headers["Accept"] == "image/png"


# Orders


async def test_an_order_takes_from_the_stock(client, cup):
    response = await order(client, cup, 2)
    assert response.status == 201
    assert response.json["total"] == 700
    assert (await client.get(cup)).json["stock"] == 1
    again = await client.get(response.headers["Location"], headers=ANN)
    assert again.json == response.json


async def test_what_is_not_in_stock_is_not_ordered(client, cup):
    twice = {"lines": order_of(cup, 2)["lines"] * 2}
    headers = {**ANN, "Idempotency-Key": "12345678"}
    response = await client.post("/orders", twice, headers=headers)
    assert response.status == 409
    assert (await client.get(cup)).json["stock"] == 3


async def test_an_order_that_is_sent_twice_is_one(client, cup):
    first = await order(client, cup, key="the-only-one")
    second = await order(client, cup, key="the-only-one")
    assert second.json == first.json
    assert (await client.get(cup)).json["stock"] == 2
    other = await order(client, cup, 2, key="the-only-one")
    assert other.status == 409
    assert (await order(client, cup, 2, "the-only-one", BOB)).status == 201


async def test_a_cancelled_order_gives_back_what_it_took(client, cup):
    path = (await order(client, cup, 2)).headers["Location"]
    response = await client.post(f"{path}/cancel", headers=ANN)
    assert response.json["state"] == "cancelled"
    assert (await client.get(cup)).json["stock"] == 3
    assert (await client.post(f"{path}/cancel", headers=ANN)).status == 409


async def test_nobody_sees_the_orders_of_another(client, cup):
    path = (await order(client, cup)).headers["Location"]
    assert (await client.get(path, headers=BOB)).status == 404
    assert (await client.get("/orders", headers=BOB)).json["orders"] == []
    (pages,) = await read_pages(client, "/orders", "orders", ANN)
    assert len(pages) == 1


# Files


async def upload(client, name="a.txt", content=b"abc", **fields):
    files = {"file": (content, name)}
    form = {"form": fields} if fields else {}
    return await client.post("/files", files=files, headers=ANN, **form)


async def test_a_file_is_uploaded_and_downloaded(client):
    response = await upload(client, note="to keep")
    assert response.status == 201
    path = response.headers["Location"]
    assert response.json == {
        "id": path.rpartition("/")[2],
        "name": "a.txt",
        "size": 3,
        "note": "to keep",
    }
    response = await client.get(path, headers=ANN)
    assert response.body == b"abc"
    assert response.headers["Content-Disposition"] == "attachment"
    assert (await client.get(path, headers=BOB)).status == 404


async def test_a_file_is_deleted(client):
    path = (await upload(client)).headers["Location"]
    assert (await client.delete(path, headers=BOB)).status == 404
    assert (await client.delete(path, headers=ANN)).status == 204
    assert (await client.get(path, headers=ANN)).status == 404


async def test_files_come_in_pages(client):
    for name in "abc":
        await upload(client, name)
    pages = await read_pages(client, "/files", "files", ANN)
    assert [len(page) for page in pages] == [2, 1]


# The document


async def test_the_document_is_served_as_it_is(client, app):
    response = await client.get("/openapi.json")
    assert response.json == json.loads(json.dumps(document(app)))
    assert response.json["info"]["title"] == "Warehouse"
    assert len(response.json["paths"]) == 8
