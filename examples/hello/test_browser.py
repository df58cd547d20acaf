"""The example as it is used: served as a process, in a browser."""

import hashlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from roll_testing import patience, wait_until

from examples import hello

from .browser import browse

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")

# A browser is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)


@pytest.fixture(scope="module")
def url():
    """Where `python -m examples.hello` listens; it has to end well, too."""
    command = [sys.executable, "-u", "-m", "examples.hello", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server.stdout.readline().strip().removeprefix("Rolling on ")
        finally:
            server.send_signal(signal.SIGINT)
            rest, _ = server.communicate(timeout=patience(30))
    assert (server.returncode, rest) == (0, "Bye.\n")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browse(CHROMIUM, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser, url):
    browser.open(f"{url}/")
    return browser


def text_of(page, selector):
    return page.run(f"document.querySelector('{selector}').innerText")


def cells_of(page, selector):
    cells = f"[...document.querySelectorAll('{selector} td')]"
    return page.run(f"{cells}.map(cell => cell.innerText)")


def submit(page, action, button=""):
    """Press a button of a form, as a reader of the page does."""
    page.run(
        f"document.querySelector('form[action^=\"{action}\"] button{button}').click()"
    )


def test_the_page_says_what_is_running(page):
    assert text_of(page, "h1") == "Hello from Roll"
    facts = page.run("[...document.querySelectorAll('dt')].map(dt => dt.innerText)")
    assert facts[:3] == ["Python", "Roll", "Event loop"]
    assert "/hello/{name}" in cells_of(page, "[aria-labelledby=routes]")


def test_every_field_has_a_label(page):
    fields = "[...document.querySelectorAll('input, textarea, select')]"
    assert page.run(f"{fields}.length") == 8
    assert page.run(f"{fields}.every(field => field.labels[0].innerText.trim())")


@pytest.mark.parametrize("width", [320, 1280])
def test_the_page_fits_its_width(page, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.call("Emulation.setDeviceMetricsOverride", **size)
    assert page.run("document.documentElement.scrollWidth") == width
    page.call("Emulation.clearDeviceMetricsOverride")


def test_hello_is_said(page):
    page.run("document.querySelector('form[action=\"/hello\"] input').value = 'Zoë'")
    submit(page, "/hello")
    page.wait("document.body.innerText == 'Hello Zoë'")


def test_the_form_comes_back(page):
    page.run("document.querySelector('[autocomplete=name]').value = 'Zoë & <i>co'")
    submit(page, "/form")
    page.wait("document.querySelector('#answer') != null")
    assert cells_of(page, "#answer") == [
        *("name", "Zoë & <i>co"),
        *("message", "<b>escaped</b> & safe"),
    ]


@pytest.mark.parametrize(("size", "button"), [(1000, ""), (20_000_000, "[formaction]")])
def test_a_file_is_uploaded(page, tmp_path, size, button):
    path = tmp_path / "file.txt"
    path.write_bytes(b"x" * size)
    page.choose_files("input[type=file]", path)
    submit(page, "/upload", button)
    page.wait("document.querySelector('#answer') != null")
    digest = hashlib.sha256(b"x" * size).hexdigest()
    assert cells_of(page, "#answer") == ["file.txt", "text/plain", str(size), digest]


def test_a_file_that_is_too_large_is_refused(page, tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(b"x" * 40_000_000)
    page.choose_files("input[type=file]", path)
    submit(page, "/upload", "[formaction]")
    page.wait("document.body.innerText == 'Files too large'")


def test_json_is_posted(page):
    page.run("document.querySelector('#json button').click()")
    page.wait("document.querySelector('output').innerText")
    assert text_of(page, "output") == '200: {"echo":["hi","hi","hi"]}'


def test_the_json_form_is_hidden_without_javascript(page, url):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(f"{url}/?")
    assert page.run("document.querySelector('#json div').hidden")
    page.call("Emulation.setScriptExecutionDisabled", value=False)


def test_the_download_is_saved(page, tmp_path):
    page.call(
        "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path)
    )
    submit(page, "/download")
    path = tmp_path / "roll-10.txt"
    # The browser may reserve the name with an empty file; what it has received has
    # another name until it is complete.
    wait_until(lambda: path.exists() and path.stat().st_size > 0)
    assert path.read_bytes() == hello.BLOCK * 160
