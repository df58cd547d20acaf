"""Registry: all that an app has declared; the order in which it opens and closes."""

import asyncio
import difflib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from roll import Roll

from .declaration import APP
from .held import Resource
from .running import Background

KEY = "roll_resources"
"""The key under which an app keeps its registry."""


class Registry:
    """The resources and background functions of an app.

    Args:
        app: The app, which opens them when it starts.
    """

    def __init__(self, app: Roll) -> None:
        self._app = app
        self._declared: dict[str, Resource | Background] = {}
        self._replacing: set[str] = set()  # which may take the place of a key
        self._names: dict[Callable[..., Any], set[str]] = {}  # also when replaced
        self._open: list[Resource] = []  # as they were opened
        app.listen("startup", before="*")(self._open_resources)
        # As a partial, it belongs to no extension, so others may ask to run after
        # "resources".
        app.listen("startup", after="*")(partial(self._start_backgrounds))

    # What is declared

    def add(self, one: Resource | Background, replace: bool = False) -> None:
        """Declare a resource or a background function.

        Raises:
            RuntimeError: The app runs already.
            ValueError: The name is taken.
        """
        name = one.declared.name
        if _runs(self._app):
            raise RuntimeError(
                f"{one} is declared while the app runs: declare it before the app "
                "starts, for example where its module is imported"
            )
        known = self._declared.get(name)
        if isinstance(known, Background) or (known is not None and not replace):
            raise ValueError(f"{one}: there is a {known} already: rename one of them")
        if isinstance(one, Resource):
            if name in self._app and not replace:
                raise _taken(one)
            self._app.pop(name, None)
            one.explain()
        if replace:
            self._replacing.add(name)
        self._declared[name] = one
        self._app.inventory[one.declared.kind, name] = one.declared.where
        self._names.setdefault(one.declared.function, set()).add(name)

    def name_of(self, source: Callable[..., Any]) -> str | None:
        """Give the name under which a function was declared, or None.

        Raises:
            LookupError: It was declared under several names.
        """
        names = sorted(self._names.get(source, ()))
        if len(names) > 1:
            raise LookupError(f"{source!r} is declared as {names}: write app[name]")
        return names[0] if names else None

    def states(self) -> dict[str, str]:
        """See `roll_resources.states`."""
        return {name: one.state for name, one in self._declared.items()}

    # From startup to shutdown

    def _resources(self) -> list[Resource]:
        return [one for one in self._declared.values() if isinstance(one, Resource)]

    def _backgrounds(self) -> list[Background]:
        return [one for one in self._declared.values() if isinstance(one, Background)]

    async def _open_resources(self) -> None:
        ordered = self._order()
        self._app.exit_stack.push_async_callback(self._close_resources)
        for one in ordered:
            self._open.append(one)
            await one.open()
        # A start that was cancelled while resources opened without waiting ends here.
        await asyncio.sleep(0)

    async def _close_resources(self) -> None:
        errors = []
        try:
            while self._open:
                error = await self._open[-1].close()
                if error is not None:
                    errors.append(error)
                self._open.pop()
        finally:
            for one in reversed(self._open):  # this was cancelled
                one.cancel()
            self._open.clear()
        if errors:
            raise BaseExceptionGroup("resources", errors)

    async def _start_backgrounds(self) -> None:
        backgrounds = self._backgrounds()
        self._app.exit_stack.push_async_callback(self._end_backgrounds)
        for one in backgrounds:
            one.start(self._app)

    async def _end_backgrounds(self) -> None:
        await asyncio.gather(*(one.end() for one in self._backgrounds()))

    def _order(self) -> list[Resource]:
        """Order the resources as declared, but each after those that it needs.

        Raises:
            ValueError: One needs something that is missing, or itself.
        """
        waiting = {one.declared.name: one for one in self._resources()}
        for name, one in waiting.items():
            if name in self._app and name not in self._replacing:
                raise _taken(one)
        known = {APP, *waiting, *self._app}
        needs = {
            name: [*one.declared.needs(known)] for name, one in self._declared.items()
        }
        for name, names in needs.items():
            if unknown := [need for need in names if need not in known]:
                raise _unknown(self._declared[name], unknown, [*waiting], known)
        ordered = []
        while waiting:
            free = (n for n in waiting if waiting.keys().isdisjoint(needs[n]))
            first = next(free, None)
            if first is None:
                raise _circle(waiting, needs)
            ordered.append(waiting.pop(first))
        return ordered


def _taken(one: Resource) -> ValueError:
    return ValueError(
        f"{one}: the app has a key {one.declared.name!r} already: rename the resource, "
        "or declare it with replace=True"
    )


def _unknown(
    one: Resource | Background,
    unknown: list[str],
    resources: list[str],
    known: Iterable[str],
) -> ValueError:
    names = ", ".join(map(repr, unknown))
    near = [n for need in unknown for n in difflib.get_close_matches(need, known, n=1)]
    hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
    return ValueError(
        f"{one} needs {names}, but the app has no such resource or key. "
        f"Its resources: {', '.join(resources) or 'none'}{hint}"
    )


def _circle(waiting: dict[str, Resource], needs: dict[str, list[str]]) -> ValueError:
    """Find which of the waiting resources need each other."""
    path = [next(iter(waiting))]
    while path[-1] not in path[:-1]:
        path.append(next(need for need in needs[path[-1]] if need in waiting))
    circle = path[path.index(path[-1]) :]
    places = ", ".join(str(waiting[name]) for name in circle[1:])
    return ValueError(
        f"resources need each other: {' -> '.join(circle)}; take one of these "
        f"parameters away: {places}"
    )


def _runs(app: Roll) -> bool:
    """Whether an app has started, and is not ending yet."""
    loop = app.lifecycle.loop
    return loop is not None and loop.is_running() and not app.closing.is_set()
