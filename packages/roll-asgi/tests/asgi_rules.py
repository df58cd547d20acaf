"""The rules of ASGI 3.0 (HTTP and WebSocket 2.5, lifespan 2.0), as a state machine.

`checked(application)` is an application that raises where a message of either side
breaks one. Written from the specification; asgiref.typing has the names of the keys.
"""

import asyncio
from collections.abc import Iterable
from typing import get_type_hints

from asgiref import typing as asgi

broken = []
"""What was broken, as what an application raises may be handled."""

INCOMING = {
    "http.request": asgi.HTTPRequestEvent,
    "http.disconnect": asgi.HTTPDisconnectEvent,
    "websocket.connect": asgi.WebSocketConnectEvent,
    "websocket.receive": asgi.WebSocketReceiveEvent,
    "websocket.disconnect": asgi.WebSocketDisconnectEvent,
    "lifespan.startup": asgi.LifespanStartupEvent,
    "lifespan.shutdown": asgi.LifespanShutdownEvent,
}
OUTGOING = {
    "http.response.start": asgi.HTTPResponseStartEvent,
    "http.response.body": asgi.HTTPResponseBodyEvent,
    "websocket.accept": asgi.WebSocketAcceptEvent,
    "websocket.send": asgi.WebSocketSendEvent,
    "websocket.close": asgi.WebSocketCloseEvent,
    "websocket.http.response.start": asgi.WebSocketResponseStartEvent,
    "websocket.http.response.body": asgi.WebSocketResponseBodyEvent,
    "lifespan.startup.complete": asgi.LifespanStartupCompleteEvent,
    "lifespan.startup.failed": asgi.LifespanStartupFailedEvent,
    "lifespan.shutdown.complete": asgi.LifespanShutdownCompleteEvent,
    "lifespan.shutdown.failed": asgi.LifespanShutdownFailedEvent,
}
SCOPES = {
    "http": asgi.HTTPScope,
    "websocket": asgi.WebSocketScope,
    "lifespan": asgi.LifespanScope,
}

# What may come, and what may be sent, in each state, and the state after it.
# `+` marks a message with a true `more_body`.
INWARDS = {
    "http": {
        "new": {"http.request+": "new", "http.request": "read"},
        "read": {"http.disconnect": "gone"},
        "gone": {"http.disconnect": "gone"},
    },
    "websocket": {
        "new": {"websocket.connect": "connected"},
        "connected": {"websocket.disconnect": "gone", "websocket.receive": "connected"},
        "gone": {"websocket.disconnect": "gone"},
    },
    "lifespan": {
        "new": {"lifespan.startup": "started"},
        "started": {"lifespan.shutdown": "ended"},
        "ended": {},
    },
}
INWARDS["http"]["new"]["http.disconnect"] = "gone"
BODY = {"http.response.body+": "started", "http.response.body": "complete"}
REFUSAL = {
    "websocket.http.response.body+": "refusing",
    "websocket.http.response.body": "closed",
}
OUTWARDS = {
    "http": {
        "new": {"http.response.start": "started"},
        "started": BODY,
        "complete": {},
    },
    "websocket": {
        "new": {
            "websocket.accept": "open",
            "websocket.close": "closed",
            "websocket.http.response.start": "refusing",
        },
        "open": {"websocket.send": "open", "websocket.close": "closed"},
        "refusing": REFUSAL,
        "closed": {},
    },
    "lifespan": {
        "new": {
            "lifespan.startup.complete": "started",
            "lifespan.startup.failed": "ended",
        },
        "started": {
            "lifespan.shutdown.complete": "ended",
            "lifespan.shutdown.failed": "ended",
        },
        "ended": {},
    },
}


def require(condition, what):
    if not condition:
        broken.append(what)
        raise AssertionError(what)


def check_keys(message, shape, optional=()):
    """Require that a message has known keys with values of the right types."""
    hints = get_type_hints(shape)
    for key in message:
        require(key in hints or key in optional, f"{key} is unknown in {message}")
    for key in ("status", "body", "text", "bytes", "headers", "code", "more_body"):
        if key in message:
            check_value(key, message[key], message)


TYPES = {
    "status": int,
    "body": bytes,
    "text": str | None,
    "bytes": bytes | None,
    "code": int,
    "more_body": bool,
    "headers": Iterable,
}


def check_value(key, value, message):
    require(isinstance(value, TYPES[key]), f"{key} is {value!r} in {message}")
    if key == "headers":
        check_headers(value)


def check_headers(headers):
    for field in headers:
        name, value = field
        require(type(name) is bytes and type(value) is bytes, f"{field} is not bytes")
        require(name == name.lower(), f"{name} is not in lower case")
        require(not {*b"\r\n\0"} & {*value}, f"{value} has a control character")
        require(not name.startswith(b":"), f"{name} is a pseudo header")


def check_scope(scope):
    kind = scope["type"]
    check_keys(scope, SCOPES[kind], {"roll.left"})
    require(scope["asgi"]["version"] == "3.0", "asgi.version")
    if kind == "lifespan":
        return
    check_headers(scope["headers"])
    require(type(scope["path"]) is str, "path")
    require(scope["path"].startswith("/"), f"path is {scope['path']!r}")
    require(type(scope["query_string"]) is bytes, "query_string")
    require(scope["query_string"].isascii(), "query_string is not encoded")
    require(scope["raw_path"] is None or scope["raw_path"].isascii(), "raw_path")
    schemes = {"http": ("http", "https"), "websocket": ("ws", "wss")}
    require(scope["scheme"] in schemes[kind], "scheme")
    require(scope["http_version"] in ("1.0", "1.1", "2", "3"), "http_version")
    for key in ("client", "server"):
        require(scope[key] is None or len(scope[key]) == 2, f"{key} is {scope[key]}")
    if kind == "http":
        require(scope["method"].isupper(), "method")
    else:
        require(all(type(name) is str for name in scope["subprotocols"]), "subprotocol")


def step(table, state, message):
    name = message["type"] + ("+" if message.get("more_body") else "")
    require(name in table[state], f"{name} in the state {state!r}")
    return table[state][name]


class Checked:
    def __init__(self, application):
        self.application = application

    async def __call__(self, scope, receive, send):
        check_scope(scope)
        kind = scope["type"]
        state = {"in": "new", "out": "new"}
        receiving = False

        async def checked_receive():
            nonlocal receiving
            require(not receiving, "receive is called twice at once")
            receiving = True
            try:
                message = await receive()
            finally:
                receiving = False
            check_keys(message, INCOMING[message["type"]])
            state["in"] = step(INWARDS[kind], state["in"], message)
            return message

        async def checked_send(message):
            check_keys(message, OUTGOING[message["type"]])
            if message["type"].startswith("websocket.http.response"):
                offered = scope.get("extensions") or {}
                require("websocket.http.response" in offered, "it is not offered")
            if message["type"] == "websocket.send":
                given = [message.get("text"), message.get("bytes")]
                require(given.count(None) == 1, "text or bytes")
            state["out"] = step(OUTWARDS[kind], state["out"], message)
            try:
                await send(message)
            except OSError:  # the client has left
                state["in"] = "gone"
                raise

        await self.application(scope, checked_receive, checked_send)
        if kind == "http" and state["in"] != "gone":
            require(state["out"] == "complete", f"it returned in {state}")


def checked(application):
    return Checked(application)


async def call(application, scope, *messages, send=None):
    """Call an application with some messages; give what it has sent.

    After them, `receive` waits.
    """
    sent = []
    waiting = [*messages]

    async def receive():
        if waiting:
            return waiting.pop(0)
        await asyncio.Event().wait()

    async def keep(message):
        sent.append(message)

    await checked(application)(scope, receive, send or keep)
    return sent


class Conversation:
    """A call of an application that goes on while the test is the server."""

    def __init__(self, application, scope, *messages):
        self.sent = []
        self.received = 0
        self.failing = None
        """What `send` raises from now on."""
        self._incoming = asyncio.Queue()
        self.tell(*messages)
        called = checked(application)(scope, self._receive, self._send)
        self.task = asyncio.ensure_future(called)

    def tell(self, *messages):
        for message in messages:
            self._incoming.put_nowait(message)

    async def _receive(self):
        self.received += 1
        return await self._incoming.get()

    async def _send(self, message):
        if self.failing is not None:
            raise self.failing
        self.sent.append(message)

    @property
    def types(self):
        return [message["type"] for message in self.sent]
