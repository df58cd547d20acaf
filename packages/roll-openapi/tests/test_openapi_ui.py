"""The page of Swagger UI: what is sent, and with which headers."""

import re
import sys

import pytest
import roll_openapi_ui
from roll import Roll
from roll.extensions import mount
from roll_openapi import openapi, ui
from roll_testing import Client


@pytest.fixture
def app():
    app = Roll()
    ui.routes(app, path="/docs", title="Shop", document="/openapi.json")
    return app


def links(response):
    return re.findall(r'(?:href|src|data-document)="([^"]*)"', response.text)


async def test_the_page_is_html_without_a_script_or_a_style_of_its_own(client):
    response = await client.get("/docs")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>Shop</title>" in response.text
    assert re.findall(r"<script[^>]*>([^<]*)<", response.text) == ["", ""]
    assert "<style" not in response.text
    assert not re.search(r"\s(style|on\w+)=", response.text)


async def test_a_listener_that_asks_for_a_scheme_sees_that_none_is_needed(app):
    openapi(app, title="T", ui="/ui")
    assert [each.extras["security"] for each in app.declarations] == [[]] * 5


async def test_nothing_but_the_app_itself_is_trusted(client):
    response = await client.get("/docs")
    assert response.headers["Content-Security-Policy"] == (
        "default-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    )


async def test_servers_of_the_document_may_be_asked():
    app = Roll()
    servers = ["/v2", "https://api.example.org/v1", "http://localhost:8000"]
    ui.routes(app, path="/docs", title="", document="/openapi.json", servers=servers)
    async with Client(app) as client:
        response = await client.get("/docs")
    policy = response.headers["Content-Security-Policy"]
    assert (
        "; connect-src 'self' https://api.example.org http://localhost:8000;" in policy
    )


async def test_the_title_is_escaped():
    """fastapi#14518."""
    app = Roll()
    ui.routes(app, path="/docs", title="</title><script>&", document="/openapi.json")
    async with Client(app) as client:
        response = await client.get("/docs")
    assert "<title>&lt;/title&gt;&lt;script&gt;&amp;</title>" in response.text


@pytest.mark.parametrize(
    ("path", "document", "link", "files"),
    [
        ("/docs", "/openapi.json", "openapi.json", "docs/"),
        ("/docs/", "/openapi.json", "../openapi.json", ""),
        ("/", "/openapi.json", "openapi.json", ""),
        ("/a/b", "/c/api.json", "../c/api.json", "b/"),
        ("/docs:1", "/a:b/é&.json", "a%3Ab/%C3%A9%26.json", "docs%3A1/"),
    ],
)
async def test_links_are_relative(path, document, link, files):
    app = Roll()
    ui.routes(app, path=path, title="", document=document)
    async with Client(app) as client:
        *found, last = links(await client.get(path))
    assert last == link
    assert all(each.startswith(files) for each in found)


async def test_the_files_are_those_of_the_package(client):
    """fastapi#608, fastapi#4924: from another host, the page is blank offline."""
    *found, _ = links(await client.get("/docs"))
    for link in found:
        response = await client.get(f"/{link}")
        name = link.rpartition("/")[2]
        assert response.status == 200
        if name != "start.js":
            assert response.body == (roll_openapi_ui.FOLDER / name).read_bytes()
    assert {link.rpartition("/")[2] for link in found} == {
        *("favicon-32x32.png", "start.js", "swagger-ui-bundle.js", "swagger-ui.css")
    }


async def test_the_page_takes_nothing_from_its_query_and_tells_nobody(client):
    """swagger-ui#7472; by default a validator on another host is sent the document."""
    (link,) = (each for each in links(await client.get("/docs")) if "start" in each)
    script = (await client.get(f"/{link}")).text
    assert "queryConfigEnabled: false" in script
    assert 'validatorUrl: "none"' in script


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("favicon-32x32.png", "image/png"),
        ("start.js", "text/javascript; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("swagger-ui.css", "text/css; charset=utf-8"),
    ],
)
async def test_clients_keep_the_files(client, name, type):
    (link,) = (each for each in links(await client.get("/docs")) if name in each)
    path = f"/{link}"
    response = await client.get(path)
    assert response.headers["Content-Type"] == type
    kept = "public, max-age=31536000, immutable"
    assert response.headers["Cache-Control"] == kept
    tag = response.headers["ETag"]
    response = await client.get(path, headers={"If-None-Match": f'"x", W/{tag}'})
    assert (response.status, response.body) == (304, b"")
    assert response.headers["ETag"] == tag
    assert response.headers["Cache-Control"] == kept


async def test_other_files_are_not_served(client):
    (link, *_) = links(await client.get("/docs"))
    folder = link.rpartition("/")[0]
    for name in ("SHA256SUMS", "index.html", "..%2F__init__.py"):
        assert (await client.get(f"/{folder}/{name}")).status == 404


async def test_the_page_is_asked_for_again(client):
    response = await client.get("/docs")
    assert response.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": response.headers["ETag"]}
    response = await client.get("/docs", headers=known)
    assert (response.status, response.body) == (304, b"")


async def test_the_page_of_a_mounted_app_has_the_same_links(app, client):
    before = await client.get("/docs")
    parent = Roll()
    mount(parent, "/shop", app)
    async with Client(parent) as client:
        response = await client.get("/shop/docs")
        assert response.text == before.text
        for link in links(response)[:-1]:
            path = f"/shop/{link}"
            assert (await client.get(path)).status == 200


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "roll_openapi_ui", None)
    with pytest.raises(ValueError, match=r"ui='/docs' needs roll-openapi-ui: pip inst"):
        ui.routes(Roll(), path="/docs", title="", document="/openapi.json")


def test_the_path_has_no_placeholder():
    with pytest.raises(ValueError, match=r"ui='/{x}' has a placeholder"):
        ui.routes(Roll(), path="/{x}", title="", document="/openapi.json")
