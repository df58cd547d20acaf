"""flash and flashes: messages for the next page that a visitor sees."""

from typing import Any

from roll import Request

from .sessions import session_of

KEY = "_flashes"
MOST = 20
"""The most messages to keep; older ones are dropped."""
LONGEST = 1000
"""Characters of the longest message, and of the longest category."""


def flash(request: Request, message: str, category: str = "info") -> None:
    """Keep a message until a page shows it, which may be after a redirect.

    Args:
        request: The request of the visitor.
        message: Text of at most 1,000 characters.
        category: A word of yours, such as `"error"`.

    Raises:
        RuntimeError: There is no session, or the head of the response was sent.
        TypeError: The message or the category is not a string.
        ValueError: One is too long.
    """
    for text in (message, category):
        if not isinstance(text, str):
            raise TypeError(f"flash({text!r}): give a string")
        if len(text) > LONGEST:
            raise ValueError(
                f"flash: {len(text)} characters are more than {LONGEST}: keep long "
                "texts elsewhere"
            )
    session = session_of(request)
    kept: list[Any] = session.get(KEY, [])
    session[KEY] = [*kept, [category, message]][-MOST:]


def flashes(request: Request) -> list[tuple[str, str]]:
    """Give the messages of a visitor, with their categories first, and forget them.

    Raises:
        RuntimeError: There is no session; or there are messages, and the head of the
            response was sent.
    """
    session = session_of(request)
    if not session.get(KEY):
        return []
    return [(category, message) for category, message in session.pop(KEY)]
