"""templates: pages for errors."""

import asyncio
import logging

import pytest
from jinja2 import DictLoader
from roll import HttpError, Roll
from roll.extensions import templates, traceback
from roll_testing import connect, until

BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
}
SOURCES = {
    "error.html": "<p>{{ status }} {{ phrase }}: {{ message }}</p>",
    "404.html": "<p>{{ request.path }} is not there, {{ user }}</p>",
}


@pytest.fixture
def app():
    app = Roll()

    @app.route("/error/{status:int}")
    async def fail(request, response, status):
        raise HttpError(status, "<b> failed")

    @app.route("/broken")
    async def broken(request, response):
        raise ValueError("the reason")

    return app


@pytest.fixture
def pages(app):
    return make(app)


def make(app, errors="error.html", **sources):
    sources = {**SOURCES, **{k.replace("_", ".", 1): sources[k] for k in sources}}
    return templates(app, loader=DictLoader(sources), errors=errors)


async def test_an_error_is_a_page(pages, client):
    answer = await client.get("/error/400", headers=BROWSER)
    assert answer.status == 400
    assert answer.body == b"<p>400 Bad Request: &lt;b&gt; failed</p>"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Vary"] == "Accept"


async def test_a_page_of_the_status_is_preferred(pages, client):
    pages.context(lambda request: {"user": "Ada"})
    answer = await client.get("/nowhere", headers=BROWSER)
    assert (answer.status, answer.body) == (404, b"<p>/nowhere is not there, Ada</p>")


@pytest.mark.parametrize(
    ("errors", "name"),
    [("site/error.html", "site/400.html"), ("error.html.j2", "400.html.j2")],
)
async def test_it_is_beside_the_other(app, client, errors, name):
    sources = {errors: "other", name: "own", "400.html": "elsewhere"}
    templates(app, loader=DictLoader(sources), errors=errors)
    answer = await client.get("/error/400", headers=BROWSER)
    assert answer.body == (b"elsewhere" if name == "400.html" else b"own")


async def test_a_405_keeps_its_fields(pages, client):
    answer = await client.post("/broken", headers=BROWSER)
    assert answer.body == b"<p>405 Method Not Allowed: Method Not Allowed</p>"
    assert answer.headers["Allow"] == "GET, HEAD"


async def test_head_is_as_get(pages, client):
    get = await client.get("/error/400", headers=BROWSER)
    head = await client.head("/error/400", headers=BROWSER)
    assert (head.status, head.body) == (400, b"")
    assert head.headers["Content-Length"] == str(len(get.body))


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (BROWSER["Accept"], True),
        ("text/html", True),
        ("TEXT/HTML ; q=0.1", True),
        ("text/html;charset=utf-8", True),
        ("text/html, application/json;q=0.9", True),
        ("text/html, */*;q=0.1", True),
        ("text/*;q=0.1, text/html;q=0.2", True),
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("text/plain", False),
        ("application/json", False),
        ("text/html;q=0", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html;q=0.5, */*", False),
        ("text/html, application/json", False),
        ("text/html, text/plain", False),
        ("text/html;level=1", False),
        ("text/html;q=high", False),
        (",;=", False),
    ],
)
async def test_the_page_is_for_those_who_prefer_html(pages, client, accept, page):
    headers = {} if accept is None else {"Accept": accept}
    answer = await client.get("/error/400", headers=headers)
    assert answer.body.startswith(b"<p>") is page
    assert answer.headers["Vary"] == "Accept"
    if not page:
        assert answer.body == b"<b> failed"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_field_that_is_too_long_is_none(pages, client):
    headers = {"Accept": ["text/html", *["a/b" * 2000] * 2]}
    answer = await client.get("/error/400", headers=headers)
    assert (answer.status, answer.body) == (400, b"<b> failed")


@pytest.mark.parametrize(
    ("message", "text"),
    [(None, "I&#39;m a Teapot"), (b"caf\xc3\xa9 \xff", "café \ufffd"), ("", "")],
)
async def test_a_message_may_be_anything_that_the_core_takes(
    app, client, pages, message, text
):
    class TeapotError(HttpError):
        def __init__(self):
            self.status = 418
            self.message = message

    @app.route("/tea")
    async def tea(request, response):
        raise TeapotError

    answer = await client.get("/tea", headers=BROWSER)
    assert answer.body.decode().endswith(f": {text}</p>")


@pytest.mark.parametrize("first", [True, False])
async def test_what_another_listener_has_made_stays(app, client, first):
    if first:
        make(app)

    @app.listen("error")
    async def as_json(request, response, error):
        response.json = {"error": error.message}

    if not first:
        make(app)
    answer = await client.get("/error/400", headers=BROWSER)
    assert answer.json == {"error": "<b> failed"}


async def test_the_page_of_traceback_stays(app, client, capsys):
    traceback(app, page=True)
    make(app)
    headers = {**BROWSER, "Host": "127.0.0.1:3579"}
    answer = await client.get("/broken", headers=headers)
    assert b"the reason" in answer.body


# 5xx


async def test_a_page_does_not_tell_what_a_view_raised(pages, client):
    answer = await client.get("/broken", headers=BROWSER)
    assert answer.status == 500
    assert answer.body == b"<p>500 Internal Server Error: Internal Server Error</p>"


@pytest.mark.parametrize("path", ["/broken", "/error/503"])
async def test_context_processors_do_not_run_for_5xx(app, client, pages, path, caplog):
    """takahe#582."""

    @pages.context
    def who(request):
        raise ConnectionError("the database is down")

    answer = await client.get(path, headers=BROWSER)
    assert answer.body.startswith(b"<p>50")
    assert "database" not in caplog.text


async def test_the_first_error_is_the_logged_one(app, client, pages, caplog):
    """takahe#582."""
    await client.get("/broken", headers=BROWSER)
    (record,) = caplog.records
    assert record.getMessage().endswith(": ValueError('the reason')")


# Pages that fail


def plain(answer, status, body):
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_page_that_fails_leaves_the_text(app, client, caplog):
    """docs.rs#1087, consumerfinance.gov#8748."""
    ran = []
    pages = make(app, error_html="second", **{"400_html": "{{ fail() }}"})
    pages.environment.globals["fail"] = lambda: ran.append(1) or 1 / 0
    for _ in range(2):
        plain(await client.get("/error/400", headers=BROWSER), 400, b"<b> failed")
    assert len(ran) == 2
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "The error page 400.html, or error.html, failed: the plain text is sent. "
        "This is logged once."
    )
    assert "ZeroDivisionError" in record.exc_text


async def test_a_page_that_is_missing_leaves_the_text(app, client, caplog):
    make(app, errors="missing.html")
    for _ in range(2):
        plain(await client.get("/error/400", headers=BROWSER), 400, b"<b> failed")
    (record,) = caplog.records
    assert "missing.html" in record.exc_text


async def test_a_processor_that_fails_leaves_the_text(client, pages, caplog):
    pages.context(lambda request: None)
    plain(await client.get("/error/400", headers=BROWSER), 400, b"<b> failed")
    assert "let it return a dict" in caplog.records[0].exc_text


async def test_a_page_that_takes_too_long_leaves_the_text(
    client, pages, caplog, monkeypatch
):
    monkeypatch.setattr("roll_templates.errors.SECONDS", 0.01)

    @pages.context
    async def wait(request):
        await asyncio.Event().wait()

    plain(await client.get("/error/400", headers=BROWSER), 400, b"<b> failed")
    assert "TimeoutError" in caplog.records[0].exc_text


async def test_a_page_that_meets_a_cancelled_task_leaves_the_text(client, pages):
    @pages.context
    async def wait(request):
        raise asyncio.CancelledError

    plain(await client.get("/error/400", headers=BROWSER), 400, b"<b> failed")


async def test_a_client_that_leaves_ends_the_page(app, pages, caplog):
    left = asyncio.Event()

    @pages.context
    async def wait(request):
        try:
            transport.disconnect()
            await asyncio.Event().wait()
        finally:
            left.set()

    transport = connect(app)
    head = f"GET /nowhere HTTP/1.1\r\nHost: a\r\nAccept: {BROWSER['Accept']}\r\n\r\n"
    transport.feed(head.encode())
    await until(left.is_set)
    await transport.wait_closed()
    assert "error page" not in caplog.text


def test_a_page_has_a_second(pages):
    import roll_templates.errors

    assert roll_templates.errors.SECONDS == 1
