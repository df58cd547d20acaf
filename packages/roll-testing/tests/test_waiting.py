import asyncio
import threading

import pytest
from roll_testing import patience, turns, until, wait_until
from roll_testing.waiting import TIMES


@pytest.fixture(autouse=True)
def unscaled(monkeypatch):
    monkeypatch.delenv(TIMES, raising=False)


@pytest.mark.parametrize(
    ("times", "seconds"), [(None, 2), ("1", 2), ("10", 20), ("0.5", 1), ("2.5", 5)]
)
def test_patience_is_multiplied_by_the_environment(monkeypatch, times, seconds):
    if times is not None:
        monkeypatch.setenv(TIMES, times)
    assert patience(2) == seconds


@pytest.mark.parametrize("times", ["", "x", "0", "-1", "nan", "inf"])
def test_what_patience_cannot_be_multiplied_by_is_an_error(monkeypatch, times):
    monkeypatch.setenv(TIMES, times)
    with pytest.raises(ValueError, match=f"ROLL_TEST_TIMES='{times}': give a number"):
        patience(2)


async def test_until_gives_the_first_true_result():
    results = iter([0, "", None, "it", "too late"])
    assert await until(lambda: next(results)) == "it"
    assert next(results) == "too late"


async def test_until_may_ask_with_a_coroutine():
    results = iter([0, "it"])

    async def condition():
        await asyncio.sleep(0)
        return next(results)

    assert await until(condition) == "it"


async def test_until_lets_the_loop_run():
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.call_later(0.002, event.set)
    assert await until(event.is_set, interval=0.0001) is True


@pytest.mark.parametrize("condition", [lambda: False, asyncio.Event().wait])
async def test_until_has_an_end(monkeypatch, condition):
    monkeypatch.setenv(TIMES, "0.5")
    with pytest.raises(
        TimeoutError, match=r"^Still waiting for the gate after 0\.01 s$"
    ):
        await until(condition, "the gate", timeout=0.02)


def test_wait_until_blocks_until_a_thread_has_done_it():
    event = threading.Event()
    timer = threading.Timer(0.005, event.set)
    timer.start()
    assert wait_until(event.is_set, interval=0.001) is True
    timer.join()


def test_wait_until_has_an_end(monkeypatch):
    monkeypatch.setenv(TIMES, "0.5")
    with pytest.raises(
        TimeoutError, match=r"^Still waiting for the condition after 0\.01 s$"
    ):
        wait_until(lambda: False, timeout=0.02, interval=0.001)


async def test_turns_are_rounds_of_the_loop():
    loop = asyncio.get_running_loop()
    rounds = []

    def count():
        rounds.append(None)
        loop.call_soon(count)

    loop.call_soon(count)
    await turns(7)
    assert len(rounds) == 7
    await turns()
    assert len(rounds) == 27
