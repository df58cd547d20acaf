"""Sender: the base of the clients in memory and through a socket."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from .cookies import CookieJar
from .lifespan import Lifespan
from .message import Message, Pairs, add_params
from .redirects import Trail
from .response import ClientResponse
from .streaming import StreamedResponse, open_stream
from .waiting import patience
from .wire import Wire

if TYPE_CHECKING:
    from roll import Roll

    from .websocket import WebSocketSession


class Content(TypedDict, total=False):
    """The options for the body of a request; see `Client.request`."""

    body: Any
    json: Any
    form: Pairs | None
    files: Pairs | None
    content_type: str | None


class Options(Content, total=False):
    """The options of a request besides its path and data; see `Client.request`."""

    params: Pairs | None
    headers: Mapping[str, Any] | None
    follow_redirects: bool


class Sender(Lifespan):
    """Writes requests for an app, and follows redirects.

    Args:
        app: The app under test.
    """

    timeout = 5.0
    """Seconds for a response to be complete and, in a stream or a WebSocket, for the
    next piece or message to arrive."""

    max_redirects = 20
    """The most redirects to follow, one after the other."""

    def __init__(self, app: "Roll") -> None:
        super().__init__()
        self.app = app
        self.content_type: str | None = None
        """The type of bodies if a request does not give one.

        Without it, a body that has to be encoded becomes JSON, and other bodies have no
        type.
        """
        self.default_headers: dict[str, Any] = {}
        """Sent with every request, unless it has its own fields of the same name."""

    @property
    @abstractmethod
    def _host(self) -> str:
        """The value of the field `Host`."""

    @abstractmethod
    def _jar(self) -> CookieJar:
        """Give the cookies for one call."""

    @abstractmethod
    async def _connect(self) -> Wire:
        """Open a connection."""

    @abstractmethod
    async def _exchange(self, message: Message) -> ClientResponse:
        """Send one request on its own connection, and read the whole response."""

    def _write(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        params: Pairs | None = None,
        headers: Mapping[str, Any] | None = None,
        follow_redirects: bool = False,
        **content: Unpack[Content],
    ) -> Message:
        message = self._write_head(method, path, params, headers)
        message.follow_redirects = follow_redirects
        message.set_content(data, **content, default=self.content_type)
        return message

    def _write_head(
        self,
        method: str,
        path: str,
        params: Pairs | None,
        headers: Mapping[str, Any] | None,
        handshake: Mapping[str, Any] | None = None,
    ) -> Message:
        # Tests may send other odd targets (RFC 9112, section 3.2).
        if path[:1].isalnum() and "://" not in path and method.upper() != "CONNECT":
            raise ValueError(f"{path!r} is not a path: start it with a slash")
        message = Message(method.upper(), add_params(path, params))
        message.add_fields({"Host": self._host, **(handshake or {})})
        message.add_fields(self.default_headers)
        message.add_fields(headers or {})
        return message

    async def _ask(self, message: Message) -> ClientResponse:
        """Send a request, and follow its redirects."""
        await self.start()
        trail = Trail(message, self._jar(), self.max_redirects)
        while True:
            trail.prepare(message)
            response = await self._exchange(message)
            trail.learn(message, response)
            following = trail.follow(message, response)
            if following is None:
                response.history = trail.responses
                return response
            message = following

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        method: str = "GET",
        data: Any = None,
        **options: Unpack[Options],
    ) -> AsyncIterator[StreamedResponse]:
        """Send a request, and read its response piece by piece, in an `async with`.

        The connection is closed at the end of the block, even before the end of the
        response.

        Args:
            path: As for `request`, like all other arguments.
            method: Such as `"GET"`.
            data: The body.
            options: Other options.

        Raises:
            ConnectionError: The connection was closed before the end of the response.
            RedirectError: As for `request`.
            TimeoutError: The head, or a piece, did not arrive within `timeout` seconds.
            TypeError: As for `request`.
            ValueError: The response breaks HTTP.
        """
        message = self._write(method, path, data, **options)
        await self.start()
        trail = Trail(message, self._jar(), self.max_redirects)
        while True:
            trail.prepare(message)
            wire = await self._connect()
            async with open_stream(wire, message, patience(self.timeout)) as response:
                trail.learn(message, response)
                following = trail.follow(message, response)
                if following is None:
                    response.history = trail.responses
                    yield response
                    return
                await response.read()
            message = following

    @asynccontextmanager
    async def websocket(
        self,
        path: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, Any] | None = None,
        params: Pairs | None = None,
    ) -> AsyncIterator["WebSocketSession"]:
        """Open a WebSocket, in an `async with`, which closes it at the end.

        Args:
            path: The target, with its query.
            subprotocols: The subprotocols that the client offers, the best first.
            headers: Fields that override those of the client, such as `Origin`.
            params: Parameters to add to the query.

        Raises:
            ConnectionError: The connection was closed before the response.
            HandshakeError: The server refused; see `error.response`.
            ImportError: websockets is not installed.
            TimeoutError: The response did not arrive within `timeout` seconds, or the
                server did not close its side at the end.
        """
        try:
            from .websocket import offer, open_session
        except ImportError as error:
            raise ImportError(
                "A WebSocket session needs websockets. "
                "Run: pip install 'roll-testing[websockets]'"
            ) from error
        protocol, fields = offer(subprotocols)
        message = self._write_head("GET", path, params, headers, fields)
        await self.start()
        trail = Trail(message, self._jar(), self.max_redirects)
        trail.prepare(message)
        wire = await self._connect()
        async with open_session(
            wire, message, protocol, patience(self.timeout), trail.learn
        ) as session:
            yield session
