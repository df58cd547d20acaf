import asyncio

import pytest
from roll.errors import HttpError
from roll.http11.body import LARGE, Body


class Source:
    def __init__(self):
        self.asked = []

    def pause_body(self):
        self.asked.append("pause")

    def resume_body(self):
        self.asked.append("resume")

    def continue_body(self):
        self.asked.append("continue")


def make(buffer=10, **options):
    source = Source()
    return Body(source, buffer, **options), source


async def reading(body):
    """A task that already waits for the body."""
    task = asyncio.create_task(body.read())
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_what_came_is_read_at_once_as_one():
    body, source = make()
    body.feed(b"one")
    assert await body.read() == b"one"
    body.feed(b"two")
    body.feed(b"three")
    assert await body.read() == b"twothree"
    assert body.received == 11
    assert source.asked == []


async def test_a_large_piece_comes_alone_and_is_not_copied():
    body, source = make(buffer=2 * LARGE)
    large = [bytes(LARGE), bytes(LARGE)]
    for piece in (large[0], b"one", b"two", large[1]):
        body.feed(piece)
    assert source.asked == ["pause"]
    assert await body.read() is large[0]
    assert source.asked == ["pause", "resume"]
    assert await body.read() == b"onetwo" + large[1]
    body.feed(large[1])
    assert await body.read() is large[1]


async def test_reading_goes_on_when_there_is_room_again():
    body, source = make(buffer=LARGE)
    for _ in range(3):
        body.feed(bytes(LARGE))
    await body.read()
    assert source.asked == ["pause"]
    await body.read()
    assert source.asked == ["pause", "resume"]


async def test_after_the_last_byte_reading_gives_nothing():
    body, _ = make()
    body.feed(b"one")
    body.finish()
    assert body.complete
    assert [await body.read() for _ in range(3)] == [b"one", b"", b""]


async def test_a_reader_waits_for_a_piece():
    body, _ = make()
    task = await reading(body)
    body.feed(b"one")
    body.feed(b"two")
    assert await task == b"onetwo"


async def test_a_reader_waits_for_the_end():
    body, _ = make()
    task = await reading(body)
    body.finish()
    assert await task == b""


async def test_a_full_buffer_pauses_the_source_once_until_it_is_read():
    body, source = make(buffer=10)
    body.feed(b"x" * 10)
    assert source.asked == []
    body.feed(b"x")
    body.feed(b"x")
    assert source.asked == ["pause"]
    assert await body.read() == b"x" * 12
    assert source.asked == ["pause", "resume"]
    body.feed(b"x" * 11)
    assert source.asked == ["pause", "resume", "pause"]


async def test_what_came_before_a_failure_is_read_first():
    body, _ = make()
    body.feed(b"one")
    body.fail(HttpError(408))
    body.fail(HttpError(400))
    assert await body.read() == b"one"
    for _ in range(2):
        with pytest.raises(HttpError) as caught:
            await body.read()
        assert caught.value.status == 408


async def test_a_waiting_reader_is_told_of_a_failure():
    body, _ = make()
    task = await reading(body)
    body.fail(HttpError(400))
    with pytest.raises(HttpError):
        await task


async def test_a_complete_body_cannot_fail():
    body, _ = make()
    body.finish()
    body.fail(HttpError(400))
    assert await body.read() == b""


async def test_a_discarded_body_keeps_nothing_and_counts_what_it_drops():
    body, source = make(buffer=2)
    body.feed(b"one")
    assert source.asked == ["pause"]
    body.discard()
    assert source.asked == ["pause", "resume"]
    assert body.discarding
    assert body.discarded == 0
    body.feed(b"four")
    assert (body.received, body.discarded) == (7, 4)
    assert source.asked == ["pause", "resume"]
    body.finish()
    assert await body.read() == b""


async def test_only_one_task_reads_at_a_time():
    body, _ = make()
    task = await reading(body)
    with pytest.raises(RuntimeError, match="being read by another task"):
        await body.read()
    body.feed(b"one")
    assert await task == b"one"


async def test_a_reader_that_is_cancelled_loses_nothing():
    body, _ = make()
    task = await reading(body)
    task.cancel()
    body.feed(b"one")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await body.read() == b"one"


async def test_an_expected_body_is_asked_for_when_it_is_first_waited_for():
    body, source = make(expected=True)
    assert source.asked == []
    task = await reading(body)
    assert source.asked == ["continue"]
    assert not body.expected
    body.feed(b"one")
    assert await task == b"one"
    await_end = await reading(body)
    body.finish()
    assert await await_end == b""
    assert source.asked == ["continue"]


async def test_an_expected_body_that_comes_unasked_is_not_asked_for():
    body, source = make(expected=True)  # RFC 9110, 10.1.1
    body.feed(b"one")
    assert await body.read() == b"one"
    task = await reading(body)
    body.finish()
    assert await task == b""
    assert source.asked == []


def test_a_body_knows_its_length():
    assert make(length=3)[0].length == 3
    assert make()[0].length is None


async def test_very_many_small_pieces_pause_the_source():
    body, source = make(buffer=1_000_000)
    for _ in range(1000):
        body.feed(b"x")
    assert source.asked == []
    body.feed(b"x")
    assert source.asked == ["pause"]
    assert await body.read() == b"x" * 1001
    assert source.asked == ["pause", "resume"]
