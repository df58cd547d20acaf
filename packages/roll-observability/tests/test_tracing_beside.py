"""tracing: beside other extensions, below other servers, and up to a collector."""

import asyncio
import logging
import warnings
from contextlib import nullcontext

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs import export as logs
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from roll import Roll
from roll.extensions import asgi, logger, mount, mount_asgi, mount_wsgi, tracing
from roll_testing import Client, LiveClient

from .traced import Spans, make_app

CALLER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@pytest.fixture
def spans():
    return Spans()


@pytest.fixture
def app():
    return make_app()


def current():
    return trace.get_current_span().get_span_context().span_id


# Sub-apps


@pytest.mark.parametrize("where", ["parent", "child", "both"])
async def test_a_request_of_a_mounted_app_is_one_span_of_the_whole_route(
    app, spans, where
):
    middle, outer = Roll(), Roll()
    mount(middle, "/admin", app)
    mount(outer, "/v1", middle)
    if where in ("child", "both"):
        tracing(app, tracer_provider=spans.provider)
    if where in ("parent", "both"):
        tracing(outer, tracer_provider=spans.provider)
    async with Client(outer) as client:
        await client.get("/v1/admin/users/7")
        await client.post("/v1/admin/users/7")
        await client.get("/v1/admin/nowhere")
    assert spans.names == [
        "GET /v1/admin/users/{id:int}",
        "POST /v1/admin/users/{id:int}",
        "GET",
    ]
    first, _, last = spans.get_finished_spans()
    assert first.attributes["http.route"] == "/v1/admin/users/{id:int}"
    assert first.attributes["url.path"] == "/v1/admin/users/7"
    assert last.attributes["http.response.status_code"] == 404


@pytest.mark.parametrize("where", ["parent", "child", "both"])
async def test_what_a_mounted_app_raises_is_recorded_once(app, spans, where):
    outer = Roll()
    mount(outer, "/v1", app)
    if where in ("child", "both"):
        tracing(app, tracer_provider=spans.provider)
    if where in ("parent", "both"):
        tracing(outer, tracer_provider=spans.provider)
    for _ in range(2):  # it starts again
        async with Client(outer) as client:
            assert (await client.get("/v1/broken")).status == 500
    for span in spans.get_finished_spans():
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "ValueError"
        assert len(span.events) == 1
    assert len(spans.names) == 2


async def test_what_the_parent_leaves_out_is_left_out_of_a_mounted_app(app, spans):
    outer = Roll()
    mount(outer, "/v1", app)
    tracing(app, tracer_provider=spans.provider)
    tracing(outer, tracer_provider=spans.provider, exclude=["/v1/users/{id:int}"])
    async with Client(outer) as client:
        await client.get("/v1/users/7")
    assert spans.names == []


async def test_a_route_of_a_mounted_app_can_be_left_out(app, spans):
    outer = Roll()
    mount(outer, "/v1", app)
    tracing(outer, tracer_provider=spans.provider)

    @app.route("/livez", tracing=False)
    async def live(request, response):
        pass

    async with Client(outer) as client:
        assert (await client.get("/v1/livez")).status == 200
    assert spans.names == []


async def test_a_websocket_of_a_mounted_app_has_its_span(app, spans):
    outer = Roll()
    mount(outer, "/v1", app)
    tracing(outer, tracer_provider=spans.provider)
    seen = []

    @app.route("/chat", protocol="websocket")
    async def chat(request, ws):
        seen.append(current())

    for name in "websocket_connect", "finish":  # they run in tasks of their own

        @app.listen(name)
        async def listen(request, other):
            await asyncio.sleep(0)

    async with Client(outer) as client, client.websocket("/v1/chat"):
        pass
    assert spans.names == ["GET /v1/chat", "WS /v1/chat"]
    _, socket = spans.get_finished_spans()
    assert seen == [socket.get_span_context().span_id]


# Other frameworks


async def test_the_route_of_a_mounted_application_is_that_of_the_mount(app, spans):
    seen = []

    async def application(scope, receive, send):
        seen.append(current())
        head = {"type": "http.response.start", "status": 200, "headers": []}
        await send(head)
        await send({"type": "http.response.body", "body": b"asgi"})

    def wsgi_application(environ, start_response):
        seen.append(current())
        start_response("200 OK", [])
        return [b"wsgi"]

    mount_asgi(app, "/asgi", application, lifespan=False)
    mount_wsgi(app, "/wsgi", wsgi_application)
    tracing(app, tracer_provider=spans.provider)
    async with Client(app) as client:
        assert (await client.get("/asgi/x/y")).body == b"asgi"
        assert (await client.get("/wsgi/x/y")).body == b"wsgi"
        assert (await client.request("/asgi/x", "PROPFIND")).body == b"asgi"
    routes = [span.attributes["http.route"] for span in spans.get_finished_spans()]
    patterns = [app.declarations[index].path for index in (-3, -1, -3)]
    assert [pattern.split("/")[1] for pattern in patterns] == ["asgi", "wsgi", "asgi"]
    assert routes == patterns
    own = [span.get_span_context().span_id for span in spans.get_finished_spans()]
    assert seen == own


async def test_a_websocket_of_a_mounted_application_has_its_span(app, spans):
    async def application(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    mount_asgi(app, "/asgi", application, lifespan=False)
    tracing(app, tracer_provider=spans.provider)
    async with Client(app) as client, client.websocket("/asgi/chat"):
        pass
    route = spans.get_finished_spans()[0].attributes["http.route"]
    assert spans.names == [f"GET {route}", f"WS {route}"]


@pytest.mark.parametrize("fails", [False, True])
async def test_an_app_below_an_asgi_server_is_traced(app, spans, fails):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield b"a"
            if fails:
                raise ValueError("cut")

        response.body = pieces()

    received = iter([{"type": "http.request"}])

    async def receive():
        return next(received, None) or await asyncio.Event().wait()

    async def send(message):
        pass

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "2",
        "method": "GET",
        "scheme": "https",
        "path": "/below/stream",
        "raw_path": b"/below/stream",
        "query_string": b"a=b",
        "root_path": "/below",
        "headers": [(b"host", b"example.org"), (b"traceparent", b"-")],
        "client": ("testclient", None),
        "server": ("127.0.0.1", None),
    }
    await app.startup()
    with pytest.raises(ValueError, match="cut") if fails else nullcontext():
        await asgi(app)(scope, receive, send)
    await app.shutdown()
    (span,) = spans.get_finished_spans()
    assert span.name == "GET /below/stream"
    assert span.attributes["client.address"] == "testclient"
    assert "network.peer.port" not in span.attributes
    assert span.attributes["network.protocol.version"] == "2"
    assert span.attributes["server.port"] == 443
    assert span.attributes.get("error.type") == ("ValueError" if fails else None)
    assert trace.get_current_span() is trace.INVALID_SPAN


# Logs


@pytest.fixture
def handler():
    """The SDK's handler of logging, whose records are kept."""
    provider = LoggerProvider(shutdown_on_exit=False)
    # The one that is there; the older has another name.
    kind = getattr(logs, "InMemoryLogRecordExporter", None) or logs.InMemoryLogExporter
    handler_exporter = kind()
    provider.add_log_record_processor(logs.SimpleLogRecordProcessor(handler_exporter))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it moves to a package
        handler = LoggingHandler(logger_provider=provider)
    handler.exporter = handler_exporter
    return handler


def lines(handler):
    """Tell the texts of the records, and the spans that they belong to."""
    records = [data.log_record for data in handler.exporter.get_finished_logs()]
    return [(each.body, each.trace_id, each.span_id) for each in records]


@pytest.mark.parametrize("logger_is_first", [False, True])
@pytest.mark.parametrize("format", ["short", "common"])
async def test_what_is_logged_has_the_ids(
    app, client, spans, handler, format, logger_is_first
):
    if logger_is_first:
        logger(app, handler=handler, format=format)
    tracing(app, tracer_provider=spans.provider)
    if not logger_is_first:
        logger(app, handler=handler, format=format)

    @app.route("/chatty")
    async def chatty(request, response):
        logging.getLogger("roll").info("from the view")

    await client.get("/chatty")
    await client.get("/broken")
    known = [span.get_span_context() for span in spans.get_finished_spans()]
    found = lines(handler)
    texts = [text for text, _, _ in found]
    assert sum("/chatty" in text for text in texts) == 1
    assert sum("from the view" in text for text in texts) == 1
    assert sum("ValueError" in text for text in texts) == 1
    first, second = known
    for text, trace_id, span_id in found:
        if logger_is_first and text in ("GET /chatty", "GET /broken"):
            assert not span_id  # it is logged before there is a span
            continue
        owner = second if "/broken" in text or "ValueError" in text else first
        assert (trace_id, span_id) == (owner.trace_id, owner.span_id)


@pytest.mark.parametrize("sent", [None, "from-the-client", "not good"])
@pytest.mark.parametrize("logger_is_first", [False, True])
async def test_the_id_of_the_logger_is_an_attribute_when_it_is_named(
    app, client, spans, logger_is_first, sent
):
    def log():
        logger(app, handler=None, request_id="X-Request-ID")

    if logger_is_first:
        log()
    named = ["X-Request-ID"]
    tracing(app, tracer_provider=spans.provider, request_headers=named)
    if not logger_is_first:
        log()
    fields = {} if sent is None else {"X-Request-ID": sent}
    response = await client.get("/users/7", headers=fields)
    given = response.headers["X-Request-ID"]
    assert (given == sent) is (sent == "from-the-client")
    (span,) = spans.get_finished_spans()
    assert span.attributes["http.request.header.x-request-id"] == (given,)


async def test_without_a_logger_the_id_is_that_of_the_client(app, client, spans):
    named = ["X-Request-ID"]
    tracing(app, tracer_provider=spans.provider, request_headers=named)
    await client.get("/users/7", headers={"X-Request-ID": "7"})
    await client.get("/users/7")
    first, second = spans.get_finished_spans()
    assert first.attributes["http.request.header.x-request-id"] == ("7",)
    assert "http.request.header.x-request-id" not in second.attributes


# A collector


async def test_spans_reach_a_collector():
    """OTLP over HTTP, from a thread of the SDK, to a collector that reads it."""
    collector = Roll()
    received = []

    @collector.route("/v1/traces", methods=["POST"])
    async def collect(request, response):
        assert request.content_type == "application/x-protobuf"
        received.append(ExportTraceServiceRequest.FromString(request.body))
        response.headers["Content-Type"] = "application/x-protobuf"

    app = Roll()

    @app.route("/users/{id:int}")
    async def user(request, response, id):
        if id == 8:
            raise ValueError("no")

    async with LiveClient(collector) as live, Client(app) as client:
        exporter = OTLPSpanExporter(f"{live.url}/v1/traces")
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracing(app, tracer_provider=provider)
        await client.get("/users/7", headers=CALLER)
        await client.get("/users/8")
        await asyncio.to_thread(provider.force_flush)
        await asyncio.to_thread(provider.shutdown)
    found = [
        (scope.scope, span)
        for message in received
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    (scope, first), (_, second) = found
    assert scope.name == "roll_observability"
    assert (first.name, first.kind) == ("GET /users/{id:int}", first.SPAN_KIND_SERVER)
    assert first.trace_id.hex() == CALLER["traceparent"].split("-")[1]
    assert first.parent_span_id.hex() == CALLER["traceparent"].split("-")[2]
    attributes = {each.key: each.value for each in second.attributes}
    assert attributes["http.response.status_code"].int_value == 500
    assert attributes["error.type"].string_value == "ValueError"
    assert second.status.code == second.status.STATUS_CODE_ERROR
    assert [event.name for event in second.events] == ["exception"]


async def test_an_exporter_that_fails_does_not_touch_a_request(app, client, caplog):
    class Failing(InMemorySpanExporter):
        def export(self, spans):
            raise OSError("no collector")

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Failing()))
    tracing(app, tracer_provider=provider)
    assert (await client.get("/users/7")).body == b"user 7"
    assert "no collector" in caplog.text
