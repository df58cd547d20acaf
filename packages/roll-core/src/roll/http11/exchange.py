"""One exchange: a request is served, and its response is sent (RFC 9110, section 3.4).

All of this runs in the task of the request. It reads nothing: what comes in meanwhile
is the business of the connection.
"""

import asyncio
import math
from collections.abc import AsyncIterable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from .. import events
from ..errors import HttpError
from ..logs import report
from ..request import Request
from ..response import (
    INTERIM,
    Response,
    as_http_error,
    close_body,
    encode_body,
    set_error,
)
from ..tasks import EAGER, is_cancelled
from . import sockets, tls, writer
from .body import Body
from .parser import Refusal
from .state import (
    BODY,
    CLOSED,
    IDLE,
    LINGERING,
    SWITCHED,
    VIEW,
    WRITING,
    HttpConnection,
)
from .upgrade import Switch
from .writer import COPIED, Framed, frame

UNSENT = 1
"""Bytes of a stream that may be unsent before its view waits: 0 would stop TLS."""

STREAM_TURN = 2**20
"""Bytes of a stream that are sent before others have their turn, where neither its view
nor its client lets it wait."""

PIECE = 4096
"""Bytes that a piece counts for beside its own, as it takes time, however small."""


def start(connection: HttpConnection) -> None:
    """Serve the message in a task of its own."""
    request: Request = connection.request  # type: ignore[assignment]  # it has come
    response: Response = connection.response  # type: ignore[assignment]  # likewise
    serving = _serve(connection, request, response)
    loop = connection.outbox.loop
    # Not in the context of the request before, in whose task we may be.
    context = connection.context.copy()
    if EAGER:
        # A call with `**EAGER` takes longer.
        asyncio.Task(  # it keeps itself in the connection
            serving,
            loop=loop,
            context=context,
            eager_start=True,  # type: ignore[call-arg]  # since 3.12
        )
        return
    connection.task = asyncio.Task(serving, loop=loop, context=context)
    if "finish" in connection.app.hooks:
        # For a task that is cancelled before its first step.
        end = partial(finish, request, response)
        connection.task.add_done_callback(end, context=context)


async def _serve(
    connection: HttpConnection, request: Request, response: Response
) -> None:
    connection.task = asyncio.current_task()  # an eager one is not assigned yet
    app = connection.app
    try:
        await app.__call__(request, response)  # half the time of `app(...)`
        # It may be the response of another app, to which the request was handed.
        response = connection.response  # type: ignore[assignment]
        usual = _write_usual(connection, request, response)
        if not usual:
            await connection.write()
        if connection.writable is not None:
            await _wait_for_client(connection)
        response.complete = connection.state is not CLOSED
        if not usual and connection.switch is not None:
            switch, connection.switch = connection.switch, None
            # A listener may have refused it since.
            if connection.remaining >= 0 and response._status in INTERIM:
                request = connection.request  # type: ignore[assignment]
                if _has_finish(request):
                    finish(request, response)
                return await _hand_over(connection, switch)
    except (KeyboardInterrupt, SystemExit, GeneratorExit) as error:
        if isinstance(error, SystemExit):  # uvloop goes on, and asyncio does not
            _name_view(error, request)
            method, url = request.method, request.url
            report(error, "%s %s exits: send SIGTERM to end a server", method, url)
        connection.end(abort=True)
        raise
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            connection.end(abort=True)
            await close_body(connection.response.body)  # type: ignore[union-attr]
            raise
        _name_view(error, request)
        method, url = request.method, request.url
        report(error, "%s %s was cut short", method, url)
        # While it is handled, so that listeners can ask `sys.exception()` for it.
        _finish_served(connection)
        if request.version == "1.0":  # the end of the connection may be the body's
            return connection.end(abort=True)
        connection.remaining = -1  # the responses before it are sent
    finally:
        request = connection.request  # type: ignore[assignment]
        response = connection.response  # type: ignore[assignment]
        # With what was raised, a task holds on to its frames, and to the connection.
        connection.request = connection.response = None
        connection.task = connection.switch = None
        # Before the next request begins.
        if "finish" in app.hooks or (request.parent and _has_finish(request)):
            finish(request, response)
    state = connection.state
    if state is not VIEW and state >= LINGERING:  # to order them takes longer
        return
    content = request.content
    if connection.remaining <= 0:
        connection.outbox.flush()
        connection.end(linger=_more_comes(connection, content))
    elif content is None or content.complete:
        connection.state = IDLE
    else:
        connection.state = BODY
        content.discard()
    if not connection.advancing:  # else this was served at once, from within
        connection.advance()


def _has_finish(request: Request | None) -> bool:
    """Whether there are `finish` listeners: to run none takes five times as long."""
    while request is not None:
        if "finish" in request.app.hooks:
            return True
        request = request.parent
    return False


def finish(request: Request, response: Response, task: object = None) -> None:
    """Run the `finish` listeners, once, when a request has ended."""
    if not response.finished:
        response.finished = True
        if request.parent is not None:
            request.hook("finish", response)
            return
        app = request.app  # what `hook` does takes as long again
        listeners = app.hooks.get("finish", ())
        events.start("finish", listeners, (request, response), {}, app.keep)


def _finish_served(connection: HttpConnection) -> None:
    """Run the `finish` listeners of what the connection serves."""
    request: Request = connection.request  # type: ignore[assignment]  # it is served
    if _has_finish(request):
        finish(request, connection.response)  # type: ignore[arg-type]  # likewise


def _more_comes(connection: HttpConnection, content: Body | None) -> bool:
    """Whether input is left that nobody reads, or may come before much is sent."""
    if content is not None and not content.complete:
        return True
    if connection.parser.finished and not connection.parser.ignored:
        return False  # a client that knew of the end, and kept to it
    transport = connection.transport
    return sockets.unsent(transport) > COPIED or sockets.unread(transport) > 0


def _write_usual(
    connection: HttpConnection, request: Request, response: Response
) -> bool:
    """Send what most responses are; a coroutine for that takes as long as the rest.

    Returns:
        Whether it was; `write` does what is not usual.
    """
    head, content = request.message, request.content
    kind = type(response.body)
    if (
        (content is not None and not content.complete)
        or head.upgrade
        or connection.remaining <= 0
        or not (kind is str or kind is bytes)  # there is nothing to close
    ):
        return False
    try:
        framed = frame(response, head.method, head.version, False, connection.app.date)
    except Exception:
        return False
    if type(framed) is not bytes:
        return False
    if connection.send(framed):
        response.written = framed  # to count its body would take longer
    return True


async def write(connection: HttpConnection) -> None:
    """Send the response of the message being served.

    One that would break HTTP, for example by a line feed in a header, becomes a 500.
    """
    request: Request = connection.request  # type: ignore[assignment]  # it is served
    response: Response = connection.response  # type: ignore[assignment]
    content = request.content
    if content is not None and content.expected and _may_read(response):
        content.ask()  # not later, in the middle of the response
    try:
        framed = _frame(connection, request, response)
    except Exception as error:
        if connection.switch is not None:
            for name in connection.switch.fields:
                response.headers.pop(name, None)
        attempt = partial(_frame, connection, request, response)
        framed = await frame_error(request, response, error, attempt)
    if content is not None:
        content.expected = False  # the client has its response
    if isinstance(framed, bytes):
        if connection.send(framed):
            response.written = framed
        await close_body(response.body)
    else:
        await _write_framed(connection, framed, response)


def _may_read(response: Response) -> bool:
    """Whether a response may go on to read the body of its request."""
    return response.status < HTTPStatus.MULTIPLE_CHOICES and hasattr(
        response.body, "__aiter__"
    )


def _frame(
    connection: HttpConnection, request: Request, response: Response
) -> bytes | Framed:
    if connection.switch is not None and response._status in INTERIM:
        if connection.remaining < 0:  # a limit of requests does not count a handshake
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE)
        return frame(response, extra=connection.app.date, switches=True)
    content = request.content
    close = (
        connection.remaining <= 0
        or (content is not None and not _can_skip(connection, content, response))
        or connection.parser.paused  # its offer failed
    )
    head = request.message
    return frame(response, head.method, head.version, close, connection.app.date)


def _can_skip(connection: HttpConnection, content: Body, response: Response) -> bool:
    """Whether the connection outlives what is unread of a body."""
    if content.complete:
        return True
    if content.expected:  # the client may send the body, or may not
        return False
    # Of a body that is too large, more chunks come than can be skipped. A client that
    # had sent them all, and was told nothing, would send another request.
    too_large = response._status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if too_large and content.length is None:
        return False
    return content.missing <= connection.parser.limits.unread


async def frame_error(
    request: Request,
    response: Response,
    error: Exception,
    attempt: Callable[[], bytes | Framed],
) -> bytes | Framed:
    """Frame a 500 in place of what cannot be sent.

    What `response` listeners have added stays, and no listener runs twice.

    Args:
        request: What is answered.
        response: The response, which becomes the 500.
        error: What says why it cannot be sent.
        attempt: Frames the response.
    """
    _name_view(error, request)
    await close_body(response.body)
    writer.drop_unsendable(response)
    if not response.failed:
        await request.app.answer_error(request, response, error)
        try:
            return attempt()
        except Exception as second:  # nor can what listeners made of it
            error = second
        await close_body(response.body)
        writer.drop_unsendable(response)
    set_error(response, as_http_error(request, error))
    return attempt()


def _name_view(error: BaseException, request: Request) -> None:
    if request.endpoint.found:
        error.add_note(f"the response is that of {request.endpoint}")


async def _write_framed(
    connection: HttpConnection, framed: Framed, response: Response
) -> None:
    """Send what is large, comes in pieces, or is the last."""
    if framed.close:
        connection.remaining = -1
    if connection.send(framed.head, at_once=framed.body is not None):
        response.written = framed.head  # which has a small body behind it
    if framed.body is not None and connection.state != CLOSED:
        if hasattr(framed.body, "__aiter__"):
            return await _write_stream(connection, framed, response)
        # The transport keeps what it is given, until it is sent.
        connection.send(bytes(framed.body), at_once=True)
        response.written = len(framed.body)
    await close_body(response.body)


async def _write_stream(
    connection: HttpConnection, framed: Framed, response: Response
) -> None:
    """Send the pieces of an async body as they come, and always close it."""
    transport = connection.transport
    body: AsyncIterable[Any] = framed.body
    # A transport keeps all of what it has sent a part of: nothing is added to it.
    transport.set_write_buffer_limits(UNSENT)
    left = math.inf if framed.length is None else framed.length
    turn = STREAM_TURN
    sent = 0
    iterator = aiter(body)
    try:
        async for piece in iterator:
            if transport.is_closing():  # a stream without waits would never end
                await connection.disconnected()
            if connection.state == CLOSED:  # the view goes on, its client has left
                return
            data = encode_body(piece, True)
            left -= len(data)
            if left < 0:
                raise ValueError(f"the body passes its {framed.length} bytes")
            if framed.chunked and data:  # an empty chunk would be the last one
                connection.send(writer.chunk(data))
            else:
                connection.send(bytes(data))
            sent += len(data)
            response.written = sent
            turn -= PIECE + len(data)
            if connection.writable is not None:
                del piece, data  # they are kept until they are sent
                await _wait_for_client(connection)
                turn = STREAM_TURN
            elif turn <= 0:
                await asyncio.sleep(0)
                turn = STREAM_TURN
    finally:
        await close_body(iterator)
        if iterator is not body:
            await close_body(body)
    if framed.chunked:
        connection.send(writer.LAST_CHUNK)
    elif framed.length is not None and left and connection.state != CLOSED:
        raise ValueError(f"the body lacks {left} of its {framed.length} bytes")
    if connection.state != CLOSED:
        transport.set_write_buffer_limits()  # what they were


async def _wait_for_client(connection: HttpConnection) -> None:
    """Wait while the client is behind with reading."""
    waiter: asyncio.Future[None] = connection.writable  # type: ignore[assignment]
    before = connection.state
    if before < LINGERING:
        connection.state = WRITING
    await waiter
    if connection.state is WRITING:
        connection.state = before if before is not BODY or connection.body else VIEW


async def _hand_over(connection: HttpConnection, switch: Switch) -> None:
    """Give the connection to the protocol that it was upgraded to."""
    connection.outbox.flush()
    if connection.writable is not None:  # the other protocol is not told of it
        await _wait_for_client(connection)
    if connection.state == CLOSED:
        return
    if connection.half_closed:  # the other protocol would never hear of it
        return connection.end()
    app, transport, protocol = connection.app, connection.transport, switch.protocol
    rest = connection.parser.take_rest()
    connection.state = SWITCHED
    app.keep(cast("asyncio.Task[None]", asyncio.current_task()))
    app.connections.add(protocol)
    app.connections.discard(connection)
    try:
        tls.on_end(transport, None)  # the other protocol ends in its own way
        transport.set_protocol(cast(asyncio.Protocol, protocol))
        protocol.connection_made(transport)
        if connection.paused:
            transport.resume_reading()
        if rest:
            protocol.data_received(rest)
        await protocol.run(switch.view, switch.variables)
    except BaseException:
        transport.abort()
        raise
    finally:
        transport.close()  # nobody is left to do so
        app.lifecycle.forget(protocol)
        connection.lose()


def refuse(connection: HttpConnection, refusal: Refusal) -> None:
    """Answer what could not be parsed; `refused` is the only event of it."""
    app = connection.app
    if "refused" in app.hooks:
        # Not in the context of the request before, in whose task we may be.
        arguments = refusal.error.status, connection.remote_addr
        connection.context.copy().run(app.hook, "refused", *arguments)
    response = Response(None, None)
    set_error(response, refusal.error)
    framed = frame(response, refusal.method, close=True, extra=app.date)
    connection.send(framed if isinstance(framed, bytes) else framed.head)
    connection.end(linger=True)
