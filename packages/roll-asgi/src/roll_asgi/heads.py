"""Heads: the scope of an ASGI server, as the head of a message."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote_to_bytes

from roll import Request
from roll.http11.body import Body, Source
from roll.http11.parser import Head

from .typing import Scope

_PATH_SAFE = "/~!$&'()*+,;=:@"
"""Characters of a path besides letters and digits (RFC 3986, section 3.3)."""

_BODILESS = frozenset({"GET", "HEAD"})
"""Methods without a body, unless HTTP/1 announces one."""

_DIGITS = len(str(2**64))
"""The most digits of a length."""

Fields = Sequence[tuple[bytes, bytes]]


class ScopeHead(Head):
    """The head of a scope: its bytes are built when they are read."""

    __slots__ = ("_raw", "fields")

    _raw: bytes
    fields: Fields
    """The headers of the scope."""

    @property
    def raw(self) -> bytes:
        """From the request line to the empty line, as a client could have sent it."""
        if not self._raw:
            lines = [b"%b: %b\r\n" % (name, value) for name, value in self.fields]
            start = f"{self.method} ".encode(), self.target
            version = f" HTTP/{self.version}\r\n".encode()
            self._raw = b"".join((*start, version, *lines, b"\r\n"))
        return self._raw

    @raw.setter
    def raw(self, raw: bytes) -> None:
        self._raw = raw


def read_head(
    scope: Scope, fields: Fields, method: str, upgrade: tuple[str, ...] = ()
) -> tuple[Head, Mapping[bytes, bytes]]:
    """Make the head of a message from a scope.

    Args:
        scope: Of type `http` or `websocket`.
        fields: Its headers, or others in their place.
        method: The method.
        upgrade: The protocols that the client offers to switch to.

    Returns:
        The head, and its fields by name, in lower case.
    """
    path, query = scope.get("raw_path"), scope.get("query_string")
    target = path or quote(scope["path"], safe=_PATH_SAFE).encode()
    if query:
        target = b"%b?%b" % (target, query)
    version = scope.get("http_version", "1.1")
    known = dict(fields)
    if not b"".join(known).islower():  # servers should have done this
        known = {name.lower(): value for name, value in fields}
    length: int | None = None
    declared = known.get(b"content-length", b"")
    if declared.isdigit() and len(declared) <= _DIGITS:
        length = int(declared)
    elif (
        method in _BODILESS
        and version.startswith("1")
        and b"transfer-encoding" not in known
    ):
        length = 0
    encoding = known.get(b"content-encoding", b"").strip().lower()
    head = ScopeHead(
        b"",
        method,
        target,
        version,
        length,
        expects=b"100-continue" in known.get(b"expect", b"").lower(),
        upgrade=upgrade,
        encoded=encoding not in (b"", b"identity"),
    )
    head.fields = fields
    return head, known


def fill(
    request: Request, scope: Scope, head: Head, known: Mapping[bytes, bytes]
) -> None:
    """Fill a request from its head, and from the rest of the scope."""
    request.message = head
    request["asgi"] = scope
    server = scope.get("server")
    if b"host" not in known and server is not None:
        host, port = server
        request.host = host if port is None else f"{host}:{port}"
    root = scope.get("root_path", "")
    if root:
        path = request.path
        if f"{path}/".startswith(f"{root}/") and _decodes(head.target, path):
            request.path = path[len(root) :] or "/"


def make_body(head: Head, source: Source, buffer: int) -> Body | None:
    """Make the body of a message; None without one.

    It is asked for on the first read: until then, the server may not have told its
    client to send it.
    """
    if head.length == 0:
        return None
    return Body(source, buffer, head.length, expected=True)


def _decodes(target: bytes, path: str) -> bool:
    """Whether a path is UTF-8: U+FFFD may replace other bytes, or be in the path."""
    if "\ufffd" not in path:
        return True
    try:
        unquote_to_bytes(target.partition(b"?")[0]).decode()
    except UnicodeDecodeError:
        return False
    return True
