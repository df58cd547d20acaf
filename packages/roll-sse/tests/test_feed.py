"""Feed: what followers get, whatever is published meanwhile."""

import asyncio
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roll import Request, Roll
from roll_sse import Event, Feed
from roll_testing import turns


def ready(subscription):
    """Give all events that need no wait, and leave the subscription waiting."""
    events = []
    while True:
        asked = subscription.__anext__().__await__()
        try:
            asked.send(None)
        except StopIteration as end:
            events.append(end.value)
        else:
            asked.close()
            return events


def request_with(*id):
    request = Request(Roll(), None)
    request.headers.update(zip(["LAST-EVENT-ID"], id, strict=False))
    return request


@pytest.fixture
def feed():
    return Feed(size=3)


async def test_ids_count_from_one(feed):
    ids = [feed.publish("x") for _ in range(5)]
    epoch = re.fullmatch("([0-9a-f]{16})-1", ids[0])[1]
    assert ids == [f"{epoch}-{number}" for number in range(1, 6)]
    assert Feed().publish("x").partition("-")[0] != epoch


async def test_the_position_of_a_feed_is_the_id_of_its_last_event(feed):
    start = feed.position
    assert start == feed.subscribe().position
    assert feed.publish("x") == feed.position != start
    assert [event.data for event in ready(feed.subscribe(start))] == ["x"]


async def test_without_since_there_are_only_live_events(feed):
    feed.publish("before")
    subscription = feed.subscribe()
    id = feed.publish("after", "type")
    assert ready(subscription) == [Event("after", "type", id)]
    assert ready(feed.subscribe(None)) == []


async def test_the_position_is_that_of_the_call(feed):
    """upstash/realtime#23: nothing is lost between the history and what is live."""
    first = feed.publish("1")
    subscription = feed.subscribe(first)
    assert subscription.position == first
    second = feed.publish("2")
    assert subscription.position == first
    assert ready(subscription) == [Event("2", None, second)]
    assert subscription.position == second


async def test_a_new_feed_has_a_position(feed):
    position = feed.subscribe().position
    assert position.endswith("-0")
    ids = [feed.publish("1"), feed.publish("2")]
    assert [event.id for event in ready(feed.subscribe(position))] == ids


@pytest.mark.parametrize("number", range(2, 6))
async def test_since_gives_all_later_events(feed, number):
    """socketio/socket.io#5419: each one with its own id."""
    ids = [feed.publish(str(number)) for number in range(1, 6)]
    subscription = feed.subscribe(ids[number - 1])
    ids.append(feed.publish("6"))  # so the history has 4, 5 and 6
    if number < 3:
        assert ready(subscription) == [Event("", "reset", ids[-1])]
    else:
        assert [event.id for event in ready(subscription)] == ids[number:]


def unknown(id):
    """Give what is not an id of a feed whose last one is *id*."""
    epoch, _, number = id.partition("-")
    yield from ("", "-", epoch, f"{epoch}-", f"{epoch}--1", f"{epoch}-0{number}")
    yield from (f"{id}x", f"{id} ", f"x{id}", f"{'0' * 16}-{number}")
    yield from (f"{epoch}-{int(number) + 1}", f"{epoch}-{'9' * 5000}", f"{epoch}-٣")


async def test_an_id_that_is_not_known_is_a_reset(feed):
    ids = [feed.publish("x") for _ in range(5)]
    for id in unknown(ids[-1]):
        subscription = feed.subscribe(id)
        assert subscription.position is None
        assert ready(subscription) == [Event("", "reset", ids[-1])]
        assert subscription.position == ids[-1]


@pytest.mark.parametrize("number", [0, 1])
async def test_an_id_that_is_too_old_is_a_reset(feed, number):
    ids = [feed.subscribe().position, *(feed.publish("x") for _ in range(5))]
    subscription = feed.subscribe(ids[number])
    assert ready(subscription) == [Event("", "reset", ids[-1])]
    live = feed.publish("live")
    assert ready(subscription) == [Event("live", None, live)]


async def test_a_request_has_the_id(feed):
    ids = [feed.publish("x") for _ in range(2)]
    assert ready(feed.subscribe(request_with())) == []
    assert [event.id for event in ready(feed.subscribe(request_with(ids[0])))] == ids[
        1:
    ]
    for id in ("", "x" * 300, "\xff"):
        assert [e.event for e in ready(feed.subscribe(request_with(id)))] == ["reset"]


async def test_who_is_behind_gets_one_reset_and_others_notice_nothing(feed):
    behind, other = feed.subscribe(), feed.subscribe()
    others = []
    for number in range(10):
        last = feed.publish(str(number))
        others += ready(other)
    assert ready(behind) == [Event("", "reset", last)]
    assert [event.data for event in others] == [str(number) for number in range(10)]


async def test_the_history_has_a_bound_in_bytes():
    """django/channels#1361, litestar#4387."""
    feed = Feed(size=1000, bytes=1000)
    start = feed.subscribe().position
    feed.publish("x" * 900)
    feed.publish("y" * 500)
    assert [event.data for event in feed._events] == ["y" * 500]
    assert [event.event for event in ready(feed.subscribe(start))] == ["reset"]
    with pytest.raises(ValueError, match=r"an event has 10\d\d bytes: Feed keeps 1000"):
        feed.publish("z" * 1000)
    assert [event.data for event in feed._events] == ["y" * 500]
    for _ in range(1000):
        feed.publish("z")
    assert sum(len(event.encoded) for event in feed._events) == feed._held <= 1000


async def test_publish_wakes_all_once(feed):
    subscriptions = [feed.subscribe() for _ in range(3)]
    waiting = [asyncio.ensure_future(anext(each)) for each in subscriptions]
    await turns()
    assert len(feed._waiting) == 3
    ids = [feed.publish("1"), feed.publish("2")]
    assert await asyncio.gather(*waiting) == [Event("1", None, ids[0])] * 3
    assert [ready(each) for each in subscriptions] == [[Event("2", None, ids[1])]] * 3


async def test_one_who_leaves_takes_nobody_along(feed):
    first, second = (asyncio.ensure_future(anext(feed.subscribe())) for _ in range(2))
    await turns()
    first.cancel()
    feed.publish("x")
    assert (await second).data == "x"
    assert feed._waiting == set()


async def test_aclose_ends_a_subscription_that_waits(feed):
    subscription = feed.subscribe()
    waiting = asyncio.ensure_future(anext(subscription, "the end"))
    await turns()
    await subscription.aclose()
    await subscription.aclose()
    assert await waiting == "the end"
    feed.publish("x")
    assert [event async for event in subscription] == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("x", "a\nb"), ValueError, r"event='a\\nb': leave '\\n' out"),
        ((b"\xff",), ValueError, "codec can't decode"),
        ((None,), TypeError, r"publish\(None\): give text or bytes"),
        (({},), TypeError, "give text or bytes"),
    ],
)
async def test_what_cannot_be_sent_is_refused_when_it_is_published(
    feed, arguments, error, message
):
    with pytest.raises(error, match=message):
        feed.publish(*arguments)
    assert feed.publish("x").endswith("-1")


@pytest.mark.parametrize("value", [0, -1, 1.5, None, True])
@pytest.mark.parametrize("name", ["size", "bytes"])
def test_wrong_options_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"Feed\({name}={value}\): give a number"):
        Feed(**{name: value})


actions = st.lists(
    st.tuples(st.sampled_from(["publish", "read", "resume"]), st.integers(0, 2))
)


@settings(deadline=None)
@given(actions)
def test_nothing_is_missing_and_nothing_comes_twice(steps):
    """Three clients read, and resume, at any time; a gap is told by a reset alone."""

    async def run():
        feed = Feed(size=4)
        clients = [feed.subscribe() for _ in range(3)]
        seen, last = [0, 0, 0], 0
        positions = [client.position for client in clients]
        for action, number in steps:
            if action == "publish":
                last += 1
                feed.publish(str(last))
                continue
            if action == "resume":
                clients[number] = feed.subscribe(positions[number])
            for event in ready(clients[number]):
                positions[number] = event.id
                if event.event == "reset":
                    assert last - seen[number] > 4
                    seen[number] = last
                else:
                    seen[number] += 1
                    assert event.data == str(seen[number])
            assert seen[number] == last

    asyncio.run(run())
