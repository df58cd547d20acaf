"""What a request costs, counted: no time is measured, so that nothing else matters."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
import roll
from roll import Roll
from roll_testing import Transport

CORE = f"{Path(roll.__file__).parent}{os.sep}"

REQUESTS = {
    "minimal": b"GET /minimal HTTP/1.1\r\nHost: a\r\n\r\n",
    "full": b"GET /full/foo/bar?query=fubar HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n",
}

# One more than it takes on Python 3.11, whose tasks are not eager: what raises this
# has to be worth it.
MOST = {"minimal": 29, "full": 41}


@pytest.fixture
def app():
    app = Roll()

    @app.route("/minimal")
    async def minimal(request, response):
        response.json = {"message": "Hello, World!"}

    @app.route("/full/{one}/{two}")
    async def full(request, response, one, two):
        response.json = [one, two, request.query.get("query"), request.cookies["a"]]
        response.cookies.set("c", "d")

    return app


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_takes_few_calls(app, name):
    calls = await count_calls(app, REQUESTS[name])
    assert len(calls) <= MOST[name], "\n".join(calls)


async def count_calls(app, request):
    """List the functions of the core that a request takes."""
    protocol = app.factory()
    transport = Transport(protocol)
    protocol.connection_made(transport)
    await ask(transport, request)  # what is kept is made
    calls = []

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(CORE):
            calls.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        await ask(transport, request)
    finally:
        sys.setprofile(None)
    transport.disconnect()
    await transport.wait_closed()
    return calls


async def test_plain_listeners_take_no_coroutine_each(app):
    without = await count_calls(app, REQUESTS["minimal"])
    for event in ("headers", "response"):
        app.listen(event)(lambda request, response: None)
    calls = await count_calls(app, REQUESTS["minimal"])
    assert len(calls) <= len(without) + 1, "\n".join(calls)  # `_prepare`


async def ask(transport, request):
    before = len(transport.data)
    transport.feed(request)
    while len(transport.data) == before:
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # the round ends: the next response is the first of its own
    assert transport.since(before).startswith(b"HTTP/1.1 200 OK\r\n")
