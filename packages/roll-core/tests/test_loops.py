"""Loops: uvloop where it is installed, else asyncio."""

import asyncio
import contextlib
import sys
import types

from roll.loops import new_event_loop


def test_asyncio_is_used_where_uvloop_is_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with contextlib.closing(new_event_loop()) as loop:
        assert type(loop).__module__.startswith("asyncio.")


def test_uvloop_is_used_where_it_is_installed(monkeypatch):
    class Loop:
        pass

    module = types.SimpleNamespace(new_event_loop=Loop)
    monkeypatch.setitem(sys.modules, "uvloop", module)
    assert type(new_event_loop()) is Loop


def test_a_runner_takes_it():
    async def whose():
        return asyncio.get_running_loop()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(whose()) is runner.get_loop()
