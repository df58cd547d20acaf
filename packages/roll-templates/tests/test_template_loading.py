"""templates: how files are found and compiled, at startup and after."""

import logging
import os
import re
from traceback import format_exception

import pytest
from jinja2 import (
    ChoiceLoader,
    DictLoader,
    FunctionLoader,
    TemplateNotFound,
    TemplateSyntaxError,
)
from roll import Roll
from roll.extensions import templates, traceback
from roll_testing import Client


@pytest.fixture
def app():
    return Roll()


def write(folder, **sources):
    folder.mkdir(exist_ok=True)
    for name, source in sources.items():
        (folder / f"{name}.html").write_text(source)
    return folder


def show(app, name, path="/", **options):
    @app.route(path)
    async def view(request, response):
        await app["templates"].render(request, response, name, **options)


# Options


def test_the_app_comes_first():
    with pytest.raises(TypeError, match=r"^templates\('pages'\): give the app first"):
        templates("pages")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"directory": 7}, r"^directory=7: give a path, or a list of paths$"),
        ({"directory": []}, r"^directory=\[\]: give a path, or a list of paths$"),
        ({"directory": [7]}, "^directory: 7 is not a path$"),
        ({"reload": 1}, "^reload=1: give True or False$"),
        ({"enable_async": "no"}, "^enable_async='no': give True or False$"),
        ({"loader": "pages"}, "^loader='pages': give a loader of Jinja$"),
        ({"errors": 404}, "^errors=404: give the name of a template"),
        ({"trim": True}, "unexpected keyword argument 'trim'"),
    ],
)
def test_wrong_options_are_refused(app, options, message):
    with pytest.raises(TypeError, match=message):
        templates(app, **options)
    assert "templates" not in app
    assert not app.hooks


async def test_the_directory_is_relative_to_the_current_one(app, tmp_path, monkeypatch):
    write(tmp_path / "templates", page="found")
    monkeypatch.chdir(tmp_path)
    pages = templates(app)
    monkeypatch.chdir("/")
    assert await pages.text(None, "page.html") == "found"


async def test_the_first_directory_that_has_a_name_gives_it(app, tmp_path):
    first = write(tmp_path / "first", page="first")
    second = write(tmp_path / "second", page="second", other="other")
    pages = templates(app, [first, str(second)])
    async with Client(app):
        assert await pages.text(None, "page.html") == "first"
        assert await pages.text(None, "other.html") == "other"


async def test_a_directory_that_is_not_there_is_logged(app, tmp_path, caplog):
    templates(app, tmp_path / "nowhere")
    async with Client(app):
        pass
    assert f"{str(tmp_path / 'nowhere')!r} is not a directory" in caplog.text


# At startup


async def test_no_disk_is_touched_once_the_app_has_started(app, tmp_path):
    folder = write(
        tmp_path / "templates",
        base="{% block body %}{% endblock %}",
        page="{% extends 'base.html' %}{% block body %}{% include 'part.html' %}"
        "{% import 'macros.html' as macros %}{{ macros.dash() }}{% endblock %}",
        part="part",
        macros="{% macro dash() %}-{% endmacro %}",
    )
    pages = templates(app, folder)
    show(app, "page.html")
    async with Client(app) as client:
        for each in folder.iterdir():
            each.unlink()
        write(folder, late="late")
        answer = await client.get("/")
        for name in ("late.html", "other.html"):
            with pytest.raises(TemplateNotFound):
                await pages.text(None, name)
    assert answer.body == b"part-"


async def test_a_syntax_error_stops_the_start(app, tmp_path):
    folder = write(tmp_path / "templates", page="\n{% if %}", good="")
    templates(app, folder)
    with pytest.raises(TemplateSyntaxError) as caught:
        await app.startup()
    text = "".join(format_exception(caught.value))
    assert f'File "{folder / "page.html"}", line 2' in text


async def test_a_loader_may_be_filled_at_startup(app):
    """jinja#1304, jinja#2128."""
    sources = {}
    pages = templates(app, loader=DictLoader(sources))

    @app.listen("startup")
    async def load():
        sources["page.html"] = "from a database"

    async with Client(app):
        assert await pages.text(None, "page.html") == "from a database"


async def test_a_loader_that_cannot_list_is_asked_at_each_first_use(app):
    pages = templates(app, loader=FunctionLoader({"page.html": "{{ 1 }}"}.get))
    async with Client(app):
        assert await pages.text(None, "page.html") == "1"
        with pytest.raises(TemplateNotFound, match=r"^'b.html' is not a template$"):
            await pages.text(None, "b.html")


async def test_what_is_not_utf_8_is_left_out(app, tmp_path, caplog):
    folder = write(tmp_path / "templates", page="page")
    (folder / "logo.png").write_bytes(b"\x89PNG")
    pages = templates(app, folder)
    async with Client(app):
        assert await pages.text(None, "page.html") == "page"
    assert "'logo.png' is not UTF-8, and is left out" in caplog.text


async def test_linked_folders_are_listed_too(app, tmp_path):
    shared = write(tmp_path / "shared", part="part")
    folder = write(tmp_path / "templates")
    (folder / "shared").symlink_to(shared)
    pages = templates(app, folder)
    async with Client(app):
        assert await pages.text(None, "shared/part.html") == "part"


async def test_an_app_that_starts_again_finds_new_templates(app, tmp_path):
    folder = write(tmp_path / "templates")
    pages = templates(app, folder)
    async with Client(app):
        pass
    write(folder, page="new")
    async with Client(app):
        assert await pages.text(None, "page.html") == "new"


async def test_jinjas_tools_can_read_the_sources(app, tmp_path):
    folder = write(tmp_path / "templates", page="page")
    environment = templates(app, folder).environment
    assert environment.list_templates() == ["page.html"]
    assert environment.loader.get_source(environment, "page.html")[0] == "page"
    async with Client(app):
        assert environment.list_templates() == ["page.html"]


# Names


async def test_a_missing_template_is_logged_with_the_directories(
    app, client, tmp_path, caplog
):
    folders = [write(tmp_path / "a"), write(tmp_path / "b")]
    templates(app, folders)
    show(app, "page.html")
    answer = await client.get("/")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    where = ", ".join(map(str, folders))
    assert f"'page.html' is not a template in {where}" in caplog.text


OUTSIDE = [
    "../secret.html",
    "part/../../secret.html",
    "part/../page.html",
    "/page.html",
    "part//page.html",
    "./page.html",
    "part\\page.html",
    "..\\secret.html",
    "page.html\0",
    "",
]


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("name", OUTSIDE)
async def test_names_that_lead_elsewhere_are_not_found(app, tmp_path, name, started):
    write(tmp_path, secret="secret")
    folder = write(tmp_path / "templates", page="page", include="{% include name %}")
    write(folder / "part", page="page")
    write(folder, **{"part\\page": "page"})
    pages = templates(app, [folder, folder / "part"])
    absolute = str(folder / "page.html")
    if started:
        await app.startup()
    for each in (name, absolute):
        with pytest.raises(TemplateNotFound):
            await pages.text(None, each)
        with pytest.raises(TemplateNotFound):
            await pages.text(None, "include.html", name=each)
    assert len(pages.environment.cache) <= 3
    await app.shutdown()


async def test_a_sub_app_may_share_templates(app):
    shared = DictLoader({"base.html": "base"})
    pages = templates(app, loader=ChoiceLoader([DictLoader({"page.html": ""}), shared]))
    async with Client(app):
        assert await pages.text(None, "base.html") == "base"


# Reloading


def touch(path, source):
    """Write a file, and make it newer than before, however coarse the clock is."""
    before = path.stat().st_mtime
    path.write_text(source)
    os.utime(path, (before + 2, before + 2))


async def test_templates_are_read_again_when_they_change(app, tmp_path, caplog):
    folder = write(
        tmp_path / "templates",
        base="1{% block body %}{% endblock %}",
        page="{% extends 'base.html' %}{% block body %}a{% endblock %}",
        broken="{% if %}",
    )
    pages = templates(app, folder, reload=True)
    async with Client(app):
        assert await pages.text(None, "page.html") == "1a"
        touch(folder / "base.html", "2{% block body %}{% endblock %}")
        assert await pages.text(None, "page.html") == "2a"
        write(folder, new="new")
        assert await pages.text(None, "new.html") == "new"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "reload=True" in record.getMessage()
    assert "leave it out when you deploy" in record.getMessage()


async def test_a_syntax_error_is_shown_with_its_line(app, tmp_path, capsys):
    folder = write(tmp_path / "templates", page="\n\n{% if %}")
    templates(app, folder, reload=True)
    traceback(app, page=True)
    show(app, "page.html")
    async with Client(app) as client:
        headers = {"Host": "127.0.0.1:3579", "Accept": "text/html"}
        answer = await client.get("/", headers=headers)
    assert answer.status == 500
    file = re.escape(str(folder / "page.html"))
    assert re.search(rf"File &quot;{file}&quot;, line 3", answer.body.decode())


async def test_the_page_of_an_error_shows_no_values(app, tmp_path, capsys):
    folder = write(tmp_path / "templates", page="{{ token }}{{ missing.attribute }}")
    pages = templates(app, folder)
    traceback(app, page=True)

    @pages.context
    def secrets(request):
        return {"token": "hunter2"}

    show(app, "page.html", password="swordfish")
    async with Client(app) as client:
        headers = {"Host": "127.0.0.1:3579", "Accept": "text/html"}
        answer = await client.get("/", headers=headers)
    page = answer.body.decode()
    assert str(folder / "page.html") in page
    assert "hunter2" not in page
    assert "swordfish" not in page
