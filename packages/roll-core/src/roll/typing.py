"""Types of what applications and extensions pass to Roll."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import asyncio

View = Callable[..., Awaitable[None]]
"""`async def view(request, response, **route_vars)`."""

Listener = Callable[..., Any]
"""A plain or coroutine function; its arguments depend on the event."""

Extension = Callable[..., Any]
"""`extension(app, **options)`, called once while the app is built."""

Check = Callable[[Any], object]
"""Raises TypeError or ValueError for an invalid value of a route's extra."""


class Connection(Protocol):
    """The interface of a connection for its requests and responses."""

    peer: Any
    """The client's address, as given by the socket."""
    transport: Any
    """The `asyncio.Transport`, also once it is lost."""
    request: Any
    """The message being served; if it was passed to another app, the request there."""
    response: Any
    """The response that will be sent."""
    switch: Any
    """The protocol that takes over once a 101 is written, or None."""

    @property
    def remote_addr(self) -> str | None:
        """The client's address; None on a unix socket."""

    @property
    def local_address(self) -> Any:
        """The address of the server's socket; None without a transport."""

    @property
    def secure(self) -> bool:
        """Whether the connection has TLS."""

    async def disconnected(self) -> None:
        """Wait until the client is gone."""


class App(Protocol):
    """The interface of an app for requests, responses and connections; `Roll` is one.

    The classes are parts that a subclass of `Roll` may override.
    """

    Cookies: ClassVar[type[Any]]
    Files: ClassVar[type[Any]]
    Form: ClassVar[type[Any]]
    Multipart: ClassVar[type[Any]]
    Query: ClassVar[type[Any]]
    Request: ClassVar[type[Any]]
    Response: ClassVar[type[Any]]
    Route: ClassVar[type[Any]]
    default_content_type: ClassVar[str | None]
    """The type of a body for which a view sets none, or None."""
    limits: ClassVar[Any]
    """The limits of a client: a `roll.Limits`."""
    router: Any
    """Declares the routes, and looks them up: a `roll.router.Router`."""
    lifecycle: Any
    """The connections and tasks: a `roll.lifecycle.Lifecycle`."""
    connections: Any
    """The open connections, a set."""
    hooks: dict[str, tuple[Listener, ...]]
    """The listeners of each event, in the order in which they run."""
    date: bytes
    """The lines at the end of every head: `Date` and `Server`, while a Server runs."""

    @property
    def closing(self) -> "asyncio.Event":
        """Set when the app starts to shut down."""

    @property
    def loop(self) -> "asyncio.AbstractEventLoop":
        """The loop in which the app runs."""

    def json_encode(self, value: Any, /) -> bytes:
        """Write the value that `response.json` is set to."""

    def json_decode(self, body: bytes, /) -> Any:
        """Read a body for `request.json`."""

    def hook(self, name: str, /, *arguments: Any, **keywords: Any) -> Awaitable[Any]:
        """Run the listeners of an event."""

    def keep(
        self, task: "asyncio.Future[Any] | Coroutine[Any, Any, Any]"
    ) -> "asyncio.Future[Any]":
        """Keep a task until it is done; the shutdown waits for it."""

    async def __call__(self, request: Any, response: Any) -> Any:
        """Serve one request; give the response to send."""

    async def answer_error(
        self, request: Any, response: Any, error: BaseException
    ) -> None:
        """Turn an error into the response, and run the `error` listeners."""

    # The dict of the application's data

    def __contains__(self, key: object, /) -> bool: ...

    def __getitem__(self, key: str, /) -> Any: ...

    def __setitem__(self, key: str, value: Any, /) -> None: ...

    def get(self, key: str, default: Any = None, /) -> Any:
        """Give the value of *key*."""

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """Give the value of *key*; set it to *default* if there is none."""


class Upgrade(Protocol):
    """A protocol that takes over a connection after a 101 (RFC 9110, section 7.8).

    Creating one sets the headers of the 101, or raises HttpError to reject the
    handshake. A class may also have: a classmethod `check_extras(extras)`, which gets
    the extras of each route of the protocol when it is declared, and raises TypeError
    or ValueError if one is wrong; `EXTRAS`, the names of those that it reads; and
    `PARAMETER`, the usual name of the argument that its views get besides the request.
    """

    TOKEN: ClassVar[str]
    """Its name in the `Upgrade` field, in lower case."""
    ALLOWED_METHODS: ClassVar[tuple[str, ...]]
    """The methods that a handshake may have."""

    def __init__(self, request: Any, response: Any) -> None:
        """Check the handshake and set the headers of the 101."""

    def connection_made(self, transport: "asyncio.BaseTransport") -> None:
        """Receive the transport; the 101 is already written."""

    def data_received(self, data: bytes) -> None:
        """Receive bytes, first those that came with the handshake."""

    async def run(self, view: View, variables: dict[str, Any]) -> None:
        """Serve the connection until it ends."""

    def stop(self) -> None:
        """End soon: the app is shutting down."""

    def check(self, now: float) -> None:
        """Called at each sweep; *now* is the loop's time, in seconds."""
