import hashlib

import pytest

from examples import hello

MIB = 1024 * 1024


@pytest.fixture
def app():
    return hello.app


async def test_the_page_lists_every_route(client, app):
    answer = await client.get("/")
    page = answer.body.decode()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for route in app.declarations:
        assert f"<code>{route.path}</code>" in page
        assert route.view.__doc__.endswith(".")


async def test_the_page_needs_nothing_from_elsewhere(client):
    page = (await client.get("/")).body.decode()
    assert "http://" not in page
    assert "https://" not in page


async def test_every_request_is_counted(client):
    await client.get("/nowhere")
    await client.get("/")
    assert (await client.get("/api")).json["Requests"] == 3


async def test_hello_is_found_by_a_query(client):
    answer = await client.get("/hello?name=Zo%C3%AB+%2F")
    assert (answer.status, answer.body) == (302, b"")
    assert answer.headers["Location"] == "/hello/Zo%C3%AB%20%2F"


async def test_hello_is_text(client):
    answer = await client.get("/hello/%3Cscript%3E")
    assert answer.body == b"Hello <script>"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_the_form_comes_back_escaped(client):
    data = {"<name>": ["Zoë", "<script>"], "blank": ""}
    page = (await client.post("/form", form=data)).body.decode()
    assert "<td>&lt;name&gt;</td><td>Zoë, &lt;script&gt;</td>" in page
    assert "<td>blank</td><td></td>" in page


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/upload", 0, 200),
        ("/upload", MIB - 1000, 200),
        ("/upload", MIB, 413),
        ("/upload/large", 0, 200),
        ("/upload/large", 32 * MIB, 200),
        ("/upload/large", 32 * MIB + 1, 413),
    ],
)
async def test_an_upload_is_described(client, path, size, status):
    content = b"x" * size
    files = {"files": (content, '<b>"ü".bin', "application/x-thing")}
    answer = await client.post(path, files=files)
    assert answer.status == status
    if status == 200:
        cells = [
            *("&lt;b&gt;&quot;ü&quot;.bin", "application/x-thing", size),
            hashlib.sha256(content).hexdigest(),
        ]
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        assert row in answer.body.decode()


async def test_several_files_are_described(client):
    files = {"files": [(b"one", "1.txt"), (b"two", "2.txt")]}
    page = (await client.post("/upload", files=files)).body.decode()
    assert page.index("<td>1.txt</td>") < page.index("<td>2.txt</td>")


async def test_json_is_echoed(client):
    answer = await client.post("/api", body='{"text": "ü", "times": 2}')
    assert answer.json == {"echo": ["ü", "ü"]}


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "[]", '{"text": "x"}', '{"text": 1, "times": 1}'),
        *('{"text": "x", "times": 11}', '{"text": "x", "times": "1"}'),
    ],
)
async def test_json_of_another_shape_is_refused(client, body):
    assert (await client.post("/api", body=body)).status == 400


async def test_a_download_is_streamed(liveclient):
    answer = await liveclient.query("GET", "/download?mib=2")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="roll-2.txt"'
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(answer.body) == 2 * MIB
    assert liveclient.chunks == [hello.BLOCK] * 32


@pytest.mark.parametrize(
    "query", ["mib=0", "mib=101", "mib=ten", "seconds=-1", "seconds=61", "seconds=nan"]
)
async def test_a_download_has_bounds(client, query):
    assert (await client.get(f"/download?{query}")).status == 400
