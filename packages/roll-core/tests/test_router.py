"""What a Router finds, and what listeners of `route:find` find before it."""

import pytest
from roll import Endpoint, Request, Roll


@pytest.fixture
def app():
    app = Roll()

    @app.route("/u/{name}", color="red")
    async def view(request, response, name):
        response.body = f"the router's {name}"

    return app


async def answer(request, response, name):
    response.body = f"a listener's {name}"


def test_the_router_finds_without_listeners(app):
    @app.listen("route:find")
    def refuse(path, request):
        raise NotImplementedError  # the test fails where it is asked

    endpoint, variables = app.router.find("/u/me", "GET")
    assert (endpoint.path, variables) == ("/u/{name}", {"name": "me"})
    assert app.router.find("/none", "GET")[0].found is False
    assert app.router.find("/u/me", "PUT")[0].found is False


async def test_the_first_listener_that_finds_an_endpoint_answers(app, client):
    asked = []

    @app.listen("route:find")
    def find_nothing(path, request):
        asked.append((path, request.method))

    @app.listen("route:find")
    def find(request, path):  # in the order of the names
        if path == "/u/you":
            return Endpoint(answer, path="/found"), {"name": request.method}

    @app.listen("route:find")
    def come_last(path, request):
        asked.append("last")

    assert (await client.get("/u/you")).body == b"a listener's GET"
    assert asked == [("/u/you", "GET")]
    assert (await client.get("/u/me")).body == b"the router's me"
    assert asked == [("/u/you", "GET"), ("/u/me", "GET"), "last"]
    assert (await client.get("/none")).status == 404


async def test_a_look_up_is_made_once_and_again_for_path_method_and_host(app, client):
    looked_up = []

    @app.listen("route:find")
    def note(path, request):
        looked_up.append((path, request.method, request.host))

    @app.listen("headers")
    async def change(request, response):
        assert request.endpoint is request.endpoint
        request.path = "/u/you"
        assert request.route.vars == {"name": "you"}
        request.method = "PUT"
        assert request.endpoint.found is False
        request.host = "b"
        assert request.endpoint.found is False

    assert (await client.get("/u/me")).status == 405
    assert looked_up == [
        ("/u/me", "GET", "roll.test"),
        ("/u/you", "GET", "roll.test"),
        ("/u/you", "PUT", "roll.test"),
        ("/u/you", "PUT", "b"),
    ]


@pytest.mark.parametrize("name", ["method", "host"])
async def test_a_path_that_does_not_decode_stays_400(app, client, name):
    @app.listen("route:find")
    def find_nothing(path, request):
        pass

    @app.listen("headers")
    async def change(request, response):
        setattr(request, name, getattr(request, name))

    assert (await client.get("/u/%ff")).status == 400


@pytest.mark.parametrize("offer", [{}, {"Connection": "Upgrade", "Upgrade": "h2c"}])
async def test_a_listener_that_raises_is_a_500(app, client, offer, caplog):
    @app.listen("route:find")
    def fail(path, request):
        raise LookupError("of a listener")

    assert (await client.get("/u/me", headers=offer)).status == 500
    assert caplog.messages == ["GET /u/me: LookupError('of a listener')"]


async def test_a_listener_that_raises_once_is_asked_again(app, client):
    errors = [LookupError()]

    @app.listen("route:find")
    def fail(path, request):
        if errors:
            raise errors.pop()

    assert (await client.get("/u/me")).body == b"the router's me"


def test_a_listener_that_nobody_could_await_is_refused(app):
    with pytest.raises(TypeError, match="make it a plain def"):

        @app.listen("route:find")
        async def find(path, request):
            raise NotImplementedError  # it is refused, so nothing calls it


def test_a_request_made_by_hand_finds_nothing():
    assert Request(None, None).endpoint.found is False


def test_an_app_may_have_a_class_of_its_own_for_any_protocol():
    class Chat:
        TOKEN = "chat"
        ALLOWED_METHODS = ("POST",)
        PARAMETER = "chat"

    class App(Roll):
        ChatProtocol = Chat

    app = App()

    @app.route("/chat", protocol="chat")
    async def view(request, chat):
        raise NotImplementedError  # it is only declared

    assert app.declarations[0].methods == ("POST",)

    async def lonely(chat): ...

    with pytest.raises(TypeError, match=r"a view takes \(request, chat, \.\.\.\)"):
        app.route("/lonely", protocol="chat")(lonely)

    async def roomy(request, chat, room): ...

    with pytest.raises(TypeError, match=r"its route gives \(request, chat, name\): "):
        app.route("/roomy/{name}", protocol="chat")(roomy)

    with pytest.raises(ValueError, match="no installed package provides the protocol"):
        Roll().route("/chat", protocol="chat")(view)
