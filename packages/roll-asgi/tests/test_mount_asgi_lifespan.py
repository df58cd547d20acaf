"""mount_asgi: how a mounted application starts and ends."""

import asyncio
import contextlib

import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from roll.extensions import mount_asgi
from roll_asgi.lifespan import LifespanError
from roll_testing import Client, until
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from .asgi_rules import checked


def starlette(events, name="it", fails=None, **options):
    """Make an application with a lifespan."""

    @contextlib.asynccontextmanager
    async def lifespan(application):
        events.append(f"{name} starts")
        if fails == "startup":
            raise ValueError("no database")
        yield {"name": name}
        events.append(f"{name} ends")
        if fails == "shutdown":
            raise ValueError("no disk")

    async def home(request):
        url = request.url_for("home")
        return JSONResponse([request.state.name, str(url), request.scope["path"]])

    routes = [Route("/", home, name="home"), *options.pop("routes", ())]
    return Starlette(routes=routes, lifespan=lifespan, **options)


async def test_a_mounted_lifespan_runs_in_reverse_order_and_gives_state(app):
    """starlette#649, fastapi#811, #1480, airflow#43817: it never runs elsewhere."""
    events = []
    mount_asgi(app, "/a", checked(starlette(events, "a")))
    mount_asgi(app, "/b", checked(starlette(events, "b")))
    app.listen("startup")(lambda: events.append("app starts"))
    app.listen("shutdown")(lambda: events.append("app ends"))
    for _ in range(2):
        async with Client(app) as client:
            answer = (await client.get("/b/")).json
        assert answer == ["b", "http://roll.test/b/", "/b/"]
    once = ["a starts", "b starts", "app starts", "app ends", "b ends", "a ends"]
    assert events == once * 2


async def test_mounts_of_starlette_add_up(app):
    inner = starlette([], "inner")
    mount_asgi(app, "/out", checked(starlette([], routes=[Mount("/in", inner)])))
    async with Client(app) as client:
        answer = (await client.get("/out/in/")).json
    assert answer == ["it", "http://roll.test/out/", "/out/in/"]


@pytest.mark.parametrize("lifespan", [None, True])
async def test_a_start_that_fails_stops_the_start_of_the_app(app, lifespan):
    events = []
    mount_asgi(app, "/a", checked(starlette(events, "a")))
    fails = checked(starlette(events, "b", "startup"))
    mount_asgi(app, "/b", fails, lifespan=lifespan)
    mount_asgi(app, "/c", checked(starlette(events, "c")))
    with pytest.raises(LifespanError, match="ValueError: no database"):
        await app.startup()
    assert events == ["a starts", "b starts", "a ends"]


async def test_an_end_that_fails_is_told_and_the_others_end(app, caplog):
    events = []
    mount_asgi(app, "/a", checked(starlette(events, "a")))
    mount_asgi(app, "/b", checked(starlette(events, "b", "shutdown")))
    await app.startup()
    with contextlib.suppress(LifespanError):
        await app.shutdown()
    assert events[-2:] == ["b ends", "a ends"]
    assert "ValueError: no disk" in caplog.text


async def refusing(scope, receive, send):
    """As Django's application does."""
    if scope["type"] != "http":
        raise ValueError(f"Django can only handle http, not {scope['type']}")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


@pytest.mark.parametrize("lifespan", [None, False])
async def test_an_application_may_have_no_lifespan(app, lifespan):
    """django-continuous-delivery#179: Django refuses it by raising."""
    mount_asgi(app, "/m", refusing, lifespan=lifespan)
    async with Client(app) as client:
        assert (await client.get("/m")).body == b"here"


async def test_it_may_be_required(app):
    mount_asgi(app, "/m", refusing, lifespan=True)
    with pytest.raises(ValueError, match="can only handle http"):
        await app.startup()


async def test_an_application_may_return_at_once(app):
    async def application(scope, receive, send):
        pass

    mount_asgi(app, "/m", application)
    await app.startup()
    await app.shutdown()


async def test_a_start_that_is_cancelled_ends_the_lifespan(app):
    events = []

    async def application(scope, receive, send):
        events.append("starts")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("cancelled")

    mount_asgi(app, "/m", application)
    starting = asyncio.ensure_future(app.startup())
    await until(lambda: events)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert events == ["starts", "cancelled"]


async def test_what_goes_on_after_its_end_is_cancelled(app, monkeypatch):
    events = []

    async def application(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        try:
            await asyncio.Event().wait()
        finally:
            events.append("cancelled")

    monkeypatch.setattr("roll_asgi.lifespan.RETURN", 0.01)
    mount_asgi(app, "/m", application)
    await app.startup()
    await app.shutdown()
    assert events == ["cancelled"]


# FastAPI, as it is used


async def test_fastapi_is_served(app):
    events = []
    api = FastAPI()

    @api.get("/items/{id}")
    async def read(id: int, q: str = ""):
        return {"id": id, "q": q}

    @api.post("/items")
    async def write(item: dict, tasks: BackgroundTasks):
        tasks.add_task(events.append, item["name"])
        return item

    @api.get("/stream")
    async def stream():
        async def pieces():
            for number in range(3):
                yield f"{number}\n"
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), media_type="text/plain")

    @api.websocket("/ws")
    async def ws(websocket: WebSocket):
        await websocket.accept()
        while True:
            await websocket.send_json(await websocket.receive_json())

    mount_asgi(app, "/api", checked(api))
    async with Client(app) as client:
        assert (await client.get("/api/items/1?q=a")).json == {"id": 1, "q": "a"}
        assert (await client.get("/api/items/x")).status == 422
        posted = await client.post("/api/items", json={"name": "b"})
        assert posted.json == {"name": "b"}
        await until(lambda: events == ["b"])
        assert (await client.get("/api/stream")).body == b"0\n1\n2\n"
        docs = await client.get("/api/docs")
        assert b"/api/openapi.json" in docs.body
        async with client.websocket("/api/ws") as session:
            await session.send('{"a": 1}')
            assert await session.recv() == '{"a":1}'


async def test_a_stream_of_starlette_ends_when_its_client_leaves(app):
    """sse-starlette#132: it listens for the disconnect."""
    events = []

    async def stream(request):
        async def pieces():
            try:
                while True:
                    yield "data: x\n\n"
                    await asyncio.sleep(0)
            finally:
                events.append("closed")

        return StreamingResponse(pieces(), media_type="text/event-stream")

    mount_asgi(app, "/m", checked(Starlette(routes=[Route("/", stream)])))
    async with Client(app) as client:
        async with client.stream("/m/") as response:
            await anext(aiter(response))
        await until(lambda: events == ["closed"])


async def test_a_refusal_of_starlette_is_a_response(app):
    from roll_testing import HandshakeError

    async def deny(websocket):
        await websocket.send_denial_response(JSONResponse({"no": 1}, status_code=402))

    routes = [WebSocketRoute("/deny", deny)]
    mount_asgi(app, "/m", checked(Starlette(routes=routes)))
    async with Client(app) as client:
        with pytest.raises(HandshakeError) as error:
            async with client.websocket("/m/deny"):
                pass
        assert error.value.response.status == 402
        assert error.value.response.json == {"no": 1}
