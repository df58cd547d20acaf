"""metrics: what an application does, for Prometheus and OpenTelemetry."""

import math
import os
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from roll import Roll
from roll.plugins import require_app, require_boolean

from .gauges import LoopLag, count_open
from .measuring import Measuring
from .series import Bound

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

KEY = "roll_metrics"
"""The key that an app has once it is measured."""

DIRECTORY = "ROLL_METRICS_DIR"
"""The environment variable for the directory where workers meet."""

SEMCONV = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The buckets that OpenTelemetry recommends for requests, in seconds."""

EXTRAS = {"prometheus": "prometheus_client", "opentelemetry": "opentelemetry.metrics"}
"""The extras of this package, and a module that each installs."""

MULTIPROCESS = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
"""The environment variables that make prometheus_client write to files."""


def metrics(
    app: Roll,
    path: str | None = "/metrics",
    *,
    registry: "CollectorRegistry | None" = None,
    buckets: Sequence[float] = SEMCONV,
    max_series: int = 2000,
    directory: str | Path | None = None,
    otel: bool = False,
) -> "CollectorRegistry":
    """Measure *app*, and let Prometheus read the metrics at *path*.

    Routes with `metrics=False` are left out.

    Args:
        app: The application.
        path: Where they are served; None if you serve the registry elsewhere. Everyone
            who has access to the path can read them.
        registry: A registry to add them to; by default a new one, with metrics of the
            process and the garbage collector.
        buckets: The upper bounds of the buckets of all durations, in seconds.
        max_series: The most sets of labels. Further ones are counted together, as the
            route `_OTHER`.
        directory: Where the workers of this app meet, so that each can respond for all.
            By default the environment variable ROLL_METRICS_DIR.
        otel: Whether OpenTelemetry gets the same measurements.

    Returns:
        The registry, which you can add your own metrics to.

    Raises:
        ImportError: prometheus-client is not installed; or OpenTelemetry, for *otel*.
        TypeError: An option has another type.
        ValueError: An option is out of range, `metrics` was called before, or
            PROMETHEUS_MULTIPROC_DIR is set.
    """
    require_app("metrics", app)
    bounds = _check_buckets(buckets)
    bound = Bound(_check_max_series(max_series))
    _check_environment(otel)
    if KEY in app:
        raise ValueError("this app is measured already: call `metrics` once")
    from .collector import Collector, make_registry
    from .exposition import Exposition
    from .scraping import Scraping

    measuring = Measuring(app, bounds, bound)
    lag = LoopLag()
    count = partial(count_open, app)
    registry = make_registry() if registry is None else registry
    exposition = Exposition(registry, measuring.histograms)
    scraping = Scraping(app, exposition, _find_directory(directory))
    registry.register(Collector(measuring, bound, lag, count))
    if path is not None:
        app.route(path, metrics=False, tracing=False, logger=False)(scraping.show)
    if otel:
        from .meters import measure

        measure(measuring, lag, count)
    app[KEY] = True
    app.extras("metrics", check=require_boolean)
    measuring.listen()
    for part in scraping, lag:
        app.listen("startup")(part.start)
        app.listen("shutdown")(part.stop)
    return registry


def _check_buckets(buckets: Sequence[float]) -> tuple[float, ...]:
    bounds = tuple(buckets)
    for bound in bounds:
        if not isinstance(bound, (int, float)) or isinstance(bound, bool):
            raise TypeError(f"buckets: {bound!r} is not a number: give seconds")
    ordered = all(low < high for low, high in pairwise(bounds))
    if not bounds or not ordered or bounds[0] <= 0 or not bounds[-1] < math.inf:
        raise ValueError(f"buckets={buckets!r}: give seconds above 0, in rising order")
    return bounds


def _check_max_series(most: int) -> int:
    if not isinstance(most, int) or isinstance(most, bool):
        raise TypeError(f"max_series={most!r}: give a whole number")
    if most < 1:
        raise ValueError(f"max_series={most!r}: give a number above 0")
    return most


def _find_directory(directory: str | Path | None) -> Path | None:
    """Find where workers meet; None for an app with one process."""
    if directory is not None and not isinstance(directory, (str, Path)):
        raise TypeError(f"directory={directory!r}: give a path")
    found = directory or os.environ.get(DIRECTORY)
    return Path(found) if found else None


def _check_environment(otel: bool) -> None:
    """Check that the libraries are installed, and prometheus_client uses no files."""
    if not isinstance(otel, bool):
        raise TypeError(f"otel={otel!r}: give True or False")
    for extra, module in EXTRAS.items():
        if otel or extra == "prometheus":
            try:
                import_module(module)
            except ModuleNotFoundError as error:
                raise ImportError(
                    f"metrics needs the extra {extra}: run "
                    f"pip install 'roll-observability[{extra}]'"
                ) from error
    for name in MULTIPROCESS:
        if name in os.environ:
            raise ValueError(
                f"{name} is set, so prometheus_client writes to files, which "
                "do not have these metrics: unset it, and let the workers meet in "
                f"directory=, or in the directory of {DIRECTORY}"
            )
