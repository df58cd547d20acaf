"""RSGI without a framework, under granian, which serves the folder itself."""

import json
from urllib.parse import parse_qs

PIECE = bytes(64 * 1024)
PIECES = 1600
JSON = [("content-type", "application/json")]
COOKIE = [*JSON, ("set-cookie", "bench=set; Path=/")]


def write(proto, value, headers=JSON):
    proto.response_str(200, headers, json.dumps(value))


def read_cookie(scope, name):
    for pair in scope.headers.get("cookie", "").split("; "):
        key, _, value = pair.partition("=")
        if key == name:
            return value
    return None


def read_query(scope, name):
    return parse_qs(scope.query_string)[name][0]


async def minimal(scope, proto):
    write(proto, {"message": "Hello, World!"})


async def parameter(scope, proto, parameter):
    write(proto, {"parameter": parameter})


async def cookie(scope, proto):
    write(proto, {"cookie": read_cookie(scope, "test")}, COOKIE)


async def query(scope, proto):
    write(proto, {"query": read_query(scope, "query")})


async def full(scope, proto, one, two):
    answer = {
        "parameters": [one, two],
        "query": read_query(scope, "query"),
        "cookie": read_cookie(scope, "test"),
    }
    write(proto, answer, COOKIE)


async def post(scope, proto):
    sent = json.loads(await proto())
    write(proto, {"name": sent["name"], "total": sum(sent["numbers"])})


async def upload(scope, proto):
    size = 0
    async for chunk in proto:
        size += len(chunk)
    write(proto, {"size": size})


async def download(scope, proto):
    stream = proto.response_stream(200, [])
    for _ in range(PIECES):
        await stream.send_bytes(PIECE)


STATIC = {
    ("GET", "/hello/minimal"): minimal,
    ("GET", "/hello/cookie"): cookie,
    ("GET", "/hello/query"): query,
    ("POST", "/json"): post,
    ("PUT", "/upload"): upload,
    ("GET", "/download"): download,
}


async def echo(proto):
    ws = await proto.accept()
    while (message := await ws.receive()).kind:  # 0 is the end
        await ws.send_str(message.data)


async def app(scope, proto):
    if scope.proto == "ws":
        return await echo(proto)
    if view := STATIC.get((scope.method, scope.path)):
        return await view(scope, proto)
    match scope.path.split("/"):
        case ["", "hello", "with", value]:
            await parameter(scope, proto, value)
        case ["", "hello", "full", "with", one, "and", two]:
            await full(scope, proto, one, two)
        case _:
            proto.response_empty(404, [])
