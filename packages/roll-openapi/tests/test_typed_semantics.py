"""What typed views take for a value, and how they answer."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct
from pydantic import BaseModel, ConfigDict, Field
from roll import Response
from roll_openapi import Body, Header, Invalid, Query, typed


class Size(Enum):
    SMALL = 1
    LARGE = 2


class Name(Enum):
    NONE = ""
    ANN = "Ann"


class Item(Struct):
    name: str
    price: float = 0.0


class Model(BaseModel):
    name: str
    price: float = 0.0


MODELS = pytest.mark.parametrize("model", [Item, Model])


def declare(app, annotation, default=..., **extras):
    """Declare a view with one parameter, `x`; it answers `repr(x)`."""

    async def view(request, response, x) -> str:
        return repr(x)

    async def optional(request, response, x=default) -> str:
        return repr(x)

    chosen = view if default is ... else optional
    chosen.__annotations__["x"] = annotation
    app.route("/", methods=["GET", "POST"], **extras)(typed(chosen))


async def get(client, text):
    params = {"x": text}
    response = await client.get("/", params=params)
    return response.status, response.body.decode()


# Texts: each by msgspec and, marked by what is of pydantic, by pydantic.


def both(annotation):
    return annotation, Annotated[annotation, Field()]


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "5", 5),
        (int, "-5", -5),
        (float, "1e3", 1000.0),
        (float, "5", 5.0),
        (float, "-0.5", -0.5),
        (bool, "true", True),
        (bool, "TRUE", True),
        (bool, "False", False),
        (bool, "1", True),
        (bool, "0", False),
        (bool, "on", True),
        (bool, "Off", False),
        (bool, "yes", True),
        (bool, "no", False),
        (bool, "t", True),
        (bool, "F", False),
        (bool | None, "n", None),
        (bool | None, "none", None),
        (bool | None, "null", None),
        (bool | None, "yes", True),
        (int | None, "null", None),
        (int | None, "7", 7),
        (date, "2026-01-02", date(2026, 1, 2)),
        (date | None, "null", None),
        (datetime, "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (time, "03:04:05", time(3, 4, 5)),
        (timedelta, "PT1S", timedelta(seconds=1)),
        (UUID, f"{UUID(int=5)}", UUID(int=5)),
        (Decimal, "1.50", Decimal("1.50")),
        (Literal["a", "b"], "a", "a"),
        (Literal["a", 2], "2", 2),
        (Literal["", "a"], "", ""),
        (Literal[1, 2], "2", 2),
        (Size, "2", Size.LARGE),
        (Name, "", Name.NONE),
        (Name, "Ann", Name.ANN),
        (str, "", ""),
        (str, " a ", " a "),
        (str | None, "", ""),
        (str | None, "null", "null"),
    ],
)
async def test_a_text_is_converted(client, app, annotation, text, value, who):
    declare(app, both(annotation)[who])
    status, body = await get(client, text)
    assert (status, body.replace("TzInfo(0)", "datetime.timezone.utc")) == (
        200,
        repr(value),
    )


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "1e3", 1000),
        (int | str, "5", "5"),
        (bytes, "YWI=", b"ab"),
    ],
)
async def test_a_text_is_converted_as_msgspec_does(
    client, app, annotation, text, value
):
    declare(app, annotation)
    assert await get(client, text) == (200, repr(value))


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        *[
            (int, text)
            for text in (" 5", "5 ", "1_000", "\u0665", "x", "1.5", "", "null")
        ],
        *[(float, text) for text in (" 5", "1_0", "\u0665", "NaN", "inf", "-Infinity")],
        *[(float, text) for text in ("nan", "1e999", "x", "")],
        *[
            (Decimal, text)
            for text in (" 5", "1_0", "\u0665", "NaN", "Infinity", "sNaN")
        ],
        *[(bool, text) for text in ("maybe", "", " true", "2", "n", "null")],
        *[(date, text) for text in ("2026-1-2", "5", "yesterday", " 2026-01-02")],
        *[(datetime, text) for text in ("5", "1e3", "-1.5", "2026")],
        *[(timedelta, text) for text in ("5", "x")],
        *[(UUID, text) for text in ("x", "", "1_2")],
        *[(Literal["a"], text) for text in ("b", "")],
        (int | None, "none"),
        (float | None, "nan"),
        (date | None, ""),
    ],
)
async def test_a_text_that_does_not_fit_is_refused(client, app, annotation, text, who):
    declare(app, both(annotation)[who])
    status, body = await get(client, text)
    assert status == 422
    assert body.startswith("query x: ")
    assert text == "" or text not in body.partition(": ")[2].split("`")[0].split()


@pytest.mark.parametrize(
    ("annotation", "texts"),
    [(list[float], ["1", "nan"]), (list[int], ["1", "x"]), (list[Decimal], ["1_0"])],
)
async def test_each_item_of_a_list_is_looked_at(client, app, annotation, texts):
    declare(app, annotation)
    response = await client.get("/?" + "&".join(f"x={text}" for text in texts))
    assert response.status == 422
    assert response.body.count(b"\n") == 0


@pytest.mark.parametrize("who", [0, 1])
async def test_items_are_converted_as_texts_are(client, app, who):
    declare(app, both(list[bool])[who])
    response = await client.get("/?x=on&x=N0&x=no".replace("N0", "0"))
    assert response.body == b"[True, False, False]"


async def test_items_that_may_be_none(client, app):
    declare(app, list[Decimal | None])
    assert (await client.get("/?x=null&x=1")).body == b"[None, Decimal('1')]"


# Empty, repeated and unknown ones


@pytest.mark.parametrize("query", ["?x=", "?x", "?x=&y=1"])
@pytest.mark.parametrize(
    ("annotation", "default", "value"),
    [
        (str, "d", ""),
        (Annotated[str, Meta(max_length=3)], "d", ""),
        (int, 7, 7),
        (int | None, None, None),
        (Decimal, 7, 7),
        (bool, False, False),
        (list[int], [], []),
        (list[str], None, [""]),
        (Literal["a"], "a", "a"),
    ],
)
async def test_an_empty_text_is_a_missing_one_but_for_a_string(
    client, app, query, annotation, default, value
):
    declare(app, annotation, default)
    assert (await client.get(f"/{query}")).body.decode() == repr(value)


async def test_an_empty_text_is_an_error_without_a_default(client, app):
    declare(app, int)
    response = await client.get("/?x=")
    assert (response.status, response.body) == (422, b"query x: Missing")


async def test_empty_items_are_left_out_of_a_list_of_numbers(client, app):
    declare(app, list[int])
    assert (await client.get("/?x=&x=1&x=")).body == b"[1]"
    assert (await client.get("/?x=&x=")).status == 422


async def test_of_a_repeated_scalar_the_first_is_taken(client, app):
    declare(app, int)
    assert (await client.get("/?x=1&x=nothing")).body == b"1"


async def test_unknown_parameters_are_ignored(client, app):
    declare(app, int)
    assert (await client.get("/?x=1&utm_source=y")).status == 200


# Bodies


async def post(client, body, content_type="application/json", **headers):
    response = await client.post("/", body, headers=headers, content_type=content_type)
    return response.status, response.body


@MODELS
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=latin-1",
        "application/merge-patch+json",
    ],
)
async def test_these_types_are_json(client, app, model, content_type):
    declare(app, model)
    status, body = await post(client, b'{"name": "a"}', content_type)
    assert (status, body.decode()) == (200, repr(model(name="a")))


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "text/x+json",
        "json",
        "application/json, text/plain",
    ],
)
async def test_another_type_is_415_and_names_json(client, app, content_type):
    """RFC 9110, section 15.5.16."""
    declare(app, Item)
    response = await client.post("/", b'{"name": "a"}', content_type=content_type)
    assert (response.status, response.headers["Accept"]) == (415, "application/json")
    assert response.body == b"Send application/json"


async def test_a_body_without_a_type_is_taken_for_json(client, app):
    declare(app, Item)
    client.content_type = None
    response = await client.post("/", b'{"name": "a"}', content_type="")
    assert response.status == 200


@MODELS
async def test_types_of_json_are_strict(client, app, model):
    declare(app, model)
    assert (await post(client, b'{"name": 1}'))[0] == 422
    assert (await post(client, b'{"name": "a", "price": "1"}'))[0] == 422
    assert (await post(client, b'{"name": "a", "price": true}'))[0] == 422


@MODELS
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
async def test_an_empty_body_is_a_missing_one(client, app, model, content_type):
    declare(app, model)
    assert await post(client, b"", content_type) == (422, b"body x: Missing")


@MODELS
async def test_an_empty_body_leaves_the_default(client, app, model):
    declare(app, model, None)
    assert await post(client, b"") == (200, b"None")


@MODELS
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 100_000,
        b'{"name": ' + b"[" * 100_000,
        b'{"other": ' + b'{"a":' * 100_000,
        b'{"name": "\xff"}',
        b'{"name": "a", "other": "\xff"}',
        b'{"name": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"name": "a"} x',
        b'{"name": 1, x',
        b'{"name": "a", "price": NaN}',
        b'{"name": "a", "price": Infinity}',
        b'{"name": "a", "price": 1e999}',
        b"not JSON",
    ],
    ids=range(14),
)
async def test_what_does_not_parse_is_400(client, app, model, body):
    declare(app, model)
    assert await post(client, body) == (400, b"Unparsable JSON body")


async def test_what_pydantic_finds_nested_too_deeply_is_400(client, app):
    declare(app, list[Model])
    body = b"[" * 900 + b"]" * 900  # not too deep for msgspec
    assert await post(client, body) == (400, b"Unparsable JSON body")


@MODELS
async def test_words_like_nan_may_be_in_a_text(client, app, model):
    declare(app, model)
    assert (await post(client, b'{"name": "NaN Infinity 1e999"}'))[0] == 200


@pytest.mark.parametrize("lazy", [False, True])
async def test_the_body_is_loaded_where_the_route_is_lazy(client, app, lazy):
    declare(app, Item, lazy_body=lazy)
    assert (await post(client, b'{"name": "a"}'))[0] == 200
    assert (await post(client, b""))[0] == 422


async def test_a_body_past_the_limit_is_413(client, app):
    declare(app, Item)
    assert (await post(client, b'"' + b"a" * 2**21 + b'"'))[0] == 413


# Errors


class Deep(Struct):
    items: list[Item]


class DeepModel(BaseModel):
    items: list[Model]


async def errors_of(client, app, body):
    caught = []

    @app.listen("error")
    def catch(request, response, error):
        caught.append(error)

    status, _ = await post(client, body)
    assert status == 422
    [error] = caught
    assert isinstance(error, Invalid)
    return error.errors


async def test_all_parameters_are_looked_at(client, app):
    @app.route("/", methods=["POST"])
    @typed
    async def view(
        request,
        response,
        item: Item,
        limit: int,
        page: float,
        x_key: Annotated[int, Header()],
    ) -> None: ...

    response = await client.post("/?page=x", {"name": 1}, headers={"X-Key": "y"})
    assert response.status == 422
    assert response.body.splitlines() == [
        b"body item /name: Expected `str`, got `int`",
        b"query limit: Missing",
        b"query page: Expected `float`, got `str`",
        b"header X-Key: Expected `int`, got `str`",
    ]


async def test_an_error_tells_where_it_is(client, app):
    declare(app, Deep)
    sent = {"items": [{"name": "a"}, {"name": "b", "price": "c"}]}
    assert await errors_of(client, app, json.dumps(sent).encode()) == [
        {
            "in": "body",
            "name": "x",
            "pointer": "/items/1/price",
            "detail": "Expected `float`, got `str`",
        }
    ]


async def test_pydantic_tells_all_of_a_body(client, app):
    declare(app, DeepModel)
    sent = {"items": [{"name": 1}, {"name": "b", "price": "c"}, {}]}
    found = await errors_of(client, app, json.dumps(sent).encode())
    assert [(each["pointer"], each["detail"]) for each in found] == [
        ("/items/0/name", "Input should be a valid string"),
        ("/items/1/price", "Input should be a valid number"),
        ("/items/2/name", "Field required"),
    ]


async def test_an_error_of_a_query_has_no_pointer(client, app):
    @app.route("/")
    @typed
    async def view(request, response, limit: int) -> None: ...

    request, response = app.Request(app, None), Response(app, None)
    request.query_string = "limit=x"
    with pytest.raises(Invalid) as raised:
        await view(request, response)
    assert raised.value.errors == [
        {"in": "query", "name": "limit", "detail": "Expected `int`, got `str`"}
    ]


class Odd(Struct, rename={"field": "a/b~c"}):
    field: int
    others: dict[str, int] = {}
    by_number: dict[int, int] = {}


@pytest.mark.parametrize(
    ("annotation", "body", "pointer", "detail"),
    [
        (Odd, b'{"a/b~c": "x"}', "/a~1b~0c", "Expected `int`, got `str`"),
        (Odd, b"{}", "/a~1b~0c", "Object missing required field `a/b~c`"),
        (Odd, b'{"a/b~c": 1, "others": {"secret": "x"}}', "/others", "Expected `int`"),
        (Odd, b'{"a/b~c": 1, "by_number": {"x": 1}}', "/by_number", "Expected `int`"),
        (list[Item], b'[{"name": "a"}, 5]', "/1", "Expected `object`, got `int`"),
    ],
)
async def test_pointers(client, app, annotation, body, pointer, detail):
    """RFC 6901: a key that the client has chosen ends them."""
    declare(app, annotation)
    [error] = await errors_of(client, app, body)
    assert error["pointer"] == pointer
    assert error["detail"].startswith(detail)


class Closed(Struct, forbid_unknown_fields=True):
    size: Size = Size.SMALL
    kind: Literal["a", "b"] = "a"


class Cat(Struct, tag="cat"):
    pass


class Dog(Struct, tag="dog"):
    pass


class Bird(BaseModel):
    kind: Literal["bird"]


class Fish(BaseModel):
    kind: Literal["fish"]


class ClosedModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["a", "b"] = "a"
    id: UUID | None = None
    others: dict[str, int] = {}
    either: Model | int = 0
    pet: Annotated[Bird | Fish, Field(discriminator="kind")] | None = None


@pytest.mark.parametrize(
    ("annotation", "sent"),
    [
        (Closed, {"s3cret": 1}),
        (Closed, {"size": 777}),
        (Closed, {"kind": "s3cret"}),
        (Cat | Dog, {"type": "s3cret"}),
        (ClosedModel, {"s3cret": 1}),
        (ClosedModel, {"id": "s3cret"}),
        (ClosedModel, {"kind": "s3cret"}),
        (ClosedModel, {"others": {"s3cret": "x"}}),
        (ClosedModel, {"either": "s3cret"}),
        (ClosedModel, {"pet": {"kind": "s3cret"}}),
    ],
)
async def test_what_was_sent_is_never_repeated(client, app, annotation, sent):
    declare(app, annotation)
    status, body = await post(client, json.dumps(sent).encode())
    assert status == 422
    for secret in (b"s3cret", b"777", b"/Model"):
        assert secret not in body


async def test_an_answer_has_20_errors_at_most(client, app):
    declare(app, list[Model])
    assert len(await errors_of(client, app, b"[" + b"1," * 99 + b"1]")) == 20


async def test_more_errors_than_that_are_not_looked_at(client, app):
    declare(app, list[Model])
    [error] = await errors_of(client, app, b"[" + b"1," * 100_000 + b"1]")
    assert error["detail"] == "More than 1000 values do not fit"


# What is returned


async def answer(client, app, returned, annotation, status=200, path="/"):
    async def view(request, response):
        return returned

    if annotation is not ...:
        view.__annotations__["return"] = annotation
    app.route(path)(typed(view, status=status) if status != 200 else typed(view))
    response = await client.get(path)
    return response.status, response.headers.get("Content-Type"), response.body


JSON = "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("returned", "annotation", "body"),
    [
        (Item("a"), Item, b'{"name":"a","price":0.0}'),
        (Model(name="a"), Model, b'{"name":"a","price":0.0}'),
        ([Model(name="a")], list[Model], b'[{"name":"a","price":0.0}]'),
        (Item("a"), Item | None, b'{"name":"a","price":0.0}'),
        (Model(name="a"), Model | None, b'{"name":"a","price":0.0}'),
        ([Item("a")], list[Item], b'[{"name":"a","price":0.0}]'),
        (5, int, b"5"),
        (5, ..., b"5"),
        ({"a": 1}, Any, b'{"a":1}'),
        (Size.LARGE, Size, b"2"),
        (Decimal("1.5"), Decimal, b'"1.5"'),
        # nothing is validated a second time
        ({"name": 1}, Item, b'{"name":1}'),
        ({"name": 1}, Model, b'{"name":1}'),
        (5, Model, b"5"),
    ],
)
async def test_what_is_returned_is_json(client, app, returned, annotation, body):
    """fastapi#1359, fastapi#3503: to validate it again costs, and may fail."""
    assert await answer(client, app, returned, annotation) == (200, JSON, body)


@pytest.mark.parametrize(
    ("returned", "annotation", "content_type"),
    [
        (b"a", bytes, None),
        ("a", str, None),
        ("a", ..., None),
        (b"a", Annotated[bytes, "image/png"], "image/png"),
        ("a", Annotated[str, "text/html"], "text/html"),
        (b"a", Annotated[bytes, 5], None),
    ],
)
async def test_bytes_and_text_are_the_body(
    client, app, returned, annotation, content_type
):
    found = await answer(client, app, returned, annotation)
    assert found == (200, content_type, b"a")


async def test_the_status_of_the_decorator(client, app):
    assert await answer(client, app, 1, int, 201) == (201, JSON, b"1")
    assert await answer(client, app, None, None, 204, "/none") == (204, None, b"")


async def test_a_status_of_the_view_wins(client, app):
    @app.route("/")
    @typed(status=201)
    async def view(request, response, again: bool = False) -> int:
        if again:
            response.status = 200
        return 1

    assert (await client.get("/")).status == 201
    assert (await client.get("/?again=1")).status == 200


async def test_none_leaves_the_response_as_the_view_has_it(client, app):
    @app.route("/")
    @typed
    async def view(request, response) -> Item | None:
        response.status = 202
        response.json = [1]

    response = await client.get("/")
    assert (response.status, response.json) == (202, [1])


async def test_a_content_type_of_the_view_stays(client, app):
    @app.route("/")
    @typed
    async def view(request, response) -> Item:
        response.headers["content-type"] = "application/vnd.item+json"
        return Item("a")

    response = await client.get("/")
    assert response.headers["Content-Type"] == "application/vnd.item+json"


@MODELS
async def test_what_cannot_be_encoded_is_a_500(client, app, model, caplog):
    assert (await answer(client, app, [object()], list[model]))[0] == 500
    assert "object" in caplog.text


async def test_setting_a_body_and_returning_is_a_500(client, app, caplog):
    @app.route("/")
    @typed
    async def view_of_two_minds(request, response) -> int:
        response.json = 1
        return 2

    assert (await client.get("/")).status == 500
    assert "view_of_two_minds sets the body of the response, and returns" in caplog.text


async def test_listeners_run_before_parameters_are_read(client, app):
    """Authentication answers first."""
    from roll import HttpError

    @app.listen("request")
    async def refuse(request, response):
        raise HttpError(401)

    declare(app, Item)
    assert (await post(client, b"{"))[0] == 401


# Annotations


async def test_annotations_may_be_texts_and_name_what_comes_later(client, app):
    source = """
from __future__ import annotations
from roll_openapi import typed

@typed
async def view(request, response, item: Later) -> Later:
    return item

from msgspec import Struct

class Later(Struct):
    name: str
"""
    namespace = {"__name__": "later"}
    exec(source, namespace)
    app.route("/", methods=["POST"])(namespace["view"])
    assert (await client.post("/", {"name": "a"})).json == {"name": "a"}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [("a: int, item: list[Nowhere]", "item"), ("a: int) -> (Nowhere", "return")],
)
async def test_a_name_that_only_type_checkers_see(app, parameters, named, tmp_path):
    """litestar#802."""
    from importlib.util import module_from_spec, spec_from_file_location

    from roll_openapi import openapi

    path = tmp_path / "checked.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "from roll_openapi import typed\n"
        "if TYPE_CHECKING:\n    from nowhere import Nowhere\n"
        f"@typed\nasync def view(request, response, {parameters}): ...\n"
    )
    spec = spec_from_file_location("checked", path)
    module = module_from_spec(spec)
    import sys

    sys.modules["checked"] = module
    try:
        spec.loader.exec_module(module)
        openapi(app, title="T", ui=None)
        app.route("/")(module.view)
        with pytest.raises(TypeError) as raised:
            await app.startup()
    finally:
        del sys.modules["checked"]
    assert str(raised.value).partition("view: ")[2].partition(" The route")[0] == (
        f"the annotation of {named} names Nowhere, which the module checked does not "
        "have when it runs: define or import it there, outside of functions and of "
        "`if TYPE_CHECKING:`."
    )


def test_msgspec_is_at_least_what_is_declared():
    assert tuple(map(int, msgspec.__version__.split(".")[:2])) >= (0, 20)


async def test_pydantic_constraints_hold_outside_of_models(client, app):
    @app.route("/")
    @typed
    async def view(request, response, x: Annotated[int, Query(), Field(ge=5)]) -> int:
        return x

    assert (await client.get("/?x=5")).body == b"5"
    response = await client.get("/?x=4")
    assert (response.status, response.body) == (
        422,
        b"query x: Input should be greater than or equal to 5",
    )


async def test_a_body_of_one_value(client, app):
    declare(app, Annotated[int, Body()])
    assert await post(client, b"5") == (200, b"5")
    assert (await post(client, b'"5"'))[0] == 422


async def test_words_of_literals_are_values_for_pydantic_too(client, app):
    declare(app, Annotated[list[Literal[1, True, None, "1"]], Field()])
    assert (await client.get("/?x=1&x=true&x=null")).body == b"['1', True, None]"
    declare_at(app, "/two", Annotated[Literal[1, 2], Field()])
    assert (await client.get("/two?x=2")).body == b"2"
    assert (await client.get("/two?x=02")).status == 422


def declare_at(app, path, annotation):
    async def view(request, response, x) -> str:
        return repr(x)

    view.__annotations__["x"] = annotation
    app.route(path)(typed(view))


async def test_a_list_that_is_too_short_for_pydantic(client, app):
    declare(app, Annotated[tuple[Model, Model], Body()])
    found = await errors_of(client, app, b"[]")
    assert [each["pointer"] for each in found] == ["/0", "/1"]
