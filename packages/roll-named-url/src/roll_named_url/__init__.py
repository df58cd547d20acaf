"""named_url: gives the URL of a view by its name."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from roll import Roll, hookimpl
from roll.plugins import require_app
from roll.routing import PathPart, split_path
from roll.typing import Extension

__all__ = ["named_url"]

# Characters of a path that are not encoded, besides letters, digits and `-._~` (RFC
# 3986, 3.3).
_PATH_SAFE = "/!$&'()*+,;=:@"


class Named(NamedTuple):
    """A route that has a name, as it was declared."""

    path: str
    methods: tuple[str, ...]
    view: Any
    extras: dict[str, Any]
    where: str
    parts: list[PathPart]
    """The variables of the path, each with the literal text before it."""

    @property
    def variables(self) -> set[str]:
        """The names of the variables."""
        return {part.name for part in self.parts if part.name is not None}

    def __str__(self) -> str:
        return f"{self.path} at {self.where}"


def named_url(app: Roll) -> Callable[..., str]:
    """Give names to routes, and make the function that writes URLs by name.

    The name of a route is that of its view, a function or a class, in lower case, or
    that of the extra `name=`. Routes declared before the call have names, too.

    Returns:
        `url_for(name, query=None, **variables)`, which gives the path of a route,
        percent-encoded in UTF-8 (RFC 3986): a request for it finds the same route, with
        the same variables. The values of variables are written with `str()`, and so are
        those of `query`, a dict: a list repeats its key, and None is left out. If the
        route has a variable named `query`, give the dict as the second argument,
        without `query=`.

        The app has it as `app["url_for"]`, and templates as `url_for`.

        It raises ValueError when no route or several have the name, when a variable is
        missing or unknown, and when the route does not take a value. It raises
        TypeError when the name is not a string, a value is bytes, or a variable is
        None.

    Raises:
        TypeError: A `name=` is not a string.
        ValueError: A `name=` is empty, or two views on different paths have the same
            name. For later routes, both are raised where they are declared.
    """
    require_app("named_url", app)
    app.extras("name")
    names = Names(app)
    names.read_routes()

    @app.listen("route:add")
    def name_route(path: str, view: Any, /, **extras: Any) -> None:
        names.read_routes()

    def url_for(
        name: str, query: Mapping[str, Any] | None = None, /, **variables: Any
    ) -> str:
        return names.write(name, query, variables)

    def url_for_template(request: object, /, *arguments: Any, **variables: Any) -> str:
        return url_for(*arguments, **variables)

    app["url_for"] = url_for
    app.setdefault("template_globals", {})["url_for"] = url_for_template
    return url_for


class Names:
    """The routes of an app by their names.

    Args:
        app: The application.
    """

    def __init__(self, app: Roll) -> None:
        self._app = app
        self._routes: dict[str, list[Named]] = {}
        self._seen = 0  # declarations
        self._mounted: dict[str, Names] = {}

    def read_routes(self) -> None:
        """Read the names of routes that were declared since the last call.

        Raises:
            TypeError: A `name=` is not a string.
            ValueError: A `name=` is empty, or that of another view on another path.
        """
        while self._seen < len(self._app.declarations):
            self._seen += 1
            declaration = self._app.declarations[self._seen - 1]
            name = _read_name(declaration.path, declaration.view, declaration.extras)
            if name:
                route = Named(*declaration, split_path(declaration.path))
                _add(self._routes.setdefault(name, []), name, route)

    def write(
        self, name: str, query: Mapping[str, Any] | None, variables: dict[str, Any]
    ) -> str:
        """Write the URL of a route; see `named_url`."""
        if not isinstance(name, str):
            hint = str(getattr(name, "__name__", "home")).lower()
            raise TypeError(f"url_for({name!r}): give a name, such as {hint!r}")
        self.read_routes()  # a listener before ours may have ended the event
        if name not in self._routes:
            mount, colon, rest = name.partition(":")
            if colon and mount in self._app.get("subapps", {}):
                return self._write_mounted(mount, rest, query, variables)
            raise ValueError(
                f"no route has the name {name!r}{_hint(name, self._routes)}"
            )
        known = self._routes[name]
        if query is None and not any("query" in route.variables for route in known):
            query = variables.pop("query", None)
        if not isinstance(query or {}, Mapping):
            raise TypeError(
                f"{name!r}: query={query!r}: give a dict; variables are given by name"
            )
        route = _choose(name, known, variables)
        url = _write(self._app, name, route, variables)
        text = _write_query(name, query or {})
        return f"{url}?{text}" if text else url

    def _write_mounted(
        self,
        mount: str,
        name: str,
        query: Mapping[str, Any] | None,
        variables: dict[str, Any],
    ) -> str:
        """Write the URL of a route of a mounted app.

        Raises:
            ValueError: The app is mounted for any label of a host.
        """
        subapp = self._app["subapps"][mount]
        if subapp.host.startswith("*"):
            raise ValueError(
                f"'{mount}:{name}': the app is at {subapp.host}, which may be any host"
            )
        names = self._mounted.setdefault(mount, Names(subapp))
        url = names.write(name, query, variables)
        return f"//{subapp.host}{url}" if subapp.host and url[:2] != "//" else url


# Names


def _read_name(path: str, view: Any, extras: Mapping[str, Any]) -> str:
    """Find the name of a route; empty if the view, such as a partial, has no name.

    Raises:
        TypeError: Its `name=` is not a string.
        ValueError: It is empty.
    """
    name = extras.get("name")
    if name is None:
        return str(getattr(view, "__name__", "")).lower()
    if not isinstance(name, str):
        raise TypeError(f"{path}: name={name!r}: give a string")
    if not name:
        raise ValueError(f"{path}: name='': give one, or leave it out")
    return name


def _add(known: list[Named], name: str, route: Named) -> None:
    """Add a route to the *known* ones of its name.

    Raises:
        ValueError: The name is that of another view on another path.
    """
    others = [other for other in known if other.path != route.path]
    for other in others:
        if other.view is not route.view:
            raise ValueError(
                f"{name!r} is the name of two routes, {other} and {route}: "
                "give one of them another, with name="
            )
    if len(others) == len(known):
        known.append(route)


# URLs


def _choose(name: str, known: Sequence[Named], variables: Iterable[str]) -> Named:
    """Choose the route with these variables: a view may have several paths.

    Raises:
        ValueError: No route has them, or more than one.
    """
    given = set(variables)
    fitting = [route for route in known if route.variables == given]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ValueError(
            f"{name!r} is the name of {', and of '.join(map(str, fitting))}: "
            "give each its own, with name="
        )
    wanted = " or ".join(_list(route.variables) for route in known)
    hint = ""
    for route in known:
        if route.variables < given:
            rest = ", ".join(f"{key!r}: ..." for key in sorted(given - route.variables))
            hint = f"; for a query, write query={{{rest}}}"
    raise ValueError(f"{name!r} takes {wanted}; given: {_list(given)}{hint}")


def _write(app: Roll, name: str, route: Named, variables: Mapping[str, Any]) -> str:
    """Write the URL, and look it up to check that it leads to the route.

    Raises:
        TypeError: A value is None, bytes or a dict.
        ValueError: It does not, or gives other values.
    """
    for key, value in variables.items():
        if value is None or isinstance(value, (bytes, bytearray, dict)):
            raise TypeError(
                f"{name!r}: {key}={value!r}: give a value, such as a string"
            )
    path = ""
    url = quote(app.root_path, safe=_PATH_SAFE)
    for literal, variable, _ in route.parts:
        text = "" if variable is None else str(variables[variable])
        path += literal + text
        url += quote(literal, safe=_PATH_SAFE) + quote(text)
    if not {".", ".."}.isdisjoint(path.split("/")):
        # Clients remove these, also percent-encoded (RFC 3986, section 5.2.4).
        raise ValueError(f"{path!r} of {name!r} has a segment that is only dots")
    _check_found(app, path, name, route, variables)
    # A URL that starts with two slashes leads to another host (RFC 3986, section 4.2).
    return f"/%2F{url[2:]}" if url.startswith("//") else url


def _write_query(name: str, query: Mapping[str, Any]) -> str:
    """Write a query string.

    Raises:
        TypeError: A value is bytes.
    """
    pairs = []
    for key, value in query.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(item, (bytes, bytearray)):
                raise TypeError(f"{name!r}: query {key}={item!r}: give a string")
            if item is not None:
                pairs.append((key, str(item)))
    return urlencode(pairs, quote_via=quote)


def _check_found(
    app: Roll, path: str, name: str, route: Named, variables: Mapping[str, Any]
) -> None:
    """Check that a look-up of *path* finds the route, and the same variables."""
    endpoint, found = app.router.find(path, route.methods[0])
    if endpoint.extras is not route.extras or found.keys() != variables.keys():
        raise ValueError(
            f"{path!r} does not lead to {name!r}, which is {route}: "
            f"it takes no {_list(f'{key}={variables[key]!r}' for key in variables)}"
        )
    for key, value in variables.items():
        if found[key] != value and str(found[key]) != str(value):
            raise ValueError(
                f"{name!r}: {key}={value!r} would be read as {found[key]!r} on {route}"
            )


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "no variables"


def _hint(name: str, routes: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, routes, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import named_url`."""
    return {"named_url": named_url}
