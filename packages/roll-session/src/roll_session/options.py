"""The options of `session`, checked when the app is built."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from roll import Cookies, Response
from roll.plugins import require_seconds

LARGEST = 4096
"""Bytes of a cookie's name and value that browsers keep (RFC 6265bis, 5.6)."""

KEY_SIZE = 32
"""Bytes of the shortest key: the size of SHA-256."""

SESSION_KEY = "roll_session"
"""The key under which an app keeps the options of its session."""

_PAST = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIXED = re.compile("__(host|secure)-", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Options:
    """How long a session lives, and how its cookie is set.

    Raises:
        TypeError: An option has another type.
        ValueError: One is out of range, or browsers would refuse the cookie.
    """

    name: str
    max_age: float
    lifetime: float | None
    path: str
    domain: str | None
    secure: bool
    samesite: str

    def __post_init__(self) -> None:
        require_seconds("max_age", self.max_age)
        if self.lifetime is not None:
            require_seconds("lifetime", self.lifetime)
        if not isinstance(self.path, str) or not self.path.startswith("/"):
            raise ValueError(f"path={self.path!r}: give a path, such as '/'")
        if self.samesite not in ("Lax", "Strict", "None"):
            raise ValueError(
                f"samesite={self.samesite!r}: give 'Lax', 'Strict' or 'None'"
            )
        if self.samesite == "None" and not self.secure:
            raise ValueError("samesite='None' needs secure=True: browsers ask for it")
        prefix = _PREFIXED.match(self.name)
        if prefix and not (
            self.secure and (prefix[1].lower() == "secure" or self.is_of_one_host)
        ):
            raise ValueError(
                f"cookie={self.name!r}: browsers refuse this name without secure=True, "
                "and one that begins with __Host- with another path or a domain"
            )
        self._set(Cookies(), "", 0)  # it raises errors here, not at each response

    @property
    def is_of_one_host(self) -> bool:
        """Whether the cookie goes to only one host, and to all of its paths."""
        return self.path == "/" and not self.domain

    def seconds_left(self, created: float, now: float) -> float:
        """Give how long a session that is used now may stay unused."""
        if self.lifetime is None:
            return self.max_age
        return min(self.max_age, created + self.lifetime - now)

    def has_ended(self, created: float, used: float, now: float) -> bool:
        """Whether a session has been unused for too long, or is too old."""
        return self.seconds_left(created, now) < 0 or now - used > self.max_age

    def set_cookie(self, response: Response, value: str, seconds: float) -> None:
        """Set the cookie."""
        self._set(response.cookies, value, math.ceil(seconds))

    def remove_cookie(self, response: Response) -> None:
        """Make the client delete the cookie.

        It has the attributes that it was set with: browsers require them for its name.
        """
        self._set(response.cookies, "", 0, _PAST)

    def _set(
        self,
        cookies: Cookies,
        value: str,
        seconds: int,
        expires: datetime | None = None,
    ) -> None:
        cookies.set(
            self.name,
            value,
            max_age=seconds,
            expires=expires,
            path=self.path,
            domain=self.domain,
            secure=self.secure,
            httponly=True,
            samesite=self.samesite,
        )


def cookie_name(name: str | None, secure: bool, path: str, domain: str | None) -> str:
    """Choose the name of the cookie, unless one is given."""
    if name is not None:
        return name
    return "__Host-session" if secure and path == "/" and not domain else "session"


def read_keys(secret: str | bytes | Sequence[str | bytes]) -> list[bytes]:
    """Read the keys that sign; a string is one of them.

    Raises:
        TypeError: A key is neither text nor bytes. No message shows a key.
        ValueError: There is none, or one is too short, or repeated.
    """
    given = [secret] if isinstance(secret, (str, bytes)) else [*secret]
    keys = [key.encode() if isinstance(key, str) else key for key in given]
    if not keys:
        raise ValueError("secret=[]: give at least one key")
    for key in keys:
        if not isinstance(key, bytes):
            raise TypeError(f"secret: a key is a {type(key).__name__}: give text")
        if len(key) < KEY_SIZE:
            raise ValueError(
                f"secret: a key has {len(key)} bytes: give {KEY_SIZE} or more, such as "
                "a value of `secrets.token_urlsafe(32)` that you keep"
            )
    if len(set(keys)) != len(keys):
        raise ValueError("secret: a key is repeated: leave one out")
    return keys
