"""What clients raise besides Python's own exceptions; each has the response."""

from .response import ClientResponse, ResponseHead


class RedirectError(Exception):
    """A redirect that a client cannot follow."""

    def __init__(self, message: str, response: ResponseHead) -> None:
        super().__init__(message)
        self.response = response
        """The redirecting response."""


class HandshakeError(Exception):
    """A WebSocket handshake that the server refused, or responded to wrongly."""

    def __init__(self, message: str, response: ClientResponse) -> None:
        super().__init__(message)
        self.response = response
        """The response to the handshake, with its status and its body."""
