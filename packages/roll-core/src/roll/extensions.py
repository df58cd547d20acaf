"""`from roll.extensions import cors`: every installed extension, found on demand."""

import sys
from types import FrameType
from typing import Any

from .routing.endpoints import HTTP_METHODS

__all__ = ["HTTP_METHODS"]

DISTRIBUTIONS = {
    "asgi": "roll-asgi",
    "background": "roll-resources",
    "channels": "roll-channels",
    "compress": "roll-compress",
    "content_negociation": "roll-negotiation",
    "content_negotiation": "roll-negotiation",
    "cors": "roll-cors",
    "csrf": "roll-session",
    "decompress": "roll-compress",
    "health": "roll-observability",
    "igniter": "roll-igniter",
    "logger": "roll-logger",
    "metrics": "roll-observability",
    "mount": "roll-subapps",
    "mount_asgi": "roll-asgi",
    "mount_wsgi": "roll-asgi",
    "named_url": "roll-named-url",
    "openapi": "roll-openapi",
    "options": "roll-options",
    "problems": "roll-openapi",
    "proxy_headers": "roll-proxy",
    "resource": "roll-resources",
    "send_file": "roll-static",
    "session": "roll-session",
    "simple_server": "roll-server",
    "sse": "roll-sse",
    "static": "roll-static",
    "templates": "roll-templates",
    "traceback": "roll-traceback",
    "tracing": "roll-observability",
    "websockets_store": "roll-websockets",
}
"""The distributions of the extensions that Roll knows."""


def __getattr__(name: str) -> Any:
    if name.startswith("_"):  # `__path__` and the like, for importers
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import plugins

    found = plugins.extensions()
    if name in found:
        return found[name]
    if name in DISTRIBUTIONS:
        raise ImportError(
            f"{name!r} is not installed. Run: pip install {DISTRIBUTIONS[name]}"
        )
    message = (
        f"no installed package provides an extension {name!r}; "
        f"there are: {', '.join(sorted(found)) or 'none'}"
    )
    if _is_import(sys._getframe(1)):
        raise ImportError(message)
    raise AttributeError(message)


def _is_import(frame: FrameType) -> bool:
    """Whether a frame runs `from ... import`, which hides AttributeError messages.

    Python then suggests a module of `roll` with a similar name instead.
    """
    from opcode import opmap

    return frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]


def __dir__() -> list[str]:
    from . import plugins

    return sorted([*__all__, *plugins.extensions()])
