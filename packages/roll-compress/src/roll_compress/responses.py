"""Responses: whole bodies and streams are replaced by compressed ones."""

from collections.abc import Awaitable, Mapping

from roll import Request, Response
from roll.response import encode_body

from .codings import Coding, Data
from .negotiation import (
    Choice,
    choose_coding,
    may_change,
    may_refuse_identity,
    media_type,
)
from .streams import LARGE, Compressed, give
from .threads import in_thread

EVENT_STREAM = "text/event-stream"


class Compressor:
    """Compresses the responses of an app.

    Args:
        codings: The codings by name, the preferred ones first.
        minimum: Bytes of the smallest body that is compressed, unless a client refuses
            bodies without a coding.
    """

    def __init__(self, codings: Mapping[str, Coding], minimum: int) -> None:
        self._codings = codings
        self._minimum = minimum
        # Only gzip has windows that are small enough for thousands of event streams.
        self._event_codings = [name for name in codings if name == "gzip"]

    def compress(
        self, request: Request, response: Response, kind: str
    ) -> Awaitable[None] | None:
        """Compress a response, unless its client, its fields or its size forbid it.

        Args:
            request: Its request.
            response: A response of a type that may be compressed.
            kind: Its type.

        Returns:
            An awaitable that compresses a large body in a thread; None when all is
            done.
        """
        headers, body = response.headers, response.body
        names = {*map(str.lower, headers)}  # looking each one up takes longer
        if not may_change(headers, names):
            return None
        response.vary("Accept-Encoding")
        declared = "content-length" in names
        if not (declared or self._may_be_large(body) or may_refuse_identity(request)):
            return None  # most small responses: the header need not be parsed
        events = media_type(kind) == EVENT_STREAM
        choice = choose_coding(
            request.headers.get("ACCEPT-ENCODING", ""),
            self._event_codings if events else self._codings,
        )
        if choice.coding is None:
            return None
        coding = self._codings[choice.coding]
        # For HEAD, `static` gives a length and no body. So a response with a length
        # becomes a stream: then HEAD and GET have the same head.
        if declared or hasattr(body, "__aiter__"):
            self._compress_stream(response, choice, coding, events)
            return None
        try:
            data = encode_body(body)
        except (TypeError, ValueError):  # the core reports what is wrong with it
            return None
        if self._is_small(len(data), choice):
            return None
        if len(data) < LARGE:
            _replace(response, choice, data, coding.compress(data))
            return None
        return _replace_large(response, choice, data, coding)

    def _compress_stream(
        self, response: Response, choice: Choice, coding: Coding, events: bool
    ) -> None:
        length = response.size
        if length is None:
            if "Content-Length" in response.headers:  # the core refuses this one
                return
        elif self._is_small(length, choice):
            return
        body = response.body
        if not hasattr(body, "__aiter__"):
            body = give(encode_body(body))
        response.body = Compressed(body, coding.stream(small=events), length)
        response.headers.pop("Content-Length", None)
        mark(response, choice)

    def _may_be_large(self, body: object) -> bool:
        if isinstance(body, bytes):
            return len(body) >= self._minimum
        # A character is four bytes at most.
        return not isinstance(body, str) or 4 * len(body) >= self._minimum

    def _is_small(self, size: int, choice: Choice) -> bool:
        return size == 0 or (size < self._minimum and not choice.forced)


async def _replace_large(
    response: Response, choice: Choice, data: Data, coding: Coding
) -> None:
    _replace(response, choice, data, await in_thread(coding.compress, data))


def _replace(response: Response, choice: Choice, data: Data, compressed: bytes) -> None:
    if len(compressed) < len(data) or choice.forced:
        response.body = compressed
        mark(response, choice)


def mark(response: Response, choice: Choice) -> None:
    """Set the fields of a response whose body is compressed."""
    headers = response.headers
    headers["Content-Encoding"] = choice.coding
    # Ranges and strong tags are those of the uncompressed body (RFC 9110, section
    # 8.8.1).
    headers.pop("Accept-Ranges", None)
    if etag := weaken(headers.get("ETag")):
        headers["ETag"] = etag


def weaken(etag: object) -> str | None:
    """Turn a strong entity tag into a weak one; None when it is not strong."""
    if isinstance(etag, str) and etag.startswith('"'):
        return f"W/{etag}"
    return None


def weaken_like_client(request: Request, response: Response) -> None:
    """Give a 304 the weak tag of the compressed body that a client has."""
    weak = weaken(response.headers.get("ETag"))
    if weak and weak in request.headers.get("IF-NONE-MATCH", ""):
        response.headers["ETag"] = weak
        response.vary("Accept-Encoding")  # as that body had it (RFC 9110, 15.4.5)
