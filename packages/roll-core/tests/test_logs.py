import asyncio
import gc
import io
import logging

import pytest
from roll import logs
from roll_testing import exchange

FORGED = "x\nGET /forged\r\n\x1b[2J\x9b\u2028\u202e\ud800é\tend"
QUOTED = r"x|  GET /forged\r|  \x1b[2J\x9b\u2028\u202e\ud800é" + "\tend"


@pytest.fixture
def log():
    """What a handler without any formatter of its own writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    logging.getLogger("roll").setLevel(logging.DEBUG)
    yield stream.getvalue
    root.removeHandler(handler)
    root.setLevel(level)
    logging.getLogger("roll").setLevel(logging.NOTSET)


def begins(text):
    """Give the lines that are not indented; the text has to be printable."""
    lines = text.split("\n")
    assert lines.pop() == ""
    assert all(line.replace("\t", "").isprintable() for line in lines)
    return [line for line in lines if not line.startswith("  ")]


def plain():
    raise ValueError(FORGED)


def noted():
    error = ValueError("a")
    error.add_note(FORGED)
    raise error


def in_context():
    try:
        plain()
    except ValueError:
        raise KeyError("b")  # noqa: B904


def with_a_cause_that_was_not_raised():
    raise KeyError("b") from ValueError(FORGED)


def grouped():
    raise ExceptionGroup(
        FORGED, [ValueError(FORGED), ExceptionGroup("c", [OSError(FORGED)])]
    )


class Multiline(Exception):
    def __repr__(self):
        return f"Multiline:\n{FORGED}"


def with_a_repr_of_several_lines():
    raise Multiline(FORGED)


@pytest.mark.parametrize(
    "fail",
    [
        plain,
        noted,
        in_context,
        with_a_cause_that_was_not_raised,
        grouped,
        with_a_repr_of_several_lines,
    ],
)
async def test_no_line_begins_with_what_an_exception_says(app, log, fail):
    @app.route("/view")
    async def view(request, response):
        fail()

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield b"one"
            fail()

        response.body = pieces()

    await exchange(app, b"GET /view HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    await exchange(app, b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
    first, second = begins(log())
    assert first.startswith("GET /view: ")
    assert second.startswith("GET /stream was cut short: ")


async def test_a_method_that_a_listener_takes_from_a_client_is_quoted(app, log):
    @app.listen("headers")
    async def override(request, response):
        request.method = FORGED
        raise ValueError("a")

    await exchange(app, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    (line,) = begins(log())
    assert line == "X"  # and the rest is indented


async def test_a_task_that_nobody_waits_for_is_reported_quoted(app, log):
    @app.route("/")
    async def view(request, response):
        async def work():
            plain()

        asyncio.create_task(work())  # noqa: RUF006
        await asyncio.sleep(0)

    await exchange(app, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    gc.collect()
    assert begins(log()) == ["Task exception was never retrieved"]
    assert "\n  future: <Task finished" in log()


async def test_what_did_not_decode_is_not_logged(app, log):
    @app.route("/", methods=["POST"])
    async def view(request, response):
        request.body.decode("ascii")

    await exchange(
        app,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nConnection: close\r\n\r\n"
        b"secret\xff",
    )
    assert "secret" not in log()
    assert begins(log()) == [
        "POST /: UnicodeDecodeError(\"'ascii' codec can't decode byte 0xff in "
        'position 6: ordinal not in range(128)")'
    ]


async def test_the_notes_of_an_exception_are_logged_with_it(app, log):
    @app.route("/")
    async def view(request, response):
        error = ValueError("no such table")
        error.add_note("run:\nmigrate")
        raise error

    await exchange(app, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert log().startswith("GET /: ValueError('no such table')\n")
    assert log().endswith("\n  run:\n  migrate\n")


def records(caplog, *arguments, **options):
    logging.getLogger("roll").error(*arguments, **options)
    return caplog.records


def test_a_record_keeps_its_exception_for_who_collects_them(caplog):
    error = ValueError(FORGED)
    (record,) = records(caplog, "%s failed", "a\tview", exc_info=error)
    assert record.exc_info[1] is error
    assert record.exc_text == "  ValueError: " + QUOTED.replace("|", "\n")
    assert (record.msg, record.args) == ("%s failed", ("a\tview",))


def test_a_message_is_quoted_once_it_is_made(caplog):
    (record,) = records(caplog, "%d%% of %s", 5, FORGED)
    assert record.getMessage() == "5% of " + QUOTED.replace("|", "\n")
    assert (record.exc_info, record.exc_text) == (None, None)


def test_there_may_be_no_exception_to_log():
    nothing = (None, None, None)
    record = logging.LogRecord("roll", logging.ERROR, "a", 1, "b", (), nothing)
    assert logs.QUOTING.filter(record)
    assert record.exc_text is None


def test_what_cannot_be_formatted_is_for_the_handlers_to_report():
    record = logging.LogRecord("roll", logging.ERROR, "a", 1, "%d", ("b",), None)
    assert logs.QUOTING.filter(record)
    assert record.msg == "%d"
