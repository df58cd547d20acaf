"""Routes, by examples and against a plain oracle (SPEC 3)."""

import datetime
import os
import random
import re
import sys
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roll import Roll, Routes
from roll.routing.matching import UnreachableRouteError
from roll_testing import patience


def match(patterns, path):
    """Add patterns and look a path up: the pattern found, and its variables."""
    routes = Routes()
    for pattern in patterns:
        routes.add(pattern, found=pattern)
    payload, variables = routes.match(path)
    return (payload and payload["found"]), variables


# What compiled routers get wrong


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["/u/me", "/u/{name}"], "/u/meg", ("/u/{name}", {"name": "meg"})),
        (["/u/{name}", "/u/me"], "/u/me", ("/u/me", {})),
        (["/{id:int}"], "/12", ("/{id:int}", {"id": 12})),
        (["/{id:int}"], "/int", (None, {})),
        (["/u/{x}"], "/u/", (None, {})),
        (["/{a}-{b}"], "/x-y", ("/{a}-{b}", {"a": "x", "b": "y"})),
        (["/{x:[a-z]{2}}"], "/ab", ("/{x:[a-z]{2}}", {"x": "ab"})),
    ],
)
def test_the_pattern_that_fits_is_found(patterns, path, expected):
    assert match(patterns, path) == expected


# What the types take

LAST_UUID = uuid.UUID(int=2**128 - 1)


@pytest.mark.parametrize(
    ("pattern", "path", "value"),
    [
        ("/{x}", "/a-b.c~é", "a-b.c~é"),
        ("/{x:string}", "/a b", "a b"),
        ("/{x:digit}", "/007", "007"),
        ("/{x:alpha}", "/abC", "abC"),
        ("/{x:alnum}", "/a1_", "a1_"),
        ("/{x:int}", "/-12", -12),
        ("/{x:float}", "/1.5", 1.5),
        ("/{x:float}", "/2", 2.0),
        ("/{x:int}", "/-0", 0),
        ("/{x:int}", "/" + "9" * 4300, 10**4300 - 1),
        ("/{x:int}", "/-" + "0" * 4299 + "7", -7),
        ("/{x:float}", "/" + "9" * 308, float("1e308")),
        ("/{x:float}", "/-" + "9" * 308 + ".0", float("-1e308")),
        ("/{x:float}", "/0." + "0" * 400 + "1", 0.0),
        ("/{x:float}", "/" + "0" * 400 + "1.5", 1.5),
        ("/{x:uuid}", f"/{uuid.UUID(int=1)}", uuid.UUID(int=1)),
        ("/{x:uuid}", f"/{str(uuid.UUID(int=2**128 - 1)).upper()}", LAST_UUID),
        ("/{x:date}", "/0001-01-01", datetime.date.min),
        ("/{x:date}", "/9999-12-31", datetime.date.max),
        ("/{x:date}", "/2026-02-28", datetime.date(2026, 2, 28)),
        ("/{x:path}", "/", ""),
        ("/{x:path}", "/a/b\n/", "a/b\n/"),
        ("/{x:any}", "/a/b", "a/b"),
        ("/path/to/{x:.+}", "/path/to/a/b", "a/b"),
        ("/{x:[0-9]{4}}", "/2026", "2026"),
        ("/{x:(?i:en|de)}", "/EN", "EN"),
        ("/v{x:(?i:en|de)}", "/vDe", "De"),
        (r"/{x:\d+|me}", "/me", "me"),
        ("/{x:[^a]+}", "/b/c", "b/c"),
        (r"/{x:\D+}", "/b/c", "b/c"),
        ("/{x:[+-9]+}", "/1/2", "1/2"),
        ("/{x:[^a/b]+}", "/cd", "cd"),
        ("/{x:a|b/c}", "/b/c", "b/c"),
        ("/v{x:int}", "/v2", 2),
        ("/{x:int}/edit", "/12/edit", 12),
        ("/{x:alpha}/edit", "/ab/edit", "ab"),
    ],
)
def test_a_placeholder_takes(pattern, path, value):
    assert match([pattern], path) == (pattern, {"x": value})


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/{x}", "/"),
        ("/{x}", "/a/b"),
        ("/{x}", ""),
        ("/{x}", "*"),
        ("/{x}", "a"),
        ("/{x:digit}", "/a"),
        ("/{x:digit}", "/\u0663"),
        ("/{x:alpha}", "/a1"),
        ("/{x:alnum}", "/a-"),
        ("/{x:int}", "/1.0"),
        ("/{x:int}", "/" + "9" * 5000),
        ("/{x:int}", "/" + "0" * 4300 + "1"),
        ("/{x:int}", "/+1"),
        ("/{x:int}", "/--1"),
        ("/{x:int}", "/1_0"),
        ("/{x:int}", "/ 1"),
        ("/{x:int}", "/1\n"),
        ("/{x:int}", "/\u0663"),
        ("/{x:int}", "/\N{SUPERSCRIPT TWO}"),
        ("/{x:float}", "/nan"),
        ("/{x:float}", "/inf"),
        ("/{x:float}", "/1e3"),
        ("/{x:float}", "/" + "9" * 400),
        ("/{x:float}", "/-" + "9" * 400),
        ("/{x:float}", "/" + "9" * 400 + ".5"),
        ("/{x:float}", "/\u0661.\u0665"),
        ("/v{x:float}", "/v" + "9" * 400),
        ("/v{x:int}", "/v" + "9" * 4301),
        ("/{x:uuid}", "/1"),
        ("/{x:uuid}", "/{00000000-0000-0000-0000-000000000001}"),
        ("/{x:uuid}", "/00000000000000000000000000000001"),
        ("/{x:uuid}", "/urn:uuid:00000000-0000-0000-0000-000000000001"),
        ("/{x:uuid}", "/0000000\u0660-0000-0000-0000-000000000001"),
        ("/{x:date}", "/2026-02-30"),
        ("/{x:date}", "/0000-01-01"),
        ("/{x:date}", "/9999-12-32"),
        ("/{x:date}", "/10000-01-01"),
        ("/{x:date}", "/20260228"),
        ("/{x:date}", "/2026-W01-1"),
        ("/{x:int}/edit", "/a/edit"),
        ("/{x:alpha}/edit", "/12/edit"),
        ("/{x:path}", ""),
        ("/a/{x:path}", "/a"),
        ("/path/to/{x:.+}", "/path/to/"),
        ("/{x:[0-9]{4}}", "/20266"),
        ("/{x:path}/end", "/a/b"),
        ("/{x:[^/]+}", "/a/b"),
        (r"/{x:[^\W]+}", "/a/b"),
    ],
)
def test_a_placeholder_does_not_take(pattern, path):
    assert match([pattern], path) == (None, {})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/files/readme", "/files/readme"),
        ("/files/12", "/files/{id:digit}"),
        ("/files/a.txt", "/files/{name}.{ext}"),
        ("/files/abc", "/files/{name}"),
        ("/files/a/b", "/files/{rest:[a-z/]+}"),
        ("/files/A/B", "/files/{rest:path}"),
        ("/files/A/edit", "/files/{rest:path}/edit"),
        ("/files/", "/files/{rest:path}"),
    ],
)
def test_the_most_specific_wins_in_any_order_of_registration(path, expected):
    patterns = [
        "/files/readme",
        "/files/{id:digit}",
        "/files/{name}.{ext}",
        "/files/{name}",
        "/files/{rest:[a-z/]+}",
        "/files/{rest:path}",
        "/files/{rest:path}/edit",
    ]
    for seed in range(20):
        shuffled = random.Random(seed).sample(patterns, len(patterns))
        assert match(shuffled, path)[0] == expected


def test_several_placeholders_in_a_segment_take_as_a_regular_expression_does():
    assert match(["/{a}.{b}"], "/x.tar.gz")[1] == {"a": "x.tar", "b": "gz"}
    pattern = "/{y:int}-{m:int}"
    assert match([pattern], "/2026-07")[1] == {"y": 2026, "m": 7}
    assert match([pattern], f"/1-{'9' * 900}")[1]["m"] > 10**899
    assert match(["/{d:date}.{ext}"], "/2026-02-30.txt") == (None, {})


def test_any_number_of_segments_may_be_placeholders():
    for count in range(1, 6):
        names = "abcde"[:count]
        pattern = "".join(f"/{{{name}}}" for name in names)
        assert match([pattern], pattern.replace("}", "-}")) == (
            pattern,
            {name: f"{{{name}-}}" for name in names},
        )
        assert match([pattern], "/" + "/".join(names[1:] + "/")) == (None, {})


def test_what_is_known_of_a_path_adds_up():
    routes = Routes()
    routes.add("/{x}", GET=1)
    routes.match("/a")
    routes.add("/{x}", POST=2)
    routes.add("/a", GET=3)
    assert routes.match("/b") == ({"GET": 1, "POST": 2}, {"x": "b"})
    assert routes.match("/a") == ({"GET": 3}, {})
    assert list(routes) == ["/{x}", "/a"]


# Mistakes


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("/{x", "does not close a brace"),
        ("/x}", "closes a brace that is not open"),
        ("/{x:[a}", "is not a regular expression"),
        (r"/{x:\}", "does not close a brace"),
        ("/{}", "'' cannot be the name of a variable"),
        ("/{1x}", "'1x' cannot be the name"),
        ("/{a b}", "'a b' cannot be the name"),
        ("/{x}/{x}", "has the same variable twice"),
        ("/{id:itn}", "'itn' is not a type; did you mean 'int'?"),
        ("/{int:name}", "'name' is not a type; write {name:int}"),
        ("/{id: int}", "leave out the space in ' int'"),
        ("/{id:qqq}", "'qqq' is not a type; types are uuid, date"),
        ("/{x:(a)b}", "has a group"),
        ("/{x:(?:a+)+}", "repeats a repeat"),
        ("/{a}{b}{c}{d}{e}{f}{g}{h}{i}{j}{k}{l}{m}{n}{o}{p}", "too many ways"),
        ("x", "is not a path: start it with a slash"),
        ("", "is not a path"),
    ],
)
def test_a_malformed_pattern_says_what_is_wrong(pattern, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Routes().add(pattern)
    assert repr(pattern) in str(caught.value)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("/u/{a}", "/u/{b}"),
        ("/u/{a}", "/u/{b:string}"),
        ("/{a:path}", "/{b:any}"),
        ("/u/{a}", "/u/{b:[a-z]+}"),
        ("/u/{a}/x", "/u/{b:[0-9]{2}}/x"),
        ("/{a}/{b}", "/{c:[a-z]+}/me"),
        ("/{a}/{b}", "/{c:[a-z]+}-{d}/{e:int}"),
        ("/{a}/{b:alpha}", "/{c:[a-z]+}/me"),
        ("/{a}/x/{b}", "/{c:en|de}/x/{d:int}"),
        ("/{l:[a-z]+}/{a}", "/{l:[a-z]+}/{b:a|b}"),
        ("/{a:digit}", "/{b:[0-9]+|[1-4]{2}}"),
        ("/{a:int}", "/{b:[0-9]{4}}"),
        ("/{a:alnum}", "/{b:[a-z]+}"),
        ("/{a:.+}", "/{b:path}/edit"),
        ("/f/{a:.+}", "/f/{b:path}/{c}"),
    ],
)
def test_a_route_that_can_never_be_reached_is_an_error_in_either_order(one, two):
    for first, second in ((one, two), (two, one)):
        routes = Routes()
        routes.add(first)
        with pytest.raises(UnreachableRouteError) as caught:
            routes.add(second)
        assert repr(one) in str(caught.value)
        assert repr(two) in str(caught.value)
        assert caught.value.other == first


@pytest.mark.parametrize(
    ("one", "two", "path"),
    [
        ("/u/{a}", "/u/{b:path}", "/u/"),
        ("/u/{a}", "/u/{b:[a-z]*}", "/u/"),
        ("/{a}/{b}", "/{c:[a-z]+}/", "/a/"),
        ("/{a}/me", "/{b:[a-z]+}/{c}", "/a/b"),
        ("/{a:digit}", "/{b:[0-9-]+}", "/1-2"),
        ("/{a:digit}", "/{b:\\d+}", "/\u0663"),
        ("/{a:alpha}", "/{b:[^0-9/]+}", "/é"),
        ("/{a:alpha}", "/{b:(?i:k)}", "/\u212a"),
        ("/{a:alpha}", "/{b:(?!é)[a-zé]+}", "/aé"),
        ("/{a:uuid}", "/{b:[0-9]+}", "/1"),
        ("/{a:.+}", "/{b:path}", "/"),
        ("/a/{a:.+}", "/{b}", "/a"),
        ("/{a:digit}.{b}", "/{c}.{d}", "/x.y"),
        ("/{a}/x{b}", "/{c:[a-z]+}/{d}", "/a/y"),
    ],
)
def test_a_route_that_another_hides_only_in_part_can_be_reached(one, two, path):
    for patterns in ([one, two], [two, one]):
        assert match(patterns, path)[0] == two


def test_an_unreachable_route_names_where_both_were_declared():
    app = Roll()

    async def view(request, response, **variables): ...

    app.route("/u/{a}")(view)
    with pytest.raises(ValueError, match=r"use one name \(at .+:\d+ and at .+:\d+\)"):
        app.route("/u/{b}", methods=["POST"])(view)


def test_a_look_up_tries_as_much_among_many_routes_as_among_few():
    tried = []
    for count in (2, 2000):
        routes = Routes()
        for number in range(count):
            routes.add(f"/a{number}/{{x}}")
            routes.add(f"/{{x}}/b{number}")
            routes.add(f"/{{x:en|de}}/c{number}")
            routes.add(f"/api/{{x}}/d{number}/{{y:int}}")
            routes.add(f"/e{number}-{{x}}/f")
        paths = ["/a1/x", "/x/b1", "/de/c1", "/api/x/d1/7", "/e1-x/f", "/x/y", "/api/x"]
        assert routes.match(paths[0])[0] is not None  # the indexes are made
        tried.append([calls_to_match(routes, path) for path in paths])
    # For each digit that a literal before a placeholder has more, one more is tried.
    assert all(0 <= many - few <= 3 * 2 for few, many in zip(*tried, strict=True))
    assert max(tried[0]) <= 12


def calls_to_match(routes, path):
    """Count the functions of Python that a look-up calls."""
    calls = []

    def note(frame, event, argument):
        # A comprehension is a function until Python 3.12.
        if event == "call" and frame.f_code.co_name != "<listcomp>":
            calls.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        routes.match(path)
    finally:
        sys.setprofile(None)
    return len(calls)


def test_patterns_of_very_many_kinds_are_found():
    routes = Routes()
    for number in range(1, 200):
        routes.add(f"/{{x:[a-z]{{{number}}}}}/{number}", found=number)
    assert routes.match("/abc/3") == ({"found": 3}, {"x": "abc"})
    assert routes.match("/abc/4") == (None, {})


@pytest.mark.parametrize("pattern", ["/", "/{a}", "/x{a}", "/{a:path}", "/x/{a:int}"])
def test_a_path_begins_with_a_slash(pattern):
    path = pattern.replace("{a:int}", "1").replace("{a}", "y").replace("{a:path}", "y")
    assert match([pattern], path)[0] == pattern
    assert match([pattern], path[1:]) == (None, {})
    assert match([pattern], f"z{path}") == (None, {})


# Hostile paths


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (r"/{x:\d+-\d+-\d+-\d+z}", "/" + "1-" * 4000),
        ("/{x:[a-z]+[a-z]+z}", "/" + "a" * 8000),
        ("/{a}-{b}-{c}-{d}!", "/" + "-" * 8000),
        ("/{a:path}/{b:path}/{c:path}/end", "/" + "/" * 8000),
        ("/{a:path}/x/{b}", "/x" * 4000 + "/"),
        ("/{x:(?:ab|cd)+e}", "/" + "abcd" * 2000),
        ("/{x:[a-z]+[a-z]+[a-z]+[a-z]+[a-z]+[a-z]+[a-z]+!}", "/" + "a" * 64),
        ("/{x:a?a?a?a?a?a?a?a?[a-z]+[a-z]+!}", "/" + "a" * 2000),
    ],
)
def test_no_path_takes_long(pattern, path):
    routes = Routes()
    routes.add(pattern)
    started = time.process_time()
    assert routes.match(path) == (None, {})
    assert time.process_time() - started < patience(0.5)


def test_many_patterns_together_do_not_take_long():
    routes = Routes()
    for number in range(200):
        routes.add(f"/{{a}}-{{b}}-{{c}}-{number}")
        routes.add(f"/{{a}}-{{b}}.x{number}")
    routes.match("/")
    started = time.process_time()
    assert routes.match("/" + "-" * 226) == (None, {})
    assert routes.match("/" + "-" * 1900 + ".x") == (None, {})
    assert time.process_time() - started < patience(0.5)  # each alone: some 10 ms


def test_ten_thousand_routes_are_added_in_linear_time():
    routes = Routes()
    started = time.process_time()
    for number in range(2500):
        routes.add(f"/a{number}/{{x}}")
        routes.add(f"/{{x}}/b{number}")
        routes.add(f"/api/{{x}}/c{number}/{{y:int}}")
        routes.add(f"/static/{number}")
    assert routes.match("/api/1/c2499/7")[1] == {"x": "1", "y": 7}
    assert routes.match("/zz/b2499")[1] == {"x": "zz"}
    assert time.process_time() - started < patience(30)  # quadratic: minutes


class OneRoute:
    """The least that can take the place of the matcher."""

    def add(self, path, **payload):
        self.payload = payload

    def match(self, path):
        found = path.startswith("/hello/")
        return (self.payload, {"name": path[7:]}) if found else (None, None)


def test_another_class_can_take_the_place_of_the_matcher():
    class App(Roll):
        Routes = OneRoute

    app = App()

    @app.route("/hello/{name}")
    async def hello(request, response, name): ...

    endpoint, variables = app.router.find("/hello/a", "GET")
    assert (endpoint.view, variables) == (hello, {"name": "a"})
    assert app.router.find("/nothing", "GET")[0].found is False


# The oracle: the least of all patterns whose expression takes the whole path

SEGMENTS = {
    # Each with its expression, and its key: rank, whether it spans several segments,
    # literal characters, placeholders, their ranks, order among the types.
    "a": ("a", (0, False, -1, 0, 0, 0)),
    "ab": ("ab", (0, False, -2, 0, 0, 0)),
    "me": ("me", (0, False, -2, 0, 0, 0)),
    "1": ("1", (0, False, -1, 0, 0, 0)),
    "": ("", (0, False, 0, 0, 0, 0)),
    "{%:digit}": ("([0-9]+)", (1, False, 0, 1, 1, 2)),
    "{%:int}": ("(-?[0-9]+)", (1, False, 0, 1, 1, 3)),
    "{%:alpha}": ("([a-zA-Z]+)", (1, False, 0, 1, 1, 5)),
    "{%:alnum}": (r"(\w+)", (1, False, 0, 1, 1, 6)),
    "a{%:digit}": ("a([0-9]+)", (1, False, -1, 1, 1, 2)),
    "{%}": ("([^/]+)", (2, False, 0, 1, 2, 7)),
    "a{%}": ("a([^/]+)", (2, False, -1, 1, 2, 7)),
    "{%}-{%}": ("([^/]+)-([^/]+)", (2, False, -1, 2, 4, 7)),
    "{%:digit}-{%}": ("([0-9]+)-([^/]+)", (2, False, -1, 2, 3, 7)),
    "{%:[ab]+}": ("([ab]+)", (3, False, 0, 1, 3, 0)),
    "{%:[a-z]+}-{%}": ("([a-z]+)-([^/]+)", (3, False, -1, 2, 5, 7)),
    "{%:[a-z/]+}": ("([a-z/]+)", (3, True, 0, 1, 3, 0)),
    "{%:.+}": ("(.+)", (3, True, 0, 1, 3, 0)),
    "{%:path}": ("(.*)", (4, True, 0, 1, 4, 8)),
}
TEXTS = ["a", "ab", "me", "1", "12", "-3", "b", "a-b", "1-b", "a1", "", "é", "-"]


def build(segments):
    """Number the variables of a pattern; beside it, its expression and its key."""
    names = iter(f"v{number}" for number in range(99))
    text = re.sub("%", lambda _: next(names), "/" + "/".join(segments))
    expression = "/" + "/".join(SEGMENTS[part][0] for part in segments)
    key = [(*SEGMENTS[part][1], SEGMENTS[part][0]) for part in segments]
    return text, re.compile(expression, re.DOTALL), [*key, (5,)]


patterns = st.lists(st.sampled_from(sorted(SEGMENTS)), min_size=1, max_size=4)
paths = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=5)
EXAMPLES = int(os.environ.get("ROLL_TEST_EXAMPLES", "400"))  # 5000 and more for a night


def find(known, path):
    """Find the pattern that a path is for by trying all."""
    fitting = [found for found in known if found[2].fullmatch(path)]
    return min(fitting, key=lambda found: found[0], default=None)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(patterns, min_size=1, max_size=12),
    st.lists(paths, min_size=1, max_size=20),
)
def test_routes_agree_with_a_plain_oracle(route_set, looked_up):
    routes = Routes()
    known, refused = [], []
    for segments in route_set:
        built = build(segments)
        try:
            routes.add(built[0], found=built[0])
        except UnreachableRouteError as error:
            refused.append((built, error.other))
        else:
            known.append((built[2], built[0], built[1]))
    for segments in looked_up:
        path = "/" + "/".join(segments)
        payload, variables = routes.match(path)
        expected = find(known, path)
        if expected is None:
            assert payload is None, path
            continue
        _, text, expression = expected
        assert payload == {"found": text}, path
        values = expression.fullmatch(path).groups()
        assert tuple(str(value) for value in variables.values()) == tuple(
            str(int(value)) if ":int" in part else value
            for value, part in zip(values, re.findall(r"\{.*?\}", text), strict=True)
        )
    for (text, expression, key), other in refused:
        # One of the two is never found beside the other, whatever the path.
        both = [(key, text, expression), next(x for x in known if x[1] == other)]
        hidden = max(both)[1]
        for segments in looked_up:
            found = find(both, "/" + "/".join(segments))
            assert found is None or found[1] != hidden
