"""Schemas: JSON Schema 2020-12 of the types of a document, and what they refer to."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from .codecs import adapter, is_pydantic

PREFIX = "#/components/schemas/"

Schema = dict[str, Any]


class Schemas:
    """The schemas of some types, made together, so that no two have one name.

    Args:
        types: All of them.

    Raises:
        TypeError: One has no schema.
    """

    def __init__(self, types: Iterable[Any]) -> None:
        unique = {_key(each): each for each in types}
        mine = {key: unique[key] for key in unique if not is_pydantic(unique[key])}
        made, self.components = msgspec.json.schema_components(
            mine.values(), ref_template=PREFIX + "{name}"
        )
        self._made: dict[Any, Schema] = dict(zip(mine, made, strict=True))
        theirs = {key: unique[key] for key in unique if key not in mine}
        if theirs:
            self._add(theirs)
        for schema in (*self.components.values(), *self._made.values()):
            _loosen(schema)

    def _add(self, types: dict[Any, Any]) -> None:
        """Add what pydantic knows; a component whose name is taken gets another."""
        from .pydantic_schemas import make_schemas

        adapters = [adapter(each) for each in types.values()]
        made, components = make_schemas(adapters, PREFIX + "{model}")
        taken = components.keys() & self.components.keys()
        names = {PREFIX + name: f"{PREFIX}pydantic.{name}" for name in taken}
        for schema in (*components.values(), *made):
            for part in _parts(schema):
                part["$ref"] = names.get(part["$ref"], part["$ref"])
        self._made.update(zip(types, made, strict=True))
        for name, schema in components.items():
            self.components[f"pydantic.{name}" if name in taken else name] = schema

    def find(self, annotation: Any) -> Schema:
        """Give the schema of one of the types; it may be changed."""
        return {**self._made[_key(annotation)]}


def _key(annotation: Any) -> Any:
    try:
        hash(annotation)
    except TypeError:  # of what annotates it
        return repr(annotation)
    return annotation


def _parts(schema: Any) -> Iterator[Schema]:
    """Give the parts of a schema that refer to a component."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema
        for each in schema.values():
            yield from _parts(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _parts(each)


def _loosen(schema: Any) -> None:
    """Take away what nobody checks: the items of a set may be sent twice.

    A default that is a set gets an order, for a document of the same bytes.
    """
    if isinstance(schema, dict):
        is_set = any(
            "uniqueItems" in part for part in (schema, *schema.get("anyOf", ()))
        )
        if is_set and isinstance(schema.get("default"), list):
            schema["default"].sort(key=repr)
        schema.pop("uniqueItems", None)
        for each in schema.values():
            _loosen(each)
    elif isinstance(schema, list):
        for each in schema:
            _loosen(each)
