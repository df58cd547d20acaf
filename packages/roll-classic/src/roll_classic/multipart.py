"""Multipart on multifruits: it reads a plain body that comes whole.

multifruits does not report where an empty header ends and the next name begins, nor
that a body is truncated, and it calls back for each CR of a body. Its callbacks show
none of this, so a body is checked first: the core's parser reads one that is not plain,
or comes in pieces.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import multifruits
from roll import Multipart as CoreMultipart

# RFC 2046, section 5.1.1, without the space, and the `=`, which multifruits cannot
# take.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:?-]+")

# What a browser sends before the content of a part.
_HEAD = re.compile(
    rb"""
    \r\nContent-Disposition:[ ]form-data
    ;[ ]name="[^\x00-\x1f\x7f"%\\]{0,500}"
    (?:;[ ]filename="[^\x00-\x1f\x7f"%\\]{0,500}")?
    (?:\r\nContent-Type:[ ][!-~](?:[ -~]{0,498}[!-~])?)?
    \r\n\r\n
    """,
    re.VERBOSE,
)
_LONGEST_FIELD = 1100
_MOST_FIELDS = 2

# CRs that a body may have, besides one for so many bytes: each costs a call.
_CRS = 1000
_BYTES_FOR_CR = 32


class Head(NamedTuple):
    """The header of a part."""

    headerlist: list[tuple[str, str]]


class Handler:
    """Collects the callbacks of multifruits as events of the core's parser."""

    def __init__(self) -> None:
        self.events: list[Head | bytes | None] = []
        self._headers: list[tuple[str, str]] = []
        self._content: list[bytes] = []

    def on_part_begin(self) -> None:
        """Start a part."""
        self._headers = []
        self._content = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a field of its header."""
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """End its header."""
        self.events.append(Head(self._headers))

    def on_data(self, data: bytes) -> None:
        """Add some of its content, which is cut at each CR."""
        self._content.append(data)

    def on_part_complete(self) -> None:
        """End it."""
        self.events += (b"".join(self._content), None)


class Parser:
    """Reads a body with multifruits, or with the core's parser.

    Args:
        parser: The core's parser.
        boundary: What is between the parts; None to use only the core's parser.
    """

    def __init__(self, parser: Any, boundary: str | None) -> None:
        self._parser = parser
        self._boundary = None if boundary is None else boundary.encode()
        self._whole = False
        """Whether multifruits has read the body."""

    def parse(self, data: bytes) -> Iterable[Any]:
        """Give the header, the content and the end of each part."""
        boundary, self._boundary = self._boundary, None  # only once, for the first
        if boundary is not None and _is_plain(data, boundary):
            self._whole = True
            handler = Handler()
            content_type = b'multipart/form-data; boundary="%b"' % boundary
            multifruits.Parser(handler, content_type).feed_data(data)
            return handler.events
        events: Iterable[Any] = self._parser.parse(data)
        return events

    def close(self, check_complete: bool = True) -> None:
        """End the body, or give up."""
        self._parser.close(check_complete and not self._whole)


def _is_plain(data: bytes, boundary: bytes) -> bool:
    """Tell whether *data* is a whole body that multifruits reads correctly."""
    if data.count(b"\r") > _CRS + len(data) // _BYTES_FOR_CR:
        return False
    start, *parts, end = data.split(b"\r\n--" + boundary)
    return (
        start == b""
        and end == b"--"
        and parts != []  # which multifruits refuses
        and all(map(_HEAD.match, parts))
    )


class Multipart(CoreMultipart):
    """Parse a `multipart/form-data` body, with multifruits where it is correct."""

    def make_parser(self, boundary: str) -> Parser:
        """Make the parser of the framing."""
        parser = super().make_parser(boundary)
        if (
            not _BOUNDARY.fullmatch(boundary)
            or self.limits.part_field < _LONGEST_FIELD
            or self.limits.part_fields < _MOST_FIELDS
        ):
            return Parser(parser, None)
        return Parser(parser, boundary)
