"""The original Roll, under uvloop with its own protocol: PORT, FOLDER."""

import asyncio
import sys

import uvloop
from roll import Roll
from roll.extensions import static

PIECE = bytes(64 * 1024)
PIECES = 1600

app = Roll()
static(app, root=sys.argv[2])


@app.route("/hello/minimal")
async def minimal(request, response):
    response.json = {"message": "Hello, World!"}


@app.route("/hello/with/{parameter}")
async def parameter(request, response, parameter):
    response.json = {"parameter": parameter}


@app.route("/hello/cookie")
async def cookie(request, response):
    response.cookies.set("bench", "set")
    response.json = {"cookie": request.cookies["test"]}


@app.route("/hello/query")
async def query(request, response):
    response.json = {"query": request.query.get("query")}


@app.route("/hello/full/with/{one}/and/{two}")
async def full(request, response, one, two):
    response.cookies.set("bench", "set")
    response.json = {
        "parameters": [one, two],
        "query": request.query.get("query"),
        "cookie": request.cookies["test"],
    }


@app.route("/json", methods=["POST"])
async def post(request, response):
    sent = request.json
    response.json = {"name": sent["name"], "total": sum(sent["numbers"])}


@app.route("/upload", methods=["PUT"], lazy_body=True)
async def upload(request, response):
    size = 0
    async for chunk in request:
        size += len(chunk)
    response.json = {"size": size}


@app.route("/download")
async def download(request, response):
    response.body = pieces()


async def pieces():
    for _ in range(PIECES):
        yield PIECE


@app.route("/echo", protocol="websocket")
async def echo(request, ws):
    async for message in ws:
        await ws.send(message)


async def serve():
    app.loop = loop = asyncio.get_running_loop()
    await app.startup()
    server = await loop.create_server(app.factory, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


uvloop.run(serve())
