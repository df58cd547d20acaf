"""`roll.worker.Worker`: the gunicorn worker of roll-gunicorn, by its older name."""

try:
    from roll_gunicorn import Worker
except ImportError as error:
    raise ImportError(
        "The gunicorn worker is not installed. Run: pip install roll-gunicorn"
    ) from error

__all__ = ["Worker"]
