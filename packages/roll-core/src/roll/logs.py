"""Logs: whatever a client has sent, it cannot pass for a line, nor steer a terminal."""

import inspect
import logging
import re
import traceback
from contextlib import suppress

from .descriptors import are_exhausted

# A terminal may obey all but these, or take it for the end of a line.
_UNUSUAL = re.compile(r"[^\t\n -~]")

INDENT = "  "
"""What lines begin with that are not the first of a message."""


def quote(text: str) -> str:
    """Escape what cannot be printed, other than tabs, and indent all but one line."""
    return _UNUSUAL.sub(_escape, text).replace("\n", f"\n{INDENT}")


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def format_traceback(error: BaseException) -> str:
    """Write a traceback, quoted; each of its lines is indented.

    Without that, what an exception says could be a line of its own: it may be a
    client's, as may its notes, and what others of its group or context say.
    """
    return INDENT + quote("".join(traceback.format_exception(error)).rstrip("\n"))


def named(function: object) -> str:
    """Name a function, and the place where it is written if that is known."""
    function = inspect.unwrap(function)  # type: ignore[arg-type]  # it takes anything
    name = getattr(function, "__qualname__", None) or repr(function)
    code = getattr(function, "__code__", None)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code else name


def describe(error: BaseException) -> str:
    """Write an exception as `repr` does, but without the data that did not decode.

    That may be a whole body, or a token.
    """
    if isinstance(error, UnicodeError):
        return f"{type(error).__name__}({str(error)!r})"
    return repr(error)


def _as_text(value: object) -> object:
    """Decode a target as far as it is UTF-8, on one line; `QUOTING` does the rest."""
    if not isinstance(value, bytes):
        return value
    return value.decode("utf-8", "backslashreplace").replace("\n", r"\n")


class Quoting(logging.Filter):
    """Quotes the message and the traceback of each record; no record is dropped.

    Formatters use the text of a traceback that is there. The exception is still in the
    record, for whoever collects errors.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Quote a record, before any handler formats it."""
        with suppress(Exception):  # handlers fail likewise, and report it
            message = record.getMessage()
            quoted = quote(message)
            if quoted != message:
                record.msg, record.args = quoted, ()
            if record.exc_info and record.exc_info[1] is not None:
                record.exc_text = format_traceback(record.exc_info[1])
        return True


QUOTING = Quoting()
"""The one that is in use."""

logger = logging.getLogger("roll")
"""What Roll and its extensions log to."""

# asyncio's reports exceptions that nobody waits for: a view's tasks may raise them.
for _logger in (logger, logging.getLogger("asyncio")):
    _logger.addFilter(QUOTING)

shortage_logged = False
"""Whether it was logged that the process had no descriptor left."""


def report(error: BaseException, what: str, *arguments: object) -> None:
    """Log an error that ended a request, a stream or a WebSocket, with its traceback.

    Of those that could not open a file because no descriptor was left, only the first
    one of the process is logged: the others would be as many as the requests.

    Args:
        error: What was raised.
        what: What it ended, with `%s` for each of the arguments.
        arguments: What stands for them; a target, which is bytes, becomes text.
    """
    global shortage_logged
    if not are_exhausted(error):
        texts = [*map(_as_text, arguments), describe(error)]
        logger.error(f"{what}: %s", *texts, exc_info=error)
    elif not shortage_logged:
        shortage_logged = True
        # Without the name of the file, which may be a client's.
        logger.error(
            "%s: a request is answered with 503 or cut short, and so is any other that "
            "cannot open a file, now or later",
            error.strerror,
        )
