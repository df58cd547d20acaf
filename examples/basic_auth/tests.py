import base64

import pytest

from examples import basic_auth


@pytest.fixture
def app():
    return basic_auth.app


def basic(credentials):
    return {"Authorization": "Basic " + base64.b64encode(credentials).decode()}


async def test_who_knows_the_password_gets_in(client):
    answer = await client.get("/secret/x", headers=basic(b"tim:drowssap"))
    assert (answer.status, answer.body) == (200, b"tim may know about x")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic(b"tim:password"),
        basic(b"tom:drowssap"),
        basic(b"tom:"),
        basic(b"tim"),
        basic(b"\xff:\xff"),
        {"Authorization": "Basic ???"},
        {"Authorization": "Bearer dGltOmRyb3dzc2Fw"},
    ],
)
async def test_everybody_else_is_asked_for_it(client, headers):
    answer = await client.get("/secret/x", headers=headers)
    assert (answer.status, answer.body) == (401, b"Unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Roll"'
