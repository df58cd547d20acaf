"""sse behind a real nginx that buffers responses, as it does unless told otherwise."""

import asyncio
import math

import pytest
from roll import Roll
from roll.extensions import sse
from roll_sse import Feed
from roll_testing import patience

# Its runner is the repository's; outside of it there is none.
nginx = pytest.importorskip("tests.nginx")

pytestmark = pytest.mark.skipif(nginx.PROGRAM is None, reason=nginx.MISSING)

RECIPE = """
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            proxy_http_version 1.1;
            proxy_buffering on;
            proxy_read_timeout {timeout}s;
        }}
    }}
"""


TIMEOUT = math.ceil(patience(2))
"""Seconds without a byte after which nginx ends a response."""

KEEP_ALIVE = 0.25


@pytest.fixture
def app():
    app = Roll()
    stream = sse(app, keep_alive=KEEP_ALIVE)
    app["feed"] = Feed()

    @app.route("/")
    async def view(request, response):
        stream(request, response, app["feed"].subscribe())

    return app


async def test_events_and_comments_come_at_once(liveclient, app, tmp_path):
    """harness#1293: comments keep it from ending a stream that is quiet."""
    await liveclient.query("HEAD", "/")  # starts the server
    port = nginx.free_port()
    recipe = RECIPE.format(port=port, behind=liveclient.port, timeout=TIMEOUT)
    with nginx.run(tmp_path, recipe, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(patience(30)):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"\r\nContent-Type: text/event-stream; charset=utf-8\r\n" in head
            assert b"X-Accel-Buffering" not in head  # it was for nginx
            await reader.readuntil(f"id: {app['feed'].subscribe().position}".encode())
            for number in range(3):
                id = app["feed"].publish(f"event {number}")
                await reader.readuntil(f"id: {id}\ndata: event {number}\n\n".encode())
            for _ in range(round(TIMEOUT / KEEP_ALIVE) + 1):
                await reader.readuntil(b":\n\n")
            app["feed"].publish("the last")
            await reader.readuntil(b"data: the last\n\n")
            app.stop()
            await reader.readuntil(b"\n\n\r\n0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
