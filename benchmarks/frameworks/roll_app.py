"""Roll, of this checkout, under simple_server: PORT, and a word for another setting.

`idle` takes many connections, `proxied` believes a proxy, and `workers` serves with two
workers by `roll run`.

The other applications here are written after this one: the same paths and answers.
"""

import os
import sys

from roll import Limits, Roll
from roll.extensions import proxy_headers, simple_server, static

PIECE = bytes(64 * 1024)
PIECES = 1600  # 100 MiB


class Idle(Roll):
    limits = Limits(connections=20_000, keep_alive=600)


app = Idle() if "idle" in sys.argv else Roll()
static(app, root=os.environ["FOLDER"])
if "proxied" in sys.argv:
    proxy_headers(app)


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


@app.route("/hello/client")
async def client(request, response):
    response.json = {"client": request.remote_addr, "scheme": request.scheme}


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


if __name__ == "__main__":
    if "workers" in sys.argv:
        command = ["-m", "roll_server", "run", "roll_app:app", "--workers", "2"]
        os.execv(sys.executable, [sys.executable, *command, "--port", sys.argv[1]])
    simple_server(app, port=int(sys.argv[1]), quiet=True)
