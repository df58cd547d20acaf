"""Threads for long work: compressing and inflating release the GIL."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

T = TypeVar("T")


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, "roll-compress")


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Run a function in a thread: at most as many at once as there are CPUs."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads(), function, *arguments)
