"""traceback: shows where a 500 comes from."""

import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from roll import HttpError, Request, Response, Roll, hookimpl
from roll.logs import format_traceback, logger
from roll.peers import is_loopback, refusal
from roll.plugins import require_app
from roll.typing import Extension

__all__ = ["traceback"]


def traceback(app: Roll, page: bool = False) -> None:
    """Print the traceback of each 500 of *app* to the standard error stream.

    Its lines are indented, and control characters are escaped, as parts may come from a
    client. Tracebacks that `logging` prints there are left out.

    With *page*, only for development, a browser on the same machine also gets it as a
    page, with the request and the listeners. It is never shown if the connection, the
    client, the `Host` or a proxy is not on this machine, and never again after a
    request to an address that others can reach. It shows neither values of fields such
    as `Cookie` and `Authorization` nor values of variables.

    Args:
        app: The application.
        page: Whether to show the page.

    Raises:
        TypeError: *page* is not a bool.
    """
    require_app("traceback", app)
    if not isinstance(page, bool):
        raise TypeError(f"page={page!r}: give True or False")

    @app.listen("error")
    async def print_the_traceback(
        request: Request, response: Response, error: HttpError
    ) -> None:
        if error.status == 500 and not _is_printed(error):
            print(format_traceback(find_cause(error)), file=sys.stderr)

    if page:
        _show_pages(app)


def find_cause(error: HttpError) -> BaseException:
    """Find the exception behind a 500; the error itself, if a view has raised it."""
    if error.__traceback__ is None and error.__context__ is not None:
        return error.__context__
    return error


def _is_printed(error: HttpError) -> bool:
    """Whether `logging` prints it to the same stream."""
    if find_cause(error) is error or not logger.isEnabledFor(logging.ERROR):
        return False
    if not logger.hasHandlers():
        return True
    return any(
        getattr(handler, "stream", None) is sys.stderr
        and handler.level <= logging.ERROR
        for handler in _handlers(logger)
    )


def _handlers(logger: logging.Logger) -> Iterator[logging.Handler]:
    """Find the handlers of a logger, and those of its parents that get its records."""
    one: logging.Logger | None = logger
    while one is not None:
        yield from one.handlers
        one = one.parent if one.propagate else None


def _show_pages(app: Roll) -> None:
    """Respond to each 500 with a page, for clients that may see it."""
    from .page import write_page

    public: str | None = None

    def look_for_public_address(name: Any) -> None:
        nonlocal public
        if public is None and isinstance(name, tuple) and not is_loopback(name):
            public = str(name[0])
            logger.error(
                "traceback(page=True) shows no page from now on: requests come to %s, "
                "which others can reach. Listen on 127.0.0.1 to develop, and leave "
                "page=True out elsewhere",
                public,
            )

    @app.listen("startup")
    async def notice_public_sockets() -> None:
        for name in app.addresses:
            look_for_public_address(name)

    @app.listen("headers", before="*")  # some respond, or refuse
    async def notice_public_addresses(request: Request, response: Response) -> None:
        look_for_public_address(request.local_address)

    @app.listen("error")
    async def show_the_page(
        request: Request, response: Response, error: HttpError
    ) -> None:
        # Others may have ended the chain of `headers`.
        look_for_public_address(request.local_address)
        wanted = "text/html" in request.headers.get("ACCEPT", "")
        if public is not None or error.status != 500 or not wanted:
            return
        reason = refusal(request)
        if reason is None:
            write_page(app, request, response, error)
        else:
            logger.warning("traceback(page=True) shows no page: %s", reason)


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import traceback`."""
    return {"traceback": traceback}
