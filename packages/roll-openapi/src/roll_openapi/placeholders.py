"""Placeholders: the variables of a path, for the document."""

from typing import Any

_TYPES: dict[str, dict[str, Any]] = {
    "": {"type": "string", "pattern": "^[^/]+$"},
    "string": {"type": "string", "pattern": "^[^/]+$"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "digit": {"type": "string", "pattern": "^[0-9]+$"},
    "alpha": {"type": "string", "pattern": "^[a-zA-Z]+$"},
    "alnum": {"type": "string", "pattern": "^[a-zA-Z0-9_]+$"},
    "uuid": {"type": "string", "format": "uuid"},
    "date": {"type": "string", "format": "date"},
    "path": {"type": "string"},
    "any": {"type": "string"},
}
"""The schema of each type of a placeholder; another type is an expression."""

SPANNING = ("path", "any")
"""The types that take slashes, which OpenAPI cannot express."""

NOTE = "May contain slashes. Do not escape them."


def make_schema(kind: str) -> dict[str, Any]:
    """Describe the texts that a placeholder takes."""
    return {**_TYPES.get(kind, {"type": "string", "pattern": f"^(?:{kind})$"})}


def may_miss(kind: str) -> bool:
    """Whether there are texts for which the route is not found."""
    return kind not in ("", "string", *SPANNING)
