"""BlackSheep; which server runs `app` is in suite/peers.py. The folder is in FOLDER."""

import os

from blacksheep import (
    Application,
    Cookie,
    Response,
    StreamedContent,
    WebSocket,
    WebSocketDisconnectError,
    json,
)

PIECE = bytes(64 * 1024)
PIECES = 1600

app = Application()
app.serve_files(os.environ["FOLDER"], root_path="static")


@app.router.get("/hello/minimal")
async def minimal():
    return json({"message": "Hello, World!"})


@app.router.get("/hello/with/{parameter}")
async def parameter(parameter: str):
    return json({"parameter": parameter})


@app.router.get("/hello/cookie")
async def cookie(request):
    response = json({"cookie": request.get_cookie("test")})
    response.set_cookie(Cookie("bench", "set"))
    return response


@app.router.get("/hello/client")
async def client(request):
    return json({"client": request.client_ip, "scheme": request.scheme})


@app.router.get("/hello/query")
async def query(query: str):
    return json({"query": query})


@app.router.get("/hello/full/with/{one}/and/{two}")
async def full(request, one: str, two: str, query: str):
    response = json(
        {
            "parameters": [one, two],
            "query": query,
            "cookie": request.get_cookie("test"),
        }
    )
    response.set_cookie(Cookie("bench", "set"))
    return response


@app.router.post("/json")
async def post(request):
    sent = await request.json()
    return json({"name": sent["name"], "total": sum(sent["numbers"])})


@app.router.put("/upload")
async def upload(request):
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return json({"size": size})


@app.router.get("/download")
async def download():
    return Response(200, content=StreamedContent(b"application/octet-stream", pieces))


async def pieces():
    for _ in range(PIECES):
        yield PIECE


@app.router.ws("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnectError:
        pass
