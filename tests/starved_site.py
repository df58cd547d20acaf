"""A site with every extension, which meets its requests when no descriptor is left.

Called with a folder of files; prints the statuses, and what was imported meanwhile.
"""

import asyncio
import json
import resource
import socket
import sys
from datetime import UTC, datetime

import roll.extensions as extend
from roll import Roll, Server

ID = "00000000-0000-0000-0000-000000000001"
CASES = [
    (
        f"GET /typed/{ID}/2026-02-28/1.5?a=%1b",
        "Accept: */*;q=0.5, application/json",
        'Cookie: a="b%20c"',
        'Forwarded: for="[::1]:80";proto=https',
        "Origin: http://b",
    ),
    (f"GET /typed/{ID}/2026-02-28/1", "Accept: text/html;q=1"),
    ("OPTIONS /", "Origin: http://b", "Access-Control-Request-Method: GET"),
    ("GET /bug", "Accept: text/html", "Authorization: Basic YTpi"),
    ("GET /none%1b",),
    (
        "GET /ws",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ),
    (
        "GET /static/a.unheard-of",
        "If-None-Match: W/x",
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
        "Accept-Encoding: gzip;q=0.5, br",
        "Range: bytes=0-0",
    ),
    ("GET /static/missing",),
]


def make_app(folder):
    app = Roll()
    extend.logger(app, format="json")
    extend.traceback(app, page=True)
    extend.igniter(app)
    extend.cors(app, origin=["http://b"], credentials=True)
    extend.options(app)
    extend.content_negotiation(app)
    extend.proxy_headers(app, trusted=["127.0.0.1"])
    extend.static(app, root=folder)
    extend.websockets_store(app)
    url_for = extend.named_url(app)

    @app.route("/")
    async def home(request, response): ...

    @app.route("/typed/{id:uuid}/{day:date}/{x:float}", accepts=["application/json"])
    async def typed(request, response, **variables):
        response.json = {"url": url_for("typed", **variables), **request.cookies}
        response.cookies.set("a", "é", expires=datetime(2000, 1, 1, tzinfo=UTC))

    @app.route("/bug")
    async def bug(request, response):
        raise LookupError("\x1b\u2028")

    @app.route("/ws", protocol="websocket")
    async def echo(request, ws):
        await ws.send(await ws.recv())

    return app


async def ask(stream, line, *fields):
    reader, writer = stream
    writer.write(
        "\r\n".join([f"{line} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()
    )
    status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
    if status == 101:
        writer.write(b"\x81\x81\0\0\0\0x")  # a masked text of one letter
        await reader.readexactly(2)
    return status


async def main():
    sock = socket.create_server(("127.0.0.1", 0))
    server = Server(make_app(sys.argv[1]), [sock])
    await server.start()
    streams = [await asyncio.open_connection(*sock.getsockname()) for _ in CASES]
    for stream in streams:
        assert await ask(stream, "GET /") == 200
    imported = []
    watching = True
    sys.addaudithook(
        lambda event, arguments: (
            watching and event == "import" and imported.append(arguments[0])
        )
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    found = {
        case[0]: await ask(stream, *case)
        for stream, case in zip(streams, CASES, strict=True)
    }
    watching = False
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(json.dumps([found, imported]))
    for _, writer in streams:
        writer.close()
    await server.stop()


asyncio.run(main())
