"""health: who lives, who is ready, and what the checks say."""

import asyncio
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from roll import Roll
from roll.extensions import health, logger, metrics, mount
from roll_testing import Client, connect, patience, settle, until

PASS = {"status": "pass"}
FAIL = {"status": "fail"}


@pytest.fixture
def app():
    return Roll()


async def ask(client, path="/readyz"):
    response = await client.get(path)
    return response.status, response.json


# Live


async def test_an_app_lives_while_its_loop_turns(app, client):
    """As openpanel#343 and suitenumerique/meet#1731 did not: it runs no check."""

    def check():
        raise AssertionError("it is called")

    health(app, checks={"database": check})
    response = await client.get("/livez")
    assert (response.status, response.json) == (200, PASS)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "application/health+json"


# Ready


@pytest.mark.parametrize("result", [True, None, "fine", 0])
async def test_an_app_whose_checks_pass_is_ready(app, client, result):
    async def check():
        return result

    health(app, checks={"a": check, "b": lambda: result})
    response = await client.get("/readyz")
    assert (response.status, response.json) == (200, PASS)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "application/health+json"
    assert "Retry-After" not in response.headers
    assert (await client.head("/readyz")).status == 200


def raise_lookup_error():
    raise LookupError("no database")


def exit_thread():
    raise SystemExit


async def cancel():
    raise asyncio.CancelledError


async def give_false():
    return False


async def raise_later():
    raise LookupError("later")


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        (lambda: False, "it is False"),
        (give_false, "it is False"),
        (lambda: give_false(), "it is False"),
        (raise_lookup_error, "LookupError('no database')"),
        (raise_later, "LookupError('later')"),
        (exit_thread, "SystemExit()"),
        (cancel, "CancelledError()"),
    ],
)
async def test_a_check_that_fails(app, client, caplog, check, problem):
    found = health(app, details=True, checks={"good": lambda: True})
    found.add("bad", check)
    response = await client.get("/readyz")
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json == {
        "status": "fail",
        "checks": {
            "good": [{"status": "pass"}],
            "bad": [{"status": "fail", "output": problem}],
        },
    }
    assert caplog.messages == [f"health: bad fails: {problem}"]


async def test_details_are_told_only_when_they_are_asked_for(app, client, caplog):
    health(app, checks={"secret": raise_lookup_error})
    assert await ask(client) == (503, FAIL)


async def test_a_change_is_logged_once(app, client, caplog):
    caplog.set_level("INFO", "roll")
    works = False
    health(app, checks={"it": lambda: works}, ttl=1e-9)
    for works in False, False, True, True, False:
        assert (await client.get("/readyz")).status == (200 if works else 503)
    assert caplog.messages == [
        "health: it fails: it is False",
        "health: it works again",
        "health: it fails: it is False",
    ]


async def test_checks_run_at_once(app, client):
    meeting = asyncio.Barrier(3)
    thread_meeting = threading.Barrier(2)
    health(
        app,
        checks={
            **{f"async {number}": meeting.wait for number in range(3)},
            **{f"plain {number}": thread_meeting.wait for number in range(2)},
        },
    )
    assert await ask(client) == (200, PASS)


async def test_a_check_that_takes_too_long_is_cancelled_and_fails(app, client, caplog):
    ended = []

    async def wait():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    health(app, checks={"slow": wait}, timeout=0.01, details=True)
    status, body = await ask(client)
    assert status == 503
    assert body["checks"]["slow"][0]["output"] == "it took longer than 0.01 s"
    await until(lambda: ended)


async def test_a_check_that_blocks_its_thread_runs_once(app, client, caplog):
    release = threading.Event()
    started = []

    def block():
        started.append(True)
        release.wait()

    health(app, checks={"stuck": block}, timeout=0.01, ttl=1e-9, details=True)

    async def output():
        _, body = await ask(client)
        return body["checks"]["stuck"][0].get("output")

    try:
        assert await output() == "it took longer than 0.01 s"
        for _ in range(3):
            assert await output() == "the previous run has not ended"
        assert len(started) == 1
    finally:
        release.set()

    async def works():
        return await output() is None

    await until(works)


async def test_a_check_that_does_not_heed_its_end_runs_once(app, client, caplog):
    release = asyncio.Event()
    started = []

    async def stay():
        started.append(True)
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    health(app, checks={"stays": stay}, timeout=0.01, ttl=1e-9)
    for _ in range(3):
        assert await ask(client) == (503, FAIL)
    assert len(started) == 1
    release.set()

    async def is_ready():
        return await ask(client) == (200, PASS)

    await until(is_ready)


async def test_results_are_kept_and_shared(app, client):
    runs = []
    go_on = asyncio.Event()

    async def count():
        runs.append(True)
        await go_on.wait()

    health(app, checks={"counted": count}, ttl=1000, timeout=1000)
    probes = [asyncio.create_task(ask(client)) for _ in range(20)]
    leaver = connect(app)
    leaver.feed(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: runs)
    leaver.disconnect()  # the others get their results all the same
    go_on.set()
    assert await asyncio.gather(*probes) == [(200, PASS)] * 20
    assert await ask(client) == (200, PASS)
    assert len(runs) == 1


async def test_results_are_as_old_as_ttl_at_most(app, client):
    runs = []
    health(app, checks={"counted": lambda: runs.append(True)}, ttl=0.01)
    await ask(client)

    async def runs_again():
        await ask(client)
        return len(runs) > 2

    await until(runs_again)


# From start to end


async def test_an_app_that_starts_is_not_ready(app):
    starting, go_on = asyncio.Event(), asyncio.Event()

    health(app, details=True)

    @app.listen("startup")
    async def start():
        starting.set()
        await go_on.wait()

    task = asyncio.create_task(app.startup())
    await starting.wait()

    async def probe():
        transport = connect(app)
        transport.feed(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        await settle(transport)
        data = bytes(transport.data)
        transport.disconnect()
        return data

    answer = await probe()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"output":"the application is starting"' in answer
    go_on.set()
    await task
    assert (await probe()).startswith(b"HTTP/1.1 200 ")
    await app.shutdown()
    assert (await probe()).startswith(b"HTTP/1.1 503 ")


async def test_an_app_whose_server_drains_is_not_ready_but_lives(app, client):
    health(app, details=True)
    other = []

    @app.listen("drain")
    async def see():
        other.append(await ask(client))

    await app.hook("drain")
    assert other == [
        (503, {**FAIL, "output": "the server is ending", "checks": {}}),
    ]
    assert await ask(client, "/livez") == (200, PASS)


async def test_an_app_that_is_closing_is_not_ready(app):
    health(app)
    async with Client(app):
        app.stop()
        transport = connect(app)
        transport.feed(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        await settle(transport)
        assert transport.data.startswith(b"HTTP/1.1 503 ")


async def test_an_app_that_starts_again_is_ready_again(app):
    health(app)
    for _ in range(2):
        async with Client(app) as client:
            assert await ask(client) == (200, PASS)
            await app.hook("drain")
            assert await ask(client) == (503, FAIL)


async def test_a_mounted_app_has_a_health_of_its_own(app, caplog):
    inner = Roll()
    mount(app, "/inner", inner)
    health(app)
    health(inner, checks={"bad": lambda: False})
    async with Client(app) as client:
        assert await ask(client) == (200, PASS)
        assert await ask(client, "/inner/readyz") == (503, FAIL)
        await app.hook("drain")
        assert await ask(client, "/inner/livez") == (200, PASS)
        assert await ask(client) == (503, FAIL)


# What else there is


async def test_probes_are_neither_measured_nor_logged(app, caplog):
    caplog.set_level("INFO", "roll")
    registry = metrics(app)
    logger(app, handler=None)
    health(app)
    async with Client(app) as client:
        await ask(client)
        await ask(client, "/livez")
    assert caplog.messages == []
    name = "http_server_request_duration_seconds_count"
    samples = (sample for each in registry.collect() for sample in each.samples)
    assert not [sample for sample in samples if sample.name == name]
    extras = [each.extras for each in app.declarations if each.path != "/metrics"]
    assert extras == [{"metrics": False, "tracing": False, "logger": False}] * 2


async def test_a_path_may_be_another_one_or_left_out(app, client):
    health(app, live=None, ready="/up")
    assert await ask(client, "/up") == (200, PASS)
    assert (await client.get("/livez")).status == 404
    assert (await client.get("/readyz")).status == 404


def test_a_second_call_is_refused(app):
    health(app)
    with pytest.raises(ValueError, match="already has `health`: call it once"):
        health(app, live="/a", ready="/b")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"timeout": 0}, ValueError, "timeout=0: give seconds above 0"),
        ({"ttl": "1"}, TypeError, "ttl='1': give seconds, a number"),
        ({"details": 1}, TypeError, "details=1: give True or False"),
        ({"checks": {"a": True}}, TypeError, "check 'a': True is not a function"),
        ({"checks": {1: print}}, TypeError, "check 1: give it a name"),
        ({"live": "livez"}, ValueError, "start it with a slash"),
    ],
)
def test_a_wrong_option_is_told(app, options, error, message):
    with pytest.raises(error, match=message):
        health(app, **options)
    assert not app.hooks


def test_a_name_is_given_once(app):
    found = health(app, checks={"a": print})
    with pytest.raises(ValueError, match="check 'a' is there already"):
        found.add("a", print)


STUCK = """
import asyncio, threading
from roll import Roll
from roll.extensions import health
from roll_testing import Client

app = Roll()
health(app, checks={"stuck": threading.Event().wait}, timeout=0.01)

async def run():
    async with Client(app) as client:
        print((await client.get("/readyz")).status)

asyncio.run(run())
"""


def test_a_check_that_never_returns_keeps_no_process_from_its_end():
    done = subprocess.run(
        [sys.executable, "-c", STUCK],
        capture_output=True,
        text=True,
        timeout=patience(60),
    )
    assert (done.returncode, done.stdout) == (0, "503\n")
    assert "health: stuck fails: it took longer than 0.01 s" in done.stderr


def test_a_check_that_returns_when_its_loop_is_closed_harms_nothing(app, caplog):
    release = threading.Event()
    threads = []

    def wait():
        threads.append(threading.current_thread())
        release.wait()

    health(app, checks={"late": wait}, timeout=0.01)

    async def run():
        async with Client(app) as client:
            assert await ask(client) == (503, FAIL)

    asyncio.run(run())
    release.set()
    threads[0].join()
