"""Router: the routes of an app, and the look-up of the one for a request."""

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from .http11.upgrade import handshake
from .routing import endpoints as ends
from .routing.endpoints import NOT_FOUND, Declaration, Endpoint, Runner
from .routing.matching import Routes, UnreachableRouteError
from .routing.patterns import check_slash, find_oddities
from .routing.table import Draft
from .typing import Check, Upgrade


class Matcher(Protocol):
    """The interface for matching a path to patterns; `roll.Routes` is one."""

    def add(self, path: str, **payload: Any) -> None:
        """Add a pattern, or extend the payload of one."""

    def match(self, path: str) -> tuple[Mapping[str, Any] | None, Any]:
        """Give the payload of the pattern for a path, and the placeholders' values."""


class Router:
    """Declares routes, and looks them up.

    Args:
        matcher: The matcher of paths to patterns.
        find_protocol: A function that gives the class of a protocol by its name, or
            raises ValueError.
    """

    def __init__(
        self, matcher: Matcher, find_protocol: Callable[[str], type[Upgrade]]
    ) -> None:
        self.matcher = matcher
        """The matcher of paths to patterns."""
        self.declarations: list[Declaration] = []
        """Every route as declared, in order."""
        self.extras: ChainMap[str, Check | None] = ChainMap(
            dict.fromkeys(ends.KEYWORDS)
        )
        """The names of the extras that something reads, and the checks of their values.
        Extras that only the parent of a mounted app reads are in a second map.
        """
        self.checks: list[Callable[[], Iterable[str]]] = []
        """Functions of extensions that find mistakes in views; see
        `Roll.find_mistakes`."""
        self._find_protocol = find_protocol
        self.endpoints: dict[str, dict[str, Endpoint]] = {}
        """The endpoints, by pattern and method."""

    def find(self, path: str, method: str) -> tuple[Endpoint, dict[str, Any]]:
        """Look up the endpoint for *method* on *path*, and the values of placeholders.

        It calls no listener.
        """
        found, variables = self.matcher.match(path)
        if not found:
            return NOT_FOUND, {}
        endpoint = found.get(method)
        if endpoint is None:
            if method == "HEAD":
                endpoint = found.get("GET")
            if endpoint is None:
                endpoint = ends.refuse_method(found)
        return endpoint, {} if variables is None else variables

    def add(self, draft: Draft, view: Any) -> None:
        """Declare a route.

        Raises:
            AttributeError: As for `Roll.route`, like the other errors.
            TypeError: The view, or an extra, has the wrong type.
            ValueError: The route is malformed, or in conflict with another.
        """
        path, methods, protocol, lazy_body, extras, where = draft
        check_slash(path)
        kind = None if protocol == "http" else self._find_protocol(protocol)
        if kind is not None and methods is None and not isinstance(view, type):
            methods = kind.ALLOWED_METHODS
        ends.check_extras(path, extras, switches=kind is not None)
        if (check := getattr(kind, "check_extras", None)) is not None:
            check(extras)
        self.register(getattr(kind, "EXTRAS", ()))
        second = _second(kind)
        handlers = ends.handlers(view, methods, second)
        if kind is not None:
            _check_methods(draft, handlers, kind.ALLOWED_METHODS)
        known = self.endpoints.setdefault(path, {})
        for method in [method for method in handlers if method in known]:
            raise ValueError(
                f"{method} {path} is declared twice: at "
                f"{known[method].where} and at {where}"
            )
        added = {
            method: Endpoint(
                handler,
                extras,
                where,
                path=path,
                run=_runner(kind, handler, where, extras.get("timeout")),
                lazy_body=lazy_body,
                limits=extras.get("limits"),
                switches=kind is not None,
                finishes=extras.get("on_disconnect") == "finish",
            )
            for method, handler in handlers.items()
        }
        self._match(path, added, where)
        if isinstance(self.matcher, Routes):
            names = self.matcher.variables(path)
            ends.check_variables(handlers.values(), names, second)
        known.update(added)
        views = ends.views(known)
        for endpoint in known.values():
            endpoint.payload = {**endpoint.extras, **views}
        self.declarations.append(Declaration(path, (*handlers,), view, extras, where))

    def register(self, names: Iterable[str], check: Check | None = None) -> None:
        """See `Roll.extras`."""
        for name in names:
            self.extras[name] = check or self.extras.get(name)

    def find_mistakes(self) -> Iterator[str]:
        """Give the mistakes in extras: names and values; and those that `checks` find.

        By now, everything that reads extras is known.
        """
        for declaration in self.declarations:
            path, extras = declaration.path, declaration.extras
            for mistake in (
                *ends.near_misses(path, extras, self.extras),
                *ends.wrong_values(path, extras, self.extras),
            ):
                yield f"{mistake} The route is declared at {declaration.where}"
        for check in self.checks:
            yield from check()

    def find_oddities(self) -> Iterator[str]:
        """Give likely mistakes, which do not keep an app from starting."""
        for declaration in self.declarations:
            path, where = declaration.path, declaration.where
            for oddity in find_oddities(path):
                yield f"{oddity}. The route is declared at {where}"
            # A function may serve several methods.
            yield from dict.fromkeys(
                oddity
                for method in declaration.methods
                for oddity in self.endpoints[path][method].find_oddities()
            )

    def _match(self, path: str, added: Mapping[str, Endpoint], where: str) -> None:
        try:
            self.matcher.add(path, **added)
        except UnreachableRouteError as error:
            other = next(iter(self.endpoints[error.other].values())).where
            raise ValueError(f"{error} (at {where} and at {other})") from error


def _check_methods(
    draft: Draft, methods: Iterable[str], allowed: tuple[str, ...]
) -> None:
    """Check that a route has only methods that its protocol can start with."""
    others = ", ".join(method for method in methods if method not in allowed)
    if others:
        raise ValueError(
            f"{draft.path}: protocol={draft.protocol!r} cannot serve {others}, only "
            f"{', '.join(allowed)}: leave out methods=, and declare a second route for "
            "other views"
        )


def _runner(
    kind: type[Upgrade] | None, view: Runner, where: str, timeout: float | None
) -> Runner:
    """Make a view ready to run, including a handshake or a timeout."""
    run = ends.ready(view, where, _second(kind))
    if kind is not None:
        return handshake(kind, run)
    if timeout is not None:
        return ends.bounded(run, timeout, ends.describe(view, where))
    return run


def _second(kind: type[Upgrade] | None) -> str:
    """Name the argument that a view gets besides the request."""
    name: str = getattr(kind, "PARAMETER", "response")
    return name
