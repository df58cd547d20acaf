"""Series: durations by labels, in buckets; their number is bounded."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from roll.logs import logger

OTHER = "_OTHER"
"""The label of values that are counted together, as in OpenTelemetry."""

Key = tuple[Any, ...]
"""The values of the labels in their order: text, numbers, and None for an empty one."""

Record = Callable[[float, dict[str, Any]], object]
"""Also records a duration elsewhere: the seconds, and the labels that are not empty."""


class Snapshot(NamedTuple):
    """A series at one moment."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    """The count of each bucket alone; the one without an upper bound is the last."""
    total: float
    """The sum of all durations, in seconds."""


class Series:
    """The durations of one set of labels."""

    __slots__ = ("attributes", "counts", "labels", "total")

    def __init__(
        self, labels: tuple[str, ...], attributes: dict[str, Any], buckets: int
    ) -> None:
        self.labels = labels
        self.attributes = attributes
        """The labels by their names with dots, without the empty ones."""
        self.counts = [0] * buckets
        self.total = 0.0


class Bound:
    """How many sets of labels an app may have, in all its histograms together.

    Args:
        most: The number.
    """

    def __init__(self, most: int) -> None:
        self.overflow = 0
        """Durations that were counted without their own set."""
        self._most = most
        self._used = 0
        self._warned = False

    def take(self) -> bool:
        """Take a place for a new set of labels, if one is left."""
        if self._used < self._most:
            self._used += 1
            return True
        self.overflow += 1
        if not self._warned:
            self._warned = True
            logger.warning(
                "metrics: there are %d sets of labels, as many as max_series allows; "
                "further ones are counted together, with http_route=%r",
                *(self._most, OTHER),
            )
        return False


class Histogram:
    """Durations by labels.

    It is written only in the loop, and may be read in threads.

    Args:
        name: The name in Prometheus.
        documentation: What is measured.
        labels: The names of the labels, with dots.
        bounds: The upper bounds of the buckets, in seconds.
        bound: How many sets of labels there may be.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        bounds: Sequence[float],
        bound: Bound,
    ) -> None:
        self.name = name
        self.documentation = documentation
        self.labels = [label.replace(".", "_") for label in labels]
        """The names of the labels in Prometheus."""
        self.bounds = bounds
        self.record: Record | None = None
        """Also called with each duration."""
        self._names = labels
        self._bound = bound
        self._series: dict[Key, Series] = {}

    def observe(self, key: Key, seconds: float) -> None:
        """Count a duration."""
        series = self._series.get(key)
        if series is None:
            series = self._open(key)
        series.counts[bisect_left(self.bounds, seconds)] += 1
        series.total += seconds
        if self.record is not None:
            self.record(seconds, series.attributes)

    def _open(self, key: Key) -> Series:
        """Find the series of labels that are new, or for which there is no place."""
        if not self._bound.take():
            key = tuple(map(_merge, self._names, key))
            if key in self._series:
                return self._series[key]
        labels = tuple("" if value is None else str(value) for value in key)
        named = zip(self._names, key, strict=True)
        attributes = {name: value for name, value in named if value not in (None, "")}
        series = Series(labels, attributes, len(self.bounds) + 1)
        self._series[key] = series
        return series

    def snapshots(self) -> Iterator[Snapshot]:
        """Read all series."""
        for series in list(self._series.values()):  # a copy, made at once
            yield Snapshot(series.labels, tuple(series.counts), series.total)


MERGED = frozenset({"http.route", "error.type", "websocket.close.code"})
"""The labels that can have many values."""


def _merge(name: str, value: Any) -> Any:
    """Give the replacement of a value when there is no place for more."""
    return OTHER if name in MERGED and (value or name == "http.route") else value
