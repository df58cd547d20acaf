"""Sessions in a store: the cookie is a random id."""

import asyncio
import re
from collections.abc import Coroutine, Mapping, Set
from hashlib import sha256
from http import HTTPStatus
from secrets import token_urlsafe
from time import monotonic, time
from typing import Any, TypeVar

from roll import HttpError, Roll
from roll.logs import logger

from .encoding import EMPTY, TIMES, decode, dump, encode
from .sessions import Session, too_late
from .stores import Store

T = TypeVar("T")

QUIET = 1.0
"""Seconds after a failure of the store before another one is logged."""

_ID = re.compile("[A-Za-z0-9_-]{43}")  # as token_urlsafe(32) makes it
_NO_KEYS: Set[str] = frozenset()


class Guarded(Store):
    """A store that finishes what it has begun; when it fails, the response is a 503.

    Args:
        store: The store that keeps the sessions.
        app: The app, which keeps unfinished work when a client leaves.
    """

    def __init__(self, store: Store, app: Roll) -> None:
        self._store = store
        self._app = app
        self._logged = -QUIET

    async def load(self, key: str) -> dict[str, Any] | None:
        """See `Store.load`."""
        return await self._finish(self._store.load(key))

    async def save(
        self,
        key: str,
        changed: Mapping[str, Any],
        removed: Set[str],
        max_age: float,
        create: bool,
    ) -> bool:
        """See `Store.save`."""
        command = self._store.save(key, changed, removed, max_age, create)
        return await self._finish(command)

    async def delete(self, key: str) -> None:
        """See `Store.delete`."""
        await self._finish(self._store.delete(key))

    async def probe(self) -> None:
        """Load something, so that a broken store is logged early."""
        try:
            await self._store.load(key_of(""))
        except Exception as error:
            logger.warning(
                "The session store fails, and requests that need a session get a "
                "503 until it works: %r",
                error,
            )

    async def _finish(self, command: Coroutine[Any, Any, T]) -> T:
        try:
            return await asyncio.shield(self._app.keep(command))
        except ValueError:  # an entry cannot be read
            raise
        except Exception as error:
            if (now := monotonic()) - self._logged >= QUIET:
                self._logged = now
                logger.error("The session store fails: %r", error)
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE) from error


class StoredSession(Session):
    """A session in a store; the cookie is its id."""

    _failed = False

    @property
    def loaded(self) -> bool:
        """Whether loading was tried."""
        return self._data is not None or self._failed

    async def load(self, cookie: str | None) -> None:
        """Look for it in the store."""
        if cookie is None:
            return self._begin()
        if not _ID.fullmatch(cookie):
            return self._begin("it is not an id")
        try:
            data = await self._store.load(key_of(cookie))
            if data is None:
                return self._begin("its session is gone")
            times = data.pop(TIMES, None)
            text = dump(data)
            if self._adopt(cookie, times, data):
                self._kept = text
        except HttpError:
            self._failed = True
        except (TypeError, ValueError) as error:
            logger.warning("A session in the store is ignored: %s", error)
            self._begin()

    async def save(self) -> None:
        """See `Session.save`."""
        await self._save(self._read())

    def _open(self) -> None:
        if self._failed:
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE)
        raise RuntimeError(
            "the session is not loaded, as no route was found for the path that the "
            "client has sent: read it in the view"
        )

    def _check_late(self) -> None:
        if self._id is None:
            raise too_late("a new session needs a cookie")

    @property
    def _store(self) -> Guarded:
        store: Guarded = self._place.keeper
        return store

    async def _save(self, data: dict[str, Any]) -> None:
        text = encode(data, self._kept)
        now = time()
        ended = self._ended or (None if data else self._id)
        if ended is not None:
            await self._store.delete(key_of(ended))
            self._ended, self._cookie = None, ""
        if not data:
            self._id = None
        elif self._id is None:
            await self._create(data, now)
        elif self._regenerated:
            await self._move(self._id, data, now)
        elif text != self._kept or self._is_due(now):
            await self._update(self._id, data, now)
        self._kept = text if data else EMPTY
        self._regenerated = False

    async def _create(self, data: dict[str, Any], now: float) -> None:
        record = {TIMES: self._stamp(now), **data}
        cookie = token_urlsafe(32)
        await self._store.save(key_of(cookie), record, _NO_KEYS, self._seconds, True)
        self._id = self._cookie = cookie

    async def _move(self, old: str, data: dict[str, Any], now: float) -> None:
        """Keep the session under another id."""
        await self._create(data, now)
        new = self._id
        if await self._store.save(key_of(old), {}, _NO_KEYS, self._seconds, False):
            await self._store.delete(key_of(old))
        else:
            await self._store.delete(key_of(str(new)))
            self._lose(data)

    async def _update(self, cookie: str, data: dict[str, Any], now: float) -> None:
        kept = decode(self._kept)
        changed = {
            key: value
            for key, value in data.items()
            if key not in kept or dump(kept[key]) != dump(value)
        }
        changed[TIMES] = self._stamp(now)
        removed = kept.keys() - data.keys()
        key = key_of(cookie)
        if await self._store.save(key, changed, removed, self._seconds, False):
            self._cookie = cookie
        else:
            self._lose(data)

    def _lose(self, data: dict[str, Any]) -> None:
        """Drop a session that another request has ended meanwhile."""
        logger.debug("A session has ended while a request changed it")
        data.clear()
        self._id = self._cookie = None


def key_of(cookie: str) -> str:
    """Give the key of a session, from which its cookie cannot be found."""
    return sha256(cookie.encode()).hexdigest()
