"""static: what is sent of a folder, and what never is."""

import asyncio
import gzip
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roll import HttpError, Roll
from roll.extensions import static
from roll_static import HASHED, cache, conditions, files
from roll_testing import Client, connect, exchange, patience, settle, turns, until

DATE = 1_700_000_000
LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"
TEXT = b"Hello, static world!\n"
TAG = f'"{DATE * 10**9:x}-{len(TEXT):x}"'
LARGE = bytes(range(256)) * 8192  # 2 MiB


def write(path, content, date=DATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (date, date))
    return path


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "site"
    write(folder / "a.txt", TEXT)
    write(folder / "css" / "style.css", b"body {}")
    write(tmp_path / "secret.txt", b"SECRET")
    write(tmp_path / "site2" / "secret.txt", b"SECRET")
    return folder


@pytest.fixture
def app():
    return Roll()


@pytest.fixture
def served(app, root):
    """Serve the folder without a cache."""
    static(app, root=root, ttl=0)
    return root


def head_of(response):
    return {name: response.headers[name] for name in response.headers}


# What is sent


async def test_a_file_is_sent_with_its_type_and_validators(served, client):
    response = await client.get("/static/a.txt")
    assert (response.status, response.body) == (200, TEXT)
    assert head_of(response) == {
        "Content-Type": "text/plain; charset=utf-8",
        "ETag": TAG,
        "Last-Modified": LAST_MODIFIED,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": "21",
    }


async def test_head_has_the_same_header_and_no_body(served, client):
    expected = await client.get("/static/a.txt")
    response = await client.head("/static/a.txt")
    assert (response.status, response.body) == (200, b"")
    assert head_of(response) == head_of(expected)


async def test_other_methods_are_405(served, client):
    response = await client.post("/static/a.txt", body="x")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


async def test_files_of_folders_are_sent(served, client):
    assert (await client.get("/static/css/style.css")).body == b"body {}"


async def test_an_empty_file_is_sent(served, client):
    write(served / "empty", b"")
    response = await client.get("/static/empty")
    assert (response.status, response.body) == (200, b"")
    assert response.headers["Content-Type"] == "application/octet-stream"


async def test_a_large_file_is_sent_whole(served, liveclient):
    write(served / "large.bin", LARGE)
    response = await liveclient.query("GET", "/static/large.bin")
    assert (response.status, response.body) == (200, LARGE)
    assert response.headers["Content-Length"] == str(len(LARGE))
    response = await liveclient.query("HEAD", "/static/large.bin")
    assert response.headers["Content-Length"] == str(len(LARGE))


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 262143, 262144, 262145, 1048577])
@pytest.mark.parametrize("ttl", [0, 60])
async def test_every_size_is_sent_whole_each_time(app, root, client, size, ttl):
    static(app, root=root, ttl=ttl)
    content = os.urandom(size)
    write(root / "file", content)
    for _ in range(3):
        response = await client.get("/static/file")
        assert (response.status, response.body) == (200, content)


async def test_names_are_decoded_as_utf8(served, client):
    write(served / "été 100%.txt", b"x")
    response = await client.get("/static/%C3%A9t%C3%A9%20100%25.txt")
    assert response.body == b"x"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.CSS", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.webmanifest", "application/manifest+json; charset=utf-8"),
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("a.tar.gz", "application/gzip"),
        ("a.js.gz", "application/gzip"),
        ("a.js.br", "application/octet-stream"),
        ("a.tar.zst", "application/zstd"),
        ("a", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
        ("data:text.html,x", "application/octet-stream"),
    ],
)
async def test_the_type_goes_by_the_name(served, client, name, expected):
    write(served / name, b"x")
    response = await client.get(f"/static/{name}")
    assert response.headers["Content-Type"] == expected
    assert "Content-Encoding" not in response.headers
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_file_from_the_future_was_modified_now(served, client):
    write(served / "a.txt", TEXT, date=time.time() + 10**6)  # RFC 9110, 8.8.2.1
    date = (await client.get("/static/a.txt")).headers["Last-Modified"]
    assert abs(conditions.parse_date(date) - time.time()) < patience(5)


async def test_a_file_from_before_1970_is_sent(served, client):
    write(served / "a.txt", TEXT, date=-(10**9))
    response = await client.get("/static/a.txt")
    assert response.headers["Last-Modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"


async def test_a_changed_file_has_another_tag(served, client):
    before = (await client.get("/static/a.txt")).headers["ETag"]
    write(served / "a.txt", TEXT[::-1], date=DATE + 1)
    assert (await client.get("/static/a.txt")).headers["ETag"] != before


# Where it is served


@pytest.mark.parametrize("prefix", ["/files/", "/files", "/a b/é/", "/"])
async def test_the_prefix_can_be_chosen(app, root, client, prefix):
    static(app, prefix=prefix, root=str(root))
    path = f"{prefix.rstrip('/')}/a.txt".replace(" ", "%20")
    assert (await client.get(path)).body == TEXT


async def test_the_current_folder_is_served_by_default(app, root, client, monkeypatch):
    monkeypatch.chdir(root)
    static(app)
    monkeypatch.chdir("/")
    assert (await client.get("/static/a.txt")).body == TEXT


async def test_two_folders_are_served_by_one_app(app, root, client):
    names = []

    @app.listen("route:add")
    def remember(path, view, **extras):
        names.append((path, extras["name"]))

    static(app, root=root)
    static(app, "/css/", root / "css", name="css")
    assert (await client.get("/static/a.txt")).body == TEXT
    assert (await client.get("/css/style.css")).body == b"body {}"
    assert names == [("/static/{path:path}", "static"), ("/css/{path:path}", "css")]


async def test_other_routes_answer_beside_the_root(app, root, client):
    static(app, "/", root)

    @app.route("/a.txt")
    async def view(request, response):
        response.body = "view"

    assert (await client.get("/a.txt")).body == b"view"
    assert (await client.get("/css/style.css")).body == b"body {}"


async def test_a_listener_may_answer_instead(served, app, client):
    @app.listen("request")
    async def refuse(request, response):
        raise HttpError(403)

    assert (await client.get("/static/a.txt")).status == 403


async def test_it_works_after_a_restart(served, app):
    for _ in range(2):
        async with Client(app) as client:
            assert (await client.get("/static/a.txt")).body == TEXT


# What is not there, and what must not be seen


@pytest.mark.parametrize(
    "path",
    [
        "nothing.txt",
        "css",
        "css/",
        "",
        "a.txt/",
        "a.txt/b",
        "a.txt/..%5c/",
        "a.txt;",
        "sub;/f",
        "...",
        "%00",
        "%2e%2e%00",
        "a.txt%00.html",
        "x" * 300,
        "/".join(["x"] * 2000),
        "a.txt%0d%0aX:y",
        "..%5c..%5csecret.txt",
        "%7Broot%7D",
        "%25",
    ],
)
async def test_what_is_not_there_is_404(served, client, path):
    response = await client.get(f"/static/{path}")
    assert (response.status, response.body) == (404, b"Not Found")
    assert "ETag" not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        ".%2e/secret.txt",
        "css/../../secret.txt",
        "css/%2e%2e/%2e%2e%2fsecret.txt",
        "../site/a.txt",
        "../site2/secret.txt",
        "..",
        "../",
        "nothing/../..",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "../" * 100 + "etc/passwd",
    ],
)
@pytest.mark.parametrize("options", [{}, {"hidden": True}, {"default_index": "a.txt"}])
async def test_what_is_outside_of_the_root_is_400(app, root, path, options):
    static(app, root=root, **options)
    request = f"GET /static/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    data = (await exchange(app, request)).data
    assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert data.endswith(b"\r\n\r\nBad Request")


@pytest.mark.parametrize("path", ["%ff", "a%c0%ae", "..%c0%af"])
async def test_what_is_no_utf8_is_400(served, app, path):
    request = f"GET /static/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    data = (await exchange(app, request)).data
    assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_what_no_system_could_name_is_404(served, app, client):
    @app.listen("headers")
    async def set_path(request, response):
        request.path = "/static/\ud800"

    assert (await client.get("/static/a.txt")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "./sub/f",
        "././sub/f",
        "x/../sub/f",
        "x/..%2fsub/f",
        "sub/../sub/f",
        "%2e/sub/f",
        "x/%2e%2e/sub/f",
        "x/.%2e%2fsub%2ff",
        "..%2fsite/sub/f",
        "/sub/f",
        "%2fsub/f",
        "//sub/f",
        "sub//f",
        "sub/%2ff",
        "sub/./f",
        "sub%2f.%2ff",
        "./sub",
        "sub/.",
        "sub//",
        "sub/%2f",
        "./",
        "/",
    ],
)
@pytest.mark.parametrize("options", [{}, {"hidden": True}, {"default_index": "f"}])
async def test_a_file_has_no_second_path_past_a_listener(app, root, path, options):
    write(root / "sub" / "f", b"SECRET")
    static(app, root=root, **options)

    @app.listen("request")
    async def refuse(request, response):
        if request.path.startswith("/static/sub/"):
            raise HttpError(403)

    request = f"GET /static/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    data = (await exchange(app, request)).data
    # What the listener sees, it refuses; the others lead nowhere.
    assert data.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 "))
    assert b"SECRET" not in data
    assert b"Location" not in data


@pytest.mark.parametrize("path", ["css/../a.txt", "./a.txt", "css%2f..%2fa.txt"])
async def test_dots_that_stay_inside_are_400(served, app, path):
    request = f"GET /static/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    data = (await exchange(app, request)).data
    assert data.startswith(b"HTTP/1.1 400 Bad Request\r\n")


@given(
    st.lists(
        st.sampled_from(
            [
                "..",
                ".",
                "/",
                "%2f",
                "%2e",
                "css",
                "a.txt",
                "site",
                "\\",
                "%00",
                "%",
                "é",
            ]
        ),
        max_size=12,
    ).map("".join)
)
async def test_nothing_else_is_ever_sent(path):
    app = Roll()
    folder = Path(__file__).parent
    static(app, root=folder, hidden=True)
    target = f"GET /static/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    data = (await exchange(app, target)).data
    assert re.match(rb"HTTP/1.1 40[04] ", data)


async def test_symlinks_that_lead_out_are_404(served, client):
    (served / "file").symlink_to(served.parent / "secret.txt")
    (served / "up").symlink_to("..")
    (served / "beside").symlink_to(served.parent / "site2")
    (served / "broken").symlink_to("nowhere")
    (served / "loop").symlink_to("loop")
    (served / "chain").symlink_to("file")
    (served / "a.txt.gz").symlink_to(served.parent / "secret.txt")
    for path in (
        "file",
        "up/secret.txt",
        "beside/secret.txt",
        "broken",
        "loop",
        "chain",
    ):
        response = await client.get(f"/static/{path}")
        assert (response.status, response.body) == (404, b"Not Found"), path
    response = await client.get("/static/a.txt", headers={"Accept-Encoding": "gzip"})
    assert response.body == TEXT


async def test_symlinks_that_stay_inside_are_followed(served, client):
    (served / "link.css").symlink_to(served / "css" / "style.css")
    (served / "styles").symlink_to("css")
    response = await client.get("/static/link.css")
    assert response.body == b"body {}"
    assert (await client.get("/static/styles/style.css")).body == b"body {}"


async def test_the_root_may_be_a_symlink(app, root, client):
    link = root.parent / "link"
    link.symlink_to(root)
    static(app, root=link)
    assert (await client.get("/static/a.txt")).body == TEXT


async def test_the_whole_disk_may_be_the_root(app, root, client):
    static(app, root="/")
    assert (await client.get(f"/static{root}/a.txt")).body == TEXT


async def test_hidden_files_are_404(served, client):
    write(served / ".env", b"KEY")
    write(served / ".git" / "config", b"KEY")
    for path in (".env", ".git/config"):
        assert (await client.get(f"/static/{path}")).status == 404
    write(served / ".well-known" / "security.txt", b"Contact")
    assert (await client.get("/static/.well-known/security.txt")).body == b"Contact"


async def test_hidden_files_can_be_served(app, root, client):
    write(root / ".env", b"KEY")
    static(app, root=root, hidden=True)
    assert (await client.get("/static/.env")).body == b"KEY"


async def test_what_is_no_file_is_never_opened(served, client):
    os.mkfifo(served / "fifo")
    unix = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(served)  # the names of sockets are short
    unix.bind("socket")
    os.chdir(here)
    (served / "null").symlink_to("/dev/null")
    for name in ("fifo", "socket", "null"):
        assert (await client.get(f"/static/{name}")).status == 404
    unix.close()


async def test_devices_are_404_even_under_the_root(app, client):
    static(app, root="/dev")
    assert (await client.get("/static/zero")).status == 404


async def test_what_may_not_be_read_is_404(served, client):
    (served / "a.txt").chmod(0)
    write(served / "closed" / "b.txt", TEXT).parent.chmod(0)
    for path in [served, *served.parents][:3]:
        path.chmod(0o755)
    # Root may read everything; any other user is tried as it is.
    initializer = become_nobody if os.geteuid() == 0 else None
    with ThreadPoolExecutor(2, initializer=initializer) as executor:
        asyncio.get_running_loop().set_default_executor(executor)
        assert (await client.get("/static/a.txt")).status == 404
        assert (await client.get("/static/closed/b.txt")).status == 404


def become_nobody():
    """Change the user of this thread alone, as the system call does."""
    import ctypes

    assert (
        ctypes.CDLL(None).syscall(
            {"x86_64": 117, "aarch64": 147}[os.uname().machine], -1, 65534, -1
        )
        == 0
    )


# Folders


@pytest.fixture
def site(app, root):
    write(root / "index.html", b"<p>Home")
    write(root / "sub" / "index.html", b"<p>Sub")
    static(app, "/", root, "index.html", ttl=0)
    return root


async def test_the_index_answers_for_a_folder(site, client):
    response = await client.get("/")
    assert response.body == b"<p>Home"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert (await client.get("/sub/")).body == b"<p>Sub"


async def test_a_folder_without_the_index_is_404(site, client):
    (site / "odd" / "index.html").mkdir(parents=True)
    assert (await client.get("/css/")).status == 404
    assert (await client.get("/odd/")).status == 404


async def test_the_index_that_leads_out_is_404(site, client):
    (site / "css" / "index.html").symlink_to(site.parent / "secret.txt")
    assert (await client.get("/css/")).status == 404


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/sub", "/sub/"),
        ("/sub?a=b&c=%20d?/", "/sub/?a=b&c=%20d?/"),
        ('/sub?a"<', "/sub/?a%22%3C"),
        ("/sub?", "/sub/"),
        ("/%5Cevil.com", "/%5Cevil.com/"),
        ("/a%20b%0d%0a:%c3%a9", "/a%20b%0D%0A%3A%C3%A9/"),
        ("http://evil.com/sub", "/sub/"),
    ],
)
async def test_a_folder_without_its_slash_leads_to_it(site, app, target, location):
    (site / "\\evil.com").mkdir()
    (site / "a b\r\n:é").mkdir()
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    head, _, body = (await exchange(app, request)).data.partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        "HTTP/1.1 307 Temporary Redirect",
        f"Location: {location}",
        "Content-Length: 0",
    ]
    assert body == b""


@pytest.mark.parametrize(
    "target",
    [
        "//evil.com",
        "//sub",
        "//evil.com/%2e%2e/sub",
        "/sub/.",
        "/./x/../sub",
        "/x/..//evil.com/../sub",
        "/%5Cevil.com/..%2fsub",
    ],
)
async def test_a_redirect_leads_to_no_other_host(site, app, target):
    (site / "evil.com").mkdir()
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    data = (await exchange(app, request)).data
    assert data.startswith(b"HTTP/1.1 400 ")
    assert b"Location" not in data


async def test_the_redirect_has_the_prefix(app, root, client):
    write(root / "sub" / "index.html", b"<p>Sub")
    static(app, "/a é/", root, "index.html")
    response = await client.get("/a%20%C3%A9/sub")
    assert response.headers["Location"] == "/a%20%C3%A9/sub/"


# Preconditions (RFC 9110, section 13)

LATER = "Wed, 15 Nov 2023 00:00:00 GMT"
EARLIER = "Mon, 13 Nov 2023 00:00:00 GMT"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        # 13.1.2
        ({"If-None-Match": TAG}, 304),
        ({"If-None-Match": f"W/{TAG}"}, 304),
        ({"If-None-Match": f'"x", W/"y" ,{TAG}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": ['"x"', TAG]}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-None-Match": f'"x{TAG[1:]}'}, 200),
        ({"If-None-Match": TAG.strip('"')}, 200),
        ({"If-None-Match": '"'}, 200),
        ({"If-None-Match": ""}, 200),
        # 13.1.3
        ({"If-Modified-Since": LAST_MODIFIED}, 304),
        ({"If-Modified-Since": LATER}, 304),
        ({"If-Modified-Since": EARLIER}, 200),
        ({"If-Modified-Since": "Tuesday, 14-Nov-23 22:13:20 GMT"}, 304),
        ({"If-Modified-Since": "Tue Nov 14 22:13:20 2023"}, 304),
        ({"If-Modified-Since": "Tue Nov 14 22:13:19 2023"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": ""}, 200),
        ({"If-Modified-Since": "0"}, 200),
        ({"If-Modified-Since": "Tue, 14 Nov 99999999 22:13:20 GMT"}, 200),
        ({"If-Modified-Since": "Tue, 14 Nov 2023 22:13:20 +99999999"}, 200),
        # The first of each pair alone counts, 13.2.2
        ({"If-None-Match": '"x"', "If-Modified-Since": LATER}, 200),
        ({"If-Match": TAG, "If-Unmodified-Since": EARLIER}, 200),
        # 13.1.1
        ({"If-Match": TAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": f'"x", {TAG}'}, 200),
        ({"If-Match": f"W/{TAG}"}, 412),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": "x"}, 412),
        # 13.1.4
        ({"If-Unmodified-Since": LAST_MODIFIED}, 200),
        ({"If-Unmodified-Since": LATER}, 200),
        ({"If-Unmodified-Since": EARLIER}, 412),
        ({"If-Unmodified-Since": "x"}, 200),
        # 412 comes before 304
        ({"If-Match": '"x"', "If-None-Match": TAG}, 412),
        ({"If-Match": TAG, "If-None-Match": TAG}, 304),
        ({"If-Unmodified-Since": LATER, "If-Modified-Since": LATER}, 304),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_preconditions_decide(served, client, method, fields, status):
    response = await client.request("/static/a.txt", method, headers=fields)
    assert response.status == status
    body = {200: TEXT, 304: b"", 412: b"Precondition Failed"}[status]
    assert response.body == (body if method == "GET" else b"")


async def test_304_says_what_a_cache_has_to_know(app, root, client):
    write(root / "a.txt.gz", gzip.compress(TEXT))
    static(app, root=root, cache_control="no-cache")
    headers = {"If-None-Match": TAG}
    response = await client.get("/static/a.txt", headers=headers)
    assert head_of(response) == {
        "Vary": "Accept-Encoding",
        "ETag": TAG,
        "Cache-Control": "no-cache",
    }


async def test_412_says_nothing_of_the_file(served, client):
    response = await client.get("/static/a.txt", headers={"If-Match": '"x"'})
    assert head_of(response) == {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": "19",
    }


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_text_breaks_the_reading_of_dates(text):
    date = conditions.parse_date(text)
    assert date is None or isinstance(date, int)


@given(
    st.text(st.sampled_from("0123456789:-+, GMTNovSunWed\t.()"), max_size=60),
)
def test_no_almost_date_breaks_the_reading_of_dates(text):
    for value in (text, f"Tue, 14 Nov {text}", f"Tue, 14 Nov 2023 22:13:20 {text}"):
        date = conditions.parse_date(value)
        assert date is None or isinstance(date, int)


# Ranges (RFC 9110, section 14)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-4", (0, 5)),
        ("bytes=7-", (7, 21)),
        ("bytes=-6", (15, 21)),
        ("bytes=-99", (0, 21)),
        ("bytes=20-20", (20, 21)),
        ("bytes=5-999", (5, 21)),
        ("bytes=0-", (0, 21)),
        ("Bytes= 0-0 ", (0, 1)),
        ("bytes=,0-1,", (0, 2)),
        ("bytes=000000-01", (0, 2)),
        ("bytes=0-999999999999999999", (0, 21)),
    ],
)
@pytest.mark.parametrize("ttl", [0, 60])
async def test_one_range_is_served(app, root, client, value, expected, ttl):
    static(app, root=root, ttl=ttl)
    start, end = expected
    for _ in range(2):
        response = await client.get("/static/a.txt", headers={"Range": value})
        assert (response.status, response.body) == (206, TEXT[start:end])
        assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/21"
        assert response.headers["Content-Length"] == str(end - start)
        assert response.headers["ETag"] == TAG


@pytest.mark.parametrize(
    "value",
    [
        "bytes=0-1,3-4",
        ["bytes=0-1", "bytes=3-4"],
        "bytes=4-0",
        "bytes=-",
        "bytes=",
        "bytes",
        "bytes=a-b",
        "bytes=0-1-2",
        "bytes=+0-1",
        "bytes=0 - 1",
        "bytes=\xb2-3",
        "lines=0-1",
        "0-1",
        "",
        "bytes=0-" + "9" * 8000,
        "bytes=" + "0-0," * 1500 + "0-0",
    ],
)
async def test_other_ranges_are_ignored(served, client, value):
    response = await client.get("/static/a.txt", headers={"Range": value})
    assert (response.status, response.body) == (200, TEXT)
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize("value", ["bytes=21-", "bytes=99-100", "bytes=-0"])
async def test_a_range_past_the_end_is_416(served, client, value):
    response = await client.get("/static/a.txt", headers={"Range": value})
    assert (response.status, response.body) == (416, b"Range Not Satisfiable")
    assert head_of(response) == {
        "Content-Range": "bytes */21",
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": "21",
    }


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/static/a.txt", {"Range": "bytes=99-"}, 416),
        ("/static/a.txt", {"If-Match": '"x"'}, 412),
        ("/static/a.txt", {"Accept-Encoding": "identity;q=0"}, 406),
        ("/static/absent", {}, 404),
    ],
)
async def test_error_listeners_give_each_error_its_form(
    served, app, client, path, headers, status
):
    @app.listen("error")
    async def write_page(request, response, error):
        response.body = f"<h1>{error.status.value}</h1>"

    response = await client.get(path, headers=headers)
    assert (response.status, response.text) == (status, f"<h1>{status}</h1>")
    length = "bytes */21" if status == 416 else None
    assert response.headers.get("Content-Range") == length


@pytest.mark.parametrize(
    ("value", "status"),
    [("bytes=0-", 416), ("bytes=-0", 416), ("bytes=-5", 200)],
)
async def test_ranges_of_an_empty_file(served, client, value, status):
    write(served / "empty", b"")
    response = await client.get("/static/empty", headers={"Range": value})
    assert response.status == status


async def test_head_has_no_ranges(served, client):
    response = await client.head("/static/a.txt", headers={"Range": "bytes=0-1"})
    assert (response.status, response.headers["Content-Length"]) == (200, "21")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (TAG, 206),
        (f" {TAG} ", 206),
        (f"W/{TAG}", 200),
        ('"x"', 200),
        (LAST_MODIFIED, 206),
        ("Tue Nov 14 22:13:20 2023", 206),
        (LATER, 200),
        (EARLIER, 200),
        ("x", 200),
        ("", 200),
        (f"{TAG}, {TAG}", 200),
    ],
)
async def test_a_range_may_depend_on_the_file(served, client, value, status):
    headers = {"Range": "bytes=0-4", "If-Range": value}
    response = await client.get("/static/a.txt", headers=headers)
    assert response.status == status


async def test_preconditions_come_before_ranges(served, client):
    headers = {"Range": "bytes=99-", "If-None-Match": TAG}
    assert (await client.get("/static/a.txt", headers=headers)).status == 304
    headers = {"Range": "bytes=99-", "If-Match": '"x"'}
    assert (await client.get("/static/a.txt", headers=headers)).status == 412
    headers = {"Range": "bytes=99-", "If-Range": '"x"'}
    assert (await client.get("/static/a.txt", headers=headers)).status == 200


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000000-1999999", 1_000_000, 2_000_000),
        ("bytes=-5", len(LARGE) - 5, len(LARGE)),
        ("bytes=5-", 5, len(LARGE)),
    ],
)
async def test_ranges_of_a_large_file(served, client, value, start, end):
    write(served / "large.bin", LARGE)
    response = await client.get("/static/large.bin", headers={"Range": value})
    assert (response.status, response.body) == (206, LARGE[start:end])


@given(st.text(st.sampled_from("bytes=0123456789-, x"), max_size=20), st.integers(0, 9))
def test_every_range_is_within_the_file(text, size):
    for value in (text, f"bytes={text}"):
        plan = conditions.make_plan("GET", {"RANGE": value}, TAG, DATE, size)
        assert plan.status in (200, 206, 416)
        assert 0 <= plan.start <= plan.start + plan.length <= size
        assert plan.status != 206 or plan.length


# Precompressed files


@pytest.fixture
def compressed(served):
    write(served / "app.js", b"x" * 1000)
    write(served / "app.js.gz", b"GZIPPED")
    write(served / "app.js.br", b"BROTLI")
    write(served / "app.js.zst", b"ZSTANDARD")
    return served


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.9", "gzip"),
        ("gzip ; q=0.5 , zstd;Q=0.8", "zstd"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=0", None),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, gzip", "gzip"),
        ("*;q=0, gzip", "gzip"),
        ("identity, *;q=0", None),
        ("*;q=0.5", "br"),
        ("deflate", None),
        ("gzip;q=2", None),
        ("gzip;q=1.001", None),
        ("gzip;q=1.000", "gzip"),
        ("gzip;q=1.9, br", "br"),
        ("gzip;q=x", None),
        ("gzip;q=nan", None),
        ("gzip;level=9", None),
        (";q=1, ,;;,gzip", "gzip"),
        (["deflate", "gzip"], "gzip"),
        ("gzip;q=0," * 900 + "br", "br"),
        ("gzip;q=.5, br;q=.6", "br"),
        ("gzip;q=0.1, x-gzip;q=0.9, br;q=0.5", "gzip"),
    ],
)
async def test_the_encoding_is_chosen_by_weight(compressed, client, accepted, coding):
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    response = await client.get("/static/app.js", headers=headers)
    bodies = {None: b"x" * 1000, "gzip": b"GZIPPED", "br": b"BROTLI"}
    assert response.body == bodies.get(coding, b"ZSTANDARD")
    assert response.headers.get("Content-Encoding") == coding
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", ["identity;q=0", "*;q=0", "*;q=0, deflate"])
@pytest.mark.parametrize("name", ["app.js", "a.txt"])
async def test_406_when_nothing_is_accepted(compressed, client, accepted, name):
    headers = {"Accept-Encoding": accepted}
    response = await client.get(f"/static/{name}", headers=headers)
    assert (response.status, response.body) == (406, b"Not Acceptable")
    assert response.headers["Vary"] == "Accept-Encoding"


async def test_an_accept_encoding_that_is_too_long_is_refused(compressed, client):
    headers = {"Accept-Encoding": ["a," * 4000, "a," * 1000]}
    response = await client.get("/static/app.js", headers=headers)
    assert (response.status, response.body) == (431, b"Accept-Encoding is too long")


async def test_each_encoding_has_a_tag_of_its_own(compressed, client):
    write(compressed / "app.js.gz", b"x" * 1000)  # of the same size and date
    tags = []
    for coding in ("identity", "gzip", "br", "zstd"):
        headers = {"Accept-Encoding": coding}
        tag = (await client.get("/static/app.js", headers=headers)).headers["ETag"]
        headers["If-None-Match"] = tag
        assert (await client.get("/static/app.js", headers=headers)).status == 304
        tags.append(tag)
    assert len(set(tags)) == 4


async def test_ranges_are_of_the_encoded_bytes(compressed, client):
    headers = {"Accept-Encoding": "gzip", "Range": "bytes=0-3"}
    response = await client.get("/static/app.js", headers=headers)
    assert (response.status, response.body) == (206, b"GZIP")
    assert response.headers["Content-Range"] == "bytes 0-3/7"
    assert response.headers["Content-Encoding"] == "gzip"


async def test_there_is_no_vary_without_a_choice(served, client):
    headers = {"Accept-Encoding": "gzip"}
    assert "Vary" not in (await client.get("/static/a.txt", headers=headers)).headers


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        ("Origin", "Origin, Accept-Encoding"),
        (["Origin"], "Origin, Accept-Encoding"),
        ("accept-encoding", "accept-encoding"),
        ("*", "*"),
    ],
)
async def test_vary_keeps_what_others_said(compressed, app, client, vary, expected):
    @app.listen("request")
    async def set_vary(request, response):
        response.headers["Vary"] = vary

    response = await client.get("/static/app.js")
    assert response.headers.list("Vary") == [expected]


async def test_what_is_older_than_its_original_is_not_sent(compressed, client):
    write(compressed / "app.js", b"new", date=DATE + 1)
    write(compressed / "app.js.br", b"BROTLI", date=DATE + 1)
    headers = {"Accept-Encoding": "gzip, zstd"}
    assert (await client.get("/static/app.js", headers=headers)).body == b"new"
    headers = {"Accept-Encoding": "br"}
    assert (await client.get("/static/app.js", headers=headers)).body == b"BROTLI"


async def test_a_folder_is_no_sibling(served, client):
    (served / "a.txt.gz").mkdir()
    headers = {"Accept-Encoding": "gzip"}
    assert (await client.get("/static/a.txt", headers=headers)).body == TEXT


async def test_the_index_can_be_compressed(site, client):
    write(site / "index.html.br", b"BROTLI")
    response = await client.get("/", headers={"Accept-Encoding": "br"})
    assert response.body == b"BROTLI"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_a_large_compressed_file_is_sent(served, client):
    write(served / "large.bin", LARGE)
    write(served / "large.bin.gz", LARGE[1:])
    response = await client.get("/static/large.bin", headers={"Accept-Encoding": "*"})
    assert (response.body, response.headers["Content-Encoding"]) == (LARGE[1:], "gzip")


@given(st.text(st.sampled_from("gzipbr*;q=01.,\t identity"), max_size=40))
def test_no_accept_encoding_breaks_the_choice(text):
    sizes = {"identity": 3, "gzip": 2, "br": 1}
    assert conditions.choose_coding(text, sizes) in {None, *sizes}


# Cache-Control

FOREVER = "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("name", "is_hashed"),
    [
        ("app.3f9ac01b.js", True),
        ("app-3f9ac01b2c.min.css", True),
        ("base.27E20196a850.css", True),
        ("app.3f9ac01.js", False),
        ("report-20260131.pdf", False),
        ("my-deadbeef.js", False),
        ("my-document.js", False),
        ("3f9ac01b.js", False),
        ("app.3f9ac01b", False),
    ],
)
async def test_hashed_names_are_immutable(app, root, client, name, is_hashed):
    static(app, root=root, cache_control="no-cache", immutable=True)
    write(root / name, b"x")
    response = await client.get(f"/static/{name}")
    assert response.headers["Cache-Control"] == (FOREVER if is_hashed else "no-cache")


@pytest.mark.parametrize("immutable", [r"^v\d+-", re.compile(r"^v\d+-")])
async def test_the_rule_for_hashed_names_can_be_given(app, root, client, immutable):
    static(app, root=root, immutable=immutable)
    write(root / "v1-app.js", b"x")
    response = await client.get("/static/v1-app.js")
    assert response.headers["Cache-Control"] == FOREVER
    response = await client.get("/static/a.txt")
    assert "Cache-Control" not in response.headers


async def test_the_rule_looks_at_the_name_of_the_original(app, root, client):
    static(app, root=root, immutable=True)
    write(root / "app.3f9ac01b.js", b"x")
    write(root / "app.3f9ac01b.js.gz", b"GZIPPED")
    headers = {"Accept-Encoding": "gzip"}
    response = await client.get("/static/app.3f9ac01b.js", headers=headers)
    assert (response.body, response.headers["Cache-Control"]) == (b"GZIPPED", FOREVER)


def test_a_long_name_is_searched_at_once():
    started = time.process_time()
    assert not HASHED.search("-" + "a1" * 100_000)
    assert not HASHED.search("-1" * 100_000)
    assert time.process_time() - started < patience(1)


async def test_errors_are_not_cached(app, root, client):
    static(app, root=root, cache_control="max-age=3600")
    response = await client.get("/static/nothing")
    assert "Cache-Control" not in response.headers


# What is remembered


async def test_what_was_found_is_believed_for_a_while(app, root, client):
    static(app, root=root, ttl=60)
    assert (await client.get("/static/a.txt")).body == TEXT
    (root / "a.txt").unlink()
    assert (await client.get("/static/a.txt")).body == TEXT
    assert (await client.head("/static/a.txt")).status == 200


@pytest.fixture
def clock(monkeypatch):
    """The clock by which what was found becomes too old; it stands still."""
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(cache, "time", clock)
    return clock


async def test_what_was_found_is_looked_at_again(app, root, client, clock):
    static(app, root=root, ttl=5)
    assert (await client.get("/static/a.txt")).body == TEXT
    write(root / "a.txt", b"new")
    clock.now += 4.9
    assert (await client.get("/static/a.txt")).body == TEXT
    clock.now += 0.1
    assert (await client.get("/static/a.txt")).body == b"new"


async def test_a_root_that_does_not_exist_is_404_until_it_does(app, client, tmp_path):
    later = tmp_path / "later"
    with pytest.warns(UserWarning, match=r"^static: root='.*/later' does not exist: "):
        static(app, "/later/", later, "index.html", ttl=0)
    for path in ("/later/", "/later/a.txt"):
        assert (await client.get(path)).status == 404
    later.mkdir()
    (later / "a.txt").write_text("here")
    assert (await client.get("/later/a.txt")).body == b"here"
    assert (await client.get("/later/")).status == 404


async def test_what_is_missing_is_not_remembered(app, root, client):
    static(app, root=root, ttl=60)
    assert (await client.get("/static/new")).status == 404
    write(root / "new", b"new")
    assert (await client.get("/static/new")).body == b"new"


async def test_what_has_changed_since_it_was_found_is_sent_as_it_is(app, root, client):
    static(app, root=root, ttl=60)
    write(root / "a.txt", LARGE)
    assert (await client.head("/static/a.txt")).status == 200
    write(root / "new", LARGE[1:], date=DATE + 1).replace(root / "a.txt")
    response = await client.get("/static/a.txt")
    assert response.body == LARGE[1:]
    assert response.headers["Content-Length"] == str(len(LARGE) - 1)
    assert response.headers["Last-Modified"] == "Tue, 14 Nov 2023 22:13:21 GMT"


@pytest.mark.parametrize("content", [TEXT[:5], LARGE])
async def test_preconditions_are_of_what_is_opened(app, root, client, content):
    static(app, root=root, ttl=60)
    assert (await client.head("/static/a.txt")).status == 200
    write(root / "a.txt", content, date=DATE + 5)
    tag = f'"{(DATE + 5) * 10**9:x}-{len(content):x}"'
    headers = {"If-None-Match": tag}
    assert (await client.get("/static/a.txt", headers=headers)).status == 304


async def test_a_file_that_went_is_404(app, root, client):
    static(app, root=root, ttl=60)
    assert (await client.head("/static/a.txt")).status == 200
    (root / "a.txt").unlink()
    assert (await client.get("/static/a.txt")).status == 404


async def test_a_symlink_in_the_place_of_a_file_is_not_followed(app, root, client):
    static(app, root=root, ttl=60)
    assert (await client.head("/static/a.txt")).status == 200
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to(root.parent / "secret.txt")
    assert (await client.get("/static/a.txt")).status == 404


async def test_a_symlink_in_the_place_of_a_folder_is_not_followed(app, root, client):
    static(app, root=root, ttl=60)
    write(root / "sub" / "secret.txt", b"public")
    assert (await client.head("/static/sub/secret.txt")).status == 200
    (root / "sub").rename(root / "moved")
    (root / "sub").symlink_to(root.parent / "site2")
    assert (await client.get("/static/sub/secret.txt")).status == 404


async def test_systems_that_cannot_open_beneath_a_folder(
    app, root, client, monkeypatch
):
    monkeypatch.setattr(os, "supports_dir_fd", set())
    static(app, root=root)
    assert (await client.get("/static/css/style.css")).body == b"body {}"


async def test_a_fifo_in_the_place_of_a_file_is_not_waited_for(app, root, client):
    static(app, root=root, ttl=60)
    assert (await client.head("/static/a.txt")).status == 200
    (root / "a.txt").unlink()
    os.mkfifo(root / "a.txt")
    assert (await client.get("/static/a.txt")).status == 404


@pytest.mark.parametrize(("name", "opened"), [("kept.bin", 1), ("large.bin", 8)])
async def test_what_many_ask_for_at_once_is_read_once(
    app, root, client, monkeypatch, name, opened
):
    write(root / "kept.bin", bytes(cache.KEPT))
    write(root / "large.bin", bytes(cache.KEPT + 1))
    found, go = [], threading.Event()
    open_file = files.Folder.open

    def spy(folder, variant, room):
        found.append(variant.name)
        go.wait(patience(10))
        return open_file(folder, variant, room)

    monkeypatch.setattr(files.Folder, "open", spy)
    static(app, root=root, ttl=60)
    asking = asyncio.gather(*(client.get(f"/static/{name}") for _ in range(8)))
    await until(lambda: found)
    await turns()  # all of them have asked
    go.set()
    answers = await asking
    assert {answer.body for answer in answers} == {(root / name).read_bytes()}
    assert found == [name] * opened


@pytest.mark.parametrize("content", [TEXT[::-1], TEXT[1:], TEXT * 2])
async def test_a_slow_read_leaves_nothing_to_the_file_that_came_after(
    app, root, client, monkeypatch, clock, content
):
    started, go = threading.Event(), threading.Event()
    open_file = files.Folder.open

    def read_slowly(folder, variant, room):
        opened = open_file(folder, variant, room)
        started.set()
        go.wait(patience(10))
        return opened

    monkeypatch.setattr(files.Folder, "open", read_slowly)
    static(app, root=root, ttl=0.1)
    slow = asyncio.create_task(client.get("/static/a.txt"))
    await until(started.is_set)
    clock.now += 0.11
    write(root / "new", content, date=DATE + 1).replace(root / "a.txt")
    assert (await client.head("/static/a.txt")).status == 200  # found, and not read
    go.set()
    assert (await slow).body == TEXT
    answer = await client.get("/static/a.txt")
    assert (answer.status, answer.body) == (200, content)


async def test_who_waits_for_a_read_that_fails_reads_again(app, root, client):
    static(app, root=root, ttl=60)
    assert (await client.head("/static/a.txt")).status == 200
    (root / "a.txt").unlink()
    answers = await asyncio.gather(*(client.get("/static/a.txt") for _ in range(4)))
    assert [answer.status for answer in answers] == [404] * 4
    write(root / "a.txt", TEXT)
    assert (await client.get("/static/a.txt")).body == TEXT


async def test_memory_of_what_was_found_is_bounded(app, root, client, monkeypatch):
    monkeypatch.setattr(cache, "ENTRIES", 2)
    monkeypatch.setattr(cache, "CONTENT", 50)
    static(app, root=root, ttl=60)
    for name in "abcd":
        write(root / name, TEXT)
    for name in "abcdab":
        assert (await client.get(f"/static/{name}")).body == TEXT
    for name in "abcd":
        (root / name).unlink()
    found = [(await client.get(f"/static/{name}")).status for name in "abcd"]
    assert found == [200, 200, 404, 404]


def test_the_content_that_is_remembered_is_counted(monkeypatch):
    monkeypatch.setattr(cache, "CONTENT", 10)
    known = cache.Cache(60)
    first, second = (known.add(path, {}) for path in "ab")
    for path, entry in [("a", first), ("b", second), ("a", first)]:
        known.keep(path, entry, "gzip", b"123456")
    assert first.contents == {"gzip": b"123456"}
    assert second.contents == {}  # there was no room
    known.add("a", {})
    known.keep("b", second, "gzip", b"123456")
    assert second.contents == {"gzip": b"123456"}


def test_what_was_read_of_an_entry_is_not_kept_by_the_next_one():
    known = cache.Cache(60)
    old = known.add("a", {})
    new = known.add("a", {})
    known.keep("a", old, "identity", b"old")
    assert new.contents == {}
    assert old.contents == {"identity": b"old"}  # who waits for it has the entry
    assert known.room == cache.KEPT
    known.forget("a")
    assert known._size == 0


def test_what_is_too_old_makes_room(clock):
    known = cache.Cache(5)
    for path in "abc":
        known.add(path, {})
    clock.now += 4.9
    assert known.get("a") is not None
    clock.now += 0.1
    assert known.get("a") is None
    known.add("d", {})
    assert [*known._entries] == ["d"]


def test_a_large_content_is_not_remembered():
    known = cache.Cache(60)
    entry = known.add("a", {})
    known.keep("a", entry, "identity", bytes(cache.KEPT + 1))
    assert entry.contents == {}


# Descriptors, memory and the loop


def descriptors(root):
    """Count the files under *root* that this process has open."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += str(entry.readlink()).startswith(str(root))
        except FileNotFoundError:  # it was the one of this very loop
            continue
    return found


async def test_every_descriptor_is_given_back(served, app, client):
    write(served / "large.bin", LARGE)
    for fields in (
        {},
        {"Range": "bytes=1-5"},
        {"If-None-Match": "*"},
        {"If-Match": "x"},
    ):
        for method in ("GET", "HEAD"):
            for name in ("large.bin", "a.txt"):
                await client.request(f"/static/{name}", method, headers=fields)
    await until(lambda: not descriptors(served))


async def test_a_client_that_leaves_costs_no_descriptor(served, app):
    write(served / "large.bin", LARGE)
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: transport.get_write_buffer_size() > 10_000)
    assert descriptors(served) == 1
    transport.disconnect()
    await transport.wait_closed()
    await until(lambda: not descriptors(served))


async def test_a_body_that_a_listener_replaces_costs_no_descriptor(served, app, client):
    write(served / "large.bin", LARGE)

    @app.listen("response")
    async def replace_body(request, response):
        response.body = b"x"
        response.headers["Content-Length"] = 1

    assert (await client.get("/static/large.bin")).body == b"x"
    await until(lambda: not descriptors(served))


async def test_many_clients_share_the_memory_for_pieces(served, app, monkeypatch):
    monkeypatch.setattr(files, "SENDING", 256 * 1024)
    monkeypatch.setattr(files, "QUICK", 60)
    write(served / "large.bin", LARGE)
    transports = []
    for _ in range(4):
        transport = connect(app)
        transport.stall()
        transport.feed(b"GET /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        transports.append(transport)
    for transport in transports:
        await until(transport.get_write_buffer_size)
    for transport in transports:
        # The pieces that were chosen before the last client came may be larger.
        for _ in range(5):
            transport.drain(transport.get_write_buffer_size())
            await until(transport.get_write_buffer_size)
            await turns()
        assert transport.get_write_buffer_size() == files.PIECES[0]
    for transport in transports:
        transport.disconnect()
        await transport.wait_closed()
    await until(lambda: not descriptors(served))


class Disk(ThreadPoolExecutor):
    """The only thread for the disk, which waits until told."""

    def __init__(self):
        super().__init__(1)
        self.gate = threading.Event()
        self.asked = 0  # how often, since it waits

    def submit(self, *arguments):
        self.asked += 1
        return super().submit(*arguments)

    def stop(self):
        self.submit(self.gate.wait)
        self.asked = 0

    async def go_on(self):
        """Let it do all that it was asked for."""
        self.gate.set()
        await asyncio.get_running_loop().run_in_executor(self, int)


@pytest.fixture
async def disk():
    with Disk() as disk:
        asyncio.get_running_loop().set_default_executor(disk)
        yield disk
        disk.gate.set()


@pytest.mark.parametrize("name", ["large.bin", "a.txt"])
@pytest.mark.parametrize("is_found", [False, True])
async def test_a_client_that_leaves_while_a_file_is_opened(
    app, root, disk, name, is_found
):
    write(root / "large.bin", LARGE)
    static(app, root=root, ttl=60)
    request = f"GET /static/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    if is_found:
        await exchange(app, request.replace(b"GET", b"HEAD"))
    disk.stop()
    transport = connect(app)
    transport.feed(request)
    await until(lambda: disk.asked)
    transport.disconnect()
    await transport.wait_closed()
    await disk.go_on()
    await until(lambda: not descriptors(root))


async def test_a_client_that_leaves_before_a_file_that_went(app, root, disk):
    write(root / "large.bin", LARGE)
    static(app, root=root, ttl=60)
    await exchange(app, b"HEAD /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    disk.stop()
    transport = connect(app)
    transport.feed(b"GET /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: disk.asked)
    transport.disconnect()
    await transport.wait_closed()
    (root / "large.bin").unlink()
    await disk.go_on()
    await turns()
    assert not descriptors(root)


async def test_a_client_that_leaves_while_a_file_is_read(served, app, disk):
    write(served / "large.bin", LARGE)
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: transport.get_write_buffer_size() > 10_000)
    disk.stop()
    transport.drain()
    await until(lambda: disk.asked)  # the next piece is waited for
    transport.disconnect()
    await transport.wait_closed()
    assert descriptors(served) == 1  # it is being read
    await disk.go_on()
    await until(lambda: not descriptors(served))


async def test_a_slow_disk_does_not_block_the_loop(app, served, disk):
    disk.stop()
    transport = connect(app)
    transport.feed(b"GET /static/a.txt HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: disk.asked)
    await turns()  # it goes on, although the disk does not
    assert transport.data == b""
    await disk.go_on()
    await settle(transport)
    assert transport.data.endswith(TEXT)
    transport.disconnect()
    await transport.wait_closed()


async def test_a_slow_client_gets_small_pieces(served, app, monkeypatch):
    monkeypatch.setattr(files, "QUICK", 0)
    write(served / "large.bin", LARGE * 4)
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    held = []
    for _ in range(6):
        await until(lambda: transport.get_write_buffer_size() > 0)
        held.append(transport.get_write_buffer_size())
        await turns()
        transport.drain(transport.get_write_buffer_size())
    assert max(held) <= files.SMALL + 1000
    transport.drain()
    await settle(transport)
    assert transport.data.partition(b"\r\n\r\n")[2] == LARGE * 4
    transport.disconnect()
    await transport.wait_closed()


async def test_a_file_that_shrinks_cuts_the_connection(served, app, caplog):
    write(served / "large.bin", LARGE)
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: transport.get_write_buffer_size() > 10_000)
    os.truncate(served / "large.bin", files.SMALL)
    transport.drain()
    await transport.wait_closed()
    assert len(transport.data.partition(b"\r\n\r\n")[2]) == files.SMALL
    assert "was cut short" in caplog.text
    await until(lambda: not descriptors(served))


async def test_a_file_that_grows_is_sent_as_long_as_promised(served, app):
    write(served / "large.bin", LARGE)
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: transport.get_write_buffer_size() > 10_000)
    with (served / "large.bin").open("ab") as file:
        file.write(b"more")
    transport.drain()
    await settle(transport)
    assert transport.data.partition(b"\r\n\r\n")[2] == LARGE
    transport.disconnect()
    await transport.wait_closed()


async def test_a_file_that_is_replaced_is_sent_as_it_was(served, app):
    write(served / "large.bin", LARGE)
    transport = connect(app)
    transport.stall()
    transport.feed(b"GET /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: transport.get_write_buffer_size() > 10_000)
    write(served / "new", LARGE[::-1]).replace(served / "large.bin")
    transport.drain()
    await settle(transport)
    assert transport.data.partition(b"\r\n\r\n")[2] == LARGE
    transport.disconnect()
    await transport.wait_closed()


# Other systems have no file that promises more than it gives, and none to install.
@pytest.mark.skipif(sys.platform != "linux", reason="files of Linux' kernel")
async def test_a_file_shorter_than_it_says_is_503(app, client):
    static(app, root="/sys/kernel")  # each says that it has 4096 bytes
    assert (await client.get("/static/notes")).status in (200, 404)
    response = await client.get("/static/fscaps")
    assert (response.status, response.body) == (503, b"Service Unavailable")


@contextmanager
def no_descriptors():
    """Let nothing be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_it_is_503(served, client, caplog):
    with no_descriptors():
        for _ in range(3):
            response = await client.get("/static/a.txt")
            assert (response.status, response.body) == (503, b"Service Unavailable")
        assert (await client.get("/static/missing")).status == 404
    assert (await client.get("/static/a.txt")).body == TEXT
    assert len(caplog.records) == 1
    assert caplog.messages[0].startswith("Too many open files: ")


def test_types_of_files_are_known_without_a_descriptor(root):
    # In a process of its own, where nothing was asked for a type before.
    code = """if True:
        import resource, roll, roll_static
        from roll_static.files import guess_type
        roll_static.static(roll.Roll())
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        print(guess_type("a.unheard-of"), guess_type("a.txt"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    expected = "application/octet-stream text/plain; charset=utf-8\n"
    assert (done.stdout, done.stderr) == (expected, "")


async def test_many_slow_clients_cost_little_memory(served, app, liveclient):
    content = write(served / "large.bin", bytes(40 * 2**20))
    assert content.stat().st_size == 40 * 2**20
    await liveclient.start()
    clients = [
        await asyncio.open_connection("127.0.0.1", liveclient.port) for _ in "x" * 20
    ]
    await until(lambda: len(app.connections) == 20)
    before = resident()
    for _, writer in clients:
        writer.write(b"GET /static/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    await until(lambda: all(map(is_behind, app.connections)))
    await turns(100)
    assert resident() - before < 200 * 2**20  # of 800 MiB
    for _, writer in clients:
        writer.transport.abort()
    await until(lambda: not descriptors(served))


def is_behind(connection):
    return connection.transport.get_write_buffer_size() > 0


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


# Mistakes in options


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"prefix": b"/"}, TypeError, "prefix=b'/': give a path, such as '/static/'"),
        ({"prefix": ""}, ValueError, "prefix='': give a path, such as '/static/'"),
        ({"prefix": "x"}, ValueError, "prefix='x': give a path, such as '/static/'"),
        ({"prefix": "//"}, ValueError, "prefix='//': give a path, such as '/static/'"),
        ({"prefix": "/{a}"}, ValueError, "prefix='/{a}': leave placeholders out"),
        ({"prefix": "/}"}, ValueError, "prefix='/}': leave placeholders out"),
        (
            {"root": None},
            TypeError,
            "root=None: give a folder, as a string or a Path",
        ),
        (
            {"root": Path("/dev/null")},
            ValueError,
            "root='/dev/null' is not a folder",
        ),
        (
            {"default_index": None},
            TypeError,
            "default_index=None: give the name of a file, such as 'index.html'",
        ),
        *(
            (
                {"default_index": index},
                ValueError,
                f"default_index={index!r}: give the name of a file, such as "
                "'index.html'",
            )
            for index in (".", "..", "a/b", "../a", "a\\b", "a\0")
        ),
        ({"name": None}, TypeError, "name=None: give the name of the route"),
        ({"hidden": 1}, TypeError, "hidden=1: give True or False"),
        (
            {"cache_control": 3600},
            TypeError,
            "cache_control=3600: give text, or None to send none",
        ),
        *(
            (
                {"cache_control": value},
                ValueError,
                f"cache_control={value!r}: give directives, such as 'max-age=3600', "
                "or None to send none",
            )
            for value in ("", " ", "a\r\nb", "é", "a ")
        ),
        (
            {"immutable": None},
            TypeError,
            "immutable=None: give True, or a regular expression, a string",
        ),
        (
            {"immutable": re.compile(b"x")},
            TypeError,
            "immutable=re.compile(b'x'): give True, or a regular expression, a string",
        ),
        (
            {"immutable": "("},
            ValueError,
            "immutable='(' is not a regular expression: missing ), unterminated "
            "subpattern at position 0",
        ),
        ({"ttl": "1"}, TypeError, "ttl='1': give seconds, a number"),
        ({"ttl": True}, TypeError, "ttl=True: give seconds, a number"),
        ({"ttl": -1}, ValueError, "ttl=-1: give seconds, 0 or more"),
        ({"ttl": float("nan")}, ValueError, "ttl=nan: give seconds, 0 or more"),
        ({"ttl": float("inf")}, ValueError, "ttl=inf: give seconds, 0 or more"),
    ],
)
def test_a_mistake_in_an_option_says_what_to_do(app, options, kind, message):
    with pytest.raises(kind) as caught:
        static(app, **options)
    assert str(caught.value) == message
    assert app.declarations == []


def test_the_same_prefix_twice_is_a_mistake(app, root):
    static(app, root=root)
    with pytest.raises(ValueError, match="prefix='/static/' is served already: "):
        static(app, root=root)


def test_other_keywords_are_extras_of_the_route(served):
    app = Roll()
    static(app, root=served, session=False)
    assert app.declarations[0].extras == {"name": "static", "session": False}


def test_a_misspelled_option_is_no_extra(served):
    with pytest.raises(TypeError, match="hiddenn= is unknown; did you mean hidden="):
        static(Roll(), root=served, hiddenn=True)
