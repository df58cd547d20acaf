"""Schemas of pydantic's types; imported only if one of them is documented."""

import re
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema


class _Generator(GenerateJsonSchema):
    """Names clashing components as msgspec does; leaves out what cannot be encoded."""

    ignored_warning_kinds = {  # noqa: RUF012  # as in the class
        "skipped-choice",
        "non-serializable-default",
    }

    def normalize_name(self, name: str) -> str:
        """Write a valid name of a component: `package.Item`."""
        return re.sub(r"[^a-zA-Z0-9.\-_]", "_", name)


def make_schemas(
    adapters: list[TypeAdapter[Any]], ref_template: str
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Make the schema of each adapter, and the components that they refer to."""
    inputs: Any = [(place, "validation", each) for place, each in enumerate(adapters)]
    made, rest = TypeAdapter.json_schemas(
        inputs, ref_template=ref_template, schema_generator=_Generator
    )
    schemas: Any = [made[place, "validation"] for place in range(len(adapters))]
    return schemas, rest.get("$defs", {})
