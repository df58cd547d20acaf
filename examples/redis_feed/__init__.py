"""Two sources of events at once: a WebSocket, and a channel of Redis.

What a client sends is published, and what anybody publishes is sent to it. So clients
of several workers, or of several machines, hear each other.
"""

import asyncio
import os

from redis.asyncio import Redis
from roll import Roll, WSProtocol


class ShortMessages(WSProtocol):
    MAX_SIZE = 2**12


class App(Roll):
    WebsocketProtocol = ShortMessages


app = App()


@app.listen("startup")
async def connect_to_redis():
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
    app["redis"] = Redis.from_url(url)
    await app["redis"].ping()  # no server is better than one that cannot do its work


@app.listen("shutdown")
async def disconnect_from_redis():
    await app["redis"].aclose()


@app.route("/feeds/{name:[a-z]{1,20}}", protocol="websocket")
async def feed(request, ws, name):
    redis = request.app["redis"]
    async with redis.pubsub() as subscription, asyncio.TaskGroup() as tasks:
        await subscription.subscribe(name)
        # When one of the two fails, the group ends the other.
        forwarding = tasks.create_task(forward(subscription, ws))
        async for message in ws:
            await redis.publish(name, message)
        forwarding.cancel()


async def forward(subscription, ws):
    async for event in subscription.listen():
        if event["type"] == "message":
            await ws.send(event["data"].decode())
