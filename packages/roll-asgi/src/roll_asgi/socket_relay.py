"""SocketRelay: one WebSocket for a mounted ASGI application."""

import asyncio
from http import HTTPStatus
from typing import Any

from roll import HttpError, Request, Response
from roll.http11.upgrade import Switch

from .relay import GONE, Relay, is_of_the_end
from .typing import Message

ANY = "*"
"""In `origins`, it allows all of them."""

ABNORMAL = 1006
"""The code of a WebSocket that has ended without a Close (RFC 6455, section 7.4.1)."""


class SocketRelay(Relay):
    """Passes a WebSocket to the application, and takes what it sends.

    Args:
        request: The handshake.
        timeout: Seconds for the application to return after the client has left.
    """

    kind = "websocket.http.response"

    def __init__(self, request: Request, timeout: float) -> None:
        super().__init__(request, timeout)
        self._connected = False
        self._accepted: Message | None = None
        self._refused = False
        self._ws: Any = None
        self._open = asyncio.Event()  # or it never will be
        self._returned = asyncio.Event()

    def fill(self, response: Response) -> None:
        """Set the response to the handshake.

        Raises:
            HttpError: 403, when the application closes instead of accepting.
        """
        if self._refused:
            raise HttpError(HTTPStatus.FORBIDDEN)
        if self._accepted is None:
            return super().fill(response)
        request, accepted = self._request, self._accepted
        app: Any = request.app
        before = set(response.headers)
        self._set_fields(response, accepted)
        subprotocol = accepted.get("subprotocol")
        extras = {"origins": ANY, "subprotocols": [subprotocol] if subprotocol else []}
        protocol = app.WebsocketProtocol(request, response, extras)
        response.status = HTTPStatus.SWITCHING_PROTOCOLS
        fields = tuple(name for name in response.headers if name not in before)
        connection: Any = request.protocol
        connection.switch = Switch(protocol, self._serve, {}, fields)
        # A listener may still refuse it.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timeout, self.leave)

    async def _serve(self, request: Request, ws: Any) -> None:
        """Let the application continue, once the WebSocket is open."""
        timer: Any = self._timer
        timer.cancel()
        self._ws = ws
        self._open.set()
        try:
            await self._returned.wait()
            self._take_result()
        except Exception as error:
            if not (ws.closed and is_of_the_end(error)):
                raise
        finally:
            self.leave()

    def _end(self, task: "asyncio.Task[None]") -> None:
        super()._end(task)
        self._returned.set()

    def leave(self) -> None:
        """Note that the client has left; the application may go on for a while."""
        super().leave()
        self._open.set()

    @property
    def _is_decided(self) -> bool:
        return self._refused or self._accepted is not None or super()._is_decided

    async def receive(self) -> Message:
        """Wait for the next message, or for the end."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await self._open.wait()
        ws = self._ws
        message = None if ws is None else await anext(ws, None)
        if message is None:
            code = ABNORMAL if ws is None else ws.close_code
            reason = "" if ws is None else ws.close_reason
            return {"type": "websocket.disconnect", "code": code, "reason": reason}
        kind = "text" if isinstance(message, str) else "bytes"
        return {"type": "websocket.receive", kind: message}

    async def send(self, message: Message) -> None:
        """Take what the application sends, and wait while the client is slow.

        Raises:
            OSError: The client has left.
            RuntimeError: The message is unexpected.
        """
        kind, ws = message["type"], self._ws
        undecided = not (self._is_decided or self._left)
        if kind == "websocket.send" and ws is not None:
            await self._deliver(message)
        elif kind == "websocket.close" and ws is not None:
            ws.start_close(message.get("code") or 1000, message.get("reason") or "")
        elif kind == "websocket.accept" and undecided:
            self._accepted = message
            self._news.set()
            await self._open.wait()
            if self._ws is None:
                raise ConnectionError(GONE)
        elif kind == "websocket.close" and undecided:
            self._refused = True
            self._news.set()
            self._over.set()
        else:
            await super().send(message)
        if self._over.is_set():
            self._open.set()  # it never will be

    async def _deliver(self, message: Message) -> None:
        ws, text = self._ws, message.get("text")
        try:
            await ws.send(message["bytes"] if text is None else text)
        except Exception as error:
            if ws.closed:
                raise ConnectionError(GONE) from error
            raise
