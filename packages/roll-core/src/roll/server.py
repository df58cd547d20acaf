"""Server: sockets, accepting and stopping; the only serving loop."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import Roll


class Server:
    """Serve an app on sockets that are bound already.

    Args:
        app: The app that answers.
        sockets: Bound stream sockets; they are closed by `stop()`.
        ssl: A context for TLS, None for plain HTTP.
    """

    def __init__(
        self,
        app: "Roll",
        sockets: Iterable[socket.socket],
        ssl: ssl.SSLContext | None = None,
    ) -> None:
        self.app = app
        self.sockets = list(sockets)
        self._ssl = ssl
        self._servers: list[asyncio.Server] = []
        self._ticker: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start the app up, then accept connections."""
        await self.app.startup()
        self._tick()
        loop = asyncio.get_running_loop()
        for sock in self.sockets:
            server = await loop.create_server(
                self.app.factory,
                sock=sock,
                ssl=self._ssl,
                backlog=self.app.limits.backlog,
            )
            self._servers.append(server)

    async def stop(self) -> None:
        """Stop accepting, let the app end its requests and shut it down."""
        # Never Server.wait_closed(): from Python 3.12 on it waits for connections,
        # which the app ends by itself and within a time.
        for server in self._servers:
            server.close()
        self._servers.clear()
        for sock in self.sockets:  # those that were never listened to are open still
            sock.close()
        await self.app.shutdown()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        self.app.date = ""

    def _tick(self) -> None:
        """Write `Date` once a second instead of for each answer (RFC 9110, 6.6.1)."""
        app = self.app
        app.date = f"Date: {formatdate(usegmt=True)}\r\n"
        if app.server_header is not None:
            app.date += f"Server: {app.server_header}\r\n"
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(1.0, self._tick)
