"""Signatures: which parameters a typed view takes, and where each comes from."""

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple, get_origin, get_type_hints
from uuid import UUID

from .annotations import has_model, members, split_marker, unwrap
from .markers import Body, File, Form, Header, Marker, Path, Query

MISSING = inspect.Parameter.empty
"""Marks a missing default or annotation."""

_USUAL = inspect.Parameter.POSITIONAL_OR_KEYWORD

PLACEHOLDERS: Mapping[str, type] = {
    "int": int,
    "float": float,
    "uuid": UUID,
    "date": date,
}
"""The types of placeholders that convert, and what they convert to."""


class Parameter(NamedTuple):
    """A parameter of a view."""

    name: str
    type: Any
    """Its annotation without the marker."""
    default: Any
    marker: Marker

    @property
    def source(self) -> str:
        """The source, as the errors of `Invalid` name it."""
        return self.marker.SOURCE

    @property
    def wire(self) -> str:
        """Its name on the wire."""
        return self.marker.name(self.name)

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is MISSING


class Signature(NamedTuple):
    """What a view takes and returns."""

    parameters: tuple[Parameter, ...]
    returns: Any


def describe(view: Any) -> str:
    """Name a view and its module."""
    return f"{view.__module__}.{view.__qualname__}"


def check(view: Callable[..., Any]) -> list[inspect.Parameter]:
    """Give the parameters of a view after the request and the response.

    Raises:
        TypeError: It is not a function, or has parameters that nothing can fill.
    """
    if not callable(view) or isinstance(view, type):
        raise TypeError(f"typed({view!r}): decorate a view, as in @typed")
    leading, others = _own(view)[:2], _own(view)[2:]
    positional = (inspect.Parameter.POSITIONAL_ONLY, _USUAL)
    if len(leading) < 2 or any(each.kind not in positional for each in leading):
        raise TypeError(f"{describe(view)}: a view takes (request, response, ...)")
    for each in others:
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            raise TypeError(
                f"{describe(view)} takes {each}: name each parameter of a typed view"
            )
        if each.kind is each.POSITIONAL_ONLY:
            raise TypeError(
                f"{describe(view)}: {each.name} is positional-only: move the / to the "
                "left of it"
            )
    if (
        inspect.isfunction(view)
        and not inspect.iscoroutinefunction(view)
        and not hasattr(view, "__wrapped__")
    ):
        raise TypeError(
            f"{describe(view)} is not a coroutine function: write async def"
        )
    return others


def is_method(view: Callable[..., Any]) -> bool:
    """Whether a function is one of a class, by the name of its first parameter."""
    return next(iter(inspect.signature(view).parameters), "") == "self"


def _own(view: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = [*inspect.signature(view).parameters.values()]
    return parameters[1:] if is_method(view) else parameters


def read(view: Callable[..., Any], placeholders: Mapping[str, str]) -> Signature:
    """Find out where each parameter of a view comes from.

    Args:
        view: One that `check` has passed.
        placeholders: The types of its route's placeholders, by name.

    Raises:
        TypeError: An annotation cannot be read or does not fit; the message names the
            parameter and the view.
    """
    found = check(view)
    hints = _hints(view, [each.name for each in found])
    parameters = []
    for each in found:
        try:
            parameters.append(_read(each, hints, placeholders))
        except TypeError as error:
            raise TypeError(f"{describe(view)}: {each.name}: {error}") from None
    try:
        _check_together(parameters, placeholders)
    except TypeError as error:
        raise TypeError(f"{describe(view)}: {error}") from None
    return Signature(tuple(parameters), hints.get("return", MISSING))


def _hints(view: Callable[..., Any], names: Iterable[str]) -> dict[str, Any]:
    try:
        return get_type_hints(view, include_extras=True)
    except NameError as error:
        mine = inspect.unwrap(view)
        annotations = inspect.get_annotations(mine)
        named = ", ".join(
            name
            for name in (*names, "return")
            if str(error.name) in re.findall(r"\w+", str(annotations.get(name)))
        )
        raise TypeError(
            f"{describe(view)}: the annotation of {named} names {error.name}, which "
            f"the module {mine.__module__} does not have when it runs: define or "
            "import it there, outside of functions and of `if TYPE_CHECKING:`"
        ) from None


def _read(
    found: inspect.Parameter, hints: Mapping[str, Any], placeholders: Mapping[str, str]
) -> Parameter:
    annotation, marker = split_marker(hints.get(found.name, MISSING))
    if annotation is MISSING:
        annotation = Any if found.name in placeholders else str
    if found.name in placeholders:
        if not isinstance(marker, Path | None):
            raise TypeError(
                f"the route has it as a placeholder: take {type(marker).__name__}() "
                "away, or give it another name"
            )
        _check_placeholder(annotation, placeholders[found.name])
        return Parameter(found.name, annotation, found.default, marker or Path())
    if isinstance(marker, Path):
        raise TypeError("the route has no placeholder of this name")
    if marker is None:
        marker = Body() if has_model(annotation) else Query()
    if isinstance(marker, Header):
        Header(marker.name(found.name))
    return Parameter(found.name, annotation, found.default, marker)


def _check_placeholder(annotation: Any, kind: str) -> None:
    expected = PLACEHOLDERS.get(kind)
    if expected is not None and not {*members(annotation)} & {expected, Any, object}:
        raise TypeError(
            f"the route gives {expected.__name__}, as it has {{...:{kind}}}; annotate "
            f"it with {expected.__name__}"
        )


def _check_together(
    parameters: Iterable[Parameter], placeholders: Mapping[str, str]
) -> None:
    names = {each.name for each in parameters}
    for name in placeholders:
        if name not in names:
            raise TypeError(f"it does not take {name}, which its route gives")
    bodies = [each.name for each in parameters if isinstance(each.marker, Body)]
    forms = [each.name for each in parameters if isinstance(each.marker, Form | File)]
    if len(bodies) > 1:
        raise TypeError(
            f"{' and '.join(bodies)} would each be the body: put them into one model"
        )
    if bodies and forms:
        raise TypeError(
            f"{bodies[0]} would be the body, and {forms[0]} a part of a form: leave "
            "one of them out"
        )


def is_stream(annotation: Any) -> bool:
    """Whether a type is that of the pieces of a body."""
    return get_origin(unwrap(annotation)) is AsyncIterator
