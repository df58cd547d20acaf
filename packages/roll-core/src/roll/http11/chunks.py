"""Chunked bodies (RFC 9112, section 7.1), which llhttp reads."""

from http import HTTPStatus

from httptools import HttpRequestParser

from ..errors import HttpError

END = b"\r\n\r\n"
"""What ends a head, and a chunked body: an empty line."""

SLICE = 4 * 1024
"""Bytes of chunks read before their reader may pause."""


class Chunks:
    """The chunks of one body.

    Args:
        fields: How many trailers there may be.
    """

    __slots__ = (
        "_fields",
        "_parser",
        "_parts",
        "_tail",
        "complete",
        "on_body",
        "trailers",
    )

    def __init__(self, fields: int) -> None:
        self.complete = False
        """Whether the last chunk came, and the trailers behind it."""
        self.trailers: list[tuple[bytes, bytes]] = []
        """Names and values of the fields behind the last chunk."""
        self._fields = fields
        self._tail = b""  # of what came before
        self._parts: list[bytes] = []
        # What httptools calls for each chunk: a body may have one for each byte.
        self.on_body = self._parts.append
        self._parser = HttpRequestParser(self)
        # llhttp reads whole messages; behind one that closes it refuses whatever comes.
        self._parser.feed_data(
            b"POST / HTTP/1.1\r\nConnection: close\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        self.trailers.clear()  # these were no trailers

    def feed(self, data: bytes, at: int) -> int:
        """Read some chunks, and nothing that is behind the body.

        No piece that llhttp is given passes an empty line: that ends the body, unless
        it is in a chunk.

        Args:
            data: What came.
            at: Where the chunks begin in it.

        Returns:
            Where the rest begins.

        Raises:
            HttpParserError: They are malformed, or there are too many trailers.
        """
        before = len(self._tail)
        piece = self._tail + data[at : at + SLICE]
        start = before
        while start < len(piece) and not self.complete:
            end = piece.find(END, max(start - 3, 0))
            stop = len(piece) if end < 0 else end + 4
            self._parser.feed_data(piece[start:stop])
            start = stop
        self._tail = piece[max(start - 3, 0) : start]
        if self.complete:
            del self._parser  # it holds on to our methods
        return at + start - before

    def take(self) -> bytes:
        """Give what was in the chunks that were read; nothing of it is kept."""
        body = b"".join(self._parts)
        self._parts.clear()
        return body

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a trailer, from httptools."""
        self.trailers.append((name, value.rstrip(b" \t")))
        if len(self.trailers) > self._fields:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_complete(self) -> None:
        """Note the end, from httptools."""
        self.complete = True
