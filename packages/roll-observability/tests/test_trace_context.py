"""tracing: what W3C Trace Context makes of the fields that a caller sends.

The cases are those of the W3C's own test suite (`trace-context`, at its strictest), as
the recommendation gives them. That suite is not installed as a package: here is what
each of its tests sends, and what has to come of it.
"""

import asyncio

import pytest
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from roll import Roll
from roll.extensions import tracing
from roll_testing import exchange

TRACE = "12345678901234567890123456789012"
PARENT = "1234567890123456"
GIVEN = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def send():
    """Send fields to a service, and tell with which it would call another."""
    app = Roll()
    tracing(app, tracer_provider=TracerProvider(shutdown_on_exit=False))
    calls = []

    @app.route("/")
    async def call_others(request, response):
        fields = {}
        propagate.inject(fields)
        calls.append(fields)

    async def send(*fields):
        lines = [f"{name}: {value}\r\n" for name, value in fields]
        head = f"GET / HTTP/1.1\r\nHost: x\r\n{''.join(lines)}\r\n"
        answer = await exchange(app, head.encode("latin-1"))
        assert answer.data.startswith(b"HTTP/1.1 200 ")
        fields = calls.pop()
        version, trace_id, span_id, flags = fields["traceparent"].split("-")
        assert (version, len(trace_id), len(span_id), len(flags)) == ("00", 32, 16, 2)
        assert int(trace_id, 16)
        assert int(span_id, 16)
        assert span_id != PARENT
        return trace_id, fields.get("tracestate", "")

    return send


async def test_without_fields_a_trace_begins(send):
    first, state = await send()
    second, _ = await send()
    assert first != second
    assert state == ""


@pytest.mark.parametrize("name", ["traceparent", "TraceParent", "TrAcEpArEnT"])
@pytest.mark.parametrize(
    "value",
    [
        GIVEN,
        *(f" {GIVEN}", f"\t{GIVEN}", f"{GIVEN} ", f"{GIVEN}\t", f"\t {GIVEN} \t"),
        # Versions to come may add to it (section 3.2.4).
        f"cc-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like",
    ],
)
async def test_a_traceparent_is_continued(send, name, value):
    trace_id, _ = await send((name, value))
    assert trace_id == TRACE


@pytest.mark.parametrize(
    "value",
    [
        # Version 0 has nothing behind the flags.
        f"{GIVEN}.",
        f"{GIVEN}-what-the-future-will-be-like",
        f"cc-{TRACE}-{PARENT}-01.what-the-future-will-be-like",
        # The version
        f"ff-{TRACE}-{PARENT}-01",
        f".0-{TRACE}-{PARENT}-01",
        f"0.-{TRACE}-{PARENT}-01",
        f"000-{TRACE}-{PARENT}-01",
        f"0000-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"-{TRACE}-{PARENT}-01",
        # The trace
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-.{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE[:-1]}.-{PARENT}-01",
        f"00-{TRACE}3-{PARENT}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{'A' * 32}-{PARENT}-01",  # upper case (trace-context#172)
        # The parent
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-.{PARENT[1:]}-01",
        f"00-{TRACE}-{PARENT[:-1]}.-01",
        f"00-{TRACE}-{PARENT}7-01",
        f"00-{TRACE}-{PARENT[:-1]}-01",
        f"00-{TRACE}-{'B' * 16}-01",
        # The flags
        f"00-{TRACE}-{PARENT}-.0",
        f"00-{TRACE}-{PARENT}-0.",
        f"00-{TRACE}-{PARENT}-001",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}",
        # Nothing of it
        *("", "-", "\xff", "0" * 600),
    ],
)
async def test_a_malformed_traceparent_is_ignored_with_its_tracestate(send, value):
    trace_id, state = await send(("traceparent", value), ("tracestate", "foo=1"))
    assert trace_id not in ("0" * 32, TRACE, TRACE[:-1], "a" * 32)
    assert state == ""


@pytest.mark.parametrize("version", ["00", "cc"])
async def test_a_traceparent_that_is_there_twice_is_ignored(send, version):
    values = [f"{version}-{TRACE[:-1]}{digit}-{PARENT}-01-x"[:57] for digit in "12"]
    trace_id, state = await send(
        *(("traceparent", value) for value in values), ("tracestate", "foo=1")
    )
    assert trace_id[:-1] != TRACE[:-1]
    assert state == ""


@pytest.mark.parametrize("name", ["trace-parent", "trace.parent"])
async def test_other_names_are_no_traceparent(send, name):
    trace_id, _ = await send((name, GIVEN))
    assert trace_id != TRACE


async def test_a_tracestate_alone_is_ignored(send):
    _, state = await send(("tracestate", "foo=1,bar=2"))
    assert state == ""


KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")
MEMBERS = [f"bar{number:02}={number:02}" for number in range(1, 34)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["foo=1,bar=2"], "foo=1,bar=2"),
        ([""], ""),
        (["foo=1", ""], "foo=1"),
        (["", "foo=1"], "foo=1"),
        (["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], None),
        ([f"{KEY}={VALUE}"], None),
        ([f"{KEY}@a-z0-9_-*/={VALUE}"], None),
        (["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3"),
        ([" foo=1"], "foo=1"),
        (["\tfoo=1"], "foo=1"),
        (["foo=1 "], "foo=1"),
        (["foo=1\t"], "foo=1"),
        (["\t foo=1 \t"], "foo=1"),
        ([",".join(MEMBERS[:10]), ",".join(MEMBERS[10:32])], None),
        (["foo=1", f"{'z' * 256}=1"], None),
        (["foo=1", f"{'t' * 241}@{'v' * 14}=1"], None),
    ],
)
async def test_a_tracestate_is_passed_on(send, lines, expected):
    fields = [("tracestate", line) for line in lines]
    trace_id, state = await send(("traceparent", GIVEN), *fields)
    assert trace_id == TRACE
    assert state == (",".join(lines) if expected is None else expected)


@pytest.mark.parametrize("name", ["TraceState", "TrAcEsTaTe", "TRACESTATE"])
async def test_its_name_is_in_any_case(send, name):
    _, state = await send(("traceparent", GIVEN), (name, "foo=1"))
    assert state == "foo=1"


@pytest.mark.parametrize("name", ["trace-state", "trace.state"])
async def test_other_names_are_no_tracestate(send, name):
    _, state = await send(("traceparent", GIVEN), (name, "foo=1"))
    assert state == ""


@pytest.mark.parametrize(
    "lines",
    [
        # Twice the same key
        *(["foo=1,foo=1"], ["foo=1,foo=2"], ["foo=1", "foo=1"], ["foo=1", "foo=2"]),
        # What no key may have
        *(["foo =1"], ["FOO=1"], ["foo.bar=1"]),
        *(["foo@=1,bar=2"], ["@foo=1,bar=2"]),
        *(["foo@@bar=1,bar=2"], ["foo@bar@baz=1,bar=2"]),
        # Too many members, and keys that are too long
        [",".join(MEMBERS[:20]), ",".join(MEMBERS[20:])],
        ["foo=1", f"{'z' * 257}=1"],
        ["foo=1", f"{'t' * 242}@v=1"],
        ["foo=1", f"t@{'v' * 15}=1"],
        # What no value may have
        *(["foo=bar=baz"], ["foo=,bar=3"]),
    ],
)
async def test_a_malformed_tracestate_is_ignored_alone(send, lines):
    fields = [("tracestate", line) for line in lines]
    trace_id, state = await send(("traceparent", GIVEN), *fields)
    assert trace_id == TRACE
    assert state == ""


@pytest.mark.parametrize("value", [GIVEN, None, f"00-{'0' * 32}-{PARENT}-01"])
async def test_each_request_has_a_span_of_its_own(value):
    app = Roll()
    tracing(app, tracer_provider=TracerProvider(shutdown_on_exit=False))
    calls = []

    @app.route("/")
    async def call_others(request, response):
        fields = {}
        propagate.inject(fields)
        calls.append(fields["traceparent"])

    field = "" if value is None else f"traceparent: {value}\r\n"
    head = f"GET / HTTP/1.1\r\nHost: x\r\n{field}\r\n".encode()
    await asyncio.gather(*(exchange(app, head) for _ in range(3)))
    assert len({call.split("-")[2] for call in calls}) == 3
    traces = {call.split("-")[1] for call in calls}
    assert traces == {TRACE} if value is GIVEN else len(traces) == 3
