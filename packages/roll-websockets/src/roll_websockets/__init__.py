"""WebSockets for Roll: the protocol `websocket`, and `websockets_store`."""

from collections.abc import Mapping

from roll import hookimpl
from roll.typing import Extension, Upgrade
from websockets.exceptions import ConnectionClosed

from .protocol import WSProtocol
from .store import Group, Store, websockets_store

__all__ = ["ConnectionClosed", "Group", "Store", "WSProtocol", "websockets_store"]


@hookimpl
def roll_protocols() -> Mapping[str, type[Upgrade]]:
    """Give `protocol="websocket"` of a route."""
    return {"websocket": WSProtocol}


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import websockets_store`."""
    return {"websockets_store": websockets_store}
