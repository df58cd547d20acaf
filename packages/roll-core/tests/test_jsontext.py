"""JSON texts: the same with orjson and without, except for what the docs name."""

import dataclasses
import datetime
import decimal
import enum
import json
import math
import sys
import uuid
from decimal import Context
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
                [b"0", b"999", b"9" * 19, b".", b" ", b"NaN", b"\xff", b"n", b"E+"]
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


@pytest.fixture(params=["orjson", "standard library"])
def decoder(request, monkeypatch):
    if request.param == "orjson":
        pytest.importorskip("orjson", reason="orjson is not installed")
    else:
        monkeypatch.setattr(jsontext, "orjson", None)


HUGE = "9" * 400


@pytest.mark.parametrize("text", [r'"\ud800"', r'["\uDC00\uD800"]', r'{"\udfff": 1}'])
def test_a_lone_surrogate_is_refused(decoder, text):
    with pytest.raises(ValueError, match="surrogate"):
        decode_json(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "1e309",
        "-1e309",
        "1E+309",
        "1e0000000309",
        "1e99999999999999999999",
        f"{HUGE}.0",
        f"-{HUGE}.5",
        f"{'9' * 250}e99",
        f"{HUGE}e0",
        "1.8e308",
        f"[{HUGE}, 1e999]",
        '["1e999", 1e999]',
    ],
)
def test_a_float_that_would_be_infinite_is_refused(decoder, text):
    with pytest.raises(ValueError, match=r"infin|too large for a float"):
        decode_json(text.encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.7976931348623157e308", sys.float_info.max),
        ("-1.7976931348623157E+308", -sys.float_info.max),
        (f"0.{'0' * 400}1e401", 1.0),
        (f"1{'0' * 400}.0e-400", 1.0),
        ("1e-400", 0.0),
        ("5e-324", 5e-324),
        (HUGE, int(HUGE)),
        (f"[{HUGE}, 1.5, 1.{HUGE}]", [int(HUGE), 1.5, 2.0]),
        ("9" * 4300, 10**4300 - 1),
        (f'"1e999 {HUGE}.0"', f"1e999 {HUGE}.0"),
        (str(2**63), 2**63),
        (str(-(2**63) - 1), -(2**63) - 1),
        (str(2**64), 2**64),
        (f"[{2**64}]", [2**64]),
        (f'{{"a":{2**64}}}', {"a": 2**64}),
    ],
)
def test_numbers_are_read_to_the_ends_of_their_types(decoder, text, value):
    assert repr(decode_json(text.encode())) == repr(value)


def test_an_integer_of_more_digits_than_python_reads_is_refused(decoder):
    with pytest.raises(ValueError, match="4300"):
        decode_json(b"9" * 4301)


@given(
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?",
        fullmatch=True,
        alphabet=st.characters(codec="ascii"),
    )
)
def test_every_number_is_read_as_the_standard_library_does(text):
    expected = json.loads(text)
    if expected in (math.inf, -math.inf):
        expected = "refused"
    for module in {jsontext.orjson, None}:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jsontext, "orjson", module)
            found = read_json(text.encode())
        assert found == (expected if expected == "refused" else repr(expected))


def asks_the_standard_library(body):
    """Whether the standard library reads a text, which may take ten times as long."""
    called = []

    def note(frame, event, argument):
        if event == "call" and frame.f_code is json.JSONDecoder.decode.__code__:
            called.append(frame)

    sys.setprofile(note)
    try:
        read_json(body)
    finally:
        sys.setprofile(None)
    return bool(called)


# Half of the smallest float: the standard library looks at each of 758 digits.
HALF = str(Context(prec=2000).power(2, -1075))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"[{HALF}]", False),
        (f"[-{HALF}]", False),
        (f"[{2**1000}.0]", False),
        (f"[0.{HUGE}]", False),
        (f"[1{HUGE[:100]}e5, 1{HUGE[:100]}.5E+5]", False),
        (f'{{"a":0.{HUGE}}}', False),
        ("[1e999]", False),
        ('["\\ud800"]', False),
        ("[" * 500 + "]" * 499, False),
        (f"[{2**63 - 1}", True),
        (f"[{HUGE}]", True),
        (f"[0.{HUGE}, {HUGE}]", True),
        (HUGE, True),
        ("[" * 1025 + "]" * 1025, True),
    ],
)
def test_only_large_integers_and_deep_texts_are_left_to_the_standard_library(
    body, expected
):
    pytest.importorskip("orjson", reason="orjson is not installed")
    assert asks_the_standard_library(body.encode()) is expected


# Writing


@pytest.fixture(params=["orjson", "standard library"])
def encoder(request, monkeypatch):
    if request.param == "orjson":
        pytest.importorskip("orjson", reason="orjson is not installed")
    else:
        monkeypatch.setattr(jsontext, "orjson", None)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: object = 1
    _y: object = None


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
        (math.nan, "null"),
        ([math.inf, {"x": (-math.inf, 1.5)}], '[null,{"x":[null,1.5]}]'),
        ([math.nan, 2**70, {1: math.inf}], f'[null,{2**70},{{"1":null}}]'),
        (Point(math.nan, [-math.inf]), '{"x":null,"_y":[null]}'),
        (HTTPStatus.OK, "200"),
        (Colour.RED, '"red"'),
        ([uuid.UUID(int=1)], '["00000000-0000-0000-0000-000000000001"]'),
        (1e-4, "0.0001"),
        (datetime.date(2026, 11, 30), '"2026-11-30"'),
        (datetime.datetime(2026, 11, 30, 1, 2, 3, 4), '"2026-11-30T01:02:03.000004"'),
        (
            datetime.datetime(2026, 11, 30, 1, 2, 3, tzinfo=datetime.UTC),
            '"2026-11-30T01:02:03+00:00"',
        ),
        ([datetime.time(1, 2, 3, tzinfo=datetime.UTC)], '["01:02:03+00:00"]'),
        (decimal.Decimal("1.10"), '"1.10"'),
        ([Point(Colour.RED, Point())], '[{"x":"red","_y":{"x":1,"_y":null}}]'),
    ],
    ids=repr,
)
def test_json_is_the_same_with_and_without_orjson(encoder, value, expected):
    assert encode_json(value) == expected.encode()


@pytest.mark.parametrize(
    "value",
    [{1}, b"b", object(), Point, {(1,): 2}],
    ids=lambda value: type(value).__name__,
)
def test_json_refuses_the_same_with_and_without_orjson(encoder, value):
    with pytest.raises(TypeError):
        encode_json({"value": value})


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"a": [value]}])
@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda: {1}, "set is not JSON serializable: make it a list"),
        (lambda: {}.keys(), "dict_keys is not JSON serializable: make it a list"),
        (lambda: give(), "coroutine is not JSON serializable: await it"),
        (lambda: Awaitable(), "Awaitable is not JSON serializable: await it"),
        (lambda: b"a", "bytes is not JSON serializable: decode it"),
        (object, "object is not JSON serializable: override json_encode"),
    ],
)
def test_json_says_what_to_do_with_what_it_refuses(wrap, make, advice):
    with pytest.raises(TypeError) as raised:
        encode_json(wrap(make()))
    assert str(raised.value) == advice


async def give(): ...


class Awaitable:
    def __await__(self): ...


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
