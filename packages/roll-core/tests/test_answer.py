from typing import Any, NamedTuple

import pytest
from roll import Response
from roll.http11.writer import COPIED, frame


class Answer(NamedTuple):
    head: bytes
    body: Any
    chunked: bool
    length: int | None
    close: bool


def answer(status=200, body=b"", headers=(), **options):
    response = Response(None, None)
    response.status = status
    response.body = body
    response.headers.update(headers)
    return as_answer(frame(response, **options))


def as_answer(framed):
    if isinstance(framed, bytes):
        return Answer(framed, None, False, None, False)
    return Answer(*(getattr(framed, name) for name in Answer._fields))


def stream():
    async def pieces():
        yield b"never"

    return pieces()


def test_an_empty_answer_is_its_status_line_and_a_content_length_of_zero():
    assert answer(202) == (
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        None,
        False,
        None,
        False,
    )


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b"abc", b"abc"),
        (bytearray(b"abc"), b"abc"),
        (memoryview(b"abc"), b"abc"),
        ("é", b"\xc3\xa9"),
        (None, b""),
        (42, b"42"),
    ],
)
def test_a_body_is_sent_as_bytes_with_their_number(body, sent):
    found = answer(body=body)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(sent)
    assert found == (head + sent, None, False, None, False)


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "a/b"}])
@pytest.mark.parametrize("size", [COPIED, COPIED + 1])
def test_a_large_body_is_not_copied_behind_its_head(size, headers):
    body = bytes(size)
    found = answer(body=body, headers=headers)
    if size > COPIED:
        assert found.body is body
        assert found.head.endswith(b"\r\nContent-Length: %d\r\n\r\n" % size)
    else:
        assert found.body is None
        assert found.head.endswith(b"\r\n\r\n" + body)


# Most responses are framed by a shorter path: both say the same.
@pytest.mark.parametrize("cookies", [(), ("a", "b")])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "CONNECT"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("status", [200, 204, 304, 404])
@pytest.mark.parametrize("kind", ["text/html", ["text/html"], "\xe9"])
def test_an_answer_with_a_type_is_as_one_with_another_field(
    kind, status, close, version, method, cookies
):
    found = []
    for headers in ({"Content-Type": kind}, {"X": "1", "Content-Type": kind}):
        response = Response(None, None)
        response.status, response.body = status, b"abc"
        response.headers.update(headers)
        for name in cookies:
            response.cookies.set(name, "c")
        head, *rest = as_answer(frame(response, method, version, close, b"Date: x\r\n"))
        found.append((head.replace(b"X: 1\r\n", b""), rest))
    assert found[0] == found[1]


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("body", [b"abc", "abc", None, 42])
def test_204_and_304_have_no_body_and_no_length_of_it(status, body):
    found = answer(status, body)  # RFC 9110, 6.4.1 and 8.6
    assert found.body is None
    assert b"Content-Length" not in found.head


def test_204_drops_a_content_length_and_304_keeps_it():  # RFC 9110, 8.6
    fields = {"Content-Length": 3}
    assert answer(204, headers=fields).head == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert answer(304, headers=fields).head == (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n"
    )


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_stream_is_not_sent_where_there_is_no_body(status, version):
    found = answer(status, stream(), version=version)
    assert (found.body, found.chunked) == (None, False)
    assert b"Transfer-Encoding" not in found.head


def test_a_stream_is_chunked():  # RFC 9112, 7.1
    body = stream()
    assert answer(body=body) == (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        body,
        True,
        None,
        False,
    )


def test_a_stream_with_a_content_length_is_sent_as_it_is():
    body = stream()
    assert answer(body=body, headers={"Content-Length": 5}) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        body,
        False,
        5,
        False,
    )


def test_a_stream_in_1_0_ends_with_the_connection():  # RFC 9112, 6.1 and 6.3
    body = stream()
    assert answer(body=body, version="1.0") == (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        body,
        False,
        None,
        True,
    )


def test_a_stream_with_a_content_length_keeps_a_1_0_connection():
    found = answer(body=stream(), headers={"Content-Length": 5}, version="1.0")
    assert found.head == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"
    )
    assert not found.close


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (b"abc", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
        (stream(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_an_answer_to_head_has_the_head_of_one_to_get(body, head):  # RFC 9110, 9.3.2
    assert answer(body=body, method="HEAD")[:2] == (head, None)
    assert answer(body=body, method="GET").head.startswith(head)


def test_an_answer_to_head_may_have_the_length_that_get_would_have():
    found = answer(method="HEAD", headers={"Content-Length": 7})
    assert found[:2] == (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", None)


@pytest.mark.parametrize("length", [0, 2, 4])
def test_a_content_length_that_is_not_the_bodys_is_refused(length):  # RFC 9112, 6.2
    with pytest.raises(ValueError, match=f"Content-Length is {length}, the body has 3"):
        answer(body=b"abc", headers={"Content-Length": length})


@pytest.mark.parametrize(
    ("headers", "options", "line", "close"),
    [
        ({}, {}, b"", False),
        ({}, {"close": True}, b"Connection: close\r\n", True),
        ({}, {"version": "1.0"}, b"Connection: keep-alive\r\n", False),
        ({}, {"version": "1.0", "close": True}, b"Connection: close\r\n", True),
    ],
)
def test_an_answer_says_what_becomes_of_the_connection(headers, options, line, close):
    found = answer(headers=headers, **options)  # RFC 9112, 9.3 and 9.6
    assert found.head == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + line + b"\r\n"
    assert found.close is close


@pytest.mark.parametrize("close", [True, False])
def test_a_connection_that_the_view_closes_is_said_once_to_close(close):
    found = answer(headers={"Connection": "close"}, close=close)
    assert found.head == (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    assert found.close


def test_lines_of_the_server_end_the_head():
    assert answer(extra=b"Date: x\r\n").head == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: x\r\n\r\n"
    )


def test_a_line_of_the_server_gives_way_to_the_views():  # RFC 9110, 5.3
    lines = b"Date: now\r\nServer: roll\r\n"
    head = answer(headers={"date": "then", "X": "y"}, extra=lines).head
    assert head.lower().count(b"date:") == 1
    assert b"\r\ndate: then\r\n" in head
    assert b"\r\nServer: roll\r\n" in head


def test_cookies_come_before_the_fields():
    response = Response(None, None)
    response.headers["X"] = "1"
    response.cookies.set("a", "b")
    assert as_answer(frame(response)).head == (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nX: 1\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_a_field_is_latin_1_or_refused():
    assert b"X: \xe9\r\n" in answer(headers={"X": "é"}).head
    with pytest.raises(ValueError, match="the header 'X' has a control character"):
        answer(headers={"X": "\u20ac"})


def test_a_body_that_has_no_bytes_is_refused():
    with pytest.raises(UnicodeEncodeError):
        answer(body="\ud800")
