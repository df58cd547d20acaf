"""What holds for all that a client may send, and for whatever it does meanwhile."""

import asyncio
import gc
import logging
import os
import time
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from typing import NamedTuple

import h11
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from roll import Limits, Roll
from roll.http11 import outbox
from roll_testing import Transport, patience

EXAMPLES = int(os.environ.get("ROLL_TEST_EXAMPLES", "150"))  # 5000 and more for a night
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

HIGH_WATER = 200  # bytes that a client leaves unread before views have to wait
HELD = 300  # bytes of responses that may wait for the end of a round
LARGEST = 1500  # bytes of a response of this app, with its head
LONGEST = patience(0.05)  # seconds that one read may take
LOGGERS = [logging.getLogger("roll"), logging.getLogger("asyncio")]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
REFUSALS = {400, 408, 413, 414, 431, 501, 505}


# The app, which notes what happens in it


class Silence(asyncio.Protocol):
    """What a connection may switch to."""

    TOKEN = "silence"
    ALLOWED_METHODS = ("GET",)

    def __init__(self, request, response):
        self.done = asyncio.Event()
        response.headers.update(Connection="Upgrade", Upgrade="silence")

    def connection_lost(self, error):
        self.done.set()

    def stop(self):
        self.done.set()

    def check(self, now): ...

    async def run(self, view, variables):
        await self.done.wait()


class App(Roll):
    WebsocketProtocol = Silence
    limits = Limits(
        target=300, field=300, fields=20, head=2000, body=600, buffer=100, unread=300
    )

    def __init__(self):
        super().__init__()
        self.served = []  # requests, in order
        self.opened = self.closed = self.failed = 0  # streams; views and streams
        self.gate = asyncio.Event()
        for view in (self.echo, self.stream, self.long, self.cut, self.fail):
            self.route(f"/{view.__name__}", methods="*")(view)
        for view in (self.read, self.late, self.unread, self.first, self.stubborn):
            self.route(f"/{view.__name__}", methods="*", lazy_body=True)(view)
        for status in (204, 304, 302):
            self.route(f"/{status}", methods="*", status=status)(self.bare)
        self.route("/split", methods="*")(self.split_head)
        self.route("/get")(self.echo)
        self.route("/switch", protocol="websocket")(self.echo)
        self.route("/parse/{what}", methods="*")(self.parse)
        self.listen("headers")(self.note)
        self.listen("response")(self.number)

    def note(self, request, response):
        self.served.append(request)

    def number(self, request, response):
        response.headers["N"] = ascii(request.headers.get("N"))

    async def echo(self, request, response):
        response.body = request.body

    async def read(self, request, response):
        response.body = b"".join([piece async for piece in request])

    async def late(self, request, response):
        await asyncio.sleep(0)
        await self.read(request, response)

    async def unread(self, request, response):
        response.body = b"ok"

    async def first(self, request, response):
        await self.gate.wait()
        response.body = request.content and await request.content.read()

    async def stubborn(self, request, response):
        with suppress(asyncio.CancelledError):
            await self.gate.wait()
        response.body = self.pieces()

    async def bare(self, request, response):
        response.status = request.route.payload["status"]

    async def fail(self, request, response):
        self.failed += 1
        raise ValueError("on purpose")

    async def split_head(self, request, response):
        self.failed += 1
        response.headers["X"] = "a\r\nX-Evil: 1"
        response.body = self.pieces()

    async def stream(self, request, response):
        response.body = self.pieces()

    async def long(self, request, response):
        response.body = self.pieces(count=50)

    async def cut(self, request, response):
        response.body = self.pieces(fails=True)

    async def pieces(self, count=2, fails=False):
        self.opened += 1
        try:
            for _ in range(count):
                yield b"x" * 50
                await asyncio.sleep(0)
                if fails:
                    self.failed += 1
                    raise ValueError("on purpose")
        finally:
            self.closed += 1

    async def parse(self, request, response, what):
        found = getattr(request, what)
        if what != "json":
            found = {name: ascii(found[name]) for name in found}
        response.json = found


class Collecting(App):
    """Takes any request with its body, whatever it asks for."""

    limits = Limits()

    def __init__(self):
        super().__init__()
        self.collected = []
        self.listen("request")(self.collect)

    async def collect(self, request, response):
        method, body = request.method.encode(), await request.read()
        self.collected.append((method, request.url, request.fields, body))
        return True


class Records(logging.Filter):
    """Keeps what is logged above DEBUG, and from everyone else."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def filter(self, record):
        if record.levelno > logging.DEBUG:
            self.messages.append(record.getMessage())
        return False


class OneSided(Transport):
    def can_write_eof(self):
        return False  # as with TLS


@asynccontextmanager
async def connected(app, kind=Transport, **options):
    """Connect to an app; in the end, see that nothing is left of the connection."""
    records = Records()
    for logger in LOGGERS:
        logger.addFilter(records)
    transport = kind(protocol := app.factory(), **options)
    transport.set_write_buffer_limits(HIGH_WATER)
    held, outbox.HOLD_BYTES = outbox.HOLD_BYTES, HELD
    protocol.connection_made(transport)
    try:
        yield transport
        transport.disconnect()
        await transport.wait_closed()
        await rest(app, transport)
        assert app.connections == set()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert app.opened == app.closed
        assert len(records.messages) == app.failed, records.messages
    finally:
        outbox.HOLD_BYTES = held
        for logger in LOGGERS:
            logger.removeFilter(records)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()  # that one failure is not found in the next example, too


async def rest(app, transport):
    """Let the loop turn until nothing has happened for a while."""
    before, quiet = None, 0
    while quiet < 12:
        await asyncio.sleep(0)
        now = (len(transport.data), transport.held, len(app.served), app.closed)
        before, quiet = now, quiet + 1 if now == before else 0


def feed(transport, data):
    gc.disable()  # to look through all that hypothesis keeps is not the server's work
    started = time.thread_time()  # not what others have of a busy machine
    try:
        transport.feed(data)
        assert time.thread_time() - started < LONGEST
    finally:
        gc.enable()


# The responses, as h11 reads them


class Answer(NamedTuple):
    status: int
    number: str | None
    body: bytes
    ends: bool  # nothing may follow: it closes, or it is cut


def read_answers(data, methods, closed, partly=False):
    """Read the responses to requests of these methods; they must be all there is.

    *partly* allows for a client that did not read on amid a response.
    """
    answers = []
    for method in methods:
        if not data:  # which is the end of the connection to h11
            break
        client = h11.Connection(h11.CLIENT)
        fields = [("Host", "a"), ("Connection", "upgrade"), ("Upgrade", "silence")]
        client.send(h11.Request(method=method, target="/", headers=fields))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        if (answer := read_answer(client, closed, partly)) is None:
            break
        answers.append(answer)
        data = client.trailing_data[0]
        if answer.ends:
            break
    if not partly:
        assert data in (b"", CONTINUE) or answers[-1].status == 101
    return answers


def read_answer(client, closed, partly):
    head, body = None, b""
    while True:
        event = client.next_event()
        if isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.Response) or getattr(event, "status_code", 0) == 101:
            head = event
        elif not isinstance(event, h11.InformationalResponse):
            break
    if head is None:
        return None
    fields = dict(head.headers)
    number = fields.get(b"n", b"").decode() or None
    closes = fields.get(b"connection") == b"close"
    cut = not isinstance(event, h11.EndOfMessage)
    assert closed or not closes or (cut and partly)
    return Answer(head.status_code, number, bytes(body), closes or cut)


class Outcome(NamedTuple):
    answers: list[Answer]
    closed: bool


def judge(app, transport, sent, partly=False):
    """Match what was answered with what was served, and that with what was sent."""
    closed = transport.eof or transport.is_closing()
    methods = [request.method for request in app.served]
    answers = read_answers(transport.data, [*methods, "GET"], closed, partly)
    assert len(app.served) <= sent.count(b"HTTP/1.")
    assert sum(answer.status == 500 for answer in answers) <= app.failed
    for request, answer in zip(app.served, answers, strict=False):
        if request.path not in ("/split", "/switch"):  # these may be replaced
            assert answer.number == ascii(request.headers.get("N"))
    if len(answers) > len(app.served):
        assert answers[-1].status in REFUSALS
        assert answers[-1].ends
    return Outcome(answers, closed)


def pieces_of(data, sizes):
    start = 0
    for size in cycle(sizes):
        if start >= len(data):
            return
        yield data[start : start + size]
        start += size


async def play(sent, sizes):
    """Send bytes, in reads of these sizes over and over."""
    app = App()
    async with connected(app) as transport:
        for piece in pieces_of(sent, sizes):
            feed(transport, piece)
            await asyncio.sleep(0)
        await rest(app, transport)
        return judge(app, transport, sent)


# Messages, and what is answered to them


class Message(NamedTuple):
    raw: bytes
    answer: tuple[int, bytes] | None = None  # status and body; None: any refusal
    ends: bool | None = True  # whether it is the last; None: as its body came


READING = ["/echo", "/read", "/late"]
ANSWERS = {
    "/unread": (200, b"ok"),
    "/none": (404, b"Not Found"),
    "/get": (405, b"Method Not Allowed"),
    "/stream": (200, b"x" * 100),
    "/cut": (200, b"x" * 50),
    "/fail": (500, b"Internal Server Error"),
    "/split": (500, b"Internal Server Error"),
    "/204": (204, b""),
    "/304": (304, b""),
    "/302": (302, b""),
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
# What is said of the connection, and whether it then stays open in 1.0 and in 1.1.
CONNECTIONS = {
    b"": (False, True),
    b"Connection: close\r\n": (False, False),
    b"connection: Keep-Alive\r\n": (True, True),
    b"Connection: keep-alive\r\nConnection: x, Close\r\n": (False, False),
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n": (False, True),
    b"Upgrade: TLS/1.0\r\nConnection: keep-alive, upgrade\r\n": (True, True),
}
SMUGGLED = b"0\r\n\r\nGET /echo HTTP/1.1\r\nHost: a\r\nN: 99\r\n\r\n"
names = st.from_regex(rb"[xX]-[A-Za-z0-9!#$%&'*+.^_`|~-]{0,9}", fullmatch=True)
values = st.from_regex(rb"([!-~\x80-\xff][ \t!-~\x80-\xff]{0,9})?", fullmatch=True)
spaces = st.sampled_from([b"", b" ", b"\t  "])
fields = st.tuples(names, spaces, values, spaces).map(b"%b:%b%b%b\r\n".__mod__)
sizes = st.lists(st.integers(1, 60), min_size=1, max_size=4)
contents = st.one_of(
    st.sampled_from([b"", SMUGGLED]),
    st.binary(max_size=30),
    st.sampled_from([99, 101, 250, 300, 301, 600, 601, 900]).map(b"x".__mul__),
)


@st.composite
def framed(draw, content, chunked):
    """Make the field that says how long a body is, and the body."""
    if not chunked:
        return b"Content-Length: %d\r\n" % len(content), content
    body = b""
    for piece in pieces_of(content, draw(sizes)):
        size = draw(st.sampled_from([b"%x", b"%X", b"00%x"])) % len(piece)
        extension = draw(st.sampled_from([b"", b";a", b';a=b;c="d e"']))
        body += b"%b%b\r\n%b\r\n" % (size, extension, piece)
    trailers = draw(st.sampled_from([b"", b"X: 1\r\nN: 98\r\n", b"Upgrade: x\r\n"]))
    return b"Transfer-Encoding: chunked\r\n", b"%b0\r\n%b\r\n" % (body, trailers)


@st.composite
def valid(draw, number):
    """Make a message, and tell its response."""
    path = draw(st.sampled_from([*READING, *ANSWERS]))
    method = draw(st.sampled_from(METHODS))
    minor = draw(st.sampled_from([1, 1, 0]))
    content = draw(contents)
    framing, body = draw(framed(content, minor and draw(st.booleans())))
    connection = draw(st.sampled_from(sorted(CONNECTIONS)))
    expect = draw(st.sampled_from([b"", b"", b"Expect: 100-Continue\r\n"]))
    lines = [b"Host: a\r\n", b"N: %d\r\n" % number, framing, connection, expect]
    lines = draw(st.permutations(lines + draw(st.lists(fields, max_size=4))))
    target = f"{draw(st.sampled_from(['', 'http://a:80']))}{path}?%00"
    head = f"{method} {target} HTTP/1.{minor}\r\n".encode() + b"".join(lines)
    empty = draw(st.sampled_from([b"", b"", b"\r\n"]))
    raw = empty + head + b"\r\n" + body

    status, text = ANSWERS.get(path, (200, content))
    if path == "/get" and method in ("GET", "HEAD"):
        path, status, text = "/echo", 200, content
    skips = path in ("/unread", "/none", "/get")
    if len(content) > App.limits.body and not skips and path not in READING[1:]:
        skips, status, text = True, 413, b"Content Too Large"
    ends = not CONNECTIONS[connection][minor]
    if status == 200 and path in ("/stream", "/cut"):
        ends = ends or minor == 0 or (path == "/cut" and method != "HEAD")
    unknown = expect or len(content) > App.limits.unread or status == 413
    if not ends and skips and unknown:
        ends = None
    return Message(raw, (status, b"" if method == "HEAD" else text), ends)


BAD_LINES = [
    *b"GET echo HTTP/1.1 | GET * HTTP/1.1 | GET http:///a HTTP/1.1".split(b" | "),
    *b"GET /echo HTTP/2.0 | GET /echo | BREW /echo HTTP/1.1 | \x16\3\1".split(b" | "),
    *b"\rGET /echo HTTP/1.1 | \nGET /echo HTTP/1.1 | GET /\nX: HTTP/1.1".split(b" | "),
    *b"GET  /echo HTTP/1.1 | GET /echo  HTTP/1.1 | GET /echo RTSP/1.0".split(b" | "),
    b"GET /%b HTTP/1.1" % (b"a" * 300),
]
CHUNKED = b"Transfer-Encoding: chunked"
BAD_FIELDS = [
    *b"Host: a | X : 1 | X | : 1 | X@: 1 | X: \0 | X: 1\nX: 2".split(b" | "),
    *b"X: 1\rX: 2 | X: 1\r\n folded | Content-Length: +1".split(b" | "),
    *b"Content-Length: 5\r\nContent-Length: 5 | Content-Length: 5, 5".split(b" | "),
    CHUNKED + b", gzip",
    CHUNKED + b"\r\n" + CHUNKED,
    CHUNKED + b"\r\nContent-Length: 5",
    b"Content-Length: 5\r\n" + CHUNKED,
    b"Transfer-Encoding: gzip",
    b"X: %b" % (b"a" * 300),
    b"\r\n".join([b"X: 1"] * 20),
]
BAD_CHUNKS = [
    *b"\r\n | x\r\n | -1\r\n | 0x1\r\nx\r\n | 1 \r\nx\r\n | 1\nx\r\n".split(b" | "),
    *b"1\r\nxy\r\n | 1;\0\r\nx\r\n | 0\r\nX : 1\r\n\r\n".split(b" | "),
    b"f" * 17 + b"\r\n",
    b"0\r\n%b\r\n" % (b"X: 1\r\n" * 30),
]


@st.composite
def bad(draw):
    """Make a message with one fault, complete except for that."""
    line, fields, body = b"POST /echo HTTP/1.1", [b"Host: a"], b"0\r\n\r\n"
    match draw(st.sampled_from(["line", "field", "version", "host", "body"])):
        case "line":
            line = draw(st.sampled_from(BAD_LINES))
        case "field":
            fields = draw(st.permutations([*fields, draw(st.sampled_from(BAD_FIELDS))]))
        case "version":
            line, fields = b"POST /echo HTTP/1.0", [CHUNKED]
        case "host":
            fields = [CHUNKED, *draw(st.sampled_from([[], [b"Host: a b"]]))]
        case "body":
            line = b"POST %b HTTP/1.1" % draw(st.sampled_from(READING)).encode()
            fields.append(CHUNKED)
            body = draw(st.sampled_from([b"", b"3\r\none\r\n"]))
            body += draw(st.sampled_from(BAD_CHUNKS))
    return Message(b"\r\n".join([line, *fields, b"", body]))


@st.composite
def scripts(draw, most=5):
    """Make some messages, maybe a bad one among them."""
    script = [draw(valid(number)) for number in range(draw(st.integers(1, most)))]
    if draw(st.booleans()):
        script.insert(draw(st.integers(0, len(script))), draw(bad()))
    return script


def join(script):
    return b"".join(message.raw for message in script)


INSERTED = [b"\r\n", b"\n", b"\r", b"\0", b"0\r\n\r\n", b": ", SMUGGLED, *BAD_FIELDS]


@st.composite
def mutants(draw):
    """Make messages, broken in some places and maybe cut short."""
    data = join(draw(scripts(most=3)))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(start + 20, len(data))))
        doubled = st.just(data[start:end] * 2)
        new = st.one_of(st.sampled_from(INSERTED), st.binary(max_size=4), doubled)
        data = data[:start] + draw(new) + data[end:]
    whole = draw(st.booleans())
    return data if whole else data[: draw(st.integers(0, len(data)))]


# What holds


@fuzz
@given(scripts(), sizes)
async def test_each_message_is_answered_in_order_up_to_the_last(script, sizes):
    sent = join(script)
    for each in ([len(sent)], [1], sizes):
        answers, closed = await play(sent, each)
        for message, answer in zip(script, answers, strict=False):
            if message.answer is None:
                assert answer.status in REFUSALS
            else:
                assert (answer.status, answer.body) == message.answer
            assert message.ends in (None, answer.ends)
        last = script[len(answers) - 1]
        if last.ends is False:
            assert len(answers) == len(script)
        assert closed == answers[-1].ends or last.ends is None


def without_reason(outcome):
    """Leave out which of two faults was seen: the second may come in the same read."""
    return outcome.closed, [
        answer._replace(status=400, body=b"") if answer.status in REFUSALS else answer
        for answer in outcome.answers
    ]


@fuzz
@given(st.one_of(mutants(), st.binary(max_size=200)), sizes)
async def test_any_bytes_are_answered_in_order_and_alike_in_every_way(sent, sizes):
    outcomes = [await play(sent, each) for each in ([len(sent) or 1], [1], sizes)]
    # What is skipped of a body may end the connection, or not, as it came.
    statuses = {answer.status for outcome in outcomes for answer in outcome.answers}
    if b"/unread" not in sent and not statuses & {404, 405, 413}:
        whole, one, several = map(without_reason, outcomes)
        assert whole == one == several


STEPS = ["stall", "feed_eof", "disconnect", "reset", "shutdown", "cancel", "open"]
steps = st.one_of(
    st.tuples(st.just("feed"), st.integers(1, 300)),
    st.tuples(st.just("feed"), st.just(2000)),
    st.tuples(st.just("turn"), st.integers(1, 5)),
    st.tuples(st.just("drain"), st.sampled_from([None, 1, 500])),
    st.tuples(st.just("check"), st.sampled_from([1, 10, 100])),
    st.tuples(st.sampled_from(STEPS), st.none()),
)
GET = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: silence\r\n\r\n"
slow = st.sampled_from([b"/first", b"/stubborn", b"/long", b"/switch"])
chapters = st.one_of(
    scripts(most=3).map(join),
    mutants(),
    slow.map(GET.__mod__),
    st.just(GET % b"/302" * 50),
)


@fuzz
@given(
    st.lists(chapters, min_size=1, max_size=3),
    st.lists(steps, min_size=5, max_size=30),
    st.sampled_from([Transport, OneSided]),
    st.booleans(),
)
async def test_whatever_happens_meanwhile_nothing_is_left(sent, steps, kind, closes):
    app = App()
    await app.startup()
    unsent = sent = b"".join(sent)
    stopping = []
    now = 0
    async with connected(app, kind, closes=closes) as transport:
        protocol = transport.get_protocol()
        for step, number in steps:
            match step:
                case "feed":
                    feed(transport, unsent[:number])
                    unsent = unsent[number:]
                case "turn":
                    for _ in range(number):
                        await asyncio.sleep(0)
                case "drain":
                    transport.drain(number)
                case "check":
                    now += number
                    for connection in app.connections:
                        connection.check(now)
                case "shutdown":
                    stopping.append(asyncio.create_task(app.shutdown()))
                case "cancel":
                    if protocol.busy:
                        protocol.task.cancel()
                case "open":
                    app.gate.set()
                case _:
                    getattr(transport, step)()
            assert transport.get_write_buffer_size() <= HIGH_WATER + HELD + LARGEST
        await rest(app, transport)
        judge(app, transport, sent, partly=("stall", None) in steps)
        transport.disconnect()
        await asyncio.gather(app.shutdown(), *stopping)


@fuzz
@given(st.binary(min_size=1, max_size=600), st.booleans(), sizes, st.data())
async def test_what_nobody_reads_yet_takes_bounded_memory(
    content, chunked, sizes, data
):
    framing, body = data.draw(framed(content, chunked))
    get = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
    app = App()
    async with connected(app) as transport:
        transport.feed(b"POST /first HTTP/1.1\r\nHost: a\r\n%b\r\n" % framing)
        fed = 0
        for piece in pieces_of(body + get * 20, sizes):
            feed(transport, piece)
            fed += len(piece)
            await asyncio.sleep(0)
            assert app.served[0].content.received <= app.limits.buffer + max(sizes)
            assert fed - transport.held <= len(body + get) + max(sizes)
        app.gate.set()
        await rest(app, transport)
        answers = read_answers(transport.data, ["POST"] + ["GET"] * 20, False)
        assert len(answers) == 21
        assert content.startswith(answers[0].body)


def read_requests(sent):
    """Read requests as h11 does, up to the first that is bad or incomplete."""
    requests = []
    with suppress(h11.RemoteProtocolError):
        while sent := sent.lstrip(b"\r\n"):  # more than h11 skips
            server = h11.Connection(h11.SERVER)
            server.receive_data(sent)
            if not isinstance(request := server.next_event(), h11.Request):
                break
            body = b""
            while isinstance(event := server.next_event(), h11.Data):
                body += event.data
            if not isinstance(event, h11.EndOfMessage):
                break
            fields = [(name.upper(), value) for name, value in request.headers]
            requests.append((request.method, request.target, fields, body))
            sent = server.trailing_data[0]
    return requests


@fuzz
@given(st.one_of(scripts(most=3).map(join), mutants()))
async def test_what_is_served_is_what_h11_reads(sent):
    app = Collecting()
    async with connected(app) as transport:
        feed(transport, sent)
        await rest(app, transport)
    assert app.collected == read_requests(sent)[: len(app.collected)]


ATOMS = [
    *b'= & ; + % %zz %00 %ff %C3%A9 " \\ , : {} { } 1 -1 1e999 null NaN'.split(),
    *b"\xff \xc3\xa9 . \\ud800 \\u00e9 --x --x-- name= filename= filename*=".split(),
    *b"\"a\" boundary= form-data; utf-8'' Content-Type: Content-Disposition:".split(),
    *(b" ", b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"[" * 200, b"]" * 200, b"1" * 500),
]
texts = st.lists(
    st.one_of(st.sampled_from(ATOMS), st.binary(max_size=3)), max_size=15
).map(b"".join)
parts = st.tuples(texts, texts, texts).map(
    b'--x\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'.__mod__
)
multiparts = st.tuples(st.lists(parts, max_size=4).map(b"".join), texts).map(b"".join)
TYPES = [
    b"multipart/form-data; boundary=x",
    b"multipart/form-data",
    b"application/x-www-form-urlencoded",
]


@fuzz
@given(
    st.sampled_from([b"query", b"cookies", b"form", b"files", b"json"]),
    st.sampled_from(TYPES),
    st.one_of(texts, multiparts),
)
async def test_what_does_not_parse_is_the_fault_of_the_client(what, kind, text):
    line = bytes(byte for byte in text if byte not in b"\r\n\0")
    query = bytes(byte for byte in line if byte in range(0x21, 0x7F))
    sent = (
        b"POST /parse/%b?%b HTTP/1.1\r\nHost: a\r\nContent-Type: %b\r\nCookie: %b\r\n"
        b"Content-Length: %d\r\n\r\n%b"
    ) % (what, query, kind, line, len(text), text)
    (answer,), _ = await play(sent, [len(sent)])
    assert answer.status in {200, *REFUSALS}
