"""Files of a folder on the disk: found, opened and read.

Everything that uses the disk runs in a thread, except closing.
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
"""Bytes of the largest file that is read at once, even if it is not kept."""

PIECES = 64 * 1024, 1024 * 1024
"""Bytes of the smallest and of the largest piece of other files. Large pieces make a
large file faster, see benchmarks/NOTES.md.
"""

SENDING = 32 * 1024 * 1024
"""Bytes that the pieces of all files share: the more files are sent, the smaller a new
piece is, but never smaller than the smallest.
"""

QUICK = 0.02
"""Seconds: clients that take a piece faster get larger ones, others smaller ones."""

CODINGS = {"br": ".br", "gzip": ".gz", "zstd": ".zst"}
"""The suffixes of precompressed files, by content coding."""

# Types that must not depend on a system's own tables, or that older Pythons do not
# know.
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

# A client does not decode a compressed file that it asks for by its own name.
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
"""Types that get a charset, besides `text/*`."""

# Errors that give a 404: the client must not learn the reason.
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
    """Combine the flags of os.open() that the system has."""
    return sum(getattr(os, name, 0) for name in names)


# The file that was found may have been replaced. O_NOFOLLOW: follow no symlink.
# O_NONBLOCK: never wait for the other end of a FIFO.
_FILE = os.O_RDONLY | _flags("O_BINARY", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK")
_FOLDER = os.O_RDONLY | _flags("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_PATH")

# Segments that lead to a folder itself, or to its parent, which have other paths.
_NAMELESS = frozenset(["", ".", ".."])

# Characters that no segment of a path may have, above all a separator of the system.
_FORBIDDEN = "\0" if os.sep == "/" else "\0\\:"


class Variant(NamedTuple):
    """A file to send: the one that was asked for, or a compressed sibling."""

    path: str
    """Its path, without symlinks."""
    name: str
    """The name that was asked for, which decides the type."""
    coding: str
    size: int
    modified: int
    """Seconds since 1970, never in the future (RFC 9110, section 8.8.2.1)."""
    etag: str
    preset: Preset
    """The header of its response, except fields that depend on the request."""
    version: tuple[int, ...]
    """Changes with the file."""


class Opened(NamedTuple):
    """A file ready to be sent."""

    variant: Variant
    content: bytes | None
    """The whole content; None if it is large."""
    file: FileIO | None
    """The open file; None if it is small."""

    def close(self) -> None:
        """Close the descriptor."""
        if self.file is not None:
            self.file.close()


class Folder:
    """The files under a root, as a client may see them.

    Args:
        root: The folder, without symlinks.
        index: The name of the file to send for a folder, or an empty string.
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
        """Split a path into its names; one slash may follow the last of them.

        Dots are not resolved: with two paths for one file, a client could bypass a
        listener that refuses one of them.

        Raises:
            HttpError: 400, when a segment is empty, `.` or `..`; 404, when no visible
                file can have such a name.
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
            The variants by their coding; None if the path is that of a folder, without
            a slash at its end.

        Raises:
            HttpError: As for `split` and `_locate`.
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
        """Look for compressed siblings, except those older than the original."""
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
            HttpError: 404, when there is no file, or it is not under the root.
        """
        try:
            with _missing_is_404():
                real = os.path.realpath(target, strict=True)
                status = os.stat(real, follow_symlinks=False)
        except UnicodeEncodeError as error:  # not a possible name in this system
            raise _not_found() from error
        if not os.path.join(real, "").startswith(self._inside):
            raise _not_found()
        return real, status

    def _describe(
        self, path: str, name: str, coding: str, status: os.stat_result
    ) -> Variant:
        modified = max(0, min(status.st_mtime_ns // 10**9, int(time.time())))
        # Another coding is another representation, with its own tag (RFC 9110, section
        # 8.8.3.3).
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
        """Open a file, and read it if it is small.

        If the file has changed since it was found, it is described again.

        Args:
            variant: The file that was found.
            room: A file of up to so many bytes is read whole, to be remembered.

        Raises:
            HttpError: 404, when it is gone; 503, when it shrinks while it is read.
            OSError: The process has no descriptor left: the core responds with 503.
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
        """Open the file that was found, without following new symlinks."""
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
    """Look for a file: under *root*, as a client may name it, or anywhere.

    Raises:
        HttpError: As for `Folder.find`.
    """
    if root is not None:
        folder = Folder(os.path.realpath(root), "", False, _no_cache_control)
        name = _name_under(root, path)
    else:
        try:
            with _missing_is_404():
                parent, name = os.path.split(os.path.realpath(path, strict=True))
        except ValueError as error:  # not a possible name in this system
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
    """Make a path relative to *root*, if it is the `root / name` of a view.

    A string may come from a client, for which a file has only one name.
    """
    if isinstance(path, Path) and path.is_absolute():
        with suppress(ValueError):  # it is elsewhere
            return path.relative_to(Path(root).absolute()).as_posix()
    return os.fspath(path)


def _no_cache_control(name: str) -> None:
    return None


def guess_type(name: str) -> str:
    """Give the media type of a file by its name; text counts as UTF-8."""
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
    """Turn the errors of a missing file into a 404 that does not say why.

    The core handles other errors, which are not the client's.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _MISSING:
            raise _not_found() from error
        raise


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a function that may block in a thread."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, function, *arguments)


async def open_in_thread(folder: Folder, variant: Variant, room: int) -> Opened:
    """Open a file in a thread; it is closed if nobody waits for it any more."""
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

    It is not a generator: a generator that was never started would not close its file.

    Args:
        file: The file to read; it is closed at the end.
        start: The first byte.
        length: How many bytes.
        sending: All bodies that share the memory for their pieces.
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
        self._given = math.inf  # the time of the last piece
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
        """Adapt to the seconds of the last piece: slow clients use little memory."""
        size = self._size
        if taken >= 0:  # otherwise there was none
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
        # A listener may have replaced this body.
        self._file.close()
