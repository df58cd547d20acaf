"""compress as a browser meets it: it inflates pages, streams and events by itself."""

import asyncio
import json
import shutil

import pytest
from roll import Roll
from roll.extensions import compress
from roll_testing import until

# The driver of the browser is an example's; outside of the repository there is none.
driver = pytest.importorskip("examples.hello.browser")

CHROMIUM = shutil.which("chromium")

# A browser is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)

TEXT = "Ça roule. " * 20_000
each_coding = pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])

READ = """
    window.got = [];
    fetch('/stream').then(async response => {
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        window.coding = response.headers.get('Content-Encoding');
        for (;;) {
            const {done, value} = await reader.read();
            if (done) break;
            got.push(value);
            await fetch('/seen');
        }
        got.push('the end');
    }).catch(error => got.push(String(error)));
"""
LISTEN = """
    window.got = [];
    const source = new EventSource('/events');
    source.onmessage = event => { got.push(event.data); fetch('/seen'); };
    source.onerror = () => { got.push('the end'); source.close(); };
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with driver.browse(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def coding():
    return "gzip"


@pytest.fixture
def app(coding):
    """Gives each piece when the page has seen the one before it."""
    app = Roll()
    compress(app, [coding])
    app["seen"] = asyncio.Event()
    app["seen"].set()

    @app.route("/")
    async def page(request, response):
        response.html = f"<!DOCTYPE html><title>page</title><p>{TEXT}</p>"

    @app.route("/seen")
    async def seen(request, response):
        app["seen"].set()

    @app.route("/stream")
    async def stream(request, response):
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
        response.body = pieces("{}")

    @app.route("/events")
    async def events(request, response):
        response.headers["Content-Type"] = "text/event-stream"
        response.body = pieces("data: {}\n\n")

    @app.listen("finish")
    def note_coding(request, response):
        if request.path == "/events":
            app["coding"] = response.headers["Content-Encoding"]

    @app.route("/broken")
    async def broken(request, response):
        response.headers["Content-Type"] = "text/plain"
        response.body = fail()

    async def pieces(pattern):
        for number in range(3):
            await app["seen"].wait()
            app["seen"].clear()
            yield pattern.format(number)
        await app["seen"].wait()

    async def fail():
        yield TEXT
        raise ValueError("broken")

    return app


async def in_page(function, *arguments):
    """Drive the browser, which waits, while the loop serves."""
    return await asyncio.to_thread(function, *arguments)


@each_coding
async def test_a_page_is_inflated(liveclient, browser, coding):
    await in_page(browser.open, f"{liveclient.url}/")
    shown = "document.querySelector('p').textContent"
    assert await in_page(browser.run, shown) == TEXT
    sizes = """
        const entry = performance.getEntriesByType('navigation')[0];
        JSON.stringify([entry.encodedBodySize, entry.decodedBodySize])
    """
    encoded, decoded = json.loads(await in_page(browser.run, f"{{{sizes}}}"))
    assert encoded < decoded / 100


@each_coding
async def test_each_piece_of_a_stream_is_read_at_once(liveclient, browser, coding):
    await in_page(browser.open, f"{liveclient.url}/")
    await in_page(browser.run, READ)
    await in_page(browser.wait, "got.at(-1) === 'the end'")
    found = await in_page(browser.run, "JSON.stringify([coding, got])")
    assert json.loads(found) == [coding, ["0", "1", "2", "the end"]]


async def test_each_event_is_heard_at_once(liveclient, browser):
    await in_page(browser.open, f"{liveclient.url}/")
    await in_page(browser.run, f"{{{LISTEN}}}")
    await in_page(browser.wait, "got.at(-1) === 'the end'")
    found = await in_page(browser.run, "JSON.stringify(got)")
    assert json.loads(found) == ["0", "1", "2", "the end"]
    assert await until(lambda: liveclient.app.get("coding")) == "gzip"


@each_coding
async def test_a_stream_that_fails_is_an_error(liveclient, browser, coding):
    await in_page(browser.open, f"{liveclient.url}/")
    script = """
        window.got = null;
        fetch('/broken').then(response => response.text()).then(
            text => { got = 'whole' }, error => { got = String(error) });
    """
    await in_page(browser.run, script)
    assert (await in_page(browser.wait, "got")).startswith("TypeError: ")
