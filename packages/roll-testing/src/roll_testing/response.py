"""ClientResponse, and the strict parser of responses (RFC 9112)."""

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from .cookies import parse_set_cookie

BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Headers(Mapping[str, str]):
    """Header fields, found in any case, with the order and spelling as received.

    The values of a repeated field are joined with `, `; `list` has each value.
    """

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self._names.setdefault(name.lower(), name)
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.values())

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"

    def list(self, name: str) -> list[str]:
        """Every value of a field, as received; an empty list without the field."""
        return [*self._values.get(name.lower(), ())]


class ResponseHead:
    """The part of a response before its content."""

    def __init__(self) -> None:
        self.status: HTTPStatus | int = 0
        """An `HTTPStatus`, or a number without a name."""
        self.version = ""
        """The HTTP version, such as `"1.1"`."""
        self.reason = ""
        """The reason phrase, such as `"Not Found"`."""
        self.headers = Headers([])
        self.history: list[ResponseHead] = []
        """The redirects that were followed to get here, the oldest first."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {int(self.status)}>"

    if not TYPE_CHECKING:  # type checkers find this themselves

        def __getattr__(self, name: str) -> Any:
            hint = "; write answer.status" if name == "status_code" else ""
            raise AttributeError(f"a response has no attribute {name!r}{hint}")

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the response sets, by name; `headers.list` has the rest."""
        lines = self.headers.list("Set-Cookie")
        return {cookie.name: cookie.value for cookie in map(parse_set_cookie, lines)}


class ClientResponse(ResponseHead):
    """The response to one request."""

    def __init__(self) -> None:
        super().__init__()
        self.body = b""
        """The content, without chunks."""
        self.chunks: list[bytes] = []
        """The chunks of the content; empty if it was not chunked."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {int(self.status)} {self.body[:60]!r}>"

    @property
    def text(self) -> str:
        """The content, read as UTF-8."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The content, read as JSON."""
        return json.loads(self.body)


class ResponseReader:
    """Reads exactly one response, and refuses anything else.

    Interim responses (1xx) before it are skipped. Its methods are the callbacks of
    httptools.

    Args:
        method: The method of the request: a response to HEAD has no content.
    """

    def __init__(self, method: str) -> None:
        self.response = ClientResponse()
        self.complete = False
        """Whether the whole response was received."""
        self._is_head = method == "HEAD"
        self._parser = HttpResponseParser(self)
        self._status = 0
        self._reason = b""
        self._fields: list[tuple[str, str]] = []
        self._pieces: list[bytes] = []  # of the content
        self._chunk: list[bytes] | None = None  # the pieces of the current chunk
        self._until_eof = False
        self._unparsed = b""  # of the response to HEAD

    def feed(self, data: bytes) -> None:
        """Read the bytes received.

        Raises:
            ValueError: They break HTTP, or follow the end of the response.
        """
        if self.complete:
            self._refuse_excess(data)
        elif self._is_head:
            self._feed_heads(data)
        else:
            self._parse(data)

    def feed_eof(self, received: bytes) -> None:
        """Note that the server has ended the connection, which ends some responses.

        Raises:
            ConnectionError: The response is incomplete; the message shows *received*.
        """
        if not self._until_eof:
            raise ConnectionError(
                f"the connection was closed before the end of a response: {received!r}"
                if received
                else "the connection was closed without a response"
            )
        self._finish()

    def take(self) -> list[bytes]:
        """Give the content read since the last call: whole chunks, if it has chunks."""
        taken, self._pieces = self._pieces, []
        if self._chunk is not None:
            taken, self.response.chunks = self.response.chunks, []
        return taken

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._finish()  # another protocol follows
        except HttpParserError as error:
            reason = error.__context__ or error
            raise ValueError(f"The response breaks HTTP: {reason}: {data!r}") from error

    def _feed_heads(self, data: bytes) -> None:
        """Parse only heads: llhttp would wait for the content that they announce."""
        self._unparsed += data
        while not self.complete and b"\r\n\r\n" in self._unparsed:
            head, end, self._unparsed = self._unparsed.partition(b"\r\n\r\n")
            self._parse(head + end)
        if self.complete:
            self._refuse_excess(self._unparsed)

    def _refuse_excess(self, data: bytes) -> None:
        if data and self._status != HTTPStatus.SWITCHING_PROTOCOLS:
            raise ValueError(f"Bytes came after the end of the response: {data!r}")

    # Callbacks

    def on_message_begin(self) -> None:
        """Start a response, or refuse a second one."""
        if self.complete:
            raise ValueError("a second response came to one request")
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        """Take a piece of the reason phrase."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; trailers come too late and are dropped."""
        self._fields.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Check the framing that the head announces."""
        self._status = self._parser.get_status_code()
        fields, self._fields = self._fields, []
        headers = Headers(fields)
        framed = "Content-Length" in headers or "Transfer-Encoding" in headers
        bodiless = self._status < HTTPStatus.OK or self._status in BODILESS
        if framed and bodiless and self._status != HTTPStatus.NOT_MODIFIED:
            raise ValueError(f"{self._status} announces content (RFC 9110, 8.6)")
        if self._status < HTTPStatus.OK and self._status != 101:
            return
        self.response.headers = headers
        self.response.status = _as_status(self._status)
        self.response.version = self._parser.get_http_version()
        self.response.reason = self._reason.decode("latin-1")
        self._until_eof = not framed and not bodiless
        if self._is_head:
            self._finish()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the content."""
        self._pieces.append(data)
        if self._chunk is not None:
            self._chunk.append(data)

    def on_chunk_header(self) -> None:
        """Start a chunk."""
        self._chunk = []

    def on_chunk_complete(self) -> None:
        """Keep a chunk, except the last one, which is empty."""
        if self._chunk:
            self.response.chunks.append(b"".join(self._chunk))

    def on_message_complete(self) -> None:
        """End the response, unless it is an interim one."""
        if self._status >= HTTPStatus.OK:
            self._finish()

    def _finish(self) -> None:
        self.complete = True
        self.response.body = b"".join(self._pieces)


def _as_status(code: int) -> HTTPStatus | int:
    try:
        return HTTPStatus(code)
    except ValueError:
        return code
