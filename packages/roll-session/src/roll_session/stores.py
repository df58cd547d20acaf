"""Stores for sessions that are not in the cookie: the protocol, and one in memory."""

from collections.abc import Mapping, Set
from time import monotonic
from typing import Any, Protocol

from .encoding import decode, dump


class Store(Protocol):
    """Keeps sessions: what `session` asks of it.

    A key is that of one session, 64 hexadecimal digits. What a store raises is answered
    with 503, once a view reads the session or it is to be saved.
    """

    async def load(self, key: str) -> dict[str, Any] | None:
        """Give what is kept; None when there is nothing, or it has expired.

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
        """Change what is kept, all at once, and keep it for so many seconds.

        Args:
            key: Of the session.
            changed: Values to set, each as JSON; others stay as they are.
            removed: Keys to remove.
            max_age: Seconds from now.
            create: Whether to make what is not there.

        Returns:
            False when there is nothing, and *create* is false; nothing is done then.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove all that is kept."""
        ...


class MemoryStore(Store):
    """Keeps sessions in this process, for development and tests.

    Args:
        limit: How many are kept; the least recently saved one makes room for a new one.
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
        """Drop the least recently saved while they have ended, or are too many."""
        while self._kept:
            first = next(iter(self._kept))
            if len(self._kept) <= self._limit and self._find(first) is not None:
                return
            del self._kept[first]
