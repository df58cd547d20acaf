"""Roll: async, simple, fast; pick three."""

from typing import TYPE_CHECKING, Any

from . import extensions
from .app import Roll
from .cookies import Cookie, Cookies
from .datastructures import Files, Form, Multidict, Query
from .disposition import content_disposition
from .errors import HttpError
from .http11.connection import HttpProtocol
from .limits import Limits
from .request import Request
from .response import Response
from .routing.endpoints import HTTP_METHODS, Endpoint, Route
from .routing.matching import Routes
from .routing.table import RouteTable
from .server import Server

__all__ = [
    "HTTP_METHODS",
    "Cookie",
    "Cookies",
    "Endpoint",
    "Files",
    "Form",
    "HttpError",
    "HttpProtocol",
    "Limits",
    "Multidict",
    "Multipart",
    "Query",
    "Request",
    "Response",
    "Roll",
    "Route",
    "RouteTable",
    "Routes",
    "Server",
    "content_disposition",
    "extensions",
    "hookimpl",
]

if TYPE_CHECKING:
    from .forms.multipart import Multipart
    from .hookspecs import hookimpl

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "Multipart":
            return Roll.Multipart
        if name == "hookimpl":  # pluggy is a tenth of what Roll imports
            from .hookspecs import hookimpl

            return hookimpl
        if name not in ("ConnectionClosed", "WSProtocol"):
            raise AttributeError(f"module 'roll' has no attribute {name!r}")
        try:
            import roll_websockets
        except ImportError as error:
            raise ImportError(
                f"{name} is not installed. Run: pip install roll-websockets"
            ) from error
        return getattr(roll_websockets, name)
