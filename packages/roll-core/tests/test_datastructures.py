import copy
import math
import pickle
import time
from collections import ChainMap
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roll.datastructures import (
    Files,
    Form,
    Headers,
    Multidict,
    Query,
    parse_urlencoded,
)
from roll.errors import HttpError
from roll_testing import patience


def refusal(call, *args, **options):
    with pytest.raises(HttpError) as caught:
        call(*args, **options)
    return int(caught.value.status), caught.value.message


@pytest.mark.parametrize("kind", [Multidict, Query, Form, Files])
def test_a_missing_key_is_the_client_s_mistake_and_a_key_error(kind):
    data = kind({"a": ["1"]})
    assert data["a"] == ["1"]
    assert ("a" in data, "b" in data) == (True, False)
    for read in (data.__getitem__, data.get, data.list):
        assert refusal(read, "b") == (400, "Missing 'b'")
        with pytest.raises(KeyError):
            read("b")
    assert ChainMap(data, {"b": 2})["b"] == 2
    with pytest.raises(KeyError):
        data.pop("b")


def test_get_gives_the_first_value_and_list_all():
    data = Multidict({"a": ["1", "2"]})
    assert data.get("a") == "1"
    assert data.list("a") == ["1", "2"]


@pytest.mark.parametrize("data", [{}, {"a": []}])
@pytest.mark.parametrize("read", ["get", "list", "bool", "int", "float"])
def test_a_missing_key_is_a_400_that_names_it(data, read):
    assert refusal(getattr(Query(data), read), "a") == (400, "Missing 'a'")


@pytest.mark.parametrize("default", [None, "", 0, False, "x"])
@pytest.mark.parametrize("read", ["get", "list", "bool", "int", "float"])
def test_a_missing_key_gives_the_default(read, default):
    assert getattr(Query(), read)("a", default) is default
    assert getattr(Query(), read)("a", default=default) is default


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["t", "true", "TRUE", "yes", "Yes", "1", "on", "oN"], True),
        (["f", "false", "False", "no", "NO", "0", "off"], False),
        (["n", "none", "None", "null", "NULL"], None),
    ],
)
def test_booleans_are_read_in_any_case(values, expected):
    assert [Query(a=[value]).bool("a") for value in values] == [expected] * len(values)


@pytest.mark.parametrize("value", ["", "2", "y", "nope", " true"])
def test_another_boolean_is_a_400(value):
    query = Query(a=[value])
    assert refusal(query.bool, "a", True) == (400, "'a' is not a boolean")


@pytest.mark.parametrize(("value", "number"), [("12", 12), ("-3", -3), ("0012", 12)])
def test_integers_are_read(value, number):
    assert Query(a=[value, "x"]).int("a") == number


@pytest.mark.parametrize("value", ["", "1.5", "x", "0x10", "9" * 4301])
def test_another_integer_is_a_400(value):
    assert refusal(Query(a=[value]).int, "a", 1) == (400, "'a' is not an integer")


@pytest.mark.parametrize(("value", "number"), [("1.5", 1.5), ("1", 1.0), ("1e3", 1e3)])
def test_floats_are_read(value, number):
    assert Query(a=[value]).float("a") == number


@pytest.mark.parametrize(
    "value", ["", "x", "nan", "NaN", "inf", "-Infinity", "1e999", "9" * 400]
)
def test_a_float_that_is_not_finite_is_a_400(value):
    assert refusal(Query(a=[value]).float, "a") == (400, "'a' is not a number")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_comes_back(number):
    assert Query(a=[repr(number)]).float("a") == number
    assert math.isfinite(number)


def test_a_form_reads_as_a_query():
    assert issubclass(Form, Query)
    assert Form(a=["1"]).int("a") == 1


class Closable:
    closed = False

    def close(self):
        self.closed = True


def test_files_close_together():
    files = Files(a=[Closable(), Closable()], b=[Closable()])
    files.close()
    assert [file.closed for values in files.values() for file in values] == [True] * 3


FIELDS = [(b"HOST", b"x"), (b"ACCEPT", b"text/html"), (b"X-NAME", b"caf\xe9")]


def test_headers_are_a_dict_with_names_in_upper_case():
    headers = Headers.decode(FIELDS)
    assert headers == {"HOST": "x", "ACCEPT": "text/html", "X-NAME": "café"}
    assert isinstance(headers, dict)


@pytest.mark.parametrize("name", ["ACCEPT", "Accept", "accept"])
def test_headers_are_found_in_any_case(name):
    headers = Headers.decode(FIELDS)
    assert headers[name] == "text/html"
    assert headers.get(name) == "text/html"
    assert headers.list(name) == ["text/html"]
    assert name in headers


@pytest.mark.parametrize("name", ["NONE", "None"])
def test_headers_that_were_not_sent_are_missing(name):
    headers = Headers.decode(FIELDS)
    with pytest.raises(KeyError, match=name):
        headers[name]
    assert headers.get(name) is None
    assert headers.get(name, "x") == "x"
    assert headers.list(name) == []
    assert name not in headers
    assert 1 not in headers


def test_a_header_sent_twice_is_joined_and_listed():
    headers = Headers.decode(
        [(b"A", b"1"), (b"COOKIE", b"a=1"), (b"A", b"2, 3"), (b"COOKIE", b"b=2")]
    )
    assert headers == {"A": "1, 2, 3", "COOKIE": "a=1; b=2"}
    assert headers.list("a") == ["1", "2, 3"]
    assert headers.list("Cookie") == ["a=1", "b=2"]
    headers.list("a").clear()
    assert headers.list("a") == ["1", "2, 3"]


def test_a_header_beside_one_sent_twice_is_listed():
    assert Headers.decode([(b"A", b"1"), (b"A", b"2"), (b"B", b"3")]).list("B") == ["3"]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        FIELDS,
        [(b"A", b"1"), (b"COOKIE", b"a=1"), (b"A", b""), (b"COOKIE", b"b:2")],
    ],
)
def test_headers_are_read_from_a_head_as_from_its_fields(fields):
    lines = b"".join(b"%b:\t %b \r\n" % (name.lower(), text) for name, text in fields)
    read = Headers.read(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")
    decoded = Headers.decode(fields)
    assert spelled(read) == spelled(decoded)
    assert [read.list(name) for name in read] == [
        decoded.list(name) for name in decoded
    ]


def test_subclasses_of_headers_decode_to_themselves():
    class Mine(Headers):
        pass

    assert type(Mine.decode(FIELDS)) is Mine
    assert type(Mine.read(b"GET / HTTP/1.1\r\n\r\n")) is Mine


def spelled(headers):
    """List what would be sent: an equality of Headers takes no notice of case."""
    return [*dict.items(headers)]


READS = {
    "index": lambda headers, name: headers[name],
    "get": lambda headers, name: headers.get(name),
    "setdefault": lambda headers, name: headers.setdefault(name, "no"),
    "pop": lambda headers, name: headers.pop(name),
    "list": lambda headers, name: headers.list(name)[0],
    "in": lambda headers, name: "x" if name in headers else None,
    "keys": lambda headers, name: "x" if name in headers.keys() else None,  # noqa: SIM118
}


@pytest.mark.parametrize("name", ["X-Name", "x-name", "X-NAME"])
@pytest.mark.parametrize("written", ["X-Name", "x-name", "X-NAME"])
@pytest.mark.parametrize("read", READS)
def test_what_was_set_is_found_in_any_case(read, written, name):
    headers = Headers.decode(FIELDS[:1])
    headers["Other"] = "y"
    headers[written] = "x"
    assert READS[read](headers, name) == "x"


@pytest.mark.parametrize(
    "write",
    [
        lambda headers: headers.__setitem__("x-name", "y"),
        lambda headers: headers.update({"x-name": "y"}),
        lambda headers: headers.update([("x-name", "y")]),
        lambda headers: headers.__ior__({"x-name": "y"}),
    ],
)
def test_a_field_that_is_set_again_keeps_its_place_and_its_spelling(write):
    headers = Headers({"X-Name": "x", "Other": "z"})
    write(headers)
    assert spelled(headers) == [("X-Name", "y"), ("Other", "z")]


def test_a_field_that_is_updated_by_keyword_is_found_in_any_case():
    headers = Headers({"VIA": "x"})
    headers.update(via="y")
    assert spelled(headers) == [("VIA", "y")]


@pytest.mark.parametrize(
    "remove",
    [
        lambda headers: headers.__delitem__("x-name"),
        lambda headers: headers.pop("x-name"),
        lambda headers: headers.popitem(),
        lambda headers: headers.clear(),
    ],
)
def test_a_field_that_was_removed_is_spelled_anew(remove):
    headers = Headers({"X-NAME": "x"})
    remove(headers)
    assert not headers
    assert "X-NAME" not in headers
    headers["X-Name"] = "y"
    assert spelled(headers) == [("X-Name", "y")]


def test_removing_what_is_not_there_is_a_key_error():
    headers = Headers({"A": "1"})
    with pytest.raises(KeyError, match="B"):
        del headers["B"]
    with pytest.raises(KeyError, match="B"):
        headers.pop("B")
    assert headers.pop("B", None) is None


@pytest.mark.parametrize("name", [1, b"A", None])
def test_a_name_that_is_no_string_is_refused(name):
    with pytest.raises(TypeError, match="is not a string"):
        Headers()[name] = "x"


def test_fields_from_the_constructor_are_one_for_each_name():
    assert spelled(Headers({"Via": "1", "VIA": "2"})) == [("Via", "2")]
    assert spelled(Headers([("Via", "1"), ("via", "2")])) == [("Via", "2")]
    assert spelled(Headers.fromkeys(["Via", "via"], "1")) == [("Via", "1")]
    assert spelled(Headers()) == spelled(Headers.empty()) == []


def test_fields_are_equal_in_any_case():
    headers = Headers({"Via": "1", "Age": "2"})
    assert headers == {"AGE": "2", "via": "1"}
    assert headers == Headers({"age": "2", "VIA": "1"})
    assert headers != {"Via": "1"}
    assert headers != {"Via": "1", "Age": "3"}
    assert headers != {"Via": "1", 2: "2"}
    assert headers != [("Via", "1"), ("Age", "2")]
    with pytest.raises(TypeError, match="unhashable"):
        hash(headers)


def test_fields_are_merged_in_any_case():
    headers = Headers({"Via": "1"})
    merged = headers | {"VIA": "2", "Age": "3"}
    assert type(merged) is Headers
    assert spelled(merged) == [("Via", "2"), ("Age", "3")]
    merged = {"VIA": "2", "Age": "3"} | headers
    assert type(merged) is Headers
    assert spelled(merged) == [("VIA", "1"), ("Age", "3")]
    assert spelled(headers) == [("Via", "1")]
    with pytest.raises(TypeError):
        headers | 1
    with pytest.raises(TypeError):
        1 | headers


@pytest.mark.parametrize(
    "duplicate",
    [
        Headers.copy,
        copy.copy,
        copy.deepcopy,
        lambda headers: pickle.loads(pickle.dumps(headers)),
    ],
)
def test_a_copy_is_one_of_its_own_with_all_there_is(duplicate):
    headers = Headers.decode([(b"A", b"1"), (b"A", b"2"), (b"B", b"3")])
    headers["Via"] = "4"
    copied = duplicate(headers)
    assert type(copied) is Headers
    assert spelled(copied) == [("A", "1, 2"), ("B", "3"), ("Via", "4")]
    assert copied.list("a") == ["1", "2"]
    copied["VIA"] = "5"
    assert headers["via"] == "4"


def test_a_field_that_is_set_over_a_repeated_one_has_one_value():
    headers = Headers.decode([(b"A", b"1"), (b"A", b"2")])
    headers["a"] = "3"
    assert headers.list("A") == ["3"]


def test_a_list_lists_its_items():
    headers = Headers({"Link": ["<a>", "<b>"]})
    assert headers["link"] == headers.list("LINK") == ["<a>", "<b>"]
    headers.list("Link").clear()
    assert headers["link"] == ["<a>", "<b>"]


NAMES = st.sampled_from(["Via", "VIA", "via", "Age", "AGE", "E-Tag", "e-tag", "X"])


@given(
    st.lists(st.sampled_from([b"VIA", b"AGE"]), unique=True),
    st.lists(st.tuples(st.sampled_from(["set", "pop", "setdefault"]), NAMES)),
)
def test_fields_are_always_those_of_one_name(sent, steps):
    headers = Headers.decode([(name, b"0") for name in sent])
    expected = {name.decode(): (name.decode(), "0") for name in sent}
    for number, (step, name) in enumerate(steps):
        known = expected.get(name.upper())
        if step == "set":
            headers[name] = number
            expected[name.upper()] = (known[0] if known else name, number)
        elif step == "pop":
            assert headers.pop(name, None) == (known and known[1])
            expected.pop(name.upper(), None)
        else:
            assert headers.setdefault(name, number) == (known[1] if known else number)
            expected.setdefault(name.upper(), (name, number))
        assert spelled(headers) == [*expected.values()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        ("a=&b", {"a": [""], "b": [""]}),
        ("&&a=1&", {"a": ["1"]}),
        ("=1", {"": ["1"]}),
        ("a=b=c", {"a": ["b=c"]}),
        ("a;b=1;2", {"a;b": ["1;2"]}),
        ("a+b=c+d", {"a b": ["c d"]}),
        ("a%2Bb=%20%26%3D", {"a+b": [" &="]}),
        ("caf%C3%A9=%e2%82%ac", {"café": ["€"]}),
        ("é=%41é", {"é": ["Aé"]}),
        ("a=100%&b=%zz&c=%4", {"a": ["100%"], "b": ["%zz"], "c": ["%4"]}),
        ("a=%%41%&b=%4%41%%%&c=%3D=%3d", {"a": ["%A%"], "b": ["%4A%%%"], "c": ["==="]}),
        ("a=%0D\r%0A\n%\r%\n%=%\x00_", {"a": ["\r\r\n\n%\r%\n%=%\x00_"]}),
        ("a=\xff%\u0660%1\u0661", {"a": ["\xff%\u0660%1\u0661"]}),
        (r"a=\x41\n%5C\u00e9%0A", {"a": ["\\x41\\n\\\\u00e9\n"]}),
    ],
)
def test_urlencoded_data_is_read_as_parse_qs_does(text, expected):
    assert parse_urlencoded(text, 100) == expected
    assert parse_qs(text, keep_blank_values=True) == expected


@given(
    st.text(st.sampled_from("ab=&+%4129cC3é\\x\n\x00") | st.characters(codec="utf8"))
)
def test_urlencoded_data_is_always_read_as_parse_qs_does(text):
    try:
        expected = parse_qs(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        assert refusal(parse_urlencoded, text, 1000)[0] == 400
    else:
        assert parse_urlencoded(text, 1000) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("a=%ff", "a=%ff%", "a=%%fe", "%C3=1", "a=%ED%A0%80", "a=%41\ud800"),
        *("%41\ud800=", "%41&\ud800"),
    ],
)
def test_urlencoded_data_that_is_no_utf8_is_a_400(text):
    assert refusal(parse_urlencoded, text, 9) == (400, "Unparsable urlencoded body")
    assert refusal(parse_urlencoded, text, 9, unparsable="No") == (400, "No")


def test_too_many_fields_have_their_own_status():
    assert len(parse_urlencoded("a=1&b=2", 2)) == 2
    assert refusal(parse_urlencoded, "a=1&b=2&c=3", 2) == (400, "Too many fields")
    too_many = refusal(parse_urlencoded, "a&b&c", 2, too_many=413)
    assert too_many == (413, "Too many fields")


@pytest.mark.parametrize(
    "piece",
    [
        "%41",
        "a%41",
        "%",
        "%z",
        "=",
        "+",
        "é%41",
        "\\%",
        "%\\",
        "+%",
        "%4",
        "=%",
        "%%41",
    ],
)
def test_a_mebibyte_of_urlencoded_data_takes_no_time(piece, cost):
    text = piece * (2**20 // len(piece))
    assert list(map(len, parse_urlencoded(text, 1000).values())) == [1]
    # Some 0.9 at most; with an expression 3.
    assert cost(parse_urlencoded, text, 1000) < 2.4


def test_a_thousand_fields_of_stray_signs_take_no_time(cost):
    text = "&".join(["%=" + "%" * 1040] * 1000)
    assert cost(parse_urlencoded, text, 1000) < 2.4


def test_a_mebibyte_of_separators_is_refused_in_no_time():
    text = "&" * 2**20
    start = time.process_time()
    assert refusal(parse_urlencoded, text, 1000) == (400, "Too many fields")
    assert time.process_time() - start < patience(1)
