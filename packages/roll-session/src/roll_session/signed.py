"""Sessions without a store: the cookie is the session, signed."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from time import time
from typing import Any

from itsdangerous import BadSignature
from itsdangerous import Signer as ItsDangerous
from itsdangerous.signer import SigningAlgorithm

from .encoding import decode, dump, encode, to_bytes, to_text
from .options import LARGEST
from .sessions import Session, too_late

SALT = b"roll-session"
"""Keeps other data that is signed with the same key from passing for a session."""


class HmacSha256(SigningAlgorithm):
    """HMAC-SHA-256 in one call: a third of the time of `HMACAlgorithm`."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """Sign a value."""
        return hmac.digest(key, value, "sha256")


class Signer:
    """Signs and verifies with HMAC-SHA-256.

    Args:
        keys: The first one signs, and all verify.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        # Derived once, as that takes as long as signing. Of several, the last one
        # signs.
        derived = [hmac.digest(key, SALT, "sha256") for key in reversed(keys)]
        self._signer = ItsDangerous(
            derived, key_derivation="none", algorithm=HmacSha256()
        )

    def sign(self, data: bytes) -> str:
        """Write data in characters that a cookie may have, and sign it."""
        return self._signer.sign(urlsafe_b64encode(data).rstrip(b"=")).decode()

    def read(self, value: str) -> bytes:
        """Give the data that was signed.

        Raises:
            ValueError: None of the keys has signed it.
        """
        try:
            text = self._signer.unsign(value)
        except BadSignature as error:
            raise ValueError("none of the keys has signed it") from error
        return urlsafe_b64decode(text + b"=" * (-len(text) % 4))


class SignedSession(Session):
    """A session that the cookie holds: its times, and its data."""

    def _open(self) -> None:
        app, options, signer = self._place
        request = app.Request(app, None)
        request.message = self._message
        value = request.cookies.get(options.name)
        if value is None:
            return self._begin()
        try:
            *times, text = to_text(signer.read(value)).split(" ", 2)
            if self._adopt(value, times, decode(text)):
                self._kept = text
        except ValueError as error:
            self._begin(str(error))

    async def save(self) -> None:
        """Raise RuntimeError."""
        raise RuntimeError(
            "save() needs a store: a cookie is saved with the head of the response"
        )

    def _check_late(self) -> None:
        raise too_late("a session without a store is saved in a cookie")

    async def _save(self, data: dict[str, Any]) -> None:
        text = encode(data, self._kept)
        now = time()
        if not data:
            if self._id or self._ended:
                self._cookie = ""
        elif self._is_changed(text) or self._is_due(now):
            created, used = self._stamp(now)
            cookie = self._place.keeper.sign(to_bytes(f"{created} {used} {text}"))
            size = len(self.cookie) + len(cookie)
            if size > LARGEST:
                largest = max(data, key=lambda key: len(dump(data[key])))
                raise ValueError(
                    f"the cookie of the session has {size} bytes, and browsers keep "
                    f"{LARGEST}: its largest value is session[{largest!r}]; keep less, "
                    "or give `session` a store"
                )
            self._cookie = cookie
