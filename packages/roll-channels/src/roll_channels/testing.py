"""BackendContract: tests that every back-end passes, to inherit.

They need pytest, but no plugin: each runs an event loop of its own.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any

from roll import Roll

from . import channels
from .backend import Backend
from .channel import Channel, Channels
from .logs import SLACK
from .messages import Entry, Lagging, Message, Position
from .options import PRESENCE, Options
from .subscription import Subscription

PATIENCE = 30.0
"""Seconds after which a test that hangs has failed."""

Make = Callable[[Options], Backend]
Test = Callable[[Any, Channels], Coroutine[Any, Any, None]]


def _with(**options: Any) -> Callable[[Test], Callable[[Any, Make], None]]:
    """Run a test with channels that are open; the fixture makes the back-end."""

    def decorate(test: Test) -> Callable[[Any, Make], None]:
        def run(self: Any, make_backend: Make) -> None:
            asyncio.run(_run(lambda found: test(self, found), make_backend, options))

        run.__doc__ = test.__doc__
        return run

    return decorate


async def _run(
    test: Callable[[Channels], Awaitable[None]], make: Make, options: dict[str, Any]
) -> None:
    app = Roll()
    found = channels(app, make(Options(**options)), **options)
    async with asyncio.timeout(PATIENCE):
        await app.startup()
        try:
            await test(found)
        finally:
            await app.shutdown()


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Check a condition until it is true."""
    while True:
        found = condition()
        if isawaitable(found):
            found = await found
        if found:
            return
        await asyncio.sleep(0.001)


async def take(subscription: Subscription, count: int) -> list[Message]:
    """Wait for a number of messages."""
    return [await anext(subscription) for _ in range(count)]


async def publish(channel: Channel, start: int, end: int) -> list[str]:
    """Publish numbers, and give the positions."""
    return [await channel.publish(str(number)) for number in range(start, end)]


def numbers(messages: list[Message]) -> list[int]:
    """Read numbers that were published."""
    return [int(message.data or "") for message in messages]


def reset_at(position: str) -> Message:
    """Make the message that means that others are missing."""
    return Message(position, None, "reset")


async def oldest(channels: Channels, name: str) -> Position:
    """Find the oldest message that is kept."""
    page = await channels._hub.backend.read(name, 0, 1)
    return Position.parse(page.messages[0].id)


class BackendContract:
    """Tests that a back-end passes; a subclass makes the back-end.

    ```python
    class TestNats(BackendContract):
        @pytest.fixture
        def make_backend(self):
            return lambda options: NatsBackend("nats://localhost", options)
    ```

    Each test gets a back-end without the channels of other tests.
    """

    @_with()
    async def test_offsets_count_from_1_without_gaps(self, channels: Channels) -> None:
        """Positions are `<epoch>-<offset>`, of 40 ASCII characters at most."""
        positions = await publish(channels["a"], 0, 3)
        epochs = {position.partition("-")[0] for position in positions}
        assert [position.partition("-")[2] for position in positions] == [*"123"]
        assert len(epochs) == 1
        assert all(each.isascii() and len(each) <= 40 for each in positions)
        other = await channels["b"].publish("x")
        assert other.partition("-")[0] not in epochs

    @_with()
    async def test_data_arrives_as_it_was(self, channels: Channels) -> None:
        """Text and bytes, and JSON as text."""
        async with channels["a"].subscribe() as messages:
            sent: list[str | bytes] = [
                "",
                "é\u2028\x00\r\n",
                b"",
                b"\xff\x00",
                "x" * 65536,
            ]
            for data in sent:
                await channels["a"].publish(data)
            await channels["a"].publish(json={"a": ["é", 1]}, event="news")
            assert [m.data for m in await take(messages, len(sent))] == sent
            last = await anext(messages)
            assert (last.data, last.event) == ('{"a":["é",1]}', "news")

    @_with()
    async def test_every_subscriber_sees_the_same_order(
        self, channels: Channels
    ) -> None:
        """The order of the offsets, whoever publishes."""
        channel = channels["a"]
        async with (
            channel.subscribe() as first,
            channel.subscribe() as second,
            asyncio.TaskGroup() as tasks,
        ):
            for start in range(0, 50, 10):
                tasks.create_task(publish(channel, start, start + 10))
            found = [await take(first, 50), await take(second, 50)]
        assert found[0] == found[1]
        assert sorted(numbers(found[0])) == [*range(50)]
        offsets = [Position.parse(message.id).offset for message in found[0]]
        assert offsets == [*range(1, 51)]

    @_with()
    async def test_the_position_is_fixed_on_entering(self, channels: Channels) -> None:
        """Or when the first message is asked for."""
        channel = channels["a"]
        before = await channel.publish("0")
        async with channel.subscribe() as entered:
            assert entered.position == before
            later = channel.subscribe()
            await publish(channel, 1, 3)
            waiting = asyncio.create_task(anext(later))
            assert numbers(await take(entered, 2)) == [1, 2]
            await until(lambda: later.position != "0-0")
            position = await channel.publish("3")
            assert (await waiting).id == later.position == position
            await later.aclose()

    @_with()
    async def test_a_subscription_goes_on_after_a_position(
        self, channels: Channels
    ) -> None:
        """All later messages, then live ones."""
        channel = channels["a"]
        positions = await publish(channel, 0, 250)
        for start in (0, 120, 249):
            async with channel.subscribe(positions[start]) as messages:
                assert messages.position == positions[start]
                rest = await take(messages, 249 - start)
                assert numbers(rest) == [*range(start + 1, 250)]
                await channel.publish("live")
                assert (await anext(messages)).data == "live"

    @_with()
    async def test_a_position_that_is_not_known_gives_a_reset(
        self, channels: Channels
    ) -> None:
        """Of another epoch, malformed, or of the future: then live messages."""
        channel = channels["a"]
        current = await channel.publish("0")
        epoch = current.partition("-")[0]
        unknown = ["", "x", "0-0", "abc-1", f"{epoch}-", f"{epoch}-01", f"{epoch}--1"]
        unknown += [f"{epoch}-99", f"{epoch}-{'9' * 18}", f"{epoch}-{'9' * 5000}"]
        for since in [*unknown, "é-1", f"{epoch}-1\n", f"{epoch}-\u0661"]:
            async with channel.subscribe(since) as messages:
                assert await anext(messages) == reset_at(current)
                assert messages.position == current
                current = await channel.publish("live")
                assert (await anext(messages)).id == current

    @_with(history=20)
    async def test_a_gap_is_told_exactly(self, channels: Channels) -> None:
        """There is one if and only if the oldest message kept is not the next one."""
        channel = channels["a"]
        last = (await publish(channel, 0, 20 + 2 * SLACK))[-1]
        kept = await oldest(channels, "a")
        whole, gap = (Position(kept.epoch, kept.offset - back) for back in (1, 2))
        async with channel.subscribe(str(whole)) as messages:
            assert (await anext(messages)).id == str(kept)
        async with channel.subscribe(str(gap)) as messages:
            assert await anext(messages) == reset_at(last)

    @_with(history=20)
    async def test_the_history_has_its_length(self, channels: Channels) -> None:
        """At least `history`, at most 128 more."""
        for rounds in range(1, 12):
            await publish(channels["a"], 0, 37)
            count = 37 * rounds + 1 - (await oldest(channels, "a")).offset
            assert min(20, 37 * rounds) <= count <= 20 + SLACK

    @_with(history_bytes=1000, max_message=400)
    async def test_the_history_has_a_size(self, channels: Channels) -> None:
        """In bytes of UTF-8, with the events."""
        channel = channels["a"]
        texts = ["é" * 150, "x" * 390, "", "y" * 10]
        for index in range(40):
            await channel.publish(texts[index % 4], event="ten bytes.")
            page = await channels._hub.backend.read("a", 0, 100)
            sizes = [Entry(m.data or "", m.event).size for m in page.messages]
            dropped = sizes[0] if index < len(sizes) else 410
            assert sum(sizes) <= 1000 <= sum(sizes) + max(dropped, 400) or index < 8

    @_with(ttl=0.5)
    async def test_the_history_is_forgotten_after_the_last_message(
        self, channels: Channels
    ) -> None:
        """The position stays, so subscribers that have all messages miss nothing."""
        channel = channels["a"]
        first, last = await publish(channel, 0, 2)

        async def is_forgotten() -> bool:
            return not (await channels._hub.backend.read("a", 0, 9)).messages

        await until(is_forgotten)
        async with channel.subscribe(last) as whole, channel.subscribe(first) as late:
            assert await anext(late) == reset_at(last)
            position = await channel.publish("2")
            assert (await anext(whole)).id == (await anext(late)).id == position
            assert position == last.replace("-2", "-3")

    @_with(ttl=None)
    async def test_without_a_ttl_the_history_stays(self, channels: Channels) -> None:
        """Only its length limits it."""
        first, last = await publish(channels["a"], 0, 2)
        assert [m.id for m in await channels["a"].poll(first)] == [last]

    @_with()
    async def test_a_message_that_is_repeated_is_stored_once(
        self, channels: Channels
    ) -> None:
        """The same key gives the first position."""
        backend = channels._hub.backend
        async with channels["a"].subscribe() as messages:
            entry = Entry("once")
            first = await backend.publish("a", entry, "key")
            assert await backend.publish("a", entry, "key") == first
            other = await backend.publish("a", entry, "another key")
            assert [m.id for m in await take(messages, 2)] == [first, other]

    @_with(history=10)
    async def test_a_slow_subscriber_gets_a_reset(self, channels: Channels) -> None:
        """Once, then live messages; nobody else notices."""
        channel = channels["a"]
        async with channel.subscribe() as slow, channel.subscribe() as quick:
            for start in range(0, 300, 5):
                await publish(channel, start, start + 5)
                assert numbers(await take(quick, 5)) == [*range(start, start + 5)]
            assert await anext(slow) == reset_at(quick.position)
            await publish(channel, 300, 302)
            assert numbers(await take(slow, 2)) == [300, 301]

    @_with(history=10)
    async def test_a_slow_subscriber_may_be_told_by_an_exception(
        self, channels: Channels
    ) -> None:
        """With `lag="close"`; a reset for an older position is different."""
        channel = channels["a"]
        first = await channel.publish("0")
        async with channel.subscribe(lag="close") as slow:
            await publish(channel, 0, 300)
            old = channel.subscribe(first, lag="close")
            assert (await anext(old)).event == "reset"
            while True:
                try:
                    await anext(slow)
                except Lagging:
                    break
        await old.aclose()

    @_with(history=5000)
    async def test_many_publish_at_once(self, channels: Channels) -> None:
        """More than may be published at once: all are published."""
        channel = channels["a"]
        async with channel.subscribe() as messages:
            jobs = [channel.publish(str(number)) for number in range(1500)]
            positions = await asyncio.gather(*jobs)
            assert len({*positions}) == 1500
            assert sorted(numbers(await take(messages, 1500))) == [*range(1500)]

    @_with(history=100_000)
    async def test_nothing_is_lost_between_history_and_live(
        self, channels: Channels
    ) -> None:
        """With a publisher that never pauses (django/channels#1244)."""
        channel = channels["a"]
        since = await channel.publish("0")
        done = False

        async def publish_on() -> None:
            number = 0
            while not done:
                number += 1
                await channel.publish(str(number))

        publishing = asyncio.create_task(publish_on())
        for _ in range(20):
            async with channel.subscribe(since) as messages:
                found = await take(messages, 30)
            first = Position.parse(since).offset
            assert numbers(found) == [*range(first, first + 30)]
            since = found[-1].id
        done = True
        await publishing

    @_with()
    async def test_what_is_ready_comes_without_a_wait(self, channels: Channels) -> None:
        """A subscription that is behind takes all, in one round of the loop."""
        channel = channels["a"]
        async with channel.subscribe() as messages:
            await publish(channel, 0, 50)
            await anext(messages)
            log = channels._hub._logs["a"]
            await until(lambda: len(log.messages) == 50)
            rounds: list[int] = []
            asyncio.get_running_loop().call_soon(rounds.append, 1)
            assert numbers(await take(messages, 49)) == [*range(1, 50)]
            assert not rounds

    @_with()
    async def test_poll_gives_what_is_there(self, channels: Channels) -> None:
        """At once, and no more than it is asked for."""
        channel = channels["a"]
        first, *others = await publish(channel, 0, 5)
        assert [m.id for m in await channel.poll(first)] == others
        assert [m.id for m in await channel.poll(first, limit=2)] == others[:2]
        assert await channel.poll("") == [reset_at(others[-1])]

    @_with()
    async def test_poll_waits_for_a_message(self, channels: Channels) -> None:
        """Until one comes, or the timeout is over."""
        channel = channels["a"]
        since = None
        logs = channels._hub._logs
        for _ in range(2):
            assert await channel.poll(since, timeout=0.05) == []
            waiting = asyncio.create_task(channel.poll(since))
            await until(lambda: "a" in logs and logs["a"].opening is None)
            since = await channel.publish("1")
            assert [m.id for m in await waiting] == [since]

    @_with()
    async def test_all_ends_when_the_app_shuts_down(self, channels: Channels) -> None:
        """Subscriptions stop, and `poll` gives nothing."""
        channel = channels["a"]
        waiting = channel.subscribe()
        polling = asyncio.create_task(channel.poll())

        async def read() -> list[Message]:
            return [message async for message in waiting]

        reading = asyncio.create_task(read())
        await channel.poll("")
        channels._hub.app.stop()
        assert await reading == await polling == []
        assert [message async for message in channel.subscribe()] == []

    @_with()
    async def test_members_come_and_go(self, channels: Channels) -> None:
        """A member with three joins leaves with the last one."""
        channel = channels["a"]
        events = channels["a" + PRESENCE].subscribe()
        async with events:
            async with channel.join("ann", {"n": 1}), channel.join('b"é', None):
                assert await channel.members() == {"ann": {"n": 1}, 'b"é': None}
                async with channel.join("ann", {"n": 2}), channel.join("ann", [3]):
                    assert (await channel.members())["ann"] == [3]
                assert (await channel.members()).keys() == {"ann", 'b"é'}
            assert await channel.members() == {}
            found = await take(events, 4)
        assert [(m.event, json.loads(m.data or "")) for m in found] == [
            ("join", {"id": "ann", "info": {"n": 1}}),
            ("join", {"id": 'b"é', "info": None}),
            ("leave", {"id": 'b"é'}),
            ("leave", {"id": "ann"}),
        ]

    @_with()
    async def test_a_member_that_fails_leaves(self, channels: Channels) -> None:
        """Whatever ends its block."""
        channel = channels["a"]
        try:
            async with channel.join("ann"):
                raise LookupError
        except LookupError:
            assert await channel.members() == {}

    @_with()
    async def test_nothing_is_kept_of_a_subscription_that_ended(
        self, channels: Channels
    ) -> None:
        """However it ends; django/channels#1361."""
        channel = channels["a"]
        async with channel.subscribe(), channel.subscribe():
            assert channels._hub._logs.keys() == {"a"}
        abandoned = channel.subscribe()
        await channel.publish("x")
        waiting = asyncio.create_task(anext(abandoned))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        del abandoned, waiting
        closed = channel.subscribe()
        waiting = asyncio.create_task(anext(closed))
        await channel.poll("")
        await closed.aclose()
        await asyncio.wait([waiting])
        assert isinstance(waiting.exception(), StopAsyncIteration | RuntimeError)
        assert channels._hub._logs == {}

    @_with()
    async def test_a_thousand_subscribe_to_one_channel(
        self, channels: Channels
    ) -> None:
        """Each gets each message."""
        channel = channels["a"]
        found = [channel.subscribe() for _ in range(1000)]
        for subscription in found:
            await subscription.__aenter__()
        await publish(channel, 0, 3)
        for subscription in found:
            assert numbers(await take(subscription, 3)) == [0, 1, 2]
            await subscription.aclose()
