import asyncio
import gc
import logging
import os
import select
import socket
import ssl
import struct
import sys
import time
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from types import SimpleNamespace

import pytest
import trustme
from roll import Limits, Roll, Server
from roll.http11 import outbox, timeouts
from roll_testing import patience, turns, until

from .wire import CHUNKED, CLOSED_OK, GET, OK, error, get

SLOW = get("/slow")
STREAM = get("/stream")
CLOSE = get("/", "Connection: close")
LAZY = get("/lazy", "Content-Length: 1000000", method="POST") + bytes(200_000)
CLOSES = b"\r\nConnection: close\r\n\r\n"
TIMEOUT = error("408 Request Timeout")


class App(Roll):
    def __init__(self, **limits):
        super().__init__()
        self.limits = Limits(**limits)
        self.seen = []
        self.gate = asyncio.Event()
        self.produced = 0

        @self.route("/", methods="*")
        async def fast(request, response):
            response.body = request.body or "ok"

        @self.route("/slow")
        async def slow(request, response):
            self.seen.append("started")
            try:
                await self.gate.wait()
            finally:
                self.seen.append("ended")
            response.body = "ok"

        @self.route("/stream")
        async def stream(request, response):
            response.body = self.pieces()

        @self.route("/gibibyte")
        async def gibibyte(request, response):
            response.body = self.gibibyte()

        @self.route("/peer")
        async def peer(request, response):
            response.body = f"{request.scheme} {request.remote_addr}"

        @self.listen("shutdown")
        def note():
            self.seen.append("shutdown")

    async def pieces(self):
        self.seen.append("open")
        try:
            yield b"one"
            await self.gate.wait()
            yield b"two"
        finally:
            self.seen.append("closed")

    async def gibibyte(self):
        try:
            for _ in range(16 * 1024):
                self.produced += 65536
                yield b"x" * 65536
        finally:
            self.seen.append("closed")


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_to_report():
    yield
    gc.collect()  # exceptions never retrieved, coroutines never awaited


def bound():
    return socket.create_server(("127.0.0.1", 0))


@asynccontextmanager
async def serving(app, **options):
    """Serve *app*; its responses come without Date."""
    sock = bound()
    server = Server(app, [sock], **options)
    await server.start()
    server.address = sock.getsockname()
    app.date = b""
    server._ticker.cancel()
    try:
        yield server
    finally:
        app.gate.set()
        await server.stop()
    assert app.connections == set()


@asynccontextmanager
async def client(server, data=b"", **options):
    reader, writer = await asyncio.open_connection(*server.address, **options)
    writer.write(data)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def is_behind(app):
    """Whether a client has not read what was written to it."""
    return any(each.transport.get_write_buffer_size() for each in app.connections)


def timed(reader):
    return asyncio.wait_for(reader.read(), patience(3))


def test_requests_are_answered_in_order_whatever_the_reads(run):
    async def main():
        async with serving(App()) as server, client(server) as (reader, writer):
            for byte in GET + GET[:-1]:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            writer.write(GET[-1:] + CLOSE + GET)
            assert await timed(reader) == OK + OK + CLOSED_OK

    run(main())


def test_a_request_that_comes_during_a_view_is_answered_after_it(run):
    async def main():
        app = App()
        async with serving(app) as server, client(server, SLOW) as (reader, writer):
            await until(lambda: app.seen)
            writer.write(GET)
            (connection,) = app.connections
            await until(lambda: not connection.transport.is_reading())  # it has come
            app.gate.set()
            assert await reader.readexactly(len(OK + OK)) == OK + OK

    run(main())


def test_a_server_sends_the_date_and_its_name_when_asked(run):
    async def main():
        class Named(App):
            server_header = "Roll"

        app = Named()
        sock = bound()
        server = Server(app, [sock])
        server.address = sock.getsockname()
        await server.start()
        try:
            async with client(server, CLOSE) as (reader, _):
                lines = (await timed(reader)).decode().split("\r\n")
        finally:
            await server.stop()
        assert app.date == b""
        assert lines[1:] == [
            "X-Content-Type-Options: nosniff",
            "Content-Length: 2",
            "Connection: close",
            lines[4],
            "Server: Roll",
            "",
            "ok",
        ]
        name, _, value = lines[4].partition(": ")
        assert name == "Date"  # RFC 9110, 6.6.1
        assert value.endswith(" GMT")
        assert abs(parsedate_to_datetime(value).timestamp() - time.time()) < patience(5)

    run(main())


async def test_the_date_is_written_once_a_second(monkeypatch):
    times = []

    def formatdate(usegmt):
        times.append(asyncio.get_running_loop().time())
        return str(len(times))

    monkeypatch.setattr("roll.server.formatdate", formatdate)
    app = App()
    server = Server(app, [bound()])
    await server.start()
    try:
        assert app.date == b"Date: 1\r\n"
        await until(lambda: len(times) > 1)
        assert app.date == b"Date: %d\r\n" % len(times)
        assert times[1] - times[0] > 0.9
    finally:
        await server.stop()


def test_several_sockets_are_served_also_unix_ones(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short

    async def main():
        app = App()
        local = socket.socket(socket.AF_UNIX)
        local.bind("s")
        sockets = [bound(), bound(), local]
        addresses = [each.getsockname() for each in sockets]
        server = Server(app, sockets)
        await server.start()
        try:
            answers = []
            request = CLOSE.replace(b"/", b"/peer", 1)
            for address in addresses[:2]:
                server.address = address
                async with client(server, request) as (reader, _):
                    answers.append((await timed(reader)).rpartition(b"\r\n")[2])
            reader, writer = await asyncio.open_unix_connection(addresses[2])
            writer.write(request)
            answers.append((await timed(reader)).rpartition(b"\r\n")[2])
            writer.close()
            await writer.wait_closed()
        finally:
            await server.stop()
        assert answers == [b"http 127.0.0.1", b"http 127.0.0.1", b"http None"]
        assert [each.fileno() for each in sockets] == [-1, -1, -1]

    run(main())


def contexts():
    """TLS without a certificate, which only tests may have."""
    found = []
    for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(side)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("aNULL:@SECLEVEL=0")
        found.append(context)
    return found


def test_tls_is_served_and_closed_after_an_error(run):
    async def main():
        inside, outside = contexts()
        async with serving(App(), ssl=inside) as server:
            request = CLOSE.replace(b"/", b"/peer", 1)
            async with client(server, request, ssl=outside) as (reader, _):
                assert (await timed(reader)).endswith(b"\r\n\r\nhttps 127.0.0.1")
            async with client(server, b"\0", ssl=outside) as (reader, _):
                assert (await timed(reader)).startswith(b"HTTP/1.1 400 Bad Request")

    run(main())


# Bodies


@pytest.mark.parametrize("path", [b"/", b"/none"])
def test_an_unread_body_of_300_kib_never_wedges_the_connection(run, path):
    async def main():
        body = b"x" * 300 * 1024
        head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        async with (
            serving(App(body=1024)) as server,
            client(server) as (reader, writer),
        ):
            writer.write(head % (path, len(body)) + body + CLOSE)
            found = await timed(reader)
        status = b"413" if path == b"/" else b"404"
        first, _, rest = found.partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 %b " % status)
        # It depends on how much had come when the view ended.
        closes = first.endswith(b"\r\nConnection: close")
        assert rest.endswith(CLOSED_OK) is not closes

    run(main())


def test_an_unread_body_of_200_kib_is_skipped(run):
    async def main():
        body = b"x" * 200 * 1024
        head = b"POST /none HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        async with serving(App()) as server, client(server) as (reader, writer):
            writer.write(head % len(body) + body + CLOSE)
            found = await timed(reader)
        assert found.startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert found.endswith(b"\r\n\r\nNot Found" + CLOSED_OK)

    run(main())


def test_a_body_of_a_mebibyte_goes_both_ways(run):
    async def main():
        body = os.urandom(1024 * 1024)
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        expected = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        async with serving(App()) as server, client(server) as (reader, writer):
            writer.write(head + body + CLOSE)
            assert await timed(reader) == expected + CLOSED_OK

    run(main())


def test_a_buffer_that_a_stream_uses_again_arrives_as_it_was(run):
    async def main():
        app = App()

        async def pieces():
            buffer = bytearray(30_000)
            for number in range(200):
                buffer[:] = bytes([number]) * 30_000
                yield memoryview(buffer)

        @app.route("/again")
        async def again(request, response):
            response.headers["Content-Length"] = 6_000_000
            response.body = pieces()

        async with serving(app) as server:
            request = CLOSE.replace(b"/", b"/again", 1)
            async with client(server, request, limit=1000) as (reader, _):
                await until(lambda: is_behind(app))
                body = (await timed(reader)).partition(b"\r\n\r\n")[2]
        assert body == b"".join(bytes([number]) * 30_000 for number in range(200))

    run(main())


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("sizes", [[40_000] * 60, [10] * 5000, [5, 100_000, 7] * 20])
def test_a_stream_arrives_however_its_pieces_are_sent(run, sizes, tls):
    async def main():
        app = App()
        inside, outside = contexts() if tls else (None, None)
        pieces = [os.urandom(size) for size in sizes]

        @app.route("/pieces")
        async def view(request, response):
            response.body = in_turn(pieces)

        async with serving(app, ssl=inside) as server:
            request = CLOSE.replace(b"/", b"/pieces", 1)
            async with client(server, request, ssl=outside) as (reader, _):
                body = (await timed(reader)).partition(b"\r\n\r\n")[2]
        chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
        assert body == b"".join([*chunks, b"0\r\n\r\n"])

    run(main())


async def in_turn(pieces):
    for number, piece in enumerate(pieces):
        yield piece
        if number % 50 == 49:  # the loop goes round
            await asyncio.sleep(0)


# Clients that leave, or do not read


def reset(writer):
    """End a connection as an aborting client does: with RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"


@pytest.mark.parametrize("leave", [reset, lambda writer: writer.close()])
@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"", []),
        (GET[:-1], []),
        (SLOW, ["started", "ended"]),
        (SLOW * 2, ["started", "ended"]),
        (UPLOAD, []),
        (STREAM, ["open", "closed"]),
        (GET, []),
    ],
)
def test_a_client_that_leaves_leaves_nothing(run, data, seen, leave, caplog):
    caplog.set_level(logging.DEBUG, "roll")

    async def main():
        app = App()
        async with serving(app) as server, client(server, data) as (_, writer):
            await until(lambda: app.connections and app.seen[:1] == seen[:1])
            await turns()
            leave(writer)
            if data == SLOW * 2:  # reading is paused, the loss is seen by writing
                app.gate.set()
            await until(lambda: not app.connections)
            await until(lambda: app.seen[:2] == seen)

    run(main())
    assert caplog.messages == []


def test_a_stream_to_a_client_that_does_not_read_waits_then_is_cut(run):
    async def main():
        app = App(write_timeout=0.2)
        async with serving(app) as server:
            request = GET.replace(b"/", b"/gibibyte", 1)
            async with client(server, request, limit=1000) as _:
                await until(lambda: is_behind(app))
                await turns()
                produced = app.produced
                assert produced < 32 * 1024 * 1024  # the system's buffers take some
                await until(lambda: not app.connections)
                assert app.produced == produced
                await until(lambda: app.seen == ["closed"])

    run(main())


# Timeouts


def test_a_client_that_reads_slowly_and_steadily_is_not_cut_off(run):
    async def main():
        async with serving(App(write_timeout=600)) as server:
            client = socket.create_connection(server.address)
            client.setblocking(False)
            client.sendall(STREAM.replace(b"stream", b"gibibyte"))
            loop = asyncio.get_running_loop()
            await until(lambda: is_behind(server.app))
            (connection,) = server.app.connections
            # The system holds megabytes for it: what waits in Roll hardly changes.
            for number in range(20):
                assert len(await loop.sock_recv(client, 4 * 65536)) > 0
                await turns()
                connection.check(loop.time() + number * 400)  # the sweep is played
                assert not connection.transport.is_closing()
            for number in (20, 22):  # now it reads nothing
                connection.check(loop.time() + number * 400)
            await until(lambda: not server.app.connections)
            client.close()

    run(main())


@pytest.mark.parametrize(
    ("limits", "data", "expected"),
    [
        ({"head_timeout": 0.1}, b"", b""),
        ({"head_timeout": 0.1}, GET[:-1], TIMEOUT),
        ({"head_timeout": 0.1}, GET + GET[:-1], OK + TIMEOUT),
        ({"keep_alive": 0.1}, GET, OK),
        ({"body_timeout": 0.1}, UPLOAD, TIMEOUT),
    ],
)
def test_a_client_that_is_too_slow_is_told_and_the_connection_ends(
    run, limits, data, expected
):
    async def main():
        async with (
            serving(App(**limits)) as server,
            client(server, data) as (reader, _),
        ):
            started = time.monotonic()
            assert await timed(reader) == expected
            assert time.monotonic() - started > 0.09

    run(main())


def test_a_drop_at_a_time_does_not_keep_a_connection(run):
    async def main():
        async with (
            serving(App(head_timeout=0.1)) as server,
            client(server) as (reader, writer),
        ):
            answer = asyncio.ensure_future(timed(reader))
            pace = 0.02
            for byte in GET:
                writer.write(bytes([byte]))
                await asyncio.wait([answer], timeout=pace)
                if answer.done():
                    break
            assert await answer == TIMEOUT

    run(main())


def test_a_client_that_never_closes_is_cut_off(run, monkeypatch):
    monkeypatch.setattr(timeouts, "LINGER", 0.1)

    async def main():
        app = App(keep_alive=0.1)
        async with serving(app) as server, client(server, b"\0") as (reader, _):
            await timed(reader)  # the server's side has ended
            assert len(app.connections) == 1
            await until(lambda: not app.connections)

    run(main())


# Elsewhere a client that leaves is noticed once reading goes on: nothing to install
# would tell of it before.
@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="only Linux tells of it")
@pytest.mark.parametrize("leave", [reset, asyncio.StreamWriter.close])
@pytest.mark.parametrize(
    "data",
    [SLOW * 2, LAZY, SLOW.replace(b"\r\n\r\n", CLOSES) + bytes(400_000)],
    ids=["pipelined", "unread", "ignored"],
)
def test_a_client_that_leaves_while_reading_is_paused_is_noticed(
    run, data, leave, monkeypatch
):
    monkeypatch.setattr(timeouts, "LINGER", 0.1)

    async def main():
        app = App(keep_alive=0.1)

        @app.route("/lazy", methods=["POST"], lazy_body=True)
        async def lazy(request, response):
            app.seen.append("started")
            await request.disconnected()

        async with serving(app) as server, client(server, data) as (_, writer):
            await until(lambda: app.seen)
            (connection,) = app.connections
            await until(lambda: not connection.transport.is_reading())
            async with client(server, GET) as (idle, _):
                assert await timed(idle) == OK  # this one was silent for too long
            assert app.connections == {connection}  # its client waits
            leave(writer)
            await until(lambda: not app.connections)

    run(main())


def test_a_tls_client_that_answers_no_alert_is_not_waited_for(run, monkeypatch):
    monkeypatch.setattr(timeouts, "LINGER", 0.1)

    async def main():
        inside, outside = contexts()
        app = App(keep_alive=0.1)
        async with (
            serving(app, ssl=inside) as server,
            client(server, GET, ssl=outside, server_hostname="") as (reader, writer),
        ):
            assert await reader.readexactly(len(OK)) == OK
            writer.transport.pause_reading()
            await until(lambda: not app.connections)  # asyncio's own patience is 30 s
            writer.transport.abort()

    run(main())


async def end_tls(address, context, data, *, alert, fin=False):
    """Send *data*, end TLS by an *alert*, and TCP if asked; then read to the end."""
    loop = asyncio.get_running_loop()
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, sent, server_hostname="localhost")
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(sock, sent.read())
                received.write(await loop.sock_recv(sock, 65536))
        tls.write(data)
        if alert:
            with pytest.raises(ssl.SSLWantReadError):  # the server has sent none
                tls.unwrap()
        await loop.sock_sendall(sock, sent.read())
        if fin:
            sock.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(patience(10)):
            while piece := await loop.sock_recv(sock, 65536):
                received.write(piece)
    answer = b""
    with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
        while piece := tls.read():
            answer += piece
    return answer


@pytest.fixture
def certified():
    """TLS 1.3, at most."""
    authority = trustme.CA()
    inside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(inside)
    outside = ssl.create_default_context()
    authority.configure_trust(outside)
    return inside, outside


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no task begins at once")
@pytest.mark.parametrize("fin", [False, True])
def test_a_half_close_of_tls_leaves_the_answers_that_need_no_wait(
    run, certified, fin, monkeypatch
):
    monkeypatch.setattr(outbox, "HOLD_SECONDS", 60)  # they wait for the round's end

    async def main():
        inside, outside = certified
        async with serving(App(), ssl=inside) as server:
            end = {"alert": True, "fin": fin}
            data = await end_tls(server.address, outside, GET * 3, **end)
            assert data == OK * 3

    run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_ends_tls_gets_the_answers_that_need_a_wait(
    run, certified, version
):
    async def ended(request):
        await until(lambda: request.protocol.half_closed, "the end of the client")

    async def main():
        inside, outside = certified
        outside.maximum_version = version
        app = App()

        @app.route("/late")
        async def late(request, response):
            await ended(request)
            response.body = "ok"

        @app.route("/pieces")
        async def pieces(request, response):
            async def wait():
                yield b"one"
                await ended(request)
                yield b"two"

            response.body = wait()

        @app.route("/large")
        async def large(request, response):
            response.body = bytes(2**20)

        async with serving(app, ssl=inside) as server:
            for path, end in [
                ("/late", b"ok"),
                ("/pieces", b"\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
                ("/large", bytes(2**20)),
            ]:
                requests = get(path) + GET
                data = await end_tls(server.address, outside, requests, alert=True)
                assert data.removesuffix(OK).endswith(end), path
                assert data.endswith(OK), path
            await until(lambda: not app.connections)

    run(main())


def test_a_view_that_takes_long_is_cancelled_when_the_client_has_ended_tls(run):
    app = App(half_close=0.1)

    @app.route("/ever")
    async def view(request, response):
        try:
            await asyncio.Event().wait()
        finally:
            app.seen.append("cancelled")

    async def main():
        inside, outside = contexts()
        async with serving(app, ssl=inside) as server:
            data = await end_tls(server.address, outside, get("/ever"), alert=True)
            assert data == b""
            await until(lambda: app.seen == ["cancelled"])

    run(main())


def test_a_client_that_ends_tls_after_a_refusal_is_closed(run):
    async def main():
        inside, outside = contexts()
        app = App()
        async with serving(app, ssl=inside) as server:
            data = await end_tls(server.address, outside, b"?\r\n\r\n", alert=True)
            assert data.startswith(b"HTTP/1.1 400 ")
            await until(lambda: not app.connections)

    run(main())


def test_a_context_that_makes_objects_of_its_own_keeps_its_class():
    class Own(ssl.SSLObject):
        pass

    context, _ = contexts()
    context.sslobject_class = Own
    Server(App(), [], context)
    assert context.sslobject_class is Own


def test_a_client_that_ends_tls_between_two_requests_is_closed(run):
    async def main():
        inside, outside = contexts()
        app = App()
        async with serving(app, ssl=inside) as server:
            assert await end_tls(server.address, outside, b"", alert=True) == b""
            assert await end_tls(server.address, outside, b"G", alert=True) == b""
            await until(lambda: not app.connections)

    run(main())


def test_a_half_close_of_tcp_below_tls_cancels_a_view_that_waits(run):
    """asyncio and uvloop close the transport: what was to come may have been cut."""

    async def main():
        inside, outside = contexts()
        app = App()
        async with serving(app, ssl=inside) as server:
            data = await end_tls(server.address, outside, SLOW, alert=False, fin=True)
            assert data == b""
            await until(lambda: not app.connections)
            await until(lambda: app.seen != ["started"])
            assert app.seen in (["started", "ended"], [])  # its task had not begun

    run(main())


def test_a_bare_server_of_asyncio_keeps_limits_and_ends(run):
    async def main():
        app = App(keep_alive=0.1, shutdown=1)
        await app.startup()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(app.factory, "127.0.0.1", 0)
        at = SimpleNamespace(address=server.sockets[0].getsockname())
        async with client(at, GET) as (reader, _):
            assert await timed(reader) == OK
        async with client(at, SLOW) as (reader, _):
            await until(lambda: app.seen)
            server.close()
            loop.call_later(0.05, app.gate.set)
            await app.shutdown()
            assert await timed(reader) == CLOSED_OK
        assert app.seen == ["started", "ended", "shutdown"]

    run(main())


# The end


def test_stopping_closes_idle_connections_at_once(run):
    async def main():
        app = App()
        async with serving(app) as server:
            readers, writers = [], []
            for _ in range(200):
                reader, writer = await asyncio.open_connection(*server.address)
                writer.write(GET)
                readers.append(reader)
                writers.append(writer)
            for reader in readers:
                await reader.readexactly(len(OK))
            started = time.monotonic()
            await server.stop()
            assert time.monotonic() - started < patience(10)
            assert app.connections == set()
            for reader, writer in zip(readers, writers, strict=True):
                assert await timed(reader) == b""
                writer.close()
                await writer.wait_closed()

    run(main())


@pytest.mark.parametrize("size", [0, 1])
def test_a_request_on_its_way_is_answered_and_its_answer_closes(run, monkeypatch, size):
    # A busy machine may take longer than it waits for a request.
    monkeypatch.setattr("roll.http11.connection.QUIET", 5.0)

    async def main():
        app = App()
        async with (
            serving(app) as server,
            client(server, GET) as (reader, writer),
        ):
            assert await reader.readexactly(len(OK)) == OK
            writer.write(GET[:size])
            (connection,) = app.connections
            await until(lambda: connection.parser.unread == size)
            stopping = asyncio.create_task(server.stop())
            await until(app.closing.is_set)
            writer.write(GET[size:])
            assert await timed(reader) == CLOSED_OK
            await stopping

    run(main())


@pytest.mark.parametrize("late", [1, 20_000])
@pytest.mark.parametrize("limits", [{}, {"requests": 1}])
def test_an_answer_is_not_lost_for_what_comes_behind_the_last_request(
    run, limits, late
):
    async def main():
        app = App(**limits)

        @app.route("/large")
        async def view(request, response):
            app.seen.append("large")
            response.body = b"x" * 3_000_000
            if not limits:
                response.headers["Connection"] = "close"

        request = GET.replace(b"/", b"/large", 1)
        async with (
            serving(app) as server,
            client(server, request + GET * 2000, limit=2**16) as (reader, writer),
        ):
            await until(lambda: app.seen)
            await turns()
            writer.write(GET * late)
            await turns(100)  # what is not read here waits there
            answer = await timed(reader)
            assert answer.endswith(b"x" * 3_000_000)

    run(main())


def test_what_came_but_is_not_read_keeps_a_connection(run):
    async def main():
        app = App()
        async with (
            serving(app) as server,
            client(server, GET) as (reader, writer),
        ):
            assert await reader.readexactly(len(OK)) == OK
            (connection,) = app.connections
            app.closing.set()
            os.write(writer.get_extra_info("socket").fileno(), GET)
            connection._stop_idle()
            assert await timed(reader) == CLOSED_OK

    run(main())


def ask_in_vain(address, count):
    """Connect and ask, in a time in which nothing is accepted: the loop stands."""
    socks = [
        socket.create_connection(address, timeout=patience(3)) for _ in range(count)
    ]
    for sock in socks:
        sock.sendall(GET)
    return socks


@pytest.mark.parametrize(("room", "answered"), [(1000, 100), (10, 10)])
def test_who_is_connected_when_it_stops_is_answered(run, room, answered):
    """The system completes a connection before it is accepted, and takes requests."""

    async def main():
        async with serving(App(connections=room)) as server:
            socks = ask_in_vain(server.address, 100)
            await server.stop()
        answers = []
        for sock in socks:
            with sock, suppress(ConnectionResetError):
                answers.append(sock.recv(65536))
        assert len(answers) == answered
        assert set(answers) <= {CLOSED_OK, OK}

    run(main())


def test_who_is_connected_when_it_is_replaced_is_left_to_the_next(run):
    async def main():
        app = App()
        async with serving(app) as server:
            next_one = server.sockets[0].dup()
            socks = ask_in_vain(server.address, 100)
            await server.stop(replaced=True)
        left = 0
        with next_one, suppress(BlockingIOError):
            while True:
                next_one.accept()[0].close()
                left += 1
        assert left > 50  # some may have been accepted before
        for sock in socks:
            sock.close()

    run(main())


def test_who_gives_no_time_waits_for_no_request(run, caplog):
    async def main():
        app = App(shutdown=0.1)
        async with serving(app) as server, client(server, GET) as (reader, _):
            assert await reader.readexactly(len(OK)) == OK
            await server.stop()
            assert await timed(reader) == b""

    run(main())
    assert caplog.text == ""  # or it would be told as cut


def test_a_handshake_that_has_begun_may_end_and_its_request_is_answered(run):
    async def main():
        inside, outside = contexts()
        app = App()
        async with serving(app, ssl=inside) as server:
            sock = socket.create_connection(server.address)
            await until(lambda: server._opening)
            stopping = asyncio.create_task(server.stop())
            reader, writer = await asyncio.open_connection(
                sock=sock, ssl=outside, server_hostname=""
            )
            writer.write(GET)
            assert await timed(reader) in (CLOSED_OK, OK)  # it may come before the end
            writer.close()
            await stopping

    run(main())


@pytest.mark.parametrize(
    ("data", "answer", "seen"),
    [
        (SLOW, CLOSED_OK, ["started", "ended", "shutdown"]),
        (SLOW + GET, CLOSED_OK, ["started", "ended", "shutdown"]),
        (
            STREAM,
            CHUNKED + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
            ["open", "closed", "shutdown"],
        ),
        (
            STREAM + GET,
            CHUNKED + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
            ["open", "closed", "shutdown"],
        ),
    ],
)
def test_stopping_lets_running_requests_end_then_tells_listeners(
    run, data, answer, seen
):
    async def main():
        app = App(keep_alive=30)
        async with serving(app) as server, client(server, data) as (reader, _):
            await until(lambda: app.seen)
            stopping = asyncio.create_task(server.stop())
            await until(app.closing.is_set)
            await turns()
            assert not stopping.done()
            app.gate.set()
            started = time.monotonic()
            assert await timed(reader) == answer
            await stopping
            assert time.monotonic() - started < patience(10)
            assert app.seen == seen

    run(main())


def test_a_stream_can_end_early_when_the_app_ends(run):
    async def main():
        app = App()

        @app.route("/events")
        async def events(request, response):
            async def pieces():
                yield b"one"
                await request.closing.wait()
                yield b"end"

            response.body = pieces()

        async with serving(app) as server:
            request = GET.replace(b"/", b"/events", 1)
            async with client(server, request) as (reader, _):
                await reader.readuntil(b"one\r\n")
                await server.stop()
                assert await timed(reader) == b"3\r\nend\r\n0\r\n\r\n"

    run(main())


@pytest.mark.parametrize(("data", "phase"), [(SLOW, "ended"), (STREAM, "closed")])
def test_what_does_not_end_in_time_is_cut(run, data, phase, caplog):
    async def main():
        app = App(shutdown=0.1)
        async with serving(app) as server, client(server, data) as (reader, _):
            await until(lambda: app.seen)
            started = time.monotonic()
            await server.stop()
            assert 0.09 < time.monotonic() - started < patience(10)
            assert app.seen[1:] == [phase, "shutdown"]
            with suppress(ConnectionError):
                assert not (await timed(reader)).endswith(b"0\r\n\r\n")

    run(main())
    assert caplog.messages == [
        "Shutdown cuts 1 connections and 1 tasks that are still running"
    ]


def test_a_client_that_does_not_read_does_not_hang_the_end(run):
    async def main():
        app = App(shutdown=0.1)
        async with serving(app) as server:
            request = GET.replace(b"/", b"/gibibyte", 1)
            async with client(server, request, limit=1000):
                await until(lambda: app.produced)
                started = time.monotonic()
                await server.stop()
                assert time.monotonic() - started < patience(10)
                assert app.seen == ["closed", "shutdown"]

    run(main())


def test_a_stopped_server_refuses_connections(run):
    async def main():
        async with serving(App()) as server:
            await server.stop()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*server.address)

    run(main())


def test_a_server_that_never_started_closes_its_sockets(run):
    async def main():
        sock = bound()
        await Server(App(), [sock]).stop()
        assert sock.fileno() == -1

    run(main())


def test_a_server_whose_app_does_not_start_closes_its_sockets(run):
    async def main():
        app = App()

        @app.listen("startup")
        async def fail():
            raise ValueError("no database")

        sock = bound()
        server = Server(app, [sock])
        with pytest.raises(ValueError, match="no database"):
            await server.start()
        await server.stop()
        assert sock.fileno() == -1
        assert app.seen == ["shutdown"]

    run(main())
