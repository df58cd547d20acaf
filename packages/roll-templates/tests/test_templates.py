"""templates: pages, blocks and texts, what is in them, and how it is escaped."""

import logging
import time
import traceback

import pytest
from jinja2 import DictLoader, StrictUndefined, UndefinedError
from roll import Roll
from roll.extensions import named_url, templates


@pytest.fixture
def app():
    return Roll()


def make(app, sources, **options):
    return templates(app, loader=DictLoader(sources), **options)


def show(app, name, path="/", **options):
    """Declare a view that renders a template."""

    @app.route(path)
    async def view(request, response):
        await app["templates"].render(request, response, name, **options)


# render


async def test_render_sets_the_body_and_its_type(app, client):
    pages = make(app, {"note.html": "<p>{{ text }}</p>"})

    @app.route("/")
    async def note(request, response):
        response.status = 201
        response.headers["X-Kept"] = "yes"
        await pages.render(request, response, "note.html", text="a & b")

    answer = await client.get("/")
    assert (answer.status, answer.body) == (201, b"<p>a &amp; b</p>")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Kept"] == "yes"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("note.html", "text/html"),
        ("note.html.j2", "text/html"),
        ("NOTE.XML.JINJA2", "application/xml"),
        ("note.xml", "application/xml"),
        ("note.svg", "image/svg+xml"),
        ("a.b/note.txt", "text/plain"),
        ("note.txt.jinja", "text/plain"),
        ("note.json", "application/json"),
        ("note.csv", "text/csv"),
        ("note.ics", "text/calendar"),
        ("note.md", "text/markdown"),
        ("note.unknown", "text/html"),
        ("note", "text/html"),
        ("note.j2", "text/html"),
    ],
)
async def test_the_type_is_that_of_the_name(app, client, name, kind):
    make(app, {name: "x"})
    show(app, name)
    answer = await client.get("/")
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"


async def test_a_type_that_the_view_has_set_stays(app, client):
    pages = make(app, {"note.html": ""})

    @app.route("/")
    async def note(request, response):
        response.headers["content-type"] = "application/xhtml+xml"
        await pages.render(request, response, "note.html")

    answer = await client.get("/")
    assert answer.headers["Content-Type"] == "application/xhtml+xml"


async def test_head_is_as_get(app, client):
    make(app, {"note.html": "four"})
    show(app, "note.html")
    answer = await client.head("/")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == "4"


def test_the_app_has_its_templates(app):
    assert make(app, {}) is app["templates"]


def test_the_class_can_be_imported():
    import roll_templates

    assert isinstance(make(Roll(), {}), roll_templates.Templates)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        roll_templates.Nothing  # noqa: B018


# Escaping


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("page.html", True),
        ("page.xml", True),
        ("page.svg", True),
        ("page.json", True),
        ("page.j2", True),
        ("page.jinja2", True),
        ("page.html.j2", True),
        ("page.unknown", True),
        ("page", True),
        ("page.txt", False),
        ("page.TXT", False),
        ("page.md", False),
        ("page.csv", False),
        ("page.ics", False),
        ("page.txt.j2", False),
        ("page.md.jinja", False),
        ("page.csv.jinja2", False),
    ],
)
async def test_all_is_escaped_but_what_is_text(app, name, escaped):
    """flask#2989, flask#4840, starlette#3146."""
    pages = make(app, {name: "{{ '<' }}"})
    assert await pages.text(None, name) == ("&lt;" if escaped else "<")


def test_strings_are_escaped(app):
    template = make(app, {}).environment.from_string("{{ '<' }}")
    assert template.render() == "&lt;"


async def test_jinjas_own_ways_to_escape_work(app):
    source = "{% autoescape false %}{{ '<' }}{% endautoescape %}{{ '<'|safe }}"
    assert await make(app, {"page.html": source}).text(None, "page.html") == "<<"


async def test_options_override_the_escaping(app):
    pages = make(app, {"page.html": "{{ '<' }}"}, autoescape=False)
    assert await pages.text(None, "page.html") == "<"


async def test_options_go_to_the_environment(app):
    pages = make(app, {"page.html": "{{ x.y }}"}, undefined=StrictUndefined)
    with pytest.raises(UndefinedError):
        await pages.text(None, "page.html")


async def test_undefined_names_are_empty(app):
    assert await make(app, {"page.html": "a{{ x }}b"}).text(None, "page.html") == "ab"


# What is in every template


async def test_request_and_app_are_in_every_template(app, client):
    app["title"] = "Notes"
    make(
        app,
        {
            "base.html": "{{ app.title }} {% include 'path.html' %}",
            "path.html": "{{ request.path }}",
            "page.html": "{% extends 'base.html' %}",
        },
    )
    show(app, "page.html", "/here")
    assert (await client.get("/here")).body == b"Notes /here"


async def test_who_wins(app, client):
    """An argument over processors (django-render-block#61, aiohttp-jinja2#14)."""
    names = ["argument", "later", "earlier", "own", "given"]
    source = "".join(f"{{{{ {name} }}}} " for name in names)
    pages = make(app, {"page.html": source})
    pages.environment.globals.update(dict.fromkeys(names, "global"))
    app["template_globals"] = {"own": None, "given": lambda request: "function"}

    @pages.context
    def first(request):
        return {"argument": 1, "later": 1, "earlier": 1}

    @pages.context
    async def second(request):
        return {"argument": 2, "later": 2}

    show(app, "page.html", argument=3)
    assert (await client.get("/")).body == b"3 2 1 global global "


async def test_even_request_and_name_can_be_arguments(app, client):
    make(app, {"page.html": "{{ request }} {{ app }} {{ name }} {{ response }}"})
    show(app, "page.html")

    @app.route("/all")
    async def view(request, response):
        words = {"request": 1, "app": 2, "name": 3, "response": 4}
        await app["templates"].render(request, response, "page.html", **words)

    assert (await client.get("/all")).body == b"1 2 3 4"


async def test_processors_run_once_a_render_in_order(app, client):
    """Plain or coroutine functions (starlette#1904)."""
    pages = make(
        app,
        {
            "page.html": "{% include 'part.html' %}{% include 'part.html' %}",
            "part.html": "{{ user }}",
        },
    )
    ran = []

    @pages.context
    async def slow(request):
        ran.append("slow begins")
        await app.hook("turn")
        ran.append("slow ends")
        return {"user": "Ada"}

    @pages.context
    def quick(request):
        ran.append(request.path)
        return {}

    show(app, "page.html")
    assert (await client.get("/")).body == b"AdaAda"
    assert ran == ["slow begins", "slow ends", "/"]


@pytest.mark.parametrize("result", [None, "text", [("a", 1)]])
async def test_a_processor_gives_a_mapping(app, client, result, caplog):
    pages = make(app, {"page.html": ""})

    @pages.context
    def current_user(request):
        return result

    show(app, "page.html")
    assert (await client.get("/")).status == 500
    kind = type(result).__name__
    assert f"current_user gives {kind}: let it return a dict" in caplog.text


def test_a_processor_is_a_function(app):
    with pytest.raises(TypeError, match=r"^context\(None\): give a function"):
        make(app, {}).context(None)


async def test_a_processor_may_be_any_callable(app, client, caplog):
    class User:
        result = None

        def __call__(self, request):
            return self.result

        def __repr__(self):
            return "<a user>"

    pages = make(app, {"page.html": "{{ user }}"})
    pages.context(user := User())
    show(app, "page.html")
    assert (await client.get("/")).status == 500
    assert "context processor <a user> gives NoneType" in caplog.text
    user.result = {"user": "Ada"}
    assert (await client.get("/")).body == b"Ada"


# Functions of extensions


MACROS = {
    "macros.html": "{% macro link() %}{{ url_for('page') }}{{ mark('!') }}"
    "{% endmacro %}",
    "page.html": "{% from 'macros.html' import link %}{% extends 'base.html' %}"
    "{% block body %}{{ link() }}{% include 'part.html' %}{% endblock %}",
    "base.html": "<{% block body %}{% endblock %}>",
    "part.html": "{{ mark('?') }}",
}


@pytest.mark.parametrize("enable_async", [False, True])
async def test_functions_work_in_macros_and_includes(app, client, enable_async):
    """litestar#2461."""
    named_url(app)
    make(app, MACROS, enable_async=enable_async)
    # Set after the call, as extensions are called in any order.
    app["template_globals"]["mark"] = lambda request, mark: request.path + mark

    @app.route("/a", name="page")
    @app.route("/b", name="other")
    async def view(request, response):
        await app["templates"].render(request, response, "page.html")

    assert (await client.get("/a")).body == b"</a/a!/a?>"
    assert (await client.get("/b")).body == b"</a/b!/b?>"


async def test_functions_are_there_in_another_environment(app, client):
    """starlette#2230."""
    named_url(app)
    pages = make(app, {"page.html": "{{ url_for('view') }}"})
    pages.environment = pages.environment.overlay(trim_blocks=True)
    show(app, "page.html")
    assert (await client.get("/")).body == b"/"


async def test_functions_of_the_app_come_before_those_of_its_parents(app):
    make(app, {"page.html": "{{ a() }} {{ b() }} {{ c() }}"})
    parent, grandparent = Roll(), Roll()
    app.parent, parent.parent = parent, grandparent
    for one, names in ((app, "a"), (parent, "ab"), (grandparent, "abc")):
        functions = one["template_globals"] = {}
        for name in names:
            depth = ("app", "parent", "grandparent")[len(names) - 1]
            functions[name] = lambda request, depth=depth: depth
    request = app.Request(app, None)
    text = await app["templates"].text(request, "page.html")
    assert text == "app parent grandparent"


async def test_a_sub_app_has_its_own_templates_and_processors(app):
    """aiohttp-jinja2#193, aiohttp-jinja2#170, aiohttp-jinja2#474."""
    pages = make(app, {"page.html": "{{ who }}, {{ request.user }}", "own.html": ""})
    inner = Roll()
    inside = make(inner, {"page.html": "{{ who }}, {{ request.user }}"})
    pages.context(lambda request: {"who": "parent"})
    inside.context(lambda request: {"who": "sub-app"})
    request = inner.Request(inner, None)
    request["user"] = "Ada"
    assert await inside.text(request, "page.html") == "sub-app, Ada"
    assert await pages.text(request, "page.html") == "parent, Ada"
    with pytest.raises(LookupError, match=r"^'own.html' is not a template$"):
        await inside.text(request, "own.html")


def test_two_calls_for_an_app_are_an_error(app):
    make(app, {})
    with pytest.raises(ValueError, match=r"^templates\(app\) was called before"):
        make(app, {})


# text


async def test_text_needs_no_request(app):
    named_url(app)

    @app.route("/notes")
    async def notes(request, response): ...

    pages = make(app, {"mail.txt": "{{ url_for('notes') }} & {{ who }}{{ request }}"})
    pages.context(lambda request: {"who": "nobody"})
    assert await pages.text(None, "mail.txt", who="<Ada>") == "/notes & <Ada>None"


async def test_a_function_without_a_request_is_named(app):
    app["template_globals"] = {"csrf_token": lambda request: ""}
    pages = make(app, {"mail.txt": "{{ csrf_token() }}"})
    message = r"^csrf_token\(\) needs a request: give it to `text`$"
    with pytest.raises(RuntimeError, match=message):
        await pages.text(None, "mail.txt")


# Blocks


BLOCKS = {
    "macros.html": "{% macro cell(x) %}<td>{{ x }}{% endmacro %}",
    "base.html": "{% from 'macros.html' import cell %}<html>{{ forbidden() }}"
    "{% block title %}{{ forbidden() }}{% endblock %}"
    "{% block foot %}foot {{ cell(2) }}{% endblock %}"
    "{% block wide %}wide{% endblock %}",
    "page.html": "{# first #}\n{% extends 'base.html' %}"
    "{% import 'macros.html' as macros %}{% set top = 1 %}"
    "{% block wide %}{{ super() }}r{% endblock %}"
    "{% block table %}{{ forbidden() }}"
    "{% block row %}{{ macros.cell(row) }}{{ top }}{% endblock %}{% endblock %}",
    "flat.html": "{% import 'macros.html' as macros %}\n<p>{{ forbidden() }}"
    "{% block row %}{{ macros.cell(row) }}{% endblock %}",
    "none.html": "{{ 1 }}",
}


@pytest.fixture(params=[False, True], ids=["plain", "async"])
def blocks(request, app):
    pages = make(app, BLOCKS, enable_async=request.param)

    def forbidden():
        raise AssertionError("more than the block is rendered")

    pages.environment.globals["forbidden"] = forbidden
    return pages


@pytest.mark.parametrize(
    ("page", "block", "text"),
    [
        ("page.html", "row", "<td>71"),
        ("page.html", "foot", "foot <td>2"),
        ("page.html", "wide", "wider"),
        ("flat.html", "row", "<td>7"),
    ],
)
async def test_a_block_alone_is_rendered(blocks, page, block, text):
    """Parts of pages for htmx (jinja#1808, flask#5243)."""
    assert await blocks.text(None, page, block=block, row=7) == text


@pytest.mark.parametrize(
    ("page", "there"),
    [
        ("page.html", "foot, row, table, title, wide"),
        ("flat.html", "row"),
        ("macros.html", "none"),
        ("none.html", "none"),
    ],
)
async def test_an_unknown_block_is_a_key_error(blocks, page, there):
    message = f"{page} has no block 'rows'; there are: {there}"
    with pytest.raises(KeyError, match=f"^[\"']{message}[\"']$"):
        await blocks.text(None, page, block="rows")


async def test_a_block_is_a_response_too(app, client):
    make(app, {"page.html": "page {% block row %}{{ row }}{% endblock %}"})
    show(app, "page.html", block="row", row=7)
    assert (await client.get("/")).body == b"7"


@pytest.mark.parametrize("enable_async", [False, True])
async def test_an_error_in_a_block_shows_its_line(app, tmp_path, enable_async):
    page = tmp_path / "page.html"
    page.write_text("\n{% block row %}\n{{ 1 / 0 }}{% endblock %}")
    pages = templates(app, tmp_path, enable_async=enable_async)
    with pytest.raises(ZeroDivisionError) as caught:
        await pages.text(None, "page.html", block="row")
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.lineno) == (str(page), 3)


# Awaiting


async def later(value):
    return value


async def test_an_awaitable_is_awaited_in_the_view(app):
    pages = make(app, {"page.html": "{{ a }}"})
    message = (
        r"^a, b needs to be awaited: do that in the view, or call "
        r"templates\(app, enable_async=True\)$"
    )
    loop_future = app.loop.create_future()
    with pytest.raises(TypeError, match=message):
        await pages.text(None, "page.html", a=later(1), b=loop_future, c=1)


async def test_an_awaitable_of_a_processor_is_one_too(app, client, caplog):
    pages = make(app, {"page.html": ""})
    pages.context(lambda request: {"user": later(1)})
    show(app, "page.html")
    assert (await client.get("/")).status == 500
    assert "user needs to be awaited" in caplog.text


async def test_templates_may_await_where_they_are_asked_to(app):
    """Opt-in (aiohttp-jinja2#154, #1036), and in the loop that runs (jinja#1946)."""

    async def count():
        for number in range(3):
            yield await later(number)

    source = "{{ user.name }} {{ later(2) }} {% for i in count %}{{ i }}{% endfor %}"
    pages = make(app, {"page.html": source}, enable_async=True)
    context = {"user": later({"name": "Ada"}), "later": later, "count": count()}
    assert await pages.text(None, "page.html", **context) == "Ada 2 012"


# A page that takes long


async def test_a_page_that_holds_the_loop_is_logged_once(app, caplog):
    pages = make(app, {"slow.html": "{{ wait() }}", "quick.html": ""})

    def wait():
        end = time.perf_counter() + 0.11
        while time.perf_counter() < end:
            pass
        return ""

    with caplog.at_level(logging.WARNING):
        for name in ("slow.html", "slow.html", "quick.html"):
            await pages.text(None, name, wait=wait)
    (record,) = caplog.records
    assert record.getMessage().startswith("slow.html took 1")
    assert record.getMessage().endswith("use `stream` for large pages")
