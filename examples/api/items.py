"""What is in the warehouse. Everyone may read it; an API key changes it."""

from base64 import b64decode
from collections import Counter
from typing import Annotated
from uuid import UUID, uuid4

from msgspec import Meta, Struct
from msgspec.structs import asdict, replace
from roll import HttpError, RouteTable
from roll_openapi import Body, Header, Query, typed

from .paging import Limit, page

routes = RouteTable()

MOST = 10**6

BLANK = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNgYAAAAAMAASsJTYQAAAAA"
    "SUVORK5CYII="
)
"""A picture of one pixel, which is transparent."""

Text = Annotated[str, Meta(min_length=1, max_length=80)]
Tag = Annotated[
    str, Meta(pattern="^[a-z]{1,20}:[a-z0-9-]{1,20}$", examples=["color:blue"])
]


class NewItem(Struct, forbid_unknown_fields=True):
    name: Text
    price: Annotated[int, Meta(ge=0, le=10**9, description="In cents")]
    stock: Annotated[int, Meta(ge=0, le=MOST)] = 0
    tags: Annotated[list[Tag], Meta(max_length=10)] = []


class Item(NewItem, kw_only=True):
    id: UUID


class ItemPage(Struct):
    items: list[Item]
    next: UUID | None
    """What to send as `after` for the next page; null on the last one."""


class Stored(Struct):
    """An item as it is kept: with its version, and its picture."""

    item: Item
    version: int = 1
    picture: bytes = BLANK

    @property
    def tag(self):
        return f'"{self.version}"'

    def change(self, **values):
        self.item = replace(self.item, **values)
        self.version += 1


def find(request, id):
    stored = request.app[__name__].get(id)
    if stored is None:
        raise HttpError(404, "There is no such item")
    return stored


def is_named(stored, field):
    """Whether a field names the ETag of an item, perhaps made weak by compression."""
    tags = {tag.strip().removeprefix("W/") for tag in field.split(",")}
    return bool(tags & {stored.tag, "*"})


def require_tag(stored, if_match):
    """Refuse to change what the client has not seen (RFC 9110, section 13.1.1)."""
    if not is_named(stored, if_match):
        raise HttpError(412, "The item has changed: read it again")


IfMatch = Annotated[
    str, Header(description="The ETag of the item, or *", examples=["*"])
]


@routes.get("/items", tags=["items"], security=[])
@typed
async def list_items(
    request,
    response,
    after: UUID | None = None,
    limit: Limit = 20,
    tag: Annotated[tuple[Tag, ...], Query(description="All of these")] = (),
) -> ItemPage:
    """List the items, page by page."""
    found = (
        (id, stored.item)
        for id, stored in request.app[__name__].items()
        if {*tag} <= {*stored.item.tags}
    )
    return ItemPage(*page(found, after, limit))


@routes.post("/items", tags=["items"], security=["key"])
@typed(status=201)
async def create_item(request, response, item: NewItem) -> Item:
    """Add an item."""
    stored = Stored(Item(**asdict(item), id=uuid4()))
    request.app[__name__][stored.item.id] = stored
    response.headers["ETag"] = stored.tag
    response.headers["Location"] = f"{request.app.root_path}/items/{stored.item.id}"
    return stored.item


@routes.get("/items/{id:uuid}", tags=["items"], security=[])
@typed(responses={304: None, 404: None})
async def read_item(
    request, response, id: UUID, if_none_match: Annotated[str, Header()] = ""
) -> Item | None:
    """Read an item. With the ETag that the client has, only if it has changed."""
    stored = find(request, id)
    response.headers["ETag"] = stored.tag
    if is_named(stored, if_none_match):
        response.status = 304
        return None
    return stored.item


@routes.put("/items/{id:uuid}", tags=["items"], security=["key"])
@typed(responses={404: None, 412: None})
async def replace_item(
    request, response, id: UUID, item: NewItem, if_match: IfMatch
) -> Item:
    """Replace an item, unless it has changed since it was read."""
    stored = find(request, id)
    require_tag(stored, if_match)
    stored.change(**asdict(item))
    response.headers["ETag"] = stored.tag
    return stored.item


@routes.delete("/items/{id:uuid}", tags=["items"], security=["key"])
@typed(status=204, responses={404: None, 412: None})
async def delete_item(request, response, id: UUID, if_match: IfMatch) -> None:
    """Delete an item, unless it has changed since it was read."""
    require_tag(find(request, id), if_match)
    del request.app[__name__][id]


@routes.put("/items/{id:uuid}/picture", tags=["items"], security=["key"])
@typed(status=204, responses={404: None})
async def store_picture(
    request, response, id: UUID, picture: Annotated[bytes, Body("image/png")]
) -> None:
    """Store the picture of an item."""
    find(request, id).picture = picture


@routes.get("/items/{id:uuid}/picture", tags=["items"], security=[])
@typed(responses={404: None})
async def read_picture(request, response, id: UUID) -> Annotated[bytes, "image/png"]:
    """Read the picture of an item; a blank one, if it has none."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return find(request, id).picture


def take(request, lines):
    """Take what an order needs out of the stock: all of it, or nothing.

    Returns:
        The price of it, in cents.
    """
    wanted = count(lines)
    stored = {id: find(request, id) for id in wanted}
    for id, quantity in wanted.items():
        if stored[id].item.stock < quantity:
            raise HttpError(409, f"There are not {quantity} of {id}")
    for id, quantity in wanted.items():
        stored[id].change(stock=stored[id].item.stock - quantity)
    return sum(stored[id].item.price * quantity for id, quantity in wanted.items())


def put_back(request, lines):
    """Put back what an order has taken; items that are gone by now stay so."""
    for id, quantity in count(lines).items():
        if stored := request.app[__name__].get(id):
            stored.change(stock=min(stored.item.stock + quantity, MOST))


def count(lines):
    wanted = Counter()
    for line in lines:
        wanted[line.item] += line.quantity
    return wanted
