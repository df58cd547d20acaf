"""Two pages that talk to each other, and a server that goes away in between."""

import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from roll_testing import patience

from examples.hello.browser import browse

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")

# A browser is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)


@contextmanager
def serving(port):
    """Run `python -m examples.chat`; it has to end well, too."""
    command = [sys.executable, "-u", "-m", "examples.chat", str(port)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server.stdout.readline().strip().removeprefix("Rolling on ")
        finally:
            server.send_signal(signal.SIGINT)
            rest, _ = server.communicate(timeout=patience(30))
    assert (server.returncode, rest) == (0, "Bye.\n")


@pytest.fixture
def browser(tmp_path):
    with browse(CHROMIUM, tmp_path) as page:
        yield page


def enter(page, url, name):
    page.open(f"{url}/")
    page.run(f"find('door').name.value = '{name}'; find('door').requestSubmit()")
    page.wait("find('state').textContent == 'Connected.'")


def say(page, text):
    page.run(f"find('talk').text.value = '{text}'; find('talk').requestSubmit()")


def wait_for_texts(page, *texts):
    shown = "[...document.querySelectorAll('#messages li')].map(li => li.textContent)"
    page.wait(f"{shown}.length >= {len(texts)}")
    found = page.run(shown)
    assert len(found) == len(texts)
    assert all(text in line for text, line in zip(texts, found, strict=True)), found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def test_two_pages_talk_and_come_back_when_the_server_does(browser):
    ann, bob = browser, browser.open_another()
    port = free_port()
    with serving(port) as url:
        enter(ann, url, "Ann")
        enter(bob, url, "Bob")
        ann.wait("find('names').textContent == 'Here: Ann, Bob'")
        say(ann, "hello <b>Bob</b>")
        wait_for_texts(bob, "hello <b>Bob</b>")
        say(bob, "hello Ann")
        wait_for_texts(ann, "hello <b>Bob</b>", "hello Ann")
    ann.wait("find('state').textContent.startsWith('Not connected')")
    with serving(port):
        for page in (ann, bob):
            page.wait("find('names').textContent == 'Here: Ann, Bob'")
        say(bob, "again")
        for page in (ann, bob):
            wait_for_texts(page, "hello <b>Bob</b>", "hello Ann", "again")


def test_a_phone_shows_it_whole_and_every_field_has_a_label(browser):
    with serving(0) as url:
        enter(browser, url, "Ann")
        size = {"width": 320, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        browser.call("Emulation.setDeviceMetricsOverride", **size)
        say(browser, "x" * 200)
        wait_for_texts(browser, "x" * 200)
        assert browser.run("document.documentElement.scrollWidth") == 320
        fields = "[...document.querySelectorAll('input')]"
        assert browser.run(f"{fields}.every(field => field.labels[0].innerText.trim())")
