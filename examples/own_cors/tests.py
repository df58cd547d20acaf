import pytest

from examples import own_cors


@pytest.fixture
def app():
    return own_cors.app


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/nowhere", 404)])
async def test_every_answer_has_the_header(client, path, status):
    answer = await client.get(path)
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == "https://example.org"
