"""Documents: the operations of an app in OpenAPI 3.1."""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from roll import Roll

from . import bodies, problems, results
from .annotations import without_none
from .models import expand
from .operations import Include, Operation, list_operations, name_operations
from .parameters import make_body, make_parameters
from .responses import PROBLEM, make_responses
from .schemas import PREFIX, Schemas

VERSION = "3.1.0"

Object = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """The options of `openapi`."""

    title: str
    version: str
    description: str
    servers: Sequence[str] | None
    security: Mapping[str, Mapping[str, Any]]
    problems: bool
    include: Include | None


def make_document(app: Roll, settings: Settings) -> Object:
    """Describe an app.

    Raises:
        TypeError: A view cannot be documented; the message names it and its route.
        ValueError: A route names a security scheme that is not given.
    """
    operations = [*list_operations(app, settings.include)]
    schemas = _make_schemas(operations)
    error: Object = {"text/plain": {"schema": {"type": "string"}}}
    if settings.problems:
        name = "Problem" if "Problem" not in schemas.components else "roll.Problem"
        schemas.components[name] = PROBLEM
        error = {problems.MEDIA_TYPE: {"schema": {"$ref": PREFIX + name}}}
    paths: dict[str, Object] = {}
    names = name_operations(operations)
    for operation, name in zip(operations, names, strict=True):
        item = paths.setdefault(operation.template, {})
        item[operation.method.lower()] = _write(
            operation, name, schemas, error, settings.security
        )
    info = {"title": settings.title, "version": settings.version}
    servers = settings.servers or [app.root_path or "/"]
    return {
        "openapi": VERSION,
        "info": info | _without_empty(description=settings.description),
        "servers": [{"url": url} for url in servers],
        **_without_empty(security=[{name: []} for name in settings.security]),
        "paths": paths,
        **_without_empty(
            components=_without_empty(
                schemas=schemas.components, securitySchemes={**settings.security}
            )
        ),
    }


def encode(document: Object) -> bytes:
    """Write a document: equal documents give the same bytes."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _write(
    operation: Operation,
    name: str,
    schemas: Schemas,
    error: Object,
    security: Mapping[str, Any],
) -> Object:
    extras = operation.endpoint.extras
    own = extras.get("security")
    secure = bool(security if own is None else own)
    summary, description = _read_docstring(operation)
    written: Object = {
        "operationId": name,
        **_without_empty(
            tags=[*extras.get("tags", ())],
            summary=summary,
            description=description,
            deprecated=bool(extras.get("deprecated")),
            parameters=make_parameters(operation, schemas),
            requestBody=make_body(operation, schemas),
        ),
        "responses": make_responses(operation, schemas, error, secure=secure),
    }
    if own is not None:
        written["security"] = [
            {each: []} if isinstance(each, str) else each for each in own
        ]
        for scheme in chain.from_iterable(written["security"]):
            if scheme not in security:
                known = ", ".join(security) or "it has none"
                raise ValueError(
                    f"{operation.endpoint.path}: security= names {scheme!r}, which is "
                    f"not among the schemes of openapi(): {known}. The "
                    f"route is declared at {operation.endpoint.where}"
                )
    return written


def _read_docstring(operation: Operation) -> tuple[str, str]:
    """Split the docstring of a view into its first line and the rest."""
    text = inspect.getdoc(operation.endpoint.view) or ""
    summary, _, description = text.partition("\n")
    return summary.strip(), description.strip()


def _make_schemas(operations: list[Operation]) -> Schemas:
    try:
        return Schemas(each for found in operations for each in _list_types(found))
    except TypeError as error:
        complaints = filter(None, map(_complain, operations))
        raise TypeError(next(complaints, str(error))) from error


def _complain(operation: Operation) -> str:
    """Explain why an operation cannot be documented; empty if it can."""
    try:
        Schemas(_list_types(operation))
    except TypeError as error:
        endpoint, reason = operation.endpoint, str(error)
        if "schema_hook" in reason:  # an option of msgspec, of no use to the reader
            reason = reason.rpartition("\n")[2] + ": make it a Struct or a dataclass"
        return (
            f"{endpoint.path}: {endpoint} has a type that cannot be documented: "
            f"{reason}"
        )
    return ""


def _list_types(operation: Operation) -> Iterator[Any]:
    """Give the types of an operation that need a schema."""
    if operation.plan is None:
        return
    for each in expand(operation.plan.signature.parameters):
        raw = each.source == "body" and bodies.is_raw(each)
        if each.source != "file" and not raw:
            yield each.type
    returns = operation.plan.signature.returns
    for annotation in (returns, *operation.plan.responses.values()):
        if not results.is_empty(annotation):
            yield without_none(annotation)


def _without_empty(**members: Any) -> Object:
    return {name: members[name] for name in members if members[name]}
