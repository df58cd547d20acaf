"""Declarations: a function, the name it is declared by, and the names it needs."""

import inspect
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, NamedTuple

APP = "app"
"""The parameter that is the app itself."""


class Declaration(NamedTuple):
    """A declared function, and where it was declared."""

    kind: str
    """Its kind in messages: `"resource"` or `"background"`."""
    name: str
    function: Callable[..., Any]
    parameters: Mapping[str, bool]
    """The names of its parameters, and whether each is optional."""
    where: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} ({self.where})"

    def needs(self, known: Container[str]) -> Iterator[str]:
        """List the parameters to give: the required ones, and known optional ones.

        Args:
            known: Names that can be given.
        """
        for name, is_optional in self.parameters.items():
            if name in known or not is_optional:
                yield name

    def arguments(self, app: Any) -> dict[str, Any]:
        """Give what it takes.

        Raises:
            KeyError: Something is missing, or no longer there.
        """
        found = {n: app[n] for n in self.needs(app) if n != APP}
        if APP in self.parameters:
            found[APP] = app
        return found


def declare(kind: str, name: str | None, function: Callable[..., Any]) -> Declaration:
    """Read what a function needs.

    Raises:
        TypeError: It has no name, or a parameter that cannot be given by name.
        ValueError: It has the name of the app.
    """
    name = getattr(function, "__name__", None) if name is None else name
    if not isinstance(name, str):
        raise TypeError(f"{kind}(app, {name!r}): give {function!r} a name, a string")
    if name == APP:
        raise ValueError(f"{kind} {name!r}: choose another name, this is the app's own")
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        if parameter.kind not in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        ):
            raise TypeError(
                f"{function!r} takes `{parameter}`, which has no name of a resource: "
                "write a parameter for each resource that it needs"
            )
    optional = {one.name: one.default is not one.empty for one in parameters}
    return Declaration(kind, name, function, optional, _place(function))


def _place(function: Callable[..., Any]) -> str:
    code = getattr(function, "func", function).__code__  # a partial has a `func`
    return f"{code.co_filename}:{code.co_firstlineno}"


# The arguments of the decorators


def check_generator(function: object) -> None:
    """Check that a function is an async generator function.

    Raises:
        TypeError: It is something else.
    """
    if not inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function!r} is not an async generator function: declare a resource as "
            "`async def` with one `yield`, without @asynccontextmanager"
        )


def check_coroutine(function: object) -> None:
    """Check that a function is a coroutine function.

    Raises:
        TypeError: It is something else.
    """
    if not inspect.iscoroutinefunction(function):
        raise TypeError(
            f"{function!r} is not a coroutine function: declare what runs in the "
            "background as `async def`, without `yield`"
        )


def check_seconds(name: str, value: object, zero: bool = False) -> None:
    """Check a number of seconds: above 0, or also 0.

    Raises:
        TypeError: It is not a number.
        ValueError: It is too low, or NaN.
    """
    least = "0 or more" if zero else "more than 0"
    if not isinstance(value, int | float):
        raise TypeError(f"{name}={value!r}: give a number of seconds, {least}")
    if not (value > 0 or (zero and value == 0)):
        raise ValueError(f"{name}={value!r}: give {least} seconds")
