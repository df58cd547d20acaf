"""proxy_headers: the client behind proxies, and clients that pretend to be others."""

import asyncio
import json
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roll import Roll, Server
from roll.extensions import proxy_headers
from roll_testing import connect, exchange, patience, settle

PEER = ["127.0.0.1", "http", "roll.test"]
"""What a request of the fixture `client` is without any proxy."""

FORWARDED = ["Forwarded"]
PROXIES = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]


def make_app():
    app = Roll()

    @app.route("/")
    async def view(request, response):
        response.json = [request.remote_addr, request.scheme, request.host]

    return app


@pytest.fixture
def app():
    return make_app()


async def ask(client, **fields):
    """Send fields, named with underscores, and give what the view has seen."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    response = await client.get("/", headers=headers)
    assert response.status == 200, response.body
    return response.json


async def refuse(client, **fields):
    """Send fields, and give the message of the 400 that they are answered with."""
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    response = await client.get("/", headers=headers)
    assert response.status == 400, response.body
    return response.body.decode()


async def ask_as(app, data, **addresses):
    """Send bytes on a connection with other addresses, and give what comes back."""
    transport = connect(app, extra=addresses)
    transport.feed(data)
    await settle(transport)
    transport.disconnect()
    await transport.wait_closed()
    return transport.data


def read(data):
    return json.loads(data.partition(b"\r\n\r\n")[2])


# Whom to believe


async def test_a_trusted_peer_tells_address_scheme_and_host(app, client):
    proxy_headers(app, trusted=["127.0.0.1"])
    assert await ask(
        client,
        X_Forwarded_For="203.0.113.7",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="example.org",
    ) == ["203.0.113.7", "https", "example.org"]


async def test_loopback_is_trusted_by_default(app, client):
    proxy_headers(app)
    found = await ask(client, X_Forwarded_For="203.0.113.7")
    assert found == ["203.0.113.7", "http", "roll.test"]


@pytest.mark.parametrize("headers", [None, FORWARDED])
async def test_an_untrusted_peer_changes_nothing(app, client, headers):
    options = {"headers": headers} if headers else {}
    proxy_headers(app, trusted=["10.0.0.0/8", "unix"], **options)
    assert (
        await ask(
            client,
            X_Forwarded_For="10.0.0.1",
            X_Forwarded_Proto="no scheme",
            X_Forwarded_Host="<script>",
            Forwarded='for="',
        )
        == PEER
    )


async def test_a_peer_that_says_nothing_is_itself_the_client(app, client):
    proxy_headers(app)
    assert await ask(client) == PEER
    assert await ask(client, X_Forwarded_For="", X_Forwarded_Proto=" , ") == PEER


async def test_what_is_not_told_stays(app, client):
    proxy_headers(app)
    assert await ask(client, X_Forwarded_Proto="https") == [
        "127.0.0.1",
        "https",
        "roll.test",
    ]
    assert await ask(client, X_Forwarded_Host="example.org:8080") == [
        "127.0.0.1",
        "http",
        "example.org:8080",
    ]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_listeners_and_errors_see_the_client(app, client, when):
    seen = []

    async def note_address(request, response):
        seen.append(request.remote_addr)

    if when == "after":
        proxy_headers(app)
    for event in ("headers", "request", "response"):
        app.listen(event)(note_address)
    if when == "before":
        proxy_headers(app)
    response = await client.get("/nowhere", headers={"X-Forwarded-For": "203.0.113.7"})
    assert response.status == 404
    assert seen == ["203.0.113.7"] * 3


async def test_a_malformed_field_of_a_proxy_is_400_for_any_path(app, client):
    proxy_headers(app)
    response = await client.get("/nowhere", headers={"X-Forwarded-For": "nobody"})
    assert response.status == 400


async def test_nothing_is_set_by_a_request_that_is_refused(app, client):
    seen = []
    proxy_headers(app)

    @app.listen("error")
    async def note_request(request, response, error):
        seen.append([request.remote_addr, request.scheme, request.host])

    await refuse(
        client,
        X_Forwarded_For="203.0.113.7",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="<script>",
    )
    assert seen == [PEER]


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3", "10.0.0.0/255.0.0.0"),
        ("::1", "::1"),
        ("fd00::1", "fd00::/8"),
        ("fe80::1%eth0", "fe80::/10"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),  # of a socket that listens for both
    ],
)
async def test_a_peer_is_trusted_by_address_and_by_network(app, peer, trusted):
    proxy_headers(app, trusted=[trusted])
    data = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    assert read(await ask_as(app, data, peername=(peer, 1)))[0] == "203.0.113.7"


@pytest.mark.parametrize("peer", ["11.0.0.1", "fd00::1", "::10.0.0.1", "no address"])
async def test_another_peer_is_not(app, peer):
    proxy_headers(app, trusted=["10.0.0.0/8"])
    data = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    assert read(await ask_as(app, data, peername=(peer, 1)))[0] == peer


@pytest.mark.parametrize(
    ("trusted", "client"), [(["unix"], "203.0.113.7"), (["127.0.0.1"], None)]
)
async def test_the_peer_of_a_unix_socket_is_trusted_by_a_word(
    app, tmp_path, trusted, client
):
    proxy_headers(app, trusted=trusted)
    path = str(tmp_path / "roll.sock")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    server = Server(app, [sock])
    await server.start()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\n\r\n"
    )
    assert read(await reader.read()) == [client, "http", "x"]
    writer.close()
    await writer.wait_closed()
    await server.stop()


async def test_a_peer_of_tcp_without_an_address_is_not_taken_for_a_unix_socket(app):
    # uvloop asks for the address late: of a client that reset there is none.
    proxy_headers(app, trusted=["unix"])
    data = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    assert read(await ask_as(app, data, peername=None)) == [None, "http", "x"]


async def test_a_request_made_by_hand_has_no_unix_socket(app):
    proxy_headers(app, trusted=["unix"])
    request, response = app.Request(app, None), app.Response(app, None)
    request.fields = [(b"X-FORWARDED-FOR", b"203.0.113.7")]
    await app(request, response)
    assert request.remote_addr is None


async def test_over_a_real_socket(app, liveclient):
    proxy_headers(app)
    response = await liveclient.query(
        "GET",
        "/",
        headers={
            "X-Forwarded-For": ["198.51.100.1", "203.0.113.7"],
            "X-Forwarded-Proto": "wss",
            "Host": "x",
        },
    )
    assert response.json == ["203.0.113.7", "https", "x"]


async def test_each_request_of_a_connection_has_its_own_client(app):
    proxy_headers(app)
    request = b"GET / HTTP/1.1\r\nHost: x\r\n"
    first = request + b"X-Forwarded-For: 203.0.113.7\r\n\r\n"
    data = (await exchange(app, first + request + b"\r\n")).data
    assert b'["203.0.113.7","http","x"]HTTP/1.1 200 OK' in data
    assert data.endswith(b'["127.0.0.1","http","x"]')


async def test_two_apps_have_their_own_proxies():
    data = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    found = []
    for trusted in ("127.0.0.1", "10.0.0.1"):
        app = make_app()
        proxy_headers(app, trusted=[trusted])
        found.append(read((await exchange(app, data)).data)[0])
    assert found == ["203.0.113.7", "127.0.0.1"]


# Addresses


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.1", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7, 10.0.0.1, fd00::1", "203.0.113.7"),
        ("198.51.100.1,203.0.113.7,10.0.0.1:443,[fd00::1]:443", "203.0.113.7"),
        ("10.0.0.2, 10.0.0.1", "10.0.0.2"),  # a proxy asks for itself
        ("<script>, ::::, , 203.0.113.7", "203.0.113.7"),
        (", 203.0.113.7 ,\t, ", "203.0.113.7"),
        (["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1", "203.0.113.7, 10.0.0.1"], "203.0.113.7"),
        (["203.0.113.7", ""], "203.0.113.7"),
        ("203.0.113.7:0", "203.0.113.7"),
        ("203.0.113.7:65535", "203.0.113.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:65535", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, ::ffff:10.0.0.1", "203.0.113.7"),
        ("[::ffff:cb00:7107]:80", "203.0.113.7"),
        ("unknown", None),
        ("203.0.113.7, unknown", None),
        ("203.0.113.7, Unknown:80, 10.0.0.1", None),
        ("_hidden", None),
        ("203.0.113.7, _SEVKISEK:_port", None),
        ("203.0.113.7:_port", "203.0.113.7"),
    ],
)
async def test_the_first_address_from_the_right_that_is_not_trusted(
    app, client, value, address
):
    proxy_headers(app, trusted=PROXIES)
    found = await ask(client, X_Forwarded_For=value)
    assert found == [address, "http", "roll.test"]


@pytest.mark.parametrize(
    "value",
    [
        "nobody",
        "203.0.113.7, nobody, 10.0.0.1",
        "localhost",
        "203.0.113.256",
        "203.0.113",
        "203.0.113.07",
        "203.0.113.7:",
        "203.0.113.7:123456",
        "203.0.113.7:http",
        "203.0.113.7 10.0.0.1",
        "203.0.113.7;10.0.0.1",
        '"203.0.113.7"',
        "203.0.113.0/24",
        "[203.0.113.7]x",
        "[203.0.113.7",
        "2001:db8::1]",
        "[]",
        "[:]",
        ":::",
        "1:2:3:4:5:6:7:8:9",
        "fe80::1%eth0",
        "fe80::1%<script>",
        "1",
        "3405803783",
        "0xcb007107",
        "_",
        "_hïdden",
        "\xb2\xb3.0.113.7",
        "\xa0203.0.113.7",
        "\x85",
        "1" * 4000,
        "1:" * 4000,
        "." * 4000,
    ],
)
async def test_an_address_that_is_none_is_400(app, client, value):
    proxy_headers(app, trusted=PROXIES)
    message = await refuse(client, X_Forwarded_For=value)
    assert message == "Malformed address in the proxy headers"


# Scheme and host


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("http", "http"),
        ("HTTPS", "https"),
        ("ws", "http"),
        ("wss", "https"),
        ("javascript, https", "https"),
        (["http", "https"], "https"),
    ],
)
async def test_the_scheme_is_http_or_https(app, client, value, scheme):
    proxy_headers(app)
    assert (await ask(client, X_Forwarded_Proto=value))[1] == scheme


@pytest.mark.parametrize(
    "value", ["ftp", "https://", "on", "\u212a".encode().decode("latin-1")]
)
async def test_another_scheme_is_400(app, client, value):
    proxy_headers(app)
    message = await refuse(client, X_Forwarded_Proto=value)
    assert message == "Malformed scheme in the proxy headers"


@pytest.mark.parametrize(
    "value",
    [
        "example.org",
        "example.org:8080",
        "EXAMPLE.org:65535",
        "my_service.internal",
        "192.0.2.1:80",
        "[2001:db8::1]",
        "[2001:db8::1]:8080",
    ],
)
async def test_a_host_is_set_as_it_is(app, client, value):
    proxy_headers(app)
    assert (await ask(client, X_Forwarded_Host=value))[2] == value


@pytest.mark.parametrize(
    "value",
    [
        "example.org/path",
        "user@example.org",
        "https://example.org",
        "example.org:80:80",
        "example.org:port",
        "example.org:123456",
        "example.org:65536",
        "example.org:",
        "2001:db8::1",
        "[example.org]",
        "<script>",
        "a b",
        "a\tb",
        '"example.org"',
        "exämple.org",
        "example.org\\",
        ":80",
    ],
)
async def test_a_host_with_other_characters_is_400(app, client, value):
    proxy_headers(app)
    message = await refuse(client, X_Forwarded_Host=value)
    assert message == "Malformed host in the proxy headers"


@pytest.mark.parametrize(
    ("addresses", "protos", "hosts", "found"),
    [
        # Each proxy adds to all three fields; left of theirs is what the client sent.
        ("203.0.113.7, 10.0.0.1", "https, http", "a, b", ["https", "a"]),
        (
            "6.6.6.6, 203.0.113.7, 10.0.0.1",
            "ftp, https, http",
            "<, a, b",
            ["https", "a"],
        ),
        ("6.6.6.6, 203.0.113.7", "ftp, https", "<, a", ["https", "a"]),
        # The outer proxy alone sets scheme and host, or the inner one over it.
        ("203.0.113.7, 10.0.0.1", "https", "a", ["https", "a"]),
        ("203.0.113.7, 10.0.0.2, 10.0.0.1", "https, http", "a", ["https", "a"]),
        # A trusted client asked 127.0.0.1: no proxy has sent its fields.
        ("10.0.0.1", "ftp, https", "<, a", ["https", "a"]),
        ("", "ftp, https", "<, a", ["https", "a"]),
        # A proxy that hides the client still sends the rest.
        ("6.6.6.6, unknown, 10.0.0.1", "ftp, https, http", "<, a, b", ["https", "a"]),
    ],
)
async def test_scheme_and_host_are_of_the_same_hop_as_the_address(
    app, client, addresses, protos, hosts, found
):
    proxy_headers(app, trusted=PROXIES)
    answer = await ask(
        client,
        X_Forwarded_For=addresses,
        X_Forwarded_Proto=protos,
        X_Forwarded_Host=hosts,
    )
    assert answer[1:] == found


# Which fields are read


BOTH = {
    "X_Forwarded_For": "203.0.113.7",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_Host": "x.example",
    "Forwarded": "for=198.51.100.1;proto=http;host=f.example",
}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (["X-Forwarded-For"], ["203.0.113.7", "http", "roll.test"]),
        (["x-forwarded-proto"], ["127.0.0.1", "https", "roll.test"]),
        (("X-Forwarded-Host",), ["127.0.0.1", "http", "x.example"]),
        (
            {"X-Forwarded-For", "X-Forwarded-Proto"},
            ["203.0.113.7", "https", "roll.test"],
        ),
        (["FORWARDED"], ["198.51.100.1", "http", "f.example"]),
    ],
)
async def test_only_named_fields_are_read(app, client, headers, found):
    proxy_headers(app, headers=headers)
    assert await ask(client, **BOTH) == found


async def test_forwarded_is_not_read_unless_named(app, client):
    proxy_headers(app)
    assert await ask(client, **BOTH) == ["203.0.113.7", "https", "x.example"]
    assert await ask(client, Forwarded="for=6.6.6.6;host=evil") == PEER
    assert await ask(client, Forwarded='"') == PEER


async def test_names_with_underscores_are_other_fields(app, client):
    proxy_headers(app)
    response = await client.get("/", headers={"X_Forwarded_For": "203.0.113.7"})
    assert response.json == PEER


# Forwarded (RFC 7239)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        # The examples of sections 4 and 7.1.
        ('for="_gazonk"', [None, "http", "roll.test"]),
        ('For="[2001:db8:cafe::17]:4711"', ["2001:db8:cafe::17", "http", "roll.test"]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            ["192.0.2.60", "http", "roll.test"],
        ),
        ("for=192.0.2.43, for=198.51.100.17", ["198.51.100.17", "http", "roll.test"]),
        ("for=192.0.2.43,for=unknown", [None, "http", "roll.test"]),
        (
            ["for=192.0.2.43", "for=198.51.100.17"],
            ["198.51.100.17", "http", "roll.test"],
        ),
        # Names in any case, in any order (section 4), and any extensions.
        (
            "HOST=example.org;PROTO=HTTPS;FOR=192.0.2.1;secret=_x;a=b",
            ["192.0.2.1", "https", "example.org"],
        ),
        # Quotes and escapes (RFC 9110, section 5.6.4).
        (
            'for="192.0.2.1:80";host="example.org:8080";proto="https"',
            ["192.0.2.1", "https", "example.org:8080"],
        ),
        ('for="\\1\\92.0\\.2.1"', ["192.0.2.1", "http", "roll.test"]),
        (
            'for=6.6.6.6;x="a, for=\\"b;", for=192.0.2.1',
            ["192.0.2.1", "http", "roll.test"],
        ),
        ('for=192.0.2.1;x="";y="\\\\"', ["192.0.2.1", "http", "roll.test"]),
        ('for=192.0.2.1;x="é"', ["192.0.2.1", "http", "roll.test"]),
        # Empty pairs and elements, and whitespace.
        (";for=192.0.2.1;;proto=https;", ["192.0.2.1", "https", "roll.test"]),
        (", for=192.0.2.1 ,\t; ,", ["192.0.2.1", "http", "roll.test"]),
        ("for=192.0.2.1 ; proto=https", ["192.0.2.1", "https", "roll.test"]),
        (["for=192.0.2.1", ""], ["192.0.2.1", "http", "roll.test"]),
        ("", PEER),
        # Quotes left out.
        ("for=[2001:db8::1]:80", ["2001:db8::1", "http", "roll.test"]),
        ("for=192.0.2.1:80;host=a:1", ["192.0.2.1", "http", "a:1"]),
        # Through several proxies: each parameter as far as proxies tell it.
        (
            "for=6.6.6.6;proto=ftp;host=evil, for=192.0.2.1;proto=https;host=a, "
            "for=10.0.0.1;proto=http;host=b",
            ["192.0.2.1", "https", "a"],
        ),
        (
            "for=192.0.2.1, for=10.0.0.1;proto=https",
            ["192.0.2.1", "https", "roll.test"],
        ),
        # A proxy that does not name the client.
        ("for=6.6.6.6, proto=https", [None, "https", "roll.test"]),
        ("for=6.6.6.6;host=evil, for=_x;proto=https", [None, "https", "roll.test"]),
        ('host="";x=y', [None, "http", "roll.test"]),
    ],
)
async def test_forwarded_is_read_as_its_standard_says(app, client, value, found):
    proxy_headers(app, trusted=PROXIES, headers=FORWARDED)
    assert await ask(client, Forwarded=value) == found


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("192.0.2.1", "Malformed Forwarded"),
        ("for", "Malformed Forwarded"),
        ("for=", "Malformed Forwarded"),
        ("=192.0.2.1", "Malformed Forwarded"),
        ("for =192.0.2.1", "Malformed Forwarded"),
        ("for= 192.0.2.1", "Malformed Forwarded"),
        ("for=192.0.2.1 proto=https", "Malformed Forwarded"),
        ('for="192.0.2.1"x', "Malformed Forwarded"),
        ('for=x"192.0.2.1"', "Malformed Forwarded"),
        ("för=192.0.2.1", "Malformed Forwarded"),
        ("for=192.0.2.1;host=a/b", "Malformed Forwarded"),
        ('for="192.0.2.1', "Malformed Forwarded"),
        ('for="192.0.2.1\\"', "Malformed Forwarded"),
        # Quotes that would hide what the proxy has added.
        ('for="6.6.6.6, for=192.0.2.1', "Malformed Forwarded"),
        ('for=6.6.6.6;x=", for="[2001:db8::1]:80"', "Malformed Forwarded"),
        (['for=6.6.6.6;x="', 'for="[2001:db8::1]:80"'], "Malformed Forwarded"),
        (['for=6.6.6.6;x="', 'for=192.0.2.1;y="'], "Malformed Forwarded"),
        ("for=6.6.6.6;For=192.0.2.1", "Forwarded repeats for"),
        ('for=""', "Malformed address in the proxy headers"),
        ('for="192.0.2.1, 6.6.6.6"', "Malformed address in the proxy headers"),
        ("for=192.0.2.1;proto=ftp", "Malformed scheme in the proxy headers"),
        ('for=192.0.2.1;host="a/b"', "Malformed host in the proxy headers"),
        ('for=192.0.2.1;host="a, b"', "Malformed host in the proxy headers"),
    ],
)
async def test_a_malformed_forwarded_is_400(app, client, value, message):
    proxy_headers(app, trusted=PROXIES, headers=FORWARDED)
    assert await refuse(client, Forwarded=value) == message


# What clients send to confuse

UNTAMED = st.text(st.sampled_from('for=proto;host,"\\ \t_[]:.%1af<é\xa0'), max_size=60)


async def ask_with(lines, **options):
    app = make_app()
    proxy_headers(app, trusted=PROXIES, **options)
    head = ["GET / HTTP/1.1", "Host: x", *lines, "", ""]
    data = (await exchange(app, "\r\n".join(head).encode("latin-1"))).data
    return data.partition(b"\r\n")[0], data.partition(b"\r\n\r\n")[2]


@given(st.sampled_from(["-For", "-Proto", "-Host"]), UNTAMED)
async def test_nothing_breaks_x_forwarded(name, value):
    status, _ = await ask_with([f"X-Forwarded{name}: {value}"])
    assert status in (b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request")


@given(UNTAMED)
async def test_nothing_breaks_forwarded(value):
    status, _ = await ask_with([f"Forwarded: {value}"], headers=FORWARDED)
    assert status in (b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request")


@given(UNTAMED, st.sampled_from([", ", "\r\nX-Forwarded-For: "]))
async def test_nothing_hides_the_address_that_a_proxy_adds(value, added):
    line = f"X-Forwarded-For: {value}{added}203.0.113.7, 10.0.0.1"
    status, body = await ask_with([line])
    assert (status, body) == (b"HTTP/1.1 200 OK", b'["203.0.113.7","http","x"]')


@given(
    UNTAMED,
    st.sampled_from([", ", "\r\nForwarded: "]),
    st.sampled_from(["203.0.113.7", '"203.0.113.7:80"', '"[::ffff:203.0.113.7]"']),
)
async def test_nothing_hides_the_element_that_a_proxy_adds(value, added, node):
    line = f"Forwarded: {value}{added}for={node};proto=https, for=10.0.0.1"
    status, body = await ask_with([line], headers=FORWARDED)
    if status != b"HTTP/1.1 400 Bad Request":
        assert (status, body) == (b"HTTP/1.1 200 OK", b'["203.0.113.7","https","x"]')


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("X-Forwarded-For", None),
        ("X-Forwarded-Proto", None),
        ("X-Forwarded-Host", None),
        ("Forwarded", FORWARDED),
    ],
)
async def test_a_field_on_many_lines_is_not_read_to_its_end(app, client, name, headers):
    proxy_headers(app, **({"headers": headers} if headers else {}))
    lines = ["a=b," * 1000] * 3
    response = await client.get("/", headers={name: lines})
    assert (response.status, response.body) == (400, f"{name} is too long".encode())


@pytest.mark.parametrize("start", ["", "for=", 'for="', "x"])
@pytest.mark.parametrize(
    "part", [",", ";", " ", "\t ,", "a=", "a=b;", "a=b,", "\\", '"', "[", "1.", "1:"]
)
async def test_hostile_fields_take_no_time(app, start, part):
    value = start + part * (8000 // len(part)) + "!"
    others = make_app()
    proxy_headers(app, trusted=PROXIES)
    proxy_headers(others, trusted=PROXIES, headers=FORWARDED)
    head = f"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {value}\r\n"
    head = f"{head}Forwarded: {value}\r\n\r\n".encode()
    taken = []
    for _ in range(3):  # the least, as others use the machine, too
        began = time.process_time()
        for one in (app, others):
            transport = connect(one)
            transport.feed(head)
            await settle(transport)
            assert transport.data.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
            transport.disconnect()
            await transport.wait_closed()
        taken.append(time.process_time() - began)
    assert min(taken) < patience(0.3)


# Mistakes in options


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "*",
            "trusted: '*' would let every client pretend to be another: name the "
            "network of your proxies, such as '10.0.0.0/8'",
        ),
        (
            "0.0.0.0/0",
            "trusted: '0.0.0.0/0' would let every client pretend to be another: "
            "name the network of your proxies, such as '10.0.0.0/8'",
        ),
        (
            "::1/0",
            "trusted: '::1/0' would let every client pretend to be another: "
            "name the network of your proxies, such as '10.0.0.0/8'",
        ),
        (
            "localhost",
            "trusted: 'localhost': give an IP address, a network such as "
            "'10.0.0.0/8', or 'unix'; names are not looked up",
        ),
        (
            "10.0.0.0/33",
            "trusted: '10.0.0.0/33': give an IP address, a network such as "
            "'10.0.0.0/8', or 'unix'; names are not looked up",
        ),
        (
            "",
            "trusted: '': give an IP address, a network such as '10.0.0.0/8', or "
            "'unix'; names are not looked up",
        ),
        (
            "10.0.0.1/8",
            "trusted: '10.0.0.1/8' may mean two things: write '10.0.0.0/8' for the "
            "whole network, or '10.0.0.1' for one address",
        ),
        (
            "fe80::1%eth0",
            "trusted: 'fe80::1%eth0' has a zone: leave `%` and the rest out",
        ),
        (
            "::ffff:10.0.0.0/104",
            "trusted: '::ffff:10.0.0.0/104' stands for IPv4 addresses: write them as "
            "such",
        ),
    ],
)
def test_an_entry_that_nobody_could_mean_is_refused(app, entry, message):
    with pytest.raises(ValueError, match="trusted: ") as caught:
        proxy_headers(app, trusted=["127.0.0.1", entry])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"trusted": []},
            ValueError,
            "trusted is empty: name the addresses of your proxies, or leave the "
            "extension out",
        ),
        (
            {"trusted": "10.0.0.1"},
            TypeError,
            "trusted='10.0.0.1': give a list, of the addresses of your proxies",
        ),
        (
            {"trusted": None},
            TypeError,
            "trusted=None: give a list, of the addresses of your proxies",
        ),
        (
            {"trusted": [2130706433]},
            TypeError,
            "trusted: 2130706433 is not a string: write the addresses of your proxies "
            "as such",
        ),
        (
            {"headers": ()},
            ValueError,
            "headers is empty: name the fields that your proxy sets, or leave the "
            "extension out",
        ),
        (
            {"headers": "Forwarded"},
            TypeError,
            "headers='Forwarded': give a list, of the fields that your proxy sets",
        ),
        (
            {"headers": ["X-Real-IP"]},
            ValueError,
            "headers: 'X-Real-IP': give some of ['X-Forwarded-For', "
            "'X-Forwarded-Proto', 'X-Forwarded-Host', 'Forwarded']",
        ),
        (
            {"headers": ["Forwarded", "X-Forwarded-For"]},
            ValueError,
            "headers=['Forwarded', 'X-Forwarded-For']: give 'Forwarded' or the others, "
            "whichever your proxy sets: where they disagree, one of them was sent by a "
            "client",
        ),
    ],
)
def test_a_mistake_in_an_option_says_what_to_do(app, options, kind, message):
    with pytest.raises(kind) as caught:
        proxy_headers(app, **options)
    assert str(caught.value) == message
    assert app.hooks.get("headers", ()) == ()


async def test_a_second_call_is_refused_and_trusts_nobody_else(app, client):
    proxy_headers(app, trusted=["10.0.0.0/8"])
    with pytest.raises(ValueError, match="this app has proxy_headers: call `proxy_"):
        proxy_headers(app, trusted=["127.0.0.1"])
    assert await ask(client, X_Forwarded_For="203.0.113.7") == PEER
