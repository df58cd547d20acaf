"""What test_asgi_servers.py runs under real servers."""

import asyncio

import asgi_rules  # beside this, in the folder where the servers run
from roll import Roll
from roll.extensions import asgi, mount_asgi
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

app = Roll()
events = []


async def inside(request):
    return JSONResponse([request.scope["path"], request.scope["root_path"]])


mount_asgi(app, "/inside", Starlette(routes=[Route("/{name}", inside)]))


@app.listen("startup")
@app.listen("shutdown")
async def note():
    print("shutdown" if app.closing.is_set() else "startup", flush=True)
    print("broken:", asgi_rules.broken, flush=True)


@app.route("/")
async def home(request, response):
    response.cookies.set("a", "1")
    response.cookies.set("b", "2")
    response.json = [request.version, request.scheme, request.method, request.cookies]


@app.route("/echo", methods=["POST"])
async def echo(request, response):
    response.body = request.body


@app.route("/count", methods=["POST"], lazy_body=True)
async def count(request, response):
    size = 0
    async for piece in request:
        size += len(piece)
    response.body = size


@app.route("/down/{size:int}")
async def down(request, response, size):
    async def pieces():
        for _ in range(size // 65_536):
            yield b"x" * 65_536

    response.body = pieces()


@app.route("/文")
async def path(request, response):
    response.body = request.path


@app.route("/empty")
async def empty(request, response):
    response.status = 204


@app.route("/wait")
async def wait(request, response):
    try:
        events.append("waits")
        await asyncio.Event().wait()
    finally:
        events.append("cancelled")


@app.route("/stream")
async def stream(request, response):
    async def pieces():
        yield "more\n"
        await request.closing.wait()

    response.body = pieces()


@app.route("/events")
async def tell(request, response):
    response.json = events


@app.route("/ws", protocol="websocket", subprotocols=["chat"])
async def ws(request, ws):
    async for message in ws:
        if message == "close":
            await ws.close(4001, "bye")
        else:
            await ws.send(message)


application = asgi_rules.Checked(asgi(app, signals=True))
