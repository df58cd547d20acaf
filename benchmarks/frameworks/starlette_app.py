"""Starlette, under uvicorn: PORT, FOLDER, and `proxied` to believe a proxy."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

PIECE = bytes(64 * 1024)
PIECES = 1600


async def minimal(request):
    return JSONResponse({"message": "Hello, World!"})


async def parameter(request):
    return JSONResponse({"parameter": request.path_params["parameter"]})


async def cookie(request):
    response = JSONResponse({"cookie": request.cookies["test"]})
    response.set_cookie("bench", "set")
    return response


async def query(request):
    return JSONResponse({"query": request.query_params["query"]})


async def client(request):
    return JSONResponse({"client": request.client.host, "scheme": request.url.scheme})


async def full(request):
    response = JSONResponse(
        {
            "parameters": [request.path_params["one"], request.path_params["two"]],
            "query": request.query_params["query"],
            "cookie": request.cookies["test"],
        }
    )
    response.set_cookie("bench", "set")
    return response


async def post(request):
    sent = await request.json()
    return JSONResponse({"name": sent["name"], "total": sum(sent["numbers"])})


async def upload(request):
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return JSONResponse({"size": size})


async def download(request):
    return StreamingResponse(pieces())


async def pieces():
    for _ in range(PIECES):
        yield PIECE


async def echo(websocket):
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(message)


app = Starlette(
    routes=[
        Route("/hello/minimal", minimal),
        Route("/hello/with/{parameter}", parameter),
        Route("/hello/cookie", cookie),
        Route("/hello/query", query),
        Route("/hello/client", client),
        Route("/hello/full/with/{one}/and/{two}", full),
        Route("/json", post, methods=["POST"]),
        Route("/upload", upload, methods=["PUT"]),
        Route("/download", download),
        WebSocketRoute("/echo", echo),
        Mount("/static", StaticFiles(directory=sys.argv[2])),
    ]
)
uvicorn.run(
    app,
    port=int(sys.argv[1]),
    http="httptools",
    loop="uvloop",
    access_log=False,
    log_level="warning",
    forwarded_allow_ips="127.0.0.1" if "proxied" in sys.argv else None,
)
