"""aiohttp, on uvloop: PORT, FOLDER."""

import sys

import uvloop
from aiohttp import web

PIECE = bytes(64 * 1024)
PIECES = 1600

routes = web.RouteTableDef()


@routes.get("/hello/minimal")
async def minimal(request):
    return web.json_response({"message": "Hello, World!"})


@routes.get("/hello/with/{parameter}")
async def parameter(request):
    return web.json_response({"parameter": request.match_info["parameter"]})


@routes.get("/hello/cookie")
async def cookie(request):
    response = web.json_response({"cookie": request.cookies["test"]})
    response.set_cookie("bench", "set")
    return response


@routes.get("/hello/query")
async def query(request):
    return web.json_response({"query": request.query["query"]})


@routes.get("/hello/full/with/{one}/and/{two}")
async def full(request):
    response = web.json_response(
        {
            "parameters": [request.match_info["one"], request.match_info["two"]],
            "query": request.query["query"],
            "cookie": request.cookies["test"],
        }
    )
    response.set_cookie("bench", "set")
    return response


@routes.post("/json")
async def post(request):
    sent = await request.json()
    return web.json_response({"name": sent["name"], "total": sum(sent["numbers"])})


@routes.put("/upload")
async def upload(request):
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
    return web.json_response({"size": size})


@routes.get("/download")
async def download(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(PIECES):
        await response.write(PIECE)
    return response


@routes.get("/echo")
async def echo(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


routes.static("/static", sys.argv[2])
app = web.Application()
app.add_routes(routes)
web.run_app(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    print=None,
    access_log=None,
    loop=uvloop.new_event_loop(),
)
