"""Falcon's ASGI application, under uvicorn: PORT, FOLDER."""

import sys

import falcon.asgi
import uvicorn

PIECE = bytes(64 * 1024)
PIECES = 1600


class Minimal:
    async def on_get(self, req, resp):
        resp.media = {"message": "Hello, World!"}


class Parameter:
    async def on_get(self, req, resp, parameter):
        resp.media = {"parameter": parameter}


class Cookie:
    async def on_get(self, req, resp):
        resp.set_cookie("bench", "set")
        resp.media = {"cookie": req.cookies["test"]}


class Query:
    async def on_get(self, req, resp):
        resp.media = {"query": req.get_param("query")}


class Full:
    async def on_get(self, req, resp, one, two):
        resp.set_cookie("bench", "set")
        resp.media = {
            "parameters": [one, two],
            "query": req.get_param("query"),
            "cookie": req.cookies["test"],
        }


class Post:
    async def on_post(self, req, resp):
        sent = await req.get_media()
        resp.media = {"name": sent["name"], "total": sum(sent["numbers"])}


class Upload:
    async def on_put(self, req, resp):
        size = 0
        async for chunk in req.stream:
            size += len(chunk)
        resp.media = {"size": size}


class Download:
    async def on_get(self, req, resp):
        resp.stream = pieces()


async def pieces():
    for _ in range(PIECES):
        yield PIECE


class Echo:
    async def on_websocket(self, req, ws):
        await ws.accept()
        try:
            while True:
                await ws.send_text(await ws.receive_text())
        except falcon.WebSocketDisconnected:
            pass


app = falcon.asgi.App()
app.add_route("/hello/minimal", Minimal())
app.add_route("/hello/with/{parameter}", Parameter())
app.add_route("/hello/cookie", Cookie())
app.add_route("/hello/query", Query())
app.add_route("/hello/full/with/{one}/and/{two}", Full())
app.add_route("/json", Post())
app.add_route("/upload", Upload())
app.add_route("/download", Download())
app.add_route("/echo", Echo())
app.add_static_route("/static", sys.argv[2])
uvicorn.run(
    app,
    port=int(sys.argv[1]),
    http="httptools",
    loop="uvloop",
    access_log=False,
    log_level="warning",
)
