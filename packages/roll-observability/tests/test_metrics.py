"""metrics: what is measured, and how it is told."""

import asyncio
import gc
import gzip
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from roll import Endpoint, HttpError, Limits, Roll
from roll.extensions import (
    logger,
    metrics,
    mount,
    mount_asgi,
    mount_wsgi,
    proxy_headers,
)
from roll_testing import Client, connect, patience, settle, until

from .reading import DURATION, LABELS, parse, requests, value

FAMILIES = {
    "text/plain": text_string_to_metric_families,
    "application/openmetrics-text; version=1.0.0": openmetrics_families,
}
"""The parser of each format, by the `Accept` field that requests it."""

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def app():
    app = Roll()
    app["registry"] = metrics(app)
    app["waiting"] = asyncio.Event()

    @app.route("/users/{id:int}")
    async def user(request, response, id):
        response.body = "x"

    @app.route("/", methods=["GET", "POST", "PURGE"])
    async def home(request, response):
        response.body = "home"

    @app.route("/wait")
    async def wait(request, response):
        app["waiting"].set()
        await asyncio.Event().wait()

    @app.route("/late", timeout=0.001)
    async def late(request, response):
        await asyncio.Event().wait()

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield b"a"
            app["waiting"].set()
            await app["go on"].wait()
            yield b"b"

        app["go on"] = asyncio.Event()
        response.body = pieces()

    @app.route("/cut")
    async def cut(request, response):
        async def pieces():
            yield b"a"
            raise LookupError("gone")

        response.body = pieces()

    @app.route("/broken")
    async def broken(request, response):
        raise ZeroDivisionError

    @app.route("/refused")
    async def refused(request, response):
        raise HttpError(503)

    @app.route("/full")
    async def full(request, response):
        class Full(HttpError):
            pass

        Full.__qualname__ = "Full"
        raise Full(507)

    @app.route("/endless")
    async def endless(request, response):
        async def pieces():
            while True:
                yield bytes(2**16)

        response.body = pieces()

    @app.route("/bad-gateway")
    async def bad_gateway(request, response):
        response.status = 502

    @app.route("/own", metrics=False)
    async def own(request, response):
        response.body = "not measured"

    @app.route("/rerouted")
    async def rerouted(request, response):
        raise AssertionError

    @app.listen("request")
    async def reroute(request, response):
        if request.path == "/rerouted":
            request.path = "/users/7"

    return app


def read(app):
    return parse(generate_latest(app["registry"]).decode())


# Labels


@pytest.mark.parametrize(
    ("method", "path", "label", "route", "status", "error"),
    [
        ("GET", "/users/12", "GET", "/users/{id:int}", "200", ""),
        ("GET", "/users/x", "GET", "", "404", ""),
        ("GET", "/%ff", "GET", "", "400", ""),
        ("PUT", "/", "PUT", "/", "405", ""),
        ("POST", "/", "POST", "/", "200", ""),
        ("PURGE", "/", "_OTHER", "/", "200", ""),
        ("HEAD", "/", "HEAD", "/", "200", ""),
        ("GET", "/rerouted", "GET", "/users/{id:int}", "200", ""),
        ("GET", "/broken", "GET", "/broken", "500", "ZeroDivisionError"),
        ("GET", "/refused", "GET", "/refused", "503", "HttpError"),
        ("GET", "/full", "GET", "/full", "507", "Full"),
        ("GET", "/late", "GET", "/late", "503", "TimeoutError"),
        ("GET", "/bad-gateway", "GET", "/bad-gateway", "502", "502"),
        ("GET", "/cut", "GET", "/cut", "200", "LookupError"),
    ],
)
async def test_the_labels_of_a_request(
    app, caplog, method, path, label, route, status, error
):
    transport = connect(app)
    transport.feed(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await settle(transport)
    transport.disconnect()
    assert requests(read(app)) == {(label, route, status, error): 1}


async def test_a_request_has_the_labels_of_the_table_and_no_others(client, app):
    await client.get("/")
    found = read(app)
    assert value(found, f"{DURATION}_count", **LABELS) == 1
    names = {
        frozenset(dict(having)) for name, having in found if name.startswith(DURATION)
    }
    assert names == {frozenset(LABELS), frozenset({*LABELS, "le"})}


async def test_versions_and_schemes_are_told_apart(app):
    proxy_headers(app, trusted=["127.0.0.1"])
    for data in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n",
    ):
        transport = connect(app)
        transport.feed(data)
        await settle(transport)
    found = read(app)
    for version, scheme in ("1.0", "http"), ("1.1", "https"):
        labels = {"network_protocol_version": version, "url_scheme": scheme}
        assert value(found, f"{DURATION}_count", **labels) == 1


async def test_each_of_several_pipelined_requests_is_counted(app):
    transport = connect(app)
    transport.feed(GET % b"/" * 3)
    await settle(transport)
    transport.disconnect()
    assert requests(read(app)) == {("GET", "/", "200", ""): 3}


@pytest.mark.parametrize("leave", ["disconnect", "reset"])
@pytest.mark.parametrize(("path", "status"), [(b"/wait", "499"), (b"/stream", "200")])
async def test_a_client_that_leaves_is_not_an_error_of_the_server(
    app, leave, path, status
):
    """As in MLPA#160, where such requests counted as errors."""
    transport = connect(app)
    transport.feed(GET % path)
    await app["waiting"].wait()
    getattr(transport, leave)()
    expected = {("GET", path.decode(), status, "client_disconnected"): 1}
    await until(lambda: requests(read(app)) == expected)


async def test_a_client_that_stops_to_read_is_a_timeout(app):
    app.limits = Limits(write_timeout=0.05)
    await app.startup()
    transport = connect(app)
    transport.stall()
    transport.feed(GET % b"/endless")
    expected = {("GET", "/endless", "200", "timeout"): 1}
    await until(lambda: requests(read(app)) == expected)
    await app.shutdown()


async def test_a_body_that_does_not_come_is_a_timeout(app):
    app.limits = Limits(body_timeout=0.05)
    await app.startup()
    transport = connect(app)
    transport.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
    expected = {("POST", "/", "408", "timeout"): 1}
    await until(lambda: requests(read(app)) == expected)
    await app.shutdown()


async def test_a_line_feed_and_quotes_in_a_pattern_are_escaped(app):
    found = 'a"b\\c\nd'

    @app.listen("route:find")
    def find(path, request):
        return (Endpoint(view, path=found), {}) if path == "/odd" else None

    async def view(request, response):
        pass

    async with Client(app) as client:
        await client.get("/odd")
        for accept, families in FAMILIES.items():
            told = (await client.get("/metrics", headers={"Accept": accept})).body
            read = parse(told.decode(), families)
            assert requests(read) == {("GET", found, "200", ""): 1}


# What is not told apart


async def test_a_scanner_makes_one_series():
    """As litellm#35666, otari#264, starlette-prometheus#7, litestar#3533 did not."""
    app = Roll()
    app["registry"] = metrics(app)

    async def scan(first, last):
        for start in range(first, last, 500):
            transport = connect(app)
            for number in range(start, start + 500):
                transport.feed(GET % b"/wp-%d.php" % number)
            await settle(transport)
            transport.disconnect()
        gc.collect()
        return sys.getallocatedblocks()

    await scan(0, 2000)
    before = await scan(2000, 4000)
    after = await scan(4000, 20_000)
    assert after - before < 1000
    assert requests(read(app)) == {("GET", "", "404", ""): 20_000}


async def test_there_are_at_most_so_many_sets_of_labels(caplog):
    app = Roll()
    app["registry"] = metrics(app, max_series=3)

    @app.listen("route:find")
    def find(path, request):
        return Endpoint(view, path=path), {}

    async def view(request, response):
        response.status = int(request.path[-3:])

    async with Client(app) as client:
        for number in range(50):
            await client.get(f"/{number}/200")
            await client.get(f"/{number}/503")
    found = read(app)
    assert requests(found) == {
        ("GET", "/0/200", "200", ""): 1,
        ("GET", "/0/503", "503", "503"): 1,
        ("GET", "/1/200", "200", ""): 1,
        ("GET", "_OTHER", "200", ""): 48,
        ("GET", "_OTHER", "503", "_OTHER"): 49,
    }
    assert value(found, "roll_metrics_overflow_total") == 97
    warning = "metrics: there are 3 sets of labels, as many as max_series allows"
    assert [line.partition(";")[0] for line in caplog.messages] == [warning]


async def test_at_most_50_types_of_errors_are_told_apart(caplog):
    app = Roll()
    app["registry"] = metrics(app)

    @app.route("/{number}")
    async def fail(request, response, number):
        raise type(f"Error{number}", (Exception,), {})

    async with Client(app) as client:
        for number in range(60):
            await client.get(f"/{number}")
    errors = {error for *_, error in requests(read(app))}
    assert errors == {*(f"Error{number}" for number in range(50)), "_OTHER"}


# How a request ends, or does not begin


@pytest.mark.parametrize("event", ["headers", "request", "response", "error", "finish"])
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("how", ["raises", "answers"])
async def test_other_listeners_leave_each_request_counted_once(
    event, place, how, caplog
):
    app = Roll()

    async def intervene(request, response, *error):
        if how == "raises":
            raise LookupError
        return True

    if place == "before":
        app.listen(event, before="*")(intervene)
    app["registry"] = metrics(app, path=None)
    if place == "after":
        app.listen(event)(intervene)

    async with Client(app) as client:
        response = await client.get("/nowhere")
    (found,) = requests(read(app)).items()
    assert found[0][2] == str(int(response.status))
    assert found[1] == 1


async def test_refused_messages_are_counted_by_their_status(app):
    for data in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 9000),
        b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 9000),
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        transport = connect(app)
        transport.feed(data)
        await settle(transport)
    app.limits = Limits(head_timeout=0.05)
    await app.startup()
    connect(app).feed(b"GET / HT")

    def count():
        return {
            dict(having)["http_response_status_code"]: number
            for (name, having), number in read(app).items()
            if name == "http_server_refused_total"
        }

    expected = {"400": 2, "408": 1, "414": 1, "431": 1, "501": 1, "505": 1}
    await until(lambda: count() == expected)
    await app.shutdown()
    assert requests(read(app)) == {}


async def test_a_duration_lasts_from_the_head_to_the_last_byte(app):
    transport = connect(app)
    transport.feed(GET % b"/stream")
    await app["waiting"].wait()
    begun = perf_counter()
    await until(lambda: perf_counter() - begun > 0.03)
    found = read(app)
    assert requests(found) == {}
    first = "http_server_time_to_first_byte_seconds"
    labels = {"http_request_method": "GET", "http_route": "/stream"}
    assert value(found, f"{first}_count", **labels) == 1
    assert value(found, f"{first}_sum", **labels) < perf_counter() - begun
    app["go on"].set()
    await settle(transport)
    found = read(app)
    assert value(found, f"{DURATION}_sum") > 0.03
    assert value(found, f"{DURATION}_bucket", le="0.025") == 0
    assert value(found, f"{DURATION}_bucket", le="+Inf") == 1


async def test_only_streams_have_a_first_byte(app, client):
    await client.get("/")
    name = "http_server_time_to_first_byte_seconds_count"
    assert not [key for key, _ in read(app) if key == name]


# Mounted apps


def mounted():
    """Make an app with another in it, both measured."""
    app, inner, innermost = Roll(), Roll(), Roll()
    mount(inner, "/deep", innermost)
    mount(app, "/api", inner)
    app["registry"], innermost["registry"] = metrics(app), metrics(innermost)

    @innermost.route("/users/{id:int}")
    async def user(request, response, id):
        response.body = "x"

    @innermost.route("/broken")
    async def broken(request, response):
        raise ZeroDivisionError

    return app, innermost


async def test_the_route_of_a_mounted_app_is_its_whole_pattern(caplog):
    app, innermost = mounted()
    async with Client(app) as client:
        for path in "/users/1", "/nowhere", "/broken":
            await client.get(f"/api/deep{path}")
        await client.put("/api/deep/users/1")
        await client.get("/nowhere")
    inside = {
        ("GET", "/api/deep/users/{id:int}", "200", ""): 1,
        ("PUT", "/api/deep/users/{id:int}", "405", ""): 1,
        ("GET", "/api/deep/broken", "500", "ZeroDivisionError"): 1,
        ("GET", "", "404", ""): 1,
    }
    assert requests(read(innermost)) == inside
    assert requests(read(app)) == {**inside, ("GET", "", "404", ""): 2}


async def test_the_route_of_a_mounted_application_is_that_of_its_mount():
    def wsgi(environ, start_response):
        start_response("418 Teapot", [("Content-Length", "0")])
        return []

    async def asgi(scope, receive, send):
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"made"})

    app = Roll()
    app["registry"] = metrics(app)
    mount_wsgi(app, "/old", wsgi)
    mount_asgi(app, "/new", asgi, lifespan=False)
    async with Client(app) as client:
        for path in "/old/1", "/old/2", "/new/3":
            await client.get(path)
    assert requests(read(app)) == {
        ("GET", "/old/{path:path}", "418", ""): 2,
        ("GET", "/new/{path:path}", "201", ""): 1,
    }


async def test_an_app_that_starts_again_hears_of_errors_once(caplog):
    app, innermost = mounted()
    for _ in range(2):
        async with Client(app) as client:
            await client.get("/api/deep/broken")
    assert len(innermost.hooks["error"]) == 2  # its own, and that of the outermost app
    route = "/api/deep/broken"
    assert requests(read(app)) == {("GET", route, "500", "ZeroDivisionError"): 2}


async def test_what_is_open_is_that_of_the_outermost_app():
    app, innermost = mounted()
    async with Client(app):
        transport = connect(app)
        for each in app, innermost:
            name = "http_server_open_connections"
            assert value(read(each), name, url_scheme="http") == 1
        transport.disconnect()


# What is open


async def test_what_is_open_is_counted_when_it_is_read(app):
    def count(name):
        return value(read(app), name, url_scheme="http")

    transport = connect(app)
    assert count("http_server_open_connections") == 1
    assert count("http_server_active_requests") == 0
    transport.feed(GET % b"/wait")
    await app["waiting"].wait()
    assert count("http_server_active_requests") == 1
    transport.disconnect()
    await until(lambda: not app.connections)
    assert count("http_server_open_connections") == 0
    assert count("http_server_active_requests") == 0


async def test_a_scrape_does_not_count_itself(app, client):
    told = parse((await client.get("/metrics")).body.decode())
    assert value(told, "http_server_active_requests", url_scheme="http") == 0
    assert value(told, "http_server_open_connections", url_scheme="http") == 1
    assert requests(read(app)) == {}


async def test_the_worst_lag_of_the_loop_is_kept_whoever_reads_it(app, monkeypatch):
    monkeypatch.setattr("roll_observability.gauges.PERIOD", 0.001)
    name = "event_loop_lag_seconds"
    assert value(read(app), name) == 0
    await app.startup()
    await asyncio.sleep(0)
    end = perf_counter() + 0.05
    while perf_counter() < end:
        pass
    await until(lambda: value(read(app), name) >= 0.04)
    assert value(read(app), name) >= 0.04
    monkeypatch.setattr("roll_observability.gauges.WINDOW", 0)
    await until(lambda: value(read(app), name) < 0.04)
    await app.shutdown()


# WebSockets


async def test_a_websocket_is_a_request_of_101_and_has_a_duration(app, client):
    app["closed"] = asyncio.Event()

    @app.route("/chat/{room}", protocol="websocket")
    async def chat(request, ws, room):
        async for _ in ws:
            pass

    @app.listen("websocket_disconnect", after="*")
    def note(request, ws):
        app["closed"].set()

    async with client.websocket("/chat/blue") as ws:
        await ws.send("hello")
        assert requests(read(app)) == {("GET", "/chat/{room}", "101", ""): 1}
        assert value(read(app), "websocket_server_open", url_scheme="http") == 1
    await app["closed"].wait()
    found = read(app)
    labels = {"http_route": "/chat/{room}", "websocket_close_code": "1000"}
    assert value(found, "websocket_server_duration_seconds_count", **labels) == 1
    assert value(found, "websocket_server_duration_seconds_sum", **labels) > 0
    # pedestal#548, socket.io-prometheus-metrics#1: gauges that never come down.
    await until(lambda: not app.connections)
    assert value(read(app), "websocket_server_open", url_scheme="http") == 0


async def test_codes_of_clients_are_bounded(app, client):
    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        async for _ in ws:
            pass

    name = "websocket_server_duration_seconds_count"
    for code in range(4000, 4060):
        async with client.websocket("/ws") as ws:
            await ws.close(code)
    await until(lambda: not app.connections)
    codes = [
        dict(having)["websocket_close_code"]
        for sample, having in read(app)
        if sample == name
    ]
    assert len(codes) == 51
    assert value(read(app), name, websocket_close_code="_OTHER") == 10


async def test_a_websocket_route_may_be_left_out(app, client):
    @app.route("/ws", protocol="websocket", metrics=False)
    async def view(request, ws):
        pass

    async with client.websocket("/ws"):
        pass
    await until(lambda: not app.connections)
    assert requests(read(app)) == {}
    assert not [key for key, _ in read(app) if key.startswith("websocket_server_dur")]


# What Prometheus is told


@pytest.mark.parametrize("accept", FAMILIES)
async def test_the_text_is_what_the_registry_has(app, client, accept):
    for path in "/", "/users/3":
        await client.get(path)
    response = await client.get("/metrics", headers={"Accept": accept})
    told = parse(response.body.decode(), FAMILIES[accept])
    has = read(app)
    assert told.keys() == has.keys()
    steady = {key for key in told if not key[0].startswith(("process_", "python_"))}
    steady -= {("http_server_open_connections", frozenset({("url_scheme", "http")}))}
    assert {key: told[key] for key in steady} == {key: has[key] for key in steady}
    kind = accept if "openmetrics" in accept else "text/plain; version=0.0.4"
    assert response.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Vary"] == "Accept, Accept-Encoding"


async def test_there_are_numbers_of_the_process_and_of_garbage_collection(app):
    names = {name for name, _ in read(app)}
    assert {"process_cpu_seconds_total", "python_gc_collections_total"} <= names


@pytest.mark.parametrize(
    ("accepted", "is_zipped"),
    [("gzip", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
async def test_the_text_is_compressed_when_that_is_asked_for(
    client, accepted, is_zipped
):
    client.default_headers = {"Accept-Encoding": accepted} if accepted else {}
    response = await client.get("/metrics")
    assert ("Content-Encoding" in response.headers) is is_zipped
    body = gzip.decompress(response.body) if is_zipped else response.body
    assert b"process_cpu_seconds_total" in body


async def test_head_has_no_body(client):
    response = await client.head("/metrics")
    assert (response.status, response.body) == (200, b"")


async def test_a_collector_that_hangs_takes_no_thread_of_views(app, client):
    begun, end = threading.Event(), threading.Event()

    class Hanging:
        def collect(self):
            begun.set()
            end.wait()
            return []

    app["registry"].register(Hanging())
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    scrape = asyncio.create_task(client.get("/metrics"))
    try:
        await until(begun.is_set)
        async with asyncio.timeout(patience(5)):
            assert await asyncio.to_thread(lambda: "done") == "done"
    finally:
        end.set()
    assert (await scrape).status == 200


async def test_a_collector_that_raises_is_a_500_there_alone(app, client, caplog):
    class Broken:
        def collect(self):
            raise LookupError("no such thing")

    app["registry"].register(Broken())
    assert (await client.get("/metrics")).status == 500
    assert (await client.get("/")).status == 200
    assert "LookupError('no such thing')" in caplog.text


async def test_the_path_is_neither_logged_nor_measured(app):
    lines = []

    class Lines(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    logger(app, handler=Lines)
    async with Client(app) as client:
        await client.get("/metrics")
        await client.get("/own")
    assert lines == ["GET /own"]
    assert requests(read(app)) == {}
    assert app.declarations[0].extras["tracing"] is False


async def test_metrics_of_the_application_are_told_too(app, client):
    sold = Counter("sold_tickets", "Tickets that were sold.", registry=app["registry"])
    sold.inc(3)
    assert b"\nsold_tickets_total 3.0\n" in (await client.get("/metrics")).body


# How it is called


async def test_without_a_path_the_registry_is_served_elsewhere():
    app, registry = Roll(), CollectorRegistry()
    assert metrics(app, path=None, registry=registry) is registry
    async with Client(app) as client:
        assert (await client.get("/metrics")).status == 404
    found = parse(generate_latest(registry).decode())
    assert requests(found) == {("GET", "", "404", ""): 1}


async def test_two_apps_have_two_registries():
    first, second = Roll(), Roll()
    registries = metrics(first), metrics(second)
    assert len({REGISTRY, *registries}) == 3
    async with Client(first) as client:
        await client.get("/")
    assert [len(requests(parse(generate_latest(r).decode()))) for r in registries] == [
        1,
        0,
    ]


def test_two_apps_cannot_share_a_registry():
    registry = CollectorRegistry()
    metrics(Roll(), registry=registry)
    app = Roll()
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        metrics(app, registry=registry)
    assert not app.hooks


def test_a_second_call_is_refused(app):
    with pytest.raises(ValueError, match="call `metrics` once"):
        metrics(app, path=None)


async def test_the_buckets_are_those_of_opentelemetry_or_your_own(app, client):
    await client.get("/")
    edges = {dict(having).get("le") for name, having in read(app) if name in BUCKETS}
    usual = "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 +Inf"
    assert edges == {*usual.split()}
    other = Roll()
    registry = metrics(other, buckets=[1, 2])
    async with Client(other) as client:
        await client.get("/")
    found = parse(generate_latest(registry).decode())
    edges = {dict(having).get("le") for name, having in found if name in BUCKETS}
    assert edges == {"1.0", "2.0", "+Inf"}


BUCKETS = {f"{DURATION}_bucket"}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"buckets": []}, ValueError, "in rising order"),
        ({"buckets": [2, 1]}, ValueError, "in rising order"),
        ({"buckets": [1, 1]}, ValueError, "in rising order"),
        ({"buckets": [0, 1]}, ValueError, "above 0"),
        ({"buckets": [1, float("inf")]}, ValueError, "above 0"),
        ({"buckets": [float("nan")]}, ValueError, "above 0"),
        ({"buckets": ["1"]}, TypeError, "buckets: '1' is not a number"),
        ({"buckets": [True]}, TypeError, "buckets: True is not a number"),
        ({"max_series": 0}, ValueError, "max_series=0: give a number above 0"),
        ({"max_series": 1.5}, TypeError, "max_series=1.5: give a whole number"),
        ({"max_series": True}, TypeError, "max_series=True: give a whole number"),
        ({"directory": 3}, TypeError, "directory=3: give a path"),
        ({"directory": "/tmp/" + "x" * 100}, ValueError, "give a shorter path"),
        ({"otel": "yes"}, TypeError, "otel='yes': give True or False"),
        ({"path": "metrics"}, ValueError, "start it with a slash"),
    ],
)
def test_a_wrong_option_is_told(options, error, message):
    app = Roll()
    with pytest.raises(error, match=message):
        metrics(app, **options)
    assert not app.hooks


async def test_the_extra_of_a_route_is_checked(app):
    @app.route("/odd", metrics="no")
    async def odd(request, response):
        pass

    with pytest.raises(TypeError, match="metrics='no': give True or False"):
        await app.startup()


@pytest.mark.parametrize(
    "name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"]
)
def test_the_files_of_prometheus_client_are_refused(monkeypatch, name):
    """client_python#236, livekit/agents#7006, skypilot#9690, litellm#28713."""
    monkeypatch.setenv(name, "/tmp")
    with pytest.raises(ValueError, match=f"{name} is set.*ROLL_METRICS_DIR"):
        metrics(Roll())


@pytest.mark.parametrize(
    ("module", "extra", "options"),
    [
        ("prometheus_client", "prometheus", {}),
        ("opentelemetry.metrics", "opentelemetry", {"otel": True}),
    ],
)
def test_a_library_that_is_missing_is_named(monkeypatch, module, extra, options):
    monkeypatch.setitem(sys.modules, module, None)
    message = f"pip install 'roll-observability\\[{extra}\\]'"
    with pytest.raises(ImportError, match=message):
        metrics(Roll(), **options)


async def test_a_clock_that_steps_changes_no_duration(app, client, monkeypatch):
    monkeypatch.setattr("time.time", lambda: -1e9)
    await client.get("/")
    assert 0 < value(read(app), f"{DURATION}_sum") < 1000


def test_several_workers_without_a_directory_are_warned_of(app, caplog):
    async def start():
        app.workers = 4
        async with Client(app):
            pass

    asyncio.run(start())
    assert "each of 4 workers responds only for itself" in caplog.text


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (PROMETHEUS, "application/openmetrics-text"),
        ("Application/OpenMetrics-Text", "application/openmetrics-text"),
        ("application/openmetrics-text, text/plain", "application/openmetrics-text"),
        ("application/openmetrics-text;q=0", "text/plain"),
        ("application/openmetrics-text;q=0.5, text/plain;q=0.9", "text/plain"),
        ("application/openmetrics-text-not", "text/plain"),
        ("application/openmetrics-text;q=nonsense", "text/plain"),
        ("application/*", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html", "text/plain"),
        *((malformed, "text/plain") for malformed in ("", ",;=", "\xff", '"', "q=")),
    ],
)
async def test_the_format_is_what_the_client_prefers(client, accept, kind):
    response = await client.get("/metrics", headers={"Accept": accept})
    assert response.status == 200
    assert response.headers["Content-Type"].partition(";")[0] == kind
