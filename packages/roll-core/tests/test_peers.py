import asyncio
import select
import socket
import struct
from contextlib import contextmanager

import pytest
from roll import peers
from roll_testing import Transport

tells = pytest.mark.skipif(not hasattr(select, "poll"), reason="only Unix tells")


@contextmanager
def pair():
    """Give a transport of a server, and its client's socket."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as sock,
    ):
        yield Transport(asyncio.Protocol(), {"socket": sock}), client


def reset(client):
    linger = struct.pack("ii", 1, 0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.close()


@tells
@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="only some tell")
async def test_a_client_that_has_ended_its_side_has_left_whatever_is_unread():
    with pair() as (transport, client):
        client.sendall(b"unread")
        assert not peers.has_left(transport)
        client.shutdown(socket.SHUT_WR)
        assert peers.has_left(transport)


@tells
async def test_a_reset_is_known_where_the_end_of_one_side_is_not(monkeypatch):
    monkeypatch.setattr(peers, "_ENDS", 0)  # as on macOS
    with pair() as (transport, client):
        client.sendall(b"unread")
        assert not peers.has_left(transport)
        reset(client)
        assert peers.has_left(transport)


async def test_nothing_is_known_without_a_socket_nor_once_it_is_closed():
    assert not peers.has_left(Transport())
    with pair() as (transport, client):
        reset(client)
        transport.get_extra_info("socket").close()
        assert not peers.has_left(transport)
    with pair() as (transport, client):
        reset(client)
        transport.abort()
        assert not peers.has_left(transport)


async def test_nothing_is_known_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.delattr(select, "poll", raising=False)  # as on Windows
    with pair() as (transport, client):
        reset(client)
        assert not peers.has_left(transport)
