"""traceback: where a 500 comes from, for the developer and for nobody else."""

import asyncio
import functools
import html
import io
import json
import logging
import re
import socket
import sys
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from roll import HttpError, Request, Response, Roll, Server
from roll.extensions import traceback
from roll.logs import logger
from roll_testing import Client, connect, settle

BROWSER = {"Host": "127.0.0.1:3579", "Accept": "text/html,*/*;q=0.8"}
"""What the browser of a developer sends."""


def make_app():
    app = Roll()

    @app.route("/broken")
    async def broken(request, response):
        raise ValueError("the reason")

    @app.route("/raised")
    async def raised(request, response):
        try:
            {}["key"]
        except KeyError:
            raise HttpError(500, "raised by hand") from None

    @app.route("/refused")
    async def refused(request, response):
        raise HttpError(503)

    return app


@pytest.fixture
def app():
    return make_app()


def is_page(answer):
    return answer.body.startswith(b"<!doctype html>")


# The standard error stream


async def test_the_traceback_of_a_500_is_printed(app, client, capsys):
    traceback(app)
    answer = await client.get("/broken")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("  Traceback (most recent call last):\n")
    assert 'raise ValueError("the reason")' in err
    assert err.endswith("\n  ValueError: the reason\n")


@pytest.mark.parametrize("path", ["/broken", "/raised"])
async def test_a_traceback_is_printed_once_where_logging_is_not_configured(
    app, client, capsys, monkeypatch, path
):
    monkeypatch.setattr(logger, "propagate", False)  # to the handlers of pytest
    traceback(app)
    await client.get(path)
    assert capsys.readouterr().err.count("Traceback") == 1


@pytest.mark.parametrize("name", [None, "roll"])
@pytest.mark.parametrize("same", [True, False], ids=["stderr", "other"])
async def test_a_traceback_is_printed_once_where_logging_is_configured(
    app, client, monkeypatch, name, same
):
    output = io.StringIO()
    monkeypatch.setattr(sys, "stderr", output)
    handler = logging.StreamHandler(output if same else io.StringIO())
    one = logging.getLogger(name)
    monkeypatch.setattr(one, "handlers", [handler])
    monkeypatch.setattr(logging.getLogger("roll"), "propagate", name is None)
    traceback(app)
    await client.get("/broken")
    assert output.getvalue().count("ValueError: the reason") == 1


async def test_a_traceback_is_printed_where_a_handler_drops_it(
    app, client, monkeypatch
):
    output = io.StringIO()
    monkeypatch.setattr(sys, "stderr", output)
    handler = logging.StreamHandler(output)
    handler.setLevel(logging.CRITICAL)
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    traceback(app)
    await client.get("/broken")
    assert output.getvalue().count("ValueError: the reason") == 1


async def test_a_500_that_a_view_raises_itself_is_printed(app, client, capsys):
    traceback(app)
    await client.get("/raised")
    err = capsys.readouterr().err
    assert "raise HttpError(500" in err
    assert "KeyError" not in err


async def test_a_500_without_a_cause_is_printed(app, client, capsys):
    traceback(app)
    request, response = Request(app, None), Response(app, None)
    await app.hook("error", request, response, HttpError(500))
    assert "HttpError" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/nowhere", "/refused", "/%FF"])
async def test_other_errors_are_not_printed(app, client, capsys, path):
    traceback(app, page=True)
    assert (await client.get(path, headers=BROWSER)).status != 500
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("event", ["headers", "request", "response"])
async def test_a_listener_that_raises_is_printed(app, client, capsys, event):
    traceback(app)

    @app.listen(event)
    async def fail(request, response):
        raise RuntimeError("in a listener")

    await client.get("/")
    assert capsys.readouterr().err.endswith("RuntimeError: in a listener\n")


async def test_causes_and_groups_are_printed_whole(app, client, capsys):
    traceback(app)

    @app.route("/")
    async def view(request, response):
        try:
            raise ExceptionGroup("both", [ValueError("one"), KeyError("two")])
        except ExceptionGroup as error:
            raise RuntimeError("three") from error

    await client.get("/")
    err = capsys.readouterr().err
    for part in ("ValueError: one", "KeyError: 'two'", "direct cause", "three"):
        assert part in err


async def test_no_line_begins_with_what_a_client_sent(app, client, capsys):
    traceback(app)

    @app.route("/item")
    async def view(request, response):
        raise ValueError("no such item: " + request.query.get("name"))

    await client.get("/item?name=x%0aGET%20/admin%0d%0a%1b%5b2JPOST%20/fake")
    lines = capsys.readouterr().err.split("\n")
    assert lines.pop() == ""
    assert [line for line in lines if line[:2] != "  "] == []
    assert lines[-3:] == [
        "  ValueError: no such item: x",
        r"  GET /admin\r",
        r"  \x1b[2JPOST /fake",
    ]


async def test_control_characters_are_escaped(app, client, capsys):
    traceback(app)

    @app.route("/")
    async def view(request, response):
        raise ValueError("a\x1b[2Jb\rc\x00\u2028\x9b é\tend")

    await client.get("/")
    end = "ValueError: a\\x1b[2Jb\\rc\\x00\\u2028\\x9b é\tend\n"
    assert capsys.readouterr().err.endswith(end)


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize("error", [Unspeakable(), ValueError("\udcff"), Exception()])
async def test_nothing_an_exception_says_breaks_the_answer(app, client, error):
    traceback(app, page=True)

    @app.route("/")
    async def view(request, response):
        raise error

    answer = await client.get("/", headers=BROWSER)
    assert answer.status == 500
    assert is_page(answer)


async def test_without_the_extension_nothing_is_printed(app, client, capsys):
    traceback(Roll())
    await client.get("/broken")
    assert "Traceback" not in capsys.readouterr().err


# The page


async def test_no_page_is_shown_unless_asked_for(app, client):
    traceback(app)
    answer = await client.get("/broken", headers=BROWSER)
    assert answer.body == b"Internal Server Error"


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:1"],
)
async def test_a_local_browser_gets_the_page(app, client, capsys, host):
    traceback(app, page=True)
    answer = await client.get("/broken?a=b", headers={**BROWSER, "Host": host})
    assert answer.status == 500
    page = html.unescape(answer.body.decode())
    assert "<h1>ValueError: GET /broken?a=b</h1>" in page
    assert 'raise ValueError("the reason")' in page
    assert "ValueError: the reason" in page
    assert "ValueError: the reason" in capsys.readouterr().err


async def test_the_page_is_of_use_to_nobody_else(app, client):
    @app.listen("error")
    async def answer_in_json(request, response, error):
        response.json = {}
        response.headers["content-type"] = response.headers.pop("Content-Type")

    traceback(app, page=True)
    answer = await client.get("/broken", headers=BROWSER)
    policy = answer.headers["Content-Security-Policy"]
    assert re.fullmatch(
        "default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        policy,
    )
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers.list("Content-Type") == ["text/html; charset=utf-8"]
    assert b"<script" not in answer.body


async def test_the_hash_of_the_policy_is_that_of_the_style(app, client):
    from base64 import b64encode
    from hashlib import sha256

    traceback(app, page=True)
    answer = await client.get("/broken", headers=BROWSER)
    style = re.search(rb"<style>(.*?)</style>", answer.body, re.DOTALL)[1]
    digest = b64encode(sha256(style).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


async def test_a_head_request_has_no_body(app, client):
    traceback(app, page=True)
    answer = await client.head("/broken", headers=BROWSER)
    assert (answer.status, answer.body) == (500, b"")
    assert int(answer.headers["Content-Length"]) > 1000


async def test_everything_is_escaped(app, client):
    traceback(app, page=True)

    class Odd(Exception):
        pass

    Odd.__name__ = Odd.__qualname__ = "<b>Odd</b>"

    @app.route("/")
    async def view(request, response):
        raise Odd("<script>alert('1')</script>")

    fields = {"User-Agent": "<script>2</script>"}
    path = "/?<script>4</script>\"'&amp;"
    answer = await client.get(path, headers={**BROWSER, **fields})
    assert is_page(answer)
    for forbidden in (b"<script", b"<b>", b"'1'", b"\"'&amp;"):
        assert forbidden not in answer.body
    assert b"&lt;script&gt;2" in answer.body


SECRETS = {
    "Cookie": "session=s3cr3t-session; other=s3cr3t-other",
    "Authorization": "Bearer s3cr3t-token",
    "X-Api-Key": "s3cr3t-key",
    "Referer": "http://127.0.0.1/?token=s3cr3t-referer",
}


async def test_secrets_are_hidden_wherever_they_stand(app, client):
    traceback(app, page=True)

    @app.route("/")
    async def view(request, response):
        raise ValueError([*request.headers.items(), *request.cookies.items()])

    path = "/?key=s3cr3t-key"
    answer = await client.get(path, headers={**BROWSER, **SECRETS})
    assert is_page(answer)
    assert b"s3cr3t" not in answer.body
    for name in SECRETS:
        row = f"<tr><th>{name.upper()}</th><td>[hidden]</td></tr>"
        assert row.encode() in answer.body
    assert b"<tr><th>HOST</th><td>127.0.0.1:3579</td></tr>" in answer.body


def basic(text):
    return "Basic " + b64encode(text.encode()).decode()


NESTED = quote(
    b64encode(b'{"user": ["me", {"key": "s3cr\\u00e9t"}], "n": 12345678, "t": true}')
)
JWT = ".".join(
    urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"HS256"}', b'{"sub":"s3cret@\xc3\xbf?"}', b"\x00\xff" * 16)
)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        # as it is, or a part of it
        ("X-Api-Key", "s3cret", "s3cret"),
        ("Cookie", "a=1; b=s3cret", "s3cret"),
        ("Authorization", "Bearer s3cret", "s3cret"),
        ("Authorization", 'Digest username="me", response="s3cret"', "s3cret"),
        ("Authorization", f"Bearer {JWT}", JWT.rpartition(".")[2]),
        ("Cookie", "id=s3cret-payload:1s3cret:s3cret-signature", "s3cret-signature"),
        # decoded
        ("Cookie", "a=s3%20cr%C3%A9t", "s3 cr\xe9t"),
        ("Cookie", "a=s3+cr%C3%A9t", "s3 cr\xe9t"),
        ("Cookie", "form=user%3Dme%26key%3Ds3cret", "s3cret"),
        ("Cookie", r'a="s3\"cr\303\251t"', 's3"cr\xc3\xa9t'),
        ("Cookie", r'a="s3\"cr\303\251t"', 's3"cr\xe9t'),
        ("X-Api-Key", "s3cr\xc3\xa9t", "s3cr\xe9t"),
        ("Authorization", basic("me:s3cret"), "me:s3cret"),
        ("Authorization", basic("me:s3:cret"), "s3:cret"),
        ("Authorization", basic("me:s3cr\xe9t"), "s3cr\xe9t"),
        ("Authorization", basic("me:s3cr\xe9t"), "s3cr\xc3\xa9t"),
        ("Authorization", basic("me:s3cret").rstrip("="), "s3cret"),
        ("Cookie", f"a={NESTED}", "s3cr\xe9t"),
        ("Cookie", f"a={NESTED}", "12345678"),
        ("Authorization", f"Bearer {JWT}", "s3cret@\xff?"),
        ("Cookie", "a=s3cret%0asec0nd", "sec0nd"),
        # encoded
        ("Cookie", "a=s3%27cr%22et%5c", repr("s3'cr\"et\\")[1:-1]),
        ("Cookie", "a=s3%27cret", "s3\\'cret"),
        ("Cookie", "a=s3%5ccret", repr(["s3\\cret"])[2:-2]),
        ("Cookie", "a=s3%5ccret", repr(repr("s3\\cret"))[2:-2]),
        ("Cookie", "a=s3cr%C3%A9t", "s3cr\\xe9t"),
        ("Cookie", "a=s3cr%C3%A9t", "s3cr\\xc3\\xa9t"),
        ("Cookie", "a=s3cr%C3%A9t", json.dumps("s3cr\xe9t")[1:-1]),
        ("Cookie", "a=s3%22cret", json.dumps('s3"cret')[1:-1]),
        ("Cookie", "a=s3%3Ccret", "s3&lt;cret"),
        ("Cookie", "a=s3%2F%20cret", "s3/%20cret"),
        ("Cookie", "a=s3%2f%20cret", "s3%2F+cret"),
        ("Authorization", basic("me:s3cret"), b64encode(b"s3cret").decode()),
        ("Authorization", basic("me:s3cret"), b"s3cret".hex()),
        ("Authorization", f"Bearer {JWT}", repr(b"\x00\xff" * 16)[2:-1]),
    ],
)
async def test_a_secret_is_hidden_however_it_is_decoded(
    app, client, name, value, shown
):
    traceback(app, page=True)

    @app.route("/")
    async def view(request, response):
        raise ValueError(f"<<{shown}>>")

    answer = await client.get("/", headers={**BROWSER, name: value})
    assert is_page(answer)
    text = html.unescape(answer.body.decode())
    assert re.findall("ValueError: <<(.*)>>", text) == ["[hidden]"]


@pytest.mark.parametrize(
    "value", ["[" * 5000, '"', '{"', "=", "abcde", "a" * 41, "%", "\\", "\xff\xfe"]
)
async def test_what_cannot_be_decoded_is_hidden_as_it_is(app, client, value):
    traceback(app, page=True)

    @app.route("/")
    async def view(request, response):
        raise ValueError(f"<<{request.headers['X-KEY']}>>")

    fields = {**BROWSER, "X-Key": value, "Cookie": "a=[true,null,2]"}
    answer = await client.get("/", headers=fields)
    text = html.unescape(answer.body.decode())
    shown = "[hidden]" if len(value) >= 4 else value
    assert re.findall("ValueError: <<(.*)>>", text) == [shown]


async def test_nothing_is_shown_of_a_request_with_too_many_secrets(app, client):
    traceback(app, page=True)
    fields = {
        f"X-Key-{number}": ";".join(f"a=secret-{number}-{n}" for n in range(500))
        for number in range(5)
    }
    answer = await client.get("/broken", headers={**BROWSER, **fields})
    assert is_page(answer)
    assert b"the reason" not in answer.body
    assert b"<pre>[hidden]</pre>" in answer.body


async def test_values_of_variables_are_not_shown(app, client):
    traceback(app, page=True)

    @app.route("/")
    async def view(request, response):
        password = "s3" + "cr3t"
        raise ValueError(len(password))

    answer = await client.get("/", headers=BROWSER)
    assert is_page(answer)
    assert b"s3cr3t" not in answer.body


async def test_a_long_traceback_is_cut(app, client):
    traceback(app, page=True)

    @app.route("/")
    async def view(request, response):
        raise ValueError("x" * 10_000_000 + "end")

    answer = await client.get("/", headers=BROWSER)
    assert is_page(answer)
    assert len(answer.body) < 110_000
    assert b"xend" in answer.body
    assert b"\n[...]\n" in answer.body


# The listeners


def listed(answer):
    """Read the events, and the names without their place, from the page."""
    part = answer.body.decode().partition("<h2>Listeners")[2]
    rows = re.findall("<tr><th>(.*?)</th><td>(.*?)</td></tr>", part)
    found = [(event, html.unescape(name).rpartition(".")[2]) for event, name in rows]
    return [row for row in found if row[1] != "notice_public_addresses"]


def listen(app, fails=None):
    """Declare two listeners for each event; one of them may fail."""

    @app.listen("headers")
    async def headers_1(request, response):
        fail("headers_1")

    @app.listen("headers")
    def headers_2(response, request):
        fail("headers_2")

    @app.listen("request")
    async def request_1(request, response):
        fail("request_1")

    @app.listen("request")
    async def request_2(response, request):
        fail("request_2")

    @app.listen("response")
    async def response_1(request, response):
        fail("response_1")

    @app.listen("response")
    async def response_2(request, response):
        fail("response_2")

    def fail(name):
        if name == fails:
            raise RuntimeError(name)


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        ("headers_1", [("headers", "headers_1")]),
        ("headers_2", [("headers", "headers_1"), ("headers", "headers_2")]),
        (
            "request_1",
            [
                ("headers", "headers_1"),
                ("headers", "headers_2"),
                ("request", "request_1"),
            ],
        ),
        (
            None,
            [
                ("headers", "headers_1"),
                ("headers", "headers_2"),
                ("request", "request_1"),
                ("request", "request_2"),
                ("view", "broken"),
            ],
        ),
    ],
)
async def test_the_listeners_are_named_up_to_where_it_failed(
    app, client, fails, expected
):
    traceback(app, page=True)
    listen(app, fails)
    answer = await client.get("/broken", headers=BROWSER)
    assert listed(answer) == expected


async def test_a_response_listener_that_fails_is_the_last(app, client):
    traceback(app, page=True)
    listen(app, "response_1")
    answer = await client.get("/nowhere", headers=BROWSER)
    events = [event for event, _ in listed(answer)]
    assert events == ["headers", "headers", "request", "request", "response"]
    assert listed(answer)[-1] == ("response", "response_1")


async def test_methods_and_objects_are_named_too(app, client):
    traceback(app, page=True)

    class Listener:
        async def __call__(self, request, response):
            pass

        def __repr__(self):
            return "a.Listener"

    class Page:
        async def on_get(self, request, response):
            raise ValueError

    app.listen("request")(Listener())
    app.listen("request")(functools.partial(print_nothing, 1))
    app.route("/page")(Page)
    answer = await client.get("/page", headers=BROWSER)
    assert [event for event, _ in listed(answer)] == ["request", "request", "view"]
    assert listed(answer)[0] == ("request", "Listener")
    assert listed(answer)[2] == ("view", "on_get")


async def test_what_cannot_be_found_in_the_traceback_ends_at_the_view(app, client):
    traceback(app, page=True)

    @app.route("/wrapped")
    @functools.wraps(print_nothing)
    async def view(request, response):
        raise ValueError

    answer = await client.get("/wrapped", headers=BROWSER)
    assert listed(answer) == [("view", "print_nothing")]


def print_nothing(count, request, response):
    pass


# Clients that do not see it


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Host": "roll.test"}, "its Host is not localhost, 127.0.0.1 or [::1]"),
        ({"Host": "localhost.evil.test"}, "its Host is not "),
        ({"Host": "127.0.0.1.evil.test:80"}, "its Host is not "),
        ({"Host": "localhost."}, "its Host is not "),
        ({"Host": ""}, "its Host is not "),
        (
            {"X-Forwarded-For": "127.0.0.1"},
            "the request came through a proxy, which has set X-FORWARDED-FOR",
        ),
        ({"X-Forwarded-Host": ""}, "the request came through a proxy"),
        ({"Forwarded": "for=127.0.0.1"}, "the request came through a proxy"),
        ({"Via": "1.1 x"}, "the request came through a proxy"),
        ({"X-Real-IP": "127.0.0.1"}, "the request came through a proxy"),
        (
            {"Origin": "http://evil.test"},
            "a page of another site has sent it (Origin)",
        ),
        ({"Origin": "null"}, "a page of another site"),
        ({"Origin": "http://[bad"}, "a page of another site"),
        ({"Origin": "http://localhost@evil.test"}, "a page of another site"),
    ],
)
async def test_a_request_that_may_not_be_local_gets_no_page(
    app, client, caplog, fields, reason
):
    traceback(app, page=True)
    answer = await client.get("/broken", headers={**BROWSER, **fields})
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    shown = [one for one in caplog.messages if one.startswith("traceback(page=True)")]
    assert len(shown) == 1
    assert shown[0].startswith(f"traceback(page=True) shows no page: {reason}")
    assert is_page(await client.get("/broken", headers=BROWSER))


@pytest.mark.parametrize("origin", ["http://localhost:8080", "http://127.0.0.1:3579"])
async def test_a_form_of_this_machine_gets_the_page(app, client, origin):
    traceback(app, page=True)
    answer = await client.get("/broken", headers={**BROWSER, "Origin": origin})
    assert is_page(answer)


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/plain"])
async def test_what_is_no_browser_gets_no_page(app, client, caplog, accept):
    traceback(app, page=True)
    answer = await client.get("/broken", headers={**BROWSER, "Accept": accept})
    assert answer.body == b"Internal Server Error"
    assert not any("page" in message for message in caplog.messages)


async def test_a_client_that_a_listener_finds_elsewhere_gets_no_page(
    app, client, caplog
):
    traceback(app, page=True)

    @app.listen("headers")
    async def believe(request, response):
        request.remote_addr = "192.0.2.1"

    assert not is_page(await client.get("/broken", headers=BROWSER))
    assert "a listener has set request.remote_addr" in caplog.text


async def ask_as(app, target="/broken", version="1.1", fields=BROWSER, **addresses):
    transport = connect(app, extra=addresses)
    lines = [f"GET {target} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    transport.feed("\r\n".join([*lines, "", ""]).encode())
    await settle(transport)
    transport.disconnect()
    await transport.wait_closed()
    return transport.data.partition(b"\r\n\r\n")[2].startswith(b"<!doctype")


async def test_a_target_that_names_another_host_gets_no_page(app, client, caplog):
    traceback(app, page=True)
    assert not await ask_as(app, "http://evil.test/broken")
    assert "its Host is not" in caplog.text
    assert await ask_as(app, "http://localhost/broken")


async def test_http_1_0_gets_no_page(app, client, caplog):
    traceback(app, page=True)
    assert not await ask_as(app, version="1.0")
    assert "HTTP/1.0, which proxies speak" in caplog.text


async def test_a_request_made_by_hand_gets_no_page(app, client, caplog):
    traceback(app, page=True)
    request, response = Request(app, None), Response(app, None)
    request.url = b"/broken"
    request.fields = [(b"HOST", b"localhost"), (b"ACCEPT", b"text/html")]
    await app(request, response)
    assert response.body == "Internal Server Error"
    assert "did not come to a loopback address" in caplog.text


@pytest.mark.parametrize("name", ["/run/app.sock", b"", None, ("app",)])
async def test_what_comes_to_no_loopback_address_gets_no_page(
    app, client, caplog, name
):
    traceback(app, page=True)
    assert not await ask_as(app, sockname=name)
    assert is_page(await client.get("/broken", headers=BROWSER)) is (name != ("app",))


@pytest.mark.parametrize(
    "address", [("127.0.0.2", 80), ("::1", 80, 0, 0), ("::ffff:127.0.0.1", 80, 0, 0)]
)
async def test_all_loopback_addresses_are_of_this_machine(app, client, address):
    traceback(app, page=True)
    assert await ask_as(app, sockname=address, peername=address)


@pytest.mark.parametrize("peer", [("192.0.2.1", 80), None, "", ("::ffff:1.1.1.1", 8)])
async def test_a_client_of_another_machine_gets_no_page(app, client, caplog, peer):
    traceback(app, page=True)
    assert not await ask_as(app, peername=peer)
    assert "the client is on another machine" in caplog.text


@pytest.mark.parametrize("path", ["/broken", "/nowhere"])
@pytest.mark.parametrize(
    "address", ["192.0.2.1", "10.0.0.1", "0.0.0.0", "fe80::1%eth0", "::ffff:192.0.2.1"]
)
async def test_after_a_request_to_a_public_address_no_page_is_shown_any_more(
    app, client, caplog, address, path
):
    traceback(app, page=True)
    assert await ask_as(app)
    assert not await ask_as(app, path, sockname=(address, 80))
    assert not await ask_as(app, path, sockname=(address, 80))
    assert not await ask_as(app)
    errors = [one for one in caplog.messages if one.startswith("traceback(page=True)")]
    assert errors == [
        "traceback(page=True) shows no page from now on: requests come to "
        f"{address}, which others can reach. Listen on 127.0.0.1 to develop, and leave "
        "page=True out elsewhere"
    ]


async def test_a_public_address_is_noticed_behind_other_listeners(app, client, caplog):
    @app.listen("headers")
    async def fail(request, response):
        raise ValueError

    traceback(app, page=True)
    assert not await ask_as(app, sockname=("192.0.2.1", 80))
    assert not await ask_as(app)
    assert "192.0.2.1, which others can reach" in caplog.text


async def test_a_public_address_is_noticed_before_other_listeners(app):
    @app.listen("headers")
    async def answer(request, response):
        return request.path == "/answered"

    traceback(app, page=True)
    assert await ask_as(app)
    assert not await ask_as(app, "/answered", sockname=("192.0.2.1", 80))
    assert not await ask_as(app)


async def test_another_app_keeps_its_page(app, client):
    other = make_app()
    traceback(app, page=True)
    traceback(other, page=True)
    assert not await ask_as(other, sockname=("192.0.2.1", 80))
    async with Client(other) as second:
        assert not is_page(await second.get("/broken", headers=BROWSER))
    assert is_page(await client.get("/broken", headers=BROWSER))


# On a socket


async def ask_on(host, port, fields=BROWSER):
    reader, writer = await asyncio.open_connection(host, port)
    lines = ["GET /broken HTTP/1.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    data = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert data.startswith(b"HTTP/1.1 500 ")
    return b"<!doctype html>" in data


async def test_a_browser_on_a_socket_of_this_machine_gets_the_page(app, liveclient):
    traceback(app, page=True)
    answer = await liveclient.query("GET", "/broken", headers={"Accept": "text/html"})
    assert is_page(answer)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", True), ("0.0.0.0", False)])
async def test_a_server_that_others_can_reach_shows_no_page(app, caplog, host, shown):
    traceback(app, page=True)
    sock = socket.create_server((host, 0))
    port = sock.getsockname()[1]
    server = Server(app, [sock])
    await server.start()
    try:
        assert ("which others can reach" in caplog.text) is not shown  # at once
        assert await ask_on("127.0.0.1", port) is shown
    finally:
        await server.stop()


# Mistakes in options


@pytest.mark.parametrize("page", [None, 1, "yes"])
def test_page_is_true_or_false(app, page):
    with pytest.raises(TypeError) as caught:
        traceback(app, page=page)
    assert str(caught.value) == f"page={page!r}: give True or False"
    assert app.hooks == {}


def test_nothing_is_listened_to_for_pages_unless_asked_for(app):
    traceback(app)
    assert [*app.hooks] == ["error"]
