"""asgi: what a request is, and what becomes of the response."""

import logging

from roll import HttpError, Roll
from roll.extensions import asgi, compress, cors, mount_asgi
from roll_testing import Client

from .asgi_rules import call, checked

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.5"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"example.org")],
    "client": ("192.0.2.1", 1234),
    "server": ("127.0.0.1", 80),
    "extensions": {},
}
EMPTY = {"type": "http.request", "body": b"", "more_body": False}
LEFT = {"type": "http.disconnect"}


def scope(path="/", *headers, **changes):
    raw, _, query = path.encode().partition(b"?")
    given = {"path": path.partition("?")[0], "raw_path": raw, "query_string": query}
    return {**SCOPE, **given, "headers": [*SCOPE["headers"], *headers], **changes}


async def ask(app, *arguments, messages=(EMPTY,), **changes):
    """Give status, headers and body of the response to one request."""
    sent = await call(asgi(app), scope(*arguments, **changes), *messages)
    await app.shutdown()
    body = b"".join(message["body"] for message in sent[1:])
    return sent[0]["status"], sent[0]["headers"], body


# The same requests, answered by Roll's own server and through ASGI


class Refusing(Exception):
    pass


def make_site():
    app = Roll()
    cors(app)
    compress(app)

    @app.listen("headers")
    async def shortcut(request, response):
        if request.path == "/short":
            response.body = "shortcut"
            return True

    @app.listen("error")
    async def tell(request, response, error):
        response.headers["X-Error"] = str(error.status.value)

    @app.route("/", methods=["GET", "POST"])
    async def home(request, response):
        response.body = f"Hello {request.method} {request.query.get('name', '')}"

    @app.route("/json", methods=["POST"])
    async def as_json(request, response):
        response.status = 201
        response.json = {"got": request.json}

    @app.route("/form", methods=["POST"])
    async def form(request, response):
        files = {name: file.read().decode() for name, file in request.files.items()}
        response.json = [request.form, files]

    @app.route("/upload", methods=["POST"], lazy_body=True)
    async def upload(request, response):
        await request.load_form()
        response.json = [request.form, [*request.files]]

    @app.route("/lazy", methods=["POST"], lazy_body=True)
    async def lazy(request, response):
        size = 0
        async for piece in request:
            size += len(piece)
        response.json = size

    @app.route("/unread", methods=["POST"], lazy_body=True)
    async def unread(request, response):
        raise HttpError(403, "not you")

    @app.route("/headers")
    async def headers(request, response):
        response.json = {
            name: value for name, value in request.headers.items() if name != "HOST"
        }
        response.headers["X-List"] = ["a", "b"]
        response.headers["Link"] = "</文>; rel=next"
        response.cookies.set("one", "1")
        response.cookies.set("two", "2", httponly=True)

    @app.route("/cookies")
    async def cookies(request, response):
        response.json = dict(request.cookies.items())

    @app.route("/status/{status:int}")
    async def status(request, response, status):
        response.status = status
        response.body = "a body"

    @app.route("/stream")
    async def stream(request, response):
        async def pieces():
            yield "one"
            yield b""
            yield b"two"

        response.headers["X-Stream"] = "yes"
        response.body = pieces()

    @app.route("/sized")
    async def sized(request, response):
        async def pieces():
            yield "12345"

        response.headers["Content-Length"] = "5"
        response.body = pieces()

    @app.route("/large")
    async def large(request, response):
        response.headers["Content-Encoding"] = "identity"
        response.body = b"x" * 300_000

    @app.route("/moved")
    async def moved(request, response):
        response.redirect = "/文", 302

    @app.route("/文")
    async def 文(request, response):
        response.body = request.path

    @app.route("/broken")
    async def broken(request, response):
        raise Refusing("secret")

    @app.route("/returns")
    async def returns(request, response):
        return "a value"

    @app.route("/splits")
    async def splits(request, response):
        response.headers["X-Split"] = "a\r\nb"
        response.headers["X-Other"] = "kept"
        response.body = "never"

    @app.route("/null")
    async def null(request, response):
        response.headers["X-Null"] = "a\0"

    @app.route("/short-length")
    async def wrong(request, response):
        response.headers["Content-Length"] = "3"
        response.body = "12345"

    @app.route("/closing")
    async def closing(request, response):
        response.headers["Connection"] = "close"
        response.headers["Keep-Alive"] = "timeout=5"

    @app.route("/ws", protocol="websocket")
    async def ws(request, ws):
        pass

    return app


REQUESTS = [
    ("/", {}),
    ("/?name=%E6%96%87&name=b", {}),
    ("/", {"method": "HEAD"}),
    ("/", {"method": "POST", "data": b"x"}),
    ("/", {"method": "DELETE"}),
    ("/", {"method": "OPTIONS", "headers": {"Origin": "https://a.example"}}),
    ("/json", {"method": "POST", "json": {"a": [1, None]}}),
    ("/json", {"method": "POST", "data": b"{"}),
    ("/form", {"method": "POST", "form": {"a": "1", "b": ["2", "3"]}}),
    ("/form", {"method": "POST", "form": {"a": "1"}, "files": {"f": b"file"}}),
    ("/upload", {"method": "POST", "form": {"a": "1"}, "files": {"f": b"x" * 99_999}}),
    ("/lazy", {"method": "POST", "data": b"x" * 2_000_000}),
    ("/lazy", {"method": "POST", "data": lambda: iter([b"x" * 70_000, b"y" * 3])}),
    ("/json", {"method": "POST", "data": b" " * 2_000_000}),
    ("/json", {"method": "POST", "data": lambda: iter([b" " * 600_000] * 2)}),
    ("/unread", {"method": "POST", "data": b"x" * 2_000}),
    ("/json", {"method": "POST", "data": b"1", "headers": {"Content-Encoding": "br"}}),
    ("/headers", {"headers": {"X-A": ["1", "2"], "Accept": "text/*", "X-E": "é"}}),
    ("/headers", {"headers": {"Accept-Encoding": "gzip"}}),
    ("/cookies", {"headers": {"Cookie": ["a=1; b=2", "c=3"]}}),
    ("/cookies", {"method": "HEAD"}),
    ("/status/204", {}),
    ("/status/304", {}),
    ("/status/205", {}),
    ("/status/404", {}),
    ("/status/101", {}),
    ("/status/299", {}),
    ("/stream", {}),
    ("/stream", {"method": "HEAD"}),
    ("/sized", {}),
    ("/large", {}),
    ("/large", {"method": "HEAD"}),
    ("/moved", {}),
    ("/文", {}),
    ("/%E6%96%87", {}),
    ("/nowhere", {}),
    ("/broken", {}),
    ("/returns", {}),
    ("/splits", {}),
    ("/null", {}),
    ("/short-length", {}),
    ("/short", {"method": "POST", "data": b"x"}),
    ("/closing", {}),
    ("/ws", {}),
    ("/?" + "&".join("a" * 1001), {}),
]
OF_THE_SERVER = {"connection", "date", "keep-alive", "transfer-encoding", "upgrade"}


def describe(response):
    fields = {
        name.lower(): sorted(response.headers.list(name))
        for name in response.headers
        if name.lower() not in OF_THE_SERVER
    }
    return int(response.status), fields, response.body


async def send_all(app, prefix):
    app.date = b"Date: now\r\n"  # as while a Server runs
    answers = {}
    async with Client(app) as client:
        for number, (path, options) in enumerate(REQUESTS):
            if callable(options.get("data")):
                options = {**options, "data": options["data"]()}
            client.cookies.clear()
            name = f"{number} {path[:30]} {options.get('method', 'GET')}"
            answers[name] = describe(await client.request(prefix + path, **options))
    return answers


async def test_requests_are_answered_as_by_rolls_own_server(caplog):
    caplog.set_level(logging.CRITICAL, "roll")
    own = await send_all(make_site(), "")
    outer = Roll()
    mount_asgi(outer, "/at", checked(asgi(make_site())))
    through = await send_all(outer, "/at")
    assert through == own
