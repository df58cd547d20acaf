"""problems: errors as `application/problem+json` (RFC 9457)."""

import re
from typing import Any

from roll import HttpError, Request, Response, Roll
from roll.plugins import require_app
from roll.preferences import read_preferences

from .invalid import Invalid

MEDIA_TYPE = "application/problem+json"

_RANGE = re.compile(r"\A[^/]++/[^/]++")
_TEXTS = ("text/plain", "text/html")
_JSONS = (MEDIA_TYPE, "application/json")
_KEY = "roll_openapi.problems"


def problems(app: Roll, *, type: str = "about:blank") -> None:
    """Make every error of *app* `application/problem+json` (RFC 9457).

    A client that prefers plain text or HTML to JSON gets the usual response.

    Args:
        app: The application; further calls have no effect.
        type: The `type` of a problem that does not give its own.
    """
    require_app("problems", app)
    if _KEY in app:
        return
    app[_KEY] = type

    # Before other listeners, which may write something else.
    @app.listen("error", before="*")
    def write_problem(request: Request, response: Response, error: HttpError) -> None:
        response.vary("Accept")
        if not _prefers_text(request.headers.get("ACCEPT", "")):
            response.body = app.json_encode(make_problem(response, error, type))
            response.headers["Content-Type"] = MEDIA_TYPE


def make_problem(response: Response, error: HttpError, type: str) -> dict[str, Any]:
    """Describe an error (RFC 9457, section 3.1).

    Args:
        response: The response, with the message as its body.
        error: The error; its `context["problem"]` adds or replaces members.
        type: The type of the problem, unless the error gives one.
    """
    title = HttpError(response.status).message
    problem: dict[str, Any] = {"type": type, "title": title, "status": response.status}
    if isinstance(error, Invalid):
        problem["errors"] = error.errors
    elif response.body != title:
        body = response.body
        text = body if isinstance(body, str) else body.decode(errors="replace")
        problem["detail"] = text
    if isinstance(error.context, dict):
        problem |= error.context.get("problem", {})
    return problem


def _prefers_text(accept: str) -> bool:
    """Whether a client prefers text or HTML to JSON."""
    if not accept:
        return False
    weights: dict[str, float] = {}
    for each in read_preferences("Accept", accept, _RANGE):
        weights[each.name] = max(each.weight, weights.get(each.name, 0))
    text = max(_weigh(weights, name) for name in _TEXTS)
    return text > max(_weigh(weights, name) for name in _JSONS)


def _weigh(weights: dict[str, float], name: str) -> float:
    """Give the weight of a media type: that of the most specific range."""
    for media_range in (name, f"{name.partition('/')[0]}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0
