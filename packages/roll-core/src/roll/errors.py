"""HttpError: the way to respond to a request with an error."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

PHRASES: dict[int, str] = {
    **{status.value: status.phrase for status in HTTPStatus},
    # Python has these phrases of RFC 9110 only from 3.13 on; Roll has them everywhere.
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""The reason phrase of each known status (RFC 9110, section 15)."""


class HttpError(Exception):
    """A response with an error status, raised anywhere while a request is served.

    Args:
        status: An `HTTPStatus`, or its number.
        message: The body of the response; by default the phrase of the status.
        context: Anything for `error` listeners; never sent. An exception also becomes
            the `__context__`.
        headers: Fields of the response, such as `{"Retry-After": "60"}`.

    Raises:
        ValueError: The number is not a registered HTTP status.
    """

    # Defaults on the class, so that a subclass that skips `super().__init__` still is a
    # complete error.
    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
    message: str | bytes | None = None
    context: Any = None
    headers: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        status: int | HTTPStatus,
        message: str | bytes | None = None,
        context: Any = None,
        *,
        headers: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__(status, message)
        if isinstance(status, (str, bytes)):
            raise ValueError(
                f"{status!r} is not a valid HTTPStatus: it comes first, as in "
                f"HttpError(404, {status!r})"
            )
        self.status = HTTPStatus(status)
        self.message = PHRASES[self.status] if message is None else message
        self.context = context
        self.headers = headers
        if isinstance(context, BaseException):
            self.__context__ = context
