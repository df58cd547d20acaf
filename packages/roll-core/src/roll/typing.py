"""Names for the shapes that applications and extensions hand to Roll."""

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
"""Raises TypeError or ValueError for a value that an extra of a route cannot have."""


class Connection(Protocol):
    """What a request and a response ask of the connection that they belong to."""

    peer: Any
    """The client's address, as the socket gives it."""
    transport: Any
    """The `asyncio.Transport`, also once it is lost."""
    request: Any
    """The message being served; where it was handed to another app, as that has it."""
    response: Any
    """The response to it, which will be sent."""
    switch: Any
    """What takes over once a 101 is written; None for a usual response."""

    @property
    def remote_addr(self) -> str | None:
        """The client's address; None on a unix socket."""

    @property
    def local_address(self) -> Any:
        """The server's end, as its socket names it; None without a transport."""

    @property
    def secure(self) -> bool:
        """Whether the connection has TLS."""

    async def disconnected(self) -> None:
        """Wait until the client is gone."""


class App(Protocol):
    """What requests, responses and connections ask of their app; `Roll` is one.

    The classes are the parts that a subclass of `Roll` may override.
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
    """The type of a body for which a view sets none; None for none."""
    limits: ClassVar[Any]
    """What one client may do: a `roll.Limits`."""
    router: Any
    """Declares the routes, and looks them up: a `roll.router.Router`."""
    lifecycle: Any
    """The connections and tasks: a `roll.lifecycle.Lifecycle`."""
    connections: Any
    """The set of open connections."""
    hooks: dict[str, tuple[Listener, ...]]
    """The listeners of each event, in the order in which they run."""
    date: bytes
    """Lines that end every head: `Date` and `Server`, while a Server runs."""

    @property
    def closing(self) -> "asyncio.Event":
        """Set when the app starts to shut down."""

    @property
    def loop(self) -> "asyncio.AbstractEventLoop":
        """The loop that the app serves in."""

    def json_encode(self, value: Any, /) -> bytes:
        """Write what `response.json` is set to."""

    def json_decode(self, body: bytes, /) -> Any:
        """Read a body for `request.json`."""

    def hook(self, name: str, /, *arguments: Any, **keywords: Any) -> Awaitable[Any]:
        """Run the listeners of an event."""

    def keep(
        self, task: "asyncio.Future[Any] | Coroutine[Any, Any, Any]"
    ) -> "asyncio.Future[Any]":
        """Hold on to a task until it is done; the shutdown waits for it."""

    async def __call__(self, request: Any, response: Any) -> Any:
        """Run one request; give the response that is to be sent."""

    async def answer_error(
        self, request: Any, response: Any, error: BaseException
    ) -> None:
        """Make an error the response, and tell the `error` listeners."""

    # The dict of the application's own things

    def __contains__(self, key: object, /) -> bool: ...

    def __getitem__(self, key: str, /) -> Any: ...

    def __setitem__(self, key: str, value: Any, /) -> None: ...

    def get(self, key: str, default: Any = None, /) -> Any:
        """Give what is kept under *key*."""

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """Give what is kept under *key*; keep *default* if it is nothing."""


class Upgrade(Protocol):
    """A protocol that takes a connection over after a 101 (RFC 9110, section 7.8).

    Making one fills the 101's headers, or raises HttpError to refuse the handshake.

    A class may have a classmethod `check_extras(extras)`, too: it is given the extras
    of each route of the protocol when it is declared, and raises TypeError or
    ValueError when one of them is wrong; `EXTRAS`, the names of those it reads; and
    `PARAMETER`, the usual name of what its views get beside the request.
    """

    TOKEN: ClassVar[str]
    """What `Upgrade` must name, in lower case."""
    ALLOWED_METHODS: ClassVar[tuple[str, ...]]
    """The methods that a handshake may use."""

    def __init__(self, request: Any, response: Any) -> None:
        """Check the handshake and fill the 101's headers."""

    def connection_made(self, transport: "asyncio.BaseTransport") -> None:
        """Take the transport; the 101 is already written."""

    def data_received(self, data: bytes) -> None:
        """Take bytes, first those that came together with the handshake."""

    async def run(self, view: View, variables: dict[str, Any]) -> None:
        """Serve the connection until it ends."""

    def stop(self) -> None:
        """End soon: the app shuts down."""

    def check(self, now: float) -> None:
        """Called at each sweep; *now* is the loop's time, in seconds."""
