"""Multipart: `multipart/form-data` bodies (RFC 7578) into a Form and Files.

The library multipart reads the framing, with its `PushMultipartParser` in strict mode.
Roll does the rest: what may surround the parts (`framing`), the lines of a part's
header, the parameters of `Content-Disposition` and `Content-Type`, the limits, and
where content goes.
"""

import re
import threading
from http import HTTPStatus
from typing import Any

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    ParserError,
    PushMultipartParser,
    content_disposition_unquote,
)

from ..datastructures import Files, Form
from ..errors import HttpError
from ..limits import Limits
from .files import Content, Disk, File
from .framing import Framing

# The charsets of fields besides UTF-8, by the names that browsers know. It is a table
# because Python's other codecs have no bounds or are not for text, and Python caches
# each name that it looks up. US-ASCII is UTF-8, too.
CHARSETS = frozenset(
    {f"iso-8859-{number}" for number in range(1, 17) if number != 12}
    | {f"windows-{number}" for number in range(1250, 1259)}
    | {"big5", "euc-jp", "euc-kr", "gb18030", "gb2312", "gbk", "ibm866", "iso-2022-jp"}
    | {"koi8-r", "koi8-u", "latin1", "shift_jis"}
)
# Names to repeat to the client: they are never markup.
_PLAIN_NAME = re.compile(r"[\w.\[\]-]{1,100}")

# RFC 9110, section 5.6.6. Browsers do not escape backslashes, so `"a\"` is complete if
# this is not read as an escape (WHATWG HTML, multipart/form-data encoding). A value
# without quotes ends at a semicolon: `filename=my file.txt` is not cut at its space.
# Repetitions are possessive: blanks may be in three places, and a field of only blanks
# would be divided in all ways.
_PARAMETER = re.compile(
    r"""
    ; [ \t]*+ (?P<name> [!#$%&'*+.^_`|~0-9A-Za-z-]++ ) [ \t]*+
    = [ \t]*+ (?:
        (?P<quoted> "[^"\\]*+(?:\\.[^"\\]*+)*+" | "[^"]*+" ) [ \t]*+
        | (?P<plain> [^";]*+ )
    ) (?= ; | \Z )
    """,
    re.VERBOSE,
)
# The most parameters of one field. A file has two; thousands would take a while.
_PARAMETERS = 8
# A name is a token (RFC 9110, section 5.6.2); the library accepts only some.
_HEADER_LINE = re.compile(
    rb"(?:([A-Za-z0-9_-]++)|[!#$%&'*+.^_`|~0-9A-Za-z-]++):[^\x00-\x08\x0a-\x1f\x7f]*+"
)


class _Parser(PushMultipartParser):  # type: ignore[misc] # it has no annotations
    """The library's parser, without tolerance for white space around names.

    The library accepts a bare LF there, depending on where the body is cut.
    """

    def _on_segment_headerline(self, line: bytes) -> None:
        found = _HEADER_LINE.fullmatch(line)
        # The parser holds back the CR with the line, so there is one byte more.
        if len(line) >= self.max_header_size or not found:
            raise ParserError("Malformed segment header")
        if found[1]:
            super()._on_segment_headerline(line)
        elif len(self._segment_headerlist) >= self.max_header_count:
            raise ParserError("Too many segment headers")
        else:
            name, _, value = line.decode("latin-1").partition(":")
            self._segment_headerlist.append((name.title(), value.lstrip(" \t")))


class Multipart:
    """Parse a `multipart/form-data` body, piece by piece.

    Call `initialize`, then `feed_data` for each piece, then `finish`; or `close` if the
    body ends early. No call waits, except for the disk of files.

    Args:
        app: Whose `Form`, `Files` and `limits` to use; None for Roll's own.
        body: The most bytes of all fields' values; by default `Limits.body`.
        upload: The most bytes of all files; by default `Limits.upload`.
    """

    def __init__(
        self, app: Any = None, *, body: int | None = None, upload: int | None = None
    ) -> None:
        self.app = app
        self.limits: Limits = Limits() if app is None else app.limits
        self._field_bytes_left = self.limits.body if body is None else body
        self._file_bytes_left = self.limits.upload if upload is None else upload
        self._parts_left = self.limits.parts
        self._fields_left = self.limits.form
        self.form: Form = Form() if app is None else app.Form()
        self.files: Files = Files() if app is None else app.Files()
        self._parser: Any = None
        self._framing: Any = None
        self._closed = False
        self._feeding = threading.Lock()
        self._name = ""
        self._charset: str | None = None
        self._default_charset: str | None = None
        self._text = bytearray()
        self._disk = Disk(self.limits.body)
        self._file: File | None = None

    def initialize(self, content_type: str) -> tuple[Form, Files]:
        """Start parsing.

        Args:
            content_type: The `Content-Type` field of the request.

        Returns:
            The form and the files, which fill as the body arrives.

        Raises:
            HttpError: 400, when it is not `multipart/form-data` with a boundary that
                fits the limits (RFC 2046, section 5.1.1).
        """
        parameters = _parse_parameters(content_type, "multipart/form-data", "boundary")
        boundary = parameters["boundary"].strip('"')
        if (
            not 0 < len(boundary) <= self.limits.boundary
            or not (boundary.isascii() and boundary.isprintable())
            or boundary.endswith(" ")
        ):
            raise _unparsable()
        self._framing = Framing(boundary)
        self._closed = False
        self._parser = self.make_parser(boundary)
        return self.form, self.files

    def make_parser(self, boundary: str) -> Any:
        """Make the parser of the framing; a subclass may put another one before it.

        Returns:
            An object with two methods. `parse(data)` gives, for each part, an object
            whose `headerlist` has the names and values of its header, then its content
            as bytes, then None. The first *data* begins with CRLF, two hyphens and the
            boundary; nothing follows the two hyphens after the last boundary.
            `close(check_complete=True)` raises `multipart.MultipartError` when the body
            is not complete.
        """
        return _Parser(
            boundary,
            max_header_size=self.limits.part_field + 1,
            max_header_count=self.limits.part_fields,
            header_charset="latin-1",
            strict=True,
        )

    def feed_data(self, data: bytes) -> None:
        """Parse the next piece of the body. An error closes the files.

        Raises:
            HttpError: 400, when the body is malformed; 413, when it passes a limit.
        """
        try:
            with self._feeding:
                self._feed(data)
        except MultipartError as error:
            self._closed = True
            raise _unparsable() from error
        except BaseException:
            self._closed = True
            raise
        finally:
            if self._closed:  # maybe by another thread, meanwhile
                self.close()

    def finish(self) -> None:
        """End the body. Files are then at their start. An error closes them.

        Raises:
            HttpError: 400, when the body is truncated.
        """
        try:
            if not self._framing.complete:
                raise ParserError("Truncated")
            self._parser.close()
        except MultipartError as error:
            self.close()
            raise _unparsable() from error

    def close(self) -> None:
        """Give up: close all files, and take nothing more.

        If another thread is in `feed_data`, that thread closes them at its end.
        """
        self._closed = True
        if self._feeding.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._feeding.release()

    def _close(self) -> None:
        if self._parser is not None:
            self._parser.close(check_complete=False)
        if self._file is not None:
            self._file.close()
        self.files.close()

    def _feed(self, data: bytes) -> None:
        if self._closed:
            raise _unparsable()
        plain = self._framing.clean(data)
        for event in self._parser.parse(plain) if plain else ():
            if event is None:
                self._end_part()
            elif isinstance(event, bytes):
                self._add(event)
            else:
                self._begin_part(event.headerlist)
        # Only now, so that the first of two faults is reported, whatever the pieces.
        if self._framing.broken:
            raise _unparsable()

    def _begin_part(self, headers: list[tuple[str, str]]) -> None:
        self._parts_left -= 1
        if self._parts_left < 0:
            raise _too_large("Too many parts")
        fields = dict(headers)
        if len(fields) != len(headers):  # a field is repeated
            raise _unparsable()
        disposition = fields["Content-Disposition"]
        parameters = _parse_parameters(disposition, "form-data", "name")
        self._name = _read_text(_unquote(parameters["name"]))
        if "filename" in parameters:
            name = _read_filename(parameters["filename"])
            kind = fields.get("Content-Type", "text/plain").strip(" \t")
            self._file = File(name, kind, Content(self._disk, self.limits.spool))
            return
        self._fields_left -= 1
        if self._fields_left < 0:
            raise _too_large("Too many fields")
        self._text = bytearray()
        self._charset = _read_charset(fields.get("Content-Type", ""))

    def _add(self, data: bytes) -> None:
        if self._file is not None:
            self._file_bytes_left -= len(data)
            if self._file_bytes_left < 0:
                raise _too_large("Files too large")
            self._file.content.add(data)
        else:
            self._field_bytes_left -= len(data)
            if self._field_bytes_left < 0:
                raise _too_large("Fields too large")
            self._text += data

    def _end_part(self) -> None:
        if self._file is not None:
            self.files.setdefault(self._name, []).append(self._file)
            self._file = None
        else:
            text = self._decode(self._name, self._text)
            self.form.setdefault(self._name, []).append(text)
            if self._name == "_charset_":  # for later fields (RFC 7578, section 4.6)
                self._default_charset = _known_charset(text)

    def _decode(self, name: str, data: bytearray) -> str:
        charset = self._charset or self._default_charset or "utf-8"
        try:
            return data.decode(charset)
        except UnicodeDecodeError as error:
            field = f"'{name}'" if _PLAIN_NAME.fullmatch(name) else "A field"
            message = f"{field} is not text in {charset.upper()}"
            raise HttpError(HTTPStatus.BAD_REQUEST, message) from error


def _unparsable() -> HttpError:
    return HttpError(HTTPStatus.BAD_REQUEST, "Unparsable multipart body")


def _too_large(message: str) -> HttpError:
    return HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def _parse_parameters(field: str, kind: str, required: str) -> dict[str, str]:
    """Split `kind; name=value; name="value"`; the values keep their quotes.

    Raises:
        HttpError: 400, when the field has another kind or form, lacks the *required*
            parameter, repeats one, or has more than 8.
    """
    position = len(field.partition(";")[0])
    found = field[:position].strip(" \t").lower()
    parameters: dict[str, str] = {}
    while match := _PARAMETER.match(field, position):
        name = match["name"].lower()
        if name in parameters or len(parameters) == _PARAMETERS:
            raise _unparsable()
        parameters[name] = match["quoted"] or match["plain"].rstrip(" \t")
        position = match.end()
    rest = field[position:].strip("; \t")
    if rest or found != kind or required not in parameters:
        raise _unparsable()
    return parameters


def _read_charset(field: str) -> str | None:
    """Read the charset that a part declares; None if it is missing or unknown."""
    position = len(field.partition(";")[0])
    for _ in range(_PARAMETERS):
        parameter = _PARAMETER.match(field, position)
        if not parameter:
            break
        if parameter["name"].lower() == "charset":
            return _known_charset(
                (parameter["quoted"] or parameter["plain"]).strip('"')
            )
        position = parameter.end()
    return None


def _known_charset(name: str) -> str | None:
    name = name.strip(" \t").lower()
    if name in ("utf-8", "utf8", "us-ascii"):
        return "utf-8"
    return name if name in CHARSETS else None


def _read_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _unparsable() from error


def _unquote(value: str) -> bytes:
    """Remove the quotes of a parameter's value, and decode `%22`, `%0D` and `%0A`."""
    text: str = content_disposition_unquote(value)
    return text.encode("latin-1")


def _read_filename(value: str) -> str:
    """Decode a file's name, and drop the directories (RFC 7578, section 4.2).

    Forms of older pages send charsets other than UTF-8: latin-1 reads any byte.
    """
    name = _unquote(value)
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = name.decode("latin-1")
    text = text.replace("\\", "/").rpartition("/")[2]
    return "" if text in (".", "..") else text
