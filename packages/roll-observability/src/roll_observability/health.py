"""health: whether an application lives, and whether it can take requests."""

from collections.abc import Awaitable, Callable

from roll import Roll
from roll.plugins import require_app

Check = Callable[[], bool | Awaitable[bool | None] | None]
"""Tells whether something works: False, or an exception, means that it does not."""


class Health:
    """The checks of an app."""


def health(app: Roll) -> Health:
    """Tell of the health of *app*.

    Args:
        app: The application.
    """
    require_app("health", app)
    return Health()
