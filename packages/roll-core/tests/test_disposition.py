"""Content-Disposition (RFC 6266, RFC 8187)."""

from urllib.parse import unquote

import pytest
from roll import content_disposition


@pytest.mark.parametrize(
    ("filename", "parameters"),
    [
        ("report.pdf", '; filename="report.pdf"'),
        ("my report; 1=2, (3).pdf", '; filename="my report; 1=2, (3).pdf"'),
        ("don't!#$&+^`{|}~.txt", '; filename="don\'t!#$&+^`{|}~.txt"'),
        ("naïve.txt", "; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ("€ 5.txt", "; filename=\"_ 5.txt\"; filename*=UTF-8''%E2%82%AC%205.txt"),
        ("😀", "; filename=\"_\"; filename*=UTF-8''%F0%9F%98%80"),
        ('a"b', "; filename=\"a_b\"; filename*=UTF-8''a%22b"),
        ("50%41", "; filename=\"50_41\"; filename*=UTF-8''50%2541"),
        ("é'(*)", "; filename=\"_'(*)\"; filename*=UTF-8''%C3%A9%27%28%2A%29"),
        ("a\r\nX: 1", '; filename="a__X: 1"'),
        ("a\0\x7f\x85\t", '; filename="a____"'),
        ("\udc80", "; filename=\"_\"; filename*=UTF-8''%3F"),
        ("/srv/reports/a.txt", '; filename="a.txt"'),
        ("C:\\reports\\a.txt", '; filename="a.txt"'),
        ("../..\\a.txt", '; filename="a.txt"'),
        ("", ""),
        ("reports/", ""),
        ("a/.", ""),
        ("..", ""),
    ],
)
def test_a_name_becomes_parameters(filename, parameters):
    assert content_disposition(filename) == f"attachment{parameters}"
    assert content_disposition(filename, attachment=False) == f"inline{parameters}"


def test_without_a_name_there_is_the_type_alone():
    assert content_disposition() == "attachment"


def read_filename(value):
    """Read the name as RFC 6266 has it: `filename*` goes before `filename`."""
    _kind, filename, *extended = value.split("; ")
    if extended:
        return unquote(extended[0].removeprefix("filename*=UTF-8''"), errors="strict")
    return filename.removeprefix("filename=").strip('"')


def test_any_character_can_be_sent_and_splits_nothing():
    for char in map(chr, [*range(0x500), 0x20AC, 0x1F600, 0xD800, 0x202E]):
        value = content_disposition(f"a{char}b.txt")
        assert value.isascii()
        assert value.isprintable()
        assert value.count('"') == 2
        if char.isprintable() and char not in "/\\":
            assert read_filename(value) == f"a{char}b.txt"
