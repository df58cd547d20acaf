"""Redirects, and how a client follows them (RFC 9110, section 15.4)."""

from urllib.parse import SplitResult, quote, urljoin, urlsplit

from .cookies import CookieJar
from .errors import RedirectError
from .message import VISIBLE, Message
from .response import ResponseHead

REDIRECTS = (301, 302, 303, 307, 308)


class Trail:
    """The way from one request to the last response, with its cookies.

    Args:
        message: The first request.
        cookies: The cookies of the client. A request with its own field `Cookie` has
            its own cookies, up to the last response.
        limit: The most redirects to follow.
    """

    def __init__(self, message: Message, cookies: CookieJar, limit: int) -> None:
        self.responses: list[ResponseHead] = []
        """The redirecting responses, the oldest first."""
        self._cookies = cookies
        self._own = message.own_cookies
        self._limit = limit

    def prepare(self, message: Message) -> None:
        """Set the cookies of a request."""
        cookies = self._cookies if self._own is None else self._own
        message.cookies = cookies.header(message.path)

    def learn(self, message: Message, response: ResponseHead) -> None:
        """Keep the cookies that a response sets."""
        lines = response.headers.list("Set-Cookie")
        self._cookies.learn(lines, message.path)
        if self._own is not None:
            self._own.learn(lines, message.path)

    def follow(self, message: Message, response: ResponseHead) -> Message | None:
        """Make the request that a response redirects to, or None.

        Raises:
            RedirectError: It leads to another host, or there were too many, or the body
                cannot be sent again.
        """
        if not message.follow_redirects or response.status not in REDIRECTS:
            return None
        if "Location" not in response.headers:
            return None
        if len(self.responses) == self._limit:
            raise RedirectError(
                f"{message} is redirected once more after {self._limit} redirects",
                response,
            )
        target = _find_target(message, response)
        method = _choose_method(message.method, response.status)
        keeps = method == message.method and response.status != 303
        if keeps and message.is_streamed:
            raise RedirectError(
                f"{message} is redirected with {response.status:d}, which asks for the "
                "same body, but an iterator or an open file is read only once: give "
                "bytes",
                response,
            )
        self.responses.append(response)
        return message.redirected(method, target, keeps)


def _choose_method(method: str, status: int) -> str:
    if status == 303 and method != "HEAD":
        return "GET"
    return "GET" if status in (301, 302) and method == "POST" else method


def _find_target(message: Message, response: ResponseHead) -> str:
    """Resolve the field `Location`, without its fragment (RFC 3986, section 5)."""
    location = response.headers["Location"]
    try:
        url = urlsplit(urljoin(f"http://{message.host}{message.path}", location))
        same = url.scheme in ("http", "https")
        same = same and _origin(url) == _origin(
            urlsplit(f"{url.scheme}://{message.host}")
        )
    except ValueError as error:
        raise RedirectError(
            f"{message} is redirected to {location!r}, which is not a URL: {error}",
            response,
        ) from error
    if not same:
        raise RedirectError(
            f"{message} is redirected to {location!r}, which is not on "
            f"{message.host}: the client follows redirects within the app only",
            response,
        )
    target = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
    # Fields are read as Latin-1; a URL has the bytes percent-encoded.
    return quote(target.encode("latin-1"), safe=VISIBLE)


def _origin(url: SplitResult) -> tuple[str | None, int | None]:
    """Give host and port; https counts as http, for the proxy that ends TLS."""
    default = {"http": 80, "https": 443}.get(url.scheme)
    return url.hostname, url.port or default
