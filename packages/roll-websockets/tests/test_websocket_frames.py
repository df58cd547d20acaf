"""Frames, without a transport: what is read here is what websockets' parser reads."""

import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from roll_websockets import frames as frames_module
from roll_websockets.frames import FrameReader, serialize
from websockets.frames import Opcode, apply_mask
from websockets.protocol import State
from websockets.server import ServerProtocol

MAX_SIZE = 300
EXAMPLES = int(os.environ.get("ROLL_TEST_EXAMPLES", "300"))


def open_protocol():
    return ServerProtocol(state=State.OPEN, max_size=MAX_SIZE)


class Reader(FrameReader):
    """Notes what it reads; pauses after some messages when it is told to."""

    READ_LIMIT = 2**30

    def __init__(self, queue=2**30, plain=True):
        super().__init__(open_protocol())
        self._plain = plain  # otherwise the parser reads every frame
        self.MAX_QUEUE = queue
        self.messages, self.pongs, self.sent = [], [], []
        self.closed_within_message = False

    def _read_frame(self, data, start, end):
        if data[start] == 0x88 and self._protocol.current_size is not None:
            self.closed_within_message = True
        return super()._read_frame(data, start, end)

    def _wake_reader(self):
        assert self._messages

    def _pause(self):
        self._paused = True

    def _take_pong(self, data):
        self.pongs.append(data)

    def _give_way(self):
        self._paused = True

    def _has_to_wait(self):
        return False

    def _flush(self):
        self.sent += self._protocol.data_to_send()
        if self._protocol.state is not State.OPEN:
            self._open = self._plain = False

    def feed(self, pieces):
        for piece in pieces:
            self._read(piece)
        while self._paused:
            self.take()
            self._paused = False
            self._read(b"")
        self.take()
        return self

    def take(self):
        self.messages += self._messages
        self._messages.clear()
        self._size = 0

    def outcome(self):
        protocol = self._protocol
        sides = (protocol.close_rcvd, protocol.close_sent, protocol.state)
        return self.messages, self.pongs, b"".join(self.sent), *sides


def expect(data):
    """Read bytes with websockets' parser alone, and put messages together."""
    protocol = open_protocol()
    messages, pongs, pieces, text = [], [], [], False
    for byte in data:
        protocol.receive_data(bytes([byte]))
        for frame in protocol.events_received():
            if frame.opcode is Opcode.PONG:
                pongs.append(bytes(frame.data))
            if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                continue
            text = text if frame.opcode is Opcode.CONT else frame.opcode is Opcode.TEXT
            pieces.append(bytes(frame.data))
            if frame.fin:
                message, pieces = b"".join(pieces), []
                try:
                    messages.append(message.decode() if text else message)
                except UnicodeDecodeError as error:
                    protocol.fail(1007, f"{error.reason} at position {error.start}")
    sent = b"".join(protocol.data_to_send())
    sides = (protocol.close_rcvd, protocol.close_sent, protocol.state)
    return messages, pongs, sent, *sides


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def frame_of_client(first, data):
    """Write a frame whose mask changes nothing."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([first]) + length + bytes(4) + data


@st.composite
def frames(draw):
    """Write a frame, most often one that may come; its size in any of the forms."""
    first = draw(
        st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A])
        | st.sampled_from([0x81, 0x82, 0x88])
        | st.integers(0, 255)
    )
    payload = draw(
        st.binary(max_size=12)
        | st.text(max_size=8).map(str.encode)
        | st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8bye", b"\x03\xed", b"x" * 126])
        | st.sampled_from([b"x" * MAX_SIZE, b"x" * (MAX_SIZE + 1)])
    )
    mask = draw(st.binary(min_size=4, max_size=4))
    size = len(payload)
    form = draw(st.sampled_from([0, 0, 0, 126, 127]))
    masked = draw(st.sampled_from([0x80] * 20 + [0]))
    if form == 127:
        head = bytes((first, masked | 127)) + size.to_bytes(8)
    elif form == 126 or size > 125:
        head = bytes((first, masked | 126)) + size.to_bytes(2)
    else:
        head = bytes((first, masked | size))
    return head + (mask + apply_mask(payload, mask) if masked else payload)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    data=st.lists(frames(), max_size=12).map(b"".join),
    end=st.integers(0, 12),
    size=st.integers(1, 40),
    queue=st.integers(1, 3),
)
@example(data=b"\x08\x8b" + bytes(15), end=0, size=1, queue=1)
def test_however_frames_are_cut_they_are_what_websockets_reads(data, end, size, queue):
    data = data[: len(data) - end]
    readers = [
        Reader().feed([data]),
        Reader().feed(cut(data, 1)),
        Reader().feed(cut(data, size)),
        Reader(queue).feed([data]),
        Reader(plain=False).feed([data]),
        Reader(plain=False).feed(cut(data, size)),
    ]
    outcomes = [reader.outcome() for reader in readers]
    assert outcomes[1:] == outcomes[:-1]
    expected = expect(data)
    if readers[0].closed_within_message:
        # The parser alone would refuse that; Autobahn's 7.1.5 wants it echoed.
        assert outcomes[0][:2] == expected[:2]
    else:
        assert outcomes[0] == expected


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.binary(max_size=60), rest=st.binary(max_size=300))
def test_what_is_no_frame_is_refused_whatever_comes_after_it(data, rest):
    for pieces in ([data + rest], cut(data + rest, 1)):
        reader = Reader().feed(pieces)
        held = 0 if reader._held is None else len(reader._held)
        assert held <= MAX_SIZE + 14
        assert len(reader.sent) <= len(data + rest) // 6 + 2


def test_a_close_within_a_message_is_echoed():
    for data in (b"", b"\x03\xe8bye"):
        close = frame_of_client(0x88, data)
        reader = Reader().feed([frame_of_client(0x01, b"x" * MAX_SIZE), close])
        assert b"".join(reader.sent) == serialize(0x88, data)


def test_a_plain_message_leaves_the_parser_untouched():
    reader = Reader().feed([b"\x81\x82\0\0\0\0hi\x82\x81\0\0\0\0x"])
    assert reader.messages == ["hi", b"x"]
    assert reader._protocol.reader.buffer == b""
    assert reader.sent == []


def test_frames_are_written_as_websockets_writes_them():
    for size in (0, 125, 126, 65535, 65536):
        protocol = open_protocol()
        protocol.send_binary(b"x" * size)
        assert serialize(0x82, b"x" * size) == protocol.data_to_send()[0]


@pytest.mark.parametrize("turn", [1, 2, 7])
def test_frames_are_read_the_same_in_turns(monkeypatch, turn):
    data = b"".join(
        [
            frame_of_client(0x89, b"ping"),
            frame_of_client(0x01, b"a"),
            *[frame_of_client(0x00, b"")] * 20,
            frame_of_client(0x80, b"b"),
            *[frame_of_client(0x81, b"text")] * 9,
        ]
    )
    whole = Reader().feed([data]).outcome()
    monkeypatch.setattr(frames_module, "TURN", turn)
    assert Reader().feed([data]).outcome() == whole
    assert Reader().feed(cut(data, 50)).outcome() == whole
