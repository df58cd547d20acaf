"""Checks of the options of `mount`."""

import re
from collections.abc import Container, Sequence

from roll import Roll
from roll.routing import split_path

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


def check_subapp(subapp: object) -> Roll:
    """Check that it is an app.

    Raises:
        TypeError: It is something else, such as a class.
    """
    if not isinstance(subapp, Roll):
        raise TypeError(
            f"subapp={subapp!r}: give an app, as in mount(app, '/admin', admin)"
        )
    return subapp


def check_prefix(prefix: object, host: object) -> str:
    """Check for static segments; with a host, the prefix may be empty.

    Raises:
        TypeError: It is not a string.
        ValueError: It is something else.
    """
    if not isinstance(prefix, str):
        raise TypeError(f"prefix={prefix!r}: give a path, such as '/admin'")
    if not prefix:
        if host is None:
            raise ValueError("prefix='': give a path, such as '/admin', or a host")
        return prefix
    if len(split_path(prefix)) > 1:
        raise ValueError(
            f"prefix={prefix!r}: leave placeholders out, and put them into the routes "
            "of the app; or declare these in a RouteTable, for app.include"
        )
    if prefix.endswith("/"):
        raise ValueError(f"prefix={prefix!r}: leave the slash at its end out")
    if not {"", ".", ".."}.isdisjoint(prefix[1:].split("/")):
        raise ValueError(f"prefix={prefix!r}: leave empty segments and dots out")
    return prefix


def check_host(host: object) -> str:
    """Check the name of a host, or None, and give it in lower case.

    Raises:
        TypeError: It is not a string.
        ValueError: It is something else.
    """
    if host is None:
        return ""
    if not isinstance(host, str):
        raise TypeError(f"host={host!r}: give a name, such as 'api.example.org'")
    if not _HOST.fullmatch(host.lower()):
        raise ValueError(
            f"host={host!r}: give a name without a port, such as 'api.example.org', or "
            "'*.example.org' for any one label"
        )
    return host.lower()


def check_name(name: object, taken: Container[str]) -> None:
    """Check that a name is not taken; it may be None.

    Raises:
        TypeError: It is not a string.
        ValueError: It is something else.
    """
    if name is None:
        return
    if not isinstance(name, str):
        raise TypeError(f"name={name!r}: give a string")
    if not name or ":" in name:
        raise ValueError(f"name={name!r}: give one without a colon, or leave it out")
    if name in taken:
        raise ValueError(f"name={name!r} names another mounted app: give another one")


def check_share(share: object) -> tuple[str, ...]:
    """Check a list of keys.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(share, str) or not isinstance(share, Sequence):
        raise TypeError(f"share={share!r}: give a list of keys, such as ['db']")
    for key in share:
        if not isinstance(key, str):
            raise TypeError(f"share: {key!r} is not a string: give keys of the app")
    return tuple(share)
