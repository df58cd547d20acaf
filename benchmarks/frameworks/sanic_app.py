"""Sanic, under its own server in one process: PORT, FOLDER, and `proxied`."""

import sys

from sanic import Sanic, json

PIECE = bytes(64 * 1024)
PIECES = 1600

app = Sanic("bench")
app.config.REQUEST_MAX_SIZE = 2**27  # 100 MB by default, and the upload has 100 MiB
if "proxied" in sys.argv:
    app.config.PROXIES_COUNT = 1
app.static("/static", sys.argv[2])


@app.get("/hello/minimal")
async def minimal(request):
    return json({"message": "Hello, World!"})


@app.get("/hello/with/<parameter>")
async def parameter(request, parameter):
    return json({"parameter": parameter})


@app.get("/hello/cookie")
async def cookie(request):
    response = json({"cookie": request.cookies.get("test")})
    response.add_cookie("bench", "set")
    return response


@app.get("/hello/query")
async def query(request):
    return json({"query": request.args.get("query")})


@app.get("/hello/client")
async def client(request):
    return json({"client": request.client_ip, "scheme": request.scheme})


@app.get("/hello/full/with/<one>/and/<two>")
async def full(request, one, two):
    response = json(
        {
            "parameters": [one, two],
            "query": request.args.get("query"),
            "cookie": request.cookies.get("test"),
        }
    )
    response.add_cookie("bench", "set")
    return response


@app.post("/json")
async def post(request):
    sent = request.json
    return json({"name": sent["name"], "total": sum(sent["numbers"])})


@app.put("/upload", stream=True)
async def upload(request):
    size = 0
    while chunk := await request.stream.read():
        size += len(chunk)
    return json({"size": size})


@app.get("/download")
async def download(request):
    response = await request.respond()
    for _ in range(PIECES):
        await response.send(PIECE)
    await response.eof()


@app.websocket("/echo")
async def echo(request, ws):
    async for message in ws:
        await ws.send(message)


if __name__ == "__main__":
    app.run(
        "127.0.0.1",
        int(sys.argv[1]),
        single_process=True,
        access_log=False,
        motd=False,
    )
