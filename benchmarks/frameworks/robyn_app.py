"""Robyn, with one process and one worker: PORT, FOLDER.

It has no way to read an upload as it comes, and none to read a cookie but the field.
"""

import sys
from http.cookies import SimpleCookie

from robyn import Response, Robyn, StreamingResponse, jsonify

PIECE = bytes(64 * 1024)
PIECES = 1600

app = Robyn(__file__)
app.serve_directory("/static", sys.argv[2])


@app.get("/hello/minimal")
async def minimal(request):
    return {"message": "Hello, World!"}


@app.get("/hello/with/:parameter")
async def parameter(request):
    return {"parameter": request.path_params["parameter"]}


def read_cookie(request, name):
    return SimpleCookie(request.headers.get("cookie"))[name].value


def with_cookie(value):
    headers = {"Content-Type": "application/json"}
    response = Response(200, headers, jsonify(value))
    response.set_cookie("bench", "set", path="/")
    return response


@app.get("/hello/cookie")
async def cookie(request):
    return with_cookie({"cookie": read_cookie(request, "test")})


@app.get("/hello/query")
async def query(request):
    return {"query": request.query_params.get("query", None)}


@app.get("/hello/full/with/:one/and/:two")
async def full(request):
    return with_cookie(
        {
            "parameters": [request.path_params["one"], request.path_params["two"]],
            "query": request.query_params.get("query", None),
            "cookie": read_cookie(request, "test"),
        }
    )


@app.post("/json")
async def post(request):
    sent = request.json()
    return {"name": sent["name"], "total": sum(sent["numbers"])}


@app.get("/download")
async def download(request):
    return StreamingResponse(pieces(), media_type="application/octet-stream")


async def pieces():
    for _ in range(PIECES):
        yield PIECE


@app.websocket("/echo")
async def echo(websocket):
    while True:
        await websocket.send_text(await websocket.receive_text())


app.start(host="127.0.0.1", port=int(sys.argv[1]))
