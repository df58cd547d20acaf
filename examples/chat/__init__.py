"""Chat rooms: names, history, and a browser client that comes back by itself.

A room is a group of WebSockets, and what was said in it last. Each message has a
number, so that a client that lost its connection can ask for what it has missed.
"""

import json
from collections import deque
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import time_ns

from roll import HttpError, Roll
from roll.extensions import websockets_store

HISTORY = 50  # messages kept of a room
ROOMS = 100  # kept with their history; the one that nobody used longest goes first
LONGEST = 1000  # characters of a message
LONGEST_NAME = 30
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")

app = Roll()
websockets_store(app)
app["rooms"] = {}


class Room:
    """Who is in it, and what was said."""

    def __init__(self, group):
        self.group = group
        self.history = deque(maxlen=HISTORY)
        # Above those of a room of this name before, which a client may still know.
        self.numbers = count(time_ns() // 1_000_000)
        self.names = {}  # of each WebSocket

    async def say(self, name, text):
        """Keep a message, and send it to all."""
        message = {
            "number": next(self.numbers),
            "name": name,
            "text": text,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.history.append(message)
        await self.send({"messages": [message]})

    async def show_names(self):
        """Tell all who is here."""
        await self.send({"names": sorted({*self.names.values()})})

    async def send(self, event):
        await self.group.broadcast(json.dumps(event))


def enter(app, name):
    """Find a room, or open it; it is the last to be forgotten now."""
    rooms = app["rooms"]
    room = rooms.pop(name, None) or Room(app["websockets"].group(name))
    rooms[name] = room
    empty = (other for other in rooms if not rooms[other].names and other != name)
    if len(rooms) > ROOMS and (oldest := next(empty, None)):
        del rooms[oldest]
    return room


@app.listen("request")
async def require_a_name(request, response):
    if "websocket" in request.upgrade and not read_name(request):
        raise HttpError(400, f"name has 1 to {LONGEST_NAME} printable characters")


def read_name(request):
    name = request.query.get("name", "").strip()
    return name if name.isprintable() and len(name) <= LONGEST_NAME else ""


@app.route("/")
async def page(request, response):
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; connect-src 'self'; "
        "script-src 'unsafe-inline'; style-src 'unsafe-inline'"
    )
    response.body = PAGE


@app.route("/rooms/{name:[a-z0-9-]{1,30}}", protocol="websocket")
async def chat(request, ws, name):
    room = enter(request.app, name)
    who = read_name(request)
    known = request.query.int("after", 0)
    missed = [message for message in room.history if message["number"] > known]
    room.group.add(ws)
    room.names[ws] = who
    try:
        await ws.send(json.dumps({"messages": missed}))
        await room.show_names()
        async for text in ws:
            if isinstance(text, bytes) or not 0 < len(text) <= LONGEST:
                return await ws.close(1008, f"1 to {LONGEST} characters of text")
            await room.say(who, text)
    finally:
        del room.names[ws]
        room.group.discard(ws)
        await room.show_names()
