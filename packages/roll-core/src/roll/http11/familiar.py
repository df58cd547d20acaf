"""Familiar: header sections with nothing new, which need no parsing."""

from itertools import filterfalse
from string import ascii_letters, digits

from ..limits import Limits

FRAMING = frozenset((b"HOST", b"CONNECTION", b"CONTENT-LENGTH"))
"""The usual fields that determine where a message ends, and whether another one
follows."""

KEPT = 2048
"""The most bytes of lines to keep for a connection."""

_TEXT = bytes(range(ord(" "), ord("~") + 1)) + b"\t"
_TOKEN = b"!#$%&'*+-.^_`|~" + (ascii_letters + digits).encode()


class Familiar:
    """The header sections of a connection that differ only in plain fields.

    A client repeats most of its fields in each request. A header section is familiar if
    its lines about framing are the same, in the same order, and each other line is
    known, or has a known name and another value of plain text. Such a line does not
    affect framing, and is valid in any place (RFC 9112, section 5). The first lines of
    a client are nearly always the same: they are compared at once, and the others one
    by one.

    Args:
        header: An accepted header section, from the version on. Of the fields about
            framing, it has only those of `FRAMING`.
        limits: The limits of the app.
    """

    __slots__ = (
        "_begin",
        "_behind",
        "_framing",
        "_known",
        "_limits",
        "_lines",
        "_most",
        "_names",
        "_room",
    )

    def __init__(self, header: bytes, limits: Limits) -> None:
        self._limits = limits
        self._most = min(limits.field, limits.head, 2 * KEPT)
        self._framing = list(filter(_tells, header.split(b"\r\n")))
        self._begin = header[:-2]
        """The first lines, which are the same in all learnt sections."""
        self._behind: list[bytes] = []
        """The lines about framing after these."""
        self._lines = 0
        """The limit of lines after these, including two empty lines."""
        self._room = KEPT
        self._known = {b""}
        self._names: set[bytes] = set()
        self.learn(header)

    def learn(self, header: bytes) -> bool:
        """Learn the lines of another accepted header section.

        Returns:
            Whether its framing is the same; if not, nothing was learnt.
        """
        lines = header.split(b"\r\n")
        framing = list(filter(_tells, lines))
        if framing != self._framing:
            return False
        first = []
        begin = self._begin.split(b"\r\n")
        for line, before in zip(lines[:-2], begin, strict=False):
            if line != before:
                break
            first.append(line)
        self._begin = b"".join(line + b"\r\n" for line in first)
        self._behind = framing[sum(map(_tells, first)) :]
        self._lines = self._limits.fields - len(first) + 3
        for line in lines:
            name, colon, _ = line.partition(b":")
            if (
                name
                and colon
                and line not in self._known
                and line not in framing
                and self._room > len(line)
                and not name.translate(None, _TOKEN)
                and not line.translate(None, _TEXT)
            ):
                self._room -= len(line)
                self._known.add(line)
                self._names.add(name + colon)
        return True

    def has(self, header: bytes) -> bool:
        """Whether a header section, from the version on, is familiar."""
        if not header.startswith(self._begin) or len(header) > self._most:
            return False
        lines = header[len(self._begin) :].split(b"\r\n")
        names = self._names
        others = list(filterfalse(self._known.__contains__, lines))
        return (
            [line for line in others if line[: line.find(b":") + 1] not in names]
            == self._behind
            and len(lines) <= self._lines
            and not b"".join(others).translate(None, _TEXT)
        )


def _tells(line: bytes) -> bool:
    return line.partition(b":")[0].upper() in FRAMING
