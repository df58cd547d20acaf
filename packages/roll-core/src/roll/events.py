"""Events: which arguments their listeners get, in which order, and how they run."""

import asyncio
import functools
import inspect
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from typing import Any, NamedTuple

from .logs import logger, named
from .tasks import EAGER
from .typing import Listener

EVENTS: dict[str, tuple[str, ...]] = {
    "startup": (),
    "shutdown": (),
    "headers": ("request", "response"),
    "request": ("request", "response"),
    "response": ("request", "response"),
    "error": ("request", "response", "error"),
    "finish": ("request", "response"),
    "refused": ("status", "remote_addr"),
    "drain": (),
    "route:add": ("path", "view"),
    "route:find": ("path", "request"),
    "websocket_connect": ("request", "ws"),
    "websocket_disconnect": ("request", "ws"),
}
"""The arguments of Roll's own events, in the order in which they arrive.

`route:add` also has the extras of the route, as keywords.
"""

PLAIN = frozenset({"route:add", "route:find", "refused"})
"""The events whose listeners must be plain functions: nothing awaits them."""

UNSTOPPABLE = frozenset(
    {
        *("startup", "shutdown", "drain", "response", "finish", "refused"),
        *("websocket_connect", "websocket_disconnect"),
    }
)
"""The events whose listeners all run, whatever one of them returns."""

THOROUGH = frozenset({"shutdown", "finish", "refused"})
"""The events whose listeners all run, whatever one of them raises, which is logged."""

UNAWAITED = frozenset({"finish", "refused"})
"""Those of them that raise nothing at the end."""


_FOREIGN = {
    "start": "startup",
    "started": "startup",
    "stop": "shutdown",
    "stopped": "shutdown",
    "before_request": "request",
    "after_request": "response",
    "exception": "error",
    "connect": "websocket_connect",
    "disconnect": "websocket_disconnect",
}
"""Names of events in other frameworks, and Roll's names for them."""


def near_misses(names: Iterable[str]) -> Iterator[str]:
    """Find names of events that are nearly, but not quite, those of Roll.

    Names in other frameworks count, too, also with `on_` before them.
    """
    for name in names:
        if name in EVENTS:
            continue
        import difflib  # only for an app with its own events

        bare = name.lower().removeprefix("on_")
        bare = _FOREIGN.get(bare, bare)
        for near in difflib.get_close_matches(bare, EVENTS, n=1, cutoff=0.85):
            yield f"listen({name!r}): Roll has no such event; did you mean {near!r}?"


def bind(event: str, listener: Listener) -> Listener:
    """Prepare *listener* for the arguments of the event, in their order.

    A listener with the documented parameter names in another order gets them by name.
    Any other gets them by position, whatever its names.

    Raises:
        TypeError: The listener cannot be called, or not with the arguments of a
            documented event; or it is a coroutine function that nobody could await, or
            a generator function, which nobody iterates over.
    """
    if not callable(listener):
        raise _cannot_listen(listener, event, "give a function")
    if inspect.isgeneratorfunction(listener) or inspect.isasyncgenfunction(listener):
        problem = "it yields, and nothing of it would run; make it two listeners"
        raise _cannot_listen(listener, event, problem)
    if event in PLAIN and inspect.iscoroutinefunction(listener):
        raise _cannot_listen(listener, event, "make it a plain def")
    arguments = EVENTS.get(event)
    if arguments is None or (signature := _signature(listener)) is None:
        return listener
    names = tuple(
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and parameter.default is parameter.empty
    )
    if names != arguments and sorted(names) == sorted(arguments):
        return _reorder(listener, [arguments.index(name) for name in names])
    try:
        signature.bind(*arguments)
    except TypeError as error:
        given = f"the event gives ({', '.join(arguments)})"
        problem = f"it takes {signature}, {given}"
        raise _cannot_listen(listener, event, problem) from error
    return listener


def _cannot_listen(listener: Any, event: str, problem: str) -> TypeError:
    return TypeError(f"{named(listener)} cannot listen to {event!r}: {problem}")


def _signature(listener: Listener) -> inspect.Signature | None:
    try:
        return inspect.signature(listener)
    except ValueError:  # a builtin without a signature
        return None


def _reorder(listener: Listener, order: Sequence[int]) -> Listener:
    @functools.wraps(listener)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if arguments:
            arguments = tuple(arguments[index] for index in order)
        return listener(*arguments, **keywords)

    return call


class Entry(NamedTuple):
    """A listener, its module, and what it has to run before and after."""

    call: Listener
    module: str | None
    before: tuple[str, ...]
    after: tuple[str, ...]


Owned = tuple[Entry, str | None]
"""A listener, and the name of the plugin that it belongs to."""

ALL = "*"
"""In `before` or `after`: all listeners that do not ask for the same."""


def solve(
    event: str, entries: Sequence[Entry], owner: Callable[[str], str | None]
) -> tuple[Listener, ...]:
    """Order listeners as they were added, except for `before` and `after`.

    Those of `shutdown` run in reverse: what was opened last is closed first. Only those
    with `before` or `after` are moved: to just before the first of the others, or after
    the last.

    Args:
        event: The name of the event, for the message.
        entries: The listeners as they were added.
        owner: Gives the plugin that a module belongs to; None for other code. Names
            without a listener of the event are ignored.

    Raises:
        ValueError: The wishes contradict each other.
    """
    if event == "shutdown":
        entries = entries[::-1]
    if not any(entry.before or entry.after for entry in entries):
        return tuple(entry.call for entry in entries)
    waiting = [(entry, owner(entry.module or "")) for entry in entries]
    ordered: list[Listener] = []
    while waiting:
        one = next((each for each in waiting if not _waits(each, waiting)), waiting[0])
        passed = [one]
        while other := next((each for each in waiting if _precedes(each, one)), None):
            if other in passed:
                circle = ", ".join(
                    named(one.call) + (f" of {name}" if name else "")
                    for one, name in waiting
                )
                raise ValueError(
                    f"before= and after= of {event!r} go in circles: {circle}; leave "
                    f"one out, or add {ALL!r} to it, if it names a listener that has it"
                )
            passed.append(one := other)
        waiting.remove(one)
        ordered.append(one[0].call)
    return tuple(ordered)


def _waits(one: Owned, waiting: Sequence[Owned]) -> bool:
    """Whether a listener has to run after another that is not placed yet."""
    return any(_follows(one, each) for each in waiting)


def _precedes(one: Owned, other: Owned) -> bool:
    """Whether *one* has to run before *other*."""
    (entry, _), (later, later_name) = one, other
    return _follows(other, one) or (
        entry is not later and _means(entry.before, later_name, later.before)
    )


def _follows(one: Owned, other: Owned) -> bool:
    """Whether *one* asks to run after *other*."""
    (entry, _), (earlier, earlier_name) = one, other
    return entry is not earlier and _means(entry.after, earlier_name, earlier.after)


def _means(wish: tuple[str, ...], name: str | None, same: tuple[str, ...]) -> bool:
    """Whether *wish* means a listener of plugin *name*, whose own wish is *same*."""
    return name in wish or (ALL in wish and ALL not in same)


def names(wish: str | Sequence[str]) -> tuple[str, ...]:
    """Read `before=` or `after=`: one name, or several.

    Raises:
        TypeError: It is something else.
    """
    several = isinstance(wish, Iterable) and not isinstance(wish, str)
    read: tuple[Any, ...] = tuple(wish) if several else (wish,)
    for name in read:
        if not isinstance(name, str):
            raise TypeError(
                f"before= and after= take names of extensions, or {ALL!r}: "
                f"{named(name)} is not a name"
            )
    return read


# Running


async def run(
    listeners: Sequence[Listener], request: Any, response: Any, *error: Any
) -> Any:
    """Run listeners in order up to the first true result, which is returned.

    Raises:
        TypeError: As for `check_result`, except for `error`.
    """
    for listener in listeners:
        result = listener(request, response, *error)
        if result is not None and inspect.isawaitable(result):
            result = await result
        if result:
            if not error:
                check_result(listener, result, request, response)
            return result
    return None


def check_result(listener: Any, result: Any, request: Any, response: Any) -> None:
    """Refuse a result that means "run the view" in other frameworks.

    Raises:
        TypeError: It is the request or the response.
    """
    if result is request or result is response:
        raise TypeError(
            f"listener {named(listener)} returns the {type(result).__name__}: "
            "return True if it has responded, and nothing to continue"
        )


def start(
    name: str,
    listeners: Sequence[Listener],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    keep: Callable[["asyncio.Task[Any]"], object],
) -> Awaitable[Any]:
    """Start the listeners of an event; see `Roll.hook`.

    Args:
        name: The name of the event.
        listeners: The listeners, in order.
        arguments: Arguments for each listener.
        keywords: Keyword arguments for each listener.
        keep: Keeps the task, if one is needed.

    Raises:
        RuntimeError: A coroutine listener, and no loop is running.
        Exception: What a plain listener raises.
    """
    waiting = iter(listeners)
    try:
        for listener in waiting:  # most are plain and return nothing
            result = listener(*arguments, **keywords)
            if result is not None:
                break
        else:
            return _NOTHING
    except Exception as error:
        chain = _Chain(name, waiting, arguments, keywords)
        chain.note(error)
        awaitable = chain.advance()
    else:
        chain = _Chain(name, waiting, arguments, keywords)
        awaitable = chain.take(result)
    if awaitable is None:
        return _Outcome(chain.conclude())
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        if isinstance(awaitable, Coroutine):
            awaitable.close()
        raise RuntimeError(
            f"{name!r} has a coroutine listener: it needs a running loop"
        ) from None
    task = asyncio.Task(chain.complete(awaitable), loop=loop, **EAGER)
    keep(task)
    return task


class _Chain:
    """The listeners of an event, while they run.

    Args:
        name: The name of the event: for some, all listeners run, whatever one returns
            or raises.
        listeners: The remaining listeners, in order.
        arguments: Arguments for each listener.
        keywords: Keyword arguments for each listener.
    """

    def __init__(
        self,
        name: str,
        listeners: Iterator[Listener],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> None:
        self._name = name
        self._listeners = listeners
        self._arguments = arguments
        self._keywords = keywords
        self._result: Any = None
        self._errors: list[Exception] = []

    def advance(self) -> Awaitable[Any] | None:
        """Run plain listeners, up to one that has to be awaited."""
        for listener in self._listeners:
            try:
                result = listener(*self._arguments, **self._keywords)
            except Exception as error:
                self.note(error)
                continue
            if result is not None:
                return self.take(result)
        return None

    def take(self, result: Any) -> Awaitable[Any] | None:
        """Take the result of a listener, and continue unless it has to be awaited."""
        if inspect.isawaitable(result):
            return result
        return None if self._stops(result) else self.advance()

    async def complete(self, awaitable: Awaitable[Any] | None) -> Any:
        """Await the result of a listener, and run the rest."""
        while awaitable is not None:
            try:
                if self._stops(await awaitable):
                    break
            except Exception as error:
                self.note(error)
            awaitable = self.advance()
        return self.conclude()

    def _stops(self, result: Any) -> bool:
        if not result or self._name in UNSTOPPABLE:
            return False
        self._result = result
        return True

    def note(self, error: Exception) -> None:
        """Continue after a listener that has failed, if the event is thorough."""
        if self._name not in THOROUGH:
            raise error
        logger.error("A listener of %r failed", self._name, exc_info=error)
        self._errors.append(error)

    def conclude(self) -> Any:
        """Give the first true result.

        Raises:
            Exception: What was raised, unless the event is unawaited.
        """
        if self._errors and self._name not in UNAWAITED:
            if len(self._errors) == 1:
                raise self._errors[0]
            raise ExceptionGroup(f"listeners of {self._name!r} failed", self._errors)
        return self._result


class _Outcome:
    """The result of `start` if no listener has to be awaited."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Any]:
        return self._value
        yield  # makes this a generator


_NOTHING = _Outcome(None)
