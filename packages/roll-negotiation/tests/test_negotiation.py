"""content_negotiation: routes that say what they serve get what the client takes."""

import asyncio
import json
import re

import pytest
from roll import HttpError, Roll, RouteTable
from roll.extensions import content_negociation, content_negotiation
from roll_testing import exchange

KEYS = ["accepted", "accepted_language", "accepted_encoding"]


@pytest.fixture
def app():
    app = Roll()
    content_negotiation(app)
    return app


def add(app, path="/", **options):
    """Declare a view that tells what was chosen."""

    @app.route(path, **options)
    async def view(request, response, **variables):
        response.json = [request.get(key) for key in KEYS]


async def ask(client, path="/", method="GET", **fields):
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return await client.request(path, method, headers=headers)


def test_both_spellings_are_one_extension():
    assert content_negociation is content_negotiation


# Routes


async def test_the_view_is_told_the_type(app, client):
    add(app, accepts=["text/html", "application/json"])
    response = await ask(client, Accept="text/plain, application/json;q=0.5")
    assert (response.status, response.json[0]) == (200, "application/json")


async def test_the_type_is_told_as_the_route_wrote_it(app, client):
    add(app, accepts=["Text/HTML; Charset=UTF-8"])
    response = await ask(client, Accept="text/html;charset=utf-8")
    assert response.json == ["Text/HTML; Charset=UTF-8", None, None]


async def test_no_match_is_406_and_says_what_there_is(app, client):
    called = []

    @app.route("/", accepts=["text/html", "application/json"])
    async def view(request, response):
        called.append(request)

    response = await ask(client, Accept="image/png")
    assert response.status == 406
    assert response.body == b"Not Acceptable: there is text/html, application/json"
    assert response.headers["Vary"] == "Accept"
    assert called == []


async def test_routes_without_extras_are_left_alone(app, client):
    add(app)
    add(app, "/none", accepts=None, languages=None)
    for path in ("/", "/none"):
        response = await ask(client, path, Accept="image/png", Accept_Encoding="*;q=0")
        assert response.json == [None, None, None]
        assert "Vary" not in response.headers


async def test_routes_declared_before_and_in_tables_count(client, app):
    table = RouteTable()
    table.get("/table", accepts=["text/html"])(lambda request, response: None)
    app = client.app = Roll()
    add(app, "/before", accepts=["text/html"])
    app.include(table, prefix="/v1")
    content_negotiation(app)
    for path in ("/before", "/v1/table"):
        data = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: a/b\r\n\r\n".encode()
        answer, _ = await exchange(app, data)
        assert answer.startswith(b"HTTP/1.1 406 Not Acceptable\r\n")


async def test_each_method_has_its_own_list(app, client):
    add(app, accepts=["text/html"])
    add(app, methods=["POST"], accepts=["application/json"])
    assert (await ask(client, Accept="text/html")).status == 200
    assert (await ask(client, method="POST", Accept="text/html")).status == 406
    assert (await ask(client, method="HEAD", Accept="a/b")).status == 406
    assert (await ask(client, method="HEAD", Accept="text/*")).status == 200


async def test_404_and_405_come_before_what_is_acceptable(app, client):
    add(app, accepts=["text/html"])
    assert (await ask(client, "/nowhere", Accept="a/b")).status == 404
    response = await ask(client, method="POST", Accept="a/b")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
    assert "Vary" not in response.headers


async def test_a_path_that_does_not_decode_is_still_400(app):
    add(app, "/{x}", accepts=["text/html"])
    data = b"GET /%FF HTTP/1.1\r\nHost: x\r\nAccept: a/b\r\n\r\n"
    answer, _ = await exchange(app, data)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_a_list_that_was_changed_later_is_followed(app, client):
    types = ["text/html"]
    add(app, accepts=types)
    types.append("application/json")
    assert (await ask(client, Accept="application/json")).status == 200


async def test_two_apps_have_options_of_their_own():
    lenient, strict = Roll(), Roll()
    content_negotiation(lenient)
    content_negotiation(strict, strict=True)
    for app, status in ((lenient, b"200"), (strict, b"406")):
        add(app, accepts=["text/html"])
        answer, _ = await exchange(app, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.split()[1] == status


# What is not sent


async def test_no_accept_takes_anything(app, client):
    add(app, accepts=["text/html", "application/json"])
    assert (await ask(client)).json[0] == "text/html"


@pytest.mark.parametrize("fields", [{}, {"Accept": ""}, {"Accept": "malformed"}])
async def test_no_accept_is_406_when_strict(client, app, fields):
    content_negotiation(app, strict=True)
    add(app, accepts=["text/html"], languages=["en"], encodings=["gzip"])
    assert (await ask(client, **fields)).status == 406
    response = await ask(client, Accept="*/*")
    assert response.json == ["text/html", "en", "identity"]


# Languages and codings


async def test_languages_and_codings_are_chosen_the_same_way(app, client):
    add(app, languages=["en", "fr-CA"], encodings=["br", "gzip"])
    response = await ask(
        client, Accept="a/b", Accept_Language="fr", Accept_Encoding="gzip"
    )
    assert response.json == [None, "fr-CA", "gzip"]
    assert response.headers["Vary"] == "Accept-Language, Accept-Encoding"


async def test_an_unknown_language_gets_the_first_one(app, client):
    add(app, languages=["en", "fr"])
    assert (await ask(client, Accept_Language="ja")).json[1] == "en"


async def test_a_client_that_refuses_every_coding_gets_406(app, client):
    add(app, encodings=["gzip"])
    response = await ask(client, Accept_Encoding="identity;q=0")
    assert (response.status, response.body) == (406, b"Not Acceptable: there is gzip")
    assert response.headers["Vary"] == "Accept-Encoding"


# Vary


@pytest.mark.parametrize(
    ("name", "given", "sent"),
    [
        ("Vary", "Origin", "Origin, Accept, Accept-Language"),
        ("vary", "Origin,Cookie", "Origin, Cookie, Accept, Accept-Language"),
        ("Vary", ["Origin", "Cookie"], "Origin, Cookie, Accept, Accept-Language"),
        ("VARY", "accept", "accept, Accept-Language"),
        ("Vary", "", "Accept, Accept-Language"),
        ("Vary", "*", "*"),
    ],
)
async def test_vary_is_added_to_what_the_view_sets(app, client, name, given, sent):
    @app.route("/", accepts=["text/html"], languages=["en", "fr"])
    async def view(request, response):
        response.headers[name] = given

    response = await ask(client)
    assert response.headers.list("Vary") == [sent]


async def test_vary_is_there_on_errors_and_shortcuts(app, client):
    @app.listen("headers")
    async def answer_first(request, response):
        return "X-First" in request.headers

    @app.route("/", accepts=["text/html"])
    async def view(request, response):
        raise HttpError(403)

    response = await ask(client)
    assert (response.status, response.headers["Vary"]) == (403, "Accept")
    response = await ask(client, X_First="1")
    assert (response.status, response.headers["Vary"]) == (200, "Accept")


async def test_calling_it_twice_adds_no_name_twice(app, client):
    content_negotiation(app)
    add(app, accepts=["text/html"])
    assert (await ask(client)).headers["Vary"] == "Accept"


# Mistakes


@pytest.mark.parametrize("extra", ["accepts", "languages", "encodings"])
@pytest.mark.parametrize(
    ("value", "told"),
    [
        *((value, "give a list of strings") for value in ("a/b", {"a/b"}, 7, iter([]))),
        ([b"a"], "b'a' is not a string"),
        ([], "it is empty: list something, or leave it out"),
        (["*"], "'*' is not a "),
    ],
)
async def test_an_extra_lists_what_is_served(app, extra, value, told):
    add(app, "/x", **{extra: value})
    [mistake] = app.find_mistakes()
    assert mistake.startswith(f"/x: {extra}={value!r}: {told}")
    with pytest.raises(TypeError, match=f"^{re.escape(mistake)}$"):
        await app.startup()


def test_an_extra_may_be_none(app):
    add(app, accepts=None, languages=None, encodings=None)
    assert app.find_mistakes() == []


def test_mistakes_of_routes_declared_before_are_errors():
    app = Roll()
    add(app, "/x", accepts=("text",))
    content_negotiation(app)
    [mistake] = app.find_mistakes()
    assert mistake.startswith("/x: accepts=('text',): 'text' is not a media type")


@pytest.mark.parametrize("strict", [None, 1, "yes"])
def test_strict_has_to_be_a_boolean(strict):
    with pytest.raises(TypeError, match=r"^strict=.*: give True or False$"):
        content_negotiation(Roll(), strict=strict)


async def test_extras_may_have_any_name(app, client):
    @app.route("/", accepts=["text/html"], app=1, dimension=2)
    async def home(request, response):
        response.body = request["accepted"]

    assert (await ask(client)).body == b"text/html"


# Clients


async def test_lines_of_a_field_are_one_list(app, client):
    add(app, accepts=["text/html", "application/json"])
    lines = ["text/html;q=0.1", "application/json"]
    assert (await ask(client, Accept=lines)).json[0] == "application/json"


@pytest.mark.parametrize("field", ["Accept", "Accept-Language", "Accept-Encoding"])
async def test_a_field_on_many_lines_is_not_read_to_its_end(app, client, field):
    add(app, accepts=["a/a"], languages=["a"], encodings=["a"])
    lines = ["b/b," * 1000] * 3
    response = await client.get("/", headers={field: lines})
    assert (response.status, response.body) == (431, f"{field} is too long".encode())


async def test_a_hostile_field_over_a_real_socket_is_answered(app, liveclient):
    add(app, accepts=["text/html"], languages=["en"], encodings=["gzip"])
    host, port = liveclient.url.removeprefix("http://").split(":")
    fields = [b'"' * 8000, b"a/b;c=\xff", b"*/*;q=\x80\xff", b",;=" * 2000, b"a\t/b"]
    for value in fields:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: "
            + value
            + b"\r\nAccept-Language: "
            + value
            + b"\r\nAccept-Encoding: "
            + value
            + b"\r\n\r\n"
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert json.loads(body) == ["text/html", "en", "identity"]


async def test_it_works_again_after_a_restart(app):
    add(app, accepts=["text/html"])
    data = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: a/b\r\n\r\n"
    for _ in range(2):
        await app.startup()
        answer, _ = await exchange(app, data)
        assert answer.split()[1] == b"406"
        await app.shutdown()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("accept", "accepts"), ("language", "languages"), ("encoding", "encodings")],
)
async def test_a_misspelled_extra_keeps_the_app_from_starting(name, meant):
    async def view(request, response): ...

    app = Roll()
    app.route("/x", **{name: "a"})(view)
    content_negotiation(app)
    with pytest.raises(TypeError, match=f"/x: {name}= is unknown.*mean {meant}="):
        await app.startup()
