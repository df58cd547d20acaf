"""What customers have ordered. A bearer token says who they are."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4

from msgspec import Meta, Struct
from roll import HttpError, RouteTable
from roll_openapi import Header, typed

from .items import put_back, take
from .paging import Limit, page

routes = RouteTable()

Key = Annotated[
    str,
    Meta(pattern="^[A-Za-z0-9_-]{8,64}$"),
    Header(description="Chosen by the client, another one for each order"),
]


class Line(Struct, forbid_unknown_fields=True):
    item: UUID
    quantity: Annotated[int, Meta(ge=1, le=100)] = 1


class NewOrder(Struct, forbid_unknown_fields=True):
    lines: Annotated[list[Line], Meta(min_length=1, max_length=20)]


class Order(Struct):
    id: UUID
    lines: list[Line]
    total: Annotated[int, Meta(description="In cents")]
    ordered: datetime
    state: Literal["open", "cancelled"] = "open"


class OrderPage(Struct):
    orders: list[Order]
    next: UUID | None


def of_customer(request):
    """Give the orders of the one who asks, by their ids."""
    return request.app[__name__].setdefault(request["user"], Customer())


class Customer:
    """The orders of one customer, and which request made each."""

    def __init__(self):
        self.orders = {}
        self.by_key = {}


def find(request, id):
    order = of_customer(request).orders.get(id)
    if order is None:
        raise HttpError(404, "You have no such order")
    return order


@routes.get("/orders", tags=["orders"], security=["token"])
@typed
async def list_orders(
    request, response, after: UUID | None = None, limit: Limit = 20
) -> OrderPage:
    """List your orders, page by page."""
    found = of_customer(request).orders.items()
    return OrderPage(*page(found, after, limit))


@routes.post("/orders", tags=["orders"], security=["token"])
@typed(status=201, responses={404: None, 409: None})
async def create_order(
    request, response, order: NewOrder, idempotency_key: Key
) -> Order:
    """Order items.

    A request with the key of an earlier one gets the same order again, and a 409 if it
    asks for something else.
    """
    customer = of_customer(request)
    if idempotency_key not in customer.by_key:
        total = take(request, order.lines)
        made = Order(uuid4(), order.lines, total, datetime.now(UTC))
        customer.orders[made.id] = made
        customer.by_key[idempotency_key] = (order, made.id)
    asked, id = customer.by_key[idempotency_key]
    if asked != order:
        raise HttpError(409, "Another order had this Idempotency-Key")
    response.headers["Location"] = f"{request.app.root_path}/orders/{id}"
    return customer.orders[id]


@routes.get("/orders/{id:uuid}", tags=["orders"], security=["token"])
@typed(responses={404: None})
async def read_order(request, response, id: UUID) -> Order:
    """Read an order of yours."""
    return find(request, id)


@routes.post("/orders/{id:uuid}/cancel", tags=["orders"], security=["token"])
@typed(responses={404: None, 409: None})
async def cancel_order(request, response, id: UUID) -> Order:
    """Cancel an order of yours: what it had goes back into the stock."""
    order = find(request, id)
    if order.state == "cancelled":
        raise HttpError(409, "The order is cancelled already")
    order.state = "cancelled"
    put_back(request, order.lines)
    return order
