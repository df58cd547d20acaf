"""mount_asgi: an ASGI application under a prefix."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from roll import HTTP_METHODS, Endpoint, Request, Response, Roll
from roll.plugins import require_app
from roll.routing import split_path

from .lifespan import Lifespan
from .relay import Relay
from .scopes import make_scope
from .socket_relay import SocketRelay
from .typing import ASGIApplication

REST = "/{path:path}"
"""What follows the prefix in the pattern of its route."""


def mount_asgi(
    app: Roll,
    prefix: str = "",
    application: ASGIApplication | None = None,
    *,
    origins: str | Sequence[str] | None = None,
    lifespan: bool | None = None,
    timeout: float = 30.0,
    **extras: Any,
) -> None:
    """Let an ASGI application, such as Starlette's, respond below a prefix.

    The listeners of *app* run around it, and more specific routes of *app* take
    precedence. It starts and ends with *app*.

    Args:
        app: The app.
        prefix: Static segments without a slash at the end, such as `"/api"`.
        application: `async def application(scope, receive, send)` (ASGI 3.0).
        origins: Which origins may open its WebSockets, as for a route: only the app's
            own host by default, a list of origins, or `"*"` for all.
        lifespan: False for an application without a lifespan, True to require one; by
            default, the application may refuse it.
        timeout: Seconds for the application to return after its client has left; then
            it is cancelled.
        extras: The extras of its route.

    Raises:
        TypeError: An argument has another type.
        ValueError: The prefix is not such a path, or is taken.
    """
    require_app("mount_asgi", app)
    if not callable(application):
        raise TypeError(f"application={application!r}: give an ASGI application")
    mount = Mount(app, check_prefix(prefix), application, origins, timeout)
    mount.declare(extras)
    if lifespan is not False:
        mount.live(lifespan)


def check_prefix(prefix: object) -> str:
    """Check that a prefix has static segments only.

    Raises:
        TypeError: It is not a string.
        ValueError: It is something else.
    """
    if not isinstance(prefix, str):
        raise TypeError(f"prefix={prefix!r}: give a path, such as '/api'")
    if len(split_path(prefix)) > 1:
        raise ValueError(f"prefix={prefix!r}: leave placeholders out")
    if not prefix.startswith("/") or prefix.endswith("/"):
        raise ValueError(
            f"prefix={prefix!r}: start it with a slash, and end it without one"
        )
    return prefix


class Mount:
    """An ASGI application, and where it is mounted.

    Args:
        app: The app.
        prefix: The prefix of the application's paths.
        application: The application.
        origins: Which origins may open its WebSockets.
        timeout: For the application to return after its client has left, in seconds.
    """

    def __init__(
        self,
        app: Roll,
        prefix: str,
        application: ASGIApplication,
        origins: str | Sequence[str] | None,
        timeout: float,
    ) -> None:
        self.app = app
        self.prefix = prefix
        self.application = application
        self.origins = origins
        self.timeout = timeout
        self.state: Mapping[str, Any] = {}
        """The state of the application's lifespan."""
        self._patterns = (prefix, prefix + REST)

    def declare(self, extras: dict[str, Any]) -> None:
        """Declare the routes, and also find them for WebSockets and rare methods."""

        async def answer(request: Request, response: Response, path: str = "") -> None:
            """Let the application respond."""
            await self._run(Relay(request, self.timeout), request, response, False)

        async def switch(request: Request, response: Response, path: str = "") -> None:
            await self._handshake(request, response)

        answer.__name__ = ""  # `named_url` names only the views of the app
        frame = sys._getframe(2)
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        for pattern in self._patterns:
            self.app.route(pattern, methods="*", lazy_body=True, **extras)(answer)
        plain, upgrade = (
            Endpoint(
                *(answer, extras, where),
                path=self.prefix + REST,
                run=run,
                lazy_body=True,
                limits=extras.get("limits"),
                switches=run is switch,
                finishes=run is answer and extras.get("on_disconnect") == "finish",
            )
            for run in (answer, switch)
        )
        plain.payload = upgrade.payload = {**extras, "GET": answer}

        @self.app.listen("route:find")
        def find_mounted(
            path: str, request: Request
        ) -> tuple[Endpoint, dict[str, Any]] | None:
            offers = "websocket" in request.message.upgrade
            if not offers and request.method in HTTP_METHODS:
                return None  # the router finds the route itself
            if not f"{path}/".startswith(f"{self.prefix}/"):
                return None
            found, _ = self.app.router.find(path, request.method)
            if found.path not in self._patterns:
                return None  # a route of the app, or of another mount
            return (upgrade, {}) if offers else (plain, {})

    def live(self, required: bool | None) -> None:
        """Let the application start and end with the app."""
        lifespan = Lifespan(self.application, required)
        self.state = lifespan.state

        @self.app.listen("startup")
        async def start_application() -> None:
            await lifespan.start()

        @self.app.listen("shutdown")
        async def end_application() -> None:
            await lifespan.end()

    async def _handshake(self, request: Request, response: Response) -> None:
        app: Any = request.app
        # A page of another origin is refused before the application is called.
        scratch = app.Response(app, request.protocol)
        app.WebsocketProtocol(request, scratch, {"origins": self.origins})
        relay = SocketRelay(request, self.timeout)
        await self._run(relay, request, response, True)

    async def _run(
        self, relay: Relay, request: Request, response: Response, websocket: bool
    ) -> None:
        scope = make_scope(request, self.prefix, self.state, websocket)
        relay.run(self.app, self.application, scope)
        try:
            await relay.decide()
            relay.fill(response)
        except BaseException:
            relay.leave()
            raise
