import re
import time

import pytest
from roll.routing import expressions
from roll_testing import patience


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("[a", "is not a regular expression: unterminated character set"),
        ("a{99999999999}", "is not a regular expression: the repetition number"),
        ("(a)", "has a group: write (?:...) instead"),
        ("(?P<x>a)", "has a group"),
        ("(?i)a", "sets flags for all of a path: write (?i:...)"),
        ("(?:a+)+", "repeats a repeat"),
        ("(?:a*)*?", "repeats a repeat"),
        ("(?:a?b?)+", "repeats a repeat"),
        ("(?:a{1,3})+b", "repeats a repeat"),
        ("(?:a|aa)+b", "repeats a repeat"),
        ("(?:ab|c|abc)+d", "repeats a repeat"),
        ("(?:ab|ac|b)+", "repeats a repeat"),
        ("(?i:a|Ab)+c", "repeats a repeat"),
        ("(?:[ab]c|ad)+", "repeats a repeat"),
        ("(?:a{1,16}){1,16}", "too many ways"),
        ("a?" * 24 + "a" * 24, "too many ways"),
        ("[a-z]+" * 40, "too many ways"),
    ],
)
def test_an_expression_that_cannot_stand_in_a_placeholder(expression, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        expressions.check(expression)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], 65536),
        (["[0-9]{4}-[0-9]{2}"], 65536),
        ([".+"], 65536),
        (["(?:ab|c|de)+"], 65536),
        (["(?:[a-z]{2})+"], 65536),
        (["[^/]+", "[^/]+"], 1999),
        (["(?>a+)b*+"], 1999),
        (["(?=a+)[a-z]+"], 1999),
        (["-?[0-9]+(?:\\.[0-9]+)?"], 999),
        (["(?:a|[bc]+)d*"], 1413),
        (["[^/]+", "[^/]+", "[^/]+"], 227),
        (["(?:[0-9]+\\.){3}[0-9]+"], 81),
    ],
)
def test_a_text_is_bounded_by_the_ways_through_it(given, expected):
    assert expressions.longest(given) == expected


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (r"\d+-\d+-\d+-\d+z", "1-"),
        ("[a-z]+[a-z]+z", "a"),
        ("[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*!", "a"),
        ("a?a?a?a?a?a?[a-z]+!", "a"),
        ("(?:a|b|[ab]b){1,8}[ab]+!", "ab"),
    ],
)
def test_the_longest_text_does_not_take_long(expression, text):
    longest = expressions.longest([expression])
    text = (text * longest)[:longest]
    started = time.process_time()
    assert re.fullmatch(expression, text) is None
    assert time.process_time() - started < patience(1)  # some 50 ms


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[a-z]+", False),
        ("[^/]+", False),
        ("[^a/]", False),
        (r"\w+", False),
        ("a|b", False),
        (".+", True),
        ("[^a]+", True),
        (r"\D", True),
        ("a|b/c", True),
        ("(?:a/)+", True),
        ("[+-9]", True),
    ],
)
def test_whether_an_expression_may_take_a_slash(expression, expected):
    assert expressions.may_take_slash(expression) is expected


@pytest.mark.parametrize(
    ("expression", "expected"), [("a+", False), ("a*", True), ("(?:a|)", True)]
)
def test_whether_an_expression_may_be_empty(expression, expected):
    assert expressions.may_be_empty(expression) is expected


@pytest.mark.parametrize(
    ("expression", "characters", "expected"),
    [
        ("[0-9]+", "0-9", True),
        ("[0-4]{2}|7+", "0-9", True),
        ("en|de", "a-zA-Z", True),
        ("[a-f0-9]+", r"\w", True),
        ("[0-9a]+", "0-9", False),
        ("[^0-9]", "0-9", False),
        (r"\d+", "0-9", False),
        (".", "0-9", False),
        ("[0-\u0669]", "0-9", False),
        ("(?i:k)", "a-z", False),
        ("(?:1a)+", "0-9", False),
    ],
)
def test_whether_an_expression_takes_only_some_characters(
    expression, characters, expected
):
    assert expressions.takes_only(expression, characters) is expected
