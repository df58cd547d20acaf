"""Where the parameters of a typed view come from."""

import inspect
import typing
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypedDict,
)
from uuid import UUID

import pytest
from msgspec import Meta, Struct
from pydantic import AliasChoices, BaseModel, Field
from roll import Roll
from roll_openapi import Body, Cookie, File, Form, Header, Path, Query, openapi, typed
from typing_extensions import TypeAliasType


class Item(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1)]
    price: float


@dataclass
class Point:
    x: int
    y: int = 0


class Box(TypedDict):
    width: int


class Model(BaseModel):
    name: str


class Page(Struct):
    limit: Annotated[int, Meta(ge=1)] = 10
    after: str = ""
    tag: list[str] = []


class Color(Enum):
    RED = "red"
    BLUE = "blue"


def declare(app, view, path="/", methods=("GET", "POST"), **extras):
    app.route(path, methods=methods, **extras)(typed(view))


async def ask(client, path="/", **options):
    response = await client.post(path, **options)
    assert response.status == 200, response.body
    return response.json


async def test_example_of_the_documentation_works(client, app):
    @app.route("/items/{id:int}", methods=["PUT"])
    @typed(status=201)
    async def put(
        request,
        response,
        id: int,
        item: Item,
        notify: bool = False,
        x_key: Annotated[str, Header()] = "",
    ) -> Item:
        assert (id, notify, x_key) == (3, True, "secret")
        return item

    response = await client.put(
        "/items/3?notify=on", {"name": "a", "price": 1}, headers={"X-Key": "secret"}
    )
    assert (response.status, response.body) == (201, b'{"name":"a","price":1.0}')


async def test_first_two_parameters_may_have_any_name(client, app):
    async def view(a, b, q: str) -> str:
        return f"{a.method} {b.status} {q}"

    declare(app, view)
    assert (await client.get("/?q=x")).body == b"GET 200 x"


async def test_a_view_may_take_the_response_first(client, app):
    async def view(response, request, q: str) -> str:
        return f"{request.method} {response.status} {q}"

    declare(app, view)
    assert (await client.get("/?q=x")).body == b"GET 200 x"


async def test_views_of_a_class_are_typed(client, app):
    @app.route("/{id:int}")
    class Things:
        name = "thing"

        @typed
        async def on_get(self, request, response, id: int) -> str:
            return f"{self.name} {id}"

        @typed
        async def on_post(self, response, request, id: int, q: int = 1) -> str:
            return f"{self.name} {id} {q} {request.method}"

    assert (await client.get("/4")).body == b"thing 4"
    assert (await client.post("/4?q=5")).body == b"thing 4 5 POST"


@pytest.mark.parametrize(
    ("pattern", "annotation", "path", "value"),
    [
        ("{x:int}", int, "5", 5),
        ("{x:int}", Annotated[int, Meta(ge=1)], "5", 5),
        ("{x:int}", Any, "5", 5),
        ("{x:float}", float, "1.5", 1.5),
        ("{x:date}", date, "2026-01-02", date(2026, 1, 2)),
        ("{x:uuid}", UUID, f"{UUID(int=1)}", UUID(int=1)),
        ("{x}", str, "a b", "a b"),
        ("{x}", int, "7", 7),
        ("{x:digit}", int, "7", 7),
        ("{x}", Color, "red", Color.RED),
        ("{x}", Literal["a", "b"], "b", "b"),
        ("{x}", Annotated[str, Meta(max_length=2)], "ab", "ab"),
        ("{x}", Annotated[str, Path(description="it")], "ab", "ab"),
        ("{x:path}", str, "a/b", "a/b"),
        ("{x:[0-9]+}", int, "12", 12),
    ],
)
async def test_a_placeholder_is_taken_from_the_path(
    client, app, pattern, annotation, path, value
):
    seen = []

    async def view(request, response, x) -> None:
        seen.append(x)

    view.__annotations__["x"] = annotation
    declare(app, view, f"/{pattern}")
    assert (await client.get(f"/{path}")).status == 200
    assert seen == [value]


async def test_a_placeholder_without_annotation_is_as_the_route_gives_it(client, app):
    async def view(request, response, id, name) -> str:
        return f"{id!r} {name!r}"

    declare(app, view, "/{id:int}/{name}")
    assert (await client.get("/5/a")).body == b"5 'a'"


@pytest.mark.parametrize(
    ("pattern", "annotation", "path"),
    [
        ("{x:int}", Annotated[int, Meta(ge=10)], "5"),
        ("{x}", int, "a"),
        ("{x}", Color, "green"),
        ("{x}", Literal["a"], "c"),
        ("{x:path}", int, ""),
    ],
)
async def test_a_placeholder_that_does_not_fit_is_422(
    client, app, pattern, annotation, path
):
    async def view(request, response, x) -> None: ...

    view.__annotations__["x"] = annotation
    declare(app, view, f"/{pattern}")
    response = await client.get(f"/{path}")
    assert response.status == 422
    assert response.body.startswith(b"path x: ")


@pytest.mark.parametrize(
    ("pattern", "annotation"),
    [("{x:int}", str), ("{x:float}", int), ("{x:uuid}", str), ("{x:date}", str)],
)
async def test_a_placeholder_of_another_type_fails_the_start(app, pattern, annotation):
    async def view(request, response, x) -> None: ...

    view.__annotations__["x"] = annotation
    openapi(app, title="T", ui=None)
    declare(app, view, f"/{pattern}")
    with pytest.raises(TypeError, match=r"view: x: the route gives "):
        await app.startup()


async def test_one_view_may_have_several_routes(client, app):
    """The name of a placeholder in one is a parameter of the query in the other."""

    async def view(request, response, id: int) -> str:
        return f"{id}"

    declare(app, view, "/{id:int}")
    declare(app, view, "/")
    assert (await client.get("/3")).body == b"3"
    assert (await client.get("/?id=4")).body == b"4"


@pytest.mark.parametrize("annotation", [Item, Annotated[Item, Body()], Item | None])
async def test_a_struct_is_the_body(client, app, annotation):
    async def view(request, response, item) -> str:
        return type(item).__name__

    view.__annotations__["item"] = annotation
    declare(app, view)
    response = await client.post("/", {"name": "a", "price": 1})
    assert response.body == b"Item"


@pytest.mark.parametrize(
    ("annotation", "sent", "value"),
    [
        (Point, {"x": 1}, Point(1)),
        (Box, {"width": 2}, {"width": 2}),
        (Model, {"name": "a"}, Model(name="a")),
        (list[Item], [{"name": "a", "price": 1}], [Item("a", 1.0)]),
        (dict[str, Model], {"k": {"name": "a"}}, {"k": Model(name="a")}),
        (Annotated[list[int], Body()], [1, 2], [1, 2]),
        (Annotated[dict[str, int], Body()], {"a": 1}, {"a": 1}),
        (Annotated[int, Body()], 5, 5),
        (Annotated[Any, Body()], [{}], [{}]),
    ],
)
async def test_a_model_is_the_body(client, app, annotation, sent, value):
    seen = []

    async def view(request, response, item) -> None:
        seen.append(item)

    view.__annotations__["item"] = annotation
    declare(app, view)
    response = await client.post("/", sent, content_type="application/json")
    assert response.status == 200, response.body
    assert seen == [value]


async def test_two_bodies_fail_the_start(app):
    async def view(request, response, item: Item, point: Point) -> None: ...

    openapi(app, title="T", ui=None)
    declare(app, view)
    with pytest.raises(TypeError, match="view: item and point would each be the body"):
        await app.startup()


@pytest.mark.parametrize("marker", [Form(), File()])
async def test_a_form_beside_a_body_fails_the_start(app, marker):
    async def view(request, response, item: Item, part) -> None: ...

    view.__annotations__["part"] = Annotated[str, marker]
    openapi(app, title="T", ui=None)
    declare(app, view)
    with pytest.raises(TypeError, match="item would be the body, and part a part of"):
        await app.startup()


@pytest.mark.parametrize(
    ("annotation", "query", "value"),
    [
        (str, "x=a", "a"),
        (int, "x=5", 5),
        (list[int], "x=1&x=2", [1, 2]),
        (set[str], "x=a&x=b&x=a", {"a", "b"}),
        (tuple[int, ...], "x=1&x=2", (1, 2)),
        (tuple[int, str], "x=1&x=b", (1, "b")),
        (frozenset[int], "x=1", frozenset([1])),
        (list, "x=a&x=b", ["a", "b"]),
        (list[int] | None, "x=1&x=2", [1, 2]),
        (Annotated[list[int], Meta(max_length=2)], "x=1&x=2", [1, 2]),
        (Color, "x=blue", Color.BLUE),
        (list[Color], "x=blue&x=red", [Color.BLUE, Color.RED]),
        (Any, "x=5", "5"),
        (Annotated[int, Query()], "x=5", 5),
        (Annotated[int, Query("page[size]")], "page[size]=5", 5),
    ],
)
async def test_any_other_is_of_the_query(client, app, annotation, query, value):
    seen = []

    async def view(request, response, x) -> None:
        seen.append(x)

    view.__annotations__["x"] = annotation
    declare(app, view)
    response = await client.get(f"/?{query}")
    assert response.status == 200, response.body
    assert seen == [value]


@pytest.mark.parametrize(
    ("annotation", "headers", "value"),
    [
        (Annotated[str, Header()], {"X-Key": "a"}, "a"),
        (Annotated[int, Header()], {"x-key": "5"}, 5),
        (Annotated[str, Header("X-Other")], {"X-OTHER": "a"}, "a"),
        (Annotated[list[str], Header()], {"X-Key": "a, b,,c"}, ["a", "b", "c"]),
        (Annotated[list[int], Header()], {"X-Key": "1,2"}, [1, 2]),
        (Annotated[str, Cookie("session")], {"Cookie": "session=a; b=c"}, "a"),
        (Annotated[int, Cookie()], {"Cookie": "x_key=5"}, 5),
    ],
)
async def test_headers_and_cookies_are_marked(client, app, annotation, headers, value):
    seen = []

    async def view(request, response, x_key) -> None:
        seen.append(x_key)

    view.__annotations__["x_key"] = annotation
    declare(app, view)
    response = await client.get("/", headers=headers)
    assert response.status == 200, response.body
    assert seen == [value]
    assert (await client.get("/")).status == 422


async def test_a_struct_may_be_the_query(client, app):
    async def view(request, response, page: Annotated[Page, Query()]) -> Page:
        assert isinstance(page, Page)
        return page

    declare(app, view)
    assert (await client.get("/?limit=5&tag=a&tag=b&other=1")).json == {
        "limit": 5,
        "after": "",
        "tag": ["a", "b"],
    }
    response = await client.get("/?limit=0&after=x")
    assert (response.status, response.body) == (
        422,
        b"query limit: Expected `int` >= 1",
    )


@pytest.mark.parametrize("model", [Page, Point, Box, Model])
async def test_every_model_may_be_the_query(client, app, model):
    seen = []

    async def view(request, response, m) -> None:
        seen.append(m)

    view.__annotations__["m"] = Annotated[model, Query()]
    declare(app, view)
    response = await client.get("/?x=1&width=1&name=a")
    assert response.status == 200, response.body
    expected = {
        Page: Page(),
        Point: Point(1),
        Box: Box(width=1),
        Model: Model(name="a"),
    }
    assert seen == [expected[model]]


class Strict(Struct, forbid_unknown_fields=True, rename="camel"):
    max_size: int
    low: int = 0

    def __post_init__(self):
        if self.low > self.max_size:
            raise ValueError("low is above maxSize")


async def test_a_struct_in_the_query_keeps_its_own_rules(client, app):
    async def view(request, response, s: Annotated[Strict, Query()]) -> str:
        return f"{s.max_size}"

    declare(app, view)
    assert (await client.get("/?maxSize=5")).body == b"5"
    for query, body in {
        "": b"query maxSize: Missing",
        "maxSize=1&other=2": b"query: Unknown parameter",
        "maxSize=1&low=2": b"query: low is above maxSize",
    }.items():
        response = await client.get(f"/?{query}")
        assert (response.status, response.body) == (422, body)


async def test_a_struct_in_the_query_may_be_optional(client, app):
    async def view(
        request, response, s: Annotated[Strict | None, Query()] = None
    ) -> str:
        return f"{s}"

    declare(app, view)
    assert (await client.get("/")).body == b"None"
    assert (await client.get("/?maxSize=5")).body == b"Strict(max_size=5, low=0)"
    assert (await client.get("/?low=5")).body == b"query maxSize: Missing"


async def test_a_struct_may_be_the_form(client, app):
    async def view(request, response, page: Annotated[Page, Form()]) -> Page:
        return page

    declare(app, view)
    sent = {"limit": "5", "after": "x"}
    response = await client.post("/", form=sent)
    assert response.json == {"limit": 5, "after": "x", "tag": []}


@dataclass
class Sizes:
    width: int
    area: int = field(init=False, default=0)
    tags: list[str] = field(default_factory=list)


class Loose(TypedDict):
    width: Required[int]
    height: NotRequired[int]


class Aliased(BaseModel):
    a: int = Field(alias="first")
    b: int = Field(5, validation_alias="second")
    c: list[int] = Field(default_factory=list)
    d: int = Field(6, validation_alias=AliasChoices("d1", "d2"))


@pytest.mark.parametrize(
    ("model", "query", "value"),
    [
        (Sizes, "width=1&area=5", Sizes(1)),
        (Loose, "width=1", {"width": 1}),
        (Loose, "width=1&height=2", {"width": 1, "height": 2}),
        (Aliased, "first=1&second=2&c=3", Aliased(first=1, second=2, c=[3])),
    ],
)
async def test_fields_of_models_in_the_query(client, app, model, query, value):
    seen = []

    async def view(request, response, m) -> None:
        seen.append(m)

    view.__annotations__["m"] = Annotated[model, Query()]
    declare(app, view)
    response = await client.get(f"/?{query}")
    assert response.status == 200, response.body
    assert seen == [value]


Number = NewType("Number", int)
Alias = TypeAliasType("Alias", int)


@dataclass
class Holder:
    model: Model
    again: "Holder | None" = None


async def test_types_may_have_other_names(client, app):
    async def view(
        request,
        response,
        a: Number,
        b: Alias,
        c: Annotated[int, {"what": "another library reads"}],
        d: Annotated[int, Field(), {"unhashable": 1}],
        e: list[Number],
        holder: Holder,
    ) -> str:
        return repr((a, b, c, d, e, holder.model.name))

    declare(app, view)
    openapi(app, title="T", ui=None)
    response = await client.post("/?a=1&b=2&c=3&d=4&e=5", {"model": {"name": "x"}})
    assert response.body == b"(1, 2, 3, 4, [5], 'x')"
    made = (await client.get("/openapi.json")).json
    assert len(made["paths"]["/"]["post"]["parameters"]) == 5


@pytest.mark.skipif(not hasattr(typing, "TypeAliasType"), reason="needs Python 3.12")
async def test_a_list_of_a_type_with_another_name(client, app):
    async def view(request, response, a) -> str:
        return repr(a)

    view.__annotations__["a"] = list[typing.TypeAliasType("Alias", int)]
    declare(app, view)
    assert (await client.get("/?a=1&a=2")).body == b"[1, 2]"


async def test_an_error_in_a_body_whose_type_has_no_hash(client, app):
    async def view(
        request, response, a: Annotated[Model, Body(), {"x": 1}]
    ) -> None: ...

    declare(app, view)
    assert (await client.post("/", {"name": 1})).body.startswith(b"body a /name: ")


async def test_a_form_of_another_type_is_415(client, app):
    async def view(request, response, a: Annotated[str, Form()] = "d") -> str:
        return a

    declare(app, view)
    response = await client.post("/", b"{}", content_type="application/json")
    assert (response.status, response.headers["Accept"]) == (
        415,
        "application/x-www-form-urlencoded, multipart/form-data",
    )
    expected = b"Send application/x-www-form-urlencoded or multipart/form-data"
    assert response.body == expected
    assert (await client.post("/")).body == b"d"


async def test_a_raw_body_may_be_optional(client, app):
    async def view(request, response, a: Annotated[bytes, Body()] = b"d") -> bytes:
        return a

    declare(app, view)
    assert (await client.post("/")).body == b"d"


@pytest.mark.parametrize("lazy", [False, True])
async def test_forms_and_files(client, app, lazy):
    async def view(
        request,
        response,
        title: Annotated[str, Form()],
        count: Annotated[int, Form()],
        photo: Annotated[Any, File()],
        more: Annotated[list[Any], File()],
        raw: Annotated[bytes, File()],
        tag: Annotated[list[str], Form()] = [],  # noqa: B006
        absent: Annotated[Any, File()] = None,
    ) -> list[Any]:
        files = [photo, *more]
        return [title, count, tag, absent, raw.decode()] + [
            [each.filename, each.read().decode()] for each in files
        ]

    declare(app, view, lazy_body=lazy)
    fields = [("title", "T"), ("count", "2"), ("tag", "a"), ("tag", "b")]
    files = [("photo", "p"), ("more", "m1"), ("more", "m2"), ("raw", "r")]
    part = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
    body = "".join(
        [part.format(name, "", value) for name, value in fields]
        + [part.format(name, '; filename="f"', value) for name, value in files]
    ).encode()
    response = await client.post(
        "/", body + b"--x--\r\n", content_type="multipart/form-data; boundary=x"
    )
    assert response.status == 200, response.body
    assert response.json == [
        *("T", 2, ["a", "b"], None, "r"),
        *(["f", "p"], ["f", "m1"], ["f", "m2"]),
    ]
    response = await client.post(
        "/", b"--x--\r\n", content_type="multipart/form-data; boundary=x"
    )
    assert response.body.splitlines() == [
        b"form title: Missing",
        b"form count: Missing",
        b"file photo: Missing",
        b"file more: Missing",
        b"file raw: Missing",
    ]


@pytest.mark.parametrize("lazy", [False, True])
async def test_a_body_as_it_is(client, app, lazy):
    async def view(
        request, response, image: Annotated[bytes, Body("image/png")]
    ) -> Annotated[bytes, "image/png"]:
        return image[::-1]

    declare(app, view, lazy_body=lazy)
    response = await client.post("/", b"\x01\xff", content_type="image/png")
    assert response.body == b"\xff\x01"
    assert response.headers["Content-Type"] == "image/png"
    response = await client.post("/", b"\x01\xff", content_type="image/gif")
    assert (response.status, response.headers["Accept"]) == (415, "image/png")
    assert (await client.post("/", b"", content_type="image/png")).status == 422


@pytest.mark.parametrize(
    ("annotation", "content_type", "status"),
    [
        (Annotated[bytes, Body()], "anything/else", 200),
        (Annotated[bytes, Body("image/*")], "image/gif", 200),
        (Annotated[bytes, Body("image/*")], "text/plain", 415),
        (Annotated[str, Body("text/plain")], "text/plain; charset=utf-8", 200),
        (Annotated[str, Body("text/plain")], "application/json", 415),
    ],
)
async def test_the_media_type_of_a_body(client, app, annotation, content_type, status):
    async def view(request, response, data) -> None:
        assert data in (b"data", "data")

    view.__annotations__["data"] = annotation
    declare(app, view)
    response = await client.post("/", b"data", content_type=content_type)
    assert response.status == status


async def test_text_that_is_not_utf8_is_400(client, app):
    async def view(
        request, response, data: Annotated[str, Body("text/plain")]
    ) -> None: ...

    declare(app, view)
    response = await client.post("/", b"\xff", content_type="text/plain")
    assert (response.status, response.body) == (400, b"The body is not UTF-8")


async def test_a_body_in_pieces(client, app):
    async def view(
        request, response, pieces: Annotated[AsyncIterator[bytes], Body("text/csv")]
    ) -> str:
        return str([piece async for piece in pieces])

    declare(app, view, lazy_body=True)
    response = await client.post("/", b"a,b", content_type="text/csv")
    assert response.body == b"[b'a,b']"
    assert (await client.post("/", b"a", content_type="a/b")).status == 415
    assert (await client.post("/")).status == 422


@pytest.mark.parametrize("annotation", [int, int | None, Annotated[str, Header()]])
async def test_a_default_makes_it_optional_and_none_alone_does_not(
    client, app, annotation
):
    async def view(request, response, x) -> None: ...

    async def optional(request, response, x=7) -> str:
        return f"{x}"

    view.__annotations__["x"] = optional.__annotations__["x"] = annotation
    declare(app, view)
    declare(app, optional, "/optional")
    assert (await client.get("/")).status == 422
    assert (await client.get("/optional")).body == b"7"


@pytest.mark.parametrize(
    "view",
    [
        lambda request, response, *args: None,
        lambda request, response, **kwargs: None,
        lambda request, response, a, /: None,
        lambda request: None,
        lambda: None,
        lambda *args: None,
        lambda request, *, response: None,
        Item,
        "view",
    ],
)
def test_what_cannot_be_filled_is_refused_when_decorated(view):
    with pytest.raises(TypeError):
        typed(view)


def test_the_first_two_may_be_positional_only():
    @typed
    async def view(request, response, /, q: str) -> None: ...

    assert view.__wrapped__.__name__ == "view"


def test_a_status_has_to_be_one():
    async def view(request, response): ...

    with pytest.raises(ValueError, match="999"):
        typed(status=999)(view)
    with pytest.raises(ValueError, match="999"):
        typed(responses={999: None})(view)
    with pytest.raises(TypeError, match=r"\[404\]: give a dict, as in \{404: None\}"):
        typed(responses=[404])(view)


def test_a_typed_view_shows_the_view():
    async def view(request, response, q: int = 1) -> str:
        """Tell."""

    decorated = typed(view)
    assert decorated.__wrapped__ is view
    assert decorated.__doc__ == "Tell."
    assert inspect.signature(decorated) == inspect.signature(view)


async def test_a_placeholder_that_the_view_does_not_take_fails_the_start(app):
    async def view(request, response, other: int = 1) -> None: ...

    openapi(app, title="T", ui=None)
    declare(app, view, "/{id}")
    with pytest.raises(TypeError, match="view: it does not take id, which its route"):
        await app.startup()


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Annotated[int, Query(), Header()], "x: it has two markers"),
        (Annotated[int, Query], r"x: write Query\(\), with parentheses"),
        (Annotated[int, Path()], "x: the route has no placeholder of this name"),
        (dict[str, int], "x: a text cannot be a dict"),
        (dict, "x: a text cannot be a dict"),
        (list[list[int]], "x: a text cannot be a list"),
        (Annotated[Item, Header()], "x: a text cannot be a "),
        (Annotated[list[str], Cookie()], "x: a cookie has one value"),
        (Annotated[Item, Body("text/csv")], "x: a body of type text/csv is bytes"),
    ],
)
async def test_what_cannot_be_read_fails_the_start(app, annotation, message):
    async def view(request, response, x) -> None: ...

    view.__annotations__["x"] = annotation
    openapi(app, title="T", ui=None)
    declare(app, view)
    with pytest.raises(TypeError, match=message) as raised:
        await app.startup()
    assert "test_typed_sources" in str(raised.value)
    assert "The route is declared at" in str(raised.value)


async def test_a_placeholder_with_another_marker_fails_the_start(app):
    async def view(request, response, x: Annotated[int, Query()]) -> None: ...

    openapi(app, title="T", ui=None)
    declare(app, view, "/{x}")
    with pytest.raises(TypeError, match=r"x: .* a placeholder: take Query\(\) away"):
        await app.startup()


@pytest.mark.parametrize(
    "parameters",
    [
        'a: int, b: Annotated[int, Query("a")]',
        'a: Annotated[str, Header("X-A")], b: Annotated[str, Header("x-a")]',
        "limit: int, page: Annotated[Page, Query()]",
    ],
)
async def test_two_parameters_of_one_text_fail_the_start(app, parameters):
    namespace = {**globals()}
    exec(f"async def view(request, response, {parameters}) -> None: ...", namespace)
    openapi(app, title="T", ui=None)
    declare(app, namespace["view"])
    with pytest.raises(TypeError, match=r" are both .* of the (query|header): give"):
        await app.startup()


async def test_without_openapi_it_is_a_logged_500(client, app, caplog):
    async def view(request, response, x: dict[str, int]) -> None: ...

    declare(app, view)
    assert (await client.get("/")).status == 500
    assert "view: x: a text cannot be a dict" in caplog.text


@pytest.mark.parametrize("name", ["a b", "", "X:Key", "é", "a\n"])
def test_a_header_name_is_a_token(name):
    """RFC 9110, section 5.1."""
    with pytest.raises(ValueError, match="a header name has letters"):
        Header(name)


async def test_a_parameter_that_makes_no_header_name_fails_the_start(app):
    async def view(request, response, é: Annotated[str, Header()]) -> None: ...

    openapi(app, title="T", ui=None)
    declare(app, view)
    with pytest.raises((TypeError, ValueError), match="a header name has letters"):
        await app.startup()


def test_markers_check_what_they_are_given():
    with pytest.raises(TypeError, match="alias=5"):
        Query(5)
    for wrong in ("png", "image/", "image/png\r\nX: y", "image/png; a=b\n"):
        with pytest.raises(ValueError, match="give a media type"):
            Body(wrong)
    for media_type in ("image/*", "*/*", 'text/csv; charset="utf-8"'):
        assert Body(media_type).media_type == media_type


def test_a_plain_function_is_refused():
    with pytest.raises(TypeError, match=r"view is not a coroutine .*: write async def"):

        @typed
        def view(request, response): ...


async def test_a_decorator_may_stand_on_either_side(client, app):
    from functools import wraps

    def loud(view):
        @wraps(view)
        async def run(request, response, *args, **kwargs):
            result = await view(request, response, *args, **kwargs)
            return result and result.upper()

        return run

    @app.route("/inside")
    @typed
    @loud
    async def inside(request, response, q: str) -> str:
        return q

    @app.route("/outside")
    @loud
    @typed
    async def outside(request, response, q: str) -> str:
        return q

    assert (await client.get("/inside?q=a")).body == b"A"
    assert (await client.get("/outside?q=a")).body == b"a"
    openapi(app, title="T", ui=None)
    document = (await client.get("/openapi.json")).json
    for path in ("/inside", "/outside"):
        [parameter] = document["paths"][path]["get"]["parameters"]
        assert parameter["name"] == "q"


async def test_a_typed_view_may_be_called_by_hand():
    @typed
    async def view(request, response, id: int) -> str:
        return f"{id}"

    app = Roll()
    response = app.Response(app, None)
    await view(app.Request(app, None), response, id=3)
    assert response.body == "3"
