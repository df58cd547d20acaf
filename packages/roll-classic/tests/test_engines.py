"""What each engine alone gets wrong, and where roll_classic uses it all the same."""

import os
import time
from datetime import UTC, datetime, timedelta, timezone

import autoroutes
import biscuits
import multifruits
import pytest
import roll
from hypothesis import given, settings
from hypothesis import strategies as st
from roll_classic import Cookie, Cookies, Multipart, Roll, Routes
from roll_classic import cookies as on_biscuits
from roll_classic import multipart as on_multifruits
from roll_classic import routes as on_autoroutes
from roll_testing import patience

EXAMPLES = int(os.environ.get("ROLL_TEST_EXAMPLES", "400"))


class Spy:
    """Notes the calls of some functions of a module."""

    def __init__(self, module, *names):
        self.module = module
        self.calls = []
        for name in names:
            setattr(self, name, self.noting(name))

    def __getattr__(self, name):
        return getattr(self.module, name)

    def noting(self, name):
        def call(*args, **options):
            result = getattr(self.module, name)(*args, **options)
            self.calls.append((name, result))
            return result

        return call


# autoroutes


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["/u/me", "/u/{name}"], "/u/meg", ("/u/{name}", {"name": "meg"})),
        (["/u/{name}", "/u/me"], "/u/me", ("/u/me", {})),
        (["/{id:int}"], "/12", ("/{id:int}", {"id": 12})),
        (["/{id:int}"], "/int", (None, {})),
        (["/u/{x}"], "/u/", (None, {})),
        (["/{x:digit}"], "/\u0663", (None, {})),
        (["/{a}-{b}"], "/x-y", ("/{a}-{b}", {"a": "x", "b": "y"})),
        (["/{x:[a-z]{2}}"], "/ab", ("/{x:[a-z]{2}}", {"x": "ab"})),
    ],
)
def test_what_autoroutes_gets_wrong_is_right(patterns, path, expected):
    routes = Routes()
    for pattern in patterns:
        routes.add(pattern, found=pattern)
    payload, variables = routes.match(path)
    assert ((payload or {}).get("found"), variables) == expected
    alone = autoroutes.Routes()
    try:
        for pattern in patterns:
            alone.add(pattern, found=pattern)
        payload, variables = alone.match(path)
    except autoroutes.InvalidRoute:
        return
    assert ((payload or {}).get("found"), variables or {}) != expected


def known_to_autoroutes(*patterns):
    """List those of some patterns that autoroutes is given."""
    routes = Routes()
    for pattern in patterns:
        routes.add(pattern)
    return [*on_autoroutes._find_alone(routes)]


@pytest.mark.parametrize(
    ("patterns", "given_to_it"),
    [
        (["/", "/user", "/users/{id}"], ["/", "/user", "/users/{id}"]),
        (["/{a}/{b:digit}/x", "/{a}"], ["/{a}/{b:digit}/x", "/{a}"]),
        (["/{a}/x", "/{b}/y"], ["/{a}/x", "/{b}/y"]),
        # What another one may take.
        (["/u/me", "/u/{name}", "/v/{name}"], ["/v/{name}"]),
        (["/{a}/x/y", "/b/{c}/y", "/b"], ["/b"]),
        (["/{a:digit}/x", "/{a}/y"], []),
        (["/a/{x:int}", "/a/b", "/b/c"], ["/b/c"]),
        (["/a/b/{x:int}", "/a/{y}", "/c/{y}"], ["/c/{y}"]),
        (["/a/b/{x:int}", "/{y}/c", "/a"], ["/a"]),
        (["/{x:int}", "/a"], []),
        # What only takes the rest.
        (["/{rest:path}", "/a/{b}"], ["/a/{b}"]),
        (["/static/{rest:any}/x", "/static/a"], ["/static/a"]),
        (["/b/{rest:path}", "/b/{a}", "/{a}/x/y"], ["/b/{a}"]),
        (["/b/{rest:path}", "/b/{x:int}/y", "/b/{a}"], []),
    ],
)
def test_autoroutes_is_given_what_no_other_pattern_takes(patterns, given_to_it):
    assert known_to_autoroutes(*patterns) == given_to_it
    assert known_to_autoroutes(*reversed(patterns)) == given_to_it[::-1]


def test_autoroutes_is_asked_first(monkeypatch):
    routes = Routes()
    routes.add("/users/{id}", found=1)
    routes.add("/users/{id}", more=2)

    def fail(self, path):
        raise AssertionError

    monkeypatch.setattr(roll.Routes, "match", fail)
    assert routes.match("/users/7") == ({"found": 1, "more": 2}, {"id": "7"})
    for path in ("/users/", "/users/é", "/nothing"):
        with pytest.raises(AssertionError):
            routes.match(path)


def test_a_pattern_added_later_is_found():
    routes = Routes()
    routes.add("/{a}", found=1)
    assert routes.match("/b") == ({"found": 1}, {"a": "b"})
    routes.add("/b", found=2)
    assert routes.match("/b") == ({"found": 2}, {})
    assert routes.match("/c") == ({"found": 1}, {"a": "c"})


def test_autoroutes_is_given_no_more_than_it_takes_in_no_time(monkeypatch):
    monkeypatch.setattr(on_autoroutes, "LARGEST", 2)
    routes = Routes()
    for name in "abc":
        routes.add(f"/{name}/{{x}}", found=name)
    assert routes.match("/c/1") == ({"found": "c"}, {"x": "1"})
    assert routes._engine.match("/b/1") == ({"found": "b"}, {"x": "1"})
    assert routes._engine.match("/c/1") == (None, None)


@pytest.mark.parametrize("path", ["/a" * 4000, "/" * 8000, "/" + "a" * 8000])
def test_no_path_takes_long(path):
    routes = Routes()
    for number in range(on_autoroutes.LARGEST):
        routes.add(f"/a{'/a' * (number % 50)}/x{number}/{{y}}/{{z:digit}}")
    assert len([*on_autoroutes._find_alone(routes)]) == on_autoroutes.LARGEST
    assert routes.match("/nothing") == (None, {})
    started = time.process_time()
    for _ in range(100):
        assert routes.match(path) == (None, {})
    assert time.process_time() - started < patience(0.5)


SEGMENTS = ["a", "ab", "b", "", "{%}", "{%:alpha}", "{%:digit}", "{%:alnum}"]
RARE = ["{%:int}", "{%:path}", "{%:[ab]+}", "a{%}", "{%}-{%}"]
PATTERNS = st.lists(
    st.lists(st.sampled_from(SEGMENTS * 2 + RARE), min_size=1, max_size=4),
    min_size=1,
    max_size=6,
)
PATHS = st.lists(
    st.sampled_from(["a", "ab", "abc", "b", "", "1", "1a", "_", "é", "\u0663", "a-b"]),
    min_size=1,
    max_size=5,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(PATTERNS, st.lists(PATHS, min_size=1, max_size=20))
def test_routes_agree_with_those_of_the_core(patterns, paths):
    ours, cores = Routes(), roll.Routes()
    for segments in patterns:
        names = iter(f"v{number}" for number in range(99))
        pattern = "/" + "/".join(segments)
        pattern = "".join(next(names) if char == "%" else char for char in pattern)
        try:
            cores.add(pattern, found=pattern)
        except ValueError as error:
            with pytest.raises(type(error)):
                ours.add(pattern, found=pattern)
        else:
            ours.add(pattern, found=pattern)
    for segments in paths:
        path = "/" + "/".join(segments)
        assert ours.match(path) == cores.match(path)


# biscuits

NOON = datetime(2024, 7, 9, 12, 30, 5)


@pytest.mark.parametrize(
    ("header", "alone", "expected"),
    [
        ("a=caf%C3%A9; b=1", {"b": "1"}, {"a": "café", "b": "1"}),
        ("a=1,2; b=3", {"a": "1", "b": "3"}, {"a": "1,2", "b": "3"}),
        ("a=first; a=last", {"a": "last"}, {"a": "first"}),
        ("flag; a=1", {"a": "1"}, {"": "flag", "a": "1"}),
    ],
)
def test_what_biscuits_reads_wrong_is_right(header, alone, expected):
    assert biscuits.parse(header) == alone
    assert Cookies.parse(header) == expected


def test_biscuits_loses_everything_after_4096_characters():
    header = "; ".join(f"name{i}=value{i}" for i in range(400))
    expected = {f"name{i}": f"value{i}" for i in range(400)}
    assert biscuits.parse(header) != expected
    assert Cookies.parse(header) == expected


@given(
    st.text(st.sampled_from('ab=; "%,\\41C3A9\t') | st.characters(max_codepoint=255))
)
def test_cookies_are_read_as_by_the_core(header):
    assert Cookies.parse(header) == roll.Cookies.parse(header)


def test_biscuits_reads_plain_pairs(monkeypatch):
    spy = Spy(biscuits, "parse")
    monkeypatch.setattr(on_biscuits, "biscuits", spy)
    assert Cookies.parse("a=1; b=2") == {"a": "1", "b": "2"}
    assert spy.calls == [("parse", {"a": "1", "b": "2"})]


def test_biscuits_never_sends_max_age_0():
    assert "Max-Age" not in str(biscuits.Cookie("a", "b", max_age=0))
    assert str(Cookie("a", "b", max_age=0)) == "a=b; Max-Age=0; Path=/"


def test_biscuits_refuses_a_max_age_below_0():
    with pytest.raises(OverflowError):
        biscuits.Cookie("a", "b", max_age=-1)
    assert str(Cookie("a", "b", max_age=-1)) == "a=b; Max-Age=-1; Path=/"


@pytest.mark.parametrize("char", ["\r", "\n", "\0", ";", "\x7f"])
@pytest.mark.parametrize("argument", ["name", "path", "domain", "samesite"])
def test_biscuits_lets_separators_through(argument, char):
    options = {"name": "a", "value": "b", argument: f"Lax{char}"}
    assert char in str(biscuits.Cookie(**options))
    with pytest.raises(ValueError, match=f"its {argument} "):
        Cookies().set(**options)


def test_biscuits_labels_aware_datetimes_gmt_without_converting():
    aware = NOON.replace(tzinfo=timezone(timedelta(hours=2)))
    assert "12:30:05 GMT" in str(biscuits.Cookie("a", "b", expires=aware))
    cookies = Cookies()
    cookies.set("a", "b", expires=aware)
    assert "10:30:05 GMT" in str(cookies["a"])


@pytest.mark.parametrize(
    ("value", "alone", "expected"),
    [
        ("%41", "a=%41", "a=%2541"),  # which would come back as A
        ("\u20ac", 'a="\u20ac"', "a=%E2%82%AC"),  # which cannot be sent
    ],
)
def test_what_biscuits_writes_wrong_is_right(value, alone, expected):
    assert str(biscuits.Cookie("a", value, path="")) == alone
    assert str(Cookie("a", value, path="")) == expected


def test_biscuits_writes_plain_cookies(monkeypatch):
    spy = Spy(biscuits, "Cookie")
    monkeypatch.setattr(on_biscuits, "biscuits", spy)
    cookies = Cookies()
    cookies.set("a", "b c", 60, NOON, True, True, "/x", "example.org", samesite="Lax")
    assert isinstance(cookies["a"], Cookie)
    assert str(cookies["a"]) == (
        'a="b c"; Expires=Tue, 09 Jul 2024 12:30:05 GMT; Max-Age=60;'
        " Domain=example.org; Path=/x; Secure; HttpOnly; SameSite=Lax"
    )
    assert len(spy.calls) == 1
    cookies.set("a", "b", partitioned=True)
    assert str(cookies["a"]) == "a=b; Path=/; Partitioned"
    assert len(spy.calls) == 1


@given(
    st.text(st.characters(codec="utf8")),
    st.none() | st.integers(-1, 2**33),
    st.none() | st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    st.sampled_from([None, "", "/x"]),
    st.sampled_from([None, "", "example.org"]),
    st.booleans(),
)
def test_cookies_are_written_as_by_the_core(value, age, expires, path, domain, flag):
    options = (value, age, expires, flag, not flag, path, domain)
    ours, cores = Cookies(), roll.Cookies()
    ours.set("a", *options, samesite="Strict")
    cores.set("a", *options, samesite="Strict")
    assert str(ours["a"]) == str(cores["a"])
    assert tuple(ours["a"]) == tuple(cores["a"])


# multifruits

TYPE = "multipart/form-data; boundary=B"
FIELD = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
FILE = (
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n\r\nx\r\n--\ry\r\n"
)
END = b"--B--\r\n"


class Events:
    """What multifruits alone makes of a body."""

    def __init__(self, data, content_type=TYPE):
        self.headers, self.data, self.parts = [], [], 0
        multifruits.Parser(self, content_type.encode()).feed_data(data)

    def on_header(self, name, value):
        self.headers.append((name, value))

    def on_data(self, data):
        self.data.append(data)

    def on_part_complete(self):
        self.parts += 1


def parse(*pieces, content_type=TYPE, kind=Multipart, app=None):
    """Give what a body has, and whether multifruits has read it."""
    parser = kind(app)
    form, files = parser.initialize(content_type)
    for piece in pieces:
        parser.feed_data(piece)
    parser.finish()
    read = {
        name: [(file.filename, file.content_type, file.read()) for file in values]
        for name, values in files.items()
    }
    files.close()
    return dict(form), read, getattr(parser._parser, "_whole", None)


BOTH = ({"a": ["1"]}, {"f": [("a.txt", "text/plain", b"x\r\n--\ry")]})


@pytest.mark.parametrize("start", [b"", b"\r\n", b"note\r\n"])
@pytest.mark.parametrize("end", [b"", b"more", END])
def test_multifruits_reads_a_plain_body_that_comes_whole(start, end):
    assert parse(start + FIELD + FILE + END) == (*BOTH, True)
    assert parse(start + FIELD + FILE + END, end) == (*BOTH, True)
    assert parse(start + FIELD + FILE + END + end) == (*BOTH, True)
    padded = (FIELD + FILE).replace(b"--B\r", b"--B \t\r") + b"--B--"
    assert parse(start + padded) == (*BOTH, True)


def test_the_core_reads_a_body_that_comes_in_pieces():
    data = FIELD + FILE + END
    for size in range(len("--B"), len(data) - len("\r\n")):
        assert parse(data[:size], data[size:]) == (*BOTH, False)


@pytest.mark.parametrize(
    "data",
    [
        END,
        FIELD.replace(b'"a"', b'"%22"') + END,
        FIELD.replace(b'"a"', b"a") + END,
        FIELD.replace(b"Content-Disposition", b"content-disposition") + END,
        FIELD.replace(b"\r\n\r\n", b"\r\nX-Empty:\r\n\r\n") + END,
        FIELD.replace(b"1", b"\r" * 2000) + END,
        FIELD.replace(b'"a"', b'"%b"' % (b"a" * 501)) + END,
    ],
)
def test_the_core_reads_a_body_that_is_not_plain(data):
    assert parse(data)[2] is False
    assert parse(data)[:2] == parse(data, kind=roll.Multipart)[:2]


@pytest.mark.parametrize(
    "limits", [roll.Limits(part_field=1000), roll.Limits(part_fields=1)]
)
def test_the_core_reads_a_body_with_small_limits(limits):
    class Small(Roll):
        pass

    Small.limits = limits
    assert parse(FIELD + END, app=Small()) == ({"a": ["1"]}, {}, False)


def test_a_limit_holds_for_what_multifruits_reads():
    class Small(Roll):
        limits = roll.Limits(parts=1)

    parser = Multipart(Small())
    _, files = parser.initialize(TYPE)
    with pytest.raises(roll.HttpError, match="Too many parts"):
        parser.feed_data(FILE + FIELD + END)
    assert files.get("f").closed
    with pytest.raises(roll.HttpError, match="Unparsable"):
        parser.feed_data(b"more")


def test_multifruits_accepts_a_truncated_body_and_loses_its_last_part():
    truncated = (FIELD + FIELD + END)[:-9]
    assert Events(truncated).parts == 1
    with pytest.raises(roll.HttpError, match="Unparsable"):
        parse(truncated)


def test_multifruits_glues_an_empty_header_to_the_next_name():
    data = FIELD.replace(b"--B\r\n", b"--B\r\nX-Empty:\r\n") + END
    assert Events(data).headers[0][0] == b"X-EmptyContent-Disposition"
    assert parse(data) == ({"a": ["1"]}, {}, False)


def test_multifruits_cannot_be_told_a_boundary_with_an_equals_sign():
    content_type = 'multipart/form-data; boundary="a=b"'
    data = (FIELD + END).replace(b"--B", b"--a=b")
    with pytest.raises(ValueError, match="boundary"):
        Events(data, content_type)
    assert parse(data, content_type=content_type) == ({"a": ["1"]}, {}, False)


def test_multifruits_refuses_an_empty_form():
    with pytest.raises(ValueError, match="FIRST_BOUNDARY"):
        Events(END)
    assert parse(END) == ({}, {}, False)


def test_multifruits_calls_back_for_each_cr():
    assert len(Events(FIELD.replace(b"1", b"\r" * 100) + END).data) == 100


@pytest.mark.parametrize(
    "content", [b"\r\n" * 10_000, b"\r\n--" * 8_000, b"\r\n--B" * 10, b"x" * 2**20]
)
def test_a_mebibyte_takes_no_time(content):
    content += b"x" * (2**20 - len(content))
    data = FILE.replace(b"x\r\n--\ry", content.replace(b"B", b"A")) + END
    started = time.process_time()
    _, files, whole = parse(data)
    assert time.process_time() - started < patience(0.5)
    assert whole
    assert files["f"][0][2] == content.replace(b"B", b"A")


CONTENT = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"-", b"--", b"--B", b"\r\n--", b"B", b"\0"]
    )
    | st.binary(max_size=20)
).map(b"".join)
PARTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                b'Content-Disposition: form-data; name="a"',
                b'Content-Disposition: form-data; name="f"; filename="\xc3\xa9.txt"',
                b'Content-Disposition: form-data; name="f"; filename="b"\r\n'
                b"Content-Type: image/png; x=y",
                b'Content-Disposition: form-data; name="a"\r\nX-Empty:',
            ]
        ),
        CONTENT,
    ),
    max_size=4,
)


def outcome(data, kind):
    try:
        return parse(data, kind=kind)[:2]
    except roll.HttpError as error:
        return int(error.status), error.message


@settings(max_examples=EXAMPLES, deadline=None)
@given(PARTS, st.binary(max_size=3))
def test_bodies_are_read_as_by_the_core(parts, end):
    data = b"".join(
        b"--B\r\n" + head + b"\r\n\r\n" + content + b"\r\n" for head, content in parts
    )
    data += FIELD + END + end
    assert outcome(data, Multipart) == outcome(data, roll.Multipart)


# All three


async def test_an_app_runs_on_all_three(client, app, monkeypatch):
    spies = {
        on_biscuits: Spy(biscuits, "parse", "Cookie"),
        on_multifruits: Spy(multifruits, "Parser"),
        on_autoroutes: Spy(autoroutes, "Routes"),
    }
    for module, spy in spies.items():
        monkeypatch.setattr(module, spy.module.__name__, spy)

    @app.route("/hello/{name}", methods=["POST"])
    async def hello(request, response, name):
        response.cookies.set("seen", request.cookies["seen"] + "1")
        response.json = [name, request.form.get("a")]

    response = await client.post(
        "/hello/world",
        body=FIELD + END,
        headers={"Cookie": "seen=1"},
        content_type=TYPE,
    )
    assert response.json == ["world", "1"]
    assert response.cookies["seen"] == "11"
    assert [[name for name, _ in spy.calls] for spy in spies.values()] == [
        ["parse", "Cookie"],
        ["Parser"],
        ["Routes"],
    ]
