import asyncio

import pytest
from roll_testing import Transport, patience


class Recorder(asyncio.Protocol):
    def __init__(self, keep_open=False):
        self.calls = []
        self.keep_open = keep_open

    def data_received(self, data):
        self.calls.append(data)

    def eof_received(self):
        self.calls.append("eof")
        return self.keep_open

    def connection_lost(self, error):
        self.calls.append(("lost", error))

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")


@pytest.fixture
def protocol():
    return Recorder()


@pytest.fixture
async def transport(protocol):
    return Transport(protocol)


async def rounds():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_written_is_received(transport):
    transport.write(b"a")
    transport.write(bytearray(b"b"))
    transport.write(memoryview(b"c"))
    transport.writelines([b"d", b"", bytearray(b"e")])
    assert transport.data == b"abcde"
    assert transport.since(3) == b"de"


async def test_only_bytes_can_be_written(transport):
    with pytest.raises(TypeError, match="data is str, write takes bytes"):
        transport.write("a")


async def test_addresses_are_known_and_can_be_given(protocol):
    transport = Transport(protocol, {"peername": ("192.0.2.1", 1), "sslcontext": 1})
    assert transport.get_extra_info("peername") == ("192.0.2.1", 1)
    assert transport.get_extra_info("sockname") == ("127.0.0.1", 80)
    assert transport.get_extra_info("sslcontext") == 1
    assert transport.get_extra_info("socket") is None


async def test_the_protocol_can_be_replaced(transport, protocol):
    assert transport.get_protocol() is protocol
    other = Recorder()
    transport.set_protocol(other)
    transport.feed(b"a")
    assert (transport.get_protocol(), other.calls) == (other, [b"a"])


async def test_close_tells_the_protocol_once_and_later(transport, protocol):
    transport.close()
    transport.close()
    transport.abort()
    transport.write(b"lost")
    transport.feed(b"lost")
    transport.feed_eof()
    assert transport.is_closing()
    assert not transport.is_reading()
    assert (protocol.calls, transport.closed) == ([], False)
    await rounds()
    assert (protocol.calls, transport.closed) == ([("lost", None)], True)
    assert transport.data == b""


async def test_abort_drops_what_is_unread(transport, protocol):
    transport.stall()
    transport.write(b"lost")
    transport.abort()
    await rounds()
    transport.drain()
    assert (transport.data, protocol.calls) == (b"", [("lost", None)])


async def test_reset_gives_the_protocol_the_error(transport, protocol):
    transport.reset()
    await rounds()
    [(_, error)] = protocol.calls
    assert isinstance(error, ConnectionResetError)


async def test_disconnect_ends_the_input_before_the_connection(transport, protocol):
    transport.disconnect()
    transport.disconnect()
    await rounds()
    assert protocol.calls == ["eof", ("lost", None)]


async def test_the_end_of_the_input_closes(transport, protocol):
    transport.feed(b"a")
    transport.feed_eof()
    transport.feed_eof()
    transport.feed(b"lost")
    await rounds()
    assert protocol.calls == [b"a", "eof", ("lost", None)]


async def test_a_protocol_may_write_after_the_end_of_the_input():
    protocol = Recorder(keep_open=True)
    transport = Transport(protocol)
    transport.feed_eof()
    transport.feed(b"lost")
    await rounds()
    transport.write(b"a")
    assert (transport.data, protocol.calls) == (b"a", ["eof"])
    transport.disconnect()
    await rounds()
    assert protocol.calls == ["eof", ("lost", None)]


async def test_a_client_closes_after_the_end_of_the_output(transport, protocol):
    assert transport.can_write_eof()
    transport.write(b"a")
    transport.write_eof()
    transport.write_eof()
    assert transport.eof
    assert not transport.is_closing()
    with pytest.raises(RuntimeError, match=r"after write_eof\(\)"):
        transport.write(b"b")
    transport.feed(b"still read")
    await rounds()
    assert protocol.calls == [b"still read", "eof", ("lost", None)]
    transport.write_eof()
    assert transport.data == b"a"


async def test_a_client_may_stay_after_the_end_of_the_output(protocol):
    transport = Transport(protocol, closes=False)
    transport.write_eof()
    await rounds()
    assert (transport.eof, protocol.calls) == (True, [])


async def test_the_output_ends_when_all_is_read(transport, protocol):
    transport.stall()
    transport.write(b"ab")
    transport.write_eof()
    transport.drain(1)
    assert (transport.data, transport.eof) == (b"a", False)
    transport.drain()
    assert (transport.data, transport.eof) == (b"ab", True)


async def test_the_connection_closes_when_all_is_read(transport, protocol):
    transport.stall()
    transport.write(b"ab")
    transport.close()
    transport.drain(1)
    await rounds()
    assert protocol.calls == []
    transport.drain()
    await rounds()
    assert (transport.data, protocol.calls) == (b"ab", [("lost", None)])


async def test_a_client_that_stalls_pauses_the_protocol(transport, protocol):
    transport.set_write_buffer_limits(high=4)
    transport.stall()
    transport.write(b"1234")
    assert protocol.calls == []
    transport.write(b"5")
    transport.write(b"6")
    assert protocol.calls == ["pause"]
    assert (transport.get_write_buffer_size(), transport.data) == (6, b"")
    transport.drain(4)
    assert protocol.calls == ["pause"]
    transport.drain(1)
    assert protocol.calls == ["pause", "resume"]
    transport.write(b"7")
    assert transport.data == b"12345"
    transport.drain()
    transport.write(b"8")
    assert (transport.data, transport.get_write_buffer_size()) == (b"12345678", 0)


@pytest.mark.parametrize(
    ("marks", "limits"),
    [
        ({}, (16384, 65536)),
        ({"high": 100}, (25, 100)),
        ({"low": 100}, (100, 400)),
        ({"high": 0}, (0, 0)),
    ],
)
async def test_marks_of_the_buffer_default_as_in_asyncio(transport, marks, limits):
    transport.set_write_buffer_limits(**marks)
    assert transport.get_write_buffer_limits() == limits


async def test_marks_out_of_order_are_refused(transport):
    with pytest.raises(ValueError, match="low=2 and high=1 are not in order"):
        transport.set_write_buffer_limits(high=1, low=2)


async def test_what_comes_while_reading_is_paused_is_held_back(transport, protocol):
    transport.pause_reading()
    transport.pause_reading()
    assert not transport.is_reading()
    transport.feed(b"a")
    transport.feed(b"b")
    transport.feed_eof()
    assert (transport.held, protocol.calls) == (2, [])
    transport.resume_reading()
    transport.resume_reading()
    assert transport.is_reading()
    assert protocol.calls == []
    await rounds()
    assert (transport.held, protocol.calls) == (0, [b"ab", "eof", ("lost", None)])
    transport.resume_reading()


async def test_order_is_kept_while_held_back_data_is_delivered(transport, protocol):
    transport.pause_reading()
    transport.feed(b"a")
    transport.resume_reading()
    transport.feed(b"b")
    await rounds()
    transport.feed(b"c")
    assert protocol.calls == [b"ab", b"c"]


async def test_reading_that_pauses_again_holds_back_again(transport, protocol):
    transport.pause_reading()
    transport.feed(b"a")
    transport.resume_reading()
    transport.pause_reading()
    await rounds()
    assert protocol.calls == []
    transport.resume_reading()
    await rounds()
    assert protocol.calls == [b"a"]


async def test_one_read_is_bounded(transport, protocol):
    data = bytes(600 * 1024)
    transport.feed(data)
    transport.pause_reading()
    transport.feed(data)
    transport.resume_reading()
    await rounds()
    sizes = [len(call) for call in protocol.calls]
    assert sizes == [262144, 262144, 90112] * 2


async def test_waiting_for_the_end_is_bounded(transport):
    with pytest.raises(TimeoutError, match=f"still open after {patience(0.01):g} s"):
        await transport.wait_closed(0.01)
    transport.close()
    await transport.wait_closed()
    await transport.wait_closed()
