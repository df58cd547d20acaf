"""What Roll uses of the library websockets beyond its documentation is still there.

Set under a name that the library has given up, an attribute would mean nothing, and no
other test might tell.
"""

import pytest
from websockets import frames
from websockets.protocol import State
from websockets.server import ServerProtocol

MASK = bytes(4)


@pytest.fixture
def protocol():
    return ServerProtocol(state=State.OPEN, max_size=100, subprotocols=["chat"])


def test_the_library_goes_by_the_size_that_we_set(protocol):
    assert protocol.current_size is None
    protocol.receive_data(b"\x01\x82" + MASK + b"ab")
    assert protocol.current_size == 2
    protocol.current_size = None  # it has begun no message now
    protocol.receive_data(b"\x81\x80" + MASK)
    assert protocol.parser_exc is None
    assert [frame.opcode.name for frame in protocol.events_received()] == ["TEXT"] * 2


def test_the_library_goes_by_the_error_that_we_set(protocol):
    protocol.fail(frames.CloseCode.INVALID_DATA)
    assert protocol.parser_exc is None
    error = protocol.parser_exc = ValueError()
    protocol.receive_eof()
    assert protocol.close_exc.__cause__ is error


def test_the_library_keeps_what_we_read(protocol):
    assert protocol.max_message_size == 100
    assert protocol.available_subprotocols == ["chat"]
    assert not protocol.expect_continuation_frame
    protocol.send_text(b"", fin=False)
    assert protocol.expect_continuation_frame
    assert protocol.close_rcvd is None
    protocol.receive_data(b"\x88\x80" + MASK)
    assert protocol.close_rcvd is not None
    assert not protocol.reader.eof
    protocol.receive_eof()
    assert protocol.reader.eof


def test_the_library_gives_what_it_masks_with():
    assert frames.apply_mask(b"abcde", b"\1\0\0\0") == b"`bcdd"
