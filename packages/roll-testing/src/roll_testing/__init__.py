"""Test tools for applications and extensions of Roll.

Clients, and tools for tests at the level of bytes.
"""

from typing import TYPE_CHECKING, Any

from .client import Client
from .cookies import CookieJar
from .errors import HandshakeError, RedirectError
from .live import LiveClient
from .raw import Exchange, connect, exchange, settle
from .redis import RedisServer
from .response import ClientResponse, Headers
from .streaming import StreamedResponse
from .transport import Transport
from .waiting import patience, turns, until, wait_until

if TYPE_CHECKING:
    from roll_contract import ExtensionContract as ExtensionContract

# Without `ExtensionContract`: `from roll_testing import *` works without roll-contract.
__all__ = [
    "Client",
    "ClientResponse",
    "CookieJar",
    "Exchange",
    "HandshakeError",
    "Headers",
    "LiveClient",
    "RedirectError",
    "RedisServer",
    "StreamedResponse",
    "Transport",
    "connect",
    "exchange",
    "patience",
    "settle",
    "turns",
    "until",
    "wait_until",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # Its former place. Other users of the clients do not need roll-contract.
        if name != "ExtensionContract":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            from roll_contract import ExtensionContract
        except ImportError as error:
            raise ImportError(
                "The contract of extensions is not installed. "
                "Run: pip install roll-contract"
            ) from error
        return ExtensionContract
