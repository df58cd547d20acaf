"""session: what is kept, when it is saved, and what the cookie looks like."""

import asyncio
import gc
import json
import logging
import re
from base64 import urlsafe_b64decode
from hashlib import sha256

import pytest
from itsdangerous import Signer
from roll import HttpError, Roll
from roll.extensions import mount, proxy_headers, session, static
from roll_session import MemoryStore, RedisStore, sessions, signed, stored, stores
from roll_testing import Client, patience, until

KEY = "a key of 32 bytes, for the tests"
NAME = "__Host-session"


@pytest.fixture(params=["cookie", "memory", "redis"])
def place(request):
    """Give what `session` is called with, for each place to keep sessions in."""
    if request.param == "cookie":
        return {"secret": KEY}
    if request.param == "memory":
        return {"store": MemoryStore()}
    return {
        "store": RedisStore(
            request.getfixturevalue("redis_server").url, timeout=patience(5)
        )
    }


@pytest.fixture
def kept(place):
    """Tell whether there is a store."""
    return "store" in place


@pytest.fixture
def app(place):
    return make_app(**place)


@pytest.fixture
def stored_app():
    return make_app(store=MemoryStore())


def make_app(*arguments, **options):
    app = Roll()
    session(app, *arguments, **options)

    @app.route("/read")
    async def read(request, response):
        response.json = dict(request["session"])

    @app.route("/set", methods=["POST"])
    async def update(request, response):
        request["session"].update(request.json)

    return app


def do(app, path="/do"):
    """Declare a view that is a function of the session, and answers what it gives."""

    def declare(function):
        @app.route(path)
        async def view(request, response):
            response.json = function(request["session"])

    return declare


def lines(response):
    return response.headers.list("Set-Cookie")


def payload(value):
    """Read the times and the data of a signed cookie."""
    text = value.rpartition(".")[0]
    created, used, data = urlsafe_b64decode(text + "=" * (-len(text) % 4)).split(
        b" ", 2
    )
    return [int(created), int(used), json.loads(data)]


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.5

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (sessions, signed, stored):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(stores, "monotonic", clock)
    return clock


# Values


async def test_what_is_set_is_there_at_the_next_request(app, client):
    data = {"user": "Zoé \ud83d", "cart": [1, 2.5, None, True, {"a": {}}], "\ud800": ""}
    found = []
    do(app)(lambda session: session.update(data))
    do(app, "/found")(lambda session: found.append(dict(session)))
    for path in ("/do", "/found"):
        assert (await client.get(path)).status == 200
    assert found == [data]


class Thing:
    pass


DEEP = []
for _ in range(10**5):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("it", Thing()),
        ("it", b"bytes"),
        ("it", {1: "a"}),
        ("it", [(1, 2)]),
        ("it", float("nan")),
        ("it", {"a": float("inf")}),
        ("it", {1, 2}),
        ("it", 10**5000),
        ("it", DEEP),
        (7, "seven"),
        ("_times", 1),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_json_has_not_is_500_and_the_key_is_logged(
    app, client, key, value, caplog
):
    await client.post("/set", {"before": 1})

    @app.route("/do")
    async def view(request, response):
        request["session"][key] = value

    response = await client.get("/do")
    assert (response.status, lines(response)) == (500, [])
    assert f"TypeError: session[{key!r}]" in caplog.text
    assert (await client.get("/read")).json == {"before": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session["cart"].append(3),
        lambda session: session["cart"][0].update(n=2),
        lambda session: session.popitem(),
        lambda session: session.pop("user"),
        lambda session: session.__ior__({"user": "Bob"}),
        lambda session: session.setdefault("other", []).append(1),
        lambda session: session.__delitem__("cart"),
        lambda session: session.update(cart=True),
    ],
)
async def test_changes_of_any_kind_are_saved(app, client, change):
    """starlette#3436, #3474, flask#1983."""
    await client.post("/set", {"user": "Ann", "cart": [{"n": 1}]})
    found = {}

    @do(app)
    def view(session):
        change(session)
        assert session.changed
        found.update(session)

    response = await client.get("/do")
    assert (response.status, len(lines(response))) == (200, 1)
    assert (await client.get("/read")).json == found


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.update(user="Ann"),
        lambda session: session.update(cart=[{"b": 1, "a": 2}]),
        lambda session: (
            session.update(other=session.pop("user"), user="Ann")
            or session.pop("other")
        ),
    ],
)
async def test_what_is_the_same_as_json_is_not_a_change(app, client, change):
    await client.post("/set", {"user": "Ann", "cart": [{"a": 2, "b": 1}]})

    @do(app)
    def view(session):
        change(session)
        return session.changed

    response = await client.get("/do")
    assert (response.json, lines(response)) == (False, [])


async def test_true_is_not_one(app, client):
    await client.post("/set", {"a": 1})
    await client.post("/set", {"a": True})
    assert (await client.get("/read")).json["a"] is True


# The fields of responses


async def test_what_no_view_touches_changes_no_response(app, client):
    """starlette#2019, #828, #3166."""

    @app.route("/")
    async def view(request, response):
        repr(request["session"])

    for _ in range(2):
        response = await client.get("/")
        assert dict(response.headers) == {"Content-Length": "0"}
        await client.post("/set", {"a": 1})  # and now the client has a session


@pytest.mark.parametrize(
    "use",
    [
        lambda session: "user" in session,
        len,
        bool,
        list,
        lambda session: session == {},
        lambda session: session.get("user"),
        lambda session: session.new,
        lambda session: session.changed,
        lambda session: session.pop("user", None),
        lambda session: session.update(user="Ann"),
        lambda session: session.regenerate(),
        lambda session: session.invalidate(),
    ],
)
@pytest.mark.parametrize("before", [{}, {"user": "Ann"}])
async def test_any_use_has_vary_and_is_private(app, client, use, before):
    """CVE-2023-30861, CVE-2026-27205: a cache must not mix visitors up."""
    await client.post("/set", before)

    @do(app)
    def view(session):
        use(session)

    response = await client.get("/do")
    assert response.headers["Vary"] == "Cookie"
    assert response.headers["Cache-Control"] == "private"


async def test_a_refresh_without_access_renews_nothing(app, client, clock):
    """CVE-2023-30861: no cookie without `Vary`."""
    await client.post("/set", {"user": "Ann"})
    app.route("/")(answer)
    clock.now += 10 * 86400
    assert dict((await client.get("/")).headers) == {"Content-Length": "0"}


async def answer(request, response): ...


async def test_errors_and_redirects_have_them_too(app, client):
    @app.route("/error")
    async def error(request, response):
        request["session"]["seen"] = True
        raise HttpError(404)

    @app.route("/redirect")
    async def redirect(request, response):
        request["session"]["seen"] = 1
        response.redirect = "/", 303

    @app.route("/broken")
    async def broken(request, response):
        request["session"]["seen"] = 2
        raise ValueError

    for path, status in (("/error", 404), ("/redirect", 303), ("/broken", 500)):
        response = await client.get(path)
        assert response.status == status
        assert response.headers["Vary"] == "Cookie"
        assert response.headers["Cache-Control"] == "private"
        assert len(lines(response)) == 1  # aiohttp-session#640: any response saves


async def test_a_view_says_how_to_cache(app, client):
    @app.route("/do")
    async def view(request, response):
        request["session"]["a"] = 1
        response.headers["cache-control"] = "no-store"
        response.headers["Vary"] = "Accept"

    response = await client.get("/do")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Vary"] == "Accept, Cookie"


async def test_files_save_too(app, client, tmp_path):
    """aiohttp-session#640."""
    tmp_path.joinpath("a.txt").write_text("file")
    static(app, root=tmp_path)

    @app.listen("request")
    async def count(request, response):
        request["session"]["count"] = request["session"].get("count", 0) + 1

    response = await client.get("/static/a.txt")
    assert (response.body, len(lines(response))) == (b"file", 1)
    assert (await client.get("/read")).json == {"count": 2}


async def test_it_is_saved_after_all_other_response_listeners(app, client):
    @app.listen("response")
    async def count(request, response):
        request["session"]["late"] = True

    await client.get("/read")
    assert (await client.get("/read")).json == {"late": True}


async def test_it_is_there_from_the_first_listener_on(place, client, app):
    app = Roll()

    @app.listen("headers")
    async def early(request, response):
        request["session"]["early"] = True

    session(app, **place)
    app.route("/read")(answer)
    async with Client(app) as client:
        assert len(lines(await client.get("/read"))) == 1


# The cookie


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {},
            "__Host-session=V; Max-Age=1209600; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            {"secure": False},
            "session=V; Max-Age=1209600; Path=/; HttpOnly; SameSite=Lax",
        ),
        (
            {"path": "/a", "samesite": "Strict", "max_age": 60.5},
            "session=V; Max-Age=61; Path=/a; Secure; HttpOnly; SameSite=Strict",
        ),
        (
            {"domain": "example.org", "samesite": "None"},
            "session=V; Max-Age=1209600; Domain=example.org; Path=/; Secure; HttpOnly; "
            "SameSite=None",
        ),
        (
            {"cookie": "id", "lifetime": 600},
            "id=V; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            {"cookie": "__Secure-id", "domain": "example.org"},
            "__Secure-id=V; Max-Age=1209600; Domain=example.org; Path=/; Secure; "
            "HttpOnly; SameSite=Lax",
        ),
    ],
)
async def test_the_cookie_has_what_the_options_say(options, line, clock):
    app = make_app(KEY, **options)
    clock.now = 1_700_000_000
    async with Client(app) as client:
        (found,) = lines(await client.post("/set", {"a": 1}))
        assert re.sub("=[^;]*", "=V", found, count=1) == line
        cookie = re.match("[^=]*=([^;]*)", found)[1]
        assert payload(cookie) == [clock.now, clock.now, {"a": 1}]
        do(app)(lambda session: session.invalidate())
        cookie = found.partition(";")[0]
        (gone,) = lines(await client.get("/do", headers={"Cookie": cookie}))
        assert gone == re.sub(
            "V; Max-Age=[0-9]*",
            '""; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0',
            line,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samesite": "None", "secure": False}, "samesite='None' needs secure=True"),
        ({"samesite": "lax"}, "samesite='lax': give 'Lax', 'Strict' or 'None'"),
        ({"cookie": "__Host-id", "domain": "a.org"}, "browsers refuse this name"),
        ({"cookie": "__host-id", "path": "/a"}, "browsers refuse this name"),
        ({"cookie": "__Secure-id", "secure": False}, "browsers refuse this name"),
        ({"cookie": "a b"}, "its name cannot be sent"),
        ({"domain": "a;b"}, "its domain cannot be sent"),
        ({"path": "a"}, "path='a': give a path"),
        ({"max_age": 0}, "max_age=0: give seconds above 0"),
        ({"lifetime": float("inf")}, "lifetime=inf: give seconds above 0"),
        ({"store": MemoryStore()}, "give either a secret or a store"),
        ({"secret": None}, "give either a secret or a store"),
        (
            {"secret": "short"},
            "a key has 5 bytes: give 32 or more, such as a value of ",
        ),
        ({"secret": b"x" * 31}, "a key has 31 bytes: give 32 or more"),
        ({"secret": []}, "give at least one key"),
        ({"secret": [KEY, KEY.encode()]}, "a key is repeated"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    app = Roll()
    with pytest.raises(ValueError, match=message):
        session(app, **{"secret": KEY, **options})
    assert (len(app), app.hooks) == (0, {})


@pytest.mark.parametrize("value", ["1", None, True])
def test_seconds_are_a_number(value):
    with pytest.raises(TypeError, match=r"max_age=.*: give seconds, a number"):
        session(Roll(), KEY, max_age=value)


def test_a_key_is_text_or_bytes():
    with pytest.raises(TypeError, match="a key is a int: give text"):
        session(Roll(), [7])


def test_a_session_is_set_up_once():
    app = Roll()
    session(app, KEY)
    with pytest.raises(ValueError, match="call `session` once"):
        session(app, KEY)


@pytest.mark.parametrize(("secure", "warnings"), [(False, 1), (True, 0)])
async def test_without_secure_https_is_a_warning_at_the_first_request(
    secure, warnings, caplog
):
    app = Roll()
    proxy_headers(app, ["unix", "127.0.0.1"])
    session(app, KEY, secure=secure)
    app.route("/")(answer)
    async with Client(app) as client:
        await client.get("/")
        assert not caplog.records
        for _ in range(2):
            await client.get("/", headers={"X-Forwarded-Proto": "https"})
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warnings


# Signed cookies


def sign(data, key=KEY, salt=b"roll-session"):
    from base64 import urlsafe_b64encode

    text = urlsafe_b64encode(data).rstrip(b"=")
    options = {"salt": salt, "key_derivation": "hmac", "digest_method": sha256}
    return Signer(key, **options).sign(text).decode()


def record(clock, **data):
    return f"{clock.now:.0f} {clock.now:.0f} {json.dumps(data)}".encode()


async def test_a_cookie_is_signed_by_hmac_sha_256_of_itsdangerous(clock, client):
    app = make_app(KEY)
    async with Client(app) as client:
        client.cookies[NAME] = sign(record(clock, user="Ann"))
        assert (await client.get("/read")).json == {"user": "Ann"}


OLD, NEW = "an old key, which has 32 bytes  ", "a new key, which has 32 bytes   "


async def test_the_first_key_signs_and_all_verify(clock):
    """flask#5690 (CVE-2025-47278): the old key signed."""
    async with Client(make_app([NEW, OLD])) as client:
        client.cookies[NAME] = sign(record(clock, user="Ann"), OLD)
        assert (await client.get("/read")).json == {"user": "Ann"}
        await client.post("/set", {"a": 1})
        data = b'1700000000 1700000000 {"a":1,"user":"Ann"}'
        assert client.cookies[NAME] == sign(data, NEW)
    async with Client(make_app(NEW)) as client:
        client.cookies[NAME] = sign(record(clock, user="Ann"), OLD)
        assert (await client.get("/read")).json == {}


async def test_a_string_is_one_key_not_characters(clock):
    """flask#6089."""
    async with Client(make_app(KEY.encode())) as client:
        client.cookies[NAME] = sign(record(clock, user="Ann"), KEY)
        assert (await client.get("/read")).json == {"user": "Ann"}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        ".",
        "a.b",
        "%ff",
        "é",
        "x" * 8000,
        sign(b'1700000000 1700000000 {"user":"Ann"}', salt=b"other"),
        sign(b'1700000000 1700000000 {"user":"Ann"}', key="x" * 32),
        sign(b'1700000000 1700000000 {"user":"Ann"}')[:-1],
        sign(b'{"user":"Ann"}'),
        sign(b'1700000000 {"user":"Ann"}'),
        sign(b'1700000000 now {"user":"Ann"}'),
        sign(b"1700000000 1700000000 {"),
        sign(b"1700000000 1700000000 " + b"[" * 5000),
        sign(b'1 1 {"user":"Ann"}'),
    ],
    ids=range(16),
)
async def test_a_bad_cookie_is_a_new_session_and_one_debug_line(value, clock, caplog):
    app = make_app(KEY)
    do(app)(lambda session: [session.new, *session])
    caplog.set_level(logging.DEBUG, "roll")
    async with Client(app) as client:
        caplog.clear()
        response = await client.get("/do", headers={"Cookie": f"{NAME}={value}"})
        assert (response.status, response.json) == (200, [True])
        assert lines(response) == []
        found = [one for one in caplog.records if one.name == "roll"]
        assert [one.levelname for one in found] == ["DEBUG"]
        assert "__Host-session is ignored" in found[0].getMessage()


async def test_a_cookie_of_4096_bytes_is_the_largest(caplog):
    """starlette#2412, flask#1789, aiohttp-session#574: it vanished silently."""
    app = make_app(KEY)
    async with Client(app) as client:
        await client.post("/set", {"a": "", "small": 1})
        largest = refused = None
        for size in range(2900, 3100):
            before = client.cookies[NAME]
            response = await client.post("/set", {"a": "x" * size})
            if response.status == 200:
                largest = len(NAME) + len(client.cookies[NAME])
            else:
                refused = response
                break
        assert 4090 < largest <= 4096
        assert (refused.status, lines(refused)) == (500, [])
        assert client.cookies[NAME] == before
        sizes = re.findall(r"cookie of the session has (\d+) bytes", caplog.text)
        assert 4096 < int(sizes[0]) <= 4100
        assert "its largest value is session['a']" in caplog.text
        assert (await client.get("/read")).json["a"] == "x" * (size - 1)


# How a session ends


@pytest.mark.parametrize(
    "end",
    [
        lambda session: session.invalidate(),
        lambda session: session.clear(),
        lambda session: session.pop("user"),
        lambda session: (session.pop("user"), session.regenerate()),
        lambda session: (session.update(a=1), session.invalidate()),
        lambda session: (session.regenerate(), session.invalidate()),
        lambda session: (session.invalidate(), session.invalidate()),
    ],
)
async def test_an_emptied_session_is_removed(app, client, end, kept):
    """aiohttp-session#272, #281: the id is not accepted again."""
    await client.post("/set", {"user": "Ann"})
    cookie = client.cookies[NAME]
    do(app)(lambda session: end(session) and None)
    (line,) = lines(await client.get("/do"))
    assert line.startswith(
        f'{NAME}=""; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0'
    )
    assert NAME not in client.cookies
    if kept:
        client.cookies[NAME] = cookie
        assert (await client.get("/read")).json == {}
        await client.post("/set", {"a": 1})
        assert client.cookies[NAME] != cookie


async def test_what_is_set_after_invalidate_is_a_new_session(app, client, clock, kept):
    """pyramid_redis_sessions#33."""
    await client.post("/set", {"user": "Ann", "a": 1})
    before = client.cookies[NAME]
    clock.now += 100

    @do(app)
    def view(session):
        session.invalidate()
        assert (session.new, len(session)) == (True, 0)
        session["user"] = "Bob"

    assert len(lines(await client.get("/do"))) == 1
    assert (await client.get("/read")).json == {"user": "Bob"}
    if kept:
        assert client.cookies[NAME] != before
        client.cookies[NAME] = before
        assert (await client.get("/read")).json == {}
    else:
        assert payload(client.cookies[NAME])[:2] == [int(clock.now)] * 2


async def test_nothing_is_removed_where_nothing_was(app, client):
    @do(app)
    def view(session):
        session["a"] = 1
        session.invalidate()

    assert lines(await client.get("/do")) == []


async def test_regenerate_keeps_the_data_under_another_id(app, client, kept):
    await client.post("/set", {"user": "Ann", "_csrf": "old"})
    before = client.cookies[NAME]

    @do(app)
    def view(session):
        session.regenerate()
        assert session.changed
        session["more"] = True

    await client.get("/do")
    assert (await client.get("/read")).json == {"user": "Ann", "more": True}
    assert client.cookies[NAME] != before
    client.cookies[NAME] = before
    data = (await client.get("/read")).json
    assert data == ({} if kept else {"user": "Ann", "_csrf": "old"})


async def test_regenerate_of_nothing_is_nothing(app, client):
    do(app)(lambda session: session.regenerate())
    assert lines(await client.get("/do")) == []


async def test_a_new_session_may_be_regenerated(app, client):
    @do(app)
    def view(session):
        session.regenerate()
        session["user"] = "Ann"

    assert len(lines(await client.get("/do"))) == 1
    assert (await client.get("/read")).json == {"user": "Ann"}


# Time


async def test_it_ends_when_unused_and_a_use_renews_it(app, client, clock):
    await client.post("/set", {"user": "Ann"})
    cookie = f"{NAME}={client.cookies[NAME]}"
    tenth = 14 * 8640
    clock.now += tenth - 2
    assert lines(await client.get("/read")) == []
    clock.now += 2
    assert "Max-Age=1209600;" in lines(await client.get("/read"))[0]
    assert lines(await client.get("/read")) == []
    clock.now += 10 * tenth - 1
    assert (await client.get("/read")).json == {"user": "Ann"}  # which renews it
    clock.now += 10 * tenth + 2
    assert (await client.get("/read")).json == {}
    response = await client.get("/read", headers={"Cookie": cookie})
    assert response.json == {}


async def test_the_lifetime_is_never_renewed(place, clock):
    app = make_app(**place, lifetime=3600, max_age=1000)
    do(app)(lambda session: session.regenerate())
    async with Client(app) as client:
        await client.post("/set", {"user": "Ann"})
        for left in (1000, 1000, 900):
            clock.now += 900
            (line,) = lines(await client.get("/read"))
            assert f"Max-Age={left};" in line
        clock.now += 901
        assert (await client.get("/read")).json == {}


async def test_the_lifetime_counts_from_a_login(place, clock):
    """aiohttp-session#344, #1219."""
    app = make_app(**place, lifetime=3600)
    do(app)(lambda session: session.regenerate())
    async with Client(app) as client:
        await client.post("/set", {"user": "Ann"})
        clock.now += 3000
        assert "Max-Age=3600;" in lines(await client.get("/do"))[0]
        clock.now += 3000
        assert (await client.get("/read")).json == {"user": "Ann"}


async def test_redis_forgets_by_itself(redis_server):
    store = RedisStore(redis_server.url, timeout=patience(5))
    app = make_app(store=store, max_age=1000, lifetime=500)
    async with Client(app) as client:
        await client.post("/set", {"user": "Ann"})
        key = "session:" + sha256(client.cookies[NAME].encode()).hexdigest()
        assert 490_000 < await store._client.pttl(key) <= 500_000
        fields = await store._client.hgetall(key)
        assert fields.pop(b"_times").startswith(b"[")
        assert fields == {b"user": b'"Ann"'}


# Ids


async def test_ids_are_random_and_the_store_does_not_have_them():
    store = MemoryStore()
    async with Client(make_app(store=store)) as client:
        await client.post("/set", {"user": "Ann"})
        cookie = client.cookies[NAME]
        assert re.fullmatch("[A-Za-z0-9_-]{43}", cookie)
        assert [*store._kept] == [sha256(cookie.encode()).hexdigest()]


@pytest.mark.parametrize("value", ["a" * 43, "a" * 44, "x y", "é", "a" * 42 + "%0A"])
async def test_an_id_of_a_client_is_never_adopted(value, caplog):
    caplog.set_level(logging.DEBUG, "roll")
    store = MemoryStore()
    app = make_app(store=store)
    async with Client(app) as client:
        caplog.clear()
        headers = {"Cookie": f"{NAME}={value}"}
        await client.post("/set", {"a": 1}, headers=headers)
        assert len([one for one in caplog.records if one.name == "roll"]) == 1
        assert client.cookies[NAME] != value
        assert [*store._kept] == [sha256(client.cookies[NAME].encode()).hexdigest()]


# Requests at once


@pytest.fixture
def pause(app):
    """Declare a view that changes the session, and waits in between."""
    app["begun"], app["go"] = asyncio.Event(), asyncio.Event()

    @app.route("/slow", methods=["POST"])
    async def slow(request, response):
        request["session"].update(request.json)
        if request.json.get("regenerate"):
            request["session"].regenerate()
        app["begun"].set()
        await app["go"].wait()


async def meanwhile(app, client, data, path, **options):
    """Have a request wait while another one runs."""
    slow = asyncio.create_task(client.post("/slow", data))
    await app["begun"].wait()
    await client.request(path, **options)
    app["go"].set()
    return await slow


store_alone = pytest.mark.parametrize("place", ["memory", "redis"], indirect=True)


@store_alone
async def test_different_keys_are_both_kept(app, client, pause):
    """flask-session#71: an update was lost."""
    await client.post("/set", {"old": 0, "same": 0})
    data = {"a": 1, "same": 2}
    await meanwhile(app, client, data, "/set", method="POST", json={"b": 1, "same": 1})
    assert (await client.get("/read")).json == {"old": 0, "a": 1, "b": 1, "same": 2}


@store_alone
@pytest.mark.parametrize("regenerates", [False, True])
@pytest.mark.parametrize("end", ["invalidate", "regenerate"])
async def test_a_logout_wins(app, client, pause, end, regenerates, caplog):
    """flask-session#71, redistore#2: a session was alive after the logout."""
    caplog.set_level(logging.DEBUG, "roll")
    do(app)(lambda session: getattr(session, end)())
    await client.post("/set", {"user": "Ann"})
    before = client.cookies[NAME]
    response = await meanwhile(app, client, {"regenerate": regenerates}, "/do")
    assert (response.status, lines(response)) == (200, [])
    assert "A session has ended while a request changed it" in caplog.text
    data = (await client.get("/read")).json
    assert data == ({} if end == "invalidate" else {"user": "Ann"})
    client.cookies[NAME] = before
    assert (await client.get("/read")).json == {}


async def test_a_slow_reader_does_not_overwrite_a_login(place):
    """starlette#2019, #828, #3166."""
    app = make_app(**place)
    begun, go = asyncio.Event(), asyncio.Event()

    @app.route("/slow")
    async def slow(request, response):
        dict(request["session"])
        begun.set()
        await go.wait()

    async with Client(app) as client:
        await client.post("/set", {"a": 1})
        waiting = asyncio.create_task(client.get("/slow"))
        await begun.wait()
        await client.post("/set", {"user": "Ann"})
        go.set()
        assert lines(await waiting) == []
        assert (await client.get("/read")).json == {"a": 1, "user": "Ann"}


# When it is loaded


class Counting(MemoryStore):
    def __init__(self):
        super().__init__()
        self.calls = []

    async def load(self, key):
        self.calls.append("load")
        return await super().load(key)

    async def save(self, key, changed, removed, max_age, create):
        self.calls.append(("save", sorted(changed), sorted(removed), create))
        return await super().save(key, changed, removed, max_age, create)

    async def delete(self, key):
        self.calls.append("delete")
        await super().delete(key)

    def take(self):
        calls, self.calls = self.calls, []
        return calls


@pytest.fixture
async def counted():
    """Give an app, its store and a client with a session."""
    store = Counting()
    app = make_app(store=store)
    app.route("/")(answer)
    app.route("/off", session=False)(answer)
    async with Client(app) as client:
        await client.post("/set", {"a": 1, "b": 2})
        await until(lambda: len(store.calls) == 2, "the ping at the start")
        assert store.take()[-1] == ("save", ["_times", "a", "b"], [], True)
        yield app, store, client


async def test_a_store_is_asked_once_and_told_what_has_changed(counted):
    app, store, client = counted
    await client.get("/read")
    assert store.take() == ["load"]
    await client.post("/set", {"a": 1, "b": 3})
    assert store.take() == ["load", ("save", ["_times", "b"], [], False)]
    do(app)(lambda session: session.pop("a"))
    await client.get("/do")
    assert store.take() == ["load", ("save", ["_times"], ["a"], False)]


@pytest.mark.parametrize("path", ["/nowhere", "/off", "/%ff"])
async def test_a_store_is_not_asked_where_there_is_no_session(counted, path):
    _app, store, client = counted
    await client.get(path)
    assert store.take() == []


@pytest.mark.parametrize("value", [None, "", "short", "x" * 44])
async def test_a_store_is_not_asked_for_what_is_no_id(counted, value):
    _app, store, client = counted
    del client.cookies[NAME]
    if value is not None:
        client.cookies[NAME] = value
    assert (await client.get("/read")).json == {}
    assert store.take() == []


async def test_a_page_for_404_reads_the_session(counted):
    app, _store, client = counted

    @app.listen("error")
    async def page(request, response, error):
        response.json = dict(request["session"])

    assert (await client.get("/nowhere")).json == {"a": 1, "b": 2}
    assert (await client.post("/read")).json == {"a": 1, "b": 2}


async def test_another_route_of_a_listener_has_the_session(counted):
    app, store, client = counted

    @app.listen("request")
    def lead(request, response):
        request.path = request.path.removeprefix("/fr")

    assert (await client.get("/fr/read")).json == {"a": 1, "b": 2}
    assert store.take() == ["load"]
    await client.get("/fr/off")
    assert store.take() == []


async def test_what_is_not_loaded_cannot_be_read(counted, caplog):
    app, _store, client = counted

    @app.listen("request")
    def read(request, response):
        dict(request["session"])

    assert (await client.get("/nowhere")).status == 500
    assert "the session is not loaded, as no route was found" in caplog.text


async def test_a_route_without_a_session_must_not_read_it(app, client, caplog):
    @app.route("/off", session=False)
    async def off(request, response):
        request["session"]["a"] = 1

    response = await client.get("/off")
    assert (response.status, response.headers.get("Vary")) == (500, None)
    assert "its route has session=False" in caplog.text


@pytest.mark.parametrize("value", ["no", None])
async def test_extras_are_true_or_false(value):
    app = Roll()
    app.route("/a", session=value)(answer)
    session(app, KEY)
    wanted = rf"^/a: session={value!r}: give True or False\. The route"
    with pytest.raises(TypeError, match=wanted):
        await app.startup()


async def test_a_misspelled_extra_keeps_the_app_from_starting():
    app = make_app(KEY)
    app.route("/", sessionn=False)(answer)
    with pytest.raises(TypeError, match="sessionn= is unknown; did you mean session="):
        await app.startup()


# Mounted apps


async def test_a_mounted_app_shares_the_session(app, client):
    inner = Roll()
    do(inner)(lambda session: session.update(inner=True))

    @inner.route("/off", session=False)
    async def off(request, response):
        dict(request["session"])

    @inner.listen("error")
    async def page(request, response, error):
        response.json = request["session"].get("inner")

    mount(app, "/inner", inner)
    response = await client.get("/inner/do")
    assert response.headers["Vary"] == "Cookie"
    assert (await client.get("/read")).json == {"inner": True}
    assert (await client.get("/inner/nowhere")).json is True
    assert (await client.get("/inner/off")).status == 500


async def test_a_mounted_app_has_a_session_of_its_own(place, client):
    app, inner = make_app(**place), make_app(KEY, cookie="inner", path="/inner")
    mount(app, "/inner", inner)
    async with Client(app) as client:
        await client.post("/set", {"a": 1})
        await client.post("/inner/set", {"b": 2})
        assert [*client.cookies] == [NAME, "inner"]
        assert (await client.get("/inner/read")).json == {"b": 2}
        assert (await client.get("/read")).json == {"a": 1}


async def test_a_session_of_its_own_needs_another_name():
    app, inner, innermost = make_app(KEY), Roll(), make_app(KEY)
    mount(app, "/inner", inner)
    mount(inner, "/innermost", innermost)
    with pytest.raises(ValueError, match="cookie '__Host-session': give one another"):
        await app.startup()


# Streams and WebSockets


@pytest.fixture
def streaming(app):
    @app.route("/stream/{what}")
    async def stream(request, response, what):
        session = request["session"]

        async def body():
            yield repr(dict(session)).encode()
            try:
                if what == "save":
                    session["late"] = 1
                    await session.save()
                else:
                    getattr(session, what)()
                    if what != "regenerate":
                        await session.save()
                    session["late"] = 1
            except RuntimeError as error:
                yield str(error).encode()

        response.body = body()


@pytest.mark.parametrize("what", ["save", "invalidate", "regenerate"])
async def test_after_the_head_only_a_store_is_written(
    app, client, streaming, what, kept
):
    """aiohttp-session#373, flask#1348: changes were lost silently."""
    await client.post("/set", {"user": "Ann"})
    body = (await client.get(f"/stream/{what}")).text
    assert body.startswith("{'user': 'Ann'}")
    data = (await client.get("/read")).json
    if not kept:
        assert "the head of the response was sent: do it before the view" in body
        assert data == {"user": "Ann"}
    elif what == "save":
        assert (body, data) == ("{'user': 'Ann'}", {"user": "Ann", "late": 1})
    elif what == "invalidate":
        assert "a new session needs a cookie, and the head" in body
        assert data == {}
    else:
        assert "regenerate() sets a cookie, and the head" in body
        assert data == {"user": "Ann"}


async def test_a_new_session_cannot_begin_after_the_head(app, client, streaming):
    body = (await client.get("/stream/save")).text
    assert body.startswith("{}")
    assert "the head of the response was sent" in body
    assert (await client.get("/read")).json == {}


async def test_an_untouched_session_is_read_in_a_stream(app, client):
    @app.route("/do")
    async def view(request, response):
        async def body():
            yield repr(dict(request["session"])).encode()
            try:
                request["session"]["a"] = 2
            except RuntimeError:
                yield b" refused"

        response.body = body()

    await client.post("/set", {"a": 1})
    assert (await client.get("/do")).text.startswith("{'a': 1}")


async def test_a_websocket_reads_and_with_a_store_writes(app, client, kept):
    @app.route("/ws", protocol="websocket")
    async def view(request, ws):
        await ws.send(json.dumps(dict(request["session"])))
        await ws.recv()
        try:
            request["session"]["ws"] = True
            await request["session"].save()
            await ws.send("saved")
        except RuntimeError as error:
            await ws.send(str(error))
        await ws.recv()
        try:
            request["session"]["ws"] = False
            await request["session"].save()
            request["session"]["ws"] = None
            await ws.send("saved")
        except RuntimeError as error:
            await ws.send(str(error))

    await client.post("/set", {"user": "Ann"})
    do(app)(lambda session: session.invalidate())
    async with client.websocket("/ws") as ws:
        assert json.loads(await ws.recv()) == {"user": "Ann"}
        await ws.send("go")
        text = await ws.recv()
        data = (await client.get("/read")).json
        if kept:
            assert (text, data) == ("saved", {"user": "Ann", "ws": True})
        else:
            assert "a session without a store is saved in a cookie" in text
            assert data == {"user": "Ann"}
        await client.get("/do")
        await ws.send("go")
        assert "the head of the response was sent" in await ws.recv()


async def test_save_in_a_view_writes_at_once(app, client, kept, caplog):
    seen = []

    @app.route("/do")
    async def view(request, response):
        for user in ("Ann", "Bob"):
            request["session"]["user"] = user
            await request["session"].save()
            seen.append(request["session"].changed)
        request["session"]["more"] = 1

    response = await client.get("/do")
    if kept:
        assert seen == [False, False]
        assert len(lines(response)) == 1
        assert (await client.get("/read")).json == {"user": "Bob", "more": 1}
    else:
        assert response.status == 500
        assert "save() needs a store" in caplog.text


@store_alone
async def test_a_session_may_end_and_begin_again_by_save(app, client):
    @app.route("/do")
    async def view(request, response):
        session = request["session"]
        session.invalidate()
        await session.save()
        session["user"] = "Bob"

    await client.post("/set", {"user": "Ann"})
    assert len(lines(await client.get("/do"))) == 1
    assert (await client.get("/read")).json == {"user": "Bob"}


# Clients that leave


async def test_a_view_that_is_cancelled_saves_nothing(app, client):
    ended = asyncio.Event()

    @app.route("/do")
    async def view(request, response):
        request["session"]["user"] = "Bob"
        client.transport.disconnect()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await client.post("/set", {"user": "Ann"})
    with pytest.raises(ConnectionError):
        await client.get("/do")
    await ended.wait()
    assert (await client.get("/read")).json == {"user": "Ann"}


async def test_a_command_that_has_begun_is_finished(caplog):
    class Slow(MemoryStore):
        async def save(self, *arguments):
            if "slow" in arguments[1]:
                begun.set()
                await go.wait()
            return await super().save(*arguments)

    begun, go = asyncio.Event(), asyncio.Event()
    store = Slow()
    app = make_app(store=store)
    async with Client(app) as client:
        await client.post("/set", {"user": "Ann"})
        leaving = asyncio.create_task(client.post("/set", {"slow": 1}))
        await begun.wait()
        client.transport.disconnect()
        with pytest.raises(ConnectionError):
            await leaving
        go.set()

        async def is_saved():
            return (await client.get("/read")).json == {"user": "Ann", "slow": 1}

        await until(is_saved, "what was begun")


async def test_no_request_leaves_a_cycle(app, client):
    def kept():
        kind = sessions.Session
        # `isinstance` would ask lazy objects of other libraries for their class.
        return {id(each) for each in gc.get_objects() if issubclass(type(each), kind)}

    await client.post("/set", {"user": "Ann"})
    await client.get("/read")
    gc.collect()
    gc.disable()
    others = kept()  # of tests before, which a report may hold on to
    try:
        await client.get("/read")
        assert others.issuperset(kept())
    finally:
        gc.enable()


# Before the app starts


async def test_a_listener_before_it_may_refuse(client, caplog):
    app = Roll()

    @app.listen("headers", before="*")
    def refuse(request, response):
        raise HttpError(400)

    session(app, KEY)
    async with Client(app) as client:
        assert (await client.get("/")).status == 400


async def test_another_thing_of_that_name_is_left_alone(app, client):
    @app.route("/do")
    async def view(request, response):
        request["session"] = {"mine": True}

    response = await client.get("/do")
    assert (response.status, dict(response.headers)) == (200, {"Content-Length": "0"})


def test_template_functions_of_the_application_stay():
    app = Roll()
    app["template_globals"] = {"flashes": len, "other": print}
    session(app, KEY)
    assert {**app["template_globals"], "csrf_token": 0} == {
        "flashes": len,
        "other": print,
        "csrf_token": 0,
    }
