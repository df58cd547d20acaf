"""Schemas: JSON Schema 2020-12 of the types of a document, and their components."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .codecs import adapter, is_pydantic

PREFIX = "#/components/schemas/"

Schema = dict[str, Any]


class Schemas:
    """The schemas of some types, made together, so that no two have the same name.

    Args:
        types: All of them.

    Raises:
        TypeError: One has no schema.
    """

    def __init__(self, types: Iterable[Any]) -> None:
        unique = {_key(each): each for each in types}
        mine = {key: unique[key] for key in unique if not is_pydantic(unique[key])}
        made, self.components = msgspec.json.schema_components(
            mine.values(), schema_hook=_make_schema, ref_template=PREFIX + "{name}"
        )
        self._made: dict[Any, Schema] = dict(zip(mine, made, strict=True))
        theirs = {key: unique[key] for key in unique if key not in mine}
        if theirs:
            self._add(theirs)
        for schema in (*self.components.values(), *self._made.values()):
            for part in walk(schema):
                _correct(part)

    def _add(self, types: dict[Any, Any]) -> None:
        """Add the types of pydantic; components whose names are taken get others."""
        from .pydantic_schemas import make_schemas

        adapters = [adapter(each) for each in types.values()]
        made, components = make_schemas(adapters, PREFIX + "{model}")
        taken = components.keys() & self.components.keys()
        names = {PREFIX + name: f"{PREFIX}pydantic.{name}" for name in taken}
        for schema in (*components.values(), *made):
            for part in walk(schema):
                _rename(part, names)
        self._made.update(zip(types, made, strict=True))
        for name, schema in components.items():
            self.components[f"pydantic.{name}" if name in taken else name] = schema

    def find(self, annotation: Any) -> Schema:
        """Give the schema of one of the types; it may be changed."""
        return {**self._made[_key(annotation)]}


def _make_schema(annotation: type) -> Schema:
    """Describe a type that msgspec does not support."""
    if annotation is object:
        return {"description": "Any value."}
    raise NotImplementedError


def _key(annotation: Any) -> Any:
    try:
        hash(annotation)
    except TypeError:  # from its metadata
        return repr(annotation)
    return annotation


def walk(schema: Any) -> Iterator[Schema]:
    """Give a schema and those inside it, without others such as `true`."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key, value in schema.items():
        if key in _SCHEMAS_BY_NAME:
            parts = [*value.values()]
        else:
            parts = {"list": value, "one": [value]}.get(_HOLDS.get(key, ""), [])
        for each in parts:
            yield from walk(each)


_SCHEMAS_BY_NAME = ("properties", "patternProperties", "$defs")
_HOLDS = {
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), "list"),
    **dict.fromkeys(("items", "additionalProperties", "propertyNames", "not"), "one"),
}
"""The keywords whose value is a schema, or a list of them (JSON Schema 2020-12)."""


def _rename(schema: Schema, names: Mapping[str, str]) -> None:
    """Let a schema refer to renamed components."""
    if schema.get("$ref") in names:
        schema["$ref"] = names[schema["$ref"]]
    mapping = schema.get("discriminator", {}).get("mapping", {})
    for tag, name in mapping.items():
        mapping[tag] = names.get(name, name)


def _correct(schema: Schema) -> None:
    """Remove what does not apply.

    Items of a set may be sent twice, so they are not unique. A default of None, if the
    type does not include None, means no default. A default that is a set is sorted, so
    that the document always has the same bytes.
    """
    parts = (schema, *schema.get("anyOf", ()))
    if isinstance(schema.get("default"), list):
        if any("uniqueItems" in part for part in parts):
            schema["default"].sort(key=repr)
    elif schema.get("default", ...) is None and not takes_null(schema):
        del schema["default"]
    schema.pop("uniqueItems", None)


def takes_null(schema: Schema) -> bool:
    """Whether a schema, without following references, takes null."""
    if "anyOf" in schema:
        return any(map(takes_null, schema["anyOf"]))
    if "enum" in schema:
        return None in schema["enum"]
    return schema.get("type", "null") == "null" and "$ref" not in schema


def field_names(annotation: Any) -> frozenset[str]:
    """Give the names of the fields of pydantic's models in a type."""
    if not is_pydantic(annotation):
        return frozenset()
    schema = adapter(annotation).json_schema()
    return frozenset(
        name for each in walk(schema) for name in each.get("properties", ())
    )
