"""asgi under real servers: uvicorn, hypercorn (HTTP/1.1, 2 and 3), granian, Mangum."""

import asyncio
import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trustme
from aioquic.asyncio.client import connect as connect_quic
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from mangum import Mangum
from roll import Roll
from roll.extensions import asgi
from roll_testing import patience, wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_websocket

HERE = Path(__file__).parent
HOST = "127.0.0.1"
SITE = "served_app:application"
SERVERS = ["uvicorn", "hypercorn", "granian"]


class Server:
    """A server in a process of its own."""

    def __init__(self, name, folder):
        self.name = name
        self.port, self.tls, self.quic = free_ports(3)
        self.output = folder / f"{name}.txt"
        authority = trustme.CA()
        certificate = authority.issue_cert(HOST)
        self.authority = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.authority)
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        for number, pem in enumerate(certificate.cert_chain_pems):
            pem.write_to_path(folder / "cert.pem", append=number > 0)
        commands = {
            "uvicorn": ["--port", f"{self.port}", "--ws", "websockets-sansio"],
            "hypercorn": [
                *("--certfile", f"{folder}/cert.pem", "--keyfile", f"{folder}/key.pem"),
                *("--insecure-bind", f"{HOST}:{self.port}"),
                *("--bind", f"{HOST}:{self.tls}"),
                *("--quic-bind", f"{HOST}:{self.quic}"),
            ],
            "granian": ["--interface", "asgi", "--port", f"{self.port}"],
        }
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", name, SITE, *commands[name]],
                cwd=HERE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_it_listens(self):
        wait_until(lambda: self.process.poll() is not None or accepts(self.port))
        assert self.process.poll() is None, self.output.read_text()

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @contextmanager
    def connect(self):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=patience(10))
        with closing(connection):
            yield connection

    def ask(self, method, path, body=None, **headers):
        with self.connect() as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind((HOST, 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def accepts(port):
    try:
        socket.create_connection((HOST, port)).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """All servers: they take a second to start, together."""
    folder = tmp_path_factory.mktemp("servers")
    found = [name for name in SERVERS if importlib.util.find_spec(name)]
    servers = {name: Server(name, folder) for name in found}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.kill()


@pytest.fixture(params=SERVERS)
def server(started, request):
    # granian is compiled, and a new Python may have no wheel of it yet.
    if request.param not in started:
        pytest.skip(f"{request.param} is not installed")
    started[request.param].wait_until_it_listens()
    return started[request.param]


@pytest.fixture
def hypercorn(started):
    started["hypercorn"].wait_until_it_listens()
    return started["hypercorn"]


def test_requests_are_answered(server):
    status, headers, body = server.ask("GET", "/", Cookie="x=1")
    assert status == 200
    assert json.loads(body) == ["1.1", "http", "GET", {"x": "1"}]
    assert headers.get_all("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]
    assert len(headers.get_all("date")) == 1
    assert server.ask("HEAD", "/")[2] == b""
    assert server.ask("GET", "/empty")[::2] == (204, b"")
    assert server.ask("GET", "/nowhere")[::2] == (404, b"Not Found")
    assert server.ask("GET", "/%E6%96%87")[2].decode() == "/文"


def test_bodies_go_both_ways(server):
    data = os.urandom(500_000)
    assert server.ask("POST", "/echo", data)[2] == data
    assert server.ask("POST", "/echo", iter([b"a", b"b"]))[2] == b"ab"
    assert server.ask("POST", "/count", b"x" * 3_000_000)[2] == b"3000000"
    assert len(server.ask("GET", f"/down/{2**23}")[2]) == 2**23


def test_a_mounted_application_is_served(server):
    body = server.ask("GET", "/inside/a")[2]
    assert json.loads(body) == ["/inside/a", "/inside"]


def test_a_view_is_cancelled_when_its_client_leaves(server):
    def events():
        return json.loads(server.ask("GET", "/events")[2])

    with server.connect() as connection:
        connection.request("GET", "/wait")
        wait_until(lambda: events() == ["waits"])
    wait_until(lambda: events() == ["waits", "cancelled"])


def test_websockets_are_served(server):
    url = f"ws://{HOST}:{server.port}"
    with connect_websocket(f"{url}/ws", subprotocols=["chat"]) as ws:
        assert ws.subprotocol == "chat"
        for message in ("文", b"x" * 200_000):
            ws.send(message)
            assert ws.recv(patience(10)) == message
        ws.send("close")
        with pytest.raises(ConnectionClosed):
            ws.recv(patience(10))
        assert (ws.close_code, ws.close_reason) == (4001, "bye")
    with pytest.raises(InvalidStatus, match="404"):
        connect_websocket(f"{url}/nowhere")


# HTTP/2 and HTTP/3


def curl(*arguments):
    # It is not a Python package: `.ci/run` installs it, so that CI skips nothing.
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    command = ["curl", "--silent", "--show-error", "--max-time", "20", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # Some systems build it without nghttp2; Debian's has it.
    if "libcurl" in done.stderr or "doesn't support" in done.stderr:
        pytest.skip("curl knows no HTTP/2")
    return done.stdout + done.stderr


def test_http_2_without_tls(hypercorn):
    url = f"http://{HOST}:{hypercorn.port}"
    answer = curl("--http2-prior-knowledge", "--cookie", "x=1", f"{url}/")
    assert json.loads(answer) == ["2", "http", "GET", {"x": "1"}]
    posted = curl("--http2-prior-knowledge", "--data", "x" * 70_000, f"{url}/echo")
    assert posted == "x" * 70_000
    head = curl("--http2-prior-knowledge", "--head", f"{url}/empty")
    assert head.startswith("HTTP/2 204")


def test_http_2_by_alpn(hypercorn):
    url = f"https://{HOST}:{hypercorn.tls}/"
    answer = curl("--cacert", str(hypercorn.authority), "--http2", url)
    assert json.loads(answer) == ["2", "https", "GET", {}]
    context = ssl.create_default_context(cafile=str(hypercorn.authority))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((HOST, hypercorn.tls)) as sock,
        context.wrap_socket(sock, server_hostname=HOST) as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"


class Http3Client(QuicConnectionProtocol):
    """Sends one request at a time."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.http = H3Connection(self._quic)
        self.answer = None

    async def ask(self, method, path, data=b""):
        stream = self._quic.get_next_available_stream_id()
        pseudo = [(b":method", method), (b":scheme", b"https"), (b":path", path)]
        fields = [*pseudo, (b":authority", b"example.org"), (b"cookie", b"x=1")]
        self.http.send_headers(stream, [*fields, (b"cookie", b"y=2")], not data)
        if data:
            self.http.send_data(stream, data, True)
        self.head, self.body = [], b""
        self.answer = asyncio.get_running_loop().create_future()
        self.transmit()
        async with asyncio.timeout(patience(10)):
            return await self.answer

    def quic_event_received(self, event):
        for each in self.http.handle_event(event):
            if isinstance(each, HeadersReceived):
                self.head += each.headers
            elif isinstance(each, DataReceived):
                self.body += each.data
            if each.stream_ended:
                self.answer.set_result((dict(self.head)[b":status"], self.body))


async def test_http_3(hypercorn):
    settings = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN)
    settings.load_verify_locations(cafile=str(hypercorn.authority))
    async with connect_quic(
        HOST, hypercorn.quic, configuration=settings, create_protocol=Http3Client
    ) as client:
        status, body = await client.ask(b"GET", b"/")
        assert status == b"200"
        assert json.loads(body) == ["3", "https", "GET", {"x": "1", "y": "2"}]
        assert await client.ask(b"POST", b"/echo", b"x" * 70_000) == (
            b"200",
            b"x" * 70_000,
        )
        assert (await client.ask(b"GET", b"/nowhere"))[0] == b"404"


# The end; these tests are the last ones


def test_a_server_ends_at_once_with_an_open_stream(server):
    """uvicorn#2829, #451, granian#796: without `signals`, it waits for the stream."""
    with server.connect() as connection:
        if server.name != "hypercorn":  # which gives its workers no signal
            connection.request("GET", "/stream")
            assert connection.getresponse().read(5) == b"more\n"
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(patience(10))
    output = server.output.read_text()
    assert "startup" in output
    assert "shutdown" in output
    assert "Traceback" not in output
    assert output.count("broken: []") == 2


# AWS Lambda


EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/echo/%E6%96%87",
    "rawQueryString": "a=1",
    "cookies": ["x=1", "y=2"],
    "headers": {"host": "example.org", "content-type": "text/plain"},
    "requestContext": {
        "domainName": "example.org",
        "http": {
            "method": "POST",
            "path": "/echo/文",
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.1",
            "userAgent": "test",
        },
        "stage": "$default",
    },
    "body": "data",
    "isBase64Encoded": False,
}


@pytest.mark.parametrize("lifespan", ["auto", "off"])
def test_mangum_serves_an_app(lifespan):
    """mangum#129, #155: repeated Set-Cookie; base64 and stages are Mangum's."""
    app = Roll()
    starts = []
    app.listen("startup")(lambda: starts.append(True))

    @app.route("/echo/{name}", methods=["POST"])
    async def echo(request, response, name):
        await asyncio.sleep(0)
        response.cookies.set("a", "1")
        response.cookies.set("b", "2")
        response.json = [
            *(name, request.query.get("a"), request.body.decode()),
            *(request.cookies["y"], request.remote_addr),
        ]

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        handler = Mangum(asgi(app), lifespan=lifespan)
        answers = [handler(EVENT, None) for _ in range(2)]
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    for answer in answers:
        assert answer["statusCode"] == 200
        assert answer["cookies"] == ["a=1; Path=/", "b=2; Path=/"]
        assert json.loads(answer["body"]) == ["文", "1", "data", "2", "192.0.2.1"]
    assert len(starts) == (1 if lifespan == "off" else 2)
