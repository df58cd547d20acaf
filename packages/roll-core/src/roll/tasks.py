"""Tasks: how Roll starts them."""

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

if sys.version_info >= (3, 12):

    def start(
        coroutine: Coroutine[Any, Any, Any],
        loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
    ) -> "asyncio.Task[Any]":
        """Run *coroutine* as a task, at once up to its first wait.

        It has a copy of the current context, unless it is given one.

        A view that waits for nothing is answered within the read that brought it,
        without a round through the loop.
        """
        return asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)

else:

    def start(
        coroutine: Coroutine[Any, Any, Any],
        loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
    ) -> "asyncio.Task[Any]":
        """Run *coroutine* as a task, from the next round of the loop."""
        return loop.create_task(coroutine, context=context)
