"""Chunked bodies (RFC 9112, section 7.1), which llhttp reads."""

from http import HTTPStatus
from typing import Protocol

from httptools import HttpRequestParser

from .errors import HttpError

END = b"\r\n\r\n"
"""What ends a head, and a chunked body: an empty line."""

SLICE = 4 * 1024
"""Bytes of chunks read before their reader may pause: they may be thousands."""

Trailers = list[tuple[bytes, bytes]]
"""Names and values of fields behind the last chunk, which are dropped."""


class Receiver(Protocol):
    """Who takes what is in the chunks."""

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""

    def on_message_complete(self) -> None:
        """Note its end."""


class Chunks:
    """The chunks of one body.

    Args:
        receiver: Takes what is in them.
        fields: How many trailers there may be.
    """

    __slots__ = (
        "_fields",
        "_parser",
        "_tail",
        "on_body",
        "on_message_complete",
        "trailers",
    )

    def __init__(self, receiver: Receiver, fields: int) -> None:
        self.on_body = receiver.on_body
        self.on_message_complete = receiver.on_message_complete
        self.trailers: Trailers = []
        self._fields = fields
        self._tail = b""  # of what came before
        self._parser = HttpRequestParser(self)
        # llhttp reads whole messages; behind one that closes it refuses whatever comes.
        self._parser.feed_data(
            b"POST / HTTP/1.1\r\nConnection: close\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        self.trailers.clear()  # these were no trailers

    def feed(self, data: bytes, at: int) -> int:
        """Read some chunks, no further than the body may reach.

        That is up to an empty line, which ends it unless it is in a chunk.

        Args:
            data: What came.
            at: Where the chunks begin in it.

        Returns:
            Where the rest begins.

        Raises:
            HttpParserError: They are malformed, or a callback has failed.
        """
        stop = min(at + SLICE, len(data))
        across = (self._tail + data[at : at + 3]).find(END)
        if across >= 0:  # it began in what came before
            stop = at + across + 4 - len(self._tail)
        else:
            end = data.find(END, at, stop)
            if end >= 0:
                stop = end + 4
        piece = data[at:stop]
        self._tail = (self._tail + piece)[-3:]
        self._parser.feed_data(piece)
        return stop

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a trailer."""
        self.trailers.append((name, value.rstrip(b" \t")))
        if len(self.trailers) > self._fields:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
