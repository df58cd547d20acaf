"""A file sent in pieces, read with aiofile."""

from pathlib import Path

from aiofile import AIOFile, Reader
from roll import HttpError, Roll, content_disposition

FILE = Path(__file__).with_name("poem.txt")

app = Roll()


async def pieces(path, size=64 * 1024):
    """Read a file piece by piece: its size does not matter."""
    async with AIOFile(path, "rb") as file:
        async for piece in Reader(file, chunk_size=size):
            yield piece


@app.route("/poem")
async def poem(request, response):
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["Content-Disposition"] = content_disposition(FILE.name)
    response.body = pieces(FILE, size=16)


@app.route("/poem/with-its-length")
async def poem_with_length(request, response):
    if not FILE.exists():
        raise HttpError(404)
    # A client that knows the length can show how far it is. Roll sends the pieces as
    # they are then, without chunks.
    response.headers["Content-Length"] = FILE.stat().st_size
    response.body = pieces(FILE)
