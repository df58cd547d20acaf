"""Mounts: which apps are mounted in another, which one responds, how they start."""

from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack
from dataclasses import fields
from functools import lru_cache
from typing import Any

from roll import Endpoint, Limits, Request, Response, Roll
from roll.logs import logger
from roll.routing import split_path

ANY = ("",)
"""The hosts to look for if a request has no relevant one."""

PORTS = {"http": "80", "https": "443"}
"""The ports that `Host` may name or leave out (RFC 9110, section 4.2)."""

ENDPOINTS = 1024
"""Endpoints that each mount keeps, besides those of its app."""

# Limits for the messages of the sub-app; all others are for connections.
OWN_LIMITS = {
    *("body", "boundary", "form", "part_field", "part_fields", "parts", "query"),
    *("spool", "upload"),
}

Found = tuple[Endpoint, dict[str, Any]]
"""The endpoint that responds, and the values of the placeholders."""


class MountedEndpoint(Endpoint):
    """An endpoint of a sub-app for its parent; it returns a response."""

    __slots__ = ("inside",)

    inside: Endpoint
    """The sub-app's own endpoint."""

    def returned(self, result: Any) -> Any:
        """Take the response that the sub-app has made."""
        return result


class Mount:
    """An app, and where it is mounted.

    Args:
        subapp: The app.
        prefix: The prefix of its paths in the parent.
        host: The host that it responds for, in lower case; empty for any.
        share: Keys of the parent that it gets when it starts.
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
        """The prefix with a slash at its end."""
        # Only by the endpoint: there may be any number of paths.
        self._wrap = lru_cache(ENDPOINTS)(self._make_endpoint)

    def __str__(self) -> str:
        return f"{self.host}{self.prefix} at {self.where}"

    def find(self, path: str, request: Request) -> Found:
        """Find the endpoint that responds in the sub-app, for its parent."""
        subapp = self.subapp
        path = path[len(self.prefix) :] or "/"
        listeners = subapp.hooks.get("route:find", ())
        answer: Found | None = None
        # Without listeners of others, no request is needed, which would take longer
        # than everything else.
        if not listeners or (len(listeners) == 1 and _is_ours(listeners[0])):
            try:
                answer = listeners[0](path, request) if listeners else None
                answer = answer or subapp.router.find(path, request.method)
            except Exception:  # in the app's own matcher
                answer = None  # the endpoint below raises it again
        if answer is None:
            inside = request.hand_to(subapp, path)
            answer = inside.endpoint, inside.variables
        found, variables = answer
        # The parent would refuse such an offer itself.
        refuses = "websocket" in request.message.upgrade and not found.switches
        endpoint = self._wrap(found, found.found and not refuses)
        endpoint.payload = found.payload  # it changes when a view is declared
        return endpoint, variables

    def _make_endpoint(self, inside: Endpoint, found: bool) -> MountedEndpoint:
        limits = inside.limits
        if limits is None and not (inside.lazy_body and found):
            limits = self.subapp.limits
        endpoint = MountedEndpoint(
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
        endpoint.inside = inside
        return endpoint

    def _answer(
        self, request: Request, response: Response, /, **variables: Any
    ) -> Awaitable[Response]:
        """Let the sub-app respond."""
        path = request.path[len(self.prefix) :] or "/"
        endpoint: MountedEndpoint = request.endpoint  # type: ignore[assignment]
        inside = request.hand_to(self.subapp, path, (endpoint.inside, variables))
        # This takes half the time of calling the app, and less than another coroutine.
        return self.subapp.__call__(inside, response.hand_to(inside))

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
        await self.subapp.open(parent)


class Mounts(dict[str, Roll]):
    """The apps mounted in one: those with a name by it, and all by place.

    Args:
        app: The parent.
    """

    def __init__(self, app: Roll) -> None:
        super().__init__()
        self._app = app
        self._places: list[Mount] = []
        # By host and by the first segment of the prefix, the longest prefix first.
        self._table: dict[str, dict[str, list[Mount]]] = {}
        self._has_hosts = False
        self._static: set[str] = set()
        self._seen = 0  # declarations
        self._running = AsyncExitStack()
        self._started = False

    def check(self, place: Mount) -> None:
        """Check that nothing is mounted there.

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
        subapp.router.extras.maps.append(app.router.extras)  # listeners read them, too
        app.inventory["mounted app", f"{place.host}{place.prefix}"] = place.where
        self._places.append(place)
        self._has_hosts = self._has_hosts or bool(place.host)
        by_segment = self._table.setdefault(place.host, {})
        segment = "/".join(place.prefix.split("/")[:2])
        mounts = by_segment.setdefault(segment, [])
        mounts.append(place)
        mounts.sort(key=lambda one: len(one.prefix), reverse=True)
        if name is not None:
            self[name] = subapp

    # Finding the app that responds

    def find(self, path: str, request: Request) -> Found | None:
        """Find the endpoint for a request; None if no mounted app responds."""
        end = path.find("/", 1)
        segment = path if end < 0 else path[:end]
        if self._has_hosts:
            place = self._choose(path, segment, _hosts(request))
            if place is None:
                return None
        else:
            for place in self._table[""].get(segment, ()):  # for most, without a call
                if path.startswith(place.base) or path == place.prefix:
                    break
            else:
                return None
        if self._seen != len(self._app.declarations):
            self._read_declarations()
        if path in self._static and not place.host:
            return self._app.router.find(path, request.method)
        return place.find(path, request)

    def _choose(self, path: str, segment: str, hosts: tuple[str, ...]) -> Mount | None:
        for host in hosts:
            for key in segment, "":
                for place in self._table.get(host, {}).get(key, ()):
                    if f"{path}/".startswith(place.base):
                        return place
        return None

    def _read_declarations(self) -> None:
        """Note which routes of the parent have no placeholders."""
        paths = [each.path for each in self._app.declarations]
        self._static = {path for path in paths if len(split_path(path)) == 1}
        self._seen = len(paths)

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
        """Tell the apps that the server is about to end."""
        for place in self._places:
            await place.subapp.hook("drain")

    async def close(self) -> None:
        """End the apps that have started, the last one first."""
        self._started = False
        await self._running.aclose()


def _is_ours(listener: Any) -> bool:
    return getattr(listener, "__func__", None) is Mounts.find


def _hosts(request: Request) -> tuple[str, ...]:
    """Give the hosts of mounts that may serve a request, the best one first."""
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
