import pytest

from examples import download


@pytest.fixture
def app():
    return download.app


async def test_the_file_is_sent_in_chunks(liveclient):
    answer = await liveclient.query("GET", "/poem")
    text = download.FILE.read_bytes()
    assert answer.body == text
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert liveclient.chunks == [text[n : n + 16] for n in range(0, len(text), 16)]


async def test_the_file_is_sent_with_its_length(client):
    answer = await client.get("/poem/with-its-length")
    assert answer.body == download.FILE.read_bytes()
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert "Transfer-Encoding" not in answer.headers


async def test_a_file_that_is_gone_is_404(client, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "FILE", tmp_path / "gone")
    assert (await client.get("/poem/with-its-length")).status == 404
