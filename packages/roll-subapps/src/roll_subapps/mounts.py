"""Mounts: which apps are mounted in another, which one answers, how they start."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import fields
from functools import lru_cache
from typing import Any

from roll import Endpoint, Limits, Request, Response, Roll
from roll.logs import logger

ANY = ("",)
"""The hosts to look for where a request names none that matters."""

PORTS = {"http": "80", "https": "443"}
"""The ports that a Host may name or leave out (RFC 9110, section 4.2)."""

ENDPOINTS = 1024
"""Endpoints that each mount keeps, beside those of its app."""

# What the sub-app does with a message; all others hold for a connection.
OWN_LIMITS = {
    *("body", "boundary", "form", "part_field", "part_fields", "parts", "query"),
    *("spool", "upload"),
}

Found = tuple[Endpoint, dict[str, Any]]
"""What answers, and the values of the placeholders."""


class MountedEndpoint(Endpoint):
    """An endpoint of a sub-app, as its parent has it; it gives a response."""

    __slots__ = ()

    def returned(self, result: Any) -> Any:
        """Take the response that the sub-app has made."""
        return result


class Mount:
    """An app, and where it is mounted.

    Args:
        subapp: The app.
        prefix: What its paths have in those of the parent.
        host: The host that it answers for, in lower case; empty for any.
        share: What it gets of the parent when it starts.
        where: The file and the line of the call of `mount`.
    """

    def __init__(
        self, subapp: Roll, prefix: str, host: str, share: tuple[str, ...], where: str
    ) -> None:
        self.subapp = subapp
        self.prefix = prefix
        self.host = host
        self.share = share
        self.where = where
        self.base = f"{prefix}/"
        """What the paths begin with, with a slash at their end."""
        # By the endpoint alone: paths would be without number.
        self._wrap = lru_cache(ENDPOINTS)(self._make_endpoint)

    def __str__(self) -> str:
        return f"{self.host}{self.prefix} at {self.where}"

    def find(self, path: str, request: Request) -> Found:
        """Look up what answers in the sub-app, as an endpoint of its parent."""
        inside = request.hand_to(self.subapp, path[len(self.prefix) :] or "/")
        found = inside.endpoint
        # The parent would refuse such an offer itself.
        refuses = "websocket" in request.upgrade and not found.switches
        endpoint = self._wrap(found, found.found and not refuses)
        endpoint.payload = found.payload  # it is another when a view is declared
        return endpoint, inside.variables

    def _make_endpoint(self, inside: Endpoint, found: bool) -> Endpoint:
        limits = inside.limits
        if limits is None and not (inside.lazy_body and found):
            limits = self.subapp.limits
        return MountedEndpoint(
            inside.view,
            inside.extras,
            inside.where,
            path=None if inside.path is None else self.prefix + inside.path,
            run=self._answer,
            lazy_body=inside.lazy_body,
            limits=limits,
            found=found,
            switches=inside.switches,
            finishes=inside.finishes,
        )

    async def _answer(
        self, request: Request, response: Response, /, **variables: Any
    ) -> Response:
        """Let the sub-app answer, which looks the route up after the listeners."""
        path = request.path[len(self.prefix) :] or "/"
        inside = request.hand_to(self.subapp, path)
        return await self.subapp(inside, response.hand_to(inside))

    async def open(self, parent: Roll) -> None:
        """Start the sub-app.

        Raises:
            KeyError: The parent does not have what it shares.
        """
        for key in self.share:
            try:
                self.subapp[key] = parent[key]
            except KeyError as error:
                raise KeyError(
                    f"share={key!r}: the app at {parent.root_path or '/'} has no such "
                    f"key for {self}: set it before it starts, or in a startup listener"
                ) from error
        self.subapp.extras(*parent.router.extras)  # its listeners read them, too
        await self.subapp.open(parent)


class Mounts(dict[str, Roll]):
    """The apps that are mounted in one, by their names, and all of them by place.

    Args:
        app: The parent.
    """

    def __init__(self, app: Roll) -> None:
        super().__init__()
        self._app = app
        self._places: list[Mount] = []
        # By host and by the first segment of the prefix, the longest prefix first.
        self._table: dict[str, dict[str, list[Mount]]] = {}
        self._running = AsyncExitStack()
        self._started = False

    def check(self, place: Mount) -> None:
        """Require that nothing is mounted there.

        Raises:
            ValueError: Something is.
            RuntimeError: The app has started.
        """
        if self._started:
            raise RuntimeError(f"{place} is mounted too late: mount before the start")
        for other in self._places:
            if (other.host, other.prefix) == (place.host, place.prefix):
                raise ValueError(f"{place} is taken by {other}: give another prefix")

    def add(self, place: Mount, name: str | None) -> None:
        """Mount an app."""
        app, subapp = self._app, place.subapp
        if not self._places:
            app["subapps"] = self
            app.listen("route:find")(self.find)
            app.listen("startup", after="*")(self.open)
            app.listen("drain", after="*")(self.drain)
            app.listen("shutdown", before="*")(self.close)
        subapp.parent, subapp.prefix, subapp.host = app, place.prefix, place.host
        app.mounted.append(subapp)
        self._places.append(place)
        by_segment = self._table.setdefault(place.host, {})
        mounts = by_segment.setdefault(_first_segment(place.prefix), [])
        mounts.append(place)
        mounts.sort(key=lambda one: len(one.prefix), reverse=True)
        if name is not None:
            self[name] = subapp

    # What answers

    def find(self, path: str, request: Request) -> Found | None:
        """Look up what answers a request: None when no mounted app does."""
        place = self._choose(path, request)
        if place is None:
            return None
        if not place.host:
            endpoint, variables = self._app.router.find(path, request.method)
            if endpoint.path is not None and not variables:  # it is static
                return endpoint, variables
        return place.find(path, request)

    def _choose(self, path: str, request: Request) -> Mount | None:
        segment = _first_segment(path)
        for host in _hosts(request) if self._table.keys() - ANY else ANY:
            by_segment = self._table.get(host, {})
            for place in *by_segment.get(segment, ()), *by_segment.get("", ()):
                if f"{path}/".startswith(place.base):
                    return place
        return None

    # From startup to shutdown

    async def open(self) -> None:
        """Start the apps, in the order in which they were mounted."""
        self._started = True
        if self._app.parent is None and (unused := sorted(_unused_limits(self._app))):
            logger.warning(
                "Limits of connections are those of the outermost app; these have no "
                "effect: %s",
                ", ".join(unused),
            )
        for place in self._places:
            await place.open(self._app)
            self._running.push_async_callback(place.subapp.close)

    async def drain(self) -> None:
        """Tell the apps that the server is to end."""
        for place in self._places:
            await place.subapp.hook("drain")

    async def close(self) -> None:
        """End the apps that have started, the last one first."""
        self._started = False
        await self._running.aclose()


def _first_segment(path: str) -> str:
    end = path.find("/", 1)
    return path if end < 0 else path[:end]


def _hosts(request: Request) -> tuple[str, ...]:
    """Give the hosts at which an app for this request may be, the best one first."""
    name, _, port = request.host.partition(":")
    if port not in ("", PORTS.get(request.scheme)):
        return ANY
    name = name.lower().removesuffix(".")
    return name, f"*.{name.partition('.')[2]}", ""


def _unused_limits(app: Roll, outermost: Limits | None = None) -> Iterator[str]:
    """Name the limits of mounted apps that have no effect."""
    outermost = outermost or app.limits
    for subapp in app.mounted:
        for field in fields(Limits):
            value = getattr(subapp.limits, field.name)
            if field.name not in OWN_LIMITS and value not in (
                field.default,
                getattr(outermost, field.name),
            ):
                place = f"{subapp.host}{subapp.root_path}"
                yield f"{field.name}={value!r} of the app at {place}"
        yield from _unused_limits(subapp, outermost)
