from http import HTTPStatus

import pytest
from roll_testing import Headers
from roll_testing.response import ResponseReader


def read(data, method="GET", split=None, eof=False):
    reader = ResponseReader(method)
    step = split or len(data) or 1
    for at in range(0, len(data), step):
        reader.feed(data[at : at + step])
    if eof:
        reader.feed_eof(data)
    return reader


splits = pytest.mark.parametrize("split", [None, 1, 7])


@splits
def test_an_answer_is_read(split):
    reader = read(
        b"HTTP/1.1 201 Created\r\nContent-Length: 8\r\nX-A: 1\r\nx-a: \xe9\r\n"
        b'Set-Cookie: a=1; Path=/\r\nSet-Cookie: b="2"\r\n\r\n{"a": 1}',
        split=split,
    )
    assert reader.complete
    response = reader.response
    assert (response.status, response.version) == (HTTPStatus.CREATED, "1.1")
    assert response.body == b'{"a": 1}'
    assert response.text == '{"a": 1}'
    assert response.json == {"a": 1}
    assert response.chunks == []
    assert response.cookies == {"a": "1", "b": '"2"'}
    assert response.headers["x-A"] == "1, é"
    assert response.headers.list("X-A") == ["1", "é"]
    assert repr(response) == "<ClientResponse 201 b'{\"a\": 1}'>"


@splits
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"404 Not Found", "Not Found"),
        (b"200 Tr\xe8s bien", "Très bien"),
        (b"299 ", ""),
    ],
)
def test_the_reason_phrase_is_kept(split, line, reason):
    reader = read(
        b"HTTP/1.1 103 Early Hints\r\n\r\n"
        b"HTTP/1.1 " + line + b"\r\nContent-Length: 0\r\n\r\n",
        split=split,
    )
    assert reader.response.reason == reason


def test_headers_are_a_mapping():
    headers = Headers([("Content-Length", "2"), ("X", "a"), ("x", "b")])
    assert headers == {"Content-Length": "2", "X": "a, b"}
    assert repr(headers) == "Headers({'Content-Length': '2', 'X': 'a, b'})"
    assert (len(headers), "CONTENT-LENGTH" in headers) == (2, True)
    assert (headers.get("y"), headers.list("y")) == (None, [])
    with pytest.raises(KeyError):
        headers["y"]


@splits
def test_chunks_are_read_and_kept(split):
    reader = read(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
        split=split,
    )
    assert reader.complete
    assert reader.response.body == b"abc0123456789"
    assert reader.response.chunks == [b"abc", b"0123456789"]
    assert "Trailer" not in reader.response.headers


@splits
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_interim_answers_are_skipped(method, split):
    reader = read(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        method,
        split,
    )
    assert reader.complete
    assert (reader.response.status, "Link" in reader.response.headers) == (200, False)


@splits
@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    ],
)
def test_some_answers_have_no_content(method, head, split):
    reader = read(head, method, split)
    assert (reader.complete, reader.response.body) == (True, b"")
    with pytest.raises(ValueError, match="after the end of the response: b'hello'"):
        reader.feed(b"hello")
    with pytest.raises(ValueError, match="hello"):
        read(head + b"hello", method)


@splits
def test_an_answer_may_last_until_the_end_of_the_connection(split):
    data = b"HTTP/1.0 200 OK\r\n\r\nhello"
    assert not read(data, split=split).complete
    reader = read(data, split=split, eof=True)
    assert (reader.complete, reader.response.body) == (True, b"hello")
    assert reader.response.version == "1.0"


@splits
def test_what_follows_a_switch_of_protocols_is_not_read(split):
    reader = read(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\n\r\n\x81\x00",
        split=split,
    )
    assert (reader.complete, reader.response.status) == (True, 101)
    assert reader.response.headers["Upgrade"] == "websocket"
    assert reader.response.body == b""


def test_a_status_without_a_name_is_a_number():
    assert read(b"HTTP/1.1 299 X\r\nContent-Length: 0\r\n\r\n").response.status == 299


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"nonsense", "The response breaks HTTP: .*nonsense"),
        (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "Invalid header token"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "Content",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "Invalid character in chunk size",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n",
            "a second response came to one request",
        ),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "announces content"),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\nx",
            "Data after `Connection: close`",
        ),
    ],
)
def test_an_answer_that_breaks_http_is_an_error(data, text):
    with pytest.raises(ValueError, match=text):
        read(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "closed without a response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", "before the end .*ab'"),
        (b"HTTP/1.1 200 OK\r\nCon", "before the end of a response"),
    ],
)
def test_an_answer_that_is_cut_is_an_error(data, text):
    with pytest.raises(ConnectionError, match=text):
        read(data, eof=True)
