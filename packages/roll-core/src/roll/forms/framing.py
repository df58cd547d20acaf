"""Framing: what may surround the parts of a multipart body (RFC 2046, 5.1.1).

The library multipart takes boundaries only as browsers write them, and its reading of a
preamble depends on where the body is cut. So each body is made plain first: without
preamble, without blanks after a boundary, and without epilogue.
"""

import re

_PADDING = re.compile(rb"[ \t]*+")
_IGNORED = 64 * 1024
"""The most bytes around the parts: a preamble is a note for readers without MIME."""


class Framing:
    """Makes a multipart body plain, piece by piece.

    The result does not depend on how the body is cut into pieces.

    Args:
        boundary: The boundary between the parts.
    """

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode()
        self._state = self._skip_preamble
        # The line break of the first boundary may be missing.
        self._held = b"\r\n"
        self._ignored = 0
        self._padded = False
        self._may_end = True
        """Whether the next boundary may be the last."""
        self._kept: list[bytes] = []
        self.broken = False
        """Whether the bytes after those given so far are malformed."""

    @property
    def complete(self) -> bool:
        """Whether the body may end here."""
        return self._state in (self._end, self._skip_epilogue) and not self._held

    def clean(self, data: bytes) -> bytes:
        """Take a piece of the body, and give the plain bytes so far.

        They begin with CRLF and the first boundary, and end with two hyphens.
        """
        data = self._held + data
        at = 0
        while not self.broken:
            state = self._state
            at = state(data, at)
            if self._state is state:  # more data is needed
                break
        self._held = data[at:]
        kept, self._kept = self._kept, []
        return b"".join(kept)

    # Each takes the data and a position, and gives the position after what it has read.

    def _skip_preamble(self, data: bytes, at: int) -> int:
        found = data.find(self._delimiter, at)
        if found < 0:
            end = max(at, len(data) - len(self._delimiter) + 1)
            return self._ignore(at, end)
        end = self._ignore(at, found) + len(self._delimiter)
        self._kept.append(self._delimiter)
        # Otherwise a form that does not begin with a boundary would lose all parts.
        self._may_end = self._ignored <= len("\r\n")
        self._state = self._end_line
        return end

    def _end_line(self, data: bytes, at: int) -> int:
        """Read what follows a boundary: blanks and CRLF, or two hyphens."""
        end = self._skip_padding(data, at)
        self._padded = self._padded or end > at
        closing = self._may_end and not self._padded
        rest = data[end : end + 2]
        if rest == b"\r\n":
            self._padded = False
            self._may_end = True
            self._state = self._read_header
        elif rest == b"--" and closing:
            self._kept.append(rest)
            self._state = self._end
            return end + 2
        elif not b"\r\n".startswith(rest):
            self.broken = self.broken or not (closing and b"--".startswith(rest))
        return end

    def _read_header(self, data: bytes, at: int) -> int:
        """Read from the line break before the header to the empty line."""
        found = data.find(b"\r\n\r\n", at)
        if found < 0:
            end = max(at, len(data) - 3)
        else:
            end = found + 4
            self._state = self._read_content
        self._kept.append(data[at:end])
        return end

    def _read_content(self, data: bytes, at: int) -> int:
        found = data.find(self._delimiter, at)
        if found < 0:
            end = data.rfind(b"\r", max(at, len(data) - len(self._delimiter) + 1))
            if end < 0 or not self._delimiter.startswith(data[end:]):
                end = len(data)
        else:
            end = found + len(self._delimiter)
            self._state = self._end_line
        self._kept.append(data[at:end])
        return end

    def _end(self, data: bytes, at: int) -> int:
        """Read what follows the last boundary: blanks, then CRLF or nothing."""
        end = self._skip_padding(data, at)
        rest = data[end : end + 2]
        if rest == b"\r\n":
            self._state = self._skip_epilogue
            return end + 2
        self.broken = self.broken or not b"\r\n".startswith(rest)
        return end

    def _skip_epilogue(self, data: bytes, at: int) -> int:
        return self._ignore(at, len(data))

    def _skip_padding(self, data: bytes, at: int) -> int:
        padding = _PADDING.match(data, at)
        return self._ignore(at, padding.end() if padding else at)

    def _ignore(self, at: int, end: int) -> int:
        self._ignored += end - at
        self.broken = self.broken or self._ignored > _IGNORED
        return end
