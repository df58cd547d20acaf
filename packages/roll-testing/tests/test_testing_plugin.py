"""The fixtures under each plugin that runs coroutine tests; see `MODES`."""

import asyncio
import warnings
from contextlib import suppress

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _close_the_idle_loop():
    """Close the loop that pytest-asyncio up to 1.3 makes beside that of a test.

    It stays in the policy, and a run inside the run would drop it unclosed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with suppress(RuntimeError):  # there is none
            asyncio.get_event_loop_policy().get_event_loop().close()


APP = """
import asyncio
import pytest
from roll import Roll

log = []


@pytest.fixture
def app():
    app = Roll()

    @app.route("/{name}")
    async def hello(request, response, name):
        response.body = f"{name} {app['up']}"

    @app.listen("startup")
    async def start():
        app["up"] = asyncio.get_running_loop() is not None
        log.append("startup")

    @app.listen("shutdown")
    async def stop():
        log.append("shutdown")

    return app

"""

COMMON = ["-W", "error", "-p", "no:cacheprovider"]
FUNCTION = ["-o", "asyncio_default_fixture_loop_scope=function"]

MODES = {
    "strict": (
        [*FUNCTION, "-o", "asyncio_mode=strict"],
        "import pytest_asyncio\nfixture = pytest_asyncio.fixture\n"
        "pytestmark = pytest.mark.asyncio\n",
    ),
    "auto": ([*FUNCTION, "-o", "asyncio_mode=auto"], "fixture = pytest.fixture\n"),
    "anyio": (
        ["-p", "no:asyncio"],
        "fixture = pytest.fixture\n"
        "pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures('anyio_backend')]\n"
        "@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n",
    ),
}


class Run:
    """Runs a test module in one of the modes."""

    def __init__(self, pytester, arguments, preamble):
        self.pytester = pytester
        self.arguments = arguments
        self.preamble = preamble

    def __call__(self, body, **outcomes):
        self.pytester.makepyfile(APP + self.preamble + body)
        result = self.pytester.runpytest_inprocess(*COMMON, *self.arguments)
        result.assert_outcomes(**outcomes)
        return result


@pytest.fixture(params=MODES)
def run(request, pytester):
    return Run(pytester, *MODES[request.param])


@pytest.fixture
def run_auto(pytester):
    return Run(pytester, *MODES["auto"])


def test_the_app_runs_around_each_test(run):
    run(
        """
async def test_first(client):
    assert log == ["startup"]
    assert (await client.get("/x")).body == b"x True"

async def test_second(client, liveclient):
    assert log == ["startup", "shutdown", "startup"]
    assert (await liveclient.query("GET", "/x")).body == b"x True"
    assert (await client.get("/x")).body == b"x True"

async def test_last():
    assert log == ["startup", "shutdown"] * 2
""",
        passed=3,
    )


def test_a_test_that_fails_by_a_500_shows_the_traceback(run_auto):
    result = run_auto(
        """
async def test_broken(app, client):
    del app["up"]
    assert (await client.get("/x")).status == 200
""",
        failed=1,
    )
    result.stdout.fnmatch_lines(["*GET */x*: KeyError('up')", "*response.body = f*"])


def test_an_async_fixture_may_be_the_first_to_use_the_app(run):
    run(
        """
@fixture
async def answer(client):
    assert log == []
    answer = await client.get("/x")
    assert log == ["startup"]
    yield answer
    assert log == ["startup", "shutdown"]
    await client.get("/x")

@fixture
async def live_answer(liveclient):
    return await liveclient.query("GET", "/x")

async def test_it(answer, client, live_answer):
    assert log == ["startup"]
    assert answer.body == live_answer.body == (await client.get("/x")).body

async def test_last():
    assert log == ["startup", "shutdown"] * 2
""",
        passed=2,
    )


def test_the_app_stops_when_another_fixture_fails(run):
    run(
        """
@fixture
async def answer(client):
    return await client.get("/x")

@fixture
async def broken(answer):
    raise RuntimeError("broken")

async def test_it(answer, broken):
    raise AssertionError

async def test_last():
    assert log == ["startup", "shutdown"]
""",
        errors=1,
        passed=1,
    )


def test_the_app_stops_when_the_test_fails(run):
    result = run(
        """
async def test_it(client, liveclient):
    assert await client.get("/x") is None

async def test_last():
    assert log == ["startup", "shutdown"]
""",
        failed=1,
        passed=1,
    )
    result.stdout.fnmatch_lines(["*assert <ClientResponse 200 b'x True'> is None*"])


@pytest.mark.parametrize("event", ["startup", "shutdown"])
def test_a_listener_that_raises_fails_the_test(run, event):
    result = run(
        f"""
@pytest.fixture(autouse=True)
def listen(app):
    @app.listen("{event}")
    async def fail():
        raise RuntimeError("cannot {event}")

async def test_it(client):
    log.append("body")

async def test_last():
    assert log == {
            ["startup", "shutdown"]
            if event == "startup"
            else ["startup", "body", "shutdown"]
        }
""",
        failed=1,
        passed=1,
    )
    result.stdout.fnmatch_lines([f"E*RuntimeError: cannot {event}"])


START = """
import threading
import pytest
from roll import Roll

@pytest.fixture
def app():
    app = Roll()

    @app.listen("startup")
    def connect():
        wait = threading.Event().wait
        threading.Thread(target=wait, args=[{seconds}], name="database").start()

    @app.listen("startup")
    async def fail():
        raise OSError("no tables")

    return app
"""


@pytest.mark.parametrize("client", ["client", "liveclient"])
@pytest.mark.parametrize(("seconds", "left"), [("None", True), ("0", False)])
def test_a_start_that_fails_leaves_the_threads_that_stay(
    pytester, client, seconds, left
):
    test = f"async def test_it({client}): raise NotImplementedError\n"
    pytester.makepyfile(START.format(seconds=seconds) + test)
    arguments, _ = MODES["auto"]
    result = pytester.runpytest_subprocess(*COMMON, *arguments, timeout=60)
    result.assert_outcomes(failed=1)
    assert result.ret == 1
    assert "E       OSError: no tables" in result.outlines
    line = "roll: the process ends without waiting for these threads: database"
    assert (line in result.errlines) == left


def test_classes_and_parameters_work(run):
    run(
        """
class TestApp:
    @pytest.fixture
    def path(self, name):
        return f"/{name}"

    @pytest.mark.parametrize("name", ["a", "b"])
    async def test_it(self, client, path, name):
        assert (await client.get(path)).text == f"{name} True"

    async def test_once_more(self, client):
        assert log == ["startup", "shutdown"] * 2 + ["startup"]
""",
        passed=3,
    )


def test_both_fixtures_can_be_overridden(run):
    run(
        """
@pytest.fixture
def client(client):
    client.default_headers["X-A"] = "1"
    return client

@pytest.fixture
def liveclient(liveclient):
    return liveclient.url

async def test_it(client, liveclient, app):
    assert log == ["startup"]
    assert client.default_headers == {"X-A": "1"}
    assert (await client.get("/x")).status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", liveclient[17:])
    writer.write(b"GET /x HTTP/1.0\\r\\n\\r\\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    await writer.wait_closed()
""",
        passed=1,
    )


def test_a_plain_test_may_use_the_client_without_requests(run_auto):
    run_auto(
        """
def test_it(client, liveclient):
    client.cookies["a"] = "b"
    assert liveclient.url.startswith("http://127.0.0.1:")
    assert log == []
""",
        passed=1,
    )


def test_a_request_of_a_plain_test_is_an_error(pytester):
    pytester.makepyfile(
        APP
        + """
def test_it(client):
    assert client.get("/x").status == 200
"""
    )
    # In a process of its own: the coroutine that nobody awaits is collected at any
    # time later, with a warning that would be an error of whatever test then runs.
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *FUNCTION)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*'coroutine' object has no attribute 'status'*"])


def test_without_an_app_pytest_says_so(pytester):
    pytester.makepyfile("async def test_it(client): ...")
    result = pytester.runpytest_inprocess(*COMMON, *FUNCTION)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'app' not found*"])


def test_fixtures_in_another_loop_than_the_test_are_an_error(run_auto):
    result = run_auto(
        """
@pytest.fixture
def answer(client, request):
    runner = asyncio.Runner()
    yield runner.run(client.get("/x"))
    runner.close()

async def test_it(answer, client):
    raise AssertionError

async def test_last():
    assert log == ["startup", "shutdown"]
""",
        failed=1,
        passed=1,
    )
    result.stdout.fnmatch_lines(["*another event loop already*the same loop scope*"])


def test_on_trio_the_fixtures_skip(pytester):
    pytest.importorskip("trio")
    pytester.makepyfile(
        APP
        + """
pytestmark = pytest.mark.anyio

@pytest.fixture(params=["asyncio", ("asyncio", {"debug": True}), "trio"])
def anyio_backend(request):
    return request.param

async def test_it(client, liveclient):
    assert (await client.get("/x")).status == 200
"""
    )
    result = pytester.runpytest_inprocess(*COMMON, "-p", "no:asyncio", "-rs")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["*Roll runs on asyncio, not on trio"])


def test_hypothesis_runs_the_app_around_each_example(run):
    pytest.importorskip("hypothesis")
    run(
        """
from hypothesis import HealthCheck, given, settings, strategies

@settings(
    max_examples=3,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=strategies.sampled_from("abc"))
async def test_it(client, name):
    assert log[-1] == "startup"
    assert (await client.get(f"/{name}")).text == f"{name} True"

async def test_last():
    assert log == ["startup", "shutdown"] * 3
""",
        passed=2,
    )


def test_a_loop_may_be_wider_than_a_test(run_auto):
    run_auto(
        """
pytestmark = pytest.mark.asyncio(loop_scope="module")

async def test_first(client):
    await client.get("/x")

async def test_second(client):
    await client.get("/x")
    assert log == ["startup", "shutdown", "startup"]
""",
        passed=2,
    )


def test_what_is_no_function_is_left_alone(pytester):
    pytester.makeconftest(
        """
import pytest

class Item(pytest.Item):
    def runtest(self):
        pass

def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".txt":
        return File.from_parent(parent, path=file_path)

class File(pytest.File):
    def collect(self):
        yield Item.from_parent(self, name="item")
"""
    )
    pytester.maketxtfile("")
    result = pytester.runpytest_inprocess(*COMMON, *FUNCTION)
    result.assert_outcomes(passed=1)
