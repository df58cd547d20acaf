"""metrics with otel=True: the same measurements, through the API of OpenTelemetry."""

import asyncio

import pytest
from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from roll import Roll
from roll.extensions import metrics
from roll_testing import Client, connect, settle, until


@pytest.fixture(scope="module")
def provider():
    """The global provider, which can be set once a process."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    api.set_meter_provider(provider)
    yield reader
    provider.shutdown()


@pytest.fixture
def reader(provider):
    provider.get_metrics_data()  # what is there before a test
    return provider


def read(reader):
    """Give the points of each instrument, with their attributes."""
    data = reader.get_metrics_data()
    return {
        (metric.name, metric.unit): list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        if scope.scope.name == "roll_observability"
        for metric in scope.metrics
    }


async def test_the_same_is_measured_by_names_with_dots(reader, caplog):
    app = Roll()
    metrics(app, path=None, otel=True, buckets=[0.1, 1000])
    waiting = asyncio.Event()

    @app.route("/users/{id}")
    async def user(request, response, id):
        response.status = 502

    @app.route("/wait")
    async def wait(request, response):
        waiting.set()
        await asyncio.Event().wait()

    @app.route("/ws", protocol="websocket")
    async def echo(request, ws):
        async for _ in ws:
            pass

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield b"a"

        response.body = pieces()

    async with Client(app) as client:
        for path in "/users/1", "/nowhere", "/stream":
            await client.get(path)
        bad = connect(app)
        bad.feed(b"GET / HTTP/1.1\r\n\r\n")
        await settle(bad)
        bad.disconnect()
        leaver = connect(app)
        leaver.feed(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await waiting.wait()
        async with client.websocket("/ws"):
            found = read(reader)
        leaver.disconnect()
        name = "http.server.active_requests"
        await until(lambda: not numbers(read(reader), name)["http"])
        after = read(reader)

    common = {
        "http.request.method": "GET",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
    }
    points = found["http.server.request.duration", "s"]
    assert [dict(point.attributes) for point in points] == [
        {
            **common,
            "http.route": "/users/{id}",
            "http.response.status_code": 502,
            "error.type": "502",
        },
        {**common, "http.response.status_code": 404},
        {**common, "http.route": "/stream", "http.response.status_code": 200},
        {**common, "http.route": "/ws", "http.response.status_code": 101},
    ]
    assert {point.explicit_bounds for point in points} == {(0.1, 1000)}
    assert [point.count for point in points] == [1, 1, 1, 1]

    assert numbers(found, "http.server.active_requests") == {"http": 1, "https": 0}
    assert numbers(found, "http.server.open_connections")["http"] >= 2
    assert numbers(found, "websocket.server.open") == {"http": 1, "https": 0}
    (refused,) = found["http.server.refused", ""]
    assert refused.value == 1
    assert dict(refused.attributes) == {"http.response.status_code": 400}
    (lag,) = found["event_loop.lag", "s"]
    assert lag.value >= 0
    (first,) = found["http.server.time_to_first_byte", "s"]
    assert dict(first.attributes) == {
        "http.request.method": "GET",
        "http.route": "/stream",
    }

    (websocket,) = after["websocket.server.duration", "s"]
    assert dict(websocket.attributes) == {
        "http.route": "/ws",
        "websocket.close.code": "1000",
    }
    assert numbers(after, "http.server.active_requests") == {"http": 0, "https": 0}


def numbers(found, name):
    return {point.attributes["url.scheme"]: point.value for point in found[name, ""]}


async def test_without_otel_nothing_is_given_to_opentelemetry(reader):
    app = Roll()
    metrics(app)

    @app.route("/only-prometheus")
    async def view(request, response):
        pass

    async with Client(app) as client:
        await client.get("/only-prometheus")
    points = read(reader).get(("http.server.request.duration", "s"), ())
    routes = {point.attributes.get("http.route") for point in points}
    assert "/only-prometheus" not in routes
