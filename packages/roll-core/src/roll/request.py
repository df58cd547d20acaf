"""Request: one message from a client, parsed on demand."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from . import events
from .cookies import Cookies
from .datastructures import (
    Files,
    Form,
    Headers,
    IdentityDict,
    Query,
    parse_urlencoded,
)
from .errors import HttpError
from .http11.body import Body, Decoded, Decoder
from .http11.framing import read_fields
from .http11.parser import Head
from .jsontext import decode_json, encode_json
from .limits import Limits
from .routing.endpoints import NOT_FOUND, UNDECODABLE, Endpoint, Route
from .typing import App, Connection, Listener

if TYPE_CHECKING:
    from .forms.multipart import Multipart


def _is_utf8(url: bytes) -> bool:
    """Whether a target is UTF-8: the client may have sent U+FFFD itself."""
    try:
        unquote(url.partition(b"?")[0].decode(), errors="strict")
        url.decode()
    except UnicodeDecodeError:
        return False
    return True


# A field begins after the end of a line, and its value has no such end.
_COOKIE = re.compile(rb"\ncookie:([^\r]*+)", re.IGNORECASE)


_STREAMED = ("_decoded", "_form", "_files")
"""The attributes made from a streamed body, which cannot be read again."""

BY_HAND = Head()
"""The message of a request made by hand."""


async def _find_again(request: "Request", response: Any) -> None:
    endpoint, variables = request._find()  # this raises the same error again
    await endpoint.run(request, response, **variables)


_UNKNOWN = "an address that nobody has asked for yet"

_UNRESOLVED = Endpoint(_find_again, lazy_body=True, found=False)
"""The endpoint of a request whose look-up failed."""


class _LazyMultipart:
    """Imports the class when it is read, to save a sixth of `import roll`."""

    def __get__(self, instance: object, owner: type) -> "type[Multipart]":
        from .forms.multipart import Multipart

        return Multipart


class Parts:
    """The classes that a request is parsed into; apps inherit them."""

    Query: ClassVar[type[Query]] = Query
    Form: ClassVar[type[Form]] = Form
    Files: ClassVar[type[Files]] = Files
    Cookies: ClassVar[type[Cookies]] = Cookies
    Multipart: "ClassVar[type[Multipart]]" = _LazyMultipart()  # type: ignore[assignment]
    Route: ClassVar[type[Route]] = Route
    limits: ClassVar[Limits] = Limits()
    json_encode = staticmethod(encode_json)
    """Writes the value that `response.json` is set to."""
    json_decode = staticmethod(decode_json)
    """Reads a body for `request.json`; it raises ValueError if it is not JSON."""


class BodyNotLoadedError(HttpError, RuntimeError):
    """A mistake of the application: it is logged, and the client gets a plain 500."""


class Request(IdentityDict):
    """One message from a client; also a dict for the data of the application.

    Args:
        app: The app that responds, None for a request made by hand.
        protocol: The connection of the request, None if it was made by hand.

    Requests compare by identity and are always true. Only the documented attributes can
    be set.
    """

    # Attributes that are None, or not set in __init__, are computed when first read, so
    # that unused ones cost nothing. Reading an unset slot takes longer than all of
    # __init__, so only what few requests read is left unset.
    __slots__ = (
        "_body",
        "_cookies",
        "_decoded",
        "_early",
        "_endpoint",
        "_fields",
        "_files",
        "_form",
        "_headers",
        "_host",
        "_json",
        "_method",
        "_parts",
        "_path",
        "_query",
        "_query_string",
        "_remote_addr",
        "_scheme",
        "app",
        "content",
        "decoder",
        "message",
        "parent",
        "protocol",
        "variables",
    )

    _decoded: Decoded
    _host: str
    _json: Any
    _query_string: str
    _early: bool
    """Whether `headers` listeners run: True while they do, otherwise unset."""
    variables: dict[str, Any]
    """The values of the route's placeholders; set when `endpoint` is read."""

    def __init__(self, app: App | None, protocol: Connection | None) -> None:
        self.app: Any = app
        """None for a request made by hand."""
        self.protocol = protocol
        self._parts: App | type[Parts] = Parts if app is None else app
        self.parent: Request | None = None
        """The request from which `hand_to` made this one."""
        self.message: Head = BY_HAND
        """The head of the message as received; an empty one without a message."""
        self.content: Body | None = None
        """The body while it is received; None if the message has none."""
        self.decoder: Decoder | None = None
        """Decodes the body: a function that takes an async iterator of the pieces
        received, and returns one of decoded pieces, of bounded size. Set it before the
        body is read. Limits apply to both. Without it, a body with a Content-Encoding
        other than `identity` gets a 415.
        """
        self._method: str | None = None
        self._body: bytes | None = None
        self._endpoint: Endpoint | None = None
        self._path: str | None = None
        self._fields: list[tuple[bytes, bytes]] | None = None
        self._headers: Headers | None = None
        self._cookies: Cookies | None = None
        self._query: Query | None = None
        self._remote_addr: str | None = _UNKNOWN
        self._scheme: str | None = None

    # Other apps

    def hand_to(
        self, app: App, path: str, found: tuple[Endpoint, dict[str, Any]] | None = None
    ) -> "Request":
        """Make a request with the same message for another app, such as a mounted one.

        It shares head, body and connection, with everything that listeners have set in
        them. Its dict starts as a copy.

        Args:
            app: The app whose routes, classes and limits apply.
            path: The path within the other app.
            found: The endpoint there and the values of its placeholders, if they were
                looked up already.
        """
        if self._path is None:
            self._read_target()
        request: Request = app.Request(app, self.protocol)
        request.parent = self
        request.message, request.content = self.message, self.content
        request.decoder, request._body = self.decoder, self._body
        request._method, request._host = self._method, self._host
        request._fields, request._headers = self._fields, self._headers
        request._path, request._query_string = path, self._query_string
        if found is not None:
            request._endpoint, request.variables = found
        if self.content is not None and self._body is None:  # it may have been read
            for name in _STREAMED:
                if hasattr(self, name):
                    setattr(request, name, getattr(self, name))
        request.update(self)
        return request

    def hook(self, name: str, *arguments: Any) -> Awaitable[Any]:
        """Run the listeners of an event for this request, as `Roll.hook` does.

        The listeners of its app run first, then those of the apps that have passed it
        on. Each gets the request of its own app.
        """
        if self.parent is None:  # without an extra function for each listener
            app: App = self.app
            return app.hook(name, self, *arguments)
        listeners: list[Listener] = []
        request: Request | None = self
        while request is not None:
            app = request.app
            if name in app.hooks:
                heard = app.hooks[name]
                listeners += [partial(each, request, *arguments) for each in heard]
            request = request.parent
        return events.start(name, listeners, (), {}, app.keep)

    # The request line

    @property
    def head(self) -> bytes:
        """The request line and the header, as received."""
        return self.message.raw

    @property
    def version(self) -> str:
        """The HTTP version of the message: `"1.0"` or `"1.1"`."""
        return self.message.version

    @property
    def keep_alive(self) -> bool:
        """Whether the client allows the connection to stay open after the response."""
        return self.message.keep_alive

    @property
    def upgrade(self) -> tuple[str, ...]:
        """The protocols that the client offers to switch to, in lower case."""
        return self.message.upgrade

    @property
    def sent_method(self) -> str:
        """The method as received: how the client reads the response depends on it."""
        return self.message.method

    @property
    def url(self) -> bytes:
        """The target of the request line, as received (RFC 9112, section 3.2)."""
        return self.message.target

    @url.setter
    def url(self, url: bytes) -> None:
        self.message = self.message.replace(target=url)
        self._path = self._endpoint = self._query = None

    @property
    def method(self) -> str:
        """The method, in upper case. Setting it looks the route up again."""
        return self._method or self.message.method

    @method.setter
    def method(self, method: str) -> None:
        self._method = method.upper()
        self._look_up_again()

    @property
    def path(self) -> str:
        """The path, percent-decoded. Setting it looks the route up again.

        A path that is not UTF-8 has replacement characters (U+FFFD), and its endpoint
        responds with 400.
        """
        if self._path is None:
            self._read_target()
        return self._path  # type: ignore[return-value]  # it was read

    @path.setter
    def path(self, path: str) -> None:
        self._know_target()
        self._path = path
        self._endpoint = None

    @property
    def query_string(self) -> str:
        """The query as received, without its `?`."""
        if self._path is None:
            self._read_target()
        return self._query_string

    @query_string.setter
    def query_string(self, query_string: str) -> None:
        self._know_target()
        self._query_string = query_string
        self._query = None

    def _know_target(self) -> None:
        """Read the target before one of its parts is overridden, not after."""
        if self._path is None:
            self._read_target()

    def _read_target(self) -> None:
        """Split the target, in origin or absolute form (RFC 9112, section 3.2)."""
        url = self.message.target
        try:
            target = url.decode()
        except UnicodeDecodeError:
            target = url.decode(errors="replace")
        self._host = ""
        if not target.startswith("/") and "://" in target:
            authority, slash, rest = target.partition("://")[2].partition("/")
            authority, mark, query = authority.partition("?")
            self._host = authority
            target = f"/{rest}" if slash else f"/{mark}{query}"
        path, _, self._query_string = target.partition("?")
        self._path = path
        if "%" in path:
            self._path = path = unquote(path)
        elif target.isascii():
            return
        if ("\ufffd" in path or "\ufffd" in target) and not _is_utf8(url):
            self._endpoint, self.variables = UNDECODABLE, {}

    # The header

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header as received, but with names in upper case."""
        if self._fields is None:
            self._fields = read_fields(self.message.raw)
        return self._fields

    @fields.setter
    def fields(self, fields: list[tuple[bytes, bytes]]) -> None:
        # These are read from the new fields.
        self._fields, self._headers, self._cookies = fields, None, None

    @property
    def headers(self) -> Headers:
        """The header fields: names in upper case, but look-ups ignore case."""
        if self._headers is None:
            if self._fields is None:  # not kept: one of the two is enough
                self._headers = Headers.read(self.message.raw)
            else:
                self._headers = Headers.decode(self._fields)
        return self._headers

    @property
    def cookies(self) -> Cookies:
        """The cookies, by name (RFC 6265, section 5.4)."""
        if self._cookies is None:
            if self._headers is None and self._fields is None:
                # All fields need not be read for this one.
                values = [
                    value.strip(b" \t") for value in _COOKIE.findall(self.message.raw)
                ]
                raw = b"; ".join(filter(None, values))
            else:
                raw = self._field("COOKIE").encode("latin-1", "replace")
            try:
                header = raw.decode()  # as browsers send what is not ASCII
            except UnicodeDecodeError:
                header = raw.decode("latin-1")
            self._cookies = self._parts.Cookies.parse(header)
        return self._cookies

    def _field(self, name: str) -> str:
        value: str = self.headers.get(name, "")
        return value

    @property
    def content_type(self) -> str:
        """The `Content-Type` field, or empty."""
        return self._field("CONTENT-TYPE")

    @property
    def referrer(self) -> str:
        """The `Referer` field, or empty."""
        return self._field("REFERER")

    referer = referrer

    @property
    def origin(self) -> str:
        """The `Origin` field, or empty."""
        return self._field("ORIGIN")

    @property
    def host(self) -> str:
        """The host of the request: from an absolute target, or the `Host` field."""
        self._know_target()
        return self._host or self._field("HOST")

    @host.setter
    def host(self, host: str) -> None:
        self._know_target()
        self._host = host
        if self.app is not None and "route:find" in self.app.hooks:
            self._look_up_again()

    # The connection

    @property
    def remote_addr(self) -> str | None:
        """The client's address; None on a unix socket or without a connection."""
        if self._remote_addr is _UNKNOWN:
            source = self.parent or self.protocol  # that of a parent may have been set
            self._remote_addr = None if source is None else source.remote_addr
        return self._remote_addr

    @remote_addr.setter
    def remote_addr(self, address: str | None) -> None:
        self._remote_addr = address

    @property
    def local_address(self) -> Any:
        """The server's end of the connection, as `socket.getsockname` gives it.

        A tuple that begins with an address and a port; the path of a unix socket; None
        without a connection. Behind a proxy, it is the address that the proxy connects
        to.
        """
        return None if self.protocol is None else self.protocol.local_address

    @property
    def scheme(self) -> str:
        """`https` on a connection with TLS, otherwise `http`."""
        if self._scheme is None:
            if self.parent is not None:
                self._scheme = self.parent.scheme
            else:
                secure = self.protocol is not None and self.protocol.secure
                self._scheme = "https" if secure else "http"
        return self._scheme

    @scheme.setter
    def scheme(self, scheme: str) -> None:
        self._scheme = scheme

    @property
    def closing(self) -> asyncio.Event:
        """Set when the app starts to shut down: long responses should end then."""
        if self.app is None:
            return asyncio.Event()
        closing: asyncio.Event = self.app.closing
        return closing

    async def disconnected(self) -> None:
        """Wait until the client is gone."""
        if self.protocol is not None:
            await self.protocol.disconnected()

    # The route

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint for the path and the method; reading it also sets `variables`.

        It is looked up once, and again when the path or the method is set, or the host
        if there are `route:find` listeners. If the look-up fails, the endpoint raises
        the error.
        """
        endpoint = self._endpoint
        if endpoint is None:
            if self._path is None:
                self._read_target()
                if self._endpoint is not None:  # the path is not UTF-8
                    return self._endpoint
            app = self.app
            try:
                if app is None or "route:find" in app.hooks:
                    endpoint, self.variables = self._find()
                else:
                    endpoint, self.variables = app.router.find(
                        self._path, self._method or self.message.method
                    )
            except Exception:  # from a listener, or the app's own matcher
                endpoint, self.variables = _UNRESOLVED, {}
            self._endpoint = endpoint
        return endpoint

    def _find(self) -> tuple[Endpoint, dict[str, Any]]:
        """Let listeners look up the endpoint, then the router."""
        if self.app is None:
            return NOT_FOUND, {}
        path, method = self._path, self._method or self.message.method
        for listener in self.app.hooks.get("route:find", ()):
            if found := listener(path, self):
                endpoint, variables = found
                return endpoint, variables
        endpoint, variables = self.app.router.find(path, method)
        return endpoint, variables

    def _look_up_again(self) -> None:
        """Forget the endpoint, since what it depends on was set."""
        if self._endpoint is not UNDECODABLE:
            self._endpoint = None

    @property
    def route(self) -> Route:
        """`(payload, vars)` of the route found; the payload is None without one."""
        return self._parts.Route(self.endpoint.payload, self.variables)

    @property
    def kwargs(self) -> "Request":
        """The request itself: an older name of its dict."""
        return self

    # The body

    @property
    def body(self) -> bytes:
        """The loaded body.

        Raises:
            BodyNotLoadedError: It is not loaded, in a lazy route, or in a `headers`
                listener, there even if the request has no body.
        """
        if self._body is not None:
            return self._body
        early = hasattr(self, "_early")
        if self.content is None and not early:
            return b""
        advice = ", or listen to `request`" if early else ""
        raise BodyNotLoadedError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "The body is not loaded: call `await request.load_body()`, "
            f"or `load_form()` for a form, before{advice}",
        )

    @body.setter
    def body(self, body: bytes) -> None:
        self._body = body

    async def load_body(self) -> None:
        """Read the rest of the body into `request.body`; further calls do nothing.

        Raises:
            HttpError: 413, if it is larger than `Limits.body`; 415, if it has a
                Content-Encoding and there is no decoder.
        """
        content = self.content
        if self._body is not None or content is None:
            self._body = self._body or b""  # loaded, also for `headers` listeners
            return
        limit = (self.endpoint.limits or self._parts.limits).body
        source: Body | Decoded = content
        if self.decoder is not None or self.message.encoded:
            source = self._decode(content)
        elif content.complete and content.received <= limit:  # most come with the head
            self._body = content.take()
            return
        source.restrict(limit)
        pieces: list[bytes] = []
        try:
            while piece := await source.read():
                pieces.append(piece)
        except asyncio.CancelledError:
            source.put_back(pieces)
            raise
        self._body = b"".join(pieces)

    def _decode(self, content: Body) -> Decoded:
        """Give the decoded body; without a decoder, raise 415."""
        if not hasattr(self, "_decoded"):
            self._decoded = Decoded(content, self.decoder)
        return self._decoded

    async def read(self) -> bytes:
        """Load the body and return it, as `load_body()` does."""
        await self.load_body()
        return self.body

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces of the body as they arrive, in bounded memory.

        Raises:
            HttpError: 413, if the body exceeds the `limits=` of the route; 415, as for
                `load_body`.
        """
        limits = self.endpoint.limits
        return self._read_content(None if limits is None else limits.body)

    async def _read_content(self, limit: int | None) -> AsyncIterator[bytes]:
        if self._body:
            yield self._body
        elif self._body is None and self.content is not None:
            source: Body | Decoded = self.content
            if self.decoder is not None or self.message.encoded:
                source = self._decode(self.content)
            if limit is not None:
                source.restrict(limit)
            while piece := await source.read():
                yield piece

    # The contents of the query and the body

    @property
    def query(self) -> Query:
        """The parameters of the query string.

        Raises:
            HttpError: 400, if they cannot be decoded, or are more than `Limits.query`.
        """
        if self._query is None:
            parts = self._parts
            values = parse_urlencoded(
                self.query_string,
                parts.limits.query,
                too_many=HTTPStatus.BAD_REQUEST,
                unparsable="Unparsable query string",
            )
            self._query = parts.Query(values)
        return self._query

    @property
    def form(self) -> Form:
        """The fields of a loaded form, urlencoded or multipart.

        Raises:
            HttpError: 400, if it cannot be parsed; 413, if it exceeds a limit.
        """
        if not hasattr(self, "_form"):  # an `except` would be the context of its errors
            self._parse_form()
        return self._form

    @property
    def files(self) -> Files:
        """The files of a loaded multipart form.

        Raises:
            HttpError: 400, if it cannot be parsed; 413, if it exceeds a limit.
        """
        if not hasattr(self, "_files"):
            self._parse_form()
        return self._files

    @property
    def json(self) -> Any:
        """The loaded body, read as JSON (RFC 8259).

        Raises:
            HttpError: 400, if it cannot be parsed.
        """
        if not hasattr(self, "_json"):
            try:
                self._json = self._parts.json_decode(self.body)
            except (ValueError, RecursionError) as error:
                raise HttpError(
                    HTTPStatus.BAD_REQUEST, "Unparsable JSON body"
                ) from error
        return self._json

    async def load_form(self) -> None:
        """Load a form in a lazy route; a multipart one is parsed while it is received.

        Files may have `Limits.upload` bytes together. Each that is larger than
        `Limits.spool` is written to one temporary file, in a thread.

        Raises:
            HttpError: 400, if it cannot be parsed; 413, if it exceeds a limit.
        """
        if hasattr(self, "_form"):
            return
        if self._body is not None or not self._is_multipart:
            await self.load_body()
            return
        parser = self._parts.Multipart(self.app)
        form, files = parser.initialize(self.content_type)
        try:
            async for piece in self:
                await asyncio.to_thread(parser.feed_data, piece)
            parser.finish()
        except BaseException:  # when cancelled, a thread may still be running
            parser.close()
            raise
        self._form, self._files = form, files

    def _parse_form(self) -> None:
        """Set form and files from the loaded body."""
        parts = self._parts
        if self._is_multipart:
            parser = parts.Multipart(self.app)
            form, files = parser.initialize(self.content_type)
            parser.feed_data(self.body)
            parser.finish()
        else:
            form, files = parts.Form(self._parse_urlencoded()), parts.Files()
        self._form, self._files = form, files

    def _parse_urlencoded(self) -> dict[str, list[str]]:
        if not self.content_type.lower().startswith(
            "application/x-www-form-urlencoded"
        ):
            return {}
        try:
            text = self.body.decode()
        except UnicodeDecodeError as error:
            raise HttpError(
                HTTPStatus.BAD_REQUEST, "Unparsable urlencoded body"
            ) from error
        return parse_urlencoded(
            text,
            self._parts.limits.form,
            strict=True,
            too_many=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )

    @property
    def _is_multipart(self) -> bool:
        return self.content_type.lower().startswith("multipart/form-data")
