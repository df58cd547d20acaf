"""tracing: a span of OpenTelemetry for each request, by the real SDK."""

import asyncio
import gc
import logging
import re
import sys
import time
from contextlib import suppress

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from roll import Endpoint, HttpError, Request, Response, Roll
from roll.extensions import proxy_headers, tracing
from roll_testing import connect, exchange, settle, turns, until
from websockets.exceptions import ConnectionClosedOK

from .traced import Spans, make_app

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}

BEFORE = ("*", "observability")
"""Of a listener that runs before those of `tracing`."""


@pytest.fixture
def spans():
    return Spans()


@pytest.fixture
def app():
    return make_app()


def request_bytes(target, *fields, method="GET", version="1.1"):
    lines = [f"{method} {target} HTTP/{version}", "Host: x", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def ids(span):
    """Tell the ids of a span's trace and its own."""
    found = span.get_span_context()
    return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)


def current():
    return trace.get_current_span().get_span_context().span_id


def error_of(span):
    """Tell the status, the type of the error, and the exceptions recorded."""
    recorded = [event.attributes["exception.type"] for event in span.events]
    return span.status.status_code, span.attributes.get("error.type"), recorded


# The span


async def test_a_request_is_one_server_span(app, client, spans):
    tracing(app, tracer_provider=spans.provider)
    await client.get("/users/7")
    span = spans.only
    assert (span.name, span.kind) == ("GET /users/{id:int}", SpanKind.SERVER)
    assert span.parent is None
    assert span.instrumentation_scope.name == "roll_observability"
    assert span.instrumentation_scope.schema_url.startswith("https://opentelemetry.io/")


async def test_a_stream_is_one_span(app, client, spans):
    """otel-contrib#2343, opentelemetry-python#402: none for each `send`."""
    tracing(app, tracer_provider=spans.provider)

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            for _ in range(50):
                yield "piece"

        response.body = pieces()

    response = await client.get("/stream")
    assert response.body == b"piece" * 50
    assert spans.names == ["GET /stream"]


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/users/7", "GET /users/{id:int}"),
        ("HEAD", "/users/7", "HEAD /users/{id:int}"),
        ("POST", "/users/7", "POST /users/{id:int}"),  # 405: the pattern
        ("GET", "/nowhere", "GET"),
        ("PROPFIND", "/nowhere", "HTTP"),
        ("PROPFIND", "/users/7", "HTTP /users/{id:int}"),
    ],
)
async def test_the_name_is_the_method_and_the_route(
    app, client, spans, method, path, name
):
    tracing(app, tracer_provider=spans.provider)
    await client.request(path, method)
    assert spans.names == [name]


async def test_an_unknown_method_is_an_attribute_of_its_own(app, client, spans):
    tracing(app, tracer_provider=spans.provider)
    await client.request("/nowhere", "PROPFIND")
    await client.request("/nowhere", "PATCH")
    first, second = (dict(span.attributes) for span in spans)
    assert first["http.request.method"] == "_OTHER"
    assert first["http.request.method_original"] == "PROPFIND"
    assert second["http.request.method"] == "PATCH"
    assert "http.request.method_original" not in second


async def test_the_method_is_that_which_was_sent(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.listen("request")
    async def override(request, response):
        request.method = "GET"

    await client.post("/users/7")
    assert spans.only.name == "POST /users/{id:int}"
    assert spans.only.attributes["http.request.method"] == "POST"


async def test_a_route_that_a_listener_chooses_is_that_of_the_span(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.listen("request")
    async def route_again(request, response):
        request.path = {"/me": "/users/7", "/users/8": "/nowhere"}[request.path]

    await client.get("/me")
    await client.get("/users/8")
    found, lost = spans
    assert found.name == "GET /users/{id:int}"
    assert found.attributes["http.route"] == "/users/{id:int}"
    assert found.attributes["url.path"] == "/me"
    assert lost.name == "GET"


async def test_a_name_that_the_application_gives_stays(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.listen("request")
    async def rename(request, response):
        trace.get_current_span().update_name("mine")

    await client.get("/users/7")
    assert spans.names == ["mine"]


# Its attributes


async def test_the_attributes_are_those_of_the_conventions(app, liveclient, spans):
    tracing(app, tracer_provider=spans.provider)
    agent = {"User-Agent": "curl/8"}
    response = await liveclient.query("GET", "/users/7?q=caf%C3%A9", headers=agent)
    assert response.status == 200
    await until(lambda: len(spans))
    attributes = dict(spans.only.attributes)
    assert isinstance(attributes.pop("network.peer.port"), int)
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/users/{id:int}",
        "url.path": "/users/7",
        "url.query": "q=caf%C3%A9",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": liveclient.port,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "curl/8",
    }


async def test_what_is_not_known_is_no_attribute(app, spans):
    tracing(app, tracer_provider=spans.provider)
    transport = connect(app, extra={"peername": ""})  # as of a unix socket
    transport.feed(b"GET /nowhere HTTP/1.0\r\n\r\n")
    await settle(transport)
    assert dict(spans.only.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "url.path": "/nowhere",
        "url.scheme": "http",
        "network.protocol.version": "1.0",
    }


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [
        ("example.org", "example.org", 80),
        ("example.org:8000", "example.org", 8000),
        ("example.org:", "example.org", 80),
        ("[::1]:8000", "::1", 8000),
        ("[::1]", "::1", 80),
        ("x:123456789", "x", 80),
    ],
)
async def test_the_server_is_what_the_client_has_asked_for(
    app, client, spans, host, address, port
):
    tracing(app, tracer_provider=spans.provider)
    await client.get("/users/7", headers={"Host": host})
    attributes = spans.only.attributes
    assert attributes["server.address"] == address
    assert attributes["server.port"] == port


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/caf%C3%A9/x%2Fy?a=b", "/caf%C3%A9/x%2Fy", "a=b"),
        ("http://x/a?b=c", "/a", "b=c"),
        ("http://x?b=c", "/", "b=c"),
        ("http://x", "/", None),
        ("/a?", "/a", None),
        ("/a?u=http://y/z?w", "/a", "u=http://y/z?w"),
    ],
)
async def test_path_and_query_are_as_they_were_sent(app, spans, target, path, query):
    tracing(app, tracer_provider=spans.provider)
    await exchange(app, request_bytes(target))
    attributes = spans.only.attributes
    assert attributes["url.path"] == path
    assert attributes.get("url.query") == query


@pytest.mark.parametrize("proxy_is_first", [False, True])
async def test_the_client_is_whom_a_trusted_proxy_names(app, spans, proxy_is_first):
    if proxy_is_first:
        proxy_headers(app, trusted=["10.0.0.1"])
    tracing(app, tracer_provider=spans.provider)
    if not proxy_is_first:
        proxy_headers(app, trusted=["10.0.0.1"])
    transport = connect(app, extra={"peername": ("10.0.0.1", 4000)})
    fields = ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
    transport.feed(request_bytes("/users/7", *fields, "X-Forwarded-Host: example.org"))
    await settle(transport)
    attributes = spans.only.attributes
    assert attributes["client.address"] == "192.0.2.1"
    assert attributes["network.peer.address"] == "10.0.0.1"
    assert attributes["network.peer.port"] == 4000
    assert attributes["url.scheme"] == "https"
    assert attributes["server.address"] == "example.org"
    assert attributes["server.port"] == 443


async def test_a_scheme_that_is_unknown_has_no_usual_port(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.listen("headers", before=BEFORE)
    async def tell(request, response):
        request.scheme = "coap"

    await client.get("/users/7", headers={"Host": "x"})
    assert "server.port" not in spans.only.attributes


async def test_fields_are_attributes_only_when_they_are_named(app, client, spans):
    tracing(
        app,
        tracer_provider=spans.provider,
        request_headers=["Accept-Language", "X-Twice", "X-Missing"],
        response_headers=["Content-Type", "Vary", "X-Missing"],
    )

    @app.listen("response")
    async def add(request, response):
        response.headers["Content-Type"] = "text/plain"
        response.headers["Vary"] = ["A", "B"]

    fields = {"Accept-Language": "fr", "X-Twice": ["a", "b"], "X-Other": "c"}
    await client.get("/users/7", headers={**fields, "Cookie": "a=b"})
    attributes = spans.only.attributes
    assert {name: attributes[name] for name in attributes if ".header." in name} == {
        "http.request.header.accept-language": ("fr",),
        "http.request.header.x-twice": ("a", "b"),
        "http.response.header.content-type": ("text/plain",),
        "http.response.header.vary": ("A", "B"),
    }


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", None),
        ("a=b", "a=b"),
        ("a", "a"),
        ("token=x&a=b", "token=@&a=b"),
        ("a=b&TOKEN=x=y", "a=b&TOKEN=@"),
        ("token", "token"),
        ("token=", "token=@"),
        ("sig=1&signature=2&key=3&password=4", "sig=@&signature=@&key=@&password=@"),
        ("X-Goog-Signature=1&AWSAccessKeyId=2", "X-Goog-Signature=@&AWSAccessKeyId=@"),
        ("X-Amz-Signature=1&access_token=2", "X-Amz-Signature=@&access_token=@"),
        ("%74oken=x", "%74oken=@"),
        ("code=x", "code=@"),
        ("my+secret=x&my%20secret=y", "my+secret=@&my%20secret=@"),
        ("tokens=x&a[token]=y", "tokens=x&a[token]=y"),
        ("&&=x&token=1&token=2", "&&=x&token=@&token=@"),
    ],
)
async def test_secrets_of_the_query_are_not_shown(app, spans, query, shown):
    tracing(app, tracer_provider=spans.provider, redact=["Code", "my secret"])
    await exchange(app, request_bytes(f"/users/7?{query}"))
    expected = None if shown is None else shown.replace("@", "REDACTED")
    assert spans.only.attributes.get("url.query") == expected


async def test_every_secret_of_a_long_query_is_replaced(app, spans):
    tracing(app, tracer_provider=spans.provider)
    query = "&".join(["%74oken=%"] * 800)
    await exchange(app, request_bytes(f"/users/7?{query}"))
    assert spans.only.attributes["url.query"].count("REDACTED") == 800


# Start and end


async def test_a_span_is_as_long_as_its_stream(app, client, spans):
    """otel-contrib#3401: the span of a stream ended with its head."""
    tracing(app, tracer_provider=spans.provider)
    go_on = asyncio.Event()

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield "a"
            await go_on.wait()
            trace.get_current_span().add_event("last")
            yield "b"

        response.body = pieces()

    async with client.stream("/stream") as response:
        pieces = aiter(response)
        assert await anext(pieces) == b"a"
        assert len(spans) == 0
        go_on.set()
        assert await anext(pieces) == b"b"
    await until(lambda: len(spans))
    span = spans.only
    assert span.status.status_code is StatusCode.UNSET
    (event,) = span.events
    assert span.start_time < event.timestamp <= span.end_time


async def test_a_clock_that_is_set_back_shortens_no_span(
    app, client, spans, monkeypatch
):
    tracing(app, tracer_provider=spans.provider)
    now = time.time_ns()

    @app.route("/")
    async def home(request, response):
        monkeypatch.setattr(time, "time_ns", lambda: now - 3_600 * 10**9)

    await client.get("/")
    assert 0 < spans.only.end_time - spans.only.start_time < 3_600 * 10**9


async def test_pipelined_requests_have_a_span_each(app, spans):
    tracing(app, tracer_provider=spans.provider)
    await exchange(app, request_bytes("/users/1") + request_bytes("/nowhere"))
    assert spans.names == ["GET /users/{id:int}", "GET"]
    first, second = spans
    assert ids(first)[0] != ids(second)[0]
    assert first.parent is second.parent is None


@pytest.mark.parametrize("event", ["headers", "request", "response"])
@pytest.mark.parametrize("early", [False, True])
async def test_what_a_listener_answers_or_refuses_has_one_span(
    app, client, spans, event, early
):
    """A listener that ends the chain or raises, before ours or after it."""
    tracing(app, tracer_provider=spans.provider)

    @app.listen(event, before=BEFORE if early else ())
    async def answer(request, response):
        if request.path == "/refused":
            raise HttpError(403)
        response.status = 200
        return True

    await client.get("/users/7")
    await client.get("/refused")
    statuses = [span.attributes["http.response.status_code"] for span in spans]
    assert statuses == [200, 403]


async def test_a_request_that_is_cancelled_before_it_begins_has_a_span(app, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.listen("headers", before=BEFORE)
    async def wait(request, response):
        await asyncio.Event().wait()

    transport = connect(app)
    transport.feed(request_bytes("/users/7"))
    await turns()
    assert len(spans) == 0
    transport.disconnect()
    await until(lambda: len(spans))
    assert error_of(spans.only) == (StatusCode.UNSET, "client_disconnected", [])


async def test_a_request_made_by_hand_has_a_span(app, spans):
    tracing(app, tracer_provider=spans.provider)
    request = Request(app, None)
    request.path = "/users/7"
    await asyncio.create_task(app(request, Response(app, None)))
    span = spans.only
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["http.route"] == "/users/{id:int}"


# Errors


async def test_an_exception_is_recorded_once_and_an_error(app, client, spans):
    tracing(app, tracer_provider=spans.provider)
    await client.get("/broken")
    span = spans.only
    assert span.attributes["http.response.status_code"] == 500
    assert error_of(span) == (StatusCode.ERROR, "ValueError", ["ValueError"])
    (event,) = span.events
    assert event.attributes["exception.message"] == "no"
    assert 'raise ValueError("no")' in event.attributes["exception.stacktrace"]


async def test_of_several_exceptions_the_first_is_recorded(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.listen("response")
    async def fail(request, response):
        raise KeyError("second")

    await client.get("/broken")
    assert error_of(spans.only) == (StatusCode.ERROR, "ValueError", ["ValueError"])


async def test_an_http_error_of_the_server_is_an_error(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/busy")
    async def busy(request, response):
        try:
            raise KeyError
        except KeyError:
            raise HttpError(503) from None

    await client.get("/busy")
    assert spans.only.attributes["http.response.status_code"] == 503
    expected = (StatusCode.ERROR, "HttpError", ["roll.errors.HttpError"])
    assert error_of(spans.only) == expected


async def test_a_status_of_the_server_without_an_exception_is_an_error(
    app, client, spans
):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/busy")
    async def busy(request, response):
        response.status = 503

    await client.get("/busy")
    assert error_of(spans.only) == (StatusCode.ERROR, "503", [])


async def test_a_response_that_cannot_be_sent_is_an_error(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/wrong")
    async def wrong(request, response):
        response.headers["X"] = "a\nb"

    assert (await client.get("/wrong")).status == 500
    status, kind, recorded = error_of(spans.only)
    assert (status, [kind]) == (StatusCode.ERROR, recorded)


@pytest.mark.parametrize("path", ["/nowhere", "/refused"])
async def test_a_mistake_of_the_client_is_no_error(app, client, spans, path):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/refused")
    async def refuse(request, response):
        raise HttpError(400, "wrong")

    await client.get(path)
    assert error_of(spans.only) == (StatusCode.UNSET, None, [])


async def test_an_error_that_a_listener_answers_is_recorded_and_no_more(
    app, client, spans
):
    tracing(app, tracer_provider=spans.provider)

    @app.listen("error")
    async def answer(request, response, error):
        response.status = 200
        return True

    await client.get("/broken")
    assert error_of(spans.only) == (StatusCode.UNSET, None, ["ValueError"])


async def test_a_stream_that_is_cut_is_an_error(app, spans):
    @app.listen("finish")
    async def listen(request, response):
        await asyncio.sleep(0)

    tracing(app, tracer_provider=spans.provider)

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield "a"
            raise ValueError("cut")

        response.body = pieces()

    await exchange(app, request_bytes("/stream"))
    span = spans.only
    assert span.attributes["http.response.status_code"] == 200
    assert error_of(span) == (StatusCode.ERROR, "ValueError", ["ValueError"])


async def test_a_stream_that_breaks_its_promise_is_an_error(app, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield "a"

        response.headers["Content-Length"] = 2
        response.body = pieces()

    await exchange(app, request_bytes("/stream"))
    assert error_of(spans.only) == (StatusCode.ERROR, "ValueError", ["ValueError"])


@pytest.mark.parametrize("started", [False, True])
async def test_a_client_that_leaves_is_no_error(app, spans, started):
    """MLPA#160: clients that left counted as errors."""
    tracing(app, tracer_provider=spans.provider)
    closed = []

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                closed.append(True)

        if not started:
            await asyncio.Event().wait()
        response.body = pieces()

    transport = connect(app)
    transport.feed(request_bytes("/stream"))
    await (until(lambda: b"a\r\n" in transport.data) if started else turns())
    transport.disconnect()
    await until(lambda: len(spans))
    span = spans.only
    assert error_of(span) == (StatusCode.UNSET, "client_disconnected", [])
    # A status that was never sent is not told.
    status = span.attributes.get("http.response.status_code")
    assert status == (200 if started else None)
    assert closed == [True] * started


@pytest.mark.parametrize("fails", [False, True])
async def test_a_view_that_goes_on_without_its_client_has_a_span(app, spans, fails):
    tracing(app, tracer_provider=spans.provider)
    go_on = asyncio.Event()

    @app.route("/", on_disconnect="finish")
    async def home(request, response):
        await go_on.wait()
        if fails:
            raise ValueError

    transport = connect(app)
    transport.feed(request_bytes("/"))
    await turns()
    transport.disconnect()
    await turns()
    assert len(spans) == 0
    go_on.set()
    await until(lambda: len(spans))
    if fails:
        expected = (StatusCode.ERROR, "ValueError", ["ValueError"])
    else:
        expected = (StatusCode.UNSET, "client_disconnected", [])
    assert error_of(spans.only) == expected


async def test_nothing_is_left_of_a_request(app, spans, monkeypatch):
    tracing(app, tracer_provider=spans.provider)
    monkeypatch.setattr(logging.getLogger("roll"), "disabled", True)  # it keeps errors

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield "a"
            raise ValueError("cut")

        response.body = pieces()

    async def ask():
        for target in ("/users/7", "/broken", "/nowhere", "/stream"):
            await exchange(app, request_bytes(target))

    await ask()
    gc.collect()
    gc.disable()
    try:
        others = {*map(id, requests())}  # of tests that ran before
        await ask()
        assert [found for found in requests() if id(found) not in others] == []
    finally:
        gc.enable()


def requests():
    # Not isinstance: it would make the lazy objects of other libraries real.
    return [found for found in gc.get_objects() if issubclass(type(found), Request)]


# Context


async def test_the_span_is_current_wherever_the_request_is_served(app, client, spans):
    tracing(app, tracer_provider=spans.provider)
    seen = {"listeners": []}

    @app.listen("headers")
    @app.listen("request")
    @app.listen("response")
    @app.listen("finish")
    async def listen(request, response):
        seen["listeners"].append(current())

    async def task():
        seen["task"] = current()

    async def later():
        await until(lambda: len(spans))
        seen["later"] = current()

    @app.route("/")
    async def home(request, response):
        seen["view"] = current()
        seen["thread"] = await asyncio.to_thread(current)
        await asyncio.create_task(task())
        request.app.keep(later())

        async def pieces():
            seen["stream"] = current()
            yield "a"

        response.body = pieces()

    await client.get("/")
    await until(lambda: "later" in seen)
    span_id = spans.only.get_span_context().span_id
    assert seen.pop("listeners") == [span_id] * 4
    assert seen == dict.fromkeys(("view", "thread", "task", "stream", "later"), span_id)


async def test_spans_of_the_view_are_children(app, client, spans):
    tracing(app, tracer_provider=spans.provider)
    tracer = spans.provider.get_tracer("test")

    @app.route("/")
    async def home(request, response):
        with tracer.start_as_current_span("inner"):
            await asyncio.sleep(0)

    await client.get("/")
    inner, outer = spans
    assert inner.parent.span_id == outer.get_span_context().span_id


async def test_no_token_is_detached_in_another_context(app, caplog, spans):
    """opentelemetry-python#2606: "created in a different Context"."""
    tracing(app, tracer_provider=spans.provider)
    closed = []

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            try:
                while True:
                    yield "a"
                    await asyncio.sleep(0)
            finally:
                closed.append(current())

        response.body = pieces()

    for _ in range(3):
        transport = connect(app)
        transport.feed(request_bytes("/stream"))
        await until(lambda sent=transport: b"a\r\n" in sent.data)
        transport.disconnect()
    await until(lambda: len(spans) == 3)
    assert [record for record in caplog.records if "detach" in record.message] == []
    assert sorted(closed) == sorted(span.context.span_id for span in spans)
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_a_request_is_not_part_of_what_has_started_the_server(app, spans):
    tracing(app, tracer_provider=spans.provider)
    tracer = spans.provider.get_tracer("test")
    with tracer.start_as_current_span("main"):
        await exchange(app, request_bytes("/users/7"))
    request, _ = spans
    assert request.parent is None


async def test_the_trace_and_the_baggage_of_the_caller_go_on(app, client, spans):
    tracing(app, tracer_provider=spans.provider)
    seen = {}

    @app.route("/")
    async def home(request, response):
        seen.update(baggage.get_all())
        propagate.inject(seen)

    fields = {**CALLER, "tracestate": "a=b", "baggage": ["user=ada", "plan=free"]}
    await client.get("/", headers=fields)
    span = spans.only
    assert ids(span)[0] == TRACE_ID
    assert trace.format_span_id(span.parent.span_id) == SPAN_ID
    assert span.parent.is_remote
    assert (seen["user"], seen["plan"]) == ("ada", "free")
    assert seen["traceparent"] == f"00-{TRACE_ID}-{ids(span)[1]}-01"
    assert seen["tracestate"] == "a=b"


async def test_the_propagator_is_the_configured_one(app, client, spans):
    class Mine(propagate.textmap.TextMapPropagator):
        fields = frozenset({"x-trace"})

        def extract(self, carrier, context=None, getter=None):
            assert "x-trace" in getter.keys(carrier)
            (trace_id,) = getter.get(carrier, "x-trace")
            sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
            given = trace.SpanContext(int(trace_id), 1, True, sampled)
            span = trace.NonRecordingSpan(given)
            return trace.set_span_in_context(span, context)

        def inject(self, carrier, context=None, setter=None):
            raise NotImplementedError

    tracing(app, tracer_provider=spans.provider)
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Mine())
    try:
        await client.get("/users/7", headers={"X-Trace": "77"})
    finally:
        propagate.set_global_textmap(before)
    assert spans.only.get_span_context().trace_id == 77


# Trust


@pytest.mark.parametrize(
    ("trust", "peer", "trusted"),
    [
        (True, ("192.0.2.1", 4000), True),
        (False, ("192.0.2.1", 4000), False),
        (["192.0.2.1"], ("192.0.2.1", 4000), True),
        (["192.0.2.0/24", "10.0.0.0/8"], ("192.0.2.1", 4000), True),
        (["10.0.0.0/8"], ("192.0.2.1", 4000), False),
        (["2001:db8::/32"], ("2001:db8::1", 4000, 0, 0), True),
        (["192.0.2.1"], ("::ffff:192.0.2.1", 4000, 0, 0), True),
        ([], ("192.0.2.1", 4000), False),
        (["unix"], ("192.0.2.1", 4000), False),
        (["192.0.2.1"], ("fe80::1%eth0", 4000), False),
        (["192.0.2.1"], ("not an address", 4000), False),
    ],
)
async def test_only_the_context_of_trusted_peers_goes_on(
    app, spans, trust, peer, trusted
):
    tracing(app, tracer_provider=spans.provider, trust=trust)
    seen = {}

    @app.route("/")
    async def home(request, response):
        seen.update(baggage.get_all())

    transport = connect(app, extra={"peername": peer})
    fields = [f"{name}: {value}" for name, value in CALLER.items()]
    transport.feed(request_bytes("/", *fields, "baggage: a=b"))
    await settle(transport)
    span = spans.only
    if trusted:
        assert ids(span)[0] == TRACE_ID
        assert len(span.links) == 0
        assert seen == {"a": "b"}
    else:
        assert ids(span)[0] != TRACE_ID
        assert span.parent is None
        (link,) = span.links
        assert trace.format_trace_id(link.context.trace_id) == TRACE_ID
        assert trace.format_span_id(link.context.span_id) == SPAN_ID
        assert seen == {}


@pytest.mark.parametrize("trust", [False, ["10.0.0.0/8"]])
async def test_malformed_baggage_of_strangers_is_not_logged(
    app, client, spans, caplog, trust
):
    tracing(app, tracer_provider=spans.provider, trust=trust)
    fields = {**CALLER, "baggage": "a,b,c"}
    await client.get("/users/7", headers=fields)
    assert spans.only.links
    assert caplog.records == []


async def test_strangers_do_not_force_sampling(app, client):
    spans = Spans(sampler=ParentBased(ALWAYS_OFF))
    tracing(app, tracer_provider=spans.provider, trust=False)
    await client.get("/users/7", headers=CALLER)
    assert len(spans) == 0


@pytest.mark.parametrize("trust", [False, ["10.0.0.1"]])
async def test_without_a_context_there_is_no_link(app, client, spans, trust):
    tracing(app, tracer_provider=spans.provider, trust=trust)
    await client.get("/users/7")
    await client.get("/users/7", headers={"traceparent": "nonsense"})
    assert [len(span.links) for span in spans] == [0, 0]


@pytest.mark.parametrize(("trust", "trusted"), [(["unix"], True), (["::1"], False)])
async def test_peers_of_unix_sockets_are_trusted_by_name(
    app, spans, tmp_path, trust, trusted
):
    tracing(app, tracer_provider=spans.provider, trust=trust)
    path = tmp_path / "socket"
    server = await asyncio.get_running_loop().create_unix_server(app.factory, path)
    async with server:
        reader, writer = await asyncio.open_unix_connection(path)
        fields = [f"{name}: {value}" for name, value in CALLER.items()]
        writer.write(request_bytes("/users/7", *fields, "Connection: close"))
        await reader.read()
        writer.close()
        await writer.wait_closed()
    await until(lambda: len(spans))
    assert (ids(spans.only)[0] == TRACE_ID) is trusted
    assert "network.peer.address" not in spans.only.attributes


async def test_the_peer_is_not_whom_a_proxy_names(app, spans):
    proxy_headers(app, trusted=["10.0.0.1"])
    tracing(app, tracer_provider=spans.provider, trust=["192.0.2.1"])
    transport = connect(app, extra={"peername": ("10.0.0.1", 4000)})
    fields = [f"{name}: {value}" for name, value in CALLER.items()]
    transport.feed(request_bytes("/users/7", *fields, "X-Forwarded-For: 192.0.2.1"))
    await settle(transport)
    assert ids(spans.only)[0] != TRACE_ID


# What is left out, and what is not sampled


@pytest.mark.parametrize("path", ["/livez", "/users/7", "/none", "/quiet"])
async def test_routes_can_be_left_out(app, client, spans, path):
    excluded = ["/livez", "/users/{id:int}", "/none"]
    provider = spans.provider
    tracing(app, tracer_provider=provider, exclude=excluded, response_header=True)
    seen = []

    @app.route("/livez")
    @app.route("/quiet", tracing=False)
    @app.route("/loud", tracing=True)
    async def view(request, response):
        seen.append(current())

    response = await client.get(path, headers=CALLER)
    assert spans.names == []
    assert seen == [0] * len(seen)
    assert "traceresponse" not in response.headers
    await client.get("/loud")
    assert spans.names == ["GET /loud"]


async def test_an_error_of_a_route_that_is_left_out_has_no_span(app, client, spans):
    tracing(app, tracer_provider=spans.provider, exclude=["/broken"])
    assert (await client.get("/broken")).status == 500
    assert spans.names == []


def test_the_extra_is_true_or_false(app, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/", tracing="no")
    async def home(request, response):
        pass

    (mistake,) = app.find_mistakes()
    assert "tracing='no': give True or False." in mistake


class Seen(Sampler):
    """Samples nothing, and keeps what it is given."""

    def __init__(self):
        self.given = []

    def should_sample(
        self, parent_context, trace_id, name, kind=None, attributes=None, *rest, **more
    ):
        self.given.append((name, kind, dict(attributes)))
        return ALWAYS_OFF.should_sample(parent_context, trace_id, name)

    def get_description(self):
        return "Seen"


async def test_of_what_is_not_sampled_no_more_is_computed_than_samplers_get(
    app, client, monkeypatch
):
    sampler = Seen()
    spans = Spans(sampler=sampler)
    tracing(
        app,
        tracer_provider=spans.provider,
        request_headers=["Accept"],
        response_headers=["Vary"],
        redact=["a"],
    )
    from roll_observability import spans as module

    def fail(*arguments):
        raise AssertionError("it is not sampled")

    monkeypatch.setattr(module, "describe_further", fail)
    monkeypatch.setattr(module.Tracing, "_add_fields", fail)
    assert (await client.get("/users/7?a=b")).status == 200
    assert (await client.get("/broken")).status == 500
    assert len(spans) == 0
    assert sampler.given[0] == (
        "GET /users/{id:int}",
        SpanKind.SERVER,
        {
            "http.request.method": "GET",
            "http.route": "/users/{id:int}",
            "url.path": "/users/7",
            "url.scheme": "http",
        },
    )


async def test_a_sampler_that_fails_does_not_touch_a_request(app, client, caplog):
    class Failing(Seen):
        def should_sample(self, *arguments, **options):
            raise ValueError("no decision")

    tracing(app, tracer_provider=Spans(sampler=Failing()).provider)
    assert (await client.get("/users/7")).body == b"user 7"
    assert caplog.text.count("GET /users/7 is not traced") == 1
    assert "no decision" in caplog.text


async def test_what_is_not_sampled_passes_its_context_on(app, client):
    spans = Spans(sampler=ALWAYS_OFF)
    tracing(app, tracer_provider=spans.provider)
    sent = {}

    @app.route("/")
    async def home(request, response):
        propagate.inject(sent)

    await client.get("/", headers=CALLER)
    assert re.fullmatch(f"00-{TRACE_ID}-[0-9a-f]{{16}}-0[02]", sent["traceparent"])
    assert len(spans) == 0


async def test_without_an_sdk_the_context_of_the_caller_is_passed_on(app, client):
    tracing(app, tracer_provider=trace.NoOpTracerProvider())
    sent = {}

    @app.route("/")
    async def home(request, response):
        propagate.inject(sent)

    assert (await client.get("/")).status == 200
    assert sent == {}
    assert (await client.get("/", headers=CALLER)).status == 200
    assert sent == CALLER


async def test_without_an_sdk_the_context_is_that_of_a_websocket_too(app, client):
    tracing(app, tracer_provider=trace.NoOpTracerProvider())
    sent = {}

    @app.route("/chat", protocol="websocket")
    async def chat(request, ws):
        propagate.inject(sent)

    async with client.websocket("/chat", headers=CALLER):
        await until(lambda: sent)
    assert sent == CALLER


async def test_a_provider_may_be_set_up_later(app, client, spans, monkeypatch):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    tracing(app)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", spans.provider)
    await client.get("/users/7")
    assert spans.names == ["GET /users/{id:int}"]


async def test_responses_may_tell_the_ids(app, client, spans):
    tracing(app, tracer_provider=spans.provider, response_header=True)
    response = await client.get("/users/7")
    refused = await client.get("/nowhere")
    first, second = map(ids, spans)
    told = r"00-{}-{}-0[13]"  # 2 says that ids are random
    for answer, known in (response, first), (refused, second):
        assert re.fullmatch(told.format(*known), answer.headers["traceresponse"])


async def test_responses_do_not_tell_the_ids_unasked(app, client, spans):
    tracing(app, tracer_provider=spans.provider)
    await client.get("/users/7")
    assert b"trace" not in client.transport.data
    await client.get("/broken")
    assert b"trace" not in client.transport.data


# WebSockets


async def test_a_websocket_has_a_span_behind_that_of_its_handshake(app, client, spans):
    """otel-contrib#505: one span for the handshake and all that follows."""
    tracing(app, tracer_provider=spans.provider)
    seen = []

    @app.route("/chat/{room}", protocol="websocket")
    async def chat(request, ws, room):
        seen.append((current(), baggage.get_all()))
        async for message in ws:
            await ws.send(message)

    fields = {**CALLER, "baggage": "a=b"}
    async with client.websocket("/chat/7", headers=fields) as ws:
        await ws.send("a")
        assert await ws.recv() == "a"
        assert spans.names == ["GET /chat/{room}"]
    await until(lambda: len(spans) == 2)
    handshake, socket = spans
    assert handshake.attributes["http.response.status_code"] == 101
    assert ids(handshake)[0] == TRACE_ID
    assert (socket.name, socket.kind) == ("WS /chat/{room}", SpanKind.INTERNAL)
    assert socket.parent is None
    assert ids(socket)[0] != TRACE_ID
    (link,) = socket.links
    assert link.context == handshake.get_span_context()
    assert dict(socket.attributes) == {
        "http.route": "/chat/{room}",
        "network.protocol.name": "websocket",
        "url.path": "/chat/7",
    }
    assert seen == [(socket.get_span_context().span_id, {"a": "b"})]
    assert error_of(handshake) == error_of(socket) == (StatusCode.UNSET, None, [])


async def test_a_handshake_that_is_refused_has_one_span(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/chat", protocol="websocket")
    async def chat(request, ws):
        raise AssertionError

    assert (await client.get("/chat")).status == 426
    assert spans.names == ["GET /chat"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no"), StatusCode.ERROR),
        (ExceptionGroup("both", [ValueError("no")]), StatusCode.ERROR),
        (ConnectionClosedOK(None, None), StatusCode.ERROR),  # of another WebSocket
        (HttpError(500), StatusCode.ERROR),
        (HttpError(400), StatusCode.UNSET),
        (ExceptionGroup("both", [HttpError(400)]), StatusCode.UNSET),
    ],
)
async def test_what_the_view_of_a_websocket_raises_is_recorded(
    app, client, spans, error, status
):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/chat", protocol="websocket")
    async def chat(request, ws):
        raise error

    async with client.websocket("/chat"):
        await until(lambda: len(spans) == 2)
    _, socket = spans
    assert socket.status.status_code is status
    assert len(socket.events) == (status is StatusCode.ERROR)
    assert ("error.type" in socket.attributes) == (status is StatusCode.ERROR)


async def test_the_end_of_a_websocket_is_no_error(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/chat", protocol="websocket")
    async def chat(request, ws):
        await ws.recv()

    async with client.websocket("/chat"):
        pass
    await until(lambda: len(spans) == 2)
    _, socket = spans
    assert error_of(socket) == (StatusCode.UNSET, None, [])


class Echo:
    """A protocol of another name, which ends as its view does."""

    TOKEN = "echo"
    ALLOWED_METHODS = ("GET",)

    def __init__(self, request, response):
        self.request = request

    def connection_made(self, transport):
        pass

    async def run(self, view, variables):
        with suppress(ValueError):
            await view(self.request, self, **variables)

    def stop(self):
        pass


async def test_other_protocols_have_their_name(spans, monkeypatch):
    class App(Roll):
        EchoProtocol = Echo

    app = App()
    tracing(app, tracer_provider=spans.provider)

    @app.route("/echo", protocol="echo")
    async def echo(request, ws):
        monkeypatch.setitem(sys.modules, "websockets.exceptions", None)
        raise ValueError

    await exchange(app, request_bytes("/echo", "Connection: upgrade", "Upgrade: echo"))
    assert spans.names == ["GET /echo", "echo /echo"]
    _, socket = spans
    assert socket.attributes["network.protocol.name"] == "echo"
    assert error_of(socket) == (StatusCode.ERROR, "ValueError", ["ValueError"])


async def test_a_websocket_without_a_pattern_has_a_span(app, client, spans):
    tracing(app, tracer_provider=spans.provider)

    @app.route("/chat", protocol="websocket")
    async def chat(request, ws):
        pass

    @app.listen("route:find")
    def find(path, request):
        known, variables = app.router.find(path, request.method)
        return Endpoint(chat, run=known.run, switches=True), variables

    async with client.websocket("/chat"):
        pass
    await until(lambda: len(spans) == 2)
    assert spans.names == ["GET", "WS"]
    assert "http.route" not in list(spans)[1].attributes
