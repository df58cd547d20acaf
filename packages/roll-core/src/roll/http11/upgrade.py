"""Switching protocols: the handshake that precedes the view of such a route."""

from http import HTTPStatus
from typing import Any, NamedTuple

from ..errors import HttpError
from ..typing import Upgrade, View


class Switch(NamedTuple):
    """The protocol that takes a connection over once its 101 is written."""

    protocol: Upgrade
    view: View
    variables: dict[str, Any]
    fields: tuple[str, ...]
    """The names of the fields that only the 101 has."""


_EXPECTANT = frozenset({"websocket"})
"""Tokens of protocols whose clients cannot use an ordinary response."""


def check_offer(offered: tuple[str, ...]) -> None:
    """Reject a handshake where no protocol is served.

    Raises:
        HttpError: 501, for such a protocol.
    """
    if not _EXPECTANT.isdisjoint(offered):
        raise HttpError(HTTPStatus.NOT_IMPLEMENTED)


def handshake(kind: type[Upgrade], view: View) -> View:
    """Make the function that responds to a handshake for *view* with a 101.

    It raises HttpError 426, with `Upgrade`, for a plain request (RFC 9110, section
    15.5.22) and 501 if only other protocols are offered.
    """

    async def switch(request: Any, response: Any, **variables: Any) -> None:
        if not request.upgrade:
            response.headers["Upgrade"] = kind.TOKEN
            response.headers["Connection"] = "Upgrade"
            raise HttpError(HTTPStatus.UPGRADE_REQUIRED)
        if kind.TOKEN not in request.upgrade:
            raise HttpError(HTTPStatus.NOT_IMPLEMENTED)
        if request.content is not None:
            raise HttpError(HTTPStatus.BAD_REQUEST, "A handshake has no body")
        before = set(response.headers)
        protocol = kind(request, response)
        response.status = HTTPStatus.SWITCHING_PROTOCOLS
        fields = tuple(name for name in response.headers if name not in before)
        request.protocol.switch = Switch(protocol, view, variables, fields)

    return switch
