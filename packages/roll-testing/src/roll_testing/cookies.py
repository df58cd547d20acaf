"""Cookies as a client keeps them (RFC 6265, sections 5.1.4 and 5.2)."""

import time
from collections.abc import Iterator, MutableMapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

LONGEST = 400 * 24 * 3600
"""The most seconds that a cookie is kept (RFC 6265bis, section 5.5)."""


class Cookie(NamedTuple):
    """A cookie that a client has received."""

    name: str
    value: str
    path: str | None = None
    """The path below which it is sent; None for that of the request."""
    expires: float | None = None
    """When it expires, in seconds since 1970."""


def parse_set_cookie(line: str) -> Cookie:
    """Read the value of a `Set-Cookie` field, ignoring malformed parts."""
    pair, *attributes = line.split(";")
    name, _, value = pair.partition("=")
    known = {}
    for attribute in attributes:
        key, _, setting = attribute.partition("=")
        known[key.strip().lower()] = setting.strip()
    path = known.get("path", "")
    return Cookie(
        name.strip(), value.strip(), path if path[:1] == "/" else None, _expires(known)
    )


def _expires(attributes: dict[str, str]) -> float | None:
    """Find when a cookie expires; `Max-Age` precedes `Expires`."""
    try:
        return time.time() + max(0, min(int(attributes["max-age"]), LONGEST))
    except (KeyError, ValueError):
        pass
    try:
        return parsedate_to_datetime(attributes["expires"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


class CookieJar(MutableMapping[str, str]):
    """The cookies of a client, by name; those that you set are sent everywhere.

    Cookies of the same name for several paths are all sent, the longest path first; a
    look-up by name gives the last one that was set.
    """

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str], Cookie] = {}

    def _values(self) -> dict[str, str]:
        return {cookie.name: cookie.value for _, cookie in self._valid()}

    def __getitem__(self, name: str) -> str:
        return self._values()[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._forget(name)
        self._cookies[name, "/"] = Cookie(name, value)

    def __delitem__(self, name: str) -> None:
        del self._values()[name]  # a KeyError if there is none
        self._forget(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values()!r})"

    def _forget(self, name: str) -> None:
        for key in [key for key in self._cookies if key[0] == name]:
            del self._cookies[key]

    def _valid(self) -> list[tuple[str, Cookie]]:
        """List paths and cookies that have not expired."""
        now = time.time()
        return [
            (path, cookie)
            for (_, path), cookie in self._cookies.items()
            if cookie.expires is None or cookie.expires > now
        ]

    def learn(self, lines: list[str], path: str) -> None:
        """Keep the cookies that a response sets.

        Args:
            lines: The values of its `Set-Cookie` fields.
            path: The path of the request, without its query.
        """
        for cookie in map(parse_set_cookie, lines):
            place = cookie.path or path.rpartition("/")[0] or "/"
            self._cookies.pop((cookie.name, place), None)  # the new one goes last
            self._cookies[cookie.name, place] = cookie

    def header(self, path: str) -> str:
        """Write the `Cookie` field for a request; empty without cookies."""
        found = [item for item in self._valid() if _is_below(path, item[0])]
        found.sort(key=lambda item: -len(item[0]))
        return "; ".join(f"{cookie.name}={cookie.value}" for _, cookie in found)


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
