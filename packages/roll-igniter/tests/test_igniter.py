"""igniter: a BIG message at startup."""

from importlib.metadata import version

import pytest
from roll import Roll
from roll.extensions import igniter
from roll_testing import Client


@pytest.fixture
def app():
    return Roll()


async def test_the_message_is_printed_at_startup_and_is_big(app, capsys):
    igniter(app)
    assert capsys.readouterr().out == ""
    async with Client(app):
        out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) >= 8
    assert max(map(len, lines)) <= 80
    assert f"roll-core {version('roll-core')}" in out
    assert out.isascii()
    assert err == ""


async def test_the_message_is_printed_at_each_start(app, capsys):
    igniter(app, "Up!")
    for _ in range(2):
        async with Client(app) as client:
            await client.get("/")
    assert capsys.readouterr().out == "Up!\nUp!\n"


async def test_braces_may_be_drawn_with(app, capsys):
    igniter(app, "{o} {version} {")
    async with Client(app):
        assert capsys.readouterr().out == f"{{o}} {version('roll-core')} {{\n"


async def test_an_app_that_does_not_call_it_prints_nothing(app, capsys):
    igniter(Roll(), "of another app")
    async with Client(app):
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize("message", [None, 3, b"bytes"])
def test_a_message_that_is_no_string_is_refused(app, message):
    with pytest.raises(TypeError) as caught:
        igniter(app, message)
    assert str(caught.value) == f"message={message!r}: give a string"
    assert app.hooks == {}
