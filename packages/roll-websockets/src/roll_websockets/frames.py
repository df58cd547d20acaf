"""Frames (RFC 6455, section 5): bytes in, messages out, and back."""

import struct
import sys
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, ClassVar

from websockets.frames import (  # type: ignore[attr-defined]  # of apply_mask
    CloseCode,
    Opcode,
    apply_mask,
)
from websockets.server import ServerProtocol

FINAL = 0x80
"""The bit of a frame's first byte that ends a message."""
TEXT = FINAL | Opcode.TEXT
"""The first byte of a text message in one frame."""
BINARY = FINAL | Opcode.BINARY
"""The first byte of a binary message in one frame."""
CLOSE = FINAL | Opcode.CLOSE
"""The first byte of a Close."""
PING = FINAL | Opcode.PING
"""The first byte of a ping."""

MASKED = 0x80
"""The bit of the second byte that is set in all frames of clients (section 5.1)."""
COMPRESSED = 0x40
"""The bit of the first byte that permessage-deflate sets (RFC 7692, section 6)."""

STARTS = frozenset(
    [
        *(Opcode.CONT, Opcode.TEXT, Opcode.BINARY),
        *(FINAL | opcode for opcode in Opcode),
    ]
)
"""First bytes of frames that may be valid, without extensions."""
DEFLATED_STARTS = STARTS | {
    COMPRESSED | first for first in STARTS if not first & Opcode.CLOSE
}
"""The same with permessage-deflate."""

TURN = 200
"""Frames to read before other tasks get a turn: there may be thousands of empty
ones."""

_MEDIUM = struct.Struct("!BBH")
_LARGE = struct.Struct("!BBQ")


def serialize(first: int, data: bytes) -> bytes:
    """Write a message as one frame of a server (section 5.2).

    Args:
        first: `TEXT` or `BINARY`.
        data: The payload.
    """
    size = len(data)
    if size < 126:
        return bytes((first, size)) + data
    if size < 1 << 16:
        return _MEDIUM.pack(first, 126, size) + data
    return _LARGE.pack(first, 127, size) + data


class FrameReader(ABC):
    """Splits received bytes into frames, and keeps their messages for the view.

    Without extensions, a message in one frame is read here, which is faster than
    websockets' parser (benchmarks/NOTES.md). Every other frame goes through that
    parser, which is between two frames whenever one is read here.

    Args:
        protocol: The state of an open connection.
    """

    MAX_QUEUE: ClassVar[int]
    READ_LIMIT: ClassVar[int]

    __slots__ = (
        "_held",
        "_longest",
        "_messages",
        "_open",
        "_owed",
        "_paused",
        "_pieces",
        "_plain",
        "_protocol",
        "_size",
        "_skips",
        "_starts",
        "_text",
    )

    def __init__(self, protocol: ServerProtocol) -> None:
        self._protocol = protocol
        self._open = True  # no Close was sent or received, and the client is there
        self._plain = not protocol.extensions  # and no extension
        self._starts = STARTS if self._plain else DEFLATED_STARTS
        self._longest = min(125, protocol.max_message_size or 0)  # of a short message
        self._held: bytearray | None = None  # received, and not read yet
        self._owed = 0  # missing bytes of a frame that has begun
        self._skips = False  # whether to drop them
        self._paused = False
        self._messages: deque[str | bytes] = deque()
        self._size = 0  # of all of them
        self._pieces = bytearray()  # of a message that is not complete
        self._text = False  # whether it is text

    # What a connection implements

    @abstractmethod
    def _wake_reader(self) -> None:
        """Let the view take the messages that are kept."""
        ...

    @abstractmethod
    def _pause(self) -> None:
        """Pause reading: the view has enough to do."""
        ...

    @abstractmethod
    def _flush(self) -> None:
        """Send what the parser has written."""
        ...

    @abstractmethod
    def _take_pong(self, data: bytes) -> None:
        """Take a pong."""
        ...

    @abstractmethod
    def _give_way(self) -> None:
        """Pause reading until other tasks have had a turn."""
        ...

    @abstractmethod
    def _has_to_wait(self) -> bool:
        """Whether no pong can be sent now; if so, reading has paused."""
        ...

    # From bytes to frames

    def _read(self, data: bytes) -> None:
        """Read the frames received; hold bytes that are incomplete or have to wait."""
        held = self._held
        if held is not None:
            held += data
            if self._paused:
                return
            taken = self._read_frames(held)
            del held[:taken]
            if not held:
                self._held = None
        else:
            taken = self._read_frames(data)
            if taken < len(data):
                self._held = bytearray(memoryview(data)[taken:])
        if self._messages:
            self._wake_reader()

    def _read_frames(self, data: bytes | bytearray) -> int:
        """Read complete frames until reading pauses, and count their bytes."""
        position, end = 0, len(data)
        if self._owed:
            position = min(self._owed, end)
            self._owed -= position
            if not self._skips:
                self._feed(data[:position])
        turn = TURN
        while position < end and not self._paused:
            start = position
            if self._plain:
                turn += len(self._messages)
                position = self._read_short(data, start, end, turn)
                if position == end:
                    break
                turn -= len(self._messages)
            if position == start:
                position = self._read_frame(data, start, end)
                if position == start:
                    break
                turn -= 1
            if turn == 0:
                self._give_way()
                break
        return position

    def _read_short(
        self, data: bytes | bytearray, position: int, end: int, most: int
    ) -> int:
        """Read short messages in one frame each, and give the start of the next frame.

        They are read in one loop, as a call for each would take longer than the rest.
        All other frames, also malformed ones, are left to `_read_frame`.

        Args:
            data: The bytes received.
            position: The start of a frame.
            end: The end of the bytes.
            most: How many messages to keep at most.
        """
        if self._protocol.current_size is not None:  # within a fragmented message
            return position
        longest = self._longest
        messages = self._messages
        size = self._size
        most = self.MAX_QUEUE if most > self.MAX_QUEUE else most
        while len(messages) < most:
            body = position + 6
            if body > end:
                break
            first = data[position]
            stop = body + data[position + 1] - MASKED
            if not body <= stop <= body + longest or stop > end:
                break
            payload = apply_mask(data[body:stop], data[position + 2 : body])
            message: str | bytes = payload
            if first == TEXT:
                try:
                    message = str(payload, "utf-8")
                except UnicodeDecodeError:
                    break
            elif first != BINARY:
                break
            messages.append(message)
            size += len(message)
            position = stop
            if size > self.READ_LIMIT:
                break
        self._size = size
        if len(messages) >= self.MAX_QUEUE or size > self.READ_LIMIT:
            self._pause()
        return position

    def _read_frame(self, data: bytes | bytearray, start: int, end: int) -> int:
        """Read the frame at *start*, and give its end, or *start* if it has to wait."""
        if end - start < 2:
            return start
        first, second = data[start], data[start + 1]
        if first not in self._starts or second < MASKED:
            # The parser fails, at once or at the end of the frame, and drops the rest.
            self._owed, self._skips = sys.maxsize, False
            self._feed(data[start:])
            return end
        length = second - MASKED
        mask = start + 2
        if length >= 126:
            mask += 2 if length == 126 else 8
            if mask > end:
                return start
            length = int.from_bytes(data[start + 2 : mask], "big")
        body = mask + 4
        stop = body + length
        protocol = self._protocol
        if (
            self._plain
            and first in (TEXT, BINARY)
            and protocol.current_size is None
            and length <= protocol.max_message_size  # type: ignore[operator]
        ):
            if stop > end:
                return start
            payload = apply_mask(data[body:stop], data[mask:body])
            self._take(first == TEXT, payload)
            return stop
        if first == PING and self._has_to_wait():
            return start
        if first == CLOSE and length < 126:
            # A client may close in the middle of a message (section 5.5.1), which is an
            # error for the parser.
            protocol.current_size = None
        stop = min(stop, end)
        self._owed = body + length - stop
        # Messages after a Close are dropped, without inflating them.
        self._skips = not self._open and not first & Opcode.CLOSE
        if not self._skips:
            self._feed(data[start:stop])
        return stop

    def _feed(self, data: bytes | bytearray) -> None:
        """Give the parser some bytes of one frame, which it may refuse."""
        protocol = self._protocol
        protocol.receive_data(data)
        for frame in protocol.events_received():
            self._take_frame(frame)
        self._flush()

    # From frames to messages

    def _take_frame(self, frame: Any) -> None:
        opcode = frame.opcode
        if opcode is Opcode.PONG:
            self._take_pong(bytes(frame.data))
        elif opcode is Opcode.CONT:
            self._pieces += frame.data
            if frame.fin:
                pieces, self._pieces = self._pieces, bytearray()
                self._take(self._text, pieces)
        elif opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            self._text = opcode is Opcode.TEXT
            if frame.fin:
                self._take(self._text, frame.data)
            else:
                self._pieces = bytearray(frame.data)

    def _take(self, text: bool, data: bytes | bytearray) -> None:
        if not self._open:  # a message that a Close has overtaken
            return
        message: str | bytes
        if text:
            try:
                message = str(data, "utf-8")
            except UnicodeDecodeError as error:  # section 8.1
                reason = f"{error.reason} at position {error.start}"
                self._fail(CloseCode.INVALID_DATA, reason, error)
                return
        else:
            message = bytes(data)
        messages = self._messages
        messages.append(message)
        self._size += len(message)
        if len(messages) >= self.MAX_QUEUE or self._size > self.READ_LIMIT:
            self._pause()

    def _fail(self, code: int, reason: str, error: Exception) -> None:
        """Fail the connection (section 7.1.7)."""
        self._protocol.fail(code, reason)
        self._protocol.parser_exc = error
        self._flush()
