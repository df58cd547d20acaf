"""Roll: an app; what it is made of, and the life of one request."""

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
    """What an app is made of, beside what its requests are parsed into."""

    HttpProtocol: ClassVar[type[HttpProtocol]] = HttpProtocol
    Protocol: ClassVar[type[Any]] = HttpProtocol
    """The older name of `HttpProtocol`."""
    WebsocketProtocol: ClassVar[Any] = plugins.ProtocolClass("websocket")
    """The class that the installed roll-websockets gives."""
    Request: ClassVar[type[Request]] = Request
    Response: ClassVar[type[Response]] = Response
    Routes: ClassVar[type[Any]] = Routes
    """The matcher: any class with `add(path, **payload)` and `match(path)`."""
    default_content_type: ClassVar[str | None] = None
    """The `Content-Type` of a body for which a view sets none; None sends none."""
    server_header: ClassVar[str | None] = None
    """What the `Server` field says; None sends none."""


class Roll(_Parts, IdentityDict):
    """An application; also a dict for its data, such as `app["db"]`.

    The class attributes name its parts; override them in a subclass. Apps
    compare by identity and are always true.
    """

    # What each request asks for: of a dict with attributes they are the faster ones.
    __slots__ = ("__dict__", "__weakref__", "date", "hooks", "router")

    def __init_subclass__(cls, **options: Any) -> None:
        """Accept the older ways to say what an app is made of."""
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
        """What finds the route of a path; see `Roll.Routes`."""
        self.declarations = self.router.declarations
        """Every route as it was declared, in order."""
        self.hooks: dict[str, tuple[Listener, ...]] = {}
        """The listeners of each event, in the order in which they run."""
        self.listeners: dict[str, list[Entry]] = {}
        """The same as they were added, with the module of each and what it asks for."""
        self.lifecycle = Lifecycle(self)
        """The connections and tasks, and how they start and end."""
        self.connections = self.lifecycle.connections
        """The open connections."""
        self.addresses: list[Any] = []
        """The names of the sockets that Servers accept on, from `startup` on."""
        self.workers = 1
        """How many processes serve this app, as far as its server knows."""
        self.date = b""
        """Lines that end every head: `Date` and `Server`, while a Server runs."""
        self.parent: Roll | None = None
        """The app that this one is mounted in."""
        self.prefix = ""
        """What stands before the paths of this app in those of its parent, or of the
        proxy before it."""
        self.host = ""
        """The host at which its parent has it; empty when the host does not matter."""
        self.mounted: list[Roll] = []
        """The apps that are mounted in this one, in order."""
        self.absent: dict[str, str] = {}
        """What the KeyError of `app[key]` says while the key is not there."""
        self.inventory: dict[tuple[str, str], str] = {}
        """Where each thing was declared that an extension has, by its kind and name."""

    def __missing__(self, key: Any) -> Any:
        raise KeyError(self.absent.get(key, key))

    # Building

    def configure(self, limits: Limits | None = None) -> None:
        """Set the limits of this app only; call this before it starts.

        Args:
            limits: In place of `Roll.limits`.

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
            methods: Names, or `"*"` for all; GET alone by default. A class says it by
                its functions `on_get`, `on_post` and so on.
            protocol: `"http"`, or the name of an installed protocol to switch to.
            lazy_body: Whether the view reads the body itself.
            extras: Kept for listeners and extensions in `request.route.payload`.

        Returns:
            A decorator that gives back the view unchanged.

        Raises:
            ValueError: The path is malformed, or has a view for the method already;
                the protocol is unknown; a class has no `on_*`.
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
        """Declare all routes of a table, their paths behind *prefix*.

        The table takes no more routes from then on; other apps may include it, too.

        Raises:
            TypeError: It is not a table.
            ValueError: As `route` does.
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
            before: Names of extensions whose listeners run later, if there are any.
            after: Names of extensions whose listeners run earlier, if there are any.

        Returns:
            A decorator that gives back the function unchanged.

        Raises:
            TypeError: The function cannot take the arguments of the event, or a name
                is not a string.
            ValueError: `before` and `after` go in circles.
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
            # A new tuple: a request that runs never sees its listeners change.
            self.hooks[name] = events.solve(name, self.listeners[name], plugins.owner)
            return listener

        return add

    def extras(self, *names: str, check: Check | None = None) -> None:
        """Register the extras of routes that an extension reads.

        An extra of a route that has nearly one of these names, such as `compressed=`,
        keeps the app from starting, and so does a value that *check* refuses. Both hold
        for the routes of mounted apps, too. Other names are free.

        Args:
            names: The extras.
            check: Is called with each value when the app starts; it raises TypeError or
                ValueError, with a message that says what to write.
        """
        self.router.register(names, check)

    def find_mistakes(self) -> list[str]:
        """Tell what is likely to be a mistake, such as a listener of `"reqest"`.

        When the app starts, each of these is logged as a warning, and a misspelled
        or wrong extra of a route is a TypeError.
        """
        router = self.router
        oddities = (*events.near_misses(self.hooks), *router.find_oddities())
        return [*oddities, *router.find_mistakes()]

    def _entries(self, name: str) -> list[Entry]:
        """List the listeners of an event as they were added.

        An application may have put others into `hooks`.
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
            What is to be sent: *response*, or that of an app which it was handed to.
        """
        hooks = self.hooks
        try:
            endpoint: Endpoint | None
            if "headers" in hooks or "request" in hooks:
                endpoint = await self._prepare(request, response)
            else:  # a coroutine less for most
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
                for listener in hooks["response"]:  # half the time of a function more
                    result = listener(request, response)
                    if result is not None and isawaitable(result):
                        await result
            except (Exception, asyncio.CancelledError) as error:
                if _cancels(error):
                    raise
                await self.answer_error(request, response, error)
        return response

    async def _prepare(self, request: Request, response: Response) -> Endpoint | None:
        """Load the body, and run what listens before the view.

        Returns:
            What answers the request; None when a listener has answered it.
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
            CancelledError: This task was cancelled meanwhile.
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
        """Run the listeners of an event, any name; the call alone starts them.

        Plain listeners run in place. From the first coroutine listener on, the rest
        runs as one task, awaited or not; `shutdown` waits for it.

        Returns:
            An awaitable of the first true result, which stops the chain, or None.

        Raises:
            RuntimeError: A coroutine listener, and no loop is running.
            Exception: What a plain listener raises.
        """
        listeners = self.hooks.get(name, ())
        return events.start(name, listeners, arguments, keywords, self.keep)

    # From startup to shutdown

    async def startup(self) -> None:
        """Run the `startup` listeners, once, and begin to watch the connections.

        When one of them raises, the app has not started: it may be tried again, and
        `shutdown` does nothing. Who calls this meanwhile, for another server, waits for
        them: no `startup` listener may.

        Raises:
            RuntimeError: The app is mounted: its parent starts it.
            TypeError: An extra of a route has nearly the name of one that is read, or
                a wrong value.
        """
        if self.parent is not None:
            raise RuntimeError("this app is mounted in another: start that one")
        await self.lifecycle.startup()

    def stop(self) -> None:
        """Tell views and connections that the app ends: set `closing`.

        Idle connections close, and others after their response. `shutdown` does this,
        too; a second call does nothing.
        """
        self.lifecycle.stop()

    async def shutdown(self) -> None:
        """End connections, run the `shutdown` listeners, close the exit stack; once.

        Idle connections close, running requests end, what takes longer than
        `Limits.shutdown` is cut.
        """
        await self.lifecycle.shutdown()

    async def open(self, parent: "Roll | None" = None) -> None:
        """Start an app without connections of its own, such as a mounted one.

        The `startup` listeners run. When one of them raises, what is in the exit stack
        closes.

        Args:
            parent: The app that has the connections.
        """
        self.parent = parent
        await self.lifecycle.open(None if parent is None else parent.lifecycle)

    async def close(self) -> None:
        """End what `open` has started: `shutdown` listeners, then the exit stack."""
        await self.lifecycle.close()

    def keep(
        self, task: "asyncio.Future[Any] | Coroutine[Any, Any, Any]"
    ) -> "asyncio.Future[Any]":
        """Keep a task until it is done; `shutdown` waits for it.

        Args:
            task: A task or a future; a coroutine is made one.

        Raises:
            TypeError: It is something else.
        """
        return self.lifecycle.keep(task)

    @property
    def exit_stack(self) -> AsyncExitStack:
        """Closes its contents when all else has ended, also when a start fails."""
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
        """The text before the paths of this app: its parents' prefixes and its own."""
        above = "" if self.parent is None else self.parent.root_path
        return above + self.prefix


def _find_protocol(app: Roll, name: str) -> type[Upgrade]:
    """Find the class of a protocol: the app's own, or an installed one."""
    # `capitalize` would take "WebSocket" for "websocket".
    own = name.islower() and getattr(app, f"{name.capitalize()}Protocol", None)
    return own or plugins.protocol_class(name)


def _cancels(error: BaseException) -> bool:
    """Whether this task is to end; not so where it met the end of a cancelled one.

    Such an error is raised again where it was caught. In a function that was given it,
    the traceback would hold on to the error, and that to the traceback.
    """
    return isinstance(error, asyncio.CancelledError) and is_cancelled()


_PARTS = ("Query", "Form", "Files", "Request", "Response", "Cookies", "Multipart")
"""What older code may hang on its protocol class."""


def _deprecate(old: str, new: str) -> None:
    warnings.warn(
        f"{old} is an older name: use {new}", DeprecationWarning, stacklevel=3
    )
