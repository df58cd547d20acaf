"""Multipart on multifruits: a plain body that comes whole is read by it.

multifruits tells neither where an empty header ends and the next name begins, nor that
a body is truncated, and calls back for each CR of a body. None of this can be seen from
what it calls, so a body is looked at before: one that is not plain, or comes in pieces,
is read by the core's parser.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import multifruits
from roll import Multipart as CoreMultipart

# RFC 2046, section 5.1.1, without the blank, and the `=`, which multifruits cannot be
# told.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:?-]+")

# What comes before the content of a part that a browser sends.
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

# CRs that a body may have, beside one for so many bytes: each costs a call.
_CRS = 1000
_BYTES_FOR_CR = 32


class Head(NamedTuple):
    """The header of a part."""

    headerlist: list[tuple[str, str]]


class Handler:
    """Collects what multifruits calls back with, as the core's parser gives it."""

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
    """Reads a body by multifruits, or by the core's parser.

    Args:
        parser: The core's.
        boundary: What is between the parts; None to use the core's parser alone.
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
    """Tell whether *data* is a whole body that multifruits reads right."""
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
    """Parse a `multipart/form-data` body, by multifruits where it is right."""

    def make_parser(self, boundary: str) -> Parser:
        """Make what reads the framing."""
        parser = super().make_parser(boundary)
        if (
            not _BOUNDARY.fullmatch(boundary)
            or self.limits.part_field < _LONGEST_FIELD
            or self.limits.part_fields < _MOST_FIELDS
        ):
            return Parser(parser, None)
        return Parser(parser, boundary)
