"""Exchange: one request of an ASGI server, and the response to it."""

import asyncio
import math
from collections.abc import AsyncIterable
from contextvars import copy_context
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from roll import HttpError, Request, Response, Roll
from roll.http11.body import CLIENT_LEFT
from roll.http11.exchange import finish, frame_error
from roll.http11.upgrade import Switch
from roll.http11.writer import Framed, frame
from roll.logs import report
from roll.response import close_body, encode_body
from roll.tasks import EAGER, is_cancelled

from .heads import fill, make_body, read_head
from .typing import Message, Receive, Scope, Send

# A server is to say nothing that a browser could guess from; see `frame`.
SERVED = b"Date: \r\n"

DROPPED = {
    *(b"connection", b"date", b"keep-alive", b"proxy-connection", b"server"),
    *(b"transfer-encoding", b"upgrade"),
}
"""Fields that the server sets."""

TURN = 2**20
"""Bytes of a stream to send before other tasks get a turn, if nothing makes it wait."""

PIECE = 4096
"""Bytes to count for each piece besides its own, as even a small one takes time."""


USUAL = 256
"""The longest head, in bytes, whose fields are cached: longer ones have cookies."""


class ClientLeftError(Exception):
    """The client has left: nothing more can be sent."""


class Exchange:
    """A request, and its connection (`roll.typing.Connection`).

    Args:
        app: The app that responds.
        scope: The scope of the request.
        receive: Gives the body, and reports when the client has left.
        send: Takes the response.
    """

    __slots__ = (
        "_ended",
        "_gone",
        "_left",
        "_reading",
        "_receive",
        "_room",
        "_scope",
        "_send",
        "_task",
        "app",
        "peer",
        "request",
        "response",
        "switch",
    )

    kind = "http.response"
    """The prefix of the types of response messages."""

    transport = None

    _room: asyncio.Event
    """Set when there is room for more data; made with `_reading`."""

    def __init__(self, app: Roll, scope: Scope, receive: Receive, send: Send) -> None:
        self.app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        client = scope.get("client")
        self.peer = tuple(client) if client else None
        self.switch: Switch | None = None
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._gone: asyncio.Future[None] | None = None
        self._left = False
        self._ended = False
        self.request: Request = app.Request(app, self)
        self.response: Response = app.Response(app, self)
        root = scope.get("root_path", "")
        if root != app.prefix and root:
            app.prefix = root
        self._fill()

    def _fill(self) -> None:
        request, scope = self.request, self._scope
        head, known = read_head(scope, scope["headers"], scope["method"])
        fill(request, scope, head, known)
        request.content = make_body(head, self, self.app.limits.buffer)

    # The connection of the request

    @property
    def remote_addr(self) -> str | None:
        """The client's address, if the server knows it."""
        return self.peer[0] or None if self.peer else None

    @property
    def local_address(self) -> Any:
        """The server's end: an address and a port, or the path of a unix socket."""
        server = self._scope.get("server")
        if server is None:
            return None
        return server[0] if server[1] is None else tuple(server)

    @property
    def secure(self) -> bool:
        """Whether the client uses TLS."""
        return self._scope.get("scheme") in ("https", "wss")

    async def disconnected(self) -> None:
        """Wait until the client is gone."""
        if self._left:
            return
        self._read_on()
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._gone)

    # Receiving

    def continue_body(self) -> None:
        """Receive the body, now that it is read."""
        self._read_on()

    def pause_body(self) -> None:
        """Do nothing: `_read` sees that the body is full."""

    def resume_body(self) -> None:
        """Continue reading."""
        self._room.set()

    def _read_on(self) -> None:
        if self._reading is None:
            self._room = asyncio.Event()
            self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        """Take messages until the client leaves, or the server fails."""
        try:
            await self._take_all()
        except Exception as error:
            report(error, "The ASGI server has failed to pass on a message")
            self._lose()

    async def _take_all(self) -> None:
        content = self.request.content
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return self._lose()
            if content is None or content.complete:
                continue
            if data := message.get("body"):
                if content.length is None:
                    content.announce(len(data))
                content.feed(data)
            if not message.get("more_body"):
                content.finish()
            while content.full:
                self._room.clear()
                await self._room.wait()

    def _lose(self) -> None:
        """Note that the client has left, and cancel the task that serves it."""
        if self._ended:
            return
        self.leave()
        if self._task is not None and not self.request.endpoint.finishes:
            self._task.cancel()

    def leave(self) -> None:
        """Note that the client has left: nothing more is sent or received."""
        self._left = True
        content = self.request.content
        if content is not None:
            content.fail(HttpError(HTTPStatus.BAD_REQUEST, CLIENT_LEFT))
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    # The task of the request

    async def run(self) -> None:
        """Serve the request, in a task and a context of its own."""
        # An exception keeps its frames: a task that they refer to would make a cycle.
        self._task = asyncio.Task(
            self._serve(),
            loop=asyncio.get_running_loop(),
            context=copy_context(),
            **EAGER,
        )
        try:
            if not self._task.done():
                self.app.keep(self._task)
                if not self.request.message.expects:
                    self._read_on()
            await self._task
        except asyncio.CancelledError:
            if not self._left or is_cancelled():
                raise
        finally:
            self._task = None
            if self._reading is not None:
                self._reading.cancel()
                await asyncio.wait([self._reading])
                self._reading = None
            self.leave()  # for tasks that still run
            del self.request, self.response  # they refer to this, too

    async def _serve(self) -> None:
        request = self.request
        try:
            await self.app.__call__(request, self.response)
            await self._write()
            self.response.complete = not self._left
        except ClientLeftError:
            self._left = True
            await close_body(self.response.body)
        except asyncio.CancelledError:
            await close_body(self.response.body)
            raise
        except Exception as error:
            report(error, "%s %s was cut short", request.method, request.url)
            raise
        finally:
            request = self.request
            if request.parent is not None or "finish" in self.app.hooks:
                finish(request, self.response)

    # Sending

    async def put(self, message: Message) -> None:
        """Send a message.

        Raises:
            ClientLeftError: The client has left.
        """
        if self._left:
            raise ClientLeftError
        try:
            await self._send(message)
        except OSError as error:
            raise ClientLeftError from error

    def _frame(self) -> bytes | Framed:
        method = self.request.sent_method
        return frame(self.response, method, extra=SERVED)

    async def _write(self) -> None:
        """Send the response."""
        await self._write_framed(await self._settle())

    async def _settle(self) -> bytes | Framed:
        """Frame the response, or a 500 in place of what cannot be sent."""
        try:
            return self._frame()
        except Exception as error:
            fields = () if self.switch is None else self.switch.fields
            for name in fields:
                self.response.headers.pop(name, None)
            return await frame_error(self.request, self.response, error, self._frame)

    async def _write_framed(self, framed: bytes | Framed) -> None:
        response = self.response
        head, body = cut(framed)
        await self.put(
            {
                "type": f"{self.kind}.start",
                "status": int(response.status),
                "headers": pairs(head),
            }
        )
        if isinstance(framed, Framed) and framed.body is not None:
            if hasattr(framed.body, "__aiter__"):
                return await self._write_stream(framed.body, framed.length)
            body = bytes(framed.body)
        response.written = len(body)
        await self._end(body)
        await close_body(response.body)

    async def _end(self, body: bytes = b"") -> None:
        self._ended = True  # a server may then report that the client has left
        await self.put({"type": f"{self.kind}.body", "body": body})

    async def _write_stream(self, body: AsyncIterable[Any], length: int | None) -> None:
        """Send the pieces of an async body as they come, and always close it."""
        self._read_on()
        response = self.response
        left = math.inf if length is None else length
        more = {"type": f"{self.kind}.body", "more_body": True}
        turn = TURN
        sent = 0
        iterator = aiter(body)
        try:
            async for piece in iterator:
                data = encode_body(piece, True)
                left -= len(data)
                if left < 0:
                    raise ValueError(f"the body is longer than its {length} bytes")
                if data:
                    await self.put({**more, "body": bytes(data)})
                sent += len(data)
                response.written = sent
                turn -= PIECE + len(data)
                if turn <= 0:
                    await asyncio.sleep(0)
                    turn = TURN
        finally:
            await close_body(iterator)
            if iterator is not body:
                await close_body(body)
        if length is not None and left:
            raise ValueError(f"the body lacks {left} of its {length} bytes")
        await self._end()


def cut(framed: bytes | Framed) -> tuple[bytes, bytes]:
    """Split a response into its head and what follows."""
    whole = framed if isinstance(framed, bytes) else framed.head
    head, _, body = whole.partition(b"\r\n\r\n")
    return head, body


def pairs(head: bytes) -> list[tuple[bytes, bytes]]:
    """Give the fields of a head as ASGI pairs, without those that the server sets."""
    return [*(_usual_pairs(head) if len(head) <= USUAL else _pairs(head))]


def _pairs(head: bytes) -> list[tuple[bytes, bytes]]:
    fields = []
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b": ")
        name = name.lower()
        if name not in DROPPED:
            fields.append((name, value))
    return fields


_usual_pairs = lru_cache(maxsize=256)(_pairs)  # heads of a route are mostly the same
