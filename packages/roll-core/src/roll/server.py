"""Server: its sockets, accepting and stopping; the only serving loop."""

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
"""Connections accepted in a row before the loop continues."""

HANDSHAKE = 0.25
"""Seconds for TLS handshakes that are running when a Server stops."""

KEPT = 2**20
"""The size of a block that makes the system's allocator keep memory, in bytes."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Server:
    """Serve an app on bound sockets.

    While `Limits.connections` are open, or the process has no file descriptors left, it
    accepts no connections: new clients wait in the system's backlog.

    Args:
        app: The app to serve.
        sockets: Bound stream sockets; `stop()` closes them.
        ssl: A context for TLS, None for plain HTTP.
    """

    # The servers of asyncio cannot pause, and closing one drops connections that it is
    # about to make. So we accept ourselves, and leave the rest to the loop.

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
        """The tasks that set up accepted connections; TLS takes time."""
        self._reported = False
        self._ticker: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start the app, then accept connections."""
        self.app.addresses += [sock.getsockname() for sock in self.sockets]
        await self.app.startup()
        self._tick()
        # glibc returns free memory above twice the largest block freed so far. Without
        # one of this size, reads of 256 KiB make the system map pages repeatedly: an
        # upload takes a third longer.
        bytes(KEPT)
        loop = asyncio.get_running_loop()
        for sock in self.sockets:
            sock.setblocking(False)
        for sock in self.sockets:
            sock.listen(self.app.limits.backlog)
            self._acceptors.append(asyncio.Task(self._accept(sock), loop=loop, **EAGER))

    async def stop(self, replaced: bool = False) -> None:
        """Stop accepting, let running requests end, and shut the app down.

        Args:
            replaced: Whether another server continues with the same sockets, and gets
                the clients that wait to be accepted. Otherwise they are accepted and
                served.
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
        """Accept waiting clients: closing the sockets would reset them."""
        for sock in self.sockets:
            with suppress(OSError):  # such as when none is left
                while not self._is_full():
                    self._make(*sock.accept())

    async def _open_the_last(self) -> None:
        """Wait for accepted connections: their clients may have sent a request."""
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
        """Accept connections on a socket while there is room."""
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
                # Otherwise a connection was lost before it was accepted.

    async def _wait_for_client(self, sock: socket.socket) -> None:
        """Wait for a client; if it were accepted here, `stop` might lose it."""
        loop = asyncio.get_running_loop()
        come = asyncio.Event()
        try:
            loop.add_reader(sock, come.set)
        except NotImplementedError:  # the proactor loop of Windows has no readers
            self._make(*await loop.sock_accept(sock))
            return
        try:
            await come.wait()
        finally:
            loop.remove_reader(sock)

    def _make(self, sock: socket.socket, address: Any) -> None:
        """Set up the connection of an accepted socket."""
        loop = asyncio.get_running_loop()
        task = asyncio.Task(self._connect(sock, address), loop=loop, **EAGER)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _is_full(self) -> bool:
        most = self.app.limits.connections
        return len(self.app.connections) + len(self._opening) >= most

    async def _wait_for_room(self) -> None:
        """Wait until another connection is allowed."""
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
        except OSError as error:  # for example after a failed handshake
            logger.debug("A connection of %s was not made: %r", address, error)
            connection.close()

    def _report(self, reason: str) -> None:
        if not self._reported:
            self._reported = True
            logger.warning("%s: accepting pauses, whenever it is so", reason)
