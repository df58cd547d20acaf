"""Hiding: removes the secrets of a request, however they were decoded."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "[hidden]"

SHORTEST = 4
"""The least characters of a secret to hide."""

TOKEN = 8
"""The same for one between dots or the like: it may be a word in a sentence."""

ROUNDS = 4
"""Decodings on top of each other: a cookie may be JSON, percent-encoded, in base64."""

MOST = 20_000
"""The most secrets to look for; with more, nothing is shown."""

_PAIRS = re.compile(r"[;,&]")
_TOKENS = re.compile(r"[.:|,]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_ALPHABET = str.maketrans("-_", "+/")
_ESCAPED = re.compile(r"\\([0-3][0-7]{2}|.)")


def make_hider(values: Iterable[str]) -> Callable[[str], str]:
    """Make the function that removes secrets from a text.

    Args:
        values: The values of the hidden fields.
    """
    found: set[str] = set()
    for value in values:
        for secret in _decode(value):
            found.update(one for one in _spell(secret) if len(one) >= SHORTEST)
        if len(found) > MOST:
            return lambda text: HIDDEN
    longest_first = sorted(found, key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in longest_first:
            text = text.replace(secret, HIDDEN)
        return text

    return hide


def _decode(value: str) -> set[str]:
    """Give a value, and everything that a view may have decoded from it or a part."""
    found = {value} if len(value) >= SHORTEST else set()
    fresh = {value}
    for _ in range(ROUNDS):
        pieces = {piece for text in fresh for piece in _read(text)}
        fresh = {piece for piece in pieces if len(piece) >= SHORTEST} - found
        found |= fresh
    return found


def _read(text: str) -> Iterator[str]:
    """Decode a text once in each usual way."""
    for pair in _PAIRS.split(text):  # cookies, forms, parameters
        yield pair.partition("=")[2].strip(' "')
    yield text.partition(" ")[2].strip()  # credentials after their scheme
    yield from text.splitlines()  # an exception group, or a note, indents each
    for token in _TOKENS.split(text):  # JSON Web Tokens, signed cookies
        if len(token := token.strip()) >= TOKEN:
            yield token
    yield unquote(text)
    yield unquote_plus(text)
    yield _ESCAPED.sub(_unescape, text.strip('"'))  # a quoted cookie
    yield from _read_utf8(text)
    yield from _read_base64(text)
    yield from _read_json(text)


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code, 8)) if len(code) == 3 else code


def _read_utf8(text: str) -> Iterator[str]:
    """Decode UTF-8 that was read as latin-1, like fields."""
    with suppress(UnicodeError):
        yield text.encode("latin-1").decode()


def _read_base64(text: str) -> Iterator[str]:
    """Decode base64, and a password after the name of a user in it (RFC 7617)."""
    data = _decode_base64(text)
    for encoding in ("latin-1", "utf-8"):
        with suppress(UnicodeError):
            decoded = data.decode(encoding)
            if "".join(decoded.split()).isprintable():  # otherwise it is not text
                yield decoded
                yield decoded.partition(":")[2]


def _decode_base64(text: str) -> bytes:
    """Decode base64 with or without padding, in either alphabet; otherwise give b""."""
    if not _BASE64.fullmatch(text):
        return b""
    plain = text.rstrip("=").translate(_ALPHABET)
    try:
        return b64decode(plain + "=" * (-len(plain) % 4))
    except ValueError:  # a wrong length
        return b""


def _read_json(text: str) -> Iterator[str]:
    """Give each string and number in JSON."""
    if text[:1] not in ("{", "[", '"'):
        return
    try:
        values: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif not isinstance(value, (bool, type(None))):
            yield str(value)


def _spell(secret: str) -> Iterator[str]:
    """Write a secret in every form that an exception may show."""
    quoted = repr(secret)[1:-1]
    yield secret
    yield quoted
    yield quoted.replace("'", "\\'")  # together with the other quotes
    yield repr(quoted)[1:-1]  # the repr of a text with its repr
    yield ascii(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield escape(secret)
    for data in _encode(secret):
        yield repr(data)[2:-1]
        yield data.hex()
        yield quote(data)
        yield quote(data, safe="")
        yield quote_plus(data)
        yield b64encode(data).decode().rstrip("=")


def _encode(secret: str) -> Iterator[bytes]:
    yield secret.encode(errors="surrogatepass")
    yield secret.encode("latin-1", "replace")
    yield _decode_base64(secret)
