"""typed: a view whose parameters are read from the request by their annotations."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial, wraps
from http import HTTPStatus
from inspect import signature
from types import MappingProxyType
from typing import Any, overload

from roll import Request, Response
from roll.routing import split_path
from roll.typing import View

from .invalid import Invalid
from .plan import Plan, make_plan
from .readers import Errors
from .signature import check, describe, is_method, read

NO_RESPONSES: Mapping[int, Any] = MappingProxyType({})


class Typed:
    """The data of a typed view: the attribute `typed` of what the decorator returns.

    Args:
        view: The view itself.
        status: The status of its response.
        responses: Its other statuses, and the types of their bodies.
    """

    def __init__(
        self, view: Callable[..., Any], status: int, responses: Mapping[int, Any]
    ) -> None:
        self.view = view
        self.status = HTTPStatus(status)
        if not isinstance(responses, Mapping):
            raise TypeError(
                f"responses={responses!r}: give a dict, as in {{404: None}}"
            )
        self.responses = {HTTPStatus(each): responses[each] for each in responses}
        self.plans: dict[tuple[str, ...], Plan] = {}
        """Plans by the names of the route's placeholders."""

    def plan(self, placeholders: Mapping[str, str]) -> Plan:
        """Make, and keep, the plan for a route.

        Args:
            placeholders: The types of the route's placeholders, by name.

        Raises:
            TypeError: The annotations cannot be read or do not fit the route.
        """
        found = read(self.view, placeholders)
        try:
            plan = make_plan(found, placeholders, self.status, self.responses)
        except TypeError as error:
            raise TypeError(f"{describe(self.view)}: {error}") from error
        self.plans[(*placeholders,)] = plan
        return plan


@overload
def typed(
    view: View, /, *, status: int = 200, responses: Mapping[int, Any] = NO_RESPONSES
) -> View: ...


@overload
def typed(
    view: None = None,
    /,
    *,
    status: int = 200,
    responses: Mapping[int, Any] = NO_RESPONSES,
) -> Callable[[Callable[..., Awaitable[Any]]], View]: ...


def typed(
    view: Callable[..., Awaitable[Any]] | None = None,
    /,
    *,
    status: int = 200,
    responses: Mapping[int, Any] = NO_RESPONSES,
) -> Any:
    """Fill the parameters of a view from the request, and write what it returns.

    Args:
        view: A coroutine function; its first two parameters are the request and the
            response.
        status: The status of the response.
        responses: Other statuses of the view, and the types of their bodies; None for
            an error.

    Returns:
        A view, to be declared by `app.route`.

    Raises:
        TypeError: It is not a view, has parameters that cannot be filled, such as
            `**kwargs`, or *responses* is not a dict.
        ValueError: A status is not registered.
    """
    if view is None:
        return partial(typed, status=status, responses=responses)
    check(view)
    about = Typed(view, status, responses)
    call = _swap(view) if _is_swapped(view) else view
    respond = _make_respond(about, call)
    if is_method(view):

        async def respond(
            self: Any, request: Request, response: Response, **values: Any
        ) -> None:
            of_object = _make_respond(about, partial(call, self))
            await of_object(request, response, **values)

    run = wraps(view)(respond)
    run.typed = about  # type: ignore[attr-defined]
    return run


def _is_swapped(view: Callable[..., Any]) -> bool:
    """Whether a view takes the response before the request, by their names."""
    names = [name for name in signature(view).parameters if name != "self"]
    return names[:2] == ["response", "request"]


def _swap(view: Callable[..., Any]) -> Callable[..., Any]:
    if is_method(view):
        return lambda self, request, response, **values: view(
            self, response, request, **values
        )
    return lambda request, response, **values: view(response, request, **values)


def _find_placeholders(request: Request, names: Iterable[str]) -> dict[str, str]:
    """Give the types of the placeholders of a request's route, by name."""
    path = request.endpoint.path
    types = list_placeholders(path) if path is not None else {}
    return {name: types.get(name, "") for name in names}


def list_placeholders(path: str) -> dict[str, str]:
    """Give the types of the placeholders of a route, by name."""
    return {part.name: part.type for part in split_path(path) if part.name is not None}


def _make_respond(
    about: Typed, view: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[None]]:
    """Make the function that reads parameters, calls the view and writes its result."""
    plans = about.plans
    status = about.status

    async def respond(request: Request, response: Response, **values: Any) -> None:
        plan = plans.get((*values,)) or about.plan(_find_placeholders(request, values))
        if plan.load is not None and request.endpoint.lazy_body:
            await plan.load(request)
        errors: Errors = []
        for read_some in plan.readers:
            read_some(request, values, errors)
        if errors:
            raise Invalid(errors)
        if status != 200:
            response.status = status
        result = await view(request, response, **values)
        if result is not None:
            if response.body:
                raise RuntimeError(
                    f"{describe(about.view)} sets the body of the response, and "
                    "returns a value, too: do one of the two"
                )
            plan.write(response, result)

    return respond
