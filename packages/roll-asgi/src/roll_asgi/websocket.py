"""WebSockets of an ASGI server: messages in, messages out, frames in between."""

import asyncio
import base64
import os
import struct
from collections import deque
from typing import Any

from roll.http11.exchange import finish
from roll.http11.upgrade import Switch
from roll.http11.writer import Framed, frame
from roll.logs import report
from roll.response import close_body
from roll.tasks import EAGER
from roll.typing import Upgrade

from .exchange import SERVED, ClientLeftError, Exchange, cut, pairs
from .heads import fill, read_head
from .typing import Message

FINAL, MASKED = 0x80, 0x80
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
"""Opcodes (RFC 6455, section 5.2)."""

NO_KEY = bytes(4)
"""A masking key that changes nothing: frames in memory need no mask."""

NO_STATUS, ABNORMAL = 1005, 1006
"""The codes for a Close without a code, and for no Close at all (section 7.4.1)."""

VERSION = b"13"


class WebSocketExchange(Exchange):
    """A handshake, and the WebSocket after it."""

    __slots__ = ("_socket",)

    kind = "websocket.http.response"

    def _fill(self) -> None:
        self._socket: Socket | None = None
        scope = self._scope
        # Extensions are agreed between the server and its client.
        fields = [
            (name, value)
            for name, value in scope["headers"]
            if name.lower() != b"sec-websocket-extensions"
        ]
        given = {name.lower() for name, _ in fields}
        # HTTP/2 has no such fields (RFC 8441, section 5), and some servers drop them.
        offered = ", ".join(scope.get("subprotocols") or ()).encode()
        for name, value in (
            (b"sec-websocket-key", base64.b64encode(os.urandom(16))),
            (b"sec-websocket-version", VERSION),
            (b"sec-websocket-protocol", offered),
        ):
            if value and name not in given:
                fields.append((name, value))
        head, known = read_head(scope, fields, "GET", ("websocket",))
        head.length = 0
        fill(self.request, scope, head, known)

    async def run(self) -> None:
        """Serve the WebSocket, in a task and a context of its own."""
        message = await self._receive()
        if message["type"] == "websocket.connect":
            await super().run()

    async def _take_all(self) -> None:
        while True:
            message = await self._receive()
            socket = self._socket
            if message["type"] == "websocket.disconnect":
                if socket is None:
                    return self._lose()
                code = message.get("code") or NO_STATUS
                return socket.leave(code, message.get("reason") or "")
            if socket is not None:  # otherwise it is not a client's message
                socket.take(message)
                while socket.paused:
                    self._room.clear()
                    await self._room.wait()

    def _frame(self) -> bytes | Framed:
        if self.switch is not None and self.response.status == 101:
            return frame(self.response, extra=SERVED, switches=True)
        return super()._frame()

    async def _write(self) -> None:
        """Accept the handshake and serve the WebSocket; or refuse it."""
        framed = await self._settle()
        switch, self.switch = self.switch, None
        if switch is not None and self.response.status == 101:
            await self._accept(switch, framed)
        elif self.kind in (self._scope.get("extensions") or ()):
            await self._write_framed(framed)
        else:
            await self.put({"type": "websocket.close", "code": 1000})
            await close_body(self.response.body)

    async def _accept(self, switch: Switch, framed: bytes | Framed) -> None:
        app, protocol, response = self.app, switch.protocol, self.response
        # A message may come as soon as the server knows that we accept.
        self._socket = socket = Socket(self, protocol)
        protocol.connection_made(socket)
        own = {name.lower().encode() for name in switch.fields}
        await self.put(
            {
                "type": "websocket.accept",
                "subprotocol": response.headers.get("Sec-WebSocket-Protocol"),
                "headers": [
                    field for field in pairs(cut(framed)[0]) if field[0] not in own
                ],
            }
        )
        response.complete = True
        finish(self.request, response)
        app.connections.add(protocol)
        try:
            await protocol.run(switch.view, switch.variables)
        finally:
            socket.close()
            app.lifecycle.forget(protocol)
            await socket.flush()
            self.leave()
            self._socket = None


class Socket(asyncio.Transport):
    """The transport of a WebSocket in memory: it turns frames into messages, and back.

    Args:
        exchange: Sends the messages.
        protocol: Gets the frames.
    """

    def __init__(self, exchange: WebSocketExchange, protocol: Upgrade) -> None:
        names = {"peername": exchange.peer, "sockname": exchange.local_address}
        super().__init__(names)
        self.paused = False
        """Whether the view is slow to receive."""
        self._exchange = exchange
        self._protocol: Any = protocol
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[Message, int]] = deque()
        self._size = 0
        self._limit = 2**16
        self._sender: asyncio.Task[None] | None = None
        self._waits = False  # whether the view waits for the client
        self._pieces: list[bytes] = []  # of a message that is not complete
        self._text = False
        self._closing = False

    # Receiving

    def take(self, message: Message) -> None:
        """Give the protocol a message of the client."""
        text = message.get("text")
        if text is None:
            self._feed(BINARY, message["bytes"])
        else:
            self._feed(TEXT, text.encode())

    def leave(self, code: int, reason: str) -> None:
        """Tell the protocol how the client has left."""
        self._exchange.leave()
        if code == NO_STATUS:
            self._feed(CLOSE, b"")
        elif code != ABNORMAL:
            self._feed(CLOSE, code.to_bytes(2, "big") + reason.encode())
        self.close()

    def _feed(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = bytes((FINAL | opcode, MASKED | size))
        elif size < 2**16:
            head = struct.pack("!BBH", FINAL | opcode, MASKED | 126, size)
        else:
            head = struct.pack("!BBQ", FINAL | opcode, MASKED | 127, size)
        if not self._closing:
            self._protocol.data_received(b"".join((head, NO_KEY, payload)))

    def pause_reading(self) -> None:
        """Receive no more for now."""
        self.paused = True

    def resume_reading(self) -> None:
        """Receive again."""
        self.paused = False
        self._exchange.resume_body()

    # Sending

    def write(self, data: Any) -> None:
        """Take frames of the protocol, which are not masked."""
        position = 0
        while position < len(data):
            first, size = data[position], data[position + 1]
            start = position + 2
            if size >= 126:
                end = start + (2 if size == 126 else 8)
                size = int.from_bytes(data[start:end], "big")
                start = end
            position = start + size
            self._take_frame(first, data[start:position])

    def _take_frame(self, first: int, payload: bytes) -> None:
        opcode = first & 0xF
        if opcode in (PING, CLOSE):
            answer = PONG if opcode == PING else CLOSE
            self._loop.call_soon(self._feed, answer, payload)
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else 1000
            reason = payload[2:].decode()
            self._send({"type": "websocket.close", "code": code, "reason": reason}, 0)
        elif opcode <= BINARY:
            self._add(opcode, payload, first >= FINAL)

    def _add(self, opcode: int, payload: bytes, final: bool) -> None:
        """Add to a message; send it when it is complete: ASGI has no fragments."""
        if opcode:
            self._text = opcode == TEXT
        if self._pieces or not final:
            self._pieces.append(payload)
            payload = b"".join(self._pieces)
        if final:
            self._pieces = []
            content: Message = (
                {"text": payload.decode()} if self._text else {"bytes": payload}
            )
            self._send({"type": "websocket.send", **content}, len(payload))

    def _send(self, message: Message, size: int) -> None:
        self._queue.append((message, size))
        self._size += size
        if self._sender is None or self._sender.done():
            self._sender = asyncio.Task(self._send_all(), loop=self._loop, **EAGER)
        if self._size > self._limit and not self._waits:
            self._waits = True
            self._protocol.pause_writing()

    async def _send_all(self) -> None:
        try:
            while self._queue:
                message, size = self._queue[0]
                await self._exchange.put(message)
                self._queue.popleft()
                self._size -= size
                if self._waits and self._size <= self._limit:
                    self._waits = False
                    self._protocol.resume_writing()
        except ClientLeftError:
            self.leave(ABNORMAL, "")
        except Exception as error:
            report(error, "WebSocket %s", self._exchange.request.url)
            self.leave(ABNORMAL, "")

    async def flush(self) -> None:
        """Wait until all is sent."""
        if self._sender is not None:
            await asyncio.wait([self._sender])

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Set how many bytes may be unsent before the view has to wait."""
        self._limit = high or self._limit

    def get_write_buffer_size(self) -> int:
        """Count the bytes that are not sent yet."""
        return self._size

    def can_write_eof(self) -> bool:
        """Tell that one side cannot be closed alone."""
        return False

    # The end

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self._closing

    def close(self) -> None:
        """End it."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """End it without sending the rest."""
        if self._sender is not None:
            self._sender.cancel()
        self.close()
