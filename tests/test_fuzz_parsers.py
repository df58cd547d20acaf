"""Some inputs for each target of `fuzz.py`; `nox -s fuzz` tries them for minutes."""

import time

import pytest
from roll import HttpError

from tests import fuzz


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_a_parser_takes_whatever_a_client_sends(name):
    fuzz.try_at_random(name, 1, lambda count: count < 80)


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_the_seeds_are_taken(name):
    for data in fuzz.SEEDS[name]:
        fuzz.attempt(fuzz.TARGETS[name], data)


def fail(data):
    raise HttpError(500)


def crash(data):
    raise ValueError(data)


def spin(data):
    until = time.thread_time() + 0.01
    while time.thread_time() < until:
        pass


@fuzz.same_cut_and_whole
def count_pieces(parts):
    return len([*parts])


@pytest.mark.parametrize("target", [fail, crash, spin, count_pieces])
def test_a_fault_is_found(target, monkeypatch):
    if target is spin:
        monkeypatch.setattr(fuzz, "SECONDS", 0.001)
        monkeypatch.setattr(fuzz, "SECONDS_PER_BYTE", 0)
    with pytest.raises((AssertionError, ValueError)):
        fuzz.attempt(target, b"x" * 6000)
