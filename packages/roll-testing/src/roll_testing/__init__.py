"""Test tools for applications of Roll: clients, and a kit for tests on bytes."""

from .client import Client
from .cookies import CookieJar
from .live import LiveClient
from .raw import Exchange, connect, exchange, settle
from .response import ClientResponse, Headers
from .transport import Transport

__all__ = [
    "Client",
    "ClientResponse",
    "CookieJar",
    "Exchange",
    "Headers",
    "LiveClient",
    "Transport",
    "connect",
    "exchange",
    "settle",
]
