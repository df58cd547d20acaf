"""What docs/contributing/architecture.md says of the code is so.

A journey on the page is a list of functions. It is made here, on a transport in memory,
and the interpreter tells which functions are called, and in which order.
"""

import ast
import asyncio
import contextlib
import dis
import functools
import re
import socket
import sys
import threading
from pathlib import Path

import pytest
from roll import Roll, Server
from roll_testing import connect, until

from tests.test_layers import CORE, FOLDERS, RANKS, core_modules_imported

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "contributing" / "architecture.md").read_text()
SOURCES = {
    **{str(path.relative_to(CORE)): path for path in CORE.rglob("*.py")},
    **{
        str(path.relative_to(source)): path
        for source in ROOT.glob("packages/roll-*/src")
        if source != CORE.parent
        for path in source.rglob("*.py")
    },
}
FILES = {str(path): name for name, path in SOURCES.items()}

FUNCTION = re.compile(r"`([\w/]+\.py)`,\s+`([\w.]+)(?<!\.py)`")
STEP = re.compile(r"^\d+\. (?:`([\w/]+\.py)`, `([\w.]+)`|(Your) (\w+)):", re.MULTILINE)
PATHS = re.compile(r"`((?:benchmarks|examples|packages|tests)/[\w/.-]*|conftest\.py)`")
GET = b"GET /hello/world?lang=fr HTTP/1.1\r\nHost: a\r\nCookie: theme=dark\r\n\r\n"
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    b"%b\r\n--x--\r\n" % bytes(100_000)
)


def section(title):
    """Give what stands under a heading of the page."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]


def steps(title):
    """List the functions of a journey: the file, or "Your", and the name."""
    return [
        (file or your, name or own)
        for file, name, your, own in STEP.findall(section(title))
    ]


@functools.cache
def functions(file):
    """Name the functions of a source, each with what it is defined in."""
    found = set()

    def look(node, before):
        for child in ast.iter_child_nodes(node):
            inside = before
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                inside = (*before, child.name)
                if not isinstance(child, ast.ClassDef):
                    found.add(".".join(inside))
            look(child, inside)

    look(ast.parse(SOURCES[file].read_text()), ())
    return found


@pytest.mark.parametrize(("file", "name"), sorted(set(FUNCTION.findall(PAGE))))
def test_every_function_that_the_page_names_exists(file, name):
    assert file in SOURCES
    assert name in functions(file)


def test_every_step_names_its_function():
    journeys = re.findall(r"^## (The journey .+)$", PAGE, re.M)
    assert len(journeys) == 5
    for title in journeys:
        count = len(re.findall(r"^\d+\. ", section(title), re.M))
        assert len(steps(title)) == count > 10


def test_the_reading_order_has_every_module_of_the_core_once():
    named = re.findall(r"`([\w/]+\.py)`", section("Reading order"))
    assert sorted(named) == sorted(str(p.relative_to(CORE)) for p in CORE.rglob("*.py"))


def test_half_an_hour_is_half_an_hour():
    minutes = map(int, re.findall(r"\((\d+) minutes\)", section("Reading order")))
    assert sum(minutes) == 30


def picture():
    """Pair each module in the picture of the layers with its row, from the top."""
    rows = re.findall(r"^[\d ].* \| (.+)$", section("Layers"), re.M)
    return [(name, at) for at, row in enumerate(rows) for name in row.split()]


def test_the_picture_has_every_module_once():
    assert sorted(name for name, _ in picture()) == sorted(RANKS)


@pytest.mark.parametrize("name", RANKS)
def test_a_module_imports_only_from_rows_below_its_own(name):
    rows = dict(picture())
    package = ".".join(["roll", *name.split(".")[:-1]])
    found = core_modules_imported(CORE / f"{name.replace('.', '/')}.py", package)
    assert all(rows[other] > rows[name] for other in found - FOLDERS)


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_the_docstring_of_a_folder_has_every_module(folder):
    module = ast.parse((CORE / folder / "__init__.py").read_text())
    named = re.findall(r"`(\w+)`", ast.get_docstring(module))
    modules = {path.stem for path in (CORE / folder).glob("*.py")} - {"__init__"}
    assert modules <= set(named)


@pytest.mark.parametrize("path", sorted(set(PATHS.findall(PAGE))))
def test_every_path_that_the_page_names_exists(path):
    assert (ROOT / path).exists()


# Journeys


@functools.cache
def start_of(code):
    """Find where a call begins: a coroutine also goes on behind each of its waits."""
    return next(
        step.offset for step in dis.get_instructions(code) if step.opname == "RESUME"
    )


@contextlib.contextmanager
def recorded(calls):
    """Note each call of a function of Roll, and of the functions in this module."""

    def note(frame, event, argument):
        code = frame.f_code
        if event != "call" or frame.f_lasti > start_of(code):
            return
        if code.co_filename in FILES:
            name = code.co_qualname.replace(".<locals>", "")
            calls.append((FILES[code.co_filename], name))
        elif code.co_filename == __file__:
            calls.append(("Your", code.co_name))

    before = sys.getprofile()
    threading.setprofile(note)  # of threads that start from now on
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def mismatch(steps, calls):
    """Say what a journey has that did not happen, or not in that order; else None.

    What counts is when a function is first called.
    """
    at = -1
    for file, name in steps:
        if (file, name) not in calls:
            return f"{file}, {name} is not called"
        before, at = at, calls.index((file, name))
        if at <= before:
            return f"{file}, {name} is called earlier"
    return None


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("a", "f"), ("a", "g")], None),
        ([("a", "g"), ("b", "f")], None),
        ([("a", "g"), ("a", "f")], "a, f is called earlier"),
        ([("a", "f"), ("a", "f")], "a, f is called earlier"),
        ([("a", "f"), ("b", "g")], "b, g is not called"),
    ],
)
def test_a_step_that_is_wrong_is_found(steps, expected):
    assert mismatch(steps, [("a", "f"), ("a", "g"), ("b", "f"), ("a", "f")]) == expected


@pytest.fixture
async def app():
    app = Roll()
    await app.startup()
    yield app
    await app.shutdown()


async def test_the_journey_of_a_get(app):
    @app.listen("request")
    async def listener(request, response):
        pass

    ended = []

    @app.listen("finish")
    def note_the_end(request, response):
        ended.append(response.sent)

    @app.route("/hello/{name}")
    async def view(request, response, name):
        lang, theme = request.query.get("lang"), request.cookies["theme"]
        response.body = f"{name} {lang} {theme}"

    calls = []
    with recorded(calls):
        transport = connect(app)
        transport.feed(GET)
        await until(lambda: ended)
    transport.disconnect()
    assert ended == [13]
    assert transport.data.endswith(b"\r\n\r\nworld fr dark")
    assert mismatch(steps("The journey of a GET"), calls) is None


async def test_a_header_that_comes_again_is_not_checked_again(app):
    @app.route("/hello/{name}")
    async def view(request, response, name):
        pass

    transport = connect(app)
    transport.feed(GET)
    await until(lambda: transport.data)
    calls = []
    with recorded(calls):
        transport.feed(GET)
        await until(lambda: transport.data.count(b"200 OK") == 2)
    transport.disconnect()
    skipped = {
        ("http11/parser.py", "Parser._read_head"),
        ("http11/framing.py", "check_host"),
    }
    assert set(steps("The journey of a GET")[6:8]) == skipped
    assert ("http11/parser.py", "Parser.next_event") in calls
    assert not skipped & set(calls)


async def test_the_journey_of_an_upload(app):
    @app.route("/", methods="POST", lazy_body=True)
    async def view(request, response):
        await request.load_form()
        with request.files.get("file") as file:
            response.body = str(len(file.read()))

    calls = []
    with recorded(calls):
        transport = connect(app)
        transport.feed(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" % len(FORM)
        )
        await until(lambda: ("http11/body.py", "Body.read") in calls)
        transport.feed(FORM)
        await until(lambda: transport.data)
    transport.disconnect()
    assert transport.data.endswith(b"\r\n\r\n100000")
    assert mismatch(steps("The journey of an upload"), calls) is None


async def test_the_journey_of_a_stream(app):
    async def generator():
        yield b"Hello "
        yield b"world"

    @app.route("/")
    async def view(request, response):
        response.body = generator()

    calls = []
    with recorded(calls):
        transport = connect(app)
        transport.stall()
        transport.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        waits = ("http11/exchange.py", "_wait_for_client")
        await until(lambda: waits in calls)
        transport.drain()
        await until(lambda: transport.data.endswith(b"\r\n0\r\n\r\n"))
    transport.disconnect()
    assert transport.data.endswith(b"6\r\nHello \r\n5\r\nworld\r\n0\r\n\r\n")
    assert mismatch(steps("The journey of a stream"), calls) is None


async def test_the_journey_of_a_websocket(app):
    @app.route("/", protocol="websocket")
    async def view(request, ws):
        async for message in ws:
            await ws.send(message)

    calls = []
    with recorded(calls):
        transport = connect(app)
        transport.feed(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket"
            b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        waits = ("roll_websockets/protocol.py", "WSProtocol._receive")
        await until(lambda: waits in calls)
        transport.feed(b"\x81\x82\0\0\0\0hi")  # text, under a mask of zeros
        await until(lambda: transport.data.endswith(b"\x81\x02hi"))
        transport.feed(b"\x88\x80\0\0\0\0")  # Close
        await until(lambda: not app.connections)
    assert transport.data.endswith(b"\x81\x02hi\x88\x00")
    assert mismatch(steps("The journey of a WebSocket"), calls) is None


async def test_the_journey_of_a_shutdown():
    app = Roll()

    @app.route("/")
    async def view(request, response):
        await request.closing.wait()
        response.body = "Goodbye"

    @app.listen("shutdown")
    async def listener():
        pass

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = Server(app, [sock])
    await server.start()
    transport = connect(app)
    transport.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: transport.get_protocol().task is not None)
    await asyncio.sleep(0)  # before Python 3.12, the task starts now
    calls = []
    with recorded(calls):
        await server.stop()
    assert transport.data.endswith(b"\r\n\r\nGoodbye")
    assert mismatch(steps("The journey of a shutdown"), calls) is None
