"""mount: a whole app under a prefix, or at a host."""

import sys
from collections.abc import Mapping, Sequence

from roll import Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

from .mounts import Mount, Mounts
from .options import check_host, check_name, check_prefix, check_share, check_subapp

__all__ = ["mount"]

KEY = "roll_subapps"
"""The key under which a mounted app keeps its mount."""


def mount(
    app: Roll,
    prefix: str = "",
    subapp: Roll | None = None,
    *,
    name: str | None = None,
    host: str | None = None,
    share: Sequence[str] = (),
) -> None:
    """Let a whole app respond to all requests under a prefix, or for a host.

    The sub-app runs as it does alone: with its own listeners, limits, error responses
    and classes. Its paths do not have the prefix. The listeners of *app* run around it.
    To only group routes, use a `RouteTable` with `app.include` instead.

    If several mounts match, one with the host of the request precedes one without a
    host, and the longest prefix precedes others. Without a host, a route of *app* with
    a static path precedes all of them.

    Args:
        app: The parent.
        prefix: Static segments without a slash at the end, such as `"/api/v1"`. It may
            be empty, for all paths of a host.
        subapp: The app to mount: only once, and before *app* starts, which also starts
            it.
        name: Its name for `named_url`, as in `url_for("admin:user")`.
        host: `"api.example.org"`; or `"*.example.org"`, for exactly one label.
        share: Keys of *app* that the sub-app gets when it starts, before its `startup`
            listeners run.

    Raises:
        TypeError: An argument has another type.
        ValueError: *prefix* is not such a path, or *host* not such a name; they, or
            *name*, are taken; or *subapp* is already mounted, or would be mounted in
            itself.
        RuntimeError: *app* has started.
    """
    require_app("mount", app)
    frame = sys._getframe(1)
    place = Mount(
        check_subapp(subapp),
        check_prefix(prefix, host),
        check_host(host),
        check_share(share),
        f"{frame.f_code.co_filename}:{frame.f_lineno}",
    )
    mounts = app.get("subapps")
    if not isinstance(mounts, Mounts):
        mounts = Mounts(app)
    mounts.check(place)
    _check_ancestors(app, place)
    check_name(name, mounts)
    mounts.add(place, name)
    place.subapp[KEY] = place


def _check_ancestors(app: Roll, place: Mount) -> None:
    """Check that an app is mounted only once, and not in itself.

    Raises:
        ValueError: It is not.
    """
    if place.subapp.parent is not None:
        raise ValueError(
            f"{place} mounts an app that is mounted already, {place.subapp[KEY]}: make "
            "an app for each place, for example in a function"
        )
    ancestor: Roll | None = app
    while ancestor is not None:
        if ancestor is place.subapp:
            within = f", {app[KEY]}" if app is not ancestor else ""
            raise ValueError(f"{place} mounts an app in itself{within}")
        ancestor = ancestor.parent


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import mount`."""
    return {"mount": mount}
