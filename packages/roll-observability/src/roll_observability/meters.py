"""Meters: the same measurements, for OpenTelemetry."""

from collections.abc import Callable, Iterable
from functools import partial

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions, Observation

from .gauges import SCHEMES, LoopLag, Open
from .measuring import Measuring

NAME = "roll_observability"

_OPEN = {
    "requests": "http.server.active_requests",
    "connections": "http.server.open_connections",
    "web_sockets": "websocket.server.open",
}

_NAMES = {
    "http_server_request_duration_seconds": "http.server.request.duration",
    "http_server_time_to_first_byte_seconds": "http.server.time_to_first_byte",
    "websocket_server_duration_seconds": "websocket.server.duration",
}


def measure(measuring: Measuring, lag: LoopLag, count_open: Callable[[], Open]) -> None:
    """Give all measurements to the global meter provider."""
    meter = api.get_meter(NAME)
    for histogram in measuring.histograms:
        instrument = meter.create_histogram(
            _NAMES[histogram.name],
            unit="s",
            description=histogram.documentation,
            explicit_bucket_boundaries_advisory=[*histogram.bounds],
        )
        histogram.record = instrument.record

    for field, name in _OPEN.items():
        observe = partial(_observe_open, count_open, field)
        meter.create_observable_up_down_counter(name, [observe])

    def observe_refused(options: CallbackOptions) -> Iterable[Observation]:
        for status, number in list(measuring.refused.items()):
            yield Observation(number, {"http.response.status_code": status})

    meter.create_observable_counter("http.server.refused", [observe_refused])

    def observe_lag(options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(lag.read())

    meter.create_observable_gauge("event_loop.lag", [observe_lag], unit="s")


def _observe_open(
    count_open: Callable[[], Open], field: str, options: CallbackOptions
) -> Iterable[Observation]:
    """Observe the numbers of one field of `Open`."""
    numbers = getattr(count_open(), field)
    for scheme in SCHEMES:
        yield Observation(numbers[scheme], {"url.scheme": scheme})
