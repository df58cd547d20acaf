import pytest
from roll_testing import CookieJar
from roll_testing.cookies import parse_set_cookie


@pytest.fixture
def jar():
    return CookieJar()


@pytest.mark.parametrize(
    ("line", "cookie"),
    [
        ("a=b", ("a", "b", None, None)),
        (' a = "b, c" ; Path=/x; Partitioned', ("a", '"b, c"', "/x", None)),
        ("a=b=c; path = /; Secure; HttpOnly", ("a", "b=c", "/", None)),
        ("a=; Path=relative; Max-Age=soon", ("a", "", None, None)),
        ("a=b; Expires=someday", ("a", "b", None, None)),
        ("a=b; Expires=Thu, 01 Jan 1970 00:01:00 GMT", ("a", "b", None, 60.0)),
    ],
)
def test_a_set_cookie_line_is_read(line, cookie):
    assert parse_set_cookie(line) == cookie


def test_what_answers_set_is_sent(jar):
    jar.learn(["a=1; Path=/", "b=2; Path=/"], "/x/y")
    assert dict(jar) == {"a": "1", "b": "2"}
    assert repr(jar) == "CookieJar({'a': '1', 'b': '2'})"
    assert jar.header("/") == "a=1; b=2"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/", "root=1"),
        ("/x", "x=1; root=1"),
        ("/x/y", "x=1; root=1"),
        ("/xy", "root=1"),
        ("/deep/er", "deep=1; root=1"),
    ],
)
def test_a_cookie_is_sent_below_its_path(jar, path, sent):
    jar.learn(["root=1; Path=/", "x=1; Path=/x"], "/")
    jar.learn(["deep=1"], "/deep/one")
    assert jar.header(path) == sent


def test_a_path_may_end_with_a_slash(jar):
    jar.learn(["x=1; Path=/x/"], "/")
    assert (jar.header("/x"), jar.header("/x/y")) == ("", "x=1")


@pytest.mark.parametrize(
    "end",
    [
        "Max-Age=0",
        "Max-Age=-1",
        f"Max-Age=-{'9' * 400}",
        "Expires=Mon, 01 Jan 1000 00:00:00 GMT",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ],
)
def test_a_cookie_that_has_ended_is_deleted(jar, end):
    jar.learn(["a=1; Path=/"], "/")
    jar.learn([f"a=; Path=/; {end}"], "/")
    assert (len(jar), "a" in jar, jar.header("/")) == (0, False, "")


@pytest.mark.parametrize(
    "end",
    [
        f"Max-Age={'9' * 400}",
        f"Max-Age={'9' * 5000}",
        "Expires=Fri, 31 Dec 9999 23:59:59 -2359",
        f"Expires=Fri, 31 Dec {'9' * 30} 23:59:59 GMT",
    ],
)
def test_a_time_at_the_end_of_all_times_is_kept(jar, end):
    jar.learn([f"a=1; Path=/; {end}"], "/")
    assert jar.header("/") == "a=1"


def test_max_age_goes_before_expires(jar):
    jar.learn(["a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "/")
    assert jar["a"] == "1"


def test_of_one_name_the_longest_path_is_sent_first_and_the_last_one_found(jar):
    jar.learn(["a=x; Path=/x", "a=root; Path=/"], "/")
    assert (jar.header("/x"), jar["a"]) == ("a=x; a=root", "root")
    jar.learn(["a=new; Path=/x"], "/")
    assert (jar.header("/x"), jar["a"]) == ("a=new; a=root", "new")


def test_cookies_can_be_set_and_deleted_by_hand(jar):
    jar.learn(["a=x; Path=/x", "b=2; Path=/"], "/")
    jar["a"] = "mine"
    assert (jar.header("/x"), len(jar)) == ("b=2; a=mine", 2)
    del jar["a"]
    assert dict(jar) == {"b": "2"}
    with pytest.raises(KeyError):
        del jar["a"]
    jar.clear()
    assert not jar
