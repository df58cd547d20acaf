"""ASGI both ways: Roll apps under ASGI servers, ASGI and WSGI apps under Roll."""

from collections.abc import Mapping

from roll import hookimpl
from roll.typing import Extension

from .application import asgi
from .mounting import mount_asgi
from .wsgi import mount_wsgi

__all__ = ["asgi", "mount_asgi", "mount_wsgi"]


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import asgi, mount_asgi, mount_wsgi`."""
    return {"asgi": asgi, "mount_asgi": mount_asgi, "mount_wsgi": mount_wsgi}
