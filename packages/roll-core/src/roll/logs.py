"""Logs: nothing that a client sends can forge a line or control a terminal."""

import inspect
import logging
import re
import traceback
from contextlib import suppress

from .descriptors import are_exhausted

# A terminal may interpret any other character, or see the end of a line in it.
_UNUSUAL = re.compile(r"[^\t\n -~]")

INDENT = "  "
"""The beginning of each line of a message but the first."""


def quote(text: str) -> str:
    """Escape unprintable characters except tabs, and indent all lines but the first."""
    return _UNUSUAL.sub(_escape, text).replace("\n", f"\n{INDENT}")


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def format_traceback(error: BaseException) -> str:
    """Write a traceback, quoted; each of its lines is indented.

    Otherwise the message of an exception could forge a line: it may come from a client,
    and so may its notes, and other messages of its group or context.
    """
    return INDENT + quote("".join(traceback.format_exception(error)).rstrip("\n"))


def named(function: object) -> str:
    """Name a function, and the place of its definition if known."""
    function = inspect.unwrap(function)  # type: ignore[arg-type]  # it accepts anything
    name = getattr(function, "__qualname__", None) or repr(function)
    code = getattr(function, "__code__", None)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name


def describe(error: BaseException) -> str:
    """Write an exception as `repr` does, but without data that could not be decoded.

    Such data may be a whole body, or a token.
    """
    if isinstance(error, UnicodeError):
        return f"{type(error).__name__}({str(error)!r})"
    return repr(error)


def _as_text(value: object) -> object:
    """Decode a target, where it is UTF-8, to one line; `QUOTING` escapes the rest."""
    if not isinstance(value, bytes):
        return value
    return value.decode("utf-8", "backslashreplace").replace("\n", r"\n")


class Quoting(logging.Filter):
    """Quotes the message and the traceback of each record, and drops none.

    Formatters use an existing text of a traceback. The exception stays in the record,
    for collectors of errors.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Quote a record, before any handler formats it."""
        with suppress(Exception):  # handlers fail in the same way, and report it
            message = record.getMessage()
            quoted = quote(message)
            if quoted != message:
                record.msg, record.args = quoted, ()
            if record.exc_info and record.exc_info[1] is not None:
                record.exc_text = format_traceback(record.exc_info[1])
        return True


QUOTING = Quoting()
"""The filter in use."""

logger = logging.getLogger("roll")
"""The logger of Roll and its extensions."""

# That of asyncio reports exceptions that nobody awaits, such as those of a view's
# tasks.
for _logger in (logger, logging.getLogger("asyncio")):
    _logger.addFilter(QUOTING)

shortage_logged = False
"""Whether a lack of file descriptors was logged in this process."""


def report(error: BaseException, what: str, *arguments: object) -> None:
    """Log an error that ended a request, a stream or a WebSocket, with its traceback.

    Only the first error in the process about a lack of file descriptors is logged:
    there would be one for each request.

    Args:
        error: The exception.
        what: A description of what it ended, with `%s` for each argument.
        arguments: The arguments; a target, which is bytes, becomes text.
    """
    global shortage_logged
    if not are_exhausted(error):
        texts = [*map(_as_text, arguments), describe(error)]
        logger.error(f"{what}: %s", *texts, exc_info=error)
    elif not shortage_logged:
        shortage_logged = True
        # Without the name of the file, which may come from a client.
        logger.error(
            "%s: a request got a 503 or was cut short, and so will any other that "
            "cannot open a file",
            error.strerror,
        )
