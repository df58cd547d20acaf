"""Parameters: what an operation takes, bodies included, for the document."""

from collections.abc import Iterable, Set
from contextlib import suppress
from typing import Any

import msgspec

from . import bodies
from .annotations import is_array, items, unwrap
from .codecs import adapter, is_pydantic
from .models import NO_DEFAULT, expand
from .operations import Operation
from .placeholders import NOTE, SPANNING, make_schema
from .schemas import Schema, Schemas, takes_null
from .signature import MISSING, Parameter
from .text import is_text

Object = dict[str, Any]

IGNORED = frozenset(["accept", "authorization", "content-type"])
"""Header fields that OpenAPI describes elsewhere (section 4.8.12.2.1)."""

FILE: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}


def make_parameters(operation: Operation, schemas: Schemas) -> list[Object]:
    """Describe the placeholders, and the parameters from query, header and cookies."""
    found = _list_parameters(operation)
    in_path = {each.name: each for each in found if each.source == "path"}
    return [
        _make_path_parameter(name, kind, in_path.get(own), schemas)
        for own, (name, kind) in operation.placeholders.items()
    ] + [
        _make_parameter(each, schemas)
        for each in found
        if each.source in ("query", "cookie")
        or (each.source == "header" and each.wire.lower() not in IGNORED)
    ]


def _list_parameters(operation: Operation) -> list[Parameter]:
    if operation.plan is None:
        return []
    return [*expand(operation.plan.signature.parameters)]


def _make_path_parameter(
    name: str, kind: str, parameter: Parameter | None, schemas: Schemas
) -> Object:
    described: Object = {"name": name, "in": "path", "required": True}
    schema = make_schema(kind)
    if parameter is not None:
        described |= _describe(parameter)
        own = schemas.find(parameter.type)
        if own.get("type", schema["type"]) == schema["type"]:
            own = schema | own
        schema = own | _extend(parameter, schemas)
    if kind in SPANNING:
        text = described.get("description")
        described["description"] = f"{text} {NOTE}" if text else NOTE
    return described | {"schema": schema}


def _make_parameter(parameter: Parameter, schemas: Schemas) -> Object:
    described: Object = {"name": parameter.wire, "in": parameter.source}
    if parameter.required:
        described["required"] = True
    elif parameter.source == "query" and not _takes_empty(parameter.type):
        described["allowEmptyValue"] = True  # it counts as missing
    schema = schemas.find(parameter.type) | _extend(parameter, schemas)
    return described | _describe(parameter) | {"schema": schema}


def _takes_empty(annotation: Any) -> bool:
    """Whether an empty text is a value of a type."""
    if is_array(annotation):
        return any(map(is_text, items(annotation) or [str]))
    return is_text(annotation)


def _describe(parameter: Parameter) -> Object:
    described: Object = {}
    if parameter.marker.description:
        described["description"] = parameter.marker.description
    if parameter.marker.deprecated:
        described["deprecated"] = True
    return described


def _extend(parameter: Parameter, schemas: Schemas) -> Schema:
    """Give the additions of a parameter to the schema of its type."""
    schema: Schema = {}
    default = parameter.default
    if default is None and not takes_null(schemas.find(parameter.type)):
        default = NO_DEFAULT
    if default is not MISSING and default is not NO_DEFAULT:
        with suppress(TypeError, ValueError):  # there may be no way to send it
            schema["default"] = _to_builtins(parameter.type, default)
    if parameter.marker.examples:
        schema["examples"] = [
            _to_builtins(parameter.type, each) for each in parameter.marker.examples
        ]
    return schema


def _to_builtins(annotation: Any, value: Any) -> Any:
    """Give a value as JSON, with sets in a fixed order."""
    if is_pydantic(annotation):
        made = adapter(annotation).dump_python(value, mode="json", warnings=False)
        return sorted(made, key=repr) if isinstance(value, Set) else made
    return msgspec.to_builtins(value, str_keys=True, order="deterministic")


def make_body(operation: Operation, schemas: Schemas) -> Object:
    """Describe the body, or the form."""
    found = _list_parameters(operation)
    for each in found:
        if each.source == "body":
            return _make_whole_body(each, schemas)
    parts = [each for each in found if each.source in ("form", "file")]
    return _make_form(operation, parts, schemas) if parts else {}


def _make_whole_body(parameter: Parameter, schemas: Schemas) -> Object:
    media = bodies.media_type(parameter)
    if not bodies.is_raw(parameter):
        schema = schemas.find(parameter.type) | _extend(parameter, schemas)
    else:
        # Bytes have no type of JSON (OpenAPI 3.1.1, "Working with Binary Data").
        schema = {"type": "string"} if unwrap(parameter.type) is str else {}
        if not schema and "*" not in media:
            schema["contentMediaType"] = media
        if parameter.required:
            schema["minLength"] = 1  # an empty body counts as missing
    return _describe(parameter) | {
        "required": parameter.required,
        "content": {media: {"schema": schema}},
    }


def _make_form(
    operation: Operation, parts: Iterable[Parameter], schemas: Schemas
) -> Object:
    parts = [*parts]
    schema: Schema = {
        "type": "object",
        "properties": {each.wire: _make_part(each, schemas) for each in parts},
    }
    if required := [each.wire for each in parts if each.required]:
        schema["required"] = required
    with_files = any(each.source == "file" for each in parts)
    types = bodies.FORMS[1:] if with_files else bodies.FORMS
    return {
        "required": bool(required),
        "content": {each: {"schema": schema} for each in types},
    }


def _make_part(parameter: Parameter, schemas: Schemas) -> Schema:
    described = _describe(parameter)
    if parameter.source != "file":
        return schemas.find(parameter.type) | described | _extend(parameter, schemas)
    if is_array(parameter.type):
        return {"type": "array", "items": FILE} | described
    return FILE | described
