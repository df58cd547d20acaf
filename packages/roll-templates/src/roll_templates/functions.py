"""The functions in `app["template_globals"]`, bound to the current request."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any

from jinja2 import Environment, Template
from roll import Request, Roll

KEY = "template_globals"

# Not in the context of the template, which imported macros do not see.
_RENDERED: ContextVar[tuple[Request | None, dict[str, Any]]] = ContextVar("rendered")

_WRITES_COOKIES = ("csrf_token", "flashes")


@contextmanager
def rendering(request: Request | None, known: dict[str, Any]) -> Iterator[None]:
    """Bind the functions to a request.

    Args:
        request: The request that they get, or None.
        known: Results that were read ahead, for the first call of each function.
    """
    token = _RENDERED.set((request, known))
    try:
        yield
    finally:
        _RENDERED.reset(token)


def add_functions(environment: Environment, app: Roll) -> None:
    """Add the functions of an app and its parents to the globals of an environment."""
    for functions in _of_app_and_parents(app):
        for name in functions:
            if name not in environment.globals:
                environment.globals[name] = _bind(app, name)


def read_ahead(template: Template, request: Request, app: Roll) -> dict[str, Any]:
    """Call functions that may set a cookie, if a template uses them, in time."""
    there = {name for functions in _of_app_and_parents(app) for name in functions}
    names = there.intersection(_WRITES_COOKIES)
    if names:
        names &= _read_constants(template)
    return {name: _find(app, name)(request) for name in names}


def _of_app_and_parents(app: Roll | None) -> Iterator[Mapping[str, Any]]:
    while app is not None:
        yield app.get(KEY, {})
        app = app.parent


def _find(app: Roll, name: str) -> Callable[..., Any]:
    found = (one[name] for one in _of_app_and_parents(app) if name in one)
    function: Callable[..., Any] = next(found)
    return function


def _bind(app: Roll, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        request, known = _RENDERED.get((None, {}))
        if name in known:
            return known.pop(name)
        if request is None and name != "url_for":
            raise RuntimeError(f"{name}() needs a request: give it to `text`")
        return _find(app, name)(request, *arguments, **keywords)

    return call


def _read_constants(template: Template) -> set[Any]:
    """Collect the constants of a template, and of the templates that it names.

    These include the names that a template looks up, and the templates that it extends,
    includes or imports, unless it computes their names.
    """
    environment = template.environment
    try:
        listed = set(environment.list_templates())
    except TypeError:  # the loader cannot list them
        listed = set()
    found: set[Any] = set()
    waiting = [template]
    while waiting:
        one = waiting.pop()
        codes = [each.__code__ for each in (one.root_render_func, *one.blocks.values())]
        fresh = set(_constants(codes)) - found
        found |= fresh
        waiting += map(environment.get_template, fresh & listed)
    return found


def _constants(codes: Iterable[CodeType]) -> Iterator[Any]:
    waiting: list[Any] = [*codes]
    while waiting:
        one = waiting.pop()
        if isinstance(one, CodeType):
            waiting += one.co_consts
        elif isinstance(one, tuple):
            waiting += one
        else:
            yield one
