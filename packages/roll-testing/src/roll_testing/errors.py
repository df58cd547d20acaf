"""What clients raise beside Python's own exceptions; each has the response."""

from .response import ResponseHead


class RedirectError(Exception):
    """A redirect that a client cannot follow."""

    def __init__(self, message: str, response: ResponseHead) -> None:
        super().__init__(message)
        self.response = response
        """The response that redirects."""
