"""The extras of a route: timeout= and on_disconnect=, and those of extensions."""

import asyncio
import logging
import math

import pytest
from roll import HttpError, Limits, RouteTable
from roll.plugins import require_boolean
from roll_testing import connect, exchange, settle, turns, until

from .wire import OK, error, get

LATE = error("503 Service Unavailable", close=False)


# timeout=


async def test_a_view_that_is_late_is_cancelled_and_answered_503(app, caplog):
    seen = []

    @app.route("/", timeout=0.05)
    async def view(request, response):
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    @app.route("/fast", timeout=10)
    async def fast(request, response):
        response.body = "ok"

    @app.listen("error")
    def note(request, response, error):
        seen.append(error.status)

    assert await exchange(app, get() + get("/fast")) == (LATE + OK, False)
    where = app.declarations[0].where
    assert caplog.messages == [
        f"view {view.__qualname__} ({where}) took longer than its timeout=0.05: 503"
    ]
    assert seen == ["ended", 503]
    assert app.declarations[0].extras == {"timeout": 0.05}


async def test_a_view_that_answers_instead_of_ending_is_late_all_the_same(app, caplog):
    @app.route("/", timeout=0.05)
    async def view(request, response):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            response.body = "late"

    assert await exchange(app, get()) == (LATE, False)
    assert "took longer than its timeout=0.05" in caplog.text


async def test_a_timeout_of_the_view_itself_is_an_error_like_others(app, caplog):
    @app.route("/", timeout=10)
    async def view(request, response):
        raise TimeoutError("the database")

    data, _ = await exchange(app, get())
    assert data.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert caplog.messages == ["GET /: TimeoutError('the database')"]


async def test_an_answer_that_streams_has_no_timeout(app):
    async def pieces():
        await asyncio.sleep(0.1)
        yield b"ok"

    @app.route("/", timeout=0.05)
    async def view(request, response):
        response.body = pieces()

    data, closed = await exchange(app, get())
    assert data.endswith(b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    assert not closed


async def test_a_client_that_leaves_cancels_a_view_with_a_timeout(app):
    seen = []

    @app.route("/", timeout=10)
    async def view(request, response):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    transport = connect(app)
    transport.feed(get())
    await asyncio.sleep(0)
    transport.disconnect()
    await until(lambda: seen)
    assert seen == ["cancelled"]


# on_disconnect=


class Work:
    """A view that waits, reads and streams, and notes how it ends."""

    def __init__(self, app, **extras):
        self.seen = []
        self.gate = asyncio.Event()
        app.route("/", methods=["POST"], lazy_body=True, **extras)(self.view)

    async def pieces(self):
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            self.seen.append("closed")

    async def view(self, request, response):
        try:
            await self.gate.wait()
            if request.query.bool("read", False):
                await request.read()
            self.seen.append("ended")
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        except HttpError as error:
            self.seen.append(error.message)
        if request.query.bool("stream", False):
            response.body = self.pieces()


def post(query="", size=0):
    return get(f"/?{query}", f"Content-Length: {size}", method="POST")


@pytest.mark.parametrize("leave", ["disconnect", "reset"])
@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("", ["ended"]),
        ("stream=1", ["ended"]),  # its pieces are closed before they start
        ("read=1", ["The client left"]),
    ],
)
async def test_a_view_may_end_after_its_client_has_left(
    app, leave, query, seen, caplog
):
    work = Work(app, on_disconnect="finish")
    transport = connect(app)
    transport.feed(post(query, size=1 if "read" in query else 0))
    await asyncio.sleep(0)
    getattr(transport, leave)()
    await turns()
    assert len(app.connections) == 1  # it counts until the view has ended
    assert work.seen == []
    work.gate.set()
    await until(lambda: not app.connections)
    assert work.seen == seen
    assert transport.data == b""
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


async def test_a_stream_ends_when_its_client_leaves_also_where_the_view_may_end(app):
    work = Work(app, on_disconnect="finish")
    work.gate.set()
    transport = connect(app)
    transport.feed(post("stream=1"))
    await until(lambda: transport.data)
    transport.disconnect()
    await until(lambda: not app.connections)
    assert work.seen == ["ended", "closed"]


async def test_a_stream_may_end_by_itself_after_its_client_has_left(app, caplog):
    gate = asyncio.Event()

    async def pieces():
        yield b"x"
        await gate.wait()

    @app.route("/", on_disconnect="finish")
    async def view(request, response):
        response.body = pieces()

    transport = connect(app)
    transport.feed(get())
    await until(lambda: transport.data)
    transport.disconnect()
    await turns()
    assert len(app.connections) == 1
    gate.set()
    await until(lambda: not app.connections)
    assert caplog.messages == []


async def test_a_response_that_waits_for_its_client_ends_when_that_leaves(app):
    seen = []

    @app.route("/", on_disconnect="finish")
    async def view(request, response):
        response.body = bytes(100_000)

    app.listen("finish")(lambda request, response: seen.append(response.complete))
    transport = connect(app)
    transport.stall()
    transport.feed(get())
    await until(lambda: transport.get_protocol().writable is not None)
    transport.disconnect()
    await until(lambda: not app.connections)
    assert seen == [False]


async def test_a_view_may_end_a_connection_whose_client_is_behind(app):
    @app.route("/")
    async def view(request, response):
        request.protocol.pause_writing()  # as the transport does
        request.protocol.abort()

    transport = connect(app)
    transport.feed(get())
    await until(lambda: not app.connections)
    assert transport.data == b""


async def test_a_view_is_cancelled_by_default(app):
    work = Work(app, on_disconnect="cancel")
    transport = connect(app)
    transport.feed(post())
    await asyncio.sleep(0)
    transport.disconnect()
    await until(lambda: work.seen)
    assert work.seen == ["cancelled"]


async def test_the_sweep_passes_a_view_over_whose_client_has_left(app):
    app.limits = Limits(write_timeout=0.01, keep_alive=0.01)
    work = Work(app, on_disconnect="finish")
    await app.startup()
    transport = connect(app)
    transport.feed(post())
    await asyncio.sleep(0)
    transport.disconnect()
    idle = connect(app)
    idle.feed(get("/none"))
    await idle.wait_closed()  # by the sweep
    assert work.seen == []
    work.gate.set()
    await app.shutdown()
    assert work.seen == ["ended"]


async def test_shutdown_waits_for_a_view_whose_client_has_left(app):
    work = Work(app, on_disconnect="finish")
    await app.startup()
    transport = connect(app)
    transport.feed(post())
    await asyncio.sleep(0)
    transport.disconnect()
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.05, work.gate.set)
    await app.shutdown()
    assert work.seen == ["ended"]


async def test_shutdown_cuts_such_a_view_at_the_deadline(app, caplog):
    app.limits = Limits(shutdown=0.05)
    work = Work(app, on_disconnect="finish")
    await app.startup()
    transport = connect(app)
    transport.feed(post())
    await asyncio.sleep(0)
    transport.disconnect()
    await asyncio.sleep(0)
    await app.shutdown()
    assert work.seen == ["cancelled"]
    assert caplog.messages == [
        "Shutdown cuts 1 connections and 1 tasks that are still running"
    ]


async def test_a_path_that_does_not_decode_is_of_no_such_route(app):
    @app.listen("headers")
    async def wait(request, response):
        await asyncio.Event().wait()

    transport = connect(app)
    transport.feed(get("/%ff"))
    await asyncio.sleep(0)
    transport.disconnect()
    await settle(transport)
    assert app.connections == set()


# Mistakes


@pytest.mark.parametrize(
    ("extras", "error", "message"),
    [
        (
            {"view": 1},
            TypeError,
            "an extra cannot be called view: listeners get the view so",
        ),
        ({"method": "POST"}, TypeError, "method= is unknown; did you mean methods="),
        ({"Methods": "POST"}, TypeError, "Methods= is unknown; did you mean methods="),
        ({"lazybody": 1}, TypeError, "lazybody= is unknown; did you mean lazy_body="),
        ({"protocols": 1}, TypeError, "protocols= is unknown; did you mean protocol="),
        ({"mehtods": "*"}, TypeError, "mehtods= is unknown; did you mean methods="),
        ({"timeouts": 1}, TypeError, "timeouts= is unknown; did you mean timeout="),
        (
            {"on_disconect": "finish"},
            TypeError,
            "on_disconect= is unknown; did you mean on_disconnect=",
        ),
        ({"limits": 1}, TypeError, "limits=1: give a roll.Limits"),
        (
            {"limits": Limits(body=1, upload=1)},
            ValueError,
            "limits= of a route can only set `body`",
        ),
        ({"timeout": "1"}, TypeError, "timeout='1': give seconds, a number"),
        ({"timeout": True}, TypeError, "timeout=True: give seconds, a number"),
        ({"timeout": 0}, ValueError, "timeout=0: give seconds above 0"),
        ({"timeout": math.inf}, ValueError, "timeout=inf: give seconds above 0"),
        ({"timeout": math.nan}, ValueError, "timeout=nan: give seconds above 0"),
        (
            {"on_disconnect": "end"},
            ValueError,
            "on_disconnect='end': give 'cancel' or 'finish'",
        ),
    ],
)
def test_an_extra_without_meaning_is_an_error_when_declared(
    app, extras, error, message
):
    async def view(request, response): ...

    with pytest.raises(error, match=rf"^/x: {message}\??\n"):
        app.route("/x", **extras)(view)
    assert app.declarations == []


@pytest.mark.parametrize("extras", [{"timeout": 1}, {"on_disconnect": "finish"}])
def test_routes_that_switch_protocols_have_no_such_extras(app, install, extras):
    install(
        "echo",
        source="""
        from roll import hookimpl

        class Echo:
            TOKEN = "echo"
            ALLOWED_METHODS = ["GET"]

        @hookimpl
        def roll_protocols():
            return {"echo": Echo}
        """,
    )

    async def view(request, protocol): ...

    with pytest.raises(ValueError, match="are only for HTTP views"):
        app.route("/x", protocol="echo", **extras)(view)


def test_extras_whose_names_are_not_near_are_free(app):
    async def view(request, response): ...

    extras = {"limit": "10/minute", "name": "x", "login": True, "subprotocols": []}
    app.route("/x", **extras)(view)
    assert app.declarations[0].extras == extras


# Those that extensions read


async def test_a_misspelled_extra_of_an_extension_keeps_an_app_from_starting(app):
    async def view(request, response): ...

    routes = RouteTable()
    routes.get("/x", compressed=False, color="red")(view)
    app.route("/y", compress=True, expire=60)(view)
    app.include(routes)
    assert app.find_mistakes() == []  # nobody reads them yet
    app.extras("compress", "expires")
    found = app.find_mistakes()
    ends = [f"? The route is declared at {one.where}" for one in app.declarations]
    assert found == [
        f"/y: expire= is unknown; did you mean expires={ends[0]}",
        f"/x: compressed= is unknown; did you mean compress={ends[1]}",
    ]
    for start in (app.startup, app.open):
        with pytest.raises(TypeError) as caught:
            await start()
        assert str(caught.value) == found[0]
    app.extras("expire", "compressed")
    await app.startup()
    await app.shutdown()


async def test_a_protocol_says_which_extras_it_reads(app):
    class Echo:
        TOKEN = "echo"
        ALLOWED_METHODS = ("GET",)
        EXTRAS = ("volume",)

    async def view(request, protocol): ...

    app.EchoProtocol = Echo
    app.route("/x", protocol="echo", volum=3)(view)
    with pytest.raises(TypeError, match="/x: volum= is unknown; did you mean volume="):
        await app.startup()


async def test_a_wrong_value_keeps_an_app_from_starting(app):
    async def view(request, response): ...

    def check_role(value):
        if value not in ("boss", "clerk"):
            raise ValueError("give 'boss' or 'clerk'")

    app.route("/x", role="bos", cached="no", color=3)(view)
    app.extras("role", "second_role", check=check_role)
    app.extras("cached", check=require_boolean)
    app.extras("cached", "color")  # another extension, which checks nothing
    app.route("/y", role="boss", second_role="clerk", cached=False)(view)
    where = app.declarations[0].where
    assert app.find_mistakes() == [
        "/x: role='bos': give 'boss' or 'clerk'. The route is declared at " + where,
        "/x: cached='no': give True or False. The route is declared at " + where,
    ]
    with pytest.raises(TypeError, match=r"^/x: role='bos': give 'boss' or 'clerk'\."):
        await app.startup()


async def test_an_extension_may_find_mistakes_in_views(app):
    async def view(request, response): ...

    app.route("/a")(view)

    def find():
        endpoints = app.router.endpoints
        yield from (f"{path}: {[*endpoints[path]]} is wrong" for path in endpoints)

    app.router.checks.append(find)
    assert app.find_mistakes() == ["/a: ['GET'] is wrong"]
    with pytest.raises(TypeError, match=r"^/a: \['GET'\] is wrong$"):
        await app.startup()
