"""encode: what is on the wire, and what a client makes of it."""

import math
import os
import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roll_sse import Event, encode
from roll_sse.events import LARGEST, Published

from .oracle import Dispatched, Oracle

EXAMPLES = int(os.environ.get("ROLL_EXAMPLES", "200"))


@pytest.mark.parametrize(
    ("event", "block"),
    [
        ("hello", b"data: hello\n\n"),
        (b"\xc3\xa9", b"data: \xc3\xa9\n\n"),
        ("é", b"data: \xc3\xa9\n\n"),
        ("", b"data: \n\n"),
        (" x", b"data:  x\n\n"),
        (": x", b"data: : x\n\n"),
        ("a\nb", b"data: a\ndata: b\n\n"),
        ("a\r\nb", b"data: a\ndata: b\n\n"),
        ("a\rb", b"data: a\ndata: b\n\n"),  # responder#616
        (b"a\rb\r\nc", b"data: a\ndata: b\ndata: c\n\n"),
        ("a\n", b"data: a\ndata: \n\n"),
        ("\n", b"data: \ndata: \n\n"),
        ("\r\n\r\n", b"data: \ndata: \ndata: \n\n"),
        (Event(), b"\n"),
        (Event("x"), b"data: x\n\n"),
        (Event(event="x"), b"event: x\ndata: \n\n"),
        (Event(event=""), b"event: \n\n"),
        (Event(id="7"), b"id: 7\n\n"),
        (Event(id=""), b"id: \n\n"),
        (Event(retry=1.5), b"retry: 1500\n\n"),
        (Event(retry=0), b"retry: 0\n\n"),
        (Event(comment="a\nb\r\nc"), b": a\n: b\n: c\n\n"),
        (Event(comment=""), b": \n\n"),
        (
            Event("x\ny", "type", "7", 2, "why"),
            b": why\nretry: 2000\nevent: type\nid: 7\ndata: x\ndata: y\n\n",
        ),
        (SimpleNamespace(id="7", event=None, data="x"), b"id: 7\ndata: x\n\n"),
    ],
)
def test_an_event_on_the_wire(event, block):
    assert encode(event) == block


@pytest.mark.parametrize("character", "\v\f\x1c\x1d\x1e\x85\u2028\u2029")
def test_other_line_ends_than_those_of_the_standard_arrive(character):
    """fastapi/fastapi#15187: `splitlines` would split JSON there."""
    text = f"a{character}b"
    assert encode(text) == f"data: {text}\n\n".encode()


@pytest.mark.parametrize("character", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("name", ["event", "id"])
def test_a_line_end_in_a_field_is_refused(name, character):
    """honojs GHSA-p6xx-57qc-3wxr, fastapi/fastapi#15651, flask-sse#40,
    fanout/django-eventstream#185.
    """
    value = f"a{character}data: injected"
    message = re.escape(f"{name}={value!r}: leave {character[0]!r} out")
    with pytest.raises(ValueError, match=message):
        encode(Event("x", **{name: value}))


def test_a_nul_in_an_id_is_refused():
    with pytest.raises(ValueError, match=r"id='a\\x00': leave '\\x00' out"):
        encode(Event(id="a\0"))
    assert encode(Event("", "a\0")) == b"event: a\0\ndata: \n\n"


@pytest.mark.parametrize("retry", [-1, math.inf, -math.inf, math.nan])
def test_a_retry_that_is_out_of_range_is_refused(retry):
    with pytest.raises(ValueError, match=f"retry={retry}: give 0 seconds or more"):
        encode(Event(retry=retry))


@pytest.mark.parametrize("event", [b"\xff", "\ud800", Event(b"\xff")])
def test_what_is_not_unicode_is_refused(event):
    with pytest.raises(ValueError, match="codec can't"):
        encode(event)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"data": 1}, "an event cannot be of type dict: give a roll_sse.Event"),
        (None, "an event cannot be of type NoneType"),
        (Event({"a": 1}), "cannot be of type dict: give text or bytes"),
        (Event(comment=5), "cannot be of type int: give text or bytes"),
        (Event(id=5), "id=5: give text"),
        (Event(event=5), "event=5: give text"),
        (Event(retry="5"), "retry='5': give a number of seconds"),
        (Event(retry=True), "retry=True: give a number of seconds"),
    ],
)
def test_another_type_is_refused(event, message):
    with pytest.raises(TypeError, match=message):
        encode(event)


def test_a_large_event_is_refused():
    text = "x" * (LARGEST - len("data: \n\n"))
    assert len(encode(text)) == LARGEST
    with pytest.raises(ValueError, match=f"an event has {LARGEST + 1} bytes: send at"):
        encode(text + "x")


def test_a_published_event_is_encoded_once():
    event = Published("x", "type", "7")
    assert event == Event("x", "type", "7")
    assert encode(event) is encode(event) is event.encoded


# Beside the oracle

# Much text of few characters, those that mean something to a client among them.
texts = st.text(st.sampled_from("a: \r\n\0\ufeff\u2028é")) | st.text(
    st.characters(exclude_categories=["Cs"])
)
words = texts.map(lambda text: re.sub("[\r\n\0]", "", text))
events = st.builds(
    Event,
    data=st.none() | texts,
    event=st.none() | words,
    id=st.none() | words,
    retry=st.none() | st.integers(0, 10**6),
    comment=st.none() | texts,
)


def in_lines(text):
    """Write the line ends as a client gives them to a page."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(events))
def test_a_client_gets_what_was_meant(given_events):
    oracle = Oracle(b"".join(map(encode, given_events)))
    id, retry, expected = "", None, []
    for event in given_events:
        id = id if event.id is None else event.id
        retry = retry if event.retry is None else event.retry * 1000
        if event.data is not None or event.event:
            data = in_lines(event.data or "")
            expected.append(Dispatched(event.event or "message", data, id))
    assert oracle.dispatched == expected
    assert (oracle.last_id, oracle.retry) == (id, retry)


@settings(max_examples=EXAMPLES, deadline=None)
@given(texts)
def test_bytes_are_as_text(text):
    assert encode(text.encode()) == encode(text) == encode(Event(text))
