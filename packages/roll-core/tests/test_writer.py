from datetime import date
from decimal import Decimal
from enum import Enum
from http import HTTPStatus

import pytest
from roll import Response
from roll.cookies import Cookie, Cookies
from roll.http11 import writer
from roll.http11.body import LARGE
from roll.response import Preset


def test_every_known_status_has_a_line_with_its_phrase():
    assert writer.STATUS_LINES[404] == b"HTTP/1.1 404 Not Found\r\n"
    assert writer.STATUS_LINES.keys() == set(HTTPStatus)


def test_the_statuses_without_a_body_are_1xx_204_205_and_304():  # RFC 9110, 6.4.1
    assert sorted(writer.BODILESS) == [100, 101, 102, 103, 204, 205, 304]


def test_fields_are_written_in_the_order_set():
    fields = {"X-B": "2", "X-A": 1}
    assert writer.fields(202, fields) == (b"X-B: 2\r\nX-A: 1\r\n", None, False)


def test_each_cookie_is_a_field():
    jar = Cookies()
    jar.set("a", "1")
    jar.set("b", "\xe9")
    assert writer.cookies(jar) == (
        b"Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=%C3%A9; Path=/\r\n"
    )


@pytest.mark.parametrize("value", ["text/html", "", "\xe9", "a" * 5000])
def test_a_content_type_is_written_as_other_fields(value):
    assert writer.content_type(value) == writer.fields(200, {"Content-Type": value})[0]


@pytest.mark.parametrize("evil", ["\r", "\n", "\r\nX: 1", "\0", "\u20ac"])
def test_no_content_type_can_split_a_head(evil):
    for _ in range(2):  # nothing of it is kept
        with pytest.raises(ValueError, match="latin-1"):
            writer.content_type(evil)


@pytest.mark.parametrize(
    ("headers", "lines"),
    [
        (
            {"Content-Type": "text/plain", "Vary": "Cookie"},
            "Content-Type: text/plain\r\nVary: Cookie\r\n",
        ),
        (
            {"Vary": "A", "Cache-Control": "private", "Content-Type": "\xe9"},
            "Vary: A\r\nCache-Control: private\r\nContent-Type: \xe9\r\n",
        ),
        (
            {"content-type": "text/plain", "Vary": "A"},
            "content-type: text/plain\r\nVary: A\r\n",
        ),
        (
            {"Content-Type": "text/plain", "Vary": ["A", "B"]},
            "Content-Type: text/plain\r\nVary: A\r\nVary: B\r\n",
        ),
        (
            {"Content-Type": "text/plain", "Cache-Control": 1},
            "Content-Type: text/plain\r\nCache-Control: 1\r\n",
        ),
        (
            {"Content-Type": "text/plain", "Cache-Control": True},
            "Content-Type: text/plain\r\nCache-Control: True\r\n",
        ),
    ],
)
@pytest.mark.parametrize("body", [b"", b"Hello"])
def test_usual_fields_are_written_as_others_are(headers, lines, body):
    response = Response(None, None)
    response.headers, response.body = headers, body
    head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(body)}\r\n"
    assert writer.frame(response) == head.encode("latin-1") + b"\r\n" + body


@pytest.mark.parametrize("name", ["Content-Type", "Vary", "Cache-Control"])
@pytest.mark.parametrize("evil", ["\r\nX: 1", b"a", None])
def test_no_usual_field_can_split_a_head(name, evil):
    for _ in range(2):  # nothing of it is kept
        response = Response(None, None)
        response.headers = {"Content-Type": "a", "Vary": "b", name: evil}
        with pytest.raises((TypeError, ValueError), match=name):
            writer.frame(response)


@pytest.mark.parametrize("values", [["a", "b"], ("a", "b")])
def test_a_list_or_tuple_becomes_repeated_lines(values):
    written = b"Vary: a\r\nVary: b\r\n"
    assert writer.fields(200, {"Vary": values}) == (written, None, False)


def test_an_empty_list_becomes_no_line():
    assert writer.fields(200, {"Vary": []}) == (b"", None, False)


@pytest.mark.parametrize("name", ["Content-Length", "content-length"])
def test_the_content_length_is_read_from_the_fields(name):
    line = f"{name}: 17\r\n".encode()
    assert writer.fields(200, {name: 17}) == (line, 17, False)
    assert writer.fields(200, {name: "17"}) == (line, 17, False)


@pytest.mark.parametrize(
    ("status", "sent"),
    [(101, False), (204, False), (304, True), (200, True)],
)
def test_1xx_and_204_never_have_a_content_length(status, sent):  # RFC 9110, 8.6
    lines, length, _ = writer.fields(status, {"Content-Length": 3})
    assert (b"Content-Length" in lines) is sent
    assert length == 3


@pytest.mark.parametrize(
    ("value", "closes"),
    [
        ("close", True),
        ("Close", True),
        ("x, close", True),
        (["x", "close"], True),
        ("keep-alive", False),
        ("Upgrade", False),
    ],
)
def test_the_connection_field_says_whether_to_close(value, closes):  # RFC 9112, 9.6
    assert writer.fields(200, {"Connection": value})[2] is closes


CONTROLS = [*map(chr, range(0x20)), "\x7f"]
CONTROLS.remove("\t")


@pytest.mark.parametrize("evil", [*CONTROLS, "\r\nX-Evil: 1", "\u20ac", "\ud800"])
@pytest.mark.parametrize(
    "fields",
    [
        lambda evil: {"X": f"a{evil}b"},
        lambda evil: {"X": evil},
        lambda evil: {"X": ["a", f"b{evil}"]},
        lambda evil: {"Location": evil, "X": "a"},
        lambda evil: {"Content-Length": "3", "X": f"b{evil}"},
    ],
    ids=["a part", "all", "in a list", "Location", "behind a length"],
)
def test_no_value_holds_a_control_or_what_latin_1_lacks(fields, evil):  # RFC 9110, 5.5
    if "Location" in fields(evil) and evil == "\u20ac":  # it is percent-encoded
        assert writer.fields(200, fields(evil))[0] == b"Location: %E2%82%AC\r\nX: a\r\n"
        return
    with pytest.raises(ValueError, match="a control character") as caught:
        writer.fields(200, {"Authorization": "secret", **fields(evil)})
    assert str(caught.value).startswith(("the header 'X' ", "the header 'Location' "))
    assert evil not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None  # that would show the text, too


def test_a_value_may_hold_tabs_and_what_latin_1_has():
    value = "a\tb\x80\xa0\xe9\xff"
    assert writer.fields(200, {"X": value})[0] == f"X: {value}\r\n".encode("latin-1")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "X Y",
        "X:",
        ":X",
        "X\t",
        " X",
        "X ",
        "X\r\nY",
        "X\0",
        "X\xe9",
        "X\u20ac",
        "(X)",
    ],
)
def test_a_name_is_a_token(name):  # RFC 9110, 5.1
    with pytest.raises(ValueError, match="is not a token") as caught:
        writer.fields(200, {"Authorization": "secret", name: "hidden"})
    assert repr(name) in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X": b"hidden"}, "the header 'X' is bytes: give a string"),
        ({"X": ["a", b"hidden"]}, "the header 'X' is bytes: give a string"),
        ({"X": bytearray(b"a")}, "the header 'X' is bytearray: give a string"),
        ({"X": None}, "the header 'X' is NoneType: give a string"),
        ({"X": {"a": 1}}, "the header 'X' is dict: give a string"),
        ({"X": [{"a"}]}, "the header 'X' is set: give a string"),
        ({"X": [["a"]]}, "the header 'X' is list: give a string"),
        ({"X": object()}, "the header 'X' is object: give a string"),
        (
            {"Location": print},
            "the header 'Location' is builtin_function_or_method: give a string",
        ),
        ({"X": (None,)}, "the header 'X' is NoneType: give a string"),
        ({b"X": "hidden"}, "the header name b'X' is not a string"),
        ({None: "hidden"}, "the header name None is not a string"),
        ({1: "hidden"}, "the header name 1 is not a string"),
    ],
)
def test_names_and_values_are_text(headers, message):
    for _ in range(2):  # nothing of it is kept
        with pytest.raises(TypeError) as caught:
            writer.fields(200, headers)
        assert str(caught.value) == message


def test_values_with_a_text_of_their_own_are_sent_as_that():
    values = [1, 1.5, True, HTTPStatus.OK, date(2026, 1, 2), Colour.RED, Decimal("1.0")]
    lines = b"X: 1\r\nX: 1.5\r\nX: True\r\nX: 200\r\nX: 2026-01-02\r\n"
    lines += b"X: Colour.RED\r\nX: 1.0\r\n"
    assert writer.fields(200, {"X": values})[0] == lines


Colour = Enum("Colour", "RED")


@pytest.mark.parametrize("evil", [*CONTROLS, "\r\n", "\u20ac"])
def test_no_cookie_can_split_a_head(evil):
    with pytest.raises(ValueError, match="a control character") as caught:
        writer.cookies({"a": Cookie("a", "secret", path=f"{evil}X: 1")})
    assert str(caught.value).startswith("the header 'Set-Cookie: a' ")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["", "-1", "+1", "1 ", "0x1", "1.0", "1,1", "\u0661", None, [1], 1.5, b"1"]
)
def test_a_content_length_is_ascii_digits(value):  # RFC 9110, 8.6
    with pytest.raises(ValueError, match="Content-Length is not a number of bytes"):
        writer.fields(200, {"Content-Length": value})


@pytest.mark.parametrize("name", ["Transfer-Encoding", "transfer-encoding"])
def test_transfer_encoding_is_not_a_views_to_set(name):
    with pytest.raises(ValueError, match="Transfer-Encoding cannot be set"):
        writer.fields(200, {name: "chunked"})


@pytest.mark.parametrize(
    ("data", "framed"),
    [
        (b"a", b"1\r\na\r\n"),
        (bytearray(b"0123456789abcdef"), b"10\r\n0123456789abcdef\r\n"),
        (memoryview(b"\r\n"), b"2\r\n\r\n\r\n"),
        (bytes(LARGE - 1), b"3fff\r\n%b\r\n" % bytes(LARGE - 1)),
        (bytearray(LARGE), (b"4000\r\n", bytes(LARGE), b"\r\n")),
    ],
)
def test_a_chunk_has_its_size_in_hexadecimal(data, framed):  # RFC 9112, 7.1
    assert writer.chunk(data) == framed


def test_a_large_chunk_is_not_copied():
    data = bytes(LARGE)
    assert writer.chunk(data)[1] is data


def test_the_last_chunk_is_empty_and_has_no_trailers():  # RFC 9112, 7.1
    assert writer.LAST_CHUNK == b"0\r\n\r\n"


def test_a_continue_is_a_whole_head():  # RFC 9110, 15.2.1
    assert writer.CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"


class Stream:
    async def __aiter__(self):
        raise NotImplementedError  # a response without content never reads it
        yield


@pytest.mark.parametrize("body", [b"", b"hello", "hello", None, Stream()])
@pytest.mark.parametrize("headers", [{}, {"Content-Length": "5"}])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_205_has_no_content(body, headers, method):  # RFC 9110, section 15.3.6
    response = Response(None, None)
    response.status = 205
    response.body = body
    response.headers.update(headers)
    assert response.size == 0
    expected = b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"
    sent = writer.frame(response, method)
    if isinstance(sent, writer.Framed):  # of a stream
        assert (sent.body, sent.close) == (None, False)
        sent = sent.head
    assert sent == expected


@pytest.mark.parametrize("set_by_view", [False, True])
def test_a_view_for_head_may_have_no_length(set_by_view):  # RFC 9110, section 9.3.2
    response = Response(None, None)
    if set_by_view:
        response.headers["Content-Length"] = "5"
    lines = b"Content-Length: 5\r\n" if set_by_view else b""
    assert writer.frame(response, "HEAD") == b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n"


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("Location", "/seg/\xe9", "/seg/%C3%A9"),
        ("location", "/seg/\u65e5\u672c", "/seg/%E6%97%A5%E6%9C%AC"),
        ("LOCATION", "/a b?c=d e#f", "/a%20b?c=d%20e#f"),
        ("Location", "/a%20b%zz", "/a%20b%zz"),
        ("Location", "https://[::1]:8/x?a=b&c=d;e,f", "https://[::1]:8/x?a=b&c=d;e,f"),
        ("Location", '/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("Content-Location", "/\xe9", "/%C3%A9"),
        ("Link", '</\xe9 x>; rel="next"', '</%C3%A9%20x>; rel="next"'),
        ("Link", '</a>; rel="next", </b c>', '</a>; rel="next", </b%20c>'),
        ("X", "/a b", "/a b"),
    ],
)
def test_what_no_uri_holds_is_percent_encoded(name, value, sent):  # RFC 3986, 2
    assert writer.fields(302, {name: value})[0] == f"{name}: {sent}\r\n".encode()
    lines = f"{name}: {sent}\r\n{name}: {sent}\r\n".encode()
    assert writer.fields(302, {name: [value, value]})[0] == lines


class TypedApp:
    default_content_type = "text/plain; charset=utf-8"


class PlainApp:
    default_content_type = None


NOSNIFF = b"X-Content-Type-Options: nosniff\r\n"
DEFAULT = b"Content-Type: text/plain; charset=utf-8\r\n"


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("app", "extra", "headers", "lines"),
    [
        (PlainApp(), b"", {}, b""),
        (PlainApp(), b"Date: x\r\n", {}, NOSNIFF),
        (None, b"Date: x\r\n", {}, NOSNIFF),
        (TypedApp(), b"Date: x\r\n", {}, DEFAULT),
        (TypedApp(), b"", {}, DEFAULT),
        (TypedApp(), b"", {"content-type": "a/b"}, b"content-type: a/b\r\n"),
        (PlainApp(), b"Date: x\r\n", {"Content-Type": "a/b"}, b"Content-Type: a/b\r\n"),
    ],
)
def test_a_body_without_a_type_is_not_guessed_at(app, extra, headers, lines, large):
    response = Response(app, None)
    response.headers = headers
    response.body = bytes(100_000 if large else 1)
    sent = writer.frame(response, extra=extra)
    head = (sent.head if large else sent).partition(b"\r\n\r\n")[0] + b"\r\n"
    assert (NOSNIFF in head, DEFAULT in head) == (lines == NOSNIFF, lines == DEFAULT)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n" + lines)


@pytest.mark.parametrize(
    "change",
    [
        lambda response: setattr(response, "body", b""),
        lambda response: setattr(response, "status", 204),
        lambda response: response.headers.update({"X-Content-Type-Options": "x"}),
    ],
)
def test_what_needs_no_type_gets_none(change):
    response = Response(None, None)
    response.body = b"a"
    change(response)
    assert NOSNIFF not in writer.frame(response, extra=b"Date: x\r\n")


def test_a_stream_without_a_type_is_not_guessed_at():
    response = Response(None, None)
    response.body = Stream()
    assert NOSNIFF in writer.frame(response, extra=b"Date: x\r\n").head


TYPE = {"Content-Type": "text/css"}
FILE = {"ETag": '"a"', **TYPE, "content-Length": "2"}


@pytest.mark.parametrize("fields", [TYPE, FILE, {**TYPE, "Link": "</\xe9>"}])
@pytest.mark.parametrize("more", [{}, {"X": "y"}])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [200, 204, 404])
def test_a_preset_is_sent_as_its_fields_are(fields, more, method, status):
    def answer(write):
        response = Response(None, None)
        response.body, response.status = b"ab", status
        write(response)
        response.headers.update(more)
        return writer.frame(response, method)

    def lines(sent):
        head, _, body = sent.partition(b"\r\n\r\n")
        return sorted(head.lower().split(b"\r\n")), body

    preset = Preset(fields)
    sent = [answer(lambda response: response.use(preset)) for _ in range(2)]
    wanted = answer(lambda response: response.headers.update(fields))
    assert [lines(each) for each in sent] == [lines(wanted)] * 2


def test_a_preset_that_is_alone_is_written_once():
    preset = Preset(FILE)
    heads = []
    for body in (b"ab", b"cd"):
        response = Response(None, None)
        response.use(preset)
        response.body = body
        heads.append(writer.frame(response))
    first = preset.lines
    assert first == b'ETag: "a"\r\nContent-Type: text/css\r\n'
    assert heads[0] == b"HTTP/1.1 200 OK\r\n" + first + b"Content-Length: 2\r\n\r\nab"
    assert heads[1] == heads[0][:-2] + b"cd"


def test_the_length_of_a_preset_is_that_of_the_body():
    response = Response(None, None)
    response.use(Preset(FILE))
    response.body = b"abc"
    with pytest.raises(ValueError, match="Content-Length is 2, the body has 3 bytes"):
        writer.frame(response)


def test_a_preset_adds_to_what_is_set():
    response = Response(None, None)
    response.json = 1
    response.use(Preset({"content-type": "text/css", "X": "y"}))
    assert response.headers == {"Content-Type": "text/css", "X": "y"}
    response.use(Preset(TYPE))
    response.json = 2
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    "fields", [{}, {"X": "y"}, {**TYPE, "date": "x"}, {**TYPE, "Set-Cookie": "a=b"}]
)
def test_some_fields_are_not_for_a_preset(fields):
    with pytest.raises(ValueError, match="give a Content-Type, and set connection"):
        Preset(fields)
