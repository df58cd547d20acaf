"""Tasks: how Roll starts them."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

start: Callable[..., "asyncio.Task[Any]"]
"""Run a coroutine as a task of `loop=`, in `context=` or a copy of the current one.

From Python 3.12 on at once, up to its first wait: a view that waits for nothing is
answered within the read that brought it, without a round through the loop.
"""

if sys.version_info >= (3, 12):
    start = partial(asyncio.Task, eager_start=True)
else:
    start = asyncio.Task
