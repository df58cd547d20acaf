"""metrics: what an application does, as Prometheus and OpenTelemetry count it."""

from roll import Roll
from roll.plugins import require_app


def metrics(app: Roll) -> None:
    """Measure *app*.

    Args:
        app: The application.
    """
    require_app("metrics", app)
