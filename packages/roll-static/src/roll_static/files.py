"""Files of a folder on the disk: found, opened and read.

All that touches the disk runs in a thread, except closing.
"""

import asyncio
import errno
import math
import mimetypes
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast
from weakref import WeakSet

from roll import HttpError
from roll.logs import logger
from roll.response import Preset

from .conditions import IDENTITY

T = TypeVar("T")

SMALL = 256 * 1024
"""Bytes of the largest file that is read whole, at once, also when it is not kept."""

PIECES = 64 * 1024, 1024 * 1024
"""Bytes of the least and of the largest piece of other files.

Large pieces make a large file quicker, see benchmarks/NOTES.md.
"""

SENDING = 32 * 1024 * 1024
"""Bytes that a new piece gets its share of: the more files are sent, the smaller it is.

It may be smaller than those that are being sent already, but not than the least.
"""

QUICK = 0.02
"""Seconds: who takes a piece in less gets larger ones, others smaller ones."""

CODINGS = {"br": ".br", "gzip": ".gz", "zstd": ".zst"}
"""What precompressed files end with, by their content coding."""

# What is sure, whatever a system's own tables say, and what older Pythons do not know.
TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".zst": "application/zstd",
}

# A compressed file that is asked for by its own name is not decoded by the client.
COMPRESSED = {
    "bzip2": "application/x-bzip2",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}

TEXTUAL = {
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "image/svg+xml",
}
"""Types that get a charset, beside `text/*`."""

# The client asked for what cannot be had, and may not learn why.
_MISSING = {
    errno.EACCES,
    errno.EINVAL,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
}


def _flags(*names: str) -> int:
    """Join the flags of os.open() that the system has."""
    return sum(getattr(os, name, 0) for name in names)


# O_NOFOLLOW: no symlink that took the place of what was found. O_NONBLOCK: never wait
# for the other end of a FIFO that did.
_FILE = os.O_RDONLY | _flags("O_BINARY", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK")
_FOLDER = os.O_RDONLY | _flags("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_PATH")

# Segments that lead to where others do: to a folder itself, or to the one above it.
_NAMELESS = frozenset(["", ".", ".."])

# What no segment of a path may have: a separator of the system, above all.
_FORBIDDEN = "\0" if os.sep == "/" else "\0\\:"


class Variant(NamedTuple):
    """A file as it can be sent: what was asked for, or a compressed sibling."""

    path: str
    """Where it is, without symlinks."""
    name: str
    """What was asked for, which the type goes by."""
    coding: str
    size: int
    modified: int
    """Seconds since 1970, never in the future (RFC 9110, section 8.8.2.1)."""
    etag: str
    preset: Preset
    """The header of its response, except what depends on the request."""
    version: tuple[int, ...]
    """What changes with the file."""


class Opened(NamedTuple):
    """A file ready to be sent, as it is."""

    variant: Variant
    content: bytes | None
    """All of it; None when it is large."""
    file: FileIO | None
    """What to read it from; None when it is small."""

    def close(self) -> None:
        """Give the descriptor back."""
        if self.file is not None:
            self.file.close()


class Folder:
    """The files under a root, as a client may see them.

    Args:
        root: The folder, without symlinks.
        index: The name of the file that answers for a folder, or an empty string.
        hidden: Whether to show names that start with a dot.
        cache_control: Gives the value of `Cache-Control` for a name, or None.
    """

    def __init__(
        self,
        root: str,
        index: str,
        hidden: bool,
        cache_control: Callable[[str], str | None],
    ) -> None:
        self._root = root
        self._inside = os.path.join(root, "")
        self._index = index
        self._hidden = hidden
        self._cache_control = cache_control

    def split(self, path: str) -> list[str]:
        """Split a path into its names; one slash may stand behind the last of them.

        Dots are not resolved: two paths of one file would let a client past a listener
        that refuses one of them.

        Raises:
            HttpError: 400, when a segment is empty, `.` or `..`, which name nothing;
                404, when no name that may be seen is like that.
        """
        names = path.split("/")
        if not names[-1]:
            names.pop()
        if not _NAMELESS.isdisjoint(names):
            raise HttpError(HTTPStatus.BAD_REQUEST)
        if any(char in name for name in names for char in _FORBIDDEN):
            raise _not_found()
        if not self._hidden and any(map(_is_hidden, names)):
            raise _not_found()
        return names

    def find(self, path: str) -> dict[str, Variant] | None:
        """Look for a file and its precompressed siblings.

        Returns:
            The variants by their coding; None when the path is that of a folder, and
            lacks the slash at its end.

        Raises:
            HttpError: As `split` and `_locate` do.
        """
        names = self.split(path)
        target = os.path.join(self._root, *names)
        real, status = self._locate(target)
        if stat.S_ISDIR(status.st_mode):
            if not self._index:
                raise _not_found()
            if names and not path.endswith("/"):
                return None
            target = os.path.join(target, self._index)
            real, status = self._locate(target)
        elif path.endswith("/"):
            raise _not_found()
        if not stat.S_ISREG(status.st_mode):
            raise _not_found()
        name = os.path.basename(target)
        original = self._describe(real, name, IDENTITY, status)
        return {IDENTITY: original, **self._find_siblings(target, original)}

    def _find_siblings(self, target: str, original: Variant) -> dict[str, Variant]:
        """Look for compressed files, left aside when older than what they stand for."""
        siblings = {}
        for coding, suffix in CODINGS.items():
            try:
                real, status = self._locate(target + suffix)
            except HttpError:
                continue
            sibling = self._describe(real, original.name, coding, status)
            if stat.S_ISREG(status.st_mode) and sibling.modified >= original.modified:
                siblings[coding] = sibling
        return siblings

    def _locate(self, target: str) -> tuple[str, os.stat_result]:
        """Follow symlinks.

        Raises:
            HttpError: 404, when there is nothing, or it is not under the root.
        """
        try:
            with _missing_is_404():
                real = os.path.realpath(target, strict=True)
                status = os.stat(real, follow_symlinks=False)
        except UnicodeEncodeError as error:  # no name that the system could have
            raise _not_found() from error
        if not os.path.join(real, "").startswith(self._inside):
            raise _not_found()
        return real, status

    def _describe(
        self, path: str, name: str, coding: str, status: os.stat_result
    ) -> Variant:
        modified = max(0, min(status.st_mtime_ns // 10**9, int(time.time())))
        # Bytes of another coding are another representation, with a tag of its own
        # (RFC 9110, section 8.8.3.3).
        mark = "" if coding == IDENTITY else f"-{coding}"
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}{mark}"'
        fields = {
            "Content-Type": guess_type(name),
            "ETag": etag,
            "Last-Modified": formatdate(modified, usegmt=True),
            "Accept-Ranges": "bytes",
            "X-Content-Type-Options": "nosniff",
            "Content-Length": str(status.st_size),
        }
        if mark:
            fields["Content-Encoding"] = coding
        cache_control = self._cache_control(name)
        if cache_control is not None:
            fields["Cache-Control"] = cache_control
        version = status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
        return Variant(
            *(path, name, coding, status.st_size, modified, etag),
            *(Preset(fields), version),
        )

    def open(self, variant: Variant, room: int) -> Opened:
        """Open a file, and read it when it is small.

        What is opened may have changed since it was found: it is described anew then.

        Args:
            variant: What was found.
            room: Bytes up to which it is read whole, as others will want them, too.

        Raises:
            HttpError: 404, when it is gone; 503, when it shrinks while it is read.
            OSError: The process has no descriptor left: the core answers 503.
        """
        with _missing_is_404():
            file = FileIO(self._open(variant.path))
        try:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _not_found()
            found = self._describe(variant.path, variant.name, variant.coding, status)
            if found.version == variant.version:
                found = variant
            if found.size > max(SMALL, room):
                return Opened(found, None, file)
            content = file.read(found.size)
            if len(content) < found.size:
                raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE)
        except BaseException:
            file.close()
            raise
        file.close()
        return Opened(found, content, None)

    def _open(self, path: str) -> int:
        """Open what was found, following no symlink that was put there since."""
        if os.open not in os.supports_dir_fd:
            return os.open(path, _FILE)
        *names, last = path.removeprefix(self._inside).split(os.sep)
        folder = os.open(self._root, _FOLDER)
        try:
            for name in names:
                above, folder = folder, os.open(name, _FOLDER, dir_fd=folder)
                os.close(above)
            return os.open(last, _FILE, dir_fd=folder)
        finally:
            os.close(folder)


def find_file(
    path: str | os.PathLike[str], root: str | os.PathLike[str] | None
) -> tuple[Folder, Variant]:
    """Look for a file: under *root*, as a client may name it; else wherever it is.

    Raises:
        HttpError: As `Folder.find` does.
    """
    if root is not None:
        folder = Folder(os.path.realpath(root), "", False, _no_cache_control)
        name = _name_under(root, path)
    else:
        try:
            with _missing_is_404():
                parent, name = os.path.split(os.path.realpath(path, strict=True))
        except ValueError as error:  # not a name that the system could have
            raise _not_found() from error
        folder = Folder(parent, "", True, _no_cache_control)
    try:
        variants = cast(dict[str, Variant], folder.find(name))  # there is no index
    except HttpError:
        if root is not None and not os.path.isdir(root):
            logger.warning("send_file: root=%r is not a folder", os.fspath(root))
        raise
    return folder, variants[IDENTITY]


def _name_under(root: str | os.PathLike[str], path: str | os.PathLike[str]) -> str:
    """Make a path relative to *root*, when it is the `root / name` of a view.

    A string may come from a client, which can name a file in one way only.
    """
    if isinstance(path, Path) and path.is_absolute():
        with suppress(ValueError):  # it is elsewhere
            return path.relative_to(Path(root).absolute()).as_posix()
    return os.fspath(path)


def _no_cache_control(name: str) -> None:
    return None


def guess_type(name: str) -> str:
    """Tell the media type of a file by its name; text is taken for UTF-8."""
    kind = TYPES.get(os.path.splitext(name)[1].lower())
    if kind is None:
        # With a slash in front, as names may look like URLs with a scheme.
        kind, encoding = mimetypes.guess_type(f"/{name}")
        if encoding:
            kind = COMPRESSED.get(encoding)
    if kind is None:
        return "application/octet-stream"
    textual = kind.startswith("text/") or kind in TEXTUAL
    return f"{kind}; charset=utf-8" if textual else kind


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and name != ".well-known"  # public by RFC 8615


def _not_found() -> HttpError:
    return HttpError(HTTPStatus.NOT_FOUND)


@contextmanager
def _missing_is_404() -> Iterator[None]:
    """Answer 404, and do not say why, where the system says that a file is missing.

    Other errors are not the client's: the core answers them.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _MISSING:
            raise _not_found() from error
        raise


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run what may block, off the loop."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, function, *arguments)


async def open_in_thread(folder: Folder, variant: Variant, room: int) -> Opened:
    """Open a file off the loop; it is closed when nobody waits for it any more."""
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(None, folder.open, variant, room)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_opened)
        raise


def _close_opened(opening: "asyncio.Future[Opened]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class Pieces:
    """The body of a response: bytes of a file, read as they are sent.

    It is not a generator: one that was never started would not close its file.

    Args:
        file: What to read; it is closed in the end.
        start: The first byte.
        length: How many bytes.
        sending: All the bodies that share the memory for their pieces.
    """

    def __init__(
        self, file: FileIO, start: int, length: int, sending: "WeakSet[Pieces]"
    ) -> None:
        sending.add(self)
        self._sending = sending
        self._file = file
        self._start = start
        self._left = length
        self._size = SMALL
        self._given = math.inf  # when the last piece was
        self._reading: asyncio.Future[bytes] | None = None

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        loop = asyncio.get_running_loop()
        self._settle_size(loop.time() - self._given)
        self._reading = loop.run_in_executor(None, self._read)
        # Shielded: a read cannot be stopped, and the file stays open for it.
        piece = await asyncio.shield(self._reading)
        if not piece:  # the file became shorter; the connection will be cut
            raise StopAsyncIteration
        self._left -= len(piece)
        self._given = loop.time()
        return piece

    def _settle_size(self, taken: float) -> None:
        """Go by the seconds that the last piece took: slow clients cost little."""
        size = self._size
        if taken >= 0:  # else there was none
            size = size * 2 if taken < QUICK else size // 2
        least, most = PIECES
        most = min(most, SENDING // len(self._sending))
        self._size = max(least, min(size, most))

    def _read(self) -> bytes:
        if self._start:
            self._file.seek(self._start)
            self._start = 0
        return self._file.read(min(self._size, self._left))

    async def aclose(self) -> None:
        """Close the file, once it is not being read."""
        self._sending.discard(self)
        if self._reading is None or self._reading.done():
            self._file.close()
        else:
            self._reading.add_done_callback(lambda reading: self._file.close())

    def __del__(self) -> None:
        # A listener may have put another body in the place of this one.
        self._file.close()
