import asyncio
import select
import socket
import struct
from contextlib import contextmanager

import pytest
from roll import Request, peers
from roll_testing import Transport, connect, settle

# What a peer has done is asked of `select.poll`, which Windows does not have: there is
# nothing to install.
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


# macOS has `poll`, but nothing in it tells of an end behind what is unread.
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


# Browsers on this machine

V4, V6 = ("127.0.0.1", 80), ("::1", 80, 0, 0)
NOT_OURS = "the request did not come to a loopback address"
ELSEWHERE = "the client is on another machine"
NO_HOST = "its Host is not localhost, 127.0.0.1 or [::1]"
FOREIGN = "a page of another site has sent it (Origin)"
OLD = "the request is HTTP/1.0, which proxies speak and browsers do not"


async def ask(app, head, **addresses):
    """Give what `refusal` says of a request."""
    found = []

    @app.listen("headers")
    def note(request, response):
        found.append(peers.refusal(request))
        return True

    transport = connect(app, extra={"sockname": V4, "peername": V4, **addresses})
    transport.feed("\r\n".join([*head, "", ""]).encode())
    await settle(transport)
    transport.disconnect()
    await transport.wait_closed()
    (reason,) = found
    return reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (["Host: localhost:3579"], None),
        (["Host: [::1]", "Origin: http://127.0.0.1:8080"], None),
        (["Host: evil.test"], NO_HOST),
        (["Host: 127.0.0.1.evil.test"], NO_HOST),
        (["Host: localhost", "Origin: http://evil.test"], FOREIGN),
        (["Host: localhost", "Origin: http://[a"], FOREIGN),
        (["Host: localhost", "Origin: null"], FOREIGN),
        *(
            (
                ["Host: localhost", f"{name}: x"],
                f"the request came through a proxy, which has set {name}",
            )
            for name in ("VIA", "X-FORWARDED-HOST", "FORWARDED", "X-REAL-IP")
        ),
    ],
)
async def test_what_the_fields_say_of_a_client(app, fields, reason):
    assert await ask(app, ["GET / HTTP/1.1", *fields]) == reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("GET http://evil.test/ HTTP/1.1", NO_HOST),
        ("GET http://localhost/ HTTP/1.1", None),
        ("GET / HTTP/1.0", OLD),
    ],
)
async def test_what_the_request_line_says_of_a_client(app, line, reason):
    assert await ask(app, [line, "Host: localhost"]) == reason


@pytest.mark.parametrize(
    ("name", "local"),
    [
        *((name, True) for name in (V4, V6, ("127.0.0.2", 80))),
        (("::ffff:127.0.0.1", 80, 0, 0), True),
        *(((host, 80), False) for host in ("192.0.2.1", "0.0.0.0", "fe80::1%eth0")),
        *((name, False) for name in ("/run/app.sock", b"", None, ("app",))),
    ],
)
async def test_what_the_addresses_say_of_a_client(app, name, local):
    head = ["GET / HTTP/1.1", "Host: localhost"]
    assert peers.is_loopback(name) is local
    assert await ask(app, head, sockname=name) == (None if local else NOT_OURS)


@pytest.mark.parametrize("name", [("192.0.2.1", 80), None, "", ("::ffff:1.1.1.1", 8)])
async def test_a_client_of_another_machine_is_not_a_browser_on_this(app, name):
    head = ["GET / HTTP/1.1", "Host: localhost"]
    assert await ask(app, head, peername=name) == ELSEWHERE


async def test_a_client_that_a_listener_finds_elsewhere_is_not_a_browser_here(app):
    @app.listen("headers")
    def believe(request, response):
        request.remote_addr = "192.0.2.1"

    reason = "a listener has set request.remote_addr, as it does behind a proxy"
    assert await ask(app, ["GET / HTTP/1.1", "Host: localhost"]) == reason


async def test_a_request_made_by_hand_is_not_of_a_browser(app):
    request = Request(app, None)
    assert peers.refusal(request) == NOT_OURS
