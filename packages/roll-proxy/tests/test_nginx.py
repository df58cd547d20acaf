"""proxy_headers behind a real nginx, with the configuration of docs/how-to/proxy.md."""

import asyncio
import hashlib
import http.client
import os
import re
import socket
import ssl
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from roll import Limits, Roll, Server
from roll.extensions import proxy_headers
from roll_testing import patience, until, wait_until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_websocket

# Its runner is the repository's; outside of it there is none, and no how-to either.
nginx = pytest.importorskip("tests.nginx")

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "proxy.md"

# nginx is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(nginx.PROGRAM is None, reason=nginx.MISSING)

MIB = 2**20
CLIENT = "127.0.0.2"
"""Where clients ask from: an address that is not the proxy's."""


class App(Roll):
    limits = Limits(keep_alive=75)


def make_app():
    app = App()
    app["peers"] = set()
    app["begun"] = threading.Event()
    app["gate"] = threading.Event()
    proxy_headers(app, trusted=["127.0.0.1"])

    @app.route("/")
    async def who(request, response):
        app["peers"].add(request.protocol.peer)
        response.json = [request.remote_addr, request.scheme, request.host]

    @app.route("/size", methods=["POST"])
    async def size(request, response):
        response.body = str(len(request.body))

    @app.route("/uploads", methods=["POST"], lazy_body=True)
    async def upload(request, response):
        digest = hashlib.sha256()
        async for chunk in request:
            app["begun"].set()
            digest.update(chunk)
        response.body = digest.hexdigest()

    @app.route("/large")
    async def large(request, response):
        response.body = bytes(8 * MIB)

    @app.route("/events")
    async def events(request, response):
        async def pieces():
            yield b"one"
            await until(app["gate"].is_set, timeout=60)
            yield b"two"

        response.headers["X-Accel-Buffering"] = "no"
        response.body = pieces()

    @app.route("/talk", protocol="websocket")
    async def talk(request, ws):
        await ws.send(f"{request.remote_addr} {request.scheme} {request.host}")
        async for message in ws:
            await ws.send(message)

    return app


class Site:
    """An app that is served, and the nginx in front of it."""

    def __init__(self, folder):
        self.folder = folder
        self.app = make_app()
        self.loop = asyncio.new_event_loop()
        self.authority = trustme.CA()
        sock = socket.create_server(("127.0.0.1", 0))
        self.server = Server(self.app, [sock])
        self.behind = sock.getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.call(self.server.start())
        self.port = nginx.free_port()
        self.stack = ExitStack()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def start_nginx(self):
        self.stack.enter_context(nginx.run(self.folder, self.recipe(), self.port))

    def recipe(self):
        """Take the how-to's configuration; where it listens and who it asks differ."""
        certificate = self.authority.issue_cert("example.org", "127.0.0.1")
        certificate.private_key_pem.write_to_path(self.folder / "key")
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(self.folder / "pem", append=number > 0)
        (recipe,) = re.findall(r"```nginx\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
        for old, new in {
            "127.0.0.1:3579": f"127.0.0.1:{self.behind}",
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "/etc/ssl/example.org.pem": f"{self.folder}/pem",
            "/etc/ssl/example.org.key": f"{self.folder}/key",
        }.items():
            assert recipe.count(old) == 1, f"the how-to has no {old!r} any more"
            recipe = recipe.replace(old, new)
        return recipe

    def trusting(self):
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def connect(self):
        return http.client.HTTPSConnection(
            *("127.0.0.1", self.port),
            context=self.trusting(),
            source_address=(CLIENT, 0),
            timeout=patience(30),
        )

    def talk(self, origin):
        """Open a WebSocket, as a page of that origin would."""
        sock = socket.create_connection(
            ("127.0.0.1", self.port), timeout=patience(30), source_address=(CLIENT, 0)
        )
        return connect_websocket(
            "wss://example.org/talk", sock=sock, ssl=self.trusting(), origin=origin
        )

    def ask(self, path="/", method="GET", body=None, connection=None, **fields):
        mine = connection or self.connect()
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        mine.request(method, path, body, {"Host": "example.org", **headers})
        answer = mine.getresponse()
        found = answer.status, answer.read()
        if connection is None:
            mine.close()
        return found

    def close(self):
        self.stack.close()
        self.call(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=patience(30))
        self.loop.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("nginx"))
    try:
        site.start_nginx()
        yield site
    finally:
        site.close()


def test_the_client_is_told_and_its_lies_are_not_believed(site):
    lies = {
        "X_Forwarded_For": "198.51.100.1",
        "X_Forwarded_Proto": "http",
        "X_Forwarded_Host": "evil.example",
        "Forwarded": "for=198.51.100.2;proto=http;host=evil.example",
    }
    expected = f'["{CLIENT}","https","example.org"]'.encode()
    assert site.ask() == (200, expected)
    assert site.ask(**lies) == (200, expected)


def test_connections_are_kept_on_both_sides(site):
    site.app["peers"].clear()
    connection = site.connect()
    connection.connect()
    sock = connection.sock
    for _ in range(20):
        assert site.ask(connection=connection)[0] == 200
        assert connection.sock is sock
    connection.close()
    assert len(site.app["peers"]) == 1


def test_a_websocket_is_passed_on(site):
    with site.talk("https://example.org") as ws:
        assert ws.recv(30) == f"{CLIENT} https example.org"
        for message in ("text", b"bytes", "x" * 200_000):
            ws.send(message)
            assert ws.recv(30) == message
    assert ws.close_code == 1000


def test_the_origin_of_a_websocket_is_compared_with_the_host_asked_for(site):
    with pytest.raises(InvalidStatus) as refusal:
        site.talk("https://evil.example")
    assert refusal.value.response.status_code == 403


def test_a_connection_is_kept_after_an_error(site):
    site.app["peers"].clear()
    for _ in range(5):
        assert site.ask("/none") == (404, b"Not Found")
        assert site.ask("/", "POST", b"body") == (405, b"Method Not Allowed")
        assert site.ask()[0] == 200
    assert len(site.app["peers"]) == 1


def test_head_has_no_body_and_hangs_nobody(site):
    connection = site.connect()
    assert site.ask("/large", "HEAD", connection=connection) == (200, b"")
    assert site.ask("/large", connection=connection) == (200, bytes(8 * MIB))
    connection.close()


def test_both_allow_a_body_of_the_same_size(site):
    assert site.ask("/size", "POST", bytes(MIB)) == (200, str(MIB).encode())
    status, body = site.ask("/size", "POST", bytes(MIB + 1))
    assert (status, b"nginx" in body) == (413, True)


def test_chunks_of_a_client_come_as_one_body(site):
    chunks = iter([b"one", b"two"])
    assert site.ask("/size", "POST", chunks) == (200, b"6")


@pytest.mark.parametrize("framing", ["Content-Length", "Transfer-Encoding"])
def test_an_upload_is_read_while_it_is_sent(site, framing):
    site.app["begun"].clear()
    half = os.urandom(8 * MIB)

    def halves():
        yield half
        assert site.app["begun"].wait(patience(30)), "nothing comes before all is sent"
        yield half

    field = {"Content_Length": str(2 * len(half))}
    fields = field if framing == "Content-Length" else {}
    digest = hashlib.sha256(half + half).hexdigest().encode()
    assert site.ask("/uploads", "POST", halves(), **fields) == (200, digest)


def test_an_upload_may_be_as_large_as_the_limit(site):
    body = bytes(32 * MIB)
    digest = hashlib.sha256(body).hexdigest().encode()
    assert site.ask("/uploads", "POST", body) == (200, digest)


def test_a_stream_arrives_as_it_comes(site):
    site.app["gate"].clear()
    connection = site.connect()
    connection.request("GET", "/events", headers={"Host": "example.org"})
    answer = connection.getresponse()
    assert answer.read(3) == b"one"
    site.app["gate"].set()
    assert answer.read() == b"two"
    connection.close()


def test_what_is_asked_at_the_end_is_answered(tmp_path):
    """Stop the app while clients ask: all have a 200, until nobody listens any more."""
    site = Site(tmp_path)
    seen = []

    def ask():
        connection = site.connect()
        while 502 not in seen:
            seen.append(site.ask(connection=connection)[0])
        connection.close()

    try:
        site.start_nginx()
        clients = [threading.Thread(target=ask) for _ in range(4)]
        for client in clients:
            client.start()
        wait_until(lambda: len(seen) >= 100)
        errors = site.folder / "errors"
        site.call(site.server.stop())
        for client in clients:
            client.join(timeout=patience(30))
        # nginx says for each 502 why: what is lost would be a connection that closed.
        assert "Connection refused" in errors.read_text()
        assert "prematurely" not in errors.read_text()
        assert "reset by peer" not in errors.read_text()
        assert set(seen) == {200, 502}
    finally:
        site.close()
