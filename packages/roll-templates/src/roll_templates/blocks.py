"""Renders one block of a template, for a part of a page."""

from collections.abc import Callable, Mapping
from contextlib import aclosing, closing, suppress
from typing import Any

from jinja2 import Template
from jinja2.runtime import Context


def render_block(template: Template, name: str, variables: Mapping[str, Any]) -> str:
    """Render a block, which may be inherited.

    Only what precedes the text of the page also runs, such as imports.

    Raises:
        KeyError: There is no such block.
    """
    context = _start(template, variables)
    try:
        page: Any = template.root_render_func(context)
        with suppress(_PageReachedError), closing(page):
            any(map(str.strip, page))
        return "".join(_choose(template, name, context)(context))
    except Exception:
        template.environment.handle_exception()


async def render_block_async(
    template: Template, name: str, variables: Mapping[str, Any]
) -> str:
    """Do the same with an environment in which templates may await."""
    context = _start(template, variables)
    page: Any = template.root_render_func(context)
    try:
        with suppress(_PageReachedError):
            async with aclosing(page):
                async for piece in page:
                    if piece.strip():
                        break
        pieces: Any = _choose(template, name, context)(context)
        return "".join([piece async for piece in pieces])
    except Exception:
        template.environment.handle_exception()


class _PageReachedError(Exception):
    """The first block of the page would be rendered now."""


class _Blocks(dict[str, Any]):
    """Collects the blocks of a template and of those that it extends."""

    def __getitem__(self, name: str) -> Any:
        raise _PageReachedError


def _start(template: Template, variables: Mapping[str, Any]) -> Context:
    context = template.new_context(dict(variables))
    context.blocks = _Blocks(context.blocks)
    return context


def _choose(template: Template, name: str, context: Context) -> Callable[..., Any]:
    context.blocks = blocks = dict(context.blocks.items())
    if name not in blocks:
        there = ", ".join(sorted(blocks)) or "none"
        raise KeyError(f"{template.name} has no block {name!r}; there are: {there}")
    return blocks[name][0]
