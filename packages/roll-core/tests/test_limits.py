from dataclasses import FrozenInstanceError, fields

import pytest
from roll import Limits

DEFAULTS = {
    "target": 8190,
    "field": 8190,
    "fields": 100,
    "head": 65536,
    "body": 1048576,
    "buffer": 65536,
    "unread": 262144,
    "query": 1000,
    "form": 1000,
    "parts": 1000,
    "part_fields": 8,
    "part_field": 4096,
    "boundary": 70,
    "upload": 33554432,
    "spool": 65536,
    "head_timeout": 10,
    "body_timeout": 30,
    "keep_alive": 5,
    "write_timeout": 60,
    "half_close": 1,
    "shutdown": 30,
    "connections": 1000,
    "backlog": 2048,
    "requests": None,
}


def test_the_defaults_are_those_that_are_promised():
    limits = Limits()
    assert {field.name: getattr(limits, field.name) for field in fields(Limits)} == (
        DEFAULTS
    )


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [0, -1, "1", True, float("nan")])
def test_a_limit_is_a_number_above_zero(name, value):
    with pytest.raises(ValueError, match=rf"Limits\({name}=.*number above 0"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["body", "connections", "requests"])
def test_a_number_of_things_is_whole(name):
    with pytest.raises(ValueError, match=rf"Limits\({name}=1.5\): give a whole number"):
        Limits(**{name: 1.5})


@pytest.mark.parametrize("name", sorted(DEFAULTS.keys() - {"requests"}))
def test_only_the_requests_of_a_connection_may_be_unlimited(name):
    with pytest.raises(ValueError, match=rf"Limits\({name}=None\)"):
        Limits(**{name: None})


def test_limits_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Limits().body = 1


def test_limits_are_given_by_name():
    with pytest.raises(TypeError):
        Limits(1)


@pytest.mark.parametrize(
    ("given", "sweep"),
    [
        ({}, 1.0),
        ({"keep_alive": 75}, 1.0),
        ({"head_timeout": 0.4}, 0.1),
        ({"body_timeout": 0.4}, 0.1),
        ({"keep_alive": 0.4}, 0.1),
        ({"write_timeout": 0.4}, 0.1),
        ({"shutdown": 0.4}, 1.0),
    ],
)
def test_a_sweep_comes_each_second_or_four_times_in_the_smallest_limit(given, sweep):
    assert Limits(**given).sweep == sweep
