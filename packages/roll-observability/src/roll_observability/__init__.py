"""metrics, tracing and health: what an application does, for those who run it."""

from collections.abc import Mapping

from roll import hookimpl
from roll.typing import Extension

from .checks import Check
from .health import Health, health
from .metrics import metrics
from .tracing import tracing

__all__ = ["Check", "Health", "health", "metrics", "tracing"]


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import health, metrics, tracing`."""
    return {"health": health, "metrics": metrics, "tracing": tracing}
