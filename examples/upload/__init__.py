"""Uploads: of a form, and one that is refused by its headers, before it is sent.

A lazy body is read by the view, so that the view can look at the headers first. A
client that sends `Expect: 100-continue`, as curl does with large bodies, waits for the
first read before it sends anything.
"""

import asyncio
import hashlib
import secrets
import tempfile
from pathlib import Path

from roll import HttpError, Roll

LARGEST = 100 * 1024 * 1024
TYPES = {"image/png": ".png", "image/jpeg": ".jpg"}

app = Roll()
app["folder"] = Path(tempfile.gettempdir())


@app.route("/forms", methods=["POST"], lazy_body=True)
async def upload_form(request, response):
    """Keep the file `image` of a form."""
    await request.load_form()
    image = request.files.get("image")
    if image.content_type not in TYPES:
        raise HttpError(415, f"One of {', '.join(TYPES)} is wanted")
    name = secrets.token_hex(16) + TYPES[image.content_type]
    await image.save(request.app["folder"] / name)
    response.status = 201
    response.json = {"name": name}


@app.route("/images", methods=["POST"], lazy_body=True)
async def upload(request, response):
    suffix = TYPES.get(request.content_type)
    if suffix is None:
        raise HttpError(415, f"One of {', '.join(TYPES)} is wanted")
    size = request.headers.get("Content-Length")
    if size is None:
        raise HttpError(411)
    if int(size) > LARGEST:
        raise HttpError(413)
    digest = hashlib.sha256()
    # Named by the server: what the client calls a file is not a path.
    with tempfile.NamedTemporaryFile(
        dir=request.app["folder"], suffix=suffix, delete=False
    ) as file:
        try:
            async for piece in request:
                digest.update(piece)
                await asyncio.to_thread(file.write, piece)
        except BaseException:  # also when the client leaves: the task is cancelled
            Path(file.name).unlink()  # noqa: ASYNC240  # takes no time
            raise
    response.status = 201
    response.json = {"name": Path(file.name).name, "sha256": digest.hexdigest()}
