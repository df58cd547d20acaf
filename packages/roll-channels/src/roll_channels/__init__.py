"""channels: publish and subscribe, across workers and machines."""

from collections.abc import Mapping

from roll import Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

from .backend import Backend, Deliver, Page
from .channel import Channel, Channels
from .hub import Hub
from .memory import MemoryBackend
from .messages import Entry, Lagging, Message, Position, Unavailable
from .options import Options
from .redis_backend import RedisBackend
from .subscription import Subscription

__all__ = [
    "Backend",
    "Channel",
    "Channels",
    "Deliver",
    "Entry",
    "Lagging",
    "MemoryBackend",
    "Message",
    "Options",
    "Page",
    "Position",
    "RedisBackend",
    "Subscription",
    "Unavailable",
    "channels",
]


def channels(
    app: Roll,
    backend: str | Backend = "memory",
    *,
    history: int = 1000,
    history_bytes: int = 8 * 2**20,
    ttl: float | None = 300.0,
    max_message: int = 64 * 1024,
    prefix: str = "roll",
    timeout: float = 5.0,
) -> Channels:
    """Publish messages, and subscribe to them: `app["channels"]["news"]`.

    Args:
        app: The application.
        backend: "memory" for a single process, else the address of a Redis, such
            as "redis://localhost", "rediss://host" or "unix:///path"; or a `Backend`.
        history: The least number of messages to keep for each channel.
        history_bytes: The most bytes to keep for each channel.
        ttl: Seconds after the last message until they are forgotten; None keeps them.
        max_message: Bytes of the largest message.
        prefix: The prefix of the keys in Redis.
        timeout: Seconds that Redis may take to respond.

    Returns:
        The same as `app["channels"]`.

    Raises:
        ImportError: The library redis is not installed.
        TypeError: An option has another type.
        ValueError: An option is out of range, or the address is not one; or `channels`
            was called before.
    """
    require_app("channels", app)
    options = Options(
        history=history,
        history_bytes=history_bytes,
        ttl=ttl,
        max_message=max_message,
        prefix=prefix,
        timeout=timeout,
    )
    if "channels" in app:
        raise ValueError("this app has channels: call `channels` once")
    hub = Hub(app, _find_backend(backend, options), options)
    app["channels"] = found = Channels(hub)
    app.listen("startup", before="*")(hub.open)
    return found


def _find_backend(backend: str | Backend, options: Options) -> Backend:
    if isinstance(backend, Backend):
        return backend
    if not isinstance(backend, str):
        raise TypeError(f"channels: backend={backend!r}: give an address or a Backend")
    if backend == "memory":
        return MemoryBackend(options)
    return RedisBackend(backend, options)


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import channels`."""
    return {"channels": channels}
