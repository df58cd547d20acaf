"""Names for the shapes that applications and extensions hand to Roll."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import asyncio

    from .request import Request
    from .response import Response

View = Callable[..., Awaitable[Any]]
"""`async def view(request, response, **route_vars)`."""

Listener = Callable[..., Any]
"""A plain or coroutine function; its arguments depend on the event."""

Extension = Callable[..., Any]
"""`extension(app, **options)`, called once while the app is built."""


class Upgrade(Protocol):
    """A protocol that takes a connection over after a 101 (RFC 9110, section 7.8).

    Making one fills the 101's headers, or raises HttpError to refuse the handshake.

    A class may have a classmethod `check_extras(extras)`, too: it is given the extras
    of each route of the protocol when it is declared, and raises TypeError or
    ValueError when one of them is wrong.
    """

    TOKEN: ClassVar[str]
    """What `Upgrade` must name, in lower case."""
    ALLOWED_METHODS: ClassVar[tuple[str, ...]]
    """The methods that a handshake may use."""

    def __init__(self, request: "Request", response: "Response") -> None:
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
