"""Worker: what gunicorn runs in each of its processes, to serve an app of Roll."""

from .worker import Worker

__all__ = ["Worker"]
