"""What a Server does when as many clients have come as may (Limits.connections)."""

import asyncio
import logging
import os
import resource
import socket
import ssl
from contextlib import asynccontextmanager, contextmanager

import pytest
from roll import Limits, Roll, Server
from roll_testing import patience, turns, until

from .wire import GET


def make_app(**limits):
    class App(Roll):
        pass

    App.limits = Limits(**limits)
    app = App()

    @app.route("/")
    async def view(request, response):
        response.body = request.remote_addr

    return app


@asynccontextmanager
async def serving(app, sockets=1, **options):
    bound = [socket.create_server(("127.0.0.1", 0)) for _ in range(sockets)]
    addresses = [each.getsockname() for each in bound]
    server = Server(app, bound, **options)
    await server.start()
    try:
        yield addresses
    finally:
        await server.stop()
    assert app.connections == set()
    assert [each.fileno() for each in bound] == [-1] * sockets


async def ask(address, seconds=0.2):
    """Open a connection and send a request: give the response, and how to close."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(GET)
    try:
        answer = await asyncio.wait_for(reader.readuntil(b"127.0.0.1"), seconds)
    except TimeoutError:
        answer = b""
    return answer, reader, writer


async def close(writer):
    writer.close()
    await writer.wait_closed()


def test_accepting_pauses_at_the_limit_and_goes_on_below_it(run, caplog):
    async def main():
        app = make_app(connections=3)
        async with serving(app) as [address]:
            clients = [await ask(address, patience(3)) for _ in range(3)]
            clients += [await ask(address) for _ in range(2)]
            assert [bool(answer) for answer, _, _ in clients] == [True] * 3 + [
                False
            ] * 2
            assert len(app.connections) == 3
            for number in (0, 1):
                await close(clients[number][2])
                waiting = clients[3 + number][1]
                assert await asyncio.wait_for(waiting.readuntil(b"\r\n"), patience(3))
            assert len(app.connections) == 3
            for _, _, writer in clients[2:]:
                await close(writer)

    with caplog.at_level(logging.WARNING):
        run(main())
    [record] = caplog.records  # once, not for each client
    assert record.message.startswith("3 connections are open (Limits.connections)")


def test_the_limit_is_of_all_sockets_together(run):
    async def main():
        app = make_app(connections=10)
        async with serving(app, sockets=2) as addresses:
            clients = [await ask(addresses[n % 2], 0.05) for n in range(20)]
            # Each socket but one may have been asked already when the last one came.
            assert 10 <= len(app.connections) <= 11
            for _, _, writer in clients:
                await close(writer)

    run(main())


def test_a_crowd_is_accepted_up_to_the_limit(run):
    async def main():
        app = make_app(connections=50, backlog=500)
        async with serving(app) as [address]:
            clients = [socket.create_connection(address) for _ in range(200)]
            await until(lambda: len(app.connections) == 50)
            await turns()
            assert len(app.connections) == 50
            for client in clients:
                client.close()
            await until(lambda: not app.connections)
            answer, _, writer = await ask(address, patience(3))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            await close(writer)

    run(main())


@contextmanager
def descriptors(more):
    """Allow the process only so many descriptors more than are open."""
    copy = os.dup(0)
    os.close(copy)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (copy + more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_accepting_pauses_while_there_are_no_descriptors(run, caplog):
    async def main():
        app = make_app()
        async with serving(app) as [address]:
            clients = [socket.create_connection(address) for _ in range(30)]
            with descriptors(more=10):
                await until(lambda: app.connections and caplog.records)
                await turns()
                assert 0 < len(app.connections) <= 10
            answer, _, writer = await ask(address, patience(3))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            await close(writer)
            for client in clients:
                client.close()

    # The clients are there before any of them is accepted.
    with caplog.at_level(logging.WARNING):
        run(main())
    assert [record.message for record in caplog.records if record.name == "roll"] == [
        "No connection can be accepted: Too many open files: accepting pauses, "
        "whenever it is so"
    ]


def test_a_server_that_stops_while_it_pauses_ends(run):
    async def main():
        app = make_app(connections=1)
        async with serving(app) as [address]:
            clients = [socket.create_connection(address) for _ in range(3)]
            await until(lambda: app.connections)
            await turns()
        for client in clients:
            client.close()

    run(main())


@pytest.mark.parametrize("turns", range(6))
def test_a_server_that_stops_while_clients_come_leaves_nothing(run, turns):
    async def main():
        app = make_app()
        async with serving(app) as [address]:
            clients = [socket.create_connection(address) for _ in range(40)]
            for _ in range(turns):
                await asyncio.sleep(0)
        for client in clients:
            client.close()

    run(main())


def test_a_connection_that_is_being_made_when_the_server_stops_is_closed(run):
    async def main():
        app = make_app()
        sock = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(sock.getsockname())
        server = Server(app, [sock])
        await server.start()
        while not server._opening:
            await asyncio.sleep(0)
        await server.stop()
        assert (app.connections, server._opening) == (set(), set())
        assert client.recv(1) == b""
        client.close()

    run(main())


def test_a_connection_that_is_lost_before_it_is_accepted_is_passed_over(run):
    class Losing(socket.socket):
        lost = 0

        def accept(self):
            if not self.lost:
                self.lost += 1
                raise ConnectionAbortedError  # Linux hardly ever does
            return super().accept()

    async def main():
        sock = Losing(socket.AF_INET)
        sock.bind(("127.0.0.1", 0))
        server = Server(make_app(), [sock])
        await server.start()
        answer, _, writer = await ask(sock.getsockname(), 3)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        await close(writer)
        await server.stop()
        assert sock.lost == 1

    run(main())


def test_the_address_is_known_of_a_client_that_left_at_once(run):
    async def main():
        app = make_app()
        seen = []

        @app.listen("headers")
        def note(request, response):
            seen.append(request.remote_addr)

        async with serving(app) as [address]:
            for _ in range(20):
                client = socket.create_connection(address)
                client.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + b"\0" * 7
                )
                client.sendall(GET)
                client.close()
            _, _, writer = await ask(address, patience(3))  # it is behind all of them
            await close(writer)
        assert set(seen) == {"127.0.0.1"}

    run(main())


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n"])
def test_a_handshake_that_is_late_or_fails_ends(run, data, caplog):
    async def main():
        app = make_app(head_timeout=0.2, connections=2)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        async with serving(app, ssl=context) as [address]:
            for _ in range(3):
                reader, writer = await asyncio.open_connection(*address)
                writer.write(data)
                assert await asyncio.wait_for(reader.read(), patience(3)) in (
                    b"",
                    ALERT,
                )
                await close(writer)

    with caplog.at_level(logging.WARNING, "roll"):
        run(main())
    assert [record for record in caplog.records if record.name == "roll"] == []


ALERT = b"\x15\x03\x01\x00\x02\x02F"


def test_a_handshake_does_not_delay_the_end(run):
    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        async with serving(make_app(), ssl=context) as [address]:
            client = socket.create_connection(address)
            await turns()  # it is accepted
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < patience(3)
        client.close()

    run(main())


class LoopWithoutReaders(asyncio.SelectorEventLoop):
    def add_reader(self, *args):
        raise NotImplementedError  # as Windows' proactor loop does


def test_a_loop_without_readers_is_served_too():  # Windows' proactor is one
    async def main():
        async with serving(make_app()) as [address]:
            for _ in range(2):
                answer, _, writer = await ask(address, 3)
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                await close(writer)

    with asyncio.Runner(loop_factory=LoopWithoutReaders) as runner:
        runner.run(main())
