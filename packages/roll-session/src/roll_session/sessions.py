"""Session: what an application remembers about a visitor, wherever it is kept."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, MutableMapping
from time import time
from typing import Any, NamedTuple, Self

from roll import Request, Response, Roll
from roll.logs import logger

from .encoding import EMPTY, encode
from .options import Options

SECRET = "_csrf"
"""The key of the secret that CSRF tokens are made from."""

RENEWAL = 10
"""A use renews a session after `max_age` divided by this."""


class Place(NamedTuple):
    """Where the sessions of an app are kept, and how."""

    app: Roll
    options: Options
    keeper: Any
    """Reads and writes sessions: a signer, or a store."""


class Session(MutableMapping[str, Any]):
    """What an application remembers about a visitor, from one request to the next.

    Values are JSON values, and may be changed in place. Changes are saved with the
    response.

    Args:
        place: Where it is kept.
        request: The request, to which no reference is kept: that would be a cycle.
    """

    # These stay class attributes until something is read: most sessions never are.
    touched = False
    """Whether anything of it was read or written."""
    sent = False
    """Whether the head of the response was sent: no cookie can be set any more."""
    _data: dict[str, Any] | None = None
    _kept = EMPTY
    """The text of the data that is kept."""
    _id: str | None = None
    """The cookie of the session that was read; None for a new session."""
    _ended: str | None = None
    """The cookie of the session before it was invalidated."""
    _regenerated = False
    _created = _used = 0
    _cookie: str | None = None
    """The new value of the cookie; empty to delete it."""
    _seconds = 0.0

    def __init__(self, place: Place, request: Request) -> None:
        self._place = place
        self._message = request.message
        self._endpoint = request.endpoint

    # As a mapping

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._write()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._write()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def clear(self) -> None:
        """Do the same as `invalidate`."""
        self.invalidate()

    # Beyond a mapping

    @property
    def cookie(self) -> str:
        """The name of the cookie."""
        return self._place.options.name

    @property
    def new(self) -> bool:
        """Whether there was no session, or it was invalidated."""
        self._read()
        return self._id is None

    @property
    def changed(self) -> bool:
        """Whether its JSON differs from what is kept, so that it has to be saved.

        Raises:
            TypeError: A value cannot be saved.
        """
        return self._is_changed(encode(self._read(), self._kept))

    def regenerate(self) -> None:
        """Change the id and the CSRF secret, but keep the data: call it at each login.

        The old id, which somebody else may know, becomes invalid. `lifetime` starts
        again.

        Raises:
            RuntimeError: The head of the response was sent.
        """
        data = self._read()
        if self.sent:
            raise too_late("regenerate() sets a cookie")
        data.pop(SECRET, None)
        self._regenerated = True

    def invalidate(self) -> None:
        """Drop the data and end the session; values set later start a new one.

        Raises:
            RuntimeError: The head of the response was sent, and there is no store.
        """
        data = self._write()
        data.clear()
        self._ended = self._ended or self._id
        self._id, self._kept, self._regenerated = None, EMPTY, False

    @abstractmethod
    async def save(self) -> None:
        """Save changes now, for example after the head of the response was sent.

        Raises:
            HttpError: 503, when the store fails.
            RuntimeError: There is no store.
            TypeError: A value cannot be saved.
        """

    async def finish(self, response: Response) -> None:
        """Save changes, and set the fields that a response needs for them.

        Raises:
            HttpError: As for `save`.
            TypeError: As for `save`.
            ValueError: It is too large for a cookie.
        """
        response.vary("Cookie")
        response.headers.setdefault("Cache-Control", "private")
        try:
            if self._data is not None:  # otherwise it could not be loaded
                await self._save(self._data)
        finally:
            self.sent = True
        if self._cookie:
            self._place.options.set_cookie(response, self._cookie, self._seconds)
        elif self._cookie is not None:
            self._place.options.remove_cookie(response)

    # How sessions are kept

    @abstractmethod
    def _open(self) -> None:
        """Continue the session with `_adopt`, or begin one with `_begin`."""

    @abstractmethod
    async def _save(self, data: dict[str, Any]) -> None:
        """Save changes, and decide what to do with the cookie."""

    @abstractmethod
    def _check_late(self) -> None:
        """Check that a change can still be saved after the head was sent."""

    def _read(self) -> dict[str, Any]:
        if is_excluded(self._endpoint.payload):
            raise RuntimeError(
                f"{self._endpoint} reads the session, and its route has session=False: "
                "leave that out"
            )
        self.touched = True
        if self._data is None:
            self._open()
        return self._data  # type: ignore[return-value]  # it is open

    def _write(self) -> dict[str, Any]:
        data = self._read()
        if self.sent:
            self._check_late()
        return data

    def _adopt(self, cookie: str, times: Any, data: dict[str, Any]) -> bool:
        """Continue a session, unless it has expired.

        Raises:
            ValueError: These are not the times of a session.
        """
        try:
            created, used = map(int, times)
        except (ArithmeticError, TypeError) as error:
            raise ValueError("it has no times") from error
        if self._place.options.has_ended(created, used, time()):
            self._begin("it has expired")
            return False
        self._data = data
        self._id, self._created, self._used = cookie, created, used
        return True

    def _begin(self, reason: str | None = None) -> None:
        """Begin a new session; *reason* is what is wrong with the cookie."""
        self._data = {}
        if reason is not None:
            logger.debug("The cookie %s is ignored: %s", self.cookie, reason)

    def _is_changed(self, text: str) -> bool:
        return self._regenerated or self._ended is not None or text != self._kept

    def _is_due(self, now: float) -> bool:
        """Whether this use renews the session."""
        return now - self._used >= self._place.options.max_age / RENEWAL

    def _stamp(self, now: float) -> list[int]:
        """Give the times to keep for a session that is used, or begins, now."""
        if self._id is None or self._regenerated:
            self._created = int(now)
        self._used = int(now)
        self._seconds = self._place.options.seconds_left(self._created, now)
        return [self._created, self._used]


def session_of(request: Request) -> Session:
    """Give the session of a request.

    Raises:
        RuntimeError: It has none.
    """
    session = request.get("session")
    if not isinstance(session, Session):
        raise RuntimeError(
            "the request has no session: call session(app, secret) before extensions "
            "and listeners that need one"
        )
    return session


def is_excluded(payload: Mapping[str, Any] | None) -> bool:
    """Whether a route, by its payload, has no session."""
    return payload is not None and payload.get("session") is False


def too_late(what: str) -> RuntimeError:
    """Make the error for a change that is only possible before the response is sent."""
    return RuntimeError(
        f"{what}, and the head of the response was sent: do it before the view returns"
    )
