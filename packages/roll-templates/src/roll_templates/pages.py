"""Templates: views render pages with it."""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from inspect import isawaitable
from typing import Any, TypeVar

from jinja2 import Environment, Template
from roll import Request, Response, Roll
from roll.logs import logger

from .blocks import render_block, render_block_async
from .environment import content_type
from .functions import add_functions, read_ahead, rendering
from .streams import Stream

Processor = Callable[..., Any]
F = TypeVar("F", bound=Processor)

SLOW = 0.1
"""Seconds for which a page may hold the loop before a warning is logged."""


class Templates:
    """The templates of an app, made by `templates(app)`.

    Every template has `request` and `app`, the variables of context processors, and the
    functions in `app["template_globals"]`.
    """

    def __init__(self, app: Roll, environment: Environment) -> None:
        self.environment = environment
        """The environment of Jinja: add filters, tests and globals to it."""
        self._app = app
        self._processors: list[Processor] = []
        self._slow: set[str] = set()

    def context(self, function: F) -> F:
        """Add a context processor, which gives variables to every template.

        It gets the request and returns a mapping; it may be a coroutine function. Later
        ones override earlier ones, and arguments of `render` override both.

        Returns:
            The function unchanged.

        Raises:
            TypeError: It is not a function.
        """
        if not callable(function):
            raise TypeError(f"context({function!r}): give a function of a request")
        self._processors.append(function)
        return function

    async def render(
        self,
        request: Request,
        response: Response,
        name: str,
        /,
        *,
        block: str | None = None,
        **context: Any,
    ) -> None:
        """Render a page as the body of a response.

        Its `Content-Type` is set by the name of the template, unless there is one.

        Args:
            request: The request for the page.
            response: The response that gets the page.
            name: The template.
            block: A block, to render only this.
            context: The variables of the template.

        Raises:
            jinja2.TemplateNotFound: There is no such template.
            KeyError: There is no such block.
            TypeError: A value would have to be awaited.
        """
        response.body = await self.text(request, name, block=block, **context)
        response.headers.setdefault("Content-Type", content_type(name))

    async def text(
        self,
        request: Request | None,
        name: str,
        /,
        *,
        block: str | None = None,
        **context: Any,
    ) -> str:
        """Render a text as `render` does, for example an email.

        Without a request, context processors do not run.
        """
        template = self.environment.get_template(name)
        variables = await self._gather(request, context)
        return await self._fill(template, request, variables, block)

    async def stream(
        self, request: Request, response: Response, name: str, /, **context: Any
    ) -> None:
        """Send a large page in pieces, while it is rendered.

        An exception in the first 8 KiB is raised here; a later one cuts the connection.
        """
        template = self.environment.get_template(name)
        variables = await self._gather(request, context)
        add_functions(self.environment, self._app)
        known = read_ahead(template, request, self._app)
        awaits = self.environment.is_async
        generate = template.generate_async if awaits else template.generate
        body = Stream(generate(variables), variables.values(), request, known)
        await body.start()
        response.body = body
        response.headers.setdefault("Content-Type", content_type(name))

    async def _gather(
        self,
        request: Request | None,
        context: Mapping[str, Any],
        processed: bool = True,
    ) -> dict[str, Any]:
        """Collect the variables of a page.

        Args:
            request: None without one.
            context: Variables that override all others.
            processed: Whether to run the context processors.
        """
        variables: dict[str, Any] = {"request": request, "app": self._app}
        for processor in self._processors if processed and request is not None else ():
            given = processor(request)
            if isawaitable(given):
                given = await given
            if not isinstance(given, Mapping):
                name = getattr(processor, "__qualname__", repr(processor))
                raise TypeError(
                    f"the context processor {name} gives "
                    f"{type(given).__name__}: let it return a dict"
                )
            variables.update(given)
        variables.update(context)
        waiting = [key for key in variables if isawaitable(variables[key])]
        if waiting and not self.environment.is_async:
            raise _unawaited(waiting, variables)
        for key in waiting:
            variables[key] = await variables[key]
        return variables

    async def _fill(
        self,
        template: Template,
        request: Request | None,
        variables: Mapping[str, Any],
        block: str | None = None,
    ) -> str:
        """Render a template with the variables that were collected for it."""
        add_functions(self.environment, self._app)
        with rendering(request, {}):
            if self.environment.is_async:
                if block is None:
                    return await template.render_async(variables)
                return await render_block_async(template, block, variables)
            began = time.perf_counter()
            if block is None:
                text = template.render(variables)
            else:
                text = render_block(template, block, variables)
        self._notice(template.name or "", time.perf_counter() - began)
        return text

    def _notice(self, name: str, seconds: float) -> None:
        if seconds > SLOW and name not in self._slow:
            self._slow.add(name)
            logger.warning(
                "%s took %.0f ms to render, and nothing else ran meanwhile: use "
                "`stream` for large pages",
                name,
                seconds * 1000,
            )


def _unawaited(names: Sequence[str], variables: Mapping[str, Any]) -> TypeError:
    for name in names:
        if isinstance(variables[name], Coroutine):
            variables[name].close()  # otherwise Python warns that it was never awaited
    return TypeError(
        f"{', '.join(names)} needs to be awaited: do that in the view, or call "
        "templates(app, enable_async=True)"
    )
