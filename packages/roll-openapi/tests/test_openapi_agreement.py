"""What the document says and what a view takes agree, for msgspec and for pydantic.

Hypothesis makes annotations and values. A value that validates against the published
schema is taken, another one is a 4xx.
"""

import asyncio
import json
import os
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Meta
from openapi_spec_validator import validate
from pydantic import ConfigDict, Field, create_model
from roll import Request, Response, Roll
from roll_openapi import Body, Cookie, Form, Header, Query, document, openapi, typed

EXAMPLES = int(os.environ.get("ROLL_TEST_EXAMPLES", "60"))  # 5000 for a night
OFTEN = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
LIBRARIES = ("msgspec", "pydantic")

names = st.sampled_from(["a", "b", "c", "long_name", "ref", "type"])
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
whole = st.integers(-(2**70), 2**70)
real = st.floats(-1e15, 1e15, allow_nan=False)
scalars = st.none() | st.booleans() | whole | st.integers(-3, 3) | real | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4)
    ),
    max_leaves=6,
)


def limited(library, **limits):
    """Make what annotates a type with limits, as a library has them."""
    return Meta(**limits) if library == "msgspec" else Field(**limits)


@st.composite
def scalar_types(draw, library):
    kind = draw(st.sampled_from(["int", "float", "str", "bool", "literal"]))
    low, high = sorted(draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3))))
    if kind == "literal":
        members = st.sampled_from(["x", "y", "z", ""]) | st.integers(-2, 2)
        return Literal[tuple(draw(st.lists(members, min_size=1, max_size=3)))]
    limits = {
        "int": [{"ge": low}, {"le": high}, {"gt": low, "lt": high}, {"multiple_of": 2}],
        "float": [{"ge": low}, {"le": high}, {"gt": low, "lt": high}],
        "str": [
            {"min_length": abs(low)},
            {"max_length": abs(high)},
            {"pattern": "^[a-z]"},
        ],
        "bool": [],
    }[kind]
    annotation = {"int": int, "float": float, "str": str, "bool": bool}[kind]
    if limits and draw(st.booleans()):
        return Annotated[annotation, limited(library, **draw(st.sampled_from(limits)))]
    return annotation


@st.composite
def optional(draw, inner):
    annotation = draw(inner)
    return annotation | None if draw(st.integers(0, 4)) == 0 else annotation


@st.composite
def containers(draw, library, inner):
    item = draw(inner)
    kind = draw(st.sampled_from(["list", "limited", "dict", "tuple", "set"]))
    if kind == "dict":
        return dict[str, item]
    if kind == "tuple":
        return tuple[item, draw(inner)]
    if kind == "set":
        return set[draw(scalar_types(library))]
    if kind == "limited":
        return Annotated[list[item], limited(library, min_length=1, max_length=2)]
    return list[item]


@st.composite
def models(draw, library, inner):
    fields = draw(st.dictionaries(names, inner, max_size=4))
    forbid = draw(st.booleans())
    required = draw(st.sets(st.sampled_from([*fields] or ["none"])))
    if library == "pydantic":
        config = ConfigDict(extra="forbid" if forbid else "ignore")
        made = {
            name: (fields[name], ... if name in required else None) for name in fields
        }
        return create_model("Model", __config__=config, **made)
    made = [(name, fields[name]) for name in fields if name in required]
    made += [(name, fields[name], None) for name in fields if name not in required]
    return msgspec.defstruct("Model", made, forbid_unknown_fields=forbid)


@st.composite
def annotations(draw, library):
    def wrap(inner):
        return containers(library, inner) | models(library, inner)

    return draw(st.recursive(optional(scalar_types(library)), wrap, max_leaves=4))


def make_app(view):
    app = Roll()
    openapi(app, title="T", ui=None)
    app.route("/", methods=["POST"])(view)
    return app, document(app)


def ask(app, body=b"", query="", headers=b""):
    """Run one request of an app in memory; give its status."""

    async def run():
        request, response = Request(app, None), Response(app, None)
        request.url = b"/"
        request.query_string = query
        request.method = "POST"
        request.body = body
        response = await app(request, response)
        return int(response.status), response.body

    return asyncio.run(run())


def check_agreement(made, schema, value, status, answer):
    root = {**schema, "components": made.get("components", {})}
    valid = Draft202012Validator(root).is_valid(value)
    if valid:
        assert status == 200, (value, schema, answer)
    else:
        assert 400 <= status < 500, (value, schema)


@pytest.mark.parametrize("library", LIBRARIES)
def test_bodies_agree(library):
    @OFTEN
    @given(annotations(library), st.data())
    def check(annotation, data):
        async def view(request, response, body) -> None: ...

        view.__annotations__["body"] = Annotated[annotation, Body()]
        app, made = make_app(typed(view))
        content = made["paths"]["/"]["post"]["requestBody"]["content"]
        schema = content["application/json"]["schema"]
        near = near_schema(schema, made["components"]["schemas"])
        for value in data.draw(st.lists(near | values, min_size=3, max_size=6)):
            sent = json.dumps(value, ensure_ascii=False).encode()
            check_agreement(made, schema, value, *ask(app, sent))

    check()


def near_schema(schema, components, depth=0):
    """Make values that are likely to be valid."""
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        parts = [near_schema(each, components, depth) for each in schema["anyOf"]]
        return st.one_of(parts)
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kind = schema.get("type")
    if kind == "object":
        fields = {
            name: near_schema(each, components, depth + 1)
            for name, each in schema.get("properties", {}).items()
        }
        required = schema.get("required", ())
        made = st.fixed_dictionaries(
            {name: fields[name] for name in fields if name in required},
            optional={name: fields[name] for name in fields if name not in required},
        )
        if isinstance(schema.get("additionalProperties"), dict):
            inner = near_schema(schema["additionalProperties"], components, depth + 1)
            made = st.dictionaries(names, inner, max_size=2)
        return made
    if kind == "array":
        if "prefixItems" in schema:
            parts = [near_schema(each, components) for each in schema["prefixItems"]]
            return st.tuples(*parts).map(list)
        inner = near_schema(schema.get("items", {}), components, depth + 1)
        return st.lists(inner, max_size=3)
    near = {
        "integer": st.integers(-4, 4) | st.sampled_from([2.0, -1.0, 0.5]),
        "number": st.integers(-4, 4) | real,
        "string": st.sampled_from(["", "a", "ab", "abc", "A", "é"]) | texts,
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return near.get(kind, scalars)


@pytest.mark.parametrize("library", LIBRARIES)
def test_queries_agree(library):
    @OFTEN
    @given(scalar_types(library), st.data())
    def check(annotation, data):
        async def view(request, response, q) -> None: ...

        marked = annotation if library == "msgspec" else Annotated[annotation, Field()]
        view.__annotations__["q"] = Annotated[marked, Query()]
        app, made = make_app(typed(view))
        [parameter] = made["paths"]["/"]["post"]["parameters"]
        schema = parameter["schema"]
        near = near_schema(schema, {})
        for value in data.draw(st.lists(near | scalars, min_size=3, max_size=6)):
            text = value if isinstance(value, str) else json.dumps(value)
            if isinstance(value, float) and ("e" in text or text.endswith(".0")):
                continue  # to pydantic and of literals, these are not integers
            if valid_as_text(schema, text):
                status, answer = ask(app, query=urlencode(text))
                assert status == 200, (text, schema, answer)
            elif not is_boolean_word(schema, text):
                status, _ = ask(app, query=urlencode(text))
                assert 400 <= status < 500, (text, schema)

    check()


def urlencode(text):
    from urllib.parse import urlencode

    return urlencode({"q": text})


def valid_as_text(schema, text):
    """Whether a text, read as a string or as JSON, fits a schema."""
    readings: list[Any] = [text]
    with suppress(ValueError):
        readings.append(json.loads(text))
    return any(map(Draft202012Validator(schema).is_valid, readings))


def is_boolean_word(schema, text):
    """Whether a view takes more than the schema tells: `on` for a boolean."""
    words = {"t", "true", "yes", "1", "on", "f", "false", "no", "0", "off"}
    return schema.get("type") == "boolean" and text.lower() in words


# Generated apps: the document is valid, whatever is annotated how.


@st.composite
def apps(draw):
    """Make an app of a few routes."""
    app = Roll()
    schemes = {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}
    openapi(
        app,
        title=draw(texts),
        ui=None,
        problems=draw(st.booleans()),
        security=draw(st.sampled_from([{}, schemes])),
    )
    for place in range(draw(st.integers(1, 4))):
        library = draw(st.sampled_from(LIBRARIES))
        kinds = ["", ":int", ":uuid", ":date", ":path", ":[a-z]+", ":float", ":alpha"]
        kind = draw(st.sampled_from(kinds))
        path = draw(st.sampled_from(["/a", "/é", "/a/b"])) + f"{place}/{{p{kind}}}"
        method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "*"]))
        declare(draw, app, path, method, library)
    return app


def declare(draw, app, path, method, library):
    namespace = {}
    markers = [Query(), Header(), Cookie(), Form(), Query(None, "text", ("a",), True)]
    parameters, notes = ["p"], {}
    for name in draw(st.sets(names, max_size=3)):
        marker = draw(st.sampled_from(markers))
        is_list = isinstance(marker, Query | Form) and draw(st.booleans())
        annotation = draw(scalar_types(library))
        notes[name] = Annotated[list[annotation] if is_list else annotation, marker]
        parameters.append(f"{name}=None" if draw(st.booleans()) else name)
    if not any("Form" in repr(note) for note in notes.values()) and draw(st.booleans()):
        notes["body"] = Annotated[draw(annotations(library)), Body()]
        parameters.append("body")
    source = ", ".join(parameters)
    exec(f"async def view(request, response, *, {source}): ...", namespace)
    view = namespace["view"]
    view.__module__ = __name__
    view.__annotations__.update(notes)
    view.__annotations__["return"] = draw(annotations(draw(st.sampled_from(LIBRARIES))))
    responses = {404: None, 409: draw(annotations(library))}
    app.route(path, methods=method)(typed(view, responses=responses))


@settings(
    max_examples=500 if EXAMPLES > 500 else 15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(apps())
def test_documents_of_generated_apps_are_valid(app):
    validate(document(app))
