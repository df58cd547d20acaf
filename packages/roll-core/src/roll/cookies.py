"""Cookies: of a request (RFC 6265, section 5.4) and of a response (section 4.1)."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Self
from urllib.parse import quote as percent_encode
from urllib.parse import unquote

_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r'\\(["\\]|[0-3][0-7]{2})')

# RFC 6265, section 4.1.1. Names may be a little wider than `token`: `a[0]` and `a:b`
# are in use, and browsers return them.
_NAME = re.compile("[!-~]+")
_NOT_IN_NAME = frozenset('=;,"\\')
_ATTRIBUTE = re.compile(r"[ -:<-~]*")
_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None"}

# cookie-octet (RFC 6265, section 4.1.1) without `%`, which `parse` decodes.
_VALUE_SAFE = "!#$&'()*+-./:<=>?@[]^_`{|}~"
# Values sent without quotes: a token (RFC 9110, section 5.6.2), without `%` but maybe
# with colons.
_UNQUOTED = re.compile(r"[!#$&'*+.0-9:A-Z^_`a-z|~-]+")
# Characters that have to be escaped in quotes, and the escape that `parse` reads.
_ESCAPED = {ord(char): f"\\{char}" for char in '"\\'} | {
    code: f"\\{code:03o}" for code in (*range(32), *b",;", 127)
}

# Not from strftime, which uses the locale of the process.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


class Cookie(NamedTuple):
    """A cookie to set; `str(cookie)` is the value of its `Set-Cookie` field."""

    name: str
    value: str
    max_age: int | None = None
    expires: datetime | None = None
    secure: bool = False
    httponly: bool = False
    path: str = "/"
    domain: str = ""
    samesite: str | None = None
    partitioned: bool = False

    def __str__(self) -> str:
        # Unpacked at once: half the time of ten attribute look-ups.
        name, value, max_age, expires, secure, httponly, path, domain, site, part = self
        # Most values need no encoding.
        text = (
            f"{name}={value if value.isalnum() and value.isascii() else _encode(value)}"
        )
        if expires is not None:
            text += f"; Expires={_write_date(expires)}"
        if max_age is not None:
            text += f"; Max-Age={max_age}"
        if domain:
            text += f"; Domain={domain}"
        if path:
            text += f"; Path={path}"
        if secure:
            text += "; Secure"
        if httponly:
            text += "; HttpOnly"
        if site:
            text += f"; SameSite={site}"
        if part:
            text += "; Partitioned"
        return text


class Cookies(dict[str, Any]):
    """Cookies by name: values that came with a request, or `Cookie`s to set."""

    @classmethod
    def parse(cls, header: str) -> Self:
        r"""Read a `Cookie` field, in linear time, without refusing anything.

        Pairs end at `;`, also inside of quotes: no browser sends one in a value
        (RFC 6265, section 5.2). Of two pairs with the same name, the first wins:
        user agents send the more specific path first (section 5.4). A pair without a
        `=` is a cookie with an empty name, as in browsers.

        Double quotes around a value are removed, and its `\"`, `\\` and octal escapes
        decoded. Percent-encoded UTF-8 is decoded; a value with any invalid sequence
        (`100%`, `%zz`, `%E9`) is kept as it is.

        Args:
            header: The value of the field; several are already joined with `; `.

        Returns:
            The value of each name.
        """
        cookies = cls()
        encoded = "%" in header or '"' in header
        for pair in header.split(";"):
            name, equals, value = pair.partition("=")
            if not equals:  # RFC 6265bis, section 5.6: a value without a name
                name, value = "", name
            name, value = name.strip(" \t"), value.strip(" \t")
            if (equals or value) and name not in cookies:
                cookies[name] = _decode(value) if encoded else value
        return cookies

    def delete(self, name: str, path: str | None = None, domain: str = "") -> None:
        """Delete a cookie of the client that was set with this path and domain.

        Raises:
            ValueError: As for `set`.
        """
        past = datetime(1970, 1, 1, tzinfo=UTC)
        self.set(name, "", max_age=0, expires=past, path=path, domain=domain)

    def set(
        self,
        name: str,
        value: str,
        max_age: int | None = None,
        expires: datetime | None = None,
        secure: bool = False,
        httponly: bool = False,
        path: str | None = None,
        domain: str | None = None,
        *,
        samesite: str | None = None,
        partitioned: bool = False,
    ) -> None:
        """Set a cookie.

        The value may be any text: characters that cannot be sent are quoted or
        percent-encoded, and `parse` restores them.

        Args:
            name: Visible ASCII without any of `=;,"` and the backslash.
            value: Text.
            max_age: Seconds to live; 0 or less to remove it.
            expires: When it expires; UTC if there is no time zone.
            secure: Send it back only over TLS.
            httponly: Hide it from scripts.
            path: Where to send it back; by default `/`, and an empty string for the
                directory of the request's path (RFC 6265, section 5.1.4).
            domain: The domain to send it back to, with its subdomains; by default only
                the host.
            samesite: `Strict`, `Lax` or `None`, in any case (RFC 6265bis).
            partitioned: Keep one for each top-level site (CHIPS).

        Raises:
            ValueError: An argument cannot be sent; the message says which one.
            TypeError: The value is not a string, or *expires* is not a datetime.
        """
        if not isinstance(value, str):
            kind = type(value).__name__  # the value may be a secret
            raise TypeError(f"cookie {name!r}: its value is {kind}: write str(...)")
        if not _is_name(name):
            raise ValueError(f"cookie {name!r}: its name cannot be sent")
        if path is None:
            path = "/"
        else:
            _check_attribute(name, "path", path)
        if domain:
            _check_attribute(name, "domain", domain)
        if samesite is not None:
            if samesite.lower() not in _SAME_SITE:
                raise ValueError(
                    f"cookie {name!r}: its samesite is not 'Strict', 'Lax' or 'None'"
                )
            samesite = _SAME_SITE[samesite.lower()]
        if not value.isascii():
            _check_value(name, value)
        fields = (
            name,
            value,
            None if max_age is None else _read_max_age(name, max_age),
            None if expires is None else _read_expires(name, expires),
            secure,
            httponly,
            path,
            domain or "",
            samesite,
            partitioned,
        )
        self[name] = tuple.__new__(Cookie, fields)  # a third of the time of Cookie(...)


@lru_cache(maxsize=256)  # an application has few
def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and _NOT_IN_NAME.isdisjoint(name)


def _check_attribute(name: str, argument: str, text: str) -> None:
    if not _ATTRIBUTE.fullmatch(text):
        raise ValueError(f"cookie {name!r}: its {argument} cannot be sent")


def _check_value(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"cookie {name!r}: its value holds a lone surrogate"
        ) from error


def _read_max_age(name: str, max_age: Any) -> int:
    try:
        return int(max_age)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"cookie {name!r}: its max_age is not a number of seconds"
        ) from error


def _read_expires(name: str, expires: Any) -> datetime:
    if not isinstance(expires, datetime):
        raise TypeError(f"cookie {name!r}: its expires is not a datetime")
    date: datetime = expires
    if date.tzinfo is not None:
        try:
            date = date.astimezone(UTC)
        except OverflowError as error:
            raise ValueError(
                f"cookie {name!r}: its expires has no year in UTC"
            ) from error
    # Browsers ignore dates before 1601 (RFC 6265, section 5.1.1), and would keep the
    # cookie. Any past date deletes it.
    return max(date, datetime(1970, 1, 1, tzinfo=date.tzinfo))


def _write_date(date: datetime) -> str:
    """Write a date in UTC as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7)."""
    return (
        f"{_DAYS[date.weekday()]}, {date.day:02} {_MONTHS[date.month - 1]}"
        f" {date.year} {date.hour:02}:{date.minute:02}:{date.second:02} GMT"
    )


def _encode(value: str) -> str:
    """Write a value for `_decode`, in ASCII without `;` and control characters."""
    if _UNQUOTED.fullmatch(value):
        return value
    if "%" in value or not value.isascii():
        return percent_encode(value, safe=_VALUE_SAFE)
    return f'"{value.translate(_ESCAPED)}"'


def _decode(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
        if "\\" in value:
            # In one pass: `\045` is a percent sign, which starts no escape.
            pieces = _ESCAPE.split(value)  # text, escape, text, escape, ..., text
            pieces[::2] = map(_percent_decode, pieces[::2])
            pieces[1::2] = map(_unescape, pieces[1::2])
            return "".join(pieces)
    return _percent_decode(value)


def _percent_decode(text: str) -> str:
    if "%" not in text or _STRAY_PERCENT.search(text):
        return text
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _unescape(escape: str) -> str:
    return escape if len(escape) == 1 else chr(int(escape, 8))
