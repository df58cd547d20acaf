"""Roll: routes, listeners, connections, and the life of one request."""

import asyncio
import functools
import warnings
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Sequence,
)
from http import HTTPStatus
from inspect import isawaitable
from typing import Any, ClassVar, Protocol, TypeVar, cast

from . import descriptors, plugins
from .errors import HttpError
from .events import Entry, bind, names, solve
from .http11.connection import HttpProtocol
from .http11.outbox import Outbox
from .http11.upgrade import handshake
from .limits import Limits
from .logs import logger, report
from .request import Parts, Request
from .response import Response, close_body, set_error
from .routing import endpoints as routing
from .routing.endpoints import (
    NOT_FOUND,
    Declaration,
    Endpoint,
)
from .routing.matching import Routes, UnreachableRouteError
from .routing.table import Draft, RouteTable, caller, check_path
from .tasks import EAGER, is_cancelled
from .typing import Listener, Upgrade, View

CLEANUP = 1.0
"""Seconds for cancelled tasks to clean up at shutdown."""

L = TypeVar("L", bound=Listener)
V = TypeVar("V")


class Connection(Protocol):
    """What the app asks of the connections that it keeps."""

    def check(self, now: float) -> None:
        """End what takes too long; *now* is the loop's time."""

    def stop(self) -> None:
        """End soon: the app shuts down."""


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
    server_header: ClassVar[str | None] = None
    """What the `Server` field says; None sends none."""


class Roll(_Parts, dict[str, Any]):
    """An application; also a dict for what it keeps, such as `app["db"]`.

    The class attributes say what it is made of; override them in a subclass. Apps
    compare by identity and are always true.
    """

    # What each request asks for: of a dict with attributes they are the faster ones.
    __slots__ = ("__dict__", "__weakref__", "date", "hooks", "routes")

    __hash__ = object.__hash__  # type: ignore[assignment]  # a dict's is None

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __bool__(self) -> bool:
        return True

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
        if not isinstance(self.limits, Limits):
            raise TypeError(f"limits = {self.limits!r}: give a roll.Limits")
        self.routes = self.Routes()
        """What finds the route of a path; see `Roll.Routes`."""
        self.declarations: list[Declaration] = []
        """Every route as it was declared, in order."""
        self.hooks: dict[str, tuple[Listener, ...]] = {}
        """The listeners of each event, in the order in which they run."""
        self.listeners: dict[str, list[Entry]] = {}
        """The same as they were added, with the module of each and what it asks for."""
        self.connections: set[Connection] = set()
        """The open connections."""
        self.addresses: list[Any] = []
        """The names of the sockets that Servers accept on, from `startup` on."""
        self.closing = asyncio.Event()
        """Set when the app starts to shut down."""
        self.date = b""
        """Lines that end every head: `Date` and `Server`, while a Server runs."""
        self._endpoints: dict[str, dict[str, Endpoint]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox: Outbox | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._starting: asyncio.Event | None = None  # while `startup` listeners run
        self._gone: asyncio.Future[None] | None = None

    # Building

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
        draft = Draft(path, methods, protocol, lazy_body, extras, caller())

        def declare(view: V) -> V:
            self._declare(draft, view)
            return view

        return declare

    def include(self, routes: RouteTable, prefix: str = "") -> None:
        """Declare all routes of a table, their paths behind *prefix*.

        Raises:
            ValueError: As `route` does.
        """
        if prefix.endswith("/"):
            raise ValueError(f"prefix={prefix!r}: leave the slash at its end out")
        for draft, view in routes.declared:
            self._declare(draft._replace(path=prefix + draft.path), view)

    def _declare(self, draft: Draft, view: Any) -> None:
        try:
            self._add(draft, view)
        except (AttributeError, TypeError, ValueError) as error:
            error.add_note(f"The route is declared at {draft.where}")
            raise

    def _add(self, draft: Draft, view: Any) -> None:
        path, methods, protocol, lazy_body, extras, where = draft
        if not path.startswith("/"):
            raise ValueError(f"{path!r} is no path: make it start with a slash")
        kind = None if protocol == "http" else self._protocol_class(protocol)
        if kind is not None and methods is None and not isinstance(view, type):
            methods = kind.ALLOWED_METHODS
        routing.check_extras(path, extras, switches=kind is not None)
        if (check := getattr(kind, "check_extras", None)) is not None:
            check(extras)
        found = routing.handlers(view, methods)
        known = self._endpoints.setdefault(path, {})
        for method in [method for method in found if method in known]:
            raise ValueError(
                f"{method} {path} is declared twice: at "
                f"{known[method].where} and at {where}"
            )
        added = {
            method: Endpoint(
                handler,
                extras,
                where,
                path=path,
                run=_runner(kind, handler, extras.get("timeout")),
                lazy_body=lazy_body,
                limits=extras.get("limits"),
                switches=kind is not None,
                finishes=extras.get("on_disconnect") == "finish",
            )
            for method, handler in found.items()
        }
        try:
            self.routes.add(path, **added)
        except UnreachableRouteError as error:
            other = next(iter(self._endpoints[error.other].values())).where
            raise ValueError(f"{error} (at {where} and at {other})") from error
        if isinstance(self.routes, Routes):
            routing.check_variables(found.values(), self.routes.variables(path))
        known.update(added)
        views = routing.views(known)
        for endpoint in known.values():
            endpoint.payload = {**endpoint.extras, **views}
        self.declarations.append(Declaration(path, tuple(found), view, extras, where))
        for listener in self.hooks.get("route:add", ()):
            if listener(path, view, **extras):
                break

    def _protocol_class(self, name: str) -> type[Upgrade]:
        own = getattr(self, "WebsocketProtocol", None) if name == "websocket" else None
        return own or plugins.protocol_class(name)

    def find_endpoint(self, path: str, method: str) -> tuple[Endpoint, dict[str, Any]]:
        """Look up what answers *method* on *path*, and the values of placeholders."""
        endpoints, variables = self.routes.match(path)
        if not endpoints:
            return NOT_FOUND, {}
        endpoint = endpoints.get(method)
        if endpoint is None:
            if method == "HEAD":
                endpoint = endpoints.get("GET")
            if endpoint is None:
                endpoint = routing.refuse_method(endpoints)
        return endpoint, {} if variables is None else variables

    def listen(
        self,
        name: str,
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
            TypeError: The function cannot take the arguments of the event.
            ValueError: `before` and `after` go in circles.
        """
        if not isinstance(name, str):
            raise TypeError(f"listen({name!r}): name an event, as in listen('startup')")

        def add(listener: L) -> L:
            module = getattr(listener, "__module__", None)
            entry = Entry(bind(name, listener), module, names(before), names(after))
            entries = [*self.listeners.get(name, ()), entry]
            # A new tuple: a request that runs never sees its listeners change.
            self.hooks[name] = solve(name, entries, plugins.owner)
            self.listeners[name] = entries
            return listener

        return add

    # Serving

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the app serves in; older code may assign it."""
        return self._loop or asyncio.get_running_loop()

    @loop.setter
    def loop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def factory(self) -> HttpProtocol:
        """Make the protocol of a new connection, for `loop.create_server`."""
        return self.HttpProtocol(self)

    def outbox(self, loop: asyncio.AbstractEventLoop) -> Outbox:
        """Give what sends the answers of all connections in a loop, the running one."""
        if self._outbox is None or self._outbox.loop is not loop:
            self._outbox = Outbox(loop)
        return self._outbox

    async def __call__(self, request: Request, response: Response) -> None:
        """Run one request: listeners and view, errors included."""
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
                if request.message.upgrade:
                    _check_offer(request, endpoint)
                variables = request.variables
                if variables:
                    await endpoint.run(request, response, **variables)
                else:
                    await endpoint.run(request, response)
        except (Exception, asyncio.CancelledError) as error:
            if _cancels(error):
                raise
            await self.answer_error(request, response, error)
        if "response" in hooks:
            try:
                await self._run(hooks["response"], request, response)
            except (Exception, asyncio.CancelledError) as error:
                if _cancels(error):
                    raise
                await self.answer_error(request, response, error)

    async def _prepare(self, request: Request, response: Response) -> Endpoint | None:
        """Load the body, and run what listens before the view.

        Returns:
            What answers the request; None when a listener has answered it.
        """
        listeners = self.hooks.get("headers", ())
        if listeners and await self._run(listeners, request, response):
            return None
        listeners = self.hooks.get("request", ())
        endpoint = request.endpoint
        if request.content is not None and (
            not endpoint.lazy_body or (listeners and not endpoint.found)
        ):
            await request.load_body()
        if listeners:
            if await self._run(listeners, request, response):
                return None
            endpoint = request.endpoint  # a listener may have set path or method
            if request.content is not None and not endpoint.lazy_body:
                await request.load_body()
        return endpoint

    @staticmethod
    async def _run(listeners: tuple[Listener, ...], *arguments: Any) -> Any:
        """Run listeners in order up to the first true result, which is returned."""
        for listener in listeners:
            result = listener(*arguments)
            if result is not None and isawaitable(result):
                result = await result
            if result:
                return result
        return None

    async def answer_error(
        self, request: Request, response: Response, error: BaseException
    ) -> None:
        """Make an error the answer, and tell the `error` listeners.

        Raises:
            CancelledError: This task was cancelled meanwhile.
        """
        try:
            await close_body(response.body)
            http_error = self._as_http_error(request, error)
            set_error(response, http_error)
            listeners = self.hooks.get("error", ())
            await self._run(listeners, request, response, http_error)
        except (Exception, asyncio.CancelledError) as failure:
            if _cancels(failure):
                raise
            set_error(response, self._as_http_error(request, failure))

    def _as_http_error(self, request: Request, error: BaseException) -> HttpError:
        if isinstance(error, HttpError):
            return error
        report(error, "%s %s", request.method, request.url)
        exhausted = descriptors.are_exhausted(error)
        wrapper = HttpError(
            HTTPStatus.SERVICE_UNAVAILABLE
            if exhausted
            else HTTPStatus.INTERNAL_SERVER_ERROR
        )
        wrapper.__context__ = error
        return wrapper

    def replace(self, request: Request, response: Response, error: Exception) -> None:
        """Make an answer that cannot be sent into one that says so."""
        response.reset()
        set_error(response, self._as_http_error(request, error))

    # Events

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
        for index, listener in enumerate(listeners):
            result = listener(*arguments, **keywords)
            if isawaitable(result):
                rest = [
                    functools.partial(later, *arguments, **keywords)
                    for later in listeners[index + 1 :]
                ]
                return self._start_rest(name, result, rest)
            if result:
                return _Outcome(result)
        return _Outcome(None)

    def _start_rest(
        self, name: str, first: Awaitable[Any], rest: Sequence[Listener]
    ) -> Awaitable[Any]:
        async def run() -> Any:
            return await first or await self._run(tuple(rest))

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if isinstance(first, Coroutine):
                first.close()
            raise RuntimeError(
                f"{name!r} has a coroutine listener: it needs a running loop"
            ) from None
        return self.keep(asyncio.Task(run(), loop=loop, **EAGER))

    def keep(self, task: "asyncio.Task[Any]") -> "asyncio.Task[Any]":
        """Hold on to a task until it is done; `shutdown` waits for it."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # From startup to shutdown

    async def startup(self) -> None:
        """Run the `startup` listeners, once, and begin to watch the connections.

        When one of them raises, the app has not started: it may be tried again, and
        `shutdown` does nothing. Who calls this meanwhile, for another server, waits for
        them: no `startup` listener may.
        """
        if self._starting is not None:  # for another server
            await self._starting.wait()
        if self._sweeper is not None:
            return
        self._loop = asyncio.get_running_loop()
        descriptors.prepare()
        if self.closing.is_set():  # a start again, maybe in another loop
            self.closing = asyncio.Event()
        self._watch()
        self._starting = asyncio.Event()
        try:
            await self.hook("startup")
        except BaseException:
            self._unwatch()
            raise
        finally:
            self._starting.set()
            self._starting = None

    async def shutdown(self) -> None:
        """End connections, then run the `shutdown` listeners, once.

        Idle connections close, running requests end, what takes longer than
        `Limits.shutdown` is cut.
        """
        if self._sweeper is None or self.closing.is_set():
            return
        self.closing.set()
        for connection in tuple(self.connections):
            connection.stop()
        try:
            async with asyncio.timeout(self.limits.shutdown):
                await self._drain()
        except TimeoutError:
            await self._cut()
        try:
            await self.hook("shutdown")
        finally:
            await self._wait_for_tasks(self._tasks, self.limits.shutdown)
            self._unwatch()

    async def _drain(self) -> None:
        while self.connections:
            await self.one_gone()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _cut(self) -> None:
        """End what did not end in time."""
        tasks = set(self._tasks)
        for connection in tuple(self.connections):
            if isinstance(connection, HttpProtocol):
                connection.abort()
                tasks.update(filter(None, [connection.task]))
        logger.warning(
            "Shutdown cuts %d connections and %d tasks that are still running",
            len(self.connections),
            len(tasks),
        )
        for task in tasks:
            task.cancel()
        await self._wait_for_tasks(tasks, CLEANUP)

    @staticmethod
    async def _wait_for_tasks(
        tasks: Iterable["asyncio.Task[Any]"], timeout: float
    ) -> None:
        if tasks := set(tasks):
            await asyncio.wait(tasks, timeout=timeout)

    def forget(self, connection: Connection) -> None:
        """Drop a connection that ended."""
        self.connections.discard(connection)
        if self._gone is not None:
            self._gone.set_result(None)
            self._gone = None

    async def one_gone(self, timeout: float | None = None) -> None:
        """Wait until a connection has ended, or *timeout* seconds have."""
        if self._gone is None:
            self._gone = self.loop.create_future()
        await asyncio.wait([self._gone], timeout=timeout)  # as others may, too

    def _watch(self) -> None:
        """Let each connection check its timeouts, again and again."""
        loop = self.loop
        now = loop.time()
        for connection in tuple(self.connections):
            try:
                connection.check(now)
            except Exception:  # one connection must not end the watch over all
                logger.exception("%r could not check its timeouts", connection)
        self._sweeper = loop.call_later(self.limits.sweep, self._watch)

    def _unwatch(self) -> None:
        cast(asyncio.TimerHandle, self._sweeper).cancel()
        self._sweeper = None


class _Outcome:
    """What `hook` gives when no listener has to be waited for."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Any]:
        return self._value
        yield  # makes this a generator


def _runner(kind: type[Upgrade] | None, view: View, timeout: float | None) -> View:
    """Choose what stands before a view."""
    if kind is not None:
        return handshake(kind, view)
    return view if timeout is None else routing.bounded(view, timeout)


def _check_offer(request: Request, endpoint: Endpoint) -> None:
    """Refuse a WebSocket where there is none: its client could not use an answer."""
    if "websocket" in request.upgrade and endpoint.found and not endpoint.switches:
        raise HttpError(HTTPStatus.NOT_IMPLEMENTED)


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
