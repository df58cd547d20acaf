"""Reads chunked bodies (RFC 9112, section 7.1)."""

import re
from http import HTTPStatus

from ..errors import HttpError
from ..limits import Limits
from .framing import read_fields

END = b"\r\n\r\n"
"""The end of a header, and of trailers: an empty line."""

SLICE = 2 * 1024
"""The most bytes of chunks to read at once: each byte may be a chunk."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_SIZE = rb"([0-9A-Fa-f]{1,16}+)(?:;%b(?:=(?:%b|%b))?+)*+\r\n" % (
    _TOKEN,
    _TOKEN,
    _QUOTED,
)
_FIRST = re.compile(_SIZE)
_NEXT = re.compile(rb"\r\n" + _SIZE)  # a chunk's data ends with CRLF

# What may still become the line of a chunk: every beginning of a line matches.
_SIZE_PART = rb"[0-9A-Fa-f]{1,16}+(?:;[\t -~\x80-\xff]*+)?+\r?+"
_FIRST_PART = re.compile(_SIZE_PART)
_NEXT_PART = re.compile(rb"\r(?:\n(?:%b)?+)?+" % _SIZE_PART)

_START = 32
"""Bytes of an incomplete line to check; they include the size."""

_TRAILERS = re.compile(rb"(?:%b:[\t -~\x80-\xff]*+\r\n)*+\r\n" % _TOKEN)

# Fields that would contradict the framing in the header.
_FORBIDDEN = frozenset((b"CONTENT-LENGTH", b"TRANSFER-ENCODING"))


class Chunks:
    """The chunks of one body. It holds none of its bytes.

    Args:
        limits: `head` bounds the line before a chunk, and with `fields` the trailers.
    """

    __slots__ = (
        "_last",
        "_limits",
        "_line",
        "_lines",
        "_part",
        "_seen",
        "_waiting",
        "complete",
        "left",
        "trailers",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._line, self._part = _FIRST, _FIRST_PART
        self._waiting = False  # for the end of a line
        self._last = 0  # length of the last chunk's line, once received
        self._seen = 0  # bytes of the trailers already checked
        self._lines = 0  # line ends in these
        self.left = 0
        """Missing bytes of the current chunk."""
        self.complete = False
        """Whether the last chunk and the trailers were received."""
        self.trailers: list[tuple[bytes, bytes]] = []
        """Names, in upper case, and values of the fields after the last chunk."""

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        """Read some chunks, and nothing after the body.

        Args:
            data: The bytes received.
            at: Where to begin.

        Returns:
            The content of the chunks, and where the rest of *data* begins. That is *at*
            if more data is needed.

        Raises:
            HttpError: 400, when they are malformed; 431, when there are too many
                trailers, or the line of a chunk is too long.
        """
        pieces = []
        stop = min(len(data), at + SLICE)
        while at < stop:
            if self.left:
                piece = data[at : at + self.left]
                pieces.append(piece)
                at += len(piece)
                self.left -= len(piece)
                continue
            # An incomplete line is not parsed again for each byte.
            if not self._last:
                whole = not self._waiting or data.find(b"\n", at + 2) >= 0
                line = self._line.match(data, at) if whole else None
                self._waiting = line is None
                if line is None:
                    self._require_part(data, at)
                    break
                self.left = int(line[1], 16)
                if self.left:
                    self._line, self._part = _NEXT, _NEXT_PART
                    at = line.end()
                    continue
                self._last = line.end() - at
            end = self._read_trailers(data, at + self._last)
            if end:
                self.complete = True
                at = end
            break
        return b"".join(pieces), at

    def _require_part(self, data: bytes, at: int) -> None:
        """Refuse bytes that cannot become the line of a chunk, or are too many."""
        start = data[at : at + _START]
        if not self._part.fullmatch(start) or data.find(b"\n", at + 2) >= 0:
            raise HttpError(HTTPStatus.BAD_REQUEST)
        if len(data) - at > self._limits.head:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _read_trailers(self, data: bytes, at: int) -> int:
        """Read the fields after the last chunk; give their end, or 0 if missing."""
        fresh = at + self._seen
        # The end of the last chunk's line counts as the end of a field.
        end = data.find(END, fresh - 3) + len(END)
        stop = end if end >= len(END) else len(data)
        lines = data.count(b"\n", fresh, stop)
        self._lines += lines
        self._seen = stop - at
        if self._lines > self._limits.fields + 1 or self._seen > self._limits.head:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if lines != data.count(b"\r\n", fresh - 1, stop):
            raise HttpError(HTTPStatus.BAD_REQUEST)
        if end < len(END):
            return 0
        section = data[at:end]
        if not _TRAILERS.fullmatch(section):
            raise HttpError(HTTPStatus.BAD_REQUEST)
        self.trailers = read_fields(b"\r\n" + section)
        if not _FORBIDDEN.isdisjoint(name for name, _ in self.trailers):
            raise HttpError(HTTPStatus.BAD_REQUEST)
        return end
