"""flash and flashes: messages for the next page."""

import pytest
from jinja2 import DictLoader
from roll import Request, Roll
from roll.extensions import session, templates
from roll_session import MemoryStore, flash, flashes
from roll_testing import Client

KEY = "a key of 32 bytes, for the tests"


@pytest.fixture(params=[{"secret": KEY}, {"store": MemoryStore()}])
def app(request):
    app = Roll()
    session(app, **request.param)

    @app.route("/flash", methods=["POST"])
    async def add(request, response):
        for message in request.json:
            flash(request, *message)
        response.redirect = "/", 303

    @app.route("/")
    async def page(request, response):
        response.json = flashes(request)

    @app.route("/other")
    async def other(request, response): ...

    return app


async def test_messages_are_kept_until_they_are_read(app, client):
    await client.post("/flash", [["Saved"], ["Oh no", "error"]])
    await client.post("/flash", [["Again"]])
    assert (await client.get("/other")).headers.list("Set-Cookie") == []
    response = await client.get("/")
    assert response.json == [["info", "Saved"], ["error", "Oh no"], ["info", "Again"]]
    assert (await client.get("/")).json == []
    assert len(client.cookies) == 0  # nothing is left of the session


async def test_they_are_pairs_of_strings(app, client):
    @app.route("/pairs")
    async def pairs(request, response):
        flash(request, "a")
        assert flashes(request) == [("info", "a")]
        assert flashes(request) == []

    response = await client.get("/pairs")
    assert (response.status, response.headers.list("Set-Cookie")) == (200, [])


async def test_to_read_none_is_no_change(app, client):
    assert (await client.get("/")).headers.list("Set-Cookie") == []
    await client.post("/flash", [["a"]])
    await client.get("/")
    response = await client.get("/")
    assert response.headers.list("Set-Cookie") == []
    assert response.headers["Vary"] == "Cookie"


async def test_the_last_twenty_are_kept(app, client):
    """superset#44541: unread messages grew the cookie."""
    await client.post("/flash", [[str(number)] for number in range(15)])
    await client.post("/flash", [[str(number)] for number in range(15, 33)])
    found = (await client.get("/")).json
    assert [message for _, message in found] == [str(n) for n in range(13, 33)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["a" * 1001], "ValueError: flash: 1001 characters are more than 1000"),
        (["a", "b" * 1001], "ValueError: flash: 1001 characters"),
        ([7], "TypeError: flash(7): give a string"),
        (["a", None], "TypeError: flash(None): give a string"),
    ],
)
async def test_what_is_too_long_or_no_string_is_refused(
    app, client, arguments, error, caplog
):
    assert (await client.post("/flash", [arguments])).status == 500
    assert error in caplog.text
    assert (await client.post("/flash", [["a" * 1000]])).status == 303


async def test_what_a_stream_could_not_forget_it_cannot_read():
    """reader#81: messages came again."""
    app = Roll()
    session(app, KEY)

    @app.route("/flash")
    async def add(request, response):
        flash(request, "a")

    @app.route("/stream")
    async def stream(request, response):
        async def body():
            try:
                flashes(request)
            except RuntimeError as error:
                yield str(error).encode()

        response.body = body()

    async with Client(app) as client:
        await client.get("/flash")
        assert "do it before the view returns" in (await client.get("/stream")).text


def test_without_a_session_the_message_says_what_to_call():
    with pytest.raises(RuntimeError, match=r"call session\(app, secret\)"):
        flash(Request(None, None), "a")


@pytest.mark.parametrize("how", ["render", "stream"])
async def test_a_template_shows_them_once(app, client, how):
    """reader#81: it reads them before the head is sent, in a stream, too."""
    page = "{% for kind, text in flashes() %}{{ kind }}: {{ text }}{% endfor %}"
    pages = templates(app, loader=DictLoader({"page.html": page}))

    @app.route("/page")
    async def show(request, response):
        await getattr(pages, how)(request, response, "page.html")

    await client.post("/flash", [["<Saved>"]])
    assert (await client.get("/page")).text == "info: &lt;Saved&gt;"
    assert (await client.get("/page")).text == ""
