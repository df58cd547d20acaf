"""socketify, on its own loop: PORT, FOLDER, and `async` for coroutines as views.

A plain function is quicker there, but cannot wait for anything, as all other views here
could.
"""

import sys

from socketify import App

PIECE = bytes(64 * 1024)
PIECES = 1600

app = App()


def minimal(res, req):
    res.send({"message": "Hello, World!"})


def parameter(res, req):
    res.send({"parameter": req.get_parameter(0)})


def cookie(res, req):
    res.set_cookie("bench", "set", {"path": "/"})
    res.send({"cookie": req.get_cookie("test")})


def query(res, req):
    res.send({"query": req.get_query("query")})


def full(res, req):
    res.set_cookie("bench", "set", {"path": "/"})
    res.send(
        {
            "parameters": [req.get_parameter(0), req.get_parameter(1)],
            "query": req.get_query("query"),
            "cookie": req.get_cookie("test"),
        }
    )


async def post(res, req):
    sent = await res.get_json()
    res.send({"name": sent["name"], "total": sum(sent["numbers"])})


def upload(res, req):
    size = 0

    def count(res, chunk, is_end):
        nonlocal size
        size += len(chunk or b"")
        if is_end:
            res.send({"size": size})

    res.on_data(count)


async def download(res, req):
    for _ in range(PIECES):
        await res.send_chunk(PIECE, PIECES * len(PIECE))


def echo(ws, message, opcode):
    ws.send(message, opcode)


def as_coroutine(view):
    async def run(res, req):
        view(res, req)

    return run


chosen = as_coroutine if "async" in sys.argv else lambda view: view
app.ws("/echo", {"message": echo})
app.get("/hello/minimal", chosen(minimal))
app.get("/hello/with/:parameter", chosen(parameter))
app.get("/hello/cookie", chosen(cookie))
app.get("/hello/query", chosen(query))
app.get("/hello/full/with/:one/and/:two", chosen(full))
app.post("/json", post)
app.put("/upload", upload)
app.get("/download", download)
app.static("/static", sys.argv[2])
app.listen({"port": int(sys.argv[1]), "host": "127.0.0.1"})
app.run()
