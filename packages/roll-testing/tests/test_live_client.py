import asyncio
import io
from http import HTTPStatus

import pytest
from roll import HttpError, Roll
from roll_testing import LiveClient, patience, turns


@pytest.fixture
def app():
    app = Roll()

    @app.route("/echo", methods=["GET", "HEAD", "POST"])
    async def echo(request, response):
        response.body = request.body or request.host

    @app.route("/framing", methods=["POST"])
    async def framing(request, response):
        fields = [
            request.headers.get(n) for n in ("TRANSFER-ENCODING", "CONTENT-LENGTH")
        ]
        response.json = [*fields, request.body.decode()]

    @app.route("/chunks")
    async def chunks(request, response):
        async def body():
            yield b"abc"
            yield b"de"

        response.body = body()

    @app.route("/refused", methods="POST", lazy_body=True)
    async def refused(request, response):
        raise HttpError(HTTPStatus.FORBIDDEN, "No")

    @app.route("/stuck")
    async def stuck(request, response):
        await asyncio.Event().wait()

    @app.route("/cut")
    async def cut(request, response):
        request.protocol.transport.close()

    return app


async def test_a_query_goes_through_a_real_socket(liveclient):
    response = await liveclient.query("GET", "/echo")
    assert response.status == 200
    assert f"http://{response.text}" == liveclient.url
    assert f"ws://{response.text}" == liveclient.wsl
    assert "Date" in response.headers


async def test_headers_and_body_are_sent(liveclient):
    response = await liveclient.query("post", "/echo", {"Host": "x.test"}, "é")
    assert response.body == b"\xc3\xa9"
    response = await liveclient.query("GET", "/echo", headers={"Host": "x.test"})
    assert response.body == b"x.test"
    assert (await liveclient.query("HEAD", "/echo")).body == b""


async def test_the_chunks_of_the_last_answer_are_kept(liveclient):
    response = await liveclient.query("GET", "/chunks")
    assert response.body == b"abcde"
    assert liveclient.chunks == [b"abc", b"de"]
    await liveclient.query("GET", "/echo")
    assert liveclient.chunks == []


async def test_an_async_body_is_sent_in_chunks(liveclient):
    async def body():
        yield b"a"
        await turns()
        yield "b"

    assert (await liveclient.query("POST", "/echo", body=body())).body == b"ab"


@pytest.mark.parametrize("make", [lambda: iter(["a", b"b"]), lambda: io.BytesIO(b"ab")])
async def test_an_iterator_and_a_file_are_sent_in_chunks(liveclient, make):
    response = await liveclient.query("POST", "/framing", body=make())
    assert response.json == ["chunked", None, "ab"]


async def test_a_dict_is_sent_as_json(liveclient):
    response = await liveclient.query("POST", "/framing", body={"a": 1})
    assert response.json == [None, "8", '{"a": 1}']


async def test_the_reason_phrase_is_there(liveclient):
    assert (await liveclient.query("GET", "/echo")).reason == "OK"
    assert (await liveclient.query("GET", "/nowhere")).reason == "Not Found"


async def test_a_server_may_answer_before_it_has_read_all(liveclient):
    async def endless():
        while True:
            yield bytes(2**16)

    response = await liveclient.query("POST", "/refused", body=endless())
    assert (response.status, response.text) == (403, "No")


async def test_a_body_that_fails_is_the_error(liveclient):
    async def broken():
        yield b"a"
        raise RuntimeError("the body is broken")

    with pytest.raises(RuntimeError, match="the body is broken"):
        await liveclient.query("POST", "/echo", body=broken())


async def test_an_answer_that_never_comes_is_an_error(liveclient):
    liveclient.timeout = 0.05
    with pytest.raises(
        TimeoutError, match=f"GET /stuck is not answered after {patience(0.05):g} s"
    ):
        await liveclient.query("GET", "/stuck")


async def test_a_connection_that_closes_is_an_error(liveclient):
    with pytest.raises(ConnectionError, match=r"GET /cut: .* without a response"):
        await liveclient.query("GET", "/cut")


async def test_a_live_client_can_be_made_by_hand_and_started_again(app):
    live = LiveClient(app)
    for _ in range(2):
        async with live:
            assert (await live.query("GET", "/echo")).status == 200
    live.close()


async def test_both_clients_share_one_app(client, liveclient):
    assert client.app is liveclient.app
    assert (await client.get("/echo")).status == 200
    assert (await liveclient.query("GET", "/echo")).status == 200
