"""Names for what ASGI calls by them (ASGI 3.0)."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
"""What a connection is."""

Message = MutableMapping[str, Any]
"""What comes, or goes out."""

Receive = Callable[[], Awaitable[Message]]
"""Waits for what comes."""

Send = Callable[[Message], Awaitable[None]]
"""Takes what goes out."""

ASGIApplication = Callable[[Any, Any, Any], Awaitable[None]]
"""`async def application(scope, receive, send)`."""

WSGIApplication = Callable[[Any, Any], Iterable[bytes]]
"""`def application(environ, start_response)` (PEP 3333)."""

VERSIONS = {"version": "3.0", "spec_version": "2.5"}
"""What a scope says of ASGI."""
