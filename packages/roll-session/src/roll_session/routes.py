"""Extras of routes that are True or False."""

from typing import Any

from roll import Roll


def check_extra(app: Roll, name: str) -> None:
    """Register an extra of routes, and refuse what is not a boolean in it.

    Raises:
        TypeError: A route has something else.
    """
    app.extras(name)

    def check(path: str, view: Any, **extras: Any) -> None:
        if not isinstance(extras.get(name, True), bool):
            raise TypeError(f"{path}: {name}={extras[name]!r}: give True or False")

    for declaration in app.declarations:
        check(declaration.path, declaration.view, **declaration.extras)
    app.listen("route:add")(check)
