"""TLS: what is agreed on, certificates that change, and what cannot be loaded."""

import signal
import socket
import ssl

import pytest
import trustme
from roll_server.exits import Exit
from roll_testing import patience

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

ECHO = """
from roll import HttpError, Roll

class Echo:
    '''The least of a protocol that takes a connection over, as WebSocket does.'''

    TOKEN = "websocket"
    ALLOWED_METHODS = ("GET",)

    def __init__(self, request, response):
        response.headers["Upgrade"] = "websocket"
        self.scheme = request.scheme

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(self.scheme.encode() + b" " + data)

    def connection_lost(self, error):
        self.lost.set_result(None)

    async def run(self, view, variables):
        import asyncio
        self.lost = asyncio.get_running_loop().create_future()
        await self.lost

    def stop(self):
        self.transport.close()

    def check(self, now): pass
    def eof_received(self): pass
    def pause_writing(self): pass
    def resume_writing(self): pass

class App(Roll):
    WebsocketProtocol = Echo

app = App()

@app.route("/", protocol="websocket")
async def view(request, ws): pass
"""


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def files(folder, authority):
    """Write a certificate and its key, and give their paths."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    write(authority, cert, key)
    return cert, key


def write(authority, cert, key):
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(key)
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))


@pytest.fixture
def connect(authority):
    """Connect to a server, whose certificate is checked."""

    def connect(running, **options):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        context.set_alpn_protocols(options.get("alpn", ["h2", "http/1.1"]))
        context.maximum_version = options.get("most", ssl.TLSVersion.TLSv1_3)
        raw = socket.create_connection(running.address, timeout=patience(30))
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    return connect


def serial(client):
    return client.getpeercert()["serialNumber"]


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_https_is_served_and_http_1_1_agreed_on(run, files, connect, most):
    running = run("shop", "--port", 0, "--tls-cert", files[0], "--tls-key", files[1])
    assert running.url.startswith("https://127.0.0.1:")
    with connect(running, most=most) as client:
        assert client.selected_alpn_protocol() == "http/1.1"
        assert client.version() == {772: "TLSv1.3", 771: "TLSv1.2"}[most.value]
        client.sendall(GET)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_less_than_tls_1_2_is_refused(run, files, authority):
    running = run("shop", "--port", 0, "--tls-cert", files[0], "--tls-key", files[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")

    def handshake():
        with (
            socket.create_connection(running.address) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as client,
        ):
            return client.version()

    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake() == "TLSv1.2"
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError, match=r"(?i)eof|reset|version"):
        handshake()


def test_a_key_may_stand_with_its_certificate(run, files, connect):
    cert, key = files
    cert.write_bytes(key.read_bytes() + cert.read_bytes())
    with connect(run("shop", "--port", 0, "--tls-cert", cert)) as client:
        client.sendall(GET)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_upgraded_connection_has_tls_as_wss_does(run, folder, files, connect):
    (folder / "shop.py").write_text(ECHO)
    running = run("shop", "--port", 0, "--tls-cert", files[0], "--tls-key", files[1])
    with connect(running) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        client.sendall(b"hello")
        assert client.recv(1000) == b"https hello"
        running.send(signal.SIGTERM)
        assert client.recv(1000) == b""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_certificate_is_read_again_at_sighup(run, files, authority, connect, workers):
    tls = ("--tls-cert", files[0], "--tls-key", files[1])
    running = run("shop", "--port", 0, "--workers", workers, *tls)
    with connect(running) as before:
        first = serial(before)
        write(authority, *files)
        running.send(signal.SIGHUP)
        done = ("the certificate was read again", "the workers were replaced")
        running.wait_for(done[workers - 1])
        with connect(running) as after:
            assert serial(after) != first
        if workers == 1:  # who is connected goes on
            before.sendall(GET)
            assert before.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
    assert running.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_the_former_certificate_stays_when_the_new_one_cannot_be_loaded(
    run, files, authority, connect, workers
):
    tls = ("--tls-cert", files[0], "--tls-key", files[1])
    running = run("shop", "--port", 0, "--workers", workers, *tls)
    with connect(running) as client:
        first = serial(client)
    other = authority.issue_cert("127.0.0.1")
    files[0].write_bytes(other.cert_chain_pems[0].bytes())  # without its key
    running.send(signal.SIGHUP)
    running.wait_for("the key belongs to another certificate")
    running.wait_for(
        ("; the previous one stays", "the previous ones stay")[workers - 1]
    )
    for _ in range(5):
        with connect(running) as client:
            assert serial(client) == first
            client.sendall(GET)
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no file {key}"),
        ("", "they are not a certificate and key in PEM"),
        ("nonsense", "they are not a certificate and key in PEM"),
        ("other", "the key belongs to another certificate"),
        ("password", "the key has a password: nobody could type it, so remove it"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--workers=2"], ["--reload"]])
def test_what_cannot_be_loaded_is_a_status_6(
    run, files, authority, content, reason, options
):
    cert, key = files
    if content is None:
        key.unlink()
    elif content == "other":
        authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(key)
    elif content == "password":
        key.write_bytes(encrypt(key.read_bytes()))
    else:
        key.write_text(content)
    tls = ("--tls-cert", cert, "--tls-key", key)
    running = run("shop", "--port", 0, *tls, *options)
    assert running.wait() == Exit.CERTIFICATE
    files = f"the certificate {cert}, with the key {key},"
    reason = reason.format(key=key)
    assert running.output == f"Error: {files} cannot be loaded: {reason}\n"


def test_a_key_in_another_file_has_to_be_named(run, files):
    cert, _ = files
    running = run("shop", "--port", 0, "--tls-cert", cert)
    assert running.wait() == Exit.CERTIFICATE
    assert "name the file of the key with tls-key" in running.output


def encrypt(key):
    from cryptography.hazmat.primitives import serialization as forms

    return forms.load_pem_private_key(key, None).private_bytes(
        forms.Encoding.PEM,
        forms.PrivateFormat.PKCS8,
        forms.BestAvailableEncryption(b"secret"),
    )


def test_without_a_certificate_sighup_ends_it(run):
    running = run("shop", "--port", 0)
    running.get()
    assert running.stop(signal.SIGHUP) == -signal.SIGHUP
