"""RSGI without a framework, under granian, which serves the folder itself.

Cookies, queries and JSON are the standard library's, except for those of `by_hand`: it
cuts the cookie that is sent out of the field, and knows the one that it sets.
"""

import json
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

PIECE = bytes(64 * 1024)
PIECES = 1600
JSON = [("content-type", "application/json")]


def write(proto, value, headers=JSON):
    proto.response_str(200, headers, json.dumps(value))


def read_cookie(scope, name):
    return SimpleCookie(scope.headers.get("cookie", ""))[name].value


def set_cookie():
    jar = SimpleCookie()
    jar["bench"] = "set"
    jar["bench"]["path"] = "/"
    return [*JSON, ("set-cookie", jar["bench"].OutputString())]


def cut_cookie(scope, name):
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


async def cookie(scope, proto, read=read_cookie, make=set_cookie):
    write(proto, {"cookie": read(scope, "test")}, make())


async def query(scope, proto):
    write(proto, {"query": read_query(scope, "query")})


async def full(scope, proto, one, two, read=read_cookie, make=set_cookie):
    answer = {
        "parameters": [one, two],
        "query": read_query(scope, "query"),
        "cookie": read(scope, "test"),
    }
    write(proto, answer, make())


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


SET = [*JSON, ("set-cookie", "bench=set; Path=/")]


async def by_hand(scope, proto):
    match scope.path.split("/"):
        case ["", "hello", "cookie"]:
            await cookie(scope, proto, cut_cookie, lambda: SET)
        case ["", "hello", "full", "with", one, "and", two]:
            await full(scope, proto, one, two, cut_cookie, lambda: SET)
        case _:
            await app(scope, proto)
