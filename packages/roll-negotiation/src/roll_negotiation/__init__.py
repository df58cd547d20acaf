"""content_negotiation: the type, the language and the coding that a client prefers."""

import functools
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from roll import HttpError, Request, Response, Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

from .choices import Chooser, encoding_chooser, language_chooser, type_chooser

__all__ = ["content_negociation", "content_negotiation"]


class Dimension(NamedTuple):
    """What is negotiated, and how."""

    extra: str
    """The extra of a route that lists what is served."""
    field: str
    """The field of a request that lists what is accepted."""
    key: str
    """The key of the request for what was chosen."""


TYPE = Dimension("accepts", "Accept", "accepted")
LANGUAGE = Dimension("languages", "Accept-Language", "accepted_language")
ENCODING = Dimension("encodings", "Accept-Encoding", "accepted_encoding")


def content_negotiation(app: Roll, strict: bool = False) -> None:
    """Choose what the client prefers, on routes that declare what they serve.

    Routes declare lists: `accepts=` of media types, `languages=` of language tags, and
    `encodings=` of content codings, the preferred ones first. A `request` listener puts
    its choices in `request["accepted"]`, `request["accepted_language"]` and
    `request["accepted_encoding"]`. A client that accepts none of the types or codings
    gets a 406 before the view runs. The fields that decide are added to `Vary`. Other
    routes are left alone.

    Malformed elements of a field are ignored; a field of only such elements counts as
    not sent (RFC 9110, section 12.5.1, lets a server disregard what it does not honor).
    The response to a field of more than 8190 characters is a 431.

    Args:
        app: The application. Routes declared before the call are included.
        strict: Whether a client that sends no `Accept` gets a 406. Otherwise it accepts
            anything (RFC 9110, section 12.5.1).

    Raises:
        TypeError: *strict* is not a boolean.
    """
    require_app("content_negotiation", app)
    if not isinstance(strict, bool):
        raise TypeError(f"strict={strict!r}: give True or False")
    makers: dict[Dimension, Callable[[tuple[str, ...]], Chooser]] = {
        TYPE: functools.partial(type_chooser, strict=strict),
        LANGUAGE: language_chooser,
        ENCODING: encoding_chooser,
    }

    @functools.cache  # made when the app starts, found at each request
    def chooser(dimension: Dimension, served: tuple[str, ...]) -> Chooser:
        return makers[dimension](served)

    def check(dimension: Dimension, served: object) -> None:
        if served is not None:
            chooser(dimension, _read_list(served))

    for dimension in makers:
        app.extras(dimension.extra, check=functools.partial(check, dimension))

    @app.listen("request")
    async def reject_unacceptable_requests(
        request: Request, response: Response
    ) -> None:
        payload = request.route.payload or {}  # None where no route matches
        for dimension in makers:
            served = payload.get(dimension.extra)
            if served is not None:
                field = request.headers.get(dimension.field, "")
                chosen = chooser(dimension, tuple(served))(field)
                if chosen is None:
                    # RFC 9110, section 15.5.7, asks for the list.
                    message = f"Not Acceptable: there is {', '.join(served)}"
                    raise HttpError(HTTPStatus.NOT_ACCEPTABLE, message)
                request[dimension.key] = chosen

    @app.listen("response")
    async def tell_caches(request: Request, response: Response) -> None:
        payload = request.route.payload or {}
        fields = [each.field for each in makers if payload.get(each.extra) is not None]
        if fields:
            response.vary(*fields)


content_negociation = content_negotiation
"""Its first name in Roll."""


def _read_list(served: object) -> tuple[str, ...]:
    if not isinstance(served, (list, tuple)):
        raise TypeError("give a list of strings")
    for entry in served:
        if not isinstance(entry, str):
            raise TypeError(f"{entry!r} is not a string")
    if not served:
        raise ValueError("it is empty: list something, or leave it out")
    return tuple(served)


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import content_negotiation`, in both spellings."""
    return {
        "content_negociation": content_negociation,
        "content_negotiation": content_negotiation,
    }
