"""Scraping: the view that Prometheus asks."""

import asyncio
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

from roll import Request, Response, Roll
from roll.logs import logger
from roll.preferences import read_codings

from .exposition import END, FORMATS, Exposition, choose_format, merge

if TYPE_CHECKING:
    from .workers import Workers

MISSING = """\
# HELP roll_metrics_workers_missing Workers that have not answered at this scrape.
# TYPE roll_metrics_workers_missing gauge
roll_metrics_workers_missing{{worker="{number}"}} {missing}
"""

LEVEL = 1
"""Of gzip: others take much longer for little."""


class Scraping:
    """Tells what an app, or all workers of it, have measured.

    Args:
        app: The app.
        exposition: Writes what this process has measured.
        directory: Where the workers meet, None for an app that has one process.
    """

    def __init__(
        self, app: Roll, exposition: Exposition, directory: Path | None
    ) -> None:
        self._app = app
        self._exposition = exposition
        self._workers: Workers | None = None
        if directory is not None:
            from . import workers  # it needs the locks of Unix

            self._workers = workers.Workers(directory, self._write)

    async def start(self) -> None:
        """Meet the other workers."""
        if self._workers is not None:
            await self._workers.open()
        elif self._app.workers > 1:
            logger.warning(
                "metrics: each of %d workers answers for itself alone; give "
                "metrics(app, directory=...), or set ROLL_METRICS_DIR",
                self._app.workers,
            )

    async def stop(self) -> None:
        """Leave them."""
        if self._workers is not None:
            await self._workers.close()

    async def show(self, request: Request, response: Response) -> None:
        """Answer Prometheus."""
        format = choose_format(request.headers.get("Accept", ""))
        body = await self._read(format)
        response.vary("Accept", "Accept-Encoding")
        response.headers["Content-Type"] = FORMATS[format].content_type
        response.headers["Cache-Control"] = "no-store"
        codings = read_codings(request.headers.get("Accept-Encoding", ""))
        if codings.get("gzip"):
            body = await asyncio.to_thread(gzip.compress, body, LEVEL)
            response.headers["Content-Encoding"] = "gzip"
        response.body = body

    async def _read(self, format: str) -> bytes:
        if self._workers is None or not self._workers.number:
            text = await asyncio.to_thread(self._exposition.write, format)
            return self._finish(text, format)
        number = self._workers.number
        own, (others, missing) = await asyncio.gather(
            self._write(format, number), self._workers.ask(format)
        )
        told = f"{MISSING.format(number=number, missing=missing)}{END}"
        text = await asyncio.to_thread(merge, [own, *others, told])
        return self._finish(text, format)

    async def _write(self, format: str, worker: int) -> str:
        return await asyncio.to_thread(self._exposition.write, format, worker)

    def _finish(self, text: str, format: str) -> bytes:
        if format == "text":
            text = text.removesuffix(END)
        return text.encode()
