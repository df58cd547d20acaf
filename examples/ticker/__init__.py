"""Ticks of all workers, in all browsers, in one sequence: nothing lost, nothing twice.

Each worker publishes on the same channel. A page follows it over a WebSocket, an event
stream or long polling, and goes on where it was when its worker, or Redis, has gone.
"""

import asyncio
import contextlib
import json
import os
import time
from pathlib import Path

from roll import Roll
from roll.extensions import channels, health, metrics, sse
from roll_channels import Unavailable
from roll_sse import last_event_id

INTERVAL = float(os.environ.get("TICKER_INTERVAL", "0.5"))  # seconds
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")

app = Roll()
channels(app, os.environ.get("REDIS_URL", "redis://localhost"))
stream = sse(app, retry=0.2)
metrics(app)
health(app, checks={"redis": lambda: app["channels"].connected})


@app.listen("startup")
def start():
    app.keep(tick(app["channels"]["ticks"]))


async def tick(channel):
    while not app.closing.is_set():
        # Whether a message is there that was not confirmed, subscribers see.
        with contextlib.suppress(Unavailable):
            await channel.publish(json={"worker": os.getpid(), "time": time.time()})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(app.closing.wait(), INTERVAL)


@app.route("/")
async def page(request, response):
    response.html = PAGE


def subscribe(request):
    # Without a position, the first message is a reset: it says where the channel is.
    since = last_event_id(request) or request.query.get("since", "")
    return request.app["channels"]["ticks"].subscribe(since)


@app.route("/socket", protocol="websocket")
async def socket(request, ws):
    async with asyncio.TaskGroup() as tasks, subscribe(request) as messages:
        sending = tasks.create_task(send(messages, ws))
        async for _ in ws:  # the page sends nothing: this ends when it leaves
            pass
        sending.cancel()


async def send(messages, ws):
    async for message in messages:
        await ws.send(json.dumps(message._asdict()))


@app.route("/events")
async def events(request, response):
    stream(request, response, subscribe(request))


@app.route("/poll")
async def poll(request, response):
    channel = request.app["channels"]["ticks"]
    messages = await channel.poll(request.query.get("since", ""))
    response.json = [message._asdict() for message in messages]
