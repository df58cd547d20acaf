"""Message: a request to send, with a body encoded for its content type."""

import mimetypes
import re
import secrets
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Mapping,
)
from email.message import Message as MimeHeader
from json import dumps
from os import PathLike
from os.path import basename
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .cookies import CookieJar

Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]

# All visible characters are sent as given, so that a test may send odd targets.
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))

_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]++")  # RFC 9110, section 9.1

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

BLOCK = 64 * 1024
"""Bytes, or characters, of an open file to read and send at once."""

_ABOUT_BODIES = ("digest", "expect", "last-modified", "trailer", "transfer-encoding")

_EXPECTING_A_BODY = ("PATCH", "POST", "PUT")


class Message:
    """One request to send.

    Args:
        method: The method, in upper case.
        target: The target; characters beyond ASCII are percent-encoded.
    """

    def __init__(self, method: str, target: str) -> None:
        self.method = method
        self.target = encode_target(target)
        self.body = b""
        """The body, unless it is streamed."""
        self.cookies = ""
        """The field `Cookie`, unless `add_fields` sets another."""
        self.follow_redirects = False
        """Whether to follow redirects."""
        self._pieces: AsyncIterable[str | bytes] | None = None
        self._fields: dict[str, tuple[str, Any]] = {}  # by the name in lower case

    def __str__(self) -> str:
        return f"{self.method} {self.target}"

    @property
    def host(self) -> str:
        """The field `Host`, or an empty string."""
        return self._fields.get("host", ("", None))[1] or ""

    @property
    def path(self) -> str:
        """The path in the target, without the query; `/` if it has none."""
        path = urlsplit(self.target).path
        return path if path.startswith("/") else "/"

    @property
    def is_streamed(self) -> bool:
        """Whether the body can be sent only once."""
        return self._pieces is not None

    @property
    def own_cookies(self) -> CookieJar | None:
        """The cookies of a field `Cookie` that `add_fields` has set."""
        field = self._fields.get("cookie", ("", None))[1]
        if not isinstance(field, str):
            return None
        jar = CookieJar()
        for pair in field.split(";"):
            name, _, value = pair.partition("=")
            jar[name.strip()] = value.strip()
        return jar

    def redirected(self, method: str, target: str, keeps: bool) -> "Message":
        """Make the request that follows a redirect; it has no cookies yet.

        Args:
            method: Its method.
            target: Its target.
            keeps: Whether it has the same body.
        """
        following = Message(method, target)
        following.follow_redirects = self.follow_redirects
        following._fields = {
            name: field
            for name, field in self._fields.items()
            if keeps or not _describes_body(name)
        }
        if self.own_cookies is not None:
            del following._fields["cookie"]
        following.body = self.body if keeps else b""
        return following

    def add_fields(self, fields: Mapping[str, Any]) -> None:
        """Set header fields, replacing those of the same name; None removes one."""
        for name, value in fields.items():
            self._fields[name.lower()] = (name, value)

    def set_content(
        self,
        data: Any = None,
        body: Any = None,
        json: Any = None,
        form: Pairs | None = None,
        files: Pairs | None = None,
        content_type: str | None = None,
        default: str | None = None,
    ) -> None:
        """Set the body, and those fields about it that are not set yet.

        Args:
            data: As for `Client.request`, like the arguments up to *content_type*.
            body: Another name of *data*.
            json: Anything to write as JSON.
            form: Fields to write as a form.
            files: Names and files.
            content_type: Overrides the header.
            default: The content type of a body without any other.

        Raises:
            TypeError: There is no way to write such a body, or several are given.
        """
        if content_type is None:
            content_type = self._fields.get("content-type", ("", None))[1]
        content = _only({"data": data, "body": body, "json": json, "form": form})
        if json is not None and files is not None:
            raise TypeError(
                "files= and json= would each make the body: give form= "
                "together with files="
            )
        if json is not None:
            content_type = content_type or (default if _is_json(default) else JSON)
            content = dumps(json).encode()
        elif content is None and files is None:
            pass
        elif not _is_ready(content):
            default = FORM if form is not None and not _is_form(default) else default
            content_type = content_type or default or JSON
            content, content_type = encode_data(content, files, content_type)
        elif files is not None:
            raise TypeError(
                "with files=, the body is multipart: give the fields in a dict, not in "
                f"a {type(content).__name__}"
            )
        else:
            content_type = content_type or default
        if content_type is not None:
            self.add_fields({"Content-Type": content_type})
        self._set_body(content)

    def _set_body(self, content: Any) -> None:
        if content is None:
            if self.method in _EXPECTING_A_BODY:
                self._frame("Content-Length", 0)
        elif isinstance(content, (str, bytes, bytearray, memoryview)):
            self.body = as_bytes(content)
            self._frame("Content-Length", len(self.body))
        else:
            self._pieces = _read_pieces(content)
            self._frame("Transfer-Encoding", "chunked")

    def _frame(self, name: str, value: object) -> None:
        """Set how the body is framed, unless the caller did (RFC 9112, section 6)."""
        if not self._fields.keys() & {"content-length", "transfer-encoding"}:
            self.add_fields({name: value})

    def head(self) -> bytes:
        """Write the request line and the header.

        Raises:
            ValueError: The method, or the name or value of a field, would break HTTP.
                To send such a head, write its bytes yourself, and send them with
                `exchange`.
            TypeError: A name is not a string, or a value is bytes.
        """
        from roll.http11.writer import line  # not in every test run

        if not _METHOD.fullmatch(self.method):
            raise ValueError(f"the method {self.method!r} is not a token")
        head = f"{self.method} {self.target} HTTP/1.1\r\n"
        fields = {"cookie": ("Cookie", self.cookies or None), **self._fields}
        for name, value in flatten(fields.values()):
            if value is not None:
                head += line(name, value)
        return f"{head}\r\n".encode("latin-1")

    async def stream(self) -> AsyncIterator[bytes]:
        """Give the pieces after head and body, if the body is streamed."""
        if self._pieces is None:
            return
        chunked = "transfer-encoding" in self._fields
        async for piece in self._pieces:
            data = as_bytes(piece)
            if chunked and data:  # an empty chunk would be the last one
                data = b"%x\r\n%b\r\n" % (len(data), data)
            yield data
        if chunked:
            yield b"0\r\n\r\n"


def _describes_body(name: str) -> bool:
    """Whether a redirect to GET drops a field (RFC 9110, section 15.4)."""
    return name.startswith("content-") or name in _ABOUT_BODIES


def encode_target(target: str) -> str:
    """Percent-encode, as UTF-8, characters that a target must not have (RFC 3986)."""
    return quote(target, safe=VISIBLE)


def as_bytes(data: Any) -> bytes:
    """Encode a string as UTF-8; bytes stay as they are.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"{type(data).__name__} is neither bytes nor a string")


def add_params(path: str, params: Pairs | None) -> str:
    """Add parameters to the query of a path; a value that is a list is repeated."""
    query = urlencode([*flatten(params or (), (list, tuple))], quote_via=quote)
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{query}"


def flatten(
    pairs: Pairs, several: tuple[type[Any], ...] = (list,)
) -> Iterator[tuple[str, Any]]:
    """List names and values; a value of a type in *several* counts as several."""
    for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
        for one in value if isinstance(value, several) else [value]:
            yield name, one


def _only(contents: Mapping[str, Any]) -> Any:
    """Find the one content among the arguments."""
    given = [name for name, content in contents.items() if content is not None]
    if len(given) > 1:
        names = " and ".join(f"{name}=" for name in given)
        raise TypeError(f"{names} would each make the body: give only one")
    return contents[given[0]] if given else None


def _is_ready(content: Any) -> bool:
    """Whether a body is sent as it is, not encoded for its content type."""
    ready = (str, bytes, bytearray, memoryview, AsyncIterable, Iterator)
    return isinstance(content, ready) or hasattr(content, "read")


async def _read_pieces(content: Any) -> AsyncIterator[str | bytes]:
    """Give the pieces of an async iterable, of an iterator, or of an open file."""
    if isinstance(content, AsyncIterable):
        async for piece in content:
            yield piece
        return
    pieces: Iterable[Any] = content
    if hasattr(content, "read"):
        pieces = _read_blocks(content)
    for piece in pieces:
        yield piece


def _read_blocks(file: Any) -> Iterator[str | bytes]:
    while block := file.read(BLOCK):
        yield block


def _kind(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _is_json(content_type: str | None) -> bool:
    kind = _kind(content_type)
    return kind == JSON or kind.endswith("+json")


def _is_form(content_type: str | None) -> bool:
    return _kind(content_type) in (FORM, MULTIPART)


def encode_data(data: Any, files: Pairs | None, content_type: str) -> tuple[bytes, str]:
    """Encode a body for its content type; files make it multipart.

    Args:
        data: A dict or pairs; a value that is a list is repeated, and an open file is a
            file. For JSON, anything.
        files: Names and files; see `Client.request`.
        content_type: The value of the header.

    Returns:
        The body, and the content type with its parameters.

    Raises:
        TypeError: The data cannot be encoded for this type.
    """
    kind = _kind(content_type)
    if kind == MULTIPART or files is not None:
        kind = content_type if kind == MULTIPART else MULTIPART
        return _encode_multipart(data or {}, files or {}, kind)
    if _is_json(kind):
        return dumps(data).encode(), content_type
    if kind == FORM:
        return urlencode(data, doseq=True).encode(), content_type
    raise TypeError(
        f"{type(data).__name__} cannot be written as {content_type!r}: give bytes or "
        "a string"
    )


def _encode_multipart(data: Pairs, files: Pairs, kind: str) -> tuple[bytes, str]:
    """Write multipart/form-data (RFC 7578)."""
    header = MimeHeader()
    header["Content-Type"] = kind
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str):
        boundary = secrets.token_hex(16)
        kind = f"{kind}; boundary={boundary}"
    parts = [
        (_file_part if hasattr(value, "read") else _field_part)(name, value)
        for name, value in flatten(data, (list, tuple))
    ]
    parts += [_file_part(name, file) for name, file in flatten(files)]
    delimiter = f"--{boundary}".encode()
    lines = [b"%b\r\n%b" % (delimiter, part) for part in parts]
    return b"\r\n".join([*lines, delimiter + b"--", b""]), kind


def _field_part(name: str, value: Any) -> bytes:
    head = f'Content-Disposition: form-data; name="{_escape(name)}"\r\n\r\n'
    return head.encode() + (value if isinstance(value, bytes) else str(value).encode())


def _file_part(name: str, file: Any) -> bytes:
    content, *rest = file if isinstance(file, tuple) else (file,)
    if isinstance(content, PathLike):
        raise TypeError(
            f"files: {name!r} is a path: give its content, or what open() returns"
        )
    filename, kind, *_ = (*rest, None, None)
    if hasattr(content, "read"):
        filename = filename or basename(str(getattr(content, "name", "")))
        content = content.read()
    filename = filename or name
    kind = kind or mimetypes.guess_type(filename)[0] or "application/octet-stream"
    head = (
        f'Content-Disposition: form-data; name="{_escape(name)}"; '
        f'filename="{_escape(filename)}"\r\nContent-Type: {kind}\r\n\r\n'
    )
    return head.encode() + as_bytes(content)


def _escape(name: str) -> str:
    """Escape a name as browsers do (HTML, multipart form data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
