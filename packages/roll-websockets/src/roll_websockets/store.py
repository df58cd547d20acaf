"""websockets_store: the open WebSockets of an app, and named groups of them."""

import asyncio
from collections.abc import Iterable, Iterator
from weakref import WeakValueDictionary

from roll import Request, Roll
from roll.plugins import require_app

from .frames import BINARY, TEXT, serialize
from .protocol import Message, WSProtocol, encode


async def broadcast(sockets: Iterable[WSProtocol], message: Message) -> None:
    """Send a message to many WebSockets, serialised only once.

    It is written at once to clients that keep up. This waits for the others together,
    at most the `TIMEOUT` of their class; then clients that are still behind are
    disconnected.

    Raises:
        TypeError: The message is neither text nor bytes.
    """
    text, data = encode(message)
    frame = serialize(TEXT if text else BINARY, data)
    slow = [ws for ws in [*sockets] if not ws.offer(text, data, frame)]
    if not slow:
        return

    async def wait(ws: WSProtocol) -> None:
        try:
            async with asyncio.timeout(ws.TIMEOUT):
                while not ws.offer(text, data, frame):
                    await ws.ready()
        except TimeoutError:
            ws.abort()

    await asyncio.gather(*map(wait, slow))


async def close(
    sockets: Iterable[WSProtocol], code: int = 1000, reason: str = ""
) -> None:
    """Close many WebSockets at once, and wait until all have ended, at most `TIMEOUT`.

    Raises:
        ValueError: As for `WSProtocol.close`.
    """
    closing = [*sockets]
    for ws in closing:
        ws.start_close(code, reason)
    for ws in closing:
        await ws.wait_closed()


class Group:
    """Open WebSockets, such as those of a user; each leaves it when it ends.

    Args:
        store: The store of all open WebSockets.
    """

    __slots__ = ("__weakref__", "_members", "_store")

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._members: set[WSProtocol] = set()

    def add(self, ws: WSProtocol) -> None:
        """Add a WebSocket, unless it has ended."""
        if ws in self._store:
            self._members.add(ws)
            self._store.join(ws, self)

    def discard(self, ws: WSProtocol) -> None:
        """Remove a WebSocket, if it is in the group."""
        self._members.discard(ws)

    def __iter__(self) -> Iterator[WSProtocol]:
        return iter([*self._members])

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, ws: object) -> bool:
        return ws in self._members

    async def broadcast(self, message: Message) -> None:
        """Send a message to all; see `broadcast`."""
        await broadcast(self._members, message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close all; see `close`."""
        await close(self._members, code, reason)


class Store(set[WSProtocol]):
    """The open WebSockets of an app."""

    def __init__(self) -> None:
        super().__init__()
        # A group lives while it has members, or something refers to it.
        self._groups: WeakValueDictionary[str, Group] = WeakValueDictionary()
        self._joined: dict[WSProtocol, list[Group]] = {}

    def group(self, name: str) -> Group:
        """Give the group of a name, which is made if needed."""
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(self)
        return group

    def join(self, ws: WSProtocol, group: Group) -> None:
        """Note that a WebSocket is in a group."""
        groups = self._joined.setdefault(ws, [])
        if group not in groups:
            groups.append(group)

    def forget(self, ws: WSProtocol) -> None:
        """Remove a WebSocket that has ended, also from its groups."""
        self.discard(ws)
        for group in self._joined.pop(ws, ()):
            group.discard(ws)

    async def broadcast(self, message: Message) -> None:
        """Send a message to all; see `broadcast`."""
        await broadcast(self, message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close all; see `close`."""
        await close(self, code, reason)


def websockets_store(app: Roll) -> None:
    """Keep the open WebSockets of *app* in `app["websockets"]`, a `Store`.

    Raises:
        ValueError: It has one already.
    """
    require_app("websockets_store", app)
    if "websockets" in app:
        raise ValueError('app["websockets"] is taken: call websockets_store once')
    store = app["websockets"] = Store()

    @app.listen("websocket_connect")
    async def keep_websocket(request: Request, ws: WSProtocol) -> None:
        store.add(ws)

    @app.listen("websocket_disconnect")
    async def forget_websocket(request: Request, ws: WSProtocol) -> None:
        store.forget(ws)
