"""Cookies on biscuits: it reads plain pairs, and writes plain cookies."""

import re
from typing import Any, Self

import biscuits
from roll import Cookie as CoreCookie
from roll import Cookies as CoreCookies

# biscuits stops reading after so many characters.
_LONGEST = 4096

# It ends a value at a comma, leaves the quotes around a value, and drops a cookie whose
# value is percent-encoded UTF-8.
_NOT_PLAIN = re.compile(r'[%",\\\t]')

# It keeps `max_age` as an unsigned integer of 32 bits, and does not send 0.
_MAX_AGES = range(1, 2**32)


class Cookie(CoreCookie):
    """A cookie to set; biscuits writes it where it does so correctly."""

    __slots__ = ()

    def __str__(self) -> str:
        name, value, max_age, expires, secure, httponly, path, domain, site, part = self
        if (
            part  # biscuits does not know of it
            or not (max_age is None or max_age in _MAX_AGES)
            or "%" in value  # not encoded, so it would be decoded when it comes back
            or not value.isascii()  # sent as octal latin-1, or not at all
        ):
            return super().__str__()
        return str(
            biscuits.Cookie(
                name=name,
                value=value,
                path=path,
                domain=domain or None,
                secure=secure,
                httponly=httponly,
                max_age=max_age or 0,
                expires=expires,
                samesite=site,
            )
        )


class Cookies(CoreCookies):
    """Cookies by name, read and written by biscuits where it is correct."""

    @classmethod
    def parse(cls, header: str) -> Self:
        """Read a `Cookie` field, as the core does."""
        if len(header) <= _LONGEST and not _NOT_PLAIN.search(header):
            cookies: dict[str, str] = biscuits.parse(header)
            # Otherwise a name came twice, and biscuits kept the last, or a pair has no
            # name.
            if len(cookies) == header.count(";") + 1:
                return cls(cookies)
        return super().parse(header)

    def set(self, name: str, *args: Any, **options: Any) -> None:
        """Set a cookie, with the arguments and the errors of the core."""
        super().set(name, *args, **options)
        self[name] = Cookie._make(self[name])
