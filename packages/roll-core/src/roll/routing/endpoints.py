"""Endpoints: the views for a path and a method, ready to run."""

import asyncio
import inspect
import math
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from http import HTTPStatus
from itertools import pairwise
from typing import Any, NamedTuple

from ..errors import HttpError
from ..limits import Limits
from ..logs import logger, named
from ..typing import Check, View

HTTP_METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
)
"""The methods of RFC 9110, section 9.3, and of RFC 5789."""

# Other methods that llhttp knows; one in neither list never reaches a view.
# fmt: off
_OTHER_METHODS = frozenset([
    "ACL", "BIND", "CHECKOUT", "COPY", "LINK", "LOCK", "M-SEARCH", "MERGE",
    "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "PROPFIND", "PROPPATCH",
    "PURGE", "QUERY", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND",
    "UNLINK", "UNLOCK", "UNSUBSCRIBE",
])
# fmt: on


class Route(NamedTuple):
    """The route found for a request.

    `payload` contains the views of the path by method, and the extras of the matching
    declaration; it is None if no path matches. `vars` has the placeholders' values.
    """

    payload: dict[str, Any] | None
    vars: dict[str, Any]


class Declaration(NamedTuple):
    """One `@app.route(...)`, as it was written."""

    path: str
    methods: tuple[str, ...]
    view: Any
    extras: dict[str, Any]
    where: str


_PLAIN = (
    "is not a coroutine function: write async def, or await asyncio.to_thread(...) in "
    "one that is"
)

Runner = Callable[..., Awaitable[Any]]
"""Runs a view, and gives its return value, which should be None."""


def ready(view: Runner, where: str, second: str = "response") -> Runner:
    """Make *view* ready to run; an ordinary coroutine function stays as it is.

    A view whose parameters are named `(response, request)` gets them in this order;
    *second* is the name of the argument besides the request. A view that is not a
    coroutine function may return an awaitable, as those of decorators do; running it
    raises TypeError if it returns something else.
    """
    call: Callable[..., Any] = view
    if _parameters(view)[:2] == (second, "request"):
        call = _swapped(view)
    elif inspect.iscoroutinefunction(view):
        return view

    async def run(request: Any, response: Any, **variables: Any) -> Any:
        result = call(request, response, **variables)
        if not inspect.isawaitable(result):
            raise TypeError(f"{describe(view, where)} {_PLAIN}")
        return await result

    return run


def _parameters(view: Any) -> tuple[str, ...]:
    signature = _signature(view)
    return () if signature is None else tuple(signature.parameters)


def _swapped(view: Runner) -> Runner:
    return lambda request, response, **variables: view(response, request, **variables)


def _signature(view: Any) -> inspect.Signature | None:
    """Give the signature of a view itself, not of one that a decorator wraps."""
    try:
        return inspect.signature(view, follow_wrapped=False)
    except ValueError:  # a builtin without a signature
        return None
    except TypeError:
        raise TypeError(f"{named(view)} is not a view: it cannot be called") from None


def describe(view: Any, where: str) -> str:
    """Name a view, and the place of its declaration if known."""
    name = getattr(view, "__qualname__", None) or repr(view)
    return f"view {name} ({where})" if where else f"view {name}"


class Endpoint:
    """A view for a path and a method, ready to run.

    Args:
        view: The view declared for the method.
        extras: The extras of the declaration.
        where: The place of the declaration.
        path: The pattern of the route, None for the endpoint of a 404.
        run: The function to run, if it is not the view itself.
        lazy_body: Whether the view reads the body itself.
        limits: The limits of this route.
        found: False for the endpoints that respond with 404 and 405.
        switches: Whether a response passes the connection to another protocol.
        finishes: Whether the view continues when the client leaves.
    """

    __slots__ = (
        "extras",
        "finishes",
        "found",
        "lazy_body",
        "limits",
        "path",
        "payload",
        "run",
        "switches",
        "view",
        "where",
    )

    def __init__(
        self,
        view: View,
        extras: Mapping[str, Any] | None = None,
        where: str = "",
        *,
        path: str | None = None,
        run: Runner | None = None,
        lazy_body: bool = False,
        limits: Limits | None = None,
        found: bool = True,
        switches: bool = False,
        finishes: bool = False,
    ) -> None:
        self.view = view
        self.extras = {} if extras is None else extras
        self.where = where
        self.path = path
        self.run = run or ready(view, where)
        self.lazy_body = lazy_body
        self.limits = limits
        self.found = found
        self.switches = switches
        self.finishes = finishes
        self.payload: dict[str, Any] | None = None
        """The value of `request.route.payload`."""

    def __str__(self) -> str:
        return describe(self.view, self.where)

    def find_oddities(self) -> Iterator[str]:
        """Give likely mistakes in the view."""
        if _returns_nothing(self.view):
            yield f"{self} {_PLAIN}"

    def returned(self, result: Any) -> Any:
        """Reject the return value of the view.

        A subclass may give a response, which is sent instead of the one that `run` got.

        Raises:
            TypeError: Always.
        """
        kind = f"a value of type {type(result).__name__}"
        advice = "set response.text or response.json instead, and return nothing"
        if inspect.iscoroutine(result):
            result.close()  # otherwise Python warns that it was not awaited
            kind, advice = "a coroutine", "await it first"
        elif isinstance(result, BaseException):
            advice = "raise it instead"
        raise TypeError(f"{self} returns {kind}: {advice}")


async def _not_found(request: Any, response: Any) -> None:
    raise HttpError(HTTPStatus.NOT_FOUND)


NOT_FOUND = Endpoint(_not_found, lazy_body=True, found=False)
"""The endpoint of every path that no route matches."""


async def _undecodable(request: Any, response: Any) -> None:
    raise HttpError(HTTPStatus.BAD_REQUEST, "The path does not decode as UTF-8")


UNDECODABLE = Endpoint(_undecodable, lazy_body=True, found=False)
"""The endpoint of every path that is not UTF-8."""


KEYWORDS = ("methods", "protocol", "lazy_body", "limits", "timeout", "on_disconnect")
"""The keywords of `route` that Roll itself reads."""


def near_misses(
    path: str, extras: Iterable[str], known: Collection[str]
) -> Iterator[str]:
    """Give the extras whose names are similar to a known keyword.

    `limit` may be an extra: rate limiters use it.
    """
    for name in extras:
        if name in known or name == "limit":
            continue
        import difflib  # only for routes with unknown extras

        for near in difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.85):
            yield f"{path}: {name}= is unknown; did you mean {near}=?"


def wrong_values(
    path: str, extras: Mapping[str, Any], checks: Mapping[str, Check | None]
) -> Iterator[str]:
    """Give the extras whose value fails its check."""
    for name, value in extras.items():
        if (check := checks.get(name)) is not None:
            try:
                check(value)
            except (TypeError, ValueError) as error:
                yield f"{path}: {name}={value!r}: {error}."


def _returns_nothing(view: Any) -> bool:
    """Whether a view is a plain function that certainly returns no awaitable."""
    function = getattr(view, "__func__", view)
    if (
        not inspect.isfunction(function)
        or inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
        or hasattr(function, "__wrapped__")
    ):
        return False
    import dis  # only for unusual functions

    results = [
        # If a return is a jump target, its value may come from elsewhere.
        step if step.opname == "RETURN_CONST" or step.is_jump_target else before
        for before, step in pairwise(dis.get_instructions(function))
        if step.opname in ("RETURN_VALUE", "RETURN_CONST")
    ]
    return bool(results) and all(
        result.opname.endswith("_CONST") and result.argval is None for result in results
    )


def check_extras(path: str, extras: Mapping[str, Any], switches: bool) -> None:
    """Check the extras of a route that Roll itself reads.

    Raises:
        TypeError: `limits` or `timeout` has the wrong type, or a name is `view` or
            similar to another keyword.
        ValueError: A value is invalid, or does not apply to a route that switches
            protocols.
    """
    if "view" in extras:
        raise TypeError(
            f"{path}: an extra cannot be called view: listeners get the view so"
        )
    for mistake in near_misses(path, extras, KEYWORDS):
        raise TypeError(mistake)
    limits = extras.get("limits")
    if limits is not None and not isinstance(limits, Limits):
        raise TypeError(f"{path}: limits={limits!r}: give a roll.Limits")
    if limits is not None and limits != Limits(body=limits.body):
        raise ValueError(f"{path}: limits= of a route can only set `body`")
    timeout = extras.get("timeout")
    if timeout is not None and (
        not isinstance(timeout, (int, float)) or isinstance(timeout, bool)
    ):
        raise TypeError(f"{path}: timeout={timeout!r}: give seconds, a number")
    if timeout is not None and not 0 < timeout < math.inf:
        raise ValueError(f"{path}: timeout={timeout!r}: give seconds above 0")
    on_disconnect = extras.get("on_disconnect", "cancel")
    if on_disconnect not in ("cancel", "finish"):
        raise ValueError(
            f"{path}: on_disconnect={on_disconnect!r}: give 'cancel' or 'finish'"
        )
    if switches and (timeout is not None or on_disconnect == "finish"):
        raise ValueError(f"{path}: timeout= and on_disconnect= are only for HTTP views")


def bounded(view: Runner, seconds: float, name: str) -> Runner:
    """Make the function that runs *view*, and raises HttpError 503 after a timeout.

    Args:
        view: The view, ready to run.
        seconds: The timeout in seconds.
        name: The name in the log.
    """

    def late() -> HttpError:
        logger.warning("%s took longer than its timeout=%s: 503", name, seconds)
        return HttpError(HTTPStatus.SERVICE_UNAVAILABLE)

    async def run(request: Any, response: Any, **variables: Any) -> Any:
        try:
            async with asyncio.timeout(seconds) as timeout:
                result = await view(request, response, **variables)
            if timeout.expired():  # and the view has suppressed the cancellation
                raise late()
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise late() from error
        else:
            return result
        finally:
            # It refers to the task, which refers to the exception that cancelled it,
            # whose traceback refers to this frame.
            del timeout

    return run


def refuse_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    """Make the endpoint that responds with 405 on a path that has only *endpoints*.

    The response lists their methods in `Allow` (RFC 9110, section 15.5.6).
    """
    methods = set(endpoints)
    if "GET" in methods:
        methods.add("HEAD")
    allow = ", ".join(sorted(methods))

    async def method_not_allowed(request: Any, response: Any, **variables: Any) -> None:
        response.headers["Allow"] = allow
        raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED)

    path = next(iter(endpoints.values())).path
    endpoint = Endpoint(method_not_allowed, path=path, lazy_body=True, found=False)
    endpoint.payload = views(endpoints)
    return endpoint


def views(endpoints: Mapping[str, Endpoint]) -> dict[str, Any]:
    """Give the views of a path by method, as in a payload."""
    return {method: endpoint.view for method, endpoint in endpoints.items()}


def handlers(
    view: Any, methods: Iterable[str] | str | None, second: str = "response"
) -> dict[str, View]:
    """Find the function for each method.

    Args:
        view: A coroutine function, or a class with `on_get`, `on_post` and so on.
        methods: Names, `"*"` for all of `HTTP_METHODS`, or None: GET for a function.
        second: The name of the argument besides the request.

    Raises:
        AttributeError: *methods* is given for a class, which names them itself.
        ValueError: There is no method, one is unknown, or the class has no `on_*`.
        TypeError: The view cannot take a request and the second argument.
    """
    if inspect.isclass(view):
        return _class_handlers(view, methods, second)
    if methods is None:
        names: tuple[str, ...] = ("GET",)
    elif methods == "*":
        names = HTTP_METHODS
    else:
        chosen = (methods,) if isinstance(methods, str) else methods
        names = tuple(dict.fromkeys(name.upper() for name in chosen))
    if not names:
        raise ValueError(f"{named(view)}: methods is empty; name at least one")
    for name in names:
        if name not in HTTP_METHODS and name not in _OTHER_METHODS:
            raise ValueError(
                f"{named(view)}: {name!r} is not a method that can be served"
            )
    _check_signature(view, second)
    return dict.fromkeys(names, view)


def _class_handlers(
    view: type, methods: Iterable[str] | str | None, second: str
) -> dict[str, View]:
    if methods is not None:
        raise AttributeError(
            f"{named(view)}: leave out methods={methods!r}: the on_* functions of a "
            "class are its methods"
        )
    instance = view()
    found = {
        method: getattr(instance, f"on_{method.lower()}")
        for method in HTTP_METHODS
        if hasattr(instance, f"on_{method.lower()}")
    }
    if not found:
        raise ValueError(f"{named(view)} has no on_get, on_post or other on_* function")
    for handler in found.values():
        _check_signature(handler, second)
    return found


def _check_signature(view: Any, second: str) -> None:
    if inspect.isasyncgenfunction(view):
        raise TypeError(
            f"{named(view)} is not a view: it yields; set response.body instead"
        )
    signature = _signature(view)
    if signature is not None:
        try:
            signature.bind_partial(None, None)
        except TypeError:
            raise TypeError(
                f"{named(view)} takes {signature}; "
                f"a view takes (request, {second}, ...)"
            ) from None


def check_variables(
    views: Iterable[View], names: Sequence[str], second: str = "response"
) -> None:
    """Check that each view accepts the variables of its route.

    Raises:
        TypeError: A view does not.
    """
    for view in views:
        signature = _signature(view)
        if signature is not None:
            try:
                signature.bind(None, None, **dict.fromkeys(names))
            except TypeError as error:
                given = ", ".join(("request", second, *names))
                raise TypeError(
                    f"{named(view)} takes {signature}; "
                    f"its route gives ({given}): {error}"
                    f"{_query_advice(signature, names)}"
                ) from None


def _query_advice(signature: inspect.Signature, names: Sequence[str]) -> str:
    """Explain how to read a parameter that the route does not give."""
    others = [*signature.parameters.values()][2:]
    if {*names}.issubset(each.name for each in others):  # no name is misspelled
        for each in others:
            is_one = each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
            if is_one and each.default is each.empty and each.name not in names:
                method = "int" if each.annotation in (int, "int") else "get"
                return f"; for a query, use request.query.{method}({each.name!r})"
    return ""
