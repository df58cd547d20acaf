"""The types of ASGI 3.0."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
"""Describes a connection."""

Message = MutableMapping[str, Any]
"""An event that is received or sent."""

Receive = Callable[[], Awaitable[Message]]
"""Waits for the next message."""

Send = Callable[[Message], Awaitable[None]]
"""Sends a message."""

ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]
"""`async def application(scope, receive, send)`."""

WSGIApplication = Callable[[Any, Any], Iterable[bytes]]
"""`def application(environ, start_response)` (PEP 3333)."""

VERSIONS = {"version": "3.0", "spec_version": "2.5"}
"""The versions of ASGI, as a scope has them."""
