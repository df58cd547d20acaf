"""Request bodies, inflated while they are read."""

from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus

from roll import HttpError

from .codings import PIECE, Coding, Inflater
from .threads import in_thread

SLICE = 16 * 1024
"""Bytes given to an inflater at once: it copies the rest again and again."""


async def inflate(
    name: str, coding: Coding, limit: int, received: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """Inflate a body piece by piece, each when it is requested.

    Args:
        name: The name of the coding.
        coding: Inflates it.
        limit: The most bytes of the inflated body.
        received: Its pieces, as they were sent.

    Raises:
        HttpError: 413, when it becomes larger, or needs too much memory; 400, when it
            is truncated, or not in this coding.
    """
    inflater = coding.inflater()
    size = 0
    async for data in received:
        pieces = _inflate_pieces(inflater, data)
        try:
            while piece := await in_thread(next, pieces, b""):
                size += len(piece)
                if size > limit:
                    raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                yield piece
        except coding.error as error:
            if "too much memory" in str(error):  # zstd's text for a large window
                raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from error
            raise _unparsable(name) from error
    if not inflater.complete:
        raise _unparsable(name)


def _unparsable(name: str) -> HttpError:
    return HttpError(HTTPStatus.BAD_REQUEST, f"Unparsable {name} body")


def _inflate_pieces(inflater: Inflater, data: bytes) -> Iterator[bytes]:
    """Inflate *data*, and join small pieces: a call in a thread costs more."""
    joined = bytearray()
    for start in range(0, len(data), SLICE):
        for piece in inflater.inflate(data[start : start + SLICE]):
            if joined and len(joined) + len(piece) > PIECE:
                yield bytes(joined)
                joined.clear()
            joined += piece
    if joined:
        yield bytes(joined)
