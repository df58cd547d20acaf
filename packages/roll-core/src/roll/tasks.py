"""Tasks: how Roll starts them."""

import sys
from typing import Any

EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
"""What `asyncio.Task` is given to run a coroutine at once, up to its first wait.

A view that waits for nothing is answered within the read that brought it, without a
round through the loop. Python knows this from 3.12 on.
"""
