"""Preferences: weighted lists, such as `Accept` has (RFC 9110, 12.4.2 and 12.5)."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roll import HttpError
from roll.preferences import (
    LONGEST,
    name_coding,
    read_codings,
    read_element,
    read_preferences,
    split_element,
)
from roll_testing import patience

ANY = re.compile(r"[^,]+")


def read(value, grammar=ANY):
    found = read_preferences("Accept", value, grammar)
    return [(name, dict(parameters), weight) for name, parameters, weight in found]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        (",, ,", []),
        ("a", [("a", {}, 1)]),
        ("a, b,c", [("a", {}, 1), ("b", {}, 1), ("c", {}, 1)]),
        ("TEXT/HTML ; Q=0.5", [("text/html", {}, 0.5)]),
        ("a;x=1;q=0.25;y=2", [("a", {"x": "1", "y": "2"}, 0.25)]),
        ("a;;x=1;", [("a", {"x": "1"}, 1)]),
        ('a;x="b,c;q=0", d', [("a", {"x": "b,c;q=0"}, 1), ("d", {}, 1)]),
        (r'a;x="\"\\"', [("a", {"x": '"\\'}, 1)]),
        ('a;x="unclosed, b', []),
        ("a;charset=UTF-8;x=Y", [("a", {"charset": "utf-8", "x": "Y"}, 1)]),
        # An element that is malformed is left out, and no other.
        ("a;x, b", [("b", {}, 1)]),
        ("a;x=1;X=2, b", [("b", {}, 1)]),
        ("a;q=2, b", [("b", {}, 1)]),
        ("a;q=0;q=1, b", [("b", {}, 1)]),
    ],
)
def test_elements_are_read_in_their_order(value, expected):
    assert read(value) == expected


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ("0", 0.0),
        ("0.", 0.0),
        ("0.000", 0.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("0.1234", 0.1234),
        ("1", 1.0),
        ("1.000", 1.0),
        *((wrong, None) for wrong in ("", "1.001", "-1", "1e1", "nan", "+1")),
        *((wrong, None) for wrong in ("2", "00.5", "\u0661", "0.1234567890")),
    ],
)
def test_a_weight_is_from_0_to_1(weight, expected):
    assert [each[2] for each in read(f"a;q={weight}") if each[0] == "a"] == (
        [] if expected is None else [expected]
    )


def test_names_that_the_grammar_does_not_take_are_left_out():
    assert read("a, bb, A, *", re.compile("a|[*]")) == [
        ("a", {}, 1),
        ("a", {}, 1),
        ("*", {}, 1),
    ]


@pytest.mark.parametrize("text", ["a;=1", "a;x =1", "a;x=", 'a;x="b" c', "a;x=\u20ac"])
def test_a_malformed_element_is_none(text):
    assert read_element(text) is split_element(text) is None


def test_the_longest_field_is_read_and_a_longer_one_refused():
    assert len(read("a," * (LONGEST // 2))) == LONGEST // 2
    with pytest.raises(HttpError) as caught:
        read_preferences("Accept", "a" * (LONGEST + 1), ANY)
    assert (caught.value.status, caught.value.message) == (431, "Accept is too long")
    with pytest.raises(HttpError) as caught:
        read_codings("a" * (LONGEST + 1))
    assert caught.value.message == "Accept-Encoding is too long"


@pytest.mark.parametrize(
    "piece",
    [",", ";", '"', "a,", "a;", "a ;", "a;q=0.", 'a;a="', 'a;a="\\",', "a;x=1", " "],
)
def test_hostile_fields_take_no_time(piece):
    start = time.process_time()
    read((piece * LONGEST)[:LONGEST])
    assert time.process_time() - start < patience(0.3)  # some 10 ms


@given(st.text(st.sampled_from('ab*/;=q01." ,\\\t') | st.characters()))
def test_whatever_is_sent_is_read(value):
    for name, parameters, weight in read(value):
        assert 0 <= weight <= 1
        assert "q" not in parameters
        assert name == name.lower()


# Content codings


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        ("gzip, br;q=0.5", {"gzip": 1, "br": 0.5}),
        ("GZIP;q=0, *", {"gzip": 0, "*": 1}),
        ("x-gzip;q=0.5, x-compress", {"gzip": 0.5, "compress": 1}),
        ("gzip;q=0.2, x-gzip;q=0.5, gzip;q=0.1", {"gzip": 0.5}),
        ("gzip;level=9, br", {"br": 1}),  # codings have no parameters
        ("gz ip, br/1, \u00e9, br", {"br": 1}),
    ],
)
def test_codings_have_the_weights_that_are_given(value, expected):
    assert read_codings(value) == expected


@pytest.mark.parametrize(
    ("name", "usual"), [("gzip", "gzip"), ("X-GZip", "gzip"), ("BR", "br")]
)
def test_a_coding_has_one_name(name, usual):
    assert name_coding(name) == usual
