"""Uploaded files: small ones in memory, all others of a form in one file on disk."""

import asyncio
import io
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from typing import Any

BUFFER = 1024
"""The least bytes that a file reads at once; a form may have 1000 files."""


class Disk:
    """One temporary file for the files of a form: each would need a descriptor.

    It has no name, and exists while one of these is open. They may be read in several
    threads.

    Args:
        memory: The most bytes of all files in memory.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory
        """How many more bytes files may keep in memory."""
        self._file: io.FileIO | None = None
        self._size = 0
        self._users = 0
        # One of the files may be garbage-collected, and leave, within any call.
        self._lock = threading.RLock()

    def join(self) -> int:
        """Keep it open for another file, and give the position of its first byte."""
        with self._lock:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
                self._size = 0
            self._users += 1
            return self._size

    def leave(self) -> None:
        """Close it, unless other files are open."""
        with self._lock:
            self._users -= 1
            if not self._users and self._file is not None:
                self._file.close()
                self._file = None

    def append(self, data: bytes | bytearray) -> None:
        """Append *data*.

        Raises:
            OSError: The disk is full, for example.
        """
        file: io.FileIO = self._file  # type: ignore[assignment]  # opened by `join`
        with self._lock, memoryview(data) as rest:
            file.seek(self._size)
            done = 0
            while done < len(rest):
                done += file.write(rest[done:])
            self._size += done

    def read_into(self, buffer: memoryview, position: int) -> int:
        """Fill *buffer* from *position* on, and give the number of bytes read."""
        file: io.FileIO = self._file  # type: ignore[assignment]
        with self._lock:
            file.seek(position)
            return file.readinto(buffer)


class Content(io.RawIOBase):
    """The bytes of one file, which are all added before any is read.

    Args:
        disk: Where they are stored once there are many.
        spool: The most bytes to keep in memory.
    """

    def __init__(self, disk: Disk, spool: int) -> None:
        super().__init__()
        self._disk = disk
        self._spool = spool
        self._memory = bytearray()
        self._start: int | None = None  # on the disk
        self._size = 0
        self._at = 0

    @property
    def on_disk(self) -> bool:
        """Whether they were too many for memory."""
        return self._start is not None

    def add(self, data: bytes) -> None:
        """Append *data*.

        Raises:
            OSError: The disk is full, for example.
        """
        self._size += len(data)
        if self._start is None:
            if self._size <= self._spool and len(data) <= self._disk.memory:
                self._disk.memory -= len(data)
                self._memory += data
                return
            self._start = self._disk.join()
            self._disk.append(self._memory)
            self._disk.memory += len(self._memory)
            self._memory = bytearray()
        self._disk.append(data)

    def close(self) -> None:
        """Free its bytes."""
        if not self.closed:
            super().close()
            if self._start is not None:
                self._disk.leave()

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from any position: yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, as in any file.

        Raises:
            ValueError: It is before the start, or the file is closed.
        """
        self._require_open()
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}
        position = start[whence] + offset
        if position < 0:
            raise ValueError(f"{position} is before the start of the file")
        self._at = position
        return position

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer*, and give the number of bytes read, 0 at the end.

        Raises:
            ValueError: The file is closed.
        """
        self._require_open()
        with memoryview(buffer).cast("B") as view:
            size = max(0, min(len(view), self._size - self._at))
            if self._start is not None:
                size = self._disk.read_into(view[:size], self._start + self._at)
            else:
                view[:size] = self._memory[self._at : self._at + size]
        self._at += size
        return size

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")


class File(io.BufferedReader):
    """An uploaded file: a binary file object, on disk when it is large.

    Args:
        filename: The client's name for it, without directories; maybe empty.
        content_type: The client's type for it; `text/plain` without one (RFC 7578,
            section 4.4).
        content: Its bytes.
    """

    def __init__(self, filename: str, content_type: str, content: Content) -> None:
        super().__init__(content, BUFFER)
        self.filename = filename
        self.content_type = content_type
        self.content = content

    async def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to *path*, in a thread, replacing an existing file.

        The content is written to a file next to *path*, which replaces *path* at the
        end, so that *path* is never incomplete. Afterwards there is nothing more to
        read.

        Args:
            path: Never use the client's data for it, such as `filename`.

        Raises:
            OSError: It cannot be written, for example because the folder is missing.
            ValueError: The file is closed, for example after the end of the request.
        """
        await asyncio.to_thread(self._save, os.fspath(path))

    def _save(self, path: str) -> None:
        part = f"{path}.{os.urandom(8).hex()}.part"
        try:
            with open(part, "xb") as file:
                self.seek(0)
                shutil.copyfileobj(self, file)
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
