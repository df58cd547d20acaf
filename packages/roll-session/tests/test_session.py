import json
from base64 import urlsafe_b64decode

import pytest
from itsdangerous import Signer
from roll import HttpError, Roll
from roll.extensions import session
from roll_session import MemoryStore, RedisStore, options, sessions, signed, stored

KEY = "a key of 32 bytes, for the tests"


@pytest.fixture(params=["cookie", "memory", "redis"])
def kept(request):
    """Give what `session` is called with, for each place to keep sessions in."""
    if request.param == "cookie":
        return {"secret": KEY}
    if request.param == "memory":
        return {"store": MemoryStore()}
    return {"store": RedisStore(request.getfixturevalue("redis_server").url)}


@pytest.fixture
def app(kept):
    app = Roll()
    session(app, **kept)
    add_views(app)
    return app


def add_views(app):
    @app.route("/")
    async def untouched(request, response):
        response.body = "Hello"

    @app.route("/read")
    async def read(request, response):
        response.json = dict(request["session"])

    @app.route("/set", methods=["POST"])
    async def write(request, response):
        request["session"] |= request.json


def view(app, path="/view"):
    """Declare a view that is a function of the session."""

    def declare(function):
        @app.route(path)
        async def run(request, response):
            response.json = function(request["session"])

    return declare


def cookies(response):
    return response.headers.list("Set-Cookie") if hasattr(response.headers, "list") else response.headers.get("Set-Cookie")


async def test_what_is_set_is_there_at_the_next_request(app, client):
    response = await client.post("/set", {"user": "Zoé", "cart": [1, {"a": None}]})
    assert response.status == 200
    print(response.headers)
    response = await client.get("/read")
    assert response.json == {"user": "Zoé", "cart": [1, {"a": None}]}
