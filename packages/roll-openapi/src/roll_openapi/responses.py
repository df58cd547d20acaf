"""Responses: the responses of an operation, for the document."""

from collections.abc import Iterator
from typing import Any

from roll import HttpError
from roll.response import BODILESS

from . import results
from .annotations import unwrap, without_none
from .operations import Operation
from .placeholders import may_miss
from .plan import Plan
from .schemas import Schema, Schemas

Object = dict[str, Any]

ANY_TYPE = "*/*"
JSON = "application/json"

PROBLEM: Schema = {
    "title": "Problem",
    "description": "An error (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string", "default": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "in": {"type": "string"},
                    "name": {"type": "string"},
                    "pointer": {"type": "string"},
                    "detail": {"type": "string"},
                },
                "required": ["in", "name", "detail"],
            },
        },
    },
    "required": ["type", "title", "status"],
}


def make_responses(
    operation: Operation, schemas: Schemas, error: Object, *, secure: bool
) -> Object:
    """Describe the responses of an operation, by status.

    Args:
        operation: The operation.
        schemas: The schemas of its types.
        error: The content of an error.
        secure: Whether clients have to authenticate.
    """
    plan = operation.plan
    if plan is None:
        return {"default": {"description": "Not documented"}}
    found: dict[int, Object] = {
        plan.status: _describe(
            plan.status, make_content(plan.signature.returns, plan.status, schemas)
        )
    }
    errors = [401, 403] if secure else []
    for status in (*errors, *_own_errors(operation, plan)):
        found.setdefault(status, _describe(status, error))
    for status, annotation in plan.responses.items():
        content = make_content(annotation, status, schemas)
        if annotation is None and status >= 400:
            content = error
        found[status] = _describe(status, content)
    return {str(int(status)): found[status] for status in sorted(found)}


def _describe(status: int, content: Object) -> Object:
    description = str(HttpError(status).message)
    return {"description": description} | ({"content": content} if content else {})


def _own_errors(operation: Operation, plan: Plan) -> Iterator[int]:
    """Give the statuses of a typed view's automatic errors."""
    sources = {each.source for each in plan.signature.parameters}
    if sources & {"query", "body", "form", "file"}:
        yield 400
    if sources & {"body", "form", "file"}:
        yield from (413, 415)
    if plan.readers:
        yield 422
    if any(may_miss(kind) for _, kind in operation.placeholders.values()):
        yield 404


def make_content(returns: Any, status: int, schemas: Schemas) -> Object:
    """Describe a body by the return annotation."""
    if results.is_empty(returns) or status in BODILESS:
        return {}
    media = results.media_type(returns)
    kind = unwrap(without_none(returns))
    if kind is bytes or kind is str:
        return {
            media or ANY_TYPE: {"schema": {"type": "string"}} if kind is str else {}
        }
    return {JSON: {"schema": schemas.find(without_none(returns))}}
