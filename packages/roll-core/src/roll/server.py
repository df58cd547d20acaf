"""Server: sockets, accepting and stopping; the only serving loop."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .http11 import tls, writer
from .http11.connection import HttpProtocol
from .logs import logger
from .tasks import EAGER

if TYPE_CHECKING:
    from .app import Roll

BATCH = 16
"""Connections accepted in a row, before others have their turn."""

HANDSHAKE = 0.25
"""Seconds for the handshakes of TLS that run when a Server stops."""

KEPT = 2**20
"""Bytes of the block by which the system's allocator learns to keep memory."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Server:
    """Serve an app on bound sockets.

    While `Limits.connections` are open, or the process has no descriptors left, it
    accepts no connections: new clients wait in the system's backlog.

    Args:
        app: The app that answers.
        sockets: Bound stream sockets; they are closed by `stop()`.
        ssl: A context for TLS, None for plain HTTP.
    """

    # asyncio's own servers cannot pause, and one that is closed takes connections that
    # it is about to make along. So we accept ourselves, and leave the rest to the loop.

    def __init__(
        self,
        app: "Roll",
        sockets: Iterable[socket.socket],
        ssl: ssl.SSLContext | None = None,
    ) -> None:
        self.app = app
        self.sockets = list(sockets)
        self._ssl = ssl
        if ssl is not None:
            tls.prepare(ssl)
        self._acceptors: list[asyncio.Task[None]] = []
        self._opening: set[asyncio.Task[None]] = set()
        """What makes connections that are accepted; TLS takes its time."""
        self._reported = False
        self._ticker: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start the app, then accept connections."""
        self.app.addresses += [sock.getsockname() for sock in self.sockets]
        await self.app.startup()
        self._tick()
        # glibc gives memory back, page by page, above twice the largest block that was
        # freed so far. Without one as large as this, reads of 256 KiB have the system
        # map pages again and again: an upload takes a third longer.
        bytes(KEPT)
        loop = asyncio.get_running_loop()
        for sock in self.sockets:
            sock.setblocking(False)
        for sock in self.sockets:
            sock.listen(self.app.limits.backlog)
            self._acceptors.append(asyncio.Task(self._accept(sock), loop=loop, **EAGER))

    async def stop(self, replaced: bool = False) -> None:
        """Stop accepting, let the app end its requests and shut it down.

        Args:
            replaced: Whether another server goes on with the same sockets. It gets the
                clients that wait to be accepted; otherwise they are accepted, and
                answered.
        """
        for task in self._acceptors:
            task.cancel()
        if self._acceptors:
            await asyncio.wait(self._acceptors)
            self._acceptors.clear()
            if not replaced:
                self._accept_the_last()
        for sock in self.sockets:
            sock.close()
        if self._opening:
            await self._open_the_last()
        try:
            await self.app.shutdown()
        finally:
            if self._ticker is not None:
                self._ticker.cancel()
                self._ticker = None
            self.app.date = b""
            self.app.addresses = []

    def _accept_the_last(self) -> None:
        """Accept who is connected: the system resets them when the sockets close."""
        for sock in self.sockets:
            with suppress(OSError):  # as when nobody is left
                while not self._is_full():
                    self._make(*sock.accept())

    async def _open_the_last(self) -> None:
        """Wait for what was accepted: a client that is connected has maybe asked."""
        patience = None if self._ssl is None else HANDSHAKE
        _, late = await asyncio.wait(self._opening, timeout=patience)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _tick(self) -> None:
        """Write `Date` once a second instead of for each response (RFC 9110, 6.6.1)."""
        lines = {"Date": formatdate(usegmt=True)}
        if self.app.server_header is not None:
            lines["Server"] = self.app.server_header
        self.app.date, *_ = writer.fields(HTTPStatus.OK, lines)
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(1.0, self._tick)

    # Accepting

    async def _accept(self, sock: socket.socket) -> None:
        """Accept connections on a socket, as long as there is room for them."""
        while True:
            await self._wait_for_room()
            try:
                await self._wait_for_client(sock)
                for _ in range(BATCH):
                    if self._is_full():
                        break
                    self._make(*sock.accept())
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._report(f"No connection can be accepted: {error.strerror}")
                    await self.app.lifecycle.one_gone(timeout=1)
                # Else a connection was lost before it was accepted.

    async def _wait_for_client(self, sock: socket.socket) -> None:
        """Wait until a client has come; to accept it here, `stop` might lose it."""
        loop = asyncio.get_running_loop()
        come = asyncio.Event()
        try:
            loop.add_reader(sock, come.set)
        except NotImplementedError:  # Windows' proactor loop has no readers
            self._make(*await loop.sock_accept(sock))
            return
        try:
            await come.wait()
        finally:
            loop.remove_reader(sock)

    def _make(self, sock: socket.socket, address: Any) -> None:
        """Make a connection of a socket that was accepted."""
        loop = asyncio.get_running_loop()
        task = asyncio.Task(self._connect(sock, address), loop=loop, **EAGER)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _is_full(self) -> bool:
        most = self.app.limits.connections
        return len(self.app.connections) + len(self._opening) >= most

    async def _wait_for_room(self) -> None:
        """Wait until one connection more is allowed."""
        most = self.app.limits.connections
        while self._is_full():
            if len(self.app.connections) >= most:
                self._report(f"{most} connections are open (Limits.connections)")
                await self.app.lifecycle.one_gone()
            else:
                await asyncio.wait(self._opening, return_when=asyncio.FIRST_COMPLETED)

    async def _connect(self, connection: socket.socket, address: Any) -> None:
        def make_protocol() -> HttpProtocol:
            protocol = self.app.factory()
            protocol.peer = address
            return protocol

        timeout = self.app.limits.head_timeout if self._ssl else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                make_protocol,
                connection,
                ssl=self._ssl,
                ssl_handshake_timeout=timeout,
            )
        except OSError as error:  # for example a handshake failed
            logger.debug("A connection of %s was not made: %r", address, error)
            connection.close()

    def _report(self, reason: str) -> None:
        if not self._reported:
            self._reported = True
            logger.warning("%s: accepting pauses, whenever it is so", reason)
