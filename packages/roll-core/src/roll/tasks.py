"""Tasks: how Roll starts them, and sees that one is to end."""

import asyncio
import sys
from typing import Any

EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
"""What `asyncio.Task` is given to run a coroutine at once, up to its first wait.

A view that waits for nothing is answered within the read that brought it, without a
round through the loop. Python knows this from 3.12 on.
"""


def is_cancelled() -> bool:
    """Whether a CancelledError is meant for us: not what another task ended with."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
