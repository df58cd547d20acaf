"""A page that is sent while it is rendered."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack
from inspect import isasyncgen, isgenerator
from typing import Any, Self

from roll import Request

from .functions import rendering

PIECE = 8192
"""The least characters of a piece, except the last one."""


class Stream:
    """The body of a response: a page in pieces.

    It is not a generator: a generator that was never started would close nothing.

    Args:
        pieces: The page; a generator of Jinja.
        values: The variables of the page. Generators among them are closed with it.
        request: The request that functions in the page get.
        known: Results of functions that were read ahead.
    """

    def __init__(
        self,
        pieces: Iterator[str] | AsyncIterator[str],
        values: Iterable[object],
        request: Request,
        known: dict[str, Any],
    ) -> None:
        self._pieces: Any = pieces
        self._values = [*values]
        self._request = request
        self._known = known
        self._ahead = ""

    async def start(self) -> None:
        """Render the first piece.

        Raises:
            Exception: Rendering has raised it, and everything was closed.
        """
        try:
            self._ahead = await self._render()
        except BaseException:
            await self.aclose()
            raise

    async def _render(self) -> str:
        found: list[str] = []
        size = 0
        awaits = isasyncgen(self._pieces)
        with rendering(self._request, self._known):
            while size < PIECE:
                if awaits:
                    piece = await anext(self._pieces, None)
                else:
                    piece = next(self._pieces, None)
                if piece is None:
                    break
                found.append(piece)
                size += len(piece)
        return "".join(found)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        piece, self._ahead = self._ahead, ""
        if not piece:
            await asyncio.sleep(0)
            piece = await self._render()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Close the page, then the generators among its variables."""
        async with AsyncExitStack() as stack:
            for each in [*self._values, self._pieces]:  # the last is closed first
                if isgenerator(each):
                    stack.callback(each.close)
                elif isasyncgen(each):
                    stack.push_async_callback(each.aclose)
