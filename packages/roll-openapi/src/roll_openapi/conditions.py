"""Conditions: a body that the client already has is not sent (RFC 9110, section 13)."""

from http import HTTPStatus

from roll import Request, Response


def not_modified(request: Request, response: Response, tag: str) -> bool:
    """Set the `ETag` of a response, and its status to 304 if the client has that tag.

    Args:
        request: The request, perhaps with `If-None-Match` (RFC 9110, section 13.1.2).
        response: Its response.
        tag: A strong entity tag, with its quotes.

    Returns:
        Whether the response is a 304, and needs no body.
    """
    response.headers["ETag"] = tag
    known = request.headers.get("IF-NONE-MATCH", "").split(",")
    if not {each.strip().removeprefix("W/") for each in known} & {tag, "*"}:
        return False
    response.status = HTTPStatus.NOT_MODIFIED
    return True
