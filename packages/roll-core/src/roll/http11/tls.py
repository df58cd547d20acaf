"""TLS: a client that ends its side may still read (RFC 8446, section 6.1)."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any


class HalfClosing(ssl.SSLObject):
    """Keeps a connection open when the client sends its close_notify.

    asyncio and uvloop close it as soon as a read gives no bytes. One that ends TCP,
    too, they close in any case.
    """

    ended: Callable[[], object] | None = None
    """Called, once, when the client has ended its side, before its last bytes are
    handed over; without it the connection is closed then."""

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """Read what was decrypted, as an SSLObject does."""
        data = super().read(len, buffer)
        if data or self.ended is None:
            return data
        ended, self.ended = self.ended, None
        ended()
        raise ssl.SSLWantReadError


def prepare(context: ssl.SSLContext) -> None:
    """Have the connections of a context stay open for clients that still read."""
    if context.sslobject_class is ssl.SSLObject:
        context.sslobject_class = HalfClosing


def on_end(transport: asyncio.BaseTransport, call: Callable[[], object] | None) -> None:
    """Have *call* called when the client ends its side; None closes the connection."""
    tls = transport.get_extra_info("ssl_object")
    if isinstance(tls, HalfClosing):
        tls.ended = call
