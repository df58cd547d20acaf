"""Parser: the requests of one connection, from bytes to events (RFC 9112).

It does no I/O, and knows no app and no route: the connection decides how to respond,
and when to read on. Feed it with `receive_data`, and take what it has read from
`next_event`, which gives one of these:

- `Head`: a request begins.
- `bytes`: a piece of its body; `END` after the last one. There are none if
  `Head.length` is 0.
- `PAUSED`: after a head that offers to switch protocols. Call `resume` to read HTTP, or
  `take_rest` for the other protocol.
- `NEED_DATA`: there is nothing to read yet.
- `Refusal`: the bytes are not a request that can be served; nothing after it is read.

llhttp, through httptools, checks whether a head is valid; its parts are then cut from
its bytes. A callback for each field would take longer than everything else, and does
not show what is between the fields. A head is known to be valid if its header is the
previous one or a familiar one, and its target has no special characters.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPMethod, HTTPStatus
from typing import Any, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from ..errors import HttpError
from ..limits import Limits
from .chunks import END as EMPTY_LINE
from .chunks import Chunks
from .familiar import FRAMING, Familiar
from .framing import check_host, check_target, content_length, keeps_alive, read_fields

Fields = Sequence[tuple[bytes, bytes]]
"""Names, in upper case, and values, as received."""

REMEMBERED = 1024
"""The largest header that the next one is compared with, in bytes."""


class Signal(Enum):
    """Events without anything in them."""

    NEED_DATA = "more has to come"
    END = "the body is complete"
    PAUSED = "the connection may switch to another protocol"


NEED_DATA, END, PAUSED = Signal


class Head:
    """The head of a request: the request line, and the framing."""

    __slots__ = (
        "encoded",
        "expects",
        "keep_alive",
        "length",
        "method",
        "raw",
        "target",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        raw: bytes = b"",
        method: str = "GET",
        target: bytes = b"",
        version: str = "1.1",
        length: int | None = 0,
        keep_alive: bool = True,
        expects: bool = False,
        upgrade: tuple[str, ...] = (),
        encoded: bool = False,
    ) -> None:
        self.raw = raw
        """From the request line to the empty line, as received."""
        self.method = method
        """As received: how the client reads its response depends on it."""
        self.target = target
        """The request target, as received (section 3.2)."""
        self.version = version
        """`"1.0"` or `"1.1"`."""
        self.length = length
        """Bytes of the body; 0 without one; None when it is chunked."""
        self.keep_alive = keep_alive
        """Whether the client allows the connection to stay open after the response."""
        self.expects = expects
        """Whether the client waits for a 100 before it sends the body."""
        self.upgrade = upgrade
        """The protocols that the client offers to switch to, in lower case."""
        self.encoded = encoded
        """Whether the body has a Content-Encoding, other than `identity`."""

    def replace(self, **changes: Any) -> "Head":
        """Make one like this, with other values of some attributes."""
        return Head(**{name: getattr(self, name) for name in Head.__slots__} | changes)


class Refusal(NamedTuple):
    """A request that cannot be served."""

    error: HttpError
    """The error to respond with."""
    method: str
    """The method, as far as the response depends on it: `HEAD`, or `GET`."""


Event = Head | bytes | Signal | Refusal

# What is read next.
_HEAD, _BODY, _CHUNKS, _END, _PAUSED, _NOTHING = range(6)

_HTTP_11, _HTTP_10 = b"HTTP/1.1\r", b"HTTP/1.0\r"

# The fields that frame a message. A field begins after the end of a line, and its value
# has no such end.
_TELLING = re.compile(
    rb"\n(host|connection|content-(?:length|encoding)|expect|proxy-connection"
    rb"|transfer-encoding|upgrade):[ \t]*+([^\r]*+)",
    re.IGNORECASE,
)

_NAMES = {name.encode(): name.value for name in HTTPMethod if name != "CONNECT"}
"""Methods whose heads llhttp reads in the same way."""

_PLAIN = bytes(range(ord("!"), ord("~") + 1)).replace(b"#", b"")
"""What llhttp accepts anywhere in a path and a query."""

# A request line (section 3), and the beginning of one.
_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++ [!-~]++ HTTP/1\.[01]\r\n")
_LINE_PART = re.compile(
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++(?: [!-~]*+(?: [!-~]*+\r?+)?+)?+)?+"
)


class Parser:
    """Reads requests.

    Args:
        limits: What one client may send.
    """

    __slots__ = (
        "_at",
        "_chunks",
        "_familiar",
        "_framing",
        "_head",
        "_left",
        "_llhttp",
        "_seen",
        "_state",
        "_usual",
        "_usual_length",
        "_waste",
        "held",
        "ignored",
        "limits",
        "paused",
        "progress",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.progress = 0
        """Heads and pieces of bodies that were read."""
        self.ignored = 0
        """Bytes that came after the last message."""
        self.paused = False
        """Whether the parser waits for `resume` or `take_rest`."""
        self.held = b""
        """The bytes received that are not read completely."""
        self._llhttp = HttpRequestParser(None)
        self._at = 0  # where the unread part of it begins
        self._seen = 0  # bytes of this part that belong to a head
        self._state = _HEAD
        self._left = 0  # bytes of a body of known length
        self._chunks: Chunks | None = None
        self._head: Head | None = None  # whose body is read
        self._usual = b""  # a header that keeps the connection open, and the version
        self._usual_length = 0  # of the body after it
        self._familiar: Familiar | None = None  # headers with the same framing
        self._framing: Mapping[bytes, bytes] = {}  # those of the usual one
        self._waste = 0  # bytes without content since the last event

    # What the connection calls

    def receive_data(self, data: bytes) -> None:
        """Take the bytes received."""
        if self._state == _NOTHING:
            self.ignored += len(data)
        elif self.held:
            self.held = self.held[self._at :] + data
            self._at = 0
        else:
            self.held = data

    def next_event(self) -> Event:
        """Read on up to the next event."""
        data, at = self.held, self._at
        if self._state == _HEAD and not self._seen:
            # The fields of a client's requests hardly differ: what llhttp has accepted
            # on this connection, it would accept again.
            end = data.find(EMPTY_LINE, at) + 4
            raw = data[at:end]
            try:
                name, target, header = raw.split(b" ", 2)
            except ValueError:
                name = target = header = b""
            if (
                (
                    header == self._usual
                    or (self._familiar and self._familiar.has(header))
                )
                and name in _NAMES
                and target.startswith(b"/")
                and not target.translate(None, _PLAIN)
                and len(target) <= self.limits.target
            ):
                self._at = end
                if end == len(data):  # nothing is left for the next read
                    self.held, self._at = b"", 0
                self.progress += 1
                self._waste = 0
                length = self._usual_length
                # With all arguments: CPython is faster when no default is needed.
                method = _NAMES[name]
                head = Head(raw, method, target, "1.1", length, True, False, (), False)
                if length:
                    self._head, self._left, self._state = head, length, _BODY
                return head
        try:
            return self._read()
        except HttpError as error:
            return self._refuse(error, data[at:])

    def _go_to(self, end: int) -> None:
        """Read on from *end*; what is read completely is dropped."""
        self._at = end
        if end >= len(self.held):
            self.held, self._at = b"", 0

    def _read(self) -> Event:
        while self._at < len(self.held):
            if self._state == _HEAD:
                head = self._read_head()
                if head is not None:
                    return head
                if self._seen:
                    return NEED_DATA
            elif self._state == _BODY:
                return self._read_body()
            elif self._state == _CHUNKS:
                return self._read_chunks()
            else:
                break
        if self._state == _PAUSED:
            return PAUSED
        if self._state == _END:
            self._go_on()
            return END
        self.held, self._at = b"", 0
        return NEED_DATA

    @property
    def unread(self) -> int:
        """Bytes received that are not read, or not completely."""
        return len(self.held) - self._at

    @property
    def left(self) -> int:
        """Bytes of the body that are known to be still missing."""
        return self._left if self._chunks is None else self._chunks.left

    @property
    def finished(self) -> bool:
        """Whether the parser has stopped reading."""
        return self._state == _NOTHING

    def resume(self) -> None:
        """Read on after an offer to switch protocols, which is not accepted."""
        self.paused = False
        self._await_body(self._head)  # type: ignore[arg-type]  # there is one

    def take_rest(self) -> bytes:
        """Give the bytes received and not read, and stop reading."""
        rest = self.held[self._at :]
        self.stop()
        self.ignored = 0
        return rest

    def stop(self) -> None:
        """Ignore the bytes received and those to come."""
        self.ignored += self.unread
        self._state = _NOTHING
        self.held, self._at, self._seen = b"", 0, 0
        self._head = self._chunks = None

    def refuse(self, status: HTTPStatus) -> Refusal:
        """Give up: no more of the message will be read."""
        return self._refuse(HttpError(status), self.held[self._at :])

    # Heads

    def _read_head(self) -> Head | None:
        """Read the next head; None if it is not complete yet, or not yet reached."""
        data, at, seen = self.held, self._at, self._seen
        end = data.find(EMPTY_LINE, at + seen - 3 if seen > 3 else at) + 4
        if end == 3:
            raw = data[at:]
            self._check(raw, seen)
            self._keep_part(raw)
            return None
        raw = data[at:end]
        self._check(raw, seen)
        self._go_to(end)
        self._seen = 0
        raw = self._skip_lines(raw)
        return self._take(raw) if raw else None

    def _check(self, raw: bytes, seen: int) -> None:
        """Let llhttp read the bytes of a head after those that it has *seen*.

        Raises:
            HttpError: This is not the beginning of a head.
        """
        status = None
        try:
            self._llhttp.feed_data(memoryview(raw)[seen:] if seen else raw)
        except HttpParserUpgrade:  # raised for CONNECT and for offers
            pass
        except HttpParserError as error:
            status = _PARSER_STATUSES.get(str(error), HTTPStatus.BAD_REQUEST)
            if status is HTTPStatus.NOT_IMPLEMENTED:
                status = _judge_line(raw.lstrip(b"\r\n"))
        # Outside of the `except`, whose error would become the context of this one.
        if status is not None:
            raise HttpError(status)

    def _keep_part(self, raw: bytes) -> None:
        """Wait for the rest of a head, unless it is too large already."""
        if raw == b"\r\n":
            self._seen = 0
            self._at += 2
            self._count_waste(2)
            return
        self._seen = len(raw)
        limits = self.limits
        raw = raw.lstrip(b"\r\n")
        _check_line_end(raw, raw.find(b"\n"))
        _, _, line = raw[: limits.target + 100].partition(b" ")  # no method is longer
        if len(line.partition(b" ")[0].partition(b"\r")[0]) > limits.target:
            raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG)
        if len(raw) > _most(limits) or raw.count(b"\n") - 1 > limits.fields:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _take(self, raw: bytes) -> Head:
        """Check what llhttp does not, and make a head."""
        _check_line(raw)
        name, target, header = raw.split(b" ", 2)
        if len(target) > self.limits.target:
            raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG)
        head = Head(raw, name.decode(), target)
        self._check_size(raw, header)
        known = self._read_header(head, header)
        check_target(head.method, target)
        self.progress += 1
        self._waste = 0
        if head.length or head.length is None or head.upgrade or not head.keep_alive:
            self._llhttp = HttpRequestParser(None)  # the old one expects something else
            if head.upgrade:
                self._head, self._state, self.paused = head, _PAUSED, True
            else:
                self._await_body(head)
        self._remember(head, header, known)
        return head

    def _skip_lines(self, raw: bytes) -> bytes:
        """Drop empty lines before a request line (section 2.2).

        llhttp also accepts a single CR or LF as an empty line.
        """
        while raw.startswith(b"\r\n"):
            self._count_waste(2)
            raw = raw[2:]
        if raw.startswith((b"\r", b"\n")):
            raise HttpError(HTTPStatus.BAD_REQUEST)
        return raw

    def _count_waste(self, size: int) -> None:
        """Check that the bytes received lead to a message at some point."""
        self._waste += size
        if self._waste > _most(self.limits):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _check_size(self, raw: bytes, header: bytes) -> None:
        limits = self.limits
        if header.count(b"\n") > limits.fields + 2:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        # Most headers are smaller than the limit of one field: these need no count.
        if len(header) > min(limits.field, limits.head) and not (
            len(raw) <= _most(limits) and _fit(read_fields(raw), (), limits)
        ):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _read_header(self, head: Head, header: bytes) -> Mapping[bytes, bytes]:
        """Fill in the framing of the message from its header.

        Args:
            head: A head whose other attributes are known.
            header: The head from the version on.

        Returns:
            The fields that define the framing.
        """
        version = header[: len(_HTTP_11)]
        if version == _HTTP_10:
            head.version = "1.0"
        elif version != _HTTP_11:  # llhttp also accepts RTSP and ICE
            raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        fields = [
            (name.upper(), value.rstrip(b" \t"))
            for name, value in _TELLING.findall(header)
        ]
        known = dict(fields)
        check_host(fields, known, head.version)
        modern = head.version == "1.1"
        connection: tuple[str, ...] = ()
        if b"CONNECTION" in known or not modern:
            connection = _tokens(fields, b"CONNECTION")
            head.keep_alive = keeps_alive(connection, head.version)
        head.length = content_length(fields, known, head.version)
        if head.method == "CONNECT":  # what follows belongs to the tunnel
            head.length, head.keep_alive = 0, False
        elif head.length != 0 and modern:
            head.expects = known.get(b"EXPECT", b"").lower() == b"100-continue"
        # RFC 9110, section 7.8; llhttp also reads `Proxy-Connection`.
        if "upgrade" in connection and modern and head.keep_alive:
            head.upgrade = _tokens(fields, b"UPGRADE")
        if b"CONTENT-ENCODING" in known:
            codings = _tokens(fields, b"CONTENT-ENCODING")
            head.encoded = any(coding != "identity" for coding in codings)
        return known

    def _remember(
        self, head: Head, header: bytes, known: Mapping[bytes, bytes]
    ) -> None:
        """Keep the header, to compare the next one with it, if that is worthwhile."""
        if (
            head.keep_alive
            and head.version == "1.1"
            and known.keys() <= FRAMING
            and known.get(b"CONNECTION", b"keep-alive").lower() == b"keep-alive"
        ):
            if len(header) <= REMEMBERED:
                if known != self._framing:
                    self._familiar = None
                elif self._familiar is None or not self._familiar.learn(header):
                    self._familiar = Familiar(header, self.limits)
                self._framing = known
                self._usual, self._usual_length = header, head.length or 0
        else:  # llhttp may see an end of the connection here
            self._llhttp = HttpRequestParser(None)

    # Bodies

    def _await_body(self, head: Head) -> None:
        """Expect the body of *head*, the next head, or nothing."""
        self._head = head
        if head.length is None:
            self._chunks, self._state = Chunks(self.limits), _CHUNKS
        elif head.length:
            self._left, self._state = head.length, _BODY
        else:
            self._go_on()

    def _read_body(self) -> bytes:
        """Read a piece of a body of known length."""
        end = self._at + self._left
        piece = self.held[self._at : end]
        self._left -= len(piece)
        self._go_to(end)
        self.progress += 1
        if not self._left:
            self._state = _END
        return piece

    def _read_chunks(self) -> Event:
        """Read a slice of a chunked body."""
        chunks: Chunks = self._chunks  # type: ignore[assignment]  # there are some
        piece, at = chunks.read(self.held, self._at)
        read = at - self._at
        self._go_to(at)
        if chunks.complete:
            self._check_trailers(chunks.trailers)
            self._state = _END
        if piece:
            self.progress += 1
            self._waste = 0
            return piece
        self._count_waste(read)
        # A line that is longer than a slice is read without the data after it.
        return self._read() if read or chunks.complete else NEED_DATA

    def _check_trailers(self, trailers: Fields) -> None:
        """Count the trailers together with the header; then they are dropped."""
        head: Head = self._head  # type: ignore[assignment]  # its body was read
        if trailers and not _fit(trailers, read_fields(head.raw), self.limits):
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _go_on(self) -> None:
        """Expect the next message, if there may be one."""
        head, self._head, self._chunks = self._head, None, None
        self._waste = 0
        self._state = _HEAD
        if head is None or not head.keep_alive:
            self.stop()

    def _refuse(self, error: HttpError, raw: bytes) -> Refusal:
        """Stop reading; *raw* is the part of the message received so far."""
        head = raw if self._head is None else self._head.raw
        self.stop()
        is_head = head.lstrip(b"\r\n").startswith(b"HEAD ")
        # Without its traceback, which would keep the data in memory.
        return Refusal(error.with_traceback(None), "HEAD" if is_head else "GET")


def _check_line(head: bytes) -> None:
    """Reject a request line that does not have three words.

    llhttp also accepts more spaces, and HTTP/0.9, which has no version.
    """
    end = head.find(b"\n")
    spaces = head.count(b" ", 0, end)
    if spaces != 2:
        _check_line_end(head, end)
        if spaces == 1:
            raise HttpError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        raise HttpError(HTTPStatus.BAD_REQUEST)


def _check_line_end(head: bytes, end: int) -> None:
    """Reject a single line feed, which llhttp accepts after a request of HTTP/0.9."""
    if end > 0 and not head.endswith(b"\r", 0, end):
        raise HttpError(HTTPStatus.BAD_REQUEST)


def _most(limits: Limits) -> int:
    """Give the most bytes that a target, fields and separators may have."""
    return limits.target + limits.head + 8 * (limits.fields + 8)


def _fit(fields: Fields, before: Fields, limits: Limits) -> bool:
    """Whether fields, counted with those before them, are within their limits."""
    sizes = [len(name) + len(value) for name, value in fields]
    total = sum(sizes) + sum(len(name) + len(value) for name, value in before)
    return total <= limits.head and max(sizes, default=0) <= limits.field


def _tokens(fields: Fields, name: bytes) -> tuple[str, ...]:
    """Split the list of tokens in a field, in lower case (RFC 9110, section 5.6.1)."""
    values = [value for known, value in fields if known == name]
    tokens = b",".join(values).decode("latin-1").lower().split(",")
    stripped = (token.strip(" \t") for token in tokens)
    return tuple(token for token in stripped if token)


def _judge_line(raw: bytes) -> HTTPStatus | None:
    """Find the status for a method that llhttp does not know.

    Args:
        raw: The bytes from the request line on, maybe incomplete.

    Returns:
        501 if the line is valid otherwise (RFC 9110, section 9.1); 400 if it is not a
        request line; None if it is incomplete.
    """
    line, end, _ = raw.partition(b"\n")
    if end:
        good = _LINE.fullmatch(line + end)
        return HTTPStatus.NOT_IMPLEMENTED if good else HTTPStatus.BAD_REQUEST
    return None if _LINE_PART.fullmatch(line) else HTTPStatus.BAD_REQUEST


# The errors of llhttp whose status is not 400.
_PARSER_STATUSES = {
    "Invalid method encountered": HTTPStatus.NOT_IMPLEMENTED,
    "Expected space after method": HTTPStatus.NOT_IMPLEMENTED,
    "Invalid method for HTTP/x.x request": HTTPStatus.NOT_IMPLEMENTED,
    "Invalid HTTP version": HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    "Pause on PRI/Upgrade": HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    "Expected HTTP/2 Connection Preface": HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
}
