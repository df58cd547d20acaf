"""An app that meets each kind of request first when no descriptor is left."""

import asyncio
import importlib
import json
import logging
import resource
import socket
import sys

from roll import Limits, Roll, Server


class App(Roll):
    limits = Limits(keep_alive=60)


app = App()


@app.route("/")
async def home(request, response): ...


@app.route("/uuid/{id:uuid}")
async def read_uuid(request, response, id):
    response.json = {"id": id}


@app.route("/json", methods=["POST"])
async def read_json(request, response):
    response.json = request.json


@app.route("/form", methods=["POST"])
async def read_form(request, response):
    response.json = {"form": request.form, "files": [*request.files]}


@app.route("/upload", methods=["POST"], lazy_body=True)
async def upload(request, response):
    await request.load_form()
    response.body = str(len(request.files.get("f").read()))


@app.route("/thread")
async def thread(request, response):
    response.body = await asyncio.to_thread(str)


@app.route("/import")
async def lazy(request, response):
    importlib.import_module("wave")


@app.route("/bug")
async def bug(request, response):
    raise LookupError


def multipart(size):
    return (
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        + b"x" * size
        + b"\r\n--B--\r\n"
    )


FORM = "multipart/form-data; boundary=B"
ID = "00000000-0000-0000-0000-000000000001"
BIG = ("POST", "/upload", FORM, multipart(100_000))
CASES = [
    ("GET", f"/uuid/{ID}"),
    ("GET", "/none"),
    ("GET", "/%ff"),
    ("GET", "/?a=%C3%A9"),
    ("POST", "/json", "application/json", b"[1.5, 123456789012345678901]"),
    ("POST", "/form", "application/x-www-form-urlencoded", b"a=%41%"),
    ("POST", "/form", FORM, multipart(10)),
    ("POST", "/upload", FORM, multipart(10)),
    BIG,
    BIG,
    BIG,
    ("GET", "/thread"),
    ("GET", "/import"),
    ("GET", "/bug"),
]


async def ask(stream, method, path, kind="text/plain", body=b""):
    reader, writer = stream
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].split()[0])
    await reader.readexactly(size)
    return int(head.split()[1])


async def main():
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    logging.getLogger("roll").setLevel(getattr(logging, sys.argv[1]))
    sock = socket.create_server(("127.0.0.1", 0))
    server = Server(app, [sock])
    await server.start()
    address = sock.getsockname()
    streams = [await asyncio.open_connection(*address) for _ in CASES]
    for stream in streams:
        assert await ask(stream, "GET", "/") == 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    found = [
        f"{case[0]} {case[1]} {await ask(stream, *case)}"
        for stream, case in zip(streams, CASES, strict=True)
    ]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    found.append(await ask(streams[0], *BIG))
    print(json.dumps(found))
    for _, writer in streams:
        writer.close()
    await server.stop()


asyncio.run(main())
