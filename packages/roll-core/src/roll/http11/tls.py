"""TLS: a client that ends its side may still read (RFC 8446, section 6.1)."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any


class HalfClosing(ssl.SSLObject):
    """Keeps a connection open when the client sends its close_notify.

    asyncio and uvloop close it as soon as a read gives no bytes. If the client ends TCP
    as well, they close it in any case.
    """

    ended: Callable[[], object] | None = None
    """Called once, when the client has ended its side, before its last bytes are passed
    on; without it, the connection is closed then."""

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """Read decrypted data, as an SSLObject does."""
        data = super().read(len, buffer)
        if data or self.ended is None:
            return data
        ended, self.ended = self.ended, None
        ended()
        raise ssl.SSLWantReadError


def prepare(context: ssl.SSLContext) -> None:
    """Keep the connections of a context open for clients that still read."""
    if context.sslobject_class is ssl.SSLObject:
        context.sslobject_class = HalfClosing


def on_end(transport: asyncio.BaseTransport, call: Callable[[], object] | None) -> None:
    """Run *call* when the client ends its side; with None, the connection is closed."""
    tls = transport.get_extra_info("ssl_object")
    if isinstance(tls, HalfClosing):
        tls.ended = call
