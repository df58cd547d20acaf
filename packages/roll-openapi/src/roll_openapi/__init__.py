"""Typed views, and OpenAPI 3.1: what a view takes and returns, from its annotations."""

from collections.abc import Mapping
from typing import Any

from roll import hookimpl
from roll.typing import Extension

from .extension import document, openapi, write_document
from .invalid import Invalid
from .markers import Body, Cookie, File, Form, Header, Path, Query
from .problems import problems
from .views import typed

__all__ = [
    "Body",
    "Cookie",
    "File",
    "Form",
    "Header",
    "Invalid",
    "Path",
    "Query",
    "document",
    "openapi",
    "problems",
    "typed",
]


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import openapi, problems`."""
    return {"openapi": openapi, "problems": problems}


@hookimpl
def roll_commands(commands: Any) -> None:
    """Add `roll openapi`."""
    commands.add_for_app("openapi", write_document)
