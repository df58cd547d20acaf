import io
import json
import re

import pytest
from roll_testing.message import Message, add_params

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def message(method="POST", target="/", fields=None, **content):
    message = Message(method, target)
    message.add_fields(fields or {})
    message.set_content(**content)
    return message


def sent(**options):
    """Give the header lines, without the request line, and the body."""
    made = message(**options)
    head = made.head().decode("latin-1")
    assert head.endswith("\r\n\r\n")
    return head.split("\r\n")[1:-2], made.body


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("/", b"GET / HTTP/1.1"),
        ("/café/été?q=né&r=%C3%A9", b"GET /caf%C3%A9/%C3%A9t%C3%A9?q=n%C3%A9&r=%C3%A9"),
        ("/a b\n", b"GET /a%20b%0A HTTP/1.1"),
        ("*", b"GET * HTTP/1.1"),
        ("http://x/#'\"<>[]", b"GET http://x/#'\"<>[] HTTP/1.1"),
    ],
)
def test_a_target_is_sent_as_given_where_it_can_be(target, line):
    assert message("GET", target).head().startswith(line)


def test_a_field_is_replaced_in_any_case_repeated_by_a_list_and_dropped_by_none():
    made = Message("GET", "/")
    made.add_fields({"Host": "x", "X-One": "1", "X-Two": ["1", "2"]})
    made.add_fields({"HOST": "y", "x-one": None})
    assert made.head() == b"GET / HTTP/1.1\r\nHOST: y\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n"


@pytest.mark.parametrize(("method", "lines"), [("GET", []), ("PUT", ["0"])])
def test_a_method_that_has_a_body_says_that_there_is_none(method, lines):
    expected = [f"Content-Length: {line}" for line in lines]
    assert sent(method=method) == (expected, b"")


def test_no_body_with_a_type_sends_the_type():
    lines, _ = sent(method="GET", content_type="text/plain", default="text/html")
    assert lines == ["Content-Type: text/plain"]


data_or_body = pytest.mark.parametrize("name", ["data", "body"])


@data_or_body
@pytest.mark.parametrize("body", ["é", b"\xc3\xa9", memoryview(b"\xc3\xa9")])
def test_text_and_bytes_are_sent_as_they_are(name, body):
    assert sent(**{name: body}) == (["Content-Length: 2"], b"\xc3\xa9")
    lines, encoded = sent(**{name: body}, content_type=JSON)
    assert (lines[0], encoded) == (f"Content-Type: {JSON}", b"\xc3\xa9")


@data_or_body
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1}, b'{"a": 1}'),
        ([1, "é"], b'[1, "\\u00e9"]'),
        ({}, b"{}"),
        ([], b"[]"),
        (True, b"true"),
    ],
)
def test_what_is_neither_is_json_by_default(name, value, text):
    assert sent(**{name: value}) == (
        [f"Content-Type: {JSON}", f"Content-Length: {len(text)}"],
        text,
    )


def test_a_body_has_the_default_type_unless_there_is_another():
    assert sent(body="a", default="x/y")[0][0] == "Content-Type: x/y"
    lines, _ = sent(body="a", fields={"content-type": "x/z"}, default="x/y")
    assert lines == ["Content-Type: x/z", "Content-Length: 1"]
    lines, _ = sent(
        body="a", fields={"content-type": "x/z"}, content_type="a/b", default="x/y"
    )
    assert lines == ["Content-Type: a/b", "Content-Length: 1"]


def test_framing_that_is_given_stays():
    assert sent(body="a", fields={"Content-Length": 9})[0] == ["Content-Length: 9"]
    lines, _ = sent(fields={"Transfer-Encoding": "chunked"})
    assert lines == ["Transfer-Encoding: chunked"]


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ({"a": "é", "b": ["1", 2]}, b"a=%C3%A9&b=1&b=2"),
        ([("a", 1), ("a", 2)], b"a=1&a=2"),
        ({}, b""),
    ],
)
def test_data_may_be_an_urlencoded_form(data, body):
    fields = [f"Content-Type: {FORM}", f"Content-Length: {len(body)}"]
    assert sent(data=data, default=FORM) == (fields, body)
    assert sent(body=data, content_type=FORM) == (fields, body)
    assert sent(data=data, fields={"content-type": FORM})[1] == body
    assert sent(form=data) == (fields, body)
    assert sent(form=data, default=JSON) == (fields, body)


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON; charset=utf-8", "application/x+json"],
)
def test_data_may_be_json(kind):
    lines, body = sent(data=[{"a": None}], content_type=kind, default=FORM)
    assert (lines[0], body) == (f"Content-Type: {kind}", b'[{"a": null}]')


@pytest.mark.parametrize("value", ["a", 0, [], [["a", 1]], {"a": "b"}])
def test_json_takes_what_data_sends_as_it_is(value):
    text = json.dumps(value).encode()
    for default in (None, FORM):
        lines, body = sent(json=value, default=default)
        assert (lines[0], body) == (f"Content-Type: {JSON}", text)
    lines, body = sent(json=value, default="application/x+json")
    assert (lines[0], body) == ("Content-Type: application/x+json", text)
    lines, body = sent(json=value, content_type="text/plain")
    assert (lines[0], body) == ("Content-Type: text/plain", text)


def test_a_form_may_be_multipart():
    kind = "multipart/form-data; boundary=xx"
    part = b'--xx\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    for options in ({"content_type": kind}, {"default": kind}):
        lines, body = sent(form={"a": ("1", "1")}, **options)
        assert (lines[0], body) == (
            f"Content-Type: {kind}",
            part + part + b"--xx--\r\n",
        )


def test_an_open_file_in_multipart_data_is_a_file():
    kind = "multipart/form-data; boundary=xx"
    for options in ({"content_type": kind}, {"files": {}, "content_type": kind}):
        _, body = sent(data={"f": Named("é")}, **options)
        assert body == (
            b'--xx\r\nContent-Disposition: form-data; name="f"; '
            b'filename="notes.html"\r\nContent-Type: text/html\r\n\r\n'
            b"\xc3\xa9\r\n--xx--\r\n"
        )


def test_data_may_be_multipart_with_a_boundary_of_ones_own():
    kind = "multipart/form-data; boundary=xx"
    lines, body = sent(data={'a"': ["é", b"\xff", 3]}, content_type=kind)
    assert lines[0] == f"Content-Type: {kind}"
    part = b'--xx\r\nContent-Disposition: form-data; name="a%22"\r\n\r\n'
    assert body == (
        part + b"\xc3\xa9\r\n" + part + b"\xff\r\n" + part + b"3\r\n" + b"--xx--\r\n"
    )


class Named(io.StringIO):
    name = "/tmp/notes.html"


@pytest.mark.parametrize(
    ("file", "filename", "kind", "content"),
    [
        (b"\x00", "f", "application/octet-stream", b"\x00"),
        ("é", "f", "application/octet-stream", b"\xc3\xa9"),
        ((b"x", 'a"\r\n.txt'), "a%22%0D%0A.txt", "text/plain", b"x"),
        ((b"x", "a.txt", "x/y"), "a.txt", "x/y", b"x"),
        ((b"x", None, "x/y"), "f", "x/y", b"x"),
        (io.BytesIO(b"x"), "f", "application/octet-stream", b"x"),
        (Named("é"), "notes.html", "text/html", b"\xc3\xa9"),
        ((Named("é"), "own.txt"), "own.txt", "text/plain", b"\xc3\xa9"),
    ],
)
def test_a_file_comes_in_many_forms(file, filename, kind, content):
    lines, body = sent(files={"f": file}, default=FORM)
    header, _, boundary = lines[0].partition("; boundary=")
    assert header == "Content-Type: multipart/form-data"
    assert body == (
        f'--{boundary}\r\nContent-Disposition: form-data; name="f"; '
        f'filename="{filename}"\r\nContent-Type: {kind}\r\n\r\n'.encode()
        + content
        + f"\r\n--{boundary}--\r\n".encode()
    )


def test_files_and_data_make_one_body():
    _, body = sent(data={"a": 1}, files=[("f", b"x"), ("g", [b"y", b"z"])])
    assert [body.count(name) for name in (b'"a"', b' name="f"', b' name="g"')] == [
        1,
        1,
        2,
    ]


def test_an_empty_multipart_body_is_its_end():
    kind = "multipart/form-data; boundary=xx"
    assert sent(data={}, content_type=kind)[1] == b"--xx--\r\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"data": {"a": 1}, "body": "a"}, "data= and body= would each.*give only one"),
        ({"json": 0, "form": {}}, "json= and form= would each.*give only one"),
        ({"files": {"a": "1"}, "body": "a"}, "give the fields in a dict, not in a str"),
        ({"files": {"a": "1"}, "json": {}}, "files= and json= would each.*give form="),
        ({"data": {}, "content_type": "text/csv"}, "cannot be written as 'text/csv'"),
        ({"form": {}, "content_type": "text/csv"}, "cannot be written as 'text/csv'"),
        ({"files": {"a": 1}}, "int is neither bytes nor a string"),
    ],
)
def test_a_body_that_cannot_be_written_says_why(content, text):
    with pytest.raises(TypeError, match=text):
        message(**content)


async def pieces():
    for piece in ("é", b"", b"x" * 16):
        yield piece


async def test_an_async_body_is_sent_in_chunks():
    made = message(body=pieces())
    assert made.head() == b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert made.body == b""
    assert b"".join([piece async for piece in made.stream()]) == (
        b"2\r\n\xc3\xa9\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"
    )


@data_or_body
@pytest.mark.parametrize(
    "make",
    [
        lambda: iter(["é", b"", b"x" * 16]),
        lambda: (piece for piece in ("é", b"x" * 16)),
    ],
)
async def test_an_iterator_is_sent_in_chunks(name, make):
    made = message(**{name: make()})
    assert made.head() == b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"".join([piece async for piece in made.stream()]) == (
        b"2\r\n\xc3\xa9\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"
    )


@pytest.mark.parametrize("file", [io.BytesIO(b"a\nb\n"), io.StringIO("a\nb\n")])
async def test_an_open_file_is_sent_in_blocks(file):
    made = message(body=file)
    assert b"".join([piece async for piece in made.stream()]) == (
        b"4\r\na\nb\n\r\n0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("path", "params", "target"),
    [
        ("/a", None, "/a"),
        ("/a", {}, "/a"),
        ("/a", {"b": "é &"}, "/a?b=%C3%A9%20%26"),
        ("/a?b=1", {"b": [2, 3], "c": ("4", "5")}, "/a?b=1&b=2&b=3&c=4&c=5"),
        ("/a", [("b", 1), ("b", 2)], "/a?b=1&b=2"),
    ],
)
def test_parameters_are_added_to_the_query(path, params, target):
    assert add_params(path, params) == target


async def test_an_async_body_of_known_length_is_sent_as_it_is():
    made = message(body=pieces(), fields={"Content-Length": 18})
    assert b"".join([piece async for piece in made.stream()]) == (
        b"\xc3\xa9xxxxxxxxxxxxxxxx"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "a"),
        ("A B", "a"),
        ("A:", "a"),
        ("A\r\nB", "a"),
        ("é", "a"),
        ("A", "a\r\nB: c"),
        ("A", "a\n"),
        ("A", "\x00"),
        ("A", "\x1f"),
        ("A", "\x7f"),
        ("A", "日"),
        ("A", ["good", "b\rad"]),
    ],
)
def test_a_field_that_would_break_http_is_refused(name, value):
    message = Message("GET", "/")
    message.add_fields({name: value})
    with pytest.raises(ValueError, match=f"the header (name )?{re.escape(repr(name))}"):
        message.head()


def test_a_field_that_is_bytes_is_refused():
    message = Message("GET", "/")
    message.add_fields({"A": b"a"})
    with pytest.raises(TypeError, match="the header 'A' is bytes: give a string"):
        message.head()


@pytest.mark.parametrize("method", ["", "GET /x", "GET\r\n", "É"])
def test_a_method_that_would_break_http_is_refused(method):
    with pytest.raises(ValueError, match="is not a token"):
        Message(method, "/").head()
