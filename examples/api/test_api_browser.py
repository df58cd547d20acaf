"""The API through its own page: an operation tried, and the response read from it."""

import json
import os
from pathlib import Path

import pytest
from roll import Roll
from roll.extensions import mount

from examples.api import create_app
from examples.chat.test_chat_browser import CHROMIUM
from examples.hello.browser import browse, serve

# A browser is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)

# Each violation of the page's Content-Security-Policy, and each request, by its URL.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  violations.push([event.violatedDirective, event.blockedURI]);
});
"""


@pytest.fixture(scope="module")
def origin():
    app = create_app(["a key"], {"a token": "ann"})
    with serve(app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browse(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        page.call("Page.enable")
        page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        page.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": 1100, "height": 1400, "deviceScaleFactor": 1, "mobile": False},
        )
        yield page


@pytest.fixture(params=["light", "dark"])
def page(browser, origin, request):
    wanted = {"name": "prefers-color-scheme", "value": request.param}
    browser.call("Emulation.setEmulatedMedia", features=[wanted])
    browser.open("about:blank")
    browser.open(f"{origin}/docs")
    wait_for(browser, ".opblock")
    yield browser
    if folder := os.environ.get("ROLL_TEST_SCREENSHOTS"):
        browser.screenshot(Path(folder) / f"api-{request.param}.png")
    assert browser.run("violations") == []
    loaded = browser.run("performance.getEntriesByType('resource').map((e) => e.name)")
    assert loaded
    assert [url for url in loaded if not url.startswith(origin)] == []


def wait_for(page, selector):
    page.wait(f"document.querySelector({json.dumps(selector)}) !== null")


def click(page, selector):
    wait_for(page, selector)
    page.run(f"document.querySelector({json.dumps(selector)}).click()")


def fill(page, selector, text):
    """Write into a field as a user does, in place of what is in it."""
    wait_for(page, selector)
    page.run(
        f"var field = document.querySelector({json.dumps(selector)});"
        "field.focus(); field.select()"
    )
    page.call("Input.insertText", text=text)
    page.run("field.blur()")


def read(page, selector):
    return page.run(f"document.querySelector({json.dumps(selector)}).innerText")


def authorize(page, field, secret):
    click(page, ".auth-wrapper .authorize")
    fill(page, field, secret)
    click(page, f".auth-container:has({field}) button.authorize")
    click(page, ".modal-ux .close-modal")


def execute(page, operation):
    """Send the request of an operation; gives the status of the response."""
    if page.run(f"document.querySelector('{operation} .btn-clear') !== null"):
        click(page, f"{operation} .btn-clear")
        page.wait(f"document.querySelector('{operation} .btn-clear') === null")
    click(page, f"{operation} .execute")
    wait_for(page, f"{operation} .live-responses-table .response-col_status")
    status = read(page, f"{operation} .live-responses-table tbody .response-col_status")
    return int(status.split()[0])


def test_an_item_is_added_and_read_from_the_page(page, origin, request):
    create, show = "#operations-items-create_item", "#operations-items-read_item"
    dark = page.run("document.documentElement.classList.contains('dark-mode')")
    assert dark == (request.node.callspec.params["page"] == "dark")

    click(page, f"{create} .opblock-summary-control")
    click(page, f"{create} .try-out__btn")
    fill(page, f"{create} textarea", json.dumps({"name": "Cup", "price": 350}))
    assert execute(page, create) == 401

    authorize(page, "#api_key_value", "a key")
    assert execute(page, create) == 201
    body = json.loads(read(page, f"{create} .live-responses-table code"))
    assert body["name"] == "Cup"

    click(page, f"{show} .opblock-summary-control")
    click(page, f"{show} .try-out__btn")
    fill(page, f"{show} [data-param-name=id] input", body["id"])
    assert execute(page, show) == 200
    shown = read(page, f"{show} .live-responses-table code")
    assert json.loads(shown) == body
    assert 'etag: "1"' in read(page, f"{show} .live-responses-table")


def test_a_file_is_uploaded_from_the_page(page, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc")
    upload = "#operations-files-upload_file"
    authorize(page, "#auth-bearer-value", "a token")
    click(page, f"{upload} .opblock-summary-control")
    click(page, f"{upload} .try-out__btn")
    wait_for(page, f"{upload} input[type=file]")
    page.choose_files(f"{upload} input[type=file]", tmp_path / "a.txt")
    assert execute(page, upload) == 201
    body = json.loads(read(page, f"{upload} .live-responses-table code"))
    assert (body["name"], body["size"]) == ("a.txt", 3)


def test_no_query_makes_the_page_show_another_document(browser, origin):
    """swagger-ui#7472: `?url=` would show, and try, the document of somebody else."""
    browser.open(f"{origin}/docs?url=/other.json&configUrl=/other.json")
    wait_for(browser, ".opblock")
    assert read(browser, ".info .title").startswith("Warehouse")
    loaded = browser.run("performance.getEntriesByType('resource').map((e) => e.name)")
    assert not [url for url in loaded if "other" in url]


def test_the_page_of_a_mounted_app_sends_its_requests_there(browser):
    parent = Roll()
    mount(parent, "/shop", create_app())
    show = "#operations-items-list_items"
    with serve(parent) as port:
        browser.open(f"http://127.0.0.1:{port}/shop/docs")
        click(browser, f"{show} .opblock-summary-control")
        click(browser, f"{show} .try-out__btn")
        assert execute(browser, show) == 200
        assert read(browser, f"{show} .request-url").split()[-1] == (
            f"http://127.0.0.1:{port}/shop/items?limit=20"
        )
