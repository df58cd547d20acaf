"""Stores for sessions outside of the cookie: the protocol, and one in memory."""

from collections.abc import Mapping, Set
from time import monotonic
from typing import Any, Protocol

from .encoding import decode, dump


class Store(Protocol):
    """Keeps sessions for `session`.

    The key of a session has 64 hexadecimal digits. If a store raises an exception, the
    response is a 503 once a view reads the session or it has to be saved.
    """

    async def load(self, key: str) -> dict[str, Any] | None:
        """Give the session; None if there is none, or it has expired.

        Raises:
            ValueError: It cannot be read; the request then has a new session.
        """
        ...

    async def save(
        self,
        key: str,
        changed: Mapping[str, Any],
        removed: Set[str],
        max_age: float,
        create: bool,
    ) -> bool:
        """Change a session in one step, and keep it for so many seconds.

        Args:
            key: The key of the session.
            changed: Values to set, each as JSON; others stay as they are.
            removed: Keys to remove.
            max_age: Seconds from now.
            create: Whether to create a session that does not exist.

        Returns:
            False if there is no session and *create* is false; then nothing was done.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove a session."""
        ...


class MemoryStore(Store):
    """Keeps sessions in this process, for development and tests.

    Args:
        limit: The most sessions to keep; the least recently saved one makes room for a
            new one.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._kept: dict[str, tuple[float, dict[str, str]]] = {}

    async def load(self, key: str) -> dict[str, Any] | None:
        """See `Store.load`."""
        texts = self._find(key)
        if texts is None:
            return None
        return {name: decode(text) for name, text in texts.items()}

    async def save(
        self,
        key: str,
        changed: Mapping[str, Any],
        removed: Set[str],
        max_age: float,
        create: bool,
    ) -> bool:
        """See `Store.save`."""
        texts = self._find(key)
        if texts is None and not create:
            return False
        added = {name: dump(value) for name, value in changed.items()}
        left = {
            name: text for name, text in (texts or {}).items() if name not in removed
        }
        self._kept.pop(key, None)  # to the end
        self._kept[key] = monotonic() + max_age, {**left, **added}
        self._forget()
        return True

    async def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self._kept.pop(key, None)

    def _find(self, key: str) -> dict[str, str] | None:
        ends, texts = self._kept.get(key, (0.0, None))
        return texts if ends > monotonic() else None

    def _forget(self) -> None:
        """Drop the least recently saved sessions that have ended, or are too many."""
        while self._kept:
            first = next(iter(self._kept))
            if len(self._kept) <= self._limit and self._find(first) is not None:
                return
            del self._kept[first]
