"""sse as a browser has it: EventSource, through the end and the start of a server."""

import json
import shutil
import urllib.request
from http import HTTPStatus

import pytest
from roll import Roll
from roll.extensions import sse
from roll_sse import Event, Feed, encode, last_event_id
from roll_testing import patience

from .oracle import Oracle

# The driver of the browser is an example's; outside of the repository there is none.
driver = pytest.importorskip("examples.hello.browser")

CHROMIUM = shutil.which("chromium")

# A browser is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)

LISTEN = """
    window.got = [];
    window.opened = 0;
    window.source = new EventSource(PATH);
    source.onopen = () => { opened += 1; };
    for (const type of ['message', 'reset', 'type'])
        source.addEventListener(
            type, event => got.push([event.type, event.data, event.lastEventId]));
"""

ODD = [
    Event("a\nb\r\nc\rd", "type", "é"),
    Event(" \u2028\u0085\v\f: x", id=""),
    Event("", "reset", " 7: "),
    Event(comment="data: no", retry=1),
    Event(id="no data"),
    "\n",
    Event("the end", "", "8"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with driver.browse(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def app():
    app = Roll()
    stream = sse(app, retry=0.05)
    app["feed"] = Feed()

    @app.route("/")
    async def page(request, response):
        response.html = "<!DOCTYPE html><title>page</title>"

    @app.route("/events")
    async def events(request, response):
        stream(request, response, app["feed"].subscribe(since=request))

    @app.route("/odd")
    async def odd(request, response):
        async def events():
            for event in ODD:
                yield event
            await request.closing.wait()

        stream(request, response, events(), retry=None)

    @app.route("/once")
    async def once(request, response):
        async def events():
            yield Event("once", id="1")

        if last_event_id(request):
            response.status = HTTPStatus.NO_CONTENT
        else:
            stream(request, response, events())

    @app.route("/publish", methods=["POST"])
    async def publish(request, response):
        app["feed"].publish(request.body.decode())

    return app


def publish(port, text):
    url = f"http://127.0.0.1:{port}/publish"
    urllib.request.urlopen(url, text.encode(), timeout=patience(30)).close()


def listen(browser, path):
    browser.run(f"{{{LISTEN.replace('PATH', json.dumps(path))}}}")
    browser.wait("opened")


def got(browser):
    return json.loads(browser.run("JSON.stringify(got)"))


def test_events_go_on_through_a_restart(browser, app):
    with driver.serve(app) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        listen(browser, "/events")
        publish(port, "1")
        browser.wait("got.length == 1")
    for text in ("2", "3"):
        app["feed"].publish(text)
    with driver.serve(app, port):
        browser.wait("got.length == 3")
        publish(port, "4")
        browser.wait("got.length == 4")
    app["feed"] = Feed()  # as of another process
    with driver.serve(app, port):
        browser.wait("got.length == 5")
        publish(port, "5")
        browser.wait("got.length == 6")
        browser.run("source.close()")
    kinds = [(kind, data) for kind, data, _ in got(browser)]
    assert kinds[:4] == [("message", str(number)) for number in range(1, 5)]
    assert kinds[4:] == [("reset", ""), ("message", "5")]


def test_a_client_that_has_got_nothing_yet_resumes(browser, app):
    """socketio/socket.io#4888."""
    with driver.serve(app) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        listen(browser, "/events")
    app["feed"].publish("1")
    with driver.serve(app, port):
        browser.wait("got.length == 1")
        browser.run("source.close()")
    assert [data for _, data, _ in got(browser)] == ["1"]


def test_a_browser_stops_at_204(browser, app):
    with driver.serve(app) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        listen(browser, "/once")
        browser.wait("source.readyState == EventSource.CLOSED")
        assert [data for _, data, _ in got(browser)] == ["once"]


def test_a_browser_reads_as_the_standard_says(browser, app):
    with driver.serve(app) as port:
        browser.open(f"http://127.0.0.1:{port}/")
        listen(browser, "/odd")
        browser.wait("got.at(-1)?.[1] == 'the end'")
        browser.run("source.close()")
    oracle = Oracle(b"".join(map(encode, ODD)))
    assert got(browser) == [list(each) for each in oracle.dispatched]
