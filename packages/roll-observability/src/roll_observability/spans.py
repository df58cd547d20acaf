"""Spans: when those of a request begin and end, and what they contain."""

import sys
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_HEADER_TEMPLATE,
    HTTP_RESPONSE_HEADER_TEMPLATE,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_NAME
from opentelemetry.semconv.attributes.url_attributes import URL_PATH
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from roll import Endpoint, HttpError, Request, Response, Roll
from roll.logs import logger

from .attributes import (
    METHODS,
    Attributes,
    describe,
    describe_further,
    path_of,
    route_of,
)
from .callers import (
    FIELDS,
    FIELDS_OF_STRANGERS,
    NOTHING,
    extract,
    may_have_context,
)
from .errors import find_cause, listen_in_mounted_apps
from .tracing import KEY

LEFT = "client_disconnected"
"""The type of the error when a client leaves before the whole response is sent."""

REQUEST_ID = "x-request-id"
"""The field in which roll-logger returns the id that it has given to a request."""

RESPONSE_FIELD = "traceresponse"
"""The field with the ids of a request's span (W3C Trace Context Level 2, draft, section
4)."""


@dataclass(slots=True)
class Exchange:
    """A request and its response, as a span describes them."""

    owner: "Tracing"
    """The one that ends the span: mounted apps may be traced, too."""
    span: Span
    endpoint: Endpoint
    """The endpoint that the span names."""
    start: int
    """Nanoseconds since 1970."""
    clock: int
    """Nanoseconds of `time.perf_counter_ns`."""
    error: str | None = None
    """The type of the exception that was recorded."""

    def record(self, error: BaseException) -> None:
        """Record the first exception, without keeping it or its frames."""
        if self.error is None:
            self.error = type(error).__qualname__
            self.span.record_exception(error)


class Tracing:
    """Makes the spans of the requests of an app.

    Args:
        provider: Makes the spans; None for the global one.
        trusts: Whether the trace context of a request is continued.
        excluded: Paths and patterns that are left out.
        request_fields: Fields of requests that become attributes, in lower case.
        response_fields: The same for responses.
        secrets: The names of query parameters to hide, in lower case.
        tells: Whether responses have the ids of their spans.
    """

    def __init__(
        self,
        provider: trace.TracerProvider | None,
        *,
        trusts: bool | Callable[[Request], bool],
        excluded: frozenset[str],
        request_fields: Sequence[str],
        response_fields: Sequence[str],
        secrets: Container[str],
        tells: bool,
    ) -> None:
        self._tracer = trace.get_tracer(
            "roll_observability",
            version("roll-observability"),
            provider,
            Schemas.V1_23_1.value,
        )
        self._trusts = trusts
        self._excluded = excluded
        self._request_fields = request_fields
        self._response_fields = response_fields
        self._secrets = secrets
        self._tells = tells

    def listen(self, app: Roll) -> None:
        """Follow the requests of an app, and the errors of those mounted in it."""
        app.listen("headers", before="*")(self.begin)
        app.listen("error", before="*")(self.note_error)
        app.listen("response", after="*")(self.follow)
        # After a coroutine function, it would run in another task, which does not know
        # the exception that has cut the response short.
        app.listen("finish", before="*")(self.end)

        @app.listen("startup", before="*")
        def prepare() -> None:
            listen_in_mounted_apps(app, self.note_error)

    # The events of a request

    def begin(self, request: Request, response: Response) -> None:
        """Begin the span of a request when its head is read."""
        if KEY not in request:
            self._begin(request, response)

    def note_error(
        self, request: Request, response: Response, error: HttpError
    ) -> None:
        """Record the error behind a 5xx response."""
        exchange = self._find(request, response)
        if exchange is not None and response.status >= 500:
            exchange.record(find_cause(error))

    def follow(self, request: Request, response: Response) -> None:
        """Give a WebSocket its span; end that of a request that was made by hand."""
        exchange = self._find(request, response)
        if exchange is None:
            return
        protocol = request.protocol
        if protocol is None:  # made by hand: the request does not finish
            self._end(exchange, request, response, complete=True)
        elif protocol.switch is not None:
            switch = protocol.switch
            view = self._watch(switch.view, switch.protocol, exchange)
            protocol.switch = switch._replace(view=view)

    def end(self, request: Request, response: Response) -> None:
        """End the span when the last byte is written, or the client has left."""
        exchange = self._find(request, response)
        if exchange is not None:
            self._end(exchange, request, response, response.complete)

    # What the events do

    def _find(self, request: Request, response: Response) -> Exchange | None:
        """Find the exchange of a request; begin its span at its first event.

        Returns:
            None if it is left out, or if a parent of the app has begun its span.
        """
        exchange: Exchange | None = request.get(KEY)
        if exchange is None:
            return None if KEY in request else self._begin(request, response)
        return exchange if exchange.owner is self else None

    def _begin(self, request: Request, response: Response) -> Exchange | None:
        exchange = None
        if not self._leaves_out(request):
            try:
                exchange = self._start(request, response)
            except Exception:  # in a sampler, a processor or a propagator
                logger.exception(
                    "%s %s is not traced", request.sent_method, request.path
                )
        request[KEY] = exchange
        return exchange

    def _start(self, request: Request, response: Response) -> Exchange:
        route = route_of(request)
        parent, links = self._parent(request)
        start, clock = time.time_ns(), time.perf_counter_ns()
        span = self._tracer.start_span(
            name_of(request.sent_method, route),
            parent,
            SpanKind.SERVER,
            describe(request, route),
            links,
            start,
        )
        if span.get_span_context().is_valid:  # otherwise there is no SDK
            parent = trace.set_span_in_context(span, parent)
        # It is never detached: each request has a task, with its own context.
        context.attach(parent)
        if self._tells:
            response.headers[RESPONSE_FIELD] = write_ids(span)
        return Exchange(self, span, request.endpoint, start, clock)

    def _leaves_out(self, request: Request) -> bool:
        endpoint, excluded = request.endpoint, self._excluded
        if endpoint.extras and endpoint.extras.get("tracing") is False:
            return True
        return bool(excluded) and (
            endpoint.path in excluded or request.path in excluded
        )

    def _parent(self, request: Request) -> tuple[Context, Sequence[Link]]:
        """Choose the context of a span, and its links."""
        if not may_have_context(request):
            return NOTHING, ()
        trusts = self._trusts
        if trusts is True or (trusts is not False and trusts(request)):
            return extract(request, FIELDS), ()
        given = extract(request, FIELDS_OF_STRANGERS)
        theirs = trace.get_current_span(given).get_span_context()
        return NOTHING, [Link(theirs)] if theirs.is_valid else ()

    def _end(
        self, exchange: Exchange, request: Request, response: Response, complete: bool
    ) -> None:
        span = exchange.span
        if not span.is_recording():
            return
        attributes = describe_further(request, self._request_fields, self._secrets)
        if request.endpoint is not exchange.endpoint:  # a listener has changed the path
            route = route_of(request)
            span.update_name(name_of(request.sent_method, route))
            if route is not None:
                attributes[HTTP_ROUTE] = route
        status = int(response.status)
        if complete or response.written:
            attributes[HTTP_RESPONSE_STATUS_CODE] = status
        cause = None if complete else sys.exception()
        if isinstance(cause, Exception):  # not a task that was cancelled
            exchange.record(cause)
        if status >= 500 or isinstance(cause, Exception):
            attributes[ERROR_TYPE] = exchange.error or str(status)
            span.set_status(Status(StatusCode.ERROR))
        elif not complete:
            attributes[ERROR_TYPE] = LEFT
        self._add_fields(attributes, response)
        span.set_attributes(attributes)
        span.end(exchange.start + time.perf_counter_ns() - exchange.clock)

    def _add_fields(self, attributes: Attributes, response: Response) -> None:
        """Add the wanted fields of a response."""
        wanted = [
            (HTTP_RESPONSE_HEADER_TEMPLATE, name) for name in self._response_fields
        ]
        if REQUEST_ID in self._request_fields:
            wanted.append((HTTP_REQUEST_HEADER_TEMPLATE, REQUEST_ID))
        for template, name in wanted:
            if values := [str(value) for value in response.headers.list(name)]:
                attributes[f"{template}.{name}"] = values

    def _watch(
        self, view: Callable[..., Any], protocol: Any, exchange: Exchange
    ) -> Callable[..., Any]:
        """Give a view, such as a WebSocket's, a span that lasts as long as it runs.

        It begins a trace: that of the handshake would be open for hours.
        """

        async def run(request: Request, ws: Any, **variables: Any) -> None:
            route, token = route_of(request), protocol.TOKEN
            name = "WS" if token == "websocket" else token
            attributes = {NETWORK_PROTOCOL_NAME: token, URL_PATH: path_of(request.url)}
            if route is not None:
                name = f"{name} {route}"
                attributes[HTTP_ROUTE] = route
            span = self._tracer.start_span(
                name,
                NOTHING,
                SpanKind.INTERNAL,
                attributes,
                [Link(exchange.span.get_span_context())],
            )
            if span.get_span_context().is_valid:
                context.attach(trace.set_span_in_context(span))
            try:
                await view(request, ws, **variables)
            except Exception as error:
                if not _is_of_the_client(error, ws):
                    span.record_exception(error)
                    span.set_attribute(ERROR_TYPE, type(error).__qualname__)
                    span.set_status(Status(StatusCode.ERROR))
                raise
            finally:
                span.end()

        return run


def name_of(method: str, route: str | None) -> str:
    """Name the span of a request."""
    if method not in METHODS:
        method = "HTTP"
    return method if route is None else f"{method} {route}"


def write_ids(span: Span) -> str:
    """Write the ids of a span for `traceresponse`."""
    ids = span.get_span_context()
    trace_id, span_id = map(
        str, (trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id))
    )
    return f"00-{trace_id}-{span_id}-{ids.trace_flags:02x}"


def _is_of_the_client(error: Exception, ws: Any) -> bool:
    """Whether the client has caused the exception of a WebSocket's view."""
    if isinstance(error, HttpError):
        return error.status < 500
    if isinstance(error, ExceptionGroup):
        return all(_is_of_the_client(each, ws) for each in error.exceptions)
    # If a WebSocket has raised the error, this module is loaded.
    websockets = sys.modules.get("websockets.exceptions")
    if websockets is None or not isinstance(error, websockets.ConnectionClosed):
        return False
    return bool(ws.closed)  # otherwise it is from another one that the view has opened
