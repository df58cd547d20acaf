"""Waiting for an event that a test needs, not for a number of seconds."""

import asyncio
import math
import os
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar, cast

T = TypeVar("T")

TIMES = "ROLL_TEST_TIMES"
"""The environment variable that multiplies the time limits of tests."""


def patience(seconds: float) -> float:
    """Scale a time limit for the machine that runs the test.

    Args:
        seconds: Enough for an idle machine.

    Returns:
        The seconds, multiplied by the environment variable `ROLL_TEST_TIMES`, which
        is 1 by default.

    Raises:
        ValueError: `ROLL_TEST_TIMES` is not a number above 0.
    """
    value = os.environ.get(TIMES, "1")
    try:
        times = float(value)
    except ValueError:
        times = 0
    if not 0 < times < math.inf:
        raise ValueError(f"{TIMES}={value!r}: give a number above 0, for example 5")
    return seconds * times


async def until(
    condition: Callable[[], T | Awaitable[T]],
    what: str = "the condition",
    *,
    timeout: float = 10.0,
    interval: float = 0.001,
) -> T:
    """Wait until a condition is true, while the loop runs.

    Args:
        condition: A function, plain or coroutine, to call again and again.
        what: What the test waits for, for the error message.
        timeout: Seconds, scaled by `patience`.
        interval: Seconds between two calls.

    Returns:
        The first true result of *condition*.

    Raises:
        TimeoutError: It was not true after *timeout* seconds.
    """
    seconds = patience(timeout)
    try:
        async with asyncio.timeout(seconds):
            while True:
                result = condition()
                if isawaitable(result):
                    result = await result
                if result:
                    return cast(T, result)
                await asyncio.sleep(interval)
    except TimeoutError as error:
        raise TimeoutError(f"Still waiting for {what} after {seconds:g} s") from error


def wait_until(
    condition: Callable[[], T],
    what: str = "the condition",
    *,
    timeout: float = 60.0,
    interval: float = 0.02,
) -> T:
    """Wait as `until` does, but block: for threads and processes, without a loop.

    Args:
        condition: A function to call again and again.
        what: What the test waits for, for the error message.
        timeout: Seconds, scaled by `patience`.
        interval: Seconds between two calls.

    Returns:
        The first true result of *condition*.

    Raises:
        TimeoutError: It was not true after *timeout* seconds.
    """
    seconds = patience(timeout)
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Still waiting for {what} after {seconds:g} s")
        time.sleep(interval)
    return result


async def turns(number: int = 20) -> None:
    """Let the loop run some rounds, so that everything that is ready happens.

    A wait in seconds may be too short on a busy machine; rounds are the same on each.
    They are enough for work in memory: use `until` for sockets and threads.

    Args:
        number: How many rounds.
    """
    for _ in range(number):
        await asyncio.sleep(0)
