"""Routes against a plain oracle, and what autoroutes alone gets wrong (SPEC 3)."""

import datetime
import os
import random
import re
import time
import uuid

import autoroutes
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from roll import Roll, Routes
from roll.matching import UnreachableRouteError


def match(patterns, path):
    """Add patterns and look a path up: the pattern found, and its variables."""
    routes = Routes()
    for pattern in patterns:
        routes.add(pattern, found=pattern)
    payload, variables = routes.match(path)
    return (payload and payload["found"]), variables


# What autoroutes alone gets wrong


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
def test_what_autoroutes_alone_gets_wrong_is_right(patterns, path, expected):
    assert match(patterns, path) == expected
    alone = autoroutes.Routes()
    try:
        for pattern in patterns:
            alone.add(pattern, found=pattern)
        payload, variables = alone.match(path)
    except autoroutes.InvalidRoute:
        return
    assert ((payload or {}).get("found"), variables or {}) != expected


# What the types take


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
        ("/{x:uuid}", f"/{uuid.UUID(int=1)}", uuid.UUID(int=1)),
        ("/{x:date}", "/2026-02-28", datetime.date(2026, 2, 28)),
        ("/{x:path}", "/", ""),
        ("/{x:path}", "/a/b\n/", "a/b\n/"),
        ("/{x:any}", "/a/b", "a/b"),
        ("/path/to/{x:.+}", "/path/to/a/b", "a/b"),
        ("/{x:[0-9]{4}}", "/2026", "2026"),
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
        ("/{x:float}", "/nan"),
        ("/{x:uuid}", "/1"),
        ("/{x:date}", "/2026-02-30"),
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
        ("/{x:[a}", "is no regular expression"),
        (r"/{x:\}", "does not close a brace"),
        ("/{}", "'' cannot be the name of a variable"),
        ("/{1x}", "'1x' cannot be the name"),
        ("/{a b}", "'a b' cannot be the name"),
        ("/{x}/{x}", "has the same variable twice"),
        ("/{id:itn}", "'itn' is no type; did you mean 'int'?"),
        ("/{id:qqq}", "'qqq' is no type; types are uuid, date"),
        ("/{x:(a)b}", "has a group"),
        ("/{x:(?:a+)+}", "repeats a repeat"),
        ("/{x:(?:a*b?)*c}", "repeats a repeat"),
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


def test_an_unreachable_route_names_where_both_were_declared():
    app = Roll()

    async def view(request, response, **variables): ...

    app.route("/u/{a}")(view)
    with pytest.raises(ValueError, match=r"use one name \(at .+:\d+ and at .+:\d+\)"):
        app.route("/u/{b}", methods=["POST"])(view)


def test_patterns_with_many_possible_rivals_are_looked_for_in_the_tree():
    routes = Routes()
    for number in range(200):
        routes.add(f"/a{number}/b")
        routes.add(f"/a{number}/{{x}}/c")
    routes.add("/{x}/{y}/d", found=True)
    assert routes.match("/a7/b/d") == ({"found": True}, {"x": "a7", "y": "b"})


# Hostile paths


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (r"/{x:\d+-\d+-\d+-\d+z}", "/" + "1-" * 4000),
        ("/{x:[a-z]+[a-z]+z}", "/" + "a" * 8000),
        ("/{a}-{b}-{c}-{d}!", "/" + "-" * 8000),
        ("/{a:path}/{b:path}/{c:path}/end", "/" + "/" * 8000),
        ("/{a:path}/x/{b}", "/x" * 4000 + "/"),
    ],
)
def test_no_path_takes_long(pattern, path):
    routes = Routes()
    routes.add(pattern)
    started = time.perf_counter()
    assert routes.match(path) == (None, {})
    assert time.perf_counter() - started < 0.5


def test_ten_thousand_routes_are_added_in_linear_time():
    routes = Routes()
    started = time.perf_counter()
    for number in range(2500):
        routes.add(f"/a{number}/{{x}}")
        routes.add(f"/{{x}}/b{number}")
        routes.add(f"/api/{{x}}/c{number}/{{y:int}}")
        routes.add(f"/static/{number}")
    assert routes.match("/api/1/c2499/7")[1] == {"x": "1", "y": 7}
    assert routes.match("/zz/b2499")[1] == {"x": "zz"}
    assert time.perf_counter() - started < 30  # quadratic: minutes


# The oracle: the least of all patterns whose expression takes the whole path

SEGMENTS = {
    "a": ("a", (0, -1, 0)),
    "ab": ("ab", (0, -2, 0)),
    "me": ("me", (0, -2, 0)),
    "1": ("1", (0, -1, 0)),
    "": ("", (0, 0, 0)),
    "{%:digit}": ("([0-9]+)", (1, 0, 2)),
    "{%:int}": ("(-?[0-9]+)", (1, 0, 3)),
    "{%:alpha}": ("([a-zA-Z]+)", (1, 0, 5)),
    "{%:alnum}": (r"(\w+)", (1, 0, 6)),
    "{%}": ("([^/]+)", (2, 0, 0)),
    "a{%}": ("a([^/]+)", (2, -1, 0)),
    "{%}-{%}": ("([^/]+)-([^/]+)", (2, -1, 0)),
    "{%:[ab]+}": ("([ab]+)", (3, 0, 0)),
    "{%:[a-z/]+}": ("([a-z/]+)", (3, 0, 0)),
    "{%:path}": ("(.*)", (4, 0, 0)),
}
TEXTS = ["a", "ab", "me", "1", "12", "-3", "b", "a-b", "a1", "", "é", "-"]


def build(segments):
    """Number the variables of a pattern; beside it, its expression and its key."""
    names = iter(f"v{number}" for number in range(99))
    text = re.sub("%", lambda _: next(names), "/" + "/".join(segments))
    expression = "/" + "/".join(SEGMENTS[part][0] for part in segments)
    key = [
        (*SEGMENTS[part][1], *[0] * (3 - len(SEGMENTS[part][1])), part)
        for part in segments
    ]
    return text, re.compile(expression, re.DOTALL), [*key, (5,)]


patterns = st.lists(st.sampled_from(sorted(SEGMENTS)), min_size=1, max_size=4)
paths = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=5)
EXAMPLES = int(os.environ.get("ROLL_EXAMPLES", "400"))  # 5000 and more for a night


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(patterns, min_size=1, max_size=12),
    st.lists(paths, min_size=1, max_size=20),
)
def test_routes_agree_with_a_plain_oracle(route_set, looked_up):
    routes = Routes()
    known = []
    for segments in route_set:
        text, expression, key = build(segments)
        try:
            routes.add(text, found=text)
        except UnreachableRouteError:
            continue
        known.append((key, text, expression))
    for segments in looked_up:
        path = "/" + "/".join(segments)
        fitting = [found for found in known if found[2].fullmatch(path)]
        payload, variables = routes.match(path)
        if not fitting:
            assert payload is None, path
            continue
        _, text, expression = min(fitting, key=lambda found: found[0])
        assert payload == {"found": text}, path
        expected = expression.fullmatch(path).groups()
        assert tuple(str(value) for value in variables.values()) == tuple(
            str(int(value)) if ":int" in part else value
            for value, part in zip(expected, re.findall(r"\{.*?\}", text), strict=True)
        )
