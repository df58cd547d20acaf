"""templates: large pages, sent while they are rendered."""

import logging

import pytest
from jinja2 import DictLoader, FunctionLoader
from roll import Roll
from roll.extensions import templates
from roll_testing import connect, settle, until

ROW = "<p>{{ i }}</p>"
PAGE = f"{{% for i in rows %}}{ROW}{{% endfor %}}"
both = pytest.mark.parametrize("enable_async", [False, True], ids=["plain", "async"])


@pytest.fixture
def app():
    return Roll()


def make(app, sources, **options):
    return templates(app, loader=DictLoader(sources), **options)


def stream(app, name="page.html", **context):
    @app.route("/")
    async def view(request, response):
        await app["templates"].stream(request, response, name, **context)


def rows(number):
    return "".join(f"<p>{i}</p>" for i in range(number)).encode()


@both
async def test_a_page_comes_in_pieces(app, client, enable_async):
    """jinja#1991, litestar#3677."""
    pages = make(app, {"page.html": PAGE}, enable_async=enable_async)
    body = None

    @app.route("/")
    async def view(request, response):
        nonlocal body
        response.status = 201
        await pages.stream(request, response, "page.html", rows=range(3000))
        body = response.body

    answer = await client.get("/")
    assert (answer.status, answer.body) == (201, rows(3000))
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert body is not None


@both
async def test_pieces_have_8_kib(app, enable_async):
    pages = make(app, {"page.html": PAGE}, enable_async=enable_async)
    request, response = app.Request(app, None), app.Response(app, None)
    await pages.stream(request, response, "page.html", rows=range(3000))
    sizes = [len(piece) async for piece in response.body]
    assert all(8192 <= size < 8192 + 20 for size in sizes[:-1])
    assert sum(sizes) == len(rows(3000))


async def test_a_small_page_is_one_piece(app, client):
    make(app, {"page.html": PAGE, "empty.html": ""})
    stream(app, rows=range(3))
    assert (await client.get("/")).body == rows(3)
    request, response = app.Request(app, None), app.Response(app, None)
    await app["templates"].stream(request, response, "empty.html")
    assert [piece async for piece in response.body] == []


async def test_the_type_is_the_views_if_it_sets_one(app, client):
    pages = make(app, {"page.csv": "a,b"})

    @app.route("/")
    async def view(request, response):
        response.headers["Content-Type"] = "text/plain"
        await pages.stream(request, response, "page.csv")

    assert (await client.get("/")).headers["Content-Type"] == "text/plain"


@both
async def test_head_renders_no_more_than_the_first_piece(app, client, enable_async):
    seen = []

    def numbers():
        try:
            for i in range(100_000):
                seen.append(i)
                yield i
        finally:
            seen.append("closed")

    make(app, {"page.html": PAGE}, enable_async=enable_async)
    stream(app, rows=numbers())
    answer = await client.head("/")
    assert (answer.status, answer.body) == (200, b"")
    assert seen[-1] == "closed"
    assert len(seen) < 2000


def fail_at(number):
    for i in range(100_000):
        if i == number:
            raise ValueError("no more rows")
        yield i


@both
async def test_what_fails_in_the_first_piece_is_a_500(app, client, enable_async):
    make(app, {"page.html": PAGE}, enable_async=enable_async)
    stream(app, rows=fail_at(100))
    answer = await client.get("/")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")


@both
async def test_what_fails_later_cuts_the_connection(
    app, tmp_path, caplog, enable_async
):
    (tmp_path / "page.html").write_text(f"\n\n{PAGE}")
    templates(app, tmp_path, enable_async=enable_async)
    stream(app, rows=fail_at(5000))
    transport = connect(app)
    transport.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await transport.wait_closed()
    assert transport.data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not transport.data.endswith(b"0\r\n\r\n")
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert f'File "{tmp_path / "page.html"}", line 3' in record.exc_text
    assert "no more rows" in record.exc_text


@both
async def test_others_run_between_the_pieces(app, enable_async):
    pages = make(app, {"page.html": PAGE}, enable_async=enable_async)
    request, response = app.Request(app, None), app.Response(app, None)
    await pages.stream(request, response, "page.html", rows=range(10_000))
    seen = []
    async for _ in response.body:
        seen.append(None)
        app.loop.call_soon(seen.append, len(seen))
    assert seen[1::2] == [*range(1, len(seen), 2)]


@both
async def test_a_client_that_leaves_ends_the_page(app, enable_async):
    closed = []

    def numbers():
        try:
            yield from range(10_000_000)
        finally:
            closed.append("rows")

    async def users():
        try:
            yield "Ada"
            yield "Zoë"
        finally:
            closed.append("users")

    pages = make(app, {"page.html": PAGE}, enable_async=enable_async)
    opened = users()
    await anext(opened)

    @pages.context
    async def resources(request):
        return {"rows": numbers(), "users": opened}

    stream(app)
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: transport.get_write_buffer_size() > 0)
    assert closed == []
    transport.disconnect()
    await until(lambda: len(closed) == 2)
    assert sorted(closed) == ["rows", "users"]


@both
async def test_the_request_is_bound_for_the_whole_stream(app, enable_async):
    """flask#5774, quart#361."""
    source = f"{PAGE}{{{{ where() }}}}{{{{ request.path }}}}"
    make(app, {"page.html": source}, enable_async=enable_async)
    app["template_globals"] = {"where": lambda request: request.path}

    @app.route("/{name}")
    async def view(request, response, name):
        await app["templates"].stream(request, response, "page.html", rows=range(5000))

    transports = [connect(app) for _ in "ab"]
    for name, transport in zip("ab", transports, strict=True):
        transport.feed(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode())
    for name, transport in zip("ab", transports, strict=True):
        await settle(transport)
        assert b"/%b/%b" % (name.encode(), name.encode()) in transport.data


# What sets cookies


def add_session(app):
    """Declare functions as roll-session does."""
    app["read"] = []

    def flashes(request):
        app["read"].append("flashes")
        return request.pop("flashes", [])

    def csrf_token(request):
        app["read"].append("csrf_token")
        return "token"

    app["template_globals"] = {"flashes": flashes, "csrf_token": csrf_token}

    @app.listen("request")
    async def load(request, response):
        request["flashes"] = ["Saved"]

    @app.listen("response")
    async def save(request, response):
        app["read"].append("head")


SHOWS = "{% for each in flashes() %}{{ each }}{% endfor %}{{ csrf_token() }}"


@pytest.mark.parametrize(
    "sources",
    [
        {"page.html": f"{PAGE}{SHOWS}"},
        {
            "page.html": "{% extends 'base.html' %}{% block b %}"
            + PAGE
            + "{% endblock %}",
            "base.html": "{% block b %}{% endblock %}{% include ['x', 'foot.html'] %}",
            "foot.html": "{% from 'macros.html' import show %}{{ show() }}",
            "macros.html": f"{{% macro show() %}}{SHOWS}{{% endmacro %}}",
        },
    ],
    ids=["one", "several"],
)
@both
async def test_cookies_can_be_set_by_what_comes_late(
    app, client, sources, enable_async
):
    """lemon24/reader#81: a message that is shown does not come again."""
    add_session(app)
    make(app, sources, enable_async=enable_async)
    stream(app, rows=range(5000))
    answer = await client.get("/")
    assert sorted(app["read"][:2]) == ["csrf_token", "flashes"]
    assert app["read"][2:] == ["head"]
    assert answer.body == rows(5000) + b"Savedtoken"


async def test_a_second_call_is_one_of_the_function(app, client):
    add_session(app)
    make(app, {"page.html": f"{PAGE}{SHOWS}{SHOWS}"})
    stream(app, rows=range(5000))
    answer = await client.get("/")
    assert answer.body == rows(5000) + b"Savedtokentoken"


async def test_messages_that_a_page_does_not_show_are_kept(app, client):
    add_session(app)
    make(app, {"page.html": f"{PAGE}<p>flashes", "other.html": SHOWS})
    stream(app, rows=range(5000))
    await client.get("/")
    assert app["read"] == ["head"]


async def test_a_loader_that_cannot_list_is_no_hindrance(app, client):
    add_session(app)
    templates(app, loader=FunctionLoader({"page.html": f"{PAGE}{SHOWS}"}.get))
    stream(app, rows=range(5000))
    assert (await client.get("/")).body == rows(5000) + b"Savedtoken"
