"""Bytes of clients, mutated, for each parser that sees them.

Run it as `python -m tests.fuzz --seconds 60 --only cookies`; `test_fuzz_parsers.py`
tries some inputs of each target. Where Atheris is installed it chooses the inputs by
what they reach; otherwise, and in the tests, they are mutated at random from a seed.

A target may raise an `HttpError` of the class 4xx. It must take a time that is linear
in its input, and must do the same however the input is cut.
"""

import argparse
import asyncio
import gc
import inspect
import logging
import random
import re
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from roll import Cookies, HttpError, Multipart, Request, Roll
from roll.datastructures import parse_urlencoded
from roll_negotiation.choices import encoding_chooser, language_chooser, type_chooser
from roll_proxy import proxy_headers
from roll_static.conditions import choose_coding, make_plan
from roll_testing import connect, patience, settle

LONGEST = 64 * 1024
"""Bytes of an input."""
SECONDS = 0.5
SECONDS_PER_BYTE = 20e-6
"""CPU time for an input: many times what is usual, so that a busy machine passes."""

LOOP = asyncio.new_event_loop()


def pieces(data):
    """Cut an input in a way that follows from it."""
    rng = random.Random(zlib.crc32(data))
    start = 0
    while start < len(data):
        size = rng.choice([1, 2, 10, 100, 5000])
        yield data[start : start + size]
        start += size


def field(data):
    """Make the value of a field of an input."""
    return re.sub(rb"[^\t -~\x80-\xff]", b"", data)[:8000].strip()


def require_refusal(error):
    assert 400 <= error.status < 500, error


def same_cut_and_whole(use):
    """Make a target that requires one result of an input, whole and in pieces."""

    def target(data):
        whole, cut = use([data]), use(pieces(data))
        assert whole == cut, (whole, cut)

    return target


# Heads, chunks and what stands in fields, through the protocol


def make_app():
    app = Roll()
    app["seen"] = []

    @app.listen("request")
    async def answer(request, response):
        body = await request.read()
        app["seen"].append((request.method, request.url, request.fields, body))
        response.body = b"ok"
        return True

    return app


async def converse(app, parts):
    """Send an input on a connection of its own; give what was answered."""
    transport = connect(app)
    try:
        for part in parts:
            if transport.eof or transport.is_closing():
                break
            transport.feed(part)
            await asyncio.sleep(0)
        await settle(transport, idle=0)
        return transport.data
    finally:
        transport.disconnect()
        await transport.wait_closed()


def ask(app, parts):
    """Send an input; give the statuses and the requests, which must be valid."""
    app["seen"].clear()
    data = LOOP.run_until_complete(converse(app, parts))
    # A 100 depends on how much of the body is there when the view asks for it.
    found = [int(code) for code in re.findall(rb"HTTP/1\.1 (?!100)(\d{3}) ", data)]
    allowed = {200, 501, 505, *range(400, 500)}
    assert allowed.issuperset(found), data
    # Of two faults in one message the second may be found in the same read, or not.
    return [code == 200 for code in found], [*app["seen"]]


APP = make_app()


def ask_plainly(parts):
    return ask(APP, parts)


def proxied(headers):
    app = make_app()
    proxy_headers(app, headers=headers)
    return app


PROXIED = [
    (proxied(["Forwarded"]), b"Forwarded: %b\r\n"),
    (
        proxied(["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"]),
        b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n",
    ),
]


def forwarded(data):
    for app, fields in PROXIED:
        values = [field(part) for part in data.split(b"|", fields.count(b"%b") - 1)]
        values += [b""] * (fields.count(b"%b") - len(values))
        ask(app, [b"GET / HTTP/1.1\r\nHost: a\r\n" + fields % (*values,) + b"\r\n"])


# Values in, values out


def feed_form(head, parts):
    parser = Multipart(None)
    try:
        form, _ = parser.initialize("multipart/form-data;" + head.decode("latin-1"))
        for part in parts:
            parser.feed_data(part)
        parser.finish()
    except HttpError as error:
        require_refusal(error)
        return "refused"
    finally:
        names = {name: [*parser.files[name]] for name in parser.files}
        contents = [
            (name, file.filename, file.content_type, not file.closed and file.read())
            for name, found in names.items()
            for file in found
        ]
        parser.close()
    return {**form}, contents


def multipart(data):
    head, _, body = data.partition(b"\n")
    assert feed_form(head, [body]) == feed_form(head, pieces(body))


def urlencoded(data):
    text = data.decode("utf-8", "surrogateescape")
    found = parse_urlencoded(text, 1000)
    for name, values in found.items():
        "".join([name, *values]).encode()
    pieces = [piece for piece in text.split("&") if piece]
    whole = all("=" in piece for piece in pieces) and (pieces or not text)
    try:
        assert parse_urlencoded(text, 1000, strict=True) == found
        assert whole
    except HttpError as error:
        require_refusal(error)
        assert not whole


def cookies(data):
    for name, value in Cookies.parse(data.decode("latin-1")).items():
        assert isinstance(name + value, str)


def json(data):
    request = Request(None, None)
    request.body = data
    request.json  # noqa: B018


TYPES, LANGUAGES = ["text/html", "application/json;v=1"], ["en", "de-AT", "pt-BR"]
CODINGS = ["gzip", "br", "identity"]
choose_type = type_chooser(TYPES)
choose_language = language_chooser(LANGUAGES)
choose_encoding = encoding_chooser(CODINGS)
SIZES = {"": 100, "gzip": 50, "br": 40}


def accept(data):
    text = field(data).decode("latin-1")
    assert choose_type(text) in {None, *TYPES}
    assert choose_language(text) in LANGUAGES
    assert choose_encoding(text) in {None, *CODINGS}


NAMES = ["RANGE", "IF-RANGE", "IF-MATCH", "IF-NONE-MATCH"]
NAMES += ["IF-MODIFIED-SINCE", "IF-UNMODIFIED-SINCE"]


def conditions(data):
    values = [field(part).decode("latin-1") for part in data.split(b"|", 5)]
    values += [values[0]] * (len(NAMES) - len(values))
    fields = dict(zip(NAMES, values, strict=True))
    for name in NAMES:
        plan_of({name: fields[name]})
        plan_of({**fields, name: fields["RANGE"]})
    assert choose_coding(values[0], SIZES) in {None, *SIZES}


def plan_of(fields):
    plan = make_plan("GET", fields, '"tag"', 1_700_000_000, 1000)
    assert plan.status in (200, 206, 304, 412, 416)
    if plan.status == 206:
        assert 0 <= plan.start < plan.start + plan.length <= 1000


# WebSockets

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


async def talk(extensions, parts):
    app, heard = Roll(), []

    @app.route("/", protocol="websocket", compression="deflate")
    async def view(request, ws):
        async for message in ws:
            heard.append(message)  # noqa: PERF401 # the last may never come

    transport = connect(app)
    transport.feed(HANDSHAKE % extensions)
    try:
        async with asyncio.timeout(patience(10)):
            while b"\r\n\r\n" not in transport.data:
                await transport.activity()
        for part in parts:
            transport.feed(part)
            await asyncio.sleep(0)
        quiet, before = 0, None
        while quiet < 10:
            await asyncio.sleep(0)
            now = (len(heard), len(transport.data), transport.held)
            quiet, before = (quiet + 1 if now == before else 0), now
        return heard, transport.data.partition(b"\r\n\r\n")[2]
    finally:
        transport.disconnect()
        await transport.wait_closed()


def websocket(data):
    for extensions in (b"", DEFLATE):
        whole, cut = (
            LOOP.run_until_complete(talk(extensions, parts))
            for parts in ([data], pieces(data))
        )
        assert whole == cut, (whole, cut)


def frame(first, data, mask=b"\0\0\0\0"):
    size = (
        bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe\0" + bytes([len(data)])
    )
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
    return bytes([first]) + size + mask + masked


# What is mutated

POST = b"POST /a?b=%b HTTP/1.1\r\nHost: a\r\n"
PART = b'--x\r\nContent-Disposition: form-data; name="a"%b\r\n\r\nb\r\n'
SEEDS = {
    "http": [
        b"GET /a%20b?c=d HTTP/1.1\r\nHost: a:80\r\nCookie: a=b\r\n\r\n" * 2,
        POST + b"Content-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\n",
        POST + b'Transfer-Encoding: chunked\r\n\r\n3;a="b"\r\nabc\r\n0\r\nX: y\r\n\r\n',
        b"OPTIONS http://a/ HTTP/1.1\r\nHost: [::1]\r\nConnection: close, x\r\n\r\n",
        POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    ],
    "multipart": [
        b"boundary=x\n" + PART % b"" + PART % b'; filename="f"' + b"--x--\r\n",
        b'boundary="x"; a=b\n\r\n' + PART % b"; filename*=utf-8''a%20b" + b"--x--",
        b"boundary=x\n" + PART % b"\r\nContent-Type: text/plain" + b"--x--\r\nend",
        b"boundary=x\nnote\r\n--x \t\r\nA!: b\r\n" + PART[5:] % b"" + b"--x-- \r\n",
    ],
    "urlencoded": [b"a=b&c=%C3%A9&a=+&=&%zz", b"\xc3\xa9=\xff"],
    "cookies": [b'a=b; c="d\\"\\054e"; f=%20; a=%zz', b"a=b;c=d"],
    "accept": [
        b'text/html;q=0.5, application/*;v="1\\"", */*;q=.1',
        b"en-GB, de;q=0.8, *;q=0",
        b"gzip;q=1.000, identity;q=0, *",
    ],
    "conditions": [
        b'bytes=0-9|"tag"|W/"tag", "b"|*|Mon, 30 Nov 2026 06:00:00 GMT|x',
        b'bytes=-5|Monday, 30-Nov-26 06:00:00 GMT|*|"a"',
    ],
    "forwarded": [
        b'for=192.0.2.1;proto=https;host="a:8", for="[::1]:9";by=_x, for=unknown',
        b"192.0.2.1, ::1, 10.0.0.1:8|https|a.example:443",
    ],
    "websocket": [
        frame(0x81, b"caf\xc3\xa9", b"mask") + frame(0x82, b"x" * 200),
        frame(0x01, b"a") + frame(0x89, b"ping") + frame(0x80, b"b") + frame(0x88, b""),
        frame(0xC1, b"\xf2\x48\xcd\xc9\xc9\x07\x00") * 2 + frame(0x88, b"\x03\xe8bye"),
    ],
    "json": [b'{"a": [1, -2.5e3, true, null, "\\u00e9\\ud83d\\ude00"]}', b'"\\ud800"'],
}
TARGETS = {
    "http": same_cut_and_whole(ask_plainly),
    "multipart": multipart,
    "urlencoded": urlencoded,
    "cookies": cookies,
    "accept": accept,
    "conditions": conditions,
    "forwarded": forwarded,
    "websocket": websocket,
    "json": json,
}
WORDS = [
    *(b" ", b"\t", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b"\x7f", b"\xff"),
    *b", ; : = & % + * - / \\ | \" ' \xc3\xa9".split(),
    *b"%41 %zz %ff [::1] [ { } ] 0 1e999 18446744073709551616 q=0 bytes= W/".split(),
    *b"for= filename= name= boundary= --x --x-- \\u \\ud800 chunked HTTP/1.1".split(),
    *b"Content-Length: Transfer-Encoding: Host: \x81\xfe \x88\x82 \x00\x80".split(),
]


def mutate(rng, seeds):
    """Make an input of the seeds of a target."""
    data = rng.choice(seeds)
    for _ in range(rng.choice([1, 2, 5, 10])):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice([0, 1, 5, 30]))
        new = rng.choice(
            [
                b"",
                rng.choice(WORDS),
                rng.randbytes(rng.randrange(1, 4)),
                rng.choice(seeds)[rng.randrange(5) :],
                data[start:end] * rng.choice([2, 3, 50, 3000]),
                rng.choice(WORDS) * rng.choice([2, 50, 3000]),
            ]
        )
        data = (data[:start] + new + data[end:])[:LONGEST]
    return data


# Trying


def attempt(target, data):
    """Try one input.

    Raises:
        AssertionError: It took too long, or had two results.
        Exception: It is not what a parser may raise.
    """
    started = time.thread_time()
    try:
        target(data)
    except HttpError as error:
        require_refusal(error)
    took = time.thread_time() - started
    bound = SECONDS + SECONDS_PER_BYTE * len(data)
    assert took < bound, f"{took:.2f} s for {len(data)} bytes"


def try_at_random(name, seed, more):
    """Try inputs of a seed while *more*, a function of their count, is true."""
    rng, count = random.Random(f"{name} {seed}"), 0
    logger = logging.getLogger("roll")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    gc.disable()  # what pytest and others keep is not the parser's work
    try:
        while more(count):
            data = mutate(rng, SEEDS[name])
            try:
                attempt(TARGETS[name], data)
            except BaseException as error:
                error.add_note(f"{name}, seed {seed}, input {count}: {data!r}")
                raise
            count += 1
            if count % 100 == 0:
                gc.collect()
    finally:
        gc.enable()
        logger.setLevel(level)
    return count


def functions(packages):
    """Find the functions and methods of some packages that are imported."""
    for name, module in [*sys.modules.items()]:
        if not name.startswith(packages):
            continue
        for value in [*vars(module).values()]:
            members = vars(value).values() if inspect.isclass(value) else [value]
            for member in [*members]:
                own = getattr(member, "__module__", None) == name
                if own and inspect.isfunction(member):
                    yield member


def try_with_atheris(name, seed, seconds, folder):
    """Let Atheris choose the inputs, and keep them in a folder; it ends the process."""
    import atheris

    logging.getLogger("roll").setLevel(logging.CRITICAL)
    for function in functions(("roll", "multipart", "websockets")):
        atheris.instrument_func(function)
    for number, data in enumerate(SEEDS[name]):
        Path(folder, str(number)).write_bytes(data)
    options = [f"-max_total_time={seconds:.0f}", f"-seed={seed}", "-verbosity=0"]
    options += [f"-max_len={LONGEST}", "-print_final_stats=1", "-timeout=60"]
    options += [f"-artifact_prefix={tempfile.gettempdir()}/fuzz-{name}-", folder]
    atheris.Setup([sys.argv[0], *options], lambda data: attempt(TARGETS[name], data))
    atheris.Fuzz()


def has_atheris():
    try:
        import atheris  # noqa: F401
    except ImportError:
        return False
    return True


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="of each target")
    parser.add_argument("--seed", type=int, default=random.randrange(1, 10**6))
    parser.add_argument("--only", choices=TARGETS, action="append")
    parser.add_argument("--random", action="store_true", help="do without Atheris")
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    guided = not options.random and has_atheris()
    names = options.only or [*TARGETS]
    if guided and options.folder:
        try_with_atheris(names[0], options.seed, options.seconds, options.folder)
    failed = []
    for name in names:
        how = "Atheris" if guided else "random mutations"
        print(
            f"{name}: {options.seconds:g} s of {how}, seed {options.seed}", flush=True
        )
        if guided:  # a process for each: Atheris ends it
            command = [sys.executable, "-m", "tests.fuzz", "--only", name]
            command += ["--seconds", str(options.seconds), "--seed", str(options.seed)]
            with tempfile.TemporaryDirectory() as folder:
                if subprocess.run([*command, "--folder", folder]).returncode:
                    failed.append(name)
        else:
            until = time.monotonic() + options.seconds
            count = try_at_random(
                name, options.seed, lambda _, end=until: time.monotonic() < end
            )
            print(f"{name}: {count:,} inputs", flush=True)
    return f"failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
