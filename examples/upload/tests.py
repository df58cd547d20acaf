import asyncio
import hashlib

import pytest
from roll_testing import patience, until

from examples import upload


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setitem(upload.app, "folder", tmp_path)
    return upload.app


async def test_an_image_is_stored_as_it_comes(client, tmp_path):
    image = b"\x89PNG" * 500_000
    answer = await client.post("/images", body=image, content_type="image/png")
    assert answer.status == 201
    assert answer.json["sha256"] == hashlib.sha256(image).hexdigest()
    assert (tmp_path / answer.json["name"]).read_bytes() == image


async def test_an_image_of_a_form_is_stored(client, tmp_path):
    image = b"\x89PNG" * 500_000
    files = {"image": (image, "../cat.png", "image/png")}
    answer = await client.post("/forms", files=files)
    assert answer.status == 201
    assert (tmp_path / answer.json["name"]).read_bytes() == image


async def test_another_file_of_a_form_is_not_stored(client, tmp_path):
    files = {"image": (b"<script>", "cat.html", "text/html")}
    answer = await client.post("/forms", files=files)
    assert answer.status == 415
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "status_line"),
    [
        ("Content-Type: text/html\r\nContent-Length: 9000", b"415 Unsupported"),
        ("Content-Type: image/png\r\nTransfer-Encoding: chunked", b"411 Length"),
        ("Content-Type: image/png\r\nContent-Length: 200000000", b"413 Content"),
    ],
)
async def test_what_is_not_wanted_is_refused_before_it_is_sent(
    liveclient, tmp_path, fields, status_line
):
    host, port = liveclient.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /images HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n{fields}"
    writer.write(head.encode() + b"\r\n\r\n")
    # It ends: the server closes.
    answer = await asyncio.wait_for(reader.read(), patience(5))
    assert answer.startswith(b"HTTP/1.1 " + status_line)
    writer.close()
    await writer.wait_closed()
    assert list(tmp_path.iterdir()) == []


async def test_an_upload_that_breaks_off_leaves_no_file(liveclient, tmp_path):
    host, port = liveclient.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /images HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n"
    writer.write(head.encode() + b"Content-Type: image/png\r\n\r\nonly some of it")
    await until(lambda: list(tmp_path.iterdir()), "the file")
    writer.close()
    await writer.wait_closed()
    await until(lambda: not list(tmp_path.iterdir()), "the end of the file")
