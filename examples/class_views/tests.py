import pytest

from examples import class_views


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setitem(class_views.app, "notes", {})
    return class_views.app


async def test_a_note_is_made_read_and_removed(client):
    made = await client.post("/notes", form={"text": "Buy milk"})
    assert (made.status, made.headers["Location"]) == (303, "/notes/1")
    assert (await client.get("/notes/1")).body == b"Buy milk"
    assert (await client.get("/notes")).json == {"1": "Buy milk"}
    assert (await client.delete("/notes/1")).status == 204
    assert (await client.get("/notes/1")).body == b"No such note"


async def test_a_note_needs_its_text(client):
    answer = await client.post("/notes", form={"txt": "Buy milk"})
    assert (answer.status, answer.body) == (400, b"Missing 'text'")


async def test_what_a_class_has_no_function_for_is_405(client):
    answer = await client.put("/notes/1", body=b"")
    assert answer.status == 405
    assert answer.headers["Allow"] == "DELETE, GET, HEAD"
