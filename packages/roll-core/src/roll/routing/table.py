"""RouteTable: routes declared without an app, and the arguments of a declaration."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from ..typing import View

V = TypeVar("V", bound=View | type[Any])


class Draft(NamedTuple):
    """The arguments and the place of a call of `route(...)`, without the view."""

    path: str
    methods: Iterable[str] | str | None
    protocol: str
    lazy_body: bool
    extras: dict[str, Any]
    where: str


def check_path(path: Any) -> None:
    """Check that a path is a string: without parentheses, the decorator gets the view.

    Raises:
        TypeError: *path* is something else.
    """
    if not isinstance(path, str):
        raise TypeError(f"route({path!r}): give a path, as in @app.route('/')")


def caller(depth: int = 2) -> str:
    """Give the file and the line of the function *depth* calls up the stack."""
    frame = sys._getframe(depth)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _shortcut(method: str) -> Callable[..., Callable[[V], V]]:
    def shortcut(
        self: "RouteTable",
        path: str,
        protocol: str = "http",
        lazy_body: bool = False,
        **extras: Any,
    ) -> Callable[[V], V]:
        check_path(path)
        draft = Draft(path, [method], protocol, lazy_body, extras, caller())
        return self._collect(draft)

    shortcut.__doc__ = f"Declare a view for {method}; otherwise like `route`."
    return shortcut


class RouteTable:
    """Routes declared without an app, for `app.include(table, prefix)`."""

    def __init__(self) -> None:
        self.declared: list[tuple[Draft, Any]] = []
        """The declarations, each with its view, in order."""
        self.included = False
        """Whether an app has included the table; later declarations would be lost."""

    def route(
        self,
        path: str,
        methods: Iterable[str] | str | None = None,
        protocol: str = "http",
        lazy_body: bool = False,
        **extras: Any,
    ) -> Callable[[V], V]:
        """Declare a view, with the arguments of `Roll.route`; it is returned unchanged.

        Raises:
            RuntimeError: An app has included the table already.
        """
        check_path(path)
        return self._collect(
            Draft(path, methods, protocol, lazy_body, extras, caller())
        )

    get, head, post, put, patch, delete, options = map(
        _shortcut, ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    )

    def _collect(self, draft: Draft) -> Callable[[V], V]:
        def collect(view: V) -> V:
            if self.included:
                raise RuntimeError(
                    f"{draft.path!r} is declared after app.include(table), which does "
                    "not see it: import the modules that declare the routes of a table "
                    "before including it"
                )
            self.declared.append((draft, view))
            return view

        return collect
