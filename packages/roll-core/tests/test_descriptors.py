"""A process without a descriptor left answers what needs none, and 503 to the rest."""

import errno
import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from roll import HttpError, Roll, descriptors
from roll_testing import patience

pytestmark = pytest.mark.usefixtures("nothing_logged")

UNAVAILABLE = (503, b"Service Unavailable")


@pytest.fixture
def app():
    app = Roll()

    @app.route("/raise/{number:int}")
    async def fail(request, response, number):
        raise OSError(number, "of a view")

    @app.route("/open")
    async def view(request, response):
        os.close(os.open(__file__, os.O_RDONLY))

    return app


@pytest.fixture
def nothing_logged(monkeypatch):
    monkeypatch.setattr("roll.logs.shortage_logged", False)


@contextmanager
def none_left():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_view_that_can_open_nothing_is_503_and_logged_once(client, caplog):
    with none_left():
        for _ in range(3):
            response = await client.get("/open")
            assert (response.status, response.body) == UNAVAILABLE
    assert (await client.get("/open")).status == 200
    assert caplog.messages == [
        "Too many open files: a request got a 503 or was cut short, and so will any "
        "other that cannot open a file"
    ]


async def test_streams_that_can_open_nothing_are_cut_short_and_logged_once(
    app, client, caplog
):
    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield b"begun"
            os.close(os.open(__file__, os.O_RDONLY))

        response.body = pieces()

    with none_left():
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await client.get("/stream")
        assert (await client.get("/open")).status == 503
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Too many open files: a request got a 503")


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (errno.EMFILE, 503),
        (errno.ENFILE, 503),
        (errno.ENOENT, 500),
        (errno.ENOMEM, 500),
        (errno.EACCES, 500),
    ],
)
async def test_listeners_get_what_was_raised(app, client, number, status):
    found = []

    @app.listen("error")
    async def note(request, response, error):
        found.append((error.status, error.__context__.errno))

    assert (await client.get(f"/raise/{number}")).status == status
    assert found == [(status, number)]


async def test_a_listener_that_can_open_nothing_is_503(app, client):
    @app.listen("response")
    async def fail(request, response):
        raise OSError(errno.EMFILE, "of a listener")

    response = await client.get("/open")
    assert (response.status, response.body) == UNAVAILABLE


async def test_what_a_view_makes_of_it_stays(app, client, caplog):
    @app.route("/refuse")
    async def refuse(request, response):
        try:
            raise OSError(errno.EMFILE, "of a view")
        except OSError as error:
            raise HttpError(507) from error

    assert (await client.get("/refuse")).status == 507
    assert not caplog.records


def test_an_app_starts_without_a_folder_for_temporary_files(run, app, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: ["/proc/none"])

    async def main():
        await app.startup()
        await app.shutdown()

    run(main())


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_nothing_is_imported_for_a_request(level):
    # In a process of its own, where nothing was imported before the app starts.
    command = [sys.executable, Path(__file__).with_name("starved_app.py"), level]
    run = subprocess.run(command, capture_output=True, text=True, timeout=patience(60))
    assert (run.stderr, run.returncode) == ("", 0)
    *log, found = run.stdout.splitlines()
    assert json.loads(found) == [
        "GET /uuid/00000000-0000-0000-0000-000000000001 200",
        "GET /none 404",
        "GET /%ff 400",
        "GET /?a=%C3%A9 200",
        "POST /json 200",
        "POST /form 200",
        "POST /form 200",
        "POST /upload 200",
        *["POST /upload 503"] * 3,
        "GET /thread 200",
        "GET /import 503",
        "GET /bug 500",
        200,
    ]
    assert sum("Too many open files" in line for line in log) == 1
    assert sum("LookupError" in line for line in log) in (1, 2)


def test_what_requests_import_is_there():
    descriptors.prepare()
    assert {*descriptors._LAZY} <= {*sys.modules}
