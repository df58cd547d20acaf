"""A real HAProxy, with the configurations of docs/how-to/proxy.md and monitor.md."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from roll_testing import patience, wait_until
from websockets.asyncio.client import connect

from examples.hello.browser import serve
from tests.nginx import free_port
from tests.test_caddy import accepts, app, ask
from tests.test_rolling_deploy import SITE, Load, is_ready, running

PROGRAM = shutil.which("haproxy", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
GUIDES = Path(__file__).parent.parent / "docs" / "how-to"

# HAProxy is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="HAProxy is not installed: apt-get install haproxy"
)


def recipe(page, first):
    """Give the block of a guide that has this line at its beginning."""
    text = (GUIDES / page).read_text()
    (block,) = re.findall(rf"^```text\n({first}\n.*?)^```$", text, re.M | re.S)
    return block


@contextmanager
def run(folder, settings, port):
    file = folder / "haproxy.cfg"
    file.write_text(settings)
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen([PROGRAM, "-f", file], stdout=output, stderr=output)
    try:
        wait_until(lambda: accepts(port, process), "the start of HAProxy")
        yield log
    finally:
        process.kill()
        process.wait()


def front():
    """Give what proxy.md shows, without TLS, and the port where it listens."""
    port = free_port()
    settings = recipe("proxy.md", "# haproxy.cfg")
    return re.sub("bind .+", f"bind 127.0.0.1:{port}", settings), port


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Give the port of an HAProxy that asks the app."""
    settings, port = front()
    with serve(app) as behind:
        settings = settings.replace("127.0.0.1:3579", f"127.0.0.1:{behind}")
        with run(tmp_path_factory.mktemp("haproxy"), settings, port):
            yield port


def test_the_client_is_known_and_cannot_lie(port):
    lies = {
        "Host": "example.org",
        "X-Forwarded-For": "198.51.100.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.test",
    }
    with ask(port, "GET", "/", lies) as response:
        assert response.read() == b'["127.0.0.2","https","example.org"]'


async def test_a_websocket_comes_through(port):
    async with connect(f"ws://127.0.0.1:{port}/echo", proxy=None) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


def test_no_request_is_lost_while_a_server_drains(tmp_path):
    (tmp_path / "deployed.py").write_text(SITE)
    settings, port = front()
    backend = recipe("monitor.md", "backend shop")
    # A machine under load takes its time to answer a check.
    backend = backend.replace("check 3s", f"check {patience(60):.0f}s")
    with ExitStack() as stack:
        servers = []
        for name in ("a", "b"):
            behind = free_port()
            servers.append(running(tmp_path, name, behind, drain="600"))
            servers[-1] = stack.enter_context(servers[-1])
            wait_until(lambda behind=behind: is_ready(behind), f"server {name}")
            backend = re.sub(rf"(?<=server {name} )\S+", f"127.0.0.1:{behind}", backend)
        settings = settings.replace("default_backend app", "default_backend shop")
        log = stack.enter_context(run(tmp_path, settings + backend, port))
        load = stack.enter_context(Load(port))
        for name in ("a", "b"):
            wait_until(lambda name=name: load.answers[200, name] > 20, name)

        servers[0].send_signal(signal.SIGTERM)
        wait_until(lambda: "shop/a is DOWN" in log.read_text(), "HAProxy to notice")
        before = load.answers[200, "b"]
        wait_until(lambda: load.answers[200, "b"] > before + 50, "more answers")

    assert load.answers.keys() == {(200, "a"), (200, "b")}
    assert "code: 503" in log.read_text()
