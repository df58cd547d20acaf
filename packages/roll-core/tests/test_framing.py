import pytest
from roll import HttpError
from roll.http11.framing import check_host, check_target, content_length


def hosts(*values, version="1.1"):
    fields = [(b"HOST", value) for value in values] + [(b"ACCEPT", b"*/*")]
    check_host(fields, dict(fields), version)


def refused(function, *arguments, **options):
    with pytest.raises(HttpError) as caught:
        function(*arguments, **options)
    return int(caught.value.status), caught.value.message


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"localhost",
        b"example.com:8080",
        b"example.com:",
        b"127.0.0.1:80",
        b"[::1]",
        b"[::1]:8080",
        b"[v1.a:b]",
        b"a_b-c~d,e",
        b"caf%C3%A9",
    ],
)
def test_a_well_formed_host_is_accepted(host):  # RFC 9112, 3.2
    hosts(host)
    hosts(host, version="1.0")


@pytest.mark.parametrize(
    "host",
    [
        b"a b",
        b"a/b",
        b"user@a",
        b"a:b",
        b"a:80:80",
        b"[::1",
        b"::1",
        b"[g::]",
        b"a%zz",
        b"a?b",
        b"a#b",
        b'a"b',
        b"a<b",
        b"a\\b",
        b"\xe9",
        b"a\n",
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_malformed_host_is_refused(host, version):  # RFC 9112, 3.2
    assert refused(hosts, host, version=version) == (400, "Malformed Host")


def test_two_hosts_are_refused_even_when_equal():  # RFC 9112, 3.2
    assert refused(hosts, b"a", b"a") == (400, "Host is given twice")
    assert refused(hosts, b"a", b"b", version="1.0") == (400, "Host is given twice")


def test_another_field_may_be_given_twice():
    fields = [(b"HOST", b"a"), (b"ACCEPT", b"x"), (b"ACCEPT", b"y")]
    check_host(fields, dict(fields), "1.1")


def test_a_host_is_required_in_1_1_only():  # RFC 9112, 3.2
    hosts(version="1.0")
    assert refused(hosts) == (400, "Host is missing")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", b"/"),
        ("GET", b"//a"),
        ("POST", b"/a?b=c"),
        ("GET", b"http://a"),
        ("GET", b"http://a/"),
        ("GET", b"HTTP://a/"),
        ("GET", b"https://a.b:8080?c"),
        ("GET", b"http://[::1]:80/"),
        ("GET", b"http://caf%c3%a9/"),
        ("OPTIONS", b"/"),
        ("OPTIONS", b"*"),
        ("OPTIONS", b"http://a"),
        ("CONNECT", b"a:443"),
        ("CONNECT", b"/"),
        ("CONNECT", b"[::1]:443"),
    ],
)
def test_a_target_in_the_form_of_its_method_is_accepted(method, target):
    check_target(method, target)  # RFC 9112, 3.2


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", b""),
        ("GET", b"*"),
        ("GET", b"/#a"),
        ("GET", b"a"),
        ("GET", b"a:80"),
        ("GET", b"?a"),
        ("GET", b"ftp://a/"),
        ("GET", b"http:/a"),
        ("GET", b"http://"),
        ("GET", b"http:///a"),
        ("GET", b"http://:80/"),
        ("GET", b"http://?a"),
        ("GET", b"http://user@a/"),
        ("GET", b"http://a:b/"),
        ("GET", b"http://[::1/"),
        ("GET", b"http://a%2"),
        ("GET", b"http://a\n"),
        ("OPTIONS", b"**"),
        ("CONNECT", b""),
        ("CONNECT", b"*:*"),
        ("CONNECT", b"http://a/"),
        ("CONNECT", b"user@a:443"),
    ],
)
def test_a_target_in_another_form_is_refused(method, target):  # RFC 9112, 3.2
    assert refused(check_target, method, target) == (400, "Malformed request target")


def length(*fields, version="1.1"):
    return content_length(fields, dict(fields), version)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], 0),
        ([(b"CONTENT-LENGTH", b"0")], 0),
        ([(b"CONTENT-LENGTH", b"17")], 17),
        ([(b"CONTENT-LENGTH", b"007")], 7),
        ([(b"TRANSFER-ENCODING", b"chunked")], None),
        ([(b"TRANSFER-ENCODING", b"Chunked")], None),
        ([(b"X", b"1"), (b"TRANSFER-ENCODING", b"chunked"), (b"X", b"2")], None),
    ],
)
def test_the_size_of_a_body_is_known_from_its_head(fields, expected):
    assert length(*fields) == expected  # RFC 9112, 6.3


@pytest.mark.parametrize(
    "codings",
    [
        [b"gzip"],
        [b"identity"],
        [b""],
        [b"gzip, chunked"],
        [b"chunked, gzip"],
        [b"chunked, chunked"],
        [b"chunked;q=1"],
        [b"xchunked"],
        [b"\x0bchunked"],
        [b"chunked", b"chunked"],
        [b"gzip", b"chunked"],
        [b"chunked", b"identity"],
    ],
)
def test_a_coding_other_than_one_chunked_is_refused(codings):  # RFC 9112, 6.1
    fields = [(b"TRANSFER-ENCODING", coding) for coding in codings]
    assert refused(length, *fields) == (400, "Unsupported Transfer-Encoding")


def test_a_coding_is_refused_in_1_0():  # RFC 9112, 6.1
    field = (b"TRANSFER-ENCODING", b"chunked")
    assert refused(length, field, version="1.0") == (
        400,
        "Unsupported Transfer-Encoding",
    )
