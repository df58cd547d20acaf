"""How data is written: the same with orjson and without, except some floats."""

import datetime
import enum
import sys
import uuid

import pytest
from roll_session import encoding


class Colour(enum.Enum):
    RED = "red"


def nest(depth):
    return [nest(depth - 1)] if depth else []


@pytest.fixture(params=["orjson", "standard library"])
def library(request, monkeypatch):
    if request.param == "standard library":
        monkeypatch.setattr(encoding, "orjson", None)
    else:
        pytest.importorskip("orjson", reason="orjson is not installed")
    return request.param


VALUES = {
    "plain": {"a": {"é": "ü", "€": ""}, "b": [1, 2.5, None, True]},
    "surrogate": "\ud800",
    "astral": "\U0001f600",
    "digits in a text": "1234567890123456789012",
    "float": 1e16,
    "small": 1e-7,
    "zero": -0.0,
    **{f"{n}": n for n in (2**53 + 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**40)},
    "deep": nest(300),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_what_is_written_is_read_with_orjson_and_without(value, library):
    text = encoding.encode({"key": value})
    assert encoding.to_text(encoding.to_bytes(text)) == text
    with pytest.MonkeyPatch.context() as patch:
        for module in (encoding.orjson, None):
            patch.setattr(encoding, "orjson", module)
            found = encoding.decode(text)
            assert (found, repr(found)) == ({"key": value}, repr({"key": value}))


def test_keys_are_in_one_order(library):
    data = {"é": 1, "b": {"z": 1, "a": 2}, "\U0001f600": 2, "a": 3, "\uffff": 4}
    text = '{"a":3,"b":{"a":2,"z":1},"é":1,"\uffff":4,"\U0001f600":2}'
    assert encoding.encode(data) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "Out of range float values are not JSON compliant"),
        (uuid.UUID(int=0), "Object of type UUID is not JSON serializable"),
        (Colour.RED, "Object of type Colour is not JSON serializable"),
        (datetime.date(2026, 1, 1), "Object of type date is not JSON serializable"),
        (b"", "Object of type bytes is not JSON serializable"),
        ((1, 2), "make it of lists"),
        ({1: 2}, "make it of lists"),
    ],
)
def test_what_cannot_be_saved_is_told_alike(value, reason, library):
    with pytest.raises(
        TypeError, match=rf"^session\['key'\] cannot be saved.*{reason}"
    ):
        encoding.encode({"fine": 1, "key": value})


@pytest.mark.parametrize(
    "text", ["", "{", "[NaN]", "[-Infinity]", "[1e999]", '{"a":1}x', "[" * 100_000]
)
def test_what_is_not_json_is_a_value_error(text, library):
    with pytest.raises(ValueError, match=r"."):
        encoding.decode(text)


def test_orjson_need_not_be_installed(monkeypatch):
    source = encoding.__spec__.loader.get_source("roll_session.encoding")
    monkeypatch.setitem(sys.modules, "orjson", None)
    namespace = {"__name__": "roll_session.alone"}
    exec(compile(source, encoding.__file__, "exec"), namespace)
    assert namespace["encode"]({"a": 1}) == '{"a":1}'
