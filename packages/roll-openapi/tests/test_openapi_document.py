"""The document: what it says of an app."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
import pytest
import roll_openapi
from msgspec import Meta, Struct
from openapi_spec_validator import validate
from pydantic import BaseModel, Field
from roll import HttpError, Roll
from roll_openapi import (
    Body,
    Cookie,
    File,
    Form,
    Header,
    Query,
    document,
    openapi,
    typed,
)
from roll_openapi import (
    Path as InPath,
)

T = TypeVar("T")


class Color(Enum):
    RED = "red"


class Item(Struct):
    """A thing."""

    name: Annotated[str, Meta(min_length=1, description="How it is called")]
    price: float = 0.0


class Page(Struct, Generic[T]):
    items: list[T]


class Tree(Struct):
    children: list["Tree"] = []


class Cat(Struct, tag="cat"):
    lives: int = 9


class Dog(Struct, tag="dog"):
    name: str = ""


class Named(BaseModel):
    name: str = Field(description="How it is called")


class Model(BaseModel):
    name: str = Field(description="How it is called")
    parent: "Model | None" = None


ITEM = {"$ref": "#/components/schemas/Item"}
PNG = {"contentMediaType": "image/png", "minLength": 1}
BASIC = {"type": "http", "scheme": "basic"}


def make(
    view, path="/", methods=("GET",), extras=None, status=200, responses=None, **options
):
    """Describe an app of one typed view; give its document, which is valid."""
    app = Roll()
    openapi(app, title="T", ui=None, **options)
    decorated = typed(view, status=status, responses=responses or {})
    app.route(path, methods=list(methods), **extras or {})(decorated)
    made = document(app)
    validate(made)
    return made


def operation(view, path="/", methods=("GET",), **options):
    made = make(view, path, methods, **options)
    [item] = made["paths"].values()
    return item[methods[0].lower()]


def test_the_whole_of_an_app():
    async def put(
        request,
        response,
        id: int,
        item: Item,
        notify: bool = False,
        x_key: Annotated[str, Header()] = "",
    ) -> Item:
        """Store an item.

        It replaces what was there.
        """

    problem = {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    made = make(
        put,
        "/items/{id:int}",
        ["PUT"],
        status=201,
        responses={404: None},
        extras={"tags": ["items"], "security": ["key"]},
        version="1.2",
        description="Of a shop",
        security={"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
    )
    assert made["components"]["schemas"].pop("Problem")["title"] == "Problem"
    assert made == {
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1.2", "description": "Of a shop"},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": {
            "/items/{id}": {
                "put": {
                    "operationId": "put",
                    "tags": ["items"],
                    "summary": "Store an item.",
                    "description": "It replaces what was there.",
                    "parameters": [
                        {
                            "name": "id",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "integer"},
                        },
                        {
                            "name": "notify",
                            "in": "query",
                            "allowEmptyValue": True,
                            "schema": {"type": "boolean", "default": False},
                        },
                        {
                            "name": "X-Key",
                            "in": "header",
                            "schema": {"type": "string", "default": ""},
                        },
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/Item"}
                            }
                        },
                    },
                    "responses": {
                        "201": {
                            "description": "Created",
                            "content": {
                                "application/json": {
                                    "schema": {"$ref": "#/components/schemas/Item"}
                                }
                            },
                        },
                        "400": {"description": "Bad Request", "content": problem},
                        "401": {"description": "Unauthorized", "content": problem},
                        "403": {"description": "Forbidden", "content": problem},
                        "404": {"description": "Not Found", "content": problem},
                        "413": {"description": "Content Too Large", "content": problem},
                        "415": {
                            "description": "Unsupported Media Type",
                            "content": problem,
                        },
                        "422": {
                            "description": "Unprocessable Content",
                            "content": problem,
                        },
                    },
                    "security": [{"key": []}],
                }
            }
        },
        "components": {
            "schemas": {
                "Item": {
                    "title": "Item",
                    "description": "A thing.",
                    "type": "object",
                    "properties": {
                        "name": {
                            "description": "How it is called",
                            "type": "string",
                            "minLength": 1,
                        },
                        "price": {"type": "number", "default": 0.0},
                    },
                    "required": ["name"],
                }
            },
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-Key"}
            },
        },
    }


# Paths


@pytest.mark.parametrize(
    ("pattern", "template", "schema"),
    [
        ("/{x}", "/{x}", {"type": "string", "pattern": "^[^/]+$"}),
        ("/{x:string}", "/{x}", {"type": "string", "pattern": "^[^/]+$"}),
        ("/{x:int}", "/{x}", {"type": "integer"}),
        ("/{x:float}", "/{x}", {"type": "number"}),
        ("/{x:uuid}", "/{x}", {"type": "string", "format": "uuid"}),
        ("/{x:date}", "/{x}", {"type": "string", "format": "date"}),
        ("/{x:digit}", "/{x}", {"type": "string", "pattern": "^[0-9]+$"}),
        ("/{x:alpha}", "/{x}", {"type": "string", "pattern": "^[a-zA-Z]+$"}),
        ("/{x:alnum}", "/{x}", {"type": "string", "pattern": "^[a-zA-Z0-9_]+$"}),
        ("/{x:[a-z]{2}}", "/{x}", {"type": "string", "pattern": "^(?:[a-z]{2})$"}),
        (
            "/é b/{x}.json",
            "/%C3%A9%20b/{x}.json",
            {"type": "string", "pattern": "^[^/]+$"},
        ),
    ],
)
@pytest.mark.parametrize("is_typed", [True, False])
def test_placeholders(pattern, template, schema, is_typed):
    async def view(request, response, x): ...

    app = Roll()
    openapi(app, title="T", ui=None)
    app.route(pattern)(typed(view) if is_typed else view)
    made = document(app)
    validate(made)
    [(found, item)] = made["paths"].items()
    [parameter] = item["get"]["parameters"]
    assert found == template
    assert parameter == {"name": "x", "in": "path", "required": True, "schema": schema}


def test_a_placeholder_that_spans_has_a_note():
    async def view(request, response, x: Annotated[str, InPath(description="It.")]): ...

    [parameter] = operation(view, "/{x:path}")["parameters"]
    assert parameter["description"] == ("It. May contain slashes. Do not escape them.")
    assert parameter["schema"] == {"type": "string"}


@pytest.mark.parametrize(
    ("annotation", "pattern", "schema"),
    [
        (Annotated[int, Meta(ge=1)], "{x:int}", {"type": "integer", "minimum": 1}),
        (int, "{x}", {"type": "integer"}),
        (
            Annotated[str, Meta(max_length=5)],
            "{x}",
            {"type": "string", "pattern": "^[^/]+$", "maxLength": 5},
        ),
        (Color, "{x}", {"$ref": "#/components/schemas/Color"}),
        (Literal["a", "b"], "{x}", {"enum": ["a", "b"]}),
        (UUID, "{x:uuid}", {"type": "string", "format": "uuid"}),
    ],
)
def test_the_annotation_of_a_placeholder_adds_to_it(annotation, pattern, schema):
    async def view(request, response, x): ...

    view.__annotations__["x"] = annotation
    [parameter] = operation(view, f"/{pattern}")["parameters"]
    found = parameter["schema"]
    if "enum" in schema or "$ref" in schema:
        found = {key: found[key] for key in schema}
    assert found == schema


def test_paths_that_differ_in_types_alone_have_other_names():
    app = Roll()
    openapi(app, title="T", ui=None)

    @app.route("/{id:int}")
    @typed
    async def by_number(request, response, id: int) -> None: ...

    @app.route("/{id:uuid}")
    @typed
    async def by_uuid(request, response, id: UUID) -> None: ...

    made = document(app)
    validate(made)
    assert [*made["paths"]] == ["/{id}", "/{id_2}"]
    [parameter] = made["paths"]["/{id_2}"]["get"]["parameters"]
    assert parameter["name"] == "id_2"
    assert parameter["schema"] == {"type": "string", "format": "uuid"}


def test_what_is_left_out():
    app = Roll()
    openapi(
        app, title="T", ui=None, include=lambda each: not each.path.startswith("/no")
    )

    @app.route("/ws", protocol="websocket")
    async def ws(request, ws): ...

    @app.route("/hidden", hidden=True)
    @app.route("/not")
    @app.route("/yes", methods=["GET", "HEAD", "CONNECT", "PROPFIND", "DELETE"])
    async def view(request, response): ...

    made = document(app)
    validate(made)
    assert {path: [*item] for path, item in made["paths"].items()} == {
        "/yes": ["get", "delete"]
    }


def test_an_untyped_view_is_documented_as_far_as_its_route_tells():
    app = Roll()
    openapi(app, title="T", ui=None)

    @app.route("/{id:int}", tags=["a"], deprecated=True)
    async def view(request, response, id):
        """Do it."""

    [item] = document(app)["paths"].values()
    assert item == {
        "get": {
            "operationId": "view",
            "tags": ["a"],
            "summary": "Do it.",
            "deprecated": True,
            "parameters": [
                {
                    "name": "id",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "integer"},
                }
            ],
            "responses": {"default": {"description": "Not documented"}},
        }
    }


# Names of operations


def ids(app):
    made = document(app)
    validate(made)
    return [
        operation["operationId"]
        for item in made["paths"].values()
        for operation in item.values()
    ]


def test_names_of_operations_are_unique():
    """fastapi#13175, fastapi#4740."""
    app = Roll()
    openapi(app, title="T", ui=None)

    @app.route("/a/{id}", methods=["GET", "PUT"])
    @app.route("/b", methods=["PUT"])
    async def view(request, response, **variables): ...

    @app.route("/c", name="list")
    async def other(request, response): ...

    @app.route("/d")
    class Things:
        async def on_get(self, request, response): ...

        async def on_post(self, request, response): ...

    @app.route("/e-f", methods=["PATCH"], name="same")
    @app.route("/e_f", methods=["PATCH"], name="same")
    async def third(request, response): ...

    assert sorted(ids(app)) == [
        "list",
        "on_get",
        "on_post",
        "same_patch_e_f",
        "same_patch_e_f_2",
        "view_get",
        "view_put_a_id",
        "view_put_b",
    ]


def test_a_callable_without_a_name_has_one():
    class View:
        async def __call__(self, request, response): ...

    app = Roll()
    openapi(app, title="T", ui=None)
    app.route("/")(View())
    assert ids(app) == ["view"]


# Parameters


@dataclass
class Point:
    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)


def test_parameters():
    async def view(
        request,
        response,
        q: str,
        limit: Annotated[
            int,
            Query(description="At most", examples=[5], deprecated=True),
            Meta(ge=1),
        ] = 10,
        tag: list[str] = [],  # noqa: B006
        since: date = date(2026, 1, 2),
        strange: Any = object(),  # noqa: B008
        session: Annotated[str, Cookie("sid")] = "",
        accept: Annotated[str, Header()] = "",
        authorization: Annotated[str, Header()] = "",
        point: Annotated[Point, Query()] = Point(1),  # noqa: B008
        color: Color = Color.RED,
    ) -> None: ...

    assert operation(view)["parameters"] == [
        {"name": "q", "in": "query", "required": True, "schema": {"type": "string"}},
        {
            "name": "limit",
            "in": "query",
            "allowEmptyValue": True,
            "description": "At most",
            "deprecated": True,
            "schema": {"type": "integer", "minimum": 1, "default": 10, "examples": [5]},
        },
        {
            "name": "tag",
            "in": "query",
            "schema": {"type": "array", "items": {"type": "string"}, "default": []},
        },
        {
            "name": "since",
            "in": "query",
            "allowEmptyValue": True,
            "schema": {"type": "string", "format": "date", "default": "2026-01-02"},
        },
        {"name": "strange", "in": "query", "schema": {}},
        {
            "name": "sid",
            "in": "cookie",
            "schema": {"type": "string", "default": ""},
        },
        {
            "name": "x",
            "in": "query",
            "allowEmptyValue": True,
            "schema": {"type": "integer"},
        },
        {
            "name": "y",
            "in": "query",
            "allowEmptyValue": True,
            "schema": {"type": "integer", "default": 2},
        },
        {
            "name": "tags",
            "in": "query",
            "schema": {"type": "array", "items": {"type": "string"}},
        },
        {
            "name": "color",
            "in": "query",
            "allowEmptyValue": True,
            "schema": {"$ref": "#/components/schemas/Color", "default": "red"},
        },
    ]


def test_parameters_of_pydantic():
    async def view(
        request,
        response,
        page: Annotated[Named, Query()],
        limit: Annotated[int, Field(ge=1)] = 5,
    ) -> None: ...

    assert operation(view)["parameters"] == [
        {
            "name": "name",
            "in": "query",
            "required": True,
            "schema": {"type": "string", "description": "How it is called"},
        },
        {
            "name": "limit",
            "in": "query",
            "allowEmptyValue": True,
            "schema": {"type": "integer", "minimum": 1, "default": 5},
        },
    ]


# Bodies


def test_a_form():
    async def view(
        request,
        response,
        title: Annotated[str, Form(description="Its title")],
        count: Annotated[int, Form()] = 1,
    ) -> None: ...

    body = operation(view, "/", ["POST"])["requestBody"]
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "Its title"},
            "count": {"type": "integer", "default": 1},
        },
        "required": ["title"],
    }
    assert body == {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {"schema": schema},
            "multipart/form-data": {"schema": schema},
        },
    }


def test_files():
    """fastapi#15069, schemathesis#4620: not `format: binary`, which 3.1 has not."""

    async def view(
        request,
        response,
        photo: Annotated[Any, File(description="A photo")],
        more: Annotated[list[Any], File()] = (),
    ) -> None: ...

    body = operation(view, "/", ["POST"])["requestBody"]
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    assert body == {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "photo": {**file, "description": "A photo"},
                        "more": {"type": "array", "items": file},
                    },
                    "required": ["photo"],
                }
            }
        },
    }


@pytest.mark.parametrize(
    ("annotation", "content"),
    [
        (
            Annotated[bytes, Body("image/png")],
            {
                "image/png": {
                    "schema": {"contentMediaType": "image/png", "minLength": 1}
                }
            },
        ),
        (
            Annotated[AsyncIterator[bytes], Body()],
            {"*/*": {"schema": {"minLength": 1}}},
        ),
        (
            Annotated[Item, Body(examples=[Item("a")])],
            {
                "application/json": {
                    "schema": {
                        "$ref": "#/components/schemas/Item",
                        "examples": [{"name": "a", "price": 0.0}],
                    }
                }
            },
        ),
        (
            Annotated[Item, Body("application/vnd.item+json")],
            {
                "application/vnd.item+json": {
                    "schema": {"$ref": "#/components/schemas/Item"}
                }
            },
        ),
    ],
)
def test_bodies(annotation, content):
    async def view(request, response, body) -> None: ...

    view.__annotations__["body"] = annotation
    found = operation(view, "/", ["POST"])["requestBody"]
    assert found == {"required": True, "content": content}


def test_a_body_may_be_described():
    async def view(
        request, response, item: Annotated[Item | None, Body(description="It")] = None
    ) -> None: ...

    found = operation(view, "/", ["POST"])["requestBody"]
    assert (found["description"], found["required"]) == ("It", False)
    [content] = found["content"].values()
    assert content["schema"]["default"] is None


# Responses


def contents(returns, status=200):
    async def view(request, response): ...

    view.__annotations__["return"] = returns
    found = operation(view, status=status)["responses"]
    return found[str(status)].get("content")


@pytest.mark.parametrize(
    ("returns", "content"),
    [
        (None, None),
        (type(None), None),
        (int, {"application/json": {"schema": {"type": "integer"}}}),
        (object, {"application/json": {"schema": {"description": "Any value."}}}),
        (
            Item | None,
            {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}},
        ),
        (bytes, {"*/*": {}}),
        (str, {"*/*": {"schema": {"type": "string"}}}),
        (Annotated[bytes, "image/png"], {"image/png": {}}),
        (Annotated[str, "text/html"], {"text/html": {"schema": {"type": "string"}}}),
    ],
)
def test_what_a_view_returns(returns, content):
    assert contents(returns) == content


def test_a_status_without_a_body_has_no_content():
    assert contents(Item, 204) is None


@pytest.mark.parametrize(
    ("parameters", "errors"),
    [
        ("", []),
        ("q: str", ["400", "422"]),
        ("q: Annotated[str, Header()]", ["422"]),
        ("q: Annotated[str, Form()]", ["400", "413", "415", "422"]),
        ("q: Item", ["400", "413", "415", "422"]),
    ],
)
def test_errors_of_typed_itself(parameters, errors):
    namespace = {**globals(), "__name__": __name__}
    exec(f"async def view(request, response, {parameters}) -> int: ...", namespace)
    found = operation(namespace["view"], "/", ["POST"])["responses"]
    assert [*found] == ["200", *errors]


def test_other_responses():
    async def view(request, response) -> Item: ...

    responses = {404: None, 202: None, 409: Item, 304: Item, 200: Dog}
    found = operation(view, responses=responses)["responses"]
    assert {status: [*found[status].get("content", {})] for status in found} == {
        "200": ["application/json"],
        "202": [],
        "304": [],
        "404": ["application/problem+json"],
        "409": ["application/json"],
    }
    assert "Dog" in json.dumps(found["200"])


def test_errors_are_texts_without_problems():
    async def view(request, response, q: int) -> None: ...

    found = operation(view, problems=False)["responses"]
    assert found["422"]["content"] == {"text/plain": {"schema": {"type": "string"}}}


# Schemas


def test_lists_unions_generics_and_recursion():
    async def view(request, response) -> list[Page[Item] | Tree]: ...

    async def pets(request, response, pet: Cat | Dog) -> Cat | Dog: ...

    with pytest.raises(TypeError, match="view"):
        make(view)

    async def pages(request, response, tree: Tree) -> Page[Item]: ...

    schemas = make(pages, "/", ["POST"])["components"]["schemas"]
    assert {"Page_Item_", "Item", "Tree"} <= {*schemas}
    assert schemas["Tree"]["properties"]["children"]["items"] == {
        "$ref": "#/components/schemas/Tree"
    }
    made = make(pets, "/", ["POST"])
    body = made["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["discriminator"]["mapping"] == {
        "cat": "#/components/schemas/Cat",
        "dog": "#/components/schemas/Dog",
    }


def make_item(base, kind=int):
    if base is Struct:

        class Thing(Struct):
            x: int

    else:

        class Thing(BaseModel):
            x: kind

    return Thing


def test_names_that_clash():
    one, two = make_item(Struct), make_item(Struct)
    three, four = make_item(BaseModel), make_item(BaseModel, str)

    async def view(request, response, a) -> None: ...

    view.__annotations__.update({"a": dict[str, one], "return": dict[str, two]})
    module = __name__
    found = [*make(view, "/", ["POST"])["components"]["schemas"]]
    assert found[:2] == [
        f"{module}.make_item._locals_.Thing",
        f"{module}.make_item._locals_.Thing_2",
    ]
    view.__annotations__.update({"a": three, "return": four})
    found = [*make(view, "/", ["POST"])["components"]["schemas"]]
    assert found[:2] == [
        f"{module}.make_item._locals_.Thing__1",
        f"{module}.make_item._locals_.Thing__2",
    ]
    view.__annotations__.update({"a": one, "return": four})
    made = make(view, "/", ["POST"])
    assert [*made["components"]["schemas"]][:2] == ["Thing", "pydantic.Thing"]
    returned = made["paths"]["/"]["post"]["responses"]["200"]["content"]
    assert returned["application/json"]["schema"] == {
        "$ref": "#/components/schemas/pydantic.Thing"
    }


def test_a_problem_of_the_application_keeps_its_name():
    class Problem(Struct):
        x: int

    async def view(request, response, q: int) -> Problem: ...

    schemas = make(view)["components"]["schemas"]
    assert [*schemas] == ["Problem", "roll.Problem"]


class Unencodable(Struct):
    x: Any = msgspec.field(default_factory=object)
    y: Decimal = Decimal("1.5")


class UnencodableModel(BaseModel):
    x: Any = object()
    y: Any = Field(default_factory=object)


@pytest.mark.parametrize("model", [Unencodable, UnencodableModel])
def test_defaults_that_cannot_be_encoded_are_left_out(model):
    async def view(request, response, body) -> None: ...

    view.__annotations__["body"] = model
    [schema, *_] = make(view, "/", ["POST"])["components"]["schemas"].values()
    assert "default" not in schema["properties"]["x"]


def test_sets_do_not_ask_for_unique_items():
    """Nobody checks that items are unique: they become a set."""

    async def view(request, response, x: set[int], y: Annotated[set[int], Field()]): ...

    assert "uniqueItems" not in json.dumps(make(view))


# Security


def secure(extras):
    async def view(request, response) -> None: ...

    schemes = {
        "key": {"type": "http", "scheme": "basic"},
        "b": {"type": "http", "scheme": "bearer"},
    }
    return operation(view, extras=extras, security=schemes)


def test_security():
    assert "security" not in secure({})
    assert {"401", "403"} <= {*secure({})["responses"]}
    assert secure({"security": ["b"]})["security"] == [{"b": []}]
    both = secure({"security": ["key", {"b": ["read"], "key": []}]})
    assert both["security"] == [{"key": []}, {"b": ["read"], "key": []}]
    lifted = secure({"security": []})
    assert lifted["security"] == []
    assert [*lifted["responses"]] == ["200"]


@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"tags": "items"}, "tags='items': give a list of strings"),
        ({"tags": [1]}, "give a list of strings"),
        ({"hidden": 1}, "give True or False"),
        ({"deprecated": "yes"}, "give True or False"),
        ({"security": "key"}, "give a list of names of security schemes"),
        ({"security": [1]}, "give a list of names of security schemes"),
        ({"deprecate": True}, "did you mean deprecated=?"),
    ],
)
async def test_extras_of_routes_are_checked(extras, message):
    app = Roll()
    openapi(app, title="T", ui=None)

    @app.route("/", **extras)
    async def view(request, response): ...

    with pytest.raises(TypeError) as raised:
        await app.startup()
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("schemes", "named"), [({"key": BASIC}, "key"), ({}, "it has none")]
)
async def test_a_scheme_that_is_not_there_fails_the_start(schemes, named):
    app = Roll()
    openapi(app, title="T", ui=None, security=schemes)

    @app.route("/", security=["kye"])
    async def view(request, response): ...

    with pytest.raises(
        TypeError, match=rf"security= names 'kye', which is not among .*: {named}\."
    ):
        await app.startup()


# How it is served


@pytest.fixture
def app():
    app = Roll()
    openapi(app, title="T", ui=None)

    @app.route("/")
    @typed
    async def view(request, response) -> int:
        return 1

    return app


async def test_it_is_served_as_it_is_written(client, app):
    response = await client.get("/openapi.json")
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.json == document(app)
    assert response.body.endswith(b"}\n")


@pytest.mark.parametrize(
    ("known", "status"),
    [("{tag}", 304), ("W/{tag}", 304), ('"a", {tag}', 304), ("*", 304), ('"a"', 200)],
)
async def test_a_client_that_has_it_gets_304(client, known, status):
    """RFC 9110, section 13.1.2."""
    tag = (await client.get("/openapi.json")).headers["ETag"]
    headers = {"If-None-Match": known.format(tag=tag)}
    response = await client.get("/openapi.json", headers=headers)
    assert (response.status, response.headers["ETag"]) == (status, tag)


async def test_it_is_made_once(client, app, monkeypatch):
    first = app["openapi"].read()
    assert app["openapi"].read()[0] is first[0]


async def test_a_route_that_is_added_later_is_in_it(client, app):
    before = await client.get("/openapi.json")

    @app.route("/later")
    async def later(request, response): ...

    after = await client.get("/openapi.json")
    assert "/later" in after.json["paths"]
    assert before.headers["ETag"] != after.headers["ETag"]


async def test_a_wrong_view_that_is_added_later_is_a_500(client, app, caplog):
    @app.route("/later")
    @typed
    async def later(request, response, x: dict) -> None: ...

    assert (await client.get("/openapi.json")).status == 500
    assert "later: x: a text cannot be a dict" in caplog.text


async def test_a_type_without_a_schema_fails_the_start(app):
    class Custom:
        pass

    @app.route("/custom/{x}")
    @typed
    async def custom(request, response, x: int) -> list[Custom]: ...

    with pytest.raises(TypeError) as raised:
        await app.startup()
    assert re.fullmatch(
        r"/custom/\{x\}: view .*custom .* a type that cannot be documented: type "
        r"<class '.*Custom'> is not supported: make it a Struct or a dataclass",
        str(raised.value),
    )


async def test_a_type_that_pydantic_does_not_know_fails_the_start(app):
    class Custom:
        pass

    @app.route("/custom")
    @typed
    async def custom(request, response) -> dict[str, Model | Custom]: ...

    with pytest.raises(TypeError, match=r"custom: .*Custom"):
        await app.startup()


def test_the_path_of_the_document_may_be_another():
    app = Roll()
    openapi(app, title="T", ui=None, path="/api/v1.json")
    assert [each.path for each in app.declarations] == ["/api/v1.json"]


async def test_the_server_is_the_place_of_the_app():
    from roll.extensions import mount
    from roll_testing import Client

    app, parent = Roll(), Roll()
    openapi(app, title="T", ui=None)

    @app.route("/items")
    async def items(request, response): ...

    mount(parent, "/api", app)
    async with Client(parent) as client:
        made = (await client.get("/api/openapi.json")).json
    assert made["servers"] == [{"url": "/api"}]
    assert [*made["paths"]] == ["/items"]


def test_servers_may_be_given():
    async def view(request, response): ...

    made = make(view, servers=["https://example.org/v1", "/"])
    assert made["servers"] == [{"url": "https://example.org/v1"}, {"url": "/"}]


def test_a_second_call_is_an_error(app):
    with pytest.raises(ValueError, match="call openapi"):
        openapi(app, title="T", ui=None)


def test_an_app_without_a_document_says_what_to_do():
    with pytest.raises(ValueError, match=r"call openapi\(app, title=...\) first"):
        document(Roll())


APP = """
from typing import Annotated, Literal
from msgspec import Struct
from pydantic import BaseModel, Field
from roll import Roll
from roll_openapi import openapi, typed

app = Roll()
openapi(app, title="T", ui=None, security={"a": {"type": "http", "scheme": "basic"}})

class Item(Struct):
    kind: Literal["a", "b", "c"]
    tags: frozenset[str] = frozenset(["x", "y", "z"])

class Model(BaseModel):
    kind: Literal["a", "b", "c"] = "a"
    tags: frozenset[str] | None = frozenset(["x", "y", "z"])

@app.route("/", methods=["GET", "POST", "PUT"])
@typed(responses={404: None, 409: Model})
async def view(
    request,
    response,
    item: Item,
    q: frozenset[str] = frozenset(["x", "y", "z"]),
    r: Annotated[frozenset[str], Field()] = frozenset(["x", "y", "z"]),
) -> Model:
    ...
"""


def test_the_same_app_gives_the_same_bytes(tmp_path):
    (tmp_path / "same.py").write_text(APP)
    code = "import roll_openapi, same; print(roll_openapi.document(same.app))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_pydantic_is_not_imported_for_others(tmp_path):
    code = (
        "import sys, roll\n"
        "from roll_openapi import openapi, typed, document\n"
        "from msgspec import Struct\n"
        "class Item(Struct): x: int\n"
        "app = roll.Roll(); openapi(app, title='T', ui=None)\n"
        "async def view(request, response, item: Item, q: int = 1) -> Item: ...\n"
        "app.route('/')(typed(view)); document(app)\n"
        "assert 'pydantic' not in sys.modules and 'jsonschema' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    assert {*roll_openapi.__all__} <= {*dir(roll_openapi)}
    assert Path(roll_openapi.__file__).with_name("py.typed").exists()


async def test_an_error_of_the_application_is_not_taken_for_one_of_the_document(app):
    @app.route("/raises")
    @typed(responses={402: None})
    async def raises(request, response) -> None:
        raise HttpError(402)

    assert "402" in document(app)["paths"]["/raises"]["get"]["responses"]


def test_it_comes_with_a_page():
    app = Roll()
    openapi(app, title="T")
    paths = [each.path for each in app.declarations]
    assert paths[:2] == ["/openapi.json", "/docs"]


async def test_extras_that_are_right_let_an_app_start():
    app = Roll()
    openapi(app, title="T", ui=None, security={"key": BASIC})

    @app.route("/", tags=["a"], hidden=False, deprecated=True, security=["key"])
    async def view(request, response): ...

    await app.startup()
    await app.shutdown()


def test_sets_have_an_order():
    class Sets(Struct):
        tags: frozenset[str] = frozenset("zyx")

    async def view(request, response, sets: Sets, q: frozenset[str] = frozenset("zyx")):
        pass

    made = make(view, "/", ["POST"])
    schema = made["components"]["schemas"]["Sets"]["properties"]["tags"]
    assert schema["default"] == ["x", "y", "z"]
    [parameter] = made["paths"]["/"]["post"]["parameters"]
    assert parameter["schema"]["default"] == ["x", "y", "z"]


def make_pets():
    class Cat(BaseModel):
        kind: Literal["cat"]

    class Pet(BaseModel):
        pet: Annotated[Cat | Bird, Field(discriminator="kind")]

    return Pet


class Bird(BaseModel):
    kind: Literal["bird"]


def test_tags_refer_to_other_names_where_names_clash():
    async def view(request, response, cat: Cat): ...

    view.__annotations__["return"] = make_pets()
    schemas = make(view, "/", ["POST"])["components"]["schemas"]
    assert schemas["Pet"]["properties"]["pet"]["discriminator"]["mapping"] == {
        "cat": "#/components/schemas/pydantic.Cat",
        "bird": "#/components/schemas/Bird",
    }
