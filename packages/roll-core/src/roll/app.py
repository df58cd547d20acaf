"""Roll: an app, its parts, and the life of one request."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial, wraps
from inspect import isawaitable
from typing import Any, ClassVar, NoReturn, TypeVar, cast

from . import events, plugins
from .datastructures import IdentityDict
from .events import Entry
from .http11.connection import HttpProtocol
from .http11.upgrade import check_offer
from .lifecycle import Lifecycle
from .limits import Limits
from .request import Parts, Request
from .response import Response, as_http_error, close_body, set_error
from .router import Router
from .routing.endpoints import Endpoint
from .routing.matching import Routes
from .routing.table import Draft, RouteTable, caller, check_path
from .tasks import is_cancelled
from .typing import Check, Listener, Upgrade, View

F = TypeVar("F", bound=Callable[..., Any])
L = TypeVar("L", bound=Listener)
V = TypeVar("V", bound=View | type[Any])


def _on_an_app(call: str) -> Callable[[F], F]:
    """Make a method that shows how to call it when it is called on the class."""

    def decorate(method: F) -> F:
        @wraps(method)
        def checked(*arguments: Any, **keywords: Any) -> Any:
            if not arguments or not isinstance(arguments[0], Roll):
                name = method.__name__
                named = (f"{key}={value!r}" for key, value in keywords.items())
                given = ", ".join([*map(repr, arguments), *named])
                raise TypeError(
                    f"Roll.{name}({given}) is called on the class: make an app, as in "
                    f"app = Roll(), and write {call}({given})"
                )
            return method(*arguments, **keywords)

        return cast(F, checked)

    return decorate


def _no_shortcut(name: str, path: object) -> TypeError:
    methods = "" if name == "get" else f", methods=[{name.upper()!r}]"
    return TypeError(
        f"app.{name}({path!r}) declares no view: write @app.route({path!r}{methods}), "
        "since the app is a dict; or use a RouteTable"
    )


def _refuse_shortcut(name: str) -> Callable[..., NoReturn]:
    def shortcut(self: "Roll", path: object = "/", **options: Any) -> NoReturn:
        raise _no_shortcut(name, path)

    shortcut.__name__ = name
    shortcut.__doc__ = f"Raise TypeError: `route` declares views for {name.upper()}."
    return shortcut


class _Parts(Parts):
    """The parts of an app, besides the classes that its requests are parsed into."""

    HttpProtocol: ClassVar[type[HttpProtocol]] = HttpProtocol
    Protocol: ClassVar[type[Any]] = HttpProtocol
    """The older name of `HttpProtocol`."""
    WebsocketProtocol: ClassVar[Any] = plugins.ProtocolClass("websocket")
    """The class of the installed roll-websockets."""
    Request: ClassVar[type[Request]] = Request
    Response: ClassVar[type[Response]] = Response
    Routes: ClassVar[type[Any]] = Routes
    """The matcher: any class with `add(path, **payload)` and `match(path)`."""
    default_content_type: ClassVar[str | None] = None
    """The `Content-Type` of a body if its view sets none; None for no field."""
    server_header: ClassVar[str | None] = None
    """The value of the `Server` field; None for no field."""


class Roll(_Parts, IdentityDict):
    """An application; also a dict for its data, such as `app["db"]`.

    The class attributes name its parts; override them in a subclass. Apps
    compare by identity and are always true.
    """

    # What each request needs: in a dict subclass, slots are faster than attributes.
    __slots__ = ("__dict__", "__weakref__", "date", "hooks", "router")

    def __init_subclass__(cls, **options: Any) -> None:
        """Accept the older ways to set the parts of an app."""
        super().__init_subclass__(**options)
        given = vars(cls)
        if "Protocol" in given and "HttpProtocol" not in given:
            _deprecate(f"{cls.__name__}.Protocol", "HttpProtocol")
            cls.HttpProtocol = given["Protocol"]
        cls.Protocol = cls.HttpProtocol
        for name in _PARTS:
            part = getattr(cls.HttpProtocol, name, None)
            if part is not None and name not in given:
                _deprecate(f"{cls.HttpProtocol.__name__}.{name}", f"{name} of the app")
                setattr(cls, name, part)

    def __init__(self) -> None:
        super().__init__()
        self.configure()
        self.router = Router(self.Routes(), partial(_find_protocol, self))
        """Declares the routes, and looks them up."""
        self.routes = self.router.matcher
        """The matcher, which finds the route of a path; see `Roll.Routes`."""
        self.declarations = self.router.declarations
        """Every route as it was declared, in order."""
        self.hooks: dict[str, tuple[Listener, ...]] = {}
        """The listeners of each event, in the order in which they run."""
        self.listeners: dict[str, list[Entry]] = {}
        """The same in the order added, each with its module and the order that it asks
        for."""
        self.lifecycle = Lifecycle(self)
        """The connections and tasks, and how they start and end."""
        self.connections = self.lifecycle.connections
        """The open connections."""
        self.addresses: list[Any] = []
        """The addresses that Servers listen on, from `startup` on."""
        self.workers = 1
        """The number of processes that serve this app, if its server sets it."""
        self.date = b""
        """Lines that end every head: `Date` and `Server`, while a Server runs."""
        self.parent: Roll | None = None
        """The app that this one is mounted in."""
        self.prefix = ""
        """The prefix of this app's paths in its parent, or at the proxy in front of
        it."""
        self.host = ""
        """The host that it is mounted at; empty for any host."""
        self.mounted: list[Roll] = []
        """The apps mounted in this one, in order."""
        self.absent: dict[str, str] = {}
        """The message of the KeyError of `app[key]` while the key is missing."""
        self.inventory: dict[tuple[str, str], str] = {}
        """Where the things of extensions were declared, by kind and name."""

    def __missing__(self, key: Any) -> Any:
        raise KeyError(self.absent.get(key, key))

    # Building

    def configure(self, limits: Limits | None = None) -> None:
        """Set the limits of this app only; call this before it starts.

        Args:
            limits: The limits in place of `Roll.limits`.

        Raises:
            TypeError: *limits* is not a `Limits`.
        """
        if limits is not None:
            vars(self)["limits"] = limits
        if not isinstance(self.limits, Limits):
            raise TypeError(f"limits = {self.limits!r}: give a roll.Limits")

    @_on_an_app("@app.route")
    def route(
        self,
        path: str,
        methods: Iterable[str] | str | None = None,
        protocol: str = "http",
        lazy_body: bool = False,
        **extras: Any,
    ) -> Callable[[V], V]:
        """Declare the view of a path.

        Args:
            path: A pattern, such as `/hello/{name}`.
            methods: Names, or `"*"` for all; only GET by default. A class declares them
                by its functions `on_get`, `on_post` and so on.
            protocol: `"http"`, or the name of an installed protocol to switch to.
            lazy_body: Whether the view reads the body itself.
            extras: Values for listeners and extensions, in `request.route.payload`.

        Returns:
            A decorator that gives back the view unchanged.

        Raises:
            ValueError: The path is malformed, or already has a view for the method; the
                protocol is unknown; a class has no `on_*`.
            AttributeError: `methods` is given with a class.
            TypeError: The view cannot take a request and a response.
        """
        check_path(path)
        draft = Draft(path, methods, protocol, lazy_body, extras, caller(3))

        def declare(view: V) -> V:
            self._declare(draft, view)
            return view

        return declare

    def get(self, key: str, default: Any = None, /, **options: Any) -> Any:
        """Return the value of *key*, as the method of a dict does.

        Raises:
            TypeError: It looks like the path of a route, which `route` declares.
        """
        if options or (isinstance(key, str) and key.startswith("/")):
            raise _no_shortcut("get", key)
        return super().get(key, default)

    post, put, patch, delete, head, options = map(
        _refuse_shortcut, ("post", "put", "patch", "delete", "head", "options")
    )

    @_on_an_app("app.include")
    def include(self, routes: RouteTable, prefix: str = "") -> None:
        """Declare all routes of a table, with *prefix* before their paths.

        From then on, the table takes no more routes; other apps may include it, too.

        Raises:
            TypeError: It is not a table.
            ValueError: As for `route`.
        """
        if not isinstance(routes, RouteTable):
            raise TypeError(f"include({routes!r}): give a RouteTable")
        if prefix.endswith("/"):
            raise ValueError(f"prefix={prefix!r}: leave the slash at its end out")
        routes.included = True
        for draft, view in routes.declared:
            self._declare(draft._replace(path=prefix + draft.path), view)

    def _declare(self, draft: Draft, view: Any) -> None:
        try:
            self.router.add(draft, view)
            for listener in self.hooks.get("route:add", ()):
                if listener(draft.path, view, **draft.extras):
                    break
        except (AttributeError, TypeError, ValueError) as error:
            error.add_note(f"The route is declared at {draft.where}")
            raise

    @_on_an_app("@app.listen")
    def listen(
        self,
        name: str,
        *,
        before: str | Sequence[str] = (),
        after: str | Sequence[str] = (),
    ) -> Callable[[L], L]:
        """Run a function, plain or coroutine, at each event *name*.

        Args:
            name: One of Roll's events, or your own.
            before: Names of extensions whose listeners run after this one.
            after: Names of extensions whose listeners run before this one.

        Returns:
            A decorator that gives back the function unchanged.

        Raises:
            TypeError: The function cannot take the arguments of the event, or a name
                is not a string.
            ValueError: `before` and `after` contradict each other.
        """
        if not isinstance(name, str):
            raise TypeError(f"listen({name!r}): name an event, as in listen('startup')")

        def add(listener: L) -> L:
            entry = Entry(
                events.bind(name, listener),
                getattr(listener, "__module__", None),
                events.names(before),
                events.names(after),
            )
            self.listeners[name] = [*self._entries(name), entry]
            # A new tuple: the listeners of a running request never change.
            self.hooks[name] = events.solve(name, self.listeners[name], plugins.owner)
            return listener

        return add

    def extras(self, *names: str, check: Check | None = None) -> None:
        """Register the extras of routes that an extension reads.

        A route's extra with nearly one of these names, such as `compressed=`, keeps the
        app from starting, and so does a value that *check* refuses. This applies to the
        routes of mounted apps, too. Other names are free.

        Args:
            names: The extras.
            check: Called with each value when the app starts. It raises TypeError or
                ValueError, with a message that says what to write.
        """
        self.router.register(names, check)

    def find_mistakes(self) -> list[str]:
        """Find what is likely to be a mistake, such as a listener of `"reqest"`.

        When the app starts, each of these is logged as a warning, and a misspelled
        or wrong extra of a route is a TypeError.
        """
        router = self.router
        oddities = (*events.near_misses(self.hooks), *router.find_oddities())
        return [*oddities, *router.find_mistakes()]

    def _entries(self, name: str) -> list[Entry]:
        """List the listeners of an event as they were added.

        An application may have put more into `hooks`.
        """
        entries = self.listeners.get(name, [])
        calls = self.hooks.get(name, ())
        if (*calls,) == events.solve(name, entries, plugins.owner):
            return entries
        known = {id(entry.call): entry for entry in entries}
        if name == "shutdown":
            calls = calls[::-1]
        return [known.get(id(call)) or Entry(call, None, (), ()) for call in calls]

    # Serving

    def factory(self) -> HttpProtocol:
        """Make the protocol of a new connection, for `loop.create_server`."""
        return self.HttpProtocol(self)

    async def __call__(self, request: Request, response: Response) -> Response:
        """Run one request: listeners and view, errors included.

        Returns:
            The response to send: *response*, or that of a mounted app.
        """
        hooks = self.hooks
        try:
            endpoint: Endpoint | None
            if "headers" in hooks or "request" in hooks:
                endpoint = await self._prepare(request, response)
            else:  # saves a coroutine for most requests
                endpoint = request.endpoint
                if request.content is not None and not endpoint.lazy_body:
                    await request.load_body()
            if endpoint is not None:
                offered = request.message.upgrade
                if offered and endpoint.found and not endpoint.switches:
                    check_offer(offered)
                variables = request.variables
                if variables:
                    result = await endpoint.run(request, response, **variables)
                else:
                    result = await endpoint.run(request, response)
                if result is not None:
                    response = endpoint.returned(result)
        except (Exception, asyncio.CancelledError) as error:
            if _cancels(error):
                raise
            await self.answer_error(request, response, error)
        if "response" in hooks:
            try:
                for listener in hooks["response"]:  # faster than a function
                    result = listener(request, response)
                    if result is not None and isawaitable(result):
                        await result
            except (Exception, asyncio.CancelledError) as error:
                if _cancels(error):
                    raise
                await self.answer_error(request, response, error)
        return response

    async def _prepare(self, request: Request, response: Response) -> Endpoint | None:
        """Load the body, and run the listeners before the view.

        Returns:
            The endpoint that responds; None if a listener has responded.
        """
        listeners = self.hooks.get("headers", ())
        if listeners:
            request._early = True
            try:
                for listener in listeners:  # as `events.run` does, in half its time
                    result = listener(request, response)
                    if result is not None and isawaitable(result):
                        result = await result
                    if result:
                        events.check_result(listener, result, request, response)
                        return None
            finally:
                del request._early
        listeners = self.hooks.get("request", ())
        endpoint = request.endpoint
        if request.content is not None and (
            not endpoint.lazy_body or (listeners and not endpoint.found)
        ):
            await request.load_body()
        if listeners:
            if await events.run(listeners, request, response):
                return None
            endpoint = request.endpoint  # a listener may have set path or method
            if request.content is not None and not endpoint.lazy_body:
                await request.load_body()
        return endpoint

    async def answer_error(
        self, request: Request, response: Response, error: BaseException
    ) -> None:
        """Turn an error into the response, and run the `error` listeners.

        Raises:
            CancelledError: This task was cancelled.
        """
        try:
            await close_body(response.body)
            http_error = as_http_error(request, error)
            set_error(response, http_error)
            listeners = self.hooks.get("error", ())
            await events.run(listeners, request, response, http_error)
        except (Exception, asyncio.CancelledError) as failure:
            if _cancels(failure):
                raise
            set_error(response, as_http_error(request, failure))

    def hook(self, name: str, /, *arguments: Any, **keywords: Any) -> Awaitable[Any]:
        """Run the listeners of an event of any name; the call itself starts them.

        Plain listeners run at once. From the first coroutine listener on, the rest runs
        in one task, awaited or not; `shutdown` waits for it.

        Returns:
            An awaitable of the first true result, which stops the chain, or None.

        Raises:
            RuntimeError: There is a coroutine listener, but no running loop.
            Exception: What a plain listener raises.
        """
        listeners = self.hooks.get(name, ())
        return events.start(name, listeners, arguments, keywords, self.keep)

    # From startup to shutdown

    async def startup(self) -> None:
        """Run the `startup` listeners, once, and start watching the connections.

        If one of them raises, the app has not started: you may try again, and
        `shutdown` does nothing. Another call meanwhile, for another server, waits for
        them, so no `startup` listener may call this.

        Raises:
            RuntimeError: The app is mounted: its parent starts it.
            TypeError: An extra of a route nearly has a registered name, or has a wrong
                value.
        """
        if self.parent is not None:
            raise RuntimeError("this app is mounted in another: start that one")
        await self.lifecycle.startup()

    def stop(self) -> None:
        """Tell views and connections that the app is ending: set `closing`.

        Idle connections close, others after their response. `shutdown` also does this;
        a second call does nothing.
        """
        self.lifecycle.stop()

    async def shutdown(self) -> None:
        """End connections, run the `shutdown` listeners, close the exit stack; once.

        Idle connections close at once; running requests may take `Limits.shutdown`
        seconds, and are then cancelled.
        """
        await self.lifecycle.shutdown()

    async def open(self, parent: "Roll | None" = None) -> None:
        """Start an app without its own connections, such as a mounted one.

        The `startup` listeners run. If one of them raises, the exit stack closes.

        Args:
            parent: The app that has the connections.
        """
        self.parent = parent
        await self.lifecycle.open(None if parent is None else parent.lifecycle)

    async def close(self) -> None:
        """End what `open` started: run `shutdown` listeners, close the exit stack."""
        await self.lifecycle.close()

    def keep(
        self, task: "asyncio.Future[Any] | Coroutine[Any, Any, Any]"
    ) -> "asyncio.Future[Any]":
        """Keep a task until it is done; `shutdown` waits for it.

        Args:
            task: A task, a future, or a coroutine, which becomes a task.

        Raises:
            TypeError: It is something else.
        """
        return self.lifecycle.keep(task)

    @property
    def exit_stack(self) -> AsyncExitStack:
        """Closed when everything else has ended, also after a failed start."""
        return self.lifecycle.exit_stack

    @property
    def closing(self) -> asyncio.Event:
        """Set when the app starts to shut down."""
        return self.lifecycle.closing

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the app serves in; older code may assign it."""
        return self.lifecycle.loop or asyncio.get_running_loop()

    @loop.setter
    def loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lifecycle.loop = loop

    @property
    def root_path(self) -> str:
        """The full prefix of this app's paths: its parents' prefixes and its own."""
        above = "" if self.parent is None else self.parent.root_path
        return above + self.prefix


def _find_protocol(app: Roll, name: str) -> type[Upgrade]:
    """Find the class of a protocol: the app's own, or an installed one."""
    # `capitalize` would turn "WebSocket" into "Websocket".
    own = name.islower() and getattr(app, f"{name.capitalize()}Protocol", None)
    return own or plugins.protocol_class(name)


def _cancels(error: BaseException) -> bool:
    """Whether this task was cancelled, not another one that it waited for.

    The caller raises such an error again itself: if a function that gets it did, error
    and traceback would refer to each other.
    """
    return isinstance(error, asyncio.CancelledError) and is_cancelled()


_PARTS = ("Query", "Form", "Files", "Request", "Response", "Cookies", "Multipart")
"""What older code may set on its protocol class."""


def _deprecate(old: str, new: str) -> None:
    warnings.warn(
        f"{old} is an older name: use {new}", DeprecationWarning, stacklevel=3
    )
