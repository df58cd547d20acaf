"""Files of customers: uploaded in a form, each with a note."""

from typing import Annotated
from uuid import UUID, uuid4

from msgspec import Meta, Struct
from roll import HttpError, RouteTable
from roll_openapi import File, Form, typed

from .paging import Limit, page

routes = RouteTable()

Note = Annotated[str, Meta(max_length=200), Form(description="What it is for")]


class Document(Struct):
    id: UUID
    name: str
    size: int
    note: str


class DocumentPage(Struct):
    files: list[Document]
    next: UUID | None


class Kept(Struct):
    owner: str
    document: Document
    content: bytes


def find(request, id):
    kept = request.app[__name__].get(id)
    if kept is None or kept.owner != request["user"]:
        raise HttpError(404, "You have no such file")
    return kept


@routes.get("/files", tags=["files"], security=["token"])
@typed
async def list_files(
    request, response, after: UUID | None = None, limit: Limit = 20
) -> DocumentPage:
    """List your files, page by page."""
    found = (
        (id, kept.document)
        for id, kept in request.app[__name__].items()
        if kept.owner == request["user"]
    )
    return DocumentPage(*page(found, after, limit))


@routes.post("/files", tags=["files"], security=["token"])
@typed(status=201)
async def upload_file(
    request, response, file: Annotated[bytes, File()], note: Note = ""
) -> Document:
    """Upload a file."""
    name = request.files.get("file").filename
    document = Document(uuid4(), name, len(file), note)
    request.app[__name__][document.id] = Kept(request["user"], document, file)
    response.headers["Location"] = f"{request.app.root_path}/files/{document.id}"
    return document


@routes.get("/files/{id:uuid}", tags=["files"], security=["token"])
@typed(responses={404: None})
async def download_file(
    request, response, id: UUID
) -> Annotated[bytes, "application/octet-stream"]:
    """Download a file of yours."""
    response.headers["Content-Disposition"] = "attachment"
    return find(request, id).content


@routes.delete("/files/{id:uuid}", tags=["files"], security=["token"])
@typed(status=204, responses={404: None})
async def delete_file(request, response, id: UUID) -> None:
    """Delete a file of yours."""
    del request.app[__name__][find(request, id).document.id]
