"""Relay: one request for a mounted ASGI application, and its response."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from roll import HttpError, Request, Response, Roll
from roll.http11.body import CLIENT_LEFT
from roll.logs import report
from roll.response import BODILESS
from roll.tasks import EAGER

from .typing import ASGIApplication, Message, Scope

GONE = "the client has left"
"""The text of the error that `send` raises then."""

OVER = "roll.over"
"""The scope's key for an event: the response is complete, or the client has left."""


class Relay:
    """Passes a request to the application, and takes its response.

    It is also the body of a response that comes in pieces.

    Args:
        request: The request.
        timeout: Seconds for the application to return after the client has left.
    """

    kind = "http.response"
    """The prefix of the types of response messages."""

    def __init__(self, request: Request, timeout: float) -> None:
        self._request = request
        self._timeout = timeout
        self._pieces: AsyncIterator[bytes] | None = None
        self._received = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._start: Message | None = None
        self._piece: bytes | None = None  # what waits to be sent
        self._news = asyncio.Event()  # for the task that sends it
        self._room = asyncio.Event()  # for the next piece
        self._room.set()
        self._complete = False
        self._left = False
        self._refusal: HttpError | None = None  # why the body is refused
        self._skips = False  # whether the response has no body
        self._over = asyncio.Event()  # the response is complete, or the client has left

    # For the view

    def run(self, app: Roll, application: ASGIApplication, scope: Scope) -> None:
        """Let the application run, in a task that the app keeps."""
        if getattr(application, "asks_for_over", False):  # no others expect it
            scope[OVER] = self._over
        task = asyncio.Task(
            call(application, scope, self),
            loop=asyncio.get_running_loop(),
            **EAGER,
        )
        self._task = task
        if task.done():
            self._end(task)
        else:
            app.keep(task)
            task.add_done_callback(self._end)

    async def decide(self) -> None:
        """Wait for the response to begin.

        Raises:
            Exception: The application has raised it instead.
            HttpError: The body is refused, or the client has left before its end.
        """
        await self._news.wait()
        if not self._is_decided:
            if self._left:
                raise self._refusal or HttpError(HTTPStatus.BAD_REQUEST, CLIENT_LEFT)
            self._raise()

    @property
    def _is_decided(self) -> bool:
        return self._piece is not None

    def fill(self, response: Response) -> None:
        """Set the response."""
        start: Any = self._start
        response.relay_status(start["status"])
        self._set_fields(response, start)
        self._skips = self._request.sent_method == "HEAD" or response.status in BODILESS
        response.body = self._piece if self._complete else self

    def _set_fields(self, response: Response, message: Message) -> None:
        # Names may be in any case, as Django's are; the first spelling is sent.
        fields: dict[str, tuple[str, list[str]]] = {}
        for name, value in message.get("headers") or ():
            text = bytes(name).decode("latin-1")
            _, values = fields.setdefault(text.lower(), (text, []))
            values.append(bytes(value).decode("latin-1"))
        fields.pop("transfer-encoding", None)
        for text, values in fields.values():
            response.headers[text] = values if len(values) > 1 else values[0]

    def leave(self) -> None:
        """Note that the client has left, or is refused; the application may go on."""
        if self._over.is_set():
            return
        self._left = True
        self._over.set()
        self._room.set()
        self._news.set()
        task = self._task
        if task is not None and task.done():
            self._end(task)
        elif task is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._timeout, task.cancel)

    def _end(self, task: "asyncio.Task[None]") -> None:
        """Note that the application has returned."""
        if self._timer is not None:
            self._timer.cancel()
        self._news.set()
        if not self._over.is_set() or self._task is None:
            return  # whoever sends the response gets the error
        self._task = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not (self._left and is_of_the_end(error)):
            request = self._request
            report(error, "%s %s, after its end", request.method, request.url)

    def _take_result(self) -> None:
        """Raise the application's exception, if there is one."""
        # An exception keeps its frames: one that refers to the task would make a cycle.
        task: Any = self._task
        self._task = None
        try:
            task.result()
        finally:
            del task

    def _raise(self) -> None:
        """Raise the application's exception, or that there is no response."""
        self._take_result()
        raise RuntimeError("the ASGI application returned before its response was sent")

    # The pieces of a body

    def __aiter__(self) -> "Relay":
        return self

    async def __anext__(self) -> bytes:
        while self._piece is None:
            if self._complete:
                raise StopAsyncIteration
            if self._refusal:
                raise self._refusal
            if self._left:  # in the middle of a body: this task is about to end
                await self._request.disconnected()
                raise StopAsyncIteration
            if self._task is None or self._task.done():
                self._raise()
            self._news.clear()
            await self._news.wait()
        piece, self._piece = self._piece, None
        self._room.set()
        return piece

    async def aclose(self) -> None:
        """Stop taking messages: the response is complete, or the client left."""
        if self._skips:
            self._over.set()
            self._room.set()
        self.leave()

    # For the application

    async def receive(self) -> Message:
        """Wait for the next piece of the body, or for the end."""
        if not self._received:
            try:
                return await self._receive_body()
            except HttpError as error:
                # As ever, the app responds to a body that is wrong.
                self._refusal = None if error.message == CLIENT_LEFT else error
                self._received = True
                self.leave()
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _receive_body(self) -> Message:
        if self._pieces is None:
            if self._request.message.encoded:  # the application decodes it
                self._request.decoder = _pass
            self._pieces = aiter(self._request)
        async for piece in self._pieces:
            return {"type": "http.request", "body": piece, "more_body": True}
        self._received = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """Take a message of the response, and wait while the client is slow.

        Raises:
            OSError: The client has left.
            RuntimeError: The message is unexpected.
        """
        kind = message["type"]
        if self._left:
            raise ConnectionError(GONE)
        if kind == f"{self.kind}.start" and self._start is None:
            self._start = message
        elif kind == f"{self.kind}.body" and self._start and not self._complete:
            await self._send_piece(message)
        else:
            raise RuntimeError(f"the ASGI message {kind!r} is unexpected here")

    async def _send_piece(self, message: Message) -> None:
        await self._room.wait()
        if self._left:
            raise ConnectionError(GONE)
        if not message.get("more_body"):
            self._complete = True
            self._over.set()
        if not self._skips:
            self._room.clear()
            self._piece = bytes(message.get("body") or b"")
            self._news.set()


def is_of_the_end(error: BaseException | None) -> bool:
    """Whether an error only means that the client has left, maybe wrapped in others."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error is not None


def _pass(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    return pieces


async def call(application: ASGIApplication, scope: Scope, relay: Relay) -> None:
    """Run an application."""
    await application(scope, relay.receive, relay.send)
