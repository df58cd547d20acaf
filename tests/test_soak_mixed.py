"""The soak of `soak.py`, for a moment; `nox -s soak` runs it for ten minutes."""

import random

import pytest

from tests import soak


@pytest.mark.parametrize("loop", soak.LOOPS)
def test_clients_of_all_kinds_get_their_own_answers_and_leave_nothing(loop):
    seen = soak.run(loop, seconds=1, seed=random.randrange(10**6))
    assert seen["requests"] > 0
    assert seen["messages"] > 0


EMPTY = soak.Left(descriptors=9, tasks=2, connections=0, files=0, memory=50 * soak.MIB)


@pytest.mark.parametrize("field", EMPTY._fields)
def test_what_stays_behind_is_reported(field):
    more = EMPTY._replace(**{field: getattr(EMPTY, field) + soak.GROWTH})
    with pytest.raises(AssertionError):
        soak.check(EMPTY, more)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r\nX-Token: t\r\n", b"\r\nX-Token: other\r\n"),
        (b"\r\n\r\nt", b"\r\n\r\nu"),
        (b"200 OK", b"206 OK"),
    ],
)
def test_the_answer_to_another_request_is_reported(old, new):
    case = soak.make_plain(random.Random(0), "t")._replace(method="GET", body=b"t")
    right = b"HTTP/1.1 200 OK\r\nX-Token: t\r\nContent-Length: 1\r\n\r\nt"
    soak.Answer(case, right).check(whole=True)
    with pytest.raises(AssertionError):
        soak.Answer(case, right.replace(old, new)).check(whole=True)
    with pytest.raises(AssertionError):
        soak.Answer(case, right[:-1]).check(whole=True)
