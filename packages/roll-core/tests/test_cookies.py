import math
import re
import time
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roll import Cookies
from roll_testing import patience

PARIS = timezone(timedelta(hours=2))
EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
NOON = datetime(2024, 7, 9, 12, 30, 5)


def set_cookie(*args, **options):
    cookies = Cookies()
    cookies.set(*args, **options)
    ((name, cookie),) = cookies.items()
    assert name == args[0]
    return str(cookie)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        ("  a = 1 ;\tb\t=\t2\t; ", {"a": "1", "b": "2"}),
        ("a=; b=2", {"a": "", "b": "2"}),
        ("a=b=c==", {"a": "b=c=="}),
        ("a=b c; d e=f", {"a": "b c", "d e": "f"}),
        (";; a=1;;", {"a": "1"}),
        ("flag; a=1", {"": "flag", "a": "1"}),
        ("=flag", {"": "flag"}),
        ('a="b c"', {"a": "b c"}),
        (r'a="\"b\\c\""; d="\054\303"', {"a": '"b\\c"', "d": ",Ã"}),
        (r'a="\04541%41\x"', {"a": "%41A\\x"}),
        (r"a=C:\temp\041", {"a": r"C:\temp\041"}),
        ('a="', {"a": '"'}),
        ('a=""', {"a": ""}),
        ('a=b"c"', {"a": 'b"c"'}),
        ("a=%20%41", {"a": " A"}),
        ("theme={%22dark%22:true}", {"theme": '{"dark":true}'}),
    ],
)
def test_a_cookie_header_is_read(header, expected):
    assert Cookies.parse(header) == expected


@pytest.mark.parametrize("value", ["100%", "%zz", "%4", "a%41%", "%E9", "%C3x%A9"])
def test_invalid_percent_sequences_are_kept_as_they_came(value):
    assert Cookies.parse(f"a={value}; b=1") == {"a": value, "b": "1"}
    assert Cookies.parse(f'a="{value}"') == {"a": value}


def test_a_semicolon_in_quotes_ends_the_value():
    """Or a cookie could swallow the one after it (RFC 6265, section 5.2)."""
    assert Cookies.parse('a="x; sid=1; b=y"') == {"a": '"x', "sid": "1", "b": 'y"'}


def test_a_field_of_any_length_is_read_whole():
    header = "; ".join(f"name{i}=value{i}" for i in range(400))
    expected = {f"name{i}": f"value{i}" for i in range(400)}
    assert Cookies.parse(header) == expected
    assert Cookies.parse("a=" + "x" * 4094) == {"a": "x" * 4094}
    assert Cookies.parse("a=" + "x" * 4095) == {"a": "x" * 4095}


def test_percent_encoded_utf8_is_decoded():
    assert Cookies.parse("a=caf%C3%A9; b=1") == {"a": "café", "b": "1"}


def test_a_comma_does_not_end_a_value():
    assert Cookies.parse("a=1,2; b=3") == {"a": "1,2", "b": "3"}


def test_the_first_of_two_equal_names_is_kept():
    assert Cookies.parse("a=first; a=last; b=1") == {"a": "first", "b": "1"}


def test_a_max_age_of_0_is_sent():
    assert set_cookie("a", "b", max_age=0) == "a=b; Max-Age=0; Path=/"


@pytest.mark.parametrize("char", ["\r", "\n", "\r\nSet-Cookie: b=1", "\0", ";", "\x7f"])
@pytest.mark.parametrize("argument", ["name", "path", "domain", "samesite"])
def test_separators_are_refused(argument, char):
    options = {"name": "a", "value": "b", argument: f"Lax{char}"}
    with pytest.raises(ValueError, match=f"its {argument} "):
        Cookies().set(**options)


def test_a_partitioned_cookie_can_be_set():
    expected = "a=b; Path=/; Secure; Partitioned"
    assert set_cookie("a", "b", secure=True, partitioned=True) == expected


def test_aware_datetimes_are_sent_in_gmt():
    aware = NOON.replace(tzinfo=PARIS)
    expected = "a=b; Expires=Tue, 09 Jul 2024 10:30:05 GMT; Path=/"
    assert set_cookie("a", "b", expires=aware) == expected


@pytest.mark.parametrize("expires", [NOON, NOON.replace(tzinfo=UTC)])
def test_naive_datetimes_are_utc(expires):
    expected = "a=b; Expires=Tue, 09 Jul 2024 12:30:05 GMT; Path=/"
    assert set_cookie("a", "b", expires=expires) == expected


@pytest.mark.parametrize("expires", [datetime.min, datetime(1600, 1, 1, tzinfo=UTC)])
def test_a_date_that_browsers_would_ignore_is_one_that_has_passed(expires):
    expected = "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"
    assert set_cookie("a", "b", expires=expires) == expected


def test_the_last_date_can_be_sent():
    expected = "a=b; Expires=Fri, 31 Dec 9999 23:59:59 GMT; Path=/"
    assert set_cookie("a", "b", expires=datetime.max) == expected


@given(st.datetimes(min_value=datetime(1970, 1, 1)))
def test_every_date_is_sent_in_english(expires):
    expected = format_datetime(expires.replace(tzinfo=UTC), usegmt=True)
    assert set_cookie("a", "b", expires=expires, path="") == f"a=b; Expires={expected}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "a=b; Path=/"),
        ({"path": "/x"}, "a=b; Path=/x"),
        ({"path": ""}, "a=b"),
        ({"max_age": 60}, "a=b; Max-Age=60; Path=/"),
        ({"max_age": -1}, "a=b; Max-Age=-1; Path=/"),
        ({"domain": "example.org"}, "a=b; Domain=example.org; Path=/"),
        ({"secure": True}, "a=b; Path=/; Secure"),
        ({"httponly": True}, "a=b; Path=/; HttpOnly"),
        ({"samesite": "lax"}, "a=b; Path=/; SameSite=Lax"),
        ({"samesite": "None"}, "a=b; Path=/; SameSite=None"),
    ],
)
def test_attributes_are_sent_when_given(options, expected):
    assert set_cookie("a", "b", **options) == expected


def test_attributes_have_one_order():
    everything = set_cookie(
        *("a", "b", 60, NOON, True, True, "/x", "example.org"),
        samesite="Strict",
        partitioned=True,
    )
    assert everything == (
        "a=b; Expires=Tue, 09 Jul 2024 12:30:05 GMT; Max-Age=60; Domain=example.org;"
        " Path=/x; Secure; HttpOnly; SameSite=Strict; Partitioned"
    )


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("", '""'),
        ("abc-1.2", "abc-1.2"),
        ("a b", '"a b"'),
        ("a,b;c", r'"a\054b\073c"'),
        ('"', r'"\""'),
        ("\r\n\0", r'"\015\012\000"'),
        ("100%", "100%25"),
        ("%41", "%2541"),
        ("é", "%C3%A9"),
        ('€ "', "%E2%82%AC%20%22"),
    ],
)
def test_values_are_quoted(value, sent):
    assert set_cookie("a", value, path="") == f"a={sent}"
    assert Cookies.parse(f"a={sent}") == {"a": value}


TOKEN = "!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:"


@pytest.mark.parametrize("char", [chr(code) for code in range(128)], ids=ascii)
def test_an_ascii_character_is_sent_plain_quoted_or_escaped(char):
    if char in TOKEN:
        expected = char
    elif char == "%":
        expected = "%25"
    elif char in '"\\':
        expected = f'"\\{char}"'
    elif char in ",;" or not char.isprintable():
        expected = f'"\\{ord(char):03o}"'
    else:
        expected = f'"{char}"'
    assert set_cookie("a", char, path="") == f"a={expected}"


NAMES = st.text(st.sampled_from("abcXYZ019!#$&'*+-.^_`|~[]:/@"), min_size=1)


@given(NAMES, st.text(st.characters(codec="utf8")))
def test_every_value_comes_back(name, value):
    sent = set_cookie(name, value, path="")
    assert sent.isascii()
    assert sent.isprintable()
    assert ";" not in sent
    assert Cookies.parse(f"first=1; {sent}; last=2")[name] == value


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a=b", "a,b", 'a"', "a\\", "é", "a\n"]
)
def test_a_name_that_cannot_be_sent_is_refused(name):
    with pytest.raises(ValueError, match="its name "):
        Cookies().set(name, "b")


@pytest.mark.parametrize(
    ("options", "error", "argument"),
    [
        ({"value": 1}, TypeError, "value"),
        ({"value": None}, TypeError, "value"),
        ({"value": "\ud800"}, ValueError, "value"),
        ({"max_age": "soon"}, ValueError, "max_age"),
        ({"max_age": []}, ValueError, "max_age"),
        ({"max_age": math.inf}, ValueError, "max_age"),
        ({"max_age": math.nan}, ValueError, "max_age"),
        ({"expires": datetime.min.replace(tzinfo=EAST)}, ValueError, "expires"),
        ({"expires": datetime.max.replace(tzinfo=WEST)}, ValueError, "expires"),
        ({"expires": "Tue, 09 Jul 2024 12:30:05 GMT"}, TypeError, "expires"),
        ({"path": "/é"}, ValueError, "path"),
        ({"domain": "é.fr"}, ValueError, "domain"),
        ({"samesite": "Maybe"}, ValueError, "samesite"),
    ],
)
def test_an_argument_that_cannot_be_sent_is_named(options, error, argument):
    cookies = Cookies()
    with pytest.raises(error, match=f"its {argument} "):
        cookies.set("a", **{"value": "b", **options})
    assert cookies == {}


def test_subclasses_parse_to_themselves():
    class Mine(Cookies):
        pass

    for header in ("a=1", 'a="1"', "a=1; a=2"):
        assert type(Mine.parse(header)) is Mine


@pytest.mark.parametrize(
    "piece", [";", "a;", "a=1;", "%41", "%", '"', "\\", '\\"', ",", "=", " ", 'a="%;']
)
def test_64_kib_of_anything_take_no_time(piece):
    header = piece * (65536 // len(piece))
    start = time.process_time()
    Cookies.parse(header)
    Cookies.parse(f'a="{header}"')
    assert time.process_time() - start < patience(1)


@pytest.mark.parametrize("year", [1, 999, 1970, 2026, 9999])
def test_a_year_has_four_digits(year):  # RFC 6265, section 4.1.1
    cookies = Cookies()
    cookies.set("a", "b", expires=datetime(year, 1, 2))
    (date,) = re.findall("Expires=([^;]*)", str(cookies["a"]))
    assert re.fullmatch(r"\w{3}, \d\d Jan \d{4} 00:00:00 GMT", date), date


def test_a_value_that_is_no_string_says_what_to_write():
    with pytest.raises(TypeError, match=r"^cookie 'a': its value is int: write str\("):
        Cookies().set("a", 1)
