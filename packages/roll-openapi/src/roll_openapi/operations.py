"""Operations: the methods and paths of an app, for its document."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from roll import Endpoint, Roll
from roll.routing import split_path

from .plan import Plan
from .views import Typed, list_placeholders

METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE")
"""The methods of a path item, except HEAD, in the order of the specification."""

Include = Callable[[Any], bool]


class Operation(NamedTuple):
    """A method of a path."""

    method: str
    endpoint: Endpoint
    template: str
    """The path in the document."""
    placeholders: dict[str, tuple[str, str]]
    """The name in the template and the type of each placeholder, by its own name."""
    plan: Plan | None
    """The plan of a typed view."""

    @property
    def name(self) -> str:
        """The name of the operation: that of its route, or of its view."""
        view = self.endpoint.view
        return str(
            self.endpoint.extras.get("name") or getattr(view, "__name__", "view")
        )


def list_operations(app: Roll, include: Include | None) -> Iterator[Operation]:
    """List the operations of an app, in the order in which they were declared.

    Raises:
        TypeError: A view cannot be documented; the message names it and its route.
    """
    templates: dict[str, str] = {}
    for declaration in app.declarations:
        if declaration.extras.get("hidden") or (include and not include(declaration)):
            continue
        path = declaration.path
        found = [app.router.endpoints[path][method] for method in declaration.methods]
        if found[0].switches:
            continue
        template, placeholders = _make_template(path, templates)
        for method, endpoint in zip(declaration.methods, found, strict=True):
            if method in METHODS:
                typed = getattr(endpoint.view, "typed", None)
                plan = _plan(typed, endpoint) if isinstance(typed, Typed) else None
                yield Operation(method, endpoint, template, placeholders, plan)


def _plan(typed: Typed, endpoint: Endpoint) -> Plan:
    path = endpoint.path or ""
    try:
        return typed.plan(list_placeholders(path))
    except TypeError as error:
        raise TypeError(
            f"{path}: {error}. The route is declared at {endpoint.where}"
        ) from error


def _make_template(
    path: str, templates: dict[str, str]
) -> tuple[str, dict[str, tuple[str, str]]]:
    """Write a path for the document.

    Two routes that differ only in the types of placeholders need two paths, too: the
    placeholders of the second get other names.
    """
    parts = split_path(path)
    number = 1
    while True:
        suffix = f"_{number}" if number > 1 else ""
        template = "".join(
            quote(part.literal, safe="/:@!$&'()*+,;=~-._")
            + (f"{{{part.name}{suffix}}}" if part.name is not None else "")
            for part in parts
        )
        if templates.setdefault(template, path) == path:
            break
        number += 1
    return template, {
        part.name: (f"{part.name}{suffix}", part.type)
        for part in parts
        if part.name is not None
    }


def name_operations(operations: list[Operation]) -> list[str]:
    """Give each operation a unique name.

    Names that would be the same get the method at the end, then the path, and as a last
    resort a number.
    """
    names = [each.name for each in operations]
    endings = (
        [each.method.lower() for each in operations],
        [re.sub(r"\W+", "_", each.template).strip("_") for each in operations],
    )
    for ending in endings:
        count = Counter(names)
        names = [
            f"{name}_{end}" if count[name] > 1 else name
            for name, end in zip(names, ending, strict=True)
        ]
    unique: dict[str, None] = {}
    for name in names:
        number = 1
        while (numbered := name if number == 1 else f"{name}_{number}") in unique:
            number += 1
        unique[numbered] = None
    return [*unique]
