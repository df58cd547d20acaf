"""metrics of several workers: each that is scraped answers for all of them."""

import asyncio
import contextlib
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from roll import Roll
from roll.extensions import metrics
from roll_observability import workers
from roll_observability.exposition import END
from roll_testing import Client, connect, patience, settle, until

from .reading import DURATION, parse, value

PROMTOOL = shutil.which("promtool")
MISSING = "roll_metrics_workers_missing"


@pytest.fixture
def directory():
    """A folder with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="roll-") as folder:
        yield Path(folder, "metrics")


def make_app(directory, **options):
    app = Roll()
    app["registry"] = metrics(app, directory=directory, **options)

    @app.route("/hello")
    async def hello(request, response):
        response.body = "hello"

    return app


@contextlib.asynccontextmanager
async def serving(*directories):
    """Start an app for each directory, and give a client of each."""
    async with contextlib.AsyncExitStack() as stack:
        apps = [make_app(directory) for directory in directories]
        yield [await stack.enter_async_context(Client(app)) for app in apps]


async def scrape(client, accept="text/plain"):
    response = await client.get("/metrics", headers={"Accept": accept})
    assert response.status == 200, response.body
    return response.body.decode()


def count(samples):
    """Give how many requests each worker has counted."""
    return {
        dict(having)["worker"]: number
        for (name, having), number in samples.items()
        if name == f"{DURATION}_count"
    }


async def test_any_worker_answers_for_all(directory):
    async with serving(directory, directory, directory) as clients:
        for number, client in enumerate(clients, 1):
            for _ in range(number):
                await client.get("/hello")
        for client in clients:
            found = parse(await scrape(client))
            assert count(found) == {"1": 1, "2": 2, "3": 3}
            assert value(found, MISSING) == 0
            assert all("worker" in dict(having) for _, having in found)


@pytest.mark.parametrize(
    ("accept", "families"),
    [
        ("text/plain", text_string_to_metric_families),
        ("application/openmetrics-text", openmetrics_families),
    ],
)
async def test_each_family_stands_in_the_text_once(directory, accept, families):
    async with serving(directory, directory) as clients:
        for client in clients:
            await client.get("/hello")
        text = await scrape(clients[0], accept)
    names = [family.name for family in families(text)]
    assert sorted(names) == sorted({*names})
    assert text.count("# EOF") == ("openmetrics" in accept)
    assert count(parse(text, families)) == {"1": 1, "2": 1}


@pytest.mark.skipif(PROMTOOL is None, reason="apt-get install prometheus: promtool")
async def test_promtool_has_nothing_to_say(directory):
    alone = make_app(None)
    async with serving(directory, directory) as clients, Client(alone) as other:
        for client in (*clients, other):
            await client.get("/hello")
            await client.get("/nowhere")
        texts = [await scrape(clients[0]), await scrape(other)]
    for text in texts:
        done = await asyncio.to_thread(
            subprocess.run,
            [PROMTOOL, "check", "metrics"],
            input=text,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_metrics_of_the_application_get_the_label_too(directory):
    async with serving(directory, directory) as clients:
        for client in clients:
            registry = client.app["registry"]
            Counter("sold", "Sold.", ["what"], registry=registry).labels("tea").inc()
            Gauge("bare", "A gauge without labels.", registry=registry).set(7)
            busy = Gauge("busy", "Has the label.", ["worker"], registry=registry)
            busy.labels("ann").set(3)
        found = parse(await scrape(clients[0]))
    for worker in "1", "2":
        assert value(found, "sold_total", what="tea", worker=worker) == 1
        assert value(found, "bare", worker=worker) == 7
        # As Prometheus does with a label that is in the way of its own.
        assert value(found, "busy", worker=worker, exported_worker="ann") == 3


async def test_a_worker_that_ends_leaves_nothing_and_its_number_is_free(directory):
    async with serving(directory) as (first,):
        async with serving(directory) as (second,):
            await second.get("/hello")
            assert count(parse(await scrape(first))) == {"2": 1}
        found = parse(await scrape(first))
        assert (count(found), value(found, MISSING)) == ({}, 0)
        assert [path.name for path in directory.glob("*.sock")] == ["worker-1.sock"]
        async with serving(directory) as (third,):
            await third.get("/hello")
            assert count(parse(await scrape(first))) == {"2": 1}


async def test_a_worker_that_was_killed_is_not_missing(directory):
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(directory / "worker-2.sock"))
        killed.listen()
    async with serving(directory) as (first,):
        assert value(parse(await scrape(first)), MISSING) == 0
        async with serving(directory) as (second,):  # it takes the file over
            await second.get("/hello")
            assert count(parse(await scrape(first))) == {"2": 1}


@pytest.mark.parametrize("told", [None, b"", b"# HELP a b\n# TYPE a gauge\na 1\n"])
async def test_a_worker_that_does_not_answer_is_missing(directory, told):
    """None is one that never answers; the others are killed while they do."""

    async def answer(reader, writer):
        if told is None:
            await reader.read()  # until the other gives up
        else:
            writer.write(told)
        writer.close()

    async with serving(directory, directory) as (first, second):
        await second.get("/hello")
        path = directory / "worker-7.sock"
        async with await asyncio.start_unix_server(answer, path):
            found = parse(await scrape(first))
        assert count(found) == {"2": 1}
        assert value(found, MISSING, worker="1") == 1


async def test_a_collector_that_raises_makes_its_worker_missing(directory, caplog):
    class Broken:
        def collect(self):
            raise LookupError("no such thing")

    async with serving(directory, directory) as (first, second):
        second.app["registry"].register(Broken())
        assert value(parse(await scrape(first)), MISSING) == 1
        assert "The metrics of worker 2 cannot be written" in caplog.text
        assert (await second.get("/metrics")).status == 500
        assert (await second.get("/hello")).status == 200


@pytest.mark.parametrize("asked", [b"", b"\n", b"yaml\n", b"text", b"x" * 2**20])
async def test_a_question_that_is_none_gets_no_answer(directory, asked):
    async with serving(directory) as (client,):
        reader, writer = await asyncio.open_unix_connection(directory / "worker-1.sock")
        writer.write(asked)
        if asked != b"text":
            with contextlib.suppress(OSError):
                writer.write_eof()
        with contextlib.suppress(ConnectionResetError):
            assert not (await reader.read()).endswith(END)
        writer.close()
        assert value(parse(await scrape(client)), MISSING) == 0


async def test_an_end_does_not_wait_for_one_that_asks_nothing(directory, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", patience(60))
    async with serving(directory):
        path = directory / "worker-1.sock"
        silent, asking = [await asyncio.open_unix_connection(path) for _ in range(2)]
        asking[1].write(b"text\n")
        assert (await asking[0].read()).endswith(END)  # so the other is served, too
        asking[1].close()
        before = time.monotonic()
    assert time.monotonic() - before < patience(30)
    silent[1].close()


async def test_only_the_user_can_ask(directory):
    async with serving(directory):
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()
        }
        assert modes == {"worker-1.sock": 0o600, "worker-1.lock": 0o600}
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


async def test_apps_in_other_directories_are_others(directory):
    first, second = (directory / name for name in "ab")
    async with serving(first, second) as clients:
        for client in clients:
            await client.get("/hello")
            assert count(parse(await scrape(client))) == {"1": 1}


async def test_the_directory_may_be_in_the_environment(directory, monkeypatch):
    monkeypatch.setenv("ROLL_METRICS_DIR", str(directory))
    app = make_app(None)
    async with Client(app) as client:
        await client.get("/hello")
        assert count(parse(await scrape(client))) == {"1": 1}


async def test_an_app_that_starts_again_takes_a_number_again(directory):
    app = make_app(directory)
    for number in 1, 2:
        async with Client(app) as client:
            await client.get("/hello")
            assert count(parse(await scrape(client))) == {"1": number}


async def test_one_that_has_not_started_answers_for_itself(directory):
    app = make_app(directory)
    transport = connect(app)
    transport.feed(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: b"event_loop_lag_seconds 0.0" in transport.data)
    await settle(transport)
    assert b"worker" not in transport.data
    transport.disconnect()


async def test_a_start_that_fails_before_theirs_ends_well(directory):
    app = Roll()

    @app.listen("startup")
    def fail():
        raise LookupError

    metrics(app, directory=directory)
    with pytest.raises(LookupError):
        await app.startup()
    assert not directory.exists()
