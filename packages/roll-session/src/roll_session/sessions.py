"""Session: what an application keeps of a visitor, wherever it is kept."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, MutableMapping
from time import time
from typing import Any, NamedTuple, Self

from roll import Request, Response, Roll
from roll.logs import logger

from .encoding import EMPTY, encode
from .options import Options

SECRET = "_csrf"
"""The key of the secret that CSRF tokens are made of."""

RENEWAL = 10
"""The part of `max_age` after which a use renews a session."""


class Place(NamedTuple):
    """Where the sessions of an app are kept, and how."""

    app: Roll
    options: Options
    keeper: Any
    """What reads and writes: a signer, or a store."""


class Session(MutableMapping[str, Any]):
    """What an application keeps of a visitor, from one request to the next.

    Values are what JSON has, and may be changed in place. What differs in the end from
    what was kept is saved with the response.

    Args:
        place: Where it is kept.
        request: Whose session it is. No reference to it is kept: that would be a cycle.
    """

    # All of these are the class's until something is read: most sessions never are.
    touched = False
    """Whether anything of it was read or written."""
    sent = False
    """Whether the head of the response is written: no cookie can be set any more."""
    _data: dict[str, Any] | None = None
    _kept = EMPTY
    """The data as it is kept, and written."""
    _id: str | None = None
    """The cookie that it goes on from; None for a new session."""
    _ended: str | None = None
    """The cookie of the session that it was until it was invalidated."""
    _regenerated = False
    _created = _used = 0
    _cookie: str | None = None
    """What the cookie is set to; it is removed when this is empty."""
    _seconds = 0.0

    def __init__(self, place: Place, request: Request) -> None:
        self._place = place
        self._message = request.message
        self._endpoint = request.endpoint

    # As any mapping

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

    # More than that

    @property
    def cookie(self) -> str:
        """The name of the cookie."""
        return self._place.options.name

    @property
    def new(self) -> bool:
        """Whether nothing was kept, or the session was invalidated."""
        self._read()
        return self._id is None

    @property
    def changed(self) -> bool:
        """Whether it is to be saved: it differs, as JSON, from what is kept.

        Raises:
            TypeError: A value cannot be saved.
        """
        return self._is_changed(encode(self._read(), self._kept))

    def regenerate(self) -> None:
        """Keep the data under a new id, with a new CSRF secret: call it at a login.

        The old id, which somebody else may know, ends. `lifetime` begins anew.

        Raises:
            RuntimeError: The head of the response is sent.
        """
        data = self._read()
        if self.sent:
            raise too_late("regenerate() sets a cookie")
        data.pop(SECRET, None)
        self._regenerated = True

    def invalidate(self) -> None:
        """Drop the data and end the session; what is set later is a new session.

        Raises:
            RuntimeError: The head of the response is sent, and there is no store.
        """
        data = self._write()
        data.clear()
        self._ended = self._ended or self._id
        self._id, self._kept, self._regenerated = None, EMPTY, False

    @abstractmethod
    async def save(self) -> None:
        """Save what has changed now, such as after the head of the response is sent.

        Raises:
            HttpError: 503, when the store fails.
            RuntimeError: There is no store.
            TypeError: A value cannot be saved.
        """

    async def finish(self, response: Response) -> None:
        """Save what has changed, and set the fields of a response that depends on it.

        Raises:
            HttpError: As `save` does.
            TypeError: As `save` does.
            ValueError: It is too large for a cookie.
        """
        response.vary("Cookie")
        response.headers.setdefault("Cache-Control", "private")
        try:
            if self._data is not None:  # else it could not be loaded
                await self._save(self._data)
        finally:
            self.sent = True
        if self._cookie:
            self._place.options.set_cookie(response, self._cookie, self._seconds)
        elif self._cookie is not None:
            self._place.options.remove_cookie(response)

    # What is kept, and where

    @abstractmethod
    def _open(self) -> None:
        """Go on from what is kept, by `_adopt`, or begin, by `_begin`."""

    @abstractmethod
    async def _save(self, data: dict[str, Any]) -> None:
        """Save what has changed, and say what becomes of the cookie."""

    @abstractmethod
    def _check_late(self) -> None:
        """Require that a change can be saved although the head is sent."""

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
        """Go on from what is kept, unless its time is over.

        Raises:
            ValueError: These are not the times of a session.
        """
        try:
            created, used = map(int, times)
        except (ArithmeticError, TypeError) as error:
            raise ValueError("it has no times") from error
        if self._place.options.has_ended(created, used, time()):
            self._begin("its time is over")
            return False
        self._data = data
        self._id, self._created, self._used = cookie, created, used
        return True

    def _begin(self, reason: str | None = None) -> None:
        """Begin a new session; *reason* says what is wrong with the cookie."""
        self._data = {}
        if reason is not None:
            logger.debug("The cookie %s is ignored: %s", self.cookie, reason)

    def _is_changed(self, text: str) -> bool:
        return self._regenerated or self._ended is not None or text != self._kept

    def _is_due(self, now: float) -> bool:
        """Whether a use renews the session."""
        return now - self._used >= self._place.options.max_age / RENEWAL

    def _stamp(self, now: float) -> list[int]:
        """Give the times to keep of a session that is used, or begins, now."""
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
    """Make the error for what only a response can do that is not sent yet."""
    return RuntimeError(
        f"{what}, and the head of the response is sent: do it before the view returns"
    )
