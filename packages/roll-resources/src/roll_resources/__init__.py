"""resource and background: what an app opens, keeps running and closes.

Read the modules in this order:

- `declaration`: a function, the name it is declared by, and the names it needs.
- `held`: `Resource`, a generator in a task that opens it, holds it and closes it.
- `running`: `Background`, a function that runs as long as the app.
- `registry`: all that an app has declared; the order in which it opens and closes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal, TypeVar, cast

from roll import Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

from .declaration import check_coroutine, check_generator, check_seconds, declare
from .held import Resource
from .registry import KEY, Registry
from .running import Background, Pauses

__all__ = ["background", "get", "resource", "states"]

T = TypeVar("T")
G = TypeVar("G", bound=Callable[..., AsyncIterator[Any]])
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


def resource(
    app: Roll,
    name: str | None = None,
    *,
    open_timeout: float = 30,
    close_timeout: float = 10,
    replace: bool = False,
) -> Callable[[G], G]:
    """Open a resource when *app* starts, and close it when the app has ended.

    The function is an async generator with one `yield`, like a fixture of pytest. The
    value that it yields is `app[name]` while the app runs. Its parameters name what it
    needs: `app`, other resources, and keys that the app has when it starts.

    Args:
        app: The app that has the resource.
        name: The key; by default the name of the function.
        open_timeout: Seconds that it may take to open.
        close_timeout: Seconds that it may take to close.
        replace: Whether to take the place of the resource, or the key, of that name.

    Returns:
        A decorator that gives back the function unchanged.

    Raises:
        RuntimeError: The app is already running.
        TypeError: The function is not an async generator function, or has a parameter
            that cannot be given by name.
        ValueError: The name is taken, or a timeout is not above 0.
    """
    registry = _registry("resource", app)
    check_seconds("open_timeout", open_timeout)
    check_seconds("close_timeout", close_timeout)

    def add(function: G) -> G:
        check_generator(function)
        declared = declare("resource", name, function)
        registry.add(Resource(app, declared, open_timeout, close_timeout), replace)
        return function

    return add


def background(
    app: Roll,
    name: str | None = None,
    *,
    restart: Literal["on-failure", "always", "never"] = "on-failure",
    delay: float = 1,
    max_delay: float = 60,
    grace: float = 5,
) -> Callable[[F], F]:
    """Run a coroutine function as long as *app* runs.

    It starts when all resources are open and the `startup` listeners have run. It is
    cancelled after the `shutdown` listeners, before any resource closes. Its parameters
    are those of a `resource`.

    Args:
        app: The app that it belongs to.
        name: Its name in logs; by default the name of the function.
        restart: When it runs again: after it has raised, always, or never.
        delay: Seconds before that; doubled with each failure in a row.
        max_delay: The most seconds before it runs again. After a run of this length, a
            failure counts as the first one.
        grace: Seconds to end after it is cancelled.

    Returns:
        A decorator that gives back the function unchanged.

    Raises:
        RuntimeError: The app is already running.
        TypeError: The function is not a coroutine function, or has a parameter that
            cannot be given by name.
        ValueError: The name is taken, or an option has a wrong value.
    """
    registry = _registry("background", app)
    if restart not in (known := ("on-failure", "always", "never")):
        raise ValueError(f"restart={restart!r}: give one of {known}")
    check_seconds("delay", delay, zero=True)
    check_seconds("max_delay", max_delay)
    check_seconds("grace", grace, zero=True)
    if max_delay < delay:
        raise ValueError(f"max_delay={max_delay!r} is below delay={delay!r}: raise it")

    def add(function: F) -> F:
        check_coroutine(function)
        declared = declare("background", name, function)
        pauses = Pauses(delay, max_delay)
        registry.add(Background(declared, restart, pauses, grace))
        return function

    return add


def get(app: Roll, source: Callable[..., AsyncIterator[T]]) -> T:
    """Give what a resource yielded, with its type: `get(app, db)` is `app["db"]`.

    Args:
        app: The app that has the resource.
        source: The function that was declared, even if another one replaces it.

    Raises:
        KeyError: The resource is not open.
        LookupError: The app has no such resource, or has it under several names.
    """
    require_app("get", app)
    name = app[KEY].name_of(source) if KEY in app else None
    if name is None:
        raise LookupError(f"{source!r} is not declared as a resource of this app")
    return cast(T, app[name])


def states(app: Roll) -> dict[str, str]:
    """Give the state of each resource and background function by name.

    Resources are `opening`, `open`, `closing`, `closed` or `failed`; background
    functions are `running`, `waiting` for their next run, `ended` or `failed`.
    """
    require_app("states", app)
    return app[KEY].states() if KEY in app else {}


def _registry(caller: str, app: Roll) -> Registry:
    require_app(caller, app)
    if KEY not in app:
        app[KEY] = Registry(app)
    return cast(Registry, app[KEY])


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import background, resource`."""
    return {"background": background, "resource": resource}
