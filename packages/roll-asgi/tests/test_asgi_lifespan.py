"""asgi: how an app starts and ends with its server."""

import asyncio
import os
import signal
import threading

import pytest
from roll import Roll
from roll.extensions import asgi
from roll_testing import until

from .asgi_rules import Conversation, call

STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
STARTED = {"type": "lifespan.startup.complete"}
ENDED = {"type": "lifespan.shutdown.complete"}


def scope():
    return {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}


@pytest.fixture
def events(app):
    events = []
    for name in ("startup", "shutdown"):
        app.listen(name)(lambda name=name: events.append(name))
    return events


async def test_an_app_starts_and_ends_with_the_server(app, events):
    talk = Conversation(asgi(app), scope(), STARTUP)
    await until(lambda: talk.sent == [STARTED])
    assert events == ["startup"]
    talk.tell(SHUTDOWN)
    await talk.task
    assert talk.sent == [STARTED, ENDED]
    assert events == ["startup", "shutdown"]


async def test_an_app_may_start_again(app, events):
    for _ in range(2):
        await call(asgi(app), scope(), STARTUP, SHUTDOWN)
    assert events == ["startup", "shutdown"] * 2


async def test_a_start_that_fails_tells_the_server_why(app, caplog):
    @app.listen("startup")
    async def fail():
        raise TypeError("no database")

    assert await call(asgi(app), scope(), STARTUP) == [
        {"type": "lifespan.startup.failed", "message": "TypeError: no database"}
    ]
    assert "Traceback" in caplog.text


async def test_an_end_that_fails_tells_the_server_why(app, caplog):
    @app.listen("shutdown")
    async def fail():
        raise OSError("no disk")

    assert await call(asgi(app), scope(), STARTUP, SHUTDOWN) == [
        STARTED,
        {"type": "lifespan.shutdown.failed", "message": "OSError: no disk"},
    ]
    assert "Traceback" in caplog.text


def http_scope():
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [],
        "client": None,
        "server": None,
    }


async def test_the_first_request_starts_the_app_without_a_lifespan(app, events):
    """As under most adapters of AWS Lambda: once, while other requests wait."""
    go_on = asyncio.Event()

    @app.listen("startup")
    async def slow():
        await go_on.wait()
        events.append("slow")

    @app.route("/")
    async def view(request, response):
        events.append("view")

    talks = [Conversation(asgi(app), http_scope()) for _ in range(3)]
    await until(lambda: events == ["startup"])
    go_on.set()
    await asyncio.gather(*(talk.task for talk in talks))
    assert events == ["startup", "slow", "view", "view", "view"]
    assert {talk.sent[0]["status"] for talk in talks} == {200}


async def test_a_start_that_fails_fails_the_request_and_is_tried_again(app):
    failures = [OSError("no database")]

    @app.listen("startup")
    async def fail():
        if failures:
            raise failures.pop()

    with pytest.raises(OSError, match="no database"):
        await call(asgi(app), http_scope())
    assert (await call(asgi(app), http_scope()))[0]["status"] == 404


async def test_running_requests_end_before_the_app_does(app, events):
    @app.route("/")
    async def view(request, response):
        await request.closing.wait()
        events.append("view")

    talk = Conversation(asgi(app), scope(), STARTUP)
    await until(lambda: talk.sent)
    request = Conversation(asgi(app), http_scope())
    await until(lambda: request.received)
    talk.tell(SHUTDOWN)
    await talk.task
    await request.task
    assert events == ["startup", "view", "shutdown"]


# Signals: a server waits for open streams before it tells the app that it ends.


@pytest.fixture
def handlers():
    """The signals that the handlers of a server have seen."""
    seen = []
    before = {}

    def handle(number, frame):
        seen.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, handle)
    yield seen
    for number, handler in before.items():
        assert signal.getsignal(number) is handle
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("signals", [True, False])
async def test_a_signal_stops_the_app_before_the_server(app, handlers, number, signals):
    """uvicorn#2829, #451, sse-starlette#132, granian#796: streams block the end."""
    talk = Conversation(asgi(app, signals=signals), scope(), STARTUP)
    await until(lambda: talk.sent)
    os.kill(os.getpid(), number)
    await until(lambda: handlers == [number])
    if signals:
        await until(app.closing.is_set)
    else:
        assert not app.closing.is_set()
    talk.tell(SHUTDOWN)
    await talk.task
    assert talk.sent == [STARTED, ENDED]


async def test_a_handler_that_the_server_sets_later_stays(app, handlers):
    talk = Conversation(asgi(app, signals=True), scope(), STARTUP)
    await until(lambda: talk.sent)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    talk.tell(SHUTDOWN)
    await talk.task
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    # What the fixture expects: the chained one calls the server's.
    signal.signal(signal.SIGTERM, before)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: handlers == [signal.SIGTERM])
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))


async def test_only_handlers_of_python_are_chained(app):
    """SIG_DFL and SIG_IGN cannot be called; Python's own one ends the program."""
    before = {number: signal.getsignal(number) for number in (2, 15)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    talk = Conversation(asgi(app, signals=True), scope(), STARTUP)
    await until(lambda: talk.sent)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    talk.tell(SHUTDOWN)
    await talk.task
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_server_in_a_thread_has_no_signals():
    outcome = []

    def serve():
        application = asgi(Roll(), signals=True)
        outcome.append(asyncio.run(call(application, scope(), STARTUP, SHUTDOWN)))

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    assert outcome == [[STARTED, ENDED]]
