"""Test tools for applications and extensions of Roll.

Clients, a kit for tests on bytes, and the contract of extensions.
"""

from typing import TYPE_CHECKING, Any

from .client import Client
from .cookies import CookieJar
from .live import LiveClient
from .raw import Exchange, connect, exchange, settle
from .response import ClientResponse, Headers
from .transport import Transport

if TYPE_CHECKING:
    from .contract import ExtensionContract

__all__ = [
    "Client",
    "ClientResponse",
    "CookieJar",
    "Exchange",
    "ExtensionContract",
    "Headers",
    "LiveClient",
    "Transport",
    "connect",
    "exchange",
    "settle",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # It imports Roll and pytest, which not every user of the clients wants: the
        # plugin is imported by every run of pytest.
        if name != "ExtensionContract":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .contract import ExtensionContract

        return ExtensionContract
