"""`roll.worker.Worker`: the older name of the gunicorn worker of roll-gunicorn."""

try:
    from roll_gunicorn import Worker
except ImportError as error:
    raise ImportError(
        "The gunicorn worker is not installed. Run: pip install roll-gunicorn"
    ) from error

__all__ = ["Worker"]
