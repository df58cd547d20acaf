"""JSON texts: the same with orjson and without, but for what the docs name."""

import dataclasses
import datetime
import enum
import json
import sys
import uuid
from http import HTTPStatus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from roll import jsontext
from roll.jsontext import decode_json, encode_json

# Reading


numbers = st.integers() | st.floats() | st.integers(-(2**70), 2**70)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)
texts = st.builds(json.dumps, values, ensure_ascii=st.booleans()).filter(
    lambda text: not any("\ud800" <= char <= "\udfff" for char in text)
)


def read_json(body):
    try:
        return repr(decode_json(body))
    except (ValueError, RecursionError):
        return "refused"


@given(
    st.one_of(
        texts.map(str.encode),
        st.binary(),
        st.lists(
            st.sampled_from(
                [b'"', b"\\", b"\\u", b"d83d", b"[", b"]", b",", b"1e", b"-"]
            )
            | st.sampled_from(
                [b"0", b"999", b"9" * 19, b".", b" ", b"NaN", b"\xff", b"n"]
            )
        ).map(b"".join),
    )
)
@example(b"1" + b"0" * 19)
@example(b"-" + b"9" * 19)
@example(b"1e400")
@example(b"[" * 2000 + b"]" * 2000)
@example(b'{"a": 1, "a": 2}')
def test_json_is_read_the_same_with_and_without_orjson(body):
    pytest.importorskip("orjson", reason="orjson is not installed")
    found = read_json(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsontext, "orjson", None)
        assert read_json(body) == found


# Writing


@pytest.fixture(params=["orjson", "standard library"])
def encoder(request, monkeypatch):
    if request.param == "orjson":
        pytest.importorskip("orjson", reason="orjson is not installed")
    else:
        monkeypatch.setattr(jsontext, "orjson", None)


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"é": ["\u2028", None, True, 1.5, "\x7f\x1f"]},
            '{"é":["\u2028",null,true,1.5,"\x7f\\u001f"]}',
        ),
        ({1: 2, None: 3}, '{"1":2,"null":3}'),
        ((1, 2), "[1,2]"),
        (2**70, str(2**70)),
        (HTTPStatus.OK, "200"),
        (Colour.RED, '"red"'),
        ([uuid.UUID(int=1)], '["00000000-0000-0000-0000-000000000001"]'),
        (1e-4, "0.0001"),
    ],
    ids=repr,
)
def test_json_is_the_same_with_and_without_orjson(encoder, value, expected):
    assert encode_json(value) == expected.encode()


@dataclasses.dataclass
class Point:
    x: int = 1


@pytest.mark.parametrize(
    "value",
    [datetime.datetime.now(datetime.UTC), datetime.date.today(), Point(), {1}, b"b"],
    ids=lambda value: type(value).__name__,
)
def test_json_refuses_the_same_with_and_without_orjson(encoder, value):
    with pytest.raises(TypeError):
        encode_json({"value": value})


def test_json_refuses_a_lone_surrogate(encoder):
    with pytest.raises(ValueError, match="surrogate"):
        encode_json("\ud800")


def test_json_refuses_what_holds_itself(encoder):
    value = []
    value.append(value)
    with pytest.raises((ValueError, RecursionError)):
        encode_json(value)


simple = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8"))
    | st.floats(-1e15, 1e15).filter(lambda x: x == 0 or abs(x) >= 1e-4),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
    ),
)


@given(simple)
def test_json_writes_the_same_bytes_with_and_without_orjson(value):
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert encode_json(value) == expected


# Both


def test_roll_does_without_orjson(monkeypatch):
    source = jsontext.__spec__.loader.get_source("roll.jsontext")
    monkeypatch.setitem(sys.modules, "orjson", None)
    namespace = {"__name__": "roll.jsontext_without_orjson", "__package__": "roll"}
    exec(compile(source, jsontext.__file__, "exec"), namespace)
    assert namespace["decode_json"](b"[1, 2]") == [1, 2]
    assert namespace["encode_json"]([1, 2]) == b"[1,2]"
