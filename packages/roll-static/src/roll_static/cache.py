"""The cache of files that were found on the disk."""

import asyncio
import time
from collections.abc import Mapping

from .files import Variant

ENTRIES = 1024
"""The most files to remember."""

CONTENT = 32 * 2**20
"""The most bytes of content to remember, in total."""

KEPT = 2**20
"""Bytes of the largest file whose content is remembered."""


class Entry:
    """A file with its variants, and the contents that were read."""

    __slots__ = ("contents", "expires", "reading", "sizes", "variants")

    def __init__(self, variants: Mapping[str, Variant], expires: float) -> None:
        self.variants = variants
        self.sizes = {coding: variant.size for coding, variant in variants.items()}
        self.contents: dict[str, bytes] = {}
        # What is being read; set when it is done. A lock would wake only one of those
        # who wait in each round of the loop.
        self.reading: dict[str, asyncio.Event] = {}
        self.expires = expires


class Cache:
    """Remembers the files that were found, by the path of requests.

    All entries live equally long, so the first one is the oldest, and expires first.

    Args:
        ttl: Seconds for which an entry is valid.
    """

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._entries: dict[str, Entry] = {}
        self._size = 0  # of all contents, in bytes

    def get(self, path: str) -> Entry | None:
        """Give the entry of a path, unless it is too old."""
        entry = self._entries.get(path)
        if entry is None or entry.expires <= time.monotonic():
            return None
        return entry

    def add(self, path: str, variants: Mapping[str, Variant]) -> Entry:
        """Remember the variants of a path, and forget old or surplus entries."""
        now = time.monotonic()
        self.forget(path)
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest].expires > now and len(self._entries) < ENTRIES:
                break
            self.forget(oldest)
        entry = self._entries[path] = Entry(variants, now + self._ttl)
        return entry

    @property
    def room(self) -> int:
        """Bytes of the largest content that would be remembered now."""
        return min(KEPT, CONTENT - self._size)

    def keep(self, path: str, entry: Entry, coding: str, content: bytes) -> None:
        """Remember the content of an entry, if there is room.

        If the file has changed, another entry may have replaced it meanwhile: then only
        those who have the entry, and wait for this, get the content.
        """
        if coding in entry.contents or len(content) > self.room:
            return
        entry.contents[coding] = content
        if self._entries.get(path) is entry:
            self._size += len(content)

    def forget(self, path: str) -> None:
        """Drop the entry of a path."""
        entry = self._entries.pop(path, None)
        if entry is not None:
            self._size -= sum(map(len, entry.contents.values()))
