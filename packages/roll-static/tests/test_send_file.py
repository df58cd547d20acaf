"""send_file: a file that a view sends, as a file of a folder is sent."""

import os

import pytest
from roll import Request, Response, Roll
from roll.extensions import send_file
from roll_static import FileResponse
from roll_testing import exchange

DATE = 1_700_000_000
LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"
TEXT = b"Hello, private world!\n"
TAG = f'"{DATE * 10**9:x}-{len(TEXT):x}"'
LARGE = bytes(range(256)) * 8192  # 2 MiB


def write(path, content, date=DATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (date, date))
    return path


@pytest.fixture
def app():
    app = Roll()
    send_file(app)
    return app


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "a.txt", TEXT)


@pytest.fixture
def sent(app, path):
    @app.route("/", methods=["GET", "POST"])
    async def view(request, response):
        await response.send_file(path)

    return path


def head_of(response):
    return {name: response.headers[name] for name in response.headers}


async def test_a_file_is_sent_with_its_type_and_validators(sent, liveclient):
    response = await liveclient.query("GET", "/")
    assert (response.status, response.body) == (200, TEXT)
    head = head_of(response)
    del head["Date"]
    assert head == {
        "Cache-Control": "private",
        "Content-Type": "text/plain; charset=utf-8",
        "ETag": TAG,
        "Last-Modified": LAST_MODIFIED,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": "22",
    }


async def test_head_has_the_header_alone(sent, liveclient):
    response = await liveclient.query("HEAD", "/")
    assert (response.status, response.body) == (200, b"")
    assert response.headers["Content-Length"] == "22"
    assert response.headers["ETag"] == TAG


@pytest.mark.parametrize(
    ("fields", "status", "body", "content_range"),
    [
        ({"Range": "bytes=0-4"}, 206, b"Hello", "bytes 0-4/22"),
        ({"Range": "bytes=-7"}, 206, b"world!\n", "bytes 15-21/22"),
        ({"Range": "bytes=15-", "If-Range": TAG}, 206, b"world!\n", "bytes 15-21/22"),
        ({"Range": "bytes=15-", "If-Range": '"old"'}, 200, TEXT, None),
        ({"Range": "bytes=22-"}, 416, b"Range Not Satisfiable", "bytes */22"),
        ({"If-None-Match": TAG}, 304, b"", None),
        ({"If-Modified-Since": LAST_MODIFIED}, 304, b"", None),
        ({"If-Match": '"old"'}, 412, b"Precondition Failed", None),
    ],
)
async def test_ranges_and_preconditions_are_kept(
    sent, liveclient, fields, status, body, content_range
):
    response = await liveclient.query("GET", "/", headers=fields)
    assert (response.status, response.body) == (status, body)
    assert response.headers.get("Content-Range") == content_range
    if status == 304:
        head = head_of(response)
        del head["Date"]
        assert head == {"Cache-Control": "private", "ETag": TAG}


async def test_an_answer_to_post_is_the_whole_file(sent, client):
    fields = {"Range": "bytes=0-4", "If-None-Match": TAG}
    response = await client.post("/", headers=fields)
    assert (response.status, response.body) == (200, TEXT)


async def test_a_large_file_goes_in_pieces(app, liveclient, tmp_path):
    @app.route("/")
    async def view(request, response):
        await response.send_file(write(tmp_path / "large.bin", LARGE))

    response = await liveclient.query("GET", "/")
    assert response.body == LARGE
    assert response.headers["Content-Type"] == "application/octet-stream"
    fields = {"Range": "bytes=1000000-1500000"}
    response = await liveclient.query("GET", "/", headers=fields)
    assert (response.status, response.body) == (206, LARGE[1_000_000:1_500_001])


@pytest.mark.parametrize(
    ("options", "disposition", "kind"),
    [
        ({}, None, "text/plain; charset=utf-8"),
        ({"attachment": True}, 'attachment; filename="a.txt"', "text/plain"),
        ({"filename": "b.pdf"}, 'inline; filename="b.pdf"', "application/pdf"),
        (
            {"filename": 'é".csv', "attachment": True},
            "attachment; filename=\"__.csv\"; filename*=UTF-8''%C3%A9%22.csv",
            "text/csv",
        ),
    ],
)
async def test_a_file_may_have_another_name(
    app, client, path, options, disposition, kind
):
    @app.route("/")
    async def view(request, response):
        await response.send_file(str(path), **options)

    response = await client.get("/")
    assert response.body == TEXT
    assert response.headers.get("Content-Disposition") == disposition
    assert response.headers["Content-Type"].startswith(kind)


async def test_a_view_sets_fields_of_its_own(app, client, path):
    @app.route("/")
    async def view(request, response):
        response.headers["cache-control"] = "max-age=60"
        await response.send_file(path)
        response.headers["Content-Type"] = "text/x-own"

    response = await client.get("/")
    assert response.headers["Cache-Control"] == "max-age=60"
    assert response.headers["Content-Type"] == "text/x-own"


@pytest.mark.parametrize(
    "name", ["nothing.txt", "", "..", "a.txt/b", "a\0b", "\ud800", "a" * 300, "fifo"]
)
async def test_what_is_not_a_file_is_404(app, client, path, name):
    os.mkfifo(path.with_name("fifo"))

    @app.route("/")
    async def view(request, response):
        await response.send_file(os.path.join(path.parent, name))

    response = await client.get("/")
    assert (response.status, response.body) == (404, b"Not Found")
    assert response.headers.get("Cache-Control") is None


async def test_a_trusted_path_may_be_a_symlink_or_hidden(app, client, tmp_path):
    write(tmp_path / "files" / "a.pdf", TEXT)
    path = tmp_path / ".b.txt"
    path.symlink_to(tmp_path / "files" / "a.pdf")

    @app.route("/")
    async def view(request, response):
        await response.send_file(path, attachment=True)

    response = await client.get("/")
    assert response.body == TEXT
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename=".b.txt"'


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("a.txt", 200),
        ("sub/b.txt", 200),
        ("nothing.txt", 404),
        ("sub", 404),
        ("link.txt", 404),
        (".hidden", 404),
        ("%00", 404),
        ("%2E%2E/secret.txt", 400),
        ("sub/%2E%2E/a.txt", 400),
        ("/etc/passwd", 400),
    ],
)
async def test_nothing_outside_of_the_root_is_sent(app, client, tmp_path, name, status):
    root = tmp_path / "root"
    for place in ("a.txt", "sub/b.txt", ".hidden"):
        write(root / place, TEXT)
    secret = write(tmp_path / "secret.txt", b"SECRET")
    (root / "link.txt").symlink_to(secret)

    @app.route("/files/{name:path}")
    async def view(request, response, name):
        await response.send_file(name, root=root)

    response = await client.get(f"/files/{name}")
    assert response.status == status
    assert (response.body == TEXT) == (status == 200)
    assert b"SECRET" not in response.body


@pytest.mark.parametrize(
    ("name", "status"),
    [("a.txt", 200), ("../secret.txt", 400), ("/etc/passwd", 400), (".hidden", 404)],
)
async def test_a_path_of_root_and_name_is_under_the_root(
    app, client, tmp_path, name, status
):
    root = tmp_path / "root"
    for place in ("a.txt", ".hidden"):
        write(root / place, TEXT)
    write(tmp_path / "secret.txt", b"SECRET")

    @app.route("/")
    async def view(request, response):
        await response.send_file(root / name, root=root)

    assert (await client.get("/")).status == status


async def test_a_client_names_a_file_in_one_way_only(app, client, path):
    @app.route("/{name:path}")
    async def view(request, response, name):
        await response.send_file(name, root=path.parent)

    assert (await client.get(f"/{path}")).status == 400
    assert (await client.get("/a.txt")).status == 200


async def test_a_root_that_is_not_there_is_logged(app, client, tmp_path, caplog):
    @app.route("/")
    async def view(request, response):
        await response.send_file("a.txt", root=str(tmp_path / "nope"))

    assert (await client.get("/")).status == 404
    assert caplog.messages == [
        f"send_file: root={str(tmp_path / 'nope')!r} is not a folder"
    ]


async def test_bytes_are_no_path(app, client, caplog):
    @app.route("/")
    async def view(request, response):
        await response.send_file(b"content")

    assert (await client.get("/")).status == 500
    assert "send_file() takes a path, not bytes: to send bytes, set" in caplog.text


async def test_a_file_that_changes_while_it_is_looked_up_is_sent_as_it_is(path):
    class ChangingRequest(Request):
        @property
        def headers(self):
            write(path, TEXT[1:], date=DATE + 1)
            return super().headers

    class App(Roll):
        Request = ChangingRequest

    app = App()
    send_file(app)

    @app.route("/")
    async def view(request, response):
        await response.send_file(path)

    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    head, _, body = (await exchange(app, request)).data.partition(b"\r\n\r\n")
    assert body == TEXT[1:]
    assert b"\r\nContent-Length: 21\r\n" in head
    assert f'\r\nETag: "{(DATE + 1) * 10**9:x}-15"\r\n'.encode() in head


def test_a_response_of_another_class_gets_the_method_too():
    class MyResponse(Response):
        __slots__ = ("mine",)

    class App(Roll):
        Response = MyResponse

    app = App()
    send_file(app)
    once = app.Response
    assert issubclass(once, (FileResponse, MyResponse))
    send_file(app)
    assert app.Response is once
    assert App.Response is MyResponse
