"""The content codings: how each compresses and inflates (RFC 9110, section 8.4.1)."""

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, Protocol

PIECE = 64 * 1024
"""Bytes that are inflated at once; brotli gives up to half as many more."""

WINDOW_LOG = 18
"""Binary logarithm of the window of a stream, 256 KiB: each one has its own."""

_MOST_WINDOW_LOG = 23
"""The same for zstd's largest window, 8 MiB (RFC 9659)."""

_GZIP = 16
"""Added to the logarithm of a window, it makes zlib read and write gzip."""

_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"

Data = bytes | bytearray | memoryview


class Deflater(NamedTuple):
    """Compresses a stream."""

    process: Callable[[Data], bytes]
    """Compresses a piece, and flushes it: a client can inflate all of it."""
    finish: Callable[[], bytes]
    """Gives the end of the stream."""


class Inflater(Protocol):
    """Inflates a body that comes in pieces."""

    @property
    def complete(self) -> bool:
        """Whether the body may end here."""

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """Inflate the bytes received, at most about `PIECE` bytes at a time."""


class Coding(Protocol):
    """A content coding, at a level.

    Raises:
        ImportError: A library that it needs is not installed.
    """

    LEVELS: ClassVar[range]
    USUAL: ClassVar[int]
    """The usual level: fast, and good enough."""
    error: type[Exception]
    """The exception that inflating raises."""

    def __init__(self, level: int) -> None: ...

    def compress(self, data: Data) -> bytes:
        """Compress a whole body."""

    def stream(self, small: bool) -> Deflater:
        """Begin a stream; a *small* one takes little memory, if the coding can."""

    def inflater(self) -> Inflater:
        """Begin to inflate a body."""


class Gzip:
    """The coding `gzip` (RFC 1952)."""

    LEVELS: ClassVar[range] = range(1, 10)
    USUAL: ClassVar[int] = 4

    def __init__(self, level: int) -> None:
        self.error: type[Exception] = zlib.error
        self._level = level

    def compress(self, data: Data) -> bytes:
        """Compress a whole body, always to the same bytes: the header has no time."""
        return zlib.compress(data, self._level, _GZIP + zlib.MAX_WBITS)

    def stream(self, small: bool) -> Deflater:
        """Begin a stream; a *small* one has a window of 4 KiB."""
        window, memory = (12, 5) if small else (zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
        stream = zlib.compressobj(self._level, zlib.DEFLATED, _GZIP + window, memory)
        return Deflater(
            lambda data: stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH),
            stream.flush,
        )

    def inflater(self) -> Inflater:
        """Begin to inflate a body of one member or several."""
        return _Gunzip()


class _Gunzip:
    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP + zlib.MAX_WBITS)

    @property
    def complete(self) -> bool:
        return self._member.eof

    def inflate(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP + zlib.MAX_WBITS)
            yield self._member.decompress(data, PIECE)
            data = self._member.unconsumed_tail or self._member.unused_data


class Brotli:
    """The coding `br` (RFC 7932)."""

    LEVELS: ClassVar[range] = range(10)
    USUAL: ClassVar[int] = 4

    def __init__(self, level: int) -> None:
        self._level = level
        self._library = _import_any("brotli", "brotlicffi")
        self.error: type[Exception] = self._library.error

    def compress(self, data: Data) -> bytes:
        """Compress a whole body."""
        compressed: bytes = self._library.compress(data, quality=self._level)
        return compressed

    def stream(self, small: bool) -> Deflater:
        """Begin a stream, which is never small."""
        stream = self._library.Compressor(quality=self._level, lgwin=WINDOW_LOG)
        return Deflater(
            lambda data: stream.process(data) + stream.flush(), stream.finish
        )

    def inflater(self) -> Inflater:
        """Begin to inflate a body."""
        return _Unbrotli(self._library.Decompressor())


class _Unbrotli:
    def __init__(self, body: Any) -> None:
        self._body = body

    @property
    def complete(self) -> bool:
        finished: bool = self._body.is_finished()
        return finished

    def inflate(self, data: bytes) -> Iterator[bytes]:
        body = self._body
        piece = body.process(data, output_buffer_limit=PIECE)
        yield piece
        # After a piece of full size there may be more, which nothing else shows.
        while not body.is_finished() and (
            len(piece) >= PIECE or not body.can_accept_more_data()
        ):
            piece = body.process(b"", output_buffer_limit=PIECE)
            yield piece


class Zstd:
    """The coding `zstd` (RFC 8878), with windows of at most 8 MiB (RFC 9659)."""

    LEVELS: ClassVar[range] = range(1, 20)  # the next one has a larger window
    USUAL: ClassVar[int] = 3

    def __init__(self, level: int) -> None:
        self._level = level
        self._library = import_module(_ZSTD)
        self.error: type[Exception] = self._library.ZstdError

    def compress(self, data: Data) -> bytes:
        """Compress a whole body."""
        compressed: bytes = self._library.compress(data, self._level)
        return compressed

    def stream(self, small: bool) -> Deflater:
        """Begin a stream, which is never small."""
        parameter = self._library.CompressionParameter
        options = {
            parameter.compression_level: self._level,
            parameter.window_log: WINDOW_LOG,
        }
        stream = self._library.ZstdCompressor(options=options)
        return Deflater(
            lambda data: stream.compress(data, stream.FLUSH_BLOCK), stream.flush
        )

    def inflater(self) -> Inflater:
        """Begin to inflate a body of one frame or several."""
        parameter = self._library.DecompressionParameter.window_log_max
        options = {parameter: _MOST_WINDOW_LOG}
        return _Unzstd(lambda: self._library.ZstdDecompressor(options=options))


class _Unzstd:
    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin
        self._frame = begin()

    @property
    def complete(self) -> bool:
        ended: bool = self._frame.eof
        return ended

    def inflate(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._frame.eof:
                self._frame = self._begin()
            frame = self._frame
            yield frame.decompress(data, PIECE)
            while not (frame.needs_input or frame.eof):
                yield frame.decompress(b"", PIECE)
            data = frame.unused_data if frame.eof else b""


def _import_any(*names: str) -> Any:
    *others, last = names
    for name in others:
        try:
            return import_module(name)
        except ImportError:
            continue
    return import_module(last)


CODINGS: Mapping[str, type[Coding]] = {"zstd": Zstd, "br": Brotli, "gzip": Gzip}
"""The codings by name, the preferred ones first."""


def find_codings(
    names: Iterable[str] | None, levels: Mapping[str, int]
) -> dict[str, Coding]:
    """Make the codings that an option asks for.

    Args:
        names: Those asked for; None for all that are installed.
        levels: Levels by name, for codings that do not use the usual one.

    Raises:
        ValueError: A coding is unknown or not installed, or does not have such a level.
    """
    if isinstance(names, str):
        raise ValueError(f"codings={names!r}: give a list, such as ['gzip']")
    found = {}
    for name in CODINGS if names is None else names:
        if name not in CODINGS:
            raise ValueError(f"codings: {name!r} is not one of {', '.join(CODINGS)}")
        try:
            found[name] = _make_coding(name, levels)
        except ImportError as error:
            if names is not None or name in levels:
                raise ValueError(
                    f"{name!r} is not installed. "
                    f"Run: pip install 'roll-compress[{name}]'"
                ) from error
    if not found:
        raise ValueError(f"codings is empty: name one of {', '.join(CODINGS)}")
    if unknown := levels.keys() - found.keys():
        raise ValueError(f"levels: {unknown.pop()!r} is not one of {', '.join(found)}")
    return found


def _make_coding(name: str, levels: Mapping[str, int]) -> Coding:
    kind = CODINGS[name]
    level = levels.get(name, kind.USUAL)
    if type(level) is not int or level not in kind.LEVELS:
        first, last = kind.LEVELS[0], kind.LEVELS[-1]
        raise ValueError(
            f"levels: {name!r} has {level!r}: give a number from {first} to {last}"
        )
    return kind(level)
