"""Tasks: how Roll starts them, and finds out that one is cancelled."""

import asyncio
import sys
from typing import Any

EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
"""Arguments of `asyncio.Task` to run a coroutine at once, up to its first wait.

A view that does not wait responds during the read of its request, without another round
of the loop. Python supports this since 3.12.
"""


def is_cancelled() -> bool:
    """Whether a CancelledError is for the current task, not the result of another."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
