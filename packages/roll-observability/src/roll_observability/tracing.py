"""tracing: a span of OpenTelemetry for each request."""

from roll import Roll
from roll.plugins import require_app


def tracing(app: Roll) -> None:
    """Trace the requests of *app*.

    Args:
        app: The application.
    """
    require_app("tracing", app)
