"""Error pages, for clients that prefer HTML."""

import asyncio
import re
from typing import Any

from roll import HttpError, Request, Response, Roll
from roll.logs import logger
from roll.preferences import LONGEST, read_preferences
from roll.tasks import is_cancelled

from .environment import content_type
from .pages import Templates

SECONDS = 1.0
"""How long a page may take before it is given up."""

_TEXT = "text/plain; charset=utf-8"  # of an error that no listener has changed
_RANGE = re.compile(r"\*/\*|text/(?:html|plain|\*)|application/(?:json|\*)")


def show_pages_for_errors(app: Roll, pages: Templates, name: str) -> None:
    """Respond to errors with a page.

    Args:
        app: The application.
        pages: Its templates.
        name: The template for statuses that do not have their own in the same folder.
    """
    folder, slash, page = name.rpartition("/")
    _, dot, ending = page.partition(".")
    logged: set[str] = set()

    @app.listen("error")
    async def show_error_page(
        request: Request, response: Response, error: HttpError
    ) -> None:
        if response.headers.get("Content-Type") != _TEXT:
            return
        response.vary("Accept")
        if not prefers_html(request.headers.get("ACCEPT", "")):
            return
        own = f"{folder}{slash}{response.status:d}{dot}{ending}"
        try:
            async with asyncio.timeout(SECONDS):
                template = pages.environment.select_template([own, name])
                # After a 500, a service that processors use may be down.
                variables = await pages._gather(
                    request, _describe(response, error), response.status < 500
                )
                response.body = await pages._fill(template, request, variables)
        except (Exception, asyncio.CancelledError) as failure:
            if isinstance(failure, asyncio.CancelledError) and is_cancelled():
                raise
            if own not in logged:
                logged.add(own)
                logger.error(
                    "The error page %s, or %s, failed: the plain text is sent. "
                    "This is logged once.",
                    own,
                    name,
                    exc_info=failure,
                )
        else:
            response.headers["Content-Type"] = content_type(name)


def _describe(response: Response, error: HttpError) -> dict[str, Any]:
    phrase = HttpError(response.status).message
    message = error.message
    if isinstance(message, (bytes, bytearray)):
        message = message.decode(errors="replace")
    return {
        "status": int(response.status),
        "phrase": phrase,
        "message": phrase if message is None else message,
    }


def prefers_html(accept: str) -> bool:
    """Tell whether a client prefers HTML to JSON and plain text.

    Args:
        accept: The value of `Accept`, empty when there is none.
    """
    if len(accept) > LONGEST:
        return False
    weights: dict[str, float] = {}
    for name, parameters, weight in read_preferences("Accept", accept, _RANGE):
        if all(key == "charset" for key, _ in parameters):
            weights[name] = max(weight, weights.get(name, 0.0))

    def weigh(kind: str, subtype: str) -> float:
        ranges = (f"{kind}/{subtype}", f"{kind}/*", "*/*")  # the most specific decides
        return next((weights[one] for one in ranges if one in weights), 0.0)

    others = weigh("application", "json"), weigh("text", "plain")
    return weigh("text", "html") > max(others)
