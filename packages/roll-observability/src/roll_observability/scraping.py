"""Scraping: the view for Prometheus."""

import asyncio
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from roll import Request, Response, Roll
from roll.logs import logger
from roll.preferences import read_codings

from .exposition import END, FORMATS, Exposition, Piece, choose_format, merge

if TYPE_CHECKING:
    from .workers import Workers

MISSING = """\
# HELP roll_metrics_workers_missing Workers that have not answered at this scrape.
# TYPE roll_metrics_workers_missing gauge
roll_metrics_workers_missing{{worker="{number}"}} {missing}
"""

LEVEL = 1
"""The level of compression: higher ones take much longer and save little."""

GZIP = 31
"""Makes zlib write gzip, with the largest window."""


class Scraping:
    """Serves what an app, or all its workers, have measured.

    Args:
        app: The app.
        exposition: Writes what this process has measured.
        directory: Where the workers meet; None for an app with one process.
    """

    def __init__(
        self, app: Roll, exposition: Exposition, directory: Path | None
    ) -> None:
        self._app = app
        self._exposition = exposition
        self._workers: Workers | None = None
        self._writing = _make_thread()
        if directory is not None:
            from . import workers  # needs the file locks of Unix

            self._workers = workers.Workers(directory, self._write)

    async def start(self) -> None:
        """Join the other workers."""
        if self._workers is not None:
            await self._workers.open()
        elif self._app.workers > 1:
            logger.warning(
                "metrics: each of %d workers responds only for itself; give "
                "metrics(app, directory=...), or set ROLL_METRICS_DIR",
                self._app.workers,
            )

    async def stop(self) -> None:
        """Leave them."""
        self._writing.shutdown(wait=False, cancel_futures=True)
        self._writing = _make_thread()  # the app may start again
        if self._workers is not None:
            await self._workers.close()

    async def show(self, request: Request, response: Response) -> None:
        """Respond to Prometheus."""
        format = choose_format(request.headers.get("Accept", ""))
        pieces = await self._read(format)
        if format == "openmetrics":
            pieces.append(END)
        response.vary("Accept", "Accept-Encoding")
        response.headers["Content-Type"] = FORMATS[format].content_type
        response.headers["Cache-Control"] = "no-store"
        codings = read_codings(request.headers.get("Accept-Encoding", ""))
        if codings.get("gzip"):
            response.headers["Content-Encoding"] = "gzip"
        join = _compress if codings.get("gzip") else b"".join
        response.body = await asyncio.to_thread(join, pieces)

    async def _read(self, format: str) -> list[Piece]:
        if self._workers is None or not self._workers.number:
            return [await self._write(format)]
        number = self._workers.number
        own, (others, missing) = await asyncio.gather(
            self._write(format, number), self._workers.ask(format)
        )
        told = MISSING.format(number=number, missing=missing).encode()
        return await asyncio.to_thread(merge, [own, *others, told])

    async def _write(self, format: str, worker: int | None = None) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._writing, self._exposition.write, format, worker
        )


def _make_thread() -> ThreadPoolExecutor:
    """Make a thread: a collector that hangs does not block those that views need."""
    return ThreadPoolExecutor(1, "roll-metrics")


def _compress(pieces: Iterable[Piece]) -> bytes:
    """Compress in pieces: other threads run while each is compressed."""
    compressor = zlib.compressobj(LEVEL, wbits=GZIP)
    compressed = [compressor.compress(piece) for piece in pieces]
    return b"".join([*compressed, compressor.flush()])
