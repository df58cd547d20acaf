"""Collector: the measurements, in the form that prometheus_client needs."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Metric,
    ProcessCollector,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector as BaseCollector

from .gauges import SCHEMES, LoopLag, Open
from .measuring import Measuring
from .series import Bound, Histogram

LABELS = "\0"
"""Stands for the labels of a series until they are known."""

_WITHOUT_HISTOGRAMS = ContextVar("roll_metrics", default=False)


def make_registry() -> CollectorRegistry:
    """Make the registry of an app, with prometheus_client's metrics of the process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class Collector(BaseCollector):
    """Gives the metrics of an app to a registry.

    Args:
        measuring: The measurements.
        bound: How many sets of labels there may be.
        lag: The lag of the event loop.
        count_open: Counts what is open.
    """

    def __init__(
        self,
        measuring: Measuring,
        bound: Bound,
        lag: LoopLag,
        count_open: Callable[[], Open],
    ) -> None:
        self._measuring = measuring
        self._bound = bound
        self._lag = lag
        self._count_open = count_open

    def describe(self) -> Iterable[Metric]:
        """Name the metrics, so that a second collector of the same ones is refused."""
        histograms = self._measuring.histograms
        return [
            *(
                Metric(each.name, each.documentation, "histogram")
                for each in histograms
            ),
            *_gauges(Open(Counter(), Counter(), Counter()), 0.0),
            *_counters(Counter(), 0),
        ]

    def collect(self) -> Iterable[Metric]:
        """Read all metrics."""
        if not _WITHOUT_HISTOGRAMS.get():
            yield from map(_family, self._measuring.histograms)
        yield from _gauges(self._count_open(), self._lag.read())
        yield from _counters(self._measuring.refused, self._bound.overflow)


@contextmanager
def without_histograms() -> Iterator[None]:
    """Leave out the histograms, which `write_histogram` writes faster."""
    token = _WITHOUT_HISTOGRAMS.set(True)
    try:
        yield
    finally:
        _WITHOUT_HISTOGRAMS.reset(token)


def write_histogram(histogram: Histogram, worker: str) -> str:
    """Write a histogram in a form that is valid in both formats.

    Args:
        histogram: What to write.
        worker: The first label of each series, such as `worker="1",`, or nothing.
    """
    name = histogram.name
    lines = [
        *(
            f"{name}_bucket{{{LABELS},le={_write_bound(bound)} %d"
            for bound in histogram.bounds
        ),
        f'{name}_bucket{{{LABELS},le="+Inf"}} %d',
        f"{name}_count{{{LABELS}}} %d",
        f"{name}_sum{{{LABELS}}} %s\n",
    ]
    series = "\n".join(lines)  # faster than a format for each line
    written = [f"# HELP {name} {histogram.documentation}\n# TYPE {name} histogram\n"]
    for labels, counts, total in histogram.snapshots():
        named = zip(histogram.labels, labels, strict=True)
        pairs = worker + ",".join([f'{key}="{_escape(label)}"' for key, label in named])
        numbers = (*accumulate(counts),)
        text = series % (*numbers, numbers[-1], total)
        written.append(text.replace(LABELS, pairs))
    return "".join(written)


def _write_bound(bound: float) -> str:
    return f'"{float(bound)}"}}'


def _escape(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _family(histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(
        histogram.name, histogram.documentation, labels=histogram.labels
    )
    names = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    for labels, counts, total in histogram.snapshots():
        buckets = [*zip(names, accumulate(counts), strict=True)]
        family.add_metric(labels, buckets, total)
    return family


def _gauges(found: Open, late: float) -> Iterator[Metric]:
    for name, documentation, counter in (
        (
            "http_server_active_requests",
            "Requests that are being served.",
            found.requests,
        ),
        (
            "http_server_open_connections",
            "Connections that are open, WebSockets among them.",
            found.connections,
        ),
        ("websocket_server_open", "WebSockets that are open.", found.web_sockets),
    ):
        family = GaugeMetricFamily(name, documentation, labels=["url_scheme"])
        for scheme in SCHEMES:
            family.add_metric([scheme], counter[scheme])
        yield family
    yield GaugeMetricFamily(
        "event_loop_lag_seconds",
        "Seconds that the event loop was late at most, in the last minute or two.",
        late,
    )


def _counters(refused: Counter[int], overflow: int) -> Iterator[Metric]:
    family = CounterMetricFamily(
        "http_server_refused",
        "Messages that were refused before they were requests.",
        labels=["http_response_status_code"],
    )
    for status, number in list(refused.items()):
        family.add_metric([str(status)], number)
    yield family
    yield CounterMetricFamily(
        "roll_metrics_overflow",
        "Durations that were counted without a set of labels of their own.",
        overflow,
    )
