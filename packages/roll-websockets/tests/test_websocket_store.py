"""websockets_store, and groups."""

import asyncio
import gc

import pytest
import roll_websockets
from roll.extensions import websockets_store
from roll_testing import patience, until

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88
AWAY = b"\x03\xe9"


@pytest.fixture
def store(app):
    websockets_store(app)

    @app.ws("/{name}")
    async def view(request, ws, name):
        app["websockets"].group(name).add(ws)
        async for _ in ws:
            pass

    @app.ws("/deflate/{name}", compression="deflate")
    async def deflate(request, ws, name):
        await view(request, ws, name)

    return app["websockets"]


def limits(app, **attributes):
    base = roll_websockets.WSProtocol
    app.WebsocketProtocol = type("Limited", (base,), {"__slots__": (), **attributes})


async def test_the_store_is_the_set_of_those_that_are_open(store, app, join):
    assert store == set()
    peers = [await join("/a"), await join("/b")]
    assert isinstance(store, set)
    assert store == app.connections
    await peers[0].leave()
    await until(lambda: len(store) == 1)
    await peers[1].leave()
    await app.ended()
    assert store == set()


def test_a_second_store_is_an_error(store, app):
    with pytest.raises(ValueError, match="call websockets_store once"):
        websockets_store(app)


async def test_groups_have_names_and_forget_who_ended(store, app, join):
    peers = [await join("/a"), await join("/a"), await join("/b")]
    group = store.group("a")
    assert store.group("a") is group
    assert len(group) == 2
    assert set(group) | set(store.group("b")) == store
    assert all(ws in group for ws in group)
    for ws in group:
        group.add(ws)
    await peers[0].leave()
    await until(lambda group=group: len(group) == 1)
    (ws,) = group
    group.discard(ws)
    group.discard(ws)
    assert not group
    group.add(ws)
    await peers[1].leave()
    await peers[2].leave()
    await app.ended()
    group.add(ws)  # too late
    assert not group
    del group, ws
    gc.collect()
    assert (dict(store._groups), store._joined) == ({}, {})


@pytest.mark.parametrize(
    ("message", "expected"), [("é", (TEXT, "é".encode())), (b"\xff", (BINARY, b"\xff"))]
)
async def test_a_broadcast_reaches_the_group_and_nobody_else(
    store, app, join, message, expected
):
    offer = "permessage-deflate"
    peers = [
        await join("/a"),
        await join("/b"),
        await join("/deflate/a", Sec_WebSocket_Extensions=offer),
    ]
    await store.group("a").broadcast(message)
    assert await peers[0].received(1) == [expected]
    assert (await peers[2].received(1))[0][0] == expected[0] | 0x40
    await store.broadcast(message)
    assert await peers[1].received(1) == [expected]
    with pytest.raises(TypeError, match="is not a message"):
        await store.broadcast(5)
    await store.group("nobody").broadcast(message)


async def test_a_broadcast_passes_over_who_is_closed(store, app, join):
    peers = [await join("/a"), await join("/a")]
    ws = next(iter(store.group("a")))
    ws.start_close()
    await store.broadcast("x")
    frames = [(await peer.received(1))[0] for peer in peers]
    assert sorted(frames) == [(TEXT, b"x"), (CLOSE, b"\x03\xe8")]


async def test_a_broadcast_waits_for_who_is_slow_and_disconnects_at_its_limit(
    store, app, join
):
    limits(app, WRITE_LIMIT=100, TIMEOUT=patience(1))

    @app.ws("/limited/{name}")
    async def view(request, ws, name):
        store.group(name).add(ws)
        await ws.wait_closed()

    fast, slow, stuck = [await join("/limited/a") for _ in range(3)]
    group = store.group("a")
    for peer in (slow, stuck):
        peer.transport.stall()
    await group.broadcast("x" * 200)
    sending = asyncio.create_task(group.broadcast("second"))
    assert (await fast.received(2))[1] == (TEXT, b"second")
    assert not sending.done()
    slow.transport.drain()
    assert (await slow.received(2))[1] == (TEXT, b"second")
    assert not sending.done()
    async with asyncio.timeout(patience(5)):
        await sending
    await stuck.transport.wait_closed()
    await until(lambda: len(group) == 2)


async def test_a_broadcast_goes_not_between_fragments(store, app, join):
    gate = asyncio.Event()

    async def pieces():
        yield "a"
        await gate.wait()

    peer = await join("/a")
    (ws,) = store
    stream = asyncio.create_task(ws.send(pieces()))
    await peer.received(1)
    sending = asyncio.create_task(store.broadcast("b"))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(stream, sending)
    assert peer.frames == [(0x01, b"a"), (0x80, b""), (TEXT, b"b")]


async def test_a_user_is_logged_out_everywhere(store, app, join):
    peers = [await join("/u"), await join("/u"), await join("/other")]
    closing = asyncio.create_task(store.group("u").close(4001, "logged out"))
    for peer in peers[:2]:
        assert await peer.received(1) == [(CLOSE, b"\x0f\xa1logged out")]
        peer.send(CLOSE, b"\x0f\xa1")
    await closing
    await until(lambda: len(store) == 1)
    with pytest.raises(ValueError, match="give 1000"):
        await store.close(17)
    assert len(store) == 1
    closing = asyncio.create_task(store.close(1001))
    assert await peers[2].received(1) == [(CLOSE, AWAY)]
    await peers[2].leave()
    await closing
