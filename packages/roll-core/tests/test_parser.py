import os
import time

import hypothesis
import hypothesis.strategies as st
import pytest
from roll import Limits
from roll.http11.chunks import SLICE
from roll.http11.familiar import KEPT, Familiar
from roll.http11.framing import read_fields
from roll.http11.parser import END, NEED_DATA, PAUSED, REMEMBERED, Head, Parser
from roll_testing import patience

from .wire import GET

EXAMPLES = int(os.environ.get("ROLL_TEST_EXAMPLES", "400"))  # 5000 and more for a night

HOST = b"Host: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"Connection: upgrade\r\nUpgrade: h2c\r\n"
TOO_LARGE = (431, "Request Header Fields Too Large")
TOO_LONG = (414, "URI Too Long")
BAD = (400, "Bad Request")


class Message:
    """A message as it was read."""

    def __init__(self, head):
        self.head = head
        self.body = b""
        self.pieces = 0
        self.complete = head.length == 0

    @property
    def fields(self):
        return read_fields(self.head.raw)


class Reader:
    """Takes every event, as a connection does that accepts no offer."""

    def __init__(self, **limits):
        self.parser = Parser(Limits(**limits))
        self.taken = []
        self.refused = []

    def feed(self, *pieces):
        for piece in pieces:
            self.parser.receive_data(piece)
            while (event := self.parser.next_event()) is not NEED_DATA:
                self.take(event)
            # Nothing that can be read is left for when more comes.
            assert self.parser.next_event() is NEED_DATA
        return self

    def take(self, event):
        if event is PAUSED:
            self.parser.resume()
        elif event is END:
            self.taken[-1].complete = True
        elif isinstance(event, Head):
            self.taken.append(Message(event))
        elif isinstance(event, bytes):
            self.taken[-1].body += event
            self.taken[-1].pieces += 1
        else:
            self.refused.append((int(event.error.status), event.error.message))


def in_every_way(data):
    """The pieces of *data*: whole, byte by byte if it is short, and in odd sizes."""
    sizes = [len(data), 7, 64]
    if len(data) < 10_000:
        sizes += [1, 2]
    return [
        [data[at : at + size] for at in range(0, len(data), size)] for size in sizes
    ]


def messages(reader):
    assert all(each.complete for each in reader.taken)
    return [
        (each.head.method, each.head.target, each.head.version, each.body)
        for each in reader.taken
    ]


VALID = {
    "a request": (GET, [("GET", b"/", "1.1", b"")]),
    "one in 1.0": (b"GET / HTTP/1.0\r\n\r\n", [("GET", b"/", "1.0", b"")]),
    "an empty line before": (b"\r\n" + GET, [("GET", b"/", "1.1", b"")]),
    "empty lines before": (b"\r\n" * 4 + GET, [("GET", b"/", "1.1", b"")]),
    "an empty line after a body": (
        POST + b"Content-Length: 1\r\n\r\nx\r\n" + GET,
        [("POST", b"/", "1.1", b"x"), ("GET", b"/", "1.1", b"")],
    ),
    "an empty line after chunks": (
        CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n\r\n" + GET,
        [("POST", b"/", "1.1", b"\r\n\r\n"), ("GET", b"/", "1.1", b"")],
    ),
    "pipelined": (GET * 3, [("GET", b"/", "1.1", b"")] * 3),
    "a body": (
        POST + b"Content-Length: 5\r\n\r\nhello",
        [("POST", b"/", "1.1", b"hello")],
    ),
    "an empty body": (
        POST + b"Content-Length: 0\r\n\r\n" + GET,
        [("POST", b"/", "1.1", b""), ("GET", b"/", "1.1", b"")],
    ),
    "whitespace around values": (
        b"POST / HTTP/1.1\r\nHost: \t a \t \r\nContent-Length:  5 \r\n\r\nhello",
        [("POST", b"/", "1.1", b"hello")],
    ),
    "chunks": (
        CHUNKED + b'5\r\nhello\r\n00a;a;b=c;d="e"\r\n, world, x\r\n0\r\n\r\n' + GET,
        [("POST", b"/", "1.1", b"hello, world, x"), ("GET", b"/", "1.1", b"")],
    ),
    "no chunk": (
        CHUNKED + b"0\r\n\r\n" + GET,
        [("POST", b"/", "1.1", b""), ("GET", b"/", "1.1", b"")],
    ),
    "whitespace after chunked": (
        POST + b"Transfer-Encoding: chunked  \r\n\r\n1\r\nx\r\n0\r\n\r\n" + GET,
        [("POST", b"/", "1.1", b"x"), ("GET", b"/", "1.1", b"")],
    ),
    "trailers": (
        CHUNKED + b"1\r\nx\r\n0\r\nX-A: 1\r\nX-B:\r\nUpgrade: x\r\n\r\n" + GET,
        [("POST", b"/", "1.1", b"x"), ("GET", b"/", "1.1", b"")],
    ),
    "after a close": (
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n" + GET + b"!",
        [("GET", b"/", "1.1", b"")],
    ),
    "absolute form": (
        b"GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
        [("GET", b"http://a/b?c", "1.1", b"")],
    ),
    "asterisk form": (
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        [("OPTIONS", b"*", "1.1", b"")],
    ),
    "authority form, and what is meant for the tunnel": (
        b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\0\0\0" + GET,
        [("CONNECT", b"a:443", "1.1", b"")],
    ),
    "an offer to upgrade": (
        b"GET / HTTP/1.1\r\nHost: a\r\n" + UPGRADE + b"\r\n" + GET,
        [("GET", b"/", "1.1", b"")] * 2,
    ),
    "an offer with a body": (
        POST + UPGRADE + b"Content-Length: 5\r\n\r\nhello" + GET,
        [("POST", b"/", "1.1", b"hello"), ("GET", b"/", "1.1", b"")],
    ),
    "an offer with chunks and trailers": (
        POST
        + UPGRADE
        + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\r\n\r\n"
        + GET,
        [("POST", b"/", "1.1", b"hello"), ("GET", b"/", "1.1", b"")],
    ),
    "an offer that closes": (
        POST
        + b"Connection: close, upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx"
        + GET,
        [("POST", b"/", "1.1", b"x")],
    ),
    "an offer in 1.0": (
        b"GET / HTTP/1.0\r\n" + UPGRADE + b"\r\n" + GET,
        [("GET", b"/", "1.0", b"")],
    ),
}


@pytest.mark.parametrize(("data", "expected"), VALID.values(), ids=VALID)
def test_valid_messages_are_read_the_same_in_every_way(data, expected):
    for pieces in in_every_way(data):
        reader = Reader().feed(*pieces)
        assert messages(reader) == expected
        assert reader.refused == []


def fields_of(*lines):
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(lines) + b"\r\n"


NOT_CHUNKED = (400, "Unsupported Transfer-Encoding")
BAD_HOST = (400, "Malformed Host")
BAD_TARGET = (400, "Malformed request target")
UNKNOWN_METHOD = (501, "Not Implemented")
UNKNOWN_VERSION = (505, "HTTP Version Not Supported")

INVALID = {
    # RFC 9112, 6.3: how long the body is must be beyond doubt
    POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": BAD,
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n": BAD,
    POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n": BAD,
    POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n": BAD,
    POST + b"Content-Length: 1, 1\r\n\r\n": BAD,
    POST + b"Content-Length: +1\r\n\r\n": BAD,
    POST + b"Content-Length: -1\r\n\r\n": BAD,
    POST + b"Content-Length: 0x1\r\n\r\n": BAD,
    POST + b"Content-Length: 1.0\r\n\r\n": BAD,
    POST + b"Content-Length: 1 1\r\n\r\n": BAD,
    POST + b"Content-Length: one\r\n\r\n": BAD,
    POST + b"Content-Length: \xb2\r\n\r\n": BAD,
    POST + b"Content-Length:\r\n\r\n": BAD,
    POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n": BAD,
    POST + b"Content-Length: " + b"0" * 4400 + b"1\r\n\r\n": (
        400,
        "Malformed Content-Length",
    ),
    POST + b"Transfer-Encoding: gzip\r\n\r\n": BAD,
    POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n": NOT_CHUNKED,
    POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n": BAD,
    POST + b"Transfer-Encoding: identity\r\n\r\n": BAD,
    POST + b"Transfer-Encoding: xchunked\r\n\r\n": BAD,
    POST + b"Transfer-Encoding: chunked\t\r\n\r\n": BAD,
    POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n": (
        NOT_CHUNKED
    ),
    POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n": BAD,
    POST + b"Transfer-Encoding : chunked\r\n\r\n": BAD,
    b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n": NOT_CHUNKED,
    # RFC 9112, 7.1: sizes of chunks are hexadecimal digits, and end with CRLF
    CHUNKED + b"\r\n": BAD,
    CHUNKED + b"g\r\n": BAD,
    CHUNKED + b"+1\r\nx\r\n": BAD,
    CHUNKED + b"-1\r\nx\r\n": BAD,
    CHUNKED + b"0x1\r\nx\r\n": BAD,
    CHUNKED + b" 1\r\nx\r\n": BAD,
    CHUNKED + b"1 \r\nx\r\n": BAD,
    CHUNKED + b"1,1\r\nx\r\n": BAD,
    CHUNKED + b"1\nx\r\n": BAD,
    CHUNKED + b"1\rx": BAD,
    CHUNKED + b"1\r\nxy\r\n": BAD,
    CHUNKED + b"1\r\nx\n0\r\n": BAD,
    CHUNKED + b"1;a\nx\r\n": BAD,
    CHUNKED + b"1;\0\r\nx\r\n": BAD,
    CHUNKED + b"f" * 17 + b"\r\n": BAD,
    CHUNKED + b"1\r\nxab\r\n": BAD,
    CHUNKED + b"1\r\nx\r\n\r\n": BAD,
    CHUNKED + b"1;\r\nx\r\n": BAD,
    CHUNKED + b'1;a="b\r\nx\r\n': BAD,
    CHUNKED + b"0\r\nX: \0\r\n\r\n": BAD,
    CHUNKED + b"0\r\n: 1\r\n\r\n": BAD,
    CHUNKED + b"0\r\nX: 1\r\n Y: 1\r\n\r\n": BAD,
    CHUNKED + b"0\r\nX : 1\r\n\r\n": BAD,
    CHUNKED + b"0\r\nX: 1\n\r\n": BAD,
    CHUNKED + b"0\r\nContent-Length: 1\r\n\r\n": BAD,
    CHUNKED + b"0\r\nTransfer-Encoding: chunked\r\n\r\n": BAD,
    # RFC 9112, 2.2: lines end with CRLF
    b"GET / HTTP/1.1\nHost: a\r\n\r\n": BAD,
    b"GET / HTTP/1.1\rHost: a\r\n\r\n": BAD,
    b"GET / HTTP/1.1\r\nHost: a\n\r\n": BAD,
    b"GET / HTTP/1.1\r\nHost: a\r\n\n": BAD,
    b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n": BAD,
    fields_of(b"X: a\nb\r\n"): BAD,
    fields_of(b"X: a\rb\r\n"): BAD,
    # RFC 9112, 5: fields
    fields_of(b"X : a\r\n"): BAD,
    fields_of(b"X\t: a\r\n"): BAD,
    fields_of(b"X: a\r\n b\r\n"): BAD,
    fields_of(b"X: a\r\n\tb\r\n"): BAD,
    fields_of(b": a\r\n"): BAD,
    fields_of(b" X: a\r\n"): BAD,
    fields_of(b"X a\r\n"): BAD,
    fields_of(b"X\r\n"): BAD,
    fields_of(b"X(): a\r\n"): BAD,
    fields_of(b"\xe9: a\r\n"): BAD,
    fields_of(b"X\0: a\r\n"): BAD,
    fields_of(b"X: \0\r\n"): BAD,
    fields_of(b"X: \x7f\r\n"): BAD,
    # RFC 9112, 3.2: one Host in 1.1
    b"GET / HTTP/1.1\r\n\r\n": (400, "Host is missing"),
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n": (400, "Host is given twice"),
    b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n": (400, "Host is given twice"),
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n": BAD_HOST,
    b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n": BAD_HOST,
    b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n": BAD_HOST,
    # RFC 9112, 2.3: versions
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n": UNKNOWN_VERSION,
    b"GET / HTTP/1.2\r\nHost: a\r\n\r\n": UNKNOWN_VERSION,
    b"GET / HTTP/0.9\r\nHost: a\r\n\r\n": UNKNOWN_VERSION,
    b"GET / HTTP/3.0\r\nHost: a\r\n\r\n": UNKNOWN_VERSION,
    b"GET /\r\n\r\n": UNKNOWN_VERSION,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": UNKNOWN_VERSION,
    b"GET / HTTP/1.10\r\nHost: a\r\n\r\n": BAD,
    b"GET / HTTP/11\r\nHost: a\r\n\r\n": BAD,
    b"GET / http/1.1\r\nHost: a\r\n\r\n": BAD,
    b"GET / FTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n": BAD,
    # RFC 9112, 3.2: the form of the target goes with the method
    b"GET * HTTP/1.1\r\nHost: a\r\n\r\n": BAD_TARGET,
    b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n": BAD_TARGET,
    b"GET ftp://a HTTP/1.1\r\nHost: a\r\n\r\n": BAD_TARGET,
    b"CONNECT u@a:443 HTTP/1.1\r\nHost: a\r\n\r\n": BAD_TARGET,
    b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"GET a HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    # RFC 9110, 9.1: methods
    b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n": UNKNOWN_METHOD,
    b"GETS / HTTP/1.1\r\nHost: a\r\n\r\n": UNKNOWN_METHOD,
    b"get / HTTP/1.1\r\nHost: a\r\n\r\n": UNKNOWN_METHOD,
    b"PLAY / HTTP/1.1\r\nHost: a\r\n\r\n": UNKNOWN_METHOD,
    b"M-SEARCHED * HTTP/1.1\r\nHost: a\r\n\r\n": UNKNOWN_METHOD,
    # RFC 9112, 3: what is not a request line has no method
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": BAD,
    b" GET / HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"BAD\x00": BAD,
    b"BAD\r\n": BAD,
    b"BAD / \r\n": BAD,
    b"BAD / HTTP/1.1 \r\n": BAD,
    b"BAD  / HTTP/1.1\r\n": BAD,
    b"BAD / HTTP/1.1\n": BAD,
    b"BAD / HTTP/x\r\n": BAD,
    b"B\xe4D / HTTP/1.1\r\n": BAD,
    b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n": BAD,
    b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a": BAD,
    b"SSH-2.0-OpenSSH_9.2\r\n": BAD,
    b"EHLO there\r\n": BAD,
    # What llhttp would let through: RFC 9112, 2.2, 2.3 and 3
    b"GET /x\nFoo: HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"GET /x\n\r\n": BAD,
    b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"\r\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n": BAD,
    b"GET / RTSP/1.0\r\nHost: a\r\n\r\n": UNKNOWN_VERSION,
    b"GET / RTSP/1.1\r\nHost: a\r\n\r\n": UNKNOWN_VERSION,
    b"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n": UNKNOWN_VERSION,
}


@pytest.mark.parametrize(("data", "expected"), INVALID.items())
def test_an_invalid_message_is_refused_once_and_the_last(data, expected):
    for pieces in in_every_way(data + GET):
        reader = Reader().feed(*pieces)
        assert reader.refused == [expected]
        assert [each.head.length == 0 for each in reader.taken] in ([], [False])


@pytest.mark.parametrize(
    "good", [GET, b"GET / HTTP/1.1\r\nHost: a\r\n" + UPGRADE + b"\r\n"]
)
@pytest.mark.parametrize(("data", "expected"), INVALID.items())
def test_a_good_message_before_an_invalid_one_is_taken(good, data, expected, caplog):
    for pieces in in_every_way(good + data):
        reader = Reader().feed(*pieces)
        assert reader.taken[0].head.target == b"/"
        assert reader.refused == [expected]
    assert caplog.messages == []


def test_an_empty_transfer_encoding_is_refused():
    for pieces in in_every_way(POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n"):
        reader = Reader().feed(*pieces)  # by the parser, or else by us
        assert reader.refused in ([BAD], [NOT_CHUNKED])


def test_no_leniency_of_the_parser_is_switched_on():
    # What `set_dangerous_leniencies` would let through is in the table above.
    with open(Parser.__init__.__code__.co_filename) as source:
        assert "lenien" not in source.read()


def test_fields_have_names_in_upper_case_and_values_without_outer_whitespace():
    data = fields_of(b"x-a:  b \t c\t \r\n", b"X-Empty:\r\n", b"X_A: \xe9\r\n")
    for pieces in in_every_way(data):
        (request,) = Reader().feed(*pieces).taken
        assert request.fields == [
            (b"HOST", b"a"),
            (b"X-A", b"b \t c"),
            (b"X-EMPTY", b""),
            (b"X_A", b"\xe9"),
        ]


@pytest.mark.parametrize(
    "chunks",
    [
        b"3c000\r\n" + b"\r\n" * (120 * 1024) + b"\r\n",
        b"2\r\n\r\n\r\n" * 40_000,
        b"1\r\nx\r\n" * 40_000,
    ],
)
def test_chunks_are_delivered_by_the_slice(chunks):
    # One event for each empty line, or each chunk, would hold the loop.
    reader = Reader().feed(CHUNKED + chunks + b"0\r\n\r\n" + GET)
    assert (len(reader.taken), reader.refused) == (2, [])
    assert reader.taken[0].pieces <= len(chunks) / SLICE + 2


def test_a_header_that_is_the_one_before_means_the_same():
    long = b"X: " + b"a" * REMEMBERED + b"\r\n"
    parts = {
        GET: ("GET", b""),
        GET.replace(b"GET", b"POST"): ("POST", b""),
        POST + b"Content-Length: 2\r\n\r\nab": ("POST", b"ab"),
        GET[:-2] + b"Content-Length: 2\r\n\r\ncd": ("GET", b"cd"),
        POST + b"Content-Length: 3\r\n\r\nabc": ("POST", b"abc"),
        CHUNKED + b"1\r\nx\r\n0\r\n\r\n": ("POST", b"x"),
        GET[:-2] + UPGRADE + b"\r\n": ("GET", b""),
        GET[:-2] + long + b"\r\n": ("GET", b""),
    }
    order = [part for first in parts for second in parts for part in (first, second)]
    reader = Reader().feed(b"".join(order))
    assert reader.refused == []
    assert [(each.head.method, each.body, each.fields) for each in reader.taken] == [
        (*parts[part], Reader().feed(part).taken[0].fields) for part in order
    ]


@pytest.mark.parametrize("body", [b"", b"ab"])
def test_request_lines_before_a_header_that_is_known_are_checked(body):
    methods = b"DELETE GET HEAD OPTIONS PATCH POST PUT TRACE CONNECT PRI SOURCE get X"
    targets = b"/ //a ///?? * a a:1 http://b/c?d /%41%zz?e=f&g=h+i[]|\\^~".split()
    targets += [b"/" + bytes([byte]) + b"a" for byte in range(256)]
    targets += [b"/a?" + bytes([byte]) for byte in range(256)]
    targets += [b"", b"/" + b"a" * 8189, b"/" + b"a" * 8190]
    lines = [b"%b %b HTTP/1.1\r\n" % (b"GET", target) for target in targets]
    lines += [b"%b /a HTTP/1.1\r\n" % method for method in methods.split()]
    lines += [b"CONNECT a:1 HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n"]
    lines += [b"GET / HTTP/1.0\r\n", b"GET /a\r\n", b"GET\r\n", b"HTTP/1.1\r\n"]
    lines += [b"\r\nGET / HTTP/1.1\r\n", b"\nGET / HTTP/1.1\r\n", b" / HTTP/1.1\r\n"]
    header = HOST + (b"Content-Length: 2\r\n" if body else b"") + b"\r\n"
    for line in lines:
        data = line + header + body
        new = Reader().feed(data)
        known = Reader().feed(b"POST / HTTP/1.1\r\n" + header + body, data)
        assert (known.refused, known.parser.finished) == (
            new.refused,
            new.parser.finished,
        ), line
        assert messages(known) == [
            ("POST", b"/", "1.1", body),
            *messages(new),
        ], line


@pytest.mark.parametrize("value", [b"close", b"keep-alive", b"upgrade\r\nUpgrade: h2c"])
def test_proxy_connection_means_nothing(value):  # llhttp takes it for Connection
    data = GET[:-2] + b"Proxy-Connection: " + value + b"\r\n\r\n"
    for pieces in in_every_way(data * 3):
        reader = Reader().feed(*pieces)
        assert reader.refused == []
        assert [(each.head.keep_alive, each.head.upgrade) for each in reader.taken] == (
            [(True, ())] * 3
        )


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (b"\r\n" * 3 + fields_of(*[b"X: 1\r\n"] * 99), []),
        (b"\r\n" * 3 + fields_of(*[b"X: 1\r\n"] * 100), [TOO_LARGE]),
        (b"\r\n" + GET.replace(b"/", b"/" + b"a" * 80_000, 1), [TOO_LONG]),
        (fields_of(b"X: a" + b" " * 200_000 + b"\r\n"), [TOO_LARGE]),
    ],
)
def test_limits_do_not_go_by_how_a_head_comes(data, refused):
    sizes = (len(data), len(data) - 2, 7, 4096)
    for size in sizes:
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert Reader().feed(*pieces).refused == refused


@pytest.mark.parametrize(
    "lines",
    [b"Connection: close\r\n", b"Content-Length: 2\r\nExpect: 100-continue\r\n"],
)
def test_what_a_header_asks_for_is_not_forgotten(lines):
    reader = Reader().feed(GET, GET[:-2] + lines + b"\r\nab", GET)
    first, second, *_ = reader.taken
    assert (first.head.keep_alive, first.head.length) == (True, 0)
    if b"Expect" in lines:
        assert second.head.expects
    else:
        assert not second.head.keep_alive
        assert len(reader.taken) == 2


def test_trailers_are_dropped():  # RFC 9112, 7.1.2
    reader = Reader().feed(CHUNKED + b"0\r\nX-User: root\r\n\r\n" + GET)
    assert [each.fields for each in reader.taken] == [
        [(b"HOST", b"a"), (b"TRANSFER-ENCODING", b"chunked")],
        [(b"HOST", b"a")],
    ]


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: x, Close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
        (b"1.0", b"Connection: keep-alive\xa0\r\n", False),
        (b"1.0", b"Connection: close\r\nConnection: keep-alive\r\n", False),
        (b"1.1", b"Connection: close\r\nConnection: keep-alive\r\n", False),
    ],
)
def test_the_connection_is_kept_by_default_in_1_1_only(version, connection, kept):
    data = b"GET / HTTP/%b\r\nHost: a\r\n%b\r\n" % (version, connection)
    (request,) = Reader().feed(data).taken  # RFC 9112, 9.3
    assert request.head.keep_alive is kept


@pytest.mark.parametrize(
    ("version", "connection", "offered"),
    [
        (b"1.1", b"upgrade", ("h2c", "websocket")),
        (b"1.1", b"keep-alive, Upgrade", ("h2c", "websocket")),
        (b"1.1", b"keep-alive", ()),
        (b"1.1", b"upgrade, close", ()),
        (b"1.0", b"upgrade, keep-alive", ()),
    ],
)
def test_an_offer_to_upgrade_counts_in_1_1_and_named_by_connection(
    version, connection, offered
):  # RFC 9110, 7.8
    data = (
        b"GET / HTTP/%b\r\nHost: a\r\nConnection: %b\r\nUpgrade: H2C,, WebSocket\r\n"
        b"\r\n" % (version, connection)
    )
    (request,) = Reader().feed(data).taken
    assert request.head.upgrade == offered


def test_many_offers_in_one_read_are_read_without_recursion():
    offer = b"GET / HTTP/1.1\r\nHost: a\r\n" + UPGRADE + b"\r\n"
    reader = Reader().feed(offer * 4000)
    assert (len(reader.taken), reader.refused) == (4000, [])


def test_an_offer_whose_head_is_as_large_as_allowed_is_read():
    data = fields_of(UPGRADE, b"Content-Length: 1\r\n") + b"x"
    size = len(b"HostaConnectionupgradeUpgradeh2cContent-Length1")
    for pieces in in_every_way(data):
        assert Reader(head=size).feed(*pieces).refused == []
        assert Reader(head=size - 1).feed(*pieces).refused == [TOO_LARGE]


@pytest.mark.parametrize(
    ("version", "expect", "expected"),
    [
        (b"1.1", b"100-continue", True),
        (b"1.1", b"100-Continue", True),
        (b"1.1", b"100-continue \t", True),
        (b"1.1", b"something", False),
        (b"1.0", b"100-continue", False),
    ],
)
def test_a_100_is_expected_in_1_1_only(version, expect, expected):
    data = b"POST / HTTP/%b\r\nHost: a\r\nExpect: %b\r\nContent-Length: 1\r\n\r\n" % (
        version,
        expect,
    )  # RFC 9110, 10.1.1
    (request,) = Reader().feed(data).taken
    assert request.head.expects is expected


# Limits


def test_a_target_past_its_limit_is_refused_also_in_pieces():  # RFC 9112, 3
    longest = b"/" + b"a" * 8189
    for size, refused in ((8190, []), (8191, [TOO_LONG])):
        target = longest.ljust(size, b"a")
        data = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target
        for pieces in in_every_way(data):
            assert Reader().feed(*pieces).refused == refused


def test_a_target_without_end_is_refused_when_it_passes_the_limit():
    reader = Reader().feed(b"GET /" + b"a" * 8189)
    assert reader.refused == []
    assert reader.feed(b"a").refused == [TOO_LONG]


def test_a_field_past_its_limit_is_refused_also_in_pieces():
    for size, refused in ((8189, []), (8190, [TOO_LARGE])):
        data = fields_of(b"X: " + b"a" * size + b"\r\n")
        for pieces in in_every_way(data):
            assert Reader().feed(*pieces).refused == refused


def test_a_field_that_begins_behind_another_message_has_the_same_limit():
    first = fields_of(b"")
    second = fields_of(b"X: " + b"a" * 8190 + b"\r\n")
    for cut in (10, 1000, 4000, 8000):
        reader = Reader().feed(first + second[:cut], second[cut:])
        assert len(reader.taken) == 1
        assert reader.refused == [TOO_LARGE]


def test_fields_past_their_number_are_refused_also_in_pieces():
    for number, refused in ((99, []), (100, [TOO_LARGE]), (20_000, [TOO_LARGE])):
        data = fields_of(b"X:\r\n" * number)
        for pieces in in_every_way(data):
            assert Reader().feed(*pieces).refused == refused


def test_a_head_past_its_limit_is_refused_also_in_pieces():
    # Names and values; the largest target and what is between them comes on top.
    longest = b"X: " + b"a" * 8000 + b"\r\n"
    rest = 65536 - len(b"Hosta") - 8 * 8001
    for size, refused in ((rest - 1, []), (rest, [TOO_LARGE])):
        lines = longest * 8 + b"X: " + b"a" * size + b"\r\n"
        data = fields_of(lines).replace(b"/", b"/" + b"a" * 8189, 1)
        for pieces in in_every_way(data):
            assert Reader().feed(*pieces).refused == refused


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        CHUNKED + b"1;",
        CHUNKED + b'1;a="',
        CHUNKED + b"0\r\nX: ",
        CHUNKED + b"0\r\n",
        POST + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n1;",
    ],
)
def test_what_never_ends_a_field_or_a_chunks_size_is_refused(start):
    for size in (1, 1000):
        reader = Reader(head=2000, target=100)
        reader.feed(start, *[b"a" * size] * (4000 // size))
        assert reader.refused == [TOO_LARGE]


def test_empty_lines_without_end_are_refused():
    reader = Reader(head=2000, target=100).feed(*[b"\r\n"] * 2000)
    assert reader.refused == [TOO_LARGE]


def test_a_chunk_s_extensions_may_be_as_large_as_a_head():
    data = CHUNKED + b"1;" + b"a" * 60_000 + b"\r\nx\r\n0\r\n\r\n"
    for pieces in in_every_way(data):
        assert Reader().feed(*pieces).refused == []


@pytest.mark.parametrize(
    "trailers",
    [b"X: " + b"a" * 8190 + b"\r\n", b"X:\r\n" * 101, (b"X: " + b"a" * 8000) * 9],
)
def test_trailers_have_the_limits_of_fields(trailers):
    for pieces in in_every_way(CHUNKED + b"0\r\n" + trailers + b"\r\n\r\n"):
        assert Reader().feed(*pieces).refused == [TOO_LARGE]


LONG = b"a" * 55_000


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + LONG,
        CHUNKED + b"1;" + LONG,
        CHUNKED + b"0\r\nX: " + LONG,
        CHUNKED + b"0;" + LONG + b"\r\nX: " + LONG,
    ],
    ids=["header", "extension", "trailer", "trailer behind an extension"],
)
def test_what_comes_byte_by_byte_is_not_read_again_for_each(data):
    parser = Parser(Limits())
    started = time.process_time()
    for at in range(len(data)):
        parser.receive_data(data[at : at + 1])
        event = parser.next_event()
        assert event is NEED_DATA or isinstance(event, Head)
    # Half a second, which the copies take; read again for each byte, it was 3 to 5.
    assert time.process_time() - started < patience(2)


def test_too_many_trailers_are_refused_before_their_end_however_they_come():
    for pieces in in_every_way(CHUNKED + b"0\r\n" + b"X: 1\r\n" * 102 + b"X"):
        assert Reader().feed(*pieces).refused == [TOO_LARGE]


def test_head_and_trailers_share_one_limit():
    head = fields_of(b"Transfer-Encoding: chunked\r\n", b"X: " + b"a" * 500 + b"\r\n")
    for size, refused in ((400, []), (500, [TOO_LARGE])):
        trailers = b"0\r\nX: " + b"a" * size + b"\r\n\r\n"
        for pieces in in_every_way(head + trailers):
            assert Reader(head=1000).feed(*pieces).refused == refused


def test_each_request_has_limits_of_its_own():
    data = fields_of(b"X: " + b"a" * 600 + b"\r\n")
    for pieces in in_every_way(data * 5):
        reader = Reader(head=1000, target=100).feed(*pieces)
        assert (len(reader.taken), reader.refused) == (5, [])


# Offers to switch protocols


def test_nothing_is_read_behind_an_offer_until_it_is_decided():
    parser = Parser(Limits())
    parser.receive_data(POST + UPGRADE + b"Content-Length: 1\r\n\r\nx")
    assert parser.next_event().upgrade == ("h2c",)
    parser.receive_data(GET)
    assert [parser.next_event() for _ in range(2)] == [PAUSED, PAUSED]
    assert parser.unread == 1 + len(GET)
    parser.resume()
    assert [parser.next_event(), parser.next_event()] == [b"x", END]
    assert parser.next_event().method == "GET"
    assert parser.next_event() is NEED_DATA


def test_the_other_protocol_gets_what_is_behind_its_offer():
    parser = Parser(Limits())
    parser.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n" + UPGRADE + b"\r\nab")
    assert parser.next_event().upgrade == ("h2c",)
    parser.receive_data(b"cd")
    assert parser.next_event() is PAUSED
    assert parser.take_rest() == b"abcd"
    parser.receive_data(GET)
    assert (parser.next_event(), parser.ignored) == (NEED_DATA, len(GET))


def test_what_comes_behind_the_last_message_is_counted():
    reader = Reader().feed(GET[:-2] + b"Connection: close\r\n\r\n" + GET, GET)
    assert reader.parser.finished
    assert (len(reader.taken), reader.parser.ignored) == (1, 2 * len(GET))


def test_the_size_of_a_chunk_is_known_before_it_comes():
    parser = Parser(Limits())
    parser.receive_data(CHUNKED + b"8000000000000000\r\n")
    assert isinstance(parser.next_event(), Head)
    assert (parser.next_event(), parser.left) == (NEED_DATA, 2**63)
    parser.receive_data(b"x")
    assert (parser.next_event(), parser.left) == (b"x", 2**63 - 1)


# What a header section may have: lines that come again, and what resembles them.
COMMON = b"Accept: */*|Accept: text/html|Cookie: a=b|Cookie: c=d|X: y"
FRAMING = b"Host: a|Connection: keep-alive|Content-Length: 2"
OTHERS = (
    b"Host: b|hOST: a|Host : a|connection: close|Content-Length: 1|content-length: 2"
    b"|Content-Length : 2|Transfer-Encoding: chunked|Upgrade: h2c|Expect: 100-continue"
    b"|Content-Encoding: gzip|Proxy-Connection: close|HTTP/1.1|accept: */*|Accept:"
    b"|Accept|Accept : */*| Accept: */*|: a|X: \xe9|X: \x01|X: \n|X: a\rb|X\0: a"
    b"|X: a\nHost: b|Content-Length|X-Host: b|A: Host: b"
)
LINES = {
    name: st.sampled_from(lines.split(b"|"))
    for name, lines in (("common", COMMON), ("framing", FRAMING), ("others", OTHERS))
}
HEADERS = st.builds(
    lambda *parts: b"".join(line + b"\r\n" for part in parts for line in part),
    st.sampled_from([[b"Host: a"], [b"Host: a", b"Content-Length: 2"], []]),
    st.lists(LINES["common"], max_size=3),
    st.sampled_from([[], [b"Host: a"], [b"Connection: keep-alive"]]),
    st.lists(LINES["common"] | LINES["framing"] | LINES["others"], max_size=1),
)


@hypothesis.settings(max_examples=EXAMPLES)
@hypothesis.given(st.lists(HEADERS, min_size=4, max_size=7))
def test_a_header_means_the_same_whatever_came_before(headers):
    known = Reader(fields=5)
    for header in headers:
        data = b"GET / HTTP/1.1\r\n" + header + b"\r\nab"[: 2 + 2 * (b": 2" in header)]
        new = Reader(fields=5).feed(data)
        del known.taken[:]
        known.feed(data)
        assert (seen(known), known.refused) == (seen(new), new.refused)
        if new.parser.finished or not all(each.complete for each in new.taken):
            break


def seen(reader):
    return [
        (each.fields, each.body, *(getattr(each.head, name) for name in Head.__slots__))
        for each in reader.taken
    ]


def header_of(*lines):
    return fields_of(*lines).partition(b"GET / ")[2]


@pytest.mark.parametrize(
    "line",
    [b"X: 3", b"X:", b"X: " + b"a" * 5000, b"Y: 1", b"X: \xe9", b"X: \0", b"x: 1"],
)
def test_only_plain_fields_of_known_names_are_familiar(line):
    familiar = Familiar(header_of(b"X: 1\r\n"), Limits())
    assert familiar.learn(header_of(b"X: 2\r\n"))
    assert familiar.has(header_of(line + b"\r\n")) is (line in (b"X: 3", b"X:"))


def test_the_fields_of_a_familiar_header_are_counted():
    familiar = Familiar(header_of(b"X: 1\r\n"), Limits(fields=3))
    reader = Reader(fields=3)
    for count, expected in {2: True, 3: False}.items():
        assert familiar.has(header_of(b"X: 1\r\n" * count)) is expected
        reader.feed(fields_of(b"X: 1\r\n" * count))
        assert (reader.refused == []) is expected


def test_a_header_that_tells_the_same_in_other_lines_is_not_learnt():
    familiar = Familiar(header_of(b"X: 1\r\n"), Limits())
    other = header_of(b"Y: 1\r\n").replace(b"Host", b"host")
    assert not familiar.learn(other)
    assert not familiar.has(header_of(b"Y: 1\r\n"))
    assert not familiar.has(other)


def test_no_more_is_kept_of_headers_than_is_allowed():
    lines = [b"X%d: %b\r\n" % (number, b"a" * 500) for number in range(10)]
    familiar = Familiar(header_of(), Limits())
    assert all(familiar.learn(header_of(line)) for line in lines)
    kept = [line for line in lines if familiar.has(header_of(line))]
    assert kept == lines[: KEPT // 507]
