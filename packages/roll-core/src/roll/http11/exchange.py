"""One exchange: a request is served, and its response is sent (RFC 9110, section 3.4).

All of this runs in the task of the request. It reads nothing: the connection handles
all input.
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
"""Unsent bytes of a stream before its view waits: 0 would block TLS."""

STREAM_TURN = 2**20
"""Bytes of a stream to send before other tasks get a turn, if nothing makes it wait."""

PIECE = 4096
"""Bytes to count for each piece besides its own, as even a small one takes time."""


def start(connection: HttpConnection) -> None:
    """Serve the message in its own task."""
    request: Request = connection.request  # type: ignore[assignment]  # it was received
    response: Response = connection.response  # type: ignore[assignment]  # likewise
    serving = _serve(connection, request, response)
    loop = connection.outbox.loop
    # Not in the context of the previous request, in whose task this may run.
    context = connection.context.copy()
    if EAGER:
        # A call with `**EAGER` would take longer.
        asyncio.Task(  # it stores itself in the connection
            serving,
            loop=loop,
            context=context,
            eager_start=True,  # type: ignore[call-arg]  # since 3.12
        )
        return
    connection.task = asyncio.Task(serving, loop=loop, context=context)
    if "finish" in connection.app.hooks:
        # In case the task is cancelled before its first step.
        end = partial(finish, request, response)
        connection.task.add_done_callback(end, context=context)


async def _serve(
    connection: HttpConnection, request: Request, response: Response
) -> None:
    connection.task = asyncio.current_task()  # an eager one is not assigned yet
    app = connection.app
    try:
        await app.__call__(request, response)  # half the time of `app(...)`
        # It may be the response of a mounted app, which has taken the request.
        response = connection.response  # type: ignore[assignment]
        usual = _write_usual(connection, request, response)
        if not usual:
            await connection.write()
        if connection.writable is not None:
            await _wait_for_client(connection)
        response.complete = connection.state is not CLOSED
        if not usual and connection.switch is not None:
            switch, connection.switch = connection.switch, None
            # A listener may have refused it.
            if connection.remaining >= 0 and response._status in INTERIM:
                request = connection.request  # type: ignore[assignment]
                if _has_finish(request):
                    finish(request, response)
                return await _hand_over(connection, switch)
    except (KeyboardInterrupt, SystemExit, GeneratorExit) as error:
        if isinstance(error, SystemExit):  # uvloop continues, asyncio does not
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
        # Now, so that listeners find the error in `sys.exception()`.
        _finish_served(connection)
        if request.version == "1.0":  # the end of the connection may end the body
            return connection.end(abort=True)
        connection.remaining = -1  # the responses before it are sent
    finally:
        request = connection.request  # type: ignore[assignment]
        response = connection.response  # type: ignore[assignment]
        # Through its exception, a task keeps its frames, and so the connection, alive.
        connection.request = connection.response = None
        connection.task = connection.switch = None
        # Before the next request begins.
        if "finish" in app.hooks or (request.parent and _has_finish(request)):
            finish(request, response)
    state = connection.state
    if state is not VIEW and state >= LINGERING:  # an order comparison takes longer
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
    if not connection.advancing:  # otherwise `advance` has called this
        connection.advance()


def _has_finish(request: Request | None) -> bool:
    """Whether there are `finish` listeners: running none takes five times as long."""
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
        app = request.app  # `hook` would double the time
        listeners = app.hooks.get("finish", ())
        events.start("finish", listeners, (request, response), {}, app.keep)


def _finish_served(connection: HttpConnection) -> None:
    """Run the `finish` listeners of the request being served."""
    request: Request = connection.request  # type: ignore[assignment]  # it is served
    if _has_finish(request):
        finish(request, connection.response)  # type: ignore[arg-type]  # likewise


def _more_comes(connection: HttpConnection, content: Body | None) -> bool:
    """Whether there is unread input, or more may arrive before all is sent."""
    if content is not None and not content.complete:
        return True
    if connection.parser.finished and not connection.parser.ignored:
        return False  # the client knew of the end
    transport = connection.transport
    return sockets.unsent(transport) > COPIED or sockets.unread(transport) > 0


def _write_usual(
    connection: HttpConnection, request: Request, response: Response
) -> bool:
    """Send a usual response, without a coroutine, which would double the time.

    Returns:
        Whether it was sent; `write` sends the others.
    """
    head, content = request.message, request.content
    kind = type(response.body)
    if (
        (content is not None and not content.complete)
        or head.upgrade
        or connection.remaining <= 0
        or not (kind is str or kind is bytes)  # nothing has to be closed
    ):
        return False
    try:
        framed = frame(response, head.method, head.version, False, connection.app.date)
    except Exception:
        return False
    if type(framed) is not bytes:
        return False
    if connection.send(framed):
        response.written = framed  # counting its body would take longer
    return True


async def write(connection: HttpConnection) -> None:
    """Send the response of the message being served.

    One that would break HTTP, for example with a line feed in a header, becomes a 500.
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
    """Whether a response may still read the body of its request."""
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
    """Whether the connection can continue after skipping the unread body."""
    if content.complete:
        return True
    if content.expected:  # the client may send the body, or may not
        return False
    # A body that is too large has more chunks than can be skipped. A client that has
    # sent all of them, without notice, would send another request.
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
    """Frame a 500 in place of a response that cannot be sent.

    Changes of `response` listeners stay, and no listener runs twice.

    Args:
        request: The request.
        response: The response, which becomes the 500.
        error: The reason why it cannot be sent.
        attempt: Frames the response.
    """
    _name_view(error, request)
    await close_body(response.body)
    writer.drop_unsendable(response)
    if not response.failed:
        await request.app.answer_error(request, response, error)
        try:
            return attempt()
        except Exception as second:  # the listeners' response cannot be sent either
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
    """Send a response that is large, streamed, or the last one."""
    if framed.close:
        connection.remaining = -1
    if connection.send(framed.head, at_once=framed.body is not None):
        response.written = framed.head  # may include a small body
    if framed.body is not None and connection.state != CLOSED:
        if hasattr(framed.body, "__aiter__"):
            return await _write_stream(connection, framed, response)
        # The transport keeps the data until it is sent.
        connection.send(bytes(framed.body), at_once=True)
        response.written = len(framed.body)
    await close_body(response.body)


async def _write_stream(
    connection: HttpConnection, framed: Framed, response: Response
) -> None:
    """Send the pieces of an async body as they come, and always close it."""
    transport = connection.transport
    body: AsyncIterable[Any] = framed.body
    # A transport keeps pieces that it has sent in part, so nothing is added to them.
    transport.set_write_buffer_limits(UNSENT)
    left = math.inf if framed.length is None else framed.length
    turn = STREAM_TURN
    sent = 0
    iterator = aiter(body)
    try:
        async for piece in iterator:
            if transport.is_closing():  # a stream without waits would never end
                await connection.disconnected()
            if connection.state == CLOSED:  # the view continues without its client
                return
            data = encode_body(piece, True)
            left -= len(data)
            if left < 0:
                raise ValueError(f"the body is longer than its {framed.length} bytes")
            if framed.chunked and data:  # an empty chunk would be the last one
                connection.send(writer.chunk(data))
            else:
                connection.send(bytes(data))
            sent += len(data)
            response.written = sent
            turn -= PIECE + len(data)
            if connection.writable is not None:
                del piece, data  # free them while this waits
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
        transport.set_write_buffer_limits()  # restore the defaults


async def _wait_for_client(connection: HttpConnection) -> None:
    """Wait while the client reads too slowly."""
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
    if connection.writable is not None:  # the other protocol would not know
        await _wait_for_client(connection)
    if connection.state == CLOSED:
        return
    if connection.half_closed:  # the other protocol would never know
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
    """Respond to data that cannot be parsed; `refused` is its only event."""
    app = connection.app
    if "refused" in app.hooks:
        # Not in the context of the previous request, in whose task this may run.
        arguments = refusal.error.status, connection.remote_addr
        connection.context.copy().run(app.hook, "refused", *arguments)
    response = Response(None, None)
    set_error(response, refusal.error)
    framed = frame(response, refusal.method, close=True, extra=app.date)
    connection.send(framed if isinstance(framed, bytes) else framed.head)
    connection.end(linger=True)
