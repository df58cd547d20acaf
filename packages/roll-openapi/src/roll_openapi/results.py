"""Results: what a typed view returns becomes the body of the response."""

from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

from roll import Response
from roll.response import JSON_TYPE

from .annotations import members, without_none
from .codecs import find_codec
from .signature import MISSING

Write = Callable[[Response, Any], None]


def media_type(returns: Any) -> str | None:
    """Give the media type of a return annotation: `Annotated[bytes, "image/png"]`."""
    if get_origin(returns) is Annotated:
        inner, *metadata = get_args(returns)
        if members(inner)[0] in (bytes, str):
            return next((each for each in metadata if isinstance(each, str)), None)
    return None


def make_writer(returns: Any) -> Write:
    """Make the function that sets the body, and its type, from what a view returns.

    Args:
        returns: The annotation; `MISSING` without one.

    Raises:
        TypeError: pydantic does not know the type.
    """
    media = media_type(returns)
    wanted = Any if returns is MISSING else without_none(returns)
    encode = find_codec(wanted).encode(wanted)

    def write(response: Response, value: Any) -> None:
        kind = type(value)
        if kind is bytes or kind is str:
            response.body = value
            if media is not None:
                response.headers.setdefault("Content-Type", media)
        else:
            response.body = encode(value)
            headers = response.headers
            if headers:
                headers.setdefault("Content-Type", JSON_TYPE)
            else:  # without fields, there is no other spelling to look for
                dict.__setitem__(headers, "Content-Type", JSON_TYPE)

    return write


def is_empty(returns: Any) -> bool:
    """Whether an annotation describes no body."""
    return returns is MISSING or returns is None or returns is type(None)
