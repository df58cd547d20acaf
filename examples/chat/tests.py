import asyncio
import json

import pytest
from roll_testing import patience
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from examples import chat


@pytest.fixture
def app():
    chat.app["rooms"].clear()
    return chat.app


@pytest.fixture
def enter(liveclient):
    """Open a WebSocket to a room, and read what a newcomer is sent."""

    async def enter(room="lobby", name="Ann", after=0):
        query = f"name={name}&after={after}"
        ws = await connect(f"{liveclient.wsl}/rooms/{room}?{query}", proxy=None)
        return ws, (await read(ws))["messages"]

    return enter


async def read(ws):
    return json.loads(await asyncio.wait_for(ws.recv(), patience(5)))


async def read_texts(ws, count):
    """Read until so many messages were said."""
    texts = []
    while len(texts) < count:
        event = await read(ws)
        texts += [message["text"] for message in event.get("messages", ())]
    return texts


async def test_all_in_a_room_get_what_is_said_there(liveclient, enter):
    await liveclient.start()
    ann, _ = await enter(name="Ann")
    bob, _ = await enter(name="Bob")
    eve, _ = await enter(name="Eve", room="elsewhere")
    await ann.send("hello")
    await eve.send("psst")
    for ws, text in ((ann, "hello"), (bob, "hello"), (eve, "psst")):
        assert await read_texts(ws, 1) == [text]
        await ws.close()


async def test_names_come_and_go(liveclient, enter):
    await liveclient.start()
    ann, _ = await enter(name="Ann")
    assert await read(ann) == {"names": ["Ann"]}
    bob, _ = await enter(name="Bob")
    assert await read(ann) == {"names": ["Ann", "Bob"]}
    await bob.close()
    assert await read(ann) == {"names": ["Ann"]}
    await ann.close()


async def test_who_comes_back_gets_what_was_missed_and_nothing_twice(liveclient, enter):
    await liveclient.start()
    ann, _ = await enter()
    for text in ("one", "two", "three"):
        await ann.send(text)
    await read_texts(ann, 3)
    bob, history = await enter(name="Bob")
    assert [message["text"] for message in history] == ["one", "two", "three"]
    assert history[0]["name"] == "Ann"
    await bob.close()
    await ann.send("four")
    await read_texts(ann, 1)
    bob, missed = await enter(name="Bob", after=history[-1]["number"])
    assert [message["text"] for message in missed] == ["four"]
    await bob.close()
    await ann.close()


async def test_a_room_keeps_its_last_messages(liveclient, enter):
    await liveclient.start()
    ann, _ = await enter()
    for number in range(chat.HISTORY + 5):
        await ann.send(str(number))
    await read_texts(ann, chat.HISTORY + 5)
    _, history = await enter(name="Bob")
    assert [message["text"] for message in history] == [
        str(number) for number in range(5, chat.HISTORY + 5)
    ]


@pytest.mark.parametrize("name", ["", "+", "a" * 31, "a%00b", "a%0Ab"])
async def test_a_name_is_wanted(liveclient, enter, name):
    await liveclient.start()
    with pytest.raises(InvalidStatus) as refusal:
        await enter(name=name)
    assert refusal.value.response.status_code == 400


@pytest.mark.parametrize("message", ["", "a" * 1001, b"bytes"])
async def test_what_is_no_message_ends_the_connection(liveclient, enter, message):
    await liveclient.start()
    ann, _ = await enter()
    await ann.send(message)
    with pytest.raises(ConnectionClosed) as end:
        await read_texts(ann, 1)
    assert (end.value.rcvd.code, end.value.rcvd.reason) == (
        1008,
        "1 to 1000 characters of text",
    )


async def test_rooms_are_bounded_and_those_in_use_stay(app, liveclient, enter):
    await liveclient.start()
    ann, _ = await enter(room="used")
    for number in range(chat.ROOMS + 3):
        ws, _ = await enter(room=f"room-{number}")
        await ws.close()
        while app["rooms"][f"room-{number}"].names:
            await asyncio.sleep(0)
    assert len(app["rooms"]) == chat.ROOMS
    assert "used" in app["rooms"]
    assert "room-0" not in app["rooms"]
    await ann.close()


async def test_a_room_has_a_plain_name(liveclient, enter):
    await liveclient.start()
    with pytest.raises(InvalidStatus) as refusal:
        await enter(room="a/b")
    assert refusal.value.response.status_code == 404


async def test_the_page_is_served(client):
    answer = await client.get("/")
    assert answer.status == 200
    assert b"<title>Chat</title>" in answer.body
